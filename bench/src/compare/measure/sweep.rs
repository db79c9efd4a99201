//! Measures W1 at rates from nearly idle to busy: the cost and the gain of gathering at each rate.

use std::time::Duration;

use serde::Serialize;
use statsd_bench::{Plan, Stop, Traffic};

use super::super::load::Load;
use super::super::profile::Profile;
use super::super::server::Server;
use super::super::setting::Setting;
use super::per_million;

/// One rate of the sweep.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Step {
    pub(crate) packets_per_second: u64,
    pub(crate) cpu_seconds_per_million_lines: f64,
    /// Times a second that it went to sleep of itself, and so was woken.
    pub(crate) wake_ups_per_second: f64,
    pub(crate) dropped_packets: u64,
}

pub(crate) const RATES: [u64; 6] = [1_000, 5_000, 20_000, 50_000, 100_000, 200_000];

/// A server may need a second to see how busy it is.
pub(crate) const SETTLES: Duration = Duration::from_millis(1500);

/// Of each rate.
pub(crate) const SPAN: Duration = Duration::from_secs(2);

pub(crate) fn sweep(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
) -> Result<Vec<Step>, String> {
    let mut server = Server::start(profile, setting)?;
    let mut sender = server.sender(load.transport)?;
    sender.send(traffic, load.warm());
    let mut steps = Vec::new();
    for rate in RATES {
        let plan = |time| Plan { stop: Stop::After(time), rate: None }.at(rate);
        sender.send(traffic, plan(SETTLES));
        server.until_read();
        let before = (server.usage(), server.queue());
        let sent = sender.send(traffic, plan(SPAN));
        server.until_read();
        let after = (server.usage(), server.queue());
        steps.push(Step {
            packets_per_second: rate,
            cpu_seconds_per_million_lines: per_million(
                &sent,
                before.0.cpu_seconds,
                after.0.cpu_seconds,
            ),
            wake_ups_per_second: (after.0.sleeps - before.0.sleeps) as f64 / sent.seconds,
            dropped_packets: after.1.drops - before.1.drops,
        });
    }
    server.is_well().map(|()| steps)
}
