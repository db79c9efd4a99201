//! Clients of the admin port: real connections of TCP that send whole and cut commands, and read
//! their answers at once, late or never.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;

use socket2::{Domain, Socket, Type};

use super::clients::{are_closed, wait_until_arrived};
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct SimulatedAdmins {
    all: Vec<AdminClient>,
    /// Connections that the server has closed in this run.
    closed: u64,
    /// Connections that a client has closed. The server may have closed them before, unseen behind
    /// an unread answer, or may close them later, before it reads their end.
    unknown: u64,
}

#[derive(Debug)]
struct AdminClient {
    socket: Socket,
    /// The server has accepted it, or refused it.
    is_accepted: bool,
    /// It reads no answers.
    is_slow: bool,
}

/// What clients send: whole commands, the beginning of one, and requests of HTTP.
pub(super) const COMMANDS: [&str; 12] = [
    "stats\n",
    "counters\n",
    "timers\ngauges\n",
    "sinks\ntop\n",
    "senders\nhelp\n",
    "coun",
    "\n\nno command\n",
    "watch\n",
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: local",
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bad\nexplain k.x:1|c\n",
];
/// A slow client takes few bytes.
const SLOW_ROOM: usize = 4096;

impl SimulatedAdmins {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns how many connections the server has closed in this run.
    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// Returns how many more the server may have closed: the end of a connection comes after the
    /// answers that its client has not read.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown + self.all.iter().filter(|client| client.has_unread()).count() as u64
    }

    /// Returns how many clients the server has accepted and not closed, as far as the clients know.
    /// Allows the kernel some time if they seem to be more than `most`.
    pub(super) fn accepted_of(&mut self, most: usize) -> usize {
        for _ in 0..1000 {
            if self.accepted() <= most {
                break;
            }
            std::thread::yield_now();
            self.note_closed();
        }
        self.accepted()
    }

    fn accepted(&self) -> usize {
        self.all.iter().filter(|client| client.is_accepted && !client.has_unread()).count()
    }

    pub(super) fn connect(&mut self, address: SocketAddr, is_slow: bool) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if is_slow {
            socket.set_recv_buffer_size(SLOW_ROOM).unwrap();
        }
        if socket.connect(&address.into()).is_ok() {
            socket.set_nonblocking(true).unwrap();
            self.all.push(AdminClient { socket, is_accepted: false, is_slow });
        }
    }

    /// Sends to a client's connection, unless the server has not read what was sent before.
    pub(super) fn write(&mut self, at: usize, text: &str) {
        self.note_closed();
        let Some(client) = self.all.get_mut(at).filter(|client| client.is_accepted) else { return };
        if sys::outstanding(client.socket.as_fd()).unwrap() == 0 {
            client.socket.write_all(text.as_bytes()).unwrap();
            wait_until_arrived(&client.socket);
        }
    }

    /// Closes a connection, perhaps with an unread answer.
    pub(super) fn close(&mut self, at: usize) {
        self.note_closed();
        if self.all.get(at).is_some_and(|client| client.is_accepted) {
            self.all.swap_remove(at);
            self.unknown += 1;
        }
    }

    /// Reads the answers of the clients that are not slow. Returns what the last client got.
    pub(super) fn read(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut buffer = [0; 16 << 10];
        for client in self.all.iter_mut().filter(|client| !client.is_slow) {
            answer.clear();
            loop {
                match client.socket.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(bytes) => answer.extend_from_slice(&buffer[..bytes]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        answer
    }

    /// The server has accepted all that it will.
    pub(super) fn note_accepted(&mut self) {
        self.note_closed();
        self.all.iter_mut().for_each(|client| client.is_accepted = true);
    }

    /// Whether the server may not have accepted all connections yet.
    pub(super) fn is_connecting(&self) -> bool {
        self.all.iter().any(|client| !client.is_accepted)
    }

    /// Forgets and counts the clients that the server has closed.
    pub(super) fn note_closed(&mut self) {
        let before = self.all.len();
        let mut closed = are_closed(self.all.iter().map(|client| &client.socket)).into_iter();
        self.all.retain(|_| !closed.next().expect("one for each"));
        self.closed += (before - self.all.len()) as u64;
    }

    /// Closes all connections.
    pub(super) fn close_all(&mut self) {
        while !self.all.is_empty() {
            self.note_accepted();
            self.close(0);
        }
    }

    /// Forgets all clients: the server has ended.
    pub(super) fn begin_run(&mut self) {
        *self = Self::default();
    }
}

impl AdminClient {
    fn has_unread(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        self.socket.peek(&mut byte).is_ok_and(|bytes| bytes > 0)
    }
}
