//! From a real client to a real Whisper file: the two ends that users of Graphite have.

use std::io::Write;
use std::net::UdpSocket;
use std::process::Command;

use crate::support::{Carbon, Conf, DEADLINE, Daemon, FakeCarbon, peers, run, until, until_true};

/// Seconds between flushes.
const INTERVAL: u64 = 4;

/// Shows that a counter sent by hand, as the README does, is in a Whisper file after the next
/// flush.
#[test]
fn a_counter_sent_with_nc_is_in_whisper_after_the_next_flush() {
    let carbon = Carbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    echo_to_nc("foo:1|c\n", daemon.udp().port());
    let stamp = until(DEADLINE, "the count of foo in Whisper", || {
        let points = carbon.points(&["stats_counts.foo"]);
        Some(points.get("stats_counts.foo")?.iter().find(|&&(_, value)| value == 1.0)?.0)
    });
    carbon.until_stored(stamp, &[("stats.foo", 1.0), ("stats_counts.foo", 1.0)]);
    daemon.stop();
}

/// Shows that a large flush arrives whole by pickle, in messages of any size, tagged series where
/// carbon keeps those.
#[test]
fn pickle_arrives_whole_tags_and_all() {
    let carbon = Carbon::start();
    let conf = Conf::flushing_every(&format!("{INTERVAL}s"))
        .set("carbon", "address", carbon.pickle_address())
        .set("carbon", "protocol", "pickle")
        .set("carbon.long", "address", carbon.pickle_address())
        .set("carbon.long", "protocol", "pickle")
        .set("carbon.long", "pickle_batch", "10000")
        .set("carbon.long", "namespace", "long")
        .set("namespace.long", "style", "modern")
        .set("namespace.long", "global_prefix", "l".repeat(100));
    let daemon = Daemon::start(&conf);
    let long = "n".repeat(200);
    let lines: Vec<String> =
        (0..2000).map(|nth| format!("pickled.{nth}.{long};env=prod:{nth}|c")).collect();
    for packet in lines.chunks(100) {
        daemon.send([packet.join("\n")]);
    }
    daemon.send_together([
        "hits;env=prod;route=a:4|c",
        "load:1.5|ms",
        "level:-0.25|g",
        "big:1e300|g",
    ]);
    let last = format!("stats_counts.pickled.1999.{long};env=prod");
    let further = format!("{}.counters.pickled.1999.{long}.count;env=prod", "l".repeat(100));
    let stamps = carbon.until_points(&[
        ("stats_counts.hits;env=prod;route=a", 4.0),
        ("stats.hits;env=prod;route=a", 1.0),
        ("stats.timers.load.upper", 1.5),
        ("stats.gauges.level", -0.25),
        ("stats.gauges.big", 1e300),
    ]);
    assert!(stamps.iter().all(|stamp| stamp % INTERVAL == 0 && *stamp == stamps[0]), "{stamps:?}");
    let stamps = carbon.until_points(&[(&last, 1999.0), (&further, 1999.0)]);
    assert_eq!(stamps[0], stamps[1]);
    let sinks = daemon.admin().ask("sinks");
    assert_eq!(sinks.matches("state=up").count(), 2, "{sinks}\n{}", carbon.log());
    daemon.stop();
}

/// `echo LINE | nc -u -w0 127.0.0.1 PORT`, with echo done before nc begins: -w0 waits for nothing,
/// not even for a slower echo.
fn echo_to_nc(line: &str, port: u16) {
    peers(); // they bring nc
    let (pipe, mut echo) = std::io::pipe().expect("a pipe");
    echo.write_all(line.as_bytes()).expect("room in the pipe");
    drop(echo);
    run(Command::new("nc").args(["-u", "-w0", "127.0.0.1", &port.to_string()]).stdin(pipe));
}

/// Shows that each sender of points that carbon cannot store is named with an example, also the
/// sender of a value with its own time, which belongs to no series.
#[test]
fn every_sender_of_what_carbon_cannot_store_is_named() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    let hosts = 2..8_u8;
    for host in hosts.clone() {
        let socket = UdpSocket::bind((format!("127.0.0.{host}"), 0)).unwrap();
        let kind = if host % 2 == 0 { "g" } else { "c|T1656581400" };
        let line = format!("bad..h{host}:1|{kind}");
        socket.send_to(line.as_bytes(), daemon.udp()).unwrap();
    }
    for host in hosts {
        let (sender, example) = (format!("sender=127.0.0.{host}"), format!("example=bad..h{host}"));
        daemon.until_logged(&["points_refused=1 ", "empty path element", &sender, &example], 1);
    }
    daemon.stop();
}

/// Shows that a point that carbon cannot store costs no other point, that other destinations get
/// it, and that the log names it with its sender.
#[test]
fn what_carbon_cannot_store_is_left_out_for_carbon_alone() {
    let carbon = Carbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("limits", "max_key_length", "64k")
        .set("console", "enabled", "yes");
    let daemon = Daemon::start(&conf);
    let long_line = format!("long;k={}", "v".repeat(16_384));
    let long_element = format!("{}.b", "e".repeat(256));
    let stored = format!("{}.{};k={}", "e".repeat(200), "f".repeat(200), "v".repeat(15_000));
    // With a flush between them they are sent all the same: a gauge is in each later flush.
    for name in ["a.b", "a..b", ".a", "a.", &long_line, &long_element, &stored, "z"] {
        daemon.send([format!("{name}:7|g")]);
    }
    let stored = format!("stats.gauges.{stored}");
    until_true("carbon to store what it can", || {
        let points = carbon.points(&["stats.gauges.a.b", "stats.gauges.z", &stored]);
        points.len() == 3 && points.values().flatten().all(|(_, value)| *value == 7.0)
    });
    for (example, reason) in
        [("a..b", "empty path element"), ("long;k=vvv", "16384 bytes"), ("eeee", "over 255 bytes")]
    {
        let sender = "sender=127.0.0.1";
        let words = ["points_refused=", reason, sender];
        daemon.until_logged(&words, 1);
        let line =
            daemon.log().into_iter().find(|line| words.iter().all(|word| line.contains(word)));
        let names = [example, "example=.a", "example=a."];
        let line = line.unwrap();
        assert!(names.iter().any(|name| line.contains(name)), "{line}");
    }
    // Standard output may come later than the points in Whisper.
    for name in ["a..b", ".a", "a.", &long_line, &long_element] {
        let line = format!("stats.gauges.{name} 7 ");
        until_true(&format!("{line:.40} on standard output"), || {
            daemon.stdout().iter().any(|printed| printed.starts_with(&line))
        });
    }
    let log = carbon.log();
    assert!(!log.contains("rror creating") && !log.contains("too long"), "{log}");
    daemon.stop();
}
