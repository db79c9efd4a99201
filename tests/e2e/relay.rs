//! Three servers send to Debian's carbon-c-relay, which sends to two carbons, as in
//! docs/beyond-one-machine.md.

use std::collections::BTreeMap;

use crate::support::docs::{example, replaced};
use crate::support::{
    Carbon, Conf, Daemon, FakeCarbon, Point, Relay, connections_to, until_equal, until_true,
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

    let all = flush(&nodes, 1);
    assert!(all.len() > NODES * (2 * NAMES + 20), "{all:?}");
    until_equal("Whisper after a first flush", &all, || stored(&carbons, &all));
    for carbon in &carbons {
        let its_own = stored([carbon], &all).len();
        assert!(its_own > all.len() / 5, "one carbon holds {its_own} of {}", all.len());
    }
    // As the page describes: carbon is stopped while the relay has no connection to it.
    // The servers are held meanwhile, so that no flush comes.
    nodes.iter().for_each(|node| node.statsd.freeze());
    until_true("the relay to close its connections", || {
        addresses.iter().all(|&address| connections_to(address) == 0)
    });
    carbons[0].stop();
    nodes.iter().for_each(|node| node.statsd.thaw());
    let all = flush(&nodes, 2);
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

    /// Waits for all points of a flush, up to the last own figure.
    fn whole_flush(&self, stamp: u64) -> Vec<Point> {
        self.recorded.until("the last figure of a flush", |points| {
            let flush = points.iter().filter(|point| point.stamp == stamp);
            let last = flush.clone().next_back()?;
            let is_whole = last.name.ends_with(".graphiteStats.last_exception");
            is_whole.then(|| flush.cloned().collect())
        })
    }

    /// Sends one value for each name of this node.
    fn send(&self, value: u64) {
        let at = self.at;
        let plain = (0..NAMES).map(|name| format!("relay.{at}.{name}:{value}|c"));
        let tagged = format!("relay.{at}.tagged:{value}|c|#env:prod");
        self.statsd.send_together(plain.chain([tagged, format!("relay.{at}.load:{value}|ms")]));
    }
}

/// Makes every node flush a value for each of its names. Returns all points of these flushes, which
/// need not have the same stamp.
fn flush(nodes: &[Node], value: u64) -> Points {
    nodes.iter().for_each(|node| node.send(value));
    let mut sent = Points::new();
    for node in nodes {
        let name = format!("stats_counts.relay.{}.tagged;env=prod", node.at);
        let stamp = node.recorded.until_point(&name, value as f64).stamp;
        for point in node.whole_flush(stamp) {
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
