//! The outbox and its spool: what is read back, what is given back, what is left there at a stop.

use super::{Item, Origin, Outbox, SLICE_BYTES, SLICE_CHUNKS};
use crate::config::Resend;
use crate::encode::chunk::Chunk;
use crate::sink::spool::Spool;

/// What may be on its way when a chunk is read back, so that new ones never wait behind much.
const AHEAD: usize = 256 << 10;

impl Outbox {
    /// From now on what does not fit goes to this spool, and comes back from there.
    pub fn attach(&mut self, spool: Spool) {
        self.spool = Some(spool);
    }

    /// Other settings. What no longer fits makes way.
    pub fn reconfigure(&mut self, limit: usize, resend: Resend, keep: u32) {
        self.limit = limit;
        self.resend = resend;
        self.retention.keep(keep);
        self.age(); // `tidy` does the rest, and makes room, over several turns
    }

    pub fn spool(&self) -> Option<&Spool> {
        self.spool.as_ref()
    }

    pub fn spool_mut(&mut self) -> Option<&mut Spool> {
        self.spool.as_mut()
    }

    /// Whether [`refill`](Self::refill) would read a chunk: all that was pushed is written, and little is on its way.
    pub fn wants_refill(&self) -> bool {
        self.cursor == self.items.len()
            && self.in_flight < AHEAD.min(self.limit / 4)
            && self.spool.as_ref().is_some_and(|spool| spool.has_more() && !spool.is_resting())
    }

    /// Whether chunks wait in the spool.
    pub fn has_spooled(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::has_more)
    }

    /// Takes the oldest chunk of the spool, if it is its turn.
    pub fn refill(&mut self) {
        if !self.wants_refill() {
            return;
        }
        let Some(record) = self.spool.as_mut().and_then(Spool::take_next) else { return };
        // It is sent along with the next flush, and retained as long.
        let flush = self.retention.closed() + 1;
        let flush = self.items.back().map_or(flush, |last| flush.max(last.chunk.flush()));
        let added = record.bytes.len();
        self.held_bytes += added;
        let (arrived, begun) = (record.arrived, record.begun);
        let chunk = Chunk::new(record.bytes, record.lines, flush);
        let item = Item::new(Origin::Spooled(record.place), chunk, flush);
        self.items.push_back(Item { arrived, acked: arrived, begun, ..item });
        self.make_room(added);
    }

    /// Prepares for [`park_some`](Self::park_some) when there will be no further connection. Chunks
    /// that a next one would send again are queued.
    pub fn begin_parking(&mut self) {
        if self.is_drained() {
            return; // nothing would be
        }
        self.go_back();
    }

    /// Moves a turn's share to the spool, or gives it up. Returns the number of lines lost.
    pub fn park_some(&mut self) -> u64 {
        let (mut bytes, mut lost) = (0, 0);
        for _ in 0..SLICE_CHUNKS {
            if self.items.is_empty() || bytes >= SLICE_BYTES {
                break;
            }
            let is_delivered = self.delivered > 0;
            let item = if is_delivered { self.finish(0) } else { self.remove(0) };
            bytes += item.chunk.len();
            if !is_delivered {
                lost += self.save(&item);
            }
        }
        lost
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Gives all that came from the spool back to it.
    pub(super) fn recall(&mut self) {
        self.recall_from(0);
    }

    /// Gives what came from the spool and is not begun on this connection back to it. Returns whether there was any.
    pub(super) fn recall_unsent(&mut self) -> bool {
        self.recall_from(self.unsent())
    }

    fn recall_from(&mut self, at: usize) -> bool {
        let place = |item: &Item| match item.origin {
            Origin::Spooled(place) => Some(place),
            Origin::Pushed(_) => None,
        };
        let Some(first) = self.items.range(at..).find_map(place) else { return false };
        // One pass over all items, since there may be many.
        let (mut given_back, mut index) = (0, 0);
        self.items.retain(|item| {
            let stays = index < at || place(item).is_none();
            index += 1;
            given_back += if stays { 0 } else { item.chunk.len() };
            stays
        });
        self.held_bytes -= given_back;
        if let Some(spool) = &mut self.spool {
            spool.recall(first);
        }
        true
    }
}
