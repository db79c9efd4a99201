//! What rules decide about the series of a table: their names, their policies, and the values of
//! their tags.
//!
//! ```text
//!  original name ──▶ resolve ──▶ name of the series, policy
//!                      a reload ──▶ update, when the series is closed next
//! ```

use std::borrow::Cow;
use std::time::Duration;

use super::bounds::AddError;
use super::memory::Pool;
use super::raw::{is_merged, without_mark};
use super::saved::SavedSeries;
use super::series::Series;
use super::shard::{NameHash, SeriesPlace};
use super::shards::Shards;
use super::stored_name::StoredName;
use super::tag_limits::TagLimits;
use super::tag_store::TagStore;
use crate::policy::{LimitedTag, OTHER, PolicySets, ResolvedName, Rules, clean_form};
use crate::protocol::{cleaned, is_clean, tags_of};

/// The rules of a table.
#[derive(Debug)]
pub struct TableRules {
    pub(super) policies: PolicySets,
    limits: TagLimits,
    names: ahash::RandomState,
    /// Whether some rule changes names or tags.
    changes_names: bool,
    /// The number of sweeps until no series has a name that only earlier rules have made, unless a
    /// line has led to it since. A restored series may have one, too. Until then, each sample must
    /// call [`adopt_original`](Self::adopt_original) for its series.
    sweeps_with_old_names: u8,
    /// Whether some series may still have a policy from before the last reload.
    has_old_policies: bool,
    /// For each rule, the samples of open intervals that were lost because a reload lets the rule
    /// drop their series.
    dropped: Vec<(u8, u64)>,
}

/// What rules have made of a name, for a series that is found or created under another one.
#[derive(Clone, Copy)]
pub(super) struct RuleOutcome<'a> {
    pub(super) policy: u16,
    /// The name as the client sends it. `None` if it is also the name of the series.
    pub(super) original: Option<&'a [u8]>,
}

/// The names of a series that is restored, and its policy.
#[derive(Debug)]
pub(super) struct RestoredNames<'a> {
    pub(super) name: Cow<'a, [u8]>,
    /// The name from which rules have made `name`.
    pub(super) original: Option<Cow<'a, [u8]>>,
    /// An error has the number of the rule that drops the series.
    pub(super) policy: Result<u16, u8>,
}

impl TableRules {
    /// `names` makes the hashes of names.
    pub(super) fn new(rules: &Rules, interval: Duration, names: &ahash::RandomState) -> Self {
        let policies = PolicySets::new(rules, interval);
        Self {
            changes_names: policies.change_names(),
            policies,
            limits: TagLimits::new(names.clone(), interval),
            names: names.clone(),
            sweeps_with_old_names: 0,
            has_old_policies: false,
            dropped: Vec::new(),
        }
    }

    /// Returns the same rules for a copy of the table, without series.
    pub(super) fn unused_copy(&self) -> Self {
        Self {
            policies: self.policies.unused_copy(),
            limits: TagLimits::new(self.names.clone(), Duration::ZERO),
            names: self.names.clone(),
            changes_names: self.changes_names,
            sweeps_with_old_names: 0,
            has_old_policies: false,
            dropped: Vec::new(),
        }
    }

    /// Whether the name of a line may not be that of its series: some rule changes names or tags,
    /// or some series may still have a name that earlier rules have made.
    pub(super) fn change_names(&self) -> bool {
        self.changes_names || self.sweeps_with_old_names > 0
    }

    /// Takes the samples that were lost because a reload lets a rule drop their series, each with
    /// the number of the rule.
    pub(super) fn take_dropped(&mut self) -> Vec<(u8, u64)> {
        std::mem::take(&mut self.dropped)
    }

    /// Returns the number of the rule that drops the name or the line with this hash, if that is
    /// remembered. Returns `None` while a series may have a name that the rules drop: it takes
    /// samples until it is closed.
    #[inline]
    pub(super) fn dropped_by(&self, hash: u64) -> Option<u8> {
        if self.has_old_policies { None } else { self.policies.dropped_by(hash) }
    }

    /// Returns what the rules make of a name. Fails with the number of the rule that drops it.
    /// `is_series` returns whether the table holds a series of a name.
    pub(super) fn resolve(
        &mut self,
        name: &[u8],
        NameHash(hash): NameHash,
        is_series: &dyn Fn(&[u8]) -> bool,
    ) -> Result<ResolvedName, u8> {
        let known = self.known_name(name, is_series);
        let Self { policies, limits, .. } = self;
        let generation = policies.newest_rule(0);
        policies.resolve(name, hash, &mut |tag| match &known {
            Some(known) => has_tag(known, tag),
            None => limits.allows_new(generation | u16::from(tag.rule), tag),
        })
    }

    /// Returns the outcome for a name that the rules do not change.
    pub(super) fn outcome_of(
        &mut self,
        name: &[u8],
        hash: NameHash,
    ) -> Result<RuleOutcome<'static>, AddError> {
        let resolved = self.resolve(name, hash, &|_| false).map_err(AddError::ByRule)?;
        Ok(RuleOutcome { policy: resolved.policy, original: None })
    }

    /// Returns the name of the series that the rules make of a name. Passes each tag whose value
    /// they replace to `replaced`. Nothing is remembered. `is_series` is as for
    /// [`resolve`](Self::resolve).
    pub(super) fn made_of<'a>(
        &self,
        name: &'a [u8],
        is_series: &dyn Fn(&[u8]) -> bool,
        mut replaced: impl FnMut(LimitedTag<'_>),
    ) -> Cow<'a, [u8]> {
        let known = self.known_name(name, is_series);
        let generation = self.policies.newest_rule(0);
        let made = self.policies.changed(name, &mut |tag| {
            let is_allowed = match &known {
                Some(known) => has_tag(known, tag),
                None => self.limits.allows(generation | u16::from(tag.rule), tag),
            };
            if !is_allowed {
                replaced(tag);
            }
            is_allowed
        });
        made.map_or(Cow::Borrowed(name), Cow::Owned)
    }

    /// Returns the name of a series that the table holds, if a new series could not have it.
    ///
    /// After a reload, the values that series have count against a new limit only once each series
    /// has its new policy. Until then the limit may seem to be reached, or not to be. A series
    /// keeps its values, so its lines must go to it all the time.
    fn known_name<'a>(
        &self,
        name: &'a [u8],
        is_series: &dyn Fn(&[u8]) -> bool,
    ) -> Option<Cow<'a, [u8]>> {
        if !self.has_old_policies {
            return None;
        }
        let Self { policies, limits, .. } = self;
        let generation = policies.newest_rule(0);
        let mut has_replaced = false;
        let known = policies.changed(name, &mut |tag| {
            let rule = generation | u16::from(tag.rule);
            let is_allowed = limits.allows(rule, tag);
            has_replaced |= !is_allowed;
            is_allowed || !limits.counts_all(rule, tag.key, policies)
        });
        let known = known.map_or(Cow::Borrowed(name), Cow::Owned);
        (has_replaced && is_series(&known)).then_some(known)
    }

    /// Returns the names that a saved series gets. The rules may have changed since it was saved,
    /// but a name that they have made is not changed again. With `cleans`, the names are cleaned.
    /// Returns `None` if the record is damaged.
    ///
    /// As after a reload, the series keeps the values of its tags. That includes `other`, which
    /// stands for the values of many names, though only one of them is stored. A series that has
    /// the values of several names also keeps its name, even if the rules no longer make it:
    /// otherwise all the values would count for one of the names. No line leads to it then.
    pub(super) fn restored_names<'a>(
        &mut self,
        saved: &SavedSeries<'a>,
        cleans: bool,
    ) -> Option<RestoredNames<'a>> {
        let clean = |name: &'a [u8]| {
            if cleans && !is_clean(name) {
                Cow::Owned(cleaned(without_mark(name)))
            } else {
                Cow::Borrowed(name)
            }
        };
        let name = clean(saved.name);
        let saved_original = saved.original.map(clean);
        if without_mark(&name).is_empty() {
            return None;
        }
        let original = saved_original.as_deref().unwrap_or_else(|| without_mark(&name));
        let own = clean_form(without_mark(&name));
        let Self { policies, limits, names, .. } = self;
        let generation = policies.newest_rule(0);
        let resolved =
            policies.resolve(original, names.hash_one(original), &mut |tag| match tags_of(&own)
                .find(|(key, _)| *key == tag.key)
            {
                Some((_, value)) if value == tag.value => true,
                Some((_, OTHER)) => false,
                _ => limits.allows_new(generation | u16::from(tag.rule), tag),
            });
        let policy = resolved.as_ref().map(|resolved| resolved.policy).map_err(|rule| *rule);
        let made = resolved.ok().and_then(|resolved| resolved.name);
        if saved.is_joined && made.as_deref().unwrap_or(original) != without_mark(&name) {
            let policy = policy.map(|policy| policies.without_lines(policy));
            self.sweeps_with_old_names = 2; // as after a reload: a line may lead to it again
            return Some(RestoredNames { name, original: saved_original, policy });
        }
        Some(match made {
            Some(made) => {
                let original = Some(Cow::Owned(original.to_vec()));
                RestoredNames { name: Cow::Owned(made), original, policy }
            }
            None => {
                let name = saved_original.unwrap_or(name);
                RestoredNames { name, original: None, policy }
            }
        })
    }

    /// Lets a copy of a table replace the value of a tag, as the table would.
    pub(super) fn deny(&mut self, tag: LimitedTag<'_>) {
        self.limits.deny(tag);
    }

    /// Counts the values of the limited tags of a series of this policy and canonical name that the
    /// table is about to hold.
    pub(super) fn count_values(&mut self, policy: u16, name: &[u8]) {
        self.limits.count_values(policy, name, &self.policies);
    }

    /// Counts that the table no longer holds a series with its values of limited tags.
    pub(super) fn uncount_values(
        &mut self,
        series: &Series,
        name: StoredName<'_>,
        tags: &TagStore,
    ) {
        if self.policies.limits_tags(series.policy()) {
            let mut text = Vec::new();
            name.append(tags, &mut text);
            self.limits.uncount_values(series.policy(), &text, &self.policies);
        }
    }

    /// Returns the name that the rules make of a name for a value that belongs to no series. The
    /// values of its tags count against their limits until the next flush.
    /// Fails with the number of the rule that drops it.
    pub fn name_passing<'a>(
        &mut self,
        name: &'a [u8],
        hash: NameHash,
    ) -> Result<Cow<'a, [u8]>, u8> {
        let resolved = self.resolve(name, hash, &|_| false)?;
        let made = resolved.name.map_or(Cow::Borrowed(name), Cow::Owned);
        self.limits.count_passing(resolved.policy, &made, &self.policies);
        Ok(made)
    }

    /// Takes the tags whose values were replaced in lines without an alias, each as `key=value`.
    pub fn take_replaced_tags(&mut self) -> Vec<Box<[u8]>> {
        self.limits.take_replaced()
    }

    /// Whether a reload may have taken away the lines that led to a series of this policy under the
    /// original name that is stored with it. A sample that reaches the series under a name that
    /// rules have made must then call [`adopt_original`](Self::adopt_original).
    pub(super) fn may_have_old_original(&self, policy: u16) -> bool {
        !self.policies.is_newest(policy) || self.policies.is_without_lines(policy)
    }

    /// Stores `made.original` as the original name of a series for which
    /// [`may_have_old_original`](Self::may_have_old_original) is true.
    pub(super) fn adopt_original(
        &mut self,
        shards: &mut Shards,
        place: SeriesPlace,
        made: RuleOutcome<'_>,
        pool: &mut Pool,
    ) {
        let Shards { all, tags, .. } = shards;
        let Some(placed) = all[place.shard()].at_mut(place.at()) else { return };
        // One of an older policy gets the newest when it is closed.
        if self.policies.is_newest(placed.series.policy()) {
            self.change_policy(placed.series, placed.name, tags, made.policy, pool);
        }
        let stored = |name| all[place.shard()].add_name(name, tags, |_| {});
        let original = made.original.map(stored);
        shards.set_original(place, original);
    }

    /// Sets another policy, makes the record of the series fit it, and counts the values of the
    /// limited tags for it.
    fn change_policy(
        &mut self,
        series: &mut Series,
        name: StoredName<'_>,
        tags: &TagStore,
        policy: u16,
        pool: &mut Pool,
    ) {
        self.uncount_values(series, name, tags);
        let before = &self.policies.at(series.policy()).plan;
        let after = &self.policies.at(policy).plan;
        series.refit_record(before, after, pool);
        series.set_policy(policy);
        if self.policies.limits_tags(policy) {
            let mut text = Vec::new();
            name.append(tags, &mut text);
            self.count_values(policy, &text);
        }
    }

    /// Gives a series the policy that the newest rules have for it, before it is closed. Returns
    /// false if they drop it, or if it is a gauge whose level the rules before them have forgotten.
    #[inline]
    pub(super) fn update<'a>(
        &mut self,
        series: &mut Series,
        stored: StoredName<'_>,
        original: impl FnOnce() -> Option<StoredName<'a>>,
        tags: &TagStore,
        pool: &mut Pool,
    ) -> bool {
        self.policies.is_newest(series.policy())
            || self.update_old(series, stored, original(), tags, pool)
    }

    #[cold]
    fn update_old(
        &mut self,
        series: &mut Series,
        stored: StoredName<'_>,
        original: Option<StoredName<'_>>,
        tags: &TagStore,
        pool: &mut Pool,
    ) -> bool {
        if !series.has_value() {
            return false;
        }
        let set = self.policies.newest_set();
        series.forget_name_kept_before(set);
        let own = stored.owned_text(tags);
        let original = original.map(|name| name.owned_text(tags));
        let name = original.as_deref().unwrap_or_else(|| without_mark(&own));
        // The series keeps the values of its tags, also those over a new limit.
        let clean = clean_form(without_mark(&own));
        let mut has = |tag: LimitedTag<'_>| has_tag(&clean, tag);
        let Self { policies, names, .. } = self;
        let resolved = policies.resolve(name, names.hash_one(name), &mut has);
        let ResolvedName { policy, name: made, .. } = match resolved {
            Ok(resolved) => resolved,
            Err(rule) => {
                // The samples of a merged series are also those of its raw series.
                if !is_merged(&own) {
                    self.note_dropped(rule, series.take_samples());
                }
                return false;
            }
        };
        if original.is_none() && made.is_none() {
            series.note_name_kept_by(set);
        }
        let is_its_own = made.as_deref().unwrap_or(name) == without_mark(&own);
        let policy = if is_its_own { policy } else { policies.without_lines(policy) };
        self.change_policy(series, stored, tags, policy, pool);
        true
    }

    fn note_dropped(&mut self, rule: u8, samples: u32) {
        match self.dropped.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, dropped)) => *dropped += u64::from(samples),
            None => self.dropped.push((rule, samples.into())),
        }
    }

    /// Notes that an interval begins.
    pub(super) fn begin_interval(&mut self) {
        self.limits.begin_interval();
    }

    /// Whether this sweep must remove the aliases of all lines whose values were replaced, because
    /// there may be places for the values when it ends.
    pub(super) fn gives_places(&self) -> bool {
        self.limits.is_giving()
    }

    /// Whether a line whose values were replaced may get an alias. It may not while its next value
    /// may be another one: before places are given away, and while a reload lets values count that
    /// series have.
    pub(super) fn may_replace_always(&self) -> bool {
        !self.limits.is_giving() && !self.has_old_policies
    }

    /// Notes that all series were closed, and have their new policies.
    pub(super) fn end_sweep(&mut self) {
        self.has_old_policies = false;
        self.sweeps_with_old_names = self.sweeps_with_old_names.saturating_sub(1);
        self.limits.end_sweep();
    }

    /// Whether [`replace`](Self::replace) may be called with these rules.
    pub(super) fn can_replace(&self, rules: &Rules, interval: Duration) -> bool {
        !self.has_old_policies || self.policies.are_made_from(rules, interval)
    }

    /// Sets other rules. Each series gets its new policy when it is closed next. Returns whether
    /// they may make other names.
    pub(super) fn replace(&mut self, rules: &Rules, interval: Duration) -> bool {
        assert!(self.can_replace(rules, interval), "a series has one of two policies");
        if self.policies.are_made_from(rules, interval) {
            return false;
        }
        let names_change = self.policies.may_make_other_names(rules);
        self.has_old_policies = true;
        if self.change_names() {
            // The first sweep finds the series that no line leads to under the new rules. The
            // second one removes those that got no sample in between.
            self.sweeps_with_old_names = 2;
        }
        self.policies.replace(rules, interval);
        let set = self.policies.newest_set();
        self.limits.begin_reload(set, self.policies.kept_limits(), interval);
        self.changes_names = self.policies.change_names();
        names_change
    }
}

/// Whether a clean name has this value of a tag.
fn has_tag(name: &[u8], tag: LimitedTag<'_>) -> bool {
    tags_of(name).any(|(key, value)| key == tag.key && value == tag.value)
}
