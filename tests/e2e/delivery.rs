//! Which points reach carbon, and when: with a carbon that starts late, is down, breaks
//! connections, or is configured by its name.
//!
//! A point may be sent twice, since the second one overwrites the first. So these tests compare the
//! points of each series without repeats. No point may be lost, cut, or mixed with another.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, Point, unix_now, until, until_clock_shows,
    until_interval_has_left, until_true,
};

/// Shows that a server which starts before its carbon logs that, keeps trying, and delivers the
/// queued data.
#[test]
fn carbon_may_come_later_than_the_server() {
    let mut carbon = FakeCarbon::absent();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    daemon.send(["early:3|c"]);
    until_clock_shows(unix_now() + 3);
    carbon.listen();
    carbon.until_point("stats_counts.early", 3.0);
    daemon.stop();
}

/// Shows that the flushes of an outage arrive after it, oldest first, each with its own stamp, and
/// that no line is cut where the connection broke.
#[test]
fn an_outage_delays_points_and_loses_none() {
    let (mut carbon, witness) = (FakeCarbon::start(), FakeCarbon::start());
    let conf = Conf::sending_to(carbon.address(), "1s");
    let daemon = Daemon::start(&conf.set("carbon.witness", "address", witness.address()));
    let mut sent = 0.0;
    let mut count_one_a_second = |seconds: u64| {
        for _ in 0..seconds {
            let next = unix_now() + 1;
            daemon.send(["n:1|c"]);
            sent += 1.0;
            until_clock_shows(next);
        }
        sent
    };
    count_one_a_second(2);
    carbon.until("points before the outage", |points| last(points, "stats_counts.n"));
    let before = carbon.connections();
    carbon.close();
    count_one_a_second(4);
    carbon.listen();
    let total = count_one_a_second(2);
    let series = carbon.until("every count", |points| {
        let series = without_repeats(points, "stats_counts.n");
        (series.values().sum::<f64>() == total).then_some(series)
    });
    // A late server skips a second, for both destinations.
    let (last, _) = series.last_key_value().unwrap();
    witness.flush_after(last - 1);
    let mut expected = witness.stamps("stats_counts.n");
    expected.split_off(&(last + 1));
    assert_eq!(series.keys().copied().collect::<BTreeSet<_>>(), expected, "no gap");
    assert!(expected.len() > 3, "{expected:?}");
    assert_eq!(carbon.connections(), before + 1);
    assert_oldest_first(&carbon);
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
    daemon.stop();
}

/// Shows that connections that break between flushes lose no line and cut none.
#[test]
fn a_connection_that_breaks_is_made_again() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    for round in 1..=3 {
        daemon.send([format!("round.{round}:1|c")]);
        carbon.until_point(&format!("stats_counts.round.{round}"), 1.0);
        let before = carbon.connections();
        carbon.break_connections();
        until_true("a new connection", || carbon.connections() > before);
    }
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
    assert_oldest_first(&carbon);
    daemon.stop();
}

/// Shows that a peer that accepts and closes is tried again, more and more slowly, and gets
/// everything once it keeps a connection.
#[test]
fn a_carbon_that_hangs_up_is_tried_again() {
    let carbon = FakeCarbon::start();
    carbon.hang_up_on(4);
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    daemon.send(["patient:7|c"]);
    carbon.until_point("stats_counts.patient", 7.0);
    assert!(carbon.connections() >= 5, "{} connections", carbon.connections());
    daemon.stop();
}

/// Shows that refused connects back off: in three seconds at the default of 100 ms doubling, there
/// are some attempts, not hundreds, and the log has a line for the change and not for each attempt.
#[test]
fn refused_connects_are_retried_with_backoff() {
    let mut carbon = FakeCarbon::absent();
    let conf = Conf::sending_to(carbon.address(), "1s").set("carbon", "reconnect_max", "400ms");
    let daemon = Daemon::start(&conf);
    until_clock_shows(unix_now() + 3);
    daemon.until_logged(&[&carbon.address().port().to_string()], 1);
    let log = daemon.log();
    assert!(log.len() < 30, "a line for each attempt:\n{}", log.join("\n"));
    carbon.listen();
    until_true("a connection", || carbon.connections() == 1);
    daemon.stop();
}

/// Shows that SIGTERM closes the open interval early, with the stamp it would have had, and that
/// the server has delivered it when it ends with code 0.
#[test]
fn a_stop_delivers_the_open_interval_with_its_scheduled_stamp() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1h"));
    let stamp = until_interval_has_left(20, 3600);
    daemon.send(["last:5|c\nlast:7|g\nlast:9|ms"]);
    daemon.stop();
    for (name, value) in
        [("stats_counts.last", 5.0), ("stats.gauges.last", 7.0), ("stats.timers.last.upper", 9.0)]
    {
        assert_eq!(carbon.until_point(name, value).stamp, stamp, "{name}");
    }
    assert!(unix_now() <= stamp, "it waited for the end of its interval");
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
}

/// Shows that a stop while carbon is down ends within `shutdown_timeout`, and still with code 0.
#[test]
fn a_stop_without_carbon_ends_in_time() {
    let carbon = FakeCarbon::absent();
    let conf = Conf::sending_to(carbon.address(), "10s").set("statsd", "shutdown_timeout", "1s");
    let mut daemon = Daemon::start(&conf);
    daemon.send(["lost:1|c"]);
    daemon.sigterm();
    // carbon never comes, so only the timeout can end the stop.
    assert_eq!(daemon.exit().code(), Some(0));
    daemon.until_logged(&["stop=begun", "timeout_ms=1000"], 1);
}

/// Shows that flushes are aligned: every stamp is a multiple of the interval, one follows the other
/// without a gap, and each series is in each flush exactly once.
#[test]
fn flushes_are_aligned_and_hold_each_series_once() {
    let carbon = FakeCarbon::start();
    until_true("an odd second, or a start is aligned by chance", || unix_now() % 2 == 1);
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "2s"));
    daemon.send_together(["a:1|c", "b:2|g", "c:3|ms", "d:x|s"]);
    // A server that is late by two seconds skips a flush, so the three are not always the first.
    let third = until(DEADLINE, "three flushes without a gap", || {
        let stamps: Vec<u64> = carbon.stamps("stats.gauges.b").into_iter().collect();
        assert!(stamps.iter().all(|stamp| stamp % 2 == 0), "{stamps:?}");
        let is_run = |three: &&[u64]| three[1] == three[0] + 2 && three[2] == three[1] + 2;
        stamps.windows(3).find(is_run).map(|three| three[2])
    });
    carbon.flush_after(third - 1);
    let mut seen: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for point in carbon.points() {
        *seen.entry((point.name, point.stamp)).or_default() += 1;
    }
    let repeated: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    for series in ["stats_counts.a", "stats.gauges.b", "stats.timers.c.count", "stats.sets.d.count"]
    {
        assert!(seen.contains_key(&(series.into(), third)), "{series} is not in the idle flush");
    }
    daemon.stop();
}

/// Shows that carbon may be given as a host name, and that looking it up leaves no process.
#[test]
fn carbon_may_be_a_host_name() {
    let carbon = FakeCarbon::start();
    let name = format!("localhost:{}", carbon.address().port());
    let daemon =
        Daemon::start(&Conf::sending_to(carbon.address(), "1s").set("carbon", "address", name));
    daemon.send(["named:1|c"]);
    carbon.until_point("stats_counts.named", 1.0);
    until_true("the resolver to be reaped", || daemon.children().is_empty());
    carbon.break_connections();
    until_true("a second connection", || carbon.connections() >= 2);
    until_true("the second resolver to be reaped", || daemon.children().is_empty());
    assert_eq!(daemon.status("Threads"), 1);
    daemon.stop();
}

/// Shows that a name that does not resolve is logged and tried again, and does not end the server.
#[test]
fn a_host_name_that_does_not_resolve_is_retried() {
    let conf = Conf::flushing_every("1s")
        .set("carbon", "address", "no-such-host.invalid:2003")
        .set("carbon", "reconnect_max", "200ms");
    let mut daemon = Daemon::start(&conf);
    let hint = "the name no-such-host.invalid was looked up; check [carbon] address";
    daemon.until_logged(&["sink=carbon state=backing_off", hint, "keeps queued data"], 1);
    daemon.send(["alive:1|g"]);
    daemon.until_shown("gauges", "alive", 1.0);
    assert!(daemon.is_running());
    daemon.stop();
}

/// Shows that `[carbon.NAME]` is a second destination that gets every point too, also while the
/// first one is down.
#[test]
fn a_second_carbon_gets_every_point_too() {
    let (away, here) = (FakeCarbon::absent(), FakeCarbon::start());
    let conf =
        Conf::sending_to(away.address(), "1s").set("carbon.second", "address", here.address());
    let daemon = Daemon::start(&conf.set("statsd", "shutdown_timeout", "100ms"));
    daemon.send(["both:2|c"]);
    here.until_point("stats_counts.both", 2.0);
    daemon.stop();
}

/// Returns the points of a series by stamp. A repeated point must have the same value.
fn without_repeats(points: &[Point], name: &str) -> BTreeMap<u64, f64> {
    let mut series = BTreeMap::new();
    for point in points.iter().filter(|point| point.name == name) {
        let before = series.insert(point.stamp, point.number());
        assert!(before.is_none_or(|value| value == point.number()), "two values: {point:?}");
    }
    series
}

fn last(points: &[Point], name: &str) -> Option<Point> {
    points.iter().rev().find(|point| point.name == name).cloned()
}

/// Checks that stamps never go back within a connection.
fn assert_oldest_first(carbon: &FakeCarbon) {
    for pair in carbon.points().windows(2) {
        let [before, after] = pair else { unreachable!() };
        let same = before.connection == after.connection;
        assert!(!same || before.stamp <= after.stamp, "{before:?} before {after:?}");
    }
}
