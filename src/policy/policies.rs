//! From rules to policies. A policy is one combination of settings. It is made for the first name
//! that needs it and then stored under a number.
//!
//! ```text
//!  Rules ──▶ Policies::resolve ──▶ number ──▶ Policies::at ──▶ Policy
//!                 two of these, before and after a reload: PolicySets
//! ```

use std::borrow::Cow;
use std::time::Duration;

use super::dropped_names::DroppedNames;
use super::figures::{FigureNames, Plan};
use super::mapping::{LimitedTag, NameChanges};
use super::rules::{Rule, Rules, SignedGauges, flushes};
use super::template::RuleName;
use crate::protocol::{MetricKind, cleaned, is_clean};

/// The settings of a series, with all rules applied.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether the value of a gauge with a sign is its new level rather than a change.
    pub absolute: bool,
    /// For each kind, the number of consecutive idle flushes after which a series is removed. 1 if
    /// no line leads to the series any more.
    lives: [u32; 4],
    /// The number of flushes that send a gauge after its last sample, and after which its level is
    /// unknown. `u32::MAX` if idle gauges are not deleted.
    gauge_flushes: u32,
    /// The figures of a timing.
    pub plan: Plan,
    /// The number of the rule that limits the values of tags.
    limits: Option<u8>,
}

impl Policy {
    /// Whether a series that had no sample in the last `idle` intervals must be removed.
    pub fn is_expired(&self, kind: MetricKind, idle: u32) -> bool {
        idle >= self.lives[kind as usize]
    }

    /// Whether a gauge has no level any more once `flushes` flushes have sent it since its last
    /// sample. A change of it then starts at 0.
    ///
    /// This is one interval before [`is_expired`](Self::is_expired). Node StatsD deletes an idle
    /// gauge right after the last flush that sends it.
    pub fn forgets_gauge(&self, flushes: u32) -> bool {
        flushes >= self.gauge_flushes
    }
}

/// All policies in use.
#[derive(Debug)]
pub struct Policies {
    rules: Rules,
    interval: Duration,
    figures: FigureNames,
    policies: Vec<Policy>,
    /// The sources of each policy.
    sources: Vec<PolicySources>,
    /// The hashes of names that are dropped, and those of the bytes of lines with such names.
    dropped: DroppedNames,
    /// Whether some rule changes names or tags.
    changes_names: bool,
}

/// Makes [`Setting`] from its values, each with the keys and the fields of a rule that give it.
macro_rules! settings {
    ($($setting:ident: $($key:literal $field:ident),+;)*) => {
        /// A setting that rules give. `name` and `tags` are one setting, because they use the
        /// captures of one rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Setting {
            $($setting),*
        }

        impl Setting {
            const ALL: &[Self] = &[$(Self::$setting),*];

            fn is_given_by(self, rule: &Rule) -> bool {
                match self {
                    $(Self::$setting => $(rule.$field.is_some())||+),*
                }
            }

            /// Appends the keys by which a rule gives the setting.
            fn put_keys(self, rule: &Rule, keys: &mut Vec<&'static str>) {
                match self {
                    $(Self::$setting => {
                        $(keys.extend(rule.$field.is_some().then_some($key));)+
                    })*
                }
            }
        }
    };
}

settings! {
    SignedGauges: "signed_gauges" signed_gauges;
    Expire: "expire" expire;
    DeleteIdle: "delete_idle" delete_idle;
    Percentiles: "percentiles" percentiles;
    TimerMetrics: "timer_metrics" timer_metrics;
    Histogram: "histogram" histogram;
    MaxTagValues: "max_tag_values" max_tag_values;
    Name: "name" rename, "tags" add_tags;
    DropTags: "drop_tags" drop_tags;
    KeepTags: "keep_tags" keep_tags;
    RenameTag: "rename_tag" rename_tag;
}

/// For each setting, the number of the rule that gives it, or [`BASE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SettingSources([u8; Setting::ALL.len()]);

const BASE: u8 = u8::MAX;

impl SettingSources {
    /// All settings are those of `[statsd]`.
    const ALL_BASE: Self = Self([BASE; Setting::ALL.len()]);

    /// Returns the number of the rule that gives a setting, or [`BASE`].
    fn of(self, setting: Setting) -> u8 {
        self.0[setting as usize]
    }

    /// Notes that the rule with this number gives each of its settings that no rule has given yet.
    fn add(&mut self, number: u8, rule: &Rule) {
        for &setting in Setting::ALL {
            let source = &mut self.0[setting as usize];
            if *source == BASE && setting.is_given_by(rule) {
                *source = number;
            }
        }
    }

    /// Returns the sources of the settings that a policy has. [`BASE`] stands for the others.
    fn in_policy(mut self) -> Self {
        // The others are needed only when a series is created.
        for other in [Setting::Name, Setting::DropTags, Setting::KeepTags, Setting::RenameTag] {
            self.0[other as usize] = BASE;
        }
        self
    }
}

/// What a policy is made from. Two names with the same sources share a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PolicySources {
    /// The sources of the settings that a policy has.
    settings: SettingSources,
    /// Whether the policy is for series that no line leads to any more.
    is_without_lines: bool,
}

/// What the rules make of a name.
#[derive(Debug)]
pub struct ResolvedName {
    /// The number of the policy.
    pub policy: u16,
    /// The name of the series. `None` if the rules do not change it.
    pub name: Option<Vec<u8>>,
    /// Whether the value of a tag was replaced, because there are too many.
    pub is_limited: bool,
}

/// The rules that match a name, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedRules<'a> {
    /// The name of each rule in file order, and the settings that it gives. A rule gives none if
    /// the rules before it have given all that it has.
    pub rules: Vec<(&'a str, Vec<&'static str>)>,
    /// The rule that drops the name.
    pub dropped_by: Option<&'a str>,
}

/// Past this many combinations a new name gets the base policy, with the rule that limits its tags
/// and, if no line leads to the series, a short life. Those policies are few. Clients choose the
/// names, so the number must be bounded.
const POLICIES_MAX: usize = 1024;

impl Policies {
    pub fn new(rules: &Rules, interval: Duration) -> Self {
        let is_any_dropped = rules.rules.iter().any(|rule| rule.drop == Some(true));
        let mut policies = Self {
            rules: rules.clone(),
            interval,
            figures: FigureNames::new(&rules.percentiles(), &rules.bins()),
            policies: Vec::new(),
            sources: Vec::new(),
            dropped: DroppedNames::new(is_any_dropped),
            changes_names: rules.rules.iter().any(Rule::changes_names),
        };
        policies
            .number(PolicySources { settings: SettingSources::ALL_BASE, is_without_lines: false });
        policies
    }

    /// Whether they were made from these rules.
    pub fn are_made_from(&self, rules: &Rules, interval: Duration) -> bool {
        self.rules == *rules && self.interval == interval
    }

    /// Returns the policy with this number.
    pub fn at(&self, number: u16) -> &Policy {
        &self.policies[usize::from(number)]
    }

    /// Returns what the rules make of a name. Fails with the number of the rule that drops it.
    /// `hash` is the hash of the whole name. Rules are compared with the clean name, so that all
    /// raw names that are one clean name have one policy.
    ///
    /// `allows` returns whether one more value of a tag is within its limit.
    pub fn resolve(
        &mut self,
        name: &[u8],
        hash: u64,
        allows: &mut dyn FnMut(LimitedTag<'_>) -> bool,
    ) -> Result<ResolvedName, u8> {
        if self.rules.rules.is_empty() {
            return Ok(ResolvedName { policy: 0, name: None, is_limited: false });
        }
        if let Some(rule) = self.dropped.rule_of(hash) {
            return Err(rule);
        }
        let clean = clean_form(name);
        let name = RuleName::new(&clean);
        let sources = self.sources(name).inspect_err(|rule| self.dropped.add(hash, *rule))?;
        let changes = self.changes(sources);
        let mut is_limited = false;
        let mut allows = |tag: LimitedTag<'_>| {
            let is_allowed = allows(tag);
            is_limited |= !is_allowed;
            is_allowed
        };
        let made = if changes.is_none() { None } else { changes.apply(name, &mut allows) };
        let settings = sources.in_policy();
        let policy = self.number(PolicySources { settings, is_without_lines: false });
        Ok(ResolvedName { policy, name: made, is_limited })
    }

    /// Returns the number of a policy like this one, for a series that no line leads to any more.
    fn without_lines(&mut self, number: u16) -> u16 {
        self.number(PolicySources { is_without_lines: true, ..self.sources[usize::from(number)] })
    }

    /// Returns the name that the rules make of a name, or `None` if they do not change it. Nothing
    /// is remembered.
    pub fn changed(
        &self,
        name: &[u8],
        allows: &mut dyn FnMut(LimitedTag<'_>) -> bool,
    ) -> Option<Vec<u8>> {
        if !self.changes_names {
            return None;
        }
        let clean = clean_form(name);
        let name = RuleName::new(&clean);
        self.changes(self.sources(name).ok()?).apply(name, allows)
    }

    /// Returns the rule that gives each setting of a name. Fails with the number of the first rule
    /// with a value for `drop`, if that rule drops the name.
    fn sources(&self, name: RuleName<'_>) -> Result<SettingSources, u8> {
        let mut sources = SettingSources::ALL_BASE;
        let mut drop = None;
        for (number, rule) in (0..).zip(&self.rules.rules) {
            if !rule.matches_name(name) {
                continue;
            }
            drop = drop.or_else(|| rule.drop.map(|drops| (drops, number)));
            sources.add(number, rule);
        }
        match drop {
            Some((true, number)) => Err(number),
            _ => Ok(sources),
        }
    }

    /// The rules that change a name whose settings have these sources.
    fn changes(&self, sources: SettingSources) -> NameChanges<'_> {
        let rule = |setting| self.source(sources, setting);
        let limits = sources.of(Setting::MaxTagValues);
        NameChanges {
            naming: rule(Setting::Name),
            drop_tags: rule(Setting::DropTags),
            keep_tags: rule(Setting::KeepTags),
            rename_tag: rule(Setting::RenameTag),
            limits: rule(Setting::MaxTagValues).map(|rule| (limits, rule)),
            squeeze_dots: self.rules.base.squeeze_dots,
        }
    }

    /// Returns the rule that gives a setting, or `None` if `[statsd]` does.
    fn source(&self, sources: SettingSources, setting: Setting) -> Option<&Rule> {
        self.rules.rules.get(usize::from(sources.of(setting)))
    }

    /// Returns the rules that match a name, and what each one gives it. Nothing is remembered.
    pub fn applied(&self, name: &[u8]) -> AppliedRules<'_> {
        let clean = clean_form(name);
        let name = RuleName::new(&clean);
        let mut applied = AppliedRules::default();
        let mut sources = SettingSources::ALL_BASE;
        let mut drop = None;
        for (number, rule) in (0..).zip(&self.rules.rules) {
            if !rule.matches_name(name) {
                continue;
            }
            let mut gives = Vec::new();
            if drop.is_none() && rule.drop.is_some() {
                drop = rule.drop;
                gives.push("drop");
                applied.dropped_by = drop.filter(|drops| *drops).map(|_| rule.name.as_str());
            }
            sources.add(number, rule);
            for &setting in Setting::ALL {
                if sources.of(setting) == number {
                    setting.put_keys(rule, &mut gives);
                }
            }
            applied.rules.push((&rule.name, gives));
        }
        applied
    }

    /// Returns the number of the policy with these sources. Makes it if there is none.
    fn number(&mut self, sources: PolicySources) -> u16 {
        let position = |sources| self.sources.iter().position(|known| *known == sources);
        let mut sources = sources;
        let mut known = position(sources);
        if known.is_none() && self.policies.len() >= POLICIES_MAX {
            let limits = sources.settings.of(Setting::MaxTagValues);
            sources.settings = SettingSources::ALL_BASE;
            sources.settings.0[Setting::MaxTagValues as usize] = limits;
            known = position(sources);
        }
        let number = known.unwrap_or_else(|| {
            let mut policy = self.make(sources.settings);
            if sources.is_without_lines {
                policy.lives = [1; 4];
            }
            self.policies.push(policy);
            self.sources.push(sources);
            self.policies.len() - 1
        });
        u16::try_from(number).expect("POLICIES_MAX is a u16")
    }

    /// Makes the policy whose settings have these sources.
    fn make(&self, sources: SettingSources) -> Policy {
        let rule = |setting| self.source(sources, setting);
        let base = &self.rules.base;
        let deletes = rule(Setting::DeleteIdle).and_then(|rule| rule.delete_idle);
        let expire = rule(Setting::Expire).and_then(|rule| rule.expire).unwrap_or(base.expire);
        let signed_gauges = rule(Setting::SignedGauges).and_then(|rule| rule.signed_gauges);
        let percentiles = rule(Setting::Percentiles).and_then(|rule| rule.percentiles.as_ref());
        let metrics = rule(Setting::TimerMetrics).and_then(|rule| rule.timer_metrics.as_ref());
        let histogram = rule(Setting::Histogram).and_then(|rule| rule.histogram.as_deref());
        let limits = sources.of(Setting::MaxTagValues);
        Policy {
            absolute: signed_gauges == Some(SignedGauges::Absolute),
            lives: self.lives(deletes, expire),
            gauge_flushes: if self.deletes_gauges(deletes) { base.gauge_ttl } else { u32::MAX },
            plan: Plan::new(
                percentiles.unwrap_or(&base.percentiles),
                metrics.unwrap_or(&base.timer_metrics),
                histogram.unwrap_or_default(),
                &self.figures,
                base.statsite,
            ),
            limits: (limits != BASE).then_some(limits),
        }
    }

    /// Returns, for each kind, the number of idle flushes after which a series is removed: that of
    /// `delete_idle`, or that of `expire` if it is less.
    fn lives(&self, deletes: Option<bool>, expire: Option<Duration>) -> [u32; 4] {
        let base = &self.rules.base;
        let expire = expire.map_or(u32::MAX, |span| flushes(span, self.interval));
        MetricKind::ALL.map(|kind| {
            let (of_kind, ttl) = match kind {
                MetricKind::Counter => (base.delete_counters, 1),
                MetricKind::Gauge => (base.delete_gauges, base.gauge_ttl),
                MetricKind::Timing => (base.delete_timers, 1),
                MetricKind::Set => (base.delete_sets, 1),
            };
            let deletes = deletes.or(of_kind).unwrap_or(base.delete_idle);
            if deletes { ttl.min(expire) } else { expire }
        })
    }

    /// Whether idle gauges are deleted. `deletes` is the `delete_idle` of the rules.
    fn deletes_gauges(&self, deletes: Option<bool>) -> bool {
        let base = &self.rules.base;
        deletes.or(base.delete_gauges).unwrap_or(base.delete_idle)
    }
}

/// Returns the name that rules are compared with.
pub(crate) fn clean_form(name: &[u8]) -> Cow<'_, [u8]> {
    if is_clean(name) { Cow::Borrowed(name) } else { Cow::Owned(cleaned(name)) }
}

/// The policies in use and, after a reload, the policies before them.
///
/// A series gets its new policy when it is closed next. So one flush has one configuration, and a
/// reload does not walk over the series. The highest bit of a policy's number is the
/// index of its set.
#[derive(Debug)]
pub struct PolicySets {
    sets: [Policies; 2],
    newest: u16,
}

const SET_SHIFT: u32 = u16::BITS - 1;
const NUMBER: u16 = (1 << SET_SHIFT) - 1;

impl PolicySets {
    pub fn new(rules: &Rules, interval: Duration) -> Self {
        let none = || Policies::new(&Rules::default(), interval);
        Self { sets: [Policies::new(rules, interval), none()], newest: 0 }
    }

    /// Returns the policy with this number.
    pub fn at(&self, number: u16) -> &Policy {
        self.sets[usize::from(number >> SET_SHIFT)].at(number & NUMBER)
    }

    /// See [`Policies::resolve`].
    pub fn resolve(
        &mut self,
        name: &[u8],
        hash: u64,
        allows: &mut dyn FnMut(LimitedTag<'_>) -> bool,
    ) -> Result<ResolvedName, u8> {
        let resolved = self.sets[usize::from(self.newest)].resolve(name, hash, allows)?;
        Ok(ResolvedName { policy: resolved.policy | self.newest << SET_SHIFT, ..resolved })
    }

    /// Returns the number of the newest rule that drops the name with this hash, or the line whose
    /// bytes have this hash, if that is remembered.
    #[inline]
    pub fn dropped_by(&self, hash: u64) -> Option<u8> {
        self.sets[usize::from(self.newest)].dropped.rule_of(hash)
    }

    /// Remembers that one of the newest rules drops lines whose bytes have this hash.
    pub fn note_dropped(&mut self, hash: u64, rule: u8) {
        self.sets[usize::from(self.newest)].dropped.add(hash, rule);
    }

    /// Forgets which names and lines are dropped, because lines with the same bytes may have other
    /// names now.
    pub fn forget_dropped(&mut self) {
        self.sets[usize::from(self.newest)].dropped.clear();
    }

    /// The index of the set of the newest policies. It differs before and after a reload.
    #[inline]
    pub fn newest_set(&self) -> u16 {
        self.newest
    }

    /// See [`Policies::changed`].
    pub fn changed(
        &self,
        name: &[u8],
        allows: &mut dyn FnMut(LimitedTag<'_>) -> bool,
    ) -> Option<Vec<u8>> {
        self.sets[usize::from(self.newest)].changed(name, allows)
    }

    /// Whether some of the newest rules changes names or tags.
    pub fn change_names(&self) -> bool {
        self.sets[usize::from(self.newest)].changes_names
    }

    /// Whether these rules may make other names than the newest ones.
    pub fn may_make_other_names(&self, rules: &Rules) -> bool {
        let ours = &self.sets[usize::from(self.newest)].rules;
        (self.change_names() || rules.rules.iter().any(Rule::changes_names))
            && ours.rules != rules.rules
    }

    /// Whether a policy limits the values of the tag of a series. Returns the number of its rule,
    /// which differs before and after a reload.
    pub fn limiting_rule(&self, policy: u16, key: &[u8]) -> Option<u16> {
        let set = policy >> SET_SHIFT;
        let policies = &self.sets[usize::from(set)];
        let rule = policies.at(policy & NUMBER).limits?;
        policies.rules.rules[usize::from(rule)].tag_limit(key)?;
        Some(u16::from(rule) | set << SET_SHIFT)
    }

    /// Whether a rule limits a key. `rule` is as [`limiting_rule`](Self::limiting_rule) returns it.
    pub fn limits_key(&self, rule: u16, key: &[u8]) -> bool {
        let rules = &self.sets[usize::from(rule >> SET_SHIFT)].rules.rules;
        rules[usize::from(rule & NUMBER)].tag_limit(key).is_some()
    }

    /// The number of a rule among the newest ones, as [`limiting_rule`](Self::limiting_rule)
    /// returns it.
    pub fn newest_rule(&self, rule: u8) -> u16 {
        u16::from(rule) | self.newest << SET_SHIFT
    }

    /// Returns the newest rules that limit tags and that a reload has kept. A rule is kept if its
    /// name and its patterns are the same. Each is its new number and its number before, as
    /// [`limiting_rule`](Self::limiting_rule) returns them.
    pub fn kept_limits(&self) -> impl Iterator<Item = (u16, u16)> {
        let rules = |set: u16| (0..).zip(&self.sets[usize::from(set)].rules.rules);
        let old = self.newest ^ 1;
        rules(self.newest).filter(|(_, rule)| rule.max_tag_values.is_some()).filter_map(
            move |(number, rule)| {
                let (before, _) = rules(old).find(|(_, before)| before.has_scope_of(rule))?;
                Some((number | self.newest << SET_SHIFT, before | old << SET_SHIFT))
            },
        )
    }

    /// Whether a policy limits the values of any tag.
    pub fn limits_tags(&self, policy: u16) -> bool {
        self.at(policy).limits.is_some()
    }

    /// See [`Policies::applied`].
    pub fn applied(&self, name: &[u8]) -> AppliedRules<'_> {
        self.sets[usize::from(self.newest)].applied(name)
    }

    /// Returns policies of the newest rules. None of them is in use.
    pub fn unused_copy(&self) -> Self {
        let Policies { rules, interval, .. } = &self.sets[usize::from(self.newest)];
        Self::new(rules, *interval)
    }

    /// Returns the number of a policy like this one of the newest rules, for a series that no line
    /// leads to any more. It is removed at the first flush that finds it idle.
    pub fn without_lines(&mut self, number: u16) -> u16 {
        self.sets[usize::from(self.newest)].without_lines(number & NUMBER)
            | self.newest << SET_SHIFT
    }

    /// Whether a policy is one that [`without_lines`](Self::without_lines) returns.
    pub fn is_without_lines(&self, number: u16) -> bool {
        let set = &self.sets[usize::from(number >> SET_SHIFT)];
        set.sources[usize::from(number & NUMBER)].is_without_lines
    }

    pub fn is_newest(&self, number: u16) -> bool {
        number >> SET_SHIFT == self.newest
    }

    /// Whether the newest policies were made from these rules.
    pub fn are_made_from(&self, rules: &Rules, interval: Duration) -> bool {
        self.sets[usize::from(self.newest)].are_made_from(rules, interval)
    }

    /// Sets new rules. No series may still have a policy of the rules before the current ones.
    pub fn replace(&mut self, rules: &Rules, interval: Duration) {
        self.sets[usize::from(self.newest)].dropped = DroppedNames::default();
        self.newest ^= 1;
        self.sets[usize::from(self.newest)] = Policies::new(rules, interval);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Glob, TagLimit};
    use super::*;

    fn rule(glob: &str) -> Rule {
        Rule { matches: vec![Glob::new(glob).unwrap()], ..Rule::default() }
    }

    fn of_name(policies: &mut Policies, name: &[u8], hash: u64) -> Option<u16> {
        policies.resolve(name, hash, &mut |_| true).ok().map(|resolved| resolved.policy)
    }

    fn policies(rules: Vec<Rule>) -> Policies {
        let rules = Rules { rules, ..Rules::default() };
        Policies::new(&rules, Duration::from_secs(10))
    }

    #[test]
    fn names_that_get_the_same_settings_share_a_policy() {
        let expire = Some(Some(Duration::from_secs(60)));
        let mut policies = policies(vec![
            Rule { expire, ..rule("a*") },
            Rule { delete_idle: Some(true), ..rule("*b") },
            rule("*"),
        ]);
        let mut number = |name: &str| of_name(&mut policies, name.as_bytes(), 1).unwrap();
        assert_eq!((number("x"), number("x;a=b")), (0, 0));
        assert_eq!((number("a"), number("a2"), number("a;t=b")), (1, 1, 1));
        assert_eq!((number("b"), number("ab")), (2, 3));
        assert!(
            !policies.at(1).is_expired(MetricKind::Set, 5)
                && policies.at(1).is_expired(MetricKind::Set, 6)
        );
        assert!(policies.at(3).is_expired(MetricKind::Counter, 1));
    }

    #[test]
    fn the_table_of_policies_has_a_bound_past_which_names_have_the_base() {
        let rules = (0..11).map(|n| {
            let glob = format!("*{}*", char::from(b'a' + n));
            match n % 6 {
                0 => Rule { signed_gauges: Some(SignedGauges::Absolute), ..rule(&glob) },
                1 => Rule { expire: Some(None), ..rule(&glob) },
                2 => Rule { delete_idle: Some(true), ..rule(&glob) },
                3 => Rule { percentiles: Some(vec![]), ..rule(&glob) },
                4 => Rule { timer_metrics: Some(vec![]), ..rule(&glob) },
                _ => Rule { histogram: Some(vec![]), ..rule(&glob) },
            }
        });
        let limit = vec![TagLimit { key: None, most: 1 }];
        let limiting = Rule { max_tag_values: Some(limit), ..rule("*z*") };
        let mut policies = policies(rules.chain([limiting]).collect());
        let other = PolicySources {
            settings: SettingSources([BASE - 1; Setting::ALL.len()]),
            is_without_lines: false,
        };
        policies.sources = vec![other; POLICIES_MAX];
        policies.sources[0].settings = SettingSources::ALL_BASE;
        policies.policies = vec![policies.at(0).clone(); POLICIES_MAX];
        assert_eq!(of_name(&mut policies, b"abc", 1), Some(0));
        assert_eq!(policies.policies.len(), POLICIES_MAX);
        // The values of tags are still limited, and a series without lines is still removed.
        let limited = of_name(&mut policies, b"abz", 2).unwrap();
        assert_eq!(policies.at(limited).limits, Some(11));
        let idle = policies.without_lines(limited);
        assert!(policies.at(idle).is_expired(MetricKind::Counter, 1));
        assert_eq!(of_name(&mut policies, b"bcz", 3), Some(limited));
        assert_eq!(policies.without_lines(limited), idle);
        assert_eq!(policies.policies.len(), POLICIES_MAX + 2);
    }

    #[test]
    fn a_dropped_name_is_remembered_until_the_rules_change() {
        let rules = |drop| Rules {
            rules: vec![
                Rule { drop: Some(false), ..rule("junk.but.not.this") },
                Rule { drop: Some(drop), ..rule("junk.*") },
            ],
            ..Rules::default()
        };
        let interval = Duration::from_secs(10);
        let mut sets = PolicySets::new(&rules(true), interval);
        let resolve = |sets: &mut PolicySets, name: &[u8], hash| {
            sets.resolve(name, hash, &mut |_| true).map(|_| ())
        };
        assert_eq!(resolve(&mut sets, b"junk.a", 5), Err(1));
        assert_eq!(resolve(&mut sets, b"junk.but.not.this", 6), Ok(()), "the first rule wins");
        assert_eq!((sets.dropped_by(5), sets.dropped_by(6)), (Some(1), None));
        sets.replace(&rules(false), interval);
        assert_eq!(sets.dropped_by(5), None);
        assert_eq!(resolve(&mut sets, b"junk.a", 5), Ok(()));
        sets.replace(&rules(true), interval);
        assert_eq!(sets.dropped_by(5), None);
        assert_eq!(resolve(&mut sets, b"junk.a", 5), Err(1));
        sets.forget_dropped();
        assert_eq!(sets.dropped_by(5), None);
    }
}
