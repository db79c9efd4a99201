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
//! ```
//!
//! A break takes `cursor` back (how far is [`Resend`]'s choice) and `delivered` with it; that a chunk has *arrived*, or
//! was *begun*, on an earlier connection stays known. When room is short the chunks that have arrived on this connection go
//! first: nothing is lost unless it breaks soon. Then the oldest unsent one goes, to the spool if there is one, else it is
//! counted: as dropped, or as in doubt if it had arrived on an earlier connection. What is in flight is never touched, for
//! its bytes are already on their way.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::config::Resend;
use crate::encode::chunk::Chunk;

mod refusal;
mod retention;
mod room;
mod spooling;
mod suspect;
mod whole;

use super::spool::{Position, Spool};
use retention::Retention;
use suspect::{Suspect, Verdict};

/// A bounded queue of chunks for one destination.
#[derive(Debug)]
pub struct Outbox {
    limit: usize,
    resend: Resend,
    items: VecDeque<Item>,
    /// The marks of the diagram, as counts of chunks from the front.
    delivered: usize,
    cursor: usize,
    /// Bytes of the chunk at `cursor` that were written.
    offset: usize,
    /// Bytes of the chunk at `delivered` that were acknowledged.
    settled: usize,
    /// Bytes written on this connection and not acknowledged.
    in_flight: usize,
    held_bytes: usize,
    delivered_bytes: usize,
    retention: Retention,
    suspect: Option<Suspect<Origin>>,
    spool: Option<Spool>,
    pushed: u64,
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
    /// Lines that count twice: as delivered, and since as in doubt, or as waiting in the spool to be sent again.
    pub twice_lines: u64,
    /// Lines of retained chunks that made way for new ones.
    pub displaced_lines: u64,
    /// Bytes written, those of resent chunks again.
    pub sent_bytes: u64,
}

/// A chunk, and what became of it on any connection.
#[derive(Debug)]
struct Item {
    origin: Origin,
    chunk: Rc<Chunk>,
    /// The flush it is retained with: its own, or the one with which it first arrived.
    kept_with: u64,
    /// It was acknowledged.
    arrived: bool,
    /// A byte of it was written.
    begun: bool,
}

/// Where a chunk comes from; no two chunks have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Pushed, as the how manieth.
    Pushed(u64),
    /// Read from the spool, where it stays until it is released.
    Spooled(Position),
}

impl Outbox {
    /// Holds `limit` bytes. `keep` whole delivered flushes stay for a resend, if `resend` asks for any.
    pub fn new(limit: usize, resend: Resend, keep: u32) -> Self {
        Self {
            limit,
            resend,
            items: VecDeque::new(),
            delivered: 0,
            cursor: 0,
            offset: 0,
            settled: 0,
            in_flight: 0,
            held_bytes: 0,
            delivered_bytes: 0,
            retention: Retention::new(keep),
            suspect: None,
            spool: None,
            pushed: 0,
            tally: Tally::default(),
        }
    }

    /// Takes a chunk, whose flush is that of the last one or a later one, and makes room for it. Returns the lines
    /// dropped for that, which may be its own.
    pub fn push(&mut self, chunk: Rc<Chunk>) -> u64 {
        debug_assert!(self.items.back().is_none_or(|last| last.chunk.flush() <= chunk.flush()));
        if !chunk.is_empty() {
            self.held_bytes += chunk.len();
            self.pushed += 1;
            let origin = Origin::Pushed(self.pushed);
            let kept_with = chunk.flush();
            self.items.push_back(Item { origin, chunk, kept_with, arrived: false, begun: false });
        }
        let before = self.tally().dropped_lines;
        self.make_room();
        self.tally().dropped_lines - before
    }

    /// No chunk of this flush will be pushed any more.
    pub fn close(&mut self, flush: u64) {
        self.retention.close(flush);
        self.age();
        self.spool.iter_mut().for_each(Spool::wake);
    }

    /// What is to be written next: the rest of the oldest chunk that is not wholly written.
    pub fn head(&self) -> Option<&[u8]> {
        self.items.get(self.cursor).map(|item| &item.chunk.bytes()[self.offset..])
    }

    /// So many bytes of the head were written.
    pub fn wrote(&mut self, bytes: usize) {
        let Some(head) = self.items.get_mut(self.cursor) else { return };
        let length = head.chunk.len();
        assert!(bytes <= length - self.offset, "no more is written than there is");
        if self.offset == 0 && bytes > 0 {
            if head.begun {
                self.tally.resent_lines += u64::from(head.chunk.lines());
            }
            head.begun = true;
            if let (Origin::Spooled(place), Some(spool)) = (head.origin, &mut self.spool) {
                spool.note_begun(place);
            }
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
        let before = self.tally.delivered_lines;
        self.settled += self.in_flight.saturating_sub(outstanding);
        self.in_flight = self.in_flight.min(outstanding);
        while self.delivered < self.cursor && self.settled >= self.items[self.delivered].chunk.len()
        {
            self.deliver();
        }
        self.age();
        self.tally.delivered_lines > before
    }

    /// The chunk at `delivered` is acknowledged whole.
    fn deliver(&mut self) {
        let item = &mut self.items[self.delivered];
        self.delivered += 1;
        self.settled -= item.chunk.len();
        self.delivered_bytes += item.chunk.len();
        Suspect::hear(&mut self.suspect, item.origin, !item.arrived);
        if !item.arrived {
            item.arrived = true;
            item.kept_with = item.kept_with.max(self.retention.closed());
            self.tally.delivered_lines += u64::from(item.chunk.lines());
            self.retention.delivered(item.kept_with);
            if let (Origin::Spooled(place), Some(spool)) = (item.origin, &mut self.spool) {
                spool.note_arrived(place);
            }
        }
    }

    /// The connection is gone: goes back to what is to be sent again. Returns a chunk that was dropped as the cause of
    /// this break and earlier ones.
    pub fn broke(&mut self) -> Option<Rc<Chunk>> {
        let written = self.cursor + usize::from(self.offset > 0);
        let accused = self.items.get(self.delivered).filter(|_| self.delivered < written);
        let accused = accused.map(|item| (item.origin, Rc::clone(&item.chunk), item.arrived));
        if self.resend == Resend::Never {
            for _ in self.delivered..written {
                let item = self.finish(self.delivered);
                self.tally.in_doubt += u64::from(item.chunk.lines());
            }
        }
        self.delivered = 0; // all that is not to be sent again was finished when it was delivered
        self.delivered_bytes = 0;
        self.cursor = 0;
        self.offset = 0;
        self.settled = 0;
        self.in_flight = 0;
        self.recall();
        // A connection that carried nothing proves nothing, and `Never` does not come back.
        let (origin, chunk, arrived) = accused.filter(|_| self.resend != Resend::Never)?;
        self.judge(origin, &chunk, arrived).then_some(chunk)
    }

    /// This chunk was at the head of a break. Returns whether it is given up.
    fn judge(&mut self, origin: Origin, chunk: &Chunk, arrived: bool) -> bool {
        let verdict = Suspect::accuse(&mut self.suspect, origin);
        let at = self.items.iter().position(|item| item.origin == origin);
        match (verdict, origin, at) {
            (Verdict::Guilty, Origin::Spooled(place), _) => {
                if let Some(spool) = &mut self.spool {
                    spool.condemn(place, if arrived { 0 } else { chunk.lines() });
                }
                if arrived {
                    self.tally.doubt(chunk);
                }
            }
            (Verdict::Guilty, _, Some(at)) => {
                let item = self.finish(at);
                self.tally.give_up(&item);
            }
            (Verdict::LetPass, _, Some(at)) if at + 1 < self.items.len() => {
                self.items.swap(at, at + 1);
            }
            _ => {} // a spooled one is behind all others as it is
        }
        verdict == Verdict::Guilty
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

    /// Whether all that was pushed is acknowledged, or gone.
    pub fn is_drained(&self) -> bool {
        self.delivered == self.items.len()
    }

    /// The newest flush of which nothing is waiting for a first acknowledgement and nothing more will come.
    pub fn newest_whole_flush(&self) -> u64 {
        let waiting = self.next_arrivals().map(|next| next.chunk.flush().saturating_sub(1));
        waiting.fold(self.retention.closed(), u64::min)
    }

    /// The chunks that are to arrive next. A suspect lets one pass at most, so that the oldest flush of which any chunk
    /// is waiting is among the flushes of these two.
    fn next_arrivals(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.arrived).take(2)
    }

    /// What the spool has dropped is dropped.
    pub fn tally(&self) -> Tally {
        let spool = self.spool.as_ref().map_or(0, |spool| spool.tally().dropped_lines);
        Tally { dropped_lines: self.tally.dropped_lines + spool, ..self.tally }
    }

    /// Gives up delivered chunks of flushes that are no longer to be kept.
    fn age(&mut self) {
        let newest = self.retention.newest();
        let waits = self.next_arrivals().any(|next| Some(next.chunk.flush()) <= newest);
        self.retention.age(waits);
        let keeps = self.resend == Resend::Flush;
        let mut at = 0;
        while at < self.delivered {
            match !keeps || self.retention.is_aged(self.items[at].kept_with) {
                true => _ = self.finish(at),
                false => at += 1,
            }
        }
    }

    fn make_room(&mut self) {
        while self.is_over_limit() {
            if self.delivered > 0 {
                let item = self.finish(0);
                self.tally.displaced_lines += u64::from(item.chunk.lines());
            } else if self.recall_unsent() {
                // It is on disk as it was.
            } else if self.unsent() < self.items.len() {
                // After a break chunks that had arrived wait here to be sent again: they are the first behind the head.
                self.evict(self.unsent());
            } else {
                break;
            }
        }
    }

    /// Where the chunks begin of which nothing is written on this connection.
    fn unsent(&self) -> usize {
        self.cursor + usize::from(self.offset > 0)
    }

    /// Moves a chunk to the spool, or gives it up.
    fn evict(&mut self, at: usize) {
        let item = self.finish(at);
        self.save(&item);
    }

    fn save(&mut self, item: &Item) {
        let Some(spool) = &mut self.spool else { return self.tally.give_up(item) };
        spool.save(&item.chunk);
        if item.arrived {
            self.tally.twice_lines += u64::from(item.chunk.lines());
        }
    }

    /// Removes a chunk that will not be sent again from here.
    fn finish(&mut self, at: usize) -> Item {
        let item = self.remove(at);
        if let (Origin::Spooled(place), Some(spool)) = (item.origin, &mut self.spool) {
            spool.release(place);
        }
        item
    }

    fn remove(&mut self, at: usize) -> Item {
        let item = self.items.remove(at).expect("callers name a chunk that is there");
        self.held_bytes -= item.chunk.len();
        if at < self.delivered {
            self.delivered_bytes -= item.chunk.len();
        }
        for mark in [&mut self.delivered, &mut self.cursor] {
            *mark -= usize::from(at < *mark);
        }
        item
    }
}

impl Tally {
    /// This one will not be sent again.
    fn give_up(&mut self, item: &Item) {
        match item.arrived {
            true => self.doubt(&item.chunk),
            false => self.dropped_lines += u64::from(item.chunk.lines()),
        }
    }

    /// It was delivered on a connection that broke, and perhaps never read.
    fn doubt(&mut self, chunk: &Chunk) {
        self.in_doubt += u64::from(chunk.lines());
        self.twice_lines += u64::from(chunk.lines());
    }
}

#[cfg(test)]
mod tests;
