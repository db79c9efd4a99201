//! The settings of names as they are configured: those of `[statsd]`, and those of each
//! `[rule.NAME]`.

use std::hash::Hash;
use std::time::Duration;

use ahash::AHashSet;

use super::figures::{Bin, Percentile, TimerMetric};
use super::glob::{Captures, Glob};
use super::template::{NameRegex, NewTag, RuleName, TagLimit, TagPattern, TagRename, Template};

/// Every setting that a name can have of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub base: BaseSettings,
    /// In file order; at most [`RULES_MAX`].
    pub rules: Vec<Rule>,
}

/// With these limits a u16 is enough for the numbers of all figures of all rules, and a u8 for the
/// numbers of the rules.
pub const RULES_MAX: usize = 100;
pub const BINS_MAX: usize = 256;
pub const PERCENTILES_MAX: usize = 64;

/// The settings in `[statsd]`, for every name.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseSettings {
    pub percentiles: Vec<Percentile>,
    /// The figures of a timing. An empty list means all of them.
    pub timer_metrics: Vec<TimerMetric>,
    /// Whether a series that is idle at a flush is removed and not sent. The default of the four
    /// settings below.
    pub delete_idle: bool,
    pub delete_counters: Option<bool>,
    pub delete_timers: Option<bool>,
    pub delete_gauges: Option<bool>,
    pub delete_sets: Option<bool>,
    /// The number of flushes that send a gauge after its last sample if idle gauges are deleted. It
    /// includes the flush that closes the interval of the sample. Node calls it `gaugesMaxTTL`.
    pub gauge_ttl: u32,
    /// A series of any kind without samples for this long is removed. `None` means never.
    pub expire: Option<Duration>,
    /// Whether timings also have the figures that only statsite sends. It is not a key of the file:
    /// it is set if some destination may need them, since they take time to compute.
    pub statsite: bool,
    /// Whether empty elements are removed from the names that rules make. It is `squeeze_dots` of
    /// the grammar, so `parse` sets it, too.
    pub squeeze_dots: bool,
}

impl Default for BaseSettings {
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
            statsite: false,
            squeeze_dots: false,
        }
    }
}

/// One `[rule.NAME]` section. A setting is `None` if the section does not have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    pub name: String,
    /// The rule applies to names that match one of these patterns. Empty if `match_regex` or
    /// `match_tags` alone decides.
    pub matches: Vec<Glob>,
    /// The name must also match this.
    pub match_regex: Option<NameRegex>,
    /// The name must also have all of these tags.
    pub match_tags: Vec<TagPattern>,
    pub drop: Option<bool>,
    /// The name of the series, without tags. The key is `name`.
    pub rename: Option<Template>,
    /// The tags that the series gets. The key is `tags`.
    pub add_tags: Option<Vec<NewTag>>,
    /// Patterns for the keys of tags.
    pub drop_tags: Option<Vec<Glob>>,
    pub keep_tags: Option<Vec<Glob>>,
    pub rename_tag: Option<Vec<TagRename>>,
    pub max_tag_values: Option<Vec<TagLimit>>,
    pub signed_gauges: Option<SignedGauges>,
    /// `Some(None)`: never.
    pub expire: Option<Option<Duration>>,
    pub delete_idle: Option<bool>,
    pub percentiles: Option<Vec<Percentile>>,
    pub timer_metrics: Option<Vec<TimerMetric>>,
    /// Bins in ascending order.
    pub histogram: Option<Vec<Bin>>,
}

/// The effect of a gauge's value with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedGauges {
    /// The value is added to the gauge.
    Delta,
    /// The gauge is set to the value.
    Absolute,
}

impl Rules {
    /// Returns the names of the rules in file order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Returns the percentiles of all names, each once.
    pub fn percentiles(&self) -> Vec<Percentile> {
        let of_rules = self.rules.iter().filter_map(|rule| rule.percentiles.as_ref());
        let all = std::iter::once(&self.base.percentiles).chain(of_rules).flatten();
        distinct(all, |percentile| percentile.percent().to_bits())
    }

    /// Returns the bins of all histograms, each once.
    pub fn bins(&self) -> Vec<Bin> {
        let all = self.rules.iter().filter_map(|rule| rule.histogram.as_ref()).flatten();
        distinct(all, |bin| bin.key())
    }
}

/// Returns each value once, in the order of first appearance. `key` is the key by which values are
/// compared.
fn distinct<'a, T: Copy + 'a, K: Hash + Eq>(
    all: impl Iterator<Item = &'a T>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut seen = AHashSet::new();
    let is_new = |item: &&T| seen.insert(key(item));
    all.filter(is_new).copied().collect()
}

impl Rule {
    /// Whether the rule applies to a name.
    pub fn matches_name(&self, name: RuleName<'_>) -> bool {
        let has = |wanted: &TagPattern| {
            name.tags().any(|(key, value)| {
                key == wanted.key.as_bytes()
                    && wanted.value.as_ref().is_none_or(|glob| glob.matches_tag(value))
            })
        };
        (self.matches.is_empty()
            || self.matches.iter().any(|glob| glob.matches_path(name.bare, name.elements)))
            && self.match_tags.iter().all(has)
            && self.match_regex.as_ref().is_none_or(|regex| regex.matches(name.bare))
    }

    /// Whether the rule has the name of another one and applies to the same names.
    pub(super) fn has_scope_of(&self, other: &Self) -> bool {
        self.name == other.name
            && self.matches == other.matches
            && self.match_regex == other.match_regex
            && self.match_tags == other.match_tags
    }

    /// Whether the rule changes names or tags.
    pub fn changes_names(&self) -> bool {
        self.rename.is_some()
            || self.add_tags.is_some()
            || self.drop_tags.is_some()
            || self.keep_tags.is_some()
            || self.rename_tag.is_some()
            || self.max_tag_values.is_some()
    }

    /// The number of captures that `name` and `tags` can use: those of the expression if there is
    /// one.
    pub fn captures(&self) -> usize {
        match &self.match_regex {
            Some(regex) => regex.groups(),
            None => self.matches.iter().map(Glob::wildcards).min().unwrap_or(0),
        }
    }

    /// Returns what the first pattern that matches captures.
    pub(super) fn captured(&self, bare: &[u8]) -> Captures {
        let found = match &self.match_regex {
            Some(regex) => regex.captures(bare),
            None => self.matches.iter().find_map(|glob| glob.captures(bare)),
        };
        found.unwrap_or_default()
    }

    /// The limit of a key, if the rule has one.
    pub(super) fn tag_limit(&self, key: &[u8]) -> Option<u32> {
        let limits = self.max_tag_values.as_deref()?;
        let of = |wanted: Option<&[u8]>| {
            limits.iter().find(|limit| limit.key.as_ref().map(String::as_bytes) == wanted)
        };
        of(Some(key)).or_else(|| of(None)).map(|limit| limit.most)
    }
}

/// Returns the number of flush intervals in `span`, rounded up. At least 1.
pub fn flushes(span: Duration, interval: Duration) -> u32 {
    let count = span.as_millis().div_ceil(interval.as_millis().max(1)).max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}
