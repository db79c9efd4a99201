//! [`SinkState`]: the state of a destination. [`StateSince`]: since when it is in that state. Pure.

use crate::time::Now;

/// The state of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SinkState {
    /// Nothing was sent yet, or the connection has ended well.
    #[default]
    Idle,
    Resolving,
    Connecting,
    /// Connected, or ready to send.
    Up,
    /// Connected, but the peer accepts nothing.
    Stalled,
    /// After a failure, until the next attempt.
    BackingOff,
    /// A command runs.
    Running,
    /// A command was killed, and is not reaped yet.
    Killed,
    /// The reader has closed standard output for good.
    Closed,
}

impl SinkState {
    /// Returns the word for the log and the admin port.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Resolving => "resolving",
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Stalled => "stalled",
            Self::BackingOff => "backing_off",
            Self::Running => "running",
            Self::Killed => "killed",
            Self::Closed => "closed",
        }
    }

    /// Whether the destination has no connection, and the server tries to get one.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Resolving | Self::Connecting | Self::BackingOff)
    }
}

/// The state of a destination, and since when it is in that state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StateSince {
    state: SinkState,
    pub(super) since: Option<Now>,
}

impl StateSince {
    /// Notes the state at `now`. While a destination is down, its state alternates between those of
    /// an attempt and the wait for the next. They count as one, so that the time is that of the
    /// failure and not that of the last attempt.
    pub(super) fn note(&mut self, state: SinkState, now: Now) {
        let goes_on = state == self.state || (state.is_down() && self.state.is_down());
        if self.since.is_none() || !goes_on {
            self.since = Some(now);
        }
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Tick, UnixTime};

    #[test]
    fn an_outage_lasts_since_the_failure_and_not_since_the_last_attempt() {
        let at = |seconds: u64| Now {
            tick: Tick::from_millis(seconds * 1000),
            unix: UnixTime::from_secs(70 + seconds),
        };
        let mut known = StateSince::default();
        for (seconds, state, since) in [
            (1, SinkState::Idle, 1),
            (2, SinkState::Connecting, 2),
            (3, SinkState::Up, 3),
            (4, SinkState::Up, 3),
            (5, SinkState::BackingOff, 5),
            (6, SinkState::Resolving, 5),
            (7, SinkState::Connecting, 5),
            (8, SinkState::BackingOff, 5),
            (9, SinkState::Up, 9),
            (10, SinkState::Idle, 10),
        ] {
            known.note(state, at(seconds));
            assert_eq!(known.since.unwrap().tick, at(since).tick, "{seconds} s: {state:?}");
        }
    }
}
