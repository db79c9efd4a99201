//! Encodes summaries as chunks in each format, and numbers as digits.
//!
//! A new format needs two rows.

use std::hint::black_box;

use statsd::encode::encoders::{Encoders, Format};
use statsd::encode::ganglia::Labels;
use statsd::encode::namespace::{Namespace, Style};
use statsd::encode::number::Number;
use statsd::policy::FigureNames;
use statsd::policy::Rules;
use statsd::time::UnixTime;

use super::corpus::Corpus;
use super::summaries::Summaries;
use super::{Routine, Row, Scale};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "graphite legacy, W2",
        unit: "line",
        make: |_| w2(Format::Plaintext, &Namespace::default()),
    },
    Row { name: "graphite modern, W2", unit: "line", make: |_| w2(Format::Plaintext, &modern()) },
    Row {
        name: "graphite statsite, W2",
        unit: "line",
        make: |_| w2(Format::Plaintext, &Namespace::statsite()),
    },
    Row {
        name: "graphite legacy, counters",
        unit: "line",
        make: |scale| counters(Format::Plaintext, &Namespace::default(), scale),
    },
    Row {
        name: "graphite modern, counters",
        unit: "line",
        make: |scale| counters(Format::Plaintext, &modern(), scale),
    },
    Row {
        name: "graphite statsite, counters",
        unit: "line",
        make: |scale| counters(Format::Plaintext, &Namespace::statsite(), scale),
    },
    Row { name: "pickle, W2", unit: "line", make: |_| w2(PICKLE, &Namespace::default()) },
    Row {
        name: "pickle, counters",
        unit: "line",
        make: |scale| counters(PICKLE, &Namespace::default(), scale),
    },
    Row {
        name: "influx, W2",
        unit: "line",
        make: |_| w2(Format::Influx { is_for_udp: false }, &modern()),
    },
    Row {
        name: "influx, counters",
        unit: "line",
        make: |scale| counters(Format::Influx { is_for_udp: false }, &modern(), scale),
    },
    Row { name: "ganglia, W2", unit: "line", make: |_| w2(ganglia(), &Namespace::default()) },
    Row {
        name: "ganglia, counters",
        unit: "line",
        make: |scale| counters(ganglia(), &Namespace::default(), scale),
    },
    Row { name: "json, W2", unit: "line", make: |_| w2(Format::JsonLines, &Namespace::default()) },
    Row {
        name: "json, counters",
        unit: "line",
        make: |scale| counters(Format::JsonLines, &Namespace::default(), scale),
    },
    Row {
        name: "exec statsite, W2",
        unit: "line",
        make: |_| w2(Format::Piped, &Namespace::statsite()),
    },
    Row {
        name: "exec statsite, counters",
        unit: "line",
        make: |scale| counters(Format::Piped, &Namespace::statsite(), scale),
    },
    Row { name: "records, W2", unit: "record", make: |_| w2(RECORDS, &Namespace::statsite()) },
    Row {
        name: "records, counters",
        unit: "record",
        make: |scale| counters(RECORDS, &Namespace::statsite(), scale),
    },
    Row {
        name: "short numbers",
        unit: "number",
        make: |_| Box::new(Numbers::new(|digits| digits <= SHORT)),
    },
    Row {
        name: "long numbers",
        unit: "number",
        make: |_| Box::new(Numbers::new(|digits| digits > SHORT)),
    },
];

const PICKLE: Format = Format::Pickle { batch: 500 };
const RECORDS: Format = Format::Records { is_prefixed: false };

fn ganglia() -> Format {
    let (spoof, prefix) = ("statsd:statsd".into(), String::new());
    Format::Ganglia(Labels { spoof, prefix, max_name_length: 100 })
}

fn modern() -> Namespace {
    Namespace { style: Style::Modern, ..Namespace::default() }
}

/// Those of an engine without rules.
fn figure_names() -> FigureNames {
    let rules = Rules::default();
    FigureNames::new(&rules.percentiles(), &rules.bins())
}

/// Over summaries of all kinds; most lines are timings'.
fn w2(format: Format, namespace: &Namespace) -> Box<dyn Routine> {
    Box::new(Encode::new(format, namespace, &Corpus::w2()))
}

fn counters(format: Format, namespace: &Namespace, scale: Scale) -> Box<dyn Routine> {
    Box::new(Encode::new(format, namespace, &Corpus::counters(scale)))
}

struct Encode {
    encoders: Encoders,
    summaries: Summaries,
    flush: u64,
    lines: u64,
    bytes: usize,
}

impl Encode {
    fn new(format: Format, namespace: &Namespace, corpus: &Corpus) -> Self {
        let encoders = Encoders::new([(format, namespace, true)], &figure_names());
        let summaries = Summaries::of(corpus, namespace.style);
        let mut it = Self { encoders, summaries, flush: 0, lines: 0, bytes: 0 };
        it.run();
        it
    }
}

impl Routine for Encode {
    fn units(&self) -> u64 {
        self.lines
    }

    fn run(&mut self) {
        self.flush += 6; // Ganglia describes the same sixth of its metrics each time
        self.encoders.begin(self.flush, UnixTime::from_secs(1_700_000_000));
        for summary in self.summaries.iter() {
            self.encoders.encode(&summary);
        }
        self.encoders.end();
        (self.lines, self.bytes) = (0, 0);
        for (_, chunk) in self.encoders.take() {
            self.lines += u64::from(chunk.lines());
            self.bytes += black_box(chunk.bytes()).len();
        }
    }

    fn outcome(&mut self) -> f64 {
        self.bytes as f64
    }
}

/// The figures of W2, those that are written with few digits or those with many.
struct Numbers {
    values: Vec<f64>,
    number: Number,
    text: Vec<u8>,
}

/// The most bytes of a short number: a count, a rate or a whole sample. Means and deviations are
/// longer.
const SHORT: usize = 15;

impl Numbers {
    fn new(wanted: fn(usize) -> bool) -> Self {
        let (mut number, mut text) = (Number::new(), Vec::new());
        let mut digits = |value| {
            text.clear();
            number.append(value, &mut text);
            text.len()
        };
        let summaries = Summaries::of(&Corpus::w2(), Style::Legacy);
        let all = summaries.iter().flat_map(|summary| summary.figures.to_vec());
        let values: Vec<f64> =
            all.map(|figure| figure.value).filter(|value| wanted(digits(*value))).collect();
        Self { values, number, text }
    }
}

impl Routine for Numbers {
    fn units(&self) -> u64 {
        self.values.len() as u64
    }

    fn run(&mut self) {
        self.text.clear();
        for value in &self.values {
            self.number.append(*value, &mut self.text);
        }
        black_box(&self.text);
    }

    fn outcome(&mut self) -> f64 {
        self.text.len() as f64
    }
}
