//! [`AttachedSpool`]: the spool of an outbox, if it has one. Pure.

use super::window::{ChunkOrigin, Item};
use crate::encode::chunk::Chunk;
use crate::sink::spool::{Position, Record, Spool};

/// Reports to the spool what happens to the chunks that came from there. Without a spool, and for
/// chunks that were pushed, all these calls do nothing, so the outbox need not test for that.
#[derive(Debug, Default)]
pub(super) struct AttachedSpool(Option<Spool>);

impl AttachedSpool {
    pub(super) fn attach(&mut self, spool: Spool) {
        self.0 = Some(spool);
    }

    pub(super) fn get(&self) -> Option<&Spool> {
        self.0.as_ref()
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut Spool> {
        self.0.as_mut()
    }

    pub(super) fn note_begun(&mut self, origin: ChunkOrigin) {
        if let (ChunkOrigin::Spooled(place), Some(spool)) = (origin, &mut self.0) {
            spool.note_begun(place);
        }
    }

    pub(super) fn note_arrived(&mut self, origin: ChunkOrigin) {
        if let (ChunkOrigin::Spooled(place), Some(spool)) = (origin, &mut self.0) {
            spool.note_arrived(place);
        }
    }

    /// Notes that this chunk will not be sent again. The spool may then delete it.
    pub(super) fn release(&mut self, item: &Item) {
        if let (Some(place), Some(spool)) = (item.spool_place(), &mut self.0) {
            spool.release(place);
        }
    }

    /// Returns the chunk at `first`, and all chunks that were read after it, to the spool.
    pub(super) fn recall(&mut self, first: Position) {
        if let Some(spool) = &mut self.0 {
            spool.recall(first);
        }
    }

    /// Drops a chunk that was recalled. `lines` of it count as dropped: all, or 0 if it had
    /// arrived.
    pub(super) fn drop_recalled(&mut self, place: Position, lines: u32) {
        if let Some(spool) = &mut self.0 {
            spool.drop_recalled(place, lines);
        }
    }

    /// Saves a chunk. Returns the number of lines dropped to make room, which may be those of the
    /// chunk itself. Returns `None` if there is no spool.
    pub(super) fn save(&mut self, chunk: &Chunk) -> Option<u64> {
        let spool = self.0.as_mut()?;
        let before = spool.tally().dropped_lines;
        spool.save(chunk);
        Some(spool.tally().dropped_lines - before)
    }

    pub(super) fn take_next(&mut self) -> Option<Record> {
        self.0.as_mut()?.take_next()
    }

    /// Whether the spool has chunks that are not handed out.
    pub(super) fn has_more(&self) -> bool {
        self.0.as_ref().is_some_and(Spool::has_more)
    }

    /// Whether the spool has such chunks and its disk can be read now.
    pub(super) fn is_readable(&self) -> bool {
        self.0.as_ref().is_some_and(|spool| spool.has_more() && !spool.is_resting())
    }

    /// Lets the spool try its disk again after a failure. Called at the end of each flush.
    pub(super) fn wake(&mut self) {
        if let Some(spool) = &mut self.0 {
            spool.wake();
        }
    }

    /// Writes the note of how far chunks are released, if that has changed in this turn.
    pub(super) fn write_due_note(&mut self) {
        if let Some(spool) = &mut self.0 {
            spool.write_due_note();
        }
    }

    pub(super) fn dropped_lines(&self) -> u64 {
        self.0.as_ref().map_or(0, |spool| spool.tally().dropped_lines)
    }
}
