//! Log lines about chunks that a link drops because the peer does not accept them.

use std::time::Duration;

use crate::encode::chunk::Chunk;
use crate::logging::Bytes;
use crate::sink::framing::RefusedChunk;
use crate::time::Tick;

/// At most one refused chunk of each status is logged in this time. The lines of the others are
/// added to the next one of that status that is logged.
const QUIET: Duration = Duration::from_secs(60);

/// The most bytes of a chunk's first line that are logged.
const LOGGED_BYTES: usize = 256;

/// Logs dropped chunks of one link.
#[derive(Debug)]
pub(super) struct DroppedChunks {
    sink: String,
    /// An entry for each status, of which there are two.
    refused: Vec<RefusedStatus>,
}

/// The chunks that the peer refused with one HTTP status.
#[derive(Debug)]
struct RefusedStatus {
    status: String,
    /// Until then none of them is logged.
    quiet_until: Tick,
    /// The lines of those that were not logged yet.
    unlogged_lines: u64,
}

impl DroppedChunks {
    pub(super) fn new(sink: &str) -> Self {
        Self { sink: sink.into(), refused: Vec::new() }
    }

    /// Logs a chunk that the peer refused, at most once in [`QUIET`] for each status. So the lines
    /// that are logged were all refused with the status that is shown.
    pub(super) fn log_refused(&mut self, refused: &RefusedChunk, now: Tick) {
        let events = self.of_status(refused.reason.split(' ').next().unwrap_or_default());
        events.unlogged_lines += u64::from(refused.chunk.lines());
        if events.quiet_until <= now {
            events.quiet_until = now + QUIET;
            let lines = std::mem::take(&mut events.unlogged_lines);
            log::warn!(
                sink = self.sink,
                answer = refused.reason,
                dropped_lines = lines,
                reason = "the destination would refuse these lines again, so they are dropped",
                hint = if refused.reason.starts_with("413") {
                    "raise max-body-size of InfluxDB"
                } else {
                    "fix the program that sends such names, tags or values; see first_line"
                },
                first_line:% = first_line(&refused.chunk);
                "the destination has refused lines"
            );
        }
    }

    fn of_status(&mut self, status: &str) -> &mut RefusedStatus {
        let known = self.refused.iter().position(|events| events.status == status);
        let at = known.unwrap_or_else(|| {
            let status = status.to_owned();
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
    use crate::sink::testing::logged;

    #[test]
    fn refused_lines_are_logged_once_a_minute_for_each_status() {
        let mut dropped = DroppedChunks::new("influxdb");
        logged();
        let mut log = |reason: &str, secs: u64| -> Vec<String> {
            let chunk = Chunk::new(b"a 1\nb 2\n".to_vec(), 2, 1);
            let refused = RefusedChunk { chunk, reason: reason.into() };
            dropped.log_refused(&refused, Tick::from_millis(secs * 1000));
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
