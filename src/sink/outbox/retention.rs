//! Which flushes are delivered, and how many of those are kept for a resend. Pure.
//!
//! What arrives late, after an outage, is kept as long as what arrives with it: its own flush may be long past.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Retention {
    /// Whole delivered flushes to keep.
    keep: usize,
    /// The newest flush that no chunk will be added to.
    closed: u64,
    /// The newest flushes with which chunks are retained, ascending, one more than `keep` at the most.
    newest: VecDeque<u64>,
    /// Delivered chunks of this flush and older ones go.
    aged: u64,
}

impl Retention {
    pub(super) fn new(keep: u32) -> Self {
        let mut retention = Self { keep: 0, closed: 0, newest: VecDeque::new(), aged: 0 };
        retention.keep(keep);
        retention
    }

    /// From now on so many whole delivered flushes are kept.
    pub(super) fn keep(&mut self, keep: u32) {
        self.keep = usize::try_from(keep).unwrap_or(usize::MAX);
    }

    pub(super) fn close(&mut self, flush: u64) {
        self.closed = self.closed.max(flush);
    }

    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// A chunk arrived that never had before, and is retained with this flush.
    pub(super) fn delivered(&mut self, flush: u64) {
        let at = self.newest.partition_point(|&earlier| earlier < flush);
        if flush > self.aged && self.newest.get(at) != Some(&flush) {
            self.newest.insert(at, flush);
        }
    }

    /// The newest flush with which a chunk is retained.
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest.back().copied()
    }

    /// Keeps the newest `keep` whole flushes. The newest is kept beside them while it is not whole: more chunks of it
    /// may be pushed, or one of it or an earlier one still `waits`.
    pub(super) fn age(&mut self, waits: bool) {
        let grows = self.newest().is_some_and(|newest| newest > self.closed);
        let kept = self.keep.saturating_add(usize::from(waits || grows));
        while self.newest.len() > kept {
            self.aged = self.newest.pop_front().unwrap_or(self.aged);
        }
    }

    pub(super) fn is_aged(&self, flush: u64) -> bool {
        flush <= self.aged
    }
}
