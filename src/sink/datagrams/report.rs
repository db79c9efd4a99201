//! What a UDP destination logs: `key=value`, one line a change.

use std::net::SocketAddr;
use std::time::Duration;

use log::Level;

use super::Datagrams;
use crate::time::Tick;

impl Datagrams {
    pub(super) fn log_up(&self, address: SocketAddr) {
        let is_first = self.outage.is_none() && self.history.connects == 1;
        let level = if is_first { Level::Info } else { Level::Debug };
        log::log!(level, "sink={} state=up address={address} over=udp", self.label);
    }

    pub(super) fn log_failure(&self, is_news: bool, wait: Duration) {
        let level = if is_news { Level::Warn } else { Level::Debug };
        log::log!(
            level,
            "sink={} state=backing_off address={} over=udp error={:?} retry_ms={} hint=\"not there yet? tries go on, what is queued waits; of what was sent nobody can tell\"",
            self.label,
            self.remote,
            self.history.last_error.as_deref().unwrap_or_default(),
            wait.as_millis(),
        );
    }

    /// No error came for a while.
    pub(super) fn recover(&mut self, now: Tick) {
        if let Some(outage) = self.outage.take() {
            log::info!(
                "sink={} state=up over=udp recovered attempts={} outage_seconds={:.1}",
                self.label,
                outage.attempts,
                (now - outage.since).as_secs_f64(),
            );
        }
    }
}
