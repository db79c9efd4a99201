//! What goes over an established connection, and what acknowledges it: the one thing in which TCP destinations differ.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Connection;
use super::http::{Preface, Requests};
use super::outbox::Outbox;
use super::socket::Socket;
use crate::config::{Destination, DestinationKind, Influxdb, Over};
use crate::encode::chunk::Chunk;
use crate::time::Tick;

/// Moves bytes between an outbox and a socket, and says whether the other side is still there. What a failure leads to is
/// the link's. Nothing here blocks.
pub(super) trait Framing: Debug {
    fn address(&self) -> SocketAddr;

    /// An event came: there may be something to read, and room to write.
    fn wake(&mut self);

    /// Whether there is more to do at once, without another event.
    fn has_more(&self, outbox: &Outbox) -> bool;

    fn is_moving(&self, now: Tick) -> bool;

    /// Reads what there is, as long as the turn's share is not used up. An error if the peer has closed in the midst of
    /// something.
    fn receive(&mut self) -> io::Result<()>;

    /// Writes what the outbox has, as long as the kernel takes it and the turn's share is not used up.
    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> io::Result<()>;

    /// Tells the outbox what was acknowledged. Returns whether a chunk arrived that never had before.
    fn settle(&mut self, outbox: &mut Outbox, now: Tick) -> io::Result<bool>;

    /// An error if the peer owes an answer and has given no sign for `patience`.
    fn check(&mut self, now: Tick, patience: Duration) -> io::Result<()>;

    /// When to [`check`](Self::check): not at all while nothing is owed.
    fn deadline(&self, patience: Duration) -> Option<Tick>;

    /// When the last acknowledgement came.
    fn last_ack(&self, now: Tick) -> Tick;

    /// Whether the acknowledgements on this connection count. They always do if the peer's process
    /// sends them, and not only its TCP.
    fn is_proven(&self, _now: Tick) -> bool {
        true
    }

    /// Returns when the connection is proven if it lasts until then. Returns `None` before the
    /// first bytes, and if it needs no proof.
    fn proves_itself_at(&self) -> Option<Tick> {
        None
    }

    /// Returns until when a stop waits for a close that may follow the first bytes. Returns `None`
    /// if it does not wait.
    fn lingers_until(&self) -> Option<Tick> {
        None
    }

    /// Limits this connection to one chunk until it is proven. The acknowledgement of the chunk
    /// counts only then.
    fn probe(&mut self) {}

    /// Whether [`settle`](Self::settle) has something to tell now.
    fn has_news(&self) -> bool {
        false
    }

    /// Whether it has done its service in good order and carries nothing more: another is needed for what is next.
    fn is_spent(&self) -> bool {
        false
    }

    /// A chunk that the peer would not have, and that is dropped for it.
    fn take_refused(&mut self) -> Option<Refused> {
        None
    }
}

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) chunk: Rc<Chunk>,
    pub(super) reason: String,
}

/// What a destination speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// The chunks' bytes as they are; TCP acknowledges them.
    Bytes,
    /// A request for each chunk; its answer acknowledges it.
    Requests(Rc<Preface>),
}

impl Speech {
    pub(super) fn of(to: &Destination) -> Self {
        match (&to.kind, &to.net) {
            (
                DestinationKind::Influxdb(influxdb @ Influxdb { protocol: Over::Http, .. }),
                Some(net),
            ) => Self::Requests(Rc::new(Preface::new(&net.remote, influxdb))),
            _ => Self::Bytes,
        }
    }

    pub(super) fn over(&self, socket: Box<dyn Socket>, address: SocketAddr) -> Box<dyn Framing> {
        match self {
            Self::Bytes => Box::new(Connection::new(socket, address)),
            Self::Requests(preface) => Box::new(Requests::new(socket, address, Rc::clone(preface))),
        }
    }
}
