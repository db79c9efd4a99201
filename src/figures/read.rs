//! Reads the figures: calls a function with the values of each row of the table.

use super::rates::TotalsSample;
use super::row::{FigureKind, FigureReader, FigureRow, GraphiteName, LossCount};
use super::section::FigureSection;
use super::server_parts::{FlushFigures, ServerParts};
use super::table::TABLE;
use crate::protocol::MetricKind;
use crate::sink::{Sink, SinkFigures, Sinks};

/// One value of a figure.
#[derive(Clone, Copy, Debug)]
pub struct FigureValue<'a> {
    pub row: &'static FigureRow,
    /// What the value belongs to, such as `carbon`. `None` if the figure has one value.
    pub label: Option<&'a str>,
    pub value: f64,
    /// The limit, if the value is the used part of one.
    pub limit: Option<f64>,
    /// By how much a total has risen in a second of the last minute. `None` for a level.
    pub rate: Option<f64>,
}

impl<'a> FigureValue<'a> {
    /// Returns the name of the label and its value.
    pub fn labels(&self) -> Option<(&'static str, &'a str)> {
        self.row.label().zip(self.label)
    }
}

/// Reads all figures of a section, or of all sections, in the order of the table. A section may
/// show figures of another section; these come last. The values of one row follow each other.
pub fn read(
    from: &ServerParts<'_>,
    section: Option<FigureSection>,
    out: &mut dyn FnMut(&FigureValue<'_>),
) {
    let sinks = read_sinks(from.sinks);
    let is_its = |row: &&FigureRow| section.is_none_or(|section| row.section == section);
    let is_also = |row: &&FigureRow| section.is_some_and(|section| row.also == Some(section));
    for row in TABLE.iter().filter(is_its).chain(TABLE.iter().filter(is_also)) {
        each_value(row, from, &sinks, &mut |label, value, limit| {
            let total = row.kind == FigureKind::Total;
            let rate = |label: &str| {
                let key = (row.section, row.name);
                from.recent.rates.per_second(key, label, value, from.now.tick)
            };
            let rate = total.then(|| rate(label.unwrap_or_default()));
            out(&FigureValue { row, label, value, limit, rate });
        });
    }
}

/// Reads a figure that has one value. Returns `None` if there is no such figure.
pub fn read_value(from: &ServerParts<'_>, section: FigureSection, name: &str) -> Option<f64> {
    let row = TABLE.iter().find(|row| row.section == section && row.name == name)?;
    let mut found = None;
    each_value(row, from, &read_sinks(from.sinks), &mut |_, value, _| found = Some(value));
    found
}

/// Reads all totals, for [`Rates`](super::rates::Rates).
pub(super) fn sample(from: &ServerParts<'_>) -> TotalsSample {
    let mut sample = TotalsSample::new(from.now.tick);
    let sinks = read_sinks(from.sinks);
    for row in TABLE.iter().filter(|row| row.kind == FigureKind::Total) {
        each_value(row, from, &sinks, &mut |label, value, _| {
            sample.note((row.section, row.name), label.unwrap_or_default(), value);
        });
    }
    sample
}

/// Returns the names and values of the figures that a flush sends, beside the own counters.
pub fn of_flush(flush: &FlushFigures, sinks: &Sinks) -> Vec<(String, f64)> {
    let sinks = read_sinks(sinks);
    let has_carbon = sinks.iter().any(|(name, _)| *name == CARBON);
    let mut all = Vec::new();
    for (row, sent) in TABLE.iter().flat_map(|row| row.graphite.iter().map(move |sent| (row, sent)))
    {
        match (&row.reader, sent) {
            (FigureReader::Flush(value), GraphiteName::Figure(name)) => {
                all.push(((*name).to_owned(), value(flush)));
            }
            (FigureReader::Flush(value), GraphiteName::Carbon(name)) if has_carbon => {
                all.push(((*name).to_owned(), value(flush)));
            }
            (FigureReader::Destination(value), GraphiteName::Carbon(figure)) => {
                let carbon = sinks.iter().filter(|(name, _)| *name == CARBON);
                let values = carbon.filter_map(|(_, figures)| value(figures, flush));
                all.extend(values.map(|value| ((*figure).to_owned(), value)));
            }
            (FigureReader::Destination(value), GraphiteName::Sink(figure)) => {
                for (name, figures) in &sinks {
                    let name = format!("sink.{}.{figure}", name.replace('.', "_"));
                    all.extend(value(figures, flush).map(|value| (name, value)));
                }
            }
            // The engine sends these.
            _ => {}
        }
    }
    all
}

/// The destination whose figures have the names of Node StatsD.
const CARBON: &str = "carbon";

fn read_sinks(sinks: &Sinks) -> Vec<(&str, SinkFigures)> {
    sinks.iter().map(|sink: &Sink| (sink.name(), sink.figures())).collect()
}

/// Gets the label, the value and the limit of a figure.
type ValueOut<'a> = dyn FnMut(Option<&str>, f64, Option<f64>) + 'a;

/// Calls `out` with the label, the value and the limit of each value of a row.
fn each_value(
    row: &FigureRow,
    from: &ServerParts<'_>,
    sinks: &[(&str, SinkFigures)],
    out: &mut ValueOut<'_>,
) {
    match row.reader {
        FigureReader::One(value) => out(None, value(from), None),
        FigureReader::Own(own) => out(None, from.own(own) as f64, None),
        FigureReader::Flush(value) => out(None, value(&from.flush), None),
        FigureReader::Reasons => {
            for (reject, count) in from.engine.ledger().bad_lines_by_reason() {
                out(Some(reject.name()), count as f64, None);
            }
        }
        FigureReader::Kinds => {
            let kinds = from.engine.table().client_series();
            for kind in MetricKind::ALL {
                out(Some(kind.name()), kinds[kind as usize] as f64, None);
            }
        }
        FigureReader::Listener(value) => from.each_listener(&mut |name, figures| {
            if let Some(value) = value(figures) {
                out(Some(name), value, None);
            }
        }),
        FigureReader::Destination(value) => {
            for (name, figures) in sinks {
                if let Some(value) = value(figures, &from.flush) {
                    out(Some(name), value, None);
                }
            }
        }
        FigureReader::QueueLasts => {
            for (name, figures) in sinks {
                if let Some(seconds) = queue_lasts(name, figures, from) {
                    out(Some(name), seconds, None);
                }
            }
        }
        FigureReader::Lost(counts) => out(None, lost(counts, from, sinks), None),
        FigureReader::Limit(value) => {
            let (used, limit) = value(from);
            out(None, used, Some(limit));
        }
        FigureReader::DestinationLimit(value) => {
            for (name, figures) in sinks {
                if let Some((used, limit)) = value(figures) {
                    out(Some(name), used, Some(limit));
                }
            }
        }
    }
}

/// Returns the sum of the figures that count as lost in one of these ways.
fn lost(counts: &[LossCount], from: &ServerParts<'_>, sinks: &[(&str, SinkFigures)]) -> f64 {
    let mut sum = 0.0;
    for row in TABLE.iter().filter(|row| counts.contains(&row.loss)) {
        each_value(row, from, sinks, &mut |_, value, _| sum += value);
    }
    sum
}

/// Returns the seconds until the queue of a destination would be full if nothing were sent. `None`
/// if nothing was queued in the last minute.
fn queue_lasts(name: &str, figures: &SinkFigures, from: &ServerParts<'_>) -> Option<f64> {
    let key = (FigureSection::Destinations, "queued_bytes");
    let queued = figures.pushed_bytes as f64;
    let rate = from.recent.rates.per_second(key, name, queued, from.now.tick);
    // Retained chunks do not count: they are removed as soon as there is no more room.
    let free = figures.queue_limit.saturating_sub(figures.queue_bytes);
    (rate > 0.0).then(|| (free as f64 / rate).floor())
}
