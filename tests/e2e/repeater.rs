//! Packets that are forwarded to other StatsD servers, Node's and our own, over UDP and TCP.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, NodeStatsd, free_port, reserve_tcp, uninterrupted, until,
    until_true,
};

/// One that only repeats.
fn conf(to: SocketAddr, protocol: &str) -> Conf {
    Conf::never_flushing().set("repeater", "address", to).set("repeater", "protocol", protocol)
}

fn receiver() -> (UdpSocket, SocketAddr) {
    // Its port stays free while the receiver is down.
    let socket = UdpSocket::bind(("127.0.77.1", free_port())).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn next(socket: &UdpSocket) -> Vec<u8> {
    let mut packet = [0; 65536];
    let length = uninterrupted(|| socket.recv(&mut packet)).unwrap();
    packet[..length].to_vec()
}

/// Shows that Node's server gets everything that was sent to this server, which forwards to it.
#[test]
fn node_has_what_was_sent_to_us() {
    let carbon = FakeCarbon::start();
    let node = NodeStatsd::start(&carbon, 1, "");
    let daemon = Daemon::start(&conf(node.udp(), "udp"));
    daemon.send(["hits:3|c\nhits:4|c|@0.5", "level:7|g"]);
    daemon.tcp_client().write_all(b"late:5|c\n").unwrap();
    for (name, value) in
        [("stats_counts.hits", 11.0), ("stats.gauges.level", 7.0), ("stats_counts.late", 5.0)]
    {
        carbon.until_point(name, value);
    }
    daemon.until_counter("hits", 11.0); // and we count it ourselves
    daemon.stop();
}

/// Shows that each packet goes on as it came, whatever is in it, and to all that are to have it.
#[test]
fn a_packet_goes_on_as_it_came() {
    let (socket, address) = receiver();
    let (second, other) = receiver();
    let daemon = Daemon::start(&conf(address, "udp").set("repeater.b", "address", other));
    let long = "name:1|c\n".repeat(7000);
    let packets: [&[u8]; 5] =
        [b"a:1|c", b"a:1|c\nb:2|ms|@0.1|#x:y\n", b"no line at all", b"\xaa\0\xff", long.as_bytes()];
    for packet in packets {
        daemon.send([packet]);
        assert_eq!(next(&socket), packet);
        assert_eq!(next(&second), packet);
    }
    daemon.stop();
}

/// Shows that a line that no UDP datagram can hold is left out for the destinations over UDP alone,
/// counted for each of them, and named with its sender. Other lines of its packet go on.
#[test]
fn a_line_that_no_datagram_can_hold_is_left_out_for_udp_alone() {
    let (socket, address) = receiver();
    let (influxdb, to_influxdb) = receiver();
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("limits", "max_key_length", "64k")
        .set("unix", "datagram", "d.sock")
        .set("console", "enabled", "yes")
        .set("repeater", "address", address)
        .set("influxdb", "address", to_influxdb)
        .set("influxdb", "protocol", "udp");
    let daemon = Daemon::start(&conf);
    let client = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let send = |packet: &str| {
        client.send_to(packet.as_bytes(), daemon.folder().join("d.sock")).unwrap();
    };
    // With `stats.gauges.` before it and a time after it, the line for InfluxDB is too long.
    let long_in_influxdb = "i".repeat(65_480);
    let too_long = "r".repeat(65_505);
    send(&format!("{long_in_influxdb}:7|g\na:1|g"));
    send(&format!("{too_long}:8|g\na:2|g"));
    send("last:3|g");
    let mut repeated = Vec::new();
    while !repeated.ends_with(b"last:3|g") {
        repeated.extend_from_slice(b"\n");
        repeated.extend_from_slice(&next(&socket));
    }
    let repeated = String::from_utf8(repeated).unwrap();
    let lines: Vec<_> = repeated.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, [&format!("{long_in_influxdb}:7|g"), "a:1|g", "a:2|g", "last:3|g"]);
    // InfluxDB can store none of the two long names. The log has the one that was closed first.
    for (example, setting) in [("example=rrr", "[repeater] protocol"), ("", "[influxdb] protocol")]
    {
        let reason = "65507 bytes that a datagram can hold";
        daemon.until_logged(&["points_refused=", reason, example, setting, "sender=unix"], 1);
    }
    daemon.until_shown("gauges", "last", 3.0);
    until(DEADLINE, "the other points in InfluxDB", || {
        let packet = String::from_utf8(next(&influxdb)).unwrap();
        assert!(!packet.contains("iii"));
        packet.contains("stats.gauges.last value=3 ").then_some(())
    });
    until_true("the points on the console", || {
        let printed = daemon.stdout().join("\n");
        printed.contains(&format!("stats.gauges.{long_in_influxdb} 7 "))
    });
    assert!(!daemon.admin().ask("sinks").contains(" dropped_lines=1 "));
    let points = |name: &str| {
        let figures = daemon.web().get("/metrics").body;
        let figure = format!("statsd_destination_points_refused_total{{destination=\"{name}\"}} ");
        let line = figures.lines().find_map(|line| line.strip_prefix(&figure));
        line.unwrap_or_else(|| panic!("no {figure} in {figures}")).to_owned()
    };
    until_true("refused points of InfluxDB", || points("influxdb") != "0");
    assert_eq!((points("repeater"), points("console")), ("1".to_owned(), "0".to_owned()));
    daemon.stop();
}

/// Shows that two servers in a row have the same counts, also of lines that arrive while the first
/// one flushes.
fn assert_nothing_is_missing(protocol: &str) {
    let (carbon, last) = (FakeCarbon::start(), Daemon::start(&Conf::never_flushing()));
    let to = if protocol == "tcp" { last.tcp() } else { last.udp() };
    let first = conf(to, protocol).set("statsd", "flush_interval", "1s").set(
        "carbon",
        "address",
        carbon.address(),
    );
    let first = Daemon::start(&first);
    let mut client = first.tcp_client();
    // Enough series to make a flush last a while.
    for nth in 0..20 {
        let names: String = (0..1000).map(|at| format!("name.{nth}.{at}:1|c\n")).collect();
        client.write_all(names.as_bytes()).unwrap();
        last.until_counter(&format!("name.{nth}.999"), 1.0);
    }
    let flushes = || carbon.series("statsd.numStats").len();
    let before = flushes();
    let mut rounds = 0;
    while flushes() < before + 3 {
        rounds += 1;
        client.write_all("more:1|c\n".repeat(100).as_bytes()).unwrap();
        last.until_counter("more", f64::from(rounds) * 100.0);
    }
    let counters = last.admin().numbers("counters");
    let names = counters.iter().filter(|(name, _)| name.starts_with("name."));
    assert_eq!(names.filter(|(_, count)| **count == 1.0).count(), 20_000);
    first.stop();
    last.stop();
}

#[test]
fn nothing_is_missing_over_tcp() {
    assert_nothing_is_missing("tcp");
}

#[test]
fn nothing_is_missing_over_udp() {
    assert_nothing_is_missing("udp");
}

/// Shows that a receiver that is down does not affect others, and that it gets all packets from the
/// moment it is up.
#[test]
fn a_receiver_that_is_down_costs_no_memory() {
    let (socket, address) = receiver();
    drop(socket);
    let daemon = Daemon::start(&conf(address, "udp"));
    daemon.send(["hits:3|c"]);
    let hint = "it drops the lines for this destination";
    daemon.until_logged(&["sink=repeater state=backing_off", "Connection refused", hint], 1);
    let before = daemon.status("VmRSS");
    let packet = "filler:1|c\n".repeat(100);
    for round in 1..=500 {
        daemon.send(std::iter::repeat_n(&packet, 20)); // 11 MB in all
        daemon.until_counter("filler", f64::from(round) * 2000.0);
    }
    until_true("packets to be dropped", || {
        !daemon.admin().ask("sinks").contains(" dropped_lines=0 ")
    });
    let more = daemon.status("VmRSS").saturating_sub(before);
    assert!(more < 4 << 10, "a receiver that is down costs {more} KiB");
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    until(DEADLINE, "a packet of now", || {
        daemon.send(["now:1|c"]);
        let mut packet = [0; 2000];
        socket.recv(&mut packet).is_ok_and(|length| &packet[..length] == b"now:1|c").then_some(())
    });
    daemon.stop();
}

/// Shows that a stop does not wait for a receiver that is down, although packets for it are queued
/// over TCP, and that the log shows this.
#[test]
fn a_stop_does_not_wait_for_a_receiver_that_is_down() {
    let (_reserved, address) = reserve_tcp();
    let conf = conf(address, "tcp").set("statsd", "shutdown_timeout", "1h");
    let mut daemon = Daemon::start(&conf);
    daemon.until_logged(&["sink=repeater state=backing_off"], 1);
    daemon.send(["hits:3|c"]);
    daemon.until_counter("hits", 3.0);
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    daemon.until_logged(&["sink=repeater state=abandoned", "lost_lines=1"], 1);
}

/// Shows that a reload begins and ends repeating.
#[test]
fn a_reload_begins_and_ends_it() {
    let (socket, address) = receiver();
    let without = Conf::never_flushing();
    let daemon = Daemon::start(&without);
    daemon.reload(&without.clone().set("repeater", "address", address));
    daemon.until_logged(&["reload=done", "repeater"], 1);
    daemon.send(["with:1|c"]);
    assert_eq!(next(&socket), b"with:1|c");
    daemon.reload(&without);
    daemon.until_logged(&["reload=done", "repeater"], 2);
    daemon.send(["without:1|c"]);
    daemon.until_counter("without", 1.0);
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 100]).is_err(), "it is repeated no more");
    daemon.stop();
}
