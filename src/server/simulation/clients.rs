//! The clients of the simulated server: real sockets of UDP, TCP and unix, whose every byte is
//! followed.
//!
//! A call that sends waits until the kernel has the bytes at the server's end, so that a run is the
//! same each time. The sum of the samples that the server has to count is known exactly: those of a
//! datagram count if the kernel took it, and those of a line of a stream count once its last byte
//! was taken.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use crate::ingest::bind::{InheritedSocket, Purpose};
use crate::ingest::datagrams::DatagramSocket;
use crate::sys;

#[derive(Debug)]
pub(super) struct Clients {
    folder: PathBuf,
    datagrams: UnixDatagram,
    udp: UdpSocket,
    /// Sockets that outlive the server, as a service manager passes them in.
    passed: Option<PassedSockets>,
    streams: Vec<StreamClient>,
    /// The sum of the samples sent, of everything that the server must count.
    sent: u64,
    /// Datagrams of UDP that the kernel has dropped in this run.
    dropped: u64,
    /// Connections that the server has closed in this run.
    closed: u64,
}

#[derive(Debug)]
struct PassedSockets {
    datagrams: UnixDatagram,
    /// The other end of `datagrams`.
    sender: UnixDatagram,
    listener: UnixListener,
}

#[derive(Debug)]
struct StreamClient {
    socket: Socket,
    is_tcp: bool,
    /// The server has accepted it. Before that it may be refused, so nothing is written.
    is_accepted: bool,
    /// The last line, of which the kernel took only a part so far.
    unfinished: Vec<u8>,
}

/// How a client closes its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// In good order: the server counts the last line even without a newline.
    Finished,
    /// TCP only, unix sockets are closed in good order.
    Reset,
}

impl Clients {
    pub(super) fn new(folder: &Path, is_passed: bool) -> Self {
        let datagrams = UnixDatagram::unbound().unwrap();
        datagrams.set_nonblocking(true).unwrap();
        let passed = is_passed.then(|| {
            let (datagrams, sender) = UnixDatagram::pair().unwrap();
            let listener = UnixListener::bind(folder.join("passed")).unwrap();
            listener.set_nonblocking(true).unwrap();
            datagrams.set_nonblocking(true).unwrap();
            sender.set_nonblocking(true).unwrap();
            PassedSockets { datagrams, sender, listener }
        });
        Self {
            folder: folder.into(),
            datagrams,
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            passed,
            streams: Vec::new(),
            sent: 0,
            dropped: 0,
            closed: 0,
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns how many datagrams of UDP the kernel has dropped in this run.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many connections the server has closed in this run.
    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    pub(super) fn is_passed(&self) -> bool {
        self.passed.is_some()
    }

    /// The sockets for the next run.
    pub(super) fn passed(&self) -> Vec<InheritedSocket> {
        let Some(passed) = &self.passed else { return Vec::new() };
        let datagrams = OwnedFd::from(passed.datagrams.try_clone().unwrap());
        let listener = OwnedFd::from(passed.listener.try_clone().unwrap());
        let is_unix = true;
        vec![
            InheritedSocket {
                socket: Socket::from(datagrams),
                purpose: Purpose::Datagrams,
                is_unix,
            },
            InheritedSocket { socket: Socket::from(listener), purpose: Purpose::Streams, is_unix },
        ]
    }

    /// Sends a datagram to a unix socket of the configuration, or to the one that was passed in.
    pub(super) fn send(&mut self, text: &[u8], name: &str) {
        let sent = match &self.passed {
            Some(passed) => passed.sender.send(text),
            None if name.is_empty() => return,
            None => self.datagrams.send_to(text, self.folder.join(name)),
        };
        if sent.is_ok() {
            self.sent += sum_of(text);
        }
    }

    /// Sends a datagram of UDP to the server's socket at this address.
    pub(super) fn send_udp(&mut self, text: &[u8], address: SocketAddr, socket: &DatagramSocket) {
        let sender = self.udp.try_clone().unwrap();
        self.send_udp_from(&sender, text, address, socket);
    }

    /// Sends a datagram of UDP from each of `count` addresses.
    pub(super) fn send_udp_from_many(
        &mut self,
        text: &[u8],
        count: u8,
        address: SocketAddr,
        socket: &DatagramSocket,
    ) {
        for [a, b] in (0..=2).flat_map(|a| (1..=count).map(move |b| [a, b])) {
            let sender = UdpSocket::bind(SocketAddr::from(([127, 1, a, b], 0))).unwrap();
            self.send_udp_from(&sender, text, address, socket);
        }
    }

    fn send_udp_from(
        &mut self,
        sender: &UdpSocket,
        text: &[u8],
        address: SocketAddr,
        socket: &DatagramSocket,
    ) {
        let state = || (socket.receive_queue().map(|(taken, _)| taken), socket.untaken_drops());
        let (taken, drops) = state();
        if sender.send_to(text, address).is_err() {
            return;
        }
        patiently("a datagram to arrive", || state() != (taken, drops));
        if socket.untaken_drops() > drops {
            self.dropped += 1;
        } else {
            self.sent += sum_of(text);
        }
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Connects to the unix listener, or to the listener of TCP at `address`.
    pub(super) fn connect(&mut self, address: Option<SocketAddr>) {
        let name = if self.passed.is_some() { "passed" } else { "stream" };
        let socket = match address {
            Some(address) => connect_tcp(address),
            None => UnixStream::connect(self.folder.join(name)).map(Socket::from),
        };
        let Ok(socket) = socket else { return };
        socket.set_nonblocking(true).unwrap();
        let is_tcp = address.is_some();
        let unfinished = Vec::new();
        self.streams.push(StreamClient { socket, is_tcp, is_accepted: false, unfinished });
    }

    /// The server has no input left that was not read. So it has accepted all that it will.
    pub(super) fn note_accepted(&mut self) {
        self.note_closed();
        self.streams.iter_mut().for_each(|client| client.is_accepted = true);
    }

    /// Whether the server may not have accepted all connections yet.
    pub(super) fn is_connecting(&self) -> bool {
        self.streams.iter().any(|client| !client.is_accepted)
    }

    /// Writes to a stream what the kernel takes.
    pub(super) fn write(&mut self, at: usize, text: &[u8]) {
        self.note_closed();
        let Some(client) = self.streams.get_mut(at) else { return };
        if !client.is_accepted || client.has_unarrived() {
            return;
        }
        match client.socket.write(text) {
            Ok(written) => {
                self.sent += client.note(&text[..written]);
                if client.is_tcp {
                    wait_until_arrived(&client.socket);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("an open stream: {error}"),
        }
    }

    /// Closes a stream, unless it may not be accepted yet.
    pub(super) fn close(&mut self, at: usize, how: Close) {
        self.note_closed();
        if self.streams.get(at).is_none_or(|client| !client.is_accepted || client.has_unarrived()) {
            return;
        }
        let client = self.streams.swap_remove(at);
        if how == Close::Reset && client.is_tcp {
            client.socket.set_linger(Some(Duration::ZERO)).unwrap();
            return;
        }
        self.sent += sum_of(&client.unfinished);
        client.socket.shutdown(Shutdown::Write).unwrap();
        if client.is_tcp {
            wait_until_arrived(&client.socket);
        }
    }

    /// Whether bytes of a stream are still at the client's end, because the server's is full.
    pub(super) fn has_unarrived(&self) -> bool {
        self.streams.iter().any(StreamClient::has_unarrived)
    }

    /// Forgets all streams: the server has ended, and with it what it has not read of them.
    pub(super) fn begin_run(&mut self) {
        self.streams.clear();
        self.dropped = 0;
        self.closed = 0;
    }

    /// Forgets and counts the streams that the server has closed.
    pub(super) fn note_closed(&mut self) {
        let before = self.streams.len();
        let closed = are_closed(self.streams.iter().map(|client| &client.socket));
        let mut closed = closed.into_iter();
        self.streams.retain(|_| !closed.next().expect("one for each"));
        self.closed += (before - self.streams.len()) as u64;
    }
}

impl StreamClient {
    /// Notes bytes that the kernel has taken. Returns the sum of the lines that are whole now.
    fn note(&mut self, written: &[u8]) -> u64 {
        self.unfinished.extend_from_slice(written);
        let end = memchr::memrchr(b'\n', &self.unfinished).map_or(0, |end| end + 1);
        let sum = sum_of(&self.unfinished[..end]);
        self.unfinished.drain(..end);
        sum
    }

    fn has_unarrived(&self) -> bool {
        self.is_tcp && sys::outstanding(self.socket.as_fd()).is_ok_and(|bytes| bytes > 0)
    }
}

/// Waits until the server's end of a connection of TCP has all bytes that were written. Gives up
/// if it does not take them: it has no room, or is closed.
pub(super) fn wait_until_arrived(socket: &Socket) {
    for _ in 0..1000 {
        if sys::outstanding(socket.as_fd()).is_ok_and(|bytes| bytes == 0) {
            return;
        }
        std::thread::yield_now();
    }
}

fn connect_tcp(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.connect(&address.into())?;
    Ok(socket)
}

/// Returns for each of these sockets whether its peer has closed it.
pub(super) fn are_closed<'a>(sockets: impl Iterator<Item = &'a Socket>) -> Vec<bool> {
    // `nix` has no name for this flag, and returns `None` for events with it.
    let half_closed = PollFlags::from_bits_retain(libc::POLLRDHUP);
    let mut polled: Vec<_> =
        sockets.map(|socket| PollFd::new(socket.as_fd(), half_closed)).collect();
    if !polled.is_empty() {
        poll(&mut polled, PollTimeout::ZERO).unwrap();
    }
    let closed = PollFlags::POLLHUP | PollFlags::POLLERR;
    polled.iter().map(|fd| fd.revents().is_none_or(|events| events.intersects(closed))).collect()
}

/// Calls `condition` until it holds. What it waits for is a matter of microseconds.
#[allow(clippy::disallowed_methods)] // so that a test that fails ends
pub(super) fn patiently(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "still waiting for {what}");
        std::thread::yield_now();
    }
}

/// The sum of the samples of a text of lines.
fn sum_of(text: &[u8]) -> u64 {
    text.split(|&byte| byte == b'\n').map(count_sent).sum()
}

/// What a line that was sent counts for: the value of a counter, and 1 for a timing or a key/value.
pub(super) fn count_sent(line: &[u8]) -> u64 {
    let count = || {
        let line = str::from_utf8(line).ok().filter(|line| !line.contains('\0'))?;
        let value = line.split_once("|#").map_or(line, |(value, _)| value);
        if let Some(value) = value.strip_prefix("k.") {
            return value.strip_suffix("|c")?.split_once(':')?.1.parse().ok();
        }
        let is_timing = value.starts_with("t.") && value.ends_with("|ms");
        let is_key_value = value.starts_with("v.") && value.ends_with("|kv");
        (is_timing || is_key_value).then_some(1)
    };
    count().unwrap_or(0)
}
