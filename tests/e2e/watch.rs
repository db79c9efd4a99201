//! `watch`: an operator follows lines as they arrive.

use std::net::{Shutdown, UdpSocket};
use std::time::{Duration, Instant};

use crate::support::{Admin, Conf, Daemon, FakeCarbon, connect, until_true, with_longer_intervals};

/// Begins a watch, and waits until it is in force.
fn watch(daemon: &Daemon, arguments: &str) -> Admin {
    let mut admin = daemon.admin();
    admin.send(format!("watch {arguments}\n"));
    assert_eq!(admin.read_through("\n"), "watching; an empty line ends it\n");
    admin
}

/// Returns a line without its time and the port of its sender.
fn without_time(line: &str) -> String {
    let (_, rest) = line.split_once(' ').unwrap();
    let (sender, rest) = rest.split_once(' ').unwrap();
    let (address, _) = sender.rsplit_once(':').unwrap();
    format!("{address} {rest}")
}

/// Shows that lines of datagrams and of connections are shown with their fields, that each client
/// gets what it asked for, and that a newline ends a watch and not the connection.
#[test]
fn lines_are_shown_as_they_arrive() {
    let carbon = FakeCarbon::start();
    let conf = Conf::flushing_at_stop_to(carbon.address());
    let conf = conf.set("rule.junk", "match", "junk.*").set("rule.junk", "drop", "yes");
    let daemon = Daemon::start(&conf);
    until_true("a connection", || daemon.admin().ask("sinks").contains("carbon state=up"));
    let mut all = watch(&daemon, "");
    let mut web = watch(&daemon, "web.*");
    let mut bad = watch(&daemon, "from 127.0.0.0/8 bad");
    let mut elsewhere = watch(&daemon, "from 10.9.8.7");
    daemon.send(["web.hits:1|c|#env:prod\njunk.x:1|c\nweb.took:1:x|ms\n"]);
    let expected = [
        "127.0.0.1 line=\"web.hits:1|c|#env:prod\" verdict=\"accepted, makes a new series\" \
         series=\"web.hits;env=prod\" rules=\"\" sent=\"carbon: stats.web.hits;env=prod +1\"\n",
        "127.0.0.1 line=\"junk.x:1|c\" verdict=\"dropped by [rule.junk]\" series=\"junk.x\" \
         rules=\"junk\" sent=\"\"\n",
        "127.0.0.1 line=\"web.took:1:x|ms\" verdict=\"accepted, makes a new series; refused: the \
         value is not a finite decimal number\" series=\"web.took\" rules=\"\" \
         sent=\"carbon: stats.timers.web.took.std +13\"\n",
    ];
    for line in expected {
        assert_eq!(without_time(&all.read_through("\n")), line);
    }
    assert_eq!(without_time(&web.read_through("\n")), expected[0]);
    assert_eq!(without_time(&web.read_through("\n")), expected[2]);
    assert_eq!(without_time(&bad.read_through("\n")), expected[2]);
    let mut stream = daemon.tcp_client();
    std::io::Write::write_all(&mut stream, b"web.level:7|g\n").unwrap();
    for client in [&mut all, &mut web] {
        let line = client.read_through("\n");
        assert!(line.contains(" line=\"web.level:7|g\" verdict=\"accepted"), "{line}");
    }
    let message = b"\xaa\x02\x06\0\0\0\0\0\0\0\0\x40web.b\0";
    std::io::Write::write_all(&mut stream, message).unwrap();
    for client in [&mut all, &mut web] {
        let line = client.read_through("\n");
        assert!(line.contains(" verdict=\"accepted, a binary message\""), "{line}");
    }
    daemon.send(["a..b:1|c"]);
    let line = all.read_through("\n");
    assert!(line.contains(" sent=\"\" not_sent=\"carbon: the name has an empty path"), "{line}");
    for client in [&mut all, &mut web, &mut bad, &mut elsewhere] {
        client.send("\n");
        assert!(client.read_through("END\n\n").ends_with("END\n\n"));
        assert!(client.ask("health").starts_with("health: "));
    }
    assert_eq!(daemon.admin().numbers("gauges")["web.level"], 7.0);
    assert!(daemon.admin().ask("watch a b").starts_with("ERROR expected"));
}

/// Shows that all lines of a burst are shown, in their order and from all senders, though a turn
/// explains few: of a datagram, of a connection, and of sixty sockets.
#[test]
fn a_burst_is_shown_whole() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut all = watch(&daemon, "");
    let lines: Vec<_> = (0..300).map(|number| format!("name.{number}:1|c\n")).collect();
    daemon.send([lines[..45].concat()]);
    for line in &lines[..45] {
        let shown = all.read_through("\n");
        assert!(shown.contains(&format!(" line=\"{}\" ", line.trim_end())), "{line}: {shown}");
    }
    let mut stream = daemon.tcp_client();
    std::io::Write::write_all(&mut stream, lines.concat().as_bytes()).unwrap();
    for line in &lines {
        let shown = all.read_through("\n");
        assert!(shown.contains(&format!(" line=\"{}\" ", line.trim_end())), "{line}: {shown}");
    }
    let sockets: Vec<_> = (0..60).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for socket in &sockets {
        socket.send_to("burst:1|c\n".repeat(12).as_bytes(), daemon.udp()).unwrap();
    }
    let shown: Vec<_> = (0..60 * 12).map(|_| all.read_through("\n")).collect();
    for socket in &sockets {
        let sender = format!(" {} line=\"burst:1|c\" ", socket.local_addr().unwrap());
        assert_eq!(shown.iter().filter(|line| line.contains(&sender)).count(), 12, "{sender}");
    }
}

/// Shows which of twenty-one senders sends a wrong value, and which omits the sample rate.
#[test]
fn the_senders_of_one_name_are_compared() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let sockets: Vec<_> = (0..21).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for (odd, differs) in [
        ("shop.time:12000|ms|@0.1", "value"),
        ("shop.time:12|ms", "rate"),
        ("shop.time:12|g", "type"),
    ] {
        let mut admin = daemon.admin();
        let answer = with_longer_intervals(2, |seconds| {
            let before = daemon.admin().numbers("counters")["statsd.packets_received"];
            let began = Instant::now();
            admin.send(format!("senders shop.time for {seconds}s\n"));
            assert_eq!(admin.read_through("\n"), format!("counting for {seconds} s\n"));
            for (number, socket) in sockets.iter().enumerate() {
                for _ in 0..10 {
                    let line = if number == 7 { odd } else { "shop.time:12|ms|@0.1" };
                    socket.send_to(line.as_bytes(), daemon.udp()).unwrap();
                }
            }
            daemon.until_counter("statsd.packets_received", before + 210.0);
            let in_time = began.elapsed() < Duration::from_secs(seconds);
            let answer = admin.read_through("END\n\n");
            in_time.then_some(answer)
        });
        let odd_sender = sockets[7].local_addr().unwrap();
        let first = answer.lines().next().unwrap();
        assert!(first.starts_with(&format!("{odd_sender} ")), "{answer}");
        assert!(first.ends_with(&format!(" differs=\"{differs}\"")), "{answer}");
        assert!(first.contains(" lines=10 values=10 "), "{answer}");
        assert_eq!(answer.matches("differs=").count(), 1, "{answer}");
        assert!(answer.contains("\ndiffers: from most senders of this name; "), "{answer}");
        assert_eq!(answer.lines().count(), 21 + 3, "{answer}");
        assert_eq!(admin.ask("health"), "health: up\n");
    }
    let mut admin = daemon.admin();
    admin.send("senders no.such for 1\n");
    let answer = admin.read_through("END\n\n");
    assert_eq!(
        answer,
        "counting for 1 s\nno line of this name came; top newest shows new names, also misspelt ones\nEND\n\n"
    );
    for wrong in ["senders a for", "senders a for 61s", "senders a 5", "senders a;b"] {
        assert!(admin.ask(wrong).starts_with("ERROR expected"), "{wrong}");
    }
}

/// Shows that the rule which drops a name is named beside its senders. A minute may be written as
/// such.
#[test]
fn the_rule_that_drops_a_name_is_named() {
    let conf = Conf::never_flushing().set("rule.junk", "match", "junk.*");
    let daemon = Daemon::start(&conf.set("rule.junk", "drop", "yes"));
    let mut admin = daemon.admin();
    let answer = with_longer_intervals(1, |seconds| {
        let before = daemon.admin().numbers("counters")["statsd.packets_received"];
        let began = Instant::now();
        admin.send(format!("senders junk.a for {seconds}s\n"));
        assert_eq!(admin.read_through("\n"), format!("counting for {seconds} s\n"));
        daemon.send(["junk.a:1:2|ms\njunk.a:x|ms\njunk.b:1|c"]);
        daemon.until_counter("statsd.packets_received", before + 1.0);
        let in_time = began.elapsed() < Duration::from_secs(seconds);
        let answer = admin.read_through("END\n\n");
        in_time.then_some(answer)
    });
    assert!(answer.ends_with("\ndropped by [rule.junk] values=2\nEND\n\n"), "{answer}");
    admin.send("senders junk.a for 1m\n");
    assert_eq!(admin.read_through("\n"), "counting for 60 s\n");
}

/// Shows that a destination that is down is named as such.
#[test]
fn a_destination_that_is_down_is_named_as_such() {
    let conf = Conf::sending_to("127.0.0.1:9".parse().unwrap(), "1s");
    let daemon = Daemon::start(&conf);
    let mut admin = daemon.admin();
    until_true("carbon is down", || admin.ask("sinks").contains("state=backing_off"));
    let sinks = admin.ask("sinks");
    assert!(sinks.contains(" dropped_lines=0 address=127.0.0.1:9 queue_limit_bytes="), "{sinks}");
    let explained = admin.ask("explain a:1|c");
    assert!(explained.contains("\nsent: carbon (down, queued): stats.a\n"), "{explained}");
    let mut all = watch(&daemon, "");
    daemon.send(["a:1|c"]);
    let shown = all.read_through("\n");
    assert!(shown.ends_with(" sent=\"carbon (down, queued): stats.a +1\"\n"), "{shown}");
}

/// Shows that a watch ends when its client closes the connection, or its half of it, also if no
/// line arrives.
#[test]
fn a_watch_ends_with_its_connection() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let before = daemon.descriptors();
    let client = watch(&daemon, "no.such.name");
    drop(client);
    until_true("the closed client to be forgotten", || daemon.descriptors() == before);
    let stream = connect(daemon.admin_bound()[0]);
    let writer = stream.try_clone().unwrap();
    let mut client = Admin::over(stream);
    client.send("watch\n");
    client.read_through("\n");
    writer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read_to_close(), "END\n\n");
}

/// Shows that a client that does not read does not delay the reception, gets the number of missed
/// lines once it reads, and that no line is lost.
#[test]
fn a_client_that_does_not_read_delays_no_line() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut slow = watch(&daemon, "");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packet = "name.of.a.usual.length:1|c\n".repeat(40);
    let mut sent = 0;
    // Until far more lines than a second may show have been sent, and the sampling had to act.
    let began = Instant::now();
    while sent < 200_000 || began.elapsed() < Duration::from_secs(2) {
        socket.send_to(packet.as_bytes(), daemon.udp()).unwrap();
        sent += 40;
        if sent % 2000 == 0 {
            daemon.until_counter("name.of.a.usual.length", f64::from(sent));
        }
    }
    slow.send("\n");
    let answer = slow.read_through("END\n\n");
    let reports = answer.lines().filter_map(|line| line.strip_prefix("missed="));
    let missed: i32 =
        reports.map(|rest| rest.split(' ').next().unwrap().parse::<i32>().unwrap()).sum();
    let shown = answer.lines().filter(|line| line.contains(" verdict=")).count();
    assert_eq!(missed + i32::try_from(shown).unwrap(), sent);
    assert!(shown >= 100 && missed > sent / 2, "{shown} shown, {missed} missed");
}
