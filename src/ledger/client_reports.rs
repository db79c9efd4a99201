//! What Datadog's clients report about themselves, compared with what has arrived from them.
//!
//! A client sends counters such as `datadog.dogstatsd.client.packets_sent` every ten seconds or so,
//! each with what it counted since the report before. The packet is the one unit that both sides
//! count in the same way: `.metrics` counts values before sampling and aggregation, and `.bytes_*`
//! counts characters in some clients.
//!
//! ```text
//!  the client:  ── packets ── report 1 ── packets ── report 2 ── …
//!  compared:                  └──── sent ≙ received ────┘
//! ```
//! The first report of a client is not compared. It counts packets that the server may not have
//! been there for.
//!
//! A report can be lost, too. Then the packets of its interval arrive without a number to compare
//! them with, and would hide what is lost later. Such a surplus is forgotten. A small surplus is
//! kept: some clients count a packet a moment after they have sent it, and report it with the next
//! interval.

use std::fmt;

/// How the names of all these counters begin.
pub(crate) const PREFIX: &[u8] = b"datadog.dogstatsd.client.";

/// The most sockets of one sender whose packets are counted.
const CLIENTS_MAX: usize = 64;

/// What a client reports with one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportField {
    /// Datagrams that it has passed to the kernel.
    PacketsSent {
        /// Whether the packets with reports are among them. They are for most clients.
        with_reports: bool,
    },
    /// Datagrams that it has dropped, for any reason.
    Dropped,
    /// Those that did not fit its queue, or stayed there for too long.
    DroppedQueue,
    /// Those that the kernel refused.
    DroppedWriter,
}

impl ReportField {
    /// Returns what a counter with this canonical name reports. Returns `None` if it is of no use
    /// here.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split(|byte| *byte == b';');
        Some(match parts.next()? {
            b"packets_sent" => {
                // hot-shots is the only one known to leave its reports out.
                Self::PacketsSent { with_reports: !parts.any(|tag| tag == b"client=nodejs") }
            }
            b"packets_dropped" => Self::Dropped,
            b"packets_dropped_queue" => Self::DroppedQueue,
            b"packets_dropped_writer" => Self::DroppedWriter,
            _ => return None,
        })
    }
}

/// What the clients of one sender have reported, and what has arrived of it. The unit is the
/// packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedPackets {
    /// Packets that the clients have passed to the kernel, between their first and their last
    /// report.
    pub sent: u64,
    /// Packets that have arrived of those. Never more than `sent`.
    pub received: u64,
    /// Packets that the clients have dropped themselves. They are not part of `sent`.
    pub dropped: u64,
    /// Those that did not fit a client's queue, or stayed there for too long.
    pub dropped_queue: u64,
    /// Those that the kernel of the client refused.
    pub dropped_writer: u64,
}

impl ReportedPackets {
    /// Returns the number of packets that were lost on their way.
    pub fn lost(self) -> u64 {
        self.sent - self.received
    }
}

/// Shows `sent 120,000 received 119,400 lost 600 (0.5 %)`.
impl fmt::Display for ReportedPackets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost();
        let [sent, received, gone] = [self.sent, self.received, lost].map(Grouped);
        write!(out, "sent {sent} received {received} lost {gone}")?;
        if lost > 0 {
            let percent = lost as f64 * 100.0 / self.sent as f64;
            match percent {
                0.1.. => write!(out, " ({percent:.1} %)")?,
                _ => out.write_str(" (below 0.1 %)")?,
            }
        }
        if self.dropped > 0 {
            let [all, queue, writer] =
                [self.dropped, self.dropped_queue, self.dropped_writer].map(Grouped);
            write!(out, " dropped_by_client {all} (queue {queue} writer {writer})")?;
        }
        Ok(())
    }
}

/// A number with a comma between groups of three digits.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return self.0.fmt(out);
        }
        write!(out, "{},{:03}", Self(self.0 / 1000), self.0 % 1000)
    }
}

/// The reports of the clients of one sender.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientReports {
    clients: Vec<ReportingClient>,
    /// What the clients report that are in `clients` no longer, and what all have dropped.
    past: ReportedPackets,
}

/// One socket of a client that reports.
#[derive(Clone, Debug)]
struct ReportingClient {
    /// It distinguishes the sockets of one sender. Those of a process with a unix socket have 0.
    port: u16,
    /// The packets that have arrived from it since the report before, with that report.
    packets: u64,
    sent: u64,
    received: u64,
    /// Packets that have arrived before the client has reported them.
    surplus: u64,
    /// The number of its last report among all reports of the sender.
    last_report: u64,
}

impl ClientReports {
    /// Whether no client has ever reported.
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Counts packets that have arrived from a port.
    pub(super) fn note_packets(&mut self, port: u16, packets: u64) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.port == port) {
            client.packets += packets;
        }
    }

    /// Adds a report that was in the last packet of a port. `may_lose` is true if packets of the
    /// sender can be lost on their way. Streams and unix sockets lose none.
    pub(super) fn add(&mut self, field: ReportField, value: u64, port: u16, may_lose: bool) {
        let with_reports = match field {
            ReportField::PacketsSent { with_reports } => with_reports,
            ReportField::Dropped => return add(&mut self.past.dropped, value),
            ReportField::DroppedQueue => return add(&mut self.past.dropped_queue, value),
            ReportField::DroppedWriter => return add(&mut self.past.dropped_writer, value),
        };
        let last_report =
            1 + self.clients.iter().map(|client| client.last_report).max().unwrap_or(0);
        // The packet with this report counts from now on, if it counts at all.
        let packets = u64::from(with_reports);
        let Some(client) = self.clients.iter_mut().find(|client| client.port == port) else {
            self.make_room();
            return self.clients.push(ReportingClient {
                port,
                packets,
                sent: 0,
                received: 0,
                surplus: 0,
                last_report,
            });
        };
        let arrived = std::mem::replace(&mut client.packets, packets).saturating_sub(1);
        client.compare(value, if may_lose { arrived } else { value });
        client.last_report = last_report;
    }

    /// Gives the place of the client whose last report is the oldest to a new one.
    fn make_room(&mut self) {
        if self.clients.len() < CLIENTS_MAX {
            return;
        }
        let clients = self.clients.iter().enumerate();
        let oldest = clients.min_by_key(|(_, client)| client.last_report);
        if let Some((at, _)) = oldest {
            self.clients.swap_remove(at).add_to(&mut self.past);
        }
    }

    /// Returns the sum of all clients, or `None` if there is nothing to compare yet.
    pub(super) fn sum(&self) -> Option<ReportedPackets> {
        let mut sum = self.past;
        self.clients.iter().for_each(|client| client.add_to(&mut sum));
        sum.dropped = sum.dropped.max(sum.dropped_queue.saturating_add(sum.dropped_writer));
        (sum != ReportedPackets::default()).then_some(sum)
    }
}

impl ReportingClient {
    /// Compares what was sent in an interval with what has arrived.
    fn compare(&mut self, sent: u64, arrived: u64) {
        let arrived = self.surplus.saturating_add(arrived);
        let received = arrived.min(sent);
        let surplus = arrived - received;
        self.surplus = if surplus <= (sent / 2).max(2) { surplus } else { 0 };
        add(&mut self.sent, sent);
        add(&mut self.received, received);
    }

    fn add_to(&self, sum: &mut ReportedPackets) {
        add(&mut sum.sent, self.sent);
        add(&mut sum.received, self.received);
    }
}

/// Clients may report any number.
fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PY: ReportField = ReportField::PacketsSent { with_reports: true };
    const NODE: ReportField = ReportField::PacketsSent { with_reports: false };

    #[test]
    fn the_counters_of_clients_are_known_by_their_names() {
        for (name, field) in [
            ("packets_sent;client=py;client_transport=udp", Some(PY)),
            ("packets_sent;client=nodejs;client_transport=udp", Some(NODE)),
            ("packets_sent", Some(PY)),
            ("packets_sent;x=client=nodejs", Some(PY)),
            ("packets_dropped;client=go", Some(ReportField::Dropped)),
            ("packets_dropped_queue;client=go", Some(ReportField::DroppedQueue)),
            ("packets_dropped_writer;client=go", Some(ReportField::DroppedWriter)),
            ("metrics;client=py", None),
            ("bytes_sent;client=py", None),
            ("packets_sent_x", None),
        ] {
            let name = format!("datadog.dogstatsd.client.{name}");
            assert_eq!(ReportField::of(name.as_bytes()), field, "{name}");
        }
        assert_eq!(ReportField::of(b"datadog.dogstatsd.packets_sent"), None);
    }

    #[test]
    fn reports_are_shown_as_people_read_them() {
        for (sent, received, dropped, shown) in [
            (120_000, 119_400, 0, "sent 120,000 received 119,400 lost 600 (0.5 %)"),
            (7, 7, 0, "sent 7 received 7 lost 0"),
            (1_234_567, 1_234_566, 0, "sent 1,234,567 received 1,234,566 lost 1 (below 0.1 %)"),
            (4, 0, 0, "sent 4 received 0 lost 4 (100.0 %)"),
            (
                1000,
                1000,
                5,
                "sent 1,000 received 1,000 lost 0 dropped_by_client 5 (queue 2 writer 3)",
            ),
        ] {
            let [dropped_queue, dropped_writer] = if dropped == 5 { [2, 3] } else { [0, 0] };
            let reported =
                ReportedPackets { sent, received, dropped, dropped_queue, dropped_writer };
            assert_eq!(reported.to_string(), shown);
        }
    }

    /// Sends packets and then a report of `sent` from a port. Of the packets, `lost` do not arrive.
    fn interval(reports: &mut ClientReports, field: ReportField, port: u16, sent: u64, lost: u64) {
        let packets = match field {
            NODE => sent,
            _ => sent - 1, // the packet with the report before is one of them
        };
        reports.note_packets(port, packets + 1 - lost);
        reports.add(field, sent, port, true);
    }

    #[test]
    fn a_client_that_loses_nothing_has_lost_nothing_and_others_have() {
        for field in [PY, NODE] {
            let mut reports = ClientReports::default();
            // The first report counts packets that may be from before.
            interval(&mut reports, field, 1, 5000, 4000);
            assert_eq!(reports.sum(), None);
            (0..10).for_each(|_| interval(&mut reports, field, 1, 100, 0));
            let sum = reports.sum().unwrap();
            assert_eq!((sum.sent, sum.received), (1000, 1000), "{field:?}");
            // A second process of the same sender.
            interval(&mut reports, field, 2, 50, 0);
            interval(&mut reports, field, 2, 50, 0);
            interval(&mut reports, field, 1, 100, 30);
            interval(&mut reports, field, 2, 50, 0);
            let sum = reports.sum().unwrap();
            assert_eq!((sum.sent, sum.received, sum.lost()), (1200, 1170, 30), "{field:?}");
        }
    }

    #[test]
    fn a_client_without_all_reports_hides_no_loss_of_another() {
        let mut reports = ClientReports::default();
        for _ in 0..2 {
            interval(&mut reports, PY, 1, 100, 10);
            reports.note_packets(2, 1001);
            reports.add(PY, 500, 2, true);
        }
        assert_eq!(reports.sum().unwrap().lost(), 10);
    }

    #[test]
    fn a_lost_report_hides_no_loss_and_a_late_count_is_none() {
        let mut reports = ClientReports::default();
        interval(&mut reports, PY, 1, 100, 0);
        interval(&mut reports, PY, 1, 100, 0);
        reports.note_packets(1, 100); // its report is lost
        interval(&mut reports, PY, 1, 100, 0);
        interval(&mut reports, PY, 1, 100, 7);
        assert_eq!(reports.sum().unwrap().lost(), 7);
        let mut reports = ClientReports::default();
        // Some packets are reported one interval later than they arrive.
        for arrived in [100, 110, 95, 100, 95, 100] {
            reports.note_packets(1, arrived);
            reports.add(PY, 100, 1, true);
        }
        assert_eq!(reports.sum().unwrap().lost(), 0);
    }

    #[test]
    fn what_cannot_be_lost_is_not_compared() {
        let mut reports = ClientReports::default();
        for value in [10, 20, 30] {
            reports.add(PY, value, 0, false);
        }
        reports.add(ReportField::DroppedWriter, 7, 0, false);
        let sum = reports.sum().unwrap();
        assert_eq!((sum.sent, sum.received, sum.dropped, sum.dropped_writer), (50, 50, 7, 7));
    }

    #[test]
    fn the_number_of_clients_is_bounded_and_their_sums_stay() {
        let mut reports = ClientReports::default();
        for port in 0..10_000 {
            interval(&mut reports, PY, port, 10, 0);
            interval(&mut reports, PY, port, 10, 1);
        }
        assert_eq!(reports.clients.len(), CLIENTS_MAX);
        let sum = reports.sum().unwrap();
        assert_eq!((sum.sent, sum.lost()), (100_000, 10_000));
        reports.add(PY, u64::MAX, 9_999, true);
        reports.add(PY, u64::MAX, 9_999, true);
        assert_eq!(reports.sum().unwrap().sent, u64::MAX);
        assert!(size_of::<ReportingClient>() <= 48);
    }
}
