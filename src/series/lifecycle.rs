//! The life of a series, except for its samples: creates, closes and removes series, and frees
//! their memory. A sweep closes them one after the other while samples of the next interval come
//! in.
//!
//! ```text
//!  create ──▶ samples ──▶ sweep: close ──▶ samples ──▶ … ──▶ idle: release
//!     └─ no room: evict a series ──▶ the sweep closes what is left of it ──▶ release
//! ```

use super::aggregate::Series;
use super::bounds::AddError;
use super::closed::Closed;
use super::eviction::{Evicted, Holder, Idleness, LARGE, Largest, LongIdle};
use super::hashed::HashedSample;
use super::memory::Pool;
use super::raw::{Audience, is_merged, sent_name};
use super::saved::SavedSeries;
use super::shard::{NameHash, OriginalName, PREFETCH, Placed, SHARDS, SeriesKey, SeriesSlot};
use super::shards::{Cursor, Shards};
use super::stored_name::StoredName;
use super::table_rules::{RuleOutcome, TableRules};
use super::top::Top;
use crate::protocol::{MetricKind, is_plain_path};

/// The most series that are evicted for a new one. One is enough if the table is full by its number
/// of series. If it is full by their bytes, the new one may have a longer name than an evicted one.
const EVICTIONS_MAX: usize = 8;

/// The parts of a table that this changes.
pub(super) struct Lifecycle<'a> {
    pub(super) shards: &'a mut Shards,
    pub(super) rules: &'a mut TableRules,
    pub(super) pool: &'a mut Pool,
    pub(super) largest: &'a mut Largest,
    pub(super) top: &'a mut Top,
    pub(super) long_idle: &'a mut LongIdle,
    pub(super) evicted: &'a mut Evicted,
    /// The number of the sender of the samples that are added.
    pub(super) sender: u16,
    /// The number of the open interval.
    pub(super) tick: u32,
}

impl Lifecycle<'_> {
    /// See [`Table::sweep`](super::Table::sweep). Without `RAW` names the audience of a series is a
    /// constant, so that their meaning costs nothing where they are off.
    #[inline]
    pub(super) fn sweep<const RAW: bool>(
        &mut self,
        cursor: &mut Cursor,
        work: usize,
        mut close: impl FnMut(Audience, Closed<'_>),
    ) -> bool {
        let mut left = work;
        let is_full = self.shards.is_full();
        while let Some(series) = self.evicted.open.pop() {
            left = left.saturating_sub(series.work());
            let audience = self.shards.audience(&series, self.tick);
            self.close_and_release(audience, series, OriginalName::only(&Vec::new()), &mut close);
            if left == 0 {
                return false;
            }
        }
        while cursor.shard < SHARDS {
            let mut shard = &mut self.shards.all[cursor.shard];
            while cursor.at < shard.end() {
                if left == 0 {
                    return false;
                }
                if cursor.at.is_multiple_of(PREFETCH) {
                    shard.prefetch_names(cursor.at);
                }
                if let Some(Placed { slot, series, total, original }) = shard.at_mut(cursor.at) {
                    left = left.saturating_sub(series.work());
                    let rest = Idleness::of(series, self.tick);
                    let is_kept =
                        self.rules.update(series, original, &mut self.shards.tags, self.pool);
                    let policy = self.rules.policies.at(series.policy());
                    if !is_kept || policy.is_expired(series.kind(), rest.idle) {
                        if let Some(series) = self.shards.take(cursor.shard, slot) {
                            self.release(series);
                            self.shards.counts.expired += 1;
                        }
                        shard = &mut self.shards.all[cursor.shard];
                    } else {
                        // A series that came after the tick is closed already. It keeps the count
                        // of its samples: if it makes room for another one, they must be counted
                        // as lost.
                        if rest.was_open {
                            let raw = self.shards.raw.as_ref().filter(|_| RAW);
                            let tags = &mut self.shards.tags;
                            let audience = Audience::of(raw, series, tags, self.tick);
                            let mut close =
                                |closed: Closed<'_>| close(audience, audience.named(closed));
                            let memory = (&mut *self.pool, &mut *tags);
                            series.close_open(self.tick, policy, memory, total, &mut close);
                            let grown = self.pool.take_grown();
                            // Without this, the holder of each series would be written to memory.
                            if grown >= LARGE {
                                self.largest.note(grown, Holder::new(cursor.shard, slot));
                            }
                            self.top.take_samples(series, &self.shards.names, tags);
                        }
                        if rest.idle == 0 {
                            if rest.was_open {
                                shard.owner_mut(cursor.at).note_interval();
                            }
                        } else if is_full || self.long_idle.is_long(rest) {
                            let owner = shard.owner_mut(cursor.at);
                            let at = (cursor.shard, slot);
                            self.long_idle.note(rest, at, owner, &self.shards.budget);
                        }
                    }
                }
                cursor.at += 1;
            }
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }

    /// Closes the unclosed interval of a series that was taken out of its shard, if there is one,
    /// and returns its memory to the pool. `original` is the name from which rules have made
    /// that of the series.
    pub(super) fn close_and_release(
        &mut self,
        audience: Audience,
        mut series: Series,
        original: OriginalName<'_>,
        close: &mut impl FnMut(Audience, Closed<'_>),
    ) {
        if self.rules.update(&mut series, original, &mut self.shards.tags, self.pool) {
            let mut close = |closed: Closed<'_>| close(audience, audience.named(closed));
            let memory = (&mut *self.pool, &mut self.shards.tags);
            series.close(self.tick, &self.rules.policies, memory, None, &mut close);
        }
        self.pool.take_grown();
        self.release(series);
    }

    /// Returns the memory of a series that was taken out of its shard.
    pub(super) fn release(&mut self, series: Series) {
        self.rules.forget(&series, &self.shards.tags);
        series.release(self.pool, &mut self.shards.tags);
    }

    /// Continues after a sample that made its series grow to `grown` bytes, or that was refused. If
    /// memory is short, the largest series are condensed, and a refused sample is tried once more.
    #[cold]
    pub(super) fn free_memory_and_retry(
        &mut self,
        key: &SeriesKey,
        slot: SeriesSlot,
        added: Result<(), AddError>,
        grown: usize,
        sample: HashedSample,
    ) -> Result<(), AddError> {
        let holder = Holder::new(key.shard, slot);
        self.largest.note(grown, holder);
        self.shards.condense(self.largest, self.pool, self.tick);
        if added != Err(AddError::NoMemory) {
            return added;
        }
        let series = self.shards.get_mut(key.shard, slot).expect("it was there just now");
        let added = series.add(sample, &self.rules.policies, self.pool);
        self.pool.take_refused();
        self.largest.note(self.pool.take_grown(), holder);
        added
    }

    /// Removes a series whose first sample was refused. Otherwise it would send zeros at every
    /// flush.
    #[cold]
    pub(super) fn discard(&mut self, shard: usize, slot: SeriesSlot) {
        if let Some(series) = self.shards.take(shard, slot) {
            self.release(series);
            self.shards.counts.created -= 1; // it was never seen
        }
    }

    /// Notes what is lost with a series that was evicted. If the sweep must still send its interval
    /// before the tick, it is kept for that.
    fn evict(&mut self, series: Series) {
        if series.seen() == self.tick {
            self.evicted.samples += u64::from(series.samples());
        }
        if series.is_closed(self.tick) {
            self.release(series);
        } else {
            self.evicted.open.push(series);
        }
    }

    /// Creates a series for a name that the table does not hold.
    pub(super) fn create(
        &mut self,
        name: &[u8],
        hash: NameHash,
        kind: MetricKind,
        key: &SeriesKey,
        made: Option<RuleOutcome<'_>>,
    ) -> Result<SeriesSlot, AddError> {
        let made = match made {
            Some(made) => made,
            None => {
                let resolved = self.rules.resolve(sent_name(name), hash).ok_or(AddError::ByRule)?;
                RuleOutcome { policy: resolved.policy, original: None }
            }
        };
        if !is_merged(name) {
            self.top.series(name, self.tick, |text| self.shards.hash(text).0);
        }
        self.create_with(name, kind, key, made)
    }

    /// Creates a series with this policy. If the table is full, evicts an idle or a new series, or
    /// fails if there is none.
    pub(super) fn create_with(
        &mut self,
        name: &[u8],
        kind: MetricKind,
        key: &SeriesKey,
        made: RuleOutcome<'_>,
    ) -> Result<SeriesSlot, AddError> {
        let owner = self.shards.owner(name, self.sender);
        for _ in 0..EVICTIONS_MAX {
            if !self.shards.is_full() {
                break;
            }
            let series = self.shards.make_room(self.long_idle, (name, &owner), self.tick)?;
            self.evict(series);
        }
        if self.shards.is_full() {
            self.shards.budget.note_refused(name, owner);
            return Err(AddError::TooManySeries);
        }
        let Shards { tags, names, .. } = &mut *self.shards;
        self.rules.note(made.policy, name);
        let top = &mut self.top;
        let stored = StoredName::new(name, tags, |tag| top.tag(tag, |text| names.hash_one(text)));
        let named = (stored, is_plain_path(name));
        let series = Series::new(named, key.hash, kind, made.policy, self.tick);
        let slot = self.shards.insert(key.shard, series, owner, self.tick);
        self.shards.note_newest(key.shard, slot);
        if made.original.is_some() {
            self.shards.set_original(key.shard, slot.at, made.original);
        }
        Ok(slot)
    }

    /// Creates a series from its saved values.
    pub(super) fn create_saved(
        &mut self,
        saved: SavedSeries<'_>,
        policy: Option<u16>,
    ) -> Option<Result<(), AddError>> {
        let key = SeriesKey::new(self.shards.hash(saved.name), saved.kind);
        let Some(policy) = policy else { return Some(Err(AddError::ByRule)) };
        if saved.kind == MetricKind::Gauge
            && self.rules.policies.at(policy).forgets_gauge(saved.idle)
        {
            return Some(Ok(())); // another configuration kept its level for longer
        }
        let made = RuleOutcome { policy, original: saved.original };
        let slot = match self.create_with(saved.name, saved.kind, &key, made) {
            Ok(slot) => slot,
            Err(error) => return Some(Err(error)),
        };
        // It counts as one more interval. Otherwise the series could make room for a new name while
        // it has restored values, and they would be lost.
        self.shards.all[key.shard].owner_mut(slot.at as usize).note_interval();
        let series = self.shards.get_mut(key.shard, slot).expect("created just now");
        let restored = series.restore(saved, self.tick, self.pool, None);
        self.largest.note(self.pool.take_grown(), Holder::new(key.shard, slot));
        self.pool.take_refused();
        if !matches!(restored, Some(Ok(()))) {
            self.discard(key.shard, slot);
        }
        restored
    }
}
