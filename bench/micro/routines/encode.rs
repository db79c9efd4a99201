//! Summaries to chunks, by each encoder, and numbers to digits.
//!
//! A new format is an `impl Encoder` of three lines and two rows.

use std::hint::black_box;

use statsd::encode::chunk::Chunks;
use statsd::encode::graphite::Graphite;
use statsd::encode::namespace::{Namespace, Style};
use statsd::encode::number::Number;
use statsd::flush::{FigureNames, Summary};
use statsd::policy::Rules;

use super::corpus::Corpus;
use super::summaries::Summaries;
use super::{Routine, Row, Scale};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "graphite legacy, W2",
        unit: "line",
        make: |_| w2(graphite(&Namespace::default())),
    },
    Row { name: "graphite modern, W2", unit: "line", make: |_| w2(graphite(&modern())) },
    Row {
        name: "graphite statsite, W2",
        unit: "line",
        make: |_| w2(graphite(&Namespace::statsite())),
    },
    Row {
        name: "graphite legacy, counters",
        unit: "line",
        make: |scale| counters(graphite(&Namespace::default()), scale),
    },
    Row {
        name: "graphite modern, counters",
        unit: "line",
        make: |scale| counters(graphite(&modern()), scale),
    },
    Row {
        name: "graphite statsite, counters",
        unit: "line",
        make: |scale| counters(graphite(&Namespace::statsite()), scale),
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

/// What all encoders have in common: a flush begins, its summaries come, its chunks go.
pub(crate) trait Encoder {
    fn begin(&mut self, flush: u64, stamp: u64);
    fn encode(&mut self, summary: &Summary<'_>);
    fn chunks(&mut self) -> &mut Chunks;
}

impl Encoder for Graphite {
    fn begin(&mut self, flush: u64, stamp: u64) {
        Self::begin(self, flush, stamp);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        Self::encode(self, summary);
    }

    fn chunks(&mut self) -> &mut Chunks {
        Self::chunks(self)
    }
}

fn graphite(namespace: &Namespace) -> Graphite {
    Graphite::new(namespace, &figure_names())
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
fn w2(encoder: impl Encoder + 'static) -> Box<dyn Routine> {
    Box::new(Encode::new(encoder, &Corpus::w2()))
}

fn counters(encoder: impl Encoder + 'static, scale: Scale) -> Box<dyn Routine> {
    Box::new(Encode::new(encoder, &Corpus::counters(scale)))
}

struct Encode<E> {
    encoder: E,
    summaries: Summaries,
    flush: u64,
    lines: u64,
    bytes: usize,
}

impl<E: Encoder> Encode<E> {
    fn new(encoder: E, corpus: &Corpus) -> Self {
        let summaries = Summaries::of(corpus);
        let mut it = Self { encoder, summaries, flush: 0, lines: 0, bytes: 0 };
        it.run();
        it
    }
}

impl<E: Encoder> Routine for Encode<E> {
    fn units(&self) -> u64 {
        self.lines
    }

    fn run(&mut self) {
        self.flush += 1;
        self.encoder.begin(self.flush, 1_700_000_000);
        for summary in self.summaries.iter() {
            self.encoder.encode(&summary);
        }
        let chunks = self.encoder.chunks();
        chunks.end();
        (self.lines, self.bytes) = (0, 0);
        for chunk in chunks.take() {
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

/// Up to so many bytes: counts, rates, whole samples. What is longer are means and deviations.
const SHORT: usize = 15;

impl Numbers {
    fn new(wanted: fn(usize) -> bool) -> Self {
        let (mut number, mut text) = (Number::new(), Vec::new());
        let mut digits = |value| {
            text.clear();
            number.append(value, &mut text);
            text.len()
        };
        let summaries = Summaries::of(&Corpus::w2());
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
