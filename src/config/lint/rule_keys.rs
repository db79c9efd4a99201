//! Warnings about keys of one rule that cannot have an effect together. Pure.
//!
//! Each key of a name comes from the first rule that matches it. So an earlier rule can take the
//! place of the key that stands in the way, for some of the names. Then there is no warning.
//!
//! `figures.rs` warns about `percentiles` and `histogram` beside `timer_metrics`.

use super::context::Lint;
use crate::policy::{Glob, Rule, TimerMetric};

/// A key without an effect, the reason, and what to write instead.
type IdleKey = (&'static str, String, &'static str);

pub(super) fn check(lint: &mut Lint<'_>, header: &str, at: usize) {
    let rules = &lint.config.rules.rules;
    let rule = &rules[at];
    let earlier = &rules[..at];
    let is_first = |is_set: fn(&Rule) -> bool| !earlier.iter().any(is_set);
    let found = if rule.drop == Some(true) {
        let drops_all = is_first(|other| other.drop == Some(false));
        others_than_drop(rule).filter(|_| drops_all).into_iter().collect()
    } else {
        let mut found = Vec::new();
        let removal = Removal {
            drop: rule.drop_tags.as_deref().filter(|_| is_first(|other| other.drop_tags.is_some())),
            keep: rule.keep_tags.as_deref().filter(|_| is_first(|other| other.keep_tags.is_some())),
        };
        removal.check(&mut found);
        let renames = rule.rename_tag.as_deref().unwrap_or_default();
        for rename in renames {
            if let Some((by, remedy)) = removal.of(rename.from.as_bytes()) {
                let reason = format!("{by} removes {} before it is renamed", rename.from);
                found.push(("rename_tag", reason, remedy));
            }
        }
        let renames_first = is_first(|other| other.rename_tag.is_some());
        for limit in rule.max_tag_values.iter().flatten() {
            let key = limit.key.as_deref();
            if rules.iter().any(|other| adds(other, key)) {
                continue;
            }
            let Some(key) = key else {
                if removal.keep.is_some_and(<[_]>::is_empty) {
                    let reason = "keep_tags removes all tags".to_owned();
                    found.push(("max_tag_values", reason, "list tags in keep_tags"));
                }
                continue;
            };
            let renamed = renames.iter().find(|rename| rename.from.as_str() == key);
            if let Some(rename) = renamed.filter(|_| renames_first) {
                let reason = format!("rename_tag makes {} of {key} before", rename.to);
                found.push(("max_tag_values", reason, "limit the new key"));
            } else if let Some((by, remedy)) = removal.of(key.as_bytes()) {
                found.push(("max_tag_values", format!("{by} removes {key}"), remedy));
            }
        }
        let deletes =
            rule.delete_idle == Some(true) && is_first(|other| other.delete_idle.is_some());
        if deletes && let Some(expire) = rule.expire {
            let base = &lint.config.rules.base;
            let longest = lint.config.flush_interval * (base.gauge_ttl - 1);
            if expire.is_none_or(|expire| expire > longest) {
                let reason = "delete_idle = yes removes a series earlier".to_owned();
                found.push(("expire", reason, "remove expire, or write delete_idle = no"));
            }
        }
        let lists = |metric: fn(&TimerMetric) -> bool| {
            rule.timer_metrics.as_ref().is_some_and(|metrics| metrics.iter().any(metric))
        };
        let of_percentiles = |metric: &TimerMetric| matches!(metric, TimerMetric::Percent(_));
        if rule.percentiles.as_ref().is_some_and(Vec::is_empty)
            && is_first(|other| other.percentiles.is_some())
            && lists(of_percentiles)
        {
            let reason = "percentiles is empty, so a figure of percentiles is never sent";
            found.push((
                "timer_metrics",
                reason.to_owned(),
                "set percentiles, or list no such figure",
            ));
        }
        if rule.histogram.as_ref().is_some_and(Vec::is_empty)
            && is_first(|other| other.histogram.is_some())
            && lists(|metric| *metric == TimerMetric::Histogram)
        {
            let reason = "histogram is empty, so a bin is never sent".to_owned();
            found.push(("timer_metrics", reason, "set histogram, or do not list it"));
        }
        found
    };
    for (key, reason, remedy) in found {
        lint.warn(header, key, reason, remedy);
    }
}

/// Returns the warning about the other keys of a rule that drops all its names.
fn others_than_drop(rule: &Rule) -> Option<IdleKey> {
    let mut keys = settings(rule);
    keys.retain(|key| *key != "drop");
    if rule.add_tags.is_some() {
        keys.push("tags");
        keys.retain(|key| *key != "name" || rule.rename.is_some());
    }
    let reason =
        format!("no series is left for {}, since drop = yes drops the names", keys.join(", "));
    Some((*keys.first()?, reason, "remove drop, or the other keys"))
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
struct Removal<'a> {
    drop: Option<&'a [Glob]>,
    keep: Option<&'a [Glob]>,
}

impl Removal<'_> {
    /// Returns the key that removes a tag, and the remedy.
    fn of(&self, tag: &[u8]) -> Option<(&'static str, &'static str)> {
        let is_in = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(tag));
        if self.drop.is_some_and(is_in) {
            return Some(("drop_tags", "remove the tag from one of the keys"));
        }
        let is_kept = self.keep.is_none_or(is_in);
        (!is_kept).then_some(("keep_tags", "add the tag to keep_tags, or remove it here"))
    }

    /// Adds warnings about patterns of one key without an effect because of the other.
    fn check(&self, found: &mut Vec<IdleKey>) {
        let (Some(drop), Some(keep)) = (self.drop, self.keep) else { return };
        if let Some(kept) = keep.iter().find(|kept| drop.iter().any(|glob| glob.covers(kept))) {
            let reason = format!("drop_tags removes {kept}, so it is not kept");
            found.push(("keep_tags", reason, "remove the pattern from one of the two keys"));
        } else if keep.iter().all(|kept| {
            let text = kept.as_str();
            !text.contains(['*', '?']) && drop.iter().all(|glob| !glob.matches(text.as_bytes()))
        }) {
            let reason = "keep_tags removes these tags, too".to_owned();
            found.push(("drop_tags", reason, "remove drop_tags"));
        }
    }
}
