//! Input over each kind of socket, in pieces of any size, is counted once, and no line is lost.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::support::{Conf, Daemon, FakeCarbon, connect, read, send_packets, until_true};
use socket2::SockRef;

/// Shows that one datagram holds many lines, with or without a last newline, up to UDP's own limit.
#[test]
fn a_datagram_holds_many_lines() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let lines = "n:1|c\n".repeat(65_507 / 6);
    assert!(lines.len() > 65_500);
    daemon.send([lines.as_str(), "n:1|c", "n:1|c\r\nm:2|g  \n\n"]);
    daemon.until_counter("n", 10_917.0 + 2.0);
    daemon.until_shown("gauges", "m", 2.0);
}

/// Shows that a bad line is counted, and costs no good line in the same datagram.
#[test]
fn a_bad_line_next_to_good_ones() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send(["good:1|c\nbad\n\ngood:2|c\nbad:x|c", "", "two:1|c:x|c:y|c:2|c"]);
    daemon.until_counter("two", 3.0);
    let counters = daemon.admin().numbers("counters");
    assert_eq!(counters["good"], 3.0);
    assert!(!counters.contains_key("bad"), "{counters:?}");
    assert_eq!(counters["statsd.bad_lines_seen"], 4.0);
    assert_eq!(counters["statsd.metrics_received"], 5.0);
    assert_eq!(counters["statsd.packets_received"], 3.0);
    assert_eq!(daemon.admin().stats()["messages.bad_lines_seen"], "4");
}

/// Shows that `*:0` is one socket for IPv6 and IPv4, and that `localhost:0` is both loopbacks.
#[test]
fn both_address_families_are_received() {
    let everywhere = Conf::never_flushing().set("udp", "bind", "*:0").set("tcp", "bind", "*:0");
    let daemon = Daemon::start(&everywhere);
    let v4 = |address: SocketAddr| SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    send_packets(daemon.udp(), ["udp:1|c"]);
    send_packets(v4(daemon.udp()), ["udp:2|c"]);
    daemon.until_counter("udp", 3.0);
    daemon.tcp_client().write_all(b"tcp:1|c\n").unwrap();
    let mut v4_client = connect(v4(daemon.tcp()));
    v4_client.write_all(b"tcp:2|c\n").unwrap();
    daemon.until_counter("tcp", 3.0);

    let loopbacks = Daemon::start(&Conf::never_flushing().set("udp", "bind", "localhost:0"));
    for &address in loopbacks.udp_bound() {
        send_packets(address, ["each:1|c"]);
    }
    loopbacks.until_counter("each", loopbacks.udp_bound().len() as f64);
    assert!(loopbacks.udp_bound().iter().all(|address| address.ip().is_loopback()));
}

/// Shows that statsite's binary messages and lines share a datagram and a connection.
#[test]
fn binary_messages_stand_among_lines() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let message = b"\xaa\x02\x02\x00\x00\x00\x00\x00\x00\x00\x08\x40n\x00";
    let mixed = [&message[..], b"n:1|c\n", message, message, b"\nn:1|c\n"].concat();
    daemon.send([&mixed]);
    daemon.until_counter("n", 11.0);
    let mut client = daemon.tcp_client();
    for cut in 1..mixed.len() {
        client.write_all(&mixed[..cut]).unwrap();
        client.write_all(&mixed[cut..]).unwrap();
    }
    daemon.until_counter("n", 11.0 * mixed.len() as f64);
    assert_eq!(daemon.admin().numbers("counters")["statsd.bad_lines_seen"], 0.0);
}

/// Shows that TCP may cut lines anywhere: every place once, then everywhere at once.
#[test]
fn tcp_lines_may_be_split_at_every_byte() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let lines = b"pieces:12|c\nlat:3.5|ms|@0.5\r\n";
    let mut client = daemon.tcp_client();
    for cut in 1..lines.len() {
        let before = daemon.admin().numbers("counters").get("pieces").copied().unwrap_or(0.0);
        client.write_all(&lines[..cut]).unwrap();
        client.write_all(&lines[cut..]).unwrap();
        daemon.until_counter("pieces", before + 12.0);
    }
    for byte in lines.chunks(1) {
        client.write_all(byte).unwrap();
    }
    daemon.until_counter("pieces", 12.0 * lines.len() as f64);
    until_true("every timing", || {
        let timers = daemon.admin().dump("timers");
        timers["lat"].as_array().expect("samples").len() == lines.len()
    });
    assert_eq!(daemon.admin().numbers("counters")["statsd.bad_lines_seen"], 0.0);
}

/// Shows that a last line without its newline counts when the client closes in order, and does not
/// when the connection is reset: then it may be incomplete.
#[test]
fn a_last_line_without_newline() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let before = daemon.descriptors();
    daemon.tcp_client().write_all(b"first:1|c\nlast:1|c").unwrap();
    daemon.until_counter("last", 1.0);
    let mut half = daemon.tcp_client();
    half.write_all(b"half:1|c").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    daemon.until_counter("half", 1.0);

    let mut reset = daemon.tcp_client();
    reset.write_all(b"whole:1|c\ntorn:1|c").unwrap();
    daemon.until_counter("whole", 1.0);
    SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
    drop((reset, half));
    until_true("the connections to be gone", || daemon.descriptors() <= before);
    let counters = daemon.admin().numbers("counters");
    assert!(!counters.contains_key("torn"), "{counters:?}");
}

/// Shows that a line over `max_line` is one bad line, however long, and that the connection goes
/// on.
#[test]
fn an_overlong_line_is_one_bad_line() {
    let daemon = Daemon::start(&Conf::never_flushing().set("tcp", "max_line", "1k"));
    let mut client = daemon.tcp_client();
    let chunk = "x".repeat(10_000);
    for _ in 0..50 {
        client.write_all(chunk.as_bytes()).unwrap();
    }
    client.write_all(b":1|c\nok:1|c\n").unwrap();
    daemon.until_counter("ok", 1.0);
    client.write_all(format!("{}\nok:2|c\n", "y".repeat(2000)).as_bytes()).unwrap();
    daemon.until_counter("ok", 3.0);
    assert_eq!(daemon.admin().numbers("counters")["statsd.bad_lines_seen"], 2.0);
}

/// Shows that one client more than `max_connections` is refused and counted, and that it is
/// accepted when another has closed its connection.
#[test]
fn one_connection_too_many_is_refused_and_counted() {
    let daemon = Daemon::start(&Conf::never_flushing().set("tcp", "max_connections", "2"));
    let mut first = daemon.tcp_client();
    let mut second = daemon.tcp_client();
    first.write_all(b"first:1|c\n").unwrap();
    second.write_all(b"second:1|c\n").unwrap();
    daemon.until_counter("second", 1.0);
    assert!(is_closed(&mut daemon.tcp_client()));
    daemon.until_counter("statsd.connections_refused", 1.0);
    drop(first);
    until_true("the third to be accepted", || {
        let mut third = daemon.tcp_client();
        let _ = third.write_all(b"third:1|c\n");
        let _ = third.shutdown(Shutdown::Write);
        is_closed(&mut third);
        daemon.admin().numbers("counters").contains_key("third")
    });
}

/// Shows that a client that sends nothing for `idle_timeout` is closed and its unfinished line
/// dropped. The close is counted, and logged with the client's address.
#[test]
fn an_idle_client_is_closed() {
    let daemon = Daemon::start(&Conf::never_flushing().set("tcp", "idle_timeout", "1s"));
    daemon.freeze(); // so that the lines are there when the server accepts the client
    let mut client = daemon.tcp_client();
    client.write_all(b"whole:1|c\ncut:1|c").unwrap();
    daemon.thaw();
    assert!(is_closed(&mut client));
    let counters = daemon.admin().numbers("counters");
    assert_eq!(counters["whole"], 1.0);
    assert!(!counters.contains_key("cut"), "{counters:?}");
    assert_eq!(counters["statsd.idle_connections_closed"], 1.0);
    let sender = format!("sender={}", client.local_addr().unwrap());
    daemon.until_logged(&["idle_connections_closed=1", "[tcp] idle_timeout", &sender], 1);
}

/// Shows that a name with its tags in any order, in either dialect, is one series.
#[test]
fn tags_in_any_order_and_dialect_are_one_series() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send(["api/hits;b=2;a=1:1|c", "api/hits:2|c|#a:1,b:2", "api/hits:4|c|@0.5|#b:2,a:1"]);
    daemon.until_counter("api-hits;a=1;b=2", 1.0 + 2.0 + 8.0);
}

/// Shows that at `max_series` new names are refused and counted while known ones go on.
#[test]
fn too_many_series_are_refused_and_counted() {
    let daemon = Daemon::start(&Conf::never_flushing().set("limits", "max_series", "100"));
    daemon.send(["known:1|c"]);
    daemon.send((0..200).map(|nth| format!("junk.{nth}:1|c")));
    daemon.send(["known:2|c"]);
    daemon.until_counter("known", 3.0);
    let counters = daemon.admin().numbers("counters");
    let junk = counters.keys().filter(|name| name.starts_with("junk.")).count();
    assert!(junk < 100, "{junk} of at most 100 series");
    assert_eq!(counters["statsd.series_rejected"], 200.0 - junk as f64);
}

/// Shows that a value with a time of its own reaches carbon with that time, beside the flush's.
#[test]
fn a_value_with_its_own_time() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    daemon.send(["past:5|c|T1700000000\npast:6|g|T1700000001"]);
    assert_eq!(carbon.until_point("stats_counts.past", 5.0).stamp, 1_700_000_000);
    assert_eq!(carbon.until_point("stats.gauges.past", 6.0).stamp, 1_700_000_001);
    daemon.stop();
}

/// Shows that the log has a line for each reason and sender of bad lines, with the count of that
/// pair, however many lines of another reason or sender there are. A client that opens a socket for
/// each packet is one sender. What is not logged within the minute is logged at the stop.
#[test]
fn a_noisy_client_hides_no_other() {
    let mut daemon = Daemon::start(&Conf::never_flushing().set("udp", "bind", "*:0"));
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, daemon.udp().port()));
    let send = |host: u8, packet: &str| {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
        socket.send_to(packet.as_bytes(), to).unwrap();
    };
    send(2, &"noisy:x|c\n".repeat(500));
    daemon.until_counter("statsd.bad_lines_seen", 500.0);
    daemon.until_logged(&["bad_lines=500 ", "finite decimal", "sender=127.0.0.2:"], 1);
    for _ in 0..10 {
        send(2, &"noisy:x|c\n".repeat(50));
    }
    send(3, "other:x|c");
    send(2, "noisy:1");
    daemon.until_logged(&["bad_lines=1 ", "finite decimal", "127.0.0.3:", "example=other:x|c"], 1);
    daemon.until_logged(
        &["bad_lines=1 ", "no type after the value", "127.0.0.2:", "example=noisy:1"],
        1,
    );
    for host in 4..=30 {
        send(host, "many:x|c\nmany:x|c");
    }
    daemon.until_counter("statsd.bad_lines_seen", 1002.0 + 54.0);
    daemon.until_logged(&["bad_lines=2 ", "127.0.0.21:", "example=many:x|c"], 1);
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    let log = daemon.log();
    let bad: Vec<_> = log.iter().filter(|line| line.contains(" bad_lines=")).collect();
    let number = |line: &str, field: &str| -> u64 {
        let (_, value) = line.split_once(&format!(" {field}=")).unwrap_or(("", "0"));
        value.split(' ').next().unwrap().parse().unwrap()
    };
    let all: u64 = bad.iter().map(|line| number(line, "bad_lines")).sum();
    assert_eq!(all, 1056, "{bad:#?}");
    let others: Vec<_> = bad.iter().filter(|line| line.contains(" other_senders=")).collect();
    assert!(!others.is_empty(), "{bad:#?}");
    let others: u64 = others.iter().map(|line| number(line, "bad_lines")).sum();
    assert_eq!(others, 2 * 9, "{bad:#?}");
    let noisy = bad.iter().filter(|line| line.contains("example=noisy:x|c"));
    assert!(noisy.clone().all(|line| line.contains("sender=127.0.0.2:")), "{bad:#?}");
    let counts: Vec<u64> = noisy.map(|line| number(line, "bad_lines")).collect();
    // Each minute that the test takes makes a line of its own.
    assert!(counts[0] == 500 && counts.iter().sum::<u64>() == 1000, "{bad:#?}");
}

/// Waits for the server to close this connection. False if it sends something instead.
fn is_closed(client: &mut TcpStream) -> bool {
    match read(client, &mut [0]) {
        Ok(count) => count == 0,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            true
        }
    }
}
