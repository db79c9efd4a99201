//! [`Restored`]: what became of the saved records of the run before.

/// What became of a saved record.
pub(super) enum RestoredRecord {
    /// It made a series.
    NewSeries,
    /// It was no series, or belongs to one that exists.
    Other,
    /// A rule drops it.
    Dropped,
    /// A limit has no room for it and for these events of the open interval.
    Refused { events: u64 },
    /// Rules make one series of it and another one, and the values of both are estimates. These
    /// events of the open interval are lost.
    BothEstimates { events: u64 },
}

/// The result of [`Engine::restore`](super::Engine::restore).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The number of series that were created.
    pub series: u64,
    /// The number of series and values that were not restored because of a lower limit.
    pub refused: u64,
    /// The number of series that a rule drops.
    pub dropped: u64,
    /// The number of timings and sets that could not be added to others of the same name, since
    /// both are estimates.
    pub not_added: u64,
    /// The events of the open interval that were lost with the refused series.
    pub refused_events: u64,
    /// The events of the open interval that were lost with the series that were not added.
    pub not_added_events: u64,
    /// Whether the state ended in the middle of a record, or a record was damaged.
    pub damaged: bool,
}

impl Restored {
    /// Returns the events of the open interval that were lost.
    pub fn lost_events(&self) -> u64 {
        self.refused_events.saturating_add(self.not_added_events)
    }

    pub(super) fn count(&mut self, record: RestoredRecord) {
        match record {
            RestoredRecord::NewSeries => self.series += 1,
            RestoredRecord::Other => {}
            RestoredRecord::Dropped => self.dropped += 1,
            RestoredRecord::Refused { events } => {
                self.refused += 1;
                self.refused_events = self.refused_events.saturating_add(events);
            }
            RestoredRecord::BothEstimates { events } => {
                self.not_added += 1;
                self.not_added_events = self.not_added_events.saturating_add(events);
            }
        }
    }
}
