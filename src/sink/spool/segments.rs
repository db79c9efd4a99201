//! [`Segments`]: the segments of a spool, with their sizes and waiting lines. [`Position`]: a place
//! in one of them. [`HandedOut`]: the chunks that the spool has handed out and not released, and
//! the dropped chunks, which it must not hand out again. Pure.

use std::collections::VecDeque;

use super::record::PREAMBLE;

/// The highest number that a segment of this server can have. Even with a segment every nanosecond
/// it takes 292 years to reach it, so there is always a next number. A file with a
/// higher number is not a segment of this server.
pub(super) const LAST_SEGMENT: u64 = u64::MAX >> 1;

/// Bytes of a note: the number of the segment, the offset in it, and a checksum of both.
const NOTE_BYTES: usize = 20;

/// A place in the spool: the number of a segment, and an offset in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub(super) segment: u64,
    pub(super) at: u64,
}

impl Position {
    /// Returns the place one byte after this one. If this is the start of a chunk, the result is a
    /// mark that the chunk counts as passed: its start is before the mark, and the next start is
    /// not.
    pub(super) fn past_start(self) -> Self {
        Self { at: self.at + 1, ..self }
    }

    /// Returns the bytes of the note for this place.
    pub(super) fn to_note(self) -> [u8; NOTE_BYTES] {
        let mut note = [0; NOTE_BYTES];
        note[..8].copy_from_slice(&self.segment.to_le_bytes());
        note[8..16].copy_from_slice(&self.at.to_le_bytes());
        let checksum = crc32fast::hash(&note[..16]);
        note[16..].copy_from_slice(&checksum.to_le_bytes());
        note
    }

    /// Parses a note. Returns `None` if the bytes are not a note, or a torn one. The spool is then
    /// read from its start, so chunks may be sent twice but none is lost.
    pub(super) fn from_note(note: &[u8]) -> Option<Self> {
        let (numbers, checksum) = note.split_at_checked(16)?;
        (crc32fast::hash(numbers).to_le_bytes() == checksum).then_some(())?;
        let number =
            |at: usize| Some(u64::from_le_bytes(numbers.get(at..at + 8)?.try_into().ok()?));
        let place = Self { segment: number(0)?, at: number(8)? };
        (place.segment <= LAST_SEGMENT).then_some(place)
    }
}

/// One segment file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Lines known to be in the segment that have neither arrived nor been dropped.
    pub(super) waiting_lines: u64,
    /// The offset up to which lines are counted, in a segment of an earlier run. Such a segment is
    /// counted while it is read, so that a start need not read the whole spool. `None` in a segment
    /// of this run.
    pub(super) found_until: Option<u64>,
}

/// All segments, oldest first.
#[derive(Debug)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    /// The newest segment was made by this run, and chunks can be appended to it.
    pub(super) is_open: bool,
    next_number: u64,
}

impl Segments {
    /// Returns a list without segments. The next segment that is made gets `next_number`.
    pub(super) fn new(next_number: u64) -> Self {
        Self { list: VecDeque::new(), is_open: false, next_number }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn oldest(&self) -> Option<&Segment> {
        self.list.front()
    }

    pub(super) fn newest_mut(&mut self) -> Option<&mut Segment> {
        self.list.back_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.list.iter()
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.list.binary_search_by_key(&number, |segment| segment.number).is_ok()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Segment> {
        let at = self.list.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.list.get_mut(at)
    }

    /// Returns the number for a new segment. No number is used twice, so a place in a removed
    /// segment never means a place in a new one.
    pub(super) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Adds a segment after all others.
    pub(super) fn push(&mut self, segment: Segment) {
        self.list.push_back(segment);
    }

    /// Removes and returns the oldest segment. If it was the open one, none is open after that.
    pub(super) fn pop_oldest(&mut self) -> Option<Segment> {
        let oldest = self.list.pop_front();
        self.is_open &= !self.list.is_empty();
        oldest
    }

    /// Removes and returns a segment. If it was the open one, none is open after that.
    pub(super) fn remove(&mut self, number: u64) -> Option<Segment> {
        let at = self.list.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.is_open &= at + 1 < self.list.len();
        self.list.remove(at)
    }

    /// Closes this segment if it is the open one.
    pub(super) fn close(&mut self, number: u64) {
        let is_newest = self.list.back().is_some_and(|newest| newest.number == number);
        self.is_open &= !is_newest;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.list.iter().map(|segment| segment.bytes).sum()
    }

    pub(super) fn waiting_lines(&self) -> u64 {
        self.list.iter().map(|segment| segment.waiting_lines).sum()
    }

    /// Returns the bytes of the records that begin at `released` or after it.
    pub(super) fn bytes_after(&self, released: Position) -> u64 {
        let after = |segment: &Segment| {
            if segment.number == released.segment {
                segment.bytes.saturating_sub(released.at) // a power cut may have shortened it
            } else {
                segment.bytes.saturating_sub(PREAMBLE as u64)
            }
        };
        self.list.iter().map(after).sum()
    }

    /// Returns the start of the first record at `place` or after it.
    pub(super) fn first_record_from(&self, place: Position) -> Option<Position> {
        let ahead = self.list.iter().find(|segment| {
            segment.number >= place.segment
                && (segment.number > place.segment || segment.bytes > place.at)
                && segment.bytes > PREAMBLE as u64
        })?;
        let at = if ahead.number == place.segment { place.at } else { 0 };
        Some(Position { segment: ahead.number, at: at.max(PREAMBLE as u64) })
    }
}

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
    dropped: Vec<Position>,
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

    /// Removes and returns the oldest chunk if it starts at `place` or before it, or is dropped.
    /// The outbox does not have dropped chunks, so it never releases them by itself.
    pub(super) fn pop_up_to(&mut self, place: Position) -> Option<HandedChunk> {
        let oldest = self.chunks.front()?;
        let may_go = oldest.start <= place || self.dropped.contains(&oldest.start);
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

    pub(super) fn note_dropped(&mut self, start: Position) {
        self.dropped.push(start);
    }

    pub(super) fn is_dropped(&self, start: Position) -> bool {
        self.dropped.contains(&start)
    }

    /// Forgets the dropped chunks of a segment that was removed, so that the list does not grow.
    pub(super) fn forget_dropped_of(&mut self, segment: u64) {
        self.dropped.retain(|place| place.segment != segment);
    }
}
