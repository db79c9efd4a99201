//! Parses lines into samples: by the reader of plain lines, and by the general one.

use std::hint::black_box;

use statsd::protocol::{
    Dialect, Grammar, LineReader, MetricKind, ParsedLine, PlainLine, Sample, read_plain,
};

use super::corpus::Corpus;
use super::{Routine, Row};

pub(crate) const ROWS: &[Row] = &[
    Row { name: "W2 plain", unit: "line", make: |_| Box::new(Plain::new(Corpus::w2())) },
    Row { name: "W5 plain", unit: "line", make: |_| Box::new(Plain::new(Corpus::w5())) },
    Row { name: "W2 general", unit: "line", make: |_| Box::new(General::new(Corpus::w2())) },
    Row { name: "W5 general", unit: "line", make: |_| Box::new(General::new(Corpus::w5())) },
    Row {
        name: "clients general",
        unit: "line",
        make: |_| Box::new(General::new(Corpus::clients())),
    },
];

/// Lines one after the other from a packet, as the engine takes them; it looks at no name that it
/// knows.
struct Plain {
    corpus: Corpus,
    grammar: Grammar,
    units: u64,
    sum: f64,
}

impl Plain {
    fn new(corpus: Corpus) -> Self {
        let units = corpus.lines().count() as u64;
        Self { corpus, grammar: Grammar::default(), units, sum: 0.0 }
    }
}

impl Routine for Plain {
    fn units(&self) -> u64 {
        self.units
    }

    fn run(&mut self) {
        let mut sum = 0.0;
        for packet in self.corpus.packets() {
            let mut rest = packet;
            while let Some(line) = read_plain(&self.grammar, rest) {
                let PlainLine { plain, length, tags } = line;
                let value = if plain.kind == MetricKind::Set {
                    plain.text.len() as f64
                } else {
                    plain.value
                };
                sum += (plain.name.len() + tags.map_or(0, |tags| tags.len() + 1)) as f64 + value;
                rest = rest.get(length + 1..).unwrap_or_default();
            }
        }
        self.sum = black_box(sum);
    }

    fn outcome(&mut self) -> f64 {
        self.sum
    }
}

/// Any lines, found beforehand. What is no line weighs nothing.
struct General {
    lines: Vec<Box<[u8]>>,
    reader: LineReader,
    sum: f64,
}

impl General {
    fn new(corpus: Corpus) -> Self {
        let mut grammar = Grammar::default();
        grammar.dialects = grammar.dialects.with(Dialect::Influx);
        let lines = corpus.lines().map(Into::into).collect();
        Self { lines, reader: LineReader::new(grammar), sum: 0.0 }
    }
}

impl Routine for General {
    fn units(&self) -> u64 {
        self.lines.len() as u64
    }

    fn run(&mut self) {
        let mut sum = 0.0;
        for line in &self.lines {
            let ParsedLine::Metrics(line) = self.reader.read(line) else { continue };
            let samples = line.samples().flatten();
            sum += line.name.len() as f64 + samples.map(weight).sum::<f64>();
        }
        self.sum = black_box(sum);
    }

    fn outcome(&mut self) -> f64 {
        self.sum
    }
}

/// A figure that needs the sample.
fn weight(sample: Sample<'_>) -> f64 {
    match sample {
        Sample::Member(member) => member.len() as f64,
        Sample::Time { value, .. } | Sample::Cumulative { value, .. } => value,
        Sample::Count(value) | Sample::Level(value) | Sample::Change(value) | Sample::Kv(value) => {
            value
        }
    }
}
