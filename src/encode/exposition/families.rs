//! [`FamilyWalk`]: all series, in steps, so that the series of a family follow each other.
//!
//! ```text
//!  Table ──▶ one place a series, with the hash of its family ──▶ parts: by the first bits
//!            (some series in each step)                          │ the lowest part, sorted
//!                                                                ▼
//!                                       the series of one hash, family after family
//! ```
//! Families come in the order of their hashes, because the order of their names would cost several
//! times as much: it needs a comparison of names at each step of a sort. A hash costs a few
//! nanoseconds. Two families with the same hash are rare. Then one is written after the other.
//!
//! The walk takes about 13 bytes a series. Series may be created and removed meanwhile. Removed
//! ones are skipped, and new ones are left out.

use std::collections::VecDeque;

use ahash::RandomState;

use super::legal::{FamilyKind, put_family, twins};
use crate::series::{Audience, Cursor, PackedPlace, Table, Visited};

/// The series that are still to come.
#[derive(Debug, Default)]
pub(super) struct FamilyWalk {
    is_begun: bool,
    /// The place up to which series are collected.
    cursor: Cursor,
    is_collected: bool,
    /// The collected series, the ones with the lowest hashes last.
    parts: Vec<FamilyPart>,
    /// The part that is being divided, and the parts that come out of it.
    divided: Option<(FamilyPart, Vec<FamilyPart>)>,
    /// The series that come next, sorted, and the index of the first of them.
    run: Vec<FamilyPlace>,
    next: usize,
    group: FamilyGroup,
    /// The group at the last pause.
    resume: Option<FamilyGroup>,
    /// The number of blocks that `parts` and `divided` hold.
    blocks: usize,
    /// The name of the family of the series at hand.
    family: Vec<u8>,
}

/// A series that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FamilyPlace {
    /// The hash of its family.
    hash: u32,
    place: PackedPlace,
}

/// Series whose hashes begin with the same bits, in the order of their places.
#[derive(Debug)]
struct FamilyPart {
    /// The number of these bits.
    bits: u32,
    /// Its series, at most [`BLOCK`] in each.
    blocks: VecDeque<Vec<FamilyPlace>>,
    len: usize,
    /// Whether the series have different hashes.
    is_mixed: bool,
}

/// The series of one hash that are being passed, and their families.
#[derive(Debug, Default)]
struct FamilyGroup {
    hash: Option<u32>,
    /// The family whose series are being passed, if `has_family`.
    family: Vec<u8>,
    has_family: bool,
    /// The last series of the family that was passed.
    last: Option<PackedPlace>,
    /// The families of this hash that are done.
    done: Vec<Box<[u8]>>,
    /// Series of the same hash and other families.
    others: Vec<FamilyPlace>,
}

/// The most places that one step visits.
const STEP_PLACES: usize = 128;
/// The series of a block.
const BLOCK: usize = 128;
/// A part gets about as many series, if all families have few.
const PART_LENGTH: usize = 1024;
/// The most series that are sorted in one step, which takes less than a tenth of a millisecond.
const SORT_MOST: usize = 4 * PART_LENGTH;
/// The bits by which a larger part is divided, and the blocks of it that one step moves.
const DIVIDE_BITS: u32 = 4;
const DIVIDE_BLOCKS: usize = 16;
/// The series that are fetched into the cache together.
const AHEAD: usize = 16;

impl FamilyWalk {
    /// Whether the walk has begun to collect, and so holds memory.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether all series are passed.
    pub(super) fn is_over(&self) -> bool {
        let Self { is_collected, parts, divided, run, next, group, .. } = self;
        let is_empty = parts.is_empty() && divided.is_none() && *next == run.len();
        *is_collected && is_empty && group.others.is_empty()
    }

    /// The bytes that the walk holds, about.
    pub(super) fn bytes(&self) -> usize {
        let places = self.blocks * BLOCK + self.run.capacity() + self.group.others.capacity();
        places * size_of::<FamilyPlace>() + self.parts.capacity() * size_of::<FamilyPart>()
    }

    /// Frees the memory of the walk. It later begins again, after the last series that it has
    /// passed.
    pub(super) fn pause(&mut self) {
        let has_passed = self.group.hash.is_some();
        let group = FamilyGroup { others: Vec::new(), ..std::mem::take(&mut self.group) };
        let resume = if has_passed { Some(group) } else { self.resume.take() };
        *self = Self { resume, ..Self::default() };
    }

    /// Does a step of the work before the next series. Returns `true` if there is none to do, so
    /// that [`pass_next`](Self::pass_next) may be called. `hash` is the hash of the names of
    /// families, the same in all calls.
    pub(super) fn prepare(&mut self, table: &mut Table, hash: &impl Fn(&[u8]) -> u32) -> bool {
        if !self.is_collected {
            self.collect(table, hash);
            return false;
        }
        if self.next < self.run.len() {
            return true;
        }
        if let Some((part, into)) = &mut self.divided {
            if !part.divide(into, DIVIDE_BLOCKS, &mut self.blocks) {
                let into = std::mem::take(into);
                self.parts.extend(into.into_iter().filter(|part| part.len > 0));
                self.divided = None;
            }
            return false;
        }
        let Some(mut part) = self.parts.pop() else {
            // Series of the last hash may be left.
            self.run = std::mem::take(&mut self.group.others);
            self.next = 0;
            self.group.end_family();
            return true;
        };
        if part.is_mixed && part.len > SORT_MOST {
            let into = FamilyPart::all_of(part.bits + DIVIDE_BITS, 1 << DIVIDE_BITS);
            self.divided = Some((part, into));
            return false;
        }
        self.next = 0;
        self.run.clear();
        if part.is_mixed {
            self.blocks -= part.blocks.len();
            part.blocks.iter().for_each(|block| self.run.extend_from_slice(block));
            self.run.sort_unstable();
        } else if let Some(block) = part.blocks.pop_front() {
            // All have the same hash, so they are sorted.
            self.blocks -= 1;
            self.run = block;
            part.len -= self.run.len();
            if part.len > 0 {
                self.parts.push(part);
            }
        }
        false
    }

    /// Collects some series.
    fn collect(&mut self, table: &mut Table, hash: &impl Fn(&[u8]) -> u32) {
        if !self.is_begun {
            self.is_begun = true;
            let bits = (table.len() / PART_LENGTH + 1).ilog2();
            self.parts = FamilyPart::all_of(bits, 1 << bits);
        }
        let Self { cursor, parts, resume, blocks, family, .. } = self;
        let from = resume.as_ref().and_then(|group| group.hash).unwrap_or(0);
        self.is_collected = table.visit(cursor, STEP_PLACES, |visited| {
            // Series that only destinations with clean names get are merged from others.
            if visited.audience == Audience::Clean {
                return;
            }
            family.clear();
            put_family(family_kind(&visited), visited.name(), family);
            let hash = hash(family);
            let Some(place) = visited.packed_place().filter(|_| hash >= from) else { return };
            push_to(parts, 0, FamilyPlace { hash, place }, blocks);
        });
        if self.is_collected {
            self.parts.retain(|part| part.len > 0);
        }
    }

    /// Passes the next series to `put`: its family, the series, and whether one of its [`twins`]
    /// exists. Returns `false` if there is none that is ready: the walk must be prepared again, or
    /// is over.
    ///
    /// A call may also skip a series. If a twin is removed during the walk, after it was passed,
    /// `put` gets `false`. So one answer may then have the same sample twice.
    pub(super) fn pass_next(
        &mut self,
        table: &mut Table,
        hash: &impl Fn(&[u8]) -> u32,
        put: impl FnOnce(&[u8], &mut Visited<'_>, bool),
    ) -> bool {
        let Some(next) = self.run.get(self.next).copied() else { return false };
        if self.group.hash != Some(next.hash) {
            if !self.group.others.is_empty() {
                // First the other families of the hash before.
                let rest = self.run.split_off(self.next);
                self.run = std::mem::take(&mut self.group.others);
                self.run.extend(rest);
                self.next = 0;
                self.group.end_family();
                return true;
            }
            self.group.begin(next.hash, &mut self.resume);
        }
        if self.next.is_multiple_of(AHEAD) {
            let ahead = self.run[self.next..].iter().take(AHEAD);
            table.prefetch(ahead.map(|next| next.place));
        }
        self.next += 1;
        let place = next.place.unpacked();
        let mut has_twin = None;
        loop {
            let Some(mut visited) = table.visit_one(place) else { return true };
            if has_twin.is_none() {
                let family_kind = family_kind(&visited);
                self.family.clear();
                put_family(family_kind, visited.name(), &mut self.family);
                if !self.group.takes(next, &self.family, hash) {
                    return true;
                }
                let twins = twins(family_kind, visited.name(), &self.family);
                if !twins.is_empty() {
                    let kind = visited.kind;
                    has_twin = Some(twins.iter().any(|twin| table.look_up(kind, twin).is_some()));
                    continue; // visits it again, since the table was needed for others meanwhile
                }
            }
            put(&self.family, &mut visited, has_twin.unwrap_or(false));
            return true;
        }
    }
}

impl FamilyPart {
    /// All parts of hashes with some bits in common, the highest first.
    fn all_of(bits: u32, count: usize) -> Vec<Self> {
        let empty = || Self { bits, blocks: VecDeque::new(), len: 0, is_mixed: false };
        std::iter::repeat_with(empty).take(count).collect()
    }

    /// Adds a series. `blocks` counts the blocks of all parts.
    fn push(&mut self, series: FamilyPlace, blocks: &mut usize) {
        let first = self.blocks.front().and_then(|block| block.first());
        self.is_mixed |= first.is_some_and(|first| first.hash != series.hash);
        self.len += 1;
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => block.push(series),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(series);
                self.blocks.push_back(block);
                *blocks += 1;
            }
        }
    }

    /// Moves some blocks into smaller parts. Returns `false` if there is none left.
    fn divide(&mut self, into: &mut [Self], work: usize, blocks: &mut usize) -> bool {
        for _ in 0..work {
            let Some(block) = self.blocks.pop_front() else { return false };
            *blocks -= 1;
            block.into_iter().for_each(|series| push_to(into, self.bits, series, blocks));
        }
        true
    }
}

/// Adds a series to one of all parts of the hashes whose first `known` bits are the same.
fn push_to(parts: &mut [FamilyPart], known: u32, series: FamilyPlace, blocks: &mut usize) {
    let unknown = u64::from(series.hash) << known & u64::from(u32::MAX);
    let index = unknown >> (32 - (parts[0].bits - known));
    let last = parts.len() - 1;
    parts[last - usize::try_from(index).unwrap_or(last)].push(series, blocks);
}

impl FamilyGroup {
    /// Begins the group of a hash, or goes on with that of the last pause if it is the same.
    fn begin(&mut self, hash: u32, resume: &mut Option<Self>) {
        if let Some(paused) = resume.take_if(|group| group.hash == Some(hash)) {
            *self = paused;
            return;
        }
        self.hash = Some(hash);
        self.has_family = false;
        self.last = None;
        self.done.clear();
    }

    /// Ends the family that is being passed. Another one of the same hash follows.
    fn end_family(&mut self) {
        if std::mem::take(&mut self.has_family) {
            self.done.push(self.family.as_slice().into());
        }
        self.last = None;
    }

    /// Whether a series is passed now. One of another family with the same hash is kept for later.
    fn takes(&mut self, next: FamilyPlace, family: &[u8], hash: &impl Fn(&[u8]) -> u32) -> bool {
        if !self.has_family || self.family != family {
            // A reload may have changed the family since the series was collected. Its new family
            // has another hash, and perhaps was passed already.
            let is_of_group = hash(family) == next.hash;
            if !is_of_group || self.done.iter().any(|done| **done == *family) {
                return false;
            }
            if self.has_family {
                self.others.push(next);
                return false;
            }
            self.has_family = true;
            self.family.clear();
            self.family.extend_from_slice(family);
        }
        if self.last.is_some_and(|last| next.place <= last) {
            return false; // it was passed before a pause
        }
        self.last = Some(next.place);
        true
    }
}

/// The hash of the name of a family. `names` is the hash of the table.
#[allow(clippy::cast_possible_truncation)] // half of the hash is enough
pub(super) fn hash_of(names: &RandomState, family: &[u8]) -> u32 {
    names.hash_one(family) as u32
}

pub(super) fn family_kind(visited: &Visited<'_>) -> FamilyKind {
    FamilyKind::of(visited.kind, visited.policy.plan.has_bins())
}
