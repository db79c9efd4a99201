//! Floods of input. Memory must stay under the configured bounds, known series must stay right, and
//! the admin port must answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Admin, Conf, Daemon, MEASURES, connect, until_true, until_udp_room};
use socket2::SockRef;
use statsd_bench::Random;

/// The full sizes need an optimised server.
const PART: u64 = if cfg!(optimised) { 1 } else { 20 };
const NAMES: u64 = 2_000_000 / PART;
const CONNECTS: u64 = 100_000 / PART;
const JUNK_BYTES: u64 = (1 << 30) / PART;

/// Asks the admin port all the time, and counts up a known series over a connection of its own.
struct Watch {
    on: Arc<AtomicBool>,
    watching: JoinHandle<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    counted: u64,
    longest: Duration,
    /// Answers that took longer than is promised.
    late: u64,
}

/// How long an answer of the admin port may take on a machine without other work.
const PROMISED: Duration = Duration::from_millis(100);

impl Watch {
    fn start(daemon: &Daemon) -> Self {
        let on = Arc::new(AtomicBool::new(true));
        let (mut admin, mut known) = (daemon.admin(), daemon.tcp_client());
        let still = Arc::clone(&on);
        let watching = std::thread::spawn(move || {
            let mut watched = Watched::default();
            while still.load(Ordering::SeqCst) {
                known.write_all(b"known:1|c\n").unwrap();
                watched.counted += 1;
                let asked = Instant::now();
                assert_eq!(admin.ask("health"), "health: up\n");
                let took = asked.elapsed();
                watched.longest = watched.longest.max(took);
                watched.late += u64::from(took > PROMISED);
            }
            watched
        });
        Self { on, watching }
    }

    /// Checks that each request was answered and that the known series has every count. In `make
    /// soak`, one answer in a hundred may be late, but not by much.
    fn end(self, daemon: &Daemon, what: &str) {
        self.on.store(false, Ordering::SeqCst);
        let Watched { counted, longest, late } = self.watching.join().unwrap();
        eprintln!(
            "{what}: longest answer of {counted} took {longest:?}, {late} were late, at most {} MiB \
             resident",
            daemon.status("VmHWM") / 1024
        );
        daemon.until_counter("known", counted as f64);
        assert!(counted > 0, "no answer");
        let is_slow = late * 100 > counted || longest > Duration::from_secs(1);
        assert!(!MEASURES || !is_slow, "{late} of {counted} answers took over {PROMISED:?}");
    }
}

fn resident_mib(daemon: &Daemon) -> u64 {
    daemon.status("VmHWM") / 1024
}

/// Shows that two million random names cost what `max_series` allows, and no known series its
/// count.
#[test]
fn two_million_random_names() {
    let max_series = 200_000 / PART;
    let daemon = Daemon::start(&Conf::never_flushing().set("limits", "max_series", max_series));
    let watch = Watch::start(&daemon);
    until_true("the known series", || daemon.admin().numbers("counters").contains_key("known"));
    let mut random = Random::new(1);
    let mut flood = daemon.tcp_client();
    for _ in 0..NAMES / 1000 {
        let line = |_| {
            format!(
                "flood.{:08x}{:08x}:1|c\n",
                random.below(1_u32 << 31),
                random.below(1_u32 << 31)
            )
        };
        flood.write_all((0..1000).map(line).collect::<String>().as_bytes()).unwrap();
    }
    drop(flood);
    until_true("the end of the flood", || {
        let counters = daemon.admin().numbers("counters");
        counters["statsd.metrics_received"] >= NAMES as f64
    });
    let counters = daemon.admin().numbers("counters");
    assert!(counters["statsd.series_rejected"] >= (NAMES - max_series) as f64);
    daemon.until_logged(&["series_rejected=", "crowd_share=", "crowd_example=flood."], 1);
    watch.end(&daemon, "random names");
    // 130 bytes a series and its name, the receive buffers, and a dump of them all to this test.
    assert!(
        resident_mib(&daemon) < 30 + max_series * 200 / (1 << 20),
        "{} MiB",
        resident_mib(&daemon)
    );
    daemon.stop();
}

/// Shows that connects by the hundred thousand, past `max_connections`, cost no memory and do not
/// disturb connected clients.
#[test]
fn a_hundred_thousand_connects() {
    let daemon = Daemon::start(&Conf::never_flushing().set("tcp", "max_connections", "256"));
    let watch = Watch::start(&daemon);
    let mut held: Vec<TcpStream> = Vec::new();
    for number in 0..CONNECTS {
        let mut stream = connect(daemon.tcp());
        // The ports must come back, so the client ends with a reset, as a crashed one does.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        if number % 8 == 0 {
            let _ = stream.write_all(b"part of a li");
            held.push(stream);
        }
        if held.len() == 512 {
            held.clear();
        }
    }
    held.clear();
    watch.end(&daemon, "connects");
    let counters = daemon.admin().numbers("counters");
    assert!(counters["statsd.connections_refused"] > 0.0);
    until_true("every descriptor back", || daemon.descriptors() < 30);
    assert!(resident_mib(&daemon) < 32, "{} MiB", resident_mib(&daemon));
    daemon.stop();
}

/// Shows that a gigabyte of junk is refused line by line, in bounded memory, with a line a minute
/// in the log for each reason.
#[test]
fn a_gigabyte_of_junk() {
    let began = Instant::now();
    let daemon = Daemon::start(&Conf::never_flushing());
    let watch = Watch::start(&daemon);
    let mut random = Random::new(2);
    let mut junk: Vec<u8> = (0..1 << 17).flat_map(|_| random.bits().to_le_bytes()).collect();
    let mut stream = daemon.tcp_client();
    for _ in 0..JUNK_BYTES >> 20 {
        let at = random.below(1 << 20);
        junk.rotate_left(at);
        stream.write_all(&junk).unwrap();
    }
    drop(stream);
    until_true("the end of the junk", || {
        daemon.admin().numbers("counters")["statsd.bad_lines_seen"] > JUNK_BYTES as f64 / 2000.0
    });
    watch.end(&daemon, "junk");
    assert!(resident_mib(&daemon) < 48, "{} MiB", resident_mib(&daemon));
    let mut warnings = BTreeMap::new();
    for line in daemon.log().iter().filter(|line| line.contains("bad_lines=")) {
        let (_, rest) = line.split_once("reason=").expect("each line has its reason");
        let (reason, _) = rest.split_once(" sender=").expect("the sender is after the reason");
        *warnings.entry(reason.to_owned()).or_default() += 1;
    }
    assert!(!warnings.is_empty());
    let minutes = began.elapsed().as_secs() / 60;
    assert!(warnings.values().all(|lines: &u64| *lines <= 2 + minutes), "{warnings:?}");
    daemon.stop();
}

/// Shows that admin clients that send commands and never read cost a bounded buffer each, and that
/// other clients get their answers.
#[test]
fn admin_clients_that_never_read() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut stream = daemon.tcp_client();
    for name in 0..100_000 / PART {
        writeln!(stream, "a.series.with.a.long.name.{name}:1|c").unwrap();
    }
    drop(stream);
    let last = format!("a.series.with.a.long.name.{}", 100_000 / PART - 1);
    daemon.until_counter(&last, 1.0);
    let before = resident_mib(&daemon);
    let watch = Watch::start(&daemon);
    let silent: Vec<Admin> = (0..56)
        .map(|_| {
            let mut admin = daemon.admin();
            for _ in 0..100 {
                admin.send_unless_closed(b"counters\nstats\nconfig\n");
            }
            admin
        })
        .collect();
    let enough = Instant::now() + Duration::from_secs(2);
    until_true("a while of this", || Instant::now() > enough);
    watch.end(&daemon, "silent admin clients");
    let after = resident_mib(&daemon);
    // 64 KiB of unread output each, a little over; and the lists of two dumps.
    assert!(after - before < 32, "{before} MiB before, {after} after");
    assert_eq!(silent.len(), 56);
    daemon.stop();
}

/// Shows that a hundred thousand junk names of one sender cost a well-behaved sender beside it
/// nothing, although the junk came first, and that the junk is named with its sender and share.
#[test]
fn a_flood_of_junk_names_refuses_no_other_name() {
    const GOOD: usize = 100;
    let conf = Conf::never_flushing().set("limits", "max_series", 1000);
    let daemon = Daemon::start(&conf);
    let from = |host: &str| {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        socket.connect(daemon.udp()).unwrap();
        socket
    };
    let (junk, good) = (from("127.0.0.2"), from("127.0.0.3"));
    for part in 0..1000 {
        let lines: String = (0..100).map(|n| format!("junk.x.{}:1|c\n", part * 100 + n)).collect();
        if part % 10 == 9 {
            until_udp_room(daemon.udp()); // the two share a receive buffer
        }
        junk.send(lines.as_bytes()).unwrap();
        if part % 100 == 99 {
            let lines: String = (0..GOOD).map(|n| format!("app.web.{n}:1|c\n")).collect();
            good.send(lines.as_bytes()).unwrap();
        }
    }
    (0..GOOD).for_each(|n| daemon.until_counter(&format!("app.web.{n}"), 10.0));
    let words =
        ["series_rejected=", "crowd_share=", "crowd_prefix=junk.x", "crowd_sender=127.0.0.2"];
    daemon.until_logged(&words, 1);
    let top = daemon.admin().ask("top new");
    let shown = "% of its new series are of junk.x, sent by 127.0.0.2, such as junk.x.";
    assert!(top.contains(shown), "{top}");
    let info = daemon.web().get("/api/info").json();
    assert_eq!(info["crowd"]["prefix"], "junk.x");
    assert_eq!(info["crowd"]["sender"], "127.0.0.2");
    assert!(info["crowd"]["percent"].as_f64().unwrap() > 85.0);
    daemon.stop();
}
