//! Taking chunks in, and making room for them.

use std::io;
use std::mem;

use super::record::{HEAD, Head, PREAMBLE, preamble};
use super::{Handed, News, Segment, Spool};
use crate::encode::chunk::Chunk;

impl Spool {
    /// Takes a chunk in. Older ones may make way for it; one that cannot be written is dropped.
    pub fn save(&mut self, chunk: &Chunk) {
        let head = Head::new(chunk.bytes(), chunk.lines());
        self.tally.saved_lines += u64::from(head.lines);
        while self.bytes_on_disk() + self.cost(head) > self.max_bytes && self.drop_oldest() {}
        let mut written = self.append(head, chunk.bytes());
        if written.as_ref().is_err_and(is_file_too_large) {
            written = self.append(head, chunk.bytes()); // in a segment of its own
        }
        while written.as_ref().is_err_and(is_for_want_of_room) && self.make_way() {
            written = self.append(head, chunk.bytes());
        }
        match written {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.tally.dropped_lines += u64::from(head.lines);
                self.fails("write", &error);
            }
        }
    }

    /// Makes what was saved outlive a power cut. It blocks: for a stop only.
    pub fn sync(&mut self) {
        if let Err(error) = self.disk.sync() {
            self.fails("sync", &error);
        }
    }

    fn append(&mut self, head: Head, chunk: &[u8]) -> io::Result<()> {
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
            // What was written in part must not stand before the next record. A segment that has reached the limit of a
            // file's size (`ulimit -f`) takes no more.
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
        let on_their_way = |handed: &&Handed| handed.start.segment == number && !handed.arrived;
        let on_their_way = self.handed.iter().filter(on_their_way).map(|handed| handed.lines);
        self.tally.dropped_lines += oldest.waiting_lines - on_their_way.sum::<u64>();
        if let Err(error) = self.disk.remove(number) {
            self.fails("remove", &error);
        }
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
