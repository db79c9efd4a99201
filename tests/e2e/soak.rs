//! The soak: minutes of traffic over every transport, with names that come and go. Carbon resets,
//! stalls and dies, and another destination is slow. At random moments the server is stopped and
//! started again, and its configuration changes. At the end the sums must agree. `make soak`.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::recorder::{Manner, Recorder};
use crate::support::{Conf, DEADLINE, Daemon, connect, until, until_true};
use socket2::{Domain, SockAddr, Socket, Type};
use statsd_bench::Random;

/// The lines of a datagram or a connection. Each line counts 1.
const LINES: u64 = 20;
/// The UDP datagrams sent in a millisecond.
const UDP: u64 = 2;
/// The new names in 10 ms. Each name is used once and then idle.
const NAMES: u64 = 2;
/// The time after which carbon's behaviour changes.
const TURN: Duration = Duration::from_secs(10);

/// A thread that sends at a fixed pace until the test ends it, and counts what it sent.
struct Sender {
    sent: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Sender {
    /// Starts a sender. `send` sends the packet with a number, and returns how many counts the
    /// server has taken from it.
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

    /// Ends the sender and waits for its last packet. Returns the sum of all counts sent.
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

/// Sockets that outlive the server, like those of a service manager. Data that arrives while the
/// server is down waits in the kernel.
struct Sockets {
    udp: Socket,
    tcp: Socket,
    unix: Socket,
    unix_path: PathBuf,
}

impl Sockets {
    fn bind(folder: &Path) -> Self {
        let internet = |kind| {
            let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
            socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            socket
        };
        let unix_path = folder.join("d.sock");
        let unix = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        unix.bind(&SockAddr::unix(&unix_path).unwrap()).unwrap();
        let tcp = internet(Type::STREAM);
        tcp.listen(1024).unwrap();
        Self { udp: internet(Type::DGRAM), tcp, unix, unix_path }
    }

    fn start(&self, conf: &Conf, before: Option<Daemon>) -> Daemon {
        let sockets = [(&self.udp, "udp"), (&self.tcp, "tcp"), (&self.unix, "unix")];
        Daemon::start_passing(conf, &sockets, before, |_| ())
    }

    fn udp(&self) -> SocketAddr {
        self.udp.local_addr().unwrap().as_socket().unwrap()
    }

    /// Returns how many datagrams the kernel dropped on the UDP socket, over all runs of the
    /// server.
    fn udp_drops(&self) -> u64 {
        let table = std::fs::read_to_string("/proc/net/udp").unwrap();
        let local = format!("0100007F:{:04X}", self.udp().port());
        let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&local));
        line.unwrap().split_whitespace().last().unwrap().parse().unwrap()
    }

    /// Starts all senders: UDP, TCP (a connection for each packet), unix datagrams, and names that
    /// are used once.
    fn senders(&self, ends: &Arc<AtomicBool>) -> Vec<Sender> {
        let (udp, unix) = (self.udp(), self.unix_path.clone());
        let tcp = self.tcp.local_addr().unwrap().as_socket().unwrap();
        let millisecond = Duration::from_millis(1);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let by_udp = move |number| {
            let sent = (0..UDP).filter(|part| {
                socket.send_to(packet("udp", number * UDP + part).as_bytes(), udp).is_ok()
            });
            sent.count() as u64 * LINES
        };
        let local = UnixDatagram::unbound().unwrap();
        let by_unix = move |number| {
            // This blocks while the receiver's buffer is full.
            local.send_to(packet("unix", number).as_bytes(), &unix).unwrap();
            LINES
        };
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let by_new_names = move |number: u64| {
            let names: String = (0..NAMES)
                .map(|part| format!("comes.once.{}:1|ms\n", number * NAMES + part))
                .collect();
            let _ = other.send_to(names.as_bytes(), udp);
            0
        };
        vec![
            Sender::start(ends, millisecond, by_udp),
            Sender::start(ends, 2 * millisecond, move |number| by_tcp(tcp, number)),
            Sender::start(ends, millisecond, by_unix),
            Sender::start(ends, 10 * millisecond, by_new_names),
        ]
    }
}

/// Sends one packet over a connection of its own. Returns how many counts of it the server took.
///
/// The server reads such a packet in one piece. A connection that it closes with the packet unread
/// is reset by the kernel, one that it has read to its end is closed in good order.
fn by_tcp(to: SocketAddr, number: u64) -> u64 {
    let mut stream = connect(to);
    if stream.write_all(packet("tcp", number).as_bytes()).is_err() {
        return 0;
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let is_closed = matches!(stream.read(&mut [0; 1]), Ok(0));
    let is_reset = stream.take_error().unwrap().is_some();
    if is_closed && !is_reset { LINES } else { 0 }
}

/// A destination that reads 100 kB a second from each connection.
fn slow_destination(ends: &Arc<AtomicBool>) -> SocketAddr {
    let listener = crate::support::listen_on("127.0.0.1:0".parse().unwrap());
    let (address, ends) = (listener.local_addr().unwrap(), Arc::clone(ends));
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
    address
}

/// Losses that all runs of the server have reported.
#[derive(Default)]
struct Losses {
    dropped_lines: u64,
}

/// The server and its configuration during the trial.
struct Trial {
    random: Random,
    sockets: Sockets,
    conf: Conf,
    slow: SocketAddr,
    daemon: Option<Daemon>,
    losses: Losses,
    memory: Vec<u64>,
    stops: u32,
    reloads: u32,
}

impl Trial {
    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// Returns a field of carbon's line in `sinks`.
    fn of_carbon(&self, field: &str) -> u64 {
        let sinks = self.daemon().admin().ask("sinks");
        let line = sinks.lines().find(|line| line.starts_with("carbon ")).unwrap().to_owned();
        let found = line.split(' ').find_map(|word| word.strip_prefix(field)?.strip_prefix('='));
        found.unwrap().parse().unwrap()
    }

    /// Stops the server and starts it again, perhaps twice within one interval.
    fn restart(&mut self) {
        self.stops += 1;
        self.losses.dropped_lines += self.of_carbon("dropped_lines");
        let mut before = self.daemon.take().unwrap();
        if self.random.below(3) == 0 {
            // The stop comes before this reload is done.
            before.reload(&self.conf);
        }
        before.sigterm();
        assert_eq!(before.exit().code(), Some(0), "{}", before.log().join("\n"));
        for line in before.log().iter().filter(|line| line.contains("lost_lines")) {
            assert!(line.contains("sink=carbon.slow"), "{line}");
        }
        self.daemon = Some(self.sockets.start(&self.conf, Some(before)));
    }

    /// Changes settings, and adds or removes a slow destination.
    fn reload(&mut self) {
        self.reloads += 1;
        let percentiles = self.random.pick(&["50", "90", "10, 50"]);
        let slow = if self.random.below(2) == 0 { self.slow.to_string() } else { String::new() };
        let interval = self.random.pick(&["1s", "2s"]);
        self.conf = self
            .conf
            .clone()
            .set("statsd", "percentiles", percentiles)
            .set("statsd", "flush_interval", interval)
            .set("carbon.slow", "address", slow);
        let done = |daemon: &Daemon| {
            let is_done = |line: &&String| line.contains("reload=done");
            daemon.log().iter().filter(is_done).count()
        };
        let before = done(self.daemon());
        self.daemon().reload(&self.conf);
        until_true("the reload", || done(self.daemon()) > before);
    }

    /// Stops and reloads at random moments until `end`.
    fn trouble(&mut self, end: Instant) {
        loop {
            let pause = Duration::from_millis(50 + self.random.below(4000));
            if Instant::now() + pause > end {
                return std::thread::sleep(end.saturating_duration_since(Instant::now()));
            }
            std::thread::sleep(pause);
            if self.random.below(2) == 0 { self.restart() } else { self.reload() }
        }
    }

    /// Waits until carbon has acknowledged a flush of this moment and all before it. So no stop
    /// comes before points lost in a broken connection were sent again.
    fn until_delivered(&self) {
        let flushes =
            || self.daemon().admin().stats()["graphite.last_flush"].parse::<u64>().unwrap();
        until_true("a delivered flush", || flushes() <= 1 && self.of_carbon("queued_bytes") == 0);
    }
}

/// Shows that carbon gets exactly what was sent, except for what the kernel dropped and counted,
/// whatever happened to carbon and to the server. Memory does not grow.
#[test]
#[ignore = "minutes of load: make soak"]
fn what_was_sent_is_what_arrived() {
    let setting = |name: &str, default| std::env::var(name).map_or(default, |s| s.parse().unwrap());
    let seconds = setting("SECONDS", 600);
    let seed = setting("SEED", u64::from(std::process::id()));
    println!("{seconds} s, SEED={seed}; every 10 s carbon behaves in another way");
    let carbon = Recorder::start("127.0.0.1:0".parse().unwrap(), "stats_counts.soak.");
    let (ends, folder) = (Arc::new(AtomicBool::new(false)), tempfile::tempdir().unwrap());
    let sockets = Sockets::bind(folder.path());
    let conf = Conf::sending_to(carbon.address(), "2s")
        .set("statsd", "expire", "20s")
        .set("statsd", "state_file", "state")
        .set("statsd", "state_interval", "500ms")
        .set("statsd", "shutdown_timeout", "1s")
        .set("carbon", "queue", "4m")
        .set("carbon.slow", "queue", "1m")
        .set("carbon.slow", "address", "")
        .set("spool", "dir", "spool")
        .set("spool", "max_size", "4g");
    let daemon = Some(sockets.start(&conf, None));
    let all = sockets.senders(&ends);
    let slow = slow_destination(&ends);
    let mut trial = Trial {
        random: Random::new(seed),
        sockets,
        conf,
        slow,
        daemon,
        losses: Losses::default(),
        memory: Vec::new(),
        stops: 0,
        reloads: 0,
    };
    let start = Instant::now();
    for turn in 1..=u32::try_from(seconds / TURN.as_secs()).unwrap().max(1) {
        let manner =
            [Manner::Reads, Manner::Stalls, Manner::Reads, Manner::Resets][turn as usize % 4];
        carbon.behave(manner);
        if manner == Manner::Resets {
            // The run that wrote to a reset connection must resend, so it continues until then.
            std::thread::sleep((start + TURN * turn).saturating_duration_since(Instant::now()));
            carbon.behave(Manner::Reads);
            carbon.cut();
            trial.until_delivered();
        } else {
            trial.trouble(start + TURN * turn);
        }
        trial.memory.push(trial.daemon().status("VmRSS"));
        println!(
            "{:4} s  sent {}  in carbon {}  carbon {manner:?}  stops {}  reloads {}  resident {} KiB",
            start.elapsed().as_secs(),
            all.iter().map(Sender::sent).sum::<u64>(),
            carbon.sum(),
            trial.stops,
            trial.reloads,
            trial.memory.last().unwrap(),
        );
    }
    carbon.behave(Manner::Reads);
    ends.store(true, Ordering::SeqCst);
    let sent: Vec<u64> = all.into_iter().map(Sender::end).collect();
    compare_sums(&trial, &carbon, &sent);
    trial.daemon.take().unwrap().stop();
}

/// Waits for the last points, and compares the sums.
fn compare_sums(trial: &Trial, carbon: &Recorder, sent: &[u64]) {
    let total: u64 = sent.iter().sum();
    let drops = || trial.sockets.udp_drops();
    let expected = |drops: u64| total - drops * LINES;
    let began = Instant::now();
    until(6 * DEADLINE, "all that was sent", || {
        std::thread::sleep(Duration::from_millis(200)); // summing takes long itself
        let is_late = began.elapsed() > 2 * DEADLINE;
        (carbon.sum() >= expected(drops()) as f64 || is_late).then_some(())
    });
    let dropped_lines = trial.losses.dropped_lines + trial.of_carbon("dropped_lines");
    println!(
        "sent      {total} counts: {} by UDP, {} by TCP, {} by unix datagrams",
        sent[0], sent[1], sent[2]
    );
    println!("delivered {}", carbon.sum());
    println!(
        "dropped   by the kernel {} datagrams, for want of room {dropped_lines} lines",
        drops()
    );
    println!("{} stops, {} reloads", trial.stops, trial.reloads);
    assert_eq!(dropped_lines, 0);
    assert_eq!(carbon.sum(), expected(drops()) as f64, "every count once");
    let memory = &trial.memory;
    let (early, late) = (memory[memory.len() / 4], *memory.last().unwrap());
    println!("memory    {early} KiB resident after a quarter, {late} at the end");
    assert!(late < early + 16 * 1024, "memory grows");
}
