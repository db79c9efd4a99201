//! The record of a run: stored as JSON, and summed up as medians.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measure::{Connections, Cost, Flush, Footprint, Highest, Quiet, Step, Turns};

#[derive(Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) commit: String,
    pub(crate) command: String,
    pub(crate) measurements: Measurements,
    pub(crate) flush_interval_seconds: u64,
    /// The requested size. The kernel grants twice as much.
    pub(crate) receive_buffer_bytes: usize,
    /// Whether all servers had receive buffers of this size, whatever they requested.
    pub(crate) receive_buffers_equal: bool,
    pub(crate) loads: Vec<LoadNote>,
    pub(crate) servers: Vec<Results>,
    /// Profiles that were not run, and what of them is missing.
    pub(crate) skipped: BTreeMap<String, String>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

/// Made, and planned: a record with fewer than planned is a part of one.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Measurements {
    pub(crate) made: usize,
    pub(crate) planned: usize,
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
    /// Of its program, where that is all of it.
    pub(crate) binary_bytes: Option<u64>,
    /// One for each round.
    pub(crate) costs: BTreeMap<&'static str, Vec<Cost>>,
    pub(crate) highest: BTreeMap<&'static str, Highest>,
    pub(crate) footprints: BTreeMap<&'static str, Footprint>,
    pub(crate) flush: Option<Flush>,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) connections: Option<Connections>,
    pub(crate) sweep: Vec<Step>,
    pub(crate) turns: Option<Turns>,
}

impl Record {
    pub(crate) fn is_whole(&self) -> bool {
        self.measurements.made == self.measurements.planned
    }
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
        let least = figures.first()?;
        let greatest = figures.last()?;
        let low = figures[(figures.len() - 1) / 2];
        let high = figures[figures.len() / 2];
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

/// A record for tests of what is made of records.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) fn record() -> Record {
        let cost = |cpu, dropped_packets| Cost {
            cpu_seconds_per_million_lines: cpu,
            lines_per_second: 50_000.0,
            dropped_packets,
            counted: Some(1.0),
        };
        let server = |name: &str, costs: &[Cost]| Results {
            name: name.into(),
            costs: BTreeMap::from([("W1", costs.to_vec())]),
            ..Results::default()
        };
        let mut ours = server("ours", &[cost(1.0, 0), cost(1.5, 0), cost(1.25, 0)]);
        let highest = Highest {
            lines_per_second: 3e6,
            cpu_seconds_per_million_lines: 0.1,
            sender_bound: true,
        };
        ours.highest.insert("W1", highest);
        Record {
            date: "2026-11-23".into(),
            processor: "a processor".into(),
            kernel: "6".into(),
            commit: "abc".into(),
            command: "statsd-bench compare".into(),
            measurements: Measurements { made: 4, planned: 4 },
            flush_interval_seconds: 10,
            receive_buffer_bytes: 8 << 20,
            receive_buffers_equal: true,
            loads: vec![LoadNote { name: "W1", about: "one", lines_per_second: 50_000 }],
            servers: vec![ours, server("other", &[cost(2.5, 9)]), server("none", &[])],
            skipped: BTreeMap::from([("absent".to_owned(), "/bin/absent".to_owned())]),
            failures: Vec::new(),
        }
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
