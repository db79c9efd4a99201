//! Reads the clocks. The loop takes its time from here, and so does the log.
//!
//! - The loop reads both clocks after each poll: once a turn, and once more before a tick.
//! - A slice of background work, such as a sweep, reads the monotonic clock while it runs, to stop
//!   in time. The end of a flush reads both, to measure how long the flush took.
//! - The log stamps each line with the wall clock ([`wall`]), also outside of any turn.
//!
//! Two other files read a clock. `files.rs` measures how long calls to the disk take, and
//! `config/load.rs` limits how long it waits for a configuration from a pipe. The lint
//! `disallowed_methods` refuses any other reading: the simulation could not replace it, and tests
//! would depend on the speed of the machine.

#![allow(clippy::disallowed_methods)] // this is the place

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Now, Tick, UnixTime};

/// Both clocks, and the waits that depend on them. The simulation has a virtual clock, whose waits
/// end at once.
pub trait Clock {
    /// Returns the time on the monotonic clock.
    fn tick(&self) -> Tick;

    /// Returns the time on both clocks.
    fn now(&self) -> Now;

    /// Waits for `span`, even if events arrive meanwhile.
    fn nap(&self, span: Duration);

    /// Returns how long the poller may wait for events, given that nothing is due for `span`.
    /// `None` means no limit. A virtual clock advances by that time here, and returns zero.
    fn poll_timeout(&self, span: Option<Duration>) -> Option<Duration>;
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
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

/// Returns the time since 1970, in whole milliseconds, as the log writes it.
pub(crate) fn wall() -> Duration {
    Duration::from_millis(unix().as_millis())
}

/// Returns the time of the wall clock. A clock that is set before 1970 reads as 1970.
fn unix() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
