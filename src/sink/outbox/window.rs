//! The chunks of an outbox in memory, and how far they are written and acknowledged on the current
//! connection. Pure. The diagram is in `outbox.rs`.

use std::collections::VecDeque;

use super::item::Item;

/// There are at most this many chunks, or one for each so many bytes of the limit. Each chunk takes
/// some memory beside its bytes, which counts if many are small.
const CHUNKS: usize = 1024;
const BYTES_PER_CHUNK: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Window {
    /// The most bytes that are to be held.
    pub(super) limit: usize,
    pub(super) items: VecDeque<Item>,
    /// The marks of the diagram, as counts of chunks from the front.
    pub(super) delivered: usize,
    pub(super) cursor: usize,
    /// Bytes of the chunk at `cursor` that were written.
    pub(super) offset: usize,
    /// Bytes of the chunk at `delivered` that were acknowledged.
    acked_bytes: usize,
    /// Bytes written on this connection and not acknowledged.
    in_flight: usize,
    held_bytes: usize,
    delivered_bytes: usize,
}

impl Window {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.held_bytes += item.chunk.len();
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

    /// Notes that the rest of the head need not be written: the peer has enough of it.
    pub(super) fn pass_head(&mut self) {
        let Some(head) = self.items.get(self.cursor) else { return };
        self.in_flight += head.chunk.len() - self.offset;
        self.cursor += 1;
        self.offset = 0;
    }

    /// Notes that all written bytes but the last `outstanding` are acknowledged.
    pub(super) fn acknowledged(&mut self, outstanding: usize) {
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

    /// The connection has ended: nothing is written or acknowledged on the next one.
    pub(super) fn rewind(&mut self) {
        self.delivered = 0;
        self.delivered_bytes = 0;
        self.cursor = 0;
        self.offset = 0;
        self.acked_bytes = 0;
        self.in_flight = 0;
    }

    pub(super) fn remove(&mut self, at: usize) -> Item {
        let item = self.items.remove(at).expect("callers name a chunk that is there");
        self.held_bytes -= item.chunk.len();
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

    /// Removes the chunks from `at` on that came from the spool. One pass, since there may be many.
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

    /// The chunk that is written next, or whose rest is.
    pub(super) fn head(&self) -> Option<&Item> {
        self.items.get(self.cursor)
    }

    /// The index of the first chunk of which nothing is written on this connection.
    pub(super) fn unsent(&self) -> usize {
        self.cursor + usize::from(self.offset > 0)
    }

    pub(super) fn is_over_limit(&self) -> bool {
        let most = (self.limit / BYTES_PER_CHUNK).max(CHUNKS);
        self.held_bytes > self.limit || self.items.len() > most
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Bytes written on this connection and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Bytes that are unsent or unacknowledged.
    pub(super) fn queued_bytes(&self) -> usize {
        self.held_bytes - self.delivered_bytes - self.acked_bytes
    }
}
