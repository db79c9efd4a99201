//! What the sinks of a simulated server meet: the network and the disk of the simulation.

use std::io;
use std::path::Path;

use super::network::Peer;
use crate::sink::Platform;
use crate::sink::dialer::Dialer;
use crate::sink::spool::Disk;
use crate::sink::spool::testing::MemoryDisk;

/// The network and the disk.
#[derive(Debug)]
pub(super) struct Outside {
    /// Each destination's name, and the peer that its link reaches.
    pub(super) peers: Vec<(&'static str, Peer)>,
    /// The disk of the spool of `carbon`.
    pub(super) disk: MemoryDisk,
}

/// The destination that has every trouble.
pub(super) const CARBON: &str = "carbon";

impl Platform for Outside {
    fn dialer(&self, destination: &str) -> Box<dyn Dialer> {
        let peer = self.peers.iter().find(|(name, _)| *name == destination);
        Box::new(peer.expect("each destination has a peer").1.clone())
    }

    fn disk(&self, folder: &Path) -> io::Result<Box<dyn Disk>> {
        if !folder.ends_with(CARBON) {
            return Ok(Box::new(MemoryDisk::default()));
        }
        self.disk.fail_reads(None); // a server does not start with a spool that it cannot read
        self.disk.fail_writes(None);
        Ok(Box::new(self.disk.clone()))
    }
}
