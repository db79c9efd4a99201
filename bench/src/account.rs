//! The account of a run: what became of the lines that were sent. The figures are those of the
//! kernel, of the server's admin port, and of the server's carbon.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use statsd_bench::{Clock, Sent, Traffic};

use crate::args::Send;
use crate::carbon::Carbon;
use crate::compare::proc;
use crate::report::{err, grouped};

/// The figures before anything was sent.
#[derive(Debug)]
pub(crate) struct Account {
    /// The UDP port of the server, if it is on this machine.
    udp: Option<u16>,
    drops: u64,
    admin: Option<(SocketAddr, Stats)>,
    carbon: Option<Carbon>,
}

/// The figures of the admin command `stats`, by name.
type Stats = BTreeMap<String, u64>;

/// Counters at carbon, in the server's default style: each line's value is that of one flush.
const COUNTS: &str = "stats_counts.";

/// Those of them that are the server's own.
const OWN: &str = "stats_counts.statsd.";

/// The figures that count losses in the server.
const LOSSES: [&str; 6] = [
    "bad_lines_seen",
    "samples_dropped",
    "series_rejected",
    "packets_truncated",
    "packets_refused",
    "udp_drops",
];

const RECEIVED: &str = "metrics_received";

/// The longest time to wait for a flush.
const PATIENCE: Duration = Duration::from_secs(75);

impl Account {
    pub(crate) fn open(send: &Send, udp: Option<u16>) -> Result<Self, String> {
        let listen = |address| {
            Carbon::listen(address).map_err(|error| format!("carbon at {address}: {error}"))
        };
        let carbon = send.carbon.map(listen).transpose()?;
        if let Some(carbon) = &carbon {
            carbon.forget();
            let prefixes = [COUNTS.to_owned(), OWN.to_owned(), own(RECEIVED)];
            prefixes.into_iter().chain(LOSSES.map(own)).for_each(|it| carbon.watch(&it));
        }
        let admin = send.admin.map(|address| Ok::<_, String>((address, stats(address)?)));
        Ok(Self { udp, drops: dropped(udp), admin: admin.transpose()?, carbon })
    }

    /// Waits for a flush after the end, if this program is the server's carbon. Returns the
    /// figures.
    pub(crate) fn close(self, traffic: &Traffic, sent: &Sent) -> Result<String, String> {
        let mut found = Found { errors: sent.errors, sent: sent.lines, ..Found::default() };
        if let Some(carbon) = &self.carbon {
            err("waiting for a flush …\n");
            until_flushed(carbon, sent.lines);
            let sum = |prefix: &str| carbon.watched(prefix).sum;
            found.received = Some(sum(&own(RECEIVED)));
            let counted = traffic.counted(sent.lines);
            let share = (sum(COUNTS) - sum(OWN)) / counted as f64;
            found.counted = Some(share).filter(|_| counted > 0);
            found.own = LOSSES.map(|loss| (loss.to_owned(), sum(&own(loss)))).into();
        }
        if let Some((address, before)) = &self.admin {
            found.admin = grown(before, &stats(*address)?);
        }
        found.dropped = self.udp.map(|_| dropped(self.udp).saturating_sub(self.drops));
        Ok(found.text())
    }
}

fn own(name: &str) -> String {
    format!("{OWN}{name} ")
}

fn dropped(udp: Option<u16>) -> u64 {
    udp.and_then(proc::queue).map_or(0, |queue| queue.drops)
}

/// Whether everything was received, or two flushes have arrived, of which the second began after
/// the end.
fn until_flushed(carbon: &Carbon, lines: u64) {
    let start = Clock::start();
    let flushes = carbon.watched(&own(RECEIVED)).lines;
    loop {
        let now = carbon.watched(&own(RECEIVED));
        let is_all = now.sum >= lines as f64;
        if is_all || now.lines >= flushes + 2 || start.elapsed() > PATIENCE {
            return;
        }
        Clock::sleep(Duration::from_millis(20));
    }
}

/// Asks the admin port for its figures.
fn stats(address: SocketAddr) -> Result<Stats, String> {
    let ask = || -> io::Result<Stats> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"stats\n")?;
        let lines = BufReader::new(stream).lines();
        let answer = lines.take_while(|line| line.as_ref().map_or(true, |line| line != "END"));
        Ok(figures(answer.collect::<io::Result<Vec<_>>>()?))
    };
    ask().map_err(|error| format!("admin port {address}: {error}"))
}

/// Reads `NAME: NUMBER` lines. A name may have colons.
fn figures(lines: impl IntoIterator<Item = String>) -> Stats {
    let figure = |line: String| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    lines.into_iter().filter_map(figure).collect()
}

/// Returns the figures that count losses and have grown, and their growth.
fn grown(before: &Stats, after: &Stats) -> Vec<(String, u64)> {
    let counts = |name: &str| name.ends_with("drops") || name.ends_with("bad_lines_seen");
    let of = after.iter().filter(|(name, _)| counts(name));
    of.map(|(name, now)| (name.clone(), now - before.get(name).unwrap_or(&0).min(now))).collect()
}

/// The figures, as far as the server and the kernel report them.
#[derive(Debug, Default)]
struct Found {
    sent: u64,
    errors: u64,
    /// Received lines, by the server's own counter.
    received: Option<f64>,
    /// The sums of counters that reached carbon, as a share of those sent.
    counted: Option<f64>,
    /// Dropped packets, by the kernel's counter.
    dropped: Option<u64>,
    own: Vec<(String, f64)>,
    admin: Vec<(String, u64)>,
}

impl Found {
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(received) = self.received {
            let lost = self.sent as f64 - received;
            let _ = writeln!(text, "received {received} lines by the server's count, lost {lost}");
        }
        if let Some(share) = self.counted {
            let _ = writeln!(text, "counted at carbon: {:.4} % of what was sent", share * 100.0);
        }
        if let Some(dropped) = self.dropped {
            let dropped = grouped(dropped);
            let _ = writeln!(text, "dropped by the kernel at the socket: {dropped} packets");
        }
        if self.received.is_some() || self.dropped.is_some() {
            let _ = writeln!(text, "refused when sending: {}", grouped(self.errors));
        }
        for (name, count) in &self.own {
            let _ = writeln!(text, "the server, at carbon: {name} {count}");
        }
        for (name, count) in &self.admin {
            let _ = writeln!(text, "the server, at its admin port: {name} +{count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_by_how_much_they_grew() {
        let stats = |drops, bad| {
            let lines = ["uptime: 7".to_owned(), format!("udp.[::1]:8125.drops: {drops}")];
            let bad = format!("messages.bad_lines_seen: {bad}");
            figures([&lines[..], &[bad]].concat())
        };
        let grown = grown(&stats(3, 5), &stats(10, 5));
        let expected = [("messages.bad_lines_seen", 0), ("udp.[::1]:8125.drops", 7)];
        assert_eq!(grown, expected.map(|(name, count)| (name.to_owned(), count)));
    }

    #[test]
    fn only_what_was_asked_is_told() {
        assert_eq!(Found { sent: 5, ..Found::default() }.text(), "");
        let found = Found {
            sent: 100,
            received: Some(97.0),
            counted: Some(0.97),
            dropped: Some(3),
            own: vec![("udp_drops".into(), 3.0)],
            ..Found::default()
        };
        assert_eq!(
            found.text(),
            "received 97 lines by the server's count, lost 3\n\
             counted at carbon: 97.0000 % of what was sent\n\
             dropped by the kernel at the socket: 3 packets\n\
             refused when sending: 0\n\
             the server, at carbon: udp_drops 3\n"
        );
    }
}
