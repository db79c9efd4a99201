//! What a run found: kept as JSON, and summed up as medians.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measure::{Cost, Flush, Footprint, Highest, Quiet};

#[derive(Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) commit: String,
    pub(crate) command: String,
    pub(crate) flush_interval_seconds: u64,
    pub(crate) receive_buffer_bytes: usize,
    pub(crate) binary_bytes: u64,
    pub(crate) loads: Vec<LoadNote>,
    pub(crate) servers: Vec<Results>,
    /// Profiles that were not run, and what of them is missing.
    pub(crate) skipped: BTreeMap<String, String>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct LoadNote {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) lines_per_second: u64,
}

/// Of one server, by the name of the workload or of what it holds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) name: String,
    pub(crate) about: String,
    /// One for each round.
    pub(crate) costs: BTreeMap<&'static str, Vec<Cost>>,
    pub(crate) highest: BTreeMap<&'static str, Highest>,
    pub(crate) footprints: BTreeMap<&'static str, Footprint>,
    pub(crate) flush: Option<Flush>,
    pub(crate) quiet: Option<Quiet>,
}

/// The middle of some figures, and how far the others are from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// From the least to the greatest, as a share of the median.
    pub(crate) range: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (least, greatest) = (figures.first()?, figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        let median = low.midpoint(high);
        Some(Self { median, range: (greatest - least) / median })
    }
}

impl Results {
    /// CPU seconds for a million lines at the moderate rate.
    pub(crate) fn cost(&self, load: &str) -> Option<Spread> {
        let costs = self.costs.get(load)?;
        Spread::of(costs.iter().map(|cost| cost.cpu_seconds_per_million_lines))
    }

    /// Something did not arrive in any round at the moderate rate.
    pub(crate) fn loses(&self, load: &str) -> bool {
        let short =
            |cost: &Cost| cost.dropped_packets > 0 || cost.counted.is_some_and(|all| all < 1.0);
        self.costs.get(load).is_some_and(|costs| costs.iter().any(short))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (figures, median, range) in
            [(vec![3.0, 1.0, 2.0], 2.0, 1.0), (vec![4.0], 4.0, 0.0), (vec![1.0, 3.0], 2.0, 1.0)]
        {
            assert_eq!(Spread::of(figures), Some(Spread { median, range }));
        }
        assert_eq!(Spread::of([]), None);
    }
}
