//! The server under a service manager, which passes sockets in, waits for READY, and watches. These
//! tests play the manager, so no systemd is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{
    Admin, Carbon, Conf, DEADLINE, Daemon, FakeCarbon, send_packets, uninterrupted, until,
    until_true,
};
use socket2::{Domain, SockAddr, Socket, Type};

fn bound(kind: Type) -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    if kind == Type::STREAM {
        socket.listen(64).unwrap();
    }
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn unix_datagrams(path: &Path) -> Socket {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
    socket.bind(&SockAddr::unix(path).unwrap()).unwrap();
    socket
}

/// Shows that sockets passed in are used in place of those configured, each for what it is.
#[test]
fn sockets_passed_in_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sock");
    let ((udp, udp_at), (tcp, tcp_at), (admin, admin_at)) =
        (bound(Type::DGRAM), bound(Type::STREAM), bound(Type::STREAM));
    let unix = unix_datagrams(&path);
    let stream_path = folder.path().join("s.sock");
    let stream = Socket::from(UnixListener::bind(&stream_path).unwrap());
    let sockets =
        [(&udp, "statsd"), (&tcp, "statsd"), (&admin, "admin"), (&unix, "unix"), (&stream, "unix")];
    let daemon = Daemon::start_passing(&Conf::never_flushing(), &sockets, None, |_| ());
    assert_eq!((daemon.udp(), daemon.tcp()), (udp_at, tcp_at), "{}", daemon.ready());
    daemon.send(["a:1|c"]);
    TcpStream::connect(tcp_at).unwrap().write_all(b"b:2|c\n").unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"c:3|c", &path).unwrap();
    UnixStream::connect(&stream_path).unwrap().write_all(b"d:4|c\n").unwrap();
    for (name, value) in [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)] {
        daemon.until_counter(name, value);
    }
    assert!(Admin::connect(admin_at).ask("version").starts_with("statsd "));
    daemon.stop();
    assert!(path.exists() && stream_path.exists(), "they are not ours to remove");
}

/// Shows READY when it listens, WATCHDOG while it turns, RELOADING and READY around a reload,
/// STOPPING at a stop.
#[test]
fn the_service_manager_is_notified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let next = || {
        let mut text = [0; 256];
        let bytes = uninterrupted(|| manager.recv(&mut text)).unwrap();
        String::from_utf8(text[..bytes].into()).unwrap()
    };
    let daemon = Daemon::start_passing(&Conf::never_flushing(), &[], None, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    });
    assert_eq!(next(), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1\n");
    }
    daemon.reload(&Conf::never_flushing());
    until_true("the reload", || next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    until_true("its end", || next() == "READY=1\n");
    daemon.sigterm();
    until_true("the notice of the stop", || next() == "STOPPING=1\n");
}

/// Shows that a reload which is refused while another one is pending is not the end of that one:
/// the log names it, and READY is not sent.
#[test]
fn a_refused_reload_names_the_one_that_is_pending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let next = || {
        let mut text = [0; 256];
        let bytes = uninterrupted(|| manager.recv(&mut text)).unwrap();
        String::from_utf8(text[..bytes].into()).unwrap()
    };
    let conf = Conf::never_flushing();
    let daemon = Daemon::start_passing(&conf, &[], None, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(next(), "READY=1\n");
    let with_rule =
        |name: &str| conf.clone().set("rule.a", "match", name).set("rule.a", "drop", "yes");
    daemon.reload(&with_rule("first.*"));
    assert!(next().starts_with("RELOADING=1\n"));
    assert_eq!(next(), "READY=1\n");
    // These rules wait for a flush that brings the first ones to all series.
    daemon.reload(&with_rule("second.*"));
    assert!(next().starts_with("RELOADING=1\n"));
    assert!(daemon.admin().ask("config").contains("first.*"), "it has read the file by now");
    daemon.reload(&conf.clone().set("statsd", "percentiles", "101"));
    assert!(next().starts_with("RELOADING=1\n"));
    daemon.until_logged(&["reload=refused", "percentiles", "an earlier reload is pending"], 1);
    daemon.sigterm();
    assert_eq!(next(), "STOPPING=1\n", "the pending reload is not over");
    daemon.until_logged(&["reload=dropped"], 1);
}

/// Shows that a descriptor of no use is an error which names it.
#[test]
fn a_descriptor_of_no_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("statsd.conf"), Conf::never_flushing().text()).unwrap();
    let script = "exec 3</dev/null; export LISTEN_PID=$$; exec \"$0\" -c statsd.conf";
    let output = std::process::Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_statsd")])
        .current_dir(folder.path())
        .env("LISTEN_FDS", "1")
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("descriptor 3 passed in as \"unknown\""), "{message}");
    assert_eq!(output.status.code(), Some(1));
}

/// Shows that the loop does not spin if the parent has shut down a socket that it passed in.
#[test]
fn a_socket_of_no_use_any_more_spins_nothing() {
    let (tcp, _) = bound(Type::STREAM);
    let (udp, udp_at) = bound(Type::DGRAM);
    let sockets = [(&tcp, "tcp"), (&udp, "udp")];
    let daemon = Daemon::start_passing(&Conf::never_flushing(), &sockets, None, |_| ());
    tcp.shutdown(std::net::Shutdown::Both).unwrap();
    daemon.until_logged(&["accepts_paused=", "Invalid argument"], 1);
    let (before, now) = (daemon.cpu_millis(), crate::support::unix_now());
    crate::support::until_clock_shows(now + 3);
    let spent = daemon.cpu_millis() - before;
    assert!(spent < 500, "{spent} ms of CPU in three idle seconds");
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"a:1|c", udp_at).unwrap();
    daemon.until_counter("a", 1.0);
    daemon.stop();
}

/// Shows that drops of the kernel on a socket that is passed in are counted once over restarts,
/// also those that happen while no server is there.
#[test]
fn drops_are_counted_once_over_restarts() {
    let (udp, address) = bound(Type::DGRAM);
    let conf = Conf::never_flushing().set("statsd", "state_file", "state");
    let start = |before| {
        Daemon::start_passing(
            &conf.clone().set("udp", "recv_buffer", "4k"),
            &[(&udp, "udp")],
            before,
            |_| (),
        )
    };
    let drops = |daemon: &Daemon| -> u64 {
        let stats = daemon.admin().stats();
        let drops = stats.iter().find(|(name, _)| name.ends_with(".drops"));
        drops.unwrap().1.parse().unwrap()
    };
    let mut daemon = start(None);
    daemon.freeze();
    daemon.send_at_once((0..500).map(|_| "a:1|c"));
    daemon.thaw();
    until_true("the first drops", || drops(&daemon) > 0);
    let dropped = drops(&daemon);
    daemon.sigterm();
    daemon.exit();
    let mut daemon = start(Some(daemon));
    assert_eq!(drops(&daemon), 0, "they were counted before");
    daemon.sigterm();
    daemon.exit();
    send_packets(address, (0..500).map(|_| "b:1|c"));
    let daemon = start(Some(daemon));
    let more = drops(&daemon);
    let counted = |name: &str| daemon.admin().numbers("counters").get(name).copied();
    until_true("what was not dropped", || counted("b") == Some((500 - more) as f64));
    assert_eq!(counted("a"), Some((500 - dropped) as f64));
    daemon.stop();
}

/// Shows that a stop in the middle of a burst loses no line that was received and not yet parsed,
/// and leaves the rest to the next run.
#[test]
fn a_stop_in_the_middle_of_a_burst_loses_nothing() {
    // In one datagram, so that a turn ends with datagrams that are received and not yet parsed.
    const LINES: usize = 6_000;
    let packet = "burst:1|c\n".repeat(LINES);
    let (udp, address) = bound(Type::DGRAM);
    let conf = Conf::never_flushing().set("statsd", "state_file", "state");
    let mut daemon = Daemon::start_passing(&conf, &[(&udp, "udp")], None, |_| ());
    let burst = (udp.recv_buffer_size().unwrap() / 300_000).clamp(1, 50);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0.0;
    for _ in 0..5 {
        daemon.freeze();
        for _ in 0..burst {
            sender.send_to(packet.as_bytes(), address).unwrap();
        }
        daemon.thaw();
        let before = sent;
        sent += (burst * LINES) as f64;
        let counted = |daemon: &Daemon| daemon.admin().numbers("counters").get("burst").copied();
        until_true("the first of them", || counted(&daemon).unwrap_or(0.0) > before);
        daemon.sigterm();
        assert_eq!(daemon.exit().code(), Some(0), "{:#?}", daemon.log());
        daemon = Daemon::start_passing(&conf, &[(&udp, "udp")], Some(daemon), |_| ());
    }
    daemon.until_counter("burst", sent);
    daemon.stop();
}

/// Sends a count of 1 by UDP and by a unix datagram now and then until the test ends it. Returns
/// how often it did.
fn steady_load(udp: SocketAddr, unix: &Path, load: &Load) {
    let (packets, datagrams) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UnixDatagram::unbound().unwrap());
    while !load.ends.load(Ordering::SeqCst) {
        packets.send_to(b"udp:1|c", udp).unwrap();
        datagrams.send_to(b"unix:1|c", unix).unwrap();
        load.sent.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros(500));
    }
}

#[derive(Debug, Default)]
struct Load {
    sent: AtomicU64,
    ends: AtomicBool,
}

/// Shows that twenty restarts under steady load lose no datagram and overwrite no time slot with a
/// part of it: the sum in Graphite is what was sent, and another destination got the same values.
#[test]
fn twenty_restarts_under_load_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sock");
    let (udp, address) = bound(Type::DGRAM);
    udp.set_recv_buffer_size(4 << 20).unwrap();
    let unix = unix_datagrams(&path);
    let sockets = [(&udp, "udp"), (&unix, "unix")];
    let (graphite, witness) = (Carbon::start(), FakeCarbon::start());
    let conf = Conf::sending_to(graphite.address(), "1s").set("statsd", "state_file", "state").set(
        "carbon.witness",
        "address",
        witness.address(),
    );
    let mut daemon = Daemon::start_passing(&conf, &sockets, None, |_| ());
    let load = Arc::new(Load::default());
    let loading = {
        let load = Arc::clone(&load);
        std::thread::spawn(move || steady_load(address, &path, &load))
    };
    for round in 1..=20 {
        // Enough traffic to spread the restarts over several time slots, and over all parts of one.
        until_true("traffic", || load.sent.load(Ordering::SeqCst) > 300 * round);
        daemon.sigterm();
        assert_eq!(daemon.exit().code(), Some(0), "round {round}: {:#?}", daemon.log());
        daemon = Daemon::start_passing(&conf, &sockets, Some(daemon), |_| ());
    }
    load.ends.store(true, Ordering::SeqCst);
    loading.join().unwrap();
    let sent = load.sent.load(Ordering::SeqCst) as f64;
    let names = ["stats_counts.udp", "stats_counts.unix"];
    until(Duration::from_secs(60), "every count in Graphite", || {
        let stored = graphite.points(&names);
        let sum = |name: &str| -> f64 {
            stored.get(name).into_iter().flatten().map(|(_, value)| value).sum()
        };
        names.iter().all(|name| sum(name) == sent).then_some(())
    });
    let mut slots = BTreeMap::new();
    for point in witness.points().iter().filter(|point| !point.is_own()) {
        let value = slots.insert((point.name.clone(), point.stamp), point.number());
        assert!(value.is_none_or(|value| value == point.number()), "{point:?} after {value:?}");
    }
    let stamps: BTreeSet<u64> = slots.keys().map(|(_, stamp)| *stamp).collect();
    assert!(stamps.len() > 2, "{stamps:?}");
    daemon.stop();
}
