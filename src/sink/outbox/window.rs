//! [`Window`]: the chunks of an outbox that are in memory, and how far they are written and
//! acknowledged on the current connection. Pure. The diagram is in `outbox.rs`.

use std::collections::VecDeque;

use super::item::Item;

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
