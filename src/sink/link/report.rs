//! What a link logs: `key=value`, one line a change.

use std::fmt;

use log::Level;

use super::outage::Outage;
use super::{Link, State};
use crate::config::{Carbon, Destination, DestinationKind, Protocol};
use crate::encode::chunk::Chunk;
use crate::sink::framing::Refused;
use crate::sink::outbox::Outbox;
use crate::time::Tick;

/// How much of a dropped chunk's first line is logged.
const LOGGED_BYTES: usize = 256;

impl Link {
    pub(super) fn log_state(&mut self, level: Level, outbox: &Outbox, now: Tick) {
        let attempts = self.outages.now().map_or(0, |outage| outage.attempts);
        let unsaid = if level == Level::Warn { self.outages.take_unsaid() } else { 0 };
        let unsaid = if unsaid > 0 { format!(" outages_before={unsaid}") } else { String::new() };
        let queued = outbox.queued_bytes();
        let (name, state) = (&self.name, &self.state);
        match (state, &self.history.last_error) {
            (State::BackingOff { until }, Some(error)) => log::log!(
                level,
                "sink={name} {state} address={} error={error:?} attempts={attempts}{unsaid} retry_ms={} queued_bytes={queued} hint=\"not there yet? tries go on, what is queued waits\"",
                self.remote,
                now.until(*until).as_millis(),
            ),
            _ => log::log!(level, "sink={name} {state} attempts={attempts} queued_bytes={queued}"),
        }
    }

    pub(super) fn log_poison(&self, chunk: &Chunk) {
        let line = chunk.bytes().split(|&byte| byte == b'\n').next().unwrap_or_default();
        log::warn!(
            "sink={} dropped_lines={} reason=\"connections break at this chunk while others pass\" first_line=\"{}\"",
            self.name,
            chunk.lines(),
            line[..line.len().min(LOGGED_BYTES)].escape_ascii(),
        );
    }

    /// Warns that the peer probably does not read what it is sent.
    pub(super) fn log_refused_connections(&self, outbox: &Outbox) {
        log::warn!(
            "sink={} state=refused address={} connections={} in_doubt={} queued_bytes={} reason=\"the peer closes each connection right after the first bytes, so it has probably read nothing\" hint=\"{}\"",
            self.name,
            self.remote,
            self.proof.early,
            outbox.tally().in_doubt,
            outbox.queued_bytes(),
            self.hint,
        );
    }

    /// `lines` of it and of those that were refused since the last of these.
    pub(super) fn log_refusal(&self, refused: &Refused, lines: u64) {
        let first = refused.chunk.bytes().split(|&byte| byte == b'\n').next().unwrap_or_default();
        log::warn!(
            "sink={} dropped_lines={lines} answer={:?} reason=\"refused, and would be again\" first_line=\"{}\"",
            self.name,
            refused.reason,
            first[..first.len().min(LOGGED_BYTES)].escape_ascii(),
        );
    }

    /// Of an outage that the log has not heard of it hears no end either.
    pub(super) fn log_recovery(&self, outage: &Outage, outbox: &Outbox, now: Tick) {
        log::log!(
            if outage.is_said { Level::Info } else { Level::Debug },
            "sink={} {} recovered attempts={} outage_seconds={:.1} dropped_lines={} queued_bytes={}",
            self.name,
            self.state,
            outage.attempts,
            (now - outage.since).as_secs_f64(),
            outbox.tally().dropped_lines - outage.dropped_lines,
            outbox.queued_bytes(),
        );
    }
}

/// Returns the hint for a destination that closes each connection right after the first bytes.
pub(super) fn hint(to: &Destination) -> String {
    let name = &to.name;
    match to.kind {
        DestinationKind::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => format!(
            "[{name}] protocol = plaintext is for carbon's port 2003; a port for pickle, such as 2004, takes protocol = pickle"
        ),
        DestinationKind::Carbon(_) => format!(
            "[{name}] protocol = pickle is for carbon's port 2004; a port for lines, such as 2003, takes protocol = plaintext"
        ),
        _ => {
            format!("check [{name}] address; the process at that port may expect another protocol")
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => write!(f, "state=idle"),
            Self::Resolving { .. } => write!(f, "state=resolving"),
            Self::Connecting { address, .. } => write!(f, "state=connecting address={address}"),
            Self::Up(connection) => write!(f, "state=up address={}", connection.address()),
            Self::BackingOff { .. } => write!(f, "state=backing_off"),
        }
    }
}
