//! Every series as Prometheus reads it, in the order of the families, in steps.
//!
//! ```text
//!  Table ──▶ FamilyWalk: series by family ──▶ family, labels ──▶ samples ──▶ lines
//!            (families.rs)                    (legal.rs)         (samples.rs)
//! ```
//! The admin port writes the own figures before these lines.

mod families;
mod legal;
mod samples;

use crate::policy::FigureId;
use crate::protocol::MetricKind;
use crate::series::{Table, Values, Visited};
use families::{FamilyWalk, family_kind, hash_of};
use legal::LabelWriter;
pub use samples::Exposition;
use samples::{SampleWriter, SeriesSamples};

/// The lines of all series, in progress.
#[derive(Debug)]
pub struct SeriesExposition {
    walk: FamilyWalk,
    lines: SeriesLines,
}

/// Writes the lines of one series after the other, in buffers that it reuses.
#[derive(Debug)]
struct SeriesLines {
    writer: SampleWriter,
    labels: LabelWriter,
    /// The quantiles or the bins of a timing.
    pairs: Vec<(f64, f64)>,
}

/// The most series that one step writes, and the bytes after which it ends in any case.
const BATCH: usize = 64;
const STEP_BYTES: usize = 8 * 1024;

impl SeriesExposition {
    pub fn new(exposition: Exposition) -> Self {
        let writer = SampleWriter::new(exposition);
        let lines = SeriesLines { writer, labels: LabelWriter::default(), pairs: Vec::new() };
        Self { walk: FamilyWalk::default(), lines }
    }

    /// Whether the walk holds memory for every series.
    pub fn is_begun(&self) -> bool {
        self.walk.is_begun()
    }

    /// The bytes that the walk holds.
    pub fn bytes(&self) -> usize {
        self.walk.bytes()
    }

    /// Frees the memory of the walk. It goes on later, after the last series that it has written.
    pub fn pause(&mut self) {
        self.walk.pause();
    }

    /// Does a part of the work: collects or sorts some series, or appends the lines of some.
    /// Returns `true` after the last one.
    #[inline(never)] // the admin port, which calls it, is optimised for size
    pub fn step(&mut self, table: &mut Table, out: &mut Vec<u8>) -> bool {
        let names = table.name_hasher();
        self.step_by(|family| hash_of(&names, family), table, out)
    }

    /// Does a part of the work with this hash of the names of families. It must be the same in all
    /// steps.
    fn step_by(
        &mut self,
        hash: impl Fn(&[u8]) -> u32,
        table: &mut Table,
        out: &mut Vec<u8>,
    ) -> bool {
        if !self.walk.prepare(table, &hash) {
            return false;
        }
        let Self { walk, lines } = self;
        let full = out.len() + STEP_BYTES;
        for _ in 0..BATCH {
            if out.len() >= full {
                return false;
            }
            let put = |family: &[u8], visited: &mut Visited<'_>, has_twin: bool| {
                lines.put(family, visited, has_twin, out);
            };
            if !walk.pass_next(table, &hash, put) {
                return walk.is_over();
            }
        }
        false
    }
}

impl SeriesLines {
    /// Appends the lines of a series. Appends nothing if it has no values to show, because no
    /// interval of it was closed yet.
    fn put(&mut self, family: &[u8], visited: &mut Visited<'_>, has_twin: bool, out: &mut Vec<u8>) {
        let kind = family_kind(visited);
        let Some(samples) = samples(visited, &mut self.pairs) else { return };
        let labels = self.labels.labels(kind, family, visited.name(), has_twin);
        self.writer.put(family, kind, labels, &samples, out);
    }
}

/// Returns the quantile of a percentile: 0.999 of 99.9, which divided by 100 would be
/// 0.9990000000000001. Exact for percentiles of up to nine decimals.
fn quantile(percent: f64) -> f64 {
    (percent * 1e9).round() / 1e11
}

/// Reads the values of a series. Returns `None` if it has none to show.
fn samples<'a>(
    visited: &mut Visited<'_>,
    pairs: &'a mut Vec<(f64, f64)>,
) -> Option<SeriesSamples<'a>> {
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
            pairs.clear();
            if plan.has_bins() {
                pairs.extend(plan.bounds().zip(totals.bins(plan).iter().copied()));
                return Some(SeriesSamples::Histogram { bins: pairs, sum, count: totals.samples });
            }
            let last = &totals.last;
            pairs.extend([(0.0, last.lower), (1.0, last.upper)]);
            if plan.wants(FigureId::MEDIAN) {
                pairs.insert(1, (0.5, last.median));
            }
            for (percent, boundary) in plan.percents().zip(totals.boundaries(plan)) {
                let quantile = quantile(percent);
                match pairs.iter().position(|(known, _)| *known >= quantile) {
                    // A negative percentile is no quantile, and another one may be there already.
                    None | Some(0) => {}
                    Some(at) if pairs[at].0 == quantile => {}
                    Some(at) => pairs.insert(at, (quantile, *boundary)),
                }
            }
            SeriesSamples::Summary { quantiles: pairs, sum, count: totals.count }
        }
    })
}

#[cfg(test)]
mod tests;
