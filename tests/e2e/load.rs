//! A flush under load loses no datagram: the counts at carbon are those that the sender has sent.

use std::collections::BTreeMap;

use crate::support::{Conf, Daemon, FakeCarbon};
use statsd_bench::{Mix, Plan, Sender, Traffic, Workload};

/// The full size needs an optimised server: a debug build gets a tenth of the names, a fifth of the
/// rate.
const FULL_SIZE: bool = cfg!(optimised);
const NAMES: usize = if FULL_SIZE { 100_000 } else { 10_000 };
const LINES_A_SECOND: u64 = if FULL_SIZE { 100_000 } else { 20_000 };
/// Long enough for three flushes of all names.
const SECONDS: u64 = 7;

/// Shows that a flush of 100,000 counters to carbon, while 100,000 lines a second arrive on UDP,
/// loses none of them: the counts at carbon add up to what was sent, name by name.
#[test]
fn a_flush_under_load_loses_nothing() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "2s"));
    let workload = Workload { names: NAMES, mix: Mix::COUNTERS, ..Workload::W2 };
    let traffic = Traffic::build(&workload);
    let plan = Plan::lines(LINES_A_SECOND * SECONDS).at(LINES_A_SECOND);
    let sent = Sender::udp(daemon.udp()).unwrap().send(&traffic, plan);
    println!("{NAMES} names, {LINES_A_SECOND} lines a second: {sent:?}");
    assert_eq!((sent.lines, sent.errors), (LINES_A_SECOND * SECONDS, 0));
    daemon.stop();

    let mut expected = BTreeMap::<_, u64>::new();
    for (name, value) in traffic.counters(sent.lines) {
        *expected.entry(name).or_default() += value;
    }
    assert_eq!(expected.len(), NAMES);
    let counted = carbon.until("every line in some count", |points| {
        let sum = |point: &&crate::support::Point| point.name.starts_with("stats_counts.bench.");
        let sum: f64 = points.iter().filter(sum).map(crate::support::Point::number).sum();
        (sum >= sent.lines as f64).then(|| counts(points))
    });
    let wrong: Vec<_> = expected
        .iter()
        .filter(|&(name, &count)| counted.get(*name) != Some(&(count as f64)))
        .take(10)
        .collect();
    assert!(wrong.is_empty(), "not what was sent, among others: {wrong:?}");
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
}

/// The counts of all flushes together, by name. Each is sent once: nothing breaks the connection.
fn counts(points: &[crate::support::Point]) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for point in points {
        if let Some(name) = point.name.strip_prefix("stats_counts.") {
            *counts.entry(name.to_owned()).or_default() += point.number();
        }
    }
    counts
}
