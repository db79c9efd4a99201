//! [`LastMove`]: when bytes last moved between the server and a destination. Pure.

use std::time::Duration;

use crate::time::Tick;

/// A destination counts as moving if bytes moved in this time.
pub(super) const MOVING: Duration = Duration::from_secs(1);

/// When bytes last moved: were written to a destination, acknowledged by it, or received from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastMove(Option<Tick>);

impl LastMove {
    pub(super) fn note(&mut self, now: Tick) {
        self.0 = Some(now);
    }

    /// Whether bytes moved in the last second.
    pub(super) fn is_recent(self, now: Tick) -> bool {
        self.0.is_some_and(|moved| now - moved < MOVING)
    }

    /// Returns when bytes last moved, or `now` if none did.
    pub(super) fn or(self, now: Tick) -> Tick {
        self.0.unwrap_or(now)
    }
}
