//! The same random traffic to Node's statsd and to ours: line for line the same comes out.

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use support::{Conf, Daemon, FakeCarbon, NodeStatsd, Point, send_packets, traffic};

const INTERVAL: u64 = 2;
const PACKETS: usize = 120;
/// Series of one flush: name to value as written.
type Flush = BTreeMap<String, String>;

/// Shows, for each name space and several seeds, that two busy flushes and the idle one after them
/// hold the same names with the same values, to the last digit, as Node's.
#[test]
fn every_line_equals_nodes_but_its_own_figures() {
    std::thread::scope(|threads| {
        for style in ["legacy", "modern"] {
            for seed in [1, 20_260_117, 0xdead_beef] {
                threads.spawn(move || compare(style, seed));
            }
        }
    });
}

fn compare(style: &str, seed: u64) {
    let (to_node, to_ours) = (FakeCarbon::start(), FakeCarbon::start());
    let namespace = if style == "legacy" { "" } else { "graphite: { legacyNamespace: false }," };
    let settings = format!("percentThreshold: [50, 90, 99.9, -10], {namespace}");
    let node = NodeStatsd::start(&to_node, INTERVAL, &settings);
    let ours = Daemon::start(
        &Conf::sending_to(to_ours.address(), &format!("{INTERVAL}s"))
            .set("statsd", "percentiles", "50, 90, 99.9, -10")
            .set("namespace", "style", style),
    );
    let bursts = [traffic::packets(seed, PACKETS), traffic::packets(seed + 1, PACKETS), Vec::new()];
    let (expected, actual) = std::thread::scope(|sides| {
        let node = sides.spawn(|| flushes(&to_node, node.udp(), &bursts));
        let ours = sides.spawn(|| flushes(&to_ours, ours.udp(), &bursts));
        (node.join().expect("Node's flushes"), ours.join().expect("our flushes"))
    });
    for (number, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
        assert!(expected.len() > 50, "Node's flush has only {} lines", expected.len());
        let difference = difference(expected, actual);
        assert!(
            difference.is_empty(),
            "style {style}, seed {seed}, flush {number} of 0..3:\n{}",
            difference.join("\n")
        );
    }
    assert_eq!(to_ours.broken_lines(), Vec::<String>::new());
}

/// Sends each burst right after a flush, so that it falls into one interval; the flush of each.
fn flushes(carbon: &FakeCarbon, udp: SocketAddr, bursts: &[Vec<String>]) -> Vec<Flush> {
    let (mut last, _) = carbon.flush_after(0);
    let mut flush_with = |burst: &Vec<String>| {
        send_packets(udp, burst);
        let (stamp, points) = carbon.flush_after(last);
        last = stamp;
        comparable(points)
    };
    bursts.iter().map(&mut flush_with).collect()
}

/// A flush without own figures, except the three that count what came in: those are equal too.
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
