//! Encodes summaries as chunks in each format, and numbers as digits.
//!
//! A new format needs a row in the table of `rows`.

use std::hint::black_box;

use statsd::encode::encoders::{Encoders, Format};
use statsd::encode::ganglia::Labels;
use statsd::encode::namespace::{Namespace, Style};
use statsd::encode::number::Number;
use statsd::policy::{FigureNames, Rules};
use statsd::time::UnixTime;

use super::corpus::Corpus;
use super::summaries::Summaries;
use super::{Plain, Routine, Row, Scale, row};

pub(crate) fn rows() -> Vec<Row> {
    let legacy = Namespace::default;
    let modern = || Namespace { style: Style::Modern, ..Namespace::default() };
    let statsite = Namespace::statsite;
    let labels =
        Labels { spoof: "statsd:statsd".into(), prefix: String::new(), max_name_length: 100 };
    let formats = [
        ("graphite legacy", Format::Plaintext, legacy()),
        ("graphite modern", Format::Plaintext, modern()),
        ("graphite statsite", Format::Plaintext, statsite()),
        ("pickle", Format::Pickle { batch: 500 }, legacy()),
        ("influx", Format::Influx { is_for_udp: false }, modern()),
        ("ganglia", Format::Ganglia(labels), legacy()),
        ("json", Format::JsonLines, legacy()),
        ("exec statsite", Format::Piped, statsite()),
        ("records", Format::Records { is_prefixed: false }, statsite()),
    ];
    let mut rows = Vec::new();
    for (name, format, namespace) in formats {
        let unit = if name == "records" { "record" } else { "line" };
        // Summaries of all kinds, of which most lines are those of timings, and counters alone.
        let w2 = |_| Corpus::w2();
        for (corpus, make) in [("W2", w2 as fn(Scale) -> Corpus), ("counters", Corpus::counters)] {
            let (format, namespace) = (format.clone(), namespace.clone());
            rows.push(row("encode", format!("{name}, {corpus}"), unit, move |scale| {
                encode(format.clone(), &namespace, &make(scale))
            }));
        }
    }
    rows.push(row("encode", "short numbers", "number", |_| numbers(|digits| digits <= SHORT)));
    rows.push(row("encode", "long numbers", "number", |_| numbers(|digits| digits > SHORT)));
    rows
}

fn encode(format: Format, namespace: &Namespace, corpus: &Corpus) -> impl Routine + use<> {
    // The names of an engine without rules.
    let rules = Rules::default();
    let names = FigureNames::new(&rules.percentiles(), &rules.bins());
    let mut encoders = Encoders::new([(format, namespace, true)], &names);
    let summaries = Summaries::of(corpus, namespace.style);
    let mut flush = 0;
    let mut run = move || {
        flush += 6; // Ganglia describes the same sixth of its metrics each time
        encoders.begin(flush, UnixTime::from_secs(1_700_000_000));
        for summary in summaries.iter() {
            encoders.encode(&summary);
        }
        encoders.end();
        let mut written = (0, 0);
        for (_, chunk) in encoders.take() {
            written.0 += u64::from(chunk.lines());
            written.1 += black_box(chunk.bytes()).len();
        }
        written
    };
    let (lines, _) = run();
    Plain::new(lines, move || run().1 as f64)
}

/// The most bytes of a short number: a count, a rate or a whole sample. Means and deviations are
/// longer.
const SHORT: usize = 15;

/// The figures of W2, those that are written with few digits or those with many.
fn numbers(wanted: fn(usize) -> bool) -> impl Routine {
    let mut number = Number::new();
    let mut text = Vec::new();
    let mut digits = |value| {
        text.clear();
        number.append(value, &mut text);
        text.len()
    };
    let summaries = Summaries::of(&Corpus::w2(), Style::Legacy);
    let all = summaries.iter().flat_map(|summary| summary.figures.to_vec());
    let values: Vec<f64> =
        all.map(|figure| figure.value).filter(|value| wanted(digits(*value))).collect();
    Plain::new(values.len() as u64, move || {
        text.clear();
        for value in &values {
            number.append(*value, &mut text);
        }
        black_box(&text).len() as f64
    })
}
