//! Warnings about the input. The log shows one line a minute for each cause and sender, with the
//! number of events. `throttle.rs` has the rules.
//!
//! Adding a warning does not read the clock. The loop takes the warnings that are due and logs
//! them.

mod throttle;

use std::io;

pub use throttle::Throttled;

use self::throttle::Throttle;
use crate::encode::encoder::RefusalReason;
use crate::protocol::Reject;
use crate::sender::Sender;
use crate::time::Tick;

/// What a warning is about. Two values that differ are two causes, each with log lines of its own.
/// So the count of a line belongs to the reason that the line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningKind {
    BadLine(Reject),
    TooManySeries,
    /// All `timer_memory` is used.
    NoTimerMemory,
    /// All `passthrough_memory` is used.
    NoPassthroughMemory,
    /// The kernel dropped datagrams on our sockets.
    UdpDrops,
    /// A datagram socket cannot be read. The number is that of the system's error.
    ReadFailed(i32),
    /// The server closed a client's connection.
    Closed(CloseReason),
    /// `allow_from` of this section does not list the sender.
    NotAllowed(AllowFrom),
    /// A connection waits and cannot be accepted, as when no descriptor is left. The number is that
    /// of the system's error.
    AcceptsPaused(i32),
    /// An interval ended while the flush of the previous interval was still running.
    FlushOverrun,
    /// Tags of a dialect that is off, such as Influx's. The commas between them were dropped.
    /// The points look right without a warning.
    UnreadTags,
    /// Several values of a counter, gauge or key/value in one group. They may be a name with a
    /// colon.
    PackedValues,
    /// A tag has more values than `max_tag_values`. Further ones became `other`.
    TagValues,
    /// A destination cannot store a point, for this reason.
    PointRefused(RefusalReason),
    /// A packet was not read, because it is too long or incomplete.
    PacketLost(PacketLoss),
}

/// A section with the key `allow_from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowFrom {
    Udp,
    Tcp,
    Admin,
}

/// Why a packet was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketLoss {
    /// A datagram was longer than the buffer.
    Datagram,
    /// A packet of a framed stream is over the limit.
    FrameTooLong,
    /// A framed stream ended inside of a packet.
    FrameCutShort,
}

/// Why the server closed a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// All `[tcp] max_connections` were in use when a connection came.
    ConnectionRefused(LimitedBy),
    /// All `[admin] max_connections` were in use when a client came, and none was idle.
    AdminRefused(LimitedBy),
    /// The kernel did not let the server poll a new connection.
    NotPolled,
    /// A connection was silent for `[tcp] idle_timeout`.
    ConnectionIdle,
    /// An admin client sent no command for `[admin] idle_timeout`.
    AdminIdle,
    /// An admin client that was idle, watched, or did not read made room for a new one.
    AdminEvicted,
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
                "samples of new series were dropped, since the table of series is full",
                "fix the program that makes up names, or raise [limits] max_series or series_memory",
            ),
            Self::NoTimerMemory => WarningText::new(
                "samples_dropped",
                "samples of timers and sets were dropped, since timer_memory is used up",
                "raise [statsd] timer_memory",
            ),
            Self::NoPassthroughMemory => WarningText::new(
                "samples_dropped",
                "kv values and values with a timestamp were dropped, since passthrough_memory is used up",
                "raise [statsd] passthrough_memory",
            ),
            Self::UdpDrops => WarningText::new(
                "udp_drops",
                "the kernel dropped datagrams, since a receive buffer was full",
                "raise [udp] recv_buffer and the sysctl net.core.rmem_max",
            ),
            Self::ReadFailed(_) => WarningText::new(
                "reads_failed",
                "a datagram socket cannot be read",
                "the server tries again after half a second; check the memory and the network of this host",
            ),
            Self::Closed(reason) => reason.text(),
            Self::NotAllowed(section) => section.text(),
            Self::AcceptsPaused(_) => WarningText::new(
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
                "several values of a counter, gauge or key/value were each read as a sample",
                "if the colon belongs to the name, replace it in the client, or set [statsd] packed_values = timings",
            ),
            Self::TagValues => WarningText::new(
                "tag_values_replaced",
                "values of a tag became other, since the tag has max_tag_values of them",
                "fix the program that sends the tag, drop it with drop_tags in a rule, or raise max_tag_values",
            ),
            Self::PointRefused(reason) => WarningText::new(
                "points_refused",
                "points were left out, since a destination cannot store them",
                reason.hint(),
            ),
            Self::PacketLost(loss) => loss.text(),
            Self::FlushOverrun => WarningText::new(
                "flush_overruns",
                "a flush took longer than flush_interval",
                "raise [statsd] flush_interval, or check the processor and the memory of this host",
            ),
        }
    }

    /// Returns the reason of the warning, if its sentence does not state it.
    pub fn reason(self) -> Option<String> {
        match self {
            Self::BadLine(reject) => Some(reject.to_string()),
            Self::PointRefused(reason) => Some(reason.text().to_owned()),
            Self::ReadFailed(error) | Self::AcceptsPaused(error) => {
                Some(io::Error::from_raw_os_error(error).to_string())
            }
            _ => None,
        }
    }

    /// Whether the current sender caused it.
    fn is_a_senders(self) -> bool {
        !matches!(
            self,
            Self::UdpDrops
                | Self::ReadFailed(_)
                | Self::AcceptsPaused(_)
                | Self::FlushOverrun
                | Self::PointRefused(_)
        )
    }
}

impl AllowFrom {
    fn text(self) -> WarningText {
        match self {
            Self::Udp => WarningText::new(
                "senders_refused",
                "datagrams of a sender were refused, since [udp] allow_from does not list it",
                "add the sender's network to [udp] allow_from, or fix the address that the sender uses",
            ),
            Self::Tcp => WarningText::new(
                "senders_refused",
                "connections of a sender were refused, since [tcp] allow_from does not list it",
                "add the sender's network to [tcp] allow_from, or fix the address that the sender uses",
            ),
            Self::Admin => WarningText::new(
                "senders_refused",
                "a client was refused, since [admin] allow_from does not list it",
                "add the client's network to [admin] allow_from, or find out which program connects",
            ),
        }
    }
}

impl PacketLoss {
    fn text(self) -> WarningText {
        match self {
            Self::Datagram => WarningText::new(
                "packets_truncated",
                "datagrams over 64 KiB were dropped",
                "fix the sender: send fewer lines in each datagram",
            ),
            Self::FrameTooLong => WarningText::new(
                "packets_truncated",
                "packets of a framed unix stream were dropped, since they are over 64 KiB",
                "fix the sender: send fewer lines in each packet",
            ),
            Self::FrameCutShort => WarningText::new(
                "packets_truncated",
                "packets of a framed unix stream were dropped, since the stream ended inside of them",
                "find out why the client ended; it may send lines in place of the lengths that it began with",
            ),
        }
    }
}

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
            Self::NotPolled => WarningText::new(
                "connections_refused",
                "connections were refused, since the kernel lets the server poll no more descriptors",
                "raise fs.epoll.max_user_watches (sysctl), or free memory",
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
            Self::AdminEvicted => WarningText::new(
                "idle_connections_closed",
                "all [admin] max_connections are in use; a new client replaced an idle one or a watch",
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
pub type Warning = Throttled<WarningKind>;

/// The pending warnings.
#[derive(Debug, Default)]
pub struct Warnings {
    throttle: Throttle<WarningKind>,
    /// The sender of the bytes being read.
    sender: Sender,
}

impl Warnings {
    /// Sets the sender of the bytes that are read next. Warnings name it.
    pub fn set_sender(&mut self, sender: Sender) {
        self.sender = sender;
    }

    pub fn sender(&self) -> Sender {
        self.sender
    }

    /// Adds one warning. `line` is the example that the log shows.
    pub fn add(&mut self, what: WarningKind, line: &[u8]) {
        self.add_many(what, 1, line);
    }

    /// Adds a warning about something that happened `times` times. The first example since the last
    /// log line is kept.
    pub fn add_many(&mut self, what: WarningKind, times: u64, line: &[u8]) {
        let sender = if what.is_a_senders() { self.sender } else { Sender::Unknown };
        self.throttle.add(what, sender, times, line);
    }

    /// Adds a warning about something that `sender` has caused before, `times` times.
    pub fn add_about(&mut self, what: WarningKind, sender: Sender, times: u64, line: &[u8]) {
        self.throttle.add(what, sender, times, line);
    }

    /// Takes the warnings to be logged now.
    pub fn take_due(&mut self, now: Tick) -> Vec<Warning> {
        self.throttle.take_due(now)
    }

    /// Takes all warnings, for the end of the process. Their minutes may not be over.
    pub fn take_all(&mut self, now: Tick) -> Vec<Warning> {
        self.throttle.take_all(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Tick {
        Tick::from_millis(secs * 1000)
    }

    #[test]
    fn a_flood_is_one_line_a_minute_with_its_size() {
        let mut warnings = Warnings::default();
        let bad = WarningKind::BadLine(Reject::BadValue);
        warnings.add(bad, b"a:x|c\x00");
        let first = warnings.take_due(at(1)).remove(0);
        assert_eq!((first.count, first.example.as_slice()), (1, &b"a:x|c\x00"[..]));
        (0..1000).for_each(|_| warnings.add(bad, b"b:y|c"));
        warnings.add(WarningKind::NoTimerMemory, b"t:1|ms");
        assert_eq!(warnings.take_due(at(60))[0].what, WarningKind::NoTimerMemory);
        assert_eq!(warnings.take_due(at(60)), []);
        assert_eq!(warnings.take_due(at(61))[0].count, 1000);
        assert_eq!(warnings.take_due(at(200)), []);
    }

    /// Shows that a warning is never counted for a reason or a sender that another one has.
    #[test]
    fn a_count_belongs_to_its_reason_and_sender() {
        let mut warnings = Warnings::default();
        let noisy = Sender::Internet("10.0.0.1:1".parse().unwrap());
        let quiet = Sender::Internet("10.0.0.2:1".parse().unwrap());
        let kinds = [
            WarningKind::BadLine(Reject::BadValue),
            WarningKind::BadLine(Reject::NoType),
            WarningKind::NotAllowed(AllowFrom::Udp),
            WarningKind::NotAllowed(AllowFrom::Tcp),
            WarningKind::UnreadTags,
            WarningKind::TagValues,
            WarningKind::TooManySeries,
            WarningKind::NoTimerMemory,
            WarningKind::NoPassthroughMemory,
            WarningKind::PacketLost(PacketLoss::Datagram),
            WarningKind::PacketLost(PacketLoss::FrameTooLong),
            WarningKind::PacketLost(PacketLoss::FrameCutShort),
            WarningKind::Closed(CloseReason::ConnectionIdle),
            WarningKind::Closed(CloseReason::ConnectionRefused(LimitedBy::MaxConnections)),
            WarningKind::Closed(CloseReason::ConnectionRefused(LimitedBy::OpenFiles)),
        ];
        for kind in kinds {
            warnings.set_sender(noisy);
            warnings.add_many(kind, 1000, b"");
            warnings.set_sender(quiet);
            warnings.add(kind, b"");
        }
        // These warnings have no sender, and differ in their reasons.
        let [full, locked] = [libc::EMFILE, libc::ENOMEM];
        for kind in [
            WarningKind::AcceptsPaused(full),
            WarningKind::AcceptsPaused(locked),
            WarningKind::ReadFailed(locked),
            WarningKind::PointRefused(RefusalReason::InfluxComment),
            WarningKind::PointRefused(RefusalReason::RecordKeyTooLong),
        ] {
            warnings.add(kind, b"");
        }
        let lines = warnings.take_due(at(1));
        assert_eq!(lines.len(), 2 * kinds.len() + 5);
        for (pair, kind) in lines.chunks(2).zip(kinds) {
            let shown = |line: &Warning| (line.what, line.sender, line.count);
            assert_eq!(shown(&pair[0]), (kind, noisy, 1000));
            assert_eq!(shown(&pair[1]), (kind, quiet, 1));
        }
        assert!(lines[2 * kinds.len()..].iter().all(|line| line.sender == Sender::Unknown));
        let reason = WarningKind::AcceptsPaused(full).reason().unwrap();
        assert!(reason.contains("Too many open files"), "{reason}");
    }

    /// Shows that the hint for a refused point names the destination that refuses it.
    #[test]
    fn a_refused_point_has_the_hint_of_its_destination() {
        for (reason, named) in [
            (RefusalReason::InfluxComment, "[influxdb]"),
            (RefusalReason::InfluxTooLate, "|T"),
            (RefusalReason::GangliaNameTooLong, "max_name_length of [ganglia]"),
            (RefusalReason::GangliaNoMetric, "prefix of [ganglia]"),
            (RefusalReason::RecordKeyTooLong, "[limits] max_key_length"),
        ] {
            let kind = WarningKind::PointRefused(reason);
            let hint = kind.text().hint.unwrap();
            assert!(hint.contains(named), "{hint}");
            let is_ganglias = reason.text().contains("ganglia") || reason.text().contains("gmond");
            assert_eq!(hint.contains("ganglia"), is_ganglias, "{hint}");
            assert_eq!(kind.reason().as_deref(), Some(reason.text()));
        }
    }
}
