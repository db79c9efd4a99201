//! Measures a flush of 100,000 counters: by itself, and while packets arrive.

use std::time::Duration;

use serde::Serialize;
use statsd_bench::{Clock, Mix, Packing, Plan, Sent, Stop, Traffic, Workload, beside};

use super::super::profile::{Profile, Transport};
use super::super::server::Server;
use super::super::setting::Setting;
use super::super::watch::{Watch, tick};
use super::{arrived, millis, until_flushed};

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Flush {
    pub(crate) lines: u64,
    /// From when all counters had been read until a moment after the last byte was sent; nothing
    /// came then.
    pub(crate) cpu_ms: f64,
    /// From the tick, which is when the rest before it ended, to the last byte at carbon; none of a
    /// server that never rests.
    pub(crate) tick_to_last_byte_ms: Option<f64>,
    /// From the first byte at carbon to the last.
    pub(crate) sending_ms: f64,
    /// The longest time in which nothing was read from a socket that held something, while packets
    /// came.
    pub(crate) longest_gap_ms: f64,
    /// In that time.
    pub(crate) packets_sent: u64,
    pub(crate) dropped_packets: u64,
    /// All counts that reached carbon, those that came during flushes too, as a share of those
    /// sent.
    pub(crate) counted: Option<f64>,
}

pub(crate) const COUNTERS: u64 = 100_000;

/// The last packets may take a little longer than their reading.
const RESTS: Duration = Duration::from_millis(50);

/// One a packet, while it flushes.
const RATE: u64 = 50_000;

/// Packets are sent for one interval and for this time, so that at least one flush is among them.
pub(crate) const MORE: Duration = Duration::from_secs(2);

pub(crate) fn flush(profile: &Profile, setting: &Setting) -> Result<Flush, String> {
    let counters = |names, packing| {
        let workload = Workload { names, mix: Mix::COUNTERS, packing, ..Workload::default() };
        Traffic::build(&workload).map_err(|error| error.to_string())
    };
    let many = counters(100_000, Packing::Bytes(1432))?;
    let few = counters(1_000, Packing::Lines(1))?;
    let mut server = Server::start(profile, setting)?;
    if let Some(counts) = &profile.counts {
        server.carbon.watch(counts);
    }
    // Right after a flush, so that all come in one interval: some servers send only what came in
    // it.
    let mut sender = server.sender(Transport::Udp)?;
    let first = sender.send(&many, Plan::lines(1));
    until_flushed(&server, profile, setting, 1);
    let seen = server.carbon.bursts().len();
    let all = sender.send(&many, Plan::lines(COUNTERS).at(200_000));
    server.until_read();
    Clock::sleep(RESTS);
    let before = server.usage();
    let watch = Watch::start(server.process(), server.carbon.clock());
    until_flushed(&server, profile, setting, seen + 1);
    let cpu = server.usage().cpu_seconds - before.cpu_seconds;
    let samples = watch.end();
    let bursts = server.carbon.bursts();
    let burst = bursts.last().ok_or_else(|| format!("{} sends nothing to carbon", profile.name))?;
    let tick = tick(&samples, burst.first);
    let drops = server.queue().drops;
    let expected = many.counted(first.lines) + many.counted(all.lines);
    let passes = few.clone();
    let (longest_gap, sent) = longest_gap(&server, setting, few)?;
    let counts = expected + passes.counted(sent.lines);
    let flush = Flush {
        lines: burst.lines,
        cpu_ms: cpu * 1000.0,
        tick_to_last_byte_ms: tick.map(|tick| millis(burst.last.saturating_sub(tick))),
        sending_ms: millis(burst.last.saturating_sub(burst.first)),
        longest_gap_ms: millis(longest_gap),
        packets_sent: sent.packets,
        dropped_packets: server.queue().drops - drops,
        counted: arrived(&server, profile, setting, counts),
    };
    server.is_well().map(|()| flush)
}

/// Looks at the socket every millisecond.
fn longest_gap(
    server: &Server,
    setting: &Setting,
    traffic: Traffic,
) -> Result<(Duration, Sent), String> {
    let mut sender = server.sender(Transport::Udp)?;
    let span = Duration::from_secs(setting.interval) + MORE;
    let sending = beside(move || {
        sender.send(&traffic, Plan { stop: Stop::After(span), rate: None }.at(RATE))
    });
    let clock = Clock::start();
    let mut longest = Duration::ZERO;
    let mut since = Duration::ZERO;
    let mut waited = 0;
    while clock.elapsed() < span {
        let now = clock.elapsed();
        let waiting = server.queue().waiting;
        if waiting == 0 || waiting < waited {
            since = now;
        }
        longest = longest.max(now - since);
        waited = waiting;
        Clock::sleep(Duration::from_millis(1));
    }
    let sent = sending.join().map_err(|_| "the sender panicked".to_owned())?;
    server.until_read();
    Ok((longest, sent))
}
