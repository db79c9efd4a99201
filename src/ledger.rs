//! The ledger: what the server counts about itself, and the warnings that come with it.
//!
//! The engine enters what happens to lines and samples. The shell around it enters what happens to
//! sockets, clients and the log. The counts are sent with each flush, and the loop logs the
//! warnings.

use crate::flush::{Own, OwnCounters};
use crate::protocol::Reject;
use crate::sender::Sender;
use crate::time::Tick;
use crate::warnings::{CloseReason, Warning, WarningKind, Warnings};

#[derive(Debug, Default)]
pub struct Ledger {
    own: OwnCounters,
    warnings: Warnings,
}

impl Ledger {
    /// Counts something.
    #[inline]
    pub fn count(&mut self, own: Own, more: u64) {
        self.own.add(own, more);
    }

    /// Adds a warning. `example` is what the log shows of its cause.
    pub fn warn(&mut self, what: WarningKind, example: &[u8]) {
        self.warnings.add(what, example);
    }

    /// Adds a warning about something that happened `times` times.
    pub fn warn_many(&mut self, what: WarningKind, times: u64, example: &[u8]) {
        self.warnings.add_many(what, times, example);
    }

    /// Sets the sender of the bytes that are read next. Warnings name it.
    pub fn set_sender(&mut self, sender: Sender) {
        self.warnings.set_sender(sender);
    }

    /// Counts a line that cannot be read.
    pub fn bad_line(&mut self, reject: Reject, line: &[u8]) {
        self.own.add(Own::BadLinesSeen, 1);
        self.warnings.add(WarningKind::BadLine(reject), line);
    }

    /// Counts a connection that was closed as soon as it was accepted.
    pub fn refuse_connection(&mut self, why: WarningKind) {
        self.own.add(Own::ConnectionsRefused, 1);
        self.warnings.add(why, b"");
    }

    /// Counts a connection that was closed because nothing moved on it.
    pub fn close_idle_connection(&mut self, why: CloseReason) {
        self.own.add(Own::IdleConnectionsClosed, 1);
        self.warnings.add(WarningKind::Closed(why), b"");
    }

    /// Counts a datagram of a sender that `allow_from` does not list.
    pub fn refuse_packet(&mut self) {
        self.own.add(Own::PacketsRefused, 1);
        self.warnings.add(WarningKind::SenderRefused, b"");
    }

    pub fn own(&self) -> &OwnCounters {
        &self.own
    }

    /// Ends the interval of the counters.
    pub(crate) fn tick(&mut self) {
        self.own.tick();
    }

    /// Returns the next warning that is due at `now`.
    pub fn due(&mut self, now: Tick) -> Option<Warning> {
        self.warnings.due(now)
    }
}
