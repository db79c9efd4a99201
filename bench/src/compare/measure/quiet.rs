//! Measures a server without traffic: how soon it is ready, and how much it does then.

use std::time::Duration;

use serde::Serialize;
use statsd_bench::Clock;

use super::super::profile::Profile;
use super::super::record::Spread;
use super::super::server::Server;
use super::super::setting::Setting;
use super::{mib, millis};

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quiet {
    /// From the start of the process until its UDP port is bound: the median of some starts.
    pub(crate) listening_ms: f64,
    /// Until it says that it is ready, where the profile tells how it does.
    pub(crate) ready_ms: Option<f64>,
    pub(crate) resident_mib: f64,
    /// In one flush interval.
    pub(crate) wake_ups: u64,
    pub(crate) cpu_ms: f64,
}

pub(crate) const STARTS: usize = 5;

/// What it does in its first moments is not counted.
pub(crate) const SETTLES: Duration = Duration::from_secs(2);

pub(crate) fn quiet(profile: &Profile, setting: &Setting) -> Result<Quiet, String> {
    let mut listening = Vec::new();
    let mut ready = Vec::new();
    let mut start = || {
        let server = Server::start(profile, setting)?;
        listening.push(millis(server.listening_after));
        ready.extend(server.ready_after.map(millis));
        Ok::<_, String>(server)
    };
    for _ in 1..STARTS {
        start()?;
    }
    let mut server = start()?;
    Clock::sleep(SETTLES);
    let before = server.usage();
    Clock::sleep(Duration::from_secs(setting.interval));
    let after = server.usage();
    server.is_well()?;
    Ok(Quiet {
        listening_ms: Spread::of(listening).map_or(0.0, |spread| spread.median),
        ready_ms: Spread::of(ready).map(|spread| spread.median),
        resident_mib: mib(before.resident_kib),
        wake_ups: after.sleeps - before.sleeps,
        cpu_ms: (after.cpu_seconds - before.cpu_seconds) * 1000.0,
    })
}
