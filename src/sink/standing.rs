//! [`Standing`]: the state of a destination, and since when it lasts.

use crate::time::Now;

/// The state of an outlet, and since when it lasts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    state: &'static str,
    pub(super) since: Option<Now>,
}

impl Standing {
    /// Notes the state at `now`. While a destination is down, its state alternates between those of
    /// an attempt and the wait for the next. They count as one, so that the time is that of the
    /// failure and not that of the last attempt.
    pub(super) fn note(&mut self, state: &'static str, now: Now) {
        const DOWN: [&str; 3] = ["resolving", "connecting", "backing_off"];
        let goes_on = DOWN.contains(&self.state) && DOWN.contains(&state);
        if self.since.is_none() || (state != self.state && !goes_on) {
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
        let mut standing = Standing::default();
        for (seconds, state, since) in [
            (1, "idle", 1),
            (2, "connecting", 2),
            (3, "up", 3),
            (4, "up", 3),
            (5, "backing_off", 5),
            (6, "resolving", 5),
            (7, "connecting", 5),
            (8, "backing_off", 5),
            (9, "up", 9),
            (10, "idle", 10),
        ] {
            standing.note(state, at(seconds));
            assert_eq!(standing.since.unwrap().tick, at(since).tick, "{seconds} s: {state}");
        }
    }
}
