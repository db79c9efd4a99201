//! The soak: minutes of traffic over every transport, names that come and go, a carbon that resets, stalls and dies. It prints
//! what was sent, delivered and dropped, and why; `make soak`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the bans are for the server; this reads the clock and says what it measured"
)]

mod support;

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::recorder::{Manner, Recorder};
use support::{Conf, Daemon, connect, until};

/// Lines of one count each in a datagram or a write.
const LINES: u64 = 20;
/// Datagrams or writes in a millisecond.
const UDP: u64 = 2;
const TCP: u64 = 1;
const UNIX: u64 = 1;
/// New names in a hundredth of a second; each is idle from then on.
const NAMES: u64 = 2;

/// Sends at a pace until it is told to end, and counts.
struct Sender {
    sent: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Sender {
    /// `send` sends what is numbered so, and says how many counts it brought.
    fn start(
        ends: &Arc<AtomicBool>,
        each: Duration,
        mut send: impl FnMut(u64) -> u64 + Send + 'static,
    ) -> Self {
        let (sent, ends) = (Arc::new(AtomicU64::new(0)), Arc::clone(ends));
        let counted = Arc::clone(&sent);
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            for number in 0.. {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let due = start + each * u32::try_from(number).unwrap();
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                counted.fetch_add(send(number), Ordering::SeqCst);
            }
        });
        Self { sent, thread }
    }

    /// Waits for the last one, and says what was sent in all.
    fn end(self) -> u64 {
        self.thread.join().unwrap();
        self.sent.load(Ordering::SeqCst)
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

fn packet(transport: &str, number: u64) -> String {
    (0..LINES)
        .map(|line| format!("soak.{transport}.{}:1|c\n", (number * LINES + line) % 1000))
        .collect()
}

/// All senders: UDP, TCP (a new connection every few thousand writes), unix datagrams, and names that come once.
fn senders(daemon: &Daemon, ends: &Arc<AtomicBool>) -> Vec<Sender> {
    let (udp, tcp) = (daemon.udp(), daemon.tcp());
    let unix = daemon.folder().join("d.sock");
    let millisecond = Duration::from_millis(1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let by_udp = move |number| {
        let sent = (0..UDP).filter(|part| {
            socket.send_to(packet("udp", number * UDP + part).as_bytes(), udp).is_ok()
        });
        sent.count() as u64 * LINES
    };
    let mut stream = connect(tcp);
    let by_tcp = move |number: u64| {
        if number % 5000 == 4999 {
            stream = connect(tcp);
        }
        stream.write_all(packet("tcp", number).as_bytes()).unwrap();
        TCP * LINES
    };
    let local = UnixDatagram::unbound().unwrap();
    let by_unix = move |number| {
        local.send_to(packet("unix", number).as_bytes(), &unix).unwrap();
        UNIX * LINES
    };
    let comer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let newcomers = move |number: u64| {
        let names: String =
            (0..NAMES).map(|part| format!("comes.once.{}:1|ms\n", number * NAMES + part)).collect();
        let _ = comer.send_to(names.as_bytes(), udp);
        0
    };
    vec![
        Sender::start(ends, millisecond, by_udp),
        Sender::start(ends, millisecond, by_tcp),
        Sender::start(ends, millisecond, by_unix),
        Sender::start(ends, 10 * millisecond, newcomers),
    ]
}

/// What the server says of itself.
struct Said {
    kernel_drops: u64,
    sink: String,
}

impl Said {
    fn by(daemon: &Daemon) -> Self {
        let mut admin = daemon.admin();
        let stats = admin.stats();
        let drops = stats.iter().filter(|(name, _)| name.ends_with(".drops"));
        let kernel_drops = drops.map(|(_, drops)| drops.parse::<u64>().unwrap()).sum();
        let sinks = admin.ask("sinks");
        Self { kernel_drops, sink: sinks.lines().next().unwrap().to_owned() }
    }

    fn dropped_lines(&self) -> u64 {
        let field = self.sink.split(' ').find_map(|field| field.strip_prefix("dropped_lines="));
        field.unwrap().parse().unwrap()
    }

    fn print(&self, resident: u64) {
        let Self { kernel_drops, sink } = self;
        println!("        kernel drops {kernel_drops}  resident {resident} KiB\n        {sink}");
    }
}

/// Shows that what was sent is what carbon has in the end, but for what the kernel dropped and counted; and that memory does
/// not grow.
#[test]
#[ignore = "minutes of load: make soak"]
fn what_was_sent_is_what_arrived() {
    let seconds = std::env::var("SECONDS").map_or(600, |seconds| seconds.parse().unwrap());
    let carbon = Recorder::start("127.0.0.1:0".parse().unwrap(), "stats_counts.soak.");
    let conf = Conf::sending_to(carbon.address(), "2s")
        .set("unix", "datagram", "d.sock")
        .set("statsd", "expire", "20s")
        .set("carbon", "reconnect_max", "500ms")
        .set("carbon", "queue", "4m")
        .set("spool", "dir", "spool");
    let daemon = Daemon::start(&conf);
    let unloaded = daemon.status("VmRSS");
    let ends = Arc::new(AtomicBool::new(false));
    let all = senders(&daemon, &ends);
    let start = Instant::now();
    let mut memory = Vec::new();
    println!(
        "{seconds} s; 10 s each: carbon resets every connection, reads and dies, stalls, reads and dies"
    );
    for turn in 1..=(seconds / 10).max(1) {
        let manner = [Manner::Reads, Manner::Resets, Manner::Reads, Manner::Stalls][turn % 4];
        carbon.behave(manner);
        std::thread::sleep(
            (start + Duration::from_secs(10 * turn as u64))
                .saturating_duration_since(Instant::now()),
        );
        if manner == Manner::Reads {
            carbon.cut();
        }
        let said = Said::by(&daemon);
        memory.push(daemon.status("VmRSS"));
        let so_far: u64 = all.iter().map(Sender::sent).sum();
        println!("{:4} s  sent {so_far}  in carbon {}  carbon {manner:?}", turn * 10, carbon.sum());
        said.print(*memory.last().unwrap());
    }
    carbon.behave(Manner::Reads);
    ends.store(true, Ordering::SeqCst);
    let sent: Vec<u64> = all.into_iter().map(Sender::end).collect();
    let total: u64 = sent.iter().sum();
    let said = Said::by(&daemon);
    let dropped = said.kernel_drops * LINES;
    until(Duration::from_secs(60), "all that was sent", || {
        std::thread::sleep(Duration::from_millis(200)); // a sum takes a while itself
        (carbon.sum() + dropped as f64 >= total as f64).then_some(())
    });
    let (early, late) = (memory[memory.len() / 4], *memory.last().unwrap());
    println!(
        "sent      {total} counts: {} by UDP, {} by TCP, {} by unix datagrams",
        sent[0], sent[1], sent[2]
    );
    println!("delivered {}", carbon.sum());
    println!(
        "dropped   by the kernel {} datagrams, for want of room {} lines",
        said.kernel_drops,
        said.dropped_lines()
    );
    println!(
        "memory    {unloaded} KiB resident at the start, {early} after a quarter, {late} at the end, {} at most",
        daemon.status("VmHWM")
    );
    println!("{}", said.sink);
    assert_eq!(said.dropped_lines(), 0);
    assert!(carbon.sum() <= total as f64, "nothing counts twice");
    assert!(late < early + 16 * 1024, "memory grows");
    daemon.stop();
}
