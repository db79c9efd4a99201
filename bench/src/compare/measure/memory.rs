//! Measures the memory that names take.

use serde::Serialize;
use statsd_bench::{Clock, Mix, Plan, Traffic, Workload};

use std::time::Duration;

use super::super::profile::{Profile, Transport};
use super::super::server::Server;
use super::super::setting::Setting;
use super::{mib, until_flushed};

/// Resident memory.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Footprint {
    pub(crate) before_flush_mib: f64,
    /// The peak until the [`FLUSHES`]th flush ended.
    pub(crate) peak_mib: f64,
}

/// What a server is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) names: usize,
    mix: &'static str,
    pub(crate) lines: u64,
    /// The least seconds between flushes. No flush may happen while the lines are sent.
    pub(crate) interval: u64,
}

pub(crate) const KINDS: [Kind; 3] = [
    Kind { name: "100 k counters", names: 100_000, mix: "c=100", lines: 100_000, interval: 5 },
    Kind { name: "1 M counters", names: 1_000_000, mix: "c=100", lines: 1_000_000, interval: 10 },
    Kind {
        name: "10 k timings × 100",
        names: 10_000,
        mix: "ms=100",
        lines: 1_000_000,
        interval: 10,
    },
];

/// Lines a second while it is filled.
pub(crate) const RATE: u64 = 200_000;

/// The number of flushes, each of all names, after which the peak is read.
///
/// A server keeps something of the flushes before: delivered chunks, freed memory of other sizes.
/// It needs this in the long run, and the first flush shows none of it.
pub(crate) const FLUSHES: usize = 4;

/// Fills a server right after each flush, so that as much as possible falls into one interval.
pub(crate) fn footprint(
    profile: &Profile,
    setting: &Setting,
    kind: &Kind,
) -> Result<Footprint, String> {
    let mix: Mix = kind.mix.parse().expect("a mix");
    let workload = Workload { names: kind.names, mix, ..Workload::default() };
    let traffic = Traffic::build(&workload).map_err(|error| error.to_string())?;
    let setting = &Setting { interval: setting.interval.max(kind.interval), ..setting.clone() };
    let mut server = Server::start(profile, setting)?;
    let mut sender = server.sender(Transport::Udp)?;
    sender.send(&traffic, Plan::lines(1));
    until_flushed(&server, profile, setting, 1);
    let flushed = server.carbon.bursts().len();
    let mut before_first = None;
    for flush in 1..=FLUSHES {
        sender.send(&traffic, Plan::lines(kind.lines).at(RATE));
        server.until_read();
        Clock::sleep(Duration::from_millis(50));
        before_first.get_or_insert_with(|| server.usage());
        until_flushed(&server, profile, setting, flushed + flush);
    }
    let before = before_first.expect("there is a first flush");
    let peak = server.usage().peak_kib;
    server.is_well()?;
    Ok(Footprint { before_flush_mib: mib(before.resident_kib), peak_mib: mib(peak) })
}
