//! Signals as events of the loop: SIGTERM and SIGINT request a stop, SIGHUP requests a reload.
//! SIGCHLD only wakes the loop. Each turn the sinks check their own children, and `reaper.rs` all
//! others.
//!
//! SIGXFSZ must have no effect. A write that would pass the limit of file size (`ulimit -f`) then
//! fails, as on a full disk, and does not end the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::{Interest, Registry};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook_mio::v1_0::Signals as Pipe;

use crate::token::Source;

/// The source of signals.
pub(super) enum Signals {
    /// Signals of this process, by way of a pipe that the poller watches.
    Caught(Pipe),
    /// Signals of a simulation, whose process must keep its own handlers.
    #[cfg(test)]
    Simulated(Received),
}

impl Signals {
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        // The signal is caught, not ignored, because commands and look-ups would inherit an ignored
        // one. The flag is never read.
        flag::register(SIGXFSZ, Arc::<AtomicBool>::default())?;
        let mut pipe = Pipe::new([SIGTERM, SIGINT, SIGHUP, SIGCHLD])?;
        registry.register(&mut pipe, Source::Signals.into(), Interest::READABLE)?;
        Ok(Self::Caught(pipe))
    }

    /// Returns the signals received since the last call.
    pub(super) fn take(&mut self) -> Received {
        let pipe = match self {
            Self::Caught(pipe) => pipe,
            #[cfg(test)]
            Self::Simulated(received) => return std::mem::take(received),
        };
        let mut received = Received::default();
        for signal in pipe.pending() {
            received.interrupt |= signal == SIGINT;
            received.terminate |= signal == SIGTERM;
            received.reload |= signal == SIGHUP;
            received.child |= signal == SIGCHLD;
        }
        received
    }
}

/// The kinds of signals received since the last [`Signals::take`]. Two signals of one
/// kind count as one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) interrupt: bool,
    pub(super) terminate: bool,
    pub(super) reload: bool,
    /// A child has ended.
    pub(super) child: bool,
}

impl Received {
    /// Whether a signal requests a stop.
    pub(super) fn requests_stop(self) -> bool {
        self.interrupt || self.terminate
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Signals")
    }
}
