//! Real clients over every transport that they have. Each call must arrive as the right series with
//! the right value, without a bad line. `docs/protocol.md` lists the clients.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{
    Carbon, Conf, DEADLINE, Daemon, FakeCarbon, GraphiteWeb, Influxd, Process, installed,
    peer_script, peers, run, until_true,
};

/// The prefix of all names.
const PREFIX: &str = "c";
/// The time of values with a time of their own.
const TIME: u64 = 1_656_581_400;

/// A client, and all that it sends.
struct Client {
    /// The peer that has to be installed, beside those that always are.
    needs: Option<&'static str>,
    command: fn(Transport, &str) -> Command,
    transports: &'static [Transport],
    /// The counters that it sends last over each of its connections.
    done: &'static [(&'static str, f64)],
    events: f64,
    /// Every series, with one of its figures, or more. ` at TIME` stands for [`TIME`], and `*` for
    /// each of the numbers from 0 to 9.
    expected: &'static [(&'static str, f64)],
}

/// The value of each point.
type Points = BTreeMap<String, f64>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Transport {
    Udp,
    Tcp,
    /// Unix datagrams.
    Datagrams,
    /// A unix stream of packets, each after its length.
    Framed,
    /// A unix stream of lines.
    Lines,
}
use Transport::{Datagrams, Framed, Lines, Tcp, Udp};

fn conf(carbon: &FakeCarbon) -> Conf {
    Conf::flushing_at_stop_to(carbon.address())
        .set("statsd", "tag_formats", "dogstatsd, graphite, influx")
        .set("unix", "stream", "s.sock")
        .set("unix", "datagram", "d.sock")
}

/// Returns the port, or the path of the socket, that a client is given.
fn address(daemon: &Daemon, transport: Transport) -> String {
    let path = |name: &str| daemon.folder().join(name).display().to_string();
    match transport {
        Udp => daemon.udp().port().to_string(),
        Tcp => daemon.tcp().port().to_string(),
        Datagrams => path("d.sock"),
        Framed | Lines => path("s.sock"),
    }
}

impl Client {
    /// Runs the client over each of its transports, and compares all that a flush then sends.
    fn check(&self) {
        for &transport in self.transports {
            if self.needs.is_some_and(|peer| installed(peer).is_none()) {
                return;
            }
            // The kernel queues ten unix datagrams. If the server is held for a moment, the clients
            // drop more than that themselves.
            let attempts = if transport == Datagrams { 6 } else { 1 };
            let is_last = |attempt| attempt == attempts;
            assert!((1..=attempts).any(|attempt| self.is_understood(transport, is_last(attempt))));
        }
    }

    /// Returns `false` if the client has dropped something, or fails if this is the last attempt.
    fn is_understood(&self, transport: Transport, is_last: bool) -> bool {
        let carbon = FakeCarbon::start();
        let daemon = Daemon::start(&conf(&carbon));
        run(&mut (self.command)(transport, &address(&daemon, transport)));
        let began = Instant::now();
        let mut admin = daemon.admin();
        let mut counters = admin.numbers("counters");
        let is_there = |(name, value): &(&str, f64), counters: &BTreeMap<String, f64>| {
            counters.get(*name) == Some(value)
        };
        while !self.done.iter().all(|counter| is_there(counter, &counters)) {
            let waited = began.elapsed();
            if !is_last && waited > Duration::from_secs(5) {
                return false;
            }
            assert!(waited < DEADLINE, "{:?} is not in {counters:?}", self.done);
            std::thread::sleep(Duration::from_millis(4));
            counters = admin.numbers("counters");
        }
        for own in ["bad_lines_seen", "packets_truncated"] {
            assert_eq!(counters[&format!("statsd.{own}")], 0.0, "{transport:?}: {own}");
        }
        let is_of_packets = matches!(transport, Udp | Datagrams);
        assert_eq!(counters["statsd.packets_received"] > 0.0, is_of_packets, "{transport:?}");
        daemon.stop(); // it flushes
        let events = counters["statsd.events_ignored"];
        let [found, expected] = self.points(&carbon, transport);
        if is_last {
            assert_eq!((events, &found), (self.events, &expected), "{transport:?}");
        }
        events == self.events && found == expected
    }

    /// Returns the points that carbon got, and those that it should get.
    fn points(&self, carbon: &FakeCarbon, transport: Transport) -> [Points; 2] {
        let mut expected = BTreeMap::new();
        for (name, value) in self.expected.iter().chain(self.done_points().iter()) {
            let name = name.replace("TIME", &TIME.to_string());
            for digit in 0..10 {
                expected.insert(name.replace('*', &digit.to_string()), *value);
            }
        }
        let mut found = BTreeMap::new();
        for point in carbon.points_at_the_end().iter().filter(|point| !point.is_own()) {
            let name = match point.stamp {
                TIME => format!("{} at {TIME}", point.name),
                _ => point.name.clone(),
            };
            // Of a counter its count, and of a timing the count and the expected figures.
            let is_figure = |figure: &str| name.contains(figure) && !name.contains(".count_");
            let is_shown = name.starts_with("stats_counts.")
                || name.starts_with("stats.gauges.")
                || name.starts_with("stats.sets.")
                || name.starts_with("stats.timers.") && is_figure(".count");
            if is_shown || expected.contains_key(&name) {
                assert_eq!(found.insert(name, point.number()), None, "{transport:?}: {point:?}");
            }
        }
        [found, expected]
    }

    fn done_points(&self) -> Vec<(&'static str, f64)> {
        let leaked = |name: &str| -> &'static str { Box::leak(name.to_owned().into_boxed_str()) };
        let point = |(name, count): &(&str, f64)| (leaked(&format!("stats_counts.{name}")), *count);
        self.done.iter().map(point).collect()
    }
}

fn python(script: &str) -> Command {
    let mut command = Command::new(peers().join("venv/bin/python"));
    command.arg(peer_script(script));
    command
}

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(peer_script(script)).current_dir(peers().join("npm"));
    command
}

fn rust(client: &str, transport: Transport, address: &str) -> Command {
    let transport = match transport {
        Udp => "udp",
        Datagrams => "unix",
        _ => "framed",
    };
    let mut command = Command::new(peers().join("rust/debug/rust-clients"));
    command.args([client, transport, address, PREFIX]);
    command
}

/// Shows that PyPI's `datadog` is understood: with origin detection, timestamps, events, buffers,
/// sums and packed samples.
#[test]
fn datadog_of_python() {
    Client {
        needs: None,
        command: |transport, address| {
            let scheme = match transport {
                Udp => "udp",
                Datagrams => "unix",
                _ => "unixstream",
            };
            let mut command = python("send_datadog.py");
            command.args([&format!("{scheme}://{address}"), PREFIX]);
            command
        },
        transports: &[Udp, Datagrams, Framed],
        done: &[("c.done", 2.0)],
        events: 2.0,
        expected: &[
            ("stats_counts.c.hits;env=prod", 3.0),
            ("stats_counts.c.sampled", 12.0),
            ("stats_counts.c.tags;canary=true;route=a;url=http--a-b", 1.0),
            ("stats.gauges.c.level", 12.0),
            ("stats.gauges.c.cold", -7.5),
            ("stats.sets.c.users.count", 2.0),
            ("stats.timers.c.load.count", 3.0),
            ("stats.timers.c.load.sum", 400.0),
            ("stats.timers.c.size.count;env=prod", 1.0),
            ("stats.timers.c.size.upper;env=prod", 50.5),
            ("stats.timers.c.spread.count", 1.0),
            ("stats.timers.c.spread.lower", -2.0),
            ("stats.timers.c.timed.count", 1.0),
            ("stats.gauges.c.past_level;env=prod at TIME", 8.0),
            ("stats_counts.c.past at TIME", 7.0),
            ("stats_counts.c.piped", 100.0),
            ("stats.gauges.c.piped_level", 42.0),
            ("stats_counts.c.buffered;nth=*", 500.0),
            ("stats_counts.c.summed", 20.0),
            ("stats.gauges.c.last", 19.0),
            ("stats.sets.c.members.count", 3.0),
            ("stats.timers.c.packed.count", 20.0),
            ("stats.timers.c.packed.sum", 190.0),
        ],
    }
    .check();
}

/// Shows that PyPI's `statsd` is understood. Its unix socket is a stream of lines.
#[test]
fn statsd_of_python() {
    Client {
        needs: None,
        command: |transport, address| {
            let transport = match transport {
                Udp => "udp",
                Tcp => "tcp",
                _ => "unix",
            };
            let mut command = python("send_python.py");
            command.args([transport, address, PREFIX]);
            command
        },
        transports: &[Udp, Tcp, Lines],
        done: &[("c.done", 1.0)],
        events: 0.0,
        expected: &[
            ("stats_counts.c.hits", 3.0),
            ("stats_counts.c.sampled", 12.0),
            ("stats.gauges.c.level", 12.0),
            ("stats.gauges.c.cold", -7.0),
            ("stats.sets.c.users.count", 2.0),
            ("stats.timers.c.load.count", 2.0),
            ("stats.timers.c.load.sum", 400.0),
            ("stats.timers.c.load.mean", 200.0),
            ("stats.timers.c.load.lower", 80.0),
            ("stats.timers.c.load.upper", 320.0),
            ("stats.timers.c.load.std", 120.0),
            ("stats.timers.c.load.upper_90", 320.0),
            ("stats.timers.c.work.count", 1.0),
            ("stats.timers.c.called.count", 2.0),
            ("stats_counts.c.piped", 100.0),
            ("stats.gauges.c.piped_level", 42.0),
            ("stats.timers.c.piped_load.count", 1.0),
            ("stats.timers.c.piped_load.sum", 7.0),
        ],
    }
    .check();
}

fn hot_shots(transports: &'static [Transport], needs: Option<&'static str>) -> Client {
    Client {
        needs,
        command: |transport, address| {
            let transport = match transport {
                Udp => "udp",
                Tcp => "tcp",
                Datagrams => "uds",
                _ => "stream",
            };
            let mut command = node("send_hotshots.js");
            command.args([transport, address, PREFIX]);
            command
        },
        transports,
        done: &[
            ("c.done;env=prod", 1.0),
            ("c.buffered.done", 1.0),
            ("c.summed.done", 1.0),
            ("c.telegraf.done", 1.0),
        ],
        events: 2.0,
        expected: &[
            ("stats_counts.c.hits;env=prod", 1.0),
            ("stats_counts.c.hits;env=prod;route=a", 2.0),
            ("stats_counts.c.sampled;env=prod", 12.0),
            ("stats_counts.c.past;env=prod at TIME", 7.0),
            ("stats.gauges.c.past_level;env=prod at TIME", 8.0),
            ("stats.gauges.c.level;env=prod", 12.5),
            ("stats.gauges.c.moved;env=prod", -2.0),
            ("stats.timers.c.load.count;env=prod", 3.0),
            ("stats.timers.c.load.sum;env=prod", 400.0),
            ("stats.timers.c.size.count;env=prod", 1.0),
            ("stats.timers.c.size.upper;env=prod", 50.0),
            ("stats.timers.c.spread.count;env=prod", 1.0),
            ("stats.timers.c.spread.mean;env=prod", 8.0),
            ("stats.sets.c.users.count;env=prod", 2.0),
            ("stats_counts.child.c.hits;env=prod;shard=3", 1.0),
            ("stats_counts.c.buffered.hits;nth=*", 100.0),
            ("stats.timers.c.buffered.load.count", 1000.0),
            ("stats.timers.c.buffered.load.sum", 24_500.0),
            ("stats_counts.c.summed.hits", 20.0),
            ("stats.gauges.c.summed.last", 19.0),
            ("stats.sets.c.summed.members.count", 3.0),
            ("stats_counts.c.telegraf.hits;zone=a", 3.0),
            ("stats.timers.c.telegraf.load.count;env=prod;zone=a", 1.0),
            ("stats.timers.c.telegraf.load.upper;env=prod;zone=a", 20.0),
        ],
    }
}

/// Shows that npm's `hot-shots` is understood, its form for Telegraf too.
#[test]
fn hot_shots_of_node() {
    hot_shots(&[Udp, Tcp, Lines], None).check();
}

/// Shows the same over unix datagrams, which need an addon.
#[test]
fn hot_shots_of_node_over_unix_datagrams() {
    hot_shots(&[Datagrams], Some("unix-dgram")).check();
}

/// Shows that npm's `node-statsd` and `statsd-client` are understood.
#[test]
fn other_clients_of_node() {
    Client {
        needs: None,
        command: |_, address| {
            let mut command = node("send_node.js");
            command.args(["node-statsd", "udp", address, PREFIX]);
            command
        },
        transports: &[Udp],
        done: &[("c.done;env=prod", 1.0)],
        events: 0.0,
        expected: &[
            ("stats_counts.c.hits;env=prod", 3.0),
            ("stats_counts.c.sampled;env=prod", 12.0),
            ("stats_counts.c.many.a;canary=true;env=prod;route=a", 1.0),
            ("stats_counts.c.many.b;canary=true;env=prod;route=a", 1.0),
            ("stats.gauges.c.level;env=prod", 12.5),
            ("stats.timers.c.load.count;env=prod", 1.0),
            ("stats.timers.c.load.upper;env=prod", 320.0),
            ("stats.timers.c.size.count;env=prod", 1.0),
            ("stats.timers.c.size.upper;env=prod", 50.5),
            ("stats.sets.c.users.count;env=prod", 2.0),
        ],
    }
    .check();
    Client {
        needs: None,
        command: |transport, address| {
            let transport = if transport == Tcp { "tcp" } else { "udp" };
            let mut command = node("send_node.js");
            command.args(["statsd-client", transport, address, PREFIX]);
            command
        },
        transports: &[Udp, Tcp],
        done: &[("c.done;env=prod", 1.0)],
        events: 0.0,
        expected: &[
            ("stats_counts.c.hits;env=prod", 1.5),
            ("stats_counts.c.hits;env=prod;route=a", 2.0),
            ("stats.gauges.c.level;env=prod", 12.5),
            ("stats.gauges.c.moved;env=prod", -2.0),
            ("stats.timers.c.load.count;env=prod", 1.0),
            ("stats.timers.c.load.upper;env=prod", 320.0),
            ("stats.timers.c.since.count;env=prod", 1.0),
            ("stats.timers.c.size.count;env=prod", 1.0),
            ("stats.timers.c.size.upper;env=prod", 50.5),
            ("stats.timers.c.spread.count;env=prod", 1.0),
            ("stats.timers.c.spread.lower;env=prod", -2.0),
            ("stats.sets.c.users.count;env=prod", 2.0),
            ("stats_counts.c.child.hits;env=prod", 1.0),
            ("stats_counts.c.buffered;env=prod;nth=*", 50.0),
        ],
    }
    .check();
}

/// Shows that the crate `cadence` is understood: with rates, timestamps and packed samples.
#[test]
fn cadence_of_rust() {
    Client {
        needs: Some("rust"),
        command: |transport, address| rust("cadence", transport, address),
        transports: &[Udp, Datagrams],
        done: &[("c.done;env=prod", 1.0), ("c.buffered;nth=9", 100.0)],
        events: 0.0,
        expected: &[
            ("stats_counts.c.hits;env=prod", 4.0),
            ("stats_counts.c.sampled;env=prod", 12.0),
            ("stats_counts.c.tagged;canary=true;env=prod;route=a", 2.0),
            ("stats_counts.c.past;env=prod at TIME", 7.0),
            ("stats.gauges.c.past_level;env=prod at TIME", 8.0),
            ("stats.gauges.c.level;env=prod", 12.5),
            ("stats.timers.c.load.count;env=prod", 2.0),
            ("stats.timers.c.load.sum;env=prod", 400.0),
            ("stats.timers.c.packed.count;env=prod", 3.0),
            ("stats.timers.c.packed.sum;env=prod", 6.0),
            ("stats.timers.c.rated.count;env=prod", 2.0),
            ("stats.timers.c.size.count;env=prod", 1.0),
            ("stats.timers.c.size.upper;env=prod", 50.5),
            ("stats.timers.c.spread.count;env=prod", 2.0),
            ("stats.timers.c.spread.lower;env=prod", -2.0),
            ("stats_counts.c.meter;env=prod", 6.0),
            ("stats.sets.c.users.count;env=prod", 2.0),
            ("stats_counts.c.buffered;nth=*", 100.0),
        ],
    }
    .check();
}

/// Shows that the crate `dogstatsd` is understood.
#[test]
fn dogstatsd_of_rust() {
    Client {
        needs: Some("rust"),
        command: |transport, address| rust("dogstatsd", transport, address),
        transports: &[Udp, Datagrams],
        done: &[("c.done;env=prod", 1.0), ("c.buffered;env=prod;nth=9", 100.0)],
        events: 2.0,
        expected: &[
            ("stats_counts.c.hits;env=prod", 4.0),
            ("stats_counts.c.tagged;canary=true;env=prod;route=a", 2.0),
            ("stats.gauges.c.level;env=prod", 12.5),
            ("stats.timers.c.load.count;env=prod", 1.0),
            ("stats.timers.c.load.upper;env=prod", 320.0),
            ("stats.timers.c.timed.count;env=prod", 1.0),
            ("stats.timers.c.size.count;env=prod", 1.0),
            ("stats.timers.c.size.upper;env=prod", 50.5),
            ("stats.timers.c.spread.count;env=prod", 1.0),
            ("stats.timers.c.spread.lower;env=prod", -2.0),
            ("stats.sets.c.users.count;env=prod", 2.0),
            ("stats_counts.c.buffered;env=prod;nth=*", 100.0),
        ],
    }
    .check();
}

/// Shows that the crate `metrics-exporter-dogstatsd` is understood, over framed streams too.
#[test]
fn metrics_exporter_dogstatsd_of_rust() {
    Client {
        needs: Some("rust"),
        command: |transport, address| rust("metrics", transport, address),
        transports: &[Udp, Datagrams, Framed],
        done: &[("c.done;env=prod", 1.0)],
        events: 0.0,
        expected: &[
            ("stats_counts.c.hits;env=prod", 3.0),
            ("stats_counts.c.hits;env=prod;route=a", 2.0),
            ("stats.gauges.c.level;env=prod", 12.5),
            ("stats.timers.c.spread.count;env=prod", 3.0),
            ("stats.timers.c.spread.lower;env=prod", -2.0),
            ("stats.timers.c.spread.sum;env=prod", 398.0),
            ("stats_counts.c.buffered;env=prod;nth=*", 100.0),
        ],
    }
    .check();
}

/// Returns the lines that a client sends over UDP. Those of its buffered series, which are
/// thousands, are left out.
fn sent_by(client: &Client) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let mut running = Process::start(&mut (client.command)(Udp, &port));
    let (mut lines, mut packet) = (Vec::new(), vec![0; 65_536]);
    let is_left_out = |line: &str| line.contains(".buffered.");
    loop {
        let has_ended = running.ended().is_some();
        while let Ok(bytes) = socket.recv(&mut packet) {
            let packet = str::from_utf8(&packet[..bytes]).unwrap();
            lines.extend(packet.lines().filter(|line| !is_left_out(line)).map(str::to_owned));
        }
        if has_ended {
            return lines;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The name of a series, its figure, its tags, and the value.
type Stored = (&'static str, &'static str, &'static [(&'static str, &'static str)], f64);

/// Shows that tagged series that a client sends are read back from Graphite, InfluxDB and
/// `/metrics` with the same names, tags and values.
#[test]
fn the_series_of_a_client_are_the_same_in_graphite_influxdb_and_metrics() {
    const INTERVAL: u64 = 6;
    let test = "the_series_of_a_client_are_the_same_in_graphite_influxdb_and_metrics";
    let Some(influxd) = Influxd::start(test) else { return };
    let carbon = Carbon::start();
    let Some(web) = GraphiteWeb::start(&carbon) else { return };
    let conf = Conf::sending_to(carbon.address(), &format!("{INTERVAL}s"))
        .set("influxdb", "address", influxd.http())
        .set("statsd", "tag_formats", "dogstatsd, graphite, influx");
    let daemon = Daemon::start(&conf);
    daemon.send_together(sent_by(&hot_shots(&[Udp], None)));
    let mut metrics = daemon.web();
    let in_metrics = [
        "c_hits_total{env=\"prod\"} 1\n",
        "c_hits_total{env=\"prod\",route=\"a\"} 2\n",
        "c_level_value{env=\"prod\"} 12.5\n",
        "c_users_members{env=\"prod\"} 2\n",
        "c_load_timer_sum{env=\"prod\"} 400\n",
        "c_telegraf_load_timer_sum{env=\"prod\",zone=\"a\"} 20\n",
    ];
    until_true("the series in /metrics", || {
        let body = metrics.get("/metrics").body;
        in_metrics.iter().all(|line| body.contains(line))
    });
    let expected: [Stored; 6] = [
        ("stats_counts.c.hits", "", &[("env", "prod")], 1.0),
        ("stats_counts.c.hits", "", &[("env", "prod"), ("route", "a")], 2.0),
        ("stats.gauges.c.level", "", &[("env", "prod")], 12.5),
        ("stats.sets.c.users", "count", &[("env", "prod")], 2.0),
        ("stats.timers.c.load", "sum", &[("env", "prod")], 400.0),
        ("stats.timers.c.telegraf.load", "upper", &[("env", "prod"), ("zone", "a")], 20.0),
    ];
    let joined = |tags: &[(&str, &str)], separator: &str| {
        let pair = |(key, value): &(&str, &str)| format!("{key}={value}");
        tags.iter().map(pair).collect::<Vec<_>>().join(separator)
    };
    let dotted =
        |figure: &str| if figure.is_empty() { String::new() } else { format!(".{figure}") };
    let in_carbon: Vec<_> = expected
        .iter()
        .map(|(name, figure, tags, value)| {
            (format!("{name}{};{}", dotted(figure), joined(tags, ";")), *value)
        })
        .collect();
    let stored: Vec<_> = in_carbon.iter().map(|(name, value)| (&**name, *value)).collect();
    let stamps = carbon.until_points(&stored);
    let stamp = stamps[0];
    assert_eq!(stamps, vec![stamp; stored.len()], "all in one flush");
    for (name, value) in &stored {
        let points = web.points(&[name], stamp - 1, stamp);
        let found = points.get(*name).map(|points| points.as_slice());
        assert_eq!(found, Some(&[(stamp, *value)][..]), "{name}: {points:?}");
    }
    for (name, figure, tags, value) in expected {
        let field = if figure.is_empty() { "value" } else { figure };
        influxd.until_point(name, &joined(tags, ","), field, value);
    }
    daemon.stop();
}
