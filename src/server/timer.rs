//! What a deadline of the timer wheel is for.

use crate::token::Source;

/// The key of a deadline. A deadline that fires late, or for something that is gone, has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The end of the open interval.
    Flush,
    /// Until then the sinks may hold the sweep.
    Sweep,
    /// Listeners that a reload has removed are closed then at the latest.
    Retired,
    /// A stop waits no longer for the sinks.
    Stop,
    KeyFlush,
    /// The next save of the gauges.
    Save,
    Sink(u16),
    /// A client is closed if nothing moved on it.
    Idle(Source),
    /// A listener that could not accept tries again.
    Listener(u16),
    Watchdog,
}

impl Timer {
    /// Whether a stop needs what this timer does. Once a stop has begun, nothing else may act. For
    /// example, a save of the gauges would replace the interval that the stop has just saved.
    pub(super) fn serves_stop(self) -> bool {
        match self {
            Self::Stop | Self::Sink(_) | Self::Idle(Source::AdminClient(_)) | Self::Watchdog => {
                true
            }
            Self::Flush
            | Self::Sweep
            | Self::Retired
            | Self::KeyFlush
            | Self::Save
            | Self::Idle(_)
            | Self::Listener(_) => false,
        }
    }
}
