//! Hostile traffic in a small cgroup, for minutes: the limits that the server derives from the
//! memory of its cgroup must keep the kernel from killing it. `make soak`.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Conf, Daemon, until_true};
use statsd_bench::Random;

/// The memory of each cgroup.
const BYTES: u64 = 64 << 20;

/// A cgroup with a limit of memory, of version 1 or 2.
struct Cgroup {
    folder: PathBuf,
    is_first_version: bool,
}

impl Cgroup {
    /// Returns `None` if this process may not make one.
    fn new(bytes: u64, name: &str) -> Option<Self> {
        let first = Path::new("/sys/fs/cgroup/memory");
        let is_first_version = first.is_dir();
        let parent = if is_first_version { first } else { Path::new("/sys/fs/cgroup") };
        let folder = parent.join(format!("statsd-soak-{name}-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let cgroup = Self { folder, is_first_version };
        let limit = if is_first_version { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(cgroup.folder.join(limit), bytes.to_string()).ok()?;
        Some(cgroup)
    }

    /// Returns the number after a word in a file, or the number in a file.
    fn number(&self, file: &str, word: &str) -> u64 {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(word));
        lines.next().and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
    }

    /// Returns how many processes the kernel has killed.
    fn kills(&self) -> u64 {
        let file = if self.is_first_version { "memory.oom_control" } else { "memory.events" };
        self.number(file, "oom_kill ")
    }

    fn most_bytes(&self) -> u64 {
        let file = if self.is_first_version { "memory.max_usage_in_bytes" } else { "memory.peak" };
        self.number(file, "")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Returns `bytes` letters that no other name has.
fn letters(random: &mut Random, bytes: usize) -> String {
    (0..bytes).map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap())).collect()
}

/// Returns one datagram of an attack.
fn attack(random: &mut Random, number: u64) -> String {
    let mut text = String::new();
    match number % 10 {
        // Names that are as long as they may be.
        0 => text = letters(random, 8000) + ":1|c",
        // Short ones, of all types.
        1 => {
            for kind in ["c", "ms", "g", "s"].into_iter().cycle().take(60) {
                text += &format!("{}:{}|{kind}\n", letters(random, 16), random.below(1000));
            }
        }
        // Tags that no other series has.
        2 | 3 => {
            text = format!("{}:1|c|#", letters(random, 8));
            for _ in 0..90 {
                text += &format!("{}:{},", letters(random, 6), letters(random, 20));
            }
        }
        // The same tags in another order each time: further raw forms of one series.
        4 => {
            let mut tags: Vec<_> = (0..40).map(|tag| format!("tag{tag}:value{tag}")).collect();
            for at in (1..tags.len()).rev() {
                tags.swap(at, usize::try_from(random.below(at as u64 + 1)).unwrap());
            }
            text = format!("order:1|ms|#{}", tags.join(","));
        }
        // Samples of some timings.
        5 => {
            let name = format!("timing.{}", random.below(2000));
            text = name + &":1.25|ms".replace("1.25", &["1.25"; 900].join(":"));
        }
        // Members of some sets.
        6 => {
            for _ in 0..60 {
                text += &format!("set.{}:{}|s\n", random.below(200), letters(random, 40));
            }
        }
        // Values that are passed through.
        7 => {
            for _ in 0..60 {
                text += &format!("{}:1|kv\n", letters(random, 100));
            }
        }
        // Histograms with a rate, and values with a timestamp.
        8 => {
            for _ in 0..30 {
                text += &format!("{}:1|h|@0.1|#host:{}\n", letters(random, 5), letters(random, 30));
                text += &format!("t.{}:1|g|T1700000000\n", letters(random, 30));
            }
        }
        // No lines at all.
        _ => text = letters(random, 60_000),
    }
    text
}

/// Sends datagrams to all servers until `ends`. Returns how many.
fn flood(servers: &[SocketAddr], seed: u64, ends: &AtomicBool) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = Random::new(seed);
    let mut sent = 0;
    while !ends.load(Ordering::SeqCst) {
        let datagram = attack(&mut random, sent);
        for server in servers {
            sent += u64::from(socket.send_to(datagram.as_bytes(), server).is_ok());
        }
    }
    sent
}

/// Opens connections that hold as much as the server stores for them, and requests answers that
/// are never read. They are replaced all the time.
fn hold(tcp: SocketAddr, admin: SocketAddr, ends: &AtomicBool) {
    let mut held: Vec<TcpStream> = Vec::new();
    let line = "x".repeat(16_000);
    let command = "x".repeat(65_000);
    let commands = "counters\n".repeat(500);
    while !ends.load(Ordering::SeqCst) {
        for (to, text) in [
            (tcp, line.as_str()),
            (admin, "counters\ntimers\nwatch\n"),
            (tcp, line.as_str()),
            (admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            (tcp, line.as_str()),
            (admin, command.as_str()),
            (tcp, line.as_str()),
            (admin, commands.as_str()),
        ] {
            let Ok(mut stream) = TcpStream::connect(to) else { continue };
            let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = stream.write_all(text.as_bytes());
            held.push(stream);
        }
        if held.len() > 2000 {
            held.drain(..500);
        }
    }
}

/// Requests the health. Fails if the server has no room for another client.
fn health(admin: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"health\nquit\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// A server under attack.
struct Victim {
    name: &'static str,
    cgroup: Cgroup,
    daemon: Daemon,
}

impl Victim {
    /// Returns `None` if this process may not make a cgroup.
    fn start(name: &'static str, conf: &Conf) -> Option<Self> {
        let cgroup = Cgroup::new(BYTES, name)?;
        let join = format!("echo $$ > {}/cgroup.procs", cgroup.folder.display());
        let daemon = Daemon::start_after(conf, &join);
        Some(Self { name, cgroup, daemon })
    }

    fn print(&self, seconds: u64) {
        println!(
            "{seconds:4} s  {}: resident {} KiB, at most {}; cgroup at most {} KiB",
            self.name,
            self.daemon.status("VmRSS"),
            self.daemon.status("VmHWM"),
            self.cgroup.most_bytes() >> 10
        );
    }
}

/// Shows that neither a server with one destination is killed, nor one with five. All destinations
/// are down or read nothing, so their queues are full.
#[test]
#[ignore = "it takes minutes: `make soak`"]
fn hostile_traffic_in_a_cgroup_never_gets_the_server_killed() {
    let seconds: u64 = std::env::var("SECONDS").map_or(600, |text| text.parse().unwrap());
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let reads_nothing = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = reads_nothing.local_addr().unwrap();
    let one = Conf::flushing_every("10s").set("carbon", "address", "127.0.0.1:9");
    let five = one
        .clone()
        .set("carbon.silent", "address", silent)
        .set("influxdb", "address", silent)
        .set("influxdb", "database", "d")
        .set("ganglia", "address", "127.0.0.1:9")
        .set("repeater", "address", "127.0.0.1:9");
    let victims = [Victim::start("one", &one), Victim::start("five", &five)];
    let [Some(one), Some(five)] = victims else {
        println!("SKIPPED: this process may not make a cgroup with a limit of memory");
        return;
    };
    let victims = [one, five];
    println!("SEED={seed}, {seconds} s, {} MiB", BYTES >> 20);
    let ends = Arc::new(AtomicBool::new(false));
    let servers = victims.each_ref().map(|victim| victim.daemon.udp());
    let floods: Vec<_> = (0..2)
        .map(|number| {
            let ends = Arc::clone(&ends);
            thread::spawn(move || flood(&servers, seed + number, &ends))
        })
        .collect();
    let holds = victims.each_ref().map(|Victim { daemon, .. }| {
        let (tcp, admin, ends) = (daemon.tcp(), daemon.admin_bound()[0], Arc::clone(&ends));
        thread::spawn(move || hold(tcp, admin, &ends))
    });
    let start = Instant::now();
    let kills = || victims.iter().map(|victim| victim.cgroup.kills()).sum::<u64>();
    while start.elapsed() < Duration::from_secs(seconds) && kills() == 0 {
        thread::sleep(Duration::from_secs(10).min(Duration::from_secs(seconds)));
        if kills() == 0 {
            victims.iter().for_each(|victim| victim.print(start.elapsed().as_secs()));
        }
    }
    ends.store(true, Ordering::SeqCst);
    let sent: u64 = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
    holds.into_iter().for_each(|hold| hold.join().unwrap());
    println!("{sent} datagrams, {} kills", kills());
    assert_eq!(kills(), 0);
    for Victim { daemon, cgroup, .. } in victims {
        // The server may still have the connections of the attack.
        let admin = daemon.admin_bound()[0];
        until_true("the server answers", || health(admin).is_ok_and(|text| text.contains("up")));
        daemon.stop();
        drop(cgroup); // a cgroup with a process cannot be removed
    }
}
