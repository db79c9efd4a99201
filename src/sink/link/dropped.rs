//! Log lines about chunks that a link drops because the peer does not accept them.

use std::time::Duration;

use crate::encode::chunk::Chunk;
use crate::logging::Bytes;
use crate::sink::framing::RefusedChunk;
use crate::time::Tick;

/// At most one refused chunk is logged in this time. The lines of the others are added to the next
/// one that is logged.
const QUIET: Duration = Duration::from_secs(60);

/// The most bytes of a chunk's first line that are logged.
const LOGGED_BYTES: usize = 256;

/// Logs dropped chunks of one link.
#[derive(Debug)]
pub(super) struct DroppedChunks {
    sink: String,
    /// Until then no refused chunk is logged.
    quiet_until: Tick,
    /// Lines of refused chunks that were not logged yet.
    unlogged_lines: u64,
}

impl DroppedChunks {
    pub(super) fn new(sink: &str) -> Self {
        Self { sink: sink.into(), quiet_until: Tick::default(), unlogged_lines: 0 }
    }

    /// Logs a chunk that the peer refused, at most once in [`QUIET`].
    pub(super) fn log_refused(&mut self, refused: &RefusedChunk, now: Tick) {
        self.unlogged_lines += u64::from(refused.chunk.lines());
        if self.quiet_until <= now {
            self.quiet_until = now + QUIET;
            let lines = std::mem::take(&mut self.unlogged_lines);
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
