//! Unusual lines, each sent to Node's statsd and to this server. Both must make the same of it, or
//! the difference must be in the table and in `docs/protocol.md`.
//!
//! `tests/vectors/node.tsv` has the table. `UPDATE=1 cargo test --test e2e node_lines` writes what
//! both servers really make of each line.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::support::{
    Admin, Conf, DEADLINE, Daemon, FakeCarbon, NodeStatsd, Point, send_packets, until,
};

/// The packets of one interval. Node's socket buffer has room for them all.
const BATCH: usize = 60;

/// What a server makes of each line, as text.
type Results = Vec<String>;

/// A row of the table. In the line and the results, `{}` stands for the name.
struct Row {
    line: String,
    node: String,
    /// What this server makes of the line, if that is not what Node makes of it.
    ours: Option<String>,
    /// The same with `packed_values = no`, if that is different again.
    unpacked: Option<String>,
}

#[test]
fn unusual_lines_do_what_they_do_in_node_or_differ_as_documented() {
    let text = fs::read_to_string(table()).unwrap();
    let rows: Vec<Row> = text.lines().filter_map(row).collect();
    let packets: Vec<String> = rows.iter().enumerate().map(|(at, row)| row.packet(at)).collect();
    let [node, ours] = std::thread::scope(|servers| {
        let packets = &packets;
        let node = servers.spawn(|| of_node(packets));
        let ours = servers.spawn(|| of_ours(packets));
        [node, ours].map(|server| server.join().expect("the results of a server"))
    });
    let actual: Vec<Row> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| Row {
            line: row.line.clone(),
            ours: (ours[at] != node[at]).then(|| ours[at].clone()),
            node: node[at].clone(),
            unpacked: None,
        })
        .collect();
    let mut actual = actual.iter().map(Row::to_string);
    let shown = |line: &str| match row(line) {
        Some(_) => actual.next().unwrap(),
        None => line.to_owned(),
    };
    let actual: Vec<String> = text.lines().map(shown).collect();
    if std::env::var_os("UPDATE").is_some() {
        return fs::write(table(), actual.join("\n") + "\n").unwrap();
    }
    let differ = text.lines().zip(&actual).filter(|(row, actual)| row != actual);
    let differ: Vec<String> =
        differ.map(|(row, actual)| format!("table {row}\nnow   {actual}\n")).collect();
    assert!(differ.is_empty(), "\n{}", differ.join("\n"));
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/node.tsv")
}

/// Reads a row. Returns `None` for an empty line, and for a heading, which begins with `# `.
fn row(text: &str) -> Option<Row> {
    if text.is_empty() || text.starts_with("# ") {
        return None;
    }
    let mut cells = text.split('\t').map(str::to_owned);
    Some(Row {
        line: cells.next().unwrap(),
        node: cells.next().unwrap_or_default(),
        ours: cells.next(),
        unpacked: cells.next(),
    })
}

impl Row {
    /// The packet, with the name of this row in it.
    fn packet(&self, at: usize) -> String {
        let line: String = serde_json::from_str(&format!("\"{}\"", self.line)).unwrap();
        line.replace("{}", &name(at))
    }

    fn to_string(&self) -> String {
        let cells =
            [Some(&self.line), Some(&self.node), self.ours.as_ref(), self.unpacked.as_ref()];
        let cells: Vec<&str> = cells.into_iter().flatten().map(String::as_str).collect();
        cells.join("\t")
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
    let carbon = FakeCarbon::start();
    let flushing = NodeStatsd::start(&carbon, 2, "percentThreshold: [],");
    results(&carbon, flushing.udp(), packets, &bad)
}

fn of_ours(packets: &[String]) -> Results {
    let counting = Daemon::start(&Conf::never_flushing());
    let bad = bad_lines(counting.udp(), counting.admin(), packets);
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "2s").set("statsd", "percentiles", "");
    let flushing = Daemon::start(&conf);
    results(&carbon, flushing.udp(), packets, &bad)
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

/// Sends the packets, and returns what was flushed for each.
fn results(carbon: &FakeCarbon, udp: SocketAddr, packets: &[String], bad: &[u64]) -> Results {
    let (mut last, _) = carbon.flush_after(0);
    let mut results = Results::new();
    for batch in packets.chunks(BATCH) {
        send_packets(udp, batch);
        let (stamp, points) = carbon.flush_after(last);
        last = stamp;
        let received =
            points.iter().find(|point| point.name == "stats_counts.statsd.packets_received");
        let received = received.map_or(f64::NAN, Point::number);
        assert_eq!(received, batch.len() as f64, "packets in one interval");
        for _ in batch {
            let at = results.len();
            results.push(result(&name(at), &points, bad[at]));
        }
    }
    results
}

/// What was flushed for a name: `c {} 1; t {} count=2 lower=1 sum=3 upper=2; bad 1`.
fn result(name: &str, points: &[Point], bad: u64) -> String {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    for point in points.iter().filter(|point| point.name.contains(name)) {
        let Some((series, figure)) = series(&point.name) else { continue };
        let value = parts.entry(series).or_default();
        *value += &match figure.is_empty() {
            true => format!(" {}", point.value),
            false => format!(" {figure}={}", point.value),
        };
    }
    let parts = parts.iter().map(|(series, values)| series.replace(name, "{}") + values);
    let mut parts: Vec<String> = parts.collect();
    if bad > 0 {
        parts.push(format!("bad {bad}"));
    }
    if parts.is_empty() { "nothing".into() } else { parts.join("; ") }
}

/// Splits the name of a point in the kind and name of the series, and the figure. Returns `None`
/// for a figure that says nothing more.
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
    let figures = ["count", "lower", "sum", "upper"];
    let figure = figures.into_iter().find(|figure| {
        let path = name.split(';').next().unwrap();
        path.ends_with(&format!(".{figure}"))
    })?;
    Some((format!("t {}", name.replacen(&format!(".{figure}"), "", 1)), figure))
}
