//! The interface of the formats.

use std::fmt::Debug;

use super::chunk::Chunks;
use crate::flush::Summary;

/// Writes the summaries of a flush to chunks in one format.
pub(super) trait Encoder: Debug {
    /// Begins a flush. Its lines have the timestamp `stamp`, in seconds since 1970.
    fn begin(&mut self, flush: u64, stamp: u64);

    /// Appends the lines of one summary.
    fn encode(&mut self, summary: &Summary<'_>);

    /// Ends the flush. The remaining lines become a chunk.
    fn end(&mut self);

    /// The chunks, from which the caller takes the sealed ones.
    fn chunks(&mut self) -> &mut Chunks;

    /// Returns the points left out since the last call, an entry for each reason.
    fn take_refused(&mut self) -> Vec<RefusedPoints> {
        Vec::new()
    }
}

/// Why a destination cannot store a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// InfluxDB reads the line as a comment.
    InfluxComment,
    /// InfluxDB has no such time.
    InfluxTooLate,
    /// The name is over `max_name_length`, since gmond's page would cut it off.
    GangliaNameTooLong,
    /// gmond uses the name for something else.
    GangliaNoMetric,
    /// The key does not fit in statsite's binary record.
    RecordKeyTooLong,
}

impl RefusalReason {
    /// Returns the reason as the log shows it.
    pub fn text(self) -> &'static str {
        match self {
            Self::InfluxComment => "InfluxDB takes a name that begins with # for a comment",
            Self::InfluxTooLate => "InfluxDB cannot store times after the year 2262",
            Self::GangliaNameTooLong => "the name is longer than max_name_length of [ganglia]",
            Self::GangliaNoMetric => "gmond does not store heartbeat and location as metrics",
            Self::RecordKeyTooLong => "statsite's record has no room for a key of over 65534 bytes",
        }
    }

    /// Returns what the operator can do.
    pub fn hint(self) -> &'static str {
        match self {
            Self::InfluxComment => {
                "fix the program that sends the name, or set a global_prefix in the namespace of [influxdb]"
            }
            Self::InfluxTooLate => {
                "fix the program that sends the time: after |T it must be in seconds since 1970"
            }
            Self::GangliaNameTooLong => {
                "fix the program that sends the name, or raise max_name_length of [ganglia]"
            }
            Self::GangliaNoMetric => {
                "fix the program that sends the name, or set prefix of [ganglia]"
            }
            Self::RecordKeyTooLong => {
                "shorten the prefixes and the suffix in the namespace of [exec], or lower [limits] max_key_length"
            }
        }
    }
}

/// The points that an encoder left out for one reason, because the destination cannot store them.
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedPoints {
    pub points: u64,
    pub reason: RefusalReason,
    /// The name of the first point left out.
    pub example: Vec<u8>,
}

impl RefusedPoints {
    /// Adds `points` points that a series called `name` would have been sent as.
    pub(super) fn add(all: &mut Vec<Self>, reason: RefusalReason, name: &[u8], points: usize) {
        let points = points as u64;
        match all.iter_mut().find(|refused| refused.reason == reason) {
            Some(refused) => refused.points += points,
            None => all.push(Self { points, reason, example: name.to_vec() }),
        }
    }
}
