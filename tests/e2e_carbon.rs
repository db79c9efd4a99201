//! From a real client to a real Whisper file: what users of Graphite have at both ends.

mod support;

use std::io::Write;
use std::process::Command;

use support::{
    Carbon, Conf, DEADLINE, Daemon, peer_script, peers, run, until, until_interval_has_left,
};

/// Seconds between flushes where a client needs time to say all it has to say.
const INTERVAL: u64 = 4;

/// Shows that a counter sent by hand, as the README does, is in a Whisper file after the next flush.
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

/// Shows that every call of the Python client arrives over UDP with the value it means.
#[test]
fn the_python_client_over_udp() {
    python_client_is_understood("udp");
}

/// Shows the same over TCP, where lines come in whatever pieces the kernel makes.
#[test]
fn the_python_client_over_tcp() {
    python_client_is_understood("tcp");
}

/// Shows that hot-shots' tagged and buffered metrics land where Graphite keeps tagged series, those of
/// its telegraf mode too, and that its events and checks are known for what they are.
#[test]
fn hot_shots_with_tags_and_buffering() {
    let carbon = Carbon::start();
    let conf = Conf::sending_to(carbon.address(), &format!("{INTERVAL}s"));
    let daemon = Daemon::start(&conf.set("statsd", "tag_formats", "dogstatsd, graphite, influx"));
    let stamp = until_interval_has_left(INTERVAL - 2, INTERVAL);
    run(Command::new("node")
        .arg(peer_script("send_hotshots.js"))
        .args([&daemon.udp().port().to_string(), "hs"])
        .current_dir(peers().join("npm")));
    carbon.until_stored(
        stamp,
        &[
            ("stats_counts.hs.hits;env=prod", 1.0),
            ("stats.hs.hits;env=prod", 0.25),
            ("stats_counts.hs.hits;env=prod;route=a", 2.0),
            ("stats.gauges.hs.level;env=prod", 12.5),
            ("stats.gauges.hs.moved;env=prod", -2.0),
            ("stats.timers.hs.load.count;env=prod", 2.0),
            ("stats.timers.hs.load.sum;env=prod", 400.0),
            ("stats.timers.hs.size.upper;env=prod", 50.0),
            ("stats.timers.hs.spread.mean;env=prod", 8.0),
            ("stats.sets.hs.users.count;env=prod", 2.0),
            ("stats_counts.hs.telegraf.hits;zone=a", 3.0),
            ("stats.timers.hs.telegraf.load.upper;env=prod;zone=a", 20.0),
            ("stats_counts.statsd.events_ignored", 2.0),
            ("stats_counts.statsd.bad_lines_seen", 0.0),
            ("stats_counts.hs.buffered.hits", 50.0),
            ("stats.timers.hs.buffered.load.count", 50.0),
            ("stats.timers.hs.buffered.load.sum", 1225.0),
        ],
    );
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

fn python_client_is_understood(transport: &str) {
    let carbon = Carbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), &format!("{INTERVAL}s")));
    let address = if transport == "udp" { daemon.udp() } else { daemon.tcp() };
    let stamp = until_interval_has_left(INTERVAL - 2, INTERVAL);
    run(Command::new(peers().join("venv/bin/python")).arg(peer_script("send_python.py")).args([
        transport,
        &address.port().to_string(),
        "py",
    ]));
    carbon.until_stored(
        stamp,
        &[
            ("stats_counts.py.hits", 3.0),
            ("stats.py.hits", 0.75),
            ("stats.gauges.py.level", 12.0),
            ("stats.gauges.py.cold", -7.0),
            ("stats.sets.py.users.count", 2.0),
            ("stats.timers.py.load.count", 2.0),
            ("stats.timers.py.load.sum", 400.0),
            ("stats.timers.py.load.mean", 200.0),
            ("stats.timers.py.load.lower", 80.0),
            ("stats.timers.py.load.upper", 320.0),
            ("stats.timers.py.load.std", 120.0),
            ("stats.timers.py.load.upper_90", 320.0),
            ("stats.timers.py.work.count", 1.0),
            ("stats.timers.py.called.count", 2.0),
            ("stats_counts.py.piped", 100.0),
            ("stats.gauges.py.piped_level", 42.0),
            ("stats.timers.py.piped_load.sum", 7.0),
        ],
    );
    daemon.stop();
}
