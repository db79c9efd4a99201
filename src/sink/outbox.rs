//! The outbox: encoded chunks on their way to one destination, and which of them have arrived. Pure: no socket, no clock.
//!
//! It decides what is written next, what is written again after a broken connection, and what goes when room is short.
//! It never opens a chunk: chunks are queued, dropped, resent and counted whole. Oldest first:
//!
//! ```text
//!    ◀─────────────── held: at most `limit` bytes, if anything may go ───────────────▶
//!   ┌───────────────┬───────────────────────┬────────────┬───────────────────────────┐
//!   │   delivered   │       in flight       │    head    │          unsent           │
//!   │  (retained)   │ written, not all of it│   partly   │                           │
//!   │               │     acknowledged      │  written   │                           │
//!   └───────────────┴───────────────────────┴────────────┴───────────────────────────┘
//!   0               delivered               cursor                                   len
//!                   │◀ settled ▶│◀── in_flight ───▶│
//!
//!   ├───────────────────────── once ──┤         each was acknowledged, now or on an earlier connection
//!   ├──────────────────────────────── begun ──┤ of each a byte was written, now or on an earlier connection
//! ```
//!
//! A break takes `cursor` back (how far is [`Resend`]'s choice) and `delivered` with it; `once` and `begun` stay. When
//! room is short the chunks before `once` go first: they have arrived, so nothing is lost and nothing counted. Then the
//! oldest unsent one is dropped and counted. What is in flight is never touched, for its bytes are already on their way.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::config::Resend;
use crate::encode::chunk::Chunk;

/// Breaks running at whose head a chunk may be before it is taken for the cause.
const POISON_BREAKS: u8 = 3;

/// A bounded queue of chunks for one destination.
#[derive(Debug)]
pub struct Outbox {
    limit: usize,
    resend: Resend,
    chunks: VecDeque<Rc<Chunk>>,
    /// The marks of the diagram, as counts of chunks from the front.
    delivered: usize,
    cursor: usize,
    once: usize,
    begun: usize,
    /// Bytes of the chunk at `cursor` that were written.
    offset: usize,
    /// Bytes of the chunk at `delivered` that were acknowledged.
    settled: usize,
    /// Bytes written on this connection and not acknowledged.
    in_flight: usize,
    held_bytes: usize,
    delivered_bytes: usize,
    retention: Retention,
    suspect: Option<Suspect>,
    tally: Tally,
}

/// What went through an outbox, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines of chunks that were acknowledged, each counted once.
    pub delivered_lines: u64,
    /// Lines of chunks that went for want of room, or as the likely cause of breaks, before they were acknowledged.
    pub dropped_lines: u64,
    /// Lines of chunks that were begun anew, having been begun on an earlier connection.
    pub resent_lines: u64,
    /// Lines of chunks that were written, at least in part, when a connection broke, and will not be sent again.
    pub in_doubt: u64,
    /// Bytes written, those of resent chunks again.
    pub sent_bytes: u64,
}

/// Which flushes are delivered, and how many of those are kept.
#[derive(Debug)]
struct Retention {
    /// Whole delivered flushes to keep.
    keep: usize,
    /// The newest flush that no chunk will be added to.
    closed: u64,
    /// The newest flushes of which chunks were delivered, one more than `keep` at the most.
    newest: VecDeque<u64>,
    /// Delivered chunks of this flush and older ones go.
    aged: u64,
}

/// The chunk at the head of the last break.
#[derive(Debug)]
struct Suspect {
    chunk: Rc<Chunk>,
    breaks: u8,
}

impl Outbox {
    /// Holds `limit` bytes. `keep` whole delivered flushes stay for a resend, if `resend` asks for any.
    pub fn new(limit: usize, resend: Resend, keep: u32) -> Self {
        let retention = Retention {
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
            closed: 0,
            newest: VecDeque::new(),
            aged: 0,
        };
        Self {
            limit,
            resend,
            chunks: VecDeque::new(),
            delivered: 0,
            cursor: 0,
            once: 0,
            begun: 0,
            offset: 0,
            settled: 0,
            in_flight: 0,
            held_bytes: 0,
            delivered_bytes: 0,
            retention,
            suspect: None,
            tally: Tally::default(),
        }
    }

    /// Takes a chunk, whose flush is that of the last one or a later one, and makes room for it. Returns the lines
    /// dropped for that, which may be its own.
    pub fn push(&mut self, chunk: Rc<Chunk>) -> u64 {
        debug_assert!(self.chunks.back().is_none_or(|last| last.flush() <= chunk.flush()));
        if !chunk.is_empty() {
            self.held_bytes += chunk.len();
            self.chunks.push_back(chunk);
        }
        self.make_room()
    }

    /// No chunk of this flush will be pushed any more.
    pub fn close(&mut self, flush: u64) {
        self.retention.closed = self.retention.closed.max(flush);
        self.age();
    }

    /// What is to be written next: the rest of the oldest chunk that is not wholly written.
    pub fn head(&self) -> Option<&[u8]> {
        self.chunks.get(self.cursor).map(|chunk| &chunk.bytes()[self.offset..])
    }

    /// So many bytes of the head were written.
    pub fn wrote(&mut self, bytes: usize) {
        let Some(head) = self.chunks.get(self.cursor) else { return };
        let (length, lines) = (head.len(), u64::from(head.lines()));
        assert!(bytes <= length - self.offset, "no more is written than there is");
        if self.offset == 0 && bytes > 0 {
            if self.cursor < self.begun {
                self.tally.resent_lines += lines;
            }
            self.begun = self.begun.max(self.cursor + 1);
        }
        self.offset += bytes;
        self.in_flight += bytes;
        self.tally.sent_bytes += bytes as u64;
        if self.offset == length {
            self.cursor += 1;
            self.offset = 0;
        }
    }

    /// Of the bytes written on this connection the kernel still holds `outstanding`; the peer has acknowledged the
    /// rest. Returns whether a chunk has arrived that never had before.
    pub fn acknowledged(&mut self, outstanding: usize) -> bool {
        let before = self.once;
        self.settled += self.in_flight.saturating_sub(outstanding);
        self.in_flight = self.in_flight.min(outstanding);
        while self.delivered < self.cursor && self.settled >= self.chunks[self.delivered].len() {
            self.deliver();
        }
        let arrived = self.once > before;
        self.age();
        arrived
    }

    /// The chunk at `delivered` is acknowledged whole.
    fn deliver(&mut self) {
        let chunk = &self.chunks[self.delivered];
        self.settled -= chunk.len();
        self.delivered_bytes += chunk.len();
        if self.suspect.as_ref().is_some_and(|suspect| Rc::ptr_eq(&suspect.chunk, chunk)) {
            self.suspect = None;
        }
        if self.delivered == self.once {
            self.once += 1;
            self.tally.delivered_lines += u64::from(chunk.lines());
            self.retention.delivered(chunk.flush());
        }
        self.delivered += 1;
    }

    /// The connection is gone: goes back to what is to be sent again. Returns the chunk that was dropped as the likely
    /// cause, if this was the third break running with it at the head.
    pub fn broke(&mut self) -> Option<Rc<Chunk>> {
        let written = self.cursor + usize::from(self.offset > 0);
        let poison = self.suspect_head(written);
        match self.resend {
            Resend::Flush => {
                self.delivered = 0;
                self.delivered_bytes = 0;
            }
            Resend::Unacked => {}
            Resend::Never => {
                for _ in self.delivered..written {
                    let chunk = self.remove(self.delivered);
                    self.tally.in_doubt += u64::from(chunk.lines());
                }
            }
        }
        self.cursor = self.delivered;
        self.offset = 0;
        self.settled = 0;
        self.in_flight = 0;
        poison.inspect(|chunk| self.drop_poison(chunk))
    }

    /// Notes which chunk of the `written` ones the connection broke at, and returns it if that was once too often.
    fn suspect_head(&mut self, written: usize) -> Option<Rc<Chunk>> {
        if self.delivered == written || self.resend == Resend::Never {
            return None; // a connection that carried nothing proves nothing, and `Never` does not come back
        }
        let chunk = Rc::clone(&self.chunks[self.delivered]);
        let running = self.suspect.take().filter(|suspect| Rc::ptr_eq(&suspect.chunk, &chunk));
        let breaks = running.map_or(0, |suspect| suspect.breaks) + 1;
        if breaks >= POISON_BREAKS {
            return Some(chunk);
        }
        self.suspect = Some(Suspect { chunk, breaks });
        None
    }

    fn drop_poison(&mut self, poison: &Rc<Chunk>) {
        let Some(at) = self.chunks.iter().position(|chunk| Rc::ptr_eq(chunk, poison)) else {
            return;
        };
        self.discard(at);
    }

    /// Bytes that are still to be written.
    pub fn unsent_bytes(&self) -> usize {
        self.queued_bytes() - self.in_flight
    }

    /// Bytes written on this connection and not acknowledged.
    pub fn unacked_bytes(&self) -> usize {
        self.in_flight
    }

    /// Bytes on their way: unsent or unacknowledged. What is retained does not count.
    pub fn queued_bytes(&self) -> usize {
        self.held_bytes - self.delivered_bytes - self.settled
    }

    /// All bytes in memory: queued and retained.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether over half of the room is taken by what is still to be written.
    pub fn is_half_full(&self) -> bool {
        self.unsent_bytes() > self.limit / 2
    }

    /// Whether all that was pushed is acknowledged, or gone.
    pub fn is_drained(&self) -> bool {
        self.delivered == self.chunks.len()
    }

    /// The newest flush of which nothing is waiting for a first acknowledgement and nothing more will come.
    pub fn newest_whole_flush(&self) -> u64 {
        let closed = self.retention.closed;
        self.chunks.get(self.once).map_or(closed, |next| closed.min(next.flush().saturating_sub(1)))
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Gives up delivered chunks of flushes that are no longer to be kept.
    fn age(&mut self) {
        let whole = self.retention.newest.back().is_some_and(|&newest| {
            self.chunks
                .get(self.once)
                .map_or(newest <= self.retention.closed, |next| next.flush() > newest)
        });
        self.retention.age(whole);
        let keeps = self.resend == Resend::Flush;
        while self.delivered > 0 && !(keeps && self.chunks[0].flush() > self.retention.aged) {
            self.remove(0);
        }
    }

    fn make_room(&mut self) -> u64 {
        let mut dropped = 0;
        while self.held_bytes > self.limit {
            let Some(at) = self.least_needed() else { break };
            dropped += self.discard(at);
        }
        dropped
    }

    /// The oldest chunk that has arrived, then the oldest that is still to be written; never one in flight.
    fn least_needed(&self) -> Option<usize> {
        if self.delivered > 0 {
            return Some(0);
        }
        // After a break chunks that had arrived wait here to be sent again: they are the first behind the head.
        let unsent = self.cursor + usize::from(self.offset > 0);
        (unsent < self.chunks.len()).then_some(unsent)
    }

    /// Removes a chunk for good and returns the lines lost with it.
    fn discard(&mut self, at: usize) -> u64 {
        let arrived = at < self.once;
        let chunk = self.remove(at);
        let lost = if arrived { 0 } else { u64::from(chunk.lines()) };
        self.tally.dropped_lines += lost;
        lost
    }

    fn remove(&mut self, at: usize) -> Rc<Chunk> {
        let chunk = self.chunks.remove(at).expect("callers name a chunk that is there");
        self.held_bytes -= chunk.len();
        if at < self.delivered {
            self.delivered_bytes -= chunk.len();
        }
        for mark in [&mut self.delivered, &mut self.cursor, &mut self.once, &mut self.begun] {
            *mark -= usize::from(at < *mark);
        }
        chunk
    }
}

impl Retention {
    fn delivered(&mut self, flush: u64) {
        if self.newest.back() != Some(&flush) {
            self.newest.push_back(flush);
        }
    }

    /// Keeps the newest `keep` whole flushes, and one that is not `whole` yet beside them.
    fn age(&mut self, newest_is_whole: bool) {
        let kept = self.keep.saturating_add(usize::from(!newest_is_whole));
        while self.newest.len() > kept {
            self.aged = self.newest.pop_front().unwrap_or(self.aged);
        }
    }
}

#[cfg(test)]
mod tests;
