//! JSON, one object in each line:
//! `{"name":"stats_counts.hits","tags":{"env":"prod"},"value":2,"timestamp":10}`.
//!
//! The names and values are those of Graphite plaintext, but the tags are separate. A clean name
//! needs no escapes. In a raw name, quotes and backslashes get a backslash.

use super::chunk::Chunks;
use super::encoder::Encoder;
use super::names::Points;
use super::namespace::Namespace;
use super::number::Number;
use crate::flush::Summary;
use crate::policy::FigureNames;

/// The encoder of JSON lines.
#[derive(Debug)]
pub(super) struct JsonLines {
    points: Points,
    stamp: u64,
    number: Number,
    chunks: Chunks,
}

impl JsonLines {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        let points = Points::raw(namespace, figures);
        Self { points, stamp: 0, number: Number::new(), chunks: Chunks::default() }
    }
}

impl Encoder for JsonLines {
    fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = stamp;
        self.chunks.begin(flush);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        let Self { points, stamp, number, chunks } = self;
        points.of(summary, |point, _| {
            let line = chunks.line();
            line.extend_from_slice(b"{\"name\":\"");
            let start = line.len();
            point.append_bare_name(line);
            if point.is_raw {
                escape(line, start);
            }
            line.push(b'"');
            append_tags(point.tags, point.is_raw, line);
            line.extend_from_slice(b",\"value\":");
            number.append(point.value, line);
            let stamp = point.timestamp.unwrap_or(*stamp);
            line.extend_from_slice(format!(",\"timestamp\":{stamp}}}\n").as_bytes());
        });
    }

    fn end(&mut self) {
        self.chunks.end();
    }

    fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }
}

/// Appends `;k=v;k2=v2` as an object, or nothing if there are no tags.
fn append_tags(tags: &[u8], is_raw: bool, out: &mut Vec<u8>) {
    let mut opening: &[u8] = b",\"tags\":{\"";
    for tag in tags.split(|&byte| byte == b';').filter(|tag| !tag.is_empty()) {
        let equals = memchr::memchr(b'=', tag).unwrap_or(tag.len());
        out.extend_from_slice(opening);
        let value = tag.get(equals + 1..).unwrap_or_default();
        for (text, after) in [(&tag[..equals], "\":\""), (value, "\"")] {
            let start = out.len();
            out.extend_from_slice(text);
            if is_raw {
                escape(out, start);
            }
            out.extend_from_slice(after.as_bytes());
        }
        opening = b",\"";
    }
    if !tags.is_empty() {
        out.push(b'}');
    }
}

/// Escapes the text from `start` on. A raw name has no control characters.
fn escape(text: &mut Vec<u8>, start: usize) {
    for byte in text.split_off(start) {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
}

/// Returns the name and the tags of each object in a chunk, as they are written.
pub(super) fn names(chunk: &[u8]) -> Vec<Vec<u8>> {
    let lines = chunk.split(|byte| *byte == b'\n');
    // In a string each quote has a backslash, so this text is no part of a name or tag.
    let id = |line: &[u8]| {
        let end = memchr::memmem::rfind(line, b",\"value\":")?;
        Some([&line[..end], b"}"].concat())
    };
    lines.filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flush::Subject;
    use crate::policy::{Figure, FigureId};

    #[test]
    fn a_point_is_an_object_on_a_line_of_its_own() {
        let mut json = JsonLines::new(&Namespace::default(), &FigureNames::new(&[], &[]));
        json.begin(1, 10);
        for (subject, name, id, value, timestamp) in [
            (Subject::Counter, &b"hits;env=prod;route=a"[..], FigureId::COUNT, 2.0, None),
            (Subject::Gauge, b"load", FigureId::VALUE, -1e-7, Some(77)),
            (Subject::Gauge, b"dir/ty\"\\x;k\"=v\\w", FigureId::VALUE, 0.5, None),
            (Subject::Gauge, "caf\u{e9} 1;k=\u{e9}".as_bytes(), FigureId::VALUE, 0.5, None),
            (Subject::Gauge, b"no text\xff;k=v", FigureId::VALUE, 1.0, None),
        ] {
            let figures = [Figure { id, value }];
            let summary = Summary::new(subject, name, &figures);
            json.encode(&Summary { timestamp, ..summary });
        }
        json.end();
        let text: Vec<u8> = json.chunks().take().flat_map(|chunk| chunk.bytes().to_vec()).collect();
        let expected = "\
{\"name\":\"stats_counts.hits\",\"tags\":{\"env\":\"prod\",\"route\":\"a\"},\"value\":2,\"timestamp\":10}
{\"name\":\"stats.gauges.load\",\"value\":-1e-7,\"timestamp\":77}
{\"name\":\"stats.gauges.dir/ty\\\"\\\\x\",\"tags\":{\"k\\\"\":\"v\\\\w\"},\"value\":0.5,\"timestamp\":10}
{\"name\":\"stats.gauges.caf\u{e9} 1\",\"tags\":{\"k\":\"\u{e9}\"},\"value\":0.5,\"timestamp\":10}
{\"name\":\"stats.gauges.no_text\",\"tags\":{\"k\":\"v\"},\"value\":1,\"timestamp\":10}
";
        assert_eq!(String::from_utf8(text.clone()).unwrap(), expected);
        let names = names(&text);
        assert_eq!(names.len(), 5);
        assert_eq!(names[1], b"{\"name\":\"stats.gauges.load\"}");
        assert!(names[0].ends_with(b"\"tags\":{\"env\":\"prod\",\"route\":\"a\"}}"));
    }
}
