//! The outbox: encoded chunks on their way to one destination, and which of them have arrived.
//! Pure: no socket, no clock.
//!
//! It decides which chunk is written next, which is written again after a broken connection, and
//! which is removed when room is short. It never reads inside a chunk: chunks are queued, dropped,
//! resent and counted whole. Oldest first:
//!
//! ```text
//!    ◀─────────────── held: at most `limit` bytes, if anything may go ───────────────▶
//!   ┌───────────────┬───────────────────────┬────────────┬───────────────────────────┐
//!   │   delivered   │       in flight       │    head    │          unsent           │
//!   │  (retained)   │ written, not all of it│   partly   │                           │
//!   │               │     acknowledged      │  written   │                           │
//!   └───────────────┴───────────────────────┴────────────┴───────────────────────────┘
//!   0               delivered               cursor                                   len
//!                   │◀ acked ──▶│◀── in_flight ───▶│
//! ```
//!
//! A break moves `cursor` and `delivered` back; [`Resend`] sets how far. The outbox still knows
//! whether a chunk has *arrived*, or was *begun*, on an earlier connection.
//!
//! When room is short, chunks that have arrived on this connection go first: nothing is lost unless
//! it breaks soon. Then the oldest unsent one is spilled to the spool. Without a spool it counts as
//! dropped, or as in doubt if it had arrived on an earlier connection. Chunks in flight stay, since
//! their bytes are already on their way.
//!
//! Oldest first is the rule while connections deliver something new. After one that did not, chunks
//! that were never acknowledged go first, and those that are only sent again go last. Otherwise a
//! peer that breaks each connection before the retained chunks have passed would never get a new
//! one.
//!
//! A peer may close a connection so *early* that it has probably read nothing, though its TCP has
//! acknowledged everything. Chunks that arrived on such a connection do not count as arrived: see
//! [`broke_early`](Outbox::broke_early).

use std::mem;
use std::rc::Rc;

use crate::config::Resend;
use crate::encode::chunk::Chunk;

mod item;
mod retention;
mod spooling;
mod suspect;
mod window;

use super::spool::Spool;
pub use item::OutboxTally;
use item::{ChunkOrigin, Item};
use retention::Retention;
use spooling::Spooling;
use suspect::{Suspect, Verdict};
use window::Window;

/// The most bytes and chunks moved or dropped in one turn when a whole queue must go.
const SLICE_BYTES: usize = 256 << 10;
const SLICE_CHUNKS: usize = 64;

/// A chunk is read back from the spool only while fewer bytes than this are on their way. So new
/// chunks never wait long.
const REFILL_BYTES: usize = 256 << 10;

/// A bounded queue of chunks for one destination.
#[derive(Debug)]
pub struct Outbox {
    resend: Resend,
    window: Window,
    retention: Retention,
    suspect: Option<Suspect<ChunkOrigin>>,
    spooling: Spooling,
    pushed: u64,
    /// Numbers the connections, and the times they were trusted. It tells which chunks arrived on
    /// this connection since then.
    connection: u64,
    /// A chunk was acknowledged on this connection for the first time.
    has_progressed: bool,
    /// A connection made no progress, and the outbox has not been drained since.
    sends_new_first: bool,
    /// The chunks may be in another order than their flushes.
    is_shuffled: bool,
    /// Some aged chunks are still held.
    has_aged: bool,
    /// The peer may still close this connection early, so retained chunks do not age.
    is_distrusted: bool,
    /// Lines that arrived on this connection and were removed since. They become in doubt if the
    /// peer closes it early.
    gone_lines: u64,
    tally: OutboxTally,
}

impl Outbox {
    /// An outbox that holds `limit` bytes. It retains `keep` whole delivered flushes for a resend
    /// if `resend` is [`Resend::Flush`].
    pub fn new(limit: usize, resend: Resend, keep: u32) -> Self {
        Self {
            resend,
            window: Window::new(limit),
            retention: Retention::new(keep),
            suspect: None,
            spooling: Spooling::default(),
            pushed: 0,
            connection: 1,
            has_progressed: false,
            sends_new_first: false,
            is_shuffled: false,
            has_aged: false,
            is_distrusted: false,
            gone_lines: 0,
            tally: OutboxTally::default(),
        }
    }

    /// Changes the settings. Chunks that no longer fit are removed.
    pub fn reconfigure(&mut self, limit: usize, resend: Resend, keep: u32) {
        self.window.limit = limit;
        self.resend = resend;
        self.retention.keep(keep);
        self.age(); // `tidy` does the rest, and makes room, over several turns
    }

    /// From now on chunks that do not fit are spilled to this spool, and read back from there.
    pub fn attach(&mut self, spool: Spool) {
        self.spooling.attach(spool);
    }

    pub fn spool(&self) -> Option<&Spool> {
        self.spooling.get()
    }

    pub fn spool_mut(&mut self) -> Option<&mut Spool> {
        self.spooling.get_mut()
    }

    /// Queues a chunk and makes room for it. Its flush is that of the last chunk or a later one.
    /// Returns the number of lines dropped for that, which may be its own.
    pub fn push(&mut self, chunk: Rc<Chunk>) -> u64 {
        let newest = self.window.items.back();
        debug_assert!(newest.is_none_or(|last| last.chunk.flush() <= chunk.flush()));
        let added = chunk.len();
        if !chunk.is_empty() {
            self.pushed += 1;
            let kept_with = chunk.flush();
            self.window.push(Item::new(ChunkOrigin::Pushed(self.pushed), chunk, kept_with));
        }
        let before = self.tally().dropped_lines;
        self.make_room(added);
        self.tally().dropped_lines - before
    }

    /// Notes that no further chunk of this flush will be pushed.
    pub fn close(&mut self, flush: u64) {
        self.retention.close(flush);
        self.age();
        self.spooling.wake();
    }

    /// Whether [`refill`](Self::refill) would read a chunk: all queued chunks are written, and
    /// little is on its way.
    pub fn wants_refill(&self) -> bool {
        self.window.cursor == self.window.items.len()
            && self.window.in_flight() < REFILL_BYTES.min(self.window.limit / 4)
            && self.spooling.is_readable()
    }

    /// Whether chunks wait in the spool.
    pub fn has_spooled(&self) -> bool {
        self.spooling.has_more()
    }

    /// Queues the oldest chunk of the spool if it [wants](Self::wants_refill) one.
    pub fn refill(&mut self) {
        if !self.wants_refill() {
            return;
        }
        let Some(record) = self.spooling.take_next() else { return };
        // It is sent along with the next flush, and retained as long.
        let next = self.retention.closed() + 1;
        let newest = self.window.items.back();
        let flush = newest.map_or(next, |last| next.max(last.chunk.flush()));
        let added = record.bytes.len();
        let chunk = Chunk::new(record.bytes, record.lines, flush);
        let item = Item::new(ChunkOrigin::Spooled(record.place), chunk, flush);
        let arrived = record.arrived;
        self.window.push(Item { arrived, acked: arrived, begun: record.begun, ..item });
        self.make_room(added);
    }

    /// The bytes to write next: the rest of the oldest chunk that is not wholly written.
    pub fn head(&self) -> Option<&[u8]> {
        self.window.head().map(|item| &item.chunk.bytes()[self.window.offset..])
    }

    /// The flush of the chunk that is written next.
    pub fn head_flush(&self) -> Option<u64> {
        self.window.head().map(|item| item.chunk.flush())
    }

    /// Notes that `bytes` of the head were written.
    pub fn wrote(&mut self, bytes: usize) {
        let is_start = self.window.offset == 0 && bytes > 0;
        let Some(head) = self.window.items.get_mut(self.window.cursor) else { return };
        let rest = head.chunk.len() - self.window.offset;
        assert!(bytes <= rest, "no more is written than there is");
        if is_start {
            if mem::replace(&mut head.begun, true) {
                self.tally.resent_lines += u64::from(head.chunk.lines());
            }
            self.spooling.note_begun(head.origin);
        }
        self.tally.sent_bytes += bytes as u64;
        self.window.wrote(bytes);
    }

    /// Notes that the kernel still holds `outstanding` of the bytes written on this connection, and
    /// that the peer has acknowledged the rest. Returns whether a chunk has arrived for the first
    /// time.
    pub fn acknowledged(&mut self, outstanding: usize) -> bool {
        let before = self.tally.delivered_lines;
        self.window.acknowledged(outstanding);
        while let Some(item) = self.window.deliver_next() {
            let is_first = !mem::replace(&mut item.acked, true);
            self.has_progressed |= is_first;
            Suspect::note_answer(&mut self.suspect, item.origin, is_first);
            if !item.arrived {
                item.arrived = true;
                item.arrived_on = self.connection;
                item.kept_with = item.kept_with.max(self.retention.closed());
                self.tally.delivered_lines += u64::from(item.chunk.lines());
                self.retention.delivered(item.kept_with);
                self.spooling.note_arrived(item.origin);
            }
        }
        self.age();
        if self.is_drained() {
            self.sends_new_first = false;
            self.is_shuffled = false;
        }
        self.tally.delivered_lines > before
    }

    /// Counts the rest of the head as delivered without writing it: the receiver has enough of it.
    pub fn pass_head(&mut self) {
        self.window.pass_head();
        self.acknowledged(0);
    }

    /// Drops the head and counts it, if nothing of it is written on this connection. Returns
    /// whether there was such a head.
    pub fn drop_head(&mut self) -> bool {
        if self.window.offset > 0 || self.window.head().is_none() {
            return false;
        }
        let item = self.finish(self.window.cursor);
        self.tally.drop_item(&item);
        true
    }

    /// Skips `bytes` of the head that cannot be sent, and counts their `lines` as dropped.
    pub fn drop_part(&mut self, bytes: usize, lines: u64) {
        self.wrote(bytes);
        self.tally.dropped_lines += lines;
        self.tally.twice_lines += lines; // its chunk will count as delivered, too
    }

    /// Drops the oldest chunk in flight because the peer refused it. It must be written whole and
    /// acknowledged in no part. Returns the chunk, or `None` if there is no such one.
    pub fn refuse_in_flight(&mut self) -> Option<Rc<Chunk>> {
        if !self.window.has_refusable() {
            return None;
        }
        let item = self.finish(self.window.delivered);
        self.window.forget_in_flight(item.chunk.len());
        self.tally.drop_item(&item);
        Some(item.chunk)
    }

    /// Counts lines that were delivered as in doubt, too.
    pub fn doubt_lines(&mut self, lines: u64) {
        self.tally.doubt_lines(lines);
    }

    /// Notes that acknowledgements on this connection do not prove yet that the peer reads. Called
    /// when such a connection begins.
    pub fn distrust(&mut self) {
        self.is_distrusted = true;
    }

    /// Notes that the connection has lasted long enough, so that what arrived on it counts for
    /// good.
    pub fn trust(&mut self) {
        self.has_aged |= mem::take(&mut self.is_distrusted);
        self.connection += 1; // separates later arrivals from those that now count for good
        self.gone_lines = 0;
    }

    /// Handles the end of a connection: chunks that are to be sent again become unsent. Returns a
    /// chunk that was dropped as the cause of this break and earlier ones.
    pub fn broke(&mut self) -> Option<Rc<Chunk>> {
        let accused = self.accused();
        let has_written = self.window.unsent() > 0;
        let is_stuck = self.resend == Resend::Flush && has_written && !self.has_progressed;
        self.go_back();
        self.sends_new_first |= is_stuck;
        if self.sends_new_first {
            self.put_new_first();
        }
        let (origin, chunk, arrived) = accused?;
        self.apply_verdict(origin, &chunk, arrived).then_some(chunk)
    }

    /// Handles a connection that the peer closed so early that it has probably read nothing. The
    /// chunks that arrived on it are sent again, and the lines of those removed since are in doubt.
    /// Returns as [`broke`](Self::broke).
    pub fn broke_early(&mut self) -> Option<Rc<Chunk>> {
        self.revoke_arrivals();
        self.broke()
    }

    /// Handles one more early close in a row. Chunks that were written and have not arrived count
    /// as in doubt, though they are sent again.
    ///
    /// No chunk is blamed. Those sent on this connection go last on the next one.
    pub fn was_refused(&mut self) {
        self.revoke_arrivals();
        let written = self.window.items.range(..self.window.cursor);
        let is_resent = |item: &&Item| self.resend != Resend::Never && item.spool_place().is_none();
        let sent = written.filter(is_resent).count();
        self.go_back();
        self.window.items.range_mut(..sent).for_each(|item| item.acked = true);
        self.window.items.rotate_left(sent);
        self.put_new_first();
        for item in self.window.items.iter_mut().filter(|item| item.begun && !item.arrived) {
            if !mem::replace(&mut item.doubted, true) {
                self.tally.doubt(&item.chunk);
            }
        }
    }

    /// Takes back that chunks arrived on this connection.
    fn revoke_arrivals(&mut self) {
        for item in self.window.items.range_mut(..self.window.delivered) {
            // The spool cannot take an arrival back. Its chunks stay there as arrived until they
            // are released.
            let is_pushed = item.spool_place().is_none();
            if is_pushed && item.arrived && item.arrived_on == self.connection {
                item.arrived = false;
                self.tally.delivered_lines -= u64::from(item.chunk.lines());
                self.is_shuffled = true;
            }
        }
        self.tally.doubt_lines(mem::take(&mut self.gone_lines));
    }

    /// Returns the chunk at which the connection broke. Returns `None` if nothing was written, or
    /// if the chunk would not be sent again.
    fn accused(&self) -> Option<(ChunkOrigin, Rc<Chunk>, bool)> {
        let window = &self.window;
        if self.resend == Resend::Never || window.delivered >= window.unsent() {
            return None;
        }
        let item = window.items.get(window.delivered)?;
        Some((item.origin, Rc::clone(&item.chunk), item.arrived))
    }

    fn go_back(&mut self) {
        if self.resend == Resend::Never {
            for _ in self.window.delivered..self.window.unsent() {
                let item = self.finish(self.window.delivered);
                self.tally.in_doubt += u64::from(item.chunk.lines());
            }
        }
        self.window.rewind(); // chunks that are not to be sent again went when they were delivered
        self.connection += 1;
        self.has_progressed = false;
        self.is_distrusted = false;
        self.gone_lines = 0;
        self.recall_from(0);
    }

    /// Gives the chunks from `at` on that came from the spool back to it. Returns whether there
    /// were any.
    fn recall_from(&mut self, at: usize) -> bool {
        let Some(first) = self.window.items.range(at..).find_map(Item::spool_place) else {
            return false;
        };
        self.window.remove_spooled_from(at);
        self.spooling.recall(first);
        true
    }

    fn put_new_first(&mut self) {
        self.window.put_new_first();
        self.is_shuffled = true;
    }

    /// Does what the verdict on the chunk at the head of a break demands. Returns whether the chunk
    /// is dropped.
    fn apply_verdict(&mut self, origin: ChunkOrigin, chunk: &Chunk, arrived: bool) -> bool {
        let verdict = Suspect::accuse(&mut self.suspect, origin);
        let at = self.window.items.iter().position(|item| item.origin == origin);
        match (verdict, origin, at) {
            (Verdict::Guilty, ChunkOrigin::Spooled(place), _) => {
                self.spooling.condemn(place, if arrived { 0 } else { chunk.lines() });
                if arrived {
                    self.tally.doubt(chunk);
                }
            }
            (Verdict::Guilty, _, Some(at)) => {
                let item = self.finish(at);
                self.tally.drop_item(&item);
            }
            (Verdict::LetPass, _, Some(at)) if at + 1 < self.window.items.len() => {
                self.window.items.swap(at, at + 1);
                self.is_shuffled = true;
            }
            _ => {} // a spooled one is after all others as it is
        }
        verdict == Verdict::Guilty
    }

    /// Bytes that are still to be written.
    pub fn unsent_bytes(&self) -> usize {
        self.window.queued_bytes() - self.window.in_flight()
    }

    /// Bytes written on this connection and not acknowledged.
    pub fn unacked_bytes(&self) -> usize {
        self.window.in_flight()
    }

    /// Bytes that are unsent or unacknowledged. Retained chunks do not count.
    pub fn queued_bytes(&self) -> usize {
        self.window.queued_bytes()
    }

    /// All bytes in memory: queued and retained.
    pub fn held_bytes(&self) -> usize {
        self.window.held_bytes()
    }

    /// Whether bytes that are still to be written take over half of the room.
    pub fn is_half_full(&self) -> bool {
        self.unsent_bytes() > self.window.limit / 2
    }

    /// Whether all pushed chunks are acknowledged or removed.
    pub fn is_drained(&self) -> bool {
        self.window.is_drained()
    }

    /// Whether no chunk is held, not even a retained one.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Whether a chunk was written whole on this connection and is not acknowledged.
    pub fn has_written_a_chunk(&self) -> bool {
        self.window.cursor > self.window.delivered
    }

    /// The newest flush that no chunk will be added to.
    pub fn closed(&self) -> u64 {
        self.retention.closed()
    }

    /// The newest flush of which no chunk waits for a first acknowledgement and none will follow.
    pub fn newest_whole_flush(&self) -> u64 {
        let waiting = self.next_arrivals().map(|next| next.chunk.flush().saturating_sub(1));
        waiting.fold(self.retention.closed(), u64::min)
    }

    /// The chunks that are to arrive next. The oldest flush with a waiting chunk is among them.
    fn next_arrivals(&self) -> impl Iterator<Item = &Item> {
        let items = &self.window.items;
        let next = if self.is_shuffled { items.len() } else { 1 };
        items.iter().filter(|item| !item.arrived).take(next)
    }

    /// Counts since the start. Lines that the spool has dropped count as dropped.
    pub fn tally(&self) -> OutboxTally {
        let dropped_lines = self.tally.dropped_lines + self.spooling.dropped_lines();
        OutboxTally { dropped_lines, ..self.tally }
    }

    /// Removes delivered chunks of flushes that are no longer retained.
    fn age(&mut self) {
        let newest = self.retention.newest();
        let waits = self.next_arrivals().any(|next| Some(next.chunk.flush()) <= newest);
        self.retention.age(waits);
        let keeps = self.resend == Resend::Flush;
        // Chunks that are not kept must go at once, or they would be sent again; they are few. Aged
        // chunks may go over several turns.
        let most = if keeps { SLICE_CHUNKS } else { usize::MAX };
        self.has_aged = false;
        if keeps && self.is_distrusted {
            return;
        }
        let mut at = 0;
        let mut gone = 0;
        while at < self.window.delivered && gone < most {
            if !keeps || self.retention.is_aged(self.window.items[at].kept_with) {
                self.finish(at);
                gone += 1;
            } else {
                at += 1;
            }
        }
        self.has_aged = at < self.window.delivered;
    }

    /// Does a turn's share of deferred work: removing aged chunks, making room, shrinking the
    /// spool. Returns whether there is more.
    pub fn tidy(&mut self) -> bool {
        if self.has_aged {
            self.age();
        }
        let is_over = self.window.is_over_limit() && self.make_room(SLICE_BYTES);
        let spool_has_more = self.spooling.tidy();
        is_over || spool_has_more || self.has_aged
    }

    /// Makes room until `limit` is kept, at the cost of at most `most` bytes and one chunk. More
    /// than a chunk must go only after the limit was lowered. Returns whether there is more to do.
    fn make_room(&mut self, most: usize) -> bool {
        let before = self.held_bytes();
        while self.window.is_over_limit() && before - self.held_bytes() <= most {
            if self.window.delivered > 0 {
                let item = self.finish(0);
                self.tally.displaced_lines += u64::from(item.chunk.lines());
            } else if self.recall_from(self.window.unsent()) {
                // They are on disk as they were.
            } else if let Some(at) = self.next_to_spill() {
                let item = self.finish(at);
                self.spill_item(&item);
            } else {
                return false;
            }
        }
        self.window.is_over_limit()
    }

    /// Returns the index of the chunk to remove next, among those not written on this connection.
    /// An acknowledged one that waits to be sent again goes first, else the oldest.
    ///
    /// The acknowledged ones are in front unless the order has changed.
    fn next_to_spill(&self) -> Option<usize> {
        let from = self.window.unsent();
        if from == self.window.items.len() {
            return None;
        }
        let acked = || self.window.items.range(from..).position(|item| item.acked);
        Some(from + self.is_shuffled.then(acked).flatten().unwrap_or(0))
    }

    /// Prepares for [`spill_some`](Self::spill_some) when there will be no further connection.
    /// Chunks that a next connection would send again become unsent.
    pub fn begin_spill(&mut self) {
        if !self.is_drained() {
            self.go_back();
        }
    }

    /// Moves a turn's share of the chunks to the spool, or drops them. Returns the number of lines
    /// lost.
    pub fn spill_some(&mut self) -> u64 {
        let mut bytes = 0;
        let mut lost = 0;
        for _ in 0..SLICE_CHUNKS {
            if self.window.is_empty() || bytes >= SLICE_BYTES {
                break;
            }
            if self.window.delivered > 0 {
                bytes += self.finish(0).chunk.len();
            } else {
                let item = self.window.remove(0);
                bytes += item.chunk.len();
                lost += self.spill_item(&item);
            }
        }
        lost
    }

    /// Saves a chunk to the spool if there is one, else drops it. Returns the number of lines lost:
    /// those that have not arrived and cannot be kept.
    fn spill_item(&mut self, item: &Item) -> u64 {
        let lines = u64::from(item.chunk.lines());
        let Some(lost) = self.spooling.save(&item.chunk) else {
            self.tally.drop_item(item);
            return if item.arrived { 0 } else { lines };
        };
        if item.arrived {
            self.tally.twice_lines += lines;
        }
        lost
    }

    /// Removes a chunk that will not be sent again from here.
    fn finish(&mut self, at: usize) -> Item {
        let item = self.window.remove(at);
        if item.arrived && item.arrived_on == self.connection {
            self.gone_lines += u64::from(item.chunk.lines());
        }
        self.spooling.release(&item);
        item
    }
}

#[cfg(test)]
pub(super) mod tests;
