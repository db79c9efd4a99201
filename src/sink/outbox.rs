//! [`Outbox`]: the queue of encoded chunks for one destination, which also tracks which of them
//! have arrived. Pure: no socket, no clock.
//!
//! The outbox decides which chunk is written next, which is written again after a broken
//! connection, and which is removed when room is short. It never looks inside a chunk: chunks are
//! queued, dropped, resent and counted whole. The oldest chunk is on the left:
//!
//! ```text
//!    ◀──────────── held: at most `limit` bytes, if any may be removed ───────────────▶
//!   ┌───────────────┬───────────────────────┬────────────┬───────────────────────────┐
//!   │   delivered   │       in flight       │    head    │          unsent           │
//!   │  (retained)   │ written, not all of it│   partly   │                           │
//!   │               │     acknowledged      │  written   │                           │
//!   └───────────────┴───────────────────────┴────────────┴───────────────────────────┘
//!   0               delivered               cursor                                   len
//!                   │◀ acked ──▶│◀── in_flight ───▶│
//! ```
//!
//! A break moves `cursor` and `delivered` back; [`Resend`] sets how far. The outbox still stores
//! whether a chunk has *arrived*, or was *begun*, on an earlier connection.
//!
//! When room is short, chunks are removed in this order:
//!
//! 1. Chunks that have arrived on this connection. Nothing is lost unless the connection breaks
//!    soon.
//! 2. Chunks from the spool that are unsent. They are still on disk.
//! 3. The oldest unsent chunk is spilled to the spool. Without a spool it counts as dropped, or as
//!    in doubt if it had arrived on an earlier connection.
//!
//! Chunks in flight stay, since the kernel already has their bytes. If they alone exceed the limit,
//! the limit is exceeded.
//!
//! The oldest chunk is sent first as long as each connection delivers a new chunk. After a
//! connection that delivered none, chunks that were never acknowledged are sent first, and chunks
//! that are only sent again are sent last. Otherwise a peer that breaks each connection before it
//! has received all retained chunks would never get a new one.
//!
//! A peer may close a connection so *early* that it has probably read nothing, though its TCP has
//! acknowledged everything. Chunks that arrived on such a connection do not count as arrived: see
//! [`broke_early`](Outbox::broke_early).

use std::mem;
use std::rc::Rc;

use crate::config::Resend;
use crate::encode::chunk::Chunk;

mod attached_spool;
mod resend;
mod window;

use super::spool::Spool;
use attached_spool::AttachedSpool;
use resend::{AfterBreak, FailedChunk, Retention};
pub use window::OutboxTally;
use window::{ChunkOrigin, Item, Window};

/// The most bytes and chunks moved or dropped in one turn when a whole queue must be emptied. A
/// turn must stay short, and a queue may hold gigabytes.
const SLICE_BYTES: usize = 256 << 10;
const SLICE_CHUNKS: usize = 64;

/// A chunk is read back from the spool only while fewer bytes than this are in flight. So a new
/// chunk never waits for more than this many bytes of old ones.
const REFILL_BYTES: usize = 256 << 10;

/// A bounded queue of chunks for one destination. See the diagram of this module.
#[derive(Debug)]
pub struct Outbox {
    resend: Resend,
    window: Window,
    retention: Retention,
    /// The chunk at which the last connections broke, if any.
    failed: Option<FailedChunk<ChunkOrigin>>,
    spool: AttachedSpool,
    /// The number of chunks pushed. It numbers the chunks.
    pushed: u64,
    /// Incremented when a connection ends, and each time that it is found to be trusted. Only the
    /// arrivals of the present epoch can be revoked.
    arrival_epoch: u64,
    /// A chunk was acknowledged on this connection for the first time.
    has_progressed: bool,
    /// A connection delivered nothing new, and the outbox has not been drained since.
    sends_new_first: bool,
    /// The chunks may be in another order than their flushes. Searches then look at all chunks.
    is_shuffled: bool,
    /// Some aged chunks may still be held, and `tidy` removes them.
    has_aged: bool,
    /// The peer may still close this connection early, so retained chunks do not age.
    is_distrusted: bool,
    /// Lines that arrived on this connection and were removed since. They become in doubt if the
    /// peer closes it early.
    removed_lines: u64,
    tally: OutboxTally,
}

/// The chunk at which a connection broke.
struct ChunkAtBreak {
    origin: ChunkOrigin,
    chunk: Rc<Chunk>,
    /// It has arrived on an earlier connection.
    arrived: bool,
}

impl Outbox {
    /// Returns an empty outbox for at most `limit` bytes. If `resend` is [`Resend::Flush`], it
    /// retains `keep` whole delivered flushes for a resend.
    pub fn new(limit: usize, resend: Resend, keep: u32) -> Self {
        Self {
            resend,
            window: Window::new(limit),
            retention: Retention::new(keep),
            failed: None,
            spool: AttachedSpool::default(),
            pushed: 0,
            arrival_epoch: 1,
            has_progressed: false,
            sends_new_first: false,
            is_shuffled: false,
            has_aged: false,
            is_distrusted: false,
            removed_lines: 0,
            tally: OutboxTally::default(),
        }
    }

    /// Changes the settings. [`tidy`](Self::tidy) removes the chunks that no longer fit.
    pub fn reconfigure(&mut self, limit: usize, resend: Resend, keep: u32) {
        self.window.limit = limit;
        self.resend = resend;
        self.retention.keep(keep);
        self.age(); // removes a turn's share
    }

    /// Adds a spool: from now on chunks that do not fit are spilled to it, and read back later.
    pub fn attach(&mut self, spool: Spool) {
        self.spool.attach(spool);
    }

    pub fn spool(&self) -> Option<&Spool> {
        self.spool.get()
    }

    pub fn spool_mut(&mut self) -> Option<&mut Spool> {
        self.spool.get_mut()
    }

    /// Queues a chunk and makes room for it. An empty chunk is ignored. The flush of the chunk must
    /// not be older than that of the last chunk. Returns the number of lines dropped to make room,
    /// which may be those of the chunk itself.
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

    /// Notes that no further chunk of this flush will be pushed. Until then the flush cannot count
    /// as whole, even if all its chunks so far have arrived.
    pub fn close(&mut self, flush: u64) {
        self.retention.close(flush);
        self.age();
        self.spool.wake();
    }

    /// Whether [`refill`](Self::refill) would read a chunk from the spool: all queued chunks are
    /// written, and few bytes are in flight. New chunks thus overtake the chunks in the spool.
    pub fn wants_refill(&self) -> bool {
        self.window.cursor == self.window.items.len()
            && self.window.in_flight() < REFILL_BYTES.min(self.window.limit / 4)
            && self.spool.is_readable()
    }

    /// Whether chunks wait in the spool.
    pub fn has_spooled(&self) -> bool {
        self.spool.has_more()
    }

    /// Queues the oldest chunk of the spool if [`wants_refill`](Self::wants_refill) returns true.
    pub fn refill(&mut self) {
        if !self.wants_refill() {
            return;
        }
        let Some(record) = self.spool.take_next() else { return };
        // The chunk gets the number of the next flush, not that of its own, which ended long ago.
        // So it is retained as long as the chunks that are sent along with it, and the flush
        // numbers in the queue stay in order.
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

    /// Returns the bytes to write next: the rest of the first chunk that is not wholly written.
    /// Returns `None` if all chunks are written.
    pub fn head(&self) -> Option<&[u8]> {
        self.window.head().map(|item| &item.chunk.bytes()[self.window.offset..])
    }

    /// Returns the flush of the chunk that is written next.
    pub fn head_flush(&self) -> Option<u64> {
        self.window.head().map(|item| item.chunk.flush())
    }

    /// Notes that `bytes` of the head were written. Panics if the head is shorter.
    pub fn wrote(&mut self, bytes: usize) {
        let is_start = self.window.offset == 0 && bytes > 0;
        let Some(head) = self.window.items.get_mut(self.window.cursor) else { return };
        let rest = head.chunk.len() - self.window.offset;
        assert!(bytes <= rest, "no more is written than there is");
        if is_start {
            if mem::replace(&mut head.begun, true) {
                self.tally.resent_lines += u64::from(head.chunk.lines());
            }
            self.spool.note_begun(head.origin);
        }
        self.tally.sent_bytes += bytes as u64;
        self.window.wrote(bytes);
    }

    /// Notes that the peer has acknowledged all bytes written on this connection, except for the
    /// last `outstanding`. Returns whether a chunk has arrived for the first time.
    pub fn acknowledged_except(&mut self, outstanding: usize) -> bool {
        let before = self.tally.delivered_lines;
        self.window.acknowledged_except(outstanding);
        while let Some(item) = self.window.deliver_next() {
            let is_first = !mem::replace(&mut item.acked, true);
            self.has_progressed |= is_first;
            FailedChunk::note_ack(&mut self.failed, item.origin, is_first);
            // A chunk that is sent again counts as delivered once, and is not retained longer.
            if !item.arrived {
                let queued_lines = item.queued_lines();
                item.arrived = true;
                item.arrived_in = self.arrival_epoch;
                item.kept_with = item.kept_with.max(self.retention.closed());
                self.tally.delivered_lines += u64::from(item.chunk.lines());
                self.retention.delivered(item.kept_with);
                self.spool.note_arrived(item.origin);
                self.window.queued_lines -= queued_lines;
            }
        }
        self.age();
        if self.is_drained() {
            self.sends_new_first = false;
            self.is_shuffled = false;
        }
        self.tally.delivered_lines > before
    }

    /// Counts the rest of the head as delivered without writing it, because the receiver has ended
    /// well without reading it.
    pub fn pass_head(&mut self) {
        self.window.pass_head();
        self.acknowledged_except(0);
    }

    /// Drops the head and counts its lines. Returns false and does nothing if there is no head, or
    /// if a part of it is written on this connection.
    pub fn drop_head(&mut self) -> bool {
        if self.window.offset > 0 || self.window.head().is_none() {
            return false;
        }
        let item = self.finish(self.window.cursor);
        self.tally.drop_item(&item);
        true
    }

    /// Skips the next `bytes` of the head, which cannot be sent, and counts their `lines` as
    /// dropped.
    pub fn drop_part(&mut self, bytes: usize, lines: u64) {
        self.wrote(bytes);
        self.tally.dropped_lines += lines;
        self.tally.twice_lines += lines; // the chunk as a whole will count as delivered, too
    }

    /// Drops the oldest chunk in flight because the peer refused it, and returns it. Returns `None`
    /// unless that chunk is written whole and no byte of it is acknowledged.
    pub fn refuse_in_flight(&mut self) -> Option<Rc<Chunk>> {
        if !self.window.has_refusable() {
            return None;
        }
        let item = self.finish(self.window.delivered);
        self.window.forget_in_flight(item.chunk.len());
        self.tally.drop_item(&item);
        Some(item.chunk)
    }

    /// Counts lines as in doubt that also count as delivered.
    pub fn doubt_lines(&mut self, lines: u64) {
        self.tally.doubt_lines(lines);
    }

    /// Notes at the start of a connection that its acknowledgements do not show yet that the peer
    /// reads. Retained chunks do not age until [`trust`](Self::trust), so that they can be sent
    /// again after an early close.
    pub fn distrust(&mut self) {
        self.is_distrusted = true;
    }

    /// Notes that the connection has lasted long enough. The chunks that arrived on it until now
    /// count as arrived, even if the connection breaks.
    pub fn trust(&mut self) {
        self.has_aged |= mem::take(&mut self.is_distrusted);
        // A new epoch, so that `revoke_arrivals` no longer finds the earlier arrivals.
        self.arrival_epoch += 1;
        self.removed_lines = 0;
    }

    /// Handles the end of a connection: chunks that are to be sent again become unsent. Returns a
    /// chunk that was dropped because it has probably caused this break and earlier ones.
    pub fn broke(&mut self) -> Option<Rc<Chunk>> {
        // The window is rewound below, so the chunk at the break must be found first.
        let broken_at = self.chunk_at_break();
        self.disconnected();
        let broken_at = broken_at?;
        self.handle_failed_chunk(&broken_at).then_some(broken_at.chunk)
    }

    /// Handles the end of a connection that this server has closed, for a reload or a stop. As
    /// [`broke`](Self::broke), but no chunk has caused it, so none counts as failed or is dropped.
    pub fn disconnected(&mut self) {
        let has_written = self.window.unsent() > 0;
        let is_stuck = self.resend == Resend::Flush && has_written && !self.has_progressed;
        self.go_back();
        self.sends_new_first |= is_stuck;
        if self.sends_new_first {
            self.put_new_first();
        }
    }

    /// Forgets the breaks at a chunk, because the next connection is to another peer, which may
    /// accept it.
    pub fn forget_breaks(&mut self) {
        self.failed = None;
    }

    /// Handles a connection that the peer closed so early that it has probably read nothing. The
    /// chunks that arrived on it are sent again. If such a chunk was removed meanwhile, its lines
    /// count as in doubt. Returns the same as [`broke`](Self::broke).
    pub fn broke_early(&mut self) -> Option<Rc<Chunk>> {
        self.revoke_arrivals();
        self.broke()
    }

    /// Handles an early close by a peer that has closed many connections early in a row. Chunks
    /// that were written and have not arrived count as in doubt, though they are sent again.
    ///
    /// No chunk counts as failed, because the peer refuses every chunk. The chunks sent on this
    /// connection are sent last on the next one, so that each connection tries another chunk.
    pub fn broke_early_again(&mut self) {
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

    /// Revokes the arrival of the chunks that arrived on this connection since it was last trusted.
    fn revoke_arrivals(&mut self) {
        for item in self.window.items.range_mut(..self.window.delivered) {
            // The spool cannot take an arrival back. Its chunks stay there as arrived until they
            // are released.
            let is_pushed = item.spool_place().is_none();
            if is_pushed && item.arrived && item.arrived_in == self.arrival_epoch {
                item.arrived = false;
                self.window.queued_lines += item.queued_lines();
                self.tally.delivered_lines -= u64::from(item.chunk.lines());
                self.is_shuffled = true;
            }
        }
        self.tally.doubt_lines(mem::take(&mut self.removed_lines));
    }

    /// Returns the first chunk that was written at least in part and not acknowledged whole: the
    /// one at which the connection broke. Returns `None` if there is none, or if it would not be
    /// sent again.
    fn chunk_at_break(&self) -> Option<ChunkAtBreak> {
        let window = &self.window;
        if self.resend == Resend::Never || window.delivered >= window.unsent() {
            return None;
        }
        let item = window.items.get(window.delivered)?;
        let Item { origin, ref chunk, arrived, .. } = *item;
        Some(ChunkAtBreak { origin, chunk: Rc::clone(chunk), arrived })
    }

    /// Prepares the chunks for the next connection: nothing counts as written. Chunks that must not
    /// be sent again are removed, and chunks from the spool return to it.
    fn go_back(&mut self) {
        if self.resend == Resend::Never {
            for _ in self.window.delivered..self.window.unsent() {
                let item = self.finish(self.window.delivered);
                self.tally.doubt_item(&item);
            }
        }
        // Delivered chunks that are not retained were removed already: `age` does so on delivery.
        self.window.rewind();
        self.arrival_epoch += 1;
        self.has_progressed = false;
        self.is_distrusted = false;
        self.removed_lines = 0;
        self.recall_from(0);
    }

    /// Gives the chunks at index `at` and after it that came from the spool back to the spool.
    /// Returns whether there were any.
    fn recall_from(&mut self, at: usize) -> bool {
        let Some(first) = self.window.items.range(at..).find_map(Item::spool_place) else {
            return false;
        };
        self.window.remove_spooled_from(at);
        self.spool.recall(first);
        true
    }

    /// Moves chunks that were never acknowledged to the front. Nothing may be written on the
    /// current connection, because the marks of the window do not move with the chunks.
    fn put_new_first(&mut self) {
        self.window.put_new_first();
        self.is_shuffled = true;
    }

    /// Moves or drops the chunk at which the connection broke, if it is due. Returns whether the
    /// chunk is dropped.
    fn handle_failed_chunk(&mut self, broken_at: &ChunkAtBreak) -> bool {
        let ChunkAtBreak { origin, ref chunk, arrived } = *broken_at;
        let then = FailedChunk::note_break(&mut self.failed, origin);
        // `None` if the chunk came from the spool: `go_back` has returned it there.
        let at = self.window.items.iter().position(|item| item.origin == origin);
        match (then, origin, at) {
            (AfterBreak::Drop, ChunkOrigin::Spooled(place), _) => {
                self.spool.drop_recalled(place, if arrived { 0 } else { chunk.lines() });
                if arrived {
                    self.tally.doubt(chunk);
                }
            }
            (AfterBreak::Drop, _, Some(at)) => {
                let item = self.finish(at);
                self.tally.drop_item(&item);
            }
            (AfterBreak::ResendAfterNext, _, Some(at)) if at + 1 < self.window.items.len() => {
                self.window.items.swap(at, at + 1);
                self.is_shuffled = true;
            }
            // A chunk in the spool is sent after all queued chunks anyway, so others pass it.
            _ => {}
        }
        then == AfterBreak::Drop
    }

    /// Returns the most bytes that are held, if any may be removed.
    pub fn limit(&self) -> usize {
        self.window.limit
    }

    /// Returns the bytes that are still to be written.
    pub fn unsent_bytes(&self) -> usize {
        self.window.queued_bytes() - self.window.in_flight()
    }

    /// Returns the bytes written on this connection and not acknowledged.
    pub fn unacked_bytes(&self) -> usize {
        self.window.in_flight()
    }

    /// Returns the bytes that are unsent or unacknowledged. Retained chunks do not count.
    pub fn queued_bytes(&self) -> usize {
        self.window.queued_bytes()
    }

    /// Returns the lines that were pushed and have not arrived. Those in the spool do not count.
    pub fn queued_lines(&self) -> u64 {
        self.window.queued_lines
    }

    /// Returns all bytes in memory: queued and retained.
    pub fn held_bytes(&self) -> usize {
        self.window.held_bytes()
    }

    /// Whether unsent bytes take more than half of the limit.
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

    /// Returns the newest flush to which no chunk will be added.
    pub fn closed(&self) -> u64 {
        self.retention.closed()
    }

    /// Returns the newest flush that has ended and all chunks of which, and of all earlier flushes,
    /// have arrived or were removed.
    pub fn newest_whole_flush(&self) -> u64 {
        let waiting = self.next_arrivals().map(|next| next.chunk.flush().saturating_sub(1));
        waiting.fold(self.retention.closed(), u64::min)
    }

    /// Returns chunks that have not arrived. The oldest flush with such a chunk is among them.
    /// While the chunks are in order, this is only the first one, so a call need not visit a long
    /// queue.
    fn next_arrivals(&self) -> impl Iterator<Item = &Item> {
        let items = &self.window.items;
        let next = if self.is_shuffled { items.len() } else { 1 };
        items.iter().filter(|item| !item.arrived).take(next)
    }

    /// Returns the counts since the start. Lines that the spool has dropped count as dropped.
    pub fn tally(&self) -> OutboxTally {
        let dropped_lines = self.tally.dropped_lines + self.spool.dropped_lines();
        OutboxTally { dropped_lines, ..self.tally }
    }

    /// Removes delivered chunks of flushes that are no longer retained.
    fn age(&mut self) {
        let newest = self.retention.newest();
        let waits = self.next_arrivals().any(|next| Some(next.chunk.flush()) <= newest);
        self.retention.age(waits);
        let keeps = self.resend == Resend::Flush;
        // Without `Resend::Flush`, delivered chunks must be removed at once. Otherwise the next
        // break would make them unsent and they would be sent again. Only a few are delivered at a
        // time. Aged chunks may be removed over several turns.
        let most = if keeps { SLICE_CHUNKS } else { usize::MAX };
        self.has_aged = false;
        // After an early close, all chunks that arrived on this connection are sent again.
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

    /// Does a turn's share of deferred work: removing aged chunks, making room, writing the note of
    /// the spool. Returns whether there is more.
    pub fn tidy(&mut self) -> bool {
        if self.has_aged {
            self.age();
        }
        let is_over = self.window.is_over_limit() && self.make_room(SLICE_BYTES);
        self.spool.write_due_note();
        is_over || self.has_aged
    }

    /// Removes chunks until the limit is kept, at most `most` bytes and one more chunk. A push
    /// passes the length of its chunk: it never pays for a limit that was lowered. Returns whether
    /// the limit is still exceeded and more chunks may be removed.
    fn make_room(&mut self, most: usize) -> bool {
        let before = self.held_bytes();
        while self.window.is_over_limit() && before - self.held_bytes() <= most {
            if self.window.delivered > 0 {
                let item = self.finish(0);
                self.tally.displaced_lines += u64::from(item.chunk.lines());
            } else if self.recall_from(self.window.unsent()) {
                // Nothing is lost: the chunks are still on disk.
            } else if let Some(at) = self.next_to_spill() {
                let item = self.finish(at);
                self.spill_item(&item);
            } else {
                return false;
            }
        }
        self.window.is_over_limit()
    }

    /// Returns the index of the chunk to remove next: the first unsent chunk that was acknowledged
    /// on an earlier connection, else the oldest unsent chunk. Returns `None` if no chunk is
    /// unsent.
    ///
    /// As long as the order has not changed, the acknowledged chunks are in front.
    fn next_to_spill(&self) -> Option<usize> {
        let from = self.window.unsent();
        if from == self.window.items.len() {
            return None;
        }
        let acked = || self.window.items.range(from..).position(|item| item.acked);
        Some(from + self.is_shuffled.then(acked).flatten().unwrap_or(0))
    }

    /// Prepares for [`spill_some`](Self::spill_some) after the last connection has ended. Chunks
    /// that another connection would send again become unsent.
    pub fn begin_spill(&mut self) {
        if !self.is_drained() {
            self.go_back();
        }
    }

    /// Moves a turn's share of the chunks to the spool, or drops them if there is none. Returns the
    /// number of lines lost.
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
    /// lines that have not arrived and cannot be stored.
    fn spill_item(&mut self, item: &Item) -> u64 {
        let lines = u64::from(item.chunk.lines());
        let Some(lost) = self.spool.save(&item.chunk) else {
            self.tally.drop_item(item);
            return if item.arrived { 0 } else { lines };
        };
        if item.arrived {
            self.tally.twice_lines += lines;
        }
        lost
    }

    /// Removes a chunk that this queue will not send again, and releases it in the spool.
    fn finish(&mut self, at: usize) -> Item {
        let item = self.window.remove(at);
        if item.arrived && item.arrived_in == self.arrival_epoch {
            self.removed_lines += u64::from(item.chunk.lines());
        }
        self.spool.release(&item);
        item
    }
}

#[cfg(test)]
pub(super) mod tests;
