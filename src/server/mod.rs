//! The loop and what only it has: the poller, the timer wheel, the clocks, signals.

pub mod token;
pub mod wheel;
