//! Which chunks are sent again, and which no longer. Pure. [`Retention`] decides about delivered
//! chunks, [`FailedChunk`] about a chunk at which connections break.
//!
//! After an outage, chunks of many old flushes arrive at once. Each is retained with the flush that
//! was the newest when it arrived, not with its own. Otherwise a break soon after the outage would
//! lose the old chunks.
//!
//! A chunk that makes the peer close the connection ("poison") would hold up all later chunks for
//! ever, so it must be dropped. A peer that closes every connection, such as a proxy whose backend
//! is down, must cost no chunk at all. So a break at a chunk counts as a *failure* of the chunk
//! only if another chunk has arrived since its last failure. Then the peer accepts others, but not
//! this one.
//!
//! After three breaks in a row at one chunk the next chunk is sent first, so that it can arrive.

use std::collections::VecDeque;

/// Decides which delivered flushes are retained for a resend.
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

/// A chunk with this many counted failures is dropped.
const FAILURES_MAX: u8 = 3;
/// After this many breaks in a row at one chunk the next chunk is sent first. `EARLY_CLOSES_MAX`
/// in `link.rs` must be larger.
const PATIENCE: u8 = 3;

/// The chunk at which the last connection broke.
#[derive(Debug)]
pub(super) struct FailedChunk<Id> {
    id: Id,
    /// Breaks at this chunk that count as its failures.
    failures: u8,
    /// Breaks in a row at this chunk, since another chunk was last sent first.
    breaks: u8,
    /// Another chunk has arrived since the last counted failure.
    has_other_arrived: bool,
}

/// What happens to a chunk at which a connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterBreak {
    /// It is sent again first.
    Resend,
    /// It is sent again, after the next one.
    ResendAfterNext,
    /// It is dropped.
    Drop,
}

impl<Id: Copy + PartialEq> FailedChunk<Id> {
    /// Notes a break at the chunk `id`, and returns what happens to that chunk. `last` is the chunk
    /// of the break before. The counts begin again if it is another one.
    pub(super) fn note_break(last: &mut Option<Self>, id: Id) -> AfterBreak {
        // The first break counts as a failure, since no earlier break shows a fault of the peer.
        let fresh = Self { id, failures: 0, breaks: 0, has_other_arrived: true };
        let mut failed = last.take().filter(|failed| failed.id == id).unwrap_or(fresh);
        failed.breaks += 1;
        failed.failures += u8::from(failed.has_other_arrived);
        failed.has_other_arrived = false;
        if failed.failures == FAILURES_MAX {
            return AfterBreak::Drop;
        }
        let lets_next_pass = failed.breaks == PATIENCE;
        if lets_next_pass {
            failed.breaks = 0;
        }
        *last = Some(failed);
        if lets_next_pass { AfterBreak::ResendAfterNext } else { AfterBreak::Resend }
    }

    /// Notes that a chunk was acknowledged, for the `first` time or again. If it is the failed
    /// chunk, its failures are forgotten. Otherwise only a first acknowledgement counts: chunks
    /// that are sent again pass even if the peer accepts nothing new.
    pub(super) fn note_ack(last: &mut Option<Self>, id: Id, first: bool) {
        match last {
            Some(failed) if failed.id == id => *last = None,
            Some(failed) => failed.has_other_arrived |= first,
            None => {}
        }
    }
}
