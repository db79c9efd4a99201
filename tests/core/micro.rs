//! The routines of the micro-benchmarks on a small scale. Each must do the work that it is meant to
//! measure, or its figures would say nothing.

#[path = "../../bench/micro/routines/mod.rs"]
mod routines;

use routines::corpus::Corpus;
use routines::{Row, Scale, apply, close, encode, parse};

const SCALE: Scale = Scale::SMALL;

/// The result of a routine in its steady state.
fn outcome(rows: &[Row], name: &str) -> f64 {
    let row = rows.iter().find(|row| row.name == name).expect(name);
    let mut routine = (row.make)(SCALE);
    let mut outcomes = [0.0; 3];
    for outcome in &mut outcomes {
        routine.prepare();
        routine.run();
        *outcome = routine.outcome();
    }
    assert!(routine.units() > 0, "{name}");
    assert_eq!(outcomes[1], outcomes[2], "{name}: a run finds what the one before found");
    outcomes[2]
}

#[track_caller]
fn expect(rows: Vec<Row>, expected: &[(&str, f64)]) {
    assert_eq!(rows.len(), expected.len(), "every routine is expected to do something");
    for (name, expected) in expected {
        let found = outcome(&rows, name);
        assert!((found - expected).abs() <= expected * 1e-12, "{name}: {found}, not {expected}");
    }
}

/// Splits `NAME:VALUE|TYPE|#TAGS` into its parts.
fn parts(line: &[u8]) -> (&str, &str, &str, &str) {
    let line = str::from_utf8(line).expect("ASCII");
    let (name, rest) = line.split_once(':').expect("a value");
    let mut sections = rest.split('|');
    let mut next = || sections.next().unwrap_or_default();
    (name, next(), next(), next().trim_start_matches('#'))
}

/// Returns the names and values of the counters of a corpus.
fn counters(corpus: &Corpus) -> Vec<(&str, f64)> {
    let parts = corpus.lines().map(parts).filter(|(_, _, kind, _)| *kind == "c");
    parts.map(|(name, value, ..)| (name, value.parse().expect("a number"))).collect()
}

fn counted(corpus: &Corpus) -> f64 {
    counters(corpus).iter().map(|(_, value)| value).sum()
}

#[test]
fn parsing_reads_every_line() {
    let weight = |corpus: &Corpus| -> f64 {
        let weights = corpus.lines().map(|line| {
            let (name, value, kind, tags) = parts(line);
            let value =
                if kind == "s" { value.len() as f64 } else { value.parse().expect("a number") };
            // In a canonical name a tag has the same length as in its section, and a `;` before it.
            let tags = if tags.is_empty() { 0 } else { 1 + tags.len() };
            (name.len() + tags) as f64 + value
        });
        weights.sum()
    };
    let w2 = weight(&Corpus::w2());
    let expected = [
        ("W2 plain", w2),
        ("W5 plain", weight(&Corpus::w5())),
        ("W2 general", w2),
        ("W5 general", weight(&Corpus::w5())),
        ("clients general", 182_969_651.349_002_93),
    ];
    expect(parse::rows(), &expected);
}

#[test]
fn applying_takes_every_line() {
    let expected = [
        ("W2", 2.0 * counted(&Corpus::w2())),
        ("W3", 2.0 * counted(&Corpus::w3(SCALE, 2))),
        ("W3 first touch", 2.0 * counted(&Corpus::w3(SCALE, 1))),
        ("W3 new series", counted(&Corpus::w3(SCALE, 1))),
        ("W5", 2.0 * counted(&Corpus::w5())),
        ("W5 new series", counted(&Corpus::tagged(SCALE))),
        ("clients", 442_454.000_019_999_9),
        ("W2, a rule", 2.0 * counted(&Corpus::w2())),
        ("W5, a rule", 2.0 * counted(&Corpus::w5())),
        ("W2, renamed", 2.0 * counted(&Corpus::w2())),
        ("W2, dropped", 2.0 * Corpus::w2().lines().count() as f64),
        ("W5, dropped", 2.0 * Corpus::w5().lines().count() as f64),
    ];
    expect(apply::rows(), &expected);
}

#[test]
fn closing_sends_every_series() {
    let names = SCALE.names as f64;
    let corpus = Corpus::timings(SCALE);
    let three = corpus.lines().map(|line| {
        let (_, values, ..) = parts(line.strip_suffix(b"|ms").expect("a timing"));
        let values: Vec<f64> =
            values.split(':').map(|value| value.parse().expect("a number")).collect();
        let (n, sum) = (values.len() as f64, values.iter().sum::<f64>());
        1.0 + n + sum + sum / n
    });
    let expected = [
        // One for the series, the count, and a tenth of it as the rate.
        ("counters", names + 1.1 * counted(&Corpus::counters(SCALE))),
        ("idle counters", names),
        ("timings", 120_129_101.754_305_15),
        ("timings' count, sum, mean", three.sum()),
    ];
    expect(close::rows(), &expected);
}

#[test]
fn encoding_writes_every_line() {
    let corpus = Corpus::counters(SCALE);
    let bytes = |lines: fn(&str, f64) -> String| -> f64 {
        counters(&corpus).iter().map(|(name, value)| lines(name, *value).len() as f64).sum()
    };
    let legacy = |name: &str, value: f64| {
        format!(
            "stats.{name} {} 1700000000\nstats_counts.{name} {value} 1700000000\n",
            value / 10.0
        )
    };
    let modern = |name: &str, value: f64| {
        let rate = value / 10.0;
        format!(
            "stats.counters.{name}.rate {rate} 1700000000\nstats.counters.{name}.count {value} 1700000000\n"
        )
    };
    let expected = [
        ("graphite legacy, W2", 318_743.0),
        ("graphite modern, W2", 329_743.0),
        ("graphite statsite, W2", 195_254.0),
        ("graphite legacy, counters", bytes(legacy)),
        ("graphite modern, counters", bytes(modern)),
        (
            "graphite statsite, counters",
            bytes(|name, value| format!("counts.{name} {value} 1700000000\n")),
        ),
        ("pickle, W2", 319_310.0),
        ("pickle, counters", 39_620.0),
        ("influx, W2", 127_943.0),
        (
            "influx, counters",
            bytes(|name, value| {
                let rate = value / 10.0;
                format!("stats.counters.{name} rate={rate},count={value} 1700000000000000000\n")
            }),
        ),
        ("ganglia, W2", 596_108.0),
        ("ganglia, counters", 42_240.0),
        ("json, W2", 486_143.0),
        ("json, counters", 62_000.0),
        ("exec statsite, W2", 210_586.0),
        (
            "exec statsite, counters",
            bytes(|name, value| format!("counts.{name}|{value:.6}|1700000000\n")),
        ),
        ("records, W2", 183_600.0),
        // Two records: the count and the rate, with a head of 20 bytes and a NUL.
        ("records, counters", bytes(|name, _| "-".repeat(2 * (20 + name.len() + 1)))),
        ("short numbers", 14_916.0),
        ("long numbers", 11_627.0),
    ];
    expect(encode::rows(), &expected);
}
