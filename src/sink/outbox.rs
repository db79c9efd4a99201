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
//!
//! Oldest first is the rule while connections deliver something new. After one that did not, chunks
//! that were never acknowledged go first, and those that are only sent again go last. Otherwise a
//! peer that breaks each connection before the retained chunks have passed would never get a new
//! one.
//!
//! A peer may close a connection so *early* that it has probably read nothing, though its TCP has
//! acknowledged everything. Chunks that arrived on such a connection do not count as arrived: see
//! [`broke_early`](Outbox::broke_early).

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

/// The most bytes and chunks moved or dropped in one turn when a whole queue must go.
const SLICE_BYTES: usize = 256 << 10;
const SLICE_CHUNKS: usize = 64;

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
    /// Numbers the connections, and the times they were trusted. It tells which chunks arrived on
    /// this connection since then.
    connection: u64,
    /// A chunk was acknowledged on this connection for the first time.
    has_progressed: bool,
    /// A connection made no progress, and the outbox has not been drained since.
    sends_new_first: bool,
    /// The items may be in another order than their flushes.
    is_shuffled: bool,
    /// Some aged chunks are still held.
    has_aged: bool,
    /// The peer may still close this connection early, so retained chunks do not age.
    is_distrusted: bool,
    /// Lines that arrived on this connection and were removed since. They become in doubt if the
    /// peer closes it early.
    gone_lines: u64,
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
    /// Lines of chunks that were written at least in part when a connection broke, and will not be
    /// sent again. Also lines written to a peer that closes each connection early: each counts
    /// once, though it is sent again.
    pub in_doubt: u64,
    /// Lines in two of the other figures: in `in_doubt` and also as delivered or waiting, or as
    /// delivered and waiting in the spool to be sent again.
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
    /// It was acknowledged, and the acknowledgement counts.
    arrived: bool,
    /// The value of [`Outbox::connection`] when it arrived. It is 0 if the chunk has not arrived,
    /// or arrived in an earlier run.
    arrived_on: u64,
    /// It was acknowledged, whether or not the acknowledgement counts.
    acked: bool,
    /// A byte of it was written.
    begun: bool,
    /// It waits to be sent again, and its lines count as in doubt.
    doubted: bool,
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
            connection: 1,
            has_progressed: false,
            sends_new_first: false,
            is_shuffled: false,
            has_aged: false,
            is_distrusted: false,
            gone_lines: 0,
            tally: Tally::default(),
        }
    }

    /// Takes a chunk, whose flush is that of the last one or a later one, and makes room for it. Returns the lines
    /// dropped for that, which may be its own.
    pub fn push(&mut self, chunk: Rc<Chunk>) -> u64 {
        debug_assert!(self.items.back().is_none_or(|last| last.chunk.flush() <= chunk.flush()));
        let added = chunk.len();
        if !chunk.is_empty() {
            self.held_bytes += chunk.len();
            self.pushed += 1;
            let origin = Origin::Pushed(self.pushed);
            let kept_with = chunk.flush();
            self.items.push_back(Item::new(origin, chunk, kept_with));
        }
        let before = self.tally().dropped_lines;
        self.make_room(added);
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
        if self.is_drained() {
            self.sends_new_first = false;
            self.is_shuffled = false;
        }
        self.tally.delivered_lines > before
    }

    /// The chunk at `delivered` is acknowledged whole.
    fn deliver(&mut self) {
        let item = &mut self.items[self.delivered];
        self.delivered += 1;
        self.settled -= item.chunk.len();
        self.delivered_bytes += item.chunk.len();
        let is_first = !std::mem::replace(&mut item.acked, true);
        self.has_progressed |= is_first;
        Suspect::note_answer(&mut self.suspect, item.origin, is_first);
        if !item.arrived {
            item.arrived = true;
            item.arrived_on = self.connection;
            item.kept_with = item.kept_with.max(self.retention.closed());
            self.tally.delivered_lines += u64::from(item.chunk.lines());
            self.retention.delivered(item.kept_with);
            if let (Origin::Spooled(place), Some(spool)) = (item.origin, &mut self.spool) {
                spool.note_arrived(place);
            }
        }
    }

    /// Notes that acknowledgements on this connection do not prove yet that the peer reads. Called
    /// when such a connection begins.
    pub fn distrust(&mut self) {
        self.is_distrusted = true;
    }

    /// Notes that the connection has lasted long enough, so that what arrived on it counts for
    /// good.
    pub fn trust(&mut self) {
        self.has_aged |= std::mem::take(&mut self.is_distrusted);
        self.connection += 1; // separates later arrivals from those that now count for good
        self.gone_lines = 0;
    }

    /// The connection is gone: goes back to what is to be sent again. Returns a chunk that was dropped as the cause of
    /// this break and earlier ones.
    pub fn broke(&mut self) -> Option<Rc<Chunk>> {
        let accused = self.accused();
        let is_stuck = self.resend == Resend::Flush && self.has_written() && !self.has_progressed;
        self.go_back();
        self.sends_new_first |= is_stuck;
        if self.sends_new_first {
            self.put_new_first();
        }
        let (origin, chunk, arrived) = accused?;
        self.judge(origin, &chunk, arrived).then_some(chunk)
    }

    /// Handles a connection that the peer closed so early that it has probably read nothing. The
    /// chunks that arrived on it are sent again, and the lines of those removed since are in doubt.
    /// Returns as [`broke`](Self::broke).
    pub fn broke_early(&mut self) -> Option<Rc<Chunk>> {
        self.disbelieve();
        self.broke()
    }

    fn disbelieve(&mut self) {
        for item in self.items.range_mut(..self.delivered) {
            // The spool cannot take an arrival back. Its chunks stay there as arrived until they
            // are released.
            let is_pushed = matches!(item.origin, Origin::Pushed(_));
            if is_pushed && item.arrived && item.arrived_on == self.connection {
                item.arrived = false;
                self.tally.delivered_lines -= u64::from(item.chunk.lines());
                self.is_shuffled = true;
            }
        }
        self.tally.in_doubt += self.gone_lines;
        self.tally.twice_lines += self.gone_lines;
        self.gone_lines = 0;
    }

    /// Handles one more early close in a row. Chunks that were written and have not arrived count
    /// as in doubt, though they are sent again.
    ///
    /// No chunk is blamed. Those sent on this connection go last on the next one.
    pub fn was_refused(&mut self) {
        self.disbelieve();
        let is_back =
            |item: &&Item| self.resend != Resend::Never && matches!(item.origin, Origin::Pushed(_));
        let sent = self.items.range(..self.cursor).filter(is_back).count();
        self.go_back();
        self.items.range_mut(..sent).for_each(|item| item.acked = true);
        self.items.rotate_left(sent);
        self.put_new_first();
        for item in self.items.iter_mut().filter(|item| item.begun && !item.arrived) {
            if !std::mem::replace(&mut item.doubted, true) {
                self.tally.in_doubt += u64::from(item.chunk.lines());
                self.tally.twice_lines += u64::from(item.chunk.lines());
            }
        }
    }

    /// Returns the chunk at which the connection broke. Returns `None` if nothing was written, or
    /// if the chunk would not be sent again.
    fn accused(&self) -> Option<(Origin, Rc<Chunk>, bool)> {
        let item = self.items.get(self.delivered).filter(|_| self.delivered < self.unsent());
        let item = item.filter(|_| self.resend != Resend::Never)?;
        Some((item.origin, Rc::clone(&item.chunk), item.arrived))
    }

    fn go_back(&mut self) {
        if self.resend == Resend::Never {
            for _ in self.delivered..self.unsent() {
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
        self.connection += 1;
        self.has_progressed = false;
        self.is_distrusted = false;
        self.gone_lines = 0;
        self.recall();
    }

    /// Moves chunks that were never acknowledged before the others. Both groups keep their order.
    fn put_new_first(&mut self) {
        let (new, acked): (VecDeque<_>, VecDeque<_>) =
            self.items.drain(..).partition(|item| !item.acked);
        self.items = new;
        self.items.extend(acked);
        self.is_shuffled = true;
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
                self.is_shuffled = true;
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

    /// The chunks that are to arrive next. The oldest flush with a waiting chunk is among them.
    fn next_arrivals(&self) -> impl Iterator<Item = &Item> {
        let next = if self.is_shuffled { self.items.len() } else { 1 };
        self.items.iter().filter(|item| !item.arrived).take(next)
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
        // Chunks that are not kept must go at once, or they would be sent again; they are few. Aged
        // chunks may go over several turns.
        let most = if keeps { SLICE_CHUNKS } else { usize::MAX };
        let (mut at, mut gone) = (0, 0);
        self.has_aged = false;
        if keeps && self.is_distrusted {
            return;
        }
        while at < self.delivered && gone < most {
            if !keeps || self.retention.is_aged(self.items[at].kept_with) {
                self.finish(at);
                gone += 1;
            } else {
                at += 1;
            }
        }
        self.has_aged = at < self.delivered;
    }

    /// Does a turn's share of deferred work: removing aged chunks, making room, shrinking the
    /// spool. Returns whether there is more.
    pub fn tidy(&mut self) -> bool {
        if self.has_aged {
            self.age();
        }
        let made = self.is_over_limit() && self.make_room(SLICE_BYTES);
        let spool = self.spool.as_mut().is_some_and(Spool::tidy);
        made || spool || self.has_aged
    }

    /// Makes room until `limit` is kept, at the cost of at most `most` bytes and one chunk. More
    /// than a chunk must go only after the limit was lowered. Returns whether there is more to do.
    fn make_room(&mut self, most: usize) -> bool {
        let before = self.held_bytes;
        while self.is_over_limit() && before - self.held_bytes <= most {
            if self.delivered > 0 {
                let item = self.finish(0);
                self.tally.displaced_lines += u64::from(item.chunk.lines());
            } else if self.recall_unsent() {
                // It is on disk as it was.
            } else if let Some(at) = self.next_to_go() {
                self.evict(at);
            } else {
                return false;
            }
        }
        self.is_over_limit()
    }

    /// Returns the index of the chunk to remove next, among those not written on this connection.
    /// An acknowledged one that waits to be sent again goes first, else the oldest.
    ///
    /// The acknowledged ones are in front unless the order has changed.
    fn next_to_go(&self) -> Option<usize> {
        let from = self.unsent();
        if from == self.items.len() {
            return None;
        }
        let acked = || self.items.range(from..).position(|item| item.acked);
        Some(from + self.is_shuffled.then(acked).flatten().unwrap_or(0))
    }

    /// Whether a byte was written on this connection.
    fn has_written(&self) -> bool {
        self.unsent() > 0
    }

    /// Whether a chunk was written whole on this connection and is not acknowledged.
    pub fn has_written_a_chunk(&self) -> bool {
        self.cursor > self.delivered
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

    /// Saves a chunk to the spool if there is one. Returns the number of lines lost: those that
    /// have not arrived and cannot be kept.
    fn save(&mut self, item: &Item) -> u64 {
        let lines = u64::from(item.chunk.lines());
        let Some(spool) = &mut self.spool else {
            self.tally.give_up(item);
            return if item.arrived { 0 } else { lines };
        };
        let before = spool.tally().dropped_lines;
        spool.save(&item.chunk);
        if item.arrived {
            self.tally.twice_lines += lines;
        }
        spool.tally().dropped_lines - before
    }

    /// Removes a chunk that will not be sent again from here.
    fn finish(&mut self, at: usize) -> Item {
        let item = self.remove(at);
        if item.arrived && item.arrived_on == self.connection {
            self.gone_lines += u64::from(item.chunk.lines());
        }
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

impl Item {
    fn new(origin: Origin, chunk: Rc<Chunk>, kept_with: u64) -> Self {
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
}

impl Tally {
    /// This one will not be sent again.
    fn give_up(&mut self, item: &Item) {
        let lines = u64::from(item.chunk.lines());
        match (item.doubted, item.arrived) {
            (true, true) => {}
            (true, false) => self.twice_lines -= lines, // it no longer waits
            (false, true) => self.doubt(&item.chunk),
            (false, false) => self.dropped_lines += lines,
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
