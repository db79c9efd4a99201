//! How full an outbox is.

use super::Outbox;

/// There are no more chunks than the limit has of these, or than so many.
const CHUNK_TAKES: usize = 1024;
const CHUNKS: usize = 1024;

impl Outbox {
    /// Whether over half of the room is taken by what is still to be written.
    pub fn is_half_full(&self) -> bool {
        self.unsent_bytes() > self.limit / 2
    }

    /// Each chunk takes some memory beside its bytes, which counts where many are small.
    pub(super) fn is_over_limit(&self) -> bool {
        self.held_bytes > self.limit || self.items.len() > (self.limit / CHUNK_TAKES).max(CHUNKS)
    }
}
