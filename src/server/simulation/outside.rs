//! What the sinks of a simulated server meet: the network and the disks of this thread's
//! simulation.

use std::cell::RefCell;

use super::network::Peer;
use crate::sink::spool::Spool;
use crate::sink::spool::testing::MemoryDisk;
use crate::sink::{Sink, testing};

/// The network and the disks.
#[derive(Debug)]
pub(super) struct Outside {
    /// The name of each destination on the simulated network, and the peer that its link reaches.
    pub(super) peers: Vec<(&'static str, Peer)>,
    /// The name of each destination with a spool, its disk, and the format there.
    pub(super) disks: Vec<(&'static str, MemoryDisk, &'static str)>,
    /// What the spool of one destination may take.
    pub(super) spool_part: u64,
}

thread_local! {
    static OUTSIDE: RefCell<Option<Outside>> = const { RefCell::new(None) };
}

impl Outside {
    /// Makes this the outside of all sinks that this thread will make.
    pub(super) fn install(self) {
        OUTSIDE.set(Some(self));
    }

    fn equip(&self, sink: &mut Sink) {
        let peer = self.peers.iter().find(|(name, _)| *name == sink.name());
        if let Some((_, peer)) = peer {
            testing::dial_through(sink, Box::new(peer.clone()));
        }
        let disk = self.disks.iter().find(|(name, ..)| *name == sink.name());
        if let Some((_, disk, format)) = disk {
            disk.fail_reads(None); // a server does not start with a spool that it cannot read
            disk.fail_writes(None);
            sink.attach(Spool::open(Box::new(disk.clone()), format, self.spool_part).unwrap());
        }
    }
}

/// Sets what the spool of one destination may take, for sinks that a reload makes.
pub(super) fn set_spool_part(bytes: u64) {
    OUTSIDE.with_borrow_mut(|outside| {
        outside.iter_mut().for_each(|outside| outside.spool_part = bytes);
    });
}

/// Connects a new sink to the outside of the simulation, if this thread runs one.
pub(in crate::server) fn equip(sink: &mut Sink) {
    OUTSIDE.with_borrow(|outside| outside.iter().for_each(|outside| outside.equip(sink)));
}
