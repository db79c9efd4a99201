//! `dump_messages`: the lines and binary messages received, in the log.
//!
//! A line of two bytes costs its sender far less than its log line costs the server. So one turn of the loop logs at most
//! [`LINES_PER_TURN`] of them. The others are counted and reported with the log lines that standard error did not accept.

use crate::logging;
use crate::protocol::{first_piece, is_binary, trimmed};

/// What is shown of a line.
const SHOWN_BYTES_MAX: usize = 200;

/// Lines logged in one turn: about a millisecond.
const LINES_PER_TURN: usize = 500;

#[derive(Debug)]
pub(super) struct Messages {
    is_wanted: bool,
    /// Lines that this turn may still log.
    left: usize,
    /// Lines of this turn that were not logged.
    passed_over: u64,
}

impl Messages {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, left: LINES_PER_TURN, passed_over: 0 }
    }

    pub(super) fn want(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    /// The next turn may log as many lines again.
    pub(super) fn end_turn(&mut self) {
        self.left = LINES_PER_TURN;
        match std::mem::take(&mut self.passed_over) {
            0 => {}
            lines => logging::pass_over(lines),
        }
    }

    pub(super) fn log_packet(&mut self, packet: &[u8]) {
        let mut rest = if self.is_on() { packet } else { b"" };
        while !rest.is_empty() {
            let (piece, behind) = first_piece(rest);
            self.log_line(piece);
            rest = behind;
        }
    }

    pub(super) fn log_line(&mut self, line: &[u8]) {
        let line = if is_binary(line) { line } else { trimmed(line) };
        if line.is_empty() || !self.is_on() {
            return;
        }
        let Some(left) = self.left.checked_sub(1) else {
            self.passed_over += 1;
            return;
        };
        self.left = left;
        let shown = &line[..line.len().min(SHOWN_BYTES_MAX)];
        let more = if shown.len() < line.len() { "..." } else { "" };
        log::info!("line=\"{}{more}\"", shown.escape_ascii());
    }

    /// Lines that the log's level keeps out are not missing.
    fn is_on(&self) -> bool {
        self.is_wanted && log::log_enabled!(log::Level::Info)
    }
}
