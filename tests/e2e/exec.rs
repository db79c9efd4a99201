//! Flushes that are piped to commands: the contract of statsite's `stream_cmd`, and commands that
//! break it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{Conf, DEADLINE, Daemon, FakeCarbon, exec, until, until_true};

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

/// More lines than a pipe holds.
fn send_much(daemon: &Daemon) {
    let names: Vec<String> = (0..3000).map(|nth| format!("name.number.{nth}:1|c")).collect();
    daemon.send(names.chunks(50).map(|lines| lines.join("\n")));
}

/// Whether there is such a process, be it only a zombie.
fn is_there(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

/// Shows that each flush gets a child of its own, which reads this flush and nothing else, as
/// name|value|timestamp.
#[test]
fn each_flush_is_read_by_a_child_of_its_own() {
    let carbon = FakeCarbon::start();
    let conf =
        exec("cat > flush.$$; mv flush.$$ whole.$$").set("carbon", "address", carbon.address());
    let daemon = Daemon::start(&conf);
    send_much(&daemon);
    daemon.send(["hits;env=prod:3|c", "load:0.1|ms"]);
    let point = carbon.until_point("stats_counts.hits;env=prod", 3.0);
    let (_, sent) = carbon.flush_after(point.stamp - 1);
    let file = until(DEADLINE, "a file with that flush", || {
        let whole = fs::read_dir(daemon.folder()).unwrap().map(|entry| entry.unwrap());
        let whole = whole.filter(|entry| entry.file_name().to_string_lossy().starts_with("whole."));
        whole.map(|entry| fs::read_to_string(entry.path()).unwrap()).find(|text| {
            text.lines().any(|line| line == format!("stats_counts.hits;env=prod|3|{}", point.stamp))
        })
    });
    let mut read = BTreeMap::new();
    for line in file.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [name, value, stamp] = fields[..] else { panic!("what is {line:?}?") };
        assert_eq!(stamp, point.stamp.to_string());
        assert_eq!(read.insert(name.to_owned(), value.to_owned()), None, "{name} is there twice");
    }
    let sent = sent.iter().filter(|point| !point.is_own());
    for point in sent {
        assert_eq!(read.get(&point.name), Some(&point.value), "{}", point.name);
    }
    assert!(read.contains_key("statsd.numStats"));
    daemon.stop();
}

/// Whether this log line is a warning of a sink.
fn is_warning(line: &str) -> bool {
    line.contains(" level=warn ") && line.contains(" sink=")
}

/// Shows that a child that fails is logged and its lines are counted as `in_doubt`, and that the
/// next child that ends well is logged, too.
#[test]
fn a_child_that_fails_is_a_warning() {
    let daemon = Daemon::start(&exec("cat >> out; exit 3"));
    daemon.until_logged(&["level=warn", "sink=exec state=failing", "exit status: 3"], 1);
    let in_doubt = "stats.statsd.sink.exec.in_doubt|";
    until_true("lines in doubt", || {
        text(daemon.folder(), "out")
            .lines()
            .any(|line| line.strip_prefix(in_doubt).is_some_and(|rest| !rest.starts_with("0|")))
    });
    let up = || daemon.web().get("/api/info").json()["destinations"][0]["up"].as_f64();
    assert_eq!(up(), Some(0.0));
    daemon.reload(&exec("cat >> out"));
    daemon.until_logged(&["sink=exec state=up", "recovered"], 1);
    assert_eq!(up(), Some(1.0));
    assert_eq!(daemon.log().iter().filter(|line| is_warning(line)).count(), 1);
    daemon.stop();
}

/// Shows that a child that is content with less than everything is no failure.
#[test]
fn a_child_that_exits_well_had_enough() {
    let daemon = Daemon::start(&exec("head -n 1 > /dev/null; echo $$ >> pids"));
    send_much(&daemon);
    until_true("three children", || text(daemon.folder(), "pids").lines().count() >= 3);
    let sinks = daemon.admin().ask("sinks");
    let is_well = sinks.contains(" dropped_lines=0 ") && sinks.contains(" last_error=\"none\"");
    assert!(is_well, "{sinks}");
    assert!(!daemon.log().iter().any(|line| is_warning(line)));
    daemon.stop();
}

/// Shows that a child that never reads holds neither the loop nor another destination, is killed
/// with all it started when its time is over, and leaves no process.
#[test]
fn a_child_that_never_reads_is_killed() {
    let carbon = FakeCarbon::start();
    let never = "echo $$ >> pids; sleep 1000 & echo $! >> pids; wait";
    let conf =
        exec(never).set("exec", "timeout", "1500ms").set("carbon", "address", carbon.address());
    let daemon = Daemon::start(&conf);
    send_much(&daemon);
    daemon.until_logged(
        &["sink=exec state=failing", "longer than timeout", "raise [exec] timeout"],
        1,
    );
    let (first, _) = carbon.flush_after(0);
    carbon.flush_after(first + 2);
    let pids = || text(daemon.folder(), "pids").lines().map(str::to_owned).collect::<Vec<_>>();
    until_true("three children", || pids().len() >= 6);
    let descriptors = daemon.descriptors();
    until_true("the first two to have ended", || !pids()[..4].iter().any(|pid| is_there(pid)));
    until_true("five children", || pids().len() >= 10);
    until_true("no more descriptors", || daemon.descriptors() <= descriptors + 1);
    daemon.reload(&conf.set("exec", "command", ""));
    until_true("all to have ended", || !pids().iter().any(|pid| is_there(pid)));
    until_true("no child to be left", || daemon.children().is_empty());
    daemon.stop();
}

/// Shows that a child has no descriptor of the server's but standard output and error.
#[test]
fn a_child_has_no_descriptor_of_ours() {
    let carbon = FakeCarbon::start();
    let conf = exec("ls -l /proc/self/fd > open.$$; cat > /dev/null; mv open.$$ fds").set(
        "carbon",
        "address",
        carbon.address(),
    );
    let daemon = Daemon::start(&conf);
    let fds = until(DEADLINE, "its descriptors", || {
        Some(text(daemon.folder(), "fds")).filter(|fds| !fds.is_empty())
    });
    // The command may inherit other descriptors only from the parent of the server. Those that the
    // server opens are sockets and the like, and must not be among them.
    assert!(fds.contains(" 0 -> pipe:["), "{fds}");
    for ours in ["socket:", "anon_inode:", "/statsd.conf"] {
        assert!(!fds.contains(ours), "{fds}");
    }
    daemon.stop();
}

/// Shows that a stop waits for the child of the last flush, but no longer than it may, and that no
/// child remains.
#[test]
fn a_stop_waits_for_the_last_child_as_long_as_it_may() {
    let slow = exec("cat > part; sleep 0.3; mv part whole")
        .set("statsd", "flush_interval", "1h")
        .set("statsd", "align_flush", "no")
        .set("statsd", "shutdown_timeout", "1m");
    let mut daemon = Daemon::start(&slow);
    daemon.send(["late:5|c"]);
    daemon.until_counter("late", 5.0);
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    assert!(text(daemon.folder(), "whole").contains("stats_counts.late|5|"));

    let never = exec("echo $$ >> pids; exec sleep 1000").set("statsd", "shutdown_timeout", "200ms");
    let mut daemon = daemon.again(&never);
    until_true("a child", || !text(daemon.folder(), "pids").is_empty());
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    let log = daemon.log();
    assert!(log.iter().any(|line| line.contains("sink=exec state=killed in_doubt=")), "{log:?}");
    let pids = text(daemon.folder(), "pids");
    until_true("it to have ended", || !pids.lines().any(is_there));
}

/// Returns the only flush that a command has written to the file `whole` so far.
fn whole(daemon: &Daemon) -> Vec<u8> {
    until(DEADLINE, "a whole flush", || fs::read(daemon.folder().join("whole")).ok())
}

/// A command that keeps its first flush in the file `whole`, in the style of statsite, without own
/// figures.
fn statsite() -> Conf {
    exec("cat > part.$$; ln part.$$ whole 2> /dev/null; rm part.$$")
        .set("exec", "own_figures", "no")
        .set("namespace", "style", "statsite")
        .set("statsd", "percentiles", "50, 95")
        .set("rule.h", "match", "t")
        .set("rule.h", "histogram", "10:90:10")
}

/// Starts a server, and sends it values of each kind in one packet.
fn with_each_kind(conf: &Conf) -> Daemon {
    let daemon = Daemon::start(conf);
    let samples: Vec<String> = (0..100).map(|sample| sample.to_string()).collect();
    let timer = format!("t:{}|ms", samples.join(":"));
    daemon.send([format!("hits:100|c|@0.1\nlevel:-2.5|g\nwho:a|s\nwho:b|s\nk:7|kv\n{timer}")]);
    daemon
}

/// Shows that a command reads the lines that statsite writes: its names, six decimals, and whole
/// counts. An interval without values starts no command.
#[test]
fn in_the_style_of_statsite_the_lines_are_those_of_statsite() {
    let carbon = FakeCarbon::start();
    let conf = statsite().set("statsd", "delete_gauges", "yes");
    let daemon = with_each_kind(&conf.set("carbon", "address", carbon.address()));
    let text = String::from_utf8(whole(&daemon)).unwrap();
    let mut lines: Vec<_> = text.lines().map(|line| line.rsplit_once('|').unwrap().0).collect();
    lines.sort_unstable();
    let mut expected = vec![
        "counts.hits|1000.000000",
        "gauges.level|-2.500000",
        "kv.k|7.000000",
        "sets.who|2",
        "timers.t.count|100",
        "timers.t.histogram.bin_<10.00|10",
        "timers.t.histogram.bin_>90.00|10",
        "timers.t.lower|0.000000",
        "timers.t.mean|49.500000",
        "timers.t.median|49.500000",
        "timers.t.p50|50.000000",
        "timers.t.p95|95.000000",
        "timers.t.rate|4950.000000",
        "timers.t.sample_rate|100.000000",
        "timers.t.stdev|29.011492",
        "timers.t.sum_sq|328350.000000",
        "timers.t.sum|4950.000000",
        "timers.t.upper|99.000000",
    ];
    let bins: Vec<_> = (1..9).map(|tens| format!("timers.t.histogram.bin_{tens}0.00|10")).collect();
    expected.extend(bins.iter().map(String::as_str));
    expected.sort_unstable();
    assert_eq!(lines, expected);
    fs::remove_file(daemon.folder().join("whole")).unwrap();
    let (first, _) = carbon.flush_after(0);
    carbon.flush_after(first + 3); // own figures alone
    assert!(!daemon.folder().join("whole").exists(), "no values, no command");
    daemon.stop();
}

/// One of statsite's binary records.
#[derive(Debug, PartialEq)]
struct Record {
    key: String,
    kind: u8,
    code: u8,
    value: f64,
    count: Option<u32>,
}

/// Reads the records of a flush, and checks that they have one timestamp.
fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let stamp = &bytes[..8].to_vec();
    while !bytes.is_empty() {
        assert_eq!(&bytes[..8], stamp);
        let (kind, code) = (bytes[8], bytes[9]);
        let length = usize::from(u16::from_le_bytes(bytes[10..12].try_into().unwrap()));
        let value = f64::from_le_bytes(bytes[12..20].try_into().unwrap());
        let key = bytes[20..20 + length].strip_suffix(b"\0").unwrap();
        let key = String::from_utf8(key.to_vec()).unwrap();
        bytes = &bytes[20 + length..];
        let is_bin = kind == 3 && (8..=10).contains(&code);
        let count = is_bin.then(|| u32::from_le_bytes(bytes[..4].try_into().unwrap()));
        bytes = &bytes[if is_bin { 4 } else { 0 }..];
        records.push(Record { key, kind, code, value, count });
    }
    records
}

/// Shows that a command gets statsite's binary records with `binary_stream`, whatever the style,
/// and that a reload adds the prefixes of the name space.
#[test]
fn with_binary_stream_a_command_reads_records() {
    let conf = statsite().set("namespace", "style", "legacy").set("exec", "binary_stream", "yes");
    let daemon = with_each_kind(&conf);
    let found = records(&whole(&daemon));
    let of =
        |key: &str, kind, code, value| Record { key: key.into(), kind, code, value, count: None };
    for expected in [
        of("k", 1, 0, 7.0),
        of("hits", 2, 4, 1000.0),
        of("hits", 2, 0xb, 1000.0),
        of("t", 3, 1, 4950.0),
        of("t", 3, 2, 328_350.0),
        of("t", 3, 3, 49.5),
        of("t", 3, 4, 100.0),
        of("t", 3, 5, 29.011_491_975_882_016),
        of("t", 3, 6, 0.0),
        of("t", 3, 7, 99.0),
        of("t", 3, 0xb, 4950.0),
        of("t", 3, 0xc, 100.0),
        of("t", 3, 0x80 | 50, 50.0),
        of("t", 3, 0x80 | 95, 95.0),
        of("who", 4, 1, 2.0),
        of("level", 5, 0, -2.5),
        Record { count: Some(10), ..of("t", 3, 8, 10.0) },
        Record { count: Some(10), ..of("t", 3, 9, 10.0) },
        Record { count: Some(10), ..of("t", 3, 9, 80.0) },
        Record { count: Some(10), ..of("t", 3, 0xa, 90.0) },
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
    assert_eq!(found.len(), 26);
    let conf = conf.set("exec", "binary_stream", "prefixed").set("namespace", "style", "statsite");
    daemon.reload(&conf);
    until_true("a record with a prefix", || {
        daemon.send(["hits:1|c"]);
        let bytes = fs::read(daemon.folder().join("whole")).unwrap_or_default();
        let _ = fs::remove_file(daemon.folder().join("whole")); // makes room for the next flush
        !bytes.is_empty() && records(&bytes).iter().any(|record| record.key == "counts.hits")
    });
    daemon.stop();
}
