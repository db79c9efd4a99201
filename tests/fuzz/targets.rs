//! What is fuzzed: one function a target. Each panics on what must never be, and is silent on the rest.
#![allow(dead_code, clippy::unwrap_used)] // each fuzz binary has one target, and fails where it cannot go on

use std::path::Path;
use std::time::Duration;

use statsd::encode::graphite::Graphite;
use statsd::encode::namespace::Namespace;
use statsd::engine::{Closing, Engine, Settings};
use statsd::flush::FigureNames;
use statsd::ingest::lines::{Piece, StreamSplitter};
use statsd::protocol::{Dialect, Dialects, Grammar, LineReader, Reading, Sample};
use statsd::series::{Bounds, Seeds};

pub(crate) type Target = fn(&[u8]);

/// Every target and the folder of its corpus.
pub(crate) const ALL: [(&str, Target); 5] =
    [("packet", packet), ("stream", stream), ("binary", binary), ("ini", ini), ("flush", flush)];

/// Lines, under grammars that differ: names are never empty nor too long, numbers always finite.
pub(crate) fn packet(data: &[u8]) {
    for grammar in grammars() {
        let mut reader = LineReader::new(grammar.clone());
        for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Reading::Line(line) = reader.read(line) {
                check_name(&grammar, line.name);
                line.samples().flatten().for_each(check_sample);
            }
        }
    }
}

/// A stream, the first byte saying how it is cut: whatever the pieces, the same series.
pub(crate) fn stream(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    assert_eq!(streamed(data, usize::from(*size).max(1)), streamed(data, usize::MAX));
}

/// One binary message.
pub(crate) fn binary(data: &[u8]) {
    for grammar in grammars() {
        let mut reader = LineReader::new(grammar.clone());
        if let Ok(message) = reader.read_binary(data) {
            check_name(&grammar, message.name);
            check_sample(message.sample);
        }
    }
}

/// A configuration file: what is printed of a good one is read as the same one.
pub(crate) fn ini(data: &[u8]) {
    let file = Path::new("fuzz.conf");
    if let Ok(config) = statsd::config::parse(file, data) {
        let printed = statsd::config::render(&config);
        assert_eq!(statsd::config::parse(file, printed.as_bytes()).unwrap(), config, "{printed}");
    }
}

/// Datagrams, parted by the byte `1e`, between the slices of two flushes: every line sent is one that carbon takes.
pub(crate) fn flush(data: &[u8]) {
    let (mut engine, settings) = (engine(), settings());
    let namespace = Namespace::default();
    let figures = FigureNames::new(&settings.rules.percentiles(), &settings.rules.bins());
    let mut graphite = Graphite::new(&namespace, &figures);
    let mut packets = data.split(|byte| *byte == 0x1e);
    for stamp in [10, 20] {
        packets.by_ref().take(4).for_each(|packet| engine.packet(packet));
        graphite.begin(engine.tick(), stamp);
        while !engine.sweep(1, &mut |summary| graphite.encode(summary)) {
            packets.by_ref().take(1).for_each(|packet| engine.packet(packet));
        }
        engine.finish(&Closing::default(), &mut |summary| graphite.encode(summary));
        graphite.chunks().end();
        for chunk in graphite.chunks().take() {
            let text = std::str::from_utf8(chunk.bytes()).unwrap();
            assert!(text.is_ascii() && text.ends_with('\n'), "{text:?}");
            text.lines().for_each(check_line);
        }
    }
}

fn check_name(grammar: &Grammar, name: &[u8]) {
    assert!(!name.is_empty() && name[0] != b';', "{}", name.escape_ascii());
    assert!(name.len() <= grammar.max_key_length);
    let clean = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.;=".contains(byte);
    assert!(!grammar.sanitize || name.iter().all(clean), "{}", name.escape_ascii());
}

fn check_sample(sample: Sample<'_>) {
    let numbers = match sample {
        Sample::Count(value) | Sample::Level(value) | Sample::Change(value) | Sample::Kv(value) => {
            [value, 0.0]
        }
        Sample::Cumulative { value, weight } | Sample::Time { value, weight } => [value, weight],
        Sample::Member(member) => return assert!(!member.is_empty()),
    };
    assert!(numbers.iter().all(|number| number.is_finite()), "{sample:?}");
}

/// Name, value and stamp; the value a finite number.
fn check_line(line: &str) {
    assert!(line.len() < 4096, "{line}");
    let [name, value, stamp] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    assert!(!name.is_empty() && value.parse::<f64>().unwrap().is_finite(), "{line}");
    assert!(stamp.parse::<u64>().is_ok(), "{line}");
}

/// The summaries of a stream that came in pieces of `size` bytes, sorted, own counters among them.
fn streamed(data: &[u8], size: usize) -> Vec<String> {
    let (mut engine, mut splitter) = (engine(), StreamSplitter::default());
    let mut take = |piece: Piece<'_>| match piece {
        Piece::Lines(text) => engine.lines(text),
        Piece::Binary(message) => engine.binary(message),
        Piece::Overlong(start) => engine.overlong_line(start),
    };
    data.chunks(size).for_each(|piece| splitter.feed(piece, 64, &mut take));
    splitter.end(&mut take);
    engine.tick();
    let mut summaries = Vec::new();
    let mut show = |summary: &statsd::flush::Summary<'_>| summaries.push(format!("{summary:?}"));
    while !engine.sweep(usize::MAX, &mut show) {}
    engine.finish(&Closing::default(), &mut show);
    summaries.sort();
    summaries
}

fn grammars() -> [Grammar; 3] {
    let all = Grammar { dialects: Dialects::from_iter(Dialect::ALL), ..Grammar::default() };
    [Grammar::default(), Grammar { sanitize: false, max_key_length: 16, ..all.clone() }, all]
}

fn engine() -> Engine {
    Engine::new(&settings(), Seeds { names: [1, 2, 3, 4], members: [5, 6] })
}

/// Every sort of rule, and little room, so that its end is met.
fn settings() -> Settings {
    const CONF: &str = "[statsd]\npercentiles = 50, 99.9, -10\n[limits]\nevict_after = 0\n\
        [rule.drop]\nmatch = d*\ndrop = yes\n[rule.abs]\nmatch = g*\nsigned_gauges = absolute\n\
        [rule.bins]\nmatch = t*\nhistogram = 1, 10, inf\n[rule.idle]\nmatch = n*\ndelete_idle = yes\n";
    let config = statsd::config::parse(Path::new("fuzz.conf"), CONF.as_bytes()).unwrap();
    let bounds =
        Bounds { max_series: 8, sample_memory: 1024, passthrough_memory: 512, ..config.bounds };
    Settings {
        grammar: config.grammar,
        bounds,
        rules: config.rules,
        flush_interval: Duration::from_secs(10),
        prefix_stats: "statsd".into(),
        count_names: true,
    }
}
