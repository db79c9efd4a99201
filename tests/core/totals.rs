//! The running totals beside the series: while a series lives, the rise of its total between two
//! readings is what destinations were sent in between.

use std::collections::{BTreeMap, BTreeSet};

use crate::rig::{Core, configured, settings};
use statsd::encode::namespace::Namespace;
use statsd::engine::{Closing, Settings};
use statsd::flush::{Subject, Summary};
use statsd::policy::FigureId;
use statsd::protocol::MetricKind;
use statsd::sender::Sender;
use statsd::series::{Audience, Bounds, Cursor, TimingTotals};
use statsd_bench::Random;

/// A server that keeps totals, with this text for a configuration file.
fn core(text: &str) -> Core {
    let mut settings = configured(text);
    settings.bounds.keeps_totals = true;
    Core::new(&settings, &Namespace::default())
}

/// The totals of all counters that destinations with clean names are sent, by name.
fn totals(core: &mut Core) -> BTreeMap<String, f64> {
    let mut totals = BTreeMap::new();
    let mut cursor = Cursor::default();
    let mut done = false;
    while !done {
        done = core.engine.table_mut().visit(&mut cursor, 7, |visited| {
            if visited.kind == MetricKind::Counter && visited.audience != Audience::Raw {
                let name = String::from_utf8(visited.name().to_vec()).unwrap();
                let total = visited.total.expect("totals are kept");
                assert_eq!(totals.insert(name.clone(), total), None, "{name} is there twice");
            }
        });
    }
    totals
}

/// The counts that a destination with clean names is sent, by name.
#[derive(Default)]
struct Sent(BTreeMap<String, f64>);

impl Sent {
    fn add(&mut self, summary: &Summary<'_>) {
        let count = summary.figures.iter().find(|figure| figure.id == FigureId::COUNT);
        if summary.subject == Subject::Counter
            && summary.audience != Audience::Raw
            && let Some(count) = count
        {
            let name = String::from_utf8(summary.name.to_vec()).unwrap();
            assert_eq!(self.0.insert(name.clone(), count.value), None, "{name} was sent twice");
        }
    }
}

fn timing(core: &mut Core, name: &str) -> TimingTotals {
    let visited = core.engine.table_mut().look_up(MetricKind::Timing, name.as_bytes()).unwrap();
    visited.series.timing().expect("records are kept").clone()
}

#[test]
fn totals_rise_by_what_is_sent_whatever_happens_to_the_series() {
    for (number, text) in [
        "",
        "delete_idle = yes",
        "expire = 20s",
        "sanitize_keys = no",
        "sanitize_keys = no\ndelete_idle = yes",
    ]
    .iter()
    .enumerate()
    {
        for seed in 0..60 {
            let seed = seed * 10 + number as u64;
            let mut random = Random::new(seed);
            let mut core = core(&format!("[statsd]\n{text}"));
            let mut before = totals(&mut core);
            for flush in 1..=30 {
                let mut sent = Sent::default();
                let mut deleted = BTreeSet::new();
                some_input(&mut core, &mut random, &mut deleted, &mut sent);
                core.engine.tick();
                while !core
                    .engine
                    .sweep(1 + random.below(3usize), &mut |summary: &Summary<'_>| sent.add(summary))
                {
                    if random.one_in(3) {
                        some_input(&mut core, &mut random, &mut deleted, &mut sent);
                    }
                }
                core.engine.finish(&Closing::default(), &mut |_| {});
                let Sent(sent) = sent;
                let after = totals(&mut core);
                for (name, total) in &after {
                    let rise = sent.get(name).copied().unwrap_or_default();
                    let expected = before.get(name).copied().unwrap_or_default() + rise;
                    // A series that was deleted and created again began at 0. The sweep may have
                    // removed an idle one, and then a sample of the next interval came.
                    let is_new = deleted.contains(name) && (*total == 0.0 || *total == rise)
                        || text.contains('=') && *total == 0.0 && rise == 0.0;
                    assert!(
                        is_new || *total == expected,
                        "seed {seed} {text:?} flush {flush}: {name} has {total}, not {expected}"
                    );
                }
                before = after;
            }
        }
    }
}

/// Sends samples of a few names, two of which are one when cleaned, and deletes some names.
fn some_input(
    core: &mut Core,
    random: &mut Random,
    deleted: &mut BTreeSet<String>,
    sent: &mut Sent,
) {
    const NAMES: [&str; 6] = ["a b", "a_b", "a/b", "c", "d d", "e"];
    for _ in 0..random.below(4u64) {
        let name = *random.pick(&NAMES);
        match random.below(12u64) {
            0 | 1 => {
                let mut add = |summary: &Summary<'_>| sent.add(summary);
                core.engine.remove(MetricKind::Counter, name.as_bytes(), &mut add);
                let left = totals(core);
                let gone = NAMES.iter().map(|name| name.replace(' ', "_").replace('/', "-"));
                deleted.extend(gone.filter(|name| !left.contains_key(name)));
            }
            2 => core.packet(&format!("{name}:5|c\n{name}:3|c|@0.5")),
            _ => core.packet(&format!("{name}:{}|c", random.below(9u64))),
        }
    }
}

#[test]
fn an_evicted_series_begins_again_at_0() {
    let bounds = Bounds { max_series: 2, keeps_totals: true, ..Bounds::default() };
    let bounds = Bounds { evict_after: std::time::Duration::from_secs(10), ..bounds };
    let mut core = Core::new(&Settings { bounds, ..settings() }, &Namespace::default());
    core.packet("a:1|c\nb:2|c");
    core.flush(10);
    core.packet("b:2|c");
    core.flush(20);
    core.flush(30);
    core.packet("c:7|c");
    core.flush(40);
    let all = totals(&mut core);
    assert_eq!(all, BTreeMap::from([("b".into(), 4.0), ("c".into(), 7.0)]));
    core.flush(50);
    core.packet("a:1|c\nc:1|c");
    core.flush(60);
    assert_eq!(totals(&mut core), BTreeMap::from([("a".into(), 1.0), ("c".into(), 8.0)]));
}

#[test]
fn cumulative_counters_add_what_they_send() {
    let mut core = core("");
    core.packet("hits:100|C");
    core.flush(10);
    core.packet("hits:130|C");
    core.flush(20);
    core.packet("hits:7|C"); // the client has restarted
    core.flush(30);
    assert_eq!(totals(&mut core)["hits"], 37.0);
    let with = core.engine.table().record_bytes();
    core.remove(MetricKind::Counter, "hits");
    core.packet("hits:50|C");
    core.flush(40);
    assert_eq!(totals(&mut core)["hits"], 0.0);
    assert_eq!(core.engine.table().record_bytes(), with, "the place is used again");
}

#[test]
fn timings_keep_totals_and_the_figures_of_the_last_interval() {
    let mut core = core(
        "[statsd]\npercentiles = 50, -10\n[rule.h]\nmatch = h\nhistogram = 10, 20, inf\n\
         [rule.q]\nmatch = q\ntimer_metrics = count",
    );
    core.packet("h:5|ms\nh:15|ms|@0.5\nh:500|ms\nq:3|ms\nq:1|ms");
    core.flush(10);
    let record = timing(&mut core, "h");
    assert_eq!((record.count, record.samples, record.sum), (4.0, 3.0, 520.0));
    assert_eq!((record.last.lower, record.last.median, record.last.upper), (5.0, 15.0, 500.0));
    let visited = core.engine.table_mut().look_up(MetricKind::Timing, b"h").unwrap();
    let plan = &visited.policy.plan;
    assert_eq!(visited.series.timing().unwrap().bins(plan), [1.0, 1.0, 1.0]);
    let boundaries = visited.series.timing().unwrap().boundaries(plan);
    assert!(boundaries.len() == 2 && boundaries[0] == 15.0 && boundaries[1].is_nan());
    // Figures that are not sent are known for the totals anyway.
    let record = timing(&mut core, "q");
    assert_eq!((record.count, record.sum, record.last.lower), (2.0, 4.0, 1.0));
    assert!(record.last.median.is_nan());
    core.packet("h:25|ms");
    core.flush(20);
    core.flush(30);
    let record = timing(&mut core, "h");
    assert_eq!((record.count, record.samples, record.sum), (5.0, 4.0, 545.0));
    assert!(record.last.count == 0.0 && record.last.upper.is_nan(), "the last one had none");
}

#[test]
fn the_last_value_is_that_of_the_interval_that_ended_last() {
    let mut core = core("");
    let last = |core: &mut Core, kind| {
        let visited = core.engine.table_mut().look_up(kind, b"a").unwrap();
        visited.series.last(visited.tick)
    };
    const KINDS: [MetricKind; 4] =
        [MetricKind::Counter, MetricKind::Gauge, MetricKind::Timing, MetricKind::Set];
    core.packet("a:3|c\na:4|g\na:5|ms\na:5|ms\na:x|s\na:y|s\na:z|s");
    assert_eq!(KINDS.map(|kind| last(&mut core, kind)), [None; 4]);
    core.flush(10);
    assert_eq!(KINDS.map(|kind| last(&mut core, kind)), [3.0, 4.0, 2.0, 3.0].map(Some));
    core.packet("a:30|c\na:40|g");
    assert_eq!(KINDS.map(|kind| last(&mut core, kind)), [3.0, 4.0, 2.0, 3.0].map(Some));
    core.tick(20);
    assert_eq!(last(&mut core, MetricKind::Counter), Some(30.0), "it has ended");
    core.packet("a:300|c");
    assert_eq!(last(&mut core, MetricKind::Counter), Some(30.0));
}

#[test]
fn the_totals_of_timings_are_held_only_if_they_are_shown() {
    let mut settings = configured("[admin]\nmetrics = own");
    let mut core = Core::new(&settings, &Namespace::default());
    let packet: String = (0..1000).map(|n| format!("c{n}:1|c\nt{n}:1|ms\n")).collect();
    core.packet(&packet);
    core.flush(10);
    assert_eq!(core.engine.table().record_bytes(), 0);
    let of_timing = |core: &mut Core| {
        let visited = core.engine.table_mut().look_up(MetricKind::Timing, b"t7").unwrap();
        visited.series.timing().map(|totals| totals.count)
    };
    assert_eq!((totals(&mut core)["c7"], of_timing(&mut core)), (1.0, None));
    settings.bounds.keeps_totals = true;
    core.engine.reconfigure(&settings);
    core.packet(&packet);
    core.packet("new:1|ms");
    let reserved = core.engine.table().record_bytes();
    assert!((88..136).contains(&reserved), "{reserved}: that of the new timing, until it is made");
    core.flush(20);
    assert_eq!((totals(&mut core)["c7"], of_timing(&mut core)), (2.0, Some(1.0)));
    assert_eq!(core.engine.table().record_bytes(), 1001 * reserved);
    settings.bounds.keeps_totals = false;
    core.engine.reconfigure(&settings);
    core.flush(30);
    assert_eq!(core.engine.table().record_bytes(), 0);
}

/// Shows that a reload which changes percentiles or bins takes nothing from the totals. Only bins
/// that are not the same any more begin at 0.
#[test]
fn totals_go_on_over_a_reload_with_other_percentiles_and_bins() {
    let mut core =
        core("[statsd]\npercentiles = 50, 90, 99\n[rule.h]\nmatch = h\nhistogram = 10, 20, inf");
    core.packet("h:5|ms\nother:5|ms|@0.5");
    core.flush(10);
    let mut flushes = 1.0;
    for (percentiles, bins, counts) in [
        ("90", "10, 20, inf", &[2.0, 0.0, 0.0][..]),
        ("50, 90, 99", "10, 20, inf", &[3.0, 0.0, 0.0]),
        ("", "10, 20, inf", &[4.0, 0.0, 0.0]),
        ("50", "30, inf", &[1.0, 0.0]),
        ("50, 99", "30, inf", &[2.0, 0.0]),
    ] {
        let mut settings = configured(&format!(
            "[statsd]\npercentiles = {percentiles}\n[rule.h]\nmatch = h\nhistogram = {bins}"
        ));
        settings.bounds.keeps_totals = true;
        settings.rules.base.expire = None;
        core.engine.reconfigure(&settings);
        core.packet("h:5|ms\nother:5|ms|@0.5");
        core.flush(20);
        flushes += 1.0;
        let record = timing(&mut core, "h");
        assert_eq!((record.count, record.samples, record.sum), (flushes, flushes, 5.0 * flushes));
        let visited = core.engine.table_mut().look_up(MetricKind::Timing, b"h").unwrap();
        assert_eq!(visited.series.timing().unwrap().bins(&visited.policy.plan), counts);
        let record = timing(&mut core, "other");
        assert_eq!((record.count, record.sum), (2.0 * flushes, 5.0 * flushes), "{percentiles}");
    }
}

#[test]
fn a_total_stays_finite() {
    let mut core = core("");
    for flush in 1..=3 {
        core.packet("a:1e308|c\nt:1e308|ms");
        core.flush(flush * 10);
    }
    assert_eq!(totals(&mut core)["a"], 1e308);
    assert_eq!(timing(&mut core, "t").sum, 1e308);
}

#[test]
fn a_series_knows_the_sender_of_its_last_sample() {
    let mut core = core("");
    let mut sends = |port: u16, packet: &str| {
        let address = std::net::SocketAddr::from(([10, 0, 0, 1], port));
        core.engine.ledger_mut().set_sender(Sender::Internet(address));
        core.packet(packet);
        core.engine.ledger().sender_id()
    };
    let first = sends(1, "a:1|c\nb:1|ms");
    core.engine.ledger_mut().set_sender(Sender::Internet("10.0.0.2:1".parse().unwrap()));
    core.packet("b:1|ms|#env:x\nb:1|ms");
    let second = core.engine.ledger().sender_id();
    assert_ne!(first, second);
    let mut sender = |kind, name: &str| {
        let visited = core.engine.table_mut().look_up(kind, name.as_bytes()).unwrap();
        visited.series.last_sender()
    };
    assert_eq!(sender(MetricKind::Counter, "a"), first);
    assert_eq!(sender(MetricKind::Timing, "b"), second);
}

#[test]
fn the_top_samples_are_within_the_stated_error_of_exact_counts() {
    const FLUSHES: u64 = 5;
    for (seed, names, lines) in
        [(1, 900.0, 2000), (2, 900.0, 500), (3, 50_000.0, 12_000), (4, 50_000.0, 12_000)]
    {
        let mut random = Random::new(seed);
        let mut core = core("");
        let mut exact: BTreeMap<String, u64> = BTreeMap::new();
        for flush in 1..=FLUSHES {
            for _ in 0..lines {
                // Zipf's law: name n has about 1/n of the samples.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let name = format!("app.{}", f64::powf(names, random.unit()) as u64);
                core.packet(&format!("{name}:1|c"));
                *exact.entry(name).or_default() += 1;
            }
            core.flush(flush * 10);
        }
        let top = core.engine.table().top().samples(20);
        for counted in &top.counts {
            let count = exact[std::str::from_utf8(&counted.name).unwrap()];
            let least = count.saturating_sub(top.too_low);
            assert!((least..=count).contains(&counted.count), "seed {seed}: {counted:?} {count}");
        }
        assert_eq!(top.too_low > 0, names > 1000.0, "few names are counted exactly");
        assert!(top.too_low < FLUSHES * lines / 100, "seed {seed}: {}", top.too_low);
        let mut order: Vec<_> = exact.into_iter().collect();
        order.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let found: Vec<_> = top.counts.iter().map(|it| it.name.to_vec()).collect();
        assert!(order[..5].iter().all(|(name, _)| found.contains(&name.clone().into_bytes())));
    }
}
