//! The protocol that a TCP destination speaks, from its configuration.

use std::net::SocketAddr;
use std::rc::Rc;

use super::dialer::Socket;
use super::framing::Framing;
use super::http::Requests;
use super::preface::Preface;
use super::upstream::Upstream;
use crate::config::{Destination, DestinationKind, Influxdb, Over};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// The bytes of the chunks as they are. TCP acknowledges them.
    Bytes,
    /// An HTTP request for each chunk. Its answer acknowledges it.
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

    /// Starts to speak it on an established connection.
    pub(super) fn over(&self, socket: Box<dyn Socket>, address: SocketAddr) -> Box<dyn Framing> {
        match self {
            Self::Bytes => Box::new(Upstream::new(socket, address)),
            Self::Requests(preface) => Box::new(Requests::new(socket, address, Rc::clone(preface))),
        }
    }
}
