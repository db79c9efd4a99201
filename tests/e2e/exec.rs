//! Flushes that are piped to commands: the contract of statsite's `stream_cmd`, and commands that
//! break it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{DEADLINE, Daemon, FakeCarbon, exec, until, until_true};

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
    daemon.reload(&exec("cat >> out"));
    daemon.until_logged(&["sink=exec state=up", "recovered"], 1);
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
    assert!(sinks.contains(" dropped_lines=0 last_error=\"none\""), "{sinks}");
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
    until_true("the first two to be gone", || !pids()[..4].iter().any(|pid| is_there(pid)));
    until_true("five children", || pids().len() >= 10);
    assert!(daemon.descriptors() <= descriptors + 1);
    daemon.reload(&conf.set("exec", "command", ""));
    until_true("all to be gone", || !pids().iter().any(|pid| is_there(pid)));
    assert_eq!(daemon.children(), Vec::<String>::new());
    daemon.stop();
}

/// Shows that a child has no descriptor of the server's but standard output and error.
#[test]
fn a_child_has_no_descriptor_of_ours() {
    let carbon = FakeCarbon::start();
    let conf = exec("ls -l /proc/self/fd > open; cat > /dev/null; mv open fds").set(
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
    let mut daemon = Daemon::start(&exec("cat > part; sleep 0.3; mv part whole"));
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
    until_true("it to be gone", || !pids.lines().any(is_there));
}
