//! What the admin commands may read and change, borrowed from the server for one turn.

use slab::Slab;

use super::watch::Watch;
use crate::config::Config;
use crate::encode::encoders::Encoders;
use crate::engine::Engine;
use crate::ingest::datagrams::DatagramSocket;
use crate::protocol::MetricKind;
use crate::sink::Sinks;
use crate::time::Now;

/// The server as an admin client sees it.
#[derive(Debug)]
pub struct View<'a> {
    pub engine: &'a mut Engine,
    /// For the last interval of a deleted series, if the flush in progress has not closed it yet.
    pub encoders: &'a mut Encoders,
    pub sinks: &'a Sinks,
    /// The clients that see lines as they arrive.
    pub watch: &'a mut Watch,
    pub datagrams: &'a Slab<DatagramSocket>,
    pub health: &'a mut Health,
    /// The running configuration.
    pub config: &'a Config,
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
    /// Deletes a series. Returns `false` if there is none of this name.
    pub(super) fn delete(&mut self, kind: MetricKind, name: &[u8]) -> bool {
        self.engine.remove(kind, name, &mut |summary| self.encoders.encode(summary))
    }
}
