//! [`FigureRow`]: one row of the table of figures.

use super::section::FigureSection;
use super::server_parts::{FlushFigures, ListenerFigures, ServerParts};
use crate::ledger::OwnCounter;
use crate::sink::SinkFigures;

/// One figure: what it is called, what it means, and how it is read.
#[derive(Debug)]
pub struct FigureRow {
    pub section: FigureSection,
    /// Another section that shows it.
    pub also: Option<FigureSection>,
    /// The name in `info` and in JSON. The names of a section are different.
    pub name: &'static str,
    pub unit: FigureUnit,
    pub kind: FigureKind,
    /// The names under which flushes send it. Empty if they do not.
    pub graphite: &'static [GraphiteName],
    /// Whether it counts in `lost_lines`.
    pub loss: LossCount,
    /// What it means, as a phrase.
    pub doc: &'static str,
    pub(super) reader: FigureReader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    /// Counts since the start, and never falls.
    Total,
    /// A value of this moment.
    Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureUnit {
    /// A plain number, such as 1 for yes.
    Plain,
    Bytes,
    Clients,
    Connections,
    Figures,
    Files,
    Flushes,
    Lines,
    /// The name of such a figure ends with `_ms`.
    Milliseconds,
    Packets,
    Points,
    Samples,
    /// The name of such a figure ends with `_seconds`.
    Seconds,
    Series,
    Values,
}

/// A name under which flushes send a figure. [`Own`](Self::Own) is a counter, the others are sent
/// unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphiteName {
    /// A counter of the interval, under the name of the figure.
    Own,
    /// `statsd.numStats`, which has no `stats.` in front.
    NumStats,
    /// A gauge.
    Gauge(&'static str),
    Figure(&'static str),
    /// A figure of the flush that is sent only if there is a `[carbon]`, or a figure of `[carbon]`.
    Carbon(&'static str),
    /// `sink.NAME.` and this, for each destination.
    Sink(&'static str),
}

/// Whether a figure counts in `lost_lines`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCount {
    No,
    /// Each is a line, a value or a point that is lost.
    Lines,
    /// Each is a packet, which counts as one lost line, since the server has not read it.
    Packets,
}

/// How a figure is read.
#[derive(Debug)]
pub(super) enum FigureReader {
    /// One value.
    One(fn(&ServerParts<'_>) -> f64),
    /// An own counter of the server.
    Own(OwnCounter),
    /// A figure of the last flush.
    Flush(fn(&FlushFigures) -> f64),
    /// Lines and values that were refused, for each reason.
    Reasons,
    /// The number of series of each kind.
    Kinds,
    /// A value for each listener that has one.
    Listener(fn(&ListenerFigures) -> Option<f64>),
    /// A value for each destination that has one.
    Destination(fn(&SinkFigures, &FlushFigures) -> Option<f64>),
    /// For each destination, the time until its queue is full.
    QueueLasts,
    /// The sum of all figures that count in this way.
    Lost(&'static [LossCount]),
    /// The used part of a limit, and the limit.
    Limit(fn(&ServerParts<'_>) -> (f64, f64)),
    /// The same for each destination that has the limit.
    DestinationLimit(fn(&SinkFigures) -> Option<(f64, f64)>),
}

impl FigureUnit {
    /// Returns the name of the unit. Empty for a plain number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bytes => "bytes",
            Self::Clients => "clients",
            Self::Connections => "connections",
            Self::Figures => "figures",
            Self::Files => "files",
            Self::Flushes => "flushes",
            Self::Lines => "lines",
            Self::Milliseconds => "milliseconds",
            Self::Packets => "packets",
            Self::Points => "points",
            Self::Samples => "samples",
            Self::Seconds => "seconds",
            Self::Series => "series",
            Self::Values => "values",
        }
    }
}

impl FigureRow {
    /// Returns the row of a figure that flushes send under these names.
    pub(super) const fn sent(self, graphite: &'static [GraphiteName]) -> Self {
        Self { graphite, ..self }
    }

    /// Returns the row of a figure that another section shows, too.
    pub(super) const fn also(self, section: FigureSection) -> Self {
        Self { also: Some(section), ..self }
    }

    /// Returns the row of a figure that counts in `lost_lines`.
    pub(super) const fn lost(self, loss: LossCount) -> Self {
        Self { loss, ..self }
    }

    /// Returns the name of the label that distinguishes its values. `None` if it has one value.
    pub fn label(&self) -> Option<&'static str> {
        match self.reader {
            FigureReader::One(_)
            | FigureReader::Own(_)
            | FigureReader::Flush(_)
            | FigureReader::Lost(_)
            | FigureReader::Limit(_) => None,
            FigureReader::Reasons => Some("reason"),
            FigureReader::Kinds => Some("kind"),
            FigureReader::Listener(_) => Some("listener"),
            FigureReader::Destination(_)
            | FigureReader::QueueLasts
            | FigureReader::DestinationLimit(_) => Some("destination"),
        }
    }

    /// Whether it is the used part of a limit.
    pub fn is_limit(&self) -> bool {
        matches!(self.reader, FigureReader::Limit(_) | FigureReader::DestinationLimit(_))
    }

    /// Returns the name of its family in `/metrics`, without the `_total` of a counter.
    pub fn metric(&self) -> String {
        if self.is_limit() {
            return "statsd_limit_used".to_owned();
        }
        let object = match self.label() {
            Some(label @ ("listener" | "destination")) => format!("{label}_"),
            _ => String::new(),
        };
        // Prometheus expects seconds.
        let name = match self.name.strip_suffix("_ms") {
            Some(name) => format!("{name}_seconds"),
            None => self.name.to_owned(),
        };
        format!("statsd_{object}{name}")
    }
}
