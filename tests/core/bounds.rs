//! Bounded memory. Timings and sets are compared with a naive computation: they must be exact up to
//! their limits, and within the promised error after that. Their memory must stay under its limit
//! whatever arrives.

use crate::rig::{Core, configured, settings};
use statsd::encode::namespace::Namespace;
use statsd::engine::Settings;
use statsd::ledger::OwnCounter;
use statsd::policy::Percentile;
use statsd::protocol::MetricKind;
use statsd::series::Bounds;
use statsd_bench::Random;

const PERCENTS: [f64; 8] = [1.0, 25.0, 50.0, 90.0, 99.9, 100.0, -10.0, -0.1];

fn core(bounds: Bounds) -> Core {
    let mut settings = Settings { bounds, ..settings() };
    settings.rules.base.percentiles =
        PERCENTS.iter().map(|percent| Percentile::new(*percent).unwrap()).collect();
    Core::new(&settings, &Namespace::default())
}

/// Returns the value of the line with that name, or `None` if no line has it.
fn value(lines: &[String], name: &str) -> Option<f64> {
    let at = lines.partition_point(|line| line.split(' ').next().unwrap() < name);
    let mut words = lines.get(at)?.split(' ');
    (words.next() == Some(name)).then(|| words.next().unwrap().parse().unwrap())
}

#[track_caller]
fn timer(lines: &[String], name: &str, figure: &str) -> f64 {
    let name = format!("stats.timers.{name}.{figure}");
    value(lines, &name).unwrap_or_else(|| panic!("no {name}"))
}

/// Returns a number of the normal distribution, by the method of Box and Muller.
fn normal(random: &mut Random) -> f64 {
    (-2.0 * random.unit().ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
}

type Distribution = (&'static str, fn(&mut Random) -> f64);

const DISTRIBUTIONS: [Distribution; 10] = [
    ("uniform", |random| random.unit() * 1000.0),
    ("lognormal", |random| (normal(random) * 1.5 + 3.0).exp()),
    (
        "bimodal",
        |random| if random.below(10) < 7 { 2.0 + random.unit() } else { 900.0 + random.unit() },
    ),
    ("heavy tail", |random| 1.0 / random.unit().powi(2)),
    ("constant", |_| 42.5),
    ("whole", |random| f64::from(random.below(300))),
    ("both signs", |random| normal(random) * 50.0),
    ("negative", |random| -(normal(random) + 2.0).exp()),
    ("mostly zero", |random| if random.below(10) < 6 { 0.0 } else { normal(random) }),
    ("outliers", |random| if random.below(5000) == 0 { 1e150 } else { 1.0 + random.unit() }),
];

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs()
}

/// Compares all figures of a timing with a naive computation. Percentiles may be off by `error`.
fn check(lines: &[String], name: &str, samples: &[f64], weight: f64, error: f64, about: &str) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let sum: f64 = sorted.iter().sum();
    let magnitude: f64 = sorted.iter().map(|value| value.abs()).sum();
    let squares: f64 = sorted.iter().map(|value| value * value).sum();
    let mean = sum / n as f64;
    let spread = (sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
    let expect = |figure: &str, expected: f64, tolerance: f64| {
        let found = timer(lines, name, figure);
        let off = (found - expected).abs();
        assert!(off <= tolerance, "{about}: {figure} is {found}, not {expected} ± {tolerance}");
    };
    expect("count", weight, 1e-9 * weight);
    expect("sum", sum, 1e-9 * magnitude);
    expect("mean", mean, 1e-9 * magnitude / n as f64);
    expect("sum_squares", squares, 1e-9 * squares);
    expect("std", spread, 1e-6 * (squares / n as f64).sqrt());
    expect("lower", sorted[0], 0.0);
    expect("upper", sorted[n - 1], 0.0);
    let middle = sorted[n.div_ceil(2) - 1];
    if error > 0.0 {
        expect("median", middle, error * middle.abs());
    }
    for percent in PERCENTS {
        let k = (percent.abs() / 100.0 * n as f64 + 0.5).floor();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rank is at most n
        let taken = k as usize;
        let label = Percentile::new(percent).unwrap().label();
        let from = if percent > 0.0 { 0 } else { n - taken };
        let part = &sorted[from..from + taken];
        if part.is_empty() {
            continue;
        }
        let (boundary, edge) =
            if percent > 0.0 { ("upper", part[part.len() - 1]) } else { ("lower", part[0]) };
        expect(&format!("count_{label}"), k, 0.0);
        expect(&format!("{boundary}_{label}"), edge, error * edge.abs());
        let magnitude: f64 = part.iter().map(|value| value.abs()).sum();
        let sum: f64 = part.iter().sum();
        expect(&format!("sum_{label}"), sum, (error + 1e-9) * magnitude);
        expect(&format!("mean_{label}"), sum / k, (error + 1e-9) * magnitude / k);
        let squares: f64 = part.iter().map(|value| value * value).sum();
        expect(&format!("sum_squares_{label}"), squares, (2.1 * error + 1e-9) * squares);
    }
}

fn send(core: &mut Core, name: &str, samples: &[f64]) {
    for chunk in samples.chunks(50) {
        let values: Vec<_> = chunk.iter().map(f64::to_string).collect();
        core.packet(&format!("{name}:{}|h", values.join(":")));
    }
}

#[test]
fn a_timing_is_exact_up_to_timer_exact_and_within_the_error_past_it() {
    for (seed, (about, draw)) in (1..).zip(DISTRIBUTIONS) {
        for (error, n) in [(0.01, 1000), (0.01, 1001), (0.05, 7000), (0.001, 20_000)] {
            let bounds = Bounds { timer_exact: 1000, timer_error: error, ..Bounds::default() };
            let (mut core, mut random) = (core(bounds), Random::new(seed));
            let samples: Vec<_> = (0..n).map(|_| draw(&mut random)).collect();
            send(&mut core, "t", &samples);
            let error = if n > 1000 { error } else { 0.0 };
            let about = format!("{about}, seed {seed}, {n} samples");
            check(&core.flush(10), "t", &samples, f64::from(n), error, &about);
        }
    }
}

#[test]
fn a_sketch_of_samples_all_over_the_doubles_is_coarser_and_knows_the_rest() {
    let (mut core, mut random) =
        (core(Bounds { timer_exact: 100, ..Bounds::default() }), Random::new(7));
    let spread = |random: &mut Random| 10f64.powf((random.unit() - 0.5) * 300.0);
    let samples: Vec<_> = (0..20_000).map(|_| spread(&mut random)).collect();
    send(&mut core, "t", &samples);
    assert!(core.engine.table().sample_bytes() < 24_000, "{}", core.engine.table().sample_bytes());
    // Merged four times, once for each doubling of the 18 orders of magnitude that 1 % has room
    // for.
    check(&core.flush(10), "t", &samples, 20_000.0, 0.16, "all over the doubles");
}

#[test]
fn a_sketch_fills_the_histogram_and_heeds_the_filter() {
    let mut core = Core::configured(
        "[statsd]\ntimer_exact = 10\ntimer_metrics = histogram, upper\n\
         [rule.all]\nmatch = **\nhistogram = 0, 10.5, 100.5, inf\n",
    );
    (-20..=200).for_each(|n| core.packet(&format!("t:{n}|h")));
    let lines = core.flush(10);
    for (figure, count) in [
        ("upper", 200.0),
        ("histogram.bin_0", 20.0),
        ("histogram.bin_10_5", 11.0),
        ("histogram.bin_100_5", 90.0),
        ("histogram.bin_inf", 100.0),
    ] {
        let found = timer(&lines, "t", figure);
        assert!((found - count).abs() <= 1.0, "{figure} is {found}");
    }
    assert_eq!(lines.len(), 5, "{lines:?}");
}

#[test]
fn statsite_style_has_its_own_figures_of_a_sketch_too() {
    let samples: Vec<_> = (1..=40).map(f64::from).collect();
    let found = [10, 1000].map(|timer_exact| {
        let text = format!(
            "[statsd]\ntimer_exact = {timer_exact}\npercentiles = 50, 90\n\
             [namespace]\nstyle = statsite\n"
        );
        let mut core = Core::new(&configured(&text), &Namespace::statsite());
        send(&mut core, "t", &samples);
        core.flush(10)
    });
    let [sketch, exact] = &found;
    assert!(exact.iter().any(|line| line.starts_with("timers.t.stdev ")), "{exact:?}");
    assert_eq!(sketch.len(), exact.len());
    for (one, other) in sketch.iter().zip(exact) {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (one, other) = (words(one), words(other));
        assert_eq!(one[0], other[0]);
        // The median of a sketch is the 20th of 40, not the mean of that and the next.
        let tolerance = if one[0].ends_with("median") { 0.04 } else { 0.01 };
        let values = [&one, &other].map(|words| words[1].parse::<f64>().unwrap());
        assert!(close(values[0], values[1], tolerance), "{one:?} {other:?}");
    }
}

#[test]
fn rates_weigh_in_the_count_alone() {
    let mut core = core(Bounds { timer_exact: 10, ..Bounds::default() });
    (1..=40).for_each(|n| core.packet(&format!("t:{n}|ms|@0.1")));
    let samples: Vec<_> = (1..=40).map(f64::from).collect();
    check(&core.flush(10), "t", &samples, 400.0, 0.01, "weighted");
}

#[test]
fn a_timing_turns_to_a_sketch_in_each_interval_by_itself() {
    let bounds = Bounds { timer_exact: 500, ..Bounds::default() };
    let (mut core, mut random) = (core(bounds), Random::new(3));
    let mut draw = |n: usize| Vec::from_iter((0..n).map(|_| random.unit() * 100.0));
    let (first, second, third, fourth) = (draw(2000), draw(1500), draw(400), draw(900));
    send(&mut core, "t", &first);
    core.tick(10);
    // In the middle of the sweep the next interval passes the threshold, too.
    send(&mut core, "t", &second[..700]);
    while !core.sweep(1) {
        core.packet("other:1|c");
    }
    check(&core.finish(), "t", &first, 2000.0, 0.01, "the first");
    send(&mut core, "t", &second[700..]);
    check(
        &core.flush(20),
        "t",
        &second,
        1500.0,
        0.01,
        "the second, of which some came in the sweep",
    );
    send(&mut core, "t", &third);
    check(&core.flush(30), "t", &third, 400.0, 0.0, "the third has few again");
    send(&mut core, "t", &fourth);
    core.tick(40);
    assert!(core.remove(MetricKind::Timing, "t"));
    while !core.sweep(1) {}
    check(&core.finish(), "t", &fourth, 900.0, 0.01, "the fourth, closed by its deletion");
    core.tick(50);
    while !core.sweep(1) {}
    core.finish();
    assert_eq!(core.engine.table().sample_bytes(), 0, "its memory is given back");
}

#[test]
fn a_set_is_exact_up_to_set_exact_and_estimated_past_it() {
    let mut core = core(Bounds::default());
    let fill = |core: &mut Core, from: u32, upto: u32| {
        (from..upto).for_each(|n| core.packet(&format!("s:member{n}|s\ns:member{}|s", n / 2)));
    };
    let count = |lines: Vec<String>| value(&lines, "stats.sets.s.count").unwrap();
    fill(&mut core, 0, 10_000);
    assert_eq!(count(core.flush(10)), 10_000.0);
    fill(&mut core, 0, 30_000);
    core.tick(20);
    fill(&mut core, 0, 15_000);
    while !core.sweep(1) {}
    let estimate = count(core.finish());
    assert!(close(estimate, 30_000.0, 0.06), "{estimate}");
    fill(&mut core, 15_000, 100_000);
    let estimate = count(core.flush(30));
    assert!(close(estimate, 100_000.0, 0.06), "{estimate}");
    fill(&mut core, 0, 77);
    assert_eq!(count(core.flush(40)), 77.0, "a new interval is exact again");
    fill(&mut core, 0, 11_000);
    assert!(core.remove(MetricKind::Set, "s"));
    assert_eq!(core.engine.table().sample_bytes(), 0, "its memory is given back");
}

#[test]
fn a_flood_on_one_timer_leaves_the_others_exact() {
    let bounds = Bounds { sample_memory: 1 << 20, timer_exact: 1_000_000, ..Bounds::default() };
    let (mut core, mut random) = (core(bounds), Random::new(11));
    let mut sent: Vec<Vec<f64>> = vec![Vec::new(); 21];
    for round in 0..2000 {
        let name = if round < 200 { round % 20 } else { 20 };
        let samples: Vec<_> = (0..50).map(|_| (normal(&mut random) + 3.0).exp()).collect();
        send(&mut core, &format!("t{name}"), &samples);
        sent[name].extend(samples);
        assert!(core.engine.table().sample_bytes() <= 1 << 20);
    }
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), 0);
    let lines = core.flush(10);
    for (name, samples) in sent.iter().enumerate() {
        let error = if name == 20 { 0.01 } else { 0.0 };
        check(
            &lines,
            &format!("t{name}"),
            samples,
            samples.len() as f64,
            error,
            &format!("t{name}"),
        );
    }
}

/// Shows that memory stays under its limit with timers and sets of all sizes, far more than there
/// is memory for, over sweeps that are interrupted.
#[test]
fn memory_stays_under_its_limit_and_nothing_is_lost_while_sketches_fit() {
    for seed in 0..4 {
        let limit = 1 << 20;
        let bounds = Bounds { sample_memory: limit, ..Bounds::default() };
        let (mut core, mut random) = (core(bounds), Random::new(seed));
        let (mut sent, mut counted, mut highest) = (0, 0.0, 0);
        let mut traffic = |core: &mut Core, packets: usize| {
            for _ in 0..packets {
                let name = (100f64.powf(random.unit()) - 1.0).floor();
                let values: Vec<_> =
                    (0..30).map(|_| (normal(&mut random) + 3.0).exp().to_string()).collect();
                let member = random.bits();
                core.packet(&format!(
                    "t{name}:{}|ms\ns{}:{member}|s",
                    values.join(":"),
                    name / 10.0
                ));
                sent += 30;
                highest = highest.max(core.engine.table().sample_bytes());
            }
        };
        let mut collect = |lines: Vec<String>| {
            let counts =
                lines.iter().filter(|line| line.contains(".count ") && line.contains("timers"));
            counted += counts
                .map(|line| line.split(' ').nth(1).unwrap().parse::<f64>().unwrap())
                .sum::<f64>();
        };
        for flush in 1..=3 {
            traffic(&mut core, 6000);
            core.tick(flush * 10);
            while !core.sweep(7000) {
                traffic(&mut core, 50);
            }
            collect(core.finish());
        }
        collect(core.flush(50));
        assert!(highest <= limit && highest > limit / 2, "seed {seed}: {highest} bytes");
        assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), 0, "seed {seed}");
        assert_eq!(counted, f64::from(sent), "seed {seed}");
    }
}

#[test]
fn what_not_even_sketches_fit_in_is_refused_and_counted() {
    let limit = 64 << 10;
    let (mut core, mut random) =
        (core(Bounds { sample_memory: limit, ..Bounds::default() }), Random::new(5));
    let mut sent = 0;
    for _ in 0..3000 {
        core.packet(&format!("t{}:{}|ms", random.below(1000), "1:2:3:4:5:6:7:8:9"));
        core.packet(&format!("s{}:{}|s", random.below(1000), random.bits()));
        sent += 10;
        assert!(core.engine.table().sample_bytes() <= limit);
    }
    let dropped = core.engine.own().total(OwnCounter::SamplesDropped);
    assert!(dropped > 0 && dropped < sent, "{dropped} of {sent}");
    core.flush(10);
    core.flush(20);
    core.packet("t1:1|ms");
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), dropped, "there is room again");
}
