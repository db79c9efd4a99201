//! What the trials have met with, so that a run shows that there was something to withstand.

use std::fmt;

/// A bound of memory or of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Series,
    SeriesMemory,
    KeyValues,
    TimerMemory,
    History,
    Queue,
    Spool,
    Connections,
    AdminClients,
    IdleTime,
    ReceiveBuffer,
    Senders,
    LineLength,
    NameLength,
}

const BOUNDS: [Bound; 14] = [
    Bound::Series,
    Bound::SeriesMemory,
    Bound::KeyValues,
    Bound::TimerMemory,
    Bound::History,
    Bound::Queue,
    Bound::Spool,
    Bound::Connections,
    Bound::AdminClients,
    Bound::IdleTime,
    Bound::ReceiveBuffer,
    Bound::Senders,
    Bound::LineLength,
    Bound::NameLength,
];

/// In how many trials each bound was reached.
#[derive(Clone, Copy, Default)]
pub(super) struct Reached([u64; BOUNDS.len()]);

impl Reached {
    /// Notes whether a bound is reached in this trial.
    pub(super) fn note(&mut self, bound: Bound, is_reached: bool) {
        if is_reached {
            self.0[bound as usize] = 1;
        }
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(all, more)| *all += more);
    }

    /// Returns the bounds that no trial has reached.
    pub(super) fn missed(&self) -> Vec<Bound> {
        BOUNDS.into_iter().filter(|bound| self.0[*bound as usize] == 0).collect()
    }
}

impl fmt::Debug for Reached {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(BOUNDS.iter().zip(self.0)).finish()
    }
}

/// What trials have met with.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    pub(super) resets: u64,
    pub(super) kills: u64,
    pub(super) stops: u64,
    /// Stops that saved the open interval, and those that closed it early.
    pub(super) saved: u64,
    pub(super) closed_early: u64,
    pub(super) reloads: u64,
    /// Reloads whose port or state file is taken.
    pub(super) refused_reloads: u64,
    pub(super) removals: u64,
    pub(super) overruns: u64,
    /// Lines that the server has counted as lost.
    pub(super) counted: u64,
    /// Samples that the server has counted as refused.
    pub(super) refused: u64,
    /// Bytes of spools that could not be read.
    pub(super) cut_bytes: u64,
    /// Trials after which not one line was missing.
    pub(super) complete: u64,
    pub(super) reached: Reached,
}

impl Coverage {
    pub(super) fn add(&mut self, other: &Self) {
        for (all, more) in [
            (&mut self.resets, other.resets),
            (&mut self.kills, other.kills),
            (&mut self.stops, other.stops),
            (&mut self.saved, other.saved),
            (&mut self.closed_early, other.closed_early),
            (&mut self.reloads, other.reloads),
            (&mut self.refused_reloads, other.refused_reloads),
            (&mut self.removals, other.removals),
            (&mut self.overruns, other.overruns),
            (&mut self.counted, other.counted),
            (&mut self.refused, other.refused),
            (&mut self.cut_bytes, other.cut_bytes),
            (&mut self.complete, other.complete),
        ] {
            *all += more;
        }
        self.reached.add(&other.reached);
    }

    /// Checks that `trials` have met with enough. A few trials need not meet with everything.
    pub(super) fn check(&self, trials: u64) {
        let least = trials.saturating_sub(10);
        let each = [
            self.stops,
            self.saved * 4,
            self.closed_early,
            self.reloads,
            self.refused_reloads * 10,
            self.removals * 4,
            self.resets * 4,
            self.kills * 4,
            self.overruns * 200,
            self.counted / 5,
            self.refused,
            self.cut_bytes,
            self.complete * 20,
        ];
        assert!(each.iter().all(|met| *met >= least), "{self:?}");
        let missed = self.reached.missed();
        assert!(trials < 500 || missed.is_empty(), "no trial has reached {missed:?}");
    }
}
