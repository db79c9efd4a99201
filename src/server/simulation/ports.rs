//! The addresses at which the server listens. The kernel has chosen their ports.

use std::net::SocketAddr;

use slab::Slab;

use super::clock::VirtualClock;
use crate::ingest::datagrams::DatagramSocket;
use crate::ingest::listener::Listener;
use crate::server::Server;

/// The ports of the present run.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) udp: Port,
    pub(super) tcp: Port,
    pub(super) admin: Port,
}

/// The socket of one kind that is bound now.
#[derive(Debug, Default)]
pub(super) struct Port {
    address: Option<SocketAddr>,
    /// The sockets that were open when the configuration last named none. They are being closed.
    leaving: Vec<SocketAddr>,
    is_wanted: bool,
}

impl Ports {
    /// Notes which sockets are bound after a turn.
    pub(super) fn update(&mut self, server: &Server<VirtualClock>) {
        let Server { life, reception, .. } = server;
        let config = life.config();
        let datagrams = || {
            let all =
                reception.listeners().datagrams.iter().filter_map(|(_, socket)| internet(socket));
            all.collect()
        };
        let streams = |listeners: &Slab<Listener>| {
            let address = |(_, listener): (usize, &Listener)| listener.address().ok()?.as_socket();
            listeners.iter().filter_map(address).collect()
        };
        self.udp.update(!config.udp.bind.is_empty(), datagrams);
        self.tcp.update(!config.tcp.bind.is_empty(), || streams(&reception.listeners().streams));
        self.admin.update(!config.admin.bind.is_empty(), || streams(&reception.listeners().admin));
    }
}

impl Port {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Notes whether the configuration in force names an address, and which sockets are open.
    fn update(&mut self, is_wanted: bool, open: impl FnOnce() -> Vec<SocketAddr>) {
        if is_wanted == self.is_wanted {
            return;
        }
        self.is_wanted = is_wanted;
        if is_wanted {
            self.address = open().into_iter().find(|address| !self.leaving.contains(address));
        } else {
            self.address = None;
            self.leaving = open();
        }
    }
}

fn internet(socket: &DatagramSocket) -> Option<SocketAddr> {
    socket.address().ok()?.as_socket()
}

/// Returns the socket with this address.
pub(super) fn udp_socket<'a>(
    all: impl Iterator<Item = (usize, &'a DatagramSocket)>,
    address: SocketAddr,
) -> Option<&'a DatagramSocket> {
    all.map(|(_, socket)| socket).find(|socket| internet(socket) == Some(address))
}
