//! Crowds at the admin port: clients that never read, that send a byte at a time, and that send
//! rubbish, many at once. Memory stays bounded, and other clients get their answers.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;
use statsd_bench::Random;

use crate::support::{Conf, DEADLINE, Daemon, connect, until_true};

const OPTIMISED: bool = !cfg!(debug_assertions);
const SERIES: usize = if OPTIMISED { 200_000 } else { 10_000 };
const CLIENTS: usize = 200;
const ROUNDS: usize = if OPTIMISED { 2_000 } else { 300 };
/// Requests and commands that bring long answers, or that are cut off.
const ASKS: [&str; 16] = [
    "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET /metrics HTTP/1.0\r\n\r\n",
    "GET /api/series?n=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET /api/series?q=*a*a*b*c*d*z&sort=value HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET /api/info HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET /api/watch HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "counters\n",
    "info\nstats\ngauges\n",
    "watch crowd.*\n",
    "senders crowd.* for 1s\n",
    "top new 1000\nrules\n",
    "top 100000\nconfig\nexplain crowd.name.1:1|ms\n",
    "GET /api/history?figure=bytes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n0123456789",
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
];

/// One client of the crowd.
struct Member {
    stream: TcpStream,
    random: Random,
    reads: bool,
}

impl Member {
    fn new(daemon: &Daemon, seed: u64) -> Self {
        let stream = connect(daemon.admin_bound()[0]);
        stream.set_nonblocking(true).unwrap();
        let mut random = Random::new(seed);
        let reads = random.below(4) == 0;
        Self { stream, random, reads }
    }

    /// Sends something, or a byte of it, and perhaps reads. Returns `false` once the server has
    /// closed the connection.
    fn act(&mut self) -> bool {
        let ask = ASKS[self.random.below(ASKS.len())].as_bytes();
        let mut piece = match self.random.below(3) {
            0 => ask.to_vec(),
            1 => ask[self.random.below(ask.len())..][..1].to_vec(),
            _ => ask[..self.random.below(ask.len())].to_vec(),
        };
        if self.random.below(5) == 0 {
            let at = self.random.below(piece.len() + 1);
            piece.insert(at, b"\0\n\r\xff{:"[self.random.below(6)]);
        }
        let is_open = match self.stream.write(&piece) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        };
        if !self.reads {
            return is_open;
        }
        match self.stream.read(&mut [0; 4096]) {
            Ok(read) => is_open && read > 0,
            Err(error) => is_open && error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Shows that two hundred clients at a time, none of which behaves, cost bounded memory, and that a
/// scrape and a command in between are answered.
///
/// The longest turn is printed only. On a busy machine it has the time of other processes in it.
#[test]
fn a_crowd_that_does_not_behave_is_bounded() {
    // A busy server may not have seen yet that clients have left whose places others take.
    let conf = Conf::flushing_every("1s").set("admin", "max_connections", 5 * CLIENTS);
    let daemon = Daemon::start(&conf);
    let mut sender = daemon.tcp_client();
    for from in (0..SERIES).step_by(1000) {
        let lines: String =
            (from..from + 1000).map(|n| format!("crowd.name.{n:06}:1|g\n")).collect();
        sender.write_all(lines.as_bytes()).unwrap();
    }
    let last = format!("crowd.name.{:06}", SERIES - 1);
    daemon.until_shown("gauges", &last, 1.0);
    let mut crowd: Vec<_> = (0..CLIENTS as u64).map(|seed| Member::new(&daemon, seed)).collect();
    let mut seed = CLIENTS as u64;
    for round in 0..ROUNDS {
        sender.write_all(b"crowd.name.000000:1|g\ncrowd.bad\n").unwrap();
        for member in &mut crowd {
            if !member.act() {
                seed += 1;
                *member = Member::new(&daemon, seed);
            }
        }
        if round % (ROUNDS / 3) == 0 {
            let asked = Instant::now();
            assert_eq!(daemon.admin().ask("health"), "health: up\n");
            assert!(asked.elapsed() < DEADLINE);
        }
    }
    let resident = daemon.status("VmHWM") / 1024;
    // A series and its name, and the unread output of each client with a page of the server.
    let allowed = 40 + ((SERIES * 300) >> 20) as u64 + (CLIENTS as u64) / 2;
    let info = daemon.admin().ask("info flush");
    let longest = info.lines().find_map(|line| line.strip_prefix("longest_turn_ms:")).unwrap();
    let longest: f64 = longest.parse().unwrap();
    println!("{seed} clients, {resident} MiB of {allowed}, longest turn {longest} ms");
    assert!(resident < allowed, "{resident} MiB resident, of {allowed} allowed");
    drop(crowd);
    // Two clients at a time may walk over the series.
    until_true("a scrape", || {
        let page = daemon.web().get("/metrics");
        page.body.matches("# TYPE crowd_name_").count() == SERIES
    });
    assert_eq!(daemon.admin().ask("health"), "health: up\n");
    daemon.stop();
}

/// Shows that one step of a list writes a bounded number of bytes, though names are long. Each step
/// is a chunk.
#[test]
fn long_names_are_written_in_small_steps() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let name = |number: usize| format!("{}.{number}", "x".repeat(7900));
    let mut stream = daemon.tcp_client();
    for number in 0..60 {
        stream.write_all(format!("{}:1|c\n", name(number)).as_bytes()).unwrap();
    }
    stream.write_all(b"last:1|g\n").unwrap();
    daemon.until_shown("gauges", "last", 1.0);
    let mut web = daemon.web();
    web.send("GET /api/series?q=xx HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let answer = String::from_utf8(web.rest()).unwrap();
    let mut rest = answer.split_once("\r\n\r\n").unwrap().1;
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            break;
        }
        assert!(length < 16_384 + 8_300, "a step of {length} bytes");
        body.push_str(&after[..length]);
        rest = &after[length + 2..];
    }
    let list: Value = serde_json::from_str(&body).unwrap();
    let names: BTreeSet<_> = list["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| &found["name"])
        .map(Value::as_str)
        .collect();
    assert_eq!(names.len(), 60);
    assert!(names.contains(&Some(&*name(7))));
}
