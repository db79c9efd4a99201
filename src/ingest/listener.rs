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
    /// Set while there are no descriptors to be had.
    resting_until: Option<Tick>,
}

/// Connections a listener may take in one turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long accepting rests when the process or the system has no descriptor left.
const REST: Duration = Duration::from_millis(500);

impl Listener {
    pub fn new(socket: Socket) -> Self {
        Self { socket, resting_until: None }
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

    /// Whether it waits for descriptors.
    pub fn is_resting(&self) -> bool {
        self.resting_until.is_some()
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
                Err(error) if is_exhaustion(&error) => {
                    self.resting_until = Some(now + REST);
                    return Drained::Dry;
                }
                // The peer gave up before it was accepted, or the network failed for it alone.
                Err(error) => log::debug!("accept=failed reason=\"{error}\""),
            }
        }
        Drained::More
    }
}

fn sender(from: &SockAddr) -> Sender {
    from.as_socket().map_or(Sender::Unix, Sender::Internet)
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
