//! What an earlier run left: opening a spool where it stopped, and counting lines that this run did not write.

use std::collections::VecDeque;
use std::io;

use super::record::{PREAMBLE, preamble};
use super::{Disk, Head, News, Position, Reads, Segment, Spool, Tally};

/// Segments are a small part of the spool, so that neither making room nor damage costs much of it at once, but no smaller or
/// larger than this.
const SEGMENTS: u64 = 1024;
const SEGMENT_MIN: u64 = 256 << 10;
const SEGMENT_MAX: u64 = 16 << 20;

/// How far reading has come, as it is noted: the segment, the place in it, a checksum of both.
const NOTE: usize = 20;

/// The highest number of our segments, out of reach even if one is made every nanosecond. So there
/// is always a next number.
const LAST: u64 = u64::MAX >> 1;

impl Spool {
    /// Goes on with what an earlier run left. `format` names what the chunks hold: segments of another are set aside.
    /// All segments together take at most `max_bytes`. Fails if the disk cannot be read at all.
    pub fn open(mut disk: Box<dyn Disk>, format: &'static str, max_bytes: u64) -> io::Result<Self> {
        let there = disk.segments()?;
        let (there, foreign) =
            there.into_iter().partition::<Vec<_>, _>(|(number, _)| *number <= LAST);
        let released = position(&disk.read_note()?).unwrap_or_default();
        let next_number =
            there.last().map_or(1, |(number, _)| number + 1).max(released.segment + 1);
        let mut spool = Self {
            disk,
            format,
            max_bytes,
            segment_bytes: 0,
            segments: VecDeque::new(),
            is_open: false,
            next_number,
            read: released,
            released,
            arrived: Position::default(),
            begun: released,
            handed: VecDeque::new(),
            condemned: Vec::new(),
            is_note_due: false,
            is_shrinking: false,
            tally: Tally::default(),
            is_full: false,
            is_failing: false,
            reads: Reads::Well,
            news: Vec::new(),
        };
        spool.limit(max_bytes);
        for (number, _) in foreign {
            spool.news.push(News::Foreign { segment: number });
            spool.disk.set_aside(number)?;
        }
        for (number, bytes) in there {
            spool.find(number, bytes)?;
        }
        spool.remove_released();
        spool.settle_note();
        while spool.bytes_on_disk() > max_bytes && spool.drop_oldest() {}
        Ok(spool)
    }

    /// Sets the most bytes that all segments together may have. If they have more, `tidy` removes
    /// the oldest over several turns.
    pub fn limit(&mut self, max_bytes: u64) {
        self.is_shrinking |= max_bytes < self.max_bytes;
        self.max_bytes = max_bytes;
        self.segment_bytes = (max_bytes / SEGMENTS).clamp(SEGMENT_MIN, SEGMENT_MAX);
    }

    fn find(&mut self, number: u64, bytes: u64) -> io::Result<()> {
        let mut start = [0; PREAMBLE];
        let got = self.disk.read(number, 0, &mut start)?;
        if number < self.released.segment
            || (got < PREAMBLE && preamble(self.format).starts_with(&start[..got]))
        {
            return self.disk.remove(number); // all read, or torn before it held anything
        }
        if start != preamble(self.format) {
            self.news.push(News::Foreign { segment: number });
            return self.disk.set_aside(number);
        }
        let read_before = (number == self.released.segment).then_some(self.released.at);
        let from = read_before.unwrap_or(0).max(PREAMBLE as u64);
        self.segments.push_back(Segment {
            number,
            bytes,
            waiting_lines: 0,
            found_until: Some(from),
        });
        Ok(())
    }

    /// A chunk that ends here was read; if this run did not write it, its lines count from now on.
    pub(super) fn count_found(&mut self, end: Position, head: Head) {
        let Some(segment) = self.segment_mut(end.segment) else { return };
        let is_news = segment.found_until.is_some_and(|until| until < end.at);
        if is_news {
            segment.found_until = Some(end.at);
            segment.waiting_lines += u64::from(head.lines);
            self.tally.found_lines += u64::from(head.lines);
        }
    }

    /// The oldest segment is about to go: counts the lines of those of its chunks that were never read.
    pub(super) fn count_rest_of_found(&mut self) {
        let Some(&Segment { number, bytes, found_until: Some(mut at), .. }) = self.segments.front()
        else {
            return;
        };
        // A head that is damaged or cannot be read ends it: nobody can tell how many lines are behind, only how many bytes.
        while let Ok(Some(head)) = self.read_head(Position { segment: number, at }, bytes) {
            at += head.record_bytes();
            self.count_found(Position { segment: number, at }, head);
        }
        if at < bytes {
            self.news.push(News::Damaged { segment: number, at, bytes: bytes - at });
        }
    }

    /// Notes how far the spool is released, for the next run.
    pub(super) fn note_released(&mut self) -> io::Result<()> {
        let mut note = [0; NOTE];
        note[..8].copy_from_slice(&self.released.segment.to_le_bytes());
        note[8..16].copy_from_slice(&self.released.at.to_le_bytes());
        let checksum = crc32fast::hash(&note[..16]);
        note[16..].copy_from_slice(&checksum.to_le_bytes());
        self.disk.write_note(&note)
    }
}

/// None for what is no note, or a torn one: then all that is there is read.
fn position(note: &[u8]) -> Option<Position> {
    let (numbers, checksum) = note.split_at_checked(16)?;
    (crc32fast::hash(numbers).to_le_bytes() == checksum).then_some(())?;
    let number = |at: usize| Some(u64::from_le_bytes(numbers.get(at..at + 8)?.try_into().ok()?));
    Some(Position { segment: number(0)?, at: number(8)? }).filter(|note| note.segment <= LAST)
}
