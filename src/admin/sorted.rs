//! A walk over the series of a kind in the order of their names, in steps.
//!
//! First the table is cut into runs of at most [`RUN`] series. A run is collected in several steps,
//! and its slots are sorted in another one. Then the runs are merged by means of a heap of their
//! lowest names. This takes eight bytes for each series, and a copy of one name for each run.
//!
//! Series may be created and removed during the walk. The walk skips removed series and leaves out
//! new ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use crate::few::sort_many;
use crate::protocol::MetricKind;
use crate::series::{Audience, Cursor, SeriesPlace, SeriesSlot, Table};

/// The series that are still to come.
#[derive(Debug)]
pub(super) struct SortedNames {
    kind: MetricKind,
    /// Names with another beginning are left out.
    prefix: Box<[u8]>,
    /// The place up to which series are collected.
    cursor: Cursor,
    /// All series are collected.
    is_walked: bool,
    /// All runs are sorted.
    is_sorted: bool,
    /// The series of the run that is collected.
    places: Vec<CollectedPlace>,
    /// Their names, one after the other.
    keys: Vec<u8>,
    runs: Vec<Run>,
    /// The lowest name of each run.
    heads: BinaryHeap<Reverse<SortedName>>,
    /// The bytes of the slots of all runs.
    bytes: usize,
}

/// A series that is not sorted yet.
#[derive(Debug)]
struct CollectedPlace {
    place: SeriesPlace,
    /// Where its name is.
    key: Range<usize>,
}

impl CollectedPlace {
    fn shard(&self) -> usize {
        self.place.shard()
    }
}

/// Sorted slots of one shard, with the lowest name last.
#[derive(Debug)]
struct Run {
    shard: usize,
    slots: Vec<SeriesSlot>,
}

/// A name, and the place of its series.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortedName {
    pub(super) name: Box<[u8]>,
    run: usize,
    pub(super) place: SeriesPlace,
}

/// The most series of a run. Sorting one takes a tenth of a millisecond.
const RUN: usize = 512;
/// A run has fewer series if their names need more bytes than this.
const RUN_BYTES: usize = 128 * 1024;
/// The bytes that a run takes besides its slots, about: itself, and the name in `heads`.
const RUN_OVERHEAD: usize = size_of::<Run>() + size_of::<SortedName>() + 64;
/// The most places that one step visits.
const STEP_PLACES: usize = 128;

impl SortedNames {
    pub(super) fn new(kind: MetricKind, prefix: Box<[u8]>) -> Self {
        Self {
            kind,
            prefix,
            cursor: Cursor::default(),
            is_walked: false,
            is_sorted: false,
            places: Vec::new(),
            keys: Vec::new(),
            runs: Vec::new(),
            heads: BinaryHeap::new(),
            bytes: 0,
        }
    }

    /// Whether the walk has begun to sort, and so holds memory.
    pub(super) fn is_begun(&self) -> bool {
        self.cursor != Cursor::default()
    }

    /// Frees the memory it holds. The walk then begins again.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.kind, std::mem::take(&mut self.prefix));
    }

    /// The bytes that the walk holds, about.
    pub(super) fn bytes(&self) -> usize {
        let places = self.places.capacity() * size_of::<CollectedPlace>();
        self.bytes + places + self.keys.capacity() + self.runs.capacity() * RUN_OVERHEAD
    }

    /// Does a part of the work before the merge. Returns `true` if it was done already, so that
    /// [`next`](Self::next) may be called.
    ///
    /// Names up to `last` are left out.
    pub(super) fn sort(&mut self, table: &mut Table, last: Option<&[u8]>) -> bool {
        if self.is_sorted {
            return true;
        }
        let has_room = self.places.len() + STEP_PLACES <= RUN && self.keys.len() < RUN_BYTES;
        if has_room && !self.is_walked {
            self.collect(table, last);
        } else {
            self.end_run(table);
            self.is_sorted = self.is_walked;
        }
        false
    }

    /// Collects the next series.
    fn collect(&mut self, table: &mut Table, last: Option<&[u8]>) {
        let Self { kind, prefix, keys, places, .. } = self;
        self.is_walked = table.visit(&mut self.cursor, STEP_PLACES, |visited| {
            // Series that only destinations with clean names get are merged from others.
            let is_merged = visited.audience == Audience::Clean;
            if visited.kind != *kind || is_merged || !visited.name().starts_with(prefix) {
                return;
            }
            if last.is_some_and(|last| visited.key() <= last) {
                return;
            }
            let start = keys.len();
            keys.extend_from_slice(visited.key());
            places.push(CollectedPlace { place: visited.place, key: start..keys.len() });
        });
    }

    /// Sorts the series that were collected. There is a run for each of their shards.
    fn end_run(&mut self, table: &mut Table) {
        let keys = std::mem::take(&mut self.keys);
        let mut places = std::mem::take(&mut self.places);
        sort_many(&mut places, |a, b| {
            let shards = a.shard().cmp(&b.shard());
            shards.then_with(|| keys[b.key.clone()].cmp(&keys[a.key.clone()]))
        });
        for run in places.chunk_by(|a, b| a.shard() == b.shard()) {
            let slots: Vec<_> = run.iter().map(|one| one.place.slot()).collect();
            self.bytes += slots.capacity() * size_of::<SeriesSlot>();
            self.runs.push(Run { shard: run[0].shard(), slots });
            let head = self.head(self.runs.len() - 1, table);
            self.heads.extend(head.map(Reverse));
        }
    }

    /// The name that [`next`](Self::next) returns next.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        self.heads.peek().map(|Reverse(head)| &*head.name)
    }

    /// Returns the lowest name that is left. Its series may have been removed since.
    pub(super) fn next(&mut self, table: &mut Table) -> Option<SortedName> {
        let run = self.heads.peek()?.0.run;
        let after = self.head(run, table);
        let mut lowest = self.heads.peek_mut()?;
        Some(match after {
            Some(after) => std::mem::replace(&mut lowest.0, after),
            None => PeekMut::pop(lowest).0,
        })
    }

    /// Takes the next name out of a run. Series that were removed meanwhile are skipped.
    fn head(&mut self, run: usize, table: &mut Table) -> Option<SortedName> {
        let Run { shard, slots } = &mut self.runs[run];
        while let Some(slot) = slots.pop() {
            let place = SeriesPlace::new(*shard, slot);
            if let Some(visited) = table.visit_one(place) {
                let name = visited.key().into();
                return Some(SortedName { name, run, place });
            }
        }
        self.bytes -= slots.capacity() * size_of::<SeriesSlot>();
        *slots = Vec::new(); // to free all runs at the end of the walk would take too long
        None
    }
}
