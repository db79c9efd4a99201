//! The functions that the lints forbid in the server: reading the clock, sleeping, and starting
//! threads.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a sender paces itself; the daemon's rule is not its"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Since 1970; 0 before.
    #[expect(clippy::disallowed_methods, reason = "the bench may look at the wall clock")]
    pub fn unix_seconds() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |time| time.as_secs())
    }

    #[expect(clippy::disallowed_methods, reason = "a sender may block; the daemon may not")]
    pub fn sleep(time: Duration) {
        std::thread::sleep(time);
    }
}

/// Does work on a thread of its own.
#[expect(clippy::disallowed_methods, reason = "the bench may have threads; the daemon has one")]
pub fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(work)
}
