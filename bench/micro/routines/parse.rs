//! Parses lines into samples: by the reader of plain lines, and by the general one.

use statsd::protocol::{
    Dialect, Grammar, LineReader, MetricKind, ParsedLine, PlainLine, Sample, read_plain,
};

use super::corpus::Corpus;
use super::{Plain, Routine, Row, row};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("parse", "W2 plain", "line", |_| plain(Corpus::w2())),
        row("parse", "W5 plain", "line", |_| plain(Corpus::w5())),
        row("parse", "W2 general", "line", |_| general(&Corpus::w2())),
        row("parse", "W5 general", "line", |_| general(&Corpus::w5())),
        row("parse", "clients general", "line", |_| general(&Corpus::clients())),
    ]
}

/// Lines one after the other from a packet, as the engine takes them. It does not look for names
/// that it knows.
fn plain(corpus: Corpus) -> impl Routine {
    let grammar = Grammar::default();
    Plain::new(corpus.lines().count() as u64, move || {
        let mut sum = 0.0;
        for packet in corpus.packets() {
            let mut rest = packet;
            while let Some(line) = read_plain(&grammar, rest) {
                let PlainLine { plain, length, tags } = line;
                let is_set = plain.kind == MetricKind::Set;
                let value = if is_set { plain.text.len() as f64 } else { plain.value };
                sum += (plain.name.len() + tags.map_or(0, |tags| tags.len() + 1)) as f64 + value;
                rest = rest.get(length + 1..).unwrap_or_default();
            }
        }
        sum
    })
}

/// Any lines, found beforehand. What is no line weighs nothing.
fn general(corpus: &Corpus) -> impl Routine + use<> {
    let mut grammar = Grammar::default();
    grammar.dialects = grammar.dialects.with(Dialect::Influx);
    let mut reader = LineReader::new(grammar);
    let lines: Vec<Box<[u8]>> = corpus.lines().map(Into::into).collect();
    Plain::new(lines.len() as u64, move || {
        let mut sum = 0.0;
        for line in &lines {
            let ParsedLine::Metrics(line) = reader.read(line) else { continue };
            let samples = line.samples().flatten();
            sum += line.name.len() as f64 + samples.map(weight).sum::<f64>();
        }
        sum
    })
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
