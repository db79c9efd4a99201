//! Signals as events of the loop: SIGTERM and SIGINT request a stop, SIGHUP requests a reload.
//! SIGCHLD wakes the loop: the sinks check their own children, and the [`Reaper`] all others.
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

use crate::sink::Sinks;
use crate::sys;
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

/// The kinds of signals received since the last [`Signals::take`]. Two signals of one
/// kind count as one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReceivedSignals {
    pub(super) interrupt: bool,
    pub(super) terminate: bool,
    pub(super) reload: bool,
    /// A child has ended.
    pub(super) child: bool,
}

impl ReceivedSignals {
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

/// The most children reaped in one turn.
const CHILDREN_PER_TURN: usize = 256;

/// Reaps children that no sink waits for. Otherwise they would stay zombies while the server runs.
///
/// The sinks start children (look-ups and commands) and reap them. But a sink that a reload removes
/// kills its child and is dropped before the child has ended. If the server is process 1, as in a
/// container, it also gets every orphan: processes that commands left in the background.
///
/// So after each SIGCHLD the reaper lists the children that have ended, and reaps those that no
/// sink has started. A sink reaps its own child, and reads its exit status.
#[derive(Debug)]
pub(super) struct Reaper {
    /// A child may have ended.
    is_due: bool,
}

impl Default for Reaper {
    /// A child may have ended before signals were handled.
    fn default() -> Self {
        Self { is_due: true }
    }
}

impl Reaper {
    /// Notes that a child may have ended, so that this turn checks.
    pub(super) fn note_ended_child(&mut self) {
        self.is_due = true;
    }

    /// Reaps ended children that belong to no sink. Returns `true` if there may be more.
    pub(super) fn turn(&mut self, sinks: &mut Sinks) -> bool {
        let mut last = None;
        for _ in 0..CHILDREN_PER_TURN {
            if !self.is_due {
                return false;
            }
            match sys::ended_child() {
                // A child found twice was not reaped by the sink that claimed it. It must not hide
                // the next ones.
                Ok(Some(child)) if last == Some(child) || !sinks.note_exit(child) => {
                    let _ = sys::reap(child); // this fails only for a child reaped already
                }
                Ok(Some(child)) => last = Some(child),
                // An error means that there are no children at all.
                Ok(None) | Err(_) => self.is_due = false,
            }
        }
        self.is_due
    }
}
