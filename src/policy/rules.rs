//! The settings of names as they are configured: those of `[statsd]`, and those of each
//! `[rule.NAME]`.
//!
//! [`Glob`] is a pattern for names: `*` is any run of bytes, also none; `?` is one byte; any other
//! byte is itself.

use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use ahash::AHashSet;

use super::figures::{Bin, Percentile, TimerMetric};

/// Every setting that a name can have of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub base: Base,
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
pub struct Base {
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
            statsite: false,
        }
    }
}

/// One `[rule.NAME]` section. A setting is `None` if the section does not have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    pub name: String,
    /// The rule applies to names that match one of these patterns. Tags are ignored.
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

/// The effect of a gauge's value with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedGauges {
    /// The value is added to the gauge.
    Delta,
    /// The gauge is set to the value.
    Absolute,
}

impl Rules {
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
    /// Whether the rule applies to `name`, which must be sanitized and without tags.
    pub fn is_about(&self, name: &[u8]) -> bool {
        self.matches.iter().any(|glob| glob.matches(name))
    }
}

/// Returns the number of flush intervals in `span`, rounded up. At least 1.
pub fn flushes(span: Duration, interval: Duration) -> u32 {
    let count = span.as_millis().div_ceil(interval.as_millis().max(1)).max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A pattern that covers a whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Returns `None` if the pattern is empty, or has a byte that is not visible ASCII or is one of
    /// `; , # "`. No name without tags could match it, or a configuration file could not hold it.
    pub fn new(pattern: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b";,#\"".contains(&byte);
        (!pattern.is_empty() && pattern.bytes().all(plain)).then(|| Self(pattern.into()))
    }

    /// A pattern of any text, for a search. It also covers the tags of a name.
    pub fn for_search(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the pattern matches the whole name. The number of steps is at most the product of
    /// both lengths: only the last `*` is tried again, since an earlier one could not match more.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.fits(name, |_| true)
    }

    /// Whether every name that matches `other` matches this pattern, too.
    pub fn covers(&self, other: &Self) -> bool {
        // A `*` in `other` stands for several bytes, so only a `*` of this pattern can match it.
        self.fits(other.0.as_bytes(), |byte| byte != b'*')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `is_single` returns whether a `?` matches a byte.
    fn fits(&self, name: &[u8], is_single: impl Fn(u8) -> bool) -> bool {
        let pattern = self.0.as_bytes();
        let mut at = 0;
        let mut read = 0;
        // The index after the last `*` of the pattern, and the index in the name at which the rest
        // of the pattern is tried.
        let mut star = None;
        while read < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    star = Some((at, read));
                }
                Some(&byte) if byte == name[read] || byte == b'?' && is_single(name[read]) => {
                    at += 1;
                    read += 1;
                }
                _ => {
                    let Some((after, end)) = star else { return false };
                    at = after;
                    read = end + 1;
                    star = Some((after, read));
                }
            }
        }
        pattern[at..].iter().all(|&byte| byte == b'*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Matches as the definition of a pattern says, byte by byte. It is slow, and the matcher must
    /// agree with it.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|run| naive(rest, &name[run..])),
            Some((byte, rest)) => name
                .split_first()
                .is_some_and(|(first, name)| (*byte == b'?' || byte == first) && naive(rest, name)),
        }
    }

    #[test]
    fn every_short_pattern_matches_as_the_definition_says_on_every_short_name() {
        let words = |letters: &[u8], longest: u32| {
            let mut all = vec![Vec::new()];
            for length in 1..=longest {
                for number in 0..letters.len().pow(length) {
                    let letter = |place| letters[number / letters.len().pow(place) % letters.len()];
                    all.push((0..length).map(letter).collect::<Vec<u8>>());
                }
            }
            all
        };
        let names = words(b"ab", 6);
        for pattern in words(b"ab*?", 5) {
            let glob = Glob(String::from_utf8(pattern.clone()).unwrap());
            for name in &names {
                let label = name.escape_ascii();
                assert_eq!(glob.matches(name), naive(&pattern, name), "{glob} and {label}");
            }
        }
    }

    #[test]
    fn a_pattern_covers_those_that_match_no_other_names() {
        for (ours, theirs, expected) in [
            ("api.*", "api.web.*", true),
            ("api.*", "api.web", true),
            ("*", "a?b*", true),
            ("a?c", "abc", true),
            ("a?*", "ab*", true),
            ("a?", "a*", false),
            ("api.*", "ap*", false),
            ("api.web", "api.*", false),
            ("*.web", "*.web.*", false),
            ("*a*", "*b", false),
        ] {
            let [ours, theirs] = [ours, theirs].map(|text| Glob::new(text).unwrap());
            assert_eq!(ours.covers(&theirs), expected, "{ours} and {theirs}");
        }
    }

    #[test]
    fn names_match_as_the_operator_means() {
        for (pattern, name, expected) in [
            ("api.*", "api.latency", true),
            ("api.*", "api", false),
            ("web.*.latency", "web.a.b.latency", true),
            ("web.*.latency", "web.latency", false),
            ("web?.hits", "web1.hits", true),
            ("web?.hits", "web12.hits", false),
            ("*", "", true),
            ("a", "ab", false),
            ("*api.latency*", "my.api.latency.db", true),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.matches(name.as_bytes()), expected, "{pattern} and {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_more_than_its_bytes_times_the_names() {
        let glob = Glob::new(&"*a".repeat(200)).unwrap();
        let name = [b"a".repeat(2000), b"b".to_vec()].concat();
        assert!(!glob.matches(&name), "an exponential matcher would not come to an end");
    }

    #[test]
    fn a_pattern_that_no_name_can_match_cannot_be_made() {
        for text in ["", "a b", "a;k=v", "a#b", "a,b", "a\"", "caf\u{e9}", "\t"] {
            assert_eq!(Glob::new(text), None, "{text}");
        }
    }
}
