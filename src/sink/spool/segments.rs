//! The segments that a spool has: their sizes, and the lines that wait in them. Pure.

use std::collections::VecDeque;

use super::position::Position;
use super::record::PREAMBLE;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Lines known to be in it that have neither arrived nor been dropped.
    pub(super) waiting_lines: u64,
    /// In a segment of an earlier run: up to where its lines are counted.
    pub(super) found_until: Option<u64>,
}

/// All segments, oldest first.
#[derive(Debug)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    /// The newest segment is of this run, and takes more chunks.
    pub(super) is_open: bool,
    next_number: u64,
}

impl Segments {
    /// No segments yet. The first that is made gets `next_number`.
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

    /// Returns the number for a segment that is about to be written. A number is never used twice.
    pub(super) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Adds a segment after all others.
    pub(super) fn push(&mut self, segment: Segment) {
        self.list.push_back(segment);
    }

    /// Takes the oldest segment out. If it was the open one, none is open after that.
    pub(super) fn pop_oldest(&mut self) -> Option<Segment> {
        let oldest = self.list.pop_front();
        self.is_open &= !self.list.is_empty();
        oldest
    }

    /// Takes a segment out. If it was the open one, none is open after that.
    pub(super) fn remove(&mut self, number: u64) -> Option<Segment> {
        let at = self.list.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.is_open &= at + 1 < self.list.len();
        self.list.remove(at)
    }

    /// Ends the open segment if it is this one.
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

    /// Bytes of records that begin at `released` or after it.
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
