//! The incremental close. Whatever happens between a tick and the end of its sweep, each series is
//! closed exactly once, with the values it had at the tick.

use std::time::Duration;

use crate::rig::{Core, settings};
use statsd::encode::namespace::Namespace;
use statsd::engine::Settings;
use statsd::flush::Schedule;
use statsd::ledger::OwnCounter;
use statsd::protocol::MetricKind;
use statsd::series::Bounds;
use statsd::time::UnixTime;
use statsd_bench::Random;

fn core() -> Core {
    Core::new(&settings(), &Namespace::default())
}

/// Returns the value of the line with that name, or `None` if no line has it. Two lines would mean
/// that the series was closed twice.
#[track_caller]
fn value(lines: &[String], name: &str) -> Option<String> {
    let mut found = lines.iter().filter_map(|line| {
        let mut words = line.split(' ');
        (words.next() == Some(name)).then(|| words.next().unwrap().to_owned())
    });
    let first = found.next();
    assert_eq!(found.next(), None, "{name} was sent twice");
    first
}

#[track_caller]
fn expect(lines: &[String], expected: &[(&str, &str)]) {
    for (name, wanted) in expected {
        assert_eq!(value(lines, name).as_deref(), Some(*wanted), "{name} in {lines:#?}");
    }
}

#[test]
fn an_untouched_series_is_rolled_and_closed_by_the_sweep() {
    let mut core = core();
    core.packet("c:3|c\ng:4|g\nt:5|ms\ns:6|s");
    let first = core.flush(10);
    expect(&first, &[("stats_counts.c", "3"), ("stats.gauges.g", "4")]);
    expect(&first, &[("stats.timers.t.upper", "5"), ("stats.sets.s.count", "1")]);
    let idle = core.flush(20);
    expect(&idle, &[("stats_counts.c", "0"), ("stats.gauges.g", "4")]);
    expect(&idle, &[("stats.timers.t.count", "0"), ("stats.sets.s.count", "0")]);
    assert_eq!(value(&idle, "stats.timers.t.upper"), None);
}

#[test]
fn a_touched_series_is_closed_with_what_it_had_at_the_tick() {
    let mut core = core();
    core.packet("c:3|c\ng:4|g\nt:5|ms\ns:6|s\ns:7|s");
    core.tick(10);
    core.packet("c:100|c\ng:+100|g\nt:100|ms\ns:100|s");
    while !core.sweep(1) {
        core.packet("c:1|c");
    }
    let first = core.finish();
    expect(&first, &[("stats_counts.c", "3"), ("stats.gauges.g", "4")]);
    expect(&first, &[("stats.timers.t.upper", "5"), ("stats.sets.s.count", "2")]);
    let second = core.flush(20);
    expect(&second, &[("stats.gauges.g", "104"), ("stats.timers.t.lower", "100")]);
    expect(&second, &[("stats.sets.s.count", "1"), ("stats.timers.t.count", "1")]);
    assert!(value(&second, "stats_counts.c").unwrap().parse::<u32>().unwrap() > 100);
}

#[test]
fn a_series_made_during_the_sweep_waits_for_its_own_tick() {
    let mut core = core();
    (0..100).for_each(|n| core.packet(&format!("old{n}:1|c")));
    core.tick(10);
    for n in 0.. {
        core.packet(&format!("new{n}:1|c"));
        if core.sweep(1) {
            break;
        }
    }
    let first = core.finish();
    assert_eq!(first.iter().filter(|line| line.starts_with("stats_counts.old")).count(), 100);
    assert!(first.iter().all(|line| !line.contains("new")), "born in the interval after the tick");
    expect(&core.flush(20), &[("stats_counts.new0", "1"), ("stats_counts.old0", "0")]);
}

#[test]
fn a_series_deleted_during_the_sweep_is_closed_first_and_forgotten() {
    let mut core = core();
    core.packet("touched:3|c\nuntouched:4|c\nt:5|ms");
    core.tick(10);
    core.packet("touched:100|c");
    for (kind, name) in [
        (MetricKind::Counter, "touched"),
        (MetricKind::Counter, "untouched"),
        (MetricKind::Timing, "t"),
    ] {
        assert!(core.remove(kind, name));
        assert!(!core.remove(kind, name), "it is gone");
    }
    while !core.sweep(1) {}
    let first = core.finish();
    expect(&first, &[("stats_counts.touched", "3"), ("stats_counts.untouched", "4")]);
    expect(&first, &[("stats.timers.t.upper", "5")]);
    assert_eq!(core.flush(20), Vec::<String>::new(), "the open interval's value is discarded");
    assert!(core.engine.table().is_empty());
    assert_eq!(core.engine.table().sample_bytes(), 0, "its memory is given back");
}

#[test]
fn a_series_deleted_after_the_sweep_passed_it_is_not_sent_again() {
    let mut core = core();
    core.packet("a:3|c");
    core.tick(10);
    while !core.sweep(1) {}
    core.packet("a:9|c");
    assert!(core.remove(MetricKind::Counter, "a"));
    expect(&core.finish(), &[("stats_counts.a", "3")]);
    assert_eq!(core.flush(20), Vec::<String>::new());
}

#[test]
fn a_deleted_series_that_comes_back_in_the_sweep_is_new() {
    let mut core = core();
    core.packet("a:3|c");
    core.tick(10);
    assert!(core.remove(MetricKind::Counter, "a"));
    core.packet("a:7|c");
    while !core.sweep(1) {}
    expect(&core.finish(), &[("stats_counts.a", "3")]);
    expect(&core.flush(20), &[("stats_counts.a", "7")]);
}

#[test]
fn a_stop_during_a_sweep_finishes_it_and_closes_the_open_interval_too() {
    let mut core = core();
    (0..1000).for_each(|n| core.packet(&format!("c{n}:1|c")));
    core.tick(10);
    assert!(!core.sweep(10));
    core.packet("c0:5|c\nc999:5|c");
    while !core.sweep(usize::MAX) {}
    let first = core.finish();
    let last = core.flush(20);
    expect(&first, &[("stats_counts.c0", "1"), ("stats_counts.c999", "1")]);
    expect(&last, &[("stats_counts.c0", "5"), ("stats_counts.c999", "5")]);
    assert_eq!((first.len(), last.len()), (2000, 2000));
}

#[test]
fn a_tick_due_during_a_sweep_waits_for_its_end_and_keeps_its_stamp() {
    let (interval, at) = (Duration::from_secs(10), UnixTime::from_secs);
    let mut schedule = Schedule::new(interval, true, at(1_001));
    let mut core = core();
    (0..100).for_each(|n| core.packet(&format!("c{n}:1|c")));
    core.tick(schedule.tick(at(1_010)).as_secs());
    assert!(!core.sweep(10));
    // At 1,020 the sweep of 1,010 is still under way. The overrun is counted once, and samples are
    // accepted as before.
    assert!(schedule.defer() && !schedule.defer());
    core.packet("c5:7|c");
    while !core.sweep(10) {}
    expect(&core.finish(), &[("stats_counts.c5", "1")]);
    assert!(schedule.is_deferred());
    let stamp = schedule.tick(at(1_023)).as_secs();
    assert_eq!((stamp, schedule.due(), schedule.is_deferred()), (1_020, at(1_030), false));
    expect(&core.flush(stamp), &[("stats_counts.c5", "7")]);
}

#[test]
fn one_name_lives_in_four_name_spaces() {
    let mut core = core();
    core.packet("a:1|c\na:2|g\na:3|ms\na:4|s");
    let lines = core.flush(10);
    expect(&lines, &[("stats_counts.a", "1"), ("stats.gauges.a", "2")]);
    expect(&lines, &[("stats.timers.a.upper", "3"), ("stats.sets.a.count", "1")]);
}

#[test]
fn past_max_series_new_names_are_refused_and_known_ones_go_on() {
    let bounds = Bounds { max_series: 2, ..Bounds::default() };
    let mut core = Core::new(&Settings { bounds, ..settings() }, &Namespace::default());
    core.packet("a:1|c\nb:1|c\nc:1|c\na:1|ms\na:1|c\nc:1:2|c");
    assert_eq!(core.engine.own().total(OwnCounter::SeriesRejected), 4);
    assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 0, "the lines were sound");
    let lines = core.flush(10);
    expect(&lines, &[("stats_counts.a", "2"), ("stats_counts.b", "1")]);
    assert_eq!(lines.len(), 4);
}

#[test]
fn past_timer_memory_samples_are_refused_until_the_interval_is_closed() {
    let bounds = Bounds { sample_memory: 1024, ..Bounds::default() };
    let mut core = Core::new(&Settings { bounds, ..settings() }, &Namespace::default());
    (0..1000).for_each(|_| core.packet("t:1|ms"));
    (0..1000).for_each(|n| core.packet(&format!("s:{n}|s")));
    let dropped = core.engine.own().total(OwnCounter::SamplesDropped);
    assert!(dropped > 1700, "{dropped} dropped");
    assert!(core.engine.table().sample_bytes() <= 1024);
    core.packet("c:1|c");
    expect(&core.flush(10), &[("stats_counts.c", "1")]);
    core.flush(20);
    core.packet("t:1|ms");
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), dropped, "there is room again");
}

#[test]
fn timings_and_sets_that_fall_idle_give_their_memory_to_newcomers() {
    let bounds = Bounds { sample_memory: 64 << 10, ..Bounds::default() };
    let mut core = Core::new(&Settings { bounds, ..settings() }, &Namespace::default());
    for n in 0..200 {
        (0..30).for_each(|value| core.packet(&format!("old{n}:{value}|ms\nold{n}:{value}|s")));
    }
    core.flush(10);
    core.flush(20);
    assert_eq!(core.engine.table().sample_bytes(), 0);
    let dropped = core.engine.own().total(OwnCounter::SamplesDropped);
    core.packet("new:1|ms\nnew:1|s");
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), dropped);
}

#[test]
fn a_name_whose_first_sample_is_refused_is_no_series() {
    let bounds = Bounds { sample_memory: 0, ..Bounds::default() };
    let mut core = Core::new(&Settings { bounds, ..settings() }, &Namespace::default());
    core.packet("s:1|s\nu:1|s\nc:1|c");
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), 2);
    assert_eq!(core.flush(10), ["stats.c 0.1 10", "stats_counts.c 1 10"]);
}

#[test]
fn a_timing_with_one_sample_takes_no_memory_of_samples() {
    let bounds = Bounds { sample_memory: 0, ..Bounds::default() };
    let mut core = Core::new(&Settings { bounds, ..settings() }, &Namespace::default());
    for (at, value) in [(10, 7), (20, 9)] {
        core.packet(&format!("t:{value}|ms|@0.5"));
        assert_eq!(core.engine.table().sample_bytes(), 0);
        let mean = value.to_string();
        expect(&core.flush(at), &[("stats.timers.t.mean", &mean), ("stats.timers.t.count", "2")]);
    }
    core.packet("t:1|ms\nt:2|ms");
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), 1, "the second one");
}

#[test]
fn a_sum_that_leaves_the_doubles_is_a_bad_line_and_changes_nothing() {
    let mut core = core();
    core.packet("c:1e308|c\nc:1e308|c\ng:1e308|g\ng:+1e308|g");
    assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 2);
    expect(&core.flush(10), &[("stats_counts.c", "1e+308"), ("stats.gauges.g", "1e+308")]);
}

#[test]
fn a_figure_that_is_not_finite_is_left_out_and_counted() {
    let mut core = core();
    core.packet("t:1e200|ms\nt:2e200|ms");
    let lines = core.flush(10);
    assert_eq!(value(&lines, "stats.timers.t.sum_squares"), None);
    assert_eq!(value(&lines, "stats.timers.t.std"), None);
    expect(&lines, &[("stats.timers.t.sum", "3e+200")]);
    assert_eq!(core.engine.own().total(OwnCounter::FiguresNotFinite), 3);
}

/// Compares random traffic, with samples between the slices of the sweep, with a naive computation.
#[test]
fn counts_are_conserved_however_sweeps_and_packets_mix() {
    for seed in 0..50u64 {
        let mut random = Random::new(seed);
        let (mut core, mut sent, mut got) = (core(), 0u64, 0u64);
        let names = 1 + random.below(300);
        let mut collect = |lines: Vec<String>| {
            for line in lines.iter().filter(|line| line.starts_with("stats_counts.")) {
                got += line.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
            }
        };
        for flush in 1..=5 {
            let mut traffic = |core: &mut Core, packets: u64| {
                for _ in 0..packets {
                    let count = random.below(10);
                    sent += count;
                    core.packet(&format!("n{}:{count}|c", random.below(names)));
                }
            };
            traffic(&mut core, 500);
            core.tick(flush * 10);
            while !core.sweep(7) {
                traffic(&mut core, 3);
            }
            collect(core.finish());
        }
        collect(core.flush(60));
        assert_eq!(sent, got, "seed {seed}");
    }
}

/// Shows that statsite style leaves out idle series, also if a sample of the next interval closes
/// the series before the sweep does.
#[test]
fn idle_is_what_the_closed_interval_was_and_not_the_open_one() {
    let mut core = Core::new(&settings(), &Namespace::statsite());
    let mut flush = |before: &str, during: &str| {
        core.packet(before);
        core.tick(10);
        core.packet(during);
        while !core.sweep(1) {}
        core.finish()
    };
    assert_eq!(flush("a:1|c", ""), ["counts.a 1 10"]);
    assert_eq!(flush("", ""), [""; 0]);
    assert_eq!(flush("", "a:2|c\na:x|s\na:5|g"), [""; 0]);
    assert_eq!(flush("", "a:3|c\na:5|ms"), ["counts.a 2 10", "gauges.a 5 10", "sets.a 1 10"]);
    assert_eq!(flush("", "a:4|c")[..2], ["counts.a 3 10", "gauges.a 5 10"]);
    assert_eq!(flush("a:-4|c", "")[0], "counts.a 0 10", "a sum of 0 is something");
}
