//! Warnings about the input. Each kind is logged at most once a minute, with the number of times it
//! happened.
//!
//! Adding a warning does not read the clock. The loop takes the warnings that are due and logs
//! them.

use std::time::Duration;

use crate::protocol::Reject;
use crate::sender::Sender;
use crate::time::Tick;

/// What a warning is about. All reasons of bad lines share one log line a minute, so that a flood
/// of bad lines is one line too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningKind {
    BadLine(Reject),
    TooManySeries,
    NoMemory,
    /// The kernel dropped datagrams on our sockets.
    UdpDrops,
    /// A datagram socket cannot be read.
    ReadFailed,
    /// The server closed a client's connection.
    Closed(CloseReason),
    /// A sender that `allow_from` of `[udp]` or `[tcp]` does not list.
    SenderRefused,
    /// A connection waits and cannot be accepted, as when no descriptor is left.
    AcceptsPaused,
    /// An interval ended before the flush of the one before had.
    FlushOverrun,
    /// Tags of a dialect that is off, such as Influx's. The commas between them were dropped, which
    /// looks like success.
    UnreadTags,
    /// Several values of a counter, gauge or key/value in one group. They may be a name with a
    /// colon.
    PackedValues,
    /// A destination cannot store a point.
    PointRefused,
    /// A datagram was longer than the buffer.
    PacketTruncated,
}

/// Why the server closed a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// All `[tcp] max_connections` were in use when a connection came.
    ConnectionRefused(LimitedBy),
    /// All `[admin] max_connections` were in use when a client came, and none was idle.
    AdminRefused(LimitedBy),
    /// `[admin] allow_from` does not list the client.
    AdminNotAllowed,
    /// A connection was silent for `[tcp] idle_timeout`.
    ConnectionIdle,
    /// An admin client sent no command for `[admin] idle_timeout`.
    AdminIdle,
    /// An idle admin client was closed to make room for a new one.
    AdminMadeWay,
    /// An admin client did not read its answer.
    AdminStalled,
}

/// Which limit bounds the number of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitedBy {
    /// The key `max_connections`.
    #[default]
    MaxConnections,
    /// The limit of open files, which leaves room for fewer clients than `max_connections`.
    OpenFiles,
}

/// What the log shows of a warning, beside its count, its sender and its example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarningText {
    /// The name of the field that holds the count.
    pub count_of: &'static str,
    /// What happened, and why.
    pub sentence: &'static str,
    /// What the operator can do.
    pub hint: Option<&'static str>,
}

impl WarningText {
    const fn new(count_of: &'static str, sentence: &'static str, hint: &'static str) -> Self {
        Self { count_of, sentence, hint: Some(hint) }
    }
}

impl WarningKind {
    /// Returns what the log shows of a warning of this kind.
    pub fn text(self) -> WarningText {
        match self {
            // What to do depends on the reason, which the log shows too.
            Self::BadLine(_) => WarningText {
                count_of: "bad_lines",
                sentence: "lines that are not valid were dropped",
                hint: None,
            },
            Self::TooManySeries => WarningText::new(
                "series_rejected",
                "samples of new series were dropped, since max_series is reached",
                "raise [limits] max_series, or fix the program that makes up names",
            ),
            Self::NoMemory => WarningText::new(
                "samples_dropped",
                "samples were dropped, since timer_memory or passthrough_memory is used up",
                "raise [statsd] timer_memory or passthrough_memory",
            ),
            Self::UdpDrops => WarningText::new(
                "udp_drops",
                "the kernel dropped datagrams, since a receive buffer was full",
                "raise [udp] recv_buffer and the sysctl net.core.rmem_max",
            ),
            Self::ReadFailed => WarningText::new(
                "reads_failed",
                "a datagram socket cannot be read",
                "the server tries again with the next datagram; check the memory and the network of this host",
            ),
            Self::Closed(reason) => reason.text(),
            Self::SenderRefused => WarningText::new(
                "senders_refused",
                "a sender was refused, since allow_from of [udp] or [tcp] does not list it",
                "add the sender's network to allow_from, or fix the address that the sender uses",
            ),
            Self::AcceptsPaused => WarningText::new(
                "accepts_paused",
                "connections cannot be accepted; the server tries again after half a second",
                "if no descriptor is left, raise the limit of open files (ulimit -n, LimitNOFILE=)",
            ),
            Self::UnreadTags => WarningText::new(
                "influx_tags_seen",
                "commas were dropped from names that look as if they had tags",
                "add their dialect to [statsd] tag_formats: influx for name,k=v, signalfx for name[k=v], librato for name#k=v",
            ),
            Self::PackedValues => WarningText::new(
                "packed_lines",
                "several values of one counter or gauge were each read as a sample",
                "if the colon belongs to the name, replace it in the client, or set [statsd] packed_values = timings",
            ),
            Self::PointRefused => WarningText::new(
                "points_refused",
                "a destination cannot store points: the name is too long, or it has no such time",
                "fix the program that sends the names, or raise max_name_length of [ganglia]",
            ),
            Self::PacketTruncated => WarningText::new(
                "packets_truncated",
                "datagrams over 64 KiB were dropped",
                "fix the sender: send fewer lines in each datagram",
            ),
            Self::FlushOverrun => WarningText::new(
                "flush_overruns",
                "a flush took longer than flush_interval",
                "raise [statsd] flush_interval, or check the processor and the memory of this host",
            ),
        }
    }

    /// Returns why a line was refused, for a warning about one.
    pub fn reason(self) -> Option<String> {
        match self {
            Self::BadLine(reject) => Some(reject.to_string()),
            _ => None,
        }
    }

    /// Whether the current sender caused it.
    fn is_a_senders(self) -> bool {
        !matches!(
            self,
            Self::UdpDrops
                | Self::ReadFailed
                | Self::AcceptsPaused
                | Self::FlushOverrun
                | Self::PointRefused
        )
    }

    /// The index of the kind. Warnings of one kind share one log line a minute.
    fn kind(self) -> usize {
        match self {
            Self::BadLine(_) => 0,
            Self::TooManySeries => 1,
            Self::NoMemory => 2,
            Self::UdpDrops => 3,
            Self::AcceptsPaused => 5,
            Self::FlushOverrun => 6,
            Self::UnreadTags => 7,
            Self::SenderRefused => 8,
            Self::ReadFailed => 9,
            Self::PointRefused => 10,
            Self::PacketTruncated => 11,
            Self::Closed(CloseReason::ConnectionRefused(_)) => 4,
            Self::Closed(CloseReason::AdminRefused(_)) => 12,
            Self::Closed(CloseReason::ConnectionIdle) => 13,
            Self::Closed(CloseReason::AdminIdle) => 14,
            Self::Closed(CloseReason::AdminMadeWay) => 15,
            Self::Closed(CloseReason::AdminStalled) => 16,
            Self::Closed(CloseReason::AdminNotAllowed) => 17,
            Self::PackedValues => 18,
        }
    }
}

const KINDS: usize = 19;

const RAISE_OPEN_FILES: &str = "raise the limit of open files (ulimit -n, LimitNOFILE=)";

impl CloseReason {
    fn text(self) -> WarningText {
        match self {
            Self::ConnectionRefused(LimitedBy::MaxConnections) => WarningText::new(
                "connections_refused",
                "connections were refused, since all [tcp] max_connections are in use",
                "raise [tcp] max_connections, or let clients share connections",
            ),
            Self::AdminRefused(LimitedBy::MaxConnections) => WarningText::new(
                "connections_refused",
                "clients were refused, since all [admin] max_connections are in use, and no client is idle",
                "raise [admin] max_connections, or find the clients that send too many commands (ss -tnp)",
            ),
            Self::ConnectionRefused(LimitedBy::OpenFiles) => WarningText::new(
                "connections_refused",
                "connections were refused, since the limit of open files is below [tcp] max_connections",
                RAISE_OPEN_FILES,
            ),
            Self::AdminRefused(LimitedBy::OpenFiles) => WarningText::new(
                "connections_refused",
                "clients were refused, since the limit of open files is below [admin] max_connections",
                RAISE_OPEN_FILES,
            ),
            Self::AdminNotAllowed => WarningText::new(
                "senders_refused",
                "a client was refused, since [admin] allow_from does not list it",
                "add the client's network to [admin] allow_from, or find out which program connects",
            ),
            Self::ConnectionIdle => WarningText::new(
                "idle_connections_closed",
                "connections were closed, since the client sent nothing for [tcp] idle_timeout",
                "many clients do not reconnect; [tcp] idle_timeout = 0 keeps silent connections open",
            ),
            Self::AdminIdle => WarningText::new(
                "idle_connections_closed",
                "connections were closed, since the admin client sent no command for [admin] idle_timeout",
                "raise [admin] idle_timeout, or close clients that are not needed",
            ),
            Self::AdminMadeWay => WarningText::new(
                "idle_connections_closed",
                "all [admin] max_connections are in use; a new client replaced the one idle longest",
                "raise [admin] max_connections, or lower [admin] idle_timeout",
            ),
            Self::AdminStalled => WarningText::new(
                "idle_connections_closed",
                "connections were closed, since the admin client did not read its answer for 30 s",
                "let the client read its answers, or request less at a time",
            ),
        }
    }
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub what: WarningKind,
    /// How often it happened since the last warning of its kind.
    pub count: u64,
    /// The first line that it happened to, at most 200 bytes of it. Empty if no line is to blame.
    pub example: Vec<u8>,
    /// The sender of the example.
    pub sender: Sender,
}

/// The pending warnings, one for each kind.
#[derive(Debug, Default)]
pub struct Warnings {
    kinds: [Pending; KINDS],
    /// The sender of the bytes being read.
    sender: Sender,
}

/// The warning of one kind that is not logged yet, and when it may be.
#[derive(Debug, Default)]
struct Pending {
    waiting: Option<Warning>,
    quiet_until: Tick,
}

const QUIET: Duration = Duration::from_secs(60);
const EXAMPLE_BYTES_MAX: usize = 200;

impl Warnings {
    /// Sets the sender of the bytes that are read next. Warnings name it.
    pub fn set_sender(&mut self, sender: Sender) {
        self.sender = sender;
    }

    /// Adds one warning. `line` is the example that the log shows.
    pub fn add(&mut self, what: WarningKind, line: &[u8]) {
        self.add_many(what, 1, line);
    }

    /// Adds a warning about something that happened `times` times. The first example since the last
    /// log line is kept.
    pub fn add_many(&mut self, what: WarningKind, times: u64, line: &[u8]) {
        let kind = &mut self.kinds[what.kind()];
        match &mut kind.waiting {
            Some(warning) => warning.count += times,
            None => {
                let example = line[..line.len().min(EXAMPLE_BYTES_MAX)].to_vec();
                let sender = if what.is_a_senders() { self.sender } else { Sender::Unknown };
                kind.waiting = Some(Warning { what, count: times, example, sender });
            }
        }
    }

    /// The next warning to be logged now.
    pub fn due(&mut self, now: Tick) -> Option<Warning> {
        let is_due = |kind: &&mut Pending| kind.waiting.is_some() && kind.quiet_until <= now;
        let kind = self.kinds.iter_mut().find(is_due)?;
        kind.quiet_until = now + QUIET;
        kind.waiting.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_with_its_size() {
        let mut warnings = Warnings::default();
        let at = |secs: u64| Tick::from_millis(secs * 1000);
        let bad = WarningKind::BadLine(Reject::BadValue);
        warnings.add(bad, b"a:x|c\x00");
        let first = warnings.due(at(1)).unwrap();
        assert_eq!((first.count, first.example.as_slice()), (1, &b"a:x|c\x00"[..]));
        (0..1000).for_each(|_| warnings.add(bad, b"b:y|c"));
        warnings.add(WarningKind::NoMemory, b"t:1|ms");
        assert_eq!(warnings.due(at(60)).unwrap().what, WarningKind::NoMemory, "another kind");
        assert_eq!(warnings.due(at(60)), None);
        assert_eq!(warnings.due(at(61)).unwrap().count, 1000);
        assert_eq!(warnings.due(at(200)), None);
    }
}
