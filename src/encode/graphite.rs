//! Graphite plaintext: `name value timestamp\n`.
//!
//! The parts of a name that do not depend on the series are composed once: the text before its
//! name, and the text between its bare name and its tags (`names.rs`).

use super::chunk::Chunks;
use super::encoder::Encoder;
use super::names::Points;
use super::namespace::Namespace;
use super::number::Number;
use crate::flush::Summary;
use crate::policy::FigureNames;

/// The encoder of lines for Graphite and of lines as statsite writes them.
#[derive(Debug)]
pub struct Graphite {
    points: Points,
    /// The byte between name, value and timestamp.
    separator: u8,
    /// The end of every line of the flush: separator, timestamp in seconds, newline.
    stamp: Vec<u8>,
    number: Number,
    chunks: Chunks,
}

impl Graphite {
    pub fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            points: Points::new(namespace, figures),
            separator: b' ',
            stamp: Vec::new(),
            number: Number::new(),
            chunks: Chunks::default(),
        }
    }

    /// Lines as statsite writes them to its sinks: `name|value|timestamp\n`.
    pub fn piped(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self { separator: b'|', ..Self::new(namespace, figures) }
    }

    /// Begins a flush. Its lines have the timestamp `stamp`, in seconds since 1970.
    pub fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = line_end(self.separator, stamp);
        self.chunks.begin(flush);
    }

    pub fn encode(&mut self, summary: &Summary<'_>) {
        let Self { points, separator, stamp, number, chunks } = self;
        points.of(summary, |point, _| {
            let line = chunks.line();
            point.append_name(line);
            line.push(*separator);
            number.append(point.value, line);
            match point.timestamp {
                None => line.extend_from_slice(stamp),
                Some(own_time) => line.extend_from_slice(&line_end(*separator, own_time)),
            }
        });
    }

    /// The chunks, from which the caller takes the sealed ones.
    pub fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }
}

impl Encoder for Graphite {
    fn begin(&mut self, flush: u64, stamp: u64) {
        Self::begin(self, flush, stamp);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        Self::encode(self, summary);
    }

    fn end(&mut self) {
        self.chunks.end();
    }

    fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }
}

/// Returns the end of a line: separator, timestamp, newline.
pub(super) fn line_end(separator: u8, stamp: u64) -> Vec<u8> {
    format!("{}{stamp}\n", char::from(separator)).into_bytes()
}
