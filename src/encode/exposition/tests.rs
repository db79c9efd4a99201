//! Families stay whole, whatever the hashes of their names, over pauses and changes of the table.

use std::collections::BTreeSet;
use std::time::Duration;

use statsd_bench::Random;

use super::*;
use crate::engine::{Closing, Engine, Settings};
use crate::policy::{BaseSettings, Percentile, Rules, TimerMetric};
use crate::protocol::Grammar;
use crate::series::{Bounds, Cursor, Seeds};

const SEEDS: Seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };
/// The bits of hashes that do not count: all hashes are different, there are 16, or one. Families
/// with equal hashes cost a round each, so then there are fewer series.
const UNUSED: [(u32, usize); 3] = [(0, 8_000), (0x0fff_ffff, 1_000), (u32::MAX, 150)];

fn engine(rules: Rules) -> Engine {
    let settings = Settings {
        grammar: Grammar::default(),
        bounds: Bounds { keeps_totals: true, ..Bounds::default() },
        rules,
        flush_interval: Duration::from_secs(10),
        prefix_stats: "statsd".into(),
        count_names: false,
    };
    Engine::new(&settings, SEEDS)
}

fn flush(engine: &mut Engine) {
    engine.tick();
    while !engine.sweep(256, &mut |_| {}) {}
    engine.finish(&Closing::default(), &mut |_| {});
}

/// Names of which some are in one family, and of which one family has very many.
fn add_series(engine: &mut Engine, count: usize, random: &mut Random) {
    for n in 0..count {
        let kind = ["c", "g", "ms", "s"][random.below(4)];
        let of = random.below(count / 2 + 1);
        let line = match random.below(4) {
            0 => format!("a.b.{of}:1|{kind}"),
            1 => format!("a_b.{of}:1|{kind}"),
            2 => format!("a-b_{of};env=e{}:1|{kind}", random.below(3)),
            _ => format!("large;n={n}:1|c"),
        };
        engine.lines(line.as_bytes());
    }
}

/// Makes the answer, and calls `between` after each step. It gets whether the step wrote something.
fn answer(
    engine: &mut Engine,
    unused: u32,
    mut between: impl FnMut(&mut SeriesExposition, &mut Engine, bool),
) -> String {
    let mut page = SeriesExposition::new(Exposition::OpenMetrics);
    let names = engine.table().name_hasher();
    let hash = |family: &[u8]| hash_of(&names, family) & !unused;
    let mut out = Vec::new();
    let mut written = 0;
    while !page.step_by(hash, engine.table_mut(), &mut out) {
        between(&mut page, engine, out.len() > written);
        written = out.len();
    }
    assert!(page.bytes() < 200_000, "{} bytes are left", page.bytes());
    String::from_utf8(out).unwrap()
}

/// Checks that each family has one head, that its samples follow it, and that none is there twice.
fn check(answer: &str) {
    let mut families = BTreeSet::new();
    let mut samples = BTreeSet::new();
    let mut family = "";
    for line in answer.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split(' ').next().unwrap();
            assert!(families.insert(family), "{family} has two heads");
        } else if !line.starts_with('#') {
            let (sample, _) = line.rsplit_once(' ').unwrap();
            assert!(sample.starts_with(family), "{sample} in the family {family}");
            assert!(samples.insert(sample), "{sample} is there twice");
        }
    }
}

/// The number of series that have something to show.
fn shown(engine: &mut Engine) -> usize {
    let (mut cursor, mut count) = (Cursor::default(), 0);
    while !engine.table_mut().visit(&mut cursor, 999, |_| count += 1) {}
    count
}

/// The number of series in an answer.
fn series_of(answer: &str) -> usize {
    let is_one = |line: &&str| {
        let sample = line.split([' ', '{']).next().unwrap_or_default();
        ["_total", "_value", "_members", "_timer_count"].iter().any(|end| sample.ends_with(end))
    };
    answer.lines().filter(|line| !line.starts_with('#')).filter(is_one).count()
}

/// Returns the quantiles of one timer, with their values, in an interval with samples and in the
/// idle one after it.
fn quantiles(percentiles: &[f64], metrics: &[TimerMetric]) -> [Vec<String>; 2] {
    let base = BaseSettings {
        percentiles: percentiles.iter().map(|it| Percentile::new(*it).unwrap()).collect(),
        timer_metrics: metrics.to_vec(),
        ..BaseSettings::default()
    };
    let mut engine = engine(Rules { base, ..Rules::default() });
    engine.lines(b"a:1|ms\na:2|ms\na:3|ms\na:6|ms");
    [0, 1].map(|_| {
        flush(&mut engine);
        let answer = answer(&mut engine, 0, |_, _, _| {});
        let lines = answer.lines().filter_map(|line| line.strip_prefix("a_timer{quantile="));
        lines.map(|line| line.replace(['"', '}'], "")).collect()
    })
}

/// Shows that the text of a quantile is the percentile divided by a hundred, to the digit, and that
/// a summary has the same quantiles whether there were samples or not.
#[test]
fn quantiles_are_exact_and_do_not_come_and_go() {
    let [busy, idle] = quantiles(&[99.9, 33.3, 50.0, 99.99, -10.0], &[]);
    assert_eq!(busy, ["0.0 1", "0.333 1", "0.5 2.5", "0.999 6", "0.9999 6", "1.0 6"]);
    assert_eq!(
        idle,
        ["0.0", "0.333", "0.5", "0.999", "0.9999", "1.0"].map(|it| format!("{it} NaN"))
    );
    // Without the figure `median`, the percentile 50 is the quantile 0.5.
    let upper = TimerMetric::Percent("upper");
    let [busy, idle] = quantiles(&[50.0], &[upper]);
    assert_eq!((busy, idle.len()), (["0.0 1", "0.5 2", "1.0 6"].map(str::to_owned).to_vec(), 3));
    let [busy, idle] = quantiles(&[90.0], &[upper]);
    assert_eq!((busy, idle.len()), (["0.0 1", "0.9 6", "1.0 6"].map(str::to_owned).to_vec(), 3));
}

#[test]
fn families_are_whole_and_complete() {
    let mut random = Random::new(1);
    for (unused, most) in UNUSED {
        for count in [1, 20, most / 3, most] {
            let mut engine = engine(Rules::default());
            add_series(&mut engine, count, &mut random);
            flush(&mut engine);
            let whole = answer(&mut engine, unused, |_, _, _| {});
            check(&whole);
            assert_eq!(series_of(&whole), shown(&mut engine), "of {count}, {unused:#x}");
        }
    }
    assert_eq!(answer(&mut engine(Rules::default()), 0, |_, _, _| {}), "");
}

/// Shows that of series with the same samples all but one have the label `statsd_name`, as long as
/// that one exists.
#[test]
fn series_with_the_same_samples_stay_apart() {
    let mut engine = engine(Rules::default());
    engine.lines(b"a_b_total:1|c|#k:v\na_b:2|c|#k:v\na.b:3|c|#k:v\na_b_total:4|c\na_b:5|g");
    flush(&mut engine);
    let samples = |engine: &mut Engine| {
        let answer = answer(engine, 0, |_, _, _| {});
        check(&answer);
        let mut lines: Vec<_> = answer.lines().filter(|line| !line.starts_with('#')).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(
        samples(&mut engine),
        "a_b_total 4\n\
         a_b_total{k=\"v\",statsd_name=\"a_b\"} 2\n\
         a_b_total{k=\"v\",statsd_name=\"a_b_total\"} 1\n\
         a_b_total{k=\"v\"} 3\n\
         a_b_value 5"
    );
    engine.remove(MetricKind::Counter, b"a.b;k=v", &mut |_| {});
    engine.remove(MetricKind::Counter, b"a_b_total", &mut |_| {});
    assert_eq!(
        samples(&mut engine),
        "a_b_total{k=\"v\",statsd_name=\"a_b_total\"} 1\n\
         a_b_total{k=\"v\"} 2\n\
         a_b_value 5"
    );
}

#[test]
fn a_paused_answer_is_the_same() {
    let mut random = Random::new(2);
    // So that a few pauses come in each.
    for (unused, count) in UNUSED.map(|(unused, count)| (unused, count.min(2_000))) {
        let mut engine = engine(Rules::default());
        add_series(&mut engine, count, &mut random);
        flush(&mut engine);
        let whole = answer(&mut engine, unused, |_, _, _| {});
        let mut pauses = 0;
        let paused = answer(&mut engine, unused, |page, _, has_written| {
            if has_written && random.below(10) == 0 {
                page.pause();
                assert!(!page.is_begun() && page.bytes() == 0);
                pauses += 1;
            }
        });
        assert!(pauses > 0, "{unused:#x}");
        assert_eq!(whole, paused, "{unused:#x}");
    }
}

#[test]
fn series_may_come_and_go_meanwhile() {
    let mut random = Random::new(3);
    for (unused, count) in UNUSED {
        let mut engine = engine(Rules::default());
        add_series(&mut engine, count, &mut random);
        flush(&mut engine);
        let found = answer(&mut engine, unused, |page, engine, has_written| {
            let n = random.below(count / 2);
            let name = [format!("a.b.{n}"), format!("a_b.{n}"), format!("large;n={n}")];
            for name in &name {
                engine.remove(MetricKind::Counter, name.as_bytes(), &mut |_| {});
                if random.below(2) == 0 {
                    engine.lines(format!("{name}:1|c").as_bytes());
                }
            }
            if random.below(20) == 0 {
                flush(engine);
            }
            if has_written && random.below(10) == 0 {
                page.pause();
            }
        });
        check(&found);
    }
}

#[test]
fn the_walk_takes_some_bytes_a_series_and_each_step_is_short() {
    let mut engine = engine(Rules::default());
    for n in 0..60_000 {
        // Half of them are one family.
        let name = if n % 2 == 0 { format!("app.name.{n}") } else { format!("one;n={n}") };
        engine.lines(format!("{name}:1|c").as_bytes());
    }
    flush(&mut engine);
    let (mut most, mut steps) = (0, 0);
    answer(&mut engine, 0, |page, _, _| {
        most = most.max(page.bytes());
        steps += 1;
    });
    assert!((60_000 * 12..60_000 * 15).contains(&most), "{most}");
    assert!(steps > 60_000 / BATCH, "{steps}");
}
