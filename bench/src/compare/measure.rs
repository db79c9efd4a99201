//! The measurements. Each runs on a server of its own, and returns its figures by name.

use std::time::Duration;

use statsd_bench::{Clock, Mix, Plan, Traffic, Workload};

use super::load::{Load, Transport};
use super::plan::{FLUSHES, HALVINGS, Job, TRY};
use super::profile::Profile;
use super::record::{Figures, median};
use super::server::{Server, Setting};
use crate::args::What;

/// The lines before the flush that a measurement begins with. With a few only, collectd would hold
/// that flush back until it fills a packet.
const FIRST: u64 = 1000;

pub(crate) fn measure(
    job: &Job<'_>,
    setting: &Setting,
    traffic: &Traffic,
) -> Result<Figures, String> {
    let Job { what, load, profile, .. } = job;
    let transport = profile.transport(load).ok_or("it does not take this workload")?;
    let start = || Server::start(profile, setting, transport);
    match what {
        What::Cost => cost(start()?, job, setting, traffic),
        What::Highest => highest(start()?, load, setting, traffic, transport),
        What::Flush => flush(start()?, profile, setting, traffic),
        What::Memory => memory(start()?, job, traffic),
        What::Quiet => quiet(setting, start),
        What::Connections => connections(start()?),
    }
}

/// The cost of a moderate rate over one flush interval, when every name was seen once. A load
/// without lines before it is measured from the first line on, so its cost includes creating the
/// series.
fn cost(
    mut server: Server,
    Job { load, profile, round, .. }: &Job<'_>,
    setting: &Setting,
    traffic: &Traffic,
) -> Result<Figures, String> {
    let warm = server.send(traffic, Plan::lines(load.lines).at(load.rate))?;
    let run = server.send(traffic, lasting(setting.interval).at(load.rate))?;
    let mut figures = run.figures();
    // Names of Datadog's clients do not begin with what `counts` may have in it.
    let is_known = !load.workload.dogstatsd || profile.own_counts.is_some();
    if is_known && *round <= 1 {
        // Each run sent the traffic from its start.
        let sent = [warm.sent.lines, run.sent.lines].map(|lines| counted(traffic, lines));
        figures.extend(arrived(&mut server, profile, setting, sent.iter().sum())?);
    }
    Ok(figures)
}

/// Returns the share of `sent` that reached carbon as counts, after at most one flush. Returns
/// nothing if the profile has no text for it.
fn arrived(
    server: &mut Server,
    profile: &Profile,
    setting: &Setting,
    sent: u64,
) -> Result<Figures, String> {
    let Some(counts) = &profile.counts else { return Ok(Vec::new()) };
    let mut share = 0.0;
    let _ = server.until("count", Duration::from_secs(setting.interval + 2), |it| {
        let own = profile.own_counts.as_ref().map_or(0.0, |own| it.carbon.watched(own).sum);
        share = (it.carbon.watched(counts).sum - own) / sent as f64;
        share >= 1.0
    });
    server.check()?;
    Ok(vec![("counted", share)])
}

/// What of a try's lines may still wait in the socket when it ends, as a share of its time.
const LATE: f64 = 0.1;

/// The result of trying a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    Holds,
    /// Nothing was lost, but the sender did not reach the rate.
    Bound,
    Loses,
}

/// The highest rate that loses nothing: by bisection in short tries, and then once for a whole
/// flush interval, at a lower rate where that loses. A sender over TCP or a Unix socket waits for
/// the server, so the rate is what the server reads.
fn highest(
    mut server: Server,
    load: &Load,
    setting: &Setting,
    traffic: &Traffic,
    transport: Transport,
) -> Result<Figures, String> {
    server.send(traffic, Plan::lines(load.lines).at(load.rate))?;
    server.sender.sort_by_length();
    let mut attempt = |rate: u64, plan: Plan| -> Result<(Try, Figures), String> {
        let run = server.send(traffic, plan.at(rate))?;
        let is_late = rate > 0 && run.late > LATE * run.sent.seconds;
        let is_short = (run.sent.lines as f64) < 0.95 * rate as f64 * run.sent.seconds;
        let outcome = match run.drops > 0 || run.sent.errors > 0 || is_late {
            true => Try::Loses,
            _ if is_short => Try::Bound,
            _ => Try::Holds,
        };
        let mut figures = run.figures();
        figures.push(("sender_bound", f64::from(u8::from(is_short))));
        Ok((outcome, figures))
    };
    let whole = lasting(setting.interval);
    if transport != Transport::Udp {
        let (outcome, figures) = attempt(0, whole)?;
        return if outcome == Try::Loses { Err("it stalls".to_owned()) } else { Ok(figures) };
    }
    let first = load.rate / 16;
    let found = highest_that_holds(first, |rate| {
        // A try that fails is given a second one: the machine has other things to do too.
        match attempt(rate, Plan::lasting(TRY))?.0 {
            Try::Loses => Ok(attempt(rate, Plan::lasting(TRY))?.0),
            outcome => Ok(outcome),
        }
    })?;
    let mut rate = found.ok_or_else(|| format!("it loses at {first} lines/s"))?;
    // A server that stops receiving while it flushes is far below the rate of a short try.
    while rate > first {
        let (outcome, figures) = attempt(rate, whole)?;
        if outcome != Try::Loses {
            return Ok(figures);
        }
        rate = rate / 8 * 7;
    }
    Err(format!("it loses at {rate} lines/s in a whole interval"))
}

/// Returns the highest rate that loses nothing, at most the highest rate of the sender: multiplies
/// by four until something is lost, then halves the distance (as a ratio) a fixed number of times.
fn highest_that_holds(
    first: u64,
    mut attempt: impl FnMut(u64) -> Result<Try, String>,
) -> Result<Option<u64>, String> {
    let mut low = 0;
    let mut high = first;
    loop {
        match attempt(high)? {
            Try::Bound => return Ok(Some(high)),
            Try::Loses => break,
            Try::Holds => low = high,
        }
        high *= 4;
    }
    for _ in 0..if low > 0 { HALVINGS } else { 0 } {
        let middle = (low * high).isqrt();
        match attempt(middle)? {
            Try::Loses => high = middle,
            _ => low = middle,
        }
    }
    Ok((low > 0).then_some(low))
}

/// A flush of 100,000 counters: by itself, and while 50,000 packets a second arrive.
fn flush(
    mut server: Server,
    profile: &Profile,
    setting: &Setting,
    many: &Traffic,
) -> Result<Figures, String> {
    let few = Traffic::build(&Workload { mix: Mix::COUNTERS, packet: 1, ..Workload::W2 });
    // Right after a flush, so that all come in one interval: some servers send only what came in
    // it.
    let first = server.send(many, Plan::lines(FIRST))?.sent;
    server.until_flushed(0)?;
    let seen = server.carbon.bursts().len();
    let all = server.send(many, Plan::lines(100_000).at(200_000))?.sent;
    // The last packets may take a little longer than their reading.
    Clock::sleep(Duration::from_millis(50));
    let before = server.usage();
    server.until_flushed(seen)?;
    let cpu = server.usage().cpu_seconds - before.cpu_seconds;
    let burst = *server.carbon.bursts().last().ok_or("it sends nothing to carbon")?;
    // At least one flush is in this time.
    let busy = server.send(&few, lasting(setting.interval + 2).at(50_000))?;
    let sent = counted(many, first.lines) + counted(many, all.lines);
    let mut figures = vec![
        ("lines", burst.lines as f64),
        ("cpu_ms", cpu * 1000.0),
        ("sending_ms", millis(burst.last.saturating_sub(burst.first))),
        ("packets_sent", busy.sent.packets as f64),
        ("dropped_packets", busy.drops as f64),
    ];
    let sent = sent + counted(&few, busy.sent.lines);
    figures.extend(arrived(&mut server, profile, setting, sent)?);
    Ok(figures)
}

/// The memory that names take, and the longest turn of the loop meanwhile if the server reports it.
/// The server is filled right after each flush, so that as much as possible falls into one
/// interval.
fn memory(
    mut server: Server,
    Job { load, profile, .. }: &Job<'_>,
    traffic: &Traffic,
) -> Result<Figures, String> {
    server.send(traffic, Plan::lines(FIRST))?;
    server.until_flushed(0)?;
    let mut before_first = None;
    for _ in 0..FLUSHES {
        let flushed = server.carbon.bursts().len();
        server.send(traffic, Plan::lines(load.lines).at(load.rate))?;
        Clock::sleep(Duration::from_millis(50));
        before_first.get_or_insert_with(|| server.usage());
        server.until_flushed(flushed)?;
    }
    let before = before_first.map_or(0, |usage| usage.resident_kib);
    let mut figures =
        vec![("before_flush_mib", mib(before)), ("peak_mib", mib(server.usage().peak_kib))];
    let turns = profile.turns.as_ref().map(|turns| server.carbon.watched(turns).largest);
    figures.extend(turns.map(|longest| ("longest_turn_ms", longest)));
    Ok(figures)
}

/// Connections on which no data arrives.
const CONNECTIONS: usize = 10_000;

/// Half of the shortest queue of connections to accept that a server asks for.
const BACKLOG: usize = 16;

/// Files that a server had open for its start, and has closed since.
const CLOSED: usize = 48;

/// A server without traffic: how soon it listens, and how much it does in one flush interval.
fn quiet(setting: &Setting, start: impl Fn() -> Result<Server, String>) -> Result<Figures, String> {
    let mut listening = Vec::new();
    for _ in 0..2 {
        listening.push(millis(start()?.listening_after));
    }
    let mut server = start()?;
    listening.push(millis(server.listening_after));
    // The work of its first moments is not counted.
    Clock::sleep(Duration::from_secs(2));
    let before = server.usage();
    Clock::sleep(Duration::from_secs(setting.interval));
    let after = server.usage();
    let mut figures = vec![
        ("resident_mib", mib(before.resident_kib)),
        ("wake_ups", (after.sleeps - before.sleeps) as f64),
        ("cpu_ms", (after.cpu_seconds - before.cpu_seconds) * 1000.0),
    ];
    listening.sort_by(f64::total_cmp);
    figures.extend(median(&listening).map(|median| ("listening_ms", median)));
    server.check().map(|()| figures)
}

/// Memory with ten thousand idle connections.
fn connections(mut server: Server) -> Result<Figures, String> {
    let files = server.open_files();
    let mut held = Vec::with_capacity(CONNECTIONS);
    while held.len() < CONNECTIONS {
        let refused = |error| format!("it takes {} connections: {error}", held.len());
        held.push(server.connect().map_err(refused)?);
        // A full backlog would cost a second, so the bench waits until the server has accepted.
        if held.len().is_multiple_of(BACKLOG) {
            let accepted = |it: &Server| it.open_files() + CLOSED >= files + held.len();
            server.until("accept", Duration::from_secs(5), accepted)?;
        }
    }
    Ok(vec![("resident_mib", mib(server.usage().resident_kib))])
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The sum of the counters among the first lines of the traffic.
fn counted(traffic: &Traffic, lines: u64) -> u64 {
    traffic.counters(lines).map(|(_, value)| value).sum()
}

fn lasting(seconds: u64) -> Plan {
    Plan::lasting(Duration::from_secs(seconds))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rate that is found for a server that can take `server` lines a second, with a
    /// sender that can send `sender`, and the number of tries.
    fn search(server: u64, sender: u64) -> (Option<u64>, u32) {
        let mut tries = 0;
        let found = highest_that_holds(50_000, |rate| {
            tries += 1;
            Ok(match rate.min(sender) > server {
                true => Try::Loses,
                _ if sender < rate => Try::Bound,
                _ => Try::Holds,
            })
        });
        (found.unwrap(), tries)
    }

    #[test]
    fn the_edge_is_found_in_few_tries() {
        for edge in [50_000, 200_000, 200_001, 777_777, 5_000_000] {
            let (found, tries) = search(edge, 100_000_000);
            let found = found.unwrap();
            assert!(found <= edge && found as f64 > edge as f64 * 0.91, "{edge}: {found}");
            assert!(tries <= 9, "{tries}");
        }
        assert_eq!(search(100, 100_000_000).0, None);
        assert!(search(50_000_000, 9_000_000).0 > Some(9_000_000), "the sender is the limit");
    }
}
