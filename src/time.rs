//! The two kinds of time, as types that cannot be mixed up.
//!
//! A [`Tick`] is a time of the monotonic clock, which deadlines are made of. A [`UnixTime`] is a
//! time of the wall clock, which may jump. `clock.rs` reads both clocks, and the loop passes the
//! [`Now`] of a turn to all its parts.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the monotonic clock, in microseconds since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// Later than any other tick.
    pub const NEVER: Self = Self(u64::MAX);

    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the time from `self` to `later`. It is zero if `later` is not later.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_micros(later.0.saturating_sub(self.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Tick {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        earlier.until(self)
    }
}

/// A time of the wall clock, in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns whole seconds, rounded to the nearest as Node StatsD rounds its timestamps.
    pub const fn as_secs(self) -> u64 {
        (self.0 + 500) / 1000
    }

    /// Returns whole seconds, without the fraction, as statsite takes its timestamps.
    pub const fn as_full_secs(self) -> u64 {
        self.0 / 1000
    }
}

/// One reading of both clocks. The loop takes it after each poll: once a turn, and once more before
/// a tick. What the loop does until the next poll uses that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub tick: Tick,
    pub unix: UnixTime,
}
