//! [`RetiredListeners`]: listeners that a reload has removed. They are still read until they are
//! empty, for a limited time.

use crate::time::Tick;
use crate::token::EventSource;

#[derive(Debug, Default)]
pub(super) struct RetiredListeners {
    sources: Vec<EventSource>,
    /// When they are closed, even if they hold data.
    until: Tick,
}

impl RetiredListeners {
    /// Takes the listeners of the last reload, in place of those before.
    pub(super) fn set(&mut self, sources: Vec<EventSource>, until: Tick) {
        self.sources = sources;
        self.until = until;
    }

    /// Returns when the last of them must be closed. `None` if there are none.
    pub(super) fn deadline(&self) -> Option<Tick> {
        (!self.sources.is_empty()).then_some(self.until)
    }

    pub(super) fn sources(&self) -> &[EventSource] {
        &self.sources
    }

    /// Takes out those for which `goes` returns true.
    pub(super) fn take(&mut self, goes: impl Fn(EventSource) -> bool) -> Vec<EventSource> {
        self.sources.extract_if(.., |source| goes(*source)).collect()
    }
}
