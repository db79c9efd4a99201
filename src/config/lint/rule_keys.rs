//! Warnings about keys of one rule that cannot have an effect together. Pure.
//!
//! Each key of a name comes from the first rule that matches it. So an earlier rule can take the
//! place of the key that stands in the way, for some of the names. Then there is no warning.
//!
//! `figures.rs` warns about `percentiles` and `histogram` beside `timer_metrics`.

use std::time::Duration;

use super::context::Lint;
use crate::policy::{Glob, Rule, TagPattern, TimerMetric};

/// A key without an effect.
struct KeyWithoutEffect {
    key: &'static str,
    reason: String,
    /// What to write instead.
    remedy: &'static str,
}

pub(super) fn check(lint: &mut Lint<'_>, header: &str, at: usize) {
    let rules = &lint.config.rules.rules;
    let mut check = KeyCheck::new(rules, at);
    if lint.config.grammar.sanitize {
        check.wanted_tags();
    }
    if rules[at].drop == Some(true) {
        check.others_than_drop();
    } else {
        let base = &lint.config.rules.base;
        check.idle_values();
        if lint.config.grammar.sanitize {
            check.keys_of_no_tag();
        }
        check.removals();
        check.renames();
        check.limits();
        check.expire(lint.config.flush_interval * (base.gauge_ttl - 1));
        check.timer_metrics();
    }
    for KeyWithoutEffect { key, reason, remedy } in check.found {
        lint.warn(header, key, reason, remedy);
    }
}

/// The check of one rule.
struct KeyCheck<'a> {
    rules: &'a [Rule],
    rule: &'a Rule,
    /// The rules before it, and those after it.
    earlier: &'a [Rule],
    later: &'a [Rule],
    removal: Removal<'a>,
    found: Vec<KeyWithoutEffect>,
}

impl<'a> KeyCheck<'a> {
    fn new(rules: &'a [Rule], at: usize) -> Self {
        let rule = &rules[at];
        let mut check = Self {
            rules,
            rule,
            earlier: &rules[..at],
            later: &rules[at + 1..],
            removal: Removal { drop: None, keep: None },
            found: Vec::new(),
        };
        let drop = rule.drop_tags.as_deref();
        let keep = rule.keep_tags.as_deref();
        check.removal = Removal {
            drop: drop.filter(|_| check.is_first(|other| other.drop_tags.is_some())),
            keep: keep.filter(|_| check.is_first(|other| other.keep_tags.is_some())),
        };
        check
    }

    /// Whether no earlier rule sets a key.
    fn is_first(&self, is_set: fn(&Rule) -> bool) -> bool {
        !self.earlier.iter().any(is_set)
    }

    fn add(&mut self, key: &'static str, reason: impl Into<String>, remedy: &'static str) {
        self.found.push(KeyWithoutEffect { key, reason: reason.into(), remedy });
    }

    /// Checks for a tag that must have two values. A clean name has one of each key.
    fn wanted_tags(&mut self) {
        let wanted = &self.rule.match_tags;
        for tag in wanted {
            let Some(value) = tag.value.as_ref().map(Glob::as_str) else { continue };
            let is_other = |other: &TagPattern| {
                let glob = other.value.as_ref().filter(|_| other.key == tag.key);
                glob.is_some_and(|glob| !glob.matches_tag(value.as_bytes()))
            };
            if !value.contains(['*', '?']) && wanted.iter().any(is_other) {
                let reason = format!("no name has the tag {} with two values", tag.key);
                self.add("match_tags", reason, "write a rule for each value");
                return;
            }
        }
    }

    /// Checks the other keys of a rule that drops all its names.
    fn others_than_drop(&mut self) {
        if !self.is_first(|other| other.drop == Some(false)) {
            return;
        }
        let mut keys = settings(self.rule);
        keys.retain(|key| *key != "drop");
        if self.rule.add_tags.is_some() {
            keys.push("tags");
            keys.retain(|key| *key != "name" || self.rule.rename.is_some());
        }
        let reason =
            format!("no series is left for {}, since drop = yes drops the names", keys.join(", "));
        if let Some(&first) = keys.first() {
            self.add(first, reason, "remove drop, or the other keys");
        }
    }

    /// Checks values that change nothing. An empty list keeps the list of a later rule from names.
    fn idle_values(&mut self) {
        let rule = self.rule;
        let is_last = |is_set: fn(&Rule) -> bool| !self.later.iter().any(is_set);
        let is_empty = rule.drop_tags.as_ref().is_some_and(Vec::is_empty);
        if is_empty && is_last(|other| other.drop_tags.is_some()) {
            self.add("drop_tags", "the list is empty", "list keys of tags, or remove drop_tags");
        }
        let is_empty = rule.rename.is_none() && rule.add_tags.as_ref().is_some_and(Vec::is_empty);
        if is_empty && is_last(|other| other.rename.is_some() || other.add_tags.is_some()) {
            self.add("tags", "the list is empty", "list tags such as dc=eu, or remove tags");
        }
        let mut renames = rule.rename_tag.iter().flatten();
        if let Some(same) = renames.find(|rename| rename.from == rename.to) {
            let reason = format!("{} keeps its key", same.from);
            self.add("rename_tag", reason, "write another key after the =, or remove the pair");
        }
    }

    /// Checks for patterns with a byte that no key of a tag has after cleaning.
    fn keys_of_no_tag(&mut self) {
        let is_clean = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.*?".contains(&byte);
        let rule = self.rule;
        for (key, globs) in [("drop_tags", &rule.drop_tags), ("keep_tags", &rule.keep_tags)] {
            let mut texts = globs.iter().flatten().map(Glob::as_str);
            if let Some(text) = texts.find(|text| !text.bytes().all(is_clean)) {
                let reason = format!("no key of a tag matches {text}");
                self.add(key, reason, "write the key alone, without the value of the tag");
            }
        }
    }

    /// Checks the patterns of `drop_tags` and `keep_tags`, which may stand in each other's way.
    fn removals(&mut self) {
        let Removal { drop: Some(drop), keep: Some(keep) } = self.removal else { return };
        let is_kept = |kept: &Glob| {
            let text = kept.as_str();
            !text.contains(['*', '?']) && drop.iter().all(|glob| !glob.matches_tag(text.as_bytes()))
        };
        if let Some(kept) =
            keep.iter().find(|kept| drop.iter().any(|glob| glob.covers_in_tags(kept)))
        {
            let reason = format!("drop_tags removes {kept}, so it is not kept");
            self.add("keep_tags", reason, "remove the pattern from one of the two keys");
        } else if keep.iter().all(is_kept) {
            self.add("drop_tags", "keep_tags removes these tags, too", "remove drop_tags");
        }
    }

    fn renames(&mut self) {
        for rename in self.rule.rename_tag.iter().flatten() {
            if let Some(RemovedBy { key, remedy }) = self.removal.of(rename.from.as_bytes()) {
                let reason = format!("{key} removes {} before it is renamed", rename.from);
                self.add("rename_tag", reason, remedy);
            }
        }
    }

    fn limits(&mut self) {
        for limit in self.rule.max_tag_values.iter().flatten() {
            if self.rules.iter().any(|other| adds(other, limit.key.as_deref())) {
                continue;
            }
            match &limit.key {
                Some(key) => self.limit_of_tag(key),
                None if self.removal.keep.is_some_and(<[_]>::is_empty) => {
                    self.add(
                        "max_tag_values",
                        "keep_tags removes all tags",
                        "list tags in keep_tags",
                    );
                }
                None => {}
            }
        }
    }

    fn limit_of_tag(&mut self, key: &str) {
        let renames_first = self.is_first(|other| other.rename_tag.is_some());
        let mut renames = self.rule.rename_tag.iter().flatten();
        let renamed = renames.find(|rename| rename.from.as_str() == key);
        if let Some(rename) = renamed.filter(|_| renames_first) {
            let reason = format!("rename_tag makes {} of {key} before", rename.to);
            self.add("max_tag_values", reason, "limit the new key");
        } else if let Some(RemovedBy { key: by, remedy }) = self.removal.of(key.as_bytes()) {
            self.add("max_tag_values", format!("{by} removes {key}"), remedy);
        }
    }

    /// Checks `expire` beside `delete_idle`, which removes an idle gauge after `longest`, and other
    /// series at once.
    fn expire(&mut self, longest: Duration) {
        let deletes = self.rule.delete_idle == Some(true)
            && self.is_first(|other| other.delete_idle.is_some());
        if deletes
            && let Some(expire) = self.rule.expire
            && expire.is_none_or(|expire| expire > longest)
        {
            let remedy = "remove expire, or write delete_idle = no";
            self.add("expire", "delete_idle = yes removes a series earlier", remedy);
        }
    }

    /// Checks `timer_metrics` beside keys that leave nothing to list.
    fn timer_metrics(&mut self) {
        let rule = self.rule;
        let lists = |metric: fn(&TimerMetric) -> bool| {
            rule.timer_metrics.as_ref().is_some_and(|metrics| metrics.iter().any(metric))
        };
        if rule.percentiles.as_ref().is_some_and(Vec::is_empty)
            && self.is_first(|other| other.percentiles.is_some())
            && lists(|metric| matches!(metric, TimerMetric::Percent(_)))
        {
            let reason = "percentiles is empty, so a figure of percentiles is never sent";
            self.add("timer_metrics", reason, "set percentiles, or list no such figure");
        }
        if rule.histogram.as_ref().is_some_and(Vec::is_empty)
            && self.is_first(|other| other.histogram.is_some())
            && lists(|metric| *metric == TimerMetric::Histogram)
        {
            let reason = "histogram is empty, so a bin is never sent";
            self.add("timer_metrics", reason, "set histogram, or do not list it");
        }
    }
}

/// Returns the names of the settings that a rule has. `name` stands for `tags`, too.
pub(super) fn settings(rule: &Rule) -> Vec<&'static str> {
    let all = [
        ("drop", rule.drop.is_some()),
        ("signed_gauges", rule.signed_gauges.is_some()),
        ("expire", rule.expire.is_some()),
        ("delete_idle", rule.delete_idle.is_some()),
        ("percentiles", rule.percentiles.is_some()),
        ("timer_metrics", rule.timer_metrics.is_some()),
        ("histogram", rule.histogram.is_some()),
        ("name", rule.rename.is_some() || rule.add_tags.is_some()),
        ("drop_tags", rule.drop_tags.is_some()),
        ("keep_tags", rule.keep_tags.is_some()),
        ("rename_tag", rule.rename_tag.is_some()),
        ("max_tag_values", rule.max_tag_values.is_some()),
    ];
    all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect()
}

/// Whether a rule can give a name the tag with this key, or any tag.
fn adds(rule: &Rule, key: Option<&str>) -> bool {
    let is_it = |made: &str| key.is_none_or(|key| key == made);
    rule.add_tags.iter().flatten().any(|tag| is_it(&tag.key))
        || key.is_some() && rule.rename_tag.iter().flatten().any(|rename| is_it(&rename.to))
}

/// The patterns that remove tags from every name that the rule matches.
#[derive(Clone, Copy)]
struct Removal<'a> {
    drop: Option<&'a [Glob]>,
    keep: Option<&'a [Glob]>,
}

/// The key that removes a tag.
struct RemovedBy {
    key: &'static str,
    /// What to write instead.
    remedy: &'static str,
}

impl Removal<'_> {
    /// Returns the key that removes a tag. Returns `None` if the tag stays.
    fn of(self, tag: &[u8]) -> Option<RemovedBy> {
        let is_in = |globs: &[Glob]| globs.iter().any(|glob| glob.matches_tag(tag));
        if self.drop.is_some_and(is_in) {
            let remedy = "remove the tag from one of the keys";
            return Some(RemovedBy { key: "drop_tags", remedy });
        }
        let is_kept = self.keep.is_none_or(is_in);
        let remedy = "add the tag to keep_tags, or remove it here";
        (!is_kept).then_some(RemovedBy { key: "keep_tags", remedy })
    }
}
