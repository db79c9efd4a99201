//! A walk over the names of all series of one kind, in their order and in steps.
//!
//! First the slots of each shard are sorted by name, one shard in each step. Then the shards are
//! merged by means of a heap of their lowest names. This takes eight bytes for each series, and
//! copies of 256 names.
//!
//! Series may be created and removed during the walk. The walk skips removed series and leaves out
//! new ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::protocol::MetricKind;
use crate::series::{SeriesSlot, Table};

/// The names that are still to come.
#[derive(Debug)]
pub(super) struct SortedNames {
    kind: MetricKind,
    /// Names with another beginning are left out.
    prefix: Box<[u8]>,
    /// The slots of each sorted shard, with the lowest name last.
    shards: Vec<Vec<SeriesSlot>>,
    /// The lowest name of each shard.
    heads: BinaryHeap<Reverse<SortedName>>,
}

/// A name, and the place of its series.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortedName {
    pub(super) name: Box<[u8]>,
    pub(super) shard: usize,
    pub(super) slot: SeriesSlot,
}

impl SortedNames {
    pub(super) fn new(kind: MetricKind, prefix: Box<[u8]>) -> Self {
        Self { kind, prefix, shards: Vec::new(), heads: BinaryHeap::new() }
    }

    /// Whether the walk has begun to sort, and so holds memory.
    pub(super) fn is_begun(&self) -> bool {
        !self.shards.is_empty()
    }

    /// Frees the memory it holds. The walk then begins again.
    pub(super) fn restart(&mut self) {
        self.shards = Vec::new();
        self.heads = BinaryHeap::new();
    }

    /// Sorts the next shard, if one is left. Returns `true` if all were sorted already, so that
    /// [`next`](Self::next) may be called.
    ///
    /// Names up to `last` are left out.
    pub(super) fn sort(&mut self, table: &mut Table, last: Option<&[u8]>) -> bool {
        let shard = self.shards.len();
        if shard == Table::shards() {
            return true;
        }
        let mut names: Vec<(&[u8], SeriesSlot)> = table
            .in_shard(shard, self.kind)
            .map(|(slot, name)| (name, slot))
            .filter(|(name, _)| name.starts_with(&self.prefix))
            .filter(|(name, _)| last.is_none_or(|last| last < *name))
            .collect();
        names.sort_unstable_by(|a, b| b.0.cmp(a.0));
        self.shards.push(names.into_iter().map(|(_, slot)| slot).collect());
        self.push_head(shard, table);
        false
    }

    /// The name that [`next`](Self::next) returns next.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        self.heads.peek().map(|Reverse(head)| &*head.name)
    }

    /// Returns the lowest name that is left. Its series may have been removed since.
    pub(super) fn next(&mut self, table: &mut Table) -> Option<SortedName> {
        let Reverse(next) = self.heads.pop()?;
        self.push_head(next.shard, table);
        Some(next)
    }

    /// Puts the next name of a shard into the heap. Series that were removed meanwhile are skipped.
    fn push_head(&mut self, shard: usize, table: &mut Table) {
        while let Some(slot) = self.shards[shard].pop() {
            if let Some((series, _)) = table.get_mut(shard, slot) {
                let name = series.name().into();
                return self.heads.push(Reverse(SortedName { name, shard, slot }));
            }
        }
    }
}
