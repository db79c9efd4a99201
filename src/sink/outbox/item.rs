//! A chunk in an outbox, with what happened to it on any connection, and the counts of the lines of
//! all chunks. Pure.

use std::rc::Rc;

use crate::encode::chunk::Chunk;
use crate::sink::spool::Position;

#[derive(Debug)]
pub(super) struct Item {
    pub(super) origin: ChunkOrigin,
    pub(super) chunk: Rc<Chunk>,
    /// The flush it is retained with: its own, or the one with which it first arrived.
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
    /// It waits to be sent again, and its lines count as in doubt.
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

    /// Its place in the spool, if it was read from there.
    pub(super) fn spool_place(&self) -> Option<Position> {
        match self.origin {
            ChunkOrigin::Spooled(place) => Some(place),
            ChunkOrigin::Pushed(_) => None,
        }
    }
}

/// Counts of the lines that went through an outbox, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxTally {
    /// Lines of chunks that were acknowledged, each counted once.
    pub delivered_lines: u64,
    /// Lines of chunks that were dropped before they were acknowledged: for want of room, because
    /// the peer refused them, or as the likely cause of breaks.
    pub dropped_lines: u64,
    /// Lines of chunks that were begun again after they had been begun on an earlier connection.
    pub resent_lines: u64,
    /// Lines whose delivery is unknown. Their chunks were written at least in part when a
    /// connection broke, and will not be sent again. Also lines written to a peer that closes each
    /// connection early: each counts once, though it is sent again.
    pub in_doubt: u64,
    /// Lines in two of the other figures: in `in_doubt` and also as delivered or waiting, or as
    /// delivered and waiting in the spool to be sent again.
    pub twice_lines: u64,
    /// Lines of retained chunks that were removed to make room for new ones.
    pub displaced_lines: u64,
    /// Bytes written, those of resent chunks again.
    pub sent_bytes: u64,
}

impl OutboxTally {
    /// Counts a chunk that will not be sent again.
    pub(super) fn drop_item(&mut self, item: &Item) {
        let lines = u64::from(item.chunk.lines());
        match (item.doubted, item.arrived) {
            (true, true) => {}
            (true, false) => self.twice_lines -= lines, // it no longer waits
            (false, true) => self.doubt(&item.chunk),
            (false, false) => self.dropped_lines += lines,
        }
    }

    /// Counts a chunk that was delivered on a connection that broke, and perhaps never read.
    pub(super) fn doubt(&mut self, chunk: &Chunk) {
        self.doubt_lines(chunk.lines().into());
    }

    /// Counts delivered or waiting lines as in doubt, too.
    pub(super) fn doubt_lines(&mut self, lines: u64) {
        self.in_doubt += lines;
        self.twice_lines += lines;
    }
}
