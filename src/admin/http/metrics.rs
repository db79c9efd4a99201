//! `/metrics`: the figures of the server, and then every series, in the order of the families.
//!
//! The walk over the series is that of the dumps: it takes eight bytes a series, and a step of it a
//! fraction of a millisecond. If a client does not read and another dump waits, the walk is paused.
//! It frees its memory, and later begins again after the last series that it has written.

use super::legal::{FamilyKind, LabelWriter, put_family};
use super::samples::{SampleWriter, SeriesSamples};
use crate::admin::sorted::{SortedName, SortedNames};
use crate::admin::view::View;
use crate::config::MetricsShown;
use crate::figures::{Exposition, write_metrics};
use crate::protocol::MetricKind;
use crate::series::{Table, Values, Visited};

/// One answer, in progress.
#[derive(Debug)]
pub(super) struct MetricsPage {
    exposition: Exposition,
    phase: MetricsPhase,
    names: SortedNames,
    /// The key of the last series written.
    last: Option<Box<[u8]>>,
    writer: SampleWriter,
    labels: LabelWriter,
}

/// What is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetricsPhase {
    Own,
    Series,
    End,
}

/// The most series that one step writes, and the bytes after which it ends in any case.
const BATCH: usize = 64;
const STEP_BYTES: usize = 8 * 1024;

impl MetricsPage {
    pub(super) fn new(exposition: Exposition) -> Self {
        Self {
            exposition,
            phase: MetricsPhase::Own,
            names: SortedNames::by_key(put_key),
            last: None,
            writer: SampleWriter::new(exposition),
            labels: LabelWriter::default(),
        }
    }

    /// Returns the type of the answer.
    pub(super) fn content_type(exposition: Exposition) -> &'static str {
        match exposition {
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Whether the walk holds memory for every series.
    pub(super) fn is_begun(&self) -> bool {
        self.names.is_begun()
    }

    /// Whether the next step would begin the walk.
    pub(super) fn is_about_to_begin(&self) -> bool {
        self.phase == MetricsPhase::Series && !self.names.is_begun()
    }

    /// Frees the memory of the walk. It goes on later, after the last series that it has written.
    pub(super) fn pause(&mut self) {
        self.names.restart();
    }

    /// Does a part of the work. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self.phase {
            MetricsPhase::Own => {
                write_metrics(&view.sources(), self.exposition, out);
                self.phase = match view.config.admin.metrics {
                    MetricsShown::All => MetricsPhase::Series,
                    MetricsShown::Own | MetricsShown::Off => MetricsPhase::End,
                };
            }
            MetricsPhase::Series => {
                let table = view.engine.table_mut();
                if self.names.sort(table, self.last.as_deref()) && self.merge(table, out) {
                    self.phase = MetricsPhase::End;
                    self.names.restart();
                }
            }
            MetricsPhase::End => {
                if self.exposition == Exposition::OpenMetrics {
                    out.extend_from_slice(b"# EOF\n");
                }
                return true;
            }
        }
        false
    }

    /// Writes the next series, up to the bounds of a step. Returns `true` after the last one.
    fn merge(&mut self, table: &mut Table, out: &mut Vec<u8>) -> bool {
        let full = out.len() + STEP_BYTES;
        for _ in 0..BATCH {
            if out.len() >= full {
                return false;
            }
            let Some(next) = self.names.next(table) else { return true };
            self.put_series(&next, table, out);
            self.last = Some(next.name);
        }
        false
    }

    /// Writes a series, unless it was removed, or its family has changed, since its key was made.
    fn put_series(&mut self, next: &SortedName, table: &mut Table, out: &mut Vec<u8>) {
        let Some((family, name)) = split_key(&next.name) else { return };
        let Some(mut visited) = table.visit_one(next.shard, next.slot) else { return };
        let kind = family_kind(&visited);
        // A reload may have changed the kind of the family, and so the end of its name.
        if visited.name() != name || !family.ends_with(kind.suffix()) {
            return;
        }
        let Some(samples) = samples(&mut visited) else { return };
        let labels = self.labels.labels(kind, family, name);
        self.writer.put(family, kind, labels, &samples, out);
    }
}

/// The key of a series: its family, a NUL, which no family has, and its name. So the series of a
/// family follow each other.
fn put_key(visited: &Visited<'_>, out: &mut Vec<u8>) {
    put_family(family_kind(visited), visited.name(), out);
    out.push(0);
    out.extend_from_slice(visited.name());
}

fn split_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, key)?;
    Some((&key[..end], &key[end + 1..]))
}

fn family_kind(visited: &Visited<'_>) -> FamilyKind {
    FamilyKind::of(visited.kind, visited.policy.plan.has_bins())
}

/// Reads the values of a series. Returns `None` if it has none to show, because no interval of it
/// was closed yet.
fn samples(visited: &mut Visited<'_>) -> Option<SeriesSamples> {
    let plan = &visited.policy.plan;
    Some(match visited.kind {
        MetricKind::Counter => SeriesSamples::Total(visited.total?),
        MetricKind::Gauge => match visited.series.open(visited.tick) {
            Values::Gauge(level) => SeriesSamples::Level(level),
            _ => return None,
        },
        MetricKind::Set => SeriesSamples::Level(visited.series.last(visited.tick)?),
        MetricKind::Timing => {
            let totals = visited.series.timing()?;
            let sum = totals.sum;
            if plan.has_bins() {
                let bins = plan.bounds().zip(totals.bins(plan).iter().copied()).collect();
                return Some(SeriesSamples::Histogram { bins, sum, count: totals.samples });
            }
            let last = &totals.last;
            let mut quantiles = vec![(0.0, last.lower), (0.5, last.median), (1.0, last.upper)];
            for (percent, boundary) in plan.percents().zip(totals.boundaries(plan)) {
                let quantile = percent / 100.0;
                match quantiles.iter().position(|(known, _)| *known >= quantile) {
                    // A negative percentile is no quantile, and another one may be there already.
                    None | Some(0) => {}
                    Some(at) if quantiles[at].0 == quantile => {}
                    Some(at) => quantiles.insert(at, (quantile, *boundary)),
                }
            }
            // The median is no figure that is always sent.
            quantiles.retain(|(quantile, value)| *quantile != 0.5 || !value.is_nan());
            SeriesSamples::Summary { quantiles, sum, count: totals.count }
        }
    })
}
