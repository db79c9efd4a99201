//! A UDP socket with one peer. The kernel reports errors of that peer to it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::token::Generation;

#[derive(Debug)]
pub(super) struct ConnectedUdp {
    socket: UdpSocket,
    generation: Generation,
    /// No call has returned `WouldBlock` since the last event.
    is_writable: bool,
}

impl ConnectedUdp {
    /// Opens a socket. Nothing goes over the network for that.
    pub(super) fn open(
        address: SocketAddr,
        registry: &Registry,
        token: Token,
        generation: Generation,
    ) -> io::Result<Self> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let mut socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        registry.register(&mut socket, token, Interest::WRITABLE)?;
        Ok(Self { socket, generation, is_writable: true })
    }

    /// Handles an event. Returns an error if the peer's host has reported that no process listens.
    pub(super) fn ready(&mut self, on: Generation) -> io::Result<()> {
        if on == self.generation {
            self.is_writable = true;
            self.socket.take_error()?.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    pub(super) fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Sends a packet. Returns false if the kernel has no room now.
    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<bool> {
        loop {
            match self.socket.send(packet) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_writable = false;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
