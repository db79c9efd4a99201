//! The settings of names as they are configured: those of `[statsd]`, and those of each `[rule.NAME]`.

use std::time::Duration;

use ahash::AHashSet;

use super::bin::Bin;
use super::glob::Glob;
use super::percentile::Percentile;
use super::plan::TimerMetric;

/// Every setting that a name can have of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub base: Base,
    /// In file order; at most [`RULES_MAX`].
    pub rules: Vec<Rule>,
}

/// With these, the figures of all rules together are numbered within a u16, and so are the rules within a u8.
pub const RULES_MAX: usize = 100;
pub const BINS_MAX: usize = 256;
pub const PERCENTILES_MAX: usize = 64;

/// What `[statsd]` says for every name.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    pub percentiles: Vec<Percentile>,
    /// The figures wanted of a timing; none named means all.
    pub timer_metrics: Vec<TimerMetric>,
    /// Whether what is idle at a flush is not sent and is forgotten; the default of the four below.
    pub delete_idle: bool,
    pub delete_counters: Option<bool>,
    pub delete_timers: Option<bool>,
    pub delete_gauges: Option<bool>,
    pub delete_sets: Option<bool>,
    /// Flushes that send a gauge after its last sample, the one that closes the sample's interval included, if idle ones
    /// are deleted: Node's `gaugesMaxTTL`.
    pub gauge_ttl: u32,
    /// Forget a series not seen for this long, whatever its kind; None: never.
    pub expire: Option<Duration>,
}

impl Default for Base {
    fn default() -> Self {
        Self {
            percentiles: Percentile::new(90.0).into_iter().collect(),
            timer_metrics: Vec::new(),
            delete_idle: false,
            delete_counters: None,
            delete_timers: None,
            delete_gauges: None,
            delete_sets: None,
            gauge_ttl: 1,
            expire: None,
        }
    }
}

/// One `[rule.NAME]` section. None: the section does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    pub name: String,
    /// It is about the names that match one of these, tags aside.
    pub matches: Vec<Glob>,
    pub drop: Option<bool>,
    pub signed_gauges: Option<SignedGauges>,
    /// `Some(None)`: never.
    pub expire: Option<Option<Duration>>,
    pub delete_idle: Option<bool>,
    pub percentiles: Option<Vec<Percentile>>,
    pub timer_metrics: Option<Vec<TimerMetric>>,
    /// Bins in ascending order.
    pub histogram: Option<Vec<Bin>>,
}

/// What a gauge's value with a sign does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedGauges {
    /// It is added to the gauge.
    Delta,
    /// The gauge is set to it.
    Absolute,
}

impl Rules {
    /// The percentiles of all names together, each once.
    pub fn percentiles(&self) -> Vec<Percentile> {
        let of_rules = self.rules.iter().filter_map(|rule| rule.percentiles.as_ref());
        let all = std::iter::once(&self.base.percentiles).chain(of_rules).flatten();
        distinct(all, |percentile| percentile.percent())
    }

    /// The bins of all histograms together, each once.
    pub fn bins(&self) -> Vec<Bin> {
        let all = self.rules.iter().filter_map(|rule| rule.histogram.as_ref()).flatten();
        distinct(all, |bin| bin.bound())
    }
}

/// Returns each value once, in the order of first appearance. `number` is the key by which values
/// are compared.
fn distinct<'a, T: Copy + 'a>(
    all: impl Iterator<Item = &'a T>,
    number: impl Fn(&T) -> f64,
) -> Vec<T> {
    let mut seen = AHashSet::new();
    let is_new = |item: &&T| seen.insert(number(item).to_bits());
    all.filter(is_new).copied().collect()
}

impl Rule {
    /// `name` is sanitized and without tags.
    pub fn is_about(&self, name: &[u8]) -> bool {
        self.matches.iter().any(|glob| glob.matches(name))
    }
}

/// How many flushes `span` lasts, the last one begun counting whole; at least one.
pub fn flushes(span: Duration, interval: Duration) -> u32 {
    let count = span.as_millis().div_ceil(interval.as_millis().max(1)).max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}
