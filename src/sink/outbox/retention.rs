//! [`Retention`]: which delivered flushes are retained for a resend. Pure.
//!
//! After an outage, chunks of many old flushes arrive at once. Each is retained with the flush that
//! was the newest when it arrived, not with its own. Otherwise a break soon after the outage would
//! lose the old chunks.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Retention {
    /// The number of whole delivered flushes to keep.
    keep: usize,
    /// The newest flush to which no chunk will be added.
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

    /// Notes that no chunk will be added to this flush and older ones.
    pub(super) fn close(&mut self, flush: u64) {
        self.closed = self.closed.max(flush);
    }

    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// Notes that a chunk has arrived for the first time, and is retained with this flush. A chunk
    /// of a flush that has aged already changes nothing, and ages at once.
    pub(super) fn delivered(&mut self, flush: u64) {
        let at = self.newest.partition_point(|&earlier| earlier < flush);
        if flush > self.aged && self.newest.get(at) != Some(&flush) {
            self.newest.insert(at, flush);
        }
    }

    /// Returns the newest flush with which a chunk is retained.
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest.back().copied()
    }

    /// Ages all flushes but the newest `keep` whole ones. The newest flush of all is kept in
    /// addition while it is not whole: more chunks of it may be pushed, or a chunk of it or of an
    /// earlier flush has not arrived (`waits`).
    pub(super) fn age(&mut self, waits: bool) {
        let grows = self.newest().is_some_and(|newest| newest > self.closed);
        let kept = self.keep.saturating_add(usize::from(waits || grows));
        while self.newest.len() > kept {
            self.aged = self.newest.pop_front().unwrap_or(self.aged);
        }
    }

    /// Whether a delivered chunk that is retained with this flush can be removed.
    pub(super) fn is_aged(&self, flush: u64) -> bool {
        flush <= self.aged
    }
}
