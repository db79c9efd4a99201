//! The names of series at their destinations, in two name spaces at once; and the logs of received
//! lines and of frequent names.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use crate::support::{Conf, Daemon, FakeCarbon, Point, send_packets, until_true};

/// Shows that each destination gets the names of its name space and no others, from one set of
/// series.
#[test]
fn two_styles_at_once() {
    let (legacy, statsite) = (FakeCarbon::start(), FakeCarbon::start());
    let conf = Conf::sending_to(legacy.address(), "1s")
        .set("statsd", "percentiles", "50, 90")
        .set("namespace.old", "style", "statsite")
        .set("namespace.old", "prefix_stats", "own.statsd")
        .set("carbon.b", "address", statsite.address())
        .set("carbon.b", "namespace", "old");
    let daemon = Daemon::start(&conf);
    daemon.send(["hits:4|c\nload:8|ms\nlevel:-3|g\nusers:x|s"]);
    let count = legacy.until_point("stats_counts.hits", 4.0);
    let same = statsite.until_point("counts.hits", 4.0);
    assert_eq!(count.stamp, same.stamp);
    let (later, legacy_points) = legacy.flush_after(count.stamp);
    assert_eq!(value(&legacy_points, "stats_counts.hits"), Some("0"));
    assert_eq!(value(&legacy_points, "stats.timers.load.count"), Some("0"));
    let idle = statsite.until("the idle flush", |points| {
        let ends =
            |point: &&Point| point.stamp == later && point.name == "counts.own.statsd.numStats";
        points.iter().find(ends)?;
        Some(points.iter().filter(|point| point.stamp == later).cloned().collect::<Vec<_>>())
    });
    assert_eq!(value(&idle, "gauges.level"), Some("-3"));
    for name in ["counts.hits", "timers.load.count", "sets.users"] {
        assert_eq!(value(&idle, name), None, "{name} was idle");
    }
    expect(
        &statsite.points(),
        &[
            ("timers.load.sum", "8"),
            ("timers.load.median", "8"),
            ("timers.load.p90", "8"),
            ("timers.load.stdev", "0"),
            ("sets.users", "1"),
            ("counts.own.statsd.bad_lines_seen", "0"),
            ("gauges.own.statsd.sink.carbon_b.dropped_lines", "0"),
        ],
    );
    expect(
        &legacy.points(),
        &[("stats.sets.users.count", "1"), ("stats.statsd.sink.carbon_b.dropped_lines", "0")],
    );
    let strays = |points: Vec<Point>, other: &[&str]| {
        let stray = |point: &Point| other.iter().any(|prefix| point.name.starts_with(prefix));
        points.into_iter().filter(stray).count()
    };
    assert_eq!(strays(legacy.points(), &["counts.", "timers.", "gauges.", "sets."]), 0);
    assert_eq!(strays(statsite.points(), &["stats", "statsd."]), 0);
    daemon.stop();
}

/// Shows that with `sanitize_keys = no` a destination that can store raw names gets them, and that
/// carbon gets one point for the names that are one name there, also after a restart.
#[test]
fn raw_names_and_their_clean_sums() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("statsd", "sanitize_keys", "no")
        .set("statsd", "state_file", "state")
        .set("console", "enabled", "yes")
        .set("console", "format", "json");
    let mut daemon = Daemon::start(&conf);
    let counts = |daemon: &Daemon, name: &str| -> Vec<u64> {
        let start = format!("{{\"name\":\"stats_counts.{name}\",\"value\":");
        let lines = daemon.stdout();
        let values = lines.iter().filter_map(|line| line.strip_prefix(&start)?.split(',').next());
        values.map(|value| value.parse().unwrap()).filter(|value| *value > 0).collect()
    };
    daemon.send(["a b:1|c\na_b:2|c\nl v:5|g\nl_v:+1|g\na  b:4|c"]);
    carbon.until_point("stats_counts.a_b", 7.0);
    carbon.until_point("stats.gauges.l_v", 6.0);
    for (name, count) in [("a b", 1), ("a_b", 2), ("a  b", 4)] {
        until_true(name, || counts(&daemon, name) == [count]);
    }
    let (stamp, _) = carbon.flush_after(0);
    carbon.flush_after(stamp);
    let points = carbon.points();
    let different: BTreeSet<_> = points.iter().map(|point| (&point.name, point.stamp)).collect();
    assert_eq!(different.len(), points.len(), "no point is sent twice");
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    let daemon = daemon.again(&conf);
    daemon.send(["l v:+10|g"]);
    carbon.until_point("stats.gauges.l_v", 16.0);
    daemon.stop();
}

/// Shows that the host's short name can be the suffix, of each name space for itself.
#[test]
fn the_hosts_name_as_suffix() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("namespace", "host_suffix", "yes")
        .set("namespace", "global_suffix", "unused")
        .set("namespace.plain", "style", "modern")
        .set("carbon.plain", "address", carbon.address())
        .set("carbon.plain", "namespace", "plain");
    let daemon = Daemon::start(&conf);
    daemon.send(["hits;k=v:4|c"]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let short = host.trim().split('.').next().unwrap();
    carbon.until_point(&format!("stats_counts.hits.{short};k=v"), 4.0);
    carbon.until_point("stats.counters.hits.count;k=v", 4.0);
    daemon.stop();
}

/// Shows that the admin port gives back both sections, with the defaults their styles bring.
#[test]
fn the_running_configuration_shows_both_name_spaces() {
    let conf = Conf::never_flushing()
        .set("namespace", "style", "statsite")
        .set("namespace.new", "style", "modern")
        .set("carbon.b", "address", "127.0.0.1:9")
        .set("carbon.b", "namespace", "new");
    let config = Daemon::start(&conf).admin().ask("config");
    for line in
        ["prefix_counter = counts\n", "[namespace.new]\nstyle = modern\nglobal_prefix = stats\n"]
    {
        assert!(config.contains(line), "no {line:?} in\n{config}");
    }
    assert!(config.contains("namespace = new\n"), "{config}");
}

/// Shows that every line received is in the log, escaped and cut, whichever way it came, and none
/// without the setting.
#[test]
fn dump_messages_logs_every_line() {
    let daemon = Daemon::start(&Conf::never_flushing().set("statsd", "dump_messages", "yes"));
    daemon.send(["a:1|c\nbad \"\x01line\"\r\n\n", &format!("{}:1|c", "n".repeat(300))]);
    daemon.tcp_client().write_all(b"t:2|ms\nlast:1|g").unwrap();
    let logged = || -> Vec<String> {
        let line = |line: String| {
            Some(line.split_once(" level=info a line was received line=")?.1.to_owned())
        };
        daemon.log().into_iter().filter_map(line).collect()
    };
    until_true("five lines", || logged().len() == 5);
    let mut lines = logged();
    lines.sort();
    let long = format!("{}...", "n".repeat(200));
    assert_eq!(lines, [r#""bad \"\x01line\"""#, "a:1|c", "last:1|g", &long, "t:2|ms"]);
    daemon.stop();
    let quiet = Daemon::start(&Conf::never_flushing());
    quiet.send(["a:1|c"]);
    quiet.until_counter("a", 1.0);
    assert!(!quiet.log().iter().any(|line| line.contains("a:1|c")));
}

/// Shows that the most frequent names are logged as Node logs them, and that counting begins again
/// each time.
#[test]
fn key_flush_logs_the_most_frequent_names() {
    let conf = Conf::never_flushing().set("key_flush", "interval", "1s");
    let daemon = Daemon::start(&conf.set("key_flush", "percent", "50"));
    daemon.send_together(["b:1|c\nb:bad|c\nseldom:1|g\nb;x=1:1|ms\n".repeat(3), "c:1|c".into()]);
    let logged = || -> Vec<String> {
        let line = |line: String| {
            Some(line.split_once(" level=info a name is frequent count=")?.1.to_owned())
        };
        daemon.log().into_iter().filter_map(line).collect()
    };
    until_true("two names", || logged().len() == 2);
    assert_eq!(logged(), ["6 key=b", "3 key=\"b;x=1\""]);
    daemon.send(["c:1|c"]);
    until_true("the next flush", || logged().len() == 3);
    assert_eq!(logged()[2], "1 key=c");
    daemon.stop();
}

/// Shows that the server appends to a file and creates it again if it was moved, and that a file
/// that cannot be written causes one warning.
#[test]
fn key_flush_appends_to_a_file() {
    let conf = Conf::never_flushing().set("key_flush", "interval", "200ms");
    let daemon = Daemon::start(&conf.clone().set("key_flush", "log", "keys.log"));
    let path = daemon.folder().join("keys.log");
    let names = || -> Vec<String> {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.lines().map(|line| line.split_once(" count=").unwrap().1.to_owned()).collect()
    };
    daemon.send(["a:1|c"]);
    until_true("the first name", || names() == ["1 key=a"]);
    daemon.send(["b:1|c"]);
    until_true("the second name", || names() == ["1 key=a", "1 key=b"]);
    fs::rename(&path, path.with_extension("old")).unwrap();
    daemon.send(["c:1|c"]);
    until_true("the third name", || names() == ["1 key=c"]);
    daemon.stop();
    let daemon = Daemon::start(&conf.set("key_flush", "log", "nosuch/keys.log"));
    let warnings = || daemon.log().iter().filter(|line| line.contains("key_flush=failed")).count();
    daemon.send(["a:1|c"]);
    until_true("the warning", || warnings() == 1);
    let later = crate::support::unix_now() + 2;
    until_true("further flushes", || {
        daemon.send(["a:1|c"]);
        crate::support::unix_now() > later
    });
    assert_eq!(warnings(), 1);
    daemon.stop();
}

/// Shows a line of `stats` for each UDP listener, with what the kernel dropped on it.
#[test]
fn stats_has_the_drops_of_each_listener() {
    let daemon =
        Daemon::start(&Conf::never_flushing().set("udp", "bind", "127.0.0.1:0, [::1]:0").set(
            "udp",
            "recv_buffer",
            "4k",
        ));
    let [lossy, other] = daemon.udp_bound() else { panic!("{:?}", daemon.udp_bound()) };
    let drops =
        |address| daemon.admin().stats()[&format!("udp.{address}.drops")].parse::<u64>().unwrap();
    assert_eq!((drops(lossy), drops(other)), (0, 0));
    until_true("a drop", || {
        send_packets(*lossy, (0..500).map(|_| [b'x'; 1000]));
        drops(lossy) > 0
    });
    assert_eq!(drops(other), 0);
    daemon.stop();
}

#[track_caller]
fn expect(points: &[Point], expected: &[(&str, &str)]) {
    for (name, wanted) in expected {
        assert_eq!(value(points, name), Some(*wanted), "{name}");
    }
}

fn value<'a>(points: &'a [Point], name: &str) -> Option<&'a str> {
    points.iter().find(|point| point.name == name).map(|point| point.value.as_str())
}

/// Shows that with raw names every place shows the number of series that clients send. The hidden
/// series of a clean name, which has the samples of two raw names, counts nowhere but in the limit.
#[test]
fn raw_names_are_counted_once_everywhere() {
    let daemon = Daemon::start(&Conf::never_flushing().set("statsd", "sanitize_keys", "no"));
    daemon.send(["a b:1|c\na_b:2|c\na b:1|g\nend:1|c"]);
    daemon.until_counter("end", 1.0);
    let mut admin = daemon.admin();
    let info = admin.ask("info");
    assert!(info.contains("\nmax_series:6\n"), "two hidden series: {info}");
    for (kind, count) in [("counter", 3), ("gauge", 1), ("timer", 0)] {
        assert!(info.contains(&format!("\nseries.{kind}:{count}\n")), "{info}");
    }
    let counters = admin.numbers("counters");
    assert_eq!(counters.keys().filter(|name| !name.starts_with("statsd.")).count(), 3);
    let mut web = daemon.web();
    let found = web.get("/api/series").json();
    assert_eq!((&found["total"], &found["matched"]), (&4.into(), &4.into()), "{found}");
    let page = web.get("/metrics").body;
    assert!(page.contains("statsd_series{kind=\"counter\"} 3\n"), "{page}");
    admin.ask("delcounters \"a b\" a_b");
    assert!(admin.ask("info series").contains("\nseries.counter:1\n"));
    assert_eq!(web.get("/api/series").json()["total"], 2);
}
