//! How long the disk made the loop wait: the longest call since somebody last asked. There is no second thread to do the
//! waiting, so it is told (`disk_stall_ms`).

#![allow(clippy::disallowed_methods)] // a clock beside the loop's: what happens inside a turn is what is measured

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Stall {
    longest: Duration,
}

impl Stall {
    /// Does something that may wait for the disk.
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
