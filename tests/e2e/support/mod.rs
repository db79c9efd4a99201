//! The code that end-to-end tests share: the server as a child process, and the peers that it talks
//! to.
//!
//! Everything runs on loopback on ports of its own, so that tests run side by side. A test never
//! sleeps for a time: it waits [`until`] a condition holds, and fails when its deadline has passed.
//!
//! # No test needs a quiet machine
//!
//! A busy machine can hold any process for seconds. So a test must not need two things to happen
//! within one flush, one interval or one second:
//! - Lines that must be in one flush are sent with [`Daemon::send_together`], or the interval is
//!   longer than the test and the stop closes it ([`Conf::flushing_at_stop_to`]).
//! - A counter of the open interval goes back to 0 at a flush. With short intervals a test waits
//!   until the admin port knows the name ([`Daemon::until_known`]), or adds up what carbon got.
//! - A late server skips the ends of intervals. What must have arrived is what a second destination
//!   got, not a range of stamps.
//! - The log, standard output, carbon and the admin port are not ordered with each other. A test
//!   waits for each of them.
//! - What has to fit in one interval is tried [`with_longer_intervals`].

mod admin;
mod carbon;
mod conf;
mod daemon;
pub(crate) mod docs;
mod fake_carbon;
mod gmond;
mod graphite_web;
mod influxd;
pub(crate) mod json;
mod node;
mod process;
mod proxy;
pub(crate) mod recorder;
mod relay;
pub(crate) mod traffic;
mod victoria;
mod web;

pub(crate) use admin::Admin;
pub(crate) use carbon::Carbon;
pub(crate) use conf::Conf;
pub(crate) use daemon::{Daemon, statsd_command};
pub(crate) use fake_carbon::{FakeCarbon, Point};
pub(crate) use gmond::Gmond;
pub(crate) use graphite_web::GraphiteWeb;
pub(crate) use influxd::{ACCOUNT, Influxd};
pub(crate) use node::NodeStatsd;
pub(crate) use process::{Finished, Process};
pub(crate) use proxy::Proxy;
pub(crate) use relay::Relay;
pub(crate) use victoria::Victoria;
pub(crate) use web::{Page, Web};

use std::fmt::Debug;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use socket2::{Domain, Socket, Type};

/// The time after which a test gives up waiting for a condition. It is far longer than any
/// condition needs, so that a slow machine does not fail a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// Whether the server was built for a release, as in `make soak`. Only then may a test limit a
/// time: `make test` must not fail because the machine does other work.
pub(crate) const MEASURES: bool = !cfg!(debug_assertions);

/// Calls `look` every few milliseconds until it returns a value. `what` completes "waited for …".
pub(crate) fn until<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < deadline, "waited {deadline:?} for {what}");
        std::thread::sleep(Duration::from_millis(4));
    }
}

/// Waits as [`until`] does, for a condition without a result.
pub(crate) fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(DEADLINE, what, || holds().then_some(()));
}

/// Waits until `look` returns the expected value. If that does not happen, prints the last value.
pub(crate) fn until_equal<T: PartialEq + Debug>(
    what: &str,
    expected: &T,
    mut look: impl FnMut() -> T,
) {
    let began = Instant::now();
    loop {
        let actual = look();
        if actual == *expected {
            return;
        }
        let late = began.elapsed() > DEADLINE;
        assert!(!late, "{what} is {actual:?} after {DEADLINE:?}, not {expected:?}");
        std::thread::sleep(Duration::from_millis(4));
    }
}

/// Opens a connection that sends every write at once, and whose reads have a time limit.
pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap_or_else(|error| panic!("{to}: {error}"));
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Reads the available bytes.
pub(crate) fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| stream.read(buffer))
}

/// Repeats a call with a time limit that a signal has interrupted. Another test's child may cause
/// the signal, or a stop of the whole machine.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Returns whole seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Waits until the clock shows `stamp`.
pub(crate) fn until_clock_shows(stamp: u64) {
    until_true("the clock", || unix_now() >= stamp);
}

/// Waits for a moment in an aligned interval: at least 100 ms after its start, so that the flush
/// before it is over, and at least `left` seconds before its end. Input that is sent now falls into
/// that interval. Returns the stamp of its flush.
pub(crate) fn until_interval_has_left(left: u64, interval: u64) -> u64 {
    until(DEADLINE, "room in an interval", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let end = (now.as_secs() + 1).next_multiple_of(interval);
        let to_go = Duration::from_secs(end).checked_sub(now)?;
        let began = Duration::from_secs(interval).checked_sub(to_go)?;
        (began >= Duration::from_millis(100) && to_go >= Duration::from_secs(left)).then_some(end)
    })
}

/// Runs a trial that needs several things to happen within one interval. The trial gets the length
/// of the interval in seconds, and returns `None` if the interval ended too early. Then it is run
/// again with an interval that is twice as long.
pub(crate) fn with_longer_intervals<T>(seconds: u64, mut trial: impl FnMut(u64) -> Option<T>) -> T {
    let mut lengths = (0..5).map(|doublings| seconds << doublings);
    lengths.find_map(&mut trial).expect("an interval that is long enough")
}

/// Runs a command to its end. Fails if the command fails.
pub(crate) fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// Whether the system has this program.
pub(crate) fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into()]);
    folders.into_iter().any(|folder| folder.join(program).exists())
}

/// The folder of the installed peers.
pub(crate) fn peers() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".peers");
    assert!(folder.join("stamp").exists(), "the peers are not installed: run `make peers`");
    folder
}

/// Returns `None` if this peer could not be installed, and prints the name of the test that is
/// skipped.
pub(crate) fn installed(peer: &str) -> Option<()> {
    let Ok(reason) = fs::read_to_string(peers().join("without").join(peer)) else {
        return Some(());
    };
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let reason = reason.lines().last().unwrap_or("it could not be installed").to_owned();
    skipped(&test, peer, &reason);
    None
}

/// Prints a note to the terminal, past the capture of libtest, which hides the output of tests that
/// pass.
#[allow(clippy::explicit_write)]
pub(crate) fn skipped(test: &str, peer: &str, reason: &str) {
    writeln!(io::stderr(), "SKIPPED: {test}, for want of {peer}: {reason}").unwrap();
}

/// Returns a configuration that flushes to `command` every second.
pub(crate) fn exec(command: &str) -> Conf {
    Conf::flushing_every("1s").set("exec", "command", command)
}

/// Returns the files that hold the chunks of one destination's spool. Returns none if `folder` is
/// missing.
pub(crate) fn segments(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "chunks")).collect()
}

/// Returns the path of a file beside the install script of the peers.
pub(crate) fn peer_script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// Reserves a loopback TCP port: it is bound and does not listen, so a connection to it is refused.
/// A peer that sets SO_REUSEADDR (all do) can listen on it later.
pub(crate) fn reserve_tcp() -> (Socket, SocketAddr) {
    let socket = bind_reusable(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Listens on a port that [`reserve_tcp`] holds. The receive buffer is small, so that a peer that
/// does not read soon stops the sender.
pub(crate) fn listen_on(address: SocketAddr) -> TcpListener {
    let socket = bind_reusable(address);
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.listen(16).unwrap();
    socket.into()
}

/// Returns the number of connections to this loopback address that are open at the client's end.
pub(crate) fn connections_to(address: SocketAddr) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.matches(&format!(" 0100007F:{:04X} 01 ", address.port())).count()
}

/// Returns a port that is free at every address, and that no other test gets. The kernel does not
/// give it to others either: it is below the ports that the kernel chooses. So a server can bind it
/// later, and a port that stays free refuses clients.
pub(crate) fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() * 997;
    loop {
        let nth = start + u32::from(TRIED.fetch_add(1, Ordering::SeqCst));
        let port = 21_000 + u16::try_from(nth % 11_000).unwrap();
        let any = (Ipv4Addr::UNSPECIFIED, port);
        if TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok() {
            return port;
        }
    }
}

fn bind_reusable(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// Sends each packet as one datagram, all from one socket, without a pause. The kernel drops those
/// for which the receiver has no room.
pub(crate) fn send_packets<P: AsRef<[u8]>>(to: SocketAddr, packets: impl IntoIterator<Item = P>) {
    let socket = sending_socket(to);
    for packet in packets {
        socket.send_to(packet.as_ref(), to).unwrap();
    }
}

/// Sends each packet as one datagram, all from one socket, as fast as the receiver reads them. So
/// the kernel drops none.
pub(crate) fn send_without_loss<P: AsRef<[u8]>>(
    to: SocketAddr,
    packets: impl IntoIterator<Item = P>,
) {
    let socket = sending_socket(to);
    let mut bytes = 0;
    for (nth, packet) in packets.into_iter().enumerate() {
        bytes += packet.as_ref().len();
        if nth % 16 == 15 || bytes > 32 << 10 {
            until_udp_room(to);
            bytes = 0;
        }
        socket.send_to(packet.as_ref(), to).unwrap();
    }
}

fn sending_socket(to: SocketAddr) -> UdpSocket {
    let any: SocketAddr = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }.parse().unwrap();
    UdpSocket::bind(any).unwrap()
}

/// Waits until the sockets of a UDP port have read most of what they were sent.
pub(crate) fn until_udp_room(to: SocketAddr) {
    until_true("room in the receive buffer", || {
        ["/proc/net/udp", "/proc/net/udp6"].iter().all(|table| {
            let table = fs::read_to_string(table).unwrap_or_default();
            let port = format!(":{:04X}", to.port());
            let unread = table.lines().filter_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let (_, unread) = words.get(4)?.split_once(':')?;
                let is_its = words.get(1)?.ends_with(&port);
                is_its.then(|| usize::from_str_radix(unread, 16).unwrap_or(0))
            });
            unread.sum::<usize>() < 64 << 10
        })
    });
}

/// Returns what `--print-config` has printed, without the places of the settings.
pub(crate) fn without_places(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("  # ").next().unwrap_or_default().trim_end());
    lines.map(|line| format!("{line}\n")).collect()
}
