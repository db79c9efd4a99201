//! Three servers after Node StatsD's proxy.js, with the configurations of
//! docs/beyond-one-machine.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::support::docs::{example, replaced};
use crate::support::{
    Conf, Daemon, FakeCarbon, Proxy, run, send_packets, statsd_command, until_equal,
};

const PAGE: &str = "beyond-one-machine.md";
const NODES: usize = 3;
/// Counters, timings, gauges and sets in turns.
const NAMES: usize = 80;

/// The node that each name went to, by the number of the name.
type Places = BTreeMap<usize, usize>;
/// The number of values received, by the number of the name.
type Sums = BTreeMap<usize, usize>;

/// Shows that each name reaches exactly one node, that a node which is stopped, answers `down` or
/// hangs is left out while the names of the others stay, that it gets its own names when it is
/// back, and that after all of it each value was counted once and no point of a name came from two
/// nodes.
#[test]
fn each_name_reaches_one_node_whichever_are_there() {
    let mut cluster = Cluster::start();
    let home = cluster.round(NODES);
    let used: BTreeSet<usize> = home.values().copied().collect();
    assert_eq!(used.len(), NODES, "{home:?}");

    cluster.stop(1);
    let moved = cluster.round(NODES - 1);
    assert_only_its_names_moved(1, &home, &moved);
    cluster.start_again(1);
    assert_eq!(cluster.round(NODES), home, "at its own node again");

    assert_eq!(cluster.node(2).admin().ask("health down"), "health: down\n");
    assert_only_its_names_moved(2, &home, &cluster.round(NODES - 1));
    assert_eq!(cluster.node(2).admin().ask("health up"), "health: up\n");
    cluster.proxy.until_nodes(NODES);

    cluster.node(0).freeze();
    assert_only_its_names_moved(0, &home, &cluster.round(NODES - 1));
    cluster.node(0).thaw();
    assert_eq!(cluster.round(NODES), home, "at its own node once more");
    cluster.end();
}

/// Shows that the configurations of the page are valid.
#[test]
fn the_configurations_of_the_page_are_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    for first_words in ["# /etc/statsd.conf on every", "# /etc/statsd.conf of the first"] {
        let conf = example(PAGE, first_words);
        fs::write(folder.path().join("statsd.conf"), conf).expect("room on the disk");
        run(statsd_command(folder.path()).args(["--check", "-c", "statsd.conf"]));
    }
    let proxy = format!("const config = {}", example(PAGE, "// /etc/statsd-proxy.js"));
    run(Command::new("node").args(["-e", &proxy]));
}

struct Cluster {
    /// `None` for a node that is stopped.
    nodes: Vec<Option<Daemon>>,
    confs: Vec<Conf>,
    /// One for each node, so that the origin of each point is known.
    carbons: Vec<FakeCarbon>,
    proxy: Proxy,
    /// How many times each name was sent.
    rounds: usize,
    /// The values that each node received.
    sums: Vec<Sums>,
}

impl Cluster {
    fn start() -> Self {
        let carbons: Vec<_> = (0..NODES).map(|_| FakeCarbon::start()).collect();
        let confs: Vec<_> = carbons.iter().enumerate().map(|(at, to)| node_conf(at, to)).collect();
        let nodes: Vec<_> = confs.iter().map(Daemon::start).collect();
        // A node that starts again must have the same address.
        let at_home = |(conf, node): (Conf, &Daemon)| {
            conf.set("udp", "bind", node.udp()).set("admin", "bind", node.admin_bound()[0])
        };
        let confs = confs.into_iter().zip(&nodes).map(at_home).collect();
        let proxy = Proxy::start(|udp, management| proxy_conf(udp, management, &nodes));
        proxy.until_nodes(NODES);
        let nodes = nodes.into_iter().map(Some).collect();
        Self { nodes, confs, carbons, proxy, rounds: 0, sums: vec![Sums::new(); NODES] }
    }

    fn node(&self, at: usize) -> &Daemon {
        self.nodes[at].as_ref().expect("a node that runs")
    }

    fn stop(&mut self, at: usize) {
        self.nodes[at].take().expect("a node that runs").stop();
    }

    fn start_again(&mut self, at: usize) {
        self.nodes[at] = Some(Daemon::start(&self.confs[at]));
    }

    /// Sends each name once while the ring has `nodes` nodes, and waits until all of them have
    /// arrived, each at one node.
    ///
    /// The proxy removes a node that does not answer within a second, as on a busy machine. Such a
    /// round is repeated.
    fn round(&mut self, nodes: usize) -> Places {
        let mut attempts = (0..20).map(|_| {
            self.proxy.until_nodes(nodes);
            let before = self.proxy.changes();
            let places = self.send_once();
            (self.proxy.changes() == before).then_some(places)
        });
        attempts.find_map(|places| places).expect("a round without a change of the ring")
    }

    fn send_once(&mut self) -> Places {
        let lines: Vec<String> = (0..NAMES).map(line).collect();
        send_packets(self.proxy.udp(), lines.chunks(20).map(|lines| lines.join("\n")));
        self.rounds += 1;
        self.until_all_came_out();
        let mut places = Places::new();
        for (at, carbon) in self.carbons.iter().enumerate() {
            let before = std::mem::replace(&mut self.sums[at], sums(carbon));
            let more = |name: usize, sum: usize| sum - before.get(&name).unwrap_or(&0);
            for (&name, &sum) in self.sums[at].iter().filter(|&(&name, &sum)| more(name, sum) > 0) {
                assert_eq!(more(name, sum), 1, "{name} is double at node {at}");
                assert_eq!(places.insert(name, at), None, "{name} is at two nodes");
            }
        }
        places
    }

    fn until_all_came_out(&self) {
        let expected: Sums = (0..NAMES).map(|name| (name, self.rounds)).collect();
        let log = self.proxy.log().join("\n");
        until_equal(&format!("{log}\nthe sum of each name"), &expected, || {
            let mut all = Sums::new();
            for (name, sum) in self.carbons.iter().flat_map(sums) {
                *all.entry(name).or_default() += sum;
            }
            all
        });
    }

    /// Stops all nodes, and checks all points again.
    fn end(mut self) {
        (0..NODES).for_each(|at| self.stop(at));
        self.until_all_came_out();
        let mut senders: BTreeMap<(String, u64), usize> = BTreeMap::new();
        for (at, carbon) in self.carbons.iter().enumerate() {
            for point in carbon.points() {
                let sender = *senders.entry((point.name.clone(), point.stamp)).or_insert(at);
                assert_eq!(sender, at, "two nodes send {point:?}");
            }
        }
    }
}

/// That of the page, with addresses of this machine.
fn node_conf(at: usize, carbon: &FakeCarbon) -> Conf {
    let text = example(PAGE, "# /etc/statsd.conf of the first");
    let text = replaced(&text, "statsd.node1", &format!("statsd.node{}", at + 1));
    // Not 127.0.0.1: no other process takes the port of a node that is stopped.
    let any_port = format!("127.81.25.{}:0", at + 1);
    Conf::read(&text)
        .set("statsd", "flush_interval", "1s")
        .set("udp", "bind", &any_port)
        .set("udp", "allow_from", "127.0.0.1")
        .set("tcp", "bind", &any_port)
        .set("admin", "bind", &any_port)
        .set("admin", "allow_from", "127.0.0.1")
        .set("carbon", "address", carbon.address())
}

/// That of the page, with addresses of this machine.
fn proxy_conf(udp: u16, management: u16, nodes: &[Daemon]) -> String {
    let text = example(PAGE, "// /etc/statsd-proxy.js");
    let text = replaced(&text, "'10.0.0.10', port: 8125", &format!("'127.0.0.1', port: {udp}"));
    let text = replaced(&text, "mgmt_port: 8126", &format!("mgmt_port: {management}"));
    nodes.iter().enumerate().fold(text, |text, (at, node)| {
        let (udp, admin) = (node.udp(), node.admin_bound()[0]);
        let old = format!("'10.0.0.1{}', port: 8125, adminport: 8126", at + 1);
        let new = format!("'{}', port: {}, adminport: {}", udp.ip(), udp.port(), admin.port());
        replaced(&text, &old, &new)
    })
}

/// Returns a line with one value for a name. Each kind is sent as a figure that is 1.
fn line(name: usize) -> String {
    let value = ["1|c", "320|ms", "1|g", "ann|s"][name % 4];
    format!("cluster.{name}:{value}")
}

/// Returns the sum of the figure that is 1 for each value of a name.
fn sums(carbon: &FakeCarbon) -> Sums {
    let figures = [
        ("stats_counts.cluster.", ""),
        ("stats.timers.cluster.", ".count"),
        ("stats.gauges.cluster.", ""),
        ("stats.sets.cluster.", ".count"),
    ];
    let name = |series: &str| {
        let of = |(prefix, suffix)| series.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok();
        figures.into_iter().find_map(of)
    };
    let mut sums = Sums::new();
    for point in carbon.points() {
        if let Some(name) = name(&point.name) {
            assert_eq!(point.value, "1", "{point:?}");
            *sums.entry(name).or_default() += 1;
        }
    }
    sums
}

/// Checks that the names of a node that is left out go to others, and all other names stay.
fn assert_only_its_names_moved(node: usize, home: &Places, now: &Places) {
    for (name, &at) in home {
        let stayed = now[name] == at;
        assert_eq!(stayed, at != node, "{name} of node {at} is at {} now", now[name]);
    }
}
