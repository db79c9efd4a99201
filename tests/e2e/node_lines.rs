//! Unusual lines, each sent to Node's statsd and to this server. Both must flush the same, or the
//! difference must be in the table `tests/vectors/node.tsv` and in `docs/protocol.md`.
//!
//! `UPDATE=1 cargo test --test e2e node_lines` writes the real results of both servers to the
//! table. The headings are left as they are, and must be set by hand.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::support::{
    Admin, Conf, DEADLINE, Daemon, FakeCarbon, NodeStatsd, Point, docs, send_packets, until,
    with_longer_intervals,
};

/// The packets of one interval. Node's socket buffer has room for them all.
const BATCH: usize = 60;

/// The result of each line in a server, as text.
type Results = Vec<String>;

/// A row of the table. In all texts `{}` stands for the name.
#[derive(PartialEq)]
struct Row {
    line: String,
    node: String,
    /// This server's result, if it differs from Node's.
    ours: Option<String>,
    /// This server's result with `packed_values = no`, if that differs from both.
    unpacked: Option<String>,
}

#[test]
fn unusual_lines_do_what_they_do_in_node_or_differ_as_documented() {
    let text = fs::read_to_string(table()).unwrap();
    let rows: Vec<Row> = text.lines().filter_map(Row::read).collect();
    let packets: Vec<String> = rows.iter().enumerate().map(|(at, row)| row.packet(at)).collect();
    let packets = &packets;
    let [node, ours, unpacked] = std::thread::scope(|servers| {
        let node = servers.spawn(|| of_node(packets));
        let ours = servers.spawn(|| of_ours(packets, "all"));
        let unpacked = servers.spawn(|| of_ours(packets, "no"));
        [node, ours, unpacked].map(|server| server.join().expect("the results of a server"))
    });
    let mut actual = rows.iter().enumerate().map(|(at, row)| Row {
        line: row.line.clone(),
        node: node[at].clone(),
        ours: (ours[at] != node[at] || unpacked[at] != node[at]).then(|| ours[at].clone()),
        unpacked: (unpacked[at] != ours[at]).then(|| unpacked[at].clone()),
    });
    let mut report = String::new();
    let mut written = String::new();
    for line in text.lines() {
        let Some(row) = Row::read(line) else {
            writeln!(written, "{line}").unwrap();
            continue;
        };
        let actual = actual.next().unwrap();
        if row != actual {
            write!(report, "table {row}\nnow   {actual}\n\n").unwrap();
        }
        writeln!(written, "{actual}").unwrap();
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(table(), written).unwrap();
    }
    report += &misplaced(&text);
    assert!(report.is_empty(), "\n{report}");
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/node.tsv")
}

/// Checks that each row that differs from Node follows a reason, and that the reason is the first
/// cell of a row of `docs/protocol.md`. Returns what is wrong.
fn misplaced(table: &str) -> String {
    let docs = docs::section("protocol.md", "## Differences from Node StatsD");
    let mut wrong = String::new();
    let mut has_reason = false;
    for line in table.lines() {
        if let Some(reason) = line.strip_prefix("# differs: ") {
            has_reason = true;
            if !docs.contains(&format!("\n| {} |", reason.replace('|', "\\|"))) {
                writeln!(wrong, "docs/protocol.md has no row {reason}").unwrap();
            }
        } else if line.starts_with("# ") {
            has_reason = false;
        } else if let Some(row) = Row::read(line)
            && row.ours.is_some() != has_reason
        {
            writeln!(wrong, "under the wrong heading: {row}").unwrap();
        }
    }
    wrong
}

impl Row {
    /// Returns `None` for an empty line, and for a heading, which begins with `# `.
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.starts_with("# ") {
            return None;
        }
        let mut cells = text.split('\t').map(str::to_owned);
        Some(Self {
            line: cells.next().unwrap(),
            node: cells.next().unwrap_or_default(),
            ours: cells.next(),
            unpacked: cells.next(),
        })
    }

    /// The packet, with the name of this row in it.
    fn packet(&self, at: usize) -> String {
        let line: String = serde_json::from_str(&format!("\"{}\"", self.line)).unwrap();
        line.replace("{}", &name(at))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\t{}", self.line, self.node)?;
        for cell in [&self.ours, &self.unpacked].into_iter().flatten() {
            write!(out, "\t{cell}")?;
        }
        Ok(())
    }
}

/// The name that the lines of a row use. None is part of another.
fn name(at: usize) -> String {
    format!("l{at:03}")
}

fn of_node(packets: &[String]) -> Results {
    let carbon = FakeCarbon::start();
    let counting = NodeStatsd::start(&carbon, 3600, "");
    let bad = bad_lines(counting.udp(), counting.admin(), packets);
    with_longer_intervals(2, |seconds| {
        let carbon = FakeCarbon::start();
        let flushing = NodeStatsd::start(&carbon, seconds, "percentThreshold: [],");
        results(&carbon, flushing.udp(), packets, &bad)
    })
}

fn of_ours(packets: &[String], packed_values: &str) -> Results {
    let conf = Conf::never_flushing().set("statsd", "packed_values", packed_values);
    let counting = Daemon::start(&conf);
    let bad = bad_lines(counting.udp(), counting.admin(), packets);
    with_longer_intervals(2, |seconds| {
        let carbon = FakeCarbon::start();
        let conf = Conf::sending_to(carbon.address(), &format!("{seconds}s"))
            .set("statsd", "percentiles", "")
            .set("statsd", "packed_values", packed_values);
        let flushing = Daemon::start(&conf);
        results(&carbon, flushing.udp(), packets, &bad)
    })
}

/// Sends one packet after the other, and returns the number of bad lines in each.
fn bad_lines(udp: SocketAddr, mut admin: Admin, packets: &[String]) -> Vec<u64> {
    let mut before = 0;
    let mut bad = Vec::new();
    for (at, packet) in packets.iter().enumerate() {
        send_packets(udp, [packet]);
        let now = until(DEADLINE, "a packet to be received", || {
            let counters = admin.ask("counters");
            let received = counter(&counters, "packets_received");
            (received == at as u64 + 1).then(|| counter(&counters, "bad_lines_seen"))
        });
        bad.push(now - before);
        before = now;
    }
    bad
}

/// The value of an own counter in a dump, which both servers write in their own way.
fn counter(dump: &str, name: &str) -> u64 {
    let at = dump.find(name).unwrap_or_else(|| panic!("no {name} in {dump}"));
    let digits = dump[at..].split(|byte: char| !byte.is_ascii_digit()).find(|run| !run.is_empty());
    digits.unwrap().parse().unwrap()
}

/// Sends the packets, and returns what was flushed for each. Returns `None` if those of a batch
/// fell into several intervals.
fn results(
    carbon: &FakeCarbon,
    udp: SocketAddr,
    packets: &[String],
    bad: &[u64],
) -> Option<Results> {
    let (mut last, _) = carbon.flush_after(0);
    let mut results = Results::new();
    for batch in packets.chunks(BATCH) {
        send_packets(udp, batch);
        let (stamp, mut points) = carbon.flush_after(last);
        last = stamp;
        let received = "stats_counts.statsd.packets_received";
        let received = points.iter().find(|point| point.name == received).map(Point::number);
        if received? != batch.len() as f64 {
            return None;
        }
        points.extend(carbon.points().into_iter().filter(|point| has_own_time(point, stamp)));
        for _ in batch {
            let at = results.len();
            results.push(result(&name(at), stamp, &points, bad[at]));
        }
    }
    Some(results)
}

/// Whether the point has the time that its line gave. All such times in the table are long past.
fn has_own_time(point: &Point, now: u64) -> bool {
    point.stamp + 24 * 3600 < now
}

/// What was flushed for a name: `c {} 1; t {} count=2 lower=1 sum=3 upper=2; bad 1`.
fn result(name: &str, stamp: u64, points: &[Point], bad: u64) -> String {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    for point in points.iter().filter(|point| point.name.contains(name)) {
        let Some((series, figure)) = series(&point.name) else { continue };
        let values = parts.entry(series).or_default();
        let equals = if figure.is_empty() { "" } else { "=" };
        write!(values, " {figure}{equals}{}", point.value).unwrap();
        if has_own_time(point, stamp) {
            write!(values, " T{}", point.stamp).unwrap();
        }
    }
    let parts = parts.iter().map(|(series, values)| series.replace(name, "{}") + values);
    let mut parts: Vec<String> = parts.collect();
    if bad > 0 {
        parts.push(format!("bad {bad}"));
    }
    if parts.is_empty() { "nothing".into() } else { parts.join("; ") }
}

/// Splits the name of a point in the kind and name of the series, and the figure. Returns `None`
/// for a figure that has no information of its own.
fn series(point: &str) -> Option<(String, &'static str)> {
    if let Some(name) = point.strip_prefix("stats_counts.") {
        return Some((format!("c {name}"), ""));
    }
    if let Some(name) = point.strip_prefix("stats.gauges.") {
        return Some((format!("g {name}"), ""));
    }
    if let Some(name) = point.strip_prefix("stats.sets.") {
        return Some((format!("s {}", name.replacen(".count", "", 1)), ""));
    }
    let name = point.strip_prefix("stats.timers.")?;
    let path = name.split(';').next().unwrap();
    let figures = ["count", "lower", "sum", "upper"];
    let figure = figures.into_iter().find(|figure| path.ends_with(&format!(".{figure}")))?;
    Some((format!("t {}", name.replacen(&format!(".{figure}"), "", 1)), figure))
}
