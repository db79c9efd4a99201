//! What the sinks of a simulated server meet: the network and the disk of this thread's simulation.

use std::cell::RefCell;

use super::network::Peer;
use crate::sink::spool::Spool;
use crate::sink::spool::testing::MemoryDisk;
use crate::sink::{Sink, testing};

/// The network and the disk.
#[derive(Debug)]
pub(super) struct Outside {
    /// Each destination's name, and the peer that its link reaches.
    pub(super) peers: Vec<(&'static str, Peer)>,
    pub(super) disk: MemoryDisk,
    /// What the spool may take. 0 means that there is no spool.
    pub(super) spool_bytes: u64,
}

/// The destination that has every trouble.
pub(super) const CARBON: &str = "carbon";

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
        if sink.name() == CARBON && self.spool_bytes > 0 {
            self.disk.fail_reads(None); // a server does not start with a spool that it cannot read
            self.disk.fail_writes(None);
            let disk = Box::new(self.disk.clone());
            sink.attach(Spool::open(disk, "plaintext", self.spool_bytes).unwrap());
        }
    }
}

/// Connects a new sink to the outside of the simulation, if this thread runs one.
pub(in crate::server) fn equip(sink: &mut Sink) {
    OUTSIDE.with_borrow(|outside| outside.iter().for_each(|outside| outside.equip(sink)));
}
