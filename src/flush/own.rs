//! The server's own counters: how many of what was seen, refused and lost. Every drop of the server
//! is in this table.

/// Each is sent as a counter of its own every flush, and never deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
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

impl Own {
    /// Every own counter, its name, and what it counts.
    pub const ALL: [(Self, &'static str, &'static str); 16] = [
        (Self::BadLinesSeen, "bad_lines_seen", "values and lines refused"),
        (Self::PacketsReceived, "packets_received", "datagrams, empty ones too"),
        (Self::MetricsReceived, "metrics_received", "lines that were not empty"),
        (Self::EventsIgnored, "events_ignored", "DogStatsD events and service checks"),
        (
            Self::SamplesDropped,
            "samples_dropped",
            "sound values dropped by a rule or for want of memory",
        ),
        (Self::SeriesRejected, "series_rejected", "sound values of new series past max_series"),
        (Self::PacketsTruncated, "packets_truncated", "datagrams cut by the kernel, not parsed"),
        (
            Self::PacketsRefused,
            "packets_refused",
            "datagrams of senders that allow_from does not name",
        ),
        (
            Self::ConnectionsRefused,
            "connections_refused",
            "connections past max_connections, or of clients that allow_from does not name",
        ),
        (
            Self::IdleConnectionsClosed,
            "idle_connections_closed",
            "clients closed: by idle_timeout, for a new admin client, or because an admin client did not read",
        ),
        (Self::InfluxTagsSeen, "influx_tags_seen", "lines whose Influx tags were not read as tags"),
        (Self::FlushOverruns, "flush_overruns", "flushes due before the one before had ended"),
        (Self::UdpDrops, "udp_drops", "datagrams the kernel dropped on our sockets"),
        (Self::FiguresNotFinite, "figures_not_finite", "figures left out: no finite number"),
        (
            Self::PointsRefused,
            "points_refused",
            "points left out that a destination cannot store: too long a name, a time it does not have",
        ),
        (
            Self::LogLinesDropped,
            "log_lines_dropped",
            "log lines that standard error did not accept",
        ),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

const LEN: usize = Own::ALL.len();

/// The own counters of the open interval, of the one being closed, and since the start.
#[derive(Clone, Debug, Default)]
pub struct OwnCounters {
    open: [u64; LEN],
    closing: [u64; LEN],
    total: [u64; LEN],
}

impl OwnCounters {
    pub fn add(&mut self, own: Own, more: u64) {
        self.open[own as usize] += more;
    }

    /// Ends the interval: what was open is now to be sent.
    pub fn tick(&mut self) {
        for (total, open) in self.total.iter_mut().zip(&self.open) {
            *total += open;
        }
        self.closing = std::mem::take(&mut self.open);
    }

    /// The interval before the tick.
    pub fn closing(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Own::ALL.iter().map(|(own, name, _)| (*name, self.closing[*own as usize]))
    }

    /// The open interval.
    pub fn open(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Own::ALL.iter().map(|(own, name, _)| (*name, self.open[*own as usize]))
    }

    /// Since the start, the open interval included.
    pub fn total(&self, own: Own) -> u64 {
        self.total[own as usize] + self.open[own as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, (own, _, _)) in Own::ALL.iter().enumerate() {
            assert_eq!(*own as usize, at);
        }
    }

    #[test]
    fn a_tick_moves_the_open_interval_to_the_closing_one() {
        let mut own = OwnCounters::default();
        own.add(Own::UdpDrops, 3);
        own.tick();
        own.add(Own::UdpDrops, 4);
        assert!(own.closing().any(|counter| counter == ("udp_drops", 3)));
        assert!(own.open().any(|counter| counter == ("udp_drops", 4)));
        assert_eq!(own.total(Own::UdpDrops), 7);
    }
}
