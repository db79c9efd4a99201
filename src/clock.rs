//! The only reader of clocks. The loop asks once a turn; a slice of background work asks how much
//! of it is left.

#![allow(clippy::disallowed_methods)] // this is the place

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, Tick, UnixTime};

/// Both clocks, and the waits that they measure. A simulation has its own, which waits for nothing.
pub trait Clock {
    fn tick(&self) -> Tick;

    fn now(&self) -> Now;

    /// Sleeps for `span`, whatever happens meanwhile.
    fn nap(&self, span: Duration);

    /// Returns how long the poller may wait for events, given that nothing is due for `span`. `None`
    /// has no limit. A virtual clock lets that time pass here, and returns zero.
    fn poll_timeout(&self, span: Option<Duration>) -> Option<Duration>;
}

#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A monotonic clock at zero.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn tick(&self) -> Tick {
        Tick::default() + self.start.elapsed()
    }

    fn now(&self) -> Now {
        Now { tick: self.tick(), unix: unix() }
    }

    fn nap(&self, span: Duration) {
        std::thread::sleep(span);
    }

    fn poll_timeout(&self, span: Option<Duration>) -> Option<Duration> {
        span
    }
}

/// Time since 1970 as the log writes it, which happens outside of any turn too.
pub(crate) fn wall() -> Duration {
    Duration::from_millis(unix().as_millis())
}

/// A wall clock before 1970 reads as 1970.
fn unix() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
