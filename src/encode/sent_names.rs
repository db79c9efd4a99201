//! The names that a summary is sent as, read from the bytes that its encoders write.

use super::chunk::Chunk;
use super::encoder::RefusalReason;
use super::encoders::{EncoderId, Encoders, Format};
use super::{ganglia, influx, json_lines, pickle, records};
use crate::flush::Summary;
use crate::time::UnixTime;

/// The points of a summary in one encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentNames {
    pub encoder: EncoderId,
    pub names: Vec<Vec<u8>>,
    /// Why some of the points are left out.
    pub refused: Vec<RefusalReason>,
}

/// Copies of the encoders, which encode summaries that are not sent.
#[derive(Debug)]
pub struct NameEncoders {
    encoders: Encoders,
    /// The number of summaries so far. Each is a flush of its own.
    flush: u64,
}

impl NameEncoders {
    pub fn of(encoders: &Encoders) -> Self {
        Self { encoders: encoders.empty_copy(), flush: 0 }
    }

    /// Returns the points of each encoder that sends points of a summary, or leaves some out.
    ///
    /// - A point of InfluxDB has the name `MEASUREMENT,TAGS FIELD`.
    /// - A JSON object has its name and its tags.
    /// - A record of statsite has its key, its type and its figure.
    pub fn names(&mut self, summary: &Summary<'_>) -> Vec<SentNames> {
        self.flush += 1;
        self.encoders.begin(self.flush, UnixTime::default());
        self.encoders.encode(summary);
        self.encoders.end();
        let mut all = Vec::new();
        let chunks: Vec<_> = self.encoders.take().collect();
        for (encoder, chunk) in chunks {
            let names = names(self.encoders.format(encoder), &chunk);
            SentNames { encoder, names, refused: Vec::new() }.add_to(&mut all);
        }
        for (encoder, refused) in self.encoders.take_refused_by_encoder() {
            let refused: Vec<_> = refused.into_iter().map(|refused| refused.reason).collect();
            if !refused.is_empty() {
                SentNames { encoder, names: Vec::new(), refused }.add_to(&mut all);
            }
        }
        all
    }
}

impl SentNames {
    /// Adds the points to those of the same encoder.
    pub fn add_to(self, all: &mut Vec<Self>) {
        let Some(known) = all.iter_mut().find(|known| known.encoder == self.encoder) else {
            return all.push(self);
        };
        known.names.extend(self.names);
        known.refused.extend(self.refused);
        known.refused.dedup();
    }
}

/// Returns the names of the points in a chunk.
pub fn names(format: &Format, chunk: &Chunk) -> Vec<Vec<u8>> {
    let bytes = chunk.bytes();
    match format {
        Format::Plaintext | Format::Text => of_lines(bytes, b' ', 2),
        Format::Piped => of_lines(bytes, b'|', 2),
        Format::Records { .. } => records::names(bytes),
        Format::Pickle { .. } => pickle::names(bytes),
        Format::JsonLines => json_lines::names(bytes),
        Format::Influx { .. } => influx::names(bytes),
        Format::Ganglia(_) => of_lines(&ganglia::values_as_text(bytes), b' ', 1),
    }
}

/// Returns each line without its last `fields` fields.
fn of_lines(text: &[u8], separator: u8, fields: usize) -> Vec<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let name =
        |line: &[u8]| line.rsplitn(fields + 1, |byte| *byte == separator).last().map(Vec::from);
    lines.filter_map(name).collect()
}
