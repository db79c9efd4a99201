//! The values of the tags that `max_tag_values` limits.
//!
//! A value has a place while some series has it. So a tag of which every value is short-lived, such
//! as the name of a container, reaches its limit only if too many values exist at the same time. A
//! value of a line that belongs to no series has a place until the next flush.
//!
//! ```text
//!  new value ──▶ a place is free: it gets the place
//!           └──▶ none is free: it is replaced, and the places of its tag are kept
//!
//!  the last series with a value goes ──▶ the place is free
//!                                   └──▶ places are kept: they are given away later
//! ```
//! A replaced value must not get a place while lines with it are known by their aliases: the same
//! tags in another order would go to another series. So free places are given away together, at the
//! end of a sweep that has removed all such aliases.

use std::time::Duration;

use ahash::AHashMap;

use super::raw::without_mark;
use crate::policy::{LimitedTag, OTHER, PolicySets, clean_form, flushes};
use crate::protocol::tags_of;

/// The values of each limited tag, and the number of series that have each.
///
/// Hashes stand for keys and values. Two of the same hash are as unlikely as two equal members of a
/// set. A value takes some 60 bytes and a key some 40, and each is a part of a tag of some series.
/// So their number is bounded by `series_memory`.
#[derive(Debug)]
pub(super) struct TagLimits {
    hasher: ahash::RandomState,
    /// For each set of policies, the number under which the values of each rule are counted. A rule
    /// that a reload keeps has the same number in both sets, so that its values go on counting.
    numbers: [[u32; NUMBERS]; 2],
    next_number: u32,
    /// The number of each rule that a reload has kept, and its number before the reload.
    kept: Vec<(u16, u16)>,
    keys: AHashMap<u64, LimitedKey>,
    values: AHashMap<u64, LimitedValue>,
    /// The values that lines without a series have brought since the last flush, unless a series
    /// had them.
    passing: Vec<u64>,
    /// The values that no series has, but whose places are kept.
    unused: Vec<u64>,
    /// The number of flushes after which places may be given away again, and how many are left.
    flushes_between: u32,
    flushes_left: u32,
    /// Whether places are given away at the end of this sweep.
    is_giving: bool,
    /// The tags whose values were replaced, as `key=value`.
    replaced: Vec<Box<[u8]>>,
    /// The hashes of the tags that a copy of a table must replace.
    denied: Vec<u64>,
}

#[derive(Debug, Default)]
struct LimitedKey {
    /// The values that have a place.
    values: u32,
    /// Whether a value was replaced since places were given away last.
    keeps_places: bool,
}

#[derive(Debug)]
struct LimitedValue {
    /// The hash of its key.
    key: u64,
    /// The series that have it.
    series: u32,
    /// Whether it is in [`TagLimits::passing`] or [`TagLimits::unused`].
    is_listed: bool,
}

/// The rules of a set, and more.
const NUMBERS: usize = 256;

/// The most values of lines without a series that are noted in one interval, and the most places
/// that are kept. Further values of lines do not count, and further places are free at once. They
/// take a megabyte each.
const LISTED_MAX: usize = 16_384;

/// The least time after which places are given away again. That removes the aliases of all lines
/// whose values were replaced, and it takes ten times as long to add a line without one.
const BETWEEN: Duration = Duration::from_secs(60);

/// The most replaced tags that are kept for a warning.
const REPLACED_MAX: usize = 16;

impl TagLimits {
    pub(super) fn new(hasher: ahash::RandomState, interval: Duration) -> Self {
        let mut limits = Self {
            hasher,
            numbers: [[0; NUMBERS]; 2],
            next_number: 0,
            kept: Vec::new(),
            keys: AHashMap::new(),
            values: AHashMap::new(),
            passing: Vec::new(),
            unused: Vec::new(),
            flushes_between: 0,
            flushes_left: 0,
            is_giving: false,
            replaced: Vec::new(),
            denied: Vec::new(),
        };
        limits.begin_reload(0, std::iter::empty(), interval);
        limits
    }

    /// Begins a reload that makes `set` the newest set of policies, and keeps these rules, each
    /// with its new number and the one before.
    pub(super) fn begin_reload(
        &mut self,
        set: u16,
        kept: impl Iterator<Item = (u16, u16)>,
        interval: Duration,
    ) {
        self.flushes_between = flushes(BETWEEN, interval);
        self.flushes_left = self.flushes_left.min(self.flushes_between);
        for number in &mut self.numbers[usize::from(set)] {
            *number = self.next_number;
            self.next_number += 1;
        }
        self.kept = kept.collect();
        for (rule, before) in self.kept.clone() {
            *self.number_mut(rule) = *self.number_mut(before);
        }
    }

    fn number_mut(&mut self, rule: u16) -> &mut u32 {
        &mut self.numbers[usize::from(rule >> (u16::BITS - 1))][usize::from(rule) % NUMBERS]
    }

    /// Returns the hashes of a key and of a value of it.
    fn hashes(&self, rule: u16, key: &[u8], value: &[u8]) -> [u64; 2] {
        let numbers = &self.numbers[usize::from(rule >> (u16::BITS - 1))];
        let number = numbers[usize::from(rule) % NUMBERS];
        [self.hasher.hash_one((number, key)), self.hasher.hash_one((number, key, value))]
    }

    /// Whether a series may have this value. `rule` is the number of the rule in [`PolicySets`].
    pub(super) fn allows(&self, rule: u16, tag: LimitedTag<'_>) -> bool {
        if !self.denied.is_empty() && self.denied.contains(&self.hash_of(tag)) {
            return false;
        }
        let [key, value] = self.hashes(rule, tag.key, tag.value);
        self.keys.get(&key).is_none_or(|key| key.values < tag.most)
            || self.values.contains_key(&value)
    }

    /// Whether the values that series have of a tag all count. During a reload they do if a rule of
    /// the same name and patterns has limited the tag before.
    pub(super) fn counts_all(&self, rule: u16, key: &[u8], policies: &PolicySets) -> bool {
        let kept = self.kept.iter().find(|(new, _)| *new == rule);
        kept.is_some_and(|(_, before)| policies.limits_key(*before, key))
    }

    /// As [`allows`](Self::allows), for a line that is added. Notes a replaced value, for a warning
    /// too.
    pub(super) fn allows_new(&mut self, rule: u16, tag: LimitedTag<'_>) -> bool {
        let is_allowed = self.allows(rule, tag);
        if !is_allowed {
            let [key, _] = self.hashes(rule, tag.key, tag.value);
            if let Some(key) = self.keys.get_mut(&key) {
                key.keeps_places = true;
            }
            if self.replaced.len() < REPLACED_MAX {
                self.replaced.push([tag.key, b"=", tag.value].concat().into());
            }
        }
        is_allowed
    }

    /// Returns a value with its hash. If it has no place, it gets one.
    fn with_place(&mut self, rule: u16, key: &[u8], value: &[u8]) -> (u64, &mut LimitedValue) {
        let [key, hash] = self.hashes(rule, key, value);
        let value = self.values.entry(hash).or_insert_with(|| {
            self.keys.entry(key).or_default().values += 1;
            LimitedValue { key, series: 0, is_listed: false }
        });
        (hash, value)
    }

    /// Counts a series of this policy and canonical name for each value of its limited tags.
    pub(super) fn count_values(&mut self, policy: u16, name: &[u8], policies: &PolicySets) {
        each_limited(policy, name, policies, |rule, key, value| {
            self.with_place(rule, key, value).1.series += 1;
        });
    }

    /// Counts the values of the limited tags of a line without a series. `policy` is the one that
    /// its name would have.
    pub(super) fn count_passing(&mut self, policy: u16, name: &[u8], policies: &PolicySets) {
        each_limited(policy, name, policies, |rule, key, value| {
            if self.passing.len() < LISTED_MAX {
                let (hash, value) = self.with_place(rule, key, value);
                if value.series == 0 && !std::mem::replace(&mut value.is_listed, true) {
                    self.passing.push(hash);
                }
            }
        });
    }

    /// Counts that a series no longer has its values, after
    /// [`count_values`](Self::count_values) was called for it.
    pub(super) fn uncount_values(&mut self, policy: u16, name: &[u8], policies: &PolicySets) {
        each_limited(policy, name, policies, |rule, key, value| {
            let [_, hash] = self.hashes(rule, key, value);
            let Some(value) = self.values.get_mut(&hash) else { return };
            value.series -= 1;
            if value.series == 0 && !value.is_listed {
                self.free_or_keep(hash);
            }
        });
    }

    /// Frees the place of a value that is in no list and that no series has. If the places of its
    /// tag are kept, lists it.
    fn free_or_keep(&mut self, hash: u64) {
        let Some(value) = self.values.get_mut(&hash) else { return };
        let Some(key) = self.keys.get_mut(&value.key) else { return };
        if key.keeps_places {
            if self.unused.len() < LISTED_MAX {
                value.is_listed = true;
                self.unused.push(hash);
                return;
            }
            self.flushes_left = 0; // otherwise lines with a replaced value would wait for a minute
        }
        key.values -= 1;
        if key.values == 0 {
            self.keys.remove(&value.key);
        }
        self.values.remove(&hash);
    }

    /// Begins an interval. The sweep of the one before must follow. If places are given away at its
    /// end, it must remove the aliases of all lines whose values were replaced: see
    /// [`is_giving`](Self::is_giving).
    pub(super) fn begin_interval(&mut self) {
        self.flushes_left = self.flushes_left.saturating_sub(1);
        let are_all_used = self.unused.is_empty() && self.passing.is_empty();
        self.is_giving = self.flushes_left == 0 && !are_all_used;
    }

    /// Whether places are given away at the end of this sweep. Until then, lines whose values are
    /// replaced must not get aliases.
    pub(super) fn is_giving(&self) -> bool {
        self.is_giving
    }

    /// Ends the sweep. Frees the places of lines without a series, and gives away those that were
    /// kept, if it is time for that.
    pub(super) fn end_sweep(&mut self) {
        let mut listed = std::mem::take(&mut self.passing);
        let is_giving = std::mem::take(&mut self.is_giving);
        if is_giving {
            listed.append(&mut self.unused);
        }
        for hash in listed {
            let Some(value) = self.values.get_mut(&hash) else { continue };
            value.is_listed = false;
            if value.series > 0 {
                continue;
            }
            if is_giving
                && let Some(key) = self.keys.get_mut(&value.key)
                && std::mem::take(&mut key.keeps_places)
            {
                self.flushes_left = self.flushes_between;
            }
            self.free_or_keep(hash);
        }
        if self.values.len() < self.values.capacity() / 8 {
            self.values.shrink_to_fit();
            self.keys.shrink_to_fit();
        }
    }

    /// Takes the tags that were replaced since the last call, each as `key=value`.
    pub(super) fn take_replaced(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.replaced)
    }

    /// Lets a copy of a table replace this value, as the table would.
    pub(super) fn deny(&mut self, tag: LimitedTag<'_>) {
        let hash = self.hash_of(tag);
        self.denied.push(hash);
    }

    fn hash_of(&self, tag: LimitedTag<'_>) -> u64 {
        self.hasher.hash_one((tag.rule, tag.key, tag.value))
    }
}

/// Passes the number of the rule, the key and the value of each limited tag of a series. The values
/// are those of the clean name, so that a raw name and its merged series have the same.
fn each_limited(
    policy: u16,
    name: &[u8],
    policies: &PolicySets,
    mut pass: impl FnMut(u16, &[u8], &[u8]),
) {
    if !policies.limits_tags(policy) {
        return;
    }
    for (key, value) in tags_of(&clean_form(without_mark(name))) {
        if value != OTHER
            && let Some(rule) = policies.limiting_rule(policy, key)
        {
            pass(rule, key, value);
        }
    }
}
