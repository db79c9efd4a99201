//! A bound UDP socket, read in batches: one system call for many datagrams.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::Socket;

use super::Drained;
use crate::sys;
use crate::sys::batch::RecvBatch;

#[derive(Debug)]
pub struct UdpListener {
    socket: UdpSocket,
    /// The kernel's drop counter at the last look; it wraps at 32 bits.
    drops: u32,
}

/// Batches a socket may take in one turn: at 64 full datagrams each about a millisecond of parsing.
const BATCHES_PER_TURN: usize = 4;

impl UdpListener {
    pub fn new(socket: Socket) -> Self {
        Self { socket: UdpSocket::from_std(socket.into()), drops: 0 }
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Asks for a receive buffer of `bytes`; returns what the kernel granted.
    pub fn ask_buffer(&self, bytes: usize) -> io::Result<usize> {
        sys::force_receive_buffer(self.socket.as_fd(), bytes)
    }

    /// Hands on what the socket holds, up to a turn's budget: None stands for a datagram that the kernel cut.
    pub(crate) fn drain(
        &self,
        batch: &mut RecvBatch,
        mut each: impl FnMut(Option<&[u8]>),
    ) -> io::Result<Drained> {
        for _ in 0..BATCHES_PER_TURN {
            let received = match batch.recv(self.socket.as_fd()) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::Dry),
                Err(error) => return Err(error),
            };
            for datagram in received {
                each((!datagram.truncated).then_some(datagram.bytes));
            }
        }
        Ok(Drained::More)
    }

    /// Datagrams the kernel dropped on this socket since the last look, for want of buffer or because they were damaged.
    pub fn take_drops(&mut self) -> u32 {
        let Ok(drops) = sys::socket_drops(self.socket.as_fd()) else { return 0 };
        drops.wrapping_sub(std::mem::replace(&mut self.drops, drops))
    }
}
