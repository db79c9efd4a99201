//! The interface of the formats, and why a format leaves a point out.

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

    /// Returns the points left out since the last call, an entry for each reason and sender.
    fn take_refused(&mut self) -> Vec<RefusedPoints> {
        Vec::new()
    }
}

/// Why a destination cannot store a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The name has two dots in a row, or one at an end: it would share its file with another one,
    /// or no browser would show the file.
    EmptyElement,
    /// No file or folder can have the name of an element.
    ElementTooLong,
    /// No file can have the path.
    PathTooLong,
    /// Carbon would close the connection.
    LineTooLong,
    /// InfluxDB reads the line as a comment.
    InfluxComment,
    /// InfluxDB stores no such key.
    InfluxKeyTooLong,
    /// The destination is InfluxDB over UDP, and no datagram can hold the line.
    InfluxLineTooLong,
    /// The destination is a repeater over UDP, and no datagram can hold the line of a client.
    RepeatedLineTooLong,
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
            Self::EmptyElement => {
                "the name has an empty path element: a..b has the file of a.b, and Graphite does not show a."
            }
            Self::ElementTooLong => {
                "no file can have the name: a path element is over 255 bytes, or the last over 251"
            }
            Self::PathTooLong => "no file can have the name: without tags it is over 4000 bytes",
            Self::LineTooLong => "the line is longer than the 16384 bytes that carbon reads",
            Self::InfluxKeyTooLong => {
                "InfluxDB stores no measurement with tags and field of over 65531 bytes"
            }
            Self::InfluxLineTooLong => {
                "the line for InfluxDB is longer than the 65507 bytes that a datagram can hold"
            }
            Self::RepeatedLineTooLong => {
                "the line for a repeater is longer than the 65507 bytes that a datagram can hold"
            }
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
            Self::EmptyElement => {
                "fix the program that sends the name, or set [statsd] squeeze_dots = yes"
            }
            Self::ElementTooLong | Self::PathTooLong => {
                "fix the program that sends the name, or let it send the long part as a tag"
            }
            Self::LineTooLong => {
                "shorten the name or its tags where they are made, or set [carbon] protocol = pickle"
            }
            Self::InfluxKeyTooLong => {
                "shorten the name or its tags where they are made, or lower [limits] max_key_length"
            }
            Self::InfluxLineTooLong => {
                "shorten the name or its tags where they are made, or set [influxdb] protocol = http"
            }
            Self::RepeatedLineTooLong => {
                "fix the program that sends such long lines, or set [repeater] protocol = tcp"
            }
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

/// The points of one sender that an encoder left out for one reason, because the destination cannot
/// store them.
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedPoints {
    pub points: u64,
    pub reason: RefusalReason,
    /// The name of the series of the first point left out.
    pub example: Vec<u8>,
    /// The number of the sender of the series. 0 if it is unknown, or not distinguished.
    pub sender: u16,
}

/// The most reasons and senders that are distinguished until the entries are taken. The points of
/// further senders share one entry for each reason.
const REFUSED_MAX: usize = 64;

impl RefusedPoints {
    /// Adds `points` points that a series would have been sent as.
    #[cold]
    pub(super) fn add(
        all: &mut Vec<Self>,
        reason: RefusalReason,
        summary: &Summary<'_>,
        points: usize,
    ) {
        let points = points as u64;
        let mut sender = summary.sender;
        let at = |all: &[Self], sender| {
            all.iter().position(|refused| refused.reason == reason && refused.sender == sender)
        };
        let mut known = at(all, sender);
        if known.is_none() && all.len() >= REFUSED_MAX {
            sender = 0;
            known = at(all, sender);
        }
        match known {
            Some(known) => all[known].points += points,
            None => all.push(Self { points, reason, example: summary.name.to_vec(), sender }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flush::Subject;

    #[test]
    fn the_points_of_each_sender_have_an_example_and_the_number_is_bounded() {
        let mut all = Vec::new();
        for sender in [1, 2, 1, 0] {
            let name = format!("bad.{sender}.");
            let summary = Summary::new(Subject::Gauge, name.as_bytes(), &[]);
            let summary = Summary { sender, ..summary };
            RefusedPoints::add(&mut all, RefusalReason::EmptyElement, &summary, 2);
        }
        let found: Vec<_> = all
            .iter()
            .map(|refused| (refused.sender, refused.points, &refused.example[..]))
            .collect();
        assert_eq!(found, [(1, 4, &b"bad.1."[..]), (2, 2, b"bad.2."), (0, 2, b"bad.0.")]);
        for sender in 1..=1000 {
            let summary = Summary { sender, ..Summary::new(Subject::Gauge, b"a.", &[]) };
            for reason in [RefusalReason::EmptyElement, RefusalReason::PathTooLong] {
                RefusedPoints::add(&mut all, reason, &summary, 1);
            }
        }
        assert!(all.len() <= REFUSED_MAX + 1, "{}", all.len());
        assert_eq!(all.iter().map(|refused| refused.points).sum::<u64>(), 8 + 2000);
    }
}
