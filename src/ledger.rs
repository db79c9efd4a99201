//! The ledger: the server's own counters, and the warnings that come with them. Every drop of the
//! server is counted here.
//!
//! The engine enters what happens to lines and samples. The shell around it enters what happens to
//! sockets, clients and the log. The counts are sent with each flush, and the loop logs the
//! warnings.
//!
//! The ledger belongs to the engine, and the shell reaches it through
//! [`Engine::ledger_mut`](crate::engine::Engine::ledger_mut). A second one for the shell was
//! rejected: both need the sender and the time of the present input, and a flush would have to add
//! them up.
//!
//! [`Senders`] has what each sender has sent, and [`BadLines`] the last bad lines.

mod client_reports;
mod senders;

use std::collections::VecDeque;

use ahash::RandomState;

pub(crate) use client_reports::PREFIX as CLIENT_REPORT;
pub use client_reports::ReportedPackets;
pub use senders::{OtherSenders, SENDERS_MAX, SenderRecord, Senders};

use self::client_reports::ReportField;
use self::senders::InputTotals;
use crate::protocol::Reject;
use crate::sender::Sender;
use crate::series::AddError;
use crate::time::{Tick, UnixTime};
use crate::warnings::{AllowFrom, CloseReason, PacketLoss, Warning, WarningKind, Warnings};

/// The own counters and the pending warnings.
#[derive(Debug, Default)]
pub struct Ledger {
    own: OwnCounters,
    /// The refused lines and values by reason, since the start.
    rejects: [u64; Reject::ALL.len()],
    /// The values that rules with `drop = yes` dropped, since the start.
    dropped_by_rule: u64,
    /// The same for each rule, with its name, in file order.
    drops: Vec<(Box<str>, u64)>,
    /// The values of lines beside the first of each line, since the start.
    more_values: u64,
    warnings: Warnings,
    senders: Senders,
    bad_lines: BadLines,
    /// The bytes that were read as lines, since the start.
    bytes: u64,
    /// The series that samples have created, since the start.
    series_created: u64,
    /// The events of the state file for which the start had no room.
    not_restored: u64,
}

impl Ledger {
    /// Makes a ledger whose hashes of senders depend on `seeds`. Senders choose their addresses.
    pub fn new([a, b, c, d]: [u64; 4]) -> Self {
        let senders = Senders::new(RandomState::with_seeds(a, b, c, d));
        Self { senders, ..Self::default() }
    }

    /// Counts something.
    #[inline]
    pub fn count(&mut self, own: OwnCounter, more: u64) {
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

    /// Adds a warning about something that a sender has caused before, `times` times.
    pub fn warn_about(&mut self, what: WarningKind, sender: Sender, times: u64, example: &[u8]) {
        self.warnings.add_about(what, sender, times, example);
    }

    /// Sets the sender of the bytes that are read next. All input until the next call is counted
    /// for it, and warnings name it.
    #[inline]
    pub fn set_sender(&mut self, sender: Sender) {
        self.warnings.set_sender(sender);
        if !self.senders.is_current(sender) {
            let totals = self.input_totals();
            self.senders.change(sender, totals);
        }
    }

    /// Sets the peer that the warnings name until [`set_sender`](Self::set_sender) is called. It
    /// sends no lines: it is refused, or a client of the admin port.
    pub fn name_peer(&mut self, peer: Sender) {
        self.warnings.set_sender(peer);
    }

    /// Returns the number of the present sender: see [`Senders::current_id`].
    #[inline]
    pub fn sender_id(&self) -> u16 {
        self.senders.current_id()
    }

    /// Adds up the input that was counted so far, and returns the senders with it.
    pub fn count_senders(&mut self) -> &Senders {
        let totals = self.input_totals();
        self.senders.add_up(totals);
        &self.senders
    }

    /// Returns the senders, without the input since the last call of
    /// [`count_senders`](Self::count_senders).
    pub fn senders(&self) -> &Senders {
        &self.senders
    }

    /// Notes why a valid value of a line was dropped.
    #[inline]
    pub(crate) fn note_refusal(&mut self, error: AddError, line: &[u8]) {
        self.senders.refused(error, line);
    }

    /// Returns the last bad lines.
    pub fn bad_lines(&self) -> &BadLines {
        &self.bad_lines
    }

    /// Sets the time of a turn.
    pub fn set_now(&mut self, now: UnixTime) {
        let totals = self.input_totals();
        self.senders.set_now(now, totals);
    }

    /// Counts bytes that are read as lines.
    pub fn count_bytes(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Sets the number of series that samples have created since the start.
    #[inline]
    pub(crate) fn set_series_created(&mut self, series: u64) {
        self.series_created = series;
    }

    /// Forgets the input that was counted since the last change of the sender: it is from a state
    /// file.
    pub(crate) fn skip_restored(&mut self) {
        let totals = self.input_totals();
        self.senders.skip(totals);
    }

    /// Enters what a Datadog client of the present sender reports about itself with a counter of
    /// this name.
    #[cold]
    pub(crate) fn client_report(&mut self, name: &[u8], value: f64) {
        if let Some(field) = ReportField::of(name) {
            let totals = self.input_totals();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
            self.senders.report(field, value as u64, totals);
        }
    }

    fn input_totals(&self) -> InputTotals {
        let total = |own| self.own.total(own);
        InputTotals {
            packets: total(OwnCounter::PacketsReceived),
            lines: total(OwnCounter::MetricsReceived),
            bytes: self.bytes,
            series_created: self.series_created,
            values_refused: total(OwnCounter::SamplesDropped) + total(OwnCounter::SeriesRejected),
        }
    }

    /// The sender of the bytes that are being read.
    pub fn sender(&self) -> Sender {
        self.warnings.sender()
    }

    /// Counts a line that cannot be read.
    pub fn bad_line(&mut self, reject: Reject, line: &[u8]) {
        self.own.add(OwnCounter::BadLinesSeen, 1);
        self.rejects[reject as usize] += 1;
        self.senders.bad_line(reject);
        self.bad_lines.add(self.senders.now(), self.senders.current(), reject, line);
        self.warnings.add(WarningKind::BadLine(reject), line);
    }

    /// Counts valid values that the rule with this number dropped.
    pub fn drop_by_rule(&mut self, rule: u8, values: u64) {
        self.own.add(OwnCounter::SamplesDropped, values);
        self.dropped_by_rule += values;
        if let Some((_, drops)) = self.drops.get_mut(usize::from(rule)) {
            *drops += values;
        }
    }

    /// Sets the names of the rules. A rule whose name was known before keeps its count.
    pub(crate) fn set_rules<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.drops = names.map(|name| (name.into(), self.dropped_by(name))).collect();
    }

    /// Returns the number of values that the rule with this name has dropped since the start.
    pub fn dropped_by(&self, name: &str) -> u64 {
        self.drops.iter().find(|(known, _)| **known == *name).map_or(0, |(_, drops)| *drops)
    }

    /// Counts the values of a line beside its first.
    pub fn count_more_values(&mut self, more: u64) {
        self.more_values += more;
    }

    /// Returns the number of refused lines and values for each reason, since the start.
    pub fn bad_lines_by_reason(&self) -> impl Iterator<Item = (Reject, u64)> {
        Reject::ALL.into_iter().map(|reject| (reject, self.rejects[reject as usize]))
    }

    /// Returns the number of values that rules with `drop = yes` dropped, since the start.
    pub fn dropped_by_rule(&self) -> u64 {
        self.dropped_by_rule
    }

    /// Returns the number of samples since the start: values that were added to a series, or are
    /// passed through.
    ///
    /// It is computed from other totals, so that a line with one value needs no counter of its own.
    pub fn samples(&self) -> u64 {
        let none = [
            OwnCounter::BadLinesSeen,
            OwnCounter::EventsIgnored,
            OwnCounter::SamplesDropped,
            OwnCounter::SeriesRejected,
        ];
        let values = self.own.total(OwnCounter::MetricsReceived) + self.more_values;
        values.saturating_sub(none.into_iter().map(|own| self.own.total(own)).sum())
    }

    /// Counts a connection that was closed as soon as it was accepted.
    pub fn refuse_connection(&mut self, why: WarningKind) {
        self.own.add(OwnCounter::ConnectionsRefused, 1);
        self.warnings.add(why, b"");
    }

    /// Counts a connection that was closed because nothing moved on it.
    pub fn close_idle_connection(&mut self, why: CloseReason) {
        self.own.add(OwnCounter::IdleConnectionsClosed, 1);
        self.warnings.add(WarningKind::Closed(why), b"");
    }

    /// Counts a datagram of a sender that `allow_from` does not list.
    pub fn refuse_packet(&mut self) {
        self.own.add(OwnCounter::PacketsRefused, 1);
        self.warnings.add(WarningKind::NotAllowed(AllowFrom::Udp), b"");
    }

    /// Counts a packet that was not read, because it is too long or incomplete.
    pub fn lose_packet(&mut self, why: PacketLoss) {
        self.own.add(OwnCounter::PacketsTruncated, 1);
        self.warnings.add(WarningKind::PacketLost(why), b"");
    }

    /// Adds to a counter what an earlier run has counted in this interval.
    pub(crate) fn restore(&mut self, own: OwnCounter, count: u64) {
        self.own.restore(own, count);
    }

    /// Sets the number of events of the state file for which the start had no room.
    pub(crate) fn set_not_restored(&mut self, events: u64) {
        self.not_restored = events;
    }

    /// Returns the number of events of the state file for which the start had no room.
    pub fn not_restored(&self) -> u64 {
        self.not_restored
    }

    /// The own counters, for reading.
    pub fn own(&self) -> &OwnCounters {
        &self.own
    }

    /// Ends the interval of the counters.
    pub(crate) fn tick(&mut self) {
        self.own.tick();
    }

    /// Takes the warnings to be logged at `now`.
    pub fn take_warnings(&mut self, now: Tick) -> Vec<Warning> {
        self.warnings.take_due(now)
    }

    /// Takes all warnings, for the end of the process.
    pub fn take_last_warnings(&mut self, now: Tick) -> Vec<Warning> {
        self.warnings.take_all(now)
    }
}

/// A counter of the server itself. It is sent with every flush, also if it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnCounter {
    BadLinesSeen,
    PacketsReceived,
    MetricsReceived,
    EventsIgnored,
    SamplesDropped,
    SeriesRejected,
    PacketsTruncated,
    PacketsRefused,
    ConnectionsRefused,
    IdleConnectionsClosed,
    InfluxTagsSeen,
    FlushOverruns,
    UdpDrops,
    FiguresNotFinite,
    PointsRefused,
    LogLinesDropped,
}

impl OwnCounter {
    /// Every own counter and its name. `figures/table.rs` describes each.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::BadLinesSeen, "bad_lines_seen"),
        (Self::PacketsReceived, "packets_received"),
        (Self::MetricsReceived, "metrics_received"),
        (Self::EventsIgnored, "events_ignored"),
        (Self::SamplesDropped, "samples_dropped"),
        (Self::SeriesRejected, "series_rejected"),
        (Self::PacketsTruncated, "packets_truncated"),
        (Self::PacketsRefused, "packets_refused"),
        (Self::ConnectionsRefused, "connections_refused"),
        (Self::IdleConnectionsClosed, "idle_connections_closed"),
        (Self::InfluxTagsSeen, "influx_tags_seen"),
        (Self::FlushOverruns, "flush_overruns"),
        (Self::UdpDrops, "udp_drops"),
        (Self::FiguresNotFinite, "figures_not_finite"),
        (Self::PointsRefused, "points_refused"),
        (Self::LogLinesDropped, "log_lines_dropped"),
    ];

    /// The counters that Node StatsD has, too. `numStats` counts these alone.
    pub const OF_NODE: [Self; 3] =
        [Self::BadLinesSeen, Self::PacketsReceived, Self::MetricsReceived];

    /// The name, without `prefix_stats`.
    pub const fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

const LEN: usize = OwnCounter::ALL.len();

/// The own counters of the open interval, of the one being closed, and since the start.
#[derive(Clone, Debug, Default)]
pub struct OwnCounters {
    open: [u64; LEN],
    closing: [u64; LEN],
    total: [u64; LEN],
    /// The counts of an earlier run. They are sent, but are none since the start.
    restored: [u64; LEN],
}

impl OwnCounters {
    /// Adds to a counter of the open interval.
    pub fn add(&mut self, own: OwnCounter, more: u64) {
        self.open[own as usize] += more;
    }

    /// Adds what an earlier run has counted in this interval.
    pub(crate) fn restore(&mut self, own: OwnCounter, count: u64) {
        self.open[own as usize] += count;
        self.restored[own as usize] += count;
    }

    /// Ends the interval. Its counts are those that [`closing`](Self::closing) returns.
    pub fn tick(&mut self) {
        for (total, open) in self.total.iter_mut().zip(&self.open) {
            *total += open;
        }
        self.closing = std::mem::take(&mut self.open);
    }

    /// The names and counts of the interval before the tick.
    pub fn closing(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OwnCounter::ALL.iter().map(|(own, name)| (*name, self.closing[*own as usize]))
    }

    /// The names and counts of the open interval.
    pub fn open(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OwnCounter::ALL.iter().map(|(own, name)| (*name, self.open[*own as usize]))
    }

    /// The count since the start, including the open interval.
    pub fn total(&self, own: OwnCounter) -> u64 {
        self.total[own as usize] + self.open[own as usize] - self.restored[own as usize]
    }
}

/// The number of lines that are kept.
pub const BAD_LINES_KEPT: usize = 100;

/// The most bytes of a line that are kept.
pub const BAD_LINE_BYTES: usize = 200;

/// A line that was refused, or of which a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub time: UnixTime,
    /// The sender, with its port.
    pub sender: Sender,
    pub reason: Reject,
    /// The line, or its first [`BAD_LINE_BYTES`] bytes.
    pub line: Vec<u8>,
    /// Whether the line was longer.
    pub is_cut: bool,
}

/// The last bad lines, at most [`BAD_LINES_KEPT`].
#[derive(Debug, Default)]
pub struct BadLines {
    lines: VecDeque<BadLine>,
}

impl BadLines {
    /// Returns the last `most` lines, the oldest first.
    pub fn last(&self, most: usize) -> impl Iterator<Item = &BadLine> {
        self.lines.iter().skip(self.lines.len().saturating_sub(most))
    }

    /// Adds a line. The oldest one makes room, and its buffer is used again: a client may send
    /// nothing but bad lines.
    fn add(&mut self, time: UnixTime, sender: Sender, reason: Reject, line: &[u8]) {
        let oldest = (self.lines.len() == BAD_LINES_KEPT).then(|| self.lines.pop_front()).flatten();
        let mut kept = oldest.map(|oldest| oldest.line).unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(&line[..line.len().min(BAD_LINE_BYTES)]);
        let is_cut = line.len() > BAD_LINE_BYTES;
        self.lines.push_back(BadLine { time, sender, reason, line: kept, is_cut });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, (own, _)) in OwnCounter::ALL.iter().enumerate() {
            assert_eq!(*own as usize, at);
        }
    }

    #[test]
    fn a_tick_moves_the_open_interval_to_the_closing_one() {
        let mut own = OwnCounters::default();
        own.add(OwnCounter::UdpDrops, 3);
        own.tick();
        own.add(OwnCounter::UdpDrops, 4);
        assert!(own.closing().any(|counter| counter == ("udp_drops", 3)));
        assert!(own.open().any(|counter| counter == ("udp_drops", 4)));
        assert_eq!(own.total(OwnCounter::UdpDrops), 7);
        own.restore(OwnCounter::UdpDrops, 2);
        assert!(own.open().any(|counter| counter == ("udp_drops", 6)));
        assert_eq!(own.total(OwnCounter::UdpDrops), 7, "an earlier run counted the others");
        own.tick();
        assert_eq!(own.total(OwnCounter::UdpDrops), 7);
    }

    #[test]
    fn the_last_lines_are_kept_and_long_ones_are_cut() {
        let mut lines = BadLines::default();
        assert_eq!(lines.last(20).count(), 0);
        for number in 0..1000 {
            let line = format!("{number}{}", "x".repeat(number % 400));
            let time = UnixTime::from_millis(number as u64);
            lines.add(time, Sender::Stdin, Reject::NoValue, line.as_bytes());
        }
        let last: Vec<u64> = lines.last(3).map(|line| line.time.as_millis()).collect();
        assert_eq!(last, [997, 998, 999]);
        assert_eq!(lines.last(usize::MAX).count(), BAD_LINES_KEPT);
        for line in lines.last(usize::MAX) {
            let number = usize::try_from(line.time.as_millis()).unwrap();
            assert_eq!(line.line.len(), (3 + number % 400).min(BAD_LINE_BYTES));
            assert_eq!(line.is_cut, 3 + number % 400 > BAD_LINE_BYTES);
            assert!(line.line.capacity() <= 2 * BAD_LINE_BYTES);
        }
    }
}
