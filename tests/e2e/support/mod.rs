//! The code that end-to-end tests share: the server as a child process, and the peers that it talks
//! to.
//!
//! Everything runs on loopback on ports of its own, so that tests run side by side. A test never
//! sleeps for a time: it waits [`until`] a condition holds, and fails when its deadline has passed.

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

use std::fmt::{Debug, Display};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use socket2::{Domain, Socket, Type};

/// The time after which a test gives up waiting for a condition. It is far longer than any
/// condition needs, so that a slow machine does not fail a test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

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

/// Reads the available bytes. Continues after a signal, which another test's child may cause.
pub(crate) fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
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

/// Returns how long a process (its number, or `thread-self`) could have run, but found no free
/// processor. A test that times an answer subtracts it: on a busy machine others cause this wait.
///
/// Returns zero if the process is gone, or the kernel does not count this.
pub(crate) fn waited_for_processor(process: impl Display) -> Duration {
    let figures = fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    let nanos = figures.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
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

fn bind_reusable(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// Sends each packet as one datagram, all from one socket.
pub(crate) fn send_packets<P: AsRef<[u8]>>(to: SocketAddr, packets: impl IntoIterator<Item = P>) {
    let any: SocketAddr = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }.parse().unwrap();
    let socket = UdpSocket::bind(any).unwrap();
    for packet in packets {
        socket.send_to(packet.as_ref(), to).unwrap();
    }
}
