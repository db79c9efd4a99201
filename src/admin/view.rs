//! [`View`]: what the admin commands may read and change, borrowed from the server for one turn.

use super::watch::Watch;
use crate::config::Origin;
use crate::encode::encoders::Encoders;
use crate::figures::ServerParts;
use crate::protocol::MetricKind;
use crate::time::UnixTime;

/// The server as an admin client sees it.
#[derive(Debug)]
pub struct View<'a> {
    /// The parts that the figures are read from, too.
    pub server: ServerParts<'a>,
    /// For the last interval of a deleted series, if the flush in progress has not closed it yet.
    pub encoders: &'a mut Encoders,
    /// The clients that see lines as they arrive.
    pub watch: &'a mut Watch,
    pub health: &'a mut Health,
    /// A stop has begun: no input is received any more.
    pub is_stopping: bool,
    /// When the open interval began.
    pub interval_began: UnixTime,
    /// Where the configuration came from.
    pub origin: &'a Origin,
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
        self.server.engine.remove(kind, name, &mut |summary| self.encoders.encode(summary))
    }
}
