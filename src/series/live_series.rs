//! The life of a series: creates it, adds samples to it, closes it, removes it, and frees its
//! memory. A sweep closes the series one after the other while samples of the next interval come
//! in. [`Table`](super::Table) decides which series a sample is for.
//!
//! ```text
//!  create ──▶ samples ──▶ sweep: close ──▶ samples ──▶ … ──▶ idle: release
//!     └─ no room: evict a series ──▶ the sweep closes what is left of it ──▶ release
//! ```

use std::time::Duration;

use super::aliases::{AliasKey, NEW_ALIAS_BYTES_MAX};
use super::batch::PendingSample;
use super::bounds::{AddError, Bounds, Exactness, SeriesLimits};
use super::closed::Closed;
use super::counts::{bytes_beside_name, original_bytes};
use super::eviction::{Evicted, LongIdle};
use super::hashing::{HashedSample, MemberHasher, Seeds};
use super::largest::Largest;
use super::membership::Membership;
use super::memory::Pool;
use super::new_names::{NewNames, StoredNames, bytes_for_original};
use super::newest_series::{NEWEST_MAX, NewestSeries};
use super::raw::{Audience, RAW_NAME_BYTES, is_merged, without_mark};
use super::room::Room;
use super::series::Series;
use super::shard::{NameHash, Placed, SeriesKey, SeriesPlace, TakenSeries};
use super::shards::{RunningTotal, Shards};
use super::stored_name::StoredName;
use super::table_rules::{RuleOutcome, TableRules};
use super::tag_store::TagStore;
use super::top::Top;
use crate::policy::{Rules, flushes};
use crate::protocol::{MetricKind, Sample, is_plain_path};

/// The series of a table, and everything that changes when one of them is created, closed or
/// removed.
#[derive(Debug)]
pub(super) struct LiveSeries {
    pub(super) shards: Shards,
    pub(super) limits: SeriesLimits,
    pub(super) rules: TableRules,
    pub(super) members: MemberHasher,
    /// The memory of samples and members.
    pub(super) pool: Pool,
    /// The series that hold most memory in the open interval.
    pub(super) largest: Largest,
    pub(super) long_idle: LongIdle,
    pub(super) newest: NewestSeries,
    pub(super) evicted: Evicted,
    pub(super) top: Top,
    /// The number of the sender of the samples that are added next.
    pub(super) sender: u16,
    /// The number of the last tick, which began the open interval.
    pub(super) tick: u32,
}

/// The most series that are evicted for a new one. One is enough if the table is full by its number
/// of series. If it is full by their bytes, the new one may have a longer name than an evicted one:
/// it may take 8 KiB, and a series with a short name takes about 100 bytes.
const EVICTIONS_MAX: usize = 96;

impl LiveSeries {
    /// See [`Table::new`](super::Table::new).
    pub(super) fn new(bounds: &Bounds, rules: &Rules, interval: Duration, seeds: Seeds) -> Self {
        let mut pool = Pool::new(bounds.sample_memory, Exactness::new(bounds));
        pool.records.limit(bounds, interval);
        let limits = SeriesLimits::new(bounds);
        let shards = Shards::new(seeds.names, limits);
        Self {
            rules: TableRules::new(rules, interval, &shards.names),
            shards,
            limits,
            members: MemberHasher::new(&seeds),
            pool,
            largest: Largest::new(bounds.sample_memory),
            long_idle: LongIdle::new(flushes(bounds.evict_after, interval)),
            newest: NewestSeries::default(),
            evicted: Evicted::default(),
            top: Top::new(),
            sender: 0,
            tick: 0,
        }
    }

    /// About the bytes of all series, without samples and members of sets.
    pub(super) fn bytes(&self) -> usize {
        self.shards.bytes() + self.pool.records.bytes()
    }

    pub(super) fn room(&self) -> Room {
        Room::new(self.limits, self.shards.len(), self.bytes())
    }

    /// Notes for the groups of series which limit the table has reached.
    fn note_size(&mut self) {
        let [series, bytes] = [self.shards.len(), self.bytes()];
        self.shards.groups.count_bytes(self.room().has(1, 0), series, bytes);
    }

    /// Lets the records grow up to the limit. Must be called before something may make a record.
    pub(super) fn note_room(&mut self) {
        self.pool.records.room = self.room().bytes;
    }

    /// From now on, lines with this key are added to the series at a place without being read,
    /// unless the memory of all series is used up. Its lines are then read, at a higher cost.
    pub(super) fn add_alias(&mut self, key: AliasKey, kind: MetricKind, place: SeriesPlace) {
        if self.room().has(0, NEW_ALIAS_BYTES_MAX) {
            self.shards.aliases.add(key, kind, place, self.tick);
        }
    }

    /// Notes that a series at a place gets lines with `other` in place of a value. Returns whether
    /// such a line may get an alias.
    pub(super) fn note_limited(&mut self, place: SeriesPlace) -> bool {
        let may_replace_always = self.rules.may_replace_always();
        if may_replace_always && let Some(series) = self.shards.get_mut(place) {
            series.set_limited(true);
        }
        may_replace_always
    }

    /// Adds a sample to the series that the table holds under this name. If there is none, creates
    /// it. `outcome` is what rules have made of the name, if it is known. Returns the place of the
    /// series.
    #[inline]
    pub(super) fn add_by_name(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        outcome: Option<RuleOutcome<'_>>,
    ) -> Result<SeriesPlace, AddError> {
        let kind = sample.kind().expect("a key/value is passed through");
        let key = SeriesKey::new(hash, kind);
        if let Some(slot) = self.shards.find_by(&key, kind, name) {
            let place = SeriesPlace::new(key.shard, slot);
            if let Some(outcome) = outcome {
                self.adopt_original(place, name, outcome)?;
            }
            let sent = outcome.map(|outcome| outcome.original.unwrap_or(name));
            return self.add_at(place, sample, sent).map(|()| place);
        }
        let place = self.create(name, hash, kind, outcome)?;
        self.add_at(place, sample, None).inspect_err(|_| self.discard(place))?;
        Ok(place)
    }

    /// Adds a sample to the series at a place. `sent` is the name that the client has sent, or
    /// `None` if that is the one that the series is stored with.
    pub(super) fn add_at(
        &mut self,
        place: SeriesPlace,
        sample: Sample<'_>,
        sent: Option<&[u8]>,
    ) -> Result<(), AddError> {
        let mut sample = HashedSample::new(sample, &self.members);
        if let HashedSample::Cumulative { name, .. } = &mut sample {
            let sent = sent.filter(|sent| !self.shards.is_stored_with(place, sent));
            *name = sent.map(|sent| self.members.name(without_mark(sent)));
            self.note_room(); // for its first value
        }
        let mut series = self.shards.get_mut(place).expect("found or created just now");
        if series.seen() != self.tick {
            self.begin_active(place);
            series = self.shards.get_mut(place).expect("it was there just now");
        }
        series.touch(self.sender);
        let added = series.add(sample, &self.rules.policies, &mut self.pool);
        let grown = self.pool.take_grown();
        if added.is_ok() && self.pool.is_small_growth(grown) {
            return added;
        }
        self.free_memory_and_retry(place, added, grown, sample)
    }

    /// Notes that a series gets its first sample of the open interval.
    #[inline(never)]
    fn begin_active(&mut self, place: SeriesPlace) {
        let Some(mut series) = self.shards.get_mut(place) else { return };
        if !series.is_closed(self.tick) {
            // The sweep has not reached it. After a reload it gets its new policy now, so that the
            // samples before this one are counted as lost if a rule drops them. From now on only
            // samples of the open interval are counted.
            let Shards { all, names, tags, .. } = &mut self.shards;
            let placed = all[place.shard()].at_mut(place.at()).expect("it was there just now");
            let Placed { series: found, name, original, .. } = placed;
            self.rules.update(found, name, || original.name(), tags, &mut self.pool);
            self.top.take_samples(found, name, names, tags);
            series = found;
        }
        if series.begin_active(self.tick, &self.rules.policies, &mut self.pool) {
            self.shards.count_spare(place);
        }
    }

    /// Adds the sample of a plain line to the series at a place, as [`add_at`](Self::add_at) does.
    #[inline]
    pub(super) fn add_plain(
        &mut self,
        sample: &PendingSample<'_>,
        place: SeriesPlace,
    ) -> Result<(), AddError> {
        let mut series = self.shards.found_mut(place).expect("found just now");
        if series.seen() != self.tick {
            self.begin_active(place);
            series = self.shards.found_mut(place).expect("it was there just now");
        }
        series.touch(self.sender);
        let members = &self.members;
        let member = || members.hash(sample.member);
        let added = series.add_plain(sample.value, sample.weight, member, &mut self.pool);
        let grown = self.pool.take_grown();
        if added.is_ok() && self.pool.is_small_growth(grown) {
            return added;
        }
        let hashed = HashedSample::new(sample.sample(), &self.members);
        self.free_memory_and_retry(place, added, grown, hashed)
    }

    /// See [`Table::tick`](super::Table::tick).
    pub(super) fn begin_interval(&mut self) {
        debug_assert!(self.evicted.is_empty(), "a tick waits for the end of the sweep before it");
        self.tick = self.tick.wrapping_add(1);
        self.largest.clear();
        self.pool.begin_sweep();
        self.rules.begin_interval();
    }

    /// See [`Table::end_sweep`](super::Table::end_sweep).
    pub(super) fn end_sweep(&mut self) {
        self.pool.end_sweep();
        if self.room().is_full() {
            self.note_size();
            self.shards.groups.find_largest();
        }
        self.shards.groups.set_dormant(self.long_idle.dormant_mut());
        let flood = self.shards.groups.flood();
        let shards = &self.shards;
        self.long_idle.end_sweep(|place| {
            shards.get(place).is_some() && flood.has(shards.membership_at(place))
        });
        self.newest.end_sweep();
        self.top.end_sweep();
        self.rules.end_sweep();
    }

    /// Sets other bounds. `interval` is the time between two ticks.
    pub(super) fn limit(&mut self, bounds: &Bounds, interval: Duration) {
        self.pool.limit(bounds.sample_memory, Exactness::new(bounds));
        self.pool.records.limit(bounds, interval);
        self.limits = SeriesLimits::new(bounds);
        self.shards.aliases.limit(self.limits);
        self.largest.limit(bounds.sample_memory);
        self.long_idle.set_after(flushes(bounds.evict_after, interval));
    }

    /// Closes the unclosed interval of a series that stays in the table.
    pub(super) fn close_one(
        &mut self,
        kind: MetricKind,
        name: &[u8],
        close: &mut impl FnMut(Audience, Closed<'_>),
    ) {
        self.note_room();
        let Self { shards, rules, pool, top, tick, .. } = self;
        let Some(place) = shards.find(kind, name) else { return };
        let Some(placed) = shards.all[place.shard()].at_mut(place.at()) else { return };
        let Placed { series, name, original, .. } = placed;
        if !rules.update(series, name, || original.name(), &shards.tags, pool) {
            return; // the sweep removes it
        }
        if !series.is_closed(*tick) && !series.has_begun_next() {
            top.take_samples(series, name, &shards.names, &mut shards.tags);
        }
        let text = name.text(&mut shards.tags);
        let audience = Audience::of(shards.raw.as_ref(), series.kind(), text, *tick);
        let mut close = |closed: Closed<'_>| close(audience, audience.named(closed));
        series.close(*tick, &rules.policies, text, pool, &mut close);
        pool.take_grown();
    }

    /// Sets the running total of a series, if there is one of this name.
    pub(super) fn set_total(&mut self, kind: MetricKind, name: &[u8], total: RunningTotal) {
        self.note_room();
        self.shards.set_total(kind, name, total, &self.rules.policies, &mut self.pool);
    }

    /// Removes the series that the table holds under this name. See
    /// [`Table::remove`](super::Table::remove).
    pub(super) fn remove(
        &mut self,
        kind: MetricKind,
        name: &[u8],
        close: &mut impl FnMut(Audience, Closed<'_>),
    ) -> bool {
        let Some(place) = self.shards.find(kind, name) else { return false };
        if !self.shards.get(place).is_some_and(Series::has_value) {
            return false; // as if it were removed already
        }
        let Some(taken) = self.shards.take(place) else { return false };
        self.close_and_release(taken, close);
        true
    }

    /// Closes the unclosed interval of a series, if there is one, and returns its memory to the
    /// pool.
    pub(super) fn close_and_release(
        &mut self,
        mut taken: TakenSeries,
        close: &mut impl FnMut(Audience, Closed<'_>),
    ) {
        let TakenSeries { series, name, original } = &mut taken;
        let Shards { tags, raw, .. } = &mut self.shards;
        let name = StoredName::of_bytes(name);
        let original = || original.as_deref().map(StoredName::of_bytes);
        if self.rules.update(series, name, original, tags, &mut self.pool) {
            let text = name.text(tags);
            let audience = Audience::of(raw.as_ref(), series.kind(), text, self.tick);
            let mut close = |closed: Closed<'_>| close(audience, audience.named(closed));
            series.close(self.tick, &self.rules.policies, text, &mut self.pool, &mut close);
        }
        self.pool.take_grown();
        self.release(taken);
    }

    /// Returns the memory of a series that was taken out of its shard.
    pub(super) fn release(&mut self, taken: TakenSeries) {
        let tags = &mut self.shards.tags;
        self.rules.uncount_values(&taken.series, taken.name(), tags);
        taken.name().release(tags);
        if let Some(original) = &taken.original {
            StoredName::of_bytes(original).release(tags);
        }
        taken.series.release(&mut self.pool);
    }

    /// Continues after a sample that made its series grow to `grown` bytes, or that was refused. If
    /// memory is short, the largest series are condensed, and a refused sample is tried once more.
    #[cold]
    fn free_memory_and_retry(
        &mut self,
        place: SeriesPlace,
        mut added: Result<(), AddError>,
        grown: usize,
        sample: HashedSample,
    ) -> Result<(), AddError> {
        self.largest.note(grown, place);
        self.largest.condense(&mut self.shards, &mut self.pool, self.tick);
        let series = self.shards.get_mut(place).expect("it was there just now");
        if added == Err(AddError::NoMemory) {
            added = series.add(sample, &self.rules.policies, &mut self.pool);
            self.pool.take_refused();
            self.largest.note(self.pool.take_grown(), place);
        }
        if added.is_err() {
            series.uncount_sample(); // the caller counts it as refused
        }
        added
    }

    /// Removes a series whose first sample was refused. Otherwise it would send zeros at every
    /// flush.
    #[cold]
    pub(super) fn discard(&mut self, place: SeriesPlace) {
        if let Some(taken) = self.shards.take(place) {
            self.release(taken);
            self.shards.counts.created -= 1; // it was never seen
        }
    }

    /// Takes out a series that makes room for a newcomer: one that has been idle for long, or else
    /// a new one of the flood. Fails if there is none.
    fn make_room(&mut self, name: &[u8], newcomer: &Membership) -> Result<TakenSeries, AddError> {
        let taken = self.long_idle.take_for(newcomer, &mut self.shards).or_else(|| {
            self.shards.groups.note_refused(name, *newcomer);
            self.newest.take_for(newcomer, &mut self.shards, self.tick)
        });
        self.shards.counts.evicted += u64::from(taken.is_some());
        taken.ok_or(AddError::TooManySeries)
    }

    /// Notes that `made` leads to this series, which the table holds as `name`. Stores
    /// `made.original` as the name from which rules make the series, if a reload may have taken
    /// away the lines that led to it. Fails if there is no room for that name: the sample is then
    /// refused and counted.
    ///
    /// The name must be stored, since the rules of a later reload, and of a restart, apply to it.
    /// Without it they would apply to a name whose lines no longer lead to the series, and could
    /// drop the series with its values. So it gets room as the name of a new series does.
    #[cold]
    fn adopt_original(
        &mut self,
        place: SeriesPlace,
        name: &[u8],
        made: RuleOutcome<'_>,
    ) -> Result<(), AddError> {
        let sent = made.original.unwrap_or(name);
        self.shards.note_sent(place, sent);
        let Some(series) = self.shards.get(place) else { return Ok(()) };
        if !self.rules.may_have_old_original(series.policy()) {
            return Ok(());
        }
        let before = self.shards.original(place);
        let known = original_bytes(before.map(|name| name.bytes().len()));
        let needed =
            |tags: &TagStore| bytes_for_original(made.original, tags).saturating_sub(known);
        if let Some(original) = made.original
            && !self.room().has(0, needed(&self.shards.tags))
        {
            let membership = self.shards.membership(original, self.sender);
            self.make_room_for(original, &membership, 0, &needed)?;
            if self.shards.get(place).is_none() {
                return Err(AddError::TooManySeries); // it was evicted itself
            }
        }
        self.note_room();
        self.shards.rename(place, sent, &self.members, &mut self.pool);
        self.rules.adopt_original(&mut self.shards, place, made, &mut self.pool);
        Ok(())
    }

    /// Creates a series for a name that the table does not hold.
    fn create(
        &mut self,
        name: &[u8],
        hash: NameHash,
        kind: MetricKind,
        outcome: Option<RuleOutcome<'_>>,
    ) -> Result<SeriesPlace, AddError> {
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => self.rules.outcome_of(without_mark(name), hash)?,
        };
        if !is_merged(name) {
            self.top.count_new_series(name, self.tick, |text| self.shards.hash(text).0);
        }
        let place = self.create_with(name, hash, kind, outcome)?;
        if self.room().series() < NEWEST_MAX {
            self.newest.note(place);
        }
        Ok(place)
    }

    /// Creates a series with this policy. If the table is full, evicts an idle or a new series, or
    /// fails if there is none.
    pub(super) fn create_with(
        &mut self,
        name: &[u8],
        hash: NameHash,
        kind: MetricKind,
        outcome: RuleOutcome<'_>,
    ) -> Result<SeriesPlace, AddError> {
        let mut membership = self.shards.membership_of_new(name, self.sender);
        let beside = self.bytes_beside_name(kind, &outcome);
        let new = NewNames { name, original: outcome.original };
        // Only near the limit, the tags that are stored already are looked up.
        if !self.room().has(1, beside + new.most_bytes()) {
            let needed = |tags: &TagStore| beside + new.bytes(tags);
            if !self.room().has(1, needed(&self.shards.tags)) {
                self.make_room_for(name, &membership, 1, &needed)?;
            }
        }
        self.rules.count_values(outcome.policy, name);
        let key = SeriesKey::new(hash, kind);
        let StoredNames { name: stored, original, bytes } =
            new.store(key.shard, &mut self.shards, &mut self.top);
        membership.set_bytes(beside + bytes);
        let is_plain = is_plain_path(name);
        let mut series = Series::new(stored, is_plain, key.hash, kind, outcome.policy, self.tick);
        series.reserve_record(&self.rules.policies, &mut self.pool);
        let place = self.shards.insert(key.shard, series, membership, self.tick);
        if original.is_some() {
            self.shards.set_original(place, original);
        }
        Ok(place)
    }

    /// The bytes of a new series beside its names.
    fn bytes_beside_name(&self, kind: MetricKind, outcome: &RuleOutcome<'_>) -> usize {
        let plan = &self.rules.policies.at(outcome.policy).plan;
        let is_timing = kind == MetricKind::Timing;
        let record = if is_timing { self.pool.records.bytes_of_timing(plan) } else { 0 };
        let raw = self.shards.raw.as_ref().map_or(0, |_| RAW_NAME_BYTES);
        bytes_beside_name(kind) + record + raw
    }

    /// Evicts series until there is room for `series` new ones, and for the bytes that `needed`
    /// returns. Fails at once if even [`EVICTIONS_MAX`] series of average size would not be enough.
    /// Otherwise it may evict some and still fail: their samples are counted.
    #[cold]
    fn make_room_for(
        &mut self,
        name: &[u8],
        membership: &Membership,
        series: usize,
        needed: &dyn Fn(&TagStore) -> usize,
    ) -> Result<(), AddError> {
        self.note_size();
        self.shards.groups.find_largest_if_changed();
        // An estimate: those that are evicted may be smaller.
        let used = self.bytes();
        let freed = used / self.shards.len().max(1) * EVICTIONS_MAX;
        let mut bytes = needed(&self.shards.tags);
        if used.saturating_sub(freed).saturating_add(bytes) <= self.limits.bytes {
            for _ in 0..EVICTIONS_MAX {
                let taken = self.make_room(name, membership)?;
                if let Some(closed) = self.evicted.add(taken, self.tick) {
                    self.release(closed);
                }
                if self.room().has(series, bytes) {
                    // A tag of the new series may have been removed with the last one that had it.
                    bytes = needed(&self.shards.tags);
                    if self.room().has(series, bytes) {
                        return Ok(());
                    }
                }
            }
        }
        self.shards.groups.note_refused(name, *membership);
        Err(AddError::TooManySeries)
    }
}
