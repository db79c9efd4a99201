//! The clients of the simulated server: real unix sockets, whose every byte is followed.
//!
//! Sending on a unix socket is synchronous, so that a run is the same each time. The sum of the
//! counters that the server has to count is known exactly: a datagram counts if the kernel took it,
//! and a line of a stream counts once its last byte was taken.

use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

use crate::ingest::bind::{Passed, Purpose};

#[derive(Debug)]
pub(super) struct Clients {
    folder: PathBuf,
    sender: UnixDatagram,
    /// Sockets that outlive the server, as a service manager passes them in.
    passed: Option<PassedSockets>,
    streams: Vec<StreamClient>,
    /// Streams that the server has perhaps not accepted yet.
    connecting: usize,
    /// The sum of the counters sent, of everything that the server must count.
    sent: u64,
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
    stream: UnixStream,
    /// The last line, of which the kernel took only a part so far.
    unfinished: Vec<u8>,
}

impl Clients {
    pub(super) fn new(folder: &Path, is_passed: bool) -> Self {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let passed = is_passed.then(|| {
            let (datagrams, sender) = UnixDatagram::pair().unwrap();
            let listener = UnixListener::bind(folder.join("passed")).unwrap();
            listener.set_nonblocking(true).unwrap();
            datagrams.set_nonblocking(true).unwrap();
            sender.set_nonblocking(true).unwrap();
            PassedSockets { datagrams, sender, listener }
        });
        Self { folder: folder.into(), sender, passed, streams: Vec::new(), connecting: 0, sent: 0 }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn is_passed(&self) -> bool {
        self.passed.is_some()
    }

    /// The sockets for the next run.
    pub(super) fn passed(&self) -> Vec<Passed> {
        let Some(passed) = &self.passed else { return Vec::new() };
        let datagrams = OwnedFd::from(passed.datagrams.try_clone().unwrap());
        let listener = OwnedFd::from(passed.listener.try_clone().unwrap());
        let is_unix = true;
        vec![
            Passed { socket: Socket::from(datagrams), purpose: Purpose::Datagrams, is_unix },
            Passed { socket: Socket::from(listener), purpose: Purpose::Streams, is_unix },
        ]
    }

    /// Sends a datagram to a bound socket of the configuration, or to the one that was passed in.
    pub(super) fn send(&mut self, text: &[u8], name: &str) {
        let sent = match &self.passed {
            Some(passed) => passed.sender.send(text),
            None if name.is_empty() => return,
            None => self.sender.send_to(text, self.folder.join(name)),
        };
        if sent.is_ok() {
            self.sent += sum_of(text);
        }
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn connecting(&self) -> usize {
        self.connecting
    }

    /// The server has accepted all streams.
    pub(super) fn note_accepted(&mut self) {
        self.connecting = 0;
    }

    /// Connects to the server's listener. It must have room for one more client.
    pub(super) fn connect(&mut self) {
        let name = if self.passed.is_some() { "passed" } else { "stream" };
        if let Ok(stream) = UnixStream::connect(self.folder.join(name)) {
            self.connecting += 1;
            self.add(stream);
        }
    }

    /// Returns the server's end of a connection that its client can reset.
    pub(super) fn connect_pair(&mut self) -> Socket {
        let (mut server, client) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        server.write_all(b"?").unwrap(); // unread bytes make of a close a reset
        self.add(client);
        Socket::from(OwnedFd::from(server))
    }

    fn add(&mut self, stream: UnixStream) {
        stream.set_nonblocking(true).unwrap();
        self.streams.push(StreamClient { stream, unfinished: Vec::new() });
    }

    /// Writes to a stream what the kernel takes.
    pub(super) fn write(&mut self, at: usize, text: &[u8]) {
        let client = &mut self.streams[at];
        match client.stream.write(text) {
            Ok(written) => self.sent += client.note(&text[..written]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => drop(self.streams.swap_remove(at)),
        }
    }

    /// Closes a stream. The server counts its last line even without a newline, unless the server
    /// has closed the connection or the client resets it.
    pub(super) fn close(&mut self, at: usize) {
        let client = self.streams.swap_remove(at);
        if !client.is_closed() && !client.resets() {
            self.sent += sum_of(&client.unfinished);
            // Another test may just have forked a child that holds a copy of this socket for a
            // moment. The server must read the end of the stream in this turn nevertheless.
            client.stream.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// Forgets all streams: the server has ended, and with it what it has not read of them.
    pub(super) fn forget_streams(&mut self) {
        self.streams.clear();
    }

    /// Forgets the streams that the server has closed.
    pub(super) fn note_closed(&mut self) {
        self.streams.retain(|client| !client.is_closed());
    }
}

impl StreamClient {
    fn note(&mut self, written: &[u8]) -> u64 {
        self.unfinished.extend_from_slice(written);
        let end = memchr::memrchr(b'\n', &self.unfinished).map_or(0, |end| end + 1);
        let sum = sum_of(&self.unfinished[..end]);
        self.unfinished.drain(..end);
        sum
    }

    fn poll(&self) -> PollFlags {
        let mut polled = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).unwrap();
        polled[0].revents().unwrap_or(PollFlags::empty())
    }

    fn is_closed(&self) -> bool {
        self.poll().contains(PollFlags::POLLHUP)
    }

    /// Whether it leaves bytes of the server unread, so that its close is a reset.
    fn resets(&self) -> bool {
        self.poll().contains(PollFlags::POLLIN)
    }
}

/// The sum of the counters of a text of lines.
fn sum_of(text: &[u8]) -> u64 {
    text.split(|&byte| byte == b'\n').map(count_sent).sum()
}

/// What a line that was sent adds to one of our counters.
pub(super) fn count_sent(line: &[u8]) -> u64 {
    let count = || {
        let line = str::from_utf8(line).ok().filter(|line| !line.contains('\0'))?;
        let value = line.split_once("|#").map_or(line, |(value, _)| value);
        value.strip_prefix("k.")?.strip_suffix("|c")?.split_once(':')
    };
    count().map_or(0, |(_, count)| count.parse().unwrap())
}
