//! [`News`]: events of a spool that the log should show, each once while it lasts. The spool does
//! not log by itself, because it does not know the name of its sink.

use std::io;
use std::mem;

/// An event for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The oldest segment was removed to make room.
    Full,
    /// A segment was damaged at offset `at`. The `bytes` from there on were cut off.
    Damaged { segment: u64, at: u64, bytes: u64 },
    /// Another process has removed `segments` files. They had `bytes`, with `lines` that are lost.
    Missing { segments: usize, bytes: u64, lines: u64 },
    /// A segment that is not of this format was set aside.
    Foreign { segment: u64 },
    /// A call to the disk failed.
    Failing { what: &'static str, reason: String },
}

/// Collects events until the sink logs them. A disk that is full or fails is reported once, and
/// again only after it has worked in between.
#[derive(Debug, Default)]
pub(super) struct NewsQueue {
    events: Vec<News>,
    is_full: bool,
    is_failing: bool,
}

impl NewsQueue {
    pub(super) fn push(&mut self, event: News) {
        self.events.push(event);
    }

    pub(super) fn note_full(&mut self) {
        if !mem::replace(&mut self.is_full, true) {
            self.events.push(News::Full);
        }
    }

    /// Notes that a segment was read to its end, so there is room again.
    pub(super) fn note_room(&mut self) {
        self.is_full = false;
    }

    pub(super) fn note_failure(&mut self, what: &'static str, error: &io::Error) {
        if !mem::replace(&mut self.is_failing, true) {
            self.events.push(News::Failing { what, reason: error.to_string() });
        }
    }

    /// Notes that a chunk was saved, so the disk works again.
    pub(super) fn note_success(&mut self) {
        self.is_failing = false;
    }

    /// Returns the events since the last call.
    pub(super) fn take(&mut self) -> Vec<News> {
        mem::take(&mut self.events)
    }
}
