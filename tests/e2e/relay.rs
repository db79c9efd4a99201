//! Three servers send to Debian's carbon-c-relay, which sends to two carbons, as in
//! docs/beyond-one-machine.md.

use std::collections::BTreeMap;

use crate::support::docs::{example, replaced};
use crate::support::{
    Carbon, Conf, Daemon, FakeCarbon, Relay, connections_to, until_equal, until_interval_has_left,
    until_true,
};

const PAGE: &str = "beyond-one-machine.md";
const NODES: usize = 3;
const NAMES: usize = 20;
/// Longer than the four seconds for which the relay keeps an idle connection, so that between two
/// flushes there is no connection.
const INTERVAL: u64 = 7;

/// The value of a name at a stamp.
type Points = BTreeMap<(String, u64), f64>;

/// Shows that every point of three servers, tagged ones and own figures among them, is in the
/// Whisper files of one of the two carbons, also those of a flush while one of the two was stopped.
#[test]
fn a_carbon_behind_the_relay_is_stopped_and_started_and_nothing_is_lost() {
    let mut carbons = [Carbon::start(), Carbon::start()];
    let addresses = carbons.each_ref().map(Carbon::address);
    let Some(relay) = Relay::start(|port| {
        let text = example(PAGE, "# /etc/carbon-c-relay.conf");
        let text = replaced(&text, "10.0.0.31:2003", &addresses[0].to_string());
        let text = replaced(&text, "10.0.0.32:2003", &addresses[1].to_string());
        replaced(&text, "10.0.0.20:2003", &format!("127.0.0.1:{port}"))
    }) else {
        return;
    };
    let nodes: Vec<_> = (0..NODES).map(|at| Node::start(at, &relay)).collect();

    let first = flush(&nodes, 1);
    let all = sent(&nodes, first);
    assert!(all.len() > NODES * (2 * NAMES + 20), "{all:?}");
    until_equal("Whisper after a first flush", &all, || stored(&carbons, &all));
    for carbon in &carbons {
        let its_own = stored([carbon], &all).len();
        assert!(its_own > all.len() / 5, "one carbon holds {its_own} of {}", all.len());
    }
    // As the page describes: carbon is stopped while the relay has no connection to it.
    until_true("the relay to let go of its connections", || {
        until_interval_has_left(2, INTERVAL);
        addresses.iter().all(|&address| connections_to(address) == 0)
    });
    carbons[0].stop();
    let second = flush(&nodes, 2);
    let all = sent(&nodes, second);
    until_true("the relay to miss a carbon", || {
        let port = addresses[0].port().to_string();
        relay.log().iter().any(|line| line.contains("failed to connect") && line.contains(&port))
    });
    let meanwhile = stored(&carbons, &all).len();
    assert!(meanwhile < all.len(), "all is stored while a carbon is stopped");
    carbons[0].start_again();
    until_equal("Whisper in the end", &all, || stored(&carbons, &all));
    for node in nodes {
        node.statsd.stop();
    }
}

struct Node {
    statsd: Daemon,
    /// A carbon that gets the same points as the relay.
    recorded: FakeCarbon,
    at: usize,
}

impl Node {
    /// Starts a server with the configuration of the page and the addresses of this test.
    fn start(at: usize, relay: &Relay) -> Self {
        let recorded = FakeCarbon::start();
        let text = example(PAGE, "# /etc/statsd.conf of the first");
        let text = replaced(&text, "statsd.node1", &format!("statsd.node{}", at + 1));
        let conf = Conf::read(&text)
            .set("statsd", "flush_interval", format!("{INTERVAL}s"))
            .set("udp", "bind", "127.0.0.1:0")
            .set("udp", "allow_from", "127.0.0.1")
            .set("tcp", "bind", "127.0.0.1:0")
            .set("admin", "bind", "127.0.0.1:0")
            .set("carbon", "address", relay.address())
            .set("carbon.recorded", "address", recorded.address());
        Self { statsd: Daemon::start(&conf), recorded, at }
    }

    /// Sends one value for each name of this node.
    fn send(&self, value: u64) {
        let at = self.at;
        let plain = (0..NAMES).map(|name| format!("relay.{at}.{name}:{value}|c"));
        let tagged = format!("relay.{at}.tagged:{value}|c|#env:prod");
        self.statsd.send(plain.chain([tagged, format!("relay.{at}.load:{value}|ms")]));
    }
}

/// Makes every node flush a value for each of its names. Returns the stamp of the flush.
fn flush(nodes: &[Node], value: u64) -> u64 {
    let stamp = until_interval_has_left(1, INTERVAL);
    nodes.iter().for_each(|node| node.send(value));
    for node in nodes {
        let (at, _) = node.recorded.flush_after(stamp - 1);
        assert_eq!(at, stamp);
        let name = format!("stats_counts.relay.{}.tagged;env=prod", node.at);
        assert_eq!(
            node.recorded.series(&name).last().map(|point| point.number()),
            Some(value as f64)
        );
    }
    stamp
}

/// Returns all points that the nodes sent in this flush.
fn sent(nodes: &[Node], stamp: u64) -> Points {
    let mut sent = Points::new();
    for point in nodes.iter().flat_map(|node| node.recorded.points()) {
        if point.stamp == stamp {
            let twice = sent.insert((point.name.clone(), stamp), point.number());
            assert_eq!(twice, None, "two nodes send {point:?}");
        }
    }
    sent
}

/// Returns those of the points that these carbons have stored.
fn stored<'a>(carbons: impl IntoIterator<Item = &'a Carbon>, sent: &Points) -> Points {
    let names: Vec<&str> = sent.keys().map(|(name, _)| name.as_str()).collect();
    let mut stored = Points::new();
    for (name, points) in carbons.into_iter().flat_map(|carbon| carbon.points(&names)) {
        for (stamp, value) in points {
            let point = (name.clone(), stamp);
            if sent.contains_key(&point) {
                assert_eq!(stored.insert(point, value), None, "two carbons hold {name}");
            }
        }
    }
    stored
}
