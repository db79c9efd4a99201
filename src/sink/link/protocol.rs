//! [`LinkProtocol`]: what a link sends over its connection.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::config::{Destination, DestinationKind, InfluxTransport, Influxdb};
use crate::sink::framing::Framing;
use crate::sink::http::{HttpFraming, RequestHead};
use crate::sink::plain_framing::PlainFraming;
use crate::sink::platform::Socket;

/// What is sent over a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkProtocol {
    /// The bytes of the chunks as they are. TCP acknowledges them.
    Plain,
    /// An HTTP request for each chunk. Its answer acknowledges it.
    Http(Rc<RequestHead>),
}

impl LinkProtocol {
    pub(super) fn of(to: &Destination) -> Self {
        match (&to.kind, &to.net) {
            (
                DestinationKind::Influxdb(
                    influxdb @ Influxdb { protocol: InfluxTransport::Http, .. },
                ),
                Some(net),
            ) => Self::Http(Rc::new(RequestHead::new(&net.remote, influxdb))),
            _ => Self::Plain,
        }
    }

    /// Returns the framing that uses this protocol on an established connection.
    pub(super) fn over(&self, socket: Box<dyn Socket>, address: SocketAddr) -> Framing {
        match self {
            Self::Plain => Framing::Plain(Box::new(PlainFraming::new(socket, address))),
            Self::Http(head) => {
                Framing::Http(Box::new(HttpFraming::new(socket, address, Rc::clone(head))))
            }
        }
    }
}
