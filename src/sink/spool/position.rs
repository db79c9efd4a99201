//! A place in a spool, and the note in which the spool stores such a place. Pure.

/// The highest number that a segment of ours can have. It cannot be reached even if a segment is
/// made every nanosecond, so there is always a next number.
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
    /// The first place after the start of the chunk at this one. A chunk whose start is before that
    /// place counts as passed.
    pub(super) fn past_start(self) -> Self {
        Self { at: self.at + 1, ..self }
    }

    pub(super) fn to_note(self) -> [u8; NOTE_BYTES] {
        let mut note = [0; NOTE_BYTES];
        note[..8].copy_from_slice(&self.segment.to_le_bytes());
        note[8..16].copy_from_slice(&self.at.to_le_bytes());
        let checksum = crc32fast::hash(&note[..16]);
        note[16..].copy_from_slice(&checksum.to_le_bytes());
        note
    }

    /// Returns `None` if the bytes are no note, or a torn one. The spool is then read from its
    /// start.
    pub(super) fn from_note(note: &[u8]) -> Option<Self> {
        let (numbers, checksum) = note.split_at_checked(16)?;
        (crc32fast::hash(numbers).to_le_bytes() == checksum).then_some(())?;
        let number =
            |at: usize| Some(u64::from_le_bytes(numbers.get(at..at + 8)?.try_into().ok()?));
        let place = Self { segment: number(0)?, at: number(8)? };
        (place.segment <= LAST_SEGMENT).then_some(place)
    }
}
