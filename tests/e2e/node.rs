//! Node's statsd and this server get the same random traffic, and must send the same lines.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::{
    Admin, Conf, Daemon, FakeCarbon, NodeStatsd, Point, send_packets, traffic, until_true,
    with_longer_intervals,
};

/// The seconds between flushes, at first.
const INTERVAL: u64 = 2;
const PACKETS: usize = 120;
/// The series of one flush: each name with its value as it was written.
type Flush = BTreeMap<String, String>;

/// The settings of both servers for one comparison.
#[derive(Clone, Copy, Debug)]
struct Variant {
    style: &'static str,
    seed: u64,
    /// Delete idle series, and gauges after a second flush.
    deletes: bool,
    histogram: bool,
}

const PLAIN: Variant = Variant { style: "legacy", seed: 1, deletes: false, histogram: false };

const VARIANTS: [Variant; 9] = [
    PLAIN,
    Variant { seed: 20_260_117, ..PLAIN },
    Variant { seed: 0xdead_beef, ..PLAIN },
    Variant { style: "modern", ..PLAIN },
    Variant { style: "modern", seed: 20_260_117, ..PLAIN },
    Variant { style: "modern", seed: 0xdead_beef, ..PLAIN },
    Variant { deletes: true, ..PLAIN },
    Variant { histogram: true, seed: 7, ..PLAIN },
    Variant { style: "modern", deletes: true, histogram: true, seed: 8 },
];

/// Shows, for each variant, that two busy flushes and the idle ones after them hold the same names
/// with the same values, to the last digit, as Node's.
#[test]
fn every_line_equals_nodes_but_its_own_figures() {
    std::thread::scope(|threads| {
        for variant in VARIANTS {
            threads
                .spawn(move || with_longer_intervals(INTERVAL, |length| compare(variant, length)));
        }
    });
}

/// Shows that Node's `last_exception` is not set by a carbon that refuses every connection, as
/// `docs/operations.md` describes. This server sets its own.
#[test]
fn nodes_last_exception_ignores_a_carbon_that_is_not_there() {
    let carbon = FakeCarbon::absent();
    let node = NodeStatsd::start(&carbon, 1, "");
    let ours = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    let shown = |mut admin: Admin, figure: &str| admin.stats()[figure].parse::<u64>().unwrap();
    until_true("our failure", || shown(ours.admin(), "graphite.last_exception") < 60);
    // Node has flushed at least twice by then.
    until_true("Node's flushes", || shown(node.admin(), "uptime") >= 3);
    assert!(shown(node.admin(), "graphite.last_exception") > 1_000_000_000);
    assert!(shown(node.admin(), "graphite.last_flush") >= 3, "none has arrived: since the start");
}

/// Returns `None` if a burst fell into more than one flush of a server.
fn compare(variant: Variant, interval: u64) -> Option<()> {
    let (to_node, to_ours) = (FakeCarbon::start(), FakeCarbon::start());
    let node = NodeStatsd::start(&to_node, interval, &variant.of_node());
    let ours = Daemon::start(&variant.of_ours(&to_ours, interval));
    let busy = [0, 1].map(|burst| traffic::packets(variant.seed + burst, PACKETS));
    // Gauges are deleted one flush later than other series.
    let idle = vec![Vec::new(); if variant.deletes { 2 } else { 1 }];
    let bursts = [busy.to_vec(), idle].concat();
    let (expected, actual) = std::thread::scope(|sides| {
        let node = sides.spawn(|| flushes(&to_node, node.udp(), &bursts));
        let ours = sides.spawn(|| flushes(&to_ours, ours.udp(), &bursts));
        (node.join().expect("Node's flushes"), ours.join().expect("our flushes"))
    });
    // Without tags, a name with an empty path element is the file of another name, and so not sent.
    let (mut expected, actual) = (expected?, actual?);
    for flush in &mut expected {
        flush.retain(|name, _| name.contains(';') || !name.split('.').any(str::is_empty));
    }
    let lengths: Vec<_> = expected.iter().map(Flush::len).collect();
    assert!(lengths[..2].iter().all(|lines| *lines > 50), "Node's flushes: {lengths:?} lines");
    assert_eq!(lengths[2] > 50, !variant.deletes, "Node's flushes: {lengths:?} lines");
    let bins = |flush: &Flush| flush.keys().filter(|name| name.contains("histogram.bin_")).count();
    assert_eq!(bins(&expected[0]) >= 4, variant.histogram, "Node's bins");
    for (number, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
        let difference = difference(expected, actual);
        assert!(
            difference.is_empty(),
            "{variant:?}, flush {number} from 0:\n{}",
            difference.join("\n")
        );
    }
    assert_eq!(to_ours.broken_lines(), Vec::<String>::new());
    Some(())
}

impl Variant {
    fn of_node(self) -> String {
        let mut settings = String::from("percentThreshold: [50, 90, 99.9, -10],");
        if self.style == "modern" {
            settings += "graphite: { legacyNamespace: false },";
        }
        if self.deletes {
            settings += "deleteIdleStats: true, gaugesMaxTTL: 2,";
        }
        if self.histogram {
            settings += "histogram: [ { metric: 'api.latency', bins: [1, 10.5, 100, 'inf'] } ],";
        }
        settings
    }

    fn of_ours(self, carbon: &FakeCarbon, interval: u64) -> Conf {
        let mut conf = Conf::sending_to(carbon.address(), &format!("{interval}s"))
            .set("statsd", "percentiles", "50, 90, 99.9, -10")
            .set("namespace", "style", self.style);
        if self.deletes {
            conf = conf.set("statsd", "delete_idle", "yes").set("statsd", "gauge_ttl", 2);
        }
        if self.histogram {
            conf = conf.set("rule.latency", "match", "**api.latency**").set(
                "rule.latency",
                "histogram",
                "1, 10.5, 100, inf",
            );
        }
        conf
    }
}

/// Sends each burst right after a flush, so that it is in one interval. Returns the flush of each
/// burst, or `None` if one was not in one interval.
fn flushes(carbon: &FakeCarbon, udp: SocketAddr, bursts: &[Vec<String>]) -> Option<Vec<Flush>> {
    let (mut last, _) = carbon.flush_after(0);
    let mut flush_with = |burst: &Vec<String>| {
        send_packets(udp, burst);
        let (stamp, points) = carbon.flush_after(last);
        last = stamp;
        (packets_received(&points) == burst.len() as f64).then(|| comparable(points))
    };
    bursts.iter().map(&mut flush_with).collect()
}

/// Returns how many datagrams came in the interval of a flush.
fn packets_received(points: &[Point]) -> f64 {
    let is_count = |point: &&Point| {
        let name = &point.name;
        name == "stats_counts.statsd.packets_received"
            || name == "stats.counters.statsd.packets_received.count"
    };
    points.iter().find(is_count).expect("a count of datagrams").number()
}

/// Returns a flush without own figures, except the three that count input, which must be equal,
/// too.
fn comparable(points: Vec<Point>) -> Flush {
    let counts_input = |point: &Point| {
        ["bad_lines_seen", "packets_received", "metrics_received"]
            .iter()
            .any(|figure| point.name.contains(figure))
    };
    let mut flush = Flush::new();
    for point in points.into_iter().filter(|point| !point.is_own() || counts_input(point)) {
        let twice = flush.insert(point.name.clone(), point.value);
        assert!(twice.is_none(), "{} is twice in one flush", point.name);
    }
    flush
}

fn difference(expected: &Flush, actual: &Flush) -> Vec<String> {
    let names = expected.keys().chain(actual.keys().filter(|name| !expected.contains_key(*name)));
    let differing = names.filter(|name| expected.get(*name) != actual.get(*name));
    differing
        .map(|name| format!("{name}: Node {}, ours {}", of(expected, name), of(actual, name)))
        .collect()
}

fn of<'a>(flush: &'a Flush, name: &str) -> &'a str {
    flush.get(name).map_or("nothing", String::as_str)
}
