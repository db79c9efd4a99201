//! A machine that was suspended, a carbon that stops reading, an outage longer than the queue. The
//! server must keep what it has room for, count the rest as lost, and go on.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, unix_now, until, until_clock_shows,
    until_interval_has_left, until_true,
};

/// Shows that a stop takes in what the kernel holds on the sockets by then, including connections
/// that are not accepted yet, and delivers it.
#[test]
fn a_stop_reads_what_has_arrived() {
    let carbon = FakeCarbon::start();
    let mut daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1h"));
    let stamp = until_interval_has_left(20, 3600);
    let mut known = daemon.tcp_client();
    known.write_all(b"known:1|c\n").unwrap();
    daemon.until_counter("known", 1.0);
    daemon.freeze();
    daemon.send_at_once((0..200).map(|_| "datagram:1|c"));
    known.write_all("known:1|c\n".repeat(5_000).as_bytes()).unwrap();
    let clients: Vec<_> = (0..20).map(|_| daemon.tcp_client()).collect();
    for mut client in &clients {
        client.write_all(b"new:1|c\n").unwrap();
    }
    daemon.sigterm();
    daemon.thaw();
    assert_eq!(daemon.exit().code(), Some(0));
    for (name, count) in [("datagram", 200.0), ("known", 5_001.0), ("new", 20.0)] {
        let point = carbon.until_point(&format!("stats_counts.{name}"), count);
        assert_eq!(point.stamp, stamp, "{name}");
    }
}

/// Shows that a stop reads for a while only, and logs it when that was too short.
#[test]
fn a_stop_that_cannot_read_all_logs_it() {
    let mut daemon = Daemon::start(&Conf::never_flushing());
    let clients: Vec<_> = (0..16).map(|_| daemon.tcp_client()).collect();
    for mut client in &clients {
        client.write_all(b"known:1|c\n").unwrap();
    }
    daemon.until_counter("known", 16.0);
    daemon.freeze();
    let lines = "k:1|c\n".repeat(100_000);
    for mut client in &clients {
        client.set_nonblocking(true).unwrap();
        while client.write(lines.as_bytes()).is_ok() {}
    }
    daemon.sigterm();
    daemon.thaw();
    assert_eq!(daemon.exit().code(), Some(0));
    assert!(daemon.log().iter().any(|line| line.contains("unread_sockets=")), "{:?}", daemon.log());
}

/// Shows that a server held for several intervals flushes once for them, under the stamp of the
/// last, and is then in step again; what arrived meanwhile is counted once.
#[test]
fn a_suspended_server_is_in_step_again_at_once() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "2s"));
    daemon.send(["n:1|c"]);
    carbon.until_point("stats_counts.n", 1.0);
    daemon.freeze();
    daemon.send_at_once((0..100).map(|_| "n:1|c"));
    let frozen = unix_now();
    until_clock_shows(frozen + 7);
    let earliest = unix_now() / 2 * 2;
    daemon.thaw();
    // The flush for the intervals in which the server was held is the first one with a stamp that
    // is not over yet when the server went on.
    let (late, _) = carbon.flush_after(earliest - 1);
    assert!(late <= unix_now(), "{late}");
    let stamps = || -> Vec<u64> { carbon.stamps("stats_counts.n").into_iter().collect() };
    assert!(!stamps().iter().any(|stamp| (frozen + 2..late).contains(stamp)), "{:?}", stamps());
    until_true("two flushes in step", || {
        stamps().windows(2).any(|pair| pair[0] >= late && pair[1] == pair[0] + 2)
    });
    assert!(stamps().iter().all(|stamp| stamp % 2 == 0), "{:?}", stamps());
    let counts = carbon.series("stats_counts.n");
    assert_eq!(counts.iter().map(crate::support::Point::number).sum::<f64>(), 101.0, "{counts:?}");
    assert!(counts.windows(2).all(|pair| pair[0].stamp < pair[1].stamp), "{counts:?}");
    daemon.stop();
}

/// Shows that a carbon that keeps the connection and reads nothing stops neither input nor the
/// admin port, costs a bounded amount of memory, and gets whole lines when it reads on.
#[test]
fn a_carbon_that_does_not_read_is_waited_for() {
    const NAMES: usize = 20_000;
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s").set("carbon", "queue", "1m");
    let daemon = Daemon::start(&conf.set("statsd", "shutdown_timeout", "20s"));
    carbon.flush_after(0);
    carbon.stop_reading();
    for round in 0..8 {
        let second = unix_now() + 1;
        send_counters(&daemon, NAMES, &format!("round:{round}|g\n"));
        daemon.until_shown("gauges", "round", f64::from(round));
        until_clock_shows(second);
    }
    let kib = daemon.status("VmRSS");
    assert!(kib < 64 * 1024, "{kib} KiB with a queue of 1 MiB");
    carbon.read_on();
    daemon.send(["after:1|g"]); // a gauge: the flush that comes next may still find the queue full
    carbon.until_point("stats.gauges.after", 1.0);
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
    assert_eq!(carbon.connections(), 1);
    daemon.stop();
}

/// Shows that a connection that breaks in the middle of a flush costs nothing, whether whole
/// flushes are sent again or only what was not acknowledged: each name arrives, and only the old
/// connection ends within a line.
#[test]
fn a_break_in_the_middle_of_a_flush_loses_nothing() {
    // More than the kernel accepts for a peer that does not read, so that a chunk is partly
    // written.
    const NAMES: usize = 70_000;
    for resend in ["flush", "unacked"] {
        let carbon = FakeCarbon::start();
        let conf = Conf::sending_to(carbon.address(), "2s").set("carbon", "resend", resend);
        let daemon = Daemon::start(&conf);
        carbon.flush_after(0);
        carbon.stop_reading();
        send_counters(&daemon, NAMES, "end:x|s\n");
        daemon.until_shown("sets", "end", 0.0); // a flush has closed it
        until_clock_shows(unix_now() + 1);
        carbon.break_connections();
        carbon.read_on();
        carbon.until(&format!("every name with resend = {resend}"), |points| {
            let counted = |p: &&crate::support::Point| {
                p.name.starts_with("stats_counts.some.") && p.value == "1"
            };
            let names: BTreeSet<_> = points.iter().filter(counted).map(|p| &p.name).collect();
            (names.len() == NAMES).then_some(())
        });
        assert_eq!(carbon.connections(), 2, "resend = {resend}");
        assert_eq!(carbon.broken_lines(), Vec::<String>::new(), "resend = {resend}");
        daemon.stop();
    }
}

/// Shows that in an outage longer than the queue the newest flushes are kept whole and sent oldest
/// first, and that the lines lost are counted where a graph can show them.
#[test]
fn an_outage_longer_than_the_queue_keeps_the_newest() {
    const NAMES: usize = 5_000;
    let (mut carbon, witness) = (FakeCarbon::absent(), FakeCarbon::start());
    let conf = Conf::sending_to(carbon.address(), "1s").set("carbon", "queue", "1m").set(
        "carbon.witness",
        "address",
        witness.address(),
    );
    let daemon = Daemon::start(&conf);
    send_counters(&daemon, NAMES, "");
    let last_name = format!("stats_counts.some.name.{}", NAMES - 1);
    // A late server skips a second, so the flushes are counted.
    let sent = until(DEADLINE, "seven flushes", || {
        let stamps: Vec<u64> = witness.stamps(&last_name).into_iter().collect();
        (stamps.len() >= 7).then_some(stamps)
    });
    carbon.listen();
    let newest = sent[sent.len() - 1];
    let points = carbon.until("the newest flush of the outage", |points| {
        let is_newest = |p: &crate::support::Point| p.name == last_name && p.stamp == newest;
        points.iter().any(is_newest).then(|| points.to_vec())
    });
    assert!(points[0].stamp > sent[1], "a queue of 1 MiB holds {:?}", points[0]);
    assert!(points.is_sorted_by_key(|point| point.stamp), "not oldest first");
    carbon.until("lost lines in a figure", |points| {
        let figure =
            |p: &&crate::support::Point| p.name == "stats.statsd.sink.carbon.dropped_lines";
        points.iter().filter(figure).find(|point| point.number() > 0.0).cloned()
    });
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
    daemon.stop();
}

/// Sends a counter for each of `names` names, and then `last`. It uses TCP, which waits for a slow
/// server.
fn send_counters(daemon: &Daemon, names: usize, last: &str) {
    let lines: String = (0..names).map(|nth| format!("some.name.{nth}:1|c\n")).collect();
    daemon.tcp_client().write_all((lines + last).as_bytes()).expect("a server that reads");
}

/// Shows that a server without a descriptor left lets new clients wait, without spinning, and
/// serves all others; and that the waiting clients are served later, on each kind of stream socket.
#[test]
fn without_descriptors_clients_wait_and_nothing_spins() {
    let daemon = Daemon::start(&Conf::never_flushing().set("unix", "stream", "s.sock"));
    let mut admin = daemon.admin();
    admin.ask("version");
    let limit = format!("--nofile={0}:{0}", daemon.descriptors() + 2);
    crate::support::run(Command::new("prlimit").args(["--pid", &daemon.pid().to_string(), &limit]));
    let clients: Vec<_> = (0..4).map(|_| daemon.tcp_client()).collect();
    daemon.until_logged(&["accepts_paused=", "Too many open files"], 1);
    let mut waiting = UnixStream::connect(daemon.folder().join("s.sock")).unwrap();
    waiting.write_all(b"unix:1|c\n").unwrap();
    let mut late = daemon.tcp_client();
    late.write_all(b"tcp:1|c\n").unwrap();
    let before = (daemon.cpu_millis(), unix_now());
    until_clock_shows(before.1 + 3);
    let spent = daemon.cpu_millis() - before.0;
    assert!(spent < 500, "{spent} ms of CPU in three idle seconds");
    daemon.send(["udp:1|c"]);
    until_true("the datagram", || admin.numbers("counters").get("udp") == Some(&1.0));
    assert!(!admin.numbers("counters").contains_key("tcp"), "it still waits");
    drop(clients);
    for name in ["tcp", "unix"] {
        until_true(name, || admin.numbers("counters").get(name) == Some(&1.0));
    }
    drop((late, waiting));
    daemon.until_counter("udp", 1.0); // over a new connection to the admin port
    daemon.stop();
}
