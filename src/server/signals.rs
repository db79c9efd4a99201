//! Signals as events of the loop: SIGTERM and SIGINT request a stop, SIGHUP requests a reload.
//! SIGCHLD wakes the loop: the sinks check their own children, and the `Reaper` all others.
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

use super::received_signals::ReceivedSignals;
use crate::token::EventSource;

/// The source of signals: a pipe that the poller watches, and that the handlers write to.
pub(super) struct Signals(Pipe);

impl Signals {
    /// Handles the signals of this process from now on.
    pub(super) fn of_process(registry: &Registry) -> io::Result<Self> {
        // The signal is caught, not ignored, because commands and look-ups would inherit an ignored
        // one. The flag is never read.
        flag::register(SIGXFSZ, Arc::<AtomicBool>::default())?;
        Self::watch(&[SIGTERM, SIGINT, SIGHUP, SIGCHLD], registry)
    }

    /// Makes events of these signals. All others keep their effect on the process.
    pub(super) fn watch(signals: &[i32], registry: &Registry) -> io::Result<Self> {
        let mut pipe = Pipe::new(signals)?;
        registry.register(&mut pipe, EventSource::Signals.into(), Interest::READABLE)?;
        Ok(Self(pipe))
    }

    /// Returns the signals received since the last call.
    pub(super) fn take(&mut self) -> ReceivedSignals {
        let mut received = ReceivedSignals::default();
        for signal in self.0.pending() {
            received.interrupt |= signal == SIGINT;
            received.terminate |= signal == SIGTERM;
            received.reload |= signal == SIGHUP;
            received.child |= signal == SIGCHLD;
        }
        received
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Signals")
    }
}
