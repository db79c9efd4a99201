//! A flush under load loses no datagram: the counts at carbon are those that the sender has sent.

use std::collections::BTreeMap;

use crate::support::{Conf, Daemon, FakeCarbon, Point};
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
    // A machine with other work may be too slow for the full rate.
    let mut rates = [1, 2, 4, 8, 16].map(|part| LINES_A_SECOND / part).into_iter();
    let rate = rates.find(|rate| nothing_is_lost_at(*rate));
    println!("nothing is lost at {} lines a second", rate.expect("a rate without a loss"));
}

/// Checks that each line is counted that the kernel had room for. Returns whether it had room for
/// all of them.
fn nothing_is_lost_at(lines_a_second: u64) -> bool {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "2s"));
    let workload = Workload { names: NAMES, mix: Mix::COUNTERS, ..Workload::W2 };
    let traffic = Traffic::build(&workload);
    let lines = lines_a_second * SECONDS;
    let plan = Plan::lines(lines).at(lines_a_second);
    let sent = Sender::udp(daemon.udp()).unwrap().send(&traffic, plan);
    println!("{NAMES} names, {lines_a_second} lines a second: {sent:?}");
    assert_eq!((sent.lines, sent.errors), (lines, 0));
    let drops = &daemon.admin().stats()[&format!("udp.{}.drops", daemon.udp())];
    let drops: u64 = drops.parse().unwrap();
    daemon.stop();
    if drops > 0 {
        println!("the kernel dropped {drops} of {} datagrams", sent.packets);
        let points = carbon.points_at_the_end();
        let sum = |is_its: &dyn Fn(&str) -> bool| -> f64 {
            points.iter().filter(|point| is_its(&point.name)).map(Point::number).sum()
        };
        let packets = sum(&|name| name == "stats_counts.statsd.packets_received");
        assert_eq!(packets, (sent.packets - drops) as f64, "no other datagram is lost");
        // All lines of this traffic count 1.
        let received = sum(&|name| name == "stats_counts.statsd.metrics_received");
        assert_eq!(sum(&|name| name.starts_with("stats_counts.bench.")), received);
        return false;
    }

    let mut expected = BTreeMap::<_, u64>::new();
    for (name, value) in traffic.counters(sent.lines) {
        *expected.entry(name).or_default() += value;
    }
    assert!(expected.len() == NAMES || lines_a_second < LINES_A_SECOND);
    let counted = carbon.until("every line in some count", |points| {
        let sum = |point: &&Point| point.name.starts_with("stats_counts.bench.");
        let sum: f64 = points.iter().filter(sum).map(Point::number).sum();
        (sum >= sent.lines as f64).then(|| counts(points))
    });
    let wrong: Vec<_> = expected
        .iter()
        .filter(|&(name, &count)| counted.get(*name) != Some(&(count as f64)))
        .take(10)
        .collect();
    assert!(wrong.is_empty(), "not what was sent, among others: {wrong:?}");
    assert_eq!(carbon.broken_lines(), Vec::<String>::new());
    true
}

/// The counts of all flushes together, by name. Each is sent once: nothing breaks the connection.
fn counts(points: &[Point]) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for point in points {
        if let Some(name) = point.name.strip_prefix("stats_counts.") {
            *counts.entry(name.to_owned()).or_default() += point.number();
        }
    }
    counts
}
