//! What the reader makes of bytes, as text that a table can hold.
#![allow(dead_code)] // each test binary uses its own part

use statsd::protocol::{Grammar, LineReader, Reading, Sample};

/// What a line does, as text: `name <sample> <sample> !reason …`.
pub(crate) fn read(grammar: &Grammar, line: &[u8]) -> String {
    let mut reader = LineReader::new(grammar.clone());
    let line = match reader.read(line) {
        Reading::Event => return "event".into(),
        Reading::Bad(reject) => return format!("!{reject:?}"),
        Reading::Line(line) => line,
    };
    let mut out = String::from_utf8_lossy(line.name).into_owned();
    for sample in line.samples() {
        out += &match sample {
            Ok(Sample::Count(value)) => format!(" count {value}"),
            Ok(Sample::Cumulative { value, weight: 1.0 }) => format!(" cumulative {value}"),
            Ok(Sample::Cumulative { value, weight }) => format!(" cumulative {value}x{weight}"),
            Ok(Sample::Kv(value)) => format!(" kv {value}"),
            Ok(Sample::Level(value)) => format!(" level {value}"),
            Ok(Sample::Change(value)) => format!(" change {value}"),
            Ok(Sample::Time { value, weight: 1.0 }) => format!(" time {value}"),
            Ok(Sample::Time { value, weight }) => format!(" time {value}x{weight}"),
            Ok(Sample::Member(member)) => format!(" member {}", String::from_utf8_lossy(member)),
            Err(reject) => format!(" !{reject:?}"),
        };
    }
    match line.timestamp {
        Some(at) => format!("{out} at {at}"),
        None => out,
    }
}

#[track_caller]
pub(crate) fn check(grammar: &Grammar, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(read(grammar, line.as_bytes()), *expected, "{line:?}");
    }
}
