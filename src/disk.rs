//! The longest time for which the disk made the loop wait. There is no second thread that could
//! wait instead, so the server reports this time (`disk_stall_ms`).

#![allow(clippy::disallowed_methods)] // it measures time inside a turn, in which the clock of the loop stands still

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Stall {
    longest: Duration,
}

impl Stall {
    /// Does something that may wait for the disk, and measures it.
    pub fn time<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = act();
        self.longest = self.longest.max(start.elapsed());
        result
    }

    pub fn take(&mut self) -> Duration {
        std::mem::take(&mut self.longest)
    }
}
