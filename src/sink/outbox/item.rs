//! A chunk in an outbox, and what happened to it on any connection. Pure.

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
