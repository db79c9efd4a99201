//! The measurements, one file each. Each runs on a server of its own.

mod connections;
mod cost;
mod flush;
mod highest;
mod memory;
mod quiet;
mod sweep;
mod turns;

use std::time::Duration;

use statsd_bench::{Clock, Sent};

use super::profile::Profile;
use super::server::Server;
use super::setting::Setting;

pub(crate) use self::connections::{Connections, connections};
pub(crate) use self::cost::{Cost, cost};
pub(crate) use self::flush::{Flush, flush};
pub(crate) use self::highest::{Highest, highest};
pub(crate) use self::memory::{FLUSHES, Footprint, KINDS, Kind, RATE as FILL_RATE, footprint};
pub(crate) use self::quiet::{Quiet, quiet};
pub(crate) use self::sweep::{RATES, Step, sweep};
pub(crate) use self::turns::{Turns, turns};

/// How long each takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Of a cost, and of the last try of a highest rate.
    pub(crate) span: Duration,
    /// Of one try of a rate.
    pub(crate) probe: Duration,
    /// Halvings of the distance between a rate that holds and one that does not.
    pub(crate) halvings: u32,
}

/// Waits until carbon has received `flushes` flushes, but no longer than they take.
fn until_flushed(server: &Server, profile: &Profile, setting: &Setting, flushes: usize) {
    if !profile.flushes {
        return;
    }
    let start = Clock::start();
    let patience = Duration::from_secs(setting.interval * (flushes as u64 + 1) + 20);
    while server.carbon.bursts().len() < flushes.max(1) && start.elapsed() < patience {
        Clock::sleep(Duration::from_millis(10));
    }
}

/// The share of `sent` that reached carbon as counts, once two flushes had the time to come; none
/// if the profile does not tell.
fn arrived(server: &Server, profile: &Profile, setting: &Setting, sent: u64) -> Option<f64> {
    let counts = profile.counts.as_ref()?;
    let start = Clock::start();
    loop {
        let share = server.carbon.watched(counts).sum / sent as f64;
        if share >= 1.0 || start.elapsed() > Duration::from_secs(2 * setting.interval + 1) {
            return Some(share);
        }
        Clock::sleep(Duration::from_millis(50));
    }
}

fn per_million(sent: &Sent, before: f64, after: f64) -> f64 {
    (after - before) * 1e6 / sent.lines as f64
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
