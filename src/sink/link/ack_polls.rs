//! When a link polls for acknowledgements between the ticks. Pure.
//!
//! The kernel sends no event for an acknowledgement. In a healthy state the polls at each tick and
//! after each write are enough. There are more of them while something waits for an
//! acknowledgement: a stop, the end of an outage, or the next chunk of the spool.

use std::time::Duration;

use crate::time::Tick;

/// The time between two polls: first, and at most if nothing moves.
const WAIT: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The longest time between two polls during a stop.
const WAIT_MAX_DRAINING: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct AckPolls {
    next: Option<AckPoll>,
    /// A stop waits until all is acknowledged.
    pub(super) is_draining: bool,
}

#[derive(Clone, Copy, Debug)]
struct AckPoll {
    at: Tick,
    /// The time since the poll before.
    wait: Duration,
}

impl AckPolls {
    /// Plans the next poll, unless one is planned that is not due. After a poll at which nothing
    /// has `moved` it comes later than the last one.
    pub(super) fn plan(&mut self, moved: bool, now: Tick) {
        let max = if self.is_draining { WAIT_MAX_DRAINING } else { WAIT_MAX };
        let wait = match self.next {
            Some(next) if now < next.at => return,
            Some(next) if !moved => (next.wait * 2).min(max),
            _ => WAIT,
        };
        self.next = Some(AckPoll { at: now + wait, wait });
    }

    /// Nothing waits for an acknowledgement, or bytes were just written. The next plan starts with
    /// the shortest time.
    pub(super) fn clear(&mut self) {
        self.next = None;
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        self.next.map(|next| next.at)
    }
}
