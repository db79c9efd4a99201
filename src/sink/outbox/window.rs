//! [`Window`]: the chunks of an outbox that are in memory, and how far they are written and
//! acknowledged on the current connection. Pure. The diagram is in `outbox.rs`.
//!
//! [`Item`]: one of these chunks, with what has happened to it on all connections. [`OutboxTally`]:
//! the counts of the lines of all chunks.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::encode::chunk::Chunk;
use crate::sink::spool::Position;

/// A window has at most this many chunks, or one for each [`BYTES_PER_CHUNK`] of its limit if that
/// is more. Each chunk needs some memory beside its bytes. Without this bound, many small chunks
/// would need far more memory than the limit.
const CHUNKS: usize = 1024;
const BYTES_PER_CHUNK: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Window {
    /// The most bytes that should be held. See [`is_over_limit`](Self::is_over_limit).
    pub(super) limit: usize,
    pub(super) items: VecDeque<Item>,
    /// How many chunks at the front are wholly acknowledged on this connection.
    pub(super) delivered: usize,
    /// How many chunks at the front are wholly written on this connection.
    pub(super) cursor: usize,
    /// Bytes of the chunk at `cursor` that were written.
    pub(super) offset: usize,
    /// Bytes of the chunk at `delivered` that were acknowledged.
    acked_bytes: usize,
    /// Bytes written on this connection and not acknowledged.
    in_flight: usize,
    /// Bytes of all chunks.
    held_bytes: usize,
    /// Bytes of the chunks before `delivered`.
    delivered_bytes: usize,
    /// The sum of [`Item::queued_lines`] of all chunks.
    pub(super) queued_lines: u64,
}

impl Window {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.held_bytes += item.chunk.len();
        self.queued_lines += item.queued_lines();
        self.items.push_back(item);
    }

    /// Notes that `bytes` of the head were written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.offset += bytes;
        self.in_flight += bytes;
        if self.offset == self.items[self.cursor].chunk.len() {
            self.cursor += 1;
            self.offset = 0;
        }
    }

    /// Notes that the rest of the head need not be written. It counts as in flight until it is
    /// acknowledged.
    pub(super) fn pass_head(&mut self) {
        let Some(head) = self.items.get(self.cursor) else { return };
        self.in_flight += head.chunk.len() - self.offset;
        self.cursor += 1;
        self.offset = 0;
    }

    /// Notes that all bytes in flight are acknowledged, except for the last `outstanding`. A value
    /// larger than an earlier one takes no acknowledgement back.
    pub(super) fn acknowledged_except(&mut self, outstanding: usize) {
        self.acked_bytes += self.in_flight.saturating_sub(outstanding);
        self.in_flight = self.in_flight.min(outstanding);
    }

    /// Moves `delivered` past the next chunk if all of it is acknowledged. Returns the chunk.
    pub(super) fn deliver_next(&mut self) -> Option<&mut Item> {
        if self.delivered == self.cursor {
            return None;
        }
        let length = self.items[self.delivered].chunk.len();
        if self.acked_bytes < length {
            return None;
        }
        self.acked_bytes -= length;
        self.delivered_bytes += length;
        self.delivered += 1;
        self.items.get_mut(self.delivered - 1)
    }

    /// Starts a new connection, on which nothing is written or acknowledged yet.
    pub(super) fn rewind(&mut self) {
        self.delivered = 0;
        self.delivered_bytes = 0;
        self.cursor = 0;
        self.offset = 0;
        self.acked_bytes = 0;
        self.in_flight = 0;
    }

    /// Removes the chunk at an index and moves the marks. Panics if there is no such chunk. A chunk
    /// in flight must not be removed, except by a caller that also corrects the bytes in flight.
    pub(super) fn remove(&mut self, at: usize) -> Item {
        let item = self.items.remove(at).expect("callers name a chunk that is there");
        self.held_bytes -= item.chunk.len();
        self.queued_lines -= item.queued_lines();
        if at < self.delivered {
            self.delivered_bytes -= item.chunk.len();
        }
        self.delivered -= usize::from(at < self.delivered);
        self.cursor -= usize::from(at < self.cursor);
        item
    }

    /// Whether the oldest chunk in flight is written whole and no byte of it is acknowledged.
    pub(super) fn has_refusable(&self) -> bool {
        self.delivered < self.cursor && self.acked_bytes == 0
    }

    /// Notes that `bytes` in flight will not be acknowledged, because their chunk was removed.
    pub(super) fn forget_in_flight(&mut self, bytes: usize) {
        self.in_flight -= bytes;
    }

    /// Removes the chunks at index `at` and after it that came from the spool. It needs one pass
    /// over the queue; removing them one by one would take quadratic time.
    pub(super) fn remove_spooled_from(&mut self, at: usize) {
        let mut index = 0;
        let mut removed = 0;
        self.items.retain(|item| {
            let stays = index < at || item.spool_place().is_none();
            index += 1;
            removed += if stays { 0 } else { item.chunk.len() };
            stays
        });
        self.held_bytes -= removed;
    }

    /// Moves chunks that were never acknowledged before the others. Both groups keep their order.
    pub(super) fn put_new_first(&mut self) {
        let (new, acked): (VecDeque<_>, VecDeque<_>) =
            self.items.drain(..).partition(|item| !item.acked);
        self.items = new;
        self.items.extend(acked);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether all chunks are acknowledged.
    pub(super) fn is_drained(&self) -> bool {
        self.delivered == self.items.len()
    }

    /// Returns the chunk that is written next, or the rest of which is.
    pub(super) fn head(&self) -> Option<&Item> {
        self.items.get(self.cursor)
    }

    /// Returns the index of the first chunk of which nothing is written on this connection.
    pub(super) fn unsent(&self) -> usize {
        self.cursor + usize::from(self.offset > 0)
    }

    /// Whether there are more bytes or more chunks than the limit allows.
    pub(super) fn is_over_limit(&self) -> bool {
        let most = (self.limit / BYTES_PER_CHUNK).max(CHUNKS);
        self.held_bytes > self.limit || self.items.len() > most
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Returns the bytes written on this connection and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Returns the bytes that are unsent or unacknowledged.
    pub(super) fn queued_bytes(&self) -> usize {
        self.held_bytes - self.delivered_bytes - self.acked_bytes
    }
}

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
    /// The epoch of arrivals in which it arrived. It is 0 if the chunk has not arrived, or arrived
    /// in an earlier run.
    pub(super) arrived_in: u64,
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
            arrived_in: 0,
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

    /// Returns the lines that wait here alone: those of a pushed chunk that has not arrived. A
    /// chunk from the spool still waits there, too.
    pub(super) fn queued_lines(&self) -> u64 {
        let waits = self.spool_place().is_none() && !self.arrived;
        if waits { self.chunk.lines().into() } else { 0 }
    }
}

/// Counts of the lines that went through an outbox, since the start. Each line is in exactly one of
/// `delivered_lines`, `dropped_lines`, `in_doubt`, the queue or the spool, except for
/// `twice_lines`. The figures of a destination show all of these, so that an operator can check
/// that no line is missing.
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
    /// waiting in the spool to be sent again, or as dropped and as a part of a delivered chunk.
    pub twice_lines: u64,
    /// Lines of retained chunks that were removed to make room for new ones.
    pub displaced_lines: u64,
    /// Bytes written. The bytes of a chunk that is sent again count again.
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
