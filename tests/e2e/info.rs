//! `info`: each section against what the test has caused.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};

use crate::support::{Conf, Daemon, FakeCarbon, until_equal, until_true};

/// The lines of one section.
struct Section(BTreeMap<String, String>);

impl Section {
    /// Returns a section of the answer to `info`, and checks its form.
    fn of(daemon: &Daemon, name: &str) -> Self {
        let answer = daemon.admin().ask(&format!("info {name}"));
        let mut lines = answer.strip_suffix("END\n\n").unwrap().lines();
        let heading = lines.next().unwrap();
        assert_eq!(heading.to_lowercase(), format!("# {name}"));
        let pair = |line: &str| {
            let (key, value) = line.split_once(':').expect("a line is `key:value`");
            (key.to_owned(), value.to_owned())
        };
        Self(lines.map(pair).collect())
    }

    #[track_caller]
    fn text(&self, key: &str) -> &str {
        self.0.get(key).unwrap_or_else(|| panic!("no {key} in {:#?}", self.0))
    }

    #[track_caller]
    fn number(&self, key: &str) -> f64 {
        self.text(key).parse().unwrap()
    }

    /// Returns the number of the listener whose name begins like this.
    #[track_caller]
    fn listener(&self, name: &str) -> String {
        let is_it = |(key, value): &(&String, &String)| {
            key.starts_with("listener") && !key.contains('.') && value.starts_with(name)
        };
        self.0.iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {:#?}", self.0)).0.clone()
    }

    /// Asserts the counts of a listener: packets or connections, lines, samples and bytes.
    #[track_caller]
    fn assert_listener(&self, name: &str, of: &str, expected: [f64; 4]) {
        let listener = self.listener(name);
        let count = |figure: &str| self.number(&format!("{listener}.{figure}"));
        assert_eq!([of, "lines", "samples", "bytes"].map(count), expected, "{name}: {:#?}", self.0);
    }
}

/// Shows that packets, lines, samples and bytes belong to their listener, and bad lines to their
/// reason.
#[test]
fn input_is_counted_by_listener_and_bad_lines_by_reason() {
    let conf =
        Conf::never_flushing().set("unix", "stream", "s.sock").set("unix", "datagram", "d.sock");
    let daemon = Daemon::start(&conf);
    let before = Section::of(&daemon, "input");
    assert_eq!(before.number("metrics_received"), 0.0);
    daemon.send(["a:1|c\na:2|c", "t:1:2:3|ms", "no value", "a:x|c\na:1|q\n"]);
    daemon.tcp_client().write_all(b"a:1|c\na:1|c\nno value\n").unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    datagrams.send_to(b"a:1|c\n_e{1,1}:a|b", daemon.folder().join("d.sock")).unwrap();
    let mut stream = UnixStream::connect(daemon.folder().join("s.sock")).unwrap();
    stream.write_all(b"a:1|c\nk:1|kv\n").unwrap();
    until_true("all lines", || Section::of(&daemon, "input").number("metrics_received") == 13.0);
    let input = Section::of(&daemon, "input");
    input.assert_listener("udp 127.0.0.1:", "packets", [4.0, 6.0, 5.0, 41.0]);
    input.assert_listener("tcp 127.0.0.1:", "connections", [1.0, 3.0, 2.0, 21.0]);
    input.assert_listener("unix datagram d.sock", "packets", [1.0, 2.0, 1.0, 17.0]);
    input.assert_listener("unix stream s.sock", "connections", [1.0, 2.0, 2.0, 13.0]);
    assert_eq!(input.number("packets_received"), 5.0);
    assert_eq!(input.number("samples_received"), 10.0);
    for (reason, count) in [("no_value", 2.0), ("bad_value", 1.0), ("unknown_type", 1.0)] {
        assert_eq!(input.number(&format!("bad_lines.{reason}")), count, "{reason}");
    }
    assert_eq!(input.number("bad_lines_seen"), 4.0);
    assert!(!input.0.contains_key("bad_lines.no_type"), "only reasons that have occurred");
    assert_eq!(Section::of(&daemon, "loss").number("lost_lines"), 4.0, "bad lines alone");
    // In the first minute a rate is the mean since the start.
    let uptime = || Section::of(&daemon, "server").number("uptime_seconds");
    let earlier = uptime();
    let rate = Section::of(&daemon, "input").number("metrics_received_per_second");
    let most = 13.0 / earlier.max(1.0) + 0.001;
    let least = 13.0 / (uptime() + 1.0) - 0.001;
    assert!(earlier > 59.0 || (least..=most).contains(&rate), "{rate} in {least} to {most}");
    daemon.stop();
}

/// Shows that series are counted by kind, and when they are created, rejected, evicted, expired and
/// deleted.
#[test]
fn series_are_counted_by_kind_and_fate() {
    let conf = Conf::flushing_every("1s").set("limits", "max_series", 4);
    let daemon = Daemon::start(&conf);
    daemon.send(["a:1|c\nb:1|g\nc:1|ms\nd:1|s\ntoo.many:1|c"]);
    let series = |key: &str| Section::of(&daemon, "series").number(key);
    until_equal("the rejected one", &1.0, || series("series_rejected"));
    let kinds =
        || ["counter", "gauge", "timer", "set"].map(|kind| series(&format!("series.{kind}")));
    // The fifth one takes the place of the first, whose sample is counted as rejected.
    assert_eq!((kinds(), series("series_created")), ([1.0; 4], 5.0));
    assert_eq!(series("series_evicted"), 1.0);
    assert_eq!(Section::of(&daemon, "limits").text("max_series_percent"), "100");
    assert_eq!(Section::of(&daemon, "loss").number("lost_lines"), 1.0);
    daemon.admin().ask("delgauges b");
    assert_eq!((kinds(), series("series_deleted")), ([1.0, 0.0, 1.0, 1.0], 1.0));
    daemon.reload(&conf.clone().set("limits", "evict_after", "1s"));
    until_true("an evicted one", || {
        daemon.send(["new:1|c\nnewer:1|c"]);
        series("series_evicted") > 1.0
    });
    daemon.reload(&conf.set("statsd", "expire", "1s"));
    until_equal("none", &[0.0; 4], kinds);
    let expired = series("series_created") - series("series_evicted") - 1.0;
    assert_eq!(series("series_expired"), expired);
    daemon.stop();
}

/// Shows that the figures of a destination have each of its lines once: while the destination is
/// down, while lines go to its spool, over a restart, and after all was delivered.
#[test]
fn no_line_of_a_destination_is_missing() {
    let (mut carbon, narrow) = (FakeCarbon::absent(), FakeCarbon::absent());
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "queue", "1m")
        .set("carbon", "reconnect_max", "100ms")
        .set("statsd", "shutdown_timeout", "200ms")
        .set("spool", "dir", "spool")
        .set("spool", "max_size", "512m")
        .set("influxdb", "address", narrow.address())
        .set("influxdb", "protocol", "udp")
        .set("repeater", "address", narrow.address())
        .set("repeater", "protocol", "tcp");
    let mut daemon = Daemon::start(&conf);
    let lines: String = (0..10_000).map(|name| format!("kept.series.{name}:1|c\n")).collect();
    // Each of these is missing if one of the figures is wrong.
    let balanced = |daemon: &Daemon| {
        let section = Section::of(daemon, "destinations");
        for sink in ["carbon", "influxdb", "repeater"] {
            let sum = |figures: &[&str]| -> f64 {
                let figure = |name: &&str| section.0.get(&format!("{sink}.{name}"));
                let values = figures.iter().filter_map(figure);
                values.map(|value| value.parse::<f64>().unwrap()).sum()
            };
            let came = sum(&["queued_lines", "found_lines", "recounted_lines"]);
            let went = sum(&["delivered_lines", "dropped_lines", "in_doubt"]);
            assert_eq!(
                came,
                went + sum(&["queue_lines", "spool_lines"]),
                "{sink}: {:#?}",
                section.0
            );
        }
        section
    };
    let mut client = daemon.tcp_client();
    until_true("lines in the spool", || {
        client.write_all(lines.as_bytes()).unwrap();
        balanced(&daemon).number("carbon.spool_lines") > 0.0
    });
    let down = balanced(&daemon);
    assert!(down.number("carbon.queue_lines") > 0.0 && down.number("repeater.queue_lines") > 0.0);
    assert_eq!(down.number("carbon.dropped_lines"), 0.0);
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    carbon.listen();
    let daemon = daemon.again(&conf);
    until_true("all lines to be delivered", || {
        let section = balanced(&daemon);
        let is_read = section.number("carbon.spool_bytes") == 0.0;
        is_read && section.number("carbon.queue_lines") == 0.0
    });
    let up = balanced(&daemon);
    assert!(up.number("carbon.found_lines") > 0.0);
    let came = up.number("carbon.queued_lines") + up.number("carbon.found_lines");
    assert_eq!(up.number("carbon.delivered_lines"), came, "each was delivered");
    daemon.stop();
}

/// Shows that `info` answers how much is lost while carbon is down, and that the answer agrees with
/// what is missing at carbon in the end.
#[test]
fn what_is_lost_is_known_while_carbon_is_down() {
    let (mut carbon, witness) = (FakeCarbon::absent(), FakeCarbon::start());
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "queue", "1m")
        .set("carbon", "reconnect_max", "100ms")
        .set("carbon.witness", "address", witness.address())
        .set("carbon.witness", "queue", "256m");
    let daemon = Daemon::start(&conf);
    let lines: String = (0..5000).map(|name| format!("lost.series.{name}:1|c\n")).collect();
    daemon.tcp_client().write_all(lines.as_bytes()).unwrap();
    let loss = |key: &str| Section::of(&daemon, "loss").number(key);
    until_true("lost lines", || loss("lost_lines") > 0.0);
    let down = Section::of(&daemon, "destinations");
    assert!(["backing_off", "connecting"].contains(&down.text("carbon.state")));
    assert!(down.text("carbon.last_error").contains("refused"));
    assert!(down.number("carbon.queue_bytes") <= down.number("carbon.queue_limit_bytes"));
    // The figure depends on the time between flushes, which a busy machine stretches.
    assert!(down.number("carbon.queue_lasts_seconds") <= 20.0, "it is nearly full");
    assert!(down.number("carbon.witness.queue_lasts_seconds") > 100.0, "it is nearly empty");
    assert!(down.number("carbon.dropped_lines") > 0.0);
    assert_eq!(down.number("carbon.witness.dropped_lines"), 0.0);
    let is_full = Section::of(&daemon, "limits").number("carbon.queue_percent");
    assert!(is_full > 50.0, "{is_full}");

    carbon.listen();
    until_true("an empty queue", || {
        let up = Section::of(&daemon, "destinations");
        up.text("carbon.state") == "up" && up.number("carbon.queue_bytes") == 0.0
    });
    let at = crate::support::unix_now() + 1;
    for carbon in [&carbon, &witness] {
        carbon.until("a later flush", |points| {
            let is_later = |name: &str, stamp| stamp > at && name == "statsd.numStats";
            points.iter().any(|point| is_later(&point.name, point.stamp)).then_some(())
        });
    }
    let slots = |carbon: &FakeCarbon| -> HashSet<(String, u64)> {
        carbon.points().into_iter().map(|point| (point.name, point.stamp)).collect()
    };
    let got = slots(&carbon);
    let sent = slots(&witness);
    let missing = sent.iter().filter(|(_, stamp)| *stamp <= at).filter(|slot| !got.contains(*slot));
    let missing = missing.count() as f64;
    assert!(missing > 0.0);
    let destinations = Section::of(&daemon, "destinations");
    assert_eq!(destinations.number("carbon.dropped_lines"), missing);
    assert_eq!((loss("dropped_lines"), loss("lost_lines")), (missing, missing));
    // A destination that is removed does not take its losses with it.
    daemon.reload(&conf.set("carbon", "address", ""));
    until_true("one destination", || {
        !Section::of(&daemon, "destinations").0.contains_key("carbon.state")
    });
    assert_eq!(loss("lost_lines"), missing);
    daemon.stop();
}

/// Shows that an outage lasts since its failure, however often the server tries again.
#[test]
fn an_outage_is_shown_since_its_start() {
    let mut carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s").set("carbon", "reconnect_max", "100ms");
    let daemon = Daemon::start(&conf);
    let of =
        |key: &str| Section::of(&daemon, "destinations").text(&format!("carbon.{key}")).to_owned();
    until_equal("a connection", &"up".to_owned(), || of("state"));
    let connected = of("since");
    carbon.close();
    until_true("the failure", || of("up") == "0");
    let failed = of("since");
    assert!(failed >= connected);
    until_true("two seconds", || of("since_seconds").parse::<u64>().unwrap() >= 2);
    assert_eq!(of("since"), failed, "the attempts meanwhile do not count");
    assert_eq!(of("kind"), "carbon");
    assert_eq!(of("address"), carbon.address().to_string());
    carbon.listen();
    until_equal("a connection", &"up".to_owned(), || of("state"));
    assert!(of("since") > failed);
    assert_eq!(of("reconnects"), "1");
    daemon.stop();
}

/// Shows that points which one destination cannot store are counted for that destination.
#[test]
fn points_are_refused_for_their_destination() {
    let gmond = UdpSocket::bind("127.0.0.1:0").unwrap();
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("ganglia", "address", gmond.local_addr().unwrap())
        .set("ganglia", "max_name_length", 20);
    let daemon = Daemon::start(&conf);
    daemon.send(["a.name.that.is.longer.than.20:1|g"]);
    let of = |key: &str| Section::of(&daemon, "destinations").number(key);
    until_true("a refused point", || of("ganglia.points_refused") > 0.0);
    assert_eq!(of("carbon.points_refused"), 0.0);
    assert!(Section::of(&daemon, "loss").number("points_refused") > 0.0);
    daemon.stop();
}

/// Shows what a rule drops on purpose, which is no loss, beside what a limit drops, which is one.
#[test]
fn what_a_rule_drops_is_no_loss() {
    let conf = Conf::never_flushing()
        .set("rule.debug", "match", "debug.*")
        .set("rule.debug", "drop", "yes")
        .set("statsd", "passthrough_memory", "64k");
    let daemon = Daemon::start(&conf);
    let lines = "debug.a:1|c\ndebug.b:1|c\n".to_owned() + &"k:1|kv\n".repeat(2000) + "last:1|c\n";
    daemon.tcp_client().write_all(lines.as_bytes()).unwrap();
    daemon.until_counter("last", 1.0);
    let loss = Section::of(&daemon, "loss");
    let by_limit = loss.number("samples_dropped_by_limit");
    assert!(by_limit > 1000.0, "{by_limit}");
    assert_eq!(loss.number("samples_dropped_by_rule"), 2.0);
    assert_eq!(loss.number("samples_dropped"), 2.0 + by_limit);
    assert_eq!(loss.number("lost_lines"), by_limit);
    let taken = Section::of(&daemon, "input").number("samples_received");
    assert_eq!(taken, 2001.0 - by_limit);
    let rate = Section::of(&daemon, "input").number("metrics_received_per_second");
    assert!(rate > 1.0, "the lines of the first turn count too: {rate}");
    let used = Section::of(&daemon, "limits").number("passthrough_memory_percent");
    assert!((99.0..=100.0).contains(&used), "{used}");
    daemon.stop();
}

/// Shows that datagrams which the kernel drops are losses at once, not only after the next flush.
#[test]
fn drops_of_the_kernel_are_lost_packets() {
    let daemon = Daemon::start(&Conf::never_flushing().set("udp", "recv_buffer", "4k"));
    daemon.freeze();
    let packet = "a:1|c\n".repeat(200);
    daemon.send_at_once(std::iter::repeat_n(packet, 200));
    daemon.thaw();
    let loss = || Section::of(&daemon, "loss");
    until_true("drops", || loss().number("udp_drops") > 0.0);
    let loss = loss();
    assert_eq!(loss.number("lost_packets"), loss.number("udp_drops"));
    assert_eq!(loss.number("lost_lines"), loss.number("udp_drops"));
    let input = Section::of(&daemon, "input");
    let listener = input.listener("udp ");
    assert_eq!(input.number(&format!("{listener}.drops")), loss.number("udp_drops"));
    daemon.stop();
}

/// Shows the sections about the process, and the answers to other words.
#[test]
fn the_process_its_memory_and_its_limits_are_shown() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s").set("tcp", "max_connections", 7);
    let daemon = Daemon::start(&conf);
    let _client = daemon.tcp_client();
    daemon.send(["a:1|ms"]);
    until_true("a flush", || Section::of(&daemon, "flush").number("flushes") >= 2.0);
    let server = Section::of(&daemon, "server");
    assert_eq!(server.text("pid"), daemon.pid().to_string());
    assert_eq!(server.text("config"), "statsd.conf");
    assert_eq!(server.text("health"), "up");
    let [udp, tcp] = [daemon.udp(), daemon.tcp()];
    let admin = daemon.admin_bound()[0];
    assert_eq!(server.text("listeners"), format!("udp {udp}, tcp {tcp}, admin {admin}"));
    let flush = Section::of(&daemon, "flush");
    assert!(flush.number("longest_turn_ms") >= flush.number("turn_ms"));
    let is_overrun = |line: &String| line.contains("flush_overruns=");
    let overruns = || Section::of(&daemon, "flush").number("flush_overruns") > 0.0;
    until_true("overruns only as logged", || overruns() == daemon.log().iter().any(is_overrun));
    let memory = Section::of(&daemon, "memory");
    let resident = memory.number("resident_bytes") / 1024.0;
    let expected = daemon.status("VmRSS") as f64;
    assert!((resident / expected - 1.0).abs() < 0.3, "{resident} KiB, {expected} KiB");
    assert_eq!(memory.number("series_bytes"), 312.0, "with the running totals of the timer");
    let limits = Section::of(&daemon, "limits");
    assert_eq!(limits.number("tcp.max_connections"), 1.0);
    assert_eq!(limits.number("tcp.max_connections_limit"), 7.0);
    assert_eq!(limits.number("max_series"), 1.0);
    let open = limits.number("open_files");
    assert!(open >= 8.0 && open <= daemon.descriptors() as f64 + 2.0, "{open}");

    let all = daemon.admin().ask("info");
    let headings: Vec<_> = all.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let expected =
        ["Server", "Input", "Series", "Flush", "Destinations", "Loss", "Memory", "Limits"];
    assert_eq!(headings, expected);
    let other = daemon.admin().ask("info nosuch");
    assert!(other.starts_with("ERROR no such section; there are server, input,"), "{other}");
    let help = daemon.admin().ask("help info");
    assert!(
        help.contains("\n  lost_lines ") && help.contains("\n  queue_lasts_seconds "),
        "{help}"
    );
    daemon.stop();
}
