//! The spool of one sink: chunks on disk, in segments, oldest first. What did not fit its queue waits here, over an
//! outage and over restarts. Pure but for the [`Disk`] it is given.
//!
//! ```text
//!    oldest segment                                        newest, written to
//!   ┌──────────────────────────┐ ┌──────────────────────┐ ┌───────────────┐
//!   │ chunk │ chunk │ chunk │ …│ │ chunk │ chunk │ …    │ │ chunk │ …     │
//!   └──────────────────────────┘ └──────────────────────┘ └───────────────┘
//!           released        arrived          read                        end
//!           │◀──────── handed out ──────────▶│
//! ```
//! A chunk that is handed out stays on disk until the outbox *releases* it: when it need not be
//! sent again. A break *recalls* what is not released, so that reading goes on from there. A
//! segment goes when all of it is released, or, being the oldest, when room is short.
//!
//! A segment that another process removes is damage: its lines count as dropped. A restart reads
//! from the last release that was noted, so some chunks may be sent twice, but none is left out.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

mod disk;
mod folder;
mod found;
mod record;
mod writing;

pub use disk::Disk;
pub use folder::Folder;
use record::{HEAD, Head, PREAMBLE};

/// A place in the spool: a segment's number, and how far into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    segment: u64,
    at: u64,
}

/// Chunks of one destination, on a disk.
#[derive(Debug)]
pub struct Spool {
    disk: Box<dyn Disk>,
    format: &'static str,
    /// What all segments together may take.
    max_bytes: u64,
    /// The segments have more bytes than `max_bytes` since that was lowered.
    is_shrinking: bool,
    /// A segment of so many bytes takes no more chunks.
    segment_bytes: u64,
    segments: VecDeque<Segment>,
    /// The newest segment is ours, and takes more.
    is_open: bool,
    next_number: u64,
    /// What is handed out next.
    read: Position,
    released: Position,
    /// The ends of what has arrived, and of what was begun, ever.
    arrived: Position,
    begun: Position,
    handed: VecDeque<Handed>,
    /// Chunks that are never to be handed out again.
    condemned: Vec<Position>,
    /// The place up to which chunks are released has changed since it was last written to disk.
    is_note_due: bool,
    tally: Tally,
    is_full: bool,
    is_failing: bool,
    reads: Reads,
    news: Vec<News>,
}

/// What went through a spool, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines taken in.
    pub saved_lines: u64,
    /// Lines that an earlier run left, of chunks that were handed out or dropped since.
    pub found_lines: u64,
    /// Lines that went for want of room, or because they could not be written or read, before they arrived.
    pub dropped_lines: u64,
}

/// A chunk on its way out.
#[derive(Debug)]
pub struct Record {
    pub place: Position,
    pub bytes: Vec<u8>,
    pub lines: u32,
    /// It was acknowledged, and is sent again.
    pub arrived: bool,
    /// A part of it was sent before.
    pub begun: bool,
}

/// What whoever runs the server should hear of, each once while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The oldest segment went to make room.
    Full,
    /// A segment was damaged from here on; so many bytes of it are cut off.
    Damaged { segment: u64, at: u64, bytes: u64 },
    /// Another process removed this many segments. `bytes` and `lines` had not arrived.
    Missing { segments: usize, bytes: u64, lines: u64 },
    /// A segment that is not of this format was set aside.
    Foreign { segment: u64 },
    /// The disk refused.
    Failing { what: &'static str, reason: String },
}

/// How reading goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Well,
    /// It failed, and is not tried again before the next flush.
    Resting,
    /// It is tried again.
    Doubtful,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    /// Lines known to be in it that have neither arrived nor been dropped.
    waiting_lines: u64,
    /// From an earlier run: up to where its lines are counted.
    found_until: Option<u64>,
}

#[derive(Debug)]
struct Handed {
    start: Position,
    end: Position,
    lines: u64,
    arrived: bool,
}

impl Spool {
    /// The oldest chunk that was not handed out yet.
    pub fn take_next(&mut self) -> Option<Record> {
        loop {
            if self.is_resting() {
                return None;
            }
            self.read = self.start_of_next()?;
            let start = self.read;
            let (head, bytes) = match self.read_record(start) {
                Ok(Some(record)) => record,
                Ok(None) => {
                    self.cut_damage(start);
                    continue;
                }
                Err(error) if is_missing(&error) && self.find_missing() => continue,
                Err(error) if is_damage(&error) => {
                    self.fails("read", &error);
                    self.cut_damage(start);
                    continue;
                }
                Err(error) => {
                    self.rest(&error);
                    continue;
                }
            };
            self.reads = Reads::Well;
            let end = Position { at: start.at + head.record_bytes(), ..start };
            self.count_found(end, head);
            self.read = end;
            let is_condemned = self.condemned.contains(&start);
            let arrived = is_condemned || start < self.arrived;
            let lines = u64::from(head.lines);
            self.handed.push_back(Handed { start, end, lines, arrived });
            if is_condemned {
                if self.handed.len() == 1 {
                    self.release(start);
                }
                continue;
            }
            let begun = start < self.begun;
            return Some(Record { place: start, bytes, lines: head.lines, arrived, begun });
        }
    }

    /// Whether there is a chunk to hand out.
    pub fn has_more(&self) -> bool {
        self.start_of_next().is_some()
    }

    /// Whether nothing is handed out for now, since it could not be read.
    pub fn is_resting(&self) -> bool {
        self.reads == Reads::Resting
    }

    /// Tries again after a failure, and checks whether files were removed. Called at the end of a
    /// flush.
    pub fn wake(&mut self) {
        match self.disk.restore() {
            Ok(false) => {}
            Ok(true) => {
                self.is_note_due = true;
                self.find_missing();
            }
            Err(error) => {
                if is_missing(&error) {
                    self.find_missing();
                }
                self.fails("restore", &error);
            }
        }
        if self.is_resting() {
            self.reads = Reads::Doubtful;
        }
    }

    /// What is there stays, until it can be read.
    fn rest(&mut self, error: &io::Error) {
        if self.reads == Reads::Well {
            self.news.push(News::Failing { what: "read", reason: error.to_string() });
        }
        self.reads = Reads::Resting;
    }

    /// A part of this chunk, which was handed out, was sent.
    pub fn note_begun(&mut self, place: Position) {
        self.begun = self.begun.max(Position { at: place.at + 1, ..place });
    }

    /// This chunk, which was handed out, has arrived for the first time.
    pub fn note_arrived(&mut self, place: Position) {
        let Ok(at) = self.handed.binary_search_by_key(&place, |handed| handed.start) else {
            return;
        };
        let handed = &mut self.handed[at];
        handed.arrived = true;
        self.arrived = self.arrived.max(handed.end);
        let (number, lines) = (place.segment, handed.lines);
        if let Some(segment) = self.segment_mut(number) {
            segment.waiting_lines -= lines;
        }
    }

    /// This chunk, the oldest handed out, will not be sent again, whether it has arrived or is in doubt.
    pub fn release(&mut self, place: Position) {
        if !self.handed.front().is_some_and(|handed| handed.start == place && handed.arrived) {
            self.note_arrived(place); // what is in doubt waits no longer either
        }
        while self
            .handed
            .front()
            .is_some_and(|handed| handed.start <= place || self.is_condemned(handed))
        {
            let handed = self.handed.pop_front().expect("it is there");
            self.released = self.released.max(handed.end);
        }
        self.remove_released();
    }

    /// What was handed out from this chunk on will be handed out again.
    pub fn recall(&mut self, place: Position) {
        let out = self.handed.partition_point(|handed| handed.start < place);
        for handed in self.handed.split_off(out).iter().rev() {
            self.read = handed.start;
            if !handed.arrived && self.segment_mut(handed.start.segment).is_none() {
                self.tally.dropped_lines += handed.lines; // its segment made way meanwhile
            }
        }
    }

    /// Drops a recalled chunk: it is not handed out again, and its lines count as dropped.
    pub fn condemn(&mut self, place: Position, lines: u32) {
        if self.segment_mut(place.segment).is_none() {
            return; // its segment was removed, and the recall has counted its lines as dropped
        }
        self.condemned.push(place);
        self.tally.dropped_lines += u64::from(lines);
        self.arrived = self.arrived.max(Position { at: place.at + 1, ..place });
        if let Some(segment) = self.segment_mut(place.segment) {
            segment.waiting_lines -= u64::from(lines);
        }
    }

    /// Bytes of chunks that are not released, with their heads.
    pub fn waiting_bytes(&self) -> u64 {
        let ahead = |segment: &Segment| match segment.number == self.released.segment {
            true => segment.bytes.saturating_sub(self.released.at), // a power cut may have shortened it
            false => segment.bytes.saturating_sub(PREAMBLE as u64),
        };
        self.segments.iter().map(ahead).sum()
    }

    /// Lines known to wait here: neither arrived nor dropped. Of what an earlier run left only those read so far.
    pub fn waiting_lines(&self) -> u64 {
        let gone =
            |handed: &&Handed| self.segments.iter().all(|s| s.number != handed.start.segment);
        let unsettled = self.handed.iter().filter(|handed| !handed.arrived).filter(gone);
        self.segments.iter().map(|segment| segment.waiting_lines).sum::<u64>()
            + unsettled.map(|handed| handed.lines).sum::<u64>()
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The longest call to the disk since this was last asked.
    pub fn take_stall(&mut self) -> Duration {
        self.disk.take_stall()
    }

    /// What has happened that should be logged, since this was last asked.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Where it is, for messages.
    pub fn location(&self) -> String {
        self.disk.location()
    }

    /// The place of the oldest chunk that is not handed out.
    fn start_of_next(&self) -> Option<Position> {
        let ahead = self.segments.iter().find(|segment| {
            segment.number >= self.read.segment
                && (segment.number > self.read.segment || segment.bytes > self.read.at)
                && segment.bytes > PREAMBLE as u64
        })?;
        let at = if ahead.number == self.read.segment { self.read.at } else { 0 };
        Some(Position { segment: ahead.number, at: at.max(PREAMBLE as u64) })
    }

    /// None if what stands there is no whole record.
    fn read_record(&mut self, start: Position) -> io::Result<Option<(Head, Vec<u8>)>> {
        let end = self.segment_mut(start.segment).map_or(0, |segment| segment.bytes);
        let Some(head) = self.read_head(start, end)? else { return Ok(None) };
        let mut bytes = vec![0; head.length as usize];
        let got = self.disk.read(start.segment, start.at + HEAD as u64, &mut bytes)?;
        Ok((got == bytes.len() && head.is_of(&bytes)).then_some((head, bytes)))
    }

    /// The head of a record that ends before `end`.
    fn read_head(&mut self, start: Position, end: u64) -> io::Result<Option<Head>> {
        let mut head = [0; HEAD];
        let got = self.disk.read(start.segment, start.at, &mut head)?;
        let head = Head::from_bytes(head).filter(|_| got == HEAD);
        Ok(head.filter(|head| start.at + head.record_bytes() <= end))
    }

    /// From here on a segment cannot be read: the rest of it is given up.
    fn cut_damage(&mut self, start: Position) {
        let cut = self.disk.cut(start.segment, start.at);
        let last = self.segments.back().is_some_and(|last| last.number == start.segment);
        let on_their_way = self.lines_on_their_way(start.segment);
        let Some(segment) = self.segment_mut(start.segment) else { return };
        let bytes = segment.bytes - start.at;
        segment.bytes = start.at;
        let lost = segment.waiting_lines - on_their_way;
        segment.waiting_lines = on_their_way;
        self.tally.dropped_lines += lost;
        self.is_open &= !last;
        self.news.push(News::Damaged { segment: start.segment, at: start.at, bytes });
        if let Err(error) = cut {
            self.fails("cut", &error);
        }
        self.remove_released();
    }

    /// Counts and forgets segments that another process removed, or that belong to another server
    /// by now. Returns whether anything has changed.
    fn find_missing(&mut self) -> bool {
        let restored = self.disk.restore();
        let is_theirs =
            restored.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy);
        self.is_note_due |= restored.as_ref().is_ok_and(|is_new| *is_new);
        let mut missing: Vec<u64> = self.segments.iter().map(|segment| segment.number).collect();
        missing
            .retain(|&number| is_theirs || self.disk.has(number).is_ok_and(|is_there| !is_there));
        let (mut bytes, mut lines) = (0, 0);
        for &number in &missing {
            let Some(at) = self.segments.iter().position(|segment| segment.number == number) else {
                continue;
            };
            self.is_open &= at + 1 < self.segments.len();
            let Some(segment) = self.segments.remove(at) else { continue };
            bytes += segment.bytes;
            lines += segment.waiting_lines - self.lines_on_their_way(number);
            self.condemned.retain(|place| place.segment != number);
            let _ = self.disk.remove(number); // so that the disk closes it, too
        }
        if missing.is_empty() {
            return restored.unwrap_or(false);
        }
        self.tally.dropped_lines += lines;
        self.news.push(News::Missing { segments: missing.len(), bytes, lines });
        self.remove_released();
        true
    }

    /// Returns the lines of a segment that are handed out and may still arrive.
    fn lines_on_their_way(&self, segment: u64) -> u64 {
        let out = self.handed.iter().filter(|handed| handed.start.segment == segment);
        out.filter(|handed| !handed.arrived).map(|handed| handed.lines).sum()
    }

    /// A segment goes when all that was in it is released.
    fn remove_released(&mut self) {
        while let Some(oldest) = self.segments.front() {
            let is_read = self.released >= Position { segment: oldest.number, at: oldest.bytes };
            let is_open = self.is_open && self.segments.len() == 1;
            let is_empty = oldest.bytes <= PREAMBLE as u64 && !is_open;
            let is_handed = self.handed.iter().any(|handed| handed.start.segment == oldest.number);
            if !(is_read || is_empty) || is_handed {
                break;
            }
            let number = oldest.number;
            self.segments.pop_front();
            self.is_open &= !self.segments.is_empty();
            self.is_full = false;
            self.condemned.retain(|place| place.segment != number);
            self.unlink(number);
        }
        self.is_note_due = true;
    }

    /// Does a turn's share of deferred work: writing the note, and shrinking. Returns whether there
    /// is more.
    pub fn tidy(&mut self) -> bool {
        self.settle_note();
        let is_over = |spool: &Self| spool.is_shrinking && spool.bytes_on_disk() > spool.max_bytes;
        self.is_shrinking = is_over(self) && self.drop_oldest() && is_over(self);
        self.is_shrinking
    }

    /// Writes the note of how far chunks are released, once for all releases of a turn.
    fn settle_note(&mut self) {
        if std::mem::take(&mut self.is_note_due)
            && let Err(error) = self.note_released()
        {
            self.fails("write", &error);
        }
    }

    fn is_condemned(&self, handed: &Handed) -> bool {
        self.condemned.contains(&handed.start)
    }

    fn segment_mut(&mut self, number: u64) -> Option<&mut Segment> {
        let at = self.segments.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.segments.get_mut(at)
    }

    /// Removes a file. A file that is missing already is no failure.
    fn unlink(&mut self, segment: u64) {
        match self.disk.remove(segment) {
            Err(error) if !is_missing(&error) => self.fails("remove", &error),
            _ => {}
        }
    }

    fn fails(&mut self, what: &'static str, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            self.news.push(News::Failing { what, reason: error.to_string() });
        }
    }
}

/// The disk has lost what is there. Other failures pass: no descriptor is left, no memory, a share that is away.
fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.settle_note();
    }
}

/// Whether the file or a folder above it was removed or replaced.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AlreadyExists, InvalidInput, IsADirectory, NotADirectory, NotFound, ResourceBusy,
    };
    let kind = error.kind();
    matches!(
        kind,
        NotFound | NotADirectory | AlreadyExists | IsADirectory | ResourceBusy | InvalidInput
    )
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
