//! When a link polls for acknowledgements between the ticks. Pure.
//!
//! The kernel sends no event for an acknowledgement. In a healthy state it is enough to poll at
//! each tick and after each write. The link polls more often while something waits for an
//! acknowledgement: a stop, the end of an outage, or the next chunk of the spool.

use std::time::Duration;

use crate::time::Tick;

/// The shortest and the longest time between two polls. It doubles while nothing is acknowledged,
/// so that a peer that is down for hours does not cost a hundred system calls a second.
const WAIT: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The longest time between two polls during a stop.
const WAIT_MAX_DRAINING: Duration = Duration::from_millis(50);

/// The plan for the next poll of one link.
#[derive(Debug, Default)]
pub(super) struct AckPolls {
    next: Option<AckPoll>,
    /// A stop waits until all bytes are acknowledged.
    pub(super) is_draining: bool,
}

#[derive(Clone, Copy, Debug)]
struct AckPoll {
    at: Tick,
    /// The time since the previous poll.
    wait: Duration,
}

impl AckPolls {
    /// Plans the next poll, unless one is already planned and not due. If nothing has `moved` since
    /// the last poll, the time to the next one doubles.
    pub(super) fn plan(&mut self, moved: bool, now: Tick) {
        let max = if self.is_draining { WAIT_MAX_DRAINING } else { WAIT_MAX };
        let wait = match self.next {
            Some(next) if now < next.at => return,
            Some(next) if !moved => (next.wait * 2).min(max),
            _ => WAIT,
        };
        self.next = Some(AckPoll { at: now + wait, wait });
    }

    /// Cancels the planned poll. The next plan starts with the shortest time. Called when nothing
    /// waits for an acknowledgement, or when bytes were just written.
    pub(super) fn clear(&mut self) {
        self.next = None;
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        self.next.map(|next| next.at)
    }
}
