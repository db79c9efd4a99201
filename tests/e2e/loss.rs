//! Every loss is counted, and only losses are: peers that read nothing, folders that vanish,
//! destinations that a reload removes.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{
    Carbon, Conf, DEADLINE, Daemon, FakeCarbon, segments, statsd_command, until, until_equal,
    until_true,
};

/// Returns one of the server's own figures in the newest flush on its console.
fn own_figure(daemon: &Daemon, name: &str) -> Option<f64> {
    let start = format!("stats.statsd.{name} ");
    let lines = daemon.stdout();
    let line = lines.iter().rev().find_map(|line| line.strip_prefix(&start))?;
    line.split(' ').next()?.parse().ok()
}

/// Sends the wrong protocol to one of carbon's ports. Waits until the server detects it, and checks
/// its log and figures.
fn check_wrong_port(conf: &Conf, hint: &str) {
    let daemon = Daemon::start(conf);
    // carbon closes its port for lines after 16 KiB without a newline. Whether pickle has newlines
    // depends on the time stamps, so each flush is longer than that.
    daemon.send((0..500).map(|number| format!("wrong.port.{number}:3|c")));
    daemon.until_logged(&["sink=carbon state=refused", "connections=4", hint], 1);
    let in_doubt = || own_figure(&daemon, "sink.carbon.in_doubt");
    let before = until(DEADLINE, "lines in doubt", || in_doubt().filter(|&lines| lines > 0.0));
    until_true("more of them, as more are written", || in_doubt() > Some(before));
    until_equal("lines that were dropped", &Some(0.0), || {
        own_figure(&daemon, "sink.carbon.dropped_lines")
    });
    // A carbon that has no time to close a connection looks as if it read. That may not last.
    let last = |words: &str| daemon.log().iter().rposition(|line| line.contains(words));
    until_true("no recovery that lasts", || last("state=refused") > last("recovered"));
    let sinks = daemon.admin().ask("sinks");
    assert!(sinks.contains(hint), "{sinks}");
    let mut daemon = daemon;
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    daemon.until_logged(&["sink=carbon state=abandoned"], 1);
}

/// Shows that lines sent to carbon's port for pickle do not count as delivered, though TCP
/// acknowledges them.
#[test]
fn lines_at_a_pickle_port_are_in_doubt() {
    let carbon = Carbon::start();
    let conf = Conf::sending_to(carbon.pickle_address(), "1s")
        .set("carbon", "reconnect_max", "200ms")
        .set("console", "enabled", "yes")
        .set("statsd", "shutdown_timeout", "100ms");
    check_wrong_port(&conf, "such as 2004, takes protocol = pickle");
}

/// Shows the same of pickle sent to the port for lines.
#[test]
fn pickle_at_a_port_for_lines_is_in_doubt() {
    let carbon = Carbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "protocol", "pickle")
        .set("carbon", "reconnect_max", "200ms")
        .set("console", "enabled", "yes")
        .set("statsd", "shutdown_timeout", "100ms");
    check_wrong_port(&conf, "such as 2003, takes protocol = plaintext");
}

/// Shows that `--stdin` reports lines sent to a pickle port as undelivered.
#[test]
fn lines_of_a_script_that_are_not_read_are_reported() {
    let carbon = Carbon::start();
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::sending_to(carbon.pickle_address(), "1s")
        .set("carbon", "reconnect_max", "100ms")
        .set("statsd", "shutdown_timeout", "2s");
    fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
    let mut child = statsd_command(folder.path())
        .args(["--stdin", "-c", "statsd.conf"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a.script:1|c\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("sink=carbon state=abandoned lost_lines=2"), "{log}");
}

/// Enough series for half a megabyte a flush, half of what the queue holds in these tests.
const SERIES: usize = 5_000;

/// A carbon that is down, a second one that records the same points, and a spool for both.
fn spooling(carbon: &FakeCarbon, witness: &FakeCarbon) -> Conf {
    Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "queue", "1m")
        .set("carbon", "reconnect_max", "100ms")
        .set("carbon.witness", "address", witness.address())
        .set("carbon.witness", "queue", "256m")
        .set("console", "enabled", "yes")
        .set("statsd", "shutdown_timeout", "100ms")
        .set("spool", "dir", "spool")
        .set("spool", "max_size", "256m")
}

fn send_a_round(daemon: &Daemon) {
    let lines: String = (0..SERIES).map(|name| format!("loss.series.{name}:1|c\n")).collect();
    daemon.tcp_client().write_all(lines.as_bytes()).unwrap();
}

fn folder_of(daemon: &Daemon) -> PathBuf {
    daemon.folder().join("spool/carbon")
}

fn slots(carbon: &FakeCarbon) -> HashSet<(String, u64)> {
    carbon.points().into_iter().map(|point| (point.name, point.stamp)).collect()
}

/// Removes a folder to which the server may write in the meantime.
fn remove_folder(folder: &Path) {
    until_true("an empty folder to remove", || fs::remove_dir_all(folder).is_ok());
}

/// Removes a part of a spool while the server runs, and checks the counts.
fn check_removal(remove: impl Fn(&Path)) {
    let (mut carbon, witness) = (FakeCarbon::absent(), FakeCarbon::start());
    let daemon = Daemon::start(&spooling(&carbon, &witness));
    send_a_round(&daemon);
    until_true("two segments", || segments(&folder_of(&daemon)).len() >= 2);
    remove(&folder_of(&daemon));
    // The server notices it at the write after the next flush at the latest, or when it reads.
    until_true("a folder in use", || {
        !segments(&folder_of(&daemon)).is_empty() && folder_of(&daemon).join("lock").exists()
    });
    carbon.listen();
    let empty = " queued_bytes=0 spooled_bytes=0 ";
    until_true("an empty queue", || daemon.admin().ask("sinks").starts_with("carbon state=up"));
    until_true("nothing to wait", || {
        let sinks = daemon.admin().ask("sinks");
        sinks.lines().next().unwrap().contains(empty)
    });
    let at = crate::support::unix_now() + 1;
    for carbon in [&carbon, &witness] {
        carbon.until("a later flush", |points| {
            points
                .iter()
                .any(|point| point.stamp > at && point.name == "statsd.numStats")
                .then_some(())
        });
    }
    let missing = {
        let (got, sent) = (slots(&carbon), slots(&witness));
        sent.iter().filter(|(_, stamp)| *stamp <= at).filter(|slot| !got.contains(*slot)).count()
    };
    until_equal("lines that were dropped", &Some(missing as f64), || {
        own_figure(&daemon, "sink.carbon.dropped_lines")
    });
    assert!(missing > 0, "nothing was removed");
    daemon.until_logged(&["sink=carbon", "state=missing", "files="], 1);
    daemon.stop();
}

/// Shows that a removed spool folder is damage: every line in it is counted, and the rest arrives.
#[test]
fn a_spool_folder_that_is_removed_is_counted_to_the_line() {
    check_removal(remove_folder);
}

#[test]
fn a_spool_of_which_all_is_removed_is_counted_to_the_line() {
    check_removal(|folder| remove_folder(folder.parent().unwrap()));
}

#[test]
fn a_file_of_a_spool_that_is_removed_is_counted_to_the_line() {
    check_removal(|folder| {
        let first = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let first = first.filter(|path| path.extension().is_some()).min().unwrap();
        fs::remove_file(first).unwrap();
    });
}

/// Shows that a stop reports what the spool cannot keep. Here its folder has become a file.
#[test]
fn a_stop_reports_what_the_spool_cannot_keep() {
    let (carbon, witness) = (FakeCarbon::absent(), FakeCarbon::start());
    let mut daemon = Daemon::start(&spooling(&carbon, &witness));
    send_a_round(&daemon);
    until_true("a segment", || !segments(&folder_of(&daemon)).is_empty());
    daemon.freeze(); // or it could make the folder again
    remove_folder(&folder_of(&daemon));
    fs::write(folder_of(&daemon), "no folder").unwrap();
    daemon.thaw();
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    daemon.until_logged(&["sink=carbon", "state=missing"], 1);
    daemon.until_logged(&["sink=carbon state=spooled spooled_lines=0 lost_lines="], 1);
    daemon.until_logged(&["sink=carbon spool=unsynced"], 1);
}

/// Shows that a destination that a reload removes moves all its data to its spool over several
/// turns, even if a stop comes meanwhile. The data is sent from there when the destination is back.
#[test]
fn a_destination_that_is_removed_leaves_all_to_its_spool() {
    for stops in [false, true] {
        let (mut carbon, witness) = (FakeCarbon::absent(), FakeCarbon::start());
        let conf = spooling(&carbon, &witness)
            .set("carbon", "queue", "64m")
            .set("console", "enabled", "no")
            .set("statsd", "shutdown_timeout", "0");
        let without = conf.clone().set("carbon", "address", "");
        let mut daemon = Daemon::start(&conf);
        send_a_round(&daemon);
        until_true("some flushes in the queue", || {
            let sinks = daemon.admin().ask("sinks");
            let bytes = sinks.split("queued_bytes=").nth(1).unwrap().split(' ').next().unwrap();
            bytes.parse::<u64>().unwrap() > 1 << 20
        });
        daemon.reload(&without);
        if stops {
            daemon.until_logged(&["reload=done"], 1);
            daemon.sigterm();
            assert_eq!(daemon.exit().code(), Some(0));
        }
        daemon.until_logged(&["sink=carbon state=spooled spooled_lines="], 1);
        let log = daemon.log().join("\n");
        assert!(!log.contains("lost_lines"), "{log}");
        assert!(!segments(&folder_of(&daemon)).is_empty());
        carbon.listen();
        if stops {
            daemon = daemon.again(&conf);
        } else {
            daemon.reload(&conf);
        }
        carbon.until("every count", |points| {
            let counts = points.iter().filter(|point| {
                point.name.starts_with("stats_counts.loss.series.") && point.value == "1"
            });
            let names: HashSet<_> = counts.map(|point| &point.name).collect();
            (names.len() == SERIES).then_some(())
        });
        daemon.stop();
    }
}
