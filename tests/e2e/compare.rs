//! `--compare`, and the shadow run of `docs/migrating.md`: Node's statsd gets every packet from
//! this server, and the points of the two are compared.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, Finished, NodeStatsd, Point, Process, reserve_tcp,
    send_packets, statsd_command, traffic, until, until_true,
};

const INTERVAL: u64 = 4;

fn compare_files(folder: &Path, old: &str, new: &str, more: &[&str]) -> Finished {
    fs::write(folder.join("old.txt"), old).unwrap();
    fs::write(folder.join("new.txt"), new).unwrap();
    let mut command = statsd_command(folder);
    Process::start(command.args(["--compare", "old.txt", "new.txt"]).args(more)).finish(DEADLINE)
}

fn lines(points: &[Point]) -> String {
    points.iter().map(|point| format!("{} {} {}\n", point.name, point.value, point.stamp)).collect()
}

/// Shows that the shadow run beside Node ends in 0 differences. Each burst is sent when both
/// servers have just flushed, so that it is in one interval of both. A busy machine can be too slow
/// for that, so the run may be repeated.
#[test]
fn the_shadow_run_beside_node_ends_in_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = String::new();
    for seed in [1, 2, 3, 4, 5] {
        let finished = shadow_run(folder.path(), seed);
        let summary = finished.stdout.lines().last().unwrap_or_default().to_owned();
        if finished.code == Some(0) {
            let points = summary.strip_prefix("0 of ").expect(&summary);
            let points = points.strip_suffix(" points differ").expect(&summary).replace(',', "");
            assert!(points.parse::<u64>().unwrap() > 200, "{summary}");
            assert!(finished.stdout.contains("figures of the servers about themselves"));
            return;
        }
        // Only a burst that was cut in two is a reason to try again.
        last = finished.stdout;
        let moved = "moved to the flush before or after";
        assert!(last.contains(moved), "{last}");
    }
    panic!("no burst was in one interval of both servers:\n{last}");
}

fn shadow_run(folder: &Path, seed: u64) -> Finished {
    let (to_node, to_ours) = (FakeCarbon::start(), FakeCarbon::start());
    let node = NodeStatsd::start(&to_node, INTERVAL, "percentThreshold: [50, 90],");
    let conf = Conf::sending_to(to_ours.address(), &format!("{INTERVAL}s"))
        .set("statsd", "percentiles", "50, 90")
        .set("repeater", "address", node.udp());
    let ours = Daemon::start(&conf);
    let (mut old, mut new) = (0, 0);
    for burst in 0..3 {
        (old, _) = to_node.flush_after(old);
        (new, _) = to_ours.flush_after(new);
        // Flushes of a pair end at most half an interval apart.
        if old + INTERVAL / 2 < new {
            (old, _) = to_node.flush_after(old);
        } else if new + INTERVAL / 2 < old {
            (new, _) = to_ours.flush_after(new);
        }
        send_packets(ours.udp(), traffic::packets(seed * 10 + burst, 40));
    }
    to_node.flush_after(old);
    to_ours.flush_after(new);
    ours.stop();
    // Carbon does not get a name with an empty path element from this server. Without tags it is
    // the file of another name.
    let is_whole =
        |point: &Point| point.name.contains(';') || !point.name.split('.').any(str::is_empty);
    let (mut old, mut new) = (to_node.points(), to_ours.points());
    old.retain(is_whole);
    // The page says `own_figures = no`. This test needs them, since they mark the end of a flush.
    new.retain(|point| !point.is_own());
    let finished =
        compare_files(folder, &lines(&old), &lines(&new), &["--every", &format!("{INTERVAL}s")]);
    drop(node);
    finished
}

#[test]
fn files_are_compared_and_the_exit_status_tells() {
    let folder = tempfile::tempdir().unwrap();
    let old = "a 1 10\nb 2 10\nc 0.3333333 10\na 1 20\nnonsense\n";
    let same = compare_files(folder.path(), old, old, &[]);
    assert_eq!((same.code, same.stderr.as_str()), (Some(0), ""), "{same:?}");
    assert!(same.stdout.ends_with("\n0 of 4 points differ\n"), "{same:?}");
    assert!(same.stdout.contains("2  lines are no points"), "{same:?}");
    let new = "a 1 13\nb 3 13\nc 0.333333 13\na 1 23\n";
    let differs = compare_files(folder.path(), old, new, &[]);
    assert_eq!(differs.code, Some(1), "{differs:?}");
    for expected in [
        "b 10 old=2 new=3 another value\n",
        "c 10 old=0.3333333 new=0.333333 rounding\n",
        "           1  rounding: ",
        "\nThe worst:\nb 10 ",
        "\n2 of 4 points differ\n",
    ] {
        assert!(differs.stdout.contains(expected), "{expected}: {}", differs.stdout);
    }
    // A side that has ended long before the other is no proof.
    let long: String = (1..=9).map(|n| format!("a {n} {n}0\n")).collect();
    let short = compare_files(folder.path(), &long, "a 1 10\n", &[]);
    assert_eq!(short.code, Some(1), "{short:?}");
    let ended = "NEW (new.txt) has no points of the last 8 flushes of OLD\n";
    assert!(short.stdout.starts_with(ended), "{short:?}");
    let none = compare_files(folder.path(), old, "", &[]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stdout.contains("No flush has points of both sides"), "{none:?}");
    let mut missing = statsd_command(folder.path());
    let missing = Process::start(missing.args(["--compare", "old.txt", "none.txt"]));
    let missing = missing.finish(DEADLINE);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("cannot read \"none.txt\": No such file"), "{missing:?}");
    // A folder can be opened, and its read fails.
    let mut unreadable = statsd_command(folder.path());
    let unreadable = Process::start(unreadable.args(["--compare", "old.txt", "."]));
    let unreadable = unreadable.finish(DEADLINE);
    assert_eq!(unreadable.code, Some(2));
    assert!(unreadable.stderr.contains("cannot read \".\": Is a directory"), "{unreadable:?}");
}

/// Shows that both sides may be ports, that the progress is shown, and that SIGINT ends the
/// comparison with its report.
#[test]
fn ports_are_compared_until_an_interrupt() {
    let folder = tempfile::tempdir().unwrap();
    let addresses = [(); 2].map(|()| {
        let (reserved, address) = reserve_tcp();
        drop(reserved);
        address
    });
    let names = addresses.map(|address| address.to_string());
    let mut command = statsd_command(folder.path());
    let process = Process::start(command.arg("--compare").args(&names));
    until_true("both ports", || {
        process.stderr().iter().filter(|line| line.starts_with("listening on ")).count() == 2
    });
    let connect = |address| until(DEADLINE, "a port", || TcpStream::connect(address).ok());
    let mut new = connect(addresses[1]);
    for flush in 1..=5 {
        let points = |offset: u64| {
            let stamp = flush * 10 + offset;
            format!(
                "a {flush} {stamp}\nb;y=1;x=2 {} {stamp}\n",
                if flush == 2 { offset } else { 0 }
            )
        };
        // Node opens a connection for each flush.
        connect(addresses[0]).write_all(points(1).as_bytes()).unwrap();
        new.write_all(points(4).as_bytes()).unwrap();
    }
    until_true("the progress", || {
        process.stderr().iter().any(|line| line == "3 flushes: 1 of 6 points differ")
    });
    process.signal("INT");
    let finished = process.finish(DEADLINE);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("b;y=1;x=2 21 old=1 new=4 another value\n"), "{finished:?}");
    assert!(finished.stdout.ends_with("\n1 of 8 points differ\n"), "{finished:?}");
}

/// Shows that a side is named whose server sends nothing, and that this is no proof.
#[test]
fn a_silent_side_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (reserved, address) = reserve_tcp();
    drop(reserved);
    let mut command = statsd_command(folder.path());
    let process = Process::start(command.args(["--compare", &address.to_string(), "127.0.0.1:0"]));
    let mut old = until(DEADLINE, "the port", || TcpStream::connect(address).ok());
    old.write_all(b"a 1 10\na 1 20\na 1 30\n").unwrap();
    let silent = "NEW (127.0.0.1:0) has no points of the last 3 flushes of OLD";
    until_true("the silent side", || process.stderr().iter().any(|line| line == silent));
    process.signal("INT");
    let finished = process.finish(DEADLINE);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let expected = format!("{silent}\n");
    assert!(finished.stdout.starts_with(&expected), "{finished:?}");
    assert!(finished.stdout.contains("No flush has points of both sides"), "{finished:?}");
}
