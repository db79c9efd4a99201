//! A listening stream socket, TCP or unix: accepts a few at a time, and rests when the process is out of descriptors.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{SockAddr, Socket};

use super::Drained;
use crate::sender::Sender;
use crate::time::Tick;

#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Set while there are no descriptors to be had, or accepting fails for another reason that is no peer's.
    resting_until: Option<Tick>,
    /// Why it rested last.
    reason: String,
}

/// Connections a listener may take in one turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long accepting rests when it cannot go on, as when the process or the system has no descriptor left.
const REST: Duration = Duration::from_millis(500);

impl Listener {
    pub fn new(socket: Socket) -> Self {
        Self { socket, resting_until: None, reason: String::new() }
    }

    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, Interest::READABLE)
    }

    pub fn address(&self) -> io::Result<SockAddr> {
        self.socket.local_addr()
    }

    /// When a resting listener wants to be asked again.
    pub fn deadline(&self) -> Option<Tick> {
        self.resting_until
    }

    /// Why it rests, if it does.
    pub fn rests_for(&self) -> Option<&str> {
        self.resting_until.map(|_| self.reason.as_str())
    }

    /// Hands on the connections that wait, up to a turn's budget.
    pub fn accept(&mut self, now: Tick, mut each: impl FnMut(Socket, Sender)) -> Drained {
        if self.resting_until.is_some_and(|until| now < until) {
            return Drained::Dry;
        }
        self.resting_until = None;
        for _ in 0..ACCEPTS_PER_TURN {
            let accepted = self.socket.accept();
            match accepted
                .and_then(|(stream, from)| stream.set_nonblocking(true).map(|()| (stream, from)))
            {
                Ok((stream, from)) => each(stream, sender(&from)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Drained::Dry,
                Err(error) if is_of_one(&error) => log::debug!("accept=failed reason=\"{error}\""),
                Err(error) => {
                    self.resting_until = Some(now + REST);
                    self.reason = error.to_string();
                    return Drained::Dry;
                }
            }
        }
        Drained::More
    }
}

fn sender(from: &SockAddr) -> Sender {
    from.as_socket().map_or(Sender::Unix, Sender::Internet)
}

/// The peer gave up before it was accepted, or the network failed for it alone. Any other error may come again at once: no
/// descriptor is left, or the socket is of no use any more.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ETIMEDOUT
        )
    )
}
