//! [`Rates`]: the totals of the last minute, and the rates that follow from them. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::section::FigureSection;
use crate::time::Tick;

/// Samples of all totals, taken every few seconds.
///
/// The rate of a total is its rise since the newest sample that is at least a minute old, divided
/// by the time since. Until there is one, the first sample counts, which is taken at the start. So
/// in the first minute a rate is the mean since the start.
///
/// The loop takes the samples in turns that happen anyway. An idle server has a turn at each flush
/// at least. With a `flush_interval` of over a minute, a rate may be the mean of that time.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// The oldest first.
    ring: VecDeque<TotalsSample>,
}

/// All totals at one time.
#[derive(Debug)]
pub(super) struct TotalsSample {
    at: Tick,
    /// For each figure the values of its labels.
    totals: BTreeMap<TotalKey, Vec<(Box<str>, f64)>>,
}

type TotalKey = (FigureSection, &'static str);

/// The time between two samples. There are at most a dozen, so they take little memory.
const EVERY: Duration = Duration::from_secs(5);
/// The time over which a rate is computed.
const SPAN: Duration = Duration::from_secs(60);
/// A rate is never computed over less time. Otherwise one line right after the start would be
/// thousands a second.
const SHORTEST: Duration = Duration::from_secs(1);

impl Rates {
    /// Whether it is time for another sample.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.ring.back().is_none_or(|last| now - last.at >= EVERY)
    }

    /// Adds a sample. It must be the newest.
    pub(super) fn add(&mut self, sample: TotalsSample) {
        // Only one sample that is a minute old is needed.
        while self.ring.get(1).is_some_and(|second| sample.at - second.at >= SPAN) {
            self.ring.pop_front();
        }
        self.ring.push_back(sample);
    }

    /// Returns by how much a total rises in a second, given its present value.
    pub(super) fn per_second(&self, key: TotalKey, label: &str, total: f64, now: Tick) -> f64 {
        let is_old = |sample: &&TotalsSample| now - sample.at >= SPAN;
        let base = self.ring.iter().rev().find(is_old).or_else(|| self.ring.front());
        let Some(base) = base else { return 0.0 };
        let labels = base.totals.get(&key).map_or(&[][..], Vec::as_slice);
        let before = labels.iter().find(|(known, _)| **known == *label).map(|(_, total)| *total);
        // A destination or a listener that a reload has added again counts from 0.
        let before = before.filter(|before| *before <= total).unwrap_or(0.0);
        (total - before) / (now - base.at).max(SHORTEST).as_secs_f64()
    }
}

impl TotalsSample {
    /// Returns an empty sample.
    pub(super) fn new(at: Tick) -> Self {
        Self { at, totals: BTreeMap::new() }
    }

    /// Notes a total. `label` is empty if the figure has one value.
    pub(super) fn note(&mut self, key: TotalKey, label: &str, total: f64) {
        self.totals.entry(key).or_default().push((label.into(), total));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TotalKey = (FigureSection::Input, "lines");

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1000)
    }

    fn noted(second: u64, label: &str, total: f64) -> TotalsSample {
        let mut sample = TotalsSample::new(at(second));
        sample.note(KEY, label, total);
        sample
    }

    #[test]
    fn a_rate_is_the_mean_of_the_last_minute_or_of_the_time_since_the_start() {
        let mut rates = Rates::default();
        assert_eq!(rates.per_second(KEY, "", 10.0, at(0)), 0.0, "no sample yet");
        // Ten a second for 100 s, then none.
        let total = |second: u64| (second.min(100) * 10) as f64;
        for second in 0..=200 {
            if rates.is_due(at(second)) {
                rates.add(noted(second, "", total(second)));
            }
            let expected = match second {
                0..=100 => 10.0,
                101..=159 => continue,
                _ => 0.0,
            };
            let rate = rates.per_second(KEY, "", total(second), at(second));
            assert!((rate - expected).abs() < 1e-9 || second < 1 || second > 160 && rate < 1.0);
            assert!(rates.ring.len() <= 14, "{} samples", rates.ring.len());
        }
        assert_eq!(rates.per_second(KEY, "", total(200), at(200)), 0.0);
    }

    #[test]
    fn a_rate_survives_turns_that_are_rare_and_totals_that_begin_again() {
        let mut rates = Rates::default();
        for (second, total) in [(0, 0.0), (300, 3000.0), (600, 6000.0)] {
            rates.add(noted(second, "a", total));
        }
        assert_eq!(rates.per_second(KEY, "a", 6000.0, at(600)), 10.0, "of five minutes");
        assert_eq!(rates.per_second(KEY, "b", 600.0, at(660)), 10.0, "a new one, in a minute");
        assert_eq!(rates.per_second(KEY, "a", 60.0, at(660)), 1.0, "one that began again");
    }
}
