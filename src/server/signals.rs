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

pub(super) struct Signals(Pipe);

impl Signals {
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        // The signal is caught, not ignored, because commands and look-ups would inherit an ignored
        // one. The flag is never read.
        flag::register(SIGXFSZ, Arc::<AtomicBool>::default())?;
        let mut pipe = Pipe::new([SIGTERM, SIGINT, SIGHUP, SIGCHLD])?;
        registry.register(&mut pipe, Source::Signals.into(), Interest::READABLE)?;
        Ok(Self(pipe))
    }

    /// Returns the signals since the last call.
    pub(super) fn take(&mut self) -> Asked {
        let mut asked = Asked::default();
        for signal in self.0.pending() {
            asked.interrupt |= signal == SIGINT;
            asked.terminate |= signal == SIGTERM;
            asked.reload |= signal == SIGHUP;
            asked.child |= signal == SIGCHLD;
        }
        asked
    }
}

/// Which signals came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) interrupt: bool,
    pub(super) terminate: bool,
    pub(super) reload: bool,
    /// A child has ended.
    pub(super) child: bool,
}

impl Asked {
    /// Whether the server is to stop.
    pub(super) fn stop(self) -> bool {
        self.interrupt || self.terminate
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Signals")
    }
}
