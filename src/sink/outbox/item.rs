//! [`Item`]: a chunk in an outbox, with what has happened to it on all connections.
//! [`OutboxTally`]: the counts of the lines of all chunks. Pure.

use std::rc::Rc;

use crate::encode::chunk::Chunk;
use crate::sink::spool::Position;

/// A chunk in an outbox.
///
/// `acked` and `arrived` differ after a peer has closed a connection early: the chunk was
/// acknowledged, but the peer has probably not read it.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) origin: ChunkOrigin,
    pub(super) chunk: Rc<Chunk>,
    /// The flush with which it is retained: its own, or the newest one when it first arrived.
    pub(super) kept_with: u64,
    /// It was acknowledged, and the acknowledgement counts.
    pub(super) arrived: bool,
    /// The number of the connection on which it arrived. It is 0 if the chunk has not arrived, or
    /// arrived in an earlier run.
    pub(super) arrived_on: u64,
    /// It was acknowledged, whether or not the acknowledgement counts.
    pub(super) acked: bool,
    /// A byte of it was written.
    pub(super) begun: bool,
    /// Its lines count as in doubt already, though it is to be sent again.
    pub(super) doubted: bool,
}

/// Where a chunk comes from. No two chunks have the same origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkOrigin {
    /// The n-th chunk that was pushed.
    Pushed(u64),
    /// Read from the spool, where it stays until it is released.
    Spooled(Position),
}

impl Item {
    pub(super) fn new(origin: ChunkOrigin, chunk: Rc<Chunk>, kept_with: u64) -> Self {
        Self {
            origin,
            chunk,
            kept_with,
            arrived: false,
            arrived_on: 0,
            acked: false,
            begun: false,
            doubted: false,
        }
    }

    /// Returns the place of the chunk in the spool. Returns `None` if the chunk was pushed.
    pub(super) fn spool_place(&self) -> Option<Position> {
        match self.origin {
            ChunkOrigin::Spooled(place) => Some(place),
            ChunkOrigin::Pushed(_) => None,
        }
    }
}

/// Counts of the lines that went through an outbox, since the start. Each line is in exactly one of
/// `delivered_lines`, `dropped_lines`, `in_doubt`, the queue or the spool, except for
/// `twice_lines`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxTally {
    /// Lines of chunks that were acknowledged, each counted once.
    pub delivered_lines: u64,
    /// Lines of chunks that were dropped before they were acknowledged: because there was no room,
    /// because the peer refused them, or because they probably broke connections.
    pub dropped_lines: u64,
    /// Lines of chunks that were begun on a connection after they had been begun on an earlier one.
    /// A chunk counts each time.
    pub resent_lines: u64,
    /// Lines whose delivery is unknown. Their chunks were written at least in part when a
    /// connection broke, and will not be sent again. Also lines written to a peer that closes each
    /// connection early: each counts once, though it is sent again.
    pub in_doubt: u64,
    /// Lines that count twice: in `in_doubt` and as delivered or queued, or as delivered and as
    /// waiting in the spool to be sent again. Tests subtract them when they check the sum.
    pub twice_lines: u64,
    /// Lines of retained chunks that were removed to make room for new ones.
    pub displaced_lines: u64,
    /// Bytes written, those of resent chunks again.
    pub sent_bytes: u64,
}

impl OutboxTally {
    /// Counts a chunk that was removed and will not be sent again. It counts as dropped only if it
    /// never arrived and its lines are not in doubt already.
    pub(super) fn drop_item(&mut self, item: &Item) {
        let lines = u64::from(item.chunk.lines());
        match (item.doubted, item.arrived) {
            (true, true) => {}
            (true, false) => self.twice_lines -= lines, // it is no longer queued
            (false, true) => self.doubt(&item.chunk),
            (false, false) => self.dropped_lines += lines,
        }
    }

    /// Counts a chunk that was in flight on a connection that broke, and will not be sent again.
    pub(super) fn doubt_item(&mut self, item: &Item) {
        let lines = u64::from(item.chunk.lines());
        match (item.doubted, item.arrived) {
            (true, true) => {}
            (true, false) => self.twice_lines -= lines, // it is no longer queued
            // It was sent again, because the connection on which it had arrived broke. Since then a
            // reload has set `resend = none`.
            (false, true) => self.doubt(&item.chunk),
            (false, false) => self.in_doubt += lines,
        }
    }

    /// Counts a delivered chunk as in doubt: the peer may have died before it read the chunk.
    pub(super) fn doubt(&mut self, chunk: &Chunk) {
        self.doubt_lines(chunk.lines().into());
    }

    /// Counts delivered or queued lines as in doubt, too.
    pub(super) fn doubt_lines(&mut self, lines: u64) {
        self.in_doubt += lines;
        self.twice_lines += lines;
    }
}
