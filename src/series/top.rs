//! What brings most, since the start: the series with most samples, the prefixes with most new
//! series, the tag keys with most values. All of it is in bounded memory, and always on.
//!
//! Each series counts its samples itself, and the sweep adds the count here. If many series have
//! samples, only those with at least `least` in the interval are added, so that a sweep adds about
//! [`ADDED_MAX`] at most. So counts are exact while at most that many names have samples in each
//! interval. After that a count may be too low, and the bound of that is known.

use std::collections::VecDeque;

use ahash::RandomState;

use super::frequent::{Counted, Tally};
use super::raw::is_merged;
use super::series::Series;
use super::stored_name::StoredName;
use super::tag_keys::{TagKeys, TagValues};
use super::tag_store::TagStore;
use crate::protocol::MetricKind;

/// The counts of a table.
#[derive(Debug)]
pub struct Top {
    /// The samples in an interval from which on a series is added. At least 1.
    least: u32,
    /// The series that the sweep in progress has added.
    added: u32,
    /// The samples that a series may have had without being added.
    not_added: u64,
    samples: Tally<MetricKind>,
    new: Tally,
    /// The prefix that was counted last, and its hash. The next series often has the same.
    last_prefix: Vec<u8>,
    last_hash: u64,
    newest: Newest,
    tags: TagKeys,
}

/// The series that a sweep may add before it demands more samples of the next ones.
const ADDED_MAX: u32 = 2000;

/// The names of series, and the prefixes, that are stored.
const NAMES_MAX: usize = 4000;
const PREFIXES_MAX: usize = 1000;

/// The highest counts, and how exact they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopCounts<L = ()> {
    /// In descending order.
    pub counts: Vec<Counted<L>>,
    /// A count may be too low by at most this number. Names with lower counts may be missing.
    pub too_low: u64,
    /// The number of further names that are known.
    pub more: usize,
}

/// A prefix that has got a new series lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPrefix {
    pub prefix: Box<[u8]>,
    /// Its new series since the start. It may be too low, as other counts.
    pub count: u64,
    /// The newest of them, which may be cut off.
    pub newest: Box<[u8]>,
    /// The number of flushes since it came.
    pub flushes: u32,
}

impl Top {
    pub(super) fn new() -> Self {
        Self {
            least: 1,
            added: 0,
            not_added: 0,
            samples: Tally::new(NAMES_MAX),
            new: Tally::new(PREFIXES_MAX),
            last_prefix: Vec::new(),
            last_hash: 0,
            newest: Newest::default(),
            tags: TagKeys::default(),
        }
    }

    /// Takes the samples that a series has had in the interval that has ended.
    #[inline]
    pub(super) fn take_samples(
        &mut self,
        series: &mut Series,
        name: StoredName<'_>,
        hasher: &RandomState,
        tags: &mut TagStore,
    ) {
        let samples = series.take_samples();
        if samples >= self.least && !is_merged(name.bare()) {
            self.add((series.kind(), name), samples, hasher, tags);
        }
    }

    #[inline(never)]
    fn add(
        &mut self,
        (kind, name): (MetricKind, StoredName<'_>),
        samples: u32,
        hasher: &RandomState,
        tags: &mut TagStore,
    ) {
        let name = name.text(tags);
        self.samples.add(name, kind, hasher.hash_one(name), u64::from(samples));
        self.added += 1;
        if self.added.is_multiple_of(ADDED_MAX) {
            // For the rest of this sweep, too. Otherwise it would take long with a million series.
            self.least = self.least.saturating_mul(2);
        }
    }

    /// Ends a sweep.
    pub(super) fn end_sweep(&mut self) {
        self.not_added += u64::from(self.least - 1);
        if self.added < ADDED_MAX / 4 {
            self.least = (self.least / 2).max(1);
        }
        self.added = 0;
    }

    /// Counts a new series by the prefix of its name.
    pub(super) fn count_new_series(
        &mut self,
        name: &[u8],
        interval: u32,
        hash: impl Fn(&[u8]) -> u64,
    ) {
        let prefix = first_two_elements(name);
        if *self.last_prefix != *prefix || prefix.is_empty() {
            self.last_hash = hash(prefix);
            self.last_prefix.clear();
            self.last_prefix.extend_from_slice(prefix);
        }
        self.new.add(prefix, (), self.last_hash, 1);
        self.newest.add(name, self.last_hash, interval);
    }

    /// Counts a tag that no series had.
    pub(super) fn count_new_tag(&mut self, tag: &[u8], hash: impl Fn(&[u8]) -> u64) {
        self.tags.add(tag, hash);
    }

    /// The series with most samples, up to the last flush. Samples that were refused for lack of
    /// memory count, too.
    pub fn samples(&self, n: usize) -> TopCounts<MetricKind> {
        let too_low = self.samples.error() + self.not_added;
        let counts = self.samples.top(n);
        TopCounts { more: self.samples.len() - counts.len(), counts, too_low }
    }

    /// All series whose samples are counted, in no order.
    pub fn active(&self) -> impl Iterator<Item = &Counted<MetricKind>> {
        self.samples.all()
    }

    /// The samples of a series, or 0 if they are not counted. `hash` is that of its name.
    pub fn samples_of(&self, kind: MetricKind, name: &[u8], hash: u64) -> u64 {
        self.samples.count(name, kind, hash)
    }

    /// The prefixes (first two elements) with most new series.
    pub fn prefixes(&self, n: usize) -> TopCounts {
        let counts = self.new.top(n);
        TopCounts { more: self.new.len() - counts.len(), counts, too_low: self.new.error() }
    }

    /// Returns the prefixes that got a new series last, the newest first, and by how much their
    /// counts may be too low. `interval` is the number of the open interval.
    pub(super) fn newest(&self, interval: u32) -> (Vec<NewPrefix>, u64) {
        let places = self.newest.iter().map(|place| NewPrefix {
            prefix: place.prefix().into(),
            count: self.new.count(place.prefix(), (), place.hash).max(1),
            newest: place.name.as_slice().into(),
            flushes: interval.wrapping_sub(place.interval),
        });
        (places.collect(), self.new.error())
    }

    /// The tag keys with most values.
    pub fn tags(&self, n: usize) -> Vec<TagValues> {
        self.tags.top(n)
    }
}

/// The last prefixes with a new series, the newest first. A misspelt name is among them.
#[derive(Debug, Default)]
struct Newest {
    places: VecDeque<NewestPlace>,
}

/// A prefix and its newest series.
#[derive(Debug, Default)]
struct NewestPlace {
    /// The hash of the prefix.
    hash: u64,
    /// The name of the series, cut off at [`NEWEST_BYTES_MAX`]. The prefix is its beginning.
    name: Vec<u8>,
    /// The number of the interval in which it came.
    interval: u32,
}

/// The most prefixes.
const NEWEST_PREFIXES_MAX: usize = 64;
const NEWEST_BYTES_MAX: usize = 128;

impl Newest {
    /// Notes a new series. `hash` is that of its prefix.
    fn add(&mut self, name: &[u8], hash: u64, interval: u32) {
        let cut = &name[..name.len().min(NEWEST_BYTES_MAX)];
        // Most new series have the prefix of the one before.
        if let Some(first) = self.places.front_mut().filter(|first| first.hash == hash) {
            first.set(cut, interval);
            return;
        }
        let known = self.places.iter().position(|place| place.hash == hash);
        let mut place = match known {
            Some(at) => self.places.remove(at),
            None if self.places.len() >= NEWEST_PREFIXES_MAX => self.places.pop_back(),
            None => None,
        }
        .unwrap_or_default();
        place.hash = hash;
        place.set(cut, interval);
        self.places.push_front(place);
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &NewestPlace> {
        self.places.iter()
    }
}

impl NewestPlace {
    fn set(&mut self, name: &[u8], interval: u32) {
        self.name.clear();
        self.name.extend_from_slice(name);
        self.interval = interval;
    }

    fn prefix(&self) -> &[u8] {
        first_two_elements(&self.name)
    }
}

const PREFIX_BYTES_MAX: usize = 128;

/// The first two elements of a name, without its tags.
fn first_two_elements(name: &[u8]) -> &[u8] {
    let name = &name[..name.len().min(PREFIX_BYTES_MAX)];
    let mut has_dot = false;
    for (at, byte) in name.iter().enumerate() {
        match byte {
            b'.' if !has_dot => has_dot = true,
            b'.' | b';' => return &name[..at],
            _ => {}
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: &[u8]) -> u64 {
        name.iter().fold(7, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        })
    }

    #[test]
    fn new_series_are_counted_by_prefix_since_the_start() {
        let mut top = Top::new();
        for n in 0..5000 {
            top.count_new_series(format!("junk.{n}.x").as_bytes(), 1, hash);
            top.count_new_series(format!("app.web.{n}").as_bytes(), 1, hash);
        }
        let TopCounts { counts, too_low, more } = top.prefixes(2);
        assert_eq!(more, top.new.len() - 2);
        assert_eq!(&*counts[0].name, b"app.web");
        assert!((5000 - too_low..=5000).contains(&counts[0].count), "{counts:?}");
        assert!(too_low <= 10_000 / (PREFIXES_MAX as u64 / 2), "{too_low}");
        assert!(top.new.top(usize::MAX).len() <= PREFIXES_MAX);
    }

    /// Shows that a misspelt name is first when it comes, also among many other new series.
    #[test]
    fn the_newest_prefixes_come_first_with_their_newest_series() {
        let mut top = Top::new();
        for n in 0..1000 {
            top.count_new_series(format!("shop.orders.{n}").as_bytes(), 1, hash);
            top.count_new_series(format!("junk.{n}.x").as_bytes(), 1, hash);
        }
        top.count_new_series(b"shop.ordres.total;env=prod", 3, hash);
        let (prefixes, _) = top.newest(7);
        assert_eq!(prefixes.len(), NEWEST_PREFIXES_MAX);
        let shown = |at: usize| {
            let NewPrefix { prefix, count, newest, flushes } = &prefixes[at];
            let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
            (text(prefix), *count, text(newest), *flushes)
        };
        let of = |prefix: &str, count, newest: &str, flushes| {
            (prefix.to_owned(), count, newest.to_owned(), flushes)
        };
        assert_eq!(shown(0), of("shop.ordres", 1, "shop.ordres.total;env=prod", 4));
        assert_eq!(shown(1), of("junk.999", 1, "junk.999.x", 6));
        assert!(shown(2).1 > 900 && shown(2).2 == "shop.orders.999", "{:?}", shown(2));
        top.count_new_series(b"shop.orders.new", 8, hash);
        let again = &top.newest(8).0[0];
        assert_eq!((&*again.newest, again.flushes), (&b"shop.orders.new"[..], 0));
    }

    #[test]
    fn a_prefix_is_two_elements_without_tags() {
        for (name, expected) in
            [("a.b.c.d", "a.b"), ("a.b", "a.b"), ("a", "a"), ("a;t=x.y.z", "a"), ("a.b;t=1", "a.b")]
        {
            assert_eq!(first_two_elements(name.as_bytes()), expected.as_bytes());
        }
        assert_eq!(first_two_elements(&[b'x'; 2000]).len(), PREFIX_BYTES_MAX);
    }
}
