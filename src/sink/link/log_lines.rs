//! [`LinkLog`]: the log lines of a link, except for those of its outages.

use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use log::Level;

use crate::config::Remote;
use crate::encode::chunk::Chunk;
use crate::logging::Bytes;
use crate::sink::advice::Advice;
use crate::sink::http::RefusedChunk;
use crate::sink::outbox::Outbox;
use crate::sink::state::SinkState;
use crate::time::Tick;

/// At most one refused chunk of each status is logged in this time. The lines of the others are
/// added to the next one of that status that is logged.
const QUIET: Duration = Duration::from_secs(60);

/// The most bytes of a chunk's first line that are logged.
const LOGGED_BYTES: usize = 256;

/// Logs the events of one link.
#[derive(Debug)]
pub(super) struct LinkLog {
    sink: String,
    advice: Rc<Advice>,
    /// The log shows that the destination is stalled.
    is_stalled: bool,
    /// An entry for each status that refuses a chunk: 400, 413 and 422.
    refused: Vec<RefusedStatus>,
}

/// The chunks that the peer refused with one HTTP status.
#[derive(Debug)]
struct RefusedStatus {
    status: u16,
    /// Until then none of them is logged.
    quiet_until: Tick,
    /// The lines of those that were not logged yet.
    unlogged_lines: u64,
}

impl LinkLog {
    pub(super) fn new(sink: &str, advice: Rc<Advice>) -> Self {
        Self { sink: sink.into(), advice, is_stalled: false, refused: Vec::new() }
    }

    pub(super) fn log_state(
        &self,
        level: Level,
        state: SinkState,
        address: Option<SocketAddr>,
        attempts: u32,
        outbox: &Outbox,
    ) {
        log::log!(
            level,
            sink = self.sink,
            state = state.name(),
            address = address.map(|address| address.to_string()),
            attempts,
            queued_bytes = outbox.queued_bytes();
            "the connection to the destination has changed its state"
        );
    }

    /// Logs when the destination stops to accept bytes over a connection that stays, and when it
    /// accepts them again.
    pub(super) fn note_stall(&mut self, is_stalled: bool, address: SocketAddr, outbox: &Outbox) {
        if mem::replace(&mut self.is_stalled, is_stalled) == is_stalled {
            return;
        }
        let unacked_bytes = outbox.unacked_bytes();
        let queued_bytes = outbox.queued_bytes();
        if is_stalled {
            log::warn!(
                sink = self.sink, state = "stalled", address:%, unacked_bytes, queued_bytes,
                reason = "the connection is up, and nothing was acknowledged for write_timeout",
                hint = self.advice.on_stall();
                "the destination does not read"
            );
        } else {
            log::info!(
                sink = self.sink, state = "up", address:%, unacked_bytes, queued_bytes;
                "the destination reads again"
            );
        }
    }

    /// Notes that the connection has ended.
    pub(super) fn forget_stall(&mut self) {
        self.is_stalled = false;
    }

    /// Logs that the peer probably reads nothing of what the server sends.
    pub(super) fn log_early_closes(&self, remote: &Remote, connections: u32, outbox: &Outbox) {
        log::warn!(
            sink = self.sink,
            state = "refused",
            address:% = remote,
            connections,
            in_doubt = outbox.tally().in_doubt,
            queued_bytes = outbox.queued_bytes(),
            reason = "it closes each connection right after the first bytes",
            hint = self.advice.wrong_protocol();
            "the destination has probably read nothing"
        );
    }

    /// Logs the lines in flight at the end of the connection, which are not sent again.
    pub(super) fn log_unconfirmed(&self, in_doubt: u64) {
        log::warn!(
            sink = self.sink,
            state = "unconfirmed",
            in_doubt,
            reason = "not acknowledged when the time was over",
            hint = self.advice.on_unconfirmed();
            "lines may not have arrived, and are not sent again"
        );
    }

    /// Logs a chunk that the peer refused, at most once in [`QUIET`] for each status. So the lines
    /// that are logged were all refused with the status that is shown.
    pub(super) fn log_refused(&mut self, refused: &RefusedChunk, now: Tick) {
        let known = self.of_status(refused.status);
        known.unlogged_lines += u64::from(refused.chunk.lines());
        if known.quiet_until <= now {
            known.quiet_until = now + QUIET;
            let lines = mem::take(&mut known.unlogged_lines);
            log::warn!(
                sink = self.sink,
                answer = refused.reason,
                dropped_lines = lines,
                reason = "the destination would refuse these lines again, so they are dropped",
                hint = if refused.status == 413 {
                    "raise max-body-size of InfluxDB"
                } else {
                    "fix the program that sends such names, tags or values; see first_line"
                },
                first_line:% = first_line(&refused.chunk);
                "the destination has refused lines"
            );
        }
    }

    fn of_status(&mut self, status: u16) -> &mut RefusedStatus {
        let known = self.refused.iter().position(|known| known.status == status);
        let at = known.unwrap_or_else(|| {
            let quiet_until = Tick::default();
            self.refused.push(RefusedStatus { status, quiet_until, unlogged_lines: 0 });
            self.refused.len() - 1
        });
        &mut self.refused[at]
    }

    /// Logs a chunk that was dropped because connections kept breaking at it. This is rare, since
    /// it takes several connections, so every such chunk is logged.
    pub(super) fn log_poison(&self, chunk: &Chunk) {
        log::warn!(
            sink = self.sink,
            dropped_lines = chunk.lines(),
            reason = "connections break at this chunk while others pass",
            hint = "the server continues with the next chunk; check the destination's log for first_line",
            first_line:% = first_line(chunk);
            "a chunk that breaks connections was dropped"
        );
    }
}

fn first_line(chunk: &Chunk) -> Bytes<'_> {
    let line = chunk.bytes().split(|&byte| byte == b'\n').next().unwrap_or_default();
    Bytes(&line[..line.len().min(LOGGED_BYTES)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::{influxdb, logged};

    #[test]
    fn refused_lines_are_logged_once_a_minute_for_each_status() {
        let to = influxdb("127.0.0.1:8086".parse().unwrap());
        let mut link_log = LinkLog::new(&to.name, Rc::new(Advice::new(&to)));
        logged();
        let mut log = |reason: &str, secs: u64| -> Vec<String> {
            let status = reason[..3].parse().unwrap();
            let chunk = Chunk::new(b"a 1\nb 2\n".to_vec(), 2, 1);
            let refused = RefusedChunk { chunk, status, reason: reason.into() };
            link_log.log_refused(&refused, Tick::from_millis(secs * 1000));
            logged().into_iter().map(|(_, line)| line).collect()
        };
        let is_logged = |lines: &[String], answer: &str, count: u64| {
            let wanted = format!(" answer=\"{answer}\" dropped_lines={count} ");
            lines.len() == 1 && lines[0].contains(&wanted)
        };
        let lines = log("400 Bad Request: one", 1);
        assert!(is_logged(&lines, "400 Bad Request: one", 2), "{lines:?}");
        assert!(log("400 Bad Request: two", 2).is_empty());
        let lines = log("413 Request Entity Too Large", 3);
        assert!(is_logged(&lines, "413 Request Entity Too Large", 2), "{lines:?}");
        assert!(log("413 Request Entity Too Large", 60).is_empty());
        let lines = log("400 Bad Request: three", 61);
        assert!(is_logged(&lines, "400 Bad Request: three", 4), "{lines:?}");
    }
}
