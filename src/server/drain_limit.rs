//! [`DrainLimit`]: when a stop waits no longer for the sinks.

use std::time::Duration;

use super::received_signals::ReceivedSignals;
use crate::sink::{Sink, Sinks};
use crate::time::Tick;

/// How long a stop waits for the sinks, which deliver what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DrainLimit {
    since: Tick,
    until: Tick,
    /// No signal has requested the end: `--stdin` waits for a slow reader of standard output,
    /// however long that takes.
    is_patient: bool,
    /// An operator has interrupted the drain.
    is_interrupted: bool,
}

/// A second SIGINT ends the drain. One that comes sooner than this after the first is the same
/// keystroke, passed on by a parent process. A second SIGTERM has no effect, because supervisors
/// repeat it.
const AGAIN: Duration = Duration::from_secs(1);

impl DrainLimit {
    pub(super) fn new(now: Tick, patience: Duration) -> Self {
        Self { since: now, until: now + patience, is_patient: false, is_interrupted: false }
    }

    /// Returns the limit of a run that also waits for a slow reader of standard output.
    pub(super) fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// Lets the sinks deliver until `patience` after `now`, unless a signal has set the end.
    pub(super) fn prolong(&mut self, now: Tick, patience: Duration) {
        if self.is_patient {
            self.until = now + patience;
        }
    }

    pub(super) fn until(&self) -> Tick {
        self.until
    }

    /// Whether an operator has interrupted the drain.
    pub(super) fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// Notes signals for a run that stops by itself. The first one that requests a stop sets its
    /// end: the sinks may deliver until `patience` after `now`.
    pub(super) fn note_signals_of_run(
        &mut self,
        received: ReceivedSignals,
        now: Tick,
        patience: Duration,
    ) {
        if self.is_patient && received.requests_stop() {
            *self = Self::new(now, patience);
        } else {
            self.note_signals(received, now);
        }
    }

    pub(super) fn note_signals(&mut self, received: ReceivedSignals, now: Tick) {
        if received.interrupt && self.since + AGAIN <= now {
            log::warn!(
                stop = "cut_short",
                reason = "a second SIGINT",
                hint = "undelivered lines are moved to the spool, or are lost; set [spool] dir to keep them";
                "the stop no longer waits for the destinations"
            );
            self.is_interrupted = true;
        }
    }

    /// Whether the sweep of the only flush of a run should wait for this sink.
    pub(super) fn lets_hold_sweep(&self, sink: &Sink, now: Tick) -> bool {
        (self.is_patient && sink.waits_for_reader()) || (now < self.until && sink.holds_sweep(now))
    }

    /// Whether every sink has delivered, or no time is left.
    pub(super) fn is_over(&self, sinks: &Sinks, now: Tick) -> bool {
        let waits = |sink: &Sink| {
            let is_patient = self.is_patient && sink.may_have_slow_reader();
            is_patient || (now < self.until && !sink.is_given_up(now))
        };
        self.is_interrupted || !sinks.iter().any(|sink| !sink.is_drained() && waits(sink))
    }
}
