//! The measurements, each on a server of its own.

use std::time::Duration;

use serde::Serialize;
use statsd_bench::{Clock, Mix, Packing, Plan, Sent, Stop, Traffic, Workload, beside};

use super::load::Load;
use super::profile::{Profile, Transport};
use super::server::{Server, Setting};

/// What a rate costs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// User and system, of all threads, flushes included.
    pub(crate) cpu_seconds_per_million_lines: f64,
    pub(crate) lines_per_second: f64,
    /// Datagrams the kernel dropped.
    pub(crate) dropped_packets: u64,
    /// The counts that reached carbon, as a share of those sent, where the profile tells what counts are.
    pub(crate) counted: Option<f64>,
}

/// The highest rate that loses nothing.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Highest {
    pub(crate) lines_per_second: f64,
    pub(crate) cpu_seconds_per_million_lines: f64,
    /// The sender could not send faster.
    pub(crate) sender_bound: bool,
}

/// Resident memory.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Footprint {
    pub(crate) before_flush_mib: f64,
    pub(crate) peak_mib: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Flush {
    pub(crate) lines: u64,
    /// Of an interval in which nothing came.
    pub(crate) cpu_ms: f64,
    /// From the first byte at carbon to the last.
    pub(crate) sending_ms: f64,
    /// The longest time in which nothing was read from a socket that held something, while 50,000 lines a second came.
    pub(crate) longest_gap_ms: f64,
    pub(crate) dropped_packets: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Quiet {
    pub(crate) ready_ms: f64,
    pub(crate) resident_mib: f64,
    /// In one flush interval.
    pub(crate) wake_ups: u64,
    pub(crate) cpu_ms: f64,
}

/// How long each takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) seconds: u64,
    /// Of one try of a rate.
    pub(crate) probe: Duration,
    /// Halvings of the distance between a rate that holds and one that does not.
    pub(crate) halvings: u32,
}

/// The CPU of a moderate rate, after every name was seen once.
pub(crate) fn cost(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
    effort: Effort,
) -> Result<Cost, String> {
    let mut server = Server::start(profile, setting)?;
    if let Some(start) = &profile.counts {
        server.carbon.count(start);
    }
    let mut sender = server.sender(load.transport)?;
    let warm = sender.send(traffic, Plan::lines(traffic.lines().max(load.rate)).at(load.rate));
    server.until_read();
    let before = (server.usage(), server.queue());
    let plan = Plan { stop: Stop::After(Duration::from_secs(effort.seconds)), rate: None };
    let sent = sender.send(traffic, plan.at(load.rate));
    server.until_read();
    let after = (server.usage(), server.queue());
    if !server.is_running() {
        return Err(format!("{} has ended", profile.name));
    }
    Ok(Cost {
        cpu_seconds_per_million_lines: per_million(
            &sent,
            before.0.cpu_seconds,
            after.0.cpu_seconds,
        ),
        lines_per_second: sent.lines as f64 / sent.seconds,
        dropped_packets: after.1.drops - before.1.drops,
        counted: counted(&server, traffic, setting, &[warm.lines, sent.lines]),
    })
}

/// Waits for two flushes, and compares. Each run sent the traffic from its start.
fn counted(server: &Server, traffic: &Traffic, setting: &Setting, runs: &[u64]) -> Option<f64> {
    let sent: u64 = runs.iter().map(|&lines| traffic.counted(lines)).sum();
    let start = Clock::start();
    loop {
        let share = server.carbon.counted()? / sent as f64;
        if share >= 1.0 || start.elapsed() > Duration::from_secs(2 * setting.interval + 1) {
            return Some(share);
        }
        Clock::sleep(Duration::from_millis(100));
    }
}

/// Doubles the rate until something is lost, then halves the distance.
pub(crate) fn highest(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
    effort: Effort,
) -> Result<Highest, String> {
    let server = Server::start(profile, setting)?;
    let mut sender = server.sender(load.transport)?;
    sender.send(traffic, Plan::lines(traffic.lines()).at(load.rate));
    server.until_read();
    let mut probe = |rate: Option<u64>| {
        let before = (server.usage(), server.queue());
        let plan = Plan { stop: Stop::After(effort.probe), rate: None };
        let sent = sender.send(traffic, rate.map_or(plan, |rate| plan.at(rate)));
        server.until_read();
        let after = (server.usage(), server.queue());
        let reached = sent.lines as f64 / sent.seconds;
        let lossless = after.1.drops == before.1.drops && sent.errors == 0;
        let cpu = per_million(&sent, before.0.cpu_seconds, after.0.cpu_seconds);
        let is_short = rate.is_some_and(|rate| reached < 0.95 * rate as f64);
        (
            lossless,
            Highest {
                lines_per_second: reached,
                cpu_seconds_per_million_lines: cpu,
                sender_bound: is_short,
            },
        )
    };
    if load.transport == Transport::Tcp {
        // A full window holds the sender back: whatever it can send is taken.
        return Ok(Highest { sender_bound: false, ..probe(None).1 });
    }
    // A try that fails is given a second one: the machine has other things to do too.
    let mut holds = |rate: u64| {
        let first = probe(Some(rate));
        if first.0 {
            Some(first.1)
        } else {
            Some(probe(Some(rate))).filter(|again| again.0).map(|again| again.1)
        }
    };
    let mut best = None;
    let (mut low, mut high) = (load.rate / 8, load.rate);
    while let Some(result) = holds(high) {
        best = Some(result);
        if result.sender_bound {
            return Ok(result);
        }
        (low, high) = (high, high * 2);
    }
    for _ in 0..effort.halvings {
        let middle = low.midpoint(high);
        match holds(middle) {
            Some(result) if result.sender_bound => return Ok(result),
            Some(result) => (best, low) = (Some(result), middle),
            None => high = middle,
        }
    }
    best.ok_or_else(|| format!("{} loses at {low} lines a second already", profile.name))
}

/// What names take: all of them once, or timings with a hundred samples each.
pub(crate) fn footprint(
    profile: &Profile,
    setting: &Setting,
    workload: &Workload,
    lines: u64,
) -> Result<Footprint, String> {
    let traffic = Traffic::build(workload).map_err(|error| error.to_string())?;
    let server = Server::start(profile, setting)?;
    let mut sender = server.sender(Transport::Udp)?;
    until_flushed(&server, profile, setting, 0); // so that all falls into one interval
    let flushed = server.carbon.bursts().len();
    sender.send(&traffic, Plan::lines(lines).at(200_000));
    server.until_read();
    Clock::sleep(Duration::from_millis(50));
    let before = server.usage();
    until_flushed(&server, profile, setting, flushed + 1);
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok(Footprint {
        before_flush_mib: mib(before.resident_kib),
        peak_mib: mib(server.usage().peak_kib),
    })
}

/// A flush of 100,000 counters: of an interval in which nothing came, and while packets come.
pub(crate) fn flush(profile: &Profile, setting: &Setting) -> Result<Flush, String> {
    let names = Workload { names: 100_000, mix: Mix::COUNTERS, ..Workload::default() };
    let traffic = Traffic::build(&names).map_err(|error| error.to_string())?;
    let server = Server::start(profile, setting)?;
    server.sender(Transport::Udp)?.send(&traffic, Plan::lines(100_000).at(200_000));
    until_flushed(&server, profile, setting, 2);
    let (seen, before) = (server.carbon.bursts().len(), server.usage());
    until_flushed(&server, profile, setting, seen + 1);
    let (cpu, bursts) = (server.usage().cpu_seconds - before.cpu_seconds, server.carbon.bursts());
    let burst = bursts.last().ok_or_else(|| format!("{} sends nothing to carbon", profile.name))?;
    let drops = server.queue().drops;
    let longest_gap = longest_gap(&server, setting)?;
    Ok(Flush {
        lines: burst.lines,
        cpu_ms: cpu * 1000.0,
        sending_ms: millis(burst.last.saturating_sub(burst.first)),
        longest_gap_ms: millis(longest_gap),
        dropped_packets: server.queue().drops - drops,
    })
}

/// Looks at the socket every millisecond, for an interval and a bit.
fn longest_gap(server: &Server, setting: &Setting) -> Result<Duration, String> {
    let alone = Workload { mix: Mix::COUNTERS, packing: Packing::Lines(1), ..Workload::default() };
    let traffic = Traffic::build(&alone).map_err(|error| error.to_string())?;
    let mut sender = server.sender(Transport::Udp)?;
    let span = Duration::from_secs(setting.interval + 2);
    let sending = beside(move || {
        sender.send(&traffic, Plan { stop: Stop::After(span), rate: None }.at(50_000))
    });
    let (clock, mut longest) = (Clock::start(), Duration::ZERO);
    let (mut since, mut waited) = (Duration::ZERO, 0);
    while clock.elapsed() < span {
        let (now, waiting) = (clock.elapsed(), server.queue().waiting);
        if waiting == 0 || waiting < waited {
            since = now;
        }
        longest = longest.max(now - since);
        waited = waiting;
        Clock::sleep(Duration::from_millis(1));
    }
    sending.join().map_err(|_| "the sender panicked".to_owned())?;
    Ok(longest)
}

/// A server that nobody asks anything of.
pub(crate) fn quiet(profile: &Profile, setting: &Setting) -> Result<Quiet, String> {
    let server = Server::start(profile, setting)?;
    Clock::sleep(Duration::from_secs(2));
    let before = server.usage();
    Clock::sleep(Duration::from_secs(setting.interval));
    let after = server.usage();
    Ok(Quiet {
        ready_ms: millis(server.ready_after),
        resident_mib: before.resident_kib as f64 / 1024.0,
        wake_ups: after.sleeps - before.sleeps,
        cpu_ms: (after.cpu_seconds - before.cpu_seconds) * 1000.0,
    })
}

/// Waits until so many flushes have ended at carbon, but no longer than they take.
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

fn per_million(sent: &Sent, before: f64, after: f64) -> f64 {
    (after - before) * 1e6 / sent.lines as f64
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
