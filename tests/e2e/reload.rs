//! SIGHUP. A new configuration applies as a whole or not at all, and a reload loses no sample.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{
    Conf, Daemon, FakeCarbon, Point, connect, free_port, reserve_tcp, send_packets, until_equal,
    until_true, until_udp_room,
};

fn sum(points: &[Point], name: &str) -> f64 {
    points.iter().filter(|point| point.name == name).map(Point::number).sum()
}

fn free_udp() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// Shows that a reload changes the contents of a flush: percentiles, rules for names that are known
/// already, the naming, the interval; and that `config` shows it and the log names it.
#[test]
fn what_a_flush_is_made_of_changes() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s");
    let daemon = Daemon::start(&conf);
    daemon.send(["t:10|ms\nt:20|ms\ng:5|g\nidle:1|c\ndrop.me:1|c"]);
    carbon.until_point("stats.timers.t.upper_90", 20.0);
    let conf = conf
        .set("statsd", "percentiles", "50")
        .set("namespace", "style", "modern")
        .set("namespace", "prefix_timer", "latency")
        .set("rule.a", "match", "drop.*")
        .set("rule.a", "drop", "yes")
        .set("rule.b", "match", "g")
        .set("rule.b", "signed_gauges", "absolute");
    daemon.reload(&conf);
    daemon.until_logged(
        &["reload=done", "statsd.percentiles", "rule.a", "namespace.prefix_timer"],
        1,
    );
    assert!(daemon.admin().ask("config").contains("percentiles = 50"));
    let stamp = crate::support::unix_now() + 1;
    carbon.until("a flush with the new figures", |points| {
        let new = |point: &&Point| point.name == "stats.latency.t.count" && point.stamp > stamp;
        points.iter().find(new).cloned()
    });
    daemon.send(["t:30|ms\ng:-3|g\ndrop.me:1|c"]);
    carbon.until_point("stats.latency.t.upper_50", 30.0);
    carbon.until_point("stats.gauges.g", -3.0);
    let late: Vec<Point> =
        carbon.points().into_iter().filter(|point| point.stamp > stamp).collect();
    assert!(
        !late.iter().any(|point| point.name.contains("drop.me")),
        "dropped, though it was known"
    );
    assert!(!late.iter().any(|point| point.name.contains("upper_90")));
    daemon.stop();
}

/// Shows that a name with a colon gets a warning with an example and its sender, and that a reload
/// of the key that the warning names changes what is counted.
#[test]
fn packed_values_are_read_as_the_key_says() {
    let conf = Conf::never_flushing();
    let daemon = Daemon::start(&conf);
    daemon.send(["host:8080:1|c"]);
    daemon.until_shown("counters", "host", 8081.0);
    let warning =
        ["packed_lines=1", "[statsd] packed_values", "sender=127.0.0.1:", "host:8080:1|c"];
    daemon.until_logged(&warning, 1);
    daemon.until_counter("statsd.bad_lines_seen", 0.0);
    daemon.reload(&conf.set("statsd", "packed_values", "timings"));
    daemon.until_logged(&["reload=done", "statsd.packed_values"], 1);
    daemon.send(["host:8080:1|c\nlat:1:2|ms"]);
    daemon.until_shown("counters", "host", 8082.0);
    daemon.until_logged(&["bad_lines=1", "packed_values", "sender=127.0.0.1:"], 1);
    daemon.stop();
}

/// Shows that a file with mistakes, and an address that is taken, change nothing and are named.
#[test]
fn an_invalid_configuration_changes_nothing() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let conf = Conf::never_flushing();
    let daemon = Daemon::start(&conf);
    daemon.reload(&conf.clone().set("statsd", "percentiles", "101").set("udp", "bnid", "*:1"));
    daemon.until_logged(&["reload=refused", "percentiles"], 1);
    daemon.until_logged(&["reload=refused", "did you mean bind?"], 1);
    let bad = conf.clone().set("statsd", "percentiles", "50").set(
        "udp",
        "bind",
        taken.local_addr().unwrap(),
    );
    daemon.reload(&bad);
    let hint = "nothing has changed; remove the cause, and reload again";
    daemon.until_logged(&["reload=refused", "cannot listen on udp", hint], 1);
    assert!(daemon.admin().ask("config").contains("percentiles = 90"));
    daemon.send(["still:1|c"]);
    daemon.until_counter("still", 1.0);
    daemon.reload(&conf.set("statsd", "user", "nobody"));
    daemon.until_logged(&["reload=partial", "statsd.user", "restart the server"], 1);
    daemon.stop();
}

/// Shows that a reload binds only listeners that changed. A socket that stays is the same one, with
/// its clients.
#[test]
fn only_listeners_that_changed_are_bound_again() {
    let (first, second) = (free_udp(), free_udp());
    let conf = Conf::never_flushing().set("udp", "bind", first);
    let daemon = Daemon::start(&conf);
    let mut client = daemon.tcp_client();
    client.write_all(b"tcp:1|c\n").unwrap();
    daemon.until_counter("tcp", 1.0);
    daemon.reload(&conf.clone().set("udp", "bind", format!("{first}, {second}")));
    daemon.until_logged(&["reload=done", "udp.bind"], 1);
    send_packets(first, ["udp:1|c"]);
    send_packets(second, ["udp:1|c"]);
    daemon.until_counter("udp", 2.0);
    // From one address of a port to all of them and back, in which the old socket is in the way of
    // the new one.
    for (times, bind) in [(2, format!("*:{}", first.port())), (3, first.to_string())] {
        daemon.reload(&conf.clone().set("udp", "bind", bind));
        daemon.until_logged(&["reload=done", "udp.bind"], times);
        send_packets(first, ["udp:1|c"]);
        daemon.until_counter("udp", 1.0 + times as f64);
    }
    client.write_all(b"tcp:1|c\n").unwrap();
    daemon.until_counter("tcp", 2.0);
    let (_reserved, other) = reserve_tcp();
    daemon.reload(
        &conf.set("tcp", "bind", "").set("admin", "bind", other).set("unix", "datagram", "d"),
    );
    daemon.until_logged(&["reload=done", "tcp.bind", "admin.bind", "unix.datagram"], 1);
    client.write_all(b"tcp:1|c\n").unwrap();
    until_true("the admin port where it is now", || {
        crate::support::Admin::connect(other).numbers("counters")["tcp"] == 3.0
    });
    assert!(daemon.folder().join("d").exists());
    daemon.stop();
}

/// Shows that a new mode of unix sockets applies to those that are there, without a new socket.
#[test]
fn unix_sockets_change_their_mode() {
    let conf = Conf::never_flushing().set("unix", "stream", "s").set("unix", "datagram", "d");
    let daemon = Daemon::start(&conf);
    let mut client = UnixStream::connect(daemon.folder().join("s")).unwrap();
    let file = |name: &str| daemon.folder().join(name).metadata().unwrap();
    let before = [file("s").ino(), file("d").ino()];
    for (times, mode) in [(1, 0o622), (2, 0o600)] {
        daemon.reload(&conf.clone().set("unix", "mode", format!("{mode:04o}")));
        daemon.until_logged(&["reload=done changed=unix.mode"], times);
        assert_eq!([file("s"), file("d")].map(|file| file.mode() & 0o777), [mode; 2]);
    }
    assert_eq!([file("s").ino(), file("d").ino()], before);
    client.write_all(b"stream:1|c\n").unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"packet:1|c", daemon.folder().join("d")).unwrap();
    daemon.until_counter("stream", 1.0);
    daemon.until_counter("packet", 1.0);
    daemon.stop();
}

/// Shows that a socket stays open if its path is written in another way, and that the two kinds of
/// unix sockets can take over the paths of each other.
#[test]
fn unix_sockets_exchange_their_paths() {
    let conf = Conf::never_flushing().set("unix", "stream", "s").set("unix", "datagram", "d");
    let daemon = Daemon::start(&conf);
    let place = |name: &str| daemon.folder().join(name);
    std::os::unix::fs::symlink(".", place("link")).unwrap();
    let client = UnixStream::connect(place("s")).unwrap();
    let numbers = || ["s", "d"].map(|name| place(name).metadata().unwrap().ino());
    let before = numbers();
    for (times, stream, datagram) in
        [(1, PathBuf::from("link/s"), PathBuf::from("./d")), (2, place("s"), place("link/d"))]
    {
        let conf = conf.clone().set("unix", "stream", stream.display());
        daemon.reload(&conf.set("unix", "datagram", datagram.display()));
        daemon.until_logged(&["reload=done changed=\"unix.datagram unix.stream\""], times);
        assert_eq!(numbers(), before);
    }
    let send = |stream: &str, datagram: &str| {
        let mut client = UnixStream::connect(place(stream)).unwrap();
        client.write_all(b"stream:1|c\n").unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"packet:1|c", place(datagram)).unwrap();
    };
    send("s", "d");
    daemon.reload(&conf.clone().set("unix", "stream", "d").set("unix", "datagram", "link/s"));
    daemon.until_logged(&["reload=done changed=\"unix.datagram unix.stream\""], 3);
    send("d", "s");
    daemon.reload(&conf.clone().set("unix", "stream", "s").set("unix", "datagram", ""));
    daemon.until_logged(&["reload=done changed=\"unix.datagram unix.stream\""], 4);
    daemon.reload(&conf.set("unix", "stream", "").set("unix", "datagram", "s"));
    daemon.until_logged(&["reload=done changed=\"unix.datagram unix.stream\""], 5);
    UnixDatagram::unbound().unwrap().send_to(b"packet:1|c", place("s")).unwrap();
    daemon.until_counter("stream", 2.0);
    daemon.until_counter("packet", 3.0);
    (&client).write_all(b"stream:1|c\n").unwrap(); // accepted connections stay
    daemon.until_counter("stream", 3.0);
    assert!(!daemon.log().join("\n").contains("reload=refused"));
    daemon.stop();
}

/// Shows that destinations come and go, and that one that moves takes its queue along.
#[test]
fn destinations_come_and_go() {
    let (mut first, second, third) =
        (FakeCarbon::start(), FakeCarbon::start(), FakeCarbon::start());
    first.close();
    let conf = Conf::sending_to(first.address(), "1s");
    let daemon = Daemon::start(&conf);
    daemon.send(["queued:7|c"]);
    until_true("a flush in the queue", || {
        daemon
            .admin()
            .ask("sinks")
            .lines()
            .next()
            .is_some_and(|line| !line.contains("queued_bytes=0 "))
    });
    let both = conf.clone().set("carbon", "address", second.address()).set(
        "carbon.more",
        "address",
        third.address(),
    );
    daemon.reload(&both);
    second.until_point("stats_counts.queued", 7.0);
    daemon.send(["later:1|c"]);
    second.until_point("stats_counts.later", 1.0);
    third.until_point("stats_counts.later", 1.0);
    daemon.reload(&conf.set("carbon", "address", second.address()));
    daemon.until_logged(&["sink=carbon.more", "state=removed"], 1);
    assert_eq!(
        daemon.admin().ask("sinks").lines().filter(|line| line.starts_with("carbon")).count(),
        1
    );
    daemon.send(["last:1|c"]);
    second.until_point("stats_counts.last", 1.0);
    assert!(third.series("stats_counts.last").is_empty());
    daemon.stop();
}

/// Shows that a destination goes on in its protocol, and at its address, when a reload names
/// another: chunks may wait in it.
#[test]
fn another_protocol_needs_a_restart() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s");
    let daemon = Daemon::start(&conf);
    let other = conf
        .set("carbon", "protocol", "pickle")
        .set("carbon", "address", "127.0.0.1:9")
        .set("statsd", "percentiles", "50");
    daemon.reload(&other);
    daemon.until_logged(
        &["reload=partial", "unchanged=\"carbon.address carbon.protocol\"", "restart the server"],
        1,
    );
    daemon.until_logged(&["reload=done changed=statsd.percentiles"], 1);
    daemon.send(["load:4|ms"]);
    carbon.until_point("stats.timers.load.upper_50", 4.0);
    assert!(daemon.admin().ask("config").contains("protocol = plaintext"));
    daemon.stop();
}

/// Sends a count of 1 by UDP and by TCP now and then until the test ends it. Returns how often it
/// did.
fn steady_load(udp: SocketAddr, tcp: SocketAddr, on: Arc<AtomicBool>) -> u64 {
    let (packets, mut lines) = (UdpSocket::bind("127.0.0.1:0").unwrap(), connect(tcp));
    let mut sent = 0;
    while on.load(Ordering::SeqCst) {
        if sent % 16 == 15 {
            until_udp_room(udp); // a reload under load must lose nothing, a slow machine may
        }
        packets.send_to(b"udp:1|c", udp).unwrap();
        lines.write_all(b"tcp:1|c\n").unwrap();
        sent += 1;
        std::thread::sleep(Duration::from_micros(500));
    }
    sent
}

/// Shows that reloads under steady load lose and double nothing, and leave no open descriptor.
#[test]
fn reloads_under_load_lose_nothing_and_leak_nothing() {
    let carbon = FakeCarbon::start();
    let (udp, more) = (free_udp(), free_udp());
    let one = Conf::sending_to(carbon.address(), "1s").set("udp", "bind", udp);
    let other = one
        .clone()
        .set("udp", "bind", format!("{more}, {udp}"))
        .set("statsd", "percentiles", "50, 99")
        .set("statsd", "flush_interval", "2s")
        .set("unix", "stream", "s.sock")
        .set("carbon", "resend", "unacked")
        .set("carbon", "queue", "1m")
        .set("rule.r", "match", "u*")
        .set("rule.r", "expire", "1h");
    let daemon = Daemon::start(&one);
    until_true("the connection", || carbon.connections() == 1);
    let descriptors = daemon.descriptors();
    let on = Arc::new(AtomicBool::new(true));
    let load = {
        let (on, tcp) = (Arc::clone(&on), daemon.tcp());
        std::thread::spawn(move || steady_load(udp, tcp, on))
    };
    for round in 1..=10 {
        daemon.reload(if round % 2 == 0 { &one } else { &other });
        daemon.until_logged(&["reload=done"], round);
    }
    on.store(false, Ordering::SeqCst);
    let sent = load.join().unwrap() as f64;
    carbon.until("every count", |points| {
        (sum(points, "stats_counts.udp") == sent && sum(points, "stats_counts.tcp") == sent)
            .then_some(())
    });
    assert_eq!(carbon.connections(), 1, "the connection was kept");
    until_equal("the number of descriptors", &descriptors, || daemon.descriptors());
    daemon.stop();
}
