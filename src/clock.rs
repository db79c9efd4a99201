//! The only reader of clocks. The loop asks once a turn; a slice of background work asks how much
//! of it is left.

#![allow(clippy::disallowed_methods)] // this is the place

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, Tick, UnixTime};

/// Both clocks. A simulation has its own.
pub trait Clock {
    fn tick(&self) -> Tick;

    fn now(&self) -> Now;
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
}

/// Sleeps, whatever comes.
pub(crate) fn nap(span: Duration) {
    std::thread::sleep(span);
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
