//! Measures the highest rate that loses nothing.

use std::time::Duration;

use serde::Serialize;
use statsd_bench::{Clock, Plan, Sender, Stop, Traffic};

use super::super::load::Load;
use super::super::profile::{Profile, Transport};
use super::super::search::{Try, confirmed, highest_that_holds};
use super::super::server::Server;
use super::super::setting::Setting;
use super::{Effort, per_million};

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Highest {
    /// Sent, and read by the server in the same time.
    pub(crate) lines_per_second: f64,
    pub(crate) cpu_seconds_per_million_lines: f64,
    /// The sender could not send faster.
    pub(crate) sender_bound: bool,
}

/// What of a try's lines may still wait in the socket when it ends, as a share of its time.
const LATE: f64 = 0.1;

/// By bisection in short tries, and then once for a whole flush interval, at a little less where
/// that loses.
pub(crate) fn highest(
    profile: &Profile,
    setting: &Setting,
    load: &Load,
    traffic: &Traffic,
    effort: Effort,
) -> Result<Highest, String> {
    let mut server = Server::start(profile, setting)?;
    let mut sender = server.sender(load.transport)?;
    sender.send(traffic, load.warm());
    server.until_read();
    sender.sort_by_length();
    let found = if load.transport == Transport::Tcp {
        // A full window holds the sender back: whatever it can send is taken.
        match tried(&server, &mut sender, traffic, None, effort.span) {
            Try::Holds(found) | Try::Bound(found) => Some(found),
            Try::Loses(_) => None,
        }
    } else {
        let mut probe = |rate, span| {
            // A try that fails is given a second one: the machine has other things to do too.
            match tried(&server, &mut sender, traffic, Some(rate), span) {
                Try::Holds(found) => Try::Holds(found),
                _ => tried(&server, &mut sender, traffic, Some(rate), span),
            }
        };
        let rate = highest_that_holds(load.rate, effort.halvings, |rate| probe(rate, effort.probe));
        rate.and_then(|rate| confirmed(rate, |rate| probe(rate, effort.span)))
    };
    server.is_well()?;
    found.ok_or_else(|| format!("{} loses at every rate that was tried", profile.name))
}

fn tried(
    server: &Server,
    sender: &mut Sender,
    traffic: &Traffic,
    rate: Option<u64>,
    span: Duration,
) -> Try<Highest> {
    let before = (server.usage(), server.queue());
    let plan = Plan { stop: Stop::After(span), rate: None };
    let sent = sender.send(traffic, rate.map_or(plan, |rate| plan.at(rate)));
    let reached = sent.lines as f64 / sent.seconds;
    let late = Clock::start();
    server.until_read();
    let late = late.elapsed().as_secs_f64();
    let after = (server.usage(), server.queue());
    if after.1.drops > before.1.drops
        || sent.errors > 0
        || rate.is_some() && late > LATE * sent.seconds
    {
        return Try::Loses(reached);
    }
    let is_short = rate.is_some_and(|rate| reached < 0.95 * rate as f64);
    let found = Highest {
        lines_per_second: sent.lines as f64 / (sent.seconds + late),
        cpu_seconds_per_million_lines: per_million(
            &sent,
            before.0.cpu_seconds,
            after.0.cpu_seconds,
        ),
        sender_bound: is_short,
    };
    if is_short { Try::Bound(found) } else { Try::Holds(found) }
}
