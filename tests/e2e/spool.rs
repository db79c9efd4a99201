//! The spool. Chunks that do not fit in a queue are written to disk and sent later: after an
//! outage, a stop or a SIGKILL.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Conf, Daemon, FakeCarbon, Point, segments, until_true};

/// A flush of this many series is over 1 MB, which is more than the queue of these tests holds.
const SERIES: usize = 20_000;

/// A carbon that is down at first, and a server with the smallest possible queue and a spool.
fn setup() -> (FakeCarbon, Conf) {
    let carbon = FakeCarbon::absent();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "queue", "1m")
        .set("carbon", "reconnect_max", "100ms")
        .set("statsd", "shutdown_timeout", "200ms")
        .set("spool", "dir", "spool")
        .set("spool", "max_size", "64m");
    (carbon, conf)
}

fn send_a_round(daemon: &Daemon) {
    let names: Vec<usize> = (0..SERIES).collect();
    let packet = |names: &[usize]| {
        names.iter().map(|name| format!("spooled.series.{name}:1|c\n")).collect::<String>()
    };
    let packets: Vec<String> = names.chunks(40).map(packet).collect();
    daemon.send(packets);
}

fn spooled_bytes(folder: &Path) -> u64 {
    segments(&folder.join("spool/carbon")).iter().map(|path| path.metadata().unwrap().len()).sum()
}

/// Returns the counts by series. Each time slot counts once, since a point that is sent twice
/// overwrites itself.
fn counts(points: &[Point]) -> BTreeMap<String, f64> {
    let mut slots = BTreeMap::new();
    for point in points.iter().filter(|point| point.name.starts_with("stats_counts.spooled")) {
        slots.insert((point.name.clone(), point.stamp), point.number());
    }
    let mut counts = BTreeMap::new();
    for ((name, _), value) in slots {
        *counts.entry(name).or_insert(0.0) += value;
    }
    counts
}

fn until_all_counted(carbon: &FakeCarbon, rounds: f64) {
    carbon.until("every count of every series", |points| {
        let counts = counts(points);
        let whole = counts.len() == SERIES && counts.values().all(|&count| count >= rounds);
        whole.then(|| assert!(counts.values().all(|&count| count == rounds), "nothing is made up"))
    });
}

/// Shows that with a spool an outage of more data than the queue holds loses nothing, that `sinks`
/// shows the bytes on disk, and that the folder is empty again afterwards.
#[test]
fn an_outage_goes_to_disk_and_comes_back() {
    let (mut carbon, conf) = setup();
    let daemon = Daemon::start(&conf);
    send_a_round(&daemon);
    until_true("a spool", || spooled_bytes(daemon.folder()) > 1 << 20);
    let sinks = daemon.admin().ask("sinks");
    assert!(sinks.starts_with("carbon state="), "{sinks}");
    assert!(!sinks.contains(" spooled_bytes=0 ") && sinks.contains(" dropped_lines=0 "), "{sinks}");
    for path in segments(&daemon.folder().join("spool/carbon")) {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    carbon.listen();
    until_all_counted(&carbon, 1.0);
    until_true("an empty folder", || segments(&daemon.folder().join("spool/carbon")).is_empty());
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
    daemon.until_logged(&["queue=full", "spool=spool/carbon"], 1);
    until_true("the end to be logged", || daemon.log().join("\n").contains("queue=drained"));
    daemon.stop();
}

/// Shows that a stop in an outage leaves all chunks to the next run, also those of the queue.
#[test]
fn a_stop_in_an_outage_leaves_all_to_the_next_run() {
    let (mut carbon, conf) = setup();
    let mut daemon = Daemon::start(&conf);
    send_a_round(&daemon);
    until_true("a spool", || spooled_bytes(daemon.folder()) > 0);
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    daemon.until_logged(&["state=spooled"], 1);
    assert!(!daemon.log().join("\n").contains("lost_lines"));
    carbon.listen();
    let daemon = daemon.again(&conf);
    until_all_counted(&carbon, 1.0);
    daemon.stop();
}

/// Shows that SIGKILL loses the chunks in memory and none in the spool.
#[test]
fn sigkill_spares_the_spool() {
    let (mut carbon, conf) = setup();
    let daemon = Daemon::start(&conf);
    send_a_round(&daemon);
    until_true("the round on disk", || spooled_bytes(daemon.folder()) > 4 << 20);
    daemon.sigkill();
    carbon.listen();
    let daemon = daemon.again(&conf);
    until_all_counted(&carbon, 1.0);
    daemon.until_logged(&["sink=carbon spool=spool/carbon found_bytes="], 1);
    daemon.stop();
}

/// Shows that a destination that is added in an outage takes a share of the spool, and that the
/// chunks of the others stay, though they have more than their share now.
#[test]
fn a_new_destination_costs_no_spooled_chunk() {
    let (mut carbon, conf) = setup();
    let conf = conf.set("statsd", "delete_idle", "yes").set("spool", "max_size", "4m");
    let daemon = Daemon::start(&conf);
    let mut rounds = 0;
    while spooled_bytes(daemon.folder()) < 5 << 19 {
        let before = spooled_bytes(daemon.folder());
        send_a_round(&daemon);
        rounds += 1;
        until_true("more on disk", || spooled_bytes(daemon.folder()) > before + (1 << 19));
        until_true("the end of the flush", || !daemon.admin().ask("counters").contains("spooled"));
    }
    let other = FakeCarbon::absent();
    daemon.reload(&conf.set("carbon.b", "address", other.address()));
    daemon.until_logged(&["reload=done"], 1);
    carbon.listen();
    until_all_counted(&carbon, f64::from(rounds));
    assert!(!daemon.log().join("\n").contains("state=full"));
    daemon.stop();
}

/// Shows that a second server is refused the folder of the first.
#[test]
fn a_folder_in_use_is_an_error_at_the_start() {
    let (_carbon, conf) = setup();
    let first = Daemon::start(&conf);
    let conf = conf.set("spool", "dir", first.folder().join("spool").display());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
    let output =
        crate::support::statsd_command(folder.path()).args(["-c", "statsd.conf"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("another server uses it"), "{message}");
    first.stop();
}
