//! All encoders in use. Each encodes a summary once, however many sinks take its chunks.

use std::rc::Rc;

use super::chunk::Chunk;
use super::encoder::{Encoder, RefusedPoints};
use super::ganglia::{self, Ganglia};
use super::graphite::Graphite;
use super::influx::Influx;
use super::json_lines::JsonLines;
use super::namespace::Namespace;
use super::pickle::Pickle;
use crate::flush::Summary;
use crate::policy::FigureNames;
use crate::series::Audience;

/// The format of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `name value timestamp` lines.
    Plaintext,
    /// `name|value|timestamp` lines.
    Piped,
    /// Messages of at most `batch` points for the pickle receiver of carbon.
    Pickle { batch: u32 },
    /// One JSON object a line.
    JsonLines,
    /// InfluxDB's line protocol.
    Influx,
    /// Ganglia's packets.
    Ganglia(ganglia::Labels),
}

impl Format {
    /// Whether a name is sent as it came with `sanitize_keys = no`. The other formats, or their
    /// receivers, cannot store every character.
    fn stores_raw_names(&self) -> bool {
        match self {
            Self::Influx | Self::JsonLines => true,
            Self::Plaintext | Self::Piped | Self::Pickle { .. } | Self::Ganglia(_) => false,
        }
    }
}

#[derive(Debug)]
pub struct Encoders(Vec<Row>);

/// An encoder, and the pair that it is for.
#[derive(Debug)]
struct Row {
    format: Format,
    /// The name of its name space.
    namespace: String,
    encoder: Box<dyn Encoder>,
}

/// Identifies the encoder whose chunks a sink takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncoderId(usize);

impl Encoders {
    /// Makes one encoder for each pair of format and name space in `wanted`, however often it
    /// occurs.
    pub fn new<'a>(
        wanted: impl IntoIterator<Item = (Format, &'a Namespace)>,
        figures: &FigureNames,
    ) -> Self {
        let mut encoders = Self(Vec::new());
        for (format, namespace) in wanted {
            if encoders.id(&format, &namespace.name).is_none() {
                let encoder = encoder(&format, namespace, figures);
                encoders.0.push(Row { format, namespace: namespace.name.clone(), encoder });
            }
        }
        encoders
    }

    /// Returns the encoder for this format and the name space with this name.
    pub fn id(&self, format: &Format, namespace: &str) -> Option<EncoderId> {
        let is_it = |row: &Row| row.format == *format && row.namespace == namespace;
        self.0.iter().position(is_it).map(EncoderId)
    }

    /// Begins a flush. Its lines have the timestamp `stamp`, in seconds since 1970.
    pub fn begin(&mut self, flush: u64, stamp: u64) {
        self.0.iter_mut().for_each(|row| row.encoder.begin(flush, stamp));
    }

    pub fn encode(&mut self, summary: &Summary<'_>) {
        if summary.audience == Audience::Every {
            return self.0.iter_mut().for_each(|row| row.encoder.encode(summary));
        }
        let is_raw = summary.audience == Audience::Raw;
        let rows = self.0.iter_mut().filter(|row| row.format.stores_raw_names() == is_raw);
        rows.for_each(|row| row.encoder.encode(summary));
    }

    /// Ends the flush. The remaining lines become chunks.
    pub fn end(&mut self) {
        self.0.iter_mut().for_each(|row| row.encoder.end());
    }

    /// Returns the points left out since the last call, for each encoder that left out any.
    pub fn take_refused(&mut self) -> impl Iterator<Item = RefusedPoints> {
        let refused = self.0.iter_mut().map(|row| row.encoder.take_refused());
        refused.filter(|refused| refused.points > 0)
    }

    /// Takes the sealed chunks, each encoder's oldest first.
    pub fn take(&mut self) -> impl Iterator<Item = (EncoderId, Rc<Chunk>)> {
        self.0.iter_mut().enumerate().flat_map(|(place, row)| {
            row.encoder.chunks().take().map(move |chunk| (EncoderId(place), chunk))
        })
    }
}

fn encoder(format: &Format, namespace: &Namespace, figures: &FigureNames) -> Box<dyn Encoder> {
    match format {
        Format::Plaintext => Box::new(Graphite::new(namespace, figures)),
        Format::Pickle { batch } => Box::new(Pickle::new(namespace, figures, *batch)),
        Format::Piped => Box::new(Graphite::piped(namespace, figures)),
        Format::JsonLines => Box::new(JsonLines::new(namespace, figures)),
        Format::Influx => Box::new(Influx::new(namespace, figures)),
        Format::Ganglia(labels) => Box::new(Ganglia::new(labels, namespace, figures)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::namespace::Style;
    use super::*;
    use crate::flush::Subject;
    use crate::policy::{Figure, FigureId};

    #[test]
    fn a_summary_is_encoded_once_for_each_format_and_name_space() {
        let old = Namespace::default();
        let modern = Namespace { name: "new".into(), style: Style::Modern, ..Default::default() };
        let wanted = [&old, &modern, &old].map(|namespace| (Format::Plaintext, namespace));
        let mut encoders = Encoders::new(wanted, &FigureNames::new(&[], &[]));
        let id = |encoders: &Encoders, name| encoders.id(&Format::Plaintext, name);
        let old = id(&encoders, "").unwrap();
        let new = id(&encoders, "new").unwrap();
        assert_eq!(id(&encoders, "statsite"), None);
        encoders.begin(1, 10);
        let figures = [Figure { id: FigureId::COUNT, value: 2.0 }];
        let subject = Subject::Counter;
        let name = &b"a"[..];
        let summary = Summary {
            subject,
            audience: Audience::Every,
            name,
            figures: &figures,
            idle: false,
            timestamp: None,
        };
        encoders.encode(&summary);
        assert_eq!(encoders.take().count(), 0, "no chunk is full");
        encoders.end();
        let texts: Vec<_> =
            encoders.take().map(|(id, chunk)| (id, chunk.bytes().to_vec())).collect();
        assert_eq!(
            texts,
            [
                (old, b"stats_counts.a 2 10\n".into()),
                (new, b"stats.counters.a.count 2 10\n".into())
            ]
        );
    }
}
