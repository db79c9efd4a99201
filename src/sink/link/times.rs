//! [`LinkTimes`]: how long a link waits for its peer, and between two attempts to connect.

use std::time::Duration;

use crate::config::Net;
use crate::sink::outage::retry_delay;

/// The times of a link, as they are configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkTimes {
    pub(super) connect_timeout: Duration,
    pub(super) write_timeout: Duration,
    reconnect_min: Duration,
    reconnect_max: Duration,
}

impl LinkTimes {
    pub(super) fn of(net: &Net) -> Self {
        Self {
            connect_timeout: net.connect_timeout,
            write_timeout: net.write_timeout,
            reconnect_min: net.reconnect_min,
            reconnect_max: net.reconnect_max,
        }
    }

    /// Returns the wait before the next attempt to connect, after this number of failed rounds.
    pub(super) fn retry_delay(&self, random: u64, rounds: u32) -> Duration {
        retry_delay(random, self.reconnect_min, self.reconnect_max, rounds)
    }
}
