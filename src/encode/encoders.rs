//! All encoders in use. Each encodes a summary once, however many sinks take its chunks.

use std::rc::Rc;

use super::chunk::Chunk;
use super::encoder::{Encoder, RefusedPoints};
use super::ganglia::{self, Ganglia};
use super::graphite::Graphite;
use super::influx::Influx;
use super::json_lines::JsonLines;
use super::namespace::{Namespace, Style};
use super::pickle::Pickle;
use super::records::Records;
use super::statsite_lines::StatsiteLines;
use crate::flush::Summary;
use crate::policy::FigureNames;
use crate::series::Audience;
use crate::time::UnixTime;

/// The format of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `name value timestamp` lines for carbon.
    Plaintext,
    /// The same lines without carbon's limits.
    Text,
    /// `name|value|timestamp` lines. In the style of statsite their numbers are written as statsite
    /// writes them.
    Piped,
    /// statsite's binary records.
    Records { is_prefixed: bool },
    /// Messages of at most `batch` points for the pickle receiver of carbon.
    Pickle { batch: u32 },
    /// One JSON object a line.
    JsonLines,
    /// InfluxDB's line protocol. Over UDP each line must fit into a datagram.
    Influx { is_for_udp: bool },
    /// Ganglia's packets.
    Ganglia(ganglia::Labels),
}

impl Format {
    /// Whether a name is sent as it came with `sanitize_keys = no`. The other formats, or their
    /// receivers, cannot store every character.
    fn stores_raw_names(&self) -> bool {
        match self {
            Self::Influx { .. } | Self::JsonLines => true,
            Self::Plaintext
            | Self::Text
            | Self::Piped
            | Self::Records { .. }
            | Self::Pickle { .. }
            | Self::Ganglia(_) => false,
        }
    }
}

/// All encoders, and the names of the figures that they write.
#[derive(Debug)]
pub struct Encoders {
    rows: Vec<Row>,
    figures: FigureNames,
}

/// An encoder, and the destinations whose chunks it makes.
#[derive(Debug)]
struct Row {
    format: Format,
    namespace: Namespace,
    /// Whether the server's own figures are encoded.
    own_figures: bool,
    /// Whether timestamps are rounded to the nearest second, as in Node. Otherwise the fraction is
    /// left out, as in statsite. It matters only if flushes are not aligned.
    rounds: bool,
    encoder: Box<dyn Encoder>,
}

impl Row {
    /// Whether its destinations get the series of `audience`.
    fn is_in(&self, audience: Audience) -> bool {
        match audience {
            Audience::Every => true,
            Audience::Raw => self.format.stores_raw_names(),
            Audience::Clean => !self.format.stores_raw_names(),
        }
    }
}

/// Identifies the encoder whose chunks a sink takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncoderId(usize);

impl Encoders {
    /// Makes one encoder for each combination of format, name space and own figures in `wanted`,
    /// however often it occurs. The third value is true if the server's own figures are encoded.
    pub fn new<'a>(
        wanted: impl IntoIterator<Item = (Format, &'a Namespace, bool)>,
        figures: &FigureNames,
    ) -> Self {
        let mut encoders = Self { rows: Vec::new(), figures: figures.clone() };
        for (format, namespace, own_figures) in wanted {
            if encoders.id(&format, &namespace.name, own_figures).is_none() {
                encoders.rows.push(Row {
                    encoder: encoder(&format, namespace, figures),
                    rounds: namespace.style != Style::Statsite
                        && !matches!(format, Format::Records { .. }),
                    format,
                    namespace: namespace.clone(),
                    own_figures,
                });
            }
        }
        encoders
    }

    /// Returns the same encoders without anything encoded. Their ids are the same, too.
    pub(super) fn empty_copy(&self) -> Self {
        let of = |row: &Row| (row.format.clone(), row.namespace.clone(), row.own_figures);
        let rows: Vec<_> = self.rows.iter().map(of).collect();
        let wanted = rows.iter().map(|(format, space, own)| (format.clone(), space, *own));
        Self::new(wanted, &self.figures)
    }

    /// The format that an encoder writes.
    pub(super) fn format(&self, EncoderId(row): EncoderId) -> &Format {
        &self.rows[row].format
    }

    /// Returns the points that each encoder has left out since the last call.
    pub(super) fn take_refused_by_encoder(
        &mut self,
    ) -> impl Iterator<Item = (EncoderId, Vec<RefusedPoints>)> {
        let rows = self.rows.iter_mut().enumerate();
        rows.map(|(place, row)| (EncoderId(place), row.encoder.take_refused()))
    }

    /// Returns the encoder for this format, the name space with this name, and `own_figures`.
    pub fn id(&self, format: &Format, namespace: &str, own_figures: bool) -> Option<EncoderId> {
        let is_it = |row: &Row| {
            row.format == *format
                && row.namespace.name == namespace
                && row.own_figures == own_figures
        };
        self.rows.iter().position(is_it).map(EncoderId)
    }

    /// Begins a flush. Its lines have the timestamp `stamp`, in whole seconds.
    pub fn begin(&mut self, flush: u64, stamp: UnixTime) {
        for row in &mut self.rows {
            let secs = if row.rounds { stamp.as_secs() } else { stamp.as_full_secs() };
            row.encoder.begin(flush, secs);
        }
    }

    pub fn encode(&mut self, summary: &Summary<'_>) {
        if summary.audience == Audience::Every {
            return self.rows.iter_mut().for_each(|row| row.encoder.encode(summary));
        }
        self.rows.iter_mut().filter(|row| row.is_in(summary.audience)).for_each(|row| {
            row.encoder.encode(summary);
        });
    }

    /// Encodes an own figure of the server, for the destinations that get them.
    pub fn encode_own(&mut self, summary: &Summary<'_>) {
        let rows =
            self.rows.iter_mut().filter(|row| row.own_figures && row.is_in(summary.audience));
        rows.for_each(|row| row.encoder.encode(summary));
    }

    /// Ends the flush. The remaining lines become chunks.
    pub fn end(&mut self) {
        self.rows.iter_mut().for_each(|row| row.encoder.end());
    }

    /// Returns the points left out since the last call, for each encoder, reason and sender.
    pub fn take_refused(&mut self) -> impl Iterator<Item = (EncoderId, RefusedPoints)> {
        self.rows.iter_mut().enumerate().flat_map(|(place, row)| {
            let refused = row.encoder.take_refused().into_iter();
            refused.map(move |refused| (EncoderId(place), refused))
        })
    }

    /// Takes the sealed chunks, each encoder's oldest first.
    pub fn take(&mut self) -> impl Iterator<Item = (EncoderId, Rc<Chunk>)> {
        self.rows.iter_mut().enumerate().flat_map(|(place, row)| {
            row.encoder.chunks().take().map(move |chunk| (EncoderId(place), chunk))
        })
    }
}

fn encoder(format: &Format, namespace: &Namespace, figures: &FigureNames) -> Box<dyn Encoder> {
    match format {
        Format::Plaintext => Box::new(Graphite::new(namespace, figures)),
        Format::Text => Box::new(Graphite::text(namespace, figures)),
        Format::Pickle { batch } => Box::new(Pickle::new(namespace, figures, *batch)),
        Format::Piped => match namespace.style {
            Style::Legacy | Style::Modern => Box::new(Graphite::piped(namespace, figures)),
            Style::Statsite => Box::new(StatsiteLines::new(namespace, figures)),
        },
        Format::Records { is_prefixed } => Box::new(Records::new(namespace, figures, *is_prefixed)),
        Format::JsonLines => Box::new(JsonLines::new(namespace, figures)),
        Format::Influx { is_for_udp } => Box::new(Influx::new(namespace, figures, *is_for_udp)),
        Format::Ganglia(labels) => Box::new(Ganglia::new(labels, namespace, figures)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flush::Subject;
    use crate::policy::{Figure, FigureId};

    fn texts(encoders: &mut Encoders) -> Vec<(EncoderId, String)> {
        let text = |chunk: Rc<Chunk>| String::from_utf8(chunk.bytes().to_vec()).unwrap();
        encoders.take().map(|(id, chunk)| (id, text(chunk))).collect()
    }

    #[test]
    fn a_summary_is_encoded_once_for_each_format_and_name_space() {
        let old = Namespace::default();
        let modern = Namespace { name: "new".into(), style: Style::Modern, ..Default::default() };
        let wanted = [&old, &modern, &old].map(|namespace| (Format::Plaintext, namespace, true));
        let mut encoders = Encoders::new(wanted, &FigureNames::new(&[], &[]));
        let id = |encoders: &Encoders, name| encoders.id(&Format::Plaintext, name, true);
        let old = id(&encoders, "").unwrap();
        let new = id(&encoders, "new").unwrap();
        assert_eq!(id(&encoders, "statsite"), None);
        encoders.begin(1, UnixTime::from_secs(10));
        let figures = [Figure { id: FigureId::COUNT, value: 2.0 }];
        let summary = Summary::new(Subject::Counter, b"a", &figures);
        encoders.encode(&summary);
        assert_eq!(encoders.take().count(), 0, "no chunk is full");
        encoders.end();
        assert_eq!(
            texts(&mut encoders),
            [(old, "stats_counts.a 2 10\n".into()), (new, "stats.counters.a.count 2 10\n".into())]
        );
    }

    #[test]
    fn only_the_style_of_statsite_cuts_fractions_of_timestamps() {
        let statsite = Namespace { name: "old".into(), ..Namespace::statsite() };
        let node = Namespace::default();
        let records = Format::Records { is_prefixed: false };
        let wanted = [
            (Format::Piped, &node, true),
            (Format::Piped, &statsite, true),
            (Format::Plaintext, &statsite, true),
            (records, &node, true),
        ];
        let mut encoders = Encoders::new(wanted, &FigureNames::new(&[], &[]));
        encoders.begin(1, UnixTime::from_millis(10_500));
        let figures = [Figure { id: FigureId::VALUE, value: 2.0 }];
        let summary = Summary::new(Subject::Gauge, b"a", &figures);
        encoders.encode(&summary);
        encoders.end();
        let texts: Vec<_> = texts(&mut encoders).into_iter().map(|(_, text)| text).collect();
        assert_eq!(
            texts[..3],
            ["stats.gauges.a|2|11\n", "gauges.a|2.000000|10\n", "gauges.a 2 10\n"]
        );
        assert_eq!(texts[3].as_bytes()[..8], 10_u64.to_le_bytes());
    }

    #[test]
    fn own_figures_are_encoded_only_for_those_who_get_them() {
        let namespace = Namespace::default();
        let wanted = [true, false, true].map(|own| (Format::Plaintext, &namespace, own));
        let mut encoders = Encoders::new(wanted, &FigureNames::new(&[], &[]));
        let [with, without] = [true, false].map(|own| encoders.id(&Format::Plaintext, "", own));
        encoders.begin(1, UnixTime::from_secs(10));
        let figures = [Figure { id: FigureId::VALUE, value: 2.0 }];
        let summary = |subject| Summary::new(subject, b"a", &figures);
        encoders.encode(&summary(Subject::Gauge));
        encoders.encode_own(&summary(Subject::Own));
        encoders.end();
        let line = "stats.gauges.a 2 10\n";
        let expected = [
            (with.unwrap(), format!("{line}stats.statsd.a 2 10\n")),
            (without.unwrap(), line.to_owned()),
        ];
        assert_eq!(texts(&mut encoders), expected);
    }
}
