//! [`SpoolEvent`]: an event of a spool that the log should show, once while it lasts.
//! [`SpoolEvents`]: those that were not logged yet. The spool does not log by itself, because it
//! does not have the name of its sink.

use std::io;
use std::mem;

/// An event for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolEvent {
    /// The oldest segment was removed to make room.
    Full,
    /// A segment was damaged at offset `at`. The `bytes` from there on were cut off.
    Damaged { segment: u64, at: u64, bytes: u64 },
    /// Another process has removed `segments` files. They had `bytes`, with `lines` that are lost.
    Missing { segments: usize, bytes: u64, lines: u64 },
    /// A segment that is not of this format was set aside.
    Foreign { segment: u64 },
    /// A call to the disk failed.
    Failing { what: DiskCall, reason: String },
    /// The disk works again after a failure that was logged.
    Recovered,
}

/// A call to the disk of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskCall {
    Write,
    Read,
    /// Cuts a damaged end off a file.
    Cut,
    Remove,
    /// Renames a segment of another format.
    SetAside,
    /// Opens the folder again after another process has removed it.
    Restore,
}

impl DiskCall {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Cut => "cut",
            Self::Remove => "remove",
            Self::SetAside => "set_aside",
            Self::Restore => "restore",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Write | Self::Restore => {
                "check the disk of [spool] dir; until it works, chunks that do not fit the queue are dropped"
            }
            Self::Read => {
                "check the disk of [spool] dir; the chunks stay on it, and the server reads them again after the next flush"
            }
            Self::Cut | Self::Remove | Self::SetAside => {
                "check the disk of [spool] dir; the file stays, and takes room there"
            }
        }
    }
}

impl SpoolEvent {
    /// Logs the event. `sink` is the name of the destination, and `spool` the place of its spool.
    pub(in crate::sink) fn log(&self, sink: &str, spool: &str) {
        match self {
            Self::Full => log::warn!(
                sink, state = "full", spool, dropping = "oldest",
                hint = "raise [spool] max_size, or free the disk of [spool] dir";
                "the spool is full, and its oldest chunks are dropped"
            ),
            Self::Damaged { segment, at, bytes } => log::warn!(
                sink,
                damaged_at = at,
                cut_bytes = bytes,
                spool,
                file:% = format_args!("{segment:016x}.chunks"),
                reason = "torn by a crash, or damaged by the disk",
                hint = "the server skips these bytes and sends the rest; check the disk of [spool] dir";
                "a file of the spool is damaged"
            ),
            Self::Missing { segments, bytes, lines } => log::error!(
                sink, state = "missing", spool, files = segments, bytes, dropped_lines = lines,
                reason = "another process removed them",
                hint = "the server continues with new files; keep other processes out of [spool] dir";
                "files of the spool are missing"
            ),
            Self::Foreign { segment } => log::error!(
                sink,
                state = "set_aside",
                spool,
                file:% = format_args!("{segment:016x}.chunks"),
                reason = "not of this version and format",
                hint = "the server renames the file and does not send it; remove it if it is not needed";
                "a file of the spool cannot be read"
            ),
            Self::Failing { what, reason } => log::error!(
                sink, state = "failing", doing = what.name(), spool, error = reason, hint = what.hint();
                "the disk of the spool has failed"
            ),
            Self::Recovered => log::info!(
                sink, state = "recovered", spool;
                "the disk of the spool works again"
            ),
        }
    }
}

/// Collects events until the sink logs them. A disk that is full or fails is reported once, and
/// again only after it has worked in between.
#[derive(Debug, Default)]
pub(super) struct SpoolEvents {
    events: Vec<SpoolEvent>,
    is_full: bool,
    /// The call that has failed first since a chunk was saved last.
    failing: Option<DiskCall>,
}

impl SpoolEvents {
    pub(super) fn push(&mut self, event: SpoolEvent) {
        self.events.push(event);
    }

    pub(super) fn note_full(&mut self) {
        if !mem::replace(&mut self.is_full, true) {
            self.events.push(SpoolEvent::Full);
        }
    }

    /// Notes that a segment was read to its end, so there is room again.
    pub(super) fn note_room(&mut self) {
        self.is_full = false;
    }

    pub(super) fn note_failure(&mut self, what: DiskCall, error: &io::Error) {
        if self.failing.is_none() {
            self.failing = Some(what);
            self.events.push(SpoolEvent::Failing { what, reason: error.to_string() });
        }
    }

    /// Whether chunks could not be saved, and none was saved since.
    pub(super) fn is_unwritable(&self) -> bool {
        matches!(self.failing, Some(DiskCall::Write | DiskCall::Restore))
    }

    /// Notes that a chunk was saved or could be, so the disk works again.
    pub(super) fn note_success(&mut self) {
        if self.failing.take().is_some() {
            self.events.push(SpoolEvent::Recovered);
        }
    }

    /// Returns the events since the last call.
    pub(super) fn take(&mut self) -> Vec<SpoolEvent> {
        mem::take(&mut self.events)
    }
}
