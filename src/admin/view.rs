//! What the admin commands may read and change, borrowed from the server for one turn.

use slab::Slab;

use super::watch::Watch;
use crate::config::{Config, Origin};
use crate::encode::encoders::Encoders;
use crate::engine::Engine;
use crate::figures::{FigureSources, FlushFigures, InUse, Rates};
use crate::ingest::datagrams::DatagramSocket;
use crate::ingest::listener::Listener;
use crate::protocol::MetricKind;
use crate::sink::Sinks;
use crate::time::{Now, UnixTime};

/// The server as an admin client sees it.
#[derive(Debug)]
pub struct View<'a> {
    pub engine: &'a mut Engine,
    /// For the last interval of a deleted series, if the flush in progress has not closed it yet.
    pub encoders: &'a mut Encoders,
    pub sinks: &'a Sinks,
    pub flush: &'a FlushFigures,
    /// The clients that see lines as they arrive.
    pub watch: &'a mut Watch,
    pub datagrams: &'a Slab<DatagramSocket>,
    /// The listeners for streams, and those of the admin port.
    pub streams: &'a Slab<Listener>,
    /// The connections that send lines.
    pub connections: InUse,
    pub admin_clients: InUse,
    /// The bytes that the clients of the admin port hold.
    pub admin_bytes: usize,
    pub rates: &'a Rates,
    pub health: &'a mut Health,
    /// A stop has begun: no input is received any more.
    pub is_stopping: bool,
    /// The name of this machine. Empty if the kernel does not report it.
    pub machine: &'a str,
    /// The running configuration.
    pub config: &'a Config,
    /// When the open interval began.
    pub interval_began: UnixTime,
    /// Where the configuration came from.
    pub origin: &'a Origin,
    pub started: Now,
    /// When the last packet or line arrived. `None` if none has so far.
    pub last_input: Option<Now>,
    pub now: Now,
}

/// The answer of the command `health`, which load balancers and proxies use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Up,
    Down,
}

impl Health {
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl View<'_> {
    /// What the figures are read from.
    pub fn sources(&self) -> FigureSources<'_> {
        FigureSources {
            engine: self.engine,
            sinks: self.sinks,
            flush: self.flush,
            datagrams: self.datagrams,
            streams: self.streams,
            connections: self.connections,
            admin_clients: self.admin_clients,
            admin_bytes: self.admin_bytes,
            history_bytes: self.engine.history().bytes(),
            config: self.config,
            rates: self.rates,
            started: self.started,
            last_input: self.last_input,
            now: self.now,
        }
    }

    /// Deletes a series. Returns `false` if there is none of this name.
    pub(super) fn delete(&mut self, kind: MetricKind, name: &[u8]) -> bool {
        self.engine.remove(kind, name, &mut |summary| self.encoders.encode(summary))
    }
}
