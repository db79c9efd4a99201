//! `own_figures`: which destinations get the server's own figures.

use std::net::UdpSocket;
use std::time::Duration;

use crate::support::{Conf, Daemon, FakeCarbon, until_true};

/// A destination that keeps what it is sent.
struct Keeper(UdpSocket);

impl Keeper {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self(socket)
    }

    fn address(&self) -> std::net::SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Returns the text of all packets that have come since the last call.
    fn take(&self) -> String {
        let mut all = Vec::new();
        let mut packet = vec![0; 65536];
        while let Ok(bytes) = self.0.recv(&mut packet) {
            all.extend_from_slice(&packet[..bytes]);
            all.push(b'\n');
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// Whether a text has own figures.
fn has_own(text: &str) -> bool {
    text.contains("packets_received")
}

/// Sends a value until all destinations have got it, and own figures where they are expected.
/// Returns what each got: carbon, a second carbon, InfluxDB, Ganglia, the console and a command.
fn sent(
    daemon: &Daemon,
    [carbon, second]: [&FakeCarbon; 2],
    [influxdb, ganglia]: [&Keeper; 2],
    name: &str,
    has_own_figures: [bool; 6],
) -> [String; 6] {
    let mut texts = [const { String::new() }; 6];
    // Two flushes, so that the own figures of the first one have come too.
    for nth in 0..2 {
        let name = format!("{name}{nth}");
        until_true("the value in all destinations", || {
            daemon.send([format!("{name}:1|c")]);
            let lines = |carbon: &FakeCarbon| {
                carbon.points().iter().map(|point| format!("{}\n", point.name)).collect::<String>()
            };
            texts[0] = lines(carbon);
            texts[1] = lines(second);
            texts[2] += &influxdb.take();
            texts[3] += &ganglia.take();
            texts[4] = daemon.stdout().join("\n");
            texts[5] = std::fs::read_to_string(daemon.folder().join("out")).unwrap_or_default();
            let is_whole = |(text, is_own): (&String, bool)| {
                text.contains(&name) && (!is_own || has_own(text))
            };
            texts.iter().zip(has_own_figures).all(is_whole)
        });
    }
    texts
}

/// Shows that a destination that is sent nothing looks healthy while its connection is up, and not
/// after it is down.
#[test]
fn without_them_a_quiet_destination_does_not_look_broken() {
    let mut carbon = FakeCarbon::start();
    let daemon =
        Daemon::start(&Conf::sending_to(carbon.address(), "1s").set("carbon", "own_figures", "no"));
    let figure = |name: &str| daemon.admin().stats()[name].parse::<u64>().unwrap();
    until_true("five flushes", || figure("uptime") >= 5);
    until_true("a flush of now", || figure("graphite.last_flush") <= 2);
    assert_eq!(figure("graphite.flush_length"), 0);
    assert!(carbon.points().is_empty());
    carbon.close();
    until_true("the failure", || figure("graphite.last_exception") < 60);
    until_true("the rise", || figure("graphite.last_flush") >= 4);
    daemon.stop();
}

/// Shows that each kind of destination gets own figures or not as it is configured, beside another
/// of its kind for which it is configured otherwise, and that a reload changes it.
#[test]
fn each_destination_gets_them_or_not() {
    let carbons = [FakeCarbon::start(), FakeCarbon::start()];
    let keepers = [Keeper::start(), Keeper::start()];
    let sections = ["carbon", "carbon.second", "influxdb", "ganglia", "console", "exec"];
    let conf = Conf::sending_to(carbons[0].address(), "1s")
        .set("carbon.second", "address", carbons[1].address())
        .set("influxdb", "address", keepers[0].address())
        .set("influxdb", "protocol", "udp")
        .set("ganglia", "address", keepers[1].address())
        .set("console", "enabled", "yes")
        .set("exec", "command", "cat >> out");
    let without = |conf: Conf, off: &[&str]| {
        sections.iter().fold(conf, |conf, section| {
            conf.set(section, "own_figures", if off.contains(section) { "no" } else { "yes" })
        })
    };
    let off = ["carbon.second", "influxdb", "ganglia", "console", "exec"];
    let daemon = Daemon::start(&without(conf.clone(), &off));
    let [carbon, second] = &carbons;
    let [influxdb, ganglia] = &keepers;
    let expected = [true, false, false, false, false, false];
    let texts = sent(&daemon, [carbon, second], [influxdb, ganglia], "first", expected);
    let found = texts.each_ref().map(|text| has_own(text));
    assert_eq!(found, expected);
    daemon.reload(&without(conf, &["carbon"]));
    daemon.until_logged(&["reload=done", "carbon.own_figures", "exec.own_figures"], 1);
    let before = carbon.points().len();
    // What carbon got before is among its text.
    let texts = sent(&daemon, [carbon, second], [influxdb, ganglia], "second", [true; 6]);
    let found = texts.each_ref().map(|text| has_own(text));
    assert_eq!(found[1..], [true; 5]);
    // The interval in which the reload came may still have them, since it was begun before.
    let later = carbon.points().split_off(before);
    let last = later.iter().map(|point| point.stamp).max().unwrap();
    assert!(!later.iter().any(|point| point.stamp == last && point.is_own()), "{later:?}");
    daemon.stop();
}
