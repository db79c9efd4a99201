//! All series, in shards; the open interval's number; the walk that closes an interval.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::aggregate::{Adding, Closed, Series};
use super::memory::Pool;
use super::shard::{Shard, Slot};
use super::{Bounds, Refused};
use crate::protocol::{Kind, Sample};

/// Random numbers that make hashes unguessable. They come from outside: nothing here is random.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// Of the name index, in memory only.
    pub names: [u64; 4],
    /// Of set members' hashes, which are kept with the sets.
    pub members: [u64; 2],
}

/// A name's hash, made once a line and used for every sample of it.
#[derive(Clone, Copy, Debug)]
pub struct NameHash(u64);

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
    max_series: usize,
    len: usize,
    /// The number of the last tick: the open interval began with it.
    now: u32,
}

const SHARDS: usize = 256;

impl Table {
    pub fn new(bounds: &Bounds, seeds: Seeds) -> Self {
        let [a, b, c, d] = seeds.names;
        Self {
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
            names: ahash::RandomState::with_seeds(a, b, c, d),
            members: SipHasher13::new_with_keys(seeds.members[0], seeds.members[1]),
            pool: Pool::new(bounds.sample_memory),
            max_series: bounds.max_series,
            len: 0,
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

    /// Adds a sample to its series, which is made if it is new.
    pub fn add(&mut self, name: &[u8], hash: NameHash, sample: Sample<'_>) -> Result<(), Refused> {
        let kind = sample.kind();
        let place = Place::new(hash, kind);
        let members = &self.members;
        let sample = Adding::new(sample, |member| {
            let mut hasher = *members;
            hasher.write(member);
            hasher.finish()
        });
        let shard = &mut self.shards[place.shard];
        let slot = match shard.find(place.hash, kind, name) {
            Some(slot) => slot,
            None if self.len < self.max_series => {
                self.len += 1;
                shard.insert(Series::new(name, place.hash, kind, self.now))
            }
            None => return Err(Refused::TooManySeries),
        };
        let series = shard.get_mut(slot).expect("found or made just now");
        series.add(sample, self.now, &mut self.pool)
    }

    /// Ends the open interval. Every series of it is closed by the [`Self::sweep`] that must follow, or earlier.
    pub fn tick(&mut self) {
        self.now = self.now.wrapping_add(1);
    }

    /// Closes about `work` series' worth of the interval before the tick, from `cursor` on; true once all are closed.
    pub fn sweep(
        &mut self,
        cursor: &mut Cursor,
        work: usize,
        mut close: impl FnMut(Closed<'_>),
    ) -> bool {
        let mut left = work;
        while cursor.shard < SHARDS {
            let shard = &mut self.shards[cursor.shard];
            while cursor.at < shard.end() {
                if left == 0 {
                    return false;
                }
                if let Some(series) = shard.at_mut(cursor.at) {
                    left = left.saturating_sub(series.work());
                    series.close(self.now, &mut self.pool, &mut close);
                }
                cursor.at += 1;
            }
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }

    /// Lets go of memory that only the sweep needed.
    pub fn swept(&mut self) {
        self.pool.drop_spare();
    }

    /// Forgets a series, closing its unclosed interval first; the open interval's value is lost. False if unknown.
    pub fn remove(&mut self, kind: Kind, name: &[u8], mut close: impl FnMut(Closed<'_>)) -> bool {
        let place = Place::new(self.hash(name), kind);
        let shard = &mut self.shards[place.shard];
        let Some(slot) = shard.find(place.hash, kind, name) else {
            return false;
        };
        shard.remove(slot, self.now, &mut self.pool, &mut close);
        self.len -= 1;
        true
    }

    /// The number of shards, for those who walk the table in steps.
    pub const fn shards() -> usize {
        SHARDS
    }

    /// The series of one kind in a shard, in no order.
    pub fn in_shard(&self, shard: usize, kind: Kind) -> impl Iterator<Item = (Slot, &[u8])> {
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

/// Where a name of one kind belongs.
struct Place {
    shard: usize,
    hash: u32,
}

impl Place {
    fn new(NameHash(hash): NameHash, kind: Kind) -> Self {
        // The four name spaces share the index; each has a salt so that `a` of one kind does not meet `a` of another.
        const SALTS: [u64; 4] =
            [0, 0x9ae1_6a3b_2f90_404f, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];
        let hash = hash ^ SALTS[kind as usize];
        #[allow(clippy::cast_possible_truncation)] // the halves are meant
        Self { shard: (hash >> 32) as usize % SHARDS, hash: hash as u32 }
    }
}
