//! What the service manager is told, where there is one (NOTIFY_SOCKET): ready, alive, reloading, stopping.

use std::time::Duration;

use sd_notify::NotifyState;

use super::{Server, Timer};

/// A failure is no reason to stop: whoever waits for the word finds out.
pub(super) fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        log::warn!("service_manager=untold reason=\"{error}\"");
    }
}

pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("service_manager=untold reason=\"{error}\""),
    }
}

/// Half of the time after which a silent server is taken for dead; none if nobody watches.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|span| span / 2).filter(|span| !span.is_zero())
}

impl Server {
    /// The loop turns.
    pub(super) fn feed_watchdog(&mut self) {
        if let Some(span) = self.watchdog {
            tell(&[NotifyState::Watchdog]);
            self.wheel.set(Timer::Watchdog, Some(self.now.tick + span));
        }
    }
}
