//! The timers of the server: the keys of the timer wheel.

use crate::token::Source;

/// The key of a deadline. A deadline that fires late, or for a client that is already closed,
/// has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The end of the open interval.
    Flush,
    /// The sinks may hold the sweep no longer.
    Sweep,
    /// Listeners that a reload has removed must be closed now.
    Retired,
    /// A stop waits no longer for the sinks.
    Stop,
    /// The next log of the most frequent names.
    KeyFlush,
    /// The next save of the gauges.
    Save,
    /// A sink has something to do. Holds the index of the sink.
    Sink(u16),
    /// A client is closed if nothing moved on it.
    Idle(Source),
    /// A listener that could not accept tries again.
    Listener(u16),
    /// The service manager must be notified that the server is alive.
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
