//! The table of all series. It finds the series of a sample: by the name of the line, by the bytes
//! of the line, by the name that rules make, or two series if names are raw.
//! [`LiveSeries`] holds the series, and does the rest.

pub(super) mod preview;

use std::borrow::Cow;
use std::time::Duration;

use super::aliases::AliasKey;
use super::batch::{LookedUpResult, Lookup, PendingSample};
use super::batch_lookup::BatchLookup;
use super::bounds::{AddError, Bounds, RestoreError};
use super::closed::Closed;
use super::counts::SeriesCounts;
use super::crowd::largest_group;
use super::hashing::Seeds;
use super::live_series::LiveSeries;
use super::raw::{Audience, RawNames, is_merged, merged_name, raw_and_merged, without_mark};
use super::records::TimingTotals;
use super::restoring::Restoring;
use super::saved::SavedSeries;
use super::series_groups::LargestGroup;
use super::shard::{NameHash, PackedPlace, SeriesPlace};
use super::shards::Cursor;
use super::stored_name::StoredName;
use super::sweep::Sweep;
use super::table_rules::{RuleOutcome, TableRules};
use super::top::{NewPrefix, Top};
use super::visited::Visited;
use crate::policy::{AppliedRules, Rules};
use crate::protocol::{Grammar, MetricKind, Sample, cleaned, is_clean};
use crate::wire::In;

/// The series to which rules have let a sample be added.
enum AddedByRules {
    /// The rules leave the name as it is.
    AsNamed(SeriesPlace),
    /// It has another name.
    Renamed(SeriesPlace),
    /// The same, with `other` in place of a value of which there are too many.
    Limited(SeriesPlace),
    /// Names are raw, so there may be two.
    Raw,
}

/// All series. It decides which of them a sample is for.
#[derive(Debug)]
pub struct Table {
    live: LiveSeries,
    /// Whether each name that a client sends is the name of its series: no rule changes names, and
    /// no series is merged from raw names.
    is_direct: bool,
    /// Whether a merged series was restored as one with a clean name. It has the samples of all raw
    /// names, whose own records then count no more.
    has_restored_merged: bool,
    /// Whether merged series are made from the raw series while a state is restored.
    remakes_merged: bool,
}

impl Table {
    /// `interval` is the time between two ticks. Settings that are spans of time are converted to
    /// numbers of intervals.
    pub fn new(bounds: &Bounds, rules: &Rules, interval: Duration, seeds: Seeds) -> Self {
        let live = LiveSeries::new(bounds, rules, interval, seeds);
        let is_direct = !live.rules.change_names();
        Self { live, is_direct, has_restored_merged: false, remakes_merged: false }
    }

    /// Accepts raw names from now on. Must be called before the first sample.
    pub fn accept_raw_names(&mut self) {
        self.live.shards.raw = Some(RawNames::new(self.live.shards.names.clone()));
        self.is_direct = false;
    }

    /// Whether a sample of a clean name may have to be added to a merged series, too. Then
    /// [`add`](Self::add) must be called for each sample.
    pub fn has_merged(&self) -> bool {
        self.live.shards.has_merged()
    }

    pub fn len(&self) -> usize {
        self.live.shards.len()
    }

    /// The number of series of each kind that clients send: without the merged series of raw names.
    /// A merged series takes memory and a place of `max_series`, but is shown nowhere by itself.
    pub fn client_series(&self) -> [usize; 4] {
        let kinds = self.counts().kinds;
        let merged = self.live.shards.raw.as_ref().map_or([0; 4], RawNames::counts);
        std::array::from_fn(|kind| kinds[kind] - merged[kind])
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of series of each kind, and what has happened to series since the start.
    pub fn counts(&self) -> SeriesCounts {
        self.live.shards.counts
    }

    /// About the bytes of all series, without samples and members. At most
    /// [`Bounds::series_memory`], unless that was lowered.
    pub fn series_bytes(&self) -> usize {
        self.live.bytes()
    }

    /// The bytes that samples and members hold.
    pub fn sample_bytes(&self) -> usize {
        self.live.pool.used()
    }

    /// The bytes of the records beside the series: the running totals of timings, and the last
    /// values of cumulative counters.
    pub fn record_bytes(&self) -> usize {
        self.live.pool.records.bytes()
    }

    /// Sets the number of the sender of the samples that are added next. 0 stands for unknown.
    pub fn set_sender(&mut self, sender: u16) {
        self.live.sender = sender;
    }

    pub fn hash(&self, name: &[u8]) -> NameHash {
        self.live.shards.hash(name)
    }

    /// Adds a sample to its series. A series that does not exist is created.
    ///
    /// A key/value has no series; the caller must not pass one.
    pub fn add(&mut self, name: &[u8], hash: NameHash, sample: Sample<'_>) -> Result<(), AddError> {
        if self.is_direct {
            return self.live.add_by_name(name, hash, sample, None).map(|_| ());
        }
        self.add_maybe_renamed(name, hash, sample, None)
    }

    /// Adds a sample if the name of the line may not be that of its series alone: rules change
    /// names, or names are raw. From then on, lines with the key `alias` are added without being
    /// read, if they belong to one series.
    #[cold]
    fn add_maybe_renamed(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        alias: Option<AliasKey>,
    ) -> Result<(), AddError> {
        if !self.live.rules.change_names() {
            return self.add_maybe_raw(name, hash, sample, alias);
        }
        let kind = sample.kind().expect("a key/value is passed through");
        let set = self.live.rules.policies.newest_set();
        if let Some(place) = self.live.shards.find_kept(name, hash, kind, set) {
            self.live.add_at(place, sample, Some(name))?;
            self.note_alias(alias, kind, place);
            Ok(())
        } else if self.live.shards.raw.is_some() {
            self.add_by_rules(name, hash, sample).map(|_| ())
        } else {
            self.add_by_rules_with_alias(name, hash, sample, alias)
        }
    }

    /// Adds a sample while names may be raw, and no rule changes them.
    fn add_maybe_raw(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        alias: Option<AliasKey>,
    ) -> Result<(), AddError> {
        let kind = sample.kind().expect("a key/value is passed through");
        if !is_clean(name) || self.live.shards.is_merged_into(kind, name) {
            return self.add_raw_and_merged(name, hash, sample, None);
        }
        let place = self.live.add_by_name(name, hash, sample, None)?;
        self.note_alias(alias, kind, place);
        Ok(())
    }

    /// Adds a sample to the series that rules make of a clean name. If that has another name, the
    /// name of the line is an alias of it, so that the rules are applied to it once.
    fn add_by_rules_with_alias(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        alias: Option<AliasKey>,
    ) -> Result<(), AddError> {
        let kind = sample.kind().expect("a key/value is passed through");
        let of_name = self.live.shards.aliases.key_of_name(name, hash);
        if let Some(place) = self.live.shards.find_by_alias(of_name, kind, self.live.tick) {
            self.live.add_at(place, sample, Some(name))?;
            self.note_alias(alias, kind, place);
            return Ok(());
        }
        match self.add_by_rules(name, hash, sample)? {
            AddedByRules::AsNamed(place) => self.note_alias(alias, kind, place),
            // One alias is enough: the bytes of the line stand for the name.
            AddedByRules::Renamed(place) => {
                self.note_alias(alias.or(Some(of_name)), kind, place);
            }
            AddedByRules::Limited(place) => {
                if self.live.note_limited(place) {
                    self.note_alias(alias.or(Some(of_name)), kind, place);
                }
            }
            AddedByRules::Raw => {}
        }
        Ok(())
    }

    /// From now on, lines with this key are added to the series at a place without being read.
    fn note_alias(&mut self, key: Option<AliasKey>, kind: MetricKind, place: SeriesPlace) {
        if let Some(key) = key {
            self.live.add_alias(key, kind, place);
        }
    }

    /// Adds a sample to the series that rules make of a name.
    fn add_by_rules(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
    ) -> Result<AddedByRules, AddError> {
        let LiveSeries { rules, shards, .. } = &mut self.live;
        let kind = sample.kind().expect("a key/value is passed through");
        let is_series = |name: &[u8]| shards.find(kind, name).is_some();
        let resolved = rules.resolve(name, hash, &is_series).map_err(AddError::ByRule)?;
        let original = resolved.name.as_ref().map(|_| name);
        let made = resolved.name.as_deref().unwrap_or(name);
        let hash = if original.is_some() { self.hash(made) } else { hash };
        let outcome = Some(RuleOutcome { policy: resolved.policy, original });
        if self.live.shards.raw.is_some() {
            return self
                .add_raw_and_merged(made, hash, sample, outcome)
                .map(|()| AddedByRules::Raw);
        }
        let place = self.live.add_by_name(made, hash, sample, outcome)?;
        if resolved.is_limited {
            return Ok(AddedByRules::Limited(place));
        }
        if original.is_some() {
            return Ok(AddedByRules::Renamed(place));
        }
        self.live.shards.note_name_kept(place, self.live.rules.policies.newest_set());
        Ok(AddedByRules::AsNamed(place))
    }

    /// Adds a sample to the series of a name that may be raw, and to its merged series.
    fn add_raw_and_merged(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        outcome: Option<RuleOutcome<'_>>,
    ) -> Result<(), AddError> {
        let kind = sample.kind().expect("a key/value is passed through");
        if is_clean(name) && !self.live.shards.is_merged_into(kind, name) {
            let place = self.live.add_by_name(name, hash, sample, outcome)?;
            if outcome.is_some_and(|outcome| outcome.original.is_none()) {
                self.live.shards.note_name_kept(place, self.live.rules.policies.newest_set());
            }
            return Ok(());
        }
        let clean = if is_clean(name) { name.to_vec() } else { cleaned(name) };
        let merged = merged_name(&clean);
        let mut begun = Ok(());
        if !self.live.shards.is_merged_into(kind, &clean) {
            begun = Restoring(&mut self.live).begin_merged(kind, &clean, &merged);
        }
        let added = self.live.add_by_name(name, hash, sample, outcome);
        let hash = self.hash(&merged);
        let merged = begun.and_then(|()| self.live.add_by_name(&merged, hash, sample, outcome));
        raw_and_merged(added, merged)
    }

    /// A number that changes whenever a series is created, evicted or discarded. A slot looked up
    /// under an older number must be looked up again.
    pub fn revision(&self) -> u64 {
        self.live.shards.revision()
    }

    /// Looks up the series of all samples of a batch, and stores the slots in the batch.
    pub fn find_all(&mut self, batch: &mut [PendingSample<'_>]) {
        let LiveSeries { shards, rules, tick, .. } = &mut self.live;
        let mut lookup = BatchLookup(shards);
        lookup.find_all(batch, *tick);
        if rules.change_names() {
            let is_dropped = |hash| rules.dropped_by(hash).is_some();
            lookup.find_renamed(batch, rules.policies.newest_set(), is_dropped, *tick);
        }
    }

    /// Returns the key by which a line is found before its tags are read. `name` and `tags` are the
    /// bytes that the line has.
    #[inline]
    pub fn alias_key(&self, name: &[u8], tags: &[u8]) -> AliasKey {
        self.live.shards.aliases.key(name, tags)
    }

    /// Adds a sample as [`add`](Self::add) does. If that succeeds, lines with the key `alias`
    /// belong to its series until the series is removed.
    ///
    /// The key must have no other name with the same grammar and rules. After a change of those,
    /// call [`forget_aliases`](Self::forget_aliases).
    pub fn add_with_alias(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        alias: AliasKey,
    ) -> Result<(), AddError> {
        let added = if self.is_direct {
            let kind = sample.kind().expect("a key/value is passed through");
            let added = self.live.add_by_name(name, hash, sample, None);
            added.map(|place| self.note_alias(Some(alias), kind, place))
        } else {
            self.add_maybe_renamed(name, hash, sample, Some(alias))
        };
        if let Err(AddError::ByRule(rule)) = added {
            self.live.rules.policies.note_dropped(alias.first(), rule);
        }
        added
    }

    /// Returns the number of the rule that drops lines with a key, if that is remembered.
    pub fn dropping_rule(&self, alias: AliasKey) -> Option<u8> {
        self.live.rules.dropped_by(alias.first())
    }

    /// Whether a series of this kind is found by a key.
    pub fn has_alias(&mut self, alias: AliasKey, kind: MetricKind) -> bool {
        self.live.shards.find_by_alias(alias, kind, self.live.tick).is_some()
    }

    /// Adds a sample to the series that is found by a key. Returns [`LookedUpResult::NoSeries`] for
    /// a cumulative value whose series may get others, too: its name must then be read.
    pub fn add_aliased(&mut self, alias: AliasKey, sample: Sample<'_>) -> LookedUpResult {
        if !self.is_direct && matches!(sample, Sample::Cumulative { .. }) {
            return LookedUpResult::NoSeries;
        }
        let place = sample
            .kind()
            .and_then(|kind| self.live.shards.find_by_alias(alias, kind, self.live.tick));
        place.map_or(LookedUpResult::NoSeries, |place| self.live.add_at(place, sample, None).into())
    }

    /// Whether rules may give the series of a line another name.
    #[inline]
    pub fn changes_names(&self) -> bool {
        self.live.rules.change_names()
    }

    /// Removes all aliases, because lines with the same bytes may belong to other series now.
    pub fn forget_aliases(&mut self) {
        self.live.shards.aliases.clear();
        self.live.rules.policies.forget_dropped();
    }

    /// The number of aliases, and their bytes.
    pub fn aliases(&self) -> (usize, usize) {
        (self.live.shards.aliases.len(), self.live.shards.aliases.bytes())
    }

    /// Adds a sample that [`find_all`](Self::find_all) looked up when [`revision`](Self::revision)
    /// was `revision`. If its series is unknown, one is created, provided the sample has no tags
    /// and `may_create` returns true.
    pub fn add_looked_up(
        &mut self,
        sample: &PendingSample<'_>,
        revision: u64,
        may_create: impl FnOnce() -> bool,
    ) -> LookedUpResult {
        match sample.slot {
            // After a change of the table the slot may hold another series.
            Some(slot) if self.live.shards.revision() == revision => {
                return self
                    .live
                    .add_plain(sample, SeriesPlace::new(sample.key.shard, slot))
                    .into();
            }
            Some(_) => {}
            None => {
                if let Some(rule) = self.live.rules.dropped_by(sample.lookup.hash()) {
                    return LookedUpResult::Refused(AddError::ByRule(rule));
                }
            }
        }
        match sample.lookup {
            Lookup::Name(hash) if may_create() => {
                self.add(sample.name, hash, sample.sample()).into()
            }
            Lookup::Name(_) => LookedUpResult::NoSeries,
            // Not `add_plain`, which would not be inlined if it had two callers.
            Lookup::Alias(alias, _) => self.add_aliased(alias, sample.sample()),
        }
    }

    /// What rules decide about names.
    pub fn rules(&mut self) -> &mut TableRules {
        &mut self.live.rules
    }

    /// Ends the open interval. A series of it is closed by the [`Self::sweep`] that must follow, or
    /// before that by its first sample of the next interval.
    pub fn tick(&mut self) {
        self.live.begin_interval();
    }

    /// Closes the interval before the tick for some series, from `cursor` on. `work` is the number
    /// of counters that could be closed in the same time. Returns true once all series are closed.
    pub fn sweep(
        &mut self,
        cursor: &mut Cursor,
        work: usize,
        close: impl FnMut(Audience, Closed<'_>),
    ) -> bool {
        if self.live.shards.raw.is_some() {
            Sweep::<true, _>::new(&mut self.live, work, close).run(cursor)
        } else {
            Sweep::<false, _>::new(&mut self.live, work, close).run(cursor)
        }
    }

    /// Ends the sweep, and frees the memory that only the sweep needed.
    pub fn end_sweep(&mut self) {
        self.live.end_sweep();
        self.note_directness();
    }

    /// Whether [`reconfigure`](Self::reconfigure) may be called with these rules. New rules must
    /// wait until all series have the policies of the rules before them.
    pub fn can_reconfigure(&self, rules: &Rules, interval: Duration) -> bool {
        self.live.rules.can_replace(rules, interval)
    }

    /// Sets other bounds and rules. Each series gets its new policy when it is closed next. No
    /// sweep may be in progress.
    pub fn reconfigure(&mut self, bounds: &Bounds, rules: &Rules, interval: Duration) {
        if self.live.rules.replace(rules, interval) {
            self.forget_aliases();
        }
        self.note_directness();
        self.live.limit(bounds, interval);
    }

    fn note_directness(&mut self) {
        self.is_direct = self.live.shards.raw.is_none() && !self.live.rules.change_names();
    }

    /// Removes a series. An interval of it that is not closed yet is closed first; the value of the
    /// open interval is lost. Returns false if the series is unknown.
    ///
    /// A merged series is removed with the last raw series that it is the clean name of.
    pub fn remove(
        &mut self,
        kind: MetricKind,
        name: &[u8],
        mut close: impl FnMut(Audience, Closed<'_>),
    ) -> bool {
        let removed = self.live.remove(kind, name, &mut close);
        if !removed || !self.has_merged() || self.live.shards.has_unclean(kind, &cleaned(name)) {
            return removed;
        }
        let clean = cleaned(name);
        // Both series must be closed while the audience of the clean name is known.
        let merged = merged_name(&clean);
        for name in [&clean, &merged] {
            self.live.close_one(kind, name, &mut close);
        }
        // From now on the series of the clean name is sent in place of the merged one.
        if let Some(place) = self.live.shards.find(kind, &merged) {
            let total = self.live.shards.total(place, None);
            self.live.set_total(kind, &clean, total);
        }
        self.live.remove(kind, &merged, &mut close) || removed
    }

    /// Appends up to `work` series to `out`, from `cursor` on, each as a record that begins with
    /// `tag`. With `kind`, only series of that kind are saved. Returns true once the walk is done.
    ///
    /// No sweep may be in progress.
    pub fn save(
        &self,
        cursor: &mut Cursor,
        kind: Option<MetricKind>,
        work: usize,
        out: &mut Vec<u8>,
        tag: u8,
    ) -> bool {
        let LiveSeries { shards, pool, tick, .. } = &self.live;
        shards.save(cursor, kind, work, out, (tag, *tick), &pool.records)
    }

    /// Begins the restoring of these series. A saved merged series is of use only if the raw series
    /// whose samples it has keep their names. Otherwise it is made from them again.
    pub fn begin_restore<'a>(&mut self, records: impl Iterator<Item = In<'a>>) {
        self.remakes_merged = Restoring(&mut self.live).changes_names(records);
    }

    /// Creates a series from a saved record. With `kind`, records of other kinds are skipped. A
    /// series that the table already holds stays as it is.
    ///
    /// If the state was saved with raw names and this table has none, the names are cleaned. A
    /// merged series then has the samples of all of them.
    ///
    /// `age` converts a number of idle intervals from the saved flush interval to the current one.
    pub fn restore(
        &mut self,
        record: In<'_>,
        kind: Option<MetricKind>,
        age: impl FnOnce(u32) -> u32,
    ) -> Result<(), RestoreError> {
        let mut saved = SavedSeries::read(record).ok_or(RestoreError::Damaged)?;
        if kind.is_some_and(|kind| saved.kind != kind) {
            return Ok(());
        }
        saved.idle = age(saved.idle);
        let is_raw = self.live.shards.raw.is_some();
        let is_merged = is_merged(saved.name);
        if is_merged && self.remakes_merged {
            return Ok(()); // its samples come with the raw series
        }
        let has_all_samples = is_merged && !is_raw;
        let names = self.live.rules.restored_names(&saved, !is_raw).ok_or(RestoreError::Damaged)?;
        self.note_directness();
        names.policy.map_err(|rule| RestoreError::Refused(AddError::ByRule(rule)))?;
        let has_own_name = *saved.name == *names.name;
        if !is_merged || !is_raw {
            saved.name = &names.name;
            saved.original = names.original.as_deref();
        }
        if self.remakes_merged {
            return Restoring(&mut self.live).add(saved, names.policy, has_own_name);
        }
        self.has_restored_merged |= has_all_samples;
        if let Some(place) = self.live.shards.find(saved.kind, saved.name) {
            if has_all_samples {
                // The merged series was restored from one of the raw names already.
                self.live.discard(place);
            } else if names.original.is_none() && (is_raw || self.has_restored_merged) {
                return Ok(());
            } else {
                // Rules make one series of two saved ones.
                return Restoring(&mut self.live).add_to(place, saved, has_own_name);
            }
        }
        Restoring(&mut self.live).create(saved, names.policy)
    }

    /// The events of the interval in a saved record, for a series that was not restored.
    pub fn saved_events(record: In<'_>) -> u64 {
        SavedSeries::read(record).map_or(0, |saved| saved.events())
    }

    /// Takes the number of samples of the open interval that evicted series had. They are lost.
    pub fn take_evicted_samples(&mut self) -> u64 {
        std::mem::take(&mut self.live.evicted.samples)
    }

    /// Takes the samples that were lost because a reload lets a rule drop their series, each with
    /// the number of the rule.
    pub fn take_dropped_samples(&mut self) -> Vec<(u8, u64)> {
        self.live.rules.take_dropped()
    }

    /// The sender or prefix that fills the table, if the table is full and has refused values.
    pub fn largest_group(&self) -> Option<LargestGroup> {
        largest_group(&self.live.shards).filter(|_| self.live.room().is_full())
    }

    /// The names and tags with the most series and samples since the start.
    pub fn top(&self) -> &Top {
        &self.live.top
    }

    /// The prefixes that got a new series last, the newest first, and by how much their counts may
    /// be too low.
    pub fn newest_prefixes(&self) -> (Vec<NewPrefix>, u64) {
        self.live.top.newest(self.live.tick)
    }

    /// Passes about `work` series to `see`, from `at` on. Returns true once the walk is done.
    ///
    /// With raw names the table may hold two series for one name that is sent: see
    /// [`Visited::audience`]. A series that is created during the walk may be left out, and so may
    /// others if most series are removed meanwhile.
    pub fn visit(&mut self, at: &mut Cursor, work: usize, see: impl FnMut(Visited<'_>)) -> bool {
        self.live.shards.visit(at, work, &self.live.rules.policies, self.live.tick, see)
    }

    /// Returns a series of this kind and name, as a client names it.
    pub fn look_up(&mut self, kind: MetricKind, name: &[u8]) -> Option<Visited<'_>> {
        self.live.shards.look_up(kind, name, &self.live.rules.policies, self.live.tick)
    }

    /// Returns the series at a place. Returns `None` if it was removed, or its value was forgotten,
    /// since the place was looked up.
    pub fn visit_one(&mut self, place: SeriesPlace) -> Option<Visited<'_>> {
        self.live.shards.visit_one(place, &self.live.rules.policies, self.live.tick)
    }

    /// Whether there is a series with a value under this name, as the table holds it.
    pub fn has_series(&self, kind: MetricKind, name: &[u8]) -> bool {
        let LiveSeries { shards, rules, tick, .. } = &self.live;
        let found = shards.find(kind, name).and_then(|place| shards.get(place));
        found.is_some_and(|series| series.has_value() && !series.is_expired(*tick, &rules.policies))
    }

    /// Returns the name from which rules have made that of a series. Returns `None` if there is no
    /// such series, or if a client sends its own name.
    pub fn original_name(&self, kind: MetricKind, name: &[u8]) -> Option<Vec<u8>> {
        let LiveSeries { shards, .. } = &self.live;
        let place = shards.find(kind, name)?;
        Some(shards.original(place)?.owned_text(&shards.tags))
    }

    /// Returns the name of the series that the rules make of a name.
    pub fn series_name<'a>(&self, name: &'a [u8]) -> Cow<'a, [u8]> {
        let is_series = |name: &[u8]| {
            MetricKind::ALL.iter().any(|kind| self.live.shards.find(*kind, name).is_some())
        };
        self.live.rules.made_of(name, &is_series, |_| {})
    }

    /// Returns the rules that match a name.
    pub fn rules_of(&self, name: &[u8]) -> AppliedRules<'_> {
        self.live.rules.policies.applied(without_mark(name))
    }

    /// Sets whether a series is offered to the history when it is closed. Does nothing if there is
    /// no such series.
    pub fn set_remembered(&mut self, kind: MetricKind, name: &[u8], is_remembered: bool) {
        self.live.shards.set_remembered(kind, name, is_remembered);
    }

    /// Whether the reader would leave all names as they are.
    pub fn are_names_canonical(&self, grammar: &Grammar) -> bool {
        self.live.shards.are_canonical(grammar)
    }

    /// The number of different tags of all series, and their bytes.
    pub fn tags(&self) -> (usize, usize) {
        (self.live.shards.tags.len(), self.live.shards.tags.bytes())
    }

    /// Fetches series that a walk is about to visit in an order of its own, their names and their
    /// records into the cache. The waits for memory overlap here. They do not if each series is
    /// read after the work on the one before.
    pub fn prefetch(&self, places: impl Iterator<Item = PackedPlace> + Clone) {
        let shards = &self.live.shards;
        let series = |place: PackedPlace| shards.get(place.unpacked());
        // Each loop waits for one kind of memory: the series, then what it points to, and so on.
        let mut touched = 0;
        for series in places.clone().filter_map(series) {
            touched ^= u64::from(series.hash);
        }
        for place in places.clone() {
            let name = shards.name(place.unpacked()).map(StoredName::bytes);
            if let Some([first, .., last]) = name {
                touched ^= u64::from(first ^ last);
            }
        }
        for series in places.filter_map(series) {
            touched ^= series.timing().map_or(0, TimingTotals::touch);
        }
        // Without this the compiler would remove the loops, since their result is not used.
        std::hint::black_box(touched);
    }

    /// The hash of names. Its seeds are secret, so that clients cannot choose names with equal
    /// hashes.
    pub fn name_hasher(&self) -> ahash::RandomState {
        self.live.shards.names.clone()
    }
}
