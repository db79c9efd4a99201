//! [`Platform`]: the network and the disk as sinks use them. The simulation has others, which fail.

use std::fmt::Debug;
use std::io;
use std::path::Path;

use super::dialer::{Dialer, TcpDialer};
use super::spool::{Disk, Folder};

/// Where sinks connect to, and where their spools are kept.
pub(crate) trait Platform: Debug {
    /// Returns what opens the connections of a destination.
    fn dialer(&self, destination: &str) -> Box<dyn Dialer>;

    /// Opens the folder of a spool, or creates it.
    fn disk(&self, folder: &Path) -> io::Result<Box<dyn Disk>>;
}

/// The network and the disks of the machine.
#[derive(Debug)]
pub(crate) struct SystemPlatform;

impl Platform for SystemPlatform {
    fn dialer(&self, _: &str) -> Box<dyn Dialer> {
        Box::new(TcpDialer)
    }

    fn disk(&self, folder: &Path) -> io::Result<Box<dyn Disk>> {
        Ok(Box::new(Folder::open(folder)?))
    }
}
