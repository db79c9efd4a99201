//! [`Speech`]: the protocol of a TCP destination, from its configuration. Also the hint that is
//! logged if the destination probably expects another protocol.

use std::net::SocketAddr;
use std::rc::Rc;

use super::dialer::Socket;
use super::framing::{Framing, Upstream};
use super::http::{RequestHead, Requests};
use crate::config::{Carbon, Destination, DestinationKind, Influxdb, Over, Protocol};

/// What is sent over a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// The bytes of the chunks as they are. TCP acknowledges them.
    Bytes,
    /// An HTTP request for each chunk. Its answer acknowledges it.
    Requests(Rc<RequestHead>),
}

impl Speech {
    pub(super) fn of(to: &Destination) -> Self {
        match (&to.kind, &to.net) {
            (
                DestinationKind::Influxdb(influxdb @ Influxdb { protocol: Over::Http, .. }),
                Some(net),
            ) => Self::Requests(Rc::new(RequestHead::new(&net.remote, influxdb))),
            _ => Self::Bytes,
        }
    }

    /// Returns the framing that uses this protocol on an established connection.
    pub(super) fn over(&self, socket: Box<dyn Socket>, address: SocketAddr) -> Box<dyn Framing> {
        match self {
            Self::Bytes => Box::new(Upstream::new(socket, address)),
            Self::Requests(head) => Box::new(Requests::new(socket, address, Rc::clone(head))),
        }
    }
}

/// Returns the hint for a destination that closes each connection right after the first bytes: what
/// to check in the configuration. The peer probably expects another protocol.
pub(super) fn wrong_protocol_hint(to: &Destination) -> String {
    let name = &to.name;
    match &to.kind {
        DestinationKind::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => format!(
            "[{name}] protocol = plaintext is for carbon's port 2003; a port for pickle, such as 2004, takes protocol = pickle"
        ),
        DestinationKind::Carbon(_) => format!(
            "[{name}] protocol = pickle is for carbon's port 2004; a port for lines, such as 2003, takes protocol = plaintext"
        ),
        _ => {
            format!("check [{name}] address; the process at that port may expect another protocol")
        }
    }
}
