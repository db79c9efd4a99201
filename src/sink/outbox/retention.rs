//! Which delivered flushes are retained for a resend. Pure.
//!
//! A chunk that arrives late, after an outage, is retained as long as the chunks that arrive with
//! it. Its own flush may be long past.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Retention {
    /// Whole delivered flushes to keep.
    keep: usize,
    /// The newest flush that no chunk will be added to.
    closed: u64,
    /// The newest flushes with which chunks are retained, ascending, at most one more than `keep`.
    newest: VecDeque<u64>,
    /// Delivered chunks of this flush and older ones are removed.
    aged: u64,
}

impl Retention {
    pub(super) fn new(keep: u32) -> Self {
        let mut retention = Self { keep: 0, closed: 0, newest: VecDeque::new(), aged: 0 };
        retention.keep(keep);
        retention
    }

    /// Sets the number of whole delivered flushes to keep.
    pub(super) fn keep(&mut self, keep: u32) {
        self.keep = usize::try_from(keep).unwrap_or(usize::MAX);
    }

    pub(super) fn close(&mut self, flush: u64) {
        self.closed = self.closed.max(flush);
    }

    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// Notes that a chunk has arrived for the first time, and is retained with this flush.
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

    /// Keeps the newest `keep` whole flushes, and also the newest one while it is not whole. It is
    /// not whole if more chunks of it may be pushed, or if a chunk of it or of an earlier one
    /// `waits`.
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
