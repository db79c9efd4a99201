//! [`HandedOut`]: the chunks that a spool has handed out and not released, and the condemned
//! chunks, which it must not hand out again. Pure.

use std::collections::VecDeque;

use super::segments::Position;

/// A chunk that the spool has handed out to the outbox.
#[derive(Debug)]
pub(super) struct HandedChunk {
    pub(super) start: Position,
    pub(super) end: Position,
    pub(super) lines: u64,
    pub(super) arrived: bool,
}

/// The chunks handed out, in the order of their places.
#[derive(Debug, Default)]
pub(super) struct HandedOut {
    chunks: VecDeque<HandedChunk>,
    /// Starts of the chunks that must never be handed out again. There are few of them.
    condemned: Vec<Position>,
}

impl HandedOut {
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn push(&mut self, chunk: HandedChunk) {
        self.chunks.push_back(chunk);
    }

    /// Marks a chunk as arrived. Returns the chunk, or `None` if it is not handed out.
    pub(super) fn note_arrived(&mut self, start: Position) -> Option<&HandedChunk> {
        let at = self.chunks.binary_search_by_key(&start, |chunk| chunk.start).ok()?;
        let chunk = &mut self.chunks[at];
        chunk.arrived = true;
        Some(chunk)
    }

    /// Whether the oldest chunk starts here and has arrived.
    pub(super) fn is_oldest_and_arrived(&self, start: Position) -> bool {
        self.chunks.front().is_some_and(|chunk| chunk.start == start && chunk.arrived)
    }

    /// Removes and returns the oldest chunk if it starts at `place` or before it, or is condemned.
    /// The outbox does not have condemned chunks, so it never releases them by itself.
    pub(super) fn pop_up_to(&mut self, place: Position) -> Option<HandedChunk> {
        let oldest = self.chunks.front()?;
        let may_go = oldest.start <= place || self.condemned.contains(&oldest.start);
        if may_go { self.chunks.pop_front() } else { None }
    }

    /// Removes and returns the chunk at `place` and all after it, newest first.
    pub(super) fn recall(&mut self, place: Position) -> impl Iterator<Item = HandedChunk> + use<> {
        let from = self.chunks.partition_point(|chunk| chunk.start < place);
        self.chunks.split_off(from).into_iter().rev()
    }

    /// Whether a chunk of this segment is handed out.
    pub(super) fn has_any_of(&self, segment: u64) -> bool {
        self.chunks.iter().any(|chunk| chunk.start.segment == segment)
    }

    /// Returns the lines of a segment that are handed out and may still arrive.
    pub(super) fn lines_on_their_way(&self, segment: u64) -> u64 {
        let out = self.chunks.iter().filter(|chunk| chunk.start.segment == segment);
        out.filter(|chunk| !chunk.arrived).map(|chunk| chunk.lines).sum()
    }

    /// Returns the lines that may still arrive although their segment was removed: `has_segment`
    /// returns false for it.
    pub(super) fn lines_without_segment(&self, has_segment: impl Fn(u64) -> bool) -> u64 {
        let out = self.chunks.iter().filter(|chunk| !chunk.arrived);
        out.filter(|chunk| !has_segment(chunk.start.segment)).map(|chunk| chunk.lines).sum()
    }

    pub(super) fn condemn(&mut self, start: Position) {
        self.condemned.push(start);
    }

    pub(super) fn is_condemned(&self, start: Position) -> bool {
        self.condemned.contains(&start)
    }

    /// Forgets the condemned chunks of a segment that was removed, so that the list does not grow.
    pub(super) fn forget_condemned_of(&mut self, segment: u64) {
        self.condemned.retain(|place| place.segment != segment);
    }
}
