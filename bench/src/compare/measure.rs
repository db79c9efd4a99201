//! The measurements. Each runs on a server of its own, and returns its figures by name.

use std::thread;
use std::time::Duration;

use statsd_bench::{Mix, Plan, Traffic, Workload};

use super::load::{Load, Transport, What};
use super::plan::{FLUSHES, HALVINGS, Job, TRY};
use super::proc;
use super::profile::Places;
use super::record::{Figures, median};
use super::server::Server;
use crate::Outcome;

/// The lines before the flush that a measurement begins with. With a few only, collectd would hold
/// that flush back until it fills a packet.
const FIRST: u64 = 1000;

/// The last packets may take a little longer than their reading.
const AFTER_READING: Duration = Duration::from_millis(50);

pub(crate) fn measure(job: &Job<'_>, here: &Places, traffic: &Traffic) -> Outcome<Figures> {
    let start = || Server::start(job, here);
    match job.what {
        What::Cost => cost(start()?, job, traffic),
        What::Highest => highest(start()?, job, traffic),
        What::Flush => flush(start()?, job, traffic),
        What::Memory => memory(start()?, job, traffic),
        What::Quiet => quiet(start, job),
        What::Connections => connections(start()?),
    }
}

/// The cost of a moderate rate over one flush interval, when every name was seen once. A load
/// without lines before it is measured from the first line on, so its cost includes creating the
/// series.
fn cost(mut server: Server, job: &Job<'_>, traffic: &Traffic) -> Outcome<Figures> {
    let Load { lines, rate, workload, .. } = job.load;
    let warm = server.send(traffic, Plan::lines(lines).at(rate))?;
    let run = server.send(traffic, lasting(job.interval).at(rate))?;
    let mut figures = run.figures();
    // Names of Datadog's clients do not begin with what `counts` may have in it.
    let is_known = !workload.dogstatsd || job.profile.own_counts.is_some();
    if is_known && job.round <= 1 {
        // Each run sent the traffic from its start.
        let sent = counted(traffic, warm.sent.lines) + counted(traffic, run.sent.lines);
        figures.extend(arrived(&mut server, job, sent)?);
    }
    Ok(figures)
}

/// Returns the share of `sent` that reached carbon as counts, after at most one flush. Returns
/// nothing if the profile has no text for it.
fn arrived(server: &mut Server, job: &Job<'_>, sent: u64) -> Outcome<Option<(&'static str, f64)>> {
    let Some(counts) = &job.profile.counts else { return Ok(None) };
    let carbon = &server.carbon;
    let share = || {
        let own = job.profile.own_counts.as_ref().map_or(0.0, |own| carbon.watched(own).sum);
        (carbon.watched(counts).sum - own) / sent as f64
    };
    let limit = Duration::from_secs(job.interval + 2);
    // A loss is a figure, not a failure.
    let _ = server.program.until("count", limit, || (share() >= 1.0).then_some(()));
    server.program.check()?;
    Ok(Some(("counted", share())))
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
fn highest(mut server: Server, job: &Job<'_>, traffic: &Traffic) -> Outcome<Figures> {
    let load = job.load;
    server.send(traffic, Plan::lines(load.lines).at(load.rate))?;
    server.sender.sort_by_length();
    let mut attempt = |rate: u64, plan: Plan| -> Outcome<(Try, Figures)> {
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
    let whole = lasting(job.interval);
    if job.transport != Transport::Udp {
        return Ok(attempt(0, whole)?.1);
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
    Err(format!("it loses at {rate} lines/s in a whole interval").into())
}

/// Returns the highest rate that loses nothing, at most the highest rate of the sender: multiplies
/// by four until something is lost, then halves the distance (as a ratio) a fixed number of times.
fn highest_that_holds(
    first: u64,
    mut attempt: impl FnMut(u64) -> Outcome<Try>,
) -> Outcome<Option<u64>> {
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
fn flush(mut server: Server, job: &Job<'_>, many: &Traffic) -> Outcome<Figures> {
    let few = Traffic::build(&Workload { mix: Mix::COUNTERS, packet: 1, ..Workload::W2 });
    // Right after a flush, so that all come in one interval: some servers send only what came in
    // it.
    let first = server.send(many, Plan::lines(FIRST))?.sent;
    server.until_flushed(0)?;
    let seen = server.carbon.bursts().len();
    let all = server.send(many, Plan::lines(100_000).at(200_000))?.sent;
    thread::sleep(AFTER_READING);
    let before = server.usage();
    server.until_flushed(seen)?;
    let cpu = server.usage().cpu_seconds - before.cpu_seconds;
    let burst = *server.carbon.bursts().last().ok_or("it sends nothing to carbon")?;
    // At least one flush is in this time.
    let busy = server.send(&few, lasting(job.interval + 2).at(50_000))?;
    let sent = counted(many, first.lines) + counted(many, all.lines);
    let mut figures = vec![
        ("lines", burst.lines as f64),
        ("cpu_ms", cpu * 1000.0),
        ("sending_ms", millis(burst.last - burst.first)),
        ("packets_sent", busy.sent.packets as f64),
        ("dropped_packets", busy.drops as f64),
    ];
    figures.extend(arrived(&mut server, job, sent + counted(&few, busy.sent.lines))?);
    Ok(figures)
}

/// The memory that names take, and the longest turn of the loop meanwhile if the server reports it.
/// The server is filled right after each flush, so that as much as possible falls into one
/// interval.
fn memory(mut server: Server, job: &Job<'_>, traffic: &Traffic) -> Outcome<Figures> {
    server.send(traffic, Plan::lines(FIRST))?;
    server.until_flushed(0)?;
    let mut before = Vec::new();
    for _ in 0..FLUSHES {
        let flushed = server.carbon.bursts().len();
        server.send(traffic, Plan::lines(job.load.lines).at(job.load.rate))?;
        thread::sleep(AFTER_READING);
        before.push(mib(server.usage().resident_kib));
        server.until_flushed(flushed)?;
    }
    let mut figures =
        vec![("before_flush_mib", before[0]), ("peak_mib", mib(server.usage().peak_kib))];
    let turns = job.profile.turns.as_ref().map(|turns| server.carbon.watched(turns).largest);
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
fn quiet(start: impl Fn() -> Outcome<Server>, job: &Job<'_>) -> Outcome<Figures> {
    let mut listening = Vec::new();
    for _ in 0..2 {
        listening.push(millis(start()?.listening_after));
    }
    let mut server = start()?;
    listening.push(millis(server.listening_after));
    // The work of its first moments is not counted.
    thread::sleep(Duration::from_secs(2));
    let before = server.usage();
    thread::sleep(Duration::from_secs(job.interval));
    let after = server.usage();
    server.program.check()?;
    let mut figures = vec![
        ("resident_mib", mib(before.resident_kib)),
        ("wake_ups", after.sleeps.saturating_sub(before.sleeps) as f64),
        ("cpu_ms", (after.cpu_seconds - before.cpu_seconds) * 1000.0),
    ];
    figures.extend(median(&mut listening).map(|median| ("listening_ms", median)));
    Ok(figures)
}

/// Memory with ten thousand idle connections.
fn connections(mut server: Server) -> Outcome<Figures> {
    let id = server.program.id();
    let files = proc::open_files(id);
    let mut held = Vec::with_capacity(CONNECTIONS);
    while held.len() < CONNECTIONS {
        let refused = |error| format!("it takes {} connections: {error}", held.len());
        held.push(server.connect().map_err(refused)?);
        // A full backlog would cost a second, so the bench waits until the server has accepted.
        if held.len().is_multiple_of(BACKLOG) {
            let wanted = files + held.len();
            let accepted = || (proc::open_files(id) + CLOSED >= wanted).then_some(());
            server.program.until("accept", Duration::from_secs(5), accepted)?;
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
