//! Taking chunks in, and making room for them.

use std::io;
use std::mem;

use super::record::{HEAD, Head, PREAMBLE, preamble};
use super::{News, Segment, Spool, is_missing};
use crate::encode::chunk::Chunk;

/// The most segments dropped on a full disk for one chunk. If other processes take the room as soon
/// as it is free, the chunk is dropped.
const WAYS_MADE: usize = 4;

impl Spool {
    /// Takes a chunk in. Older ones may make way for it; one that cannot be written is dropped.
    pub fn save(&mut self, chunk: &Chunk) {
        let head = Head::new(chunk.bytes(), chunk.lines());
        // A chunk frees no more room than it needs, even if the limit was lowered and more must go.
        let (cost, before) = (self.cost(head), self.bytes_on_disk());
        while self.bytes_on_disk() + cost > self.max_bytes
            && before - self.bytes_on_disk() < cost
            && self.drop_oldest()
        {}
        let mut written = self.append(head, chunk.bytes());
        if written.as_ref().is_err_and(is_file_too_large) {
            written = self.append(head, chunk.bytes()); // in a segment of its own
        }
        if written.as_ref().is_err_and(is_missing) {
            self.find_missing();
            written = self.append(head, chunk.bytes());
        }
        for _ in 0..WAYS_MADE {
            if !written.as_ref().is_err_and(is_for_want_of_room) || !self.make_way() {
                break;
            }
            written = self.append(head, chunk.bytes());
        }
        match written {
            Ok(()) => {
                self.is_failing = false;
                self.tally.saved_lines += u64::from(head.lines);
            }
            Err(error) => {
                self.tally.dropped_lines += u64::from(head.lines);
                self.fails("write", &error);
            }
        }
    }

    /// Makes saved chunks survive a power cut, and checks that their files are still there. This
    /// blocks, so only a stop may call it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.find_missing();
        self.disk.restore()?;
        self.settle_note();
        self.disk.sync()
    }

    fn append(&mut self, head: Head, chunk: &[u8]) -> io::Result<()> {
        if self.disk.restore()? {
            self.is_note_due = true;
            self.find_missing();
        }
        if !self.is_open {
            self.open_segment()?;
        }
        let segment = self.segments.back().expect("one is open");
        let (number, at) = (segment.number, segment.bytes);
        let written = self
            .disk
            .write(number, at, &head.to_bytes())
            .and_then(|()| self.disk.write(number, at + HEAD as u64, chunk));
        let segment = self.segments.back_mut().expect("one is open");
        if let Err(error) = written {
            // A partly written record must not stay before the next one. A segment at the limit of
            // file size (`ulimit -f`) takes no more chunks.
            self.is_open = self.disk.cut(number, at).is_ok() && !is_file_too_large(&error);
            return Err(error);
        }
        segment.bytes += head.record_bytes();
        segment.waiting_lines += u64::from(head.lines);
        self.is_open = segment.bytes < self.segment_bytes;
        Ok(())
    }

    fn open_segment(&mut self) -> io::Result<()> {
        let number = self.next_number;
        self.next_number += 1;
        if let Err(error) = self.disk.write(number, 0, &preamble(self.format)) {
            let _ = self.disk.remove(number); // so that a full disk is not filled with torn first lines
            return Err(error);
        }
        let bytes = PREAMBLE as u64;
        self.segments.push_back(Segment { number, bytes, waiting_lines: 0, found_until: None });
        self.is_open = true;
        Ok(())
    }

    /// What a record adds to the disk.
    fn cost(&self, head: Head) -> u64 {
        head.record_bytes() + if self.is_open { 0 } else { PREAMBLE as u64 }
    }

    pub(super) fn bytes_on_disk(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// A full disk is a full spool: the oldest segment goes, if it is the only one also while it is written to.
    fn make_way(&mut self) -> bool {
        let is_last = self.segments.len() == 1;
        if is_last && self.is_open && self.bytes_on_disk() <= PREAMBLE as u64 {
            return false; // there is nothing in it
        }
        self.is_open &= !is_last;
        self.drop_oldest()
    }

    /// Drops the oldest segment, unless it is the one that is written to.
    pub(super) fn drop_oldest(&mut self) -> bool {
        if self.segments.len() <= usize::from(self.is_open) {
            return false;
        }
        self.count_rest_of_found();
        let Some(oldest) = self.segments.pop_front() else { return false };
        let number = oldest.number;
        // Those on their way may still arrive.
        self.tally.dropped_lines += oldest.waiting_lines - self.lines_on_their_way(number);
        self.unlink(number);
        if !mem::replace(&mut self.is_full, true) {
            self.news.push(News::Full);
        }
        true
    }
}

fn is_file_too_large(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FileTooLarge
}

/// A disk that fails for another reason keeps what it has: it may work again.
fn is_for_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
