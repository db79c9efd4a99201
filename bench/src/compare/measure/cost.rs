//! Measures the CPU time that a moderate rate costs.

use serde::Serialize;
use statsd_bench::{Plan, Stop, Traffic};

use super::super::load::Load;
use super::super::profile::Profile;
use super::super::server::Server;
use super::super::setting::Setting;
use super::{Effort, arrived, per_million};

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// User and system, of all threads, flushes included.
    pub(crate) cpu_seconds_per_million_lines: f64,
    pub(crate) lines_per_second: f64,
    /// Datagrams the kernel dropped.
    pub(crate) dropped_packets: u64,
    /// The counts that reached carbon, as a share of those sent, where the profile tells what
    /// counts are.
    pub(crate) counted: Option<f64>,
}

/// After every name was seen once, over one flush interval.
pub(crate) fn cost(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
    effort: Effort,
) -> Result<Cost, String> {
    let mut server = Server::start(profile, setting)?;
    if let Some(counts) = &profile.counts {
        server.carbon.watch(counts);
    }
    let mut sender = server.sender(load.transport)?;
    let warm = sender.send(traffic, load.warm());
    server.until_read();
    let before = (server.usage(), server.queue());
    let plan = Plan { stop: Stop::After(effort.span), rate: None };
    let sent = sender.send(traffic, plan.at(load.rate));
    server.until_read();
    let after = (server.usage(), server.queue());
    // Each run sent the traffic from its start.
    let counts = traffic.counted(warm.lines) + traffic.counted(sent.lines);
    let cost = Cost {
        cpu_seconds_per_million_lines: per_million(
            &sent,
            before.0.cpu_seconds,
            after.0.cpu_seconds,
        ),
        lines_per_second: sent.lines as f64 / sent.seconds,
        dropped_packets: after.1.drops - before.1.drops,
        counted: arrived(&server, profile, setting, counts),
    };
    server.is_well().map(|()| cost)
}
