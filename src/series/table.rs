//! All series, in shards; the open interval's number; the walk that closes an interval.

mod batch;
mod place;
mod room;
mod saved;

pub use batch::{Batch, Wanted};
pub use place::NameHash;
use place::Place;

use std::hash::Hasher as _;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::aggregate::{Adding, Closed, Series};
use super::eviction::LongIdle;
use super::largest::{Holder, Largest};
use super::memory::{Exactness, Pool};
use super::newcomers::Newcomers;
use super::shard::{AHEAD, Shard, Slot};
use super::{Bounds, Refused};
use crate::policy::{Generations, Rules, flushes};
use crate::protocol::{MetricKind, Sample};

/// Random numbers that make hashes unguessable. They come from outside: nothing here is random.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// Of the name index, in memory only.
    pub names: [u64; 4],
    /// Of set members' hashes, which are kept with the sets.
    pub members: [u64; 2],
}

/// How far the walk over all series has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    shard: usize,
    at: usize,
}

#[derive(Debug)]
pub struct Table {
    shards: Box<[Shard]>,
    names: ahash::RandomState,
    members: SipHasher13,
    pool: Pool,
    /// Of the open interval.
    largest: Largest,
    policies: Generations,
    /// Some series may have a policy of before the last reload.
    is_settled: bool,
    long_idle: LongIdle,
    /// Evicted with an interval that the sweep under way is still to close.
    leaving: Vec<Series>,
    newcomers: Newcomers,
    max_series: usize,
    len: usize,
    /// Counts up when series are made for a sample, and those that make way for them forgotten.
    made: u64,
    /// The number of the last tick: the open interval began with it.
    now: u32,
}

const SHARDS: usize = 256;

impl Table {
    /// `interval` is the time between two ticks, by which spans of time are counted.
    pub fn new(bounds: &Bounds, rules: &Rules, interval: Duration, seeds: Seeds) -> Self {
        let [a, b, c, d] = seeds.names;
        Self {
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
            names: ahash::RandomState::with_seeds(a, b, c, d),
            members: SipHasher13::new_with_keys(seeds.members[0], seeds.members[1]),
            pool: Pool::new(bounds.sample_memory, Exactness::new(bounds)),
            largest: Largest::new(bounds.sample_memory),
            policies: Generations::new(rules, interval),
            is_settled: true,
            long_idle: LongIdle::new(flushes(bounds.evict_after, interval)),
            leaving: Vec::new(),
            newcomers: Newcomers::default(),
            max_series: bounds.max_series,
            len: 0,
            made: 0,
            now: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that samples and members hold.
    pub fn sample_bytes(&self) -> usize {
        self.pool.used()
    }

    pub fn hash(&self, name: &[u8]) -> NameHash {
        NameHash(self.names.hash_one(name))
    }

    /// Adds a sample to its series, which is made if it is new. A key/value has none and must not come here.
    pub fn add(&mut self, name: &[u8], hash: NameHash, sample: Sample<'_>) -> Result<(), Refused> {
        let kind = sample.kind().expect("a key/value is passed through");
        let place = Place::new(hash, kind);
        let sample = self.adding(sample);
        match self.shards[place.shard].find(place.hash, kind, name) {
            Some(slot) => self.add_to(&place, slot, sample),
            None => {
                let slot = self.make(name, hash, kind, &place)?;
                self.add_to(&place, slot, sample).inspect_err(|_| self.unmake(place.shard, slot))
            }
        }
    }

    /// A sample as series take it: of a member only its hash.
    fn adding(&self, sample: Sample<'_>) -> Adding {
        Adding::new(sample, |member| hash_of(&self.members, member))
    }

    /// How often series were made, or forgotten to make room: what was found before may be another's now.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Adds a sample to the series in that slot.
    fn add_to(&mut self, place: &Place, slot: Slot, sample: Adding) -> Result<(), Refused> {
        let series = self.shards[place.shard].get_mut(slot).expect("found or made just now");
        series.touch(self.now, &self.policies, &mut self.pool);
        let taken = series.add(sample, &self.policies, &mut self.pool);
        let grown = self.pool.take_grown();
        if grown == 0 && taken.is_ok() {
            return taken;
        }
        self.settle(place, slot, taken, grown, sample)
    }

    /// Forgets a series whose first sample was refused: it would send zeros for ever.
    #[cold]
    fn unmake(&mut self, shard: usize, slot: Slot) {
        if let Some(series) = self.shards[shard].take(slot) {
            series.release(&mut self.pool);
            self.len -= 1;
            self.made += 1;
        }
    }

    /// Whether a rule drops all samples of that name.
    pub fn drops(&mut self, name: &[u8], NameHash(hash): NameHash) -> bool {
        self.policies.of_name(name, hash).is_none()
    }

    /// Makes a series of a name that is not here.
    fn make(
        &mut self,
        name: &[u8],
        NameHash(hash): NameHash,
        kind: MetricKind,
        place: &Place,
    ) -> Result<Slot, Refused> {
        let policy = self.policies.of_name(name, hash).ok_or(Refused::ByRule)?;
        self.newcomers.add(name);
        self.make_with(name, kind, place, policy)
    }

    fn make_with(
        &mut self,
        name: &[u8],
        kind: MetricKind,
        place: &Place,
        policy: u16,
    ) -> Result<Slot, Refused> {
        if self.len >= self.max_series && !self.evict() {
            return Err(Refused::TooManySeries);
        }
        self.len += 1;
        self.made += 1;
        let series = Series::new(name, place.hash, kind, policy, self.now);
        Ok(self.shards[place.shard].insert(series))
    }

    /// Forgets the series idle for longest. False if the sweep noted none, or all of them have made way.
    fn evict(&mut self) -> bool {
        while let Some(idle) = self.long_idle.next() {
            let shard = &mut self.shards[usize::from(idle.shard)];
            let still = |series: &&mut Series| series.seen() == idle.seen;
            if shard.get_mut(idle.slot).filter(still).is_none() {
                continue;
            }
            let Some(series) = shard.take(idle.slot) else { continue };
            if series.is_closed(self.now) {
                series.release(&mut self.pool);
            } else {
                self.leaving.push(series);
            }
            self.len -= 1;
            return true;
        }
        false
    }

    /// Ends the open interval. Every series of it is closed by the [`Self::sweep`] that must follow, or earlier.
    pub fn tick(&mut self) {
        debug_assert!(self.leaving.is_empty(), "a tick waits for the end of the sweep before it");
        self.now = self.now.wrapping_add(1);
        self.largest.clear();
        self.pool.close(true);
    }

    /// Closes about `work` series' worth of the interval before the tick, from `cursor` on; true once all are closed.
    pub fn sweep(
        &mut self,
        cursor: &mut Cursor,
        work: usize,
        mut close: impl FnMut(Closed<'_>),
    ) -> bool {
        let mut left = work;
        while let Some(series) = self.leaving.pop() {
            left = left.saturating_sub(series.work());
            self.forget(series, &mut close);
            if left == 0 {
                return false;
            }
        }
        while cursor.shard < SHARDS {
            let shard = &mut self.shards[cursor.shard];
            while cursor.at < shard.end() {
                if left == 0 {
                    return false;
                }
                if cursor.at.is_multiple_of(AHEAD) {
                    shard.fetch_names(cursor.at);
                }
                if let Some((slot, series)) = shard.at_mut(cursor.at) {
                    left = left.saturating_sub(series.work());
                    let keeps = adopts(&mut self.policies, &self.names, series);
                    if !keeps || series.is_over(self.now, &self.policies) {
                        if let Some(series) = shard.take(slot) {
                            series.release(&mut self.pool);
                            self.len -= 1;
                        }
                    } else {
                        series.close(self.now, &self.policies, &mut self.pool, &mut close);
                        self.largest.note(self.pool.take_grown(), Holder::new(cursor.shard, slot));
                        let idle = series.idle(self.now);
                        self.long_idle.note(idle, series.seen(), cursor.shard, slot);
                    }
                }
                cursor.at += 1;
            }
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }

    /// Lets go of memory that only the sweep needed.
    pub fn swept(&mut self) {
        self.pool.close(false);
        self.pool.drop_spare();
        self.long_idle.swept();
        self.is_settled = true;
    }

    /// Whether [`reconfigure`](Self::reconfigure) may be called with these: other rules have to wait until all series have
    /// those before.
    pub fn can_take(&self, rules: &Rules, interval: Duration) -> bool {
        self.is_settled || self.policies.are(rules, interval)
    }

    /// Other bounds and rules. Each series has them when it is closed next. No sweep may be under way.
    pub fn reconfigure(&mut self, bounds: &Bounds, rules: &Rules, interval: Duration) {
        assert!(self.can_take(rules, interval), "a series has one of two policies");
        if !self.policies.are(rules, interval) {
            self.is_settled = false;
            self.policies.replace(rules, interval);
        }
        self.pool.limit(bounds.sample_memory, Exactness::new(bounds));
        self.largest.limit(bounds.sample_memory);
        self.long_idle.wait(flushes(bounds.evict_after, interval));
        self.max_series = bounds.max_series;
    }

    /// Forgets a series, closing its unclosed interval first; the open interval's value is lost. False if unknown.
    pub fn remove(
        &mut self,
        kind: MetricKind,
        name: &[u8],
        mut close: impl FnMut(Closed<'_>),
    ) -> bool {
        let place = Place::new(self.hash(name), kind);
        let shard = &mut self.shards[place.shard];
        let Some(slot) = shard.find(place.hash, kind, name) else {
            return false;
        };
        let Some(series) = shard.take(slot) else {
            return false;
        };
        self.forget(series, &mut close);
        self.len -= 1;
        true
    }

    /// The end of a series that was taken out: its unclosed interval is closed.
    fn forget(&mut self, mut series: Series, close: &mut impl FnMut(Closed<'_>)) {
        if adopts(&mut self.policies, &self.names, &mut series) {
            series.close(self.now, &self.policies, &mut self.pool, close);
        }
        self.pool.take_grown();
        series.release(&mut self.pool);
    }

    /// Who brings new series.
    pub fn newcomers(&mut self) -> &mut Newcomers {
        &mut self.newcomers
    }

    /// The number of shards, for those who walk the table in steps.
    pub const fn shards() -> usize {
        SHARDS
    }

    /// Of all series, in no order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.shards.iter().flat_map(|shard| shard.slots().map(|(_, series)| series.name()))
    }

    /// The series of one kind in a shard, in no order.
    pub fn in_shard(&self, shard: usize, kind: MetricKind) -> impl Iterator<Item = (Slot, &[u8])> {
        self.shards[shard]
            .slots()
            .filter(move |(_, series)| series.kind() == kind)
            .map(|(slot, series)| (slot, series.name()))
    }

    /// The series that was in that slot, with the number of the open interval; None if it is gone.
    pub fn look(&mut self, shard: usize, slot: Slot) -> Option<(&mut Series, u32)> {
        let now = self.now;
        self.shards[shard].get_mut(slot).map(|series| (series, now))
    }
}

/// The hash by which a set knows a member.
fn hash_of(members: &SipHasher13, member: &[u8]) -> u64 {
    let mut hasher = *members;
    hasher.write(member);
    hasher.finish()
}

/// Gives a series its policy by the newest rules. False if they drop it.
fn adopts(policies: &mut Generations, names: &ahash::RandomState, series: &mut Series) -> bool {
    if policies.is_newest(series.policy()) {
        return true;
    }
    let policy = policies.of_name(series.name(), names.hash_one(series.name()));
    policy.inspect(|policy| series.adopt(*policy)).is_some()
}
