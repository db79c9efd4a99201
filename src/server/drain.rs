//! The end of a stop: how long the sinks have to deliver what they hold.

use std::time::Duration;

use super::signals::Received;
use crate::sink::{Sink, Sinks};
use crate::time::Tick;

/// How long the sinks may still deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drain {
    since: Tick,
    until: Tick,
    /// It waits for a slow reader of standard output, however long that takes.
    is_patient: bool,
    /// An operator has interrupted the drain.
    is_interrupted: bool,
}

/// A second SIGINT ends the drain. One that comes sooner than this after the first is the same
/// keystroke, passed on by a parent process. A second SIGTERM has no effect, because supervisors
/// repeat it.
const AGAIN: Duration = Duration::from_secs(1);

impl Drain {
    pub(super) fn new(now: Tick, patience: Duration) -> Self {
        Self { since: now, until: now + patience, is_patient: false, is_interrupted: false }
    }

    /// A drain that also waits for a slow reader of standard output.
    pub(super) fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// The sinks may deliver until `patience` after `now`.
    pub(super) fn prolong(&mut self, now: Tick, patience: Duration) {
        self.until = now + patience;
    }

    /// Whether an operator has interrupted the drain.
    pub(super) fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    pub(super) fn note_signals(&mut self, received: Received, now: Tick) {
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

    /// Whether every sink has delivered, or no time is left.
    pub(super) fn is_over(&self, sinks: &Sinks, now: Tick) -> bool {
        let waits = |sink: &Sink| {
            let is_patient = self.is_patient && sink.may_have_slow_reader();
            is_patient || (now < self.until && !sink.is_given_up(now))
        };
        self.is_interrupted || !sinks.iter().any(|sink| !sink.is_drained() && waits(sink))
    }
}
