//! The state file. A stop and a start within one interval still make one flush, and a crash keeps
//! the gauges.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, unix_now, until, until_interval_has_left, until_true,
    with_longer_intervals,
};

fn setup(interval: &str) -> (FakeCarbon, Conf) {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), interval).set("statsd", "state_file", "state");
    (carbon, conf)
}

/// Everything there is, some before the restart and some after it; and what one whole interval
/// makes of it.
const BEFORE: [&str; 4] = ["c:3|c\nidle:1|c", "t:10|ms\nt:30|ms", "g:5|g\ns:a|s\ns:b|s", "C:100|C"];
const AFTER: [&str; 4] = ["c:4|c", "t:20|ms", "g:-2|g\ns:b|s\ns:c|s", "C:130|C"];
const WHOLE: [(&str, f64); 8] = [
    ("stats_counts.c", 7.0),
    ("stats_counts.idle", 1.0),
    ("stats.timers.t.count", 3.0),
    ("stats.timers.t.median", 20.0),
    ("stats.gauges.g", 3.0),
    ("stats.sets.s.count", 3.0),
    ("stats_counts.C", 30.0),
    ("stats_counts.statsd.packets_received", 8.0),
];

/// Sends packets, and waits until the server has counted each. Returns `None` if that takes longer
/// than `in_time` allows.
fn send(daemon: &Daemon, packets: [&str; 4], in_time: impl Fn() -> Option<()>) -> Option<()> {
    let mut admin = daemon.admin();
    let mut received = || admin.numbers("counters")["statsd.packets_received"];
    let mut expected = received();
    for packet in packets {
        daemon.send([packet]);
        expected += 1.0;
        until(DEADLINE, "a packet to be counted", || {
            in_time()
                .is_none()
                .then_some(None)
                .or_else(|| (received() == expected).then_some(Some(())))
        })?;
    }
    in_time()
}

/// Shows that a stop and a start in the same interval make one flush of what came before and after.
#[test]
fn an_interval_goes_on_over_a_restart() {
    with_longer_intervals(4, |seconds| {
        let (carbon, conf) = setup(&format!("{seconds}s"));
        let end = until_interval_has_left(seconds - 1, seconds);
        one_flush_over_a_restart(&carbon, &conf, end)
    });
}

/// Returns `None` if the interval ended before everything was sent.
fn one_flush_over_a_restart(carbon: &FakeCarbon, conf: &Conf, end: u64) -> Option<()> {
    let in_time = || (unix_now() < end).then_some(());
    let mut daemon = Daemon::start(conf);
    send(&daemon, BEFORE, in_time)?;
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    in_time()?;
    assert_eq!(carbon.points(), [], "nothing was sent early");
    let state = daemon.folder().join("state");
    assert_eq!(state.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let daemon = daemon.again(conf);
    send(&daemon, AFTER, in_time)?;
    let (stamp, points) = carbon.flush_after(0);
    assert_eq!(stamp, end);
    for (name, value) in WHOLE {
        let found: Vec<f64> = points
            .iter()
            .filter(|point| point.name == name)
            .map(crate::support::Point::number)
            .collect();
        assert_eq!(found, [value], "{name}");
    }
    daemon.stop();
    Some(())
}

/// Shows that an interval that is over when the next run starts is sent under its own stamp, and
/// that a new flush interval begins after it.
#[test]
fn an_interval_that_is_over_keeps_its_stamp() {
    with_longer_intervals(4, |seconds| {
        let (carbon, conf) = setup(&format!("{seconds}s"));
        let daemon = Daemon::start(&conf);
        let end = until_interval_has_left(seconds - 1, seconds);
        sent_after_its_end(&carbon, &conf, daemon, end)
    });
}

/// Returns `None` if the interval ended before the stop.
fn sent_after_its_end(
    carbon: &FakeCarbon,
    conf: &Conf,
    mut daemon: Daemon,
    end: u64,
) -> Option<()> {
    let in_time = || (unix_now() < end).then_some(());
    send(&daemon, BEFORE, in_time)?;
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    in_time()?;
    crate::support::until_clock_shows(end + 2);
    let daemon = daemon.again(&conf.clone().set("statsd", "flush_interval", "1s"));
    assert_eq!(carbon.until_point("stats_counts.c", 3.0).stamp, end);
    carbon.until("a flush of the new interval", |points| {
        points.iter().find(|point| point.name == "stats.gauges.g" && point.stamp > end + 2).cloned()
    });
    let sum: f64 = carbon.series("stats_counts.c").iter().map(crate::support::Point::number).sum();
    assert_eq!(sum, 3.0, "counted once");
    daemon.stop();
    Some(())
}

/// Shows that after SIGKILL the gauges are back, and that counts that were taken up are not sent
/// again.
#[test]
fn a_crash_keeps_gauges_and_repeats_no_count() {
    let (carbon, conf) = setup("4s");
    let conf = conf.set("statsd", "state_interval", "100ms");
    let mut daemon = Daemon::start(&conf);
    daemon.send_together(BEFORE);
    daemon.until_shown("gauges", "g", 5.0);
    daemon.sigterm();
    daemon.exit();
    let daemon = daemon.again(&conf);
    carbon.until_point("stats_counts.c", 3.0);
    daemon.send(["g:11|g"]);
    daemon.until_shown("gauges", "g", 11.0);
    let state = daemon.folder().join("state");
    let written = || fs::metadata(&state).and_then(|metadata| metadata.modified()).ok();
    for _ in 0..2 {
        let before = written();
        until_true("another save", || written() > before);
    }
    daemon.sigkill();
    let daemon = daemon.again(&conf);
    daemon.until_shown("gauges", "g", 11.0);
    let seen = unix_now();
    carbon.until("the gauge after the crash", |points| {
        points.iter().find(|point| point.name == "stats.gauges.g" && point.stamp > seen).cloned()
    });
    let sum: f64 = carbon.series("stats_counts.c").iter().map(crate::support::Point::number).sum();
    assert_eq!(sum, 3.0, "counted once");
    daemon.stop();
}

/// Shows that the server starts with files that it cannot use, and keeps the newer of them for an
/// operator to examine, under the name that the documents give.
#[test]
fn a_damaged_file_is_set_aside() {
    let (_carbon, conf) = setup("1s");
    let mut daemon = Daemon::start(&conf);
    daemon.sigterm();
    daemon.exit();
    let state = daemon.folder().join("state");
    let mut bytes = fs::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(daemon.folder().join("state.old"), &bytes).unwrap();
    fs::write(&state, "no state at all").unwrap();
    let daemon = daemon.again(&conf);
    daemon.until_logged(&["state=unusable reason=\"not a state file of this version\""], 1);
    let kept = |daemon: &Daemon| fs::read(daemon.folder().join("state.damaged")).unwrap();
    assert_eq!(kept(&daemon), b"no state at all");
    daemon.until_logged(&["state=damaged reason=\"its checksum is wrong\"", "not_set_aside="], 1);
    daemon.sigkill();
    fs::write(daemon.folder().join("state.old"), &bytes).unwrap();
    let daemon = daemon.again(&conf);
    daemon.until_logged(&["state=damaged", "set_aside=", "state.damaged"], 1);
    assert_eq!(kept(&daemon), bytes);
    daemon.stop();
}

/// Shows that a stop that cannot save the interval closes it early instead, and logs this.
#[test]
fn an_interval_that_cannot_be_saved_is_sent() {
    let (carbon, conf) = setup("1h");
    let conf = conf.set("statsd", "state_file", "/proc/missing/state");
    let mut daemon = Daemon::start(&conf);
    daemon.until_logged(&["state=unwritable"], 1);
    daemon.send(["c:3|c"]);
    daemon.until_counter("c", 3.0);
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    carbon.until_point("stats_counts.c", 3.0);
    daemon.until_logged(&["state=unsaved"], 1);
}
