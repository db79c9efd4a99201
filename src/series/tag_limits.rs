//! The values of the tags that `max_tag_values` limits.
//!
//! A value counts while some series has it. So a tag of which every value is short-lived, such as
//! the name of a container, reaches its limit only if too many values exist at the same time. A
//! value of a line that belongs to no series counts until the next flush.

use ahash::AHashMap;

use super::raw::without_mark;
use crate::policy::{LimitedTag, OTHER, PolicySets, clean_form};
use crate::protocol::tags_of;

/// By the key of a tag, the number of series that have each value. It is 0 for a value that only
/// lines without a series have.
type LimitedKeys = AHashMap<Box<[u8]>, AHashMap<u64, u32>>;

/// The values of each limited tag, and the number of series that have each.
#[derive(Debug)]
pub(super) struct TagLimits {
    hasher: ahash::RandomState,
    /// By the number of the rule, the key, and the hash of the value. Two values of the same hash
    /// are as unlikely as two equal members of a set.
    rules: AHashMap<u16, LimitedKeys>,
    /// The number of each rule that a reload has kept, and its number before the reload. Until all
    /// series have their new policies, both stand for the number before, so that values that some
    /// series have count, whichever policy those have.
    kept: Vec<(u16, u16)>,
    /// The rule, the key and the hash of each value that lines without a series have brought since
    /// the last flush, unless a series had it.
    passing: Vec<(u16, Box<[u8]>, u64)>,
    /// The tags of new series whose values were replaced, as `key=value`.
    replaced: Vec<Box<[u8]>>,
    /// The hashes of the tags that a copy of a table must replace.
    denied: Vec<u64>,
}

/// The most keys of one rule. Clients choose keys, so the number must be bounded. The values of
/// further keys are all replaced.
const KEYS_MAX: usize = 1000;

/// The most values of lines without a series that are noted in one interval. Further ones do not
/// count. They take two megabytes.
const PASSING_MAX: usize = 16_384;

/// The most replaced tags that are kept for a warning.
const REPLACED_MAX: usize = 16;

impl TagLimits {
    pub(super) fn new(hasher: ahash::RandomState) -> Self {
        Self {
            hasher,
            rules: AHashMap::new(),
            kept: Vec::new(),
            passing: Vec::new(),
            replaced: Vec::new(),
            denied: Vec::new(),
        }
    }

    /// Begins a reload that keeps these rules, each with its new number and the one before.
    pub(super) fn begin_reload(&mut self, kept: impl Iterator<Item = (u16, u16)>) {
        self.kept = kept.collect();
    }

    /// Notes that all series have their policies of the last reload.
    pub(super) fn end_reload(&mut self) {
        for (rule, before) in std::mem::take(&mut self.kept) {
            if let Some(keys) = self.rules.remove(&before) {
                self.rules.insert(rule, keys);
            }
        }
    }

    /// Whether a series may have this value. `rule` is the number of the rule in [`PolicySets`].
    pub(super) fn allows(&self, rule: u16, tag: LimitedTag<'_>) -> bool {
        if !self.denied.is_empty() && self.denied.contains(&self.hash_of(tag)) {
            return false;
        }
        let Some(keys) = self.rules.get(&number_of(rule, &self.kept)) else { return true };
        match keys.get(tag.key) {
            None => keys.len() < KEYS_MAX,
            Some(values) => {
                values.len() < tag.most as usize
                    || values.contains_key(&self.hasher.hash_one(tag.value))
            }
        }
    }

    /// Whether the values that series have of a tag all count. During a reload they do if a rule of
    /// the same name and patterns has limited the tag before.
    pub(super) fn counts_all(&self, rule: u16, key: &[u8], policies: &PolicySets) -> bool {
        let before = number_of(rule, &self.kept);
        before != rule && policies.limits_key(before, key)
    }

    /// As [`allows`](Self::allows), for a series that is about to be created. Notes a replaced
    /// value for a warning.
    pub(super) fn allows_new(&mut self, rule: u16, tag: LimitedTag<'_>) -> bool {
        let is_allowed = self.allows(rule, tag);
        if !is_allowed && self.replaced.len() < REPLACED_MAX {
            self.replaced.push([tag.key, b"=", tag.value].concat().into());
        }
        is_allowed
    }

    /// Counts a series of this policy and canonical name for each value of its limited tags.
    pub(super) fn count_values(&mut self, policy: u16, name: &[u8], policies: &PolicySets) {
        let Self { hasher, rules, kept, .. } = self;
        each_limited(policy, name, policies, |rule, key, value| {
            let keys = rules.entry(number_of(rule, kept)).or_default();
            if !keys.contains_key(key) {
                keys.insert(key.into(), AHashMap::new());
            }
            if let Some(values) = keys.get_mut(key) {
                *values.entry(hasher.hash_one(value)).or_default() += 1;
            }
        });
    }

    /// Counts the values of the limited tags of a line without a series. `policy` is the one that
    /// its name would have.
    pub(super) fn count_passing(&mut self, policy: u16, name: &[u8], policies: &PolicySets) {
        let Self { hasher, rules, kept, passing, .. } = self;
        each_limited(policy, name, policies, |rule, key, value| {
            let rule = number_of(rule, kept);
            let value = hasher.hash_one(value);
            let known = rules.get(&rule).and_then(|keys| keys.get(key));
            if passing.len() < PASSING_MAX && known.is_none_or(|known| !known.contains_key(&value))
            {
                let keys = rules.entry(rule).or_default();
                keys.entry(key.into()).or_default().insert(value, 0);
                passing.push((rule, key.into(), value));
            }
        });
    }

    /// Removes the values of lines without a series. Must be called once an interval, before the
    /// end of a reload is noted.
    pub(super) fn uncount_passing(&mut self) {
        for (rule, key, value) in std::mem::take(&mut self.passing) {
            if self.rules.get(&rule).and_then(|keys| keys.get(&key)?.get(&value)) == Some(&0) {
                remove_value(&mut self.rules, rule, &key, value);
            }
        }
    }

    /// Counts that a series no longer has its values, after
    /// [`count_values`](Self::count_values) was called for it.
    pub(super) fn uncount_values(&mut self, policy: u16, name: &[u8], policies: &PolicySets) {
        let Self { hasher, rules, kept, .. } = self;
        each_limited(policy, name, policies, |rule, key, value| {
            let rule = number_of(rule, kept);
            let hash = hasher.hash_one(value);
            let values = rules.get_mut(&rule).and_then(|keys| keys.get_mut(key));
            let Some(count) = values.and_then(|values| values.get_mut(&hash)) else { return };
            *count -= 1;
            if *count == 0 {
                remove_value(rules, rule, key, hash);
            }
        });
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

/// Removes a value of a tag, and what is empty without it.
fn remove_value(rules: &mut AHashMap<u16, LimitedKeys>, rule: u16, key: &[u8], value: u64) {
    let Some(keys) = rules.get_mut(&rule) else { return };
    if let Some(values) = keys.get_mut(key) {
        values.remove(&value);
        if values.is_empty() {
            keys.remove(key);
        }
    }
    if keys.is_empty() {
        rules.remove(&rule);
    }
}

/// The number under which the values of a rule are counted.
fn number_of(rule: u16, kept: &[(u16, u16)]) -> u16 {
    kept.iter().find(|(new, _)| *new == rule).map_or(rule, |(_, before)| *before)
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
