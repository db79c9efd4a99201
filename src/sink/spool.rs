//! [`Spool`]: the chunks of one sink that are on disk, in segments, oldest first. Chunks that do
//! not fit the queue are stored here, over an outage and over restarts. Pure, except for its
//! [`Disk`].
//!
//! ```text
//!    oldest segment                                        newest, written to
//!   ┌──────────────────────────┐ ┌──────────────────────┐ ┌───────────────┐
//!   │ chunk │ chunk │ chunk │ …│ │ chunk │ chunk │ …    │ │ chunk │ …     │
//!   └──────────────────────────┘ └──────────────────────┘ └───────────────┘
//!           released        arrived          read                        end
//!           │◀──────── handed out ──────────▶│
//! ```
//! A chunk that is handed out stays on disk until the outbox *releases* it, because it need not be
//! sent again. A break *recalls* the chunks that are not released: reading continues at the first
//! of them. A segment is removed when all of it is released. The oldest segment is also removed
//! when room is short.
//!
//! A segment that another process removes is damage: its lines count as dropped. A restart reads
//! from the last release that was written to the note. So some chunks may be sent twice, but none
//! is left out.

use std::io;
use std::mem;
use std::time::Duration;

use crate::encode::chunk::Chunk;

mod disk;
mod events;
mod probe;
mod record;
mod segments;

use disk::DiskFailure;
pub use disk::{Disk, Folder, SegmentFile};
use events::SpoolEvents;
pub use events::{DiskCall, SpoolEvent};
use probe::probe;
use record::{HEAD, PREAMBLE, RecordHead, preamble};
pub use segments::Position;
use segments::{HandedChunk, HandedOut, LAST_SEGMENT, Segment, Segments};

/// A segment has the spool's bytes divided by this number, within the bounds below. Room is made by
/// whole segments, and damage costs the rest of a segment. Small segments keep both losses small.
const SEGMENTS: u64 = 1024;
const SEGMENT_MIN: u64 = 256 << 10;
/// The least number of full segments that a small spool can have.
const SEGMENTS_LEAST: u64 = 4;
const SEGMENT_MAX: u64 = 16 << 20;

/// The most segments dropped for one chunk when the disk is full. Other processes may use up the
/// room as soon as it is free; without this bound one chunk could then cost the whole spool.
const DROPS_FOR_A_CHUNK: usize = 4;

/// Chunks of one destination on a disk.
#[derive(Debug)]
pub struct Spool {
    disk: Box<dyn Disk>,
    /// The name of the format of the chunks. Each segment begins with it.
    format: &'static str,
    /// The bytes that this spool may grow to.
    share: u64,
    /// The most bytes that all segments together may have. More than `share` if they had more when
    /// the share was set. It then falls to the share as chunks are released.
    max_bytes: u64,
    /// No chunk is appended to a segment of this many bytes.
    segment_bytes: u64,
    segments: Segments,
    /// The start of the chunk that is handed out next.
    read: Position,
    /// The end of the last released chunk. The note stores it.
    released: Position,
    /// The end of the newest chunk that has arrived, on any connection.
    arrived: Position,
    /// A place after the start of the newest chunk that was begun, on any connection.
    begun: Position,
    handed_out: HandedOut,
    /// `released` has changed since it was last written to disk.
    is_note_due: bool,
    /// Segments of another format, until they are set aside.
    foreign: Vec<u64>,
    tally: SpoolTally,
    reads: Reads,
    events: SpoolEvents,
}

/// Counts of the lines that went through a spool, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolTally {
    /// Lines that were saved.
    pub saved_lines: u64,
    /// Lines of an earlier run, in chunks that were handed out or dropped since.
    pub found_lines: u64,
    /// Lines that were dropped before they arrived: because there was no room, or because they
    /// could not be written or read.
    pub dropped_lines: u64,
}

/// A chunk as it is handed out.
#[derive(Debug)]
pub struct Record {
    pub place: Position,
    pub bytes: Vec<u8>,
    pub lines: u32,
    /// It was acknowledged before, and is sent again.
    pub arrived: bool,
    /// A part of it was sent before.
    pub begun: bool,
}

/// Whether the disk can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Well,
    /// The last read failed. The next one is tried after the next flush.
    Resting,
    /// The last read failed, and the next one may be tried.
    Retrying,
}

impl Spool {
    /// Opens the spool on a disk, with the segments that an earlier run has left. `format` is the
    /// name of the format of the chunks. `share` is as for [`limit`](Self::limit). Fails if the
    /// disk cannot be read.
    ///
    /// Drops no chunk and renames no file: a reload opens spools before it is known whether the
    /// reload can be applied.
    pub fn open(mut disk: Box<dyn Disk>, format: &'static str, share: u64) -> io::Result<Self> {
        let is_ours = |file: &SegmentFile| file.number <= LAST_SEGMENT;
        let (there, foreign) = disk.segments()?.into_iter().partition::<Vec<_>, _>(is_ours);
        let released = Position::from_note(&disk.read_note()?).unwrap_or_default();
        // A number after all segments and after the note. Otherwise a new segment could have a
        // number that the note marks as released.
        let next_number =
            there.last().map_or(1, |newest| newest.number + 1).max(released.segment + 1);
        let mut spool = Self {
            disk,
            format,
            share,
            max_bytes: share,
            segment_bytes: 0,
            segments: Segments::new(next_number),
            read: released,
            released,
            arrived: Position::default(),
            begun: released,
            handed_out: HandedOut::default(),
            is_note_due: false,
            foreign: foreign.iter().map(|file| file.number).collect(),
            tally: SpoolTally::default(),
            reads: Reads::Well,
            events: SpoolEvents::default(),
        };
        for file in there {
            spool.adopt(file)?;
        }
        spool.remove_released();
        spool.write_due_note();
        spool.limit(share);
        Ok(spool)
    }

    /// Sets the bytes that the spool may grow to. Nothing is dropped: if the segments have more
    /// bytes already, they keep them until the chunks are sent, and only grow no further.
    pub fn limit(&mut self, share: u64) {
        self.share = share;
        self.max_bytes = share.max(self.bytes());
        let usual = (share / SEGMENTS).clamp(SEGMENT_MIN, SEGMENT_MAX);
        // A small share has several segments, too. Otherwise the open one alone would exceed it.
        self.segment_bytes = usual.min(share / SEGMENTS_LEAST);
    }

    /// Drops the oldest segment, because all spools together have too many bytes. Returns whether
    /// one was dropped.
    pub fn shrink(&mut self) -> bool {
        let has_dropped = self.drop_oldest();
        self.lower_max_bytes();
        has_dropped
    }

    /// Lowers the limit to what the segments have, but not below the share.
    fn lower_max_bytes(&mut self) {
        self.max_bytes = self.max_bytes.min(self.bytes()).max(self.share);
    }

    /// Returns the most bytes that all segments together may have.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Returns the bytes that all segments together have.
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Sets the segments of another format aside, because the destination could not read them.
    pub fn set_aside_foreign(&mut self) {
        for segment in mem::take(&mut self.foreign) {
            self.events.push(SpoolEvent::Foreign { segment });
            if let Err(error) = self.disk.set_aside(segment) {
                self.events.note_failure(DiskCall::SetAside, &error);
            }
        }
    }

    /// Adopts a segment of an earlier run. Removes it if all of it was released, or if a crash has
    /// torn its first line.
    fn adopt(&mut self, SegmentFile { number, bytes }: SegmentFile) -> io::Result<()> {
        let mut start = [0; PREAMBLE];
        let got = self.disk.read(number, 0, &mut start)?;
        let is_torn = got < PREAMBLE && preamble(self.format).starts_with(&start[..got]);
        if number < self.released.segment || is_torn {
            return self.disk.remove(number);
        }
        if start != preamble(self.format) {
            self.foreign.push(number);
            return Ok(());
        }
        let read_before = if number == self.released.segment { self.released.at } else { 0 };
        let found_until = Some(read_before.max(PREAMBLE as u64));
        self.segments.push(Segment { number, bytes, waiting_lines: 0, found_until });
        Ok(())
    }

    /// Saves a chunk. The oldest segments may be dropped to make room for it. A chunk that cannot
    /// be written is dropped and counted.
    pub fn save(&mut self, chunk: &Chunk) {
        let head = RecordHead::new(chunk.bytes(), chunk.lines());
        let cost = self.cost(head);
        while self.bytes() + cost > self.max_bytes && self.drop_oldest() {}
        if !self.make_last_room(head) {
            self.tally.dropped_lines += u64::from(head.lines);
            self.events.note_full();
            return;
        }
        let mut written = self.append(head, chunk.bytes());
        if DiskFailure::FileTooLarge.is_of(&written) {
            // `append` has closed the segment, so this writes to a new one.
            written = self.append(head, chunk.bytes());
        }
        if DiskFailure::Missing.is_of(&written) {
            self.find_missing();
            written = self.append(head, chunk.bytes());
        }
        for _ in 0..DROPS_FOR_A_CHUNK {
            if !DiskFailure::Full.is_of(&written) || !self.drop_for_full_disk() {
                break;
            }
            written = self.append(head, chunk.bytes());
        }
        match written {
            Ok(()) => {
                self.events.note_success();
                self.tally.saved_lines += u64::from(head.lines);
            }
            Err(error) => {
                self.tally.dropped_lines += u64::from(head.lines);
                self.events.note_failure(DiskCall::Write, &error);
            }
        }
    }

    /// Drops the open segment if a chunk does not fit beside it. Returns false if the chunk alone
    /// is larger than the spool may be.
    fn make_last_room(&mut self, head: RecordHead) -> bool {
        let cost = self.cost(head);
        let is_alone = self.segments.len() == usize::from(self.segments.is_open);
        if is_alone && self.segments.bytes() + cost > self.max_bytes {
            self.segments.is_open = false;
            self.drop_oldest();
            return self.cost(head) <= self.max_bytes;
        }
        true
    }

    /// Makes saved chunks survive a power cut, and checks that their files still exist. This blocks
    /// until the disk has written everything, so only a stop may call it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.find_missing();
        self.disk.restore()?;
        self.write_due_note();
        self.disk.sync()
    }

    /// Writes a record at the end of the open segment. Opens a new segment if there is none.
    fn append(&mut self, head: RecordHead, chunk: &[u8]) -> io::Result<()> {
        if self.disk.restore()? {
            self.is_note_due = true;
            self.find_missing();
        }
        if !self.segments.is_open {
            self.open_segment()?;
        }
        let segment = self.segments.newest_mut().expect("one is open");
        let number = segment.number;
        let at = segment.bytes;
        let written = self
            .disk
            .write(number, at, &head.to_bytes())
            .and_then(|()| self.disk.write(number, at + HEAD as u64, chunk));
        if written.is_err() {
            // A partly written record must be cut off, or all records after it would count as
            // damage. If it cannot be cut off, the segment is closed. It is also closed if it has
            // reached the limit of file size (`ulimit -f`).
            let is_cut = self.disk.cut(number, at).is_ok();
            self.segments.is_open = is_cut && !DiskFailure::FileTooLarge.is_of(&written);
            return written;
        }
        segment.bytes += head.record_bytes();
        segment.waiting_lines += u64::from(head.lines);
        self.segments.is_open = segment.bytes < self.segment_bytes;
        Ok(())
    }

    /// Creates the next segment and opens it.
    fn open_segment(&mut self) -> io::Result<()> {
        let number = self.segments.take_number();
        if let Err(error) = self.disk.write(number, 0, &preamble(self.format)) {
            // Otherwise a full disk would collect files with a torn first line.
            let _ = self.disk.remove(number);
            return Err(error);
        }
        let bytes = PREAMBLE as u64;
        self.segments.push(Segment { number, bytes, waiting_lines: 0, found_until: None });
        self.segments.is_open = true;
        Ok(())
    }

    /// Returns the bytes that a record adds to the disk.
    fn cost(&self, head: RecordHead) -> u64 {
        head.record_bytes() + if self.segments.is_open { 0 } else { PREAMBLE as u64 }
    }

    /// Drops the oldest segment because the disk is full. If only the open segment exists, that one
    /// is dropped. Returns whether a segment was dropped.
    fn drop_for_full_disk(&mut self) -> bool {
        let is_last = self.segments.len() == 1;
        if is_last && self.segments.is_open && self.segments.bytes() <= PREAMBLE as u64 {
            return false; // it is empty, so dropping it makes no room
        }
        self.segments.is_open &= !is_last;
        self.drop_oldest()
    }

    /// Drops the oldest segment, unless it is the open one. Returns whether it did.
    fn drop_oldest(&mut self) -> bool {
        if self.segments.len() <= usize::from(self.segments.is_open) {
            return false;
        }
        self.count_rest_of_found();
        let Some(oldest) = self.segments.pop_oldest() else { return false };
        // Lines that are handed out may still arrive. If they do not, `recall` counts them.
        let on_their_way = self.handed_out.lines_on_their_way(oldest.number);
        self.tally.dropped_lines += oldest.waiting_lines - on_their_way;
        self.unlink(oldest.number);
        self.events.note_full();
        true
    }

    /// Counts the lines of the oldest segment that were never read, before it is dropped.
    fn count_rest_of_found(&mut self) {
        let Some(&Segment { number, bytes, found_until: Some(mut at), .. }) =
            self.segments.oldest()
        else {
            return;
        };
        // Only the heads are read. This ends at a head that is damaged or cannot be read. From
        // there on only the number of bytes is known, not the number of lines.
        while let Ok(Some(head)) = self.read_head(Position { segment: number, at }, bytes) {
            at += head.record_bytes();
            self.count_found(Position { segment: number, at }, head);
        }
        if at < bytes {
            self.events.push(SpoolEvent::Damaged { segment: number, at, bytes: bytes - at });
        }
    }

    /// Counts the lines of a chunk of an earlier run, which ends at `end`, when it is first read. A
    /// chunk that is read again is not counted again.
    fn count_found(&mut self, end: Position, head: RecordHead) {
        let Some(segment) = self.segments.get_mut(end.segment) else { return };
        if segment.found_until.is_some_and(|until| until < end.at) {
            segment.found_until = Some(end.at);
            segment.waiting_lines += u64::from(head.lines);
            self.tally.found_lines += u64::from(head.lines);
        }
    }

    /// Hands out the oldest chunk that is not handed out yet. Returns `None` if there is none, or
    /// if the disk cannot be read now. Damaged records are cut off and skipped.
    pub fn take_next(&mut self) -> Option<Record> {
        loop {
            if self.is_resting() {
                return None;
            }
            self.read = self.segments.first_record_from(self.read)?;
            let start = self.read;
            let (head, bytes) = match self.read_record(start) {
                Ok(Some(record)) => record,
                Ok(None) => {
                    self.cut_damage(start);
                    continue;
                }
                Err(error) => {
                    self.note_read_error(start, &error);
                    continue;
                }
            };
            if mem::replace(&mut self.reads, Reads::Well) != Reads::Well {
                self.events.push(SpoolEvent::Recovered);
            }
            let end = Position { at: start.at + head.record_bytes(), ..start };
            self.count_found(end, head);
            self.read = end;
            let is_dropped = self.handed_out.is_dropped(start);
            let arrived = is_dropped || start < self.arrived;
            let lines = u64::from(head.lines);
            self.handed_out.push(HandedChunk { start, end, lines, arrived });
            // A dropped chunk is skipped. It is released together with another
            // chunk, or at once if no other chunk is handed out.
            if is_dropped {
                if self.handed_out.len() == 1 {
                    self.release(start);
                }
                continue;
            }
            let begun = start < self.begun;
            return Some(Record { place: start, bytes, lines: head.lines, arrived, begun });
        }
    }

    /// Handles an error of a read at `start`. After it, reading either continues at another place
    /// or rests. It must do one of both, because `take_next` reads again at once.
    fn note_read_error(&mut self, start: Position, error: &io::Error) {
        match DiskFailure::of(error) {
            DiskFailure::Missing if self.find_missing() => {}
            DiskFailure::Damage => {
                self.events.note_failure(DiskCall::Read, error);
                self.cut_damage(start);
            }
            _ => self.rest(error),
        }
    }

    /// Whether there is a chunk that is not handed out.
    pub fn has_more(&self) -> bool {
        self.segments.first_record_from(self.read).is_some()
    }

    /// Whether no chunk is handed out until [`wake`](Self::wake), because the last read failed.
    pub fn is_resting(&self) -> bool {
        self.reads == Reads::Resting
    }

    /// Lets reads be tried again after a failure, and checks whether the folder was removed, and
    /// whether a disk that has failed works again. Called at the end of each flush.
    pub fn wake(&mut self) {
        match self.disk.restore() {
            Ok(false) => probe(&mut *self.disk, &mut self.segments, self.format, &mut self.events),
            Ok(true) => {
                self.is_note_due = true;
                self.find_missing();
            }
            Err(error) => {
                if DiskFailure::of(&error) == DiskFailure::Missing {
                    self.find_missing();
                }
                self.events.note_failure(DiskCall::Restore, &error);
            }
        }
        if self.is_resting() {
            self.reads = Reads::Retrying;
        }
    }

    /// Reads nothing until [`wake`](Self::wake). The chunks stay on disk.
    fn rest(&mut self, error: &io::Error) {
        if self.reads == Reads::Well {
            self.events
                .push(SpoolEvent::Failing { what: DiskCall::Read, reason: error.to_string() });
        }
        self.reads = Reads::Resting;
    }

    /// Notes that a part of this chunk was sent. It must be handed out.
    pub fn note_begun(&mut self, place: Position) {
        self.begun = self.begun.max(place.past_start());
    }

    /// Notes that this chunk has arrived for the first time. It must be handed out.
    pub fn note_arrived(&mut self, place: Position) {
        let Some(chunk) = self.handed_out.note_arrived(place) else { return };
        self.arrived = self.arrived.max(chunk.end);
        let lines = chunk.lines;
        if let Some(segment) = self.segments.get_mut(place.segment) {
            segment.waiting_lines -= lines;
        }
    }

    /// Releases this chunk and all before it: they will not be sent again, whether they have
    /// arrived or their delivery is unknown.
    pub fn release(&mut self, place: Position) {
        if !self.handed_out.is_oldest_and_arrived(place) {
            // A chunk whose delivery is unknown no longer waits either.
            self.note_arrived(place);
        }
        while let Some(chunk) = self.handed_out.pop_up_to(place) {
            self.released = self.released.max(chunk.end);
        }
        self.remove_released();
        self.lower_max_bytes();
    }

    /// Takes back this chunk and all that were handed out after it. They will be handed out again.
    pub fn recall(&mut self, place: Position) {
        for chunk in self.handed_out.recall(place) {
            self.read = chunk.start;
            if !chunk.arrived && !self.segments.has(chunk.start.segment) {
                // Its segment was dropped meanwhile, so it cannot be handed out again.
                self.tally.dropped_lines += chunk.lines;
            }
        }
    }

    /// Drops a recalled chunk: it is not handed out again, and `lines` of it count as dropped.
    pub fn drop_recalled(&mut self, place: Position, lines: u32) {
        let Some(segment) = self.segments.get_mut(place.segment) else {
            return; // its segment was removed, and `recall` has counted its lines as dropped
        };
        segment.waiting_lines -= u64::from(lines);
        self.handed_out.note_dropped(place);
        self.tally.dropped_lines += u64::from(lines);
        self.arrived = self.arrived.max(place.past_start());
    }

    /// Returns the bytes of the chunks that are not released, with their heads.
    pub fn waiting_bytes(&self) -> u64 {
        self.segments.bytes_after(self.released)
    }

    /// Returns the lines that are known to wait here: neither arrived nor dropped. Of an earlier
    /// run, only the lines that were read so far are known.
    pub fn waiting_lines(&self) -> u64 {
        let without_segment =
            self.handed_out.lines_without_segment(|number| self.segments.has(number));
        self.segments.waiting_lines() + without_segment
    }

    pub fn tally(&self) -> SpoolTally {
        self.tally
    }

    /// Returns the longest time that one call to the disk has taken since the last call of this
    /// function.
    pub fn take_stall(&mut self) -> Duration {
        self.disk.take_stall()
    }

    /// Takes the events since the last call, which the log should show.
    pub fn take_events(&mut self) -> Vec<SpoolEvent> {
        self.events.take()
    }

    /// Returns the path, for messages.
    pub fn location(&self) -> String {
        self.disk.location()
    }

    /// Reads the record at this place. Returns `None` if there is no whole record, or if its
    /// checksum is wrong.
    fn read_record(&mut self, start: Position) -> io::Result<Option<(RecordHead, Vec<u8>)>> {
        let end = self.segments.get_mut(start.segment).map_or(0, |segment| segment.bytes);
        let Some(head) = self.read_head(start, end)? else { return Ok(None) };
        let mut bytes = vec![0; head.length as usize];
        let got = self.disk.read(start.segment, start.at + HEAD as u64, &mut bytes)?;
        Ok((got == bytes.len() && head.is_of(&bytes)).then_some((head, bytes)))
    }

    /// Reads the head of the record at this place. Returns `None` if it is damaged, or if the
    /// record would end after `end`.
    fn read_head(&mut self, start: Position, end: u64) -> io::Result<Option<RecordHead>> {
        let mut head = [0; HEAD];
        let got = self.disk.read(start.segment, start.at, &mut head)?;
        let head = RecordHead::from_bytes(head).filter(|_| got == HEAD);
        Ok(head.filter(|head| start.at + head.record_bytes() <= end))
    }

    /// Drops the rest of a segment that cannot be read from `start` on. Where the next record would
    /// begin is unknown, so all of the rest is lost.
    fn cut_damage(&mut self, start: Position) {
        let cut = self.disk.cut(start.segment, start.at);
        let on_their_way = self.handed_out.lines_on_their_way(start.segment);
        let Some(segment) = self.segments.get_mut(start.segment) else { return };
        let bytes = segment.bytes - start.at;
        segment.bytes = start.at;
        self.tally.dropped_lines += segment.waiting_lines - on_their_way;
        segment.waiting_lines = on_their_way;
        self.segments.close(start.segment);
        self.events.push(SpoolEvent::Damaged { segment: start.segment, at: start.at, bytes });
        if let Err(error) = cut {
            self.events.note_failure(DiskCall::Cut, &error);
        }
        self.remove_released();
    }

    /// Counts and forgets segments that another process has removed, or that belong to another
    /// server by now. Returns whether anything has changed.
    fn find_missing(&mut self) -> bool {
        let restored = self.disk.restore();
        let is_theirs =
            restored.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy);
        let is_new = matches!(restored, Ok(true));
        self.is_note_due |= is_new;
        let mut missing: Vec<u64> = self.segments.iter().map(|segment| segment.number).collect();
        missing
            .retain(|&number| is_theirs || self.disk.has(number).is_ok_and(|is_there| !is_there));
        if missing.is_empty() {
            return is_new;
        }
        let mut bytes = 0;
        let mut lines = 0;
        for &number in &missing {
            let Some(segment) = self.segments.remove(number) else { continue };
            bytes += segment.bytes;
            lines += segment.waiting_lines - self.handed_out.lines_on_their_way(number);
            self.handed_out.forget_dropped_of(number);
            let _ = self.disk.remove(number); // so that the disk closes its file, too
        }
        self.tally.dropped_lines += lines;
        self.events.push(SpoolEvent::Missing { segments: missing.len(), bytes, lines });
        self.remove_released();
        true
    }

    /// Removes the oldest segments as long as all chunks in them are released.
    fn remove_released(&mut self) {
        while let Some(oldest) = self.segments.oldest() {
            let number = oldest.number;
            let is_read = self.released >= Position { segment: number, at: oldest.bytes };
            let is_open = self.segments.is_open && self.segments.len() == 1;
            let is_empty = oldest.bytes <= PREAMBLE as u64 && !is_open;
            if !(is_read || is_empty) || self.handed_out.has_any_of(number) {
                break;
            }
            self.segments.pop_oldest();
            self.events.note_room();
            self.handed_out.forget_dropped_of(number);
            self.unlink(number);
        }
        self.is_note_due = true;
    }

    /// Writes the note of how far chunks are released, once for all releases of a turn. A failure
    /// costs no chunk: after a restart, some chunks are sent twice.
    pub fn write_due_note(&mut self) {
        if mem::take(&mut self.is_note_due)
            && let Err(error) = self.disk.write_note(&self.released.to_note())
        {
            self.events.note_failure(DiskCall::Write, &error);
        }
    }

    /// Removes the file of a segment. It is no failure if the file is missing already.
    fn unlink(&mut self, segment: u64) {
        if let Err(error) = self.disk.remove(segment)
            && DiskFailure::of(&error) != DiskFailure::Missing
        {
            self.events.note_failure(DiskCall::Remove, &error);
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.write_due_note();
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
