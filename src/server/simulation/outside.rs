//! What the sinks of a simulated server meet: the network, the disks and the standard output of the
//! simulation.

use std::io;
use std::path::Path;

use super::console::ConsolePipe;
use super::network::Peer;
use crate::sink::Platform;
use crate::sink::platform::Dialer;
use crate::sink::spool::Disk;
use crate::sink::spool::testing::MemoryDisk;
use crate::stdio::StandardStream;

/// The network, the disks and standard output.
#[derive(Debug)]
pub(super) struct Outside {
    /// The name of each destination on the simulated network, and the peer that its link reaches.
    pub(super) peers: Vec<(&'static str, Peer)>,
    /// The name of each destination whose spool has faults, and its disk.
    pub(super) disks: Vec<(&'static str, MemoryDisk)>,
    pub(super) console: ConsolePipe,
}

impl Platform for Outside {
    fn dialer(&self, destination: &str) -> Box<dyn Dialer> {
        let peer = self.peers.iter().find(|(name, _)| *name == destination);
        Box::new(peer.expect("each destination has a peer").1.clone())
    }

    fn disk(&self, folder: &Path) -> io::Result<Box<dyn Disk>> {
        let disk = self.disks.iter().find(|(name, _)| folder.ends_with(name));
        let Some((_, disk)) = disk else { return Ok(Box::new(MemoryDisk::default())) };
        disk.fail_reads(None); // a server does not start with a spool that it cannot read
        disk.fail_writes(None);
        Ok(Box::new(disk.clone()))
    }

    fn stdout(&self) -> io::Result<StandardStream> {
        self.console.open()
    }
}
