//! [`Platform`]: the network, the disks and the standard output that sinks use. The simulation has
//! another one.
//!
//! A link uses the network through a [`Dialer`], which opens a [`Socket`]. Here both are real TCP.

use std::fmt::Debug;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::Path;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::error::SinkError;
use super::look_up::{self, LookUpCommand};
use super::spool::{Disk, Folder};
use crate::stdio::StandardStream;
use crate::sys::{self, PeerActivity};

/// Where sinks connect to, where their spools are kept, and where the console writes.
pub(crate) trait Platform: Debug {
    /// Returns what opens the connections of a destination.
    fn dialer(&self, destination: &str) -> Box<dyn Dialer>;

    /// Opens the folder of a spool, or creates it.
    fn disk(&self, folder: &Path) -> io::Result<Box<dyn Disk>>;

    /// Opens standard output, for the console.
    fn stdout(&self) -> io::Result<StandardStream> {
        StandardStream::output()
    }

    /// Returns what makes the commands that look host names up.
    fn look_up(&self) -> LookUpCommand {
        look_up::command
    }
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

/// Opens connections.
pub(crate) trait Dialer: Debug {
    /// Begins to connect, without waiting. The poller sends an event for `token` when the attempt
    /// has succeeded or failed.
    fn dial(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Box<dyn Socket>>;
}

/// One connection, or the attempt to open it. No call blocks.
pub(crate) trait Socket: Debug {
    /// Whether the connection is established. Returns an error if the attempt has failed.
    fn is_established(&self) -> Result<bool, SinkError>;

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns the number of bytes written that the peer has not acknowledged. Works after a reset,
    /// too.
    fn outstanding(&self) -> io::Result<usize>;

    /// Returns the kernel's signs of life of the peer.
    fn peer_activity(&self) -> io::Result<PeerActivity>;
}

/// The bytes that the kernel holds unsent for one connection. It would take megabytes for a peer
/// that does not read. What it has taken can no longer be dropped for newer points, or go to the
/// spool.
const UNSENT_MAX: u32 = 128 << 10;

#[derive(Debug)]
pub(super) struct TcpDialer;

impl Dialer for TcpDialer {
    fn dial(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Box<dyn Socket>> {
        let mut stream = TcpStream::connect(address)?;
        // Otherwise the last, short segment of a flush would wait for the acknowledgement of the
        // others.
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_MAX)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Box::new(stream))
    }
}

impl Socket for TcpStream {
    /// Returns true only if the attempt left no error and the socket has a peer. An event alone
    /// proves nothing, because it may be spurious.
    fn is_established(&self) -> Result<bool, SinkError> {
        if let Some(error) = self.take_error()? {
            return Err(error.into());
        }
        match self.peer_addr() {
            Ok(peer) if self.local_addr()? == peer => Err(SinkError::ConnectedToItself),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn outstanding(&self) -> io::Result<usize> {
        sys::outstanding(self.as_fd())
    }

    fn peer_activity(&self) -> io::Result<PeerActivity> {
        sys::peer_activity(self.as_fd())
    }
}
