//! What a link needs of the network: a way to dial, and what comes of it. Real TCP here; a simulation can stand in for it.

use std::fmt::Debug;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::sys::{self, Signs};

pub(crate) trait Network: Debug {
    /// Begins to connect; events for `token` tell when there is news.
    fn dial(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Box<dyn Socket>>;
}

/// One connection, or the attempt to get it. Nothing here blocks.
pub(crate) trait Socket: Debug {
    /// False: not yet. An attempt that failed is an error.
    fn is_established(&self) -> io::Result<bool>;

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Bytes written that the peer has not acknowledged; told also after a reset.
    fn outstanding(&self) -> io::Result<usize>;

    fn signs(&self) -> io::Result<Signs>;
}

#[derive(Debug)]
pub(super) struct Tcp;

impl Network for Tcp {
    fn dial(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Box<dyn Socket>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?; // the last, short segment of a flush need not wait for the others
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Box::new(stream))
    }
}

impl Socket for TcpStream {
    /// Believed only when the connect left no error and has a peer; before that the event was spurious.
    fn is_established(&self) -> io::Result<bool> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        match self.peer_addr() {
            // Dialling a free port of this host may get that very port as our own, and then succeeds.
            Ok(peer) if self.local_addr()? == peer => Err(io::Error::other("connected to itself")),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
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

    fn signs(&self) -> io::Result<Signs> {
        sys::signs(self.as_fd())
    }
}
