//! Shows the result of the line reader as text, so that tables of tests can hold it.

use statsd::protocol::{Grammar, LineReader, ParsedLine, Reject, Sample};

/// What a line does, as text: `name <sample> <sample> !reason …`.
pub(crate) fn read(grammar: &Grammar, line: &[u8]) -> String {
    let mut reader = LineReader::new(grammar.clone());
    let line = match reader.read(line) {
        ParsedLine::Event => return "event".into(),
        ParsedLine::Bad(reject) => return format!("!{reject:?}"),
        ParsedLine::Metrics(line) => line,
    };
    let mut out = String::from_utf8_lossy(line.name).into_owned();
    line.samples().for_each(|sample| out += &shown(sample));
    match line.timestamp {
        Some(at) => format!("{out} at {at}"),
        None => out,
    }
}

fn shown(sample: Result<Sample<'_>, Reject>) -> String {
    match sample {
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
    }
}

/// What a binary message does, as [`read`] shows a line.
pub(crate) fn read_binary(grammar: &Grammar, message: &[u8]) -> String {
    match LineReader::new(grammar.clone()).read_binary(message) {
        Ok(message) => {
            String::from_utf8_lossy(message.name).into_owned() + &shown(Ok(message.sample))
        }
        Err(reject) => format!("!{reject:?}"),
    }
}

/// A binary message with a value.
pub(crate) fn message(code: u8, key: &[u8], value: f64) -> Vec<u8> {
    let length = u16::try_from(key.len()).unwrap().to_le_bytes();
    [&[0xaa, code][..], &length, &value.to_le_bytes(), key].concat()
}

/// A binary message with a set's member.
pub(crate) fn member(key: &[u8], member: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| u16::try_from(text.len()).unwrap().to_le_bytes();
    [&[0xaa, 4][..], &length(key), &length(member), key, member].concat()
}

#[track_caller]
pub(crate) fn check(grammar: &Grammar, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(read(grammar, line.as_bytes()), *expected, "{line:?}");
    }
}
