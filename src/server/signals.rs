//! Signals as events of the loop: SIGTERM and SIGINT ask it to stop.

use std::io;

use mio::{Interest, Registry};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals as Pipe;

use super::token::Source;

pub(super) struct Signals(Pipe);

impl Signals {
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        let mut pipe = Pipe::new([SIGTERM, SIGINT])?;
        registry.register(&mut pipe, Source::Signals.into(), Interest::READABLE)?;
        Ok(Self(pipe))
    }

    /// How many requests to stop have come since the last call.
    pub(super) fn stops(&mut self) -> usize {
        self.0.pending().count()
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Signals")
    }
}
