//! One of the 256 parts of the table: a slab of series, and an index from a hash to a slot.
//!
//! ```text
//!  name ──▶ NameHash ──kind──▶ SeriesKey { shard, hash } ──index──▶ SeriesSlot ──slab──▶ Series
//! ```
//! Each shard grows by itself, so no single step of growth is long on the way to a million series.
//! The index stores part of the hash beside the slot. So growth reads no series, and a lookup reads
//! a series only if 32 bits of the hash agree.

use hashbrown::HashTable;
use slab::Slab;

use super::hashing::spread;
use super::owner::Owner;
use super::series::Series;
use super::stored_name::StoredName;
use super::tag_store::TagStore;
use crate::protocol::MetricKind;

/// The number of shards of the table.
pub(super) const SHARDS: usize = 256;

/// The hash of a name. It is computed once for a line and used for every sample of the line.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameHash(pub(super) u64);

/// The shard that a series is in, and its hash in the index of that shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesKey {
    pub(super) shard: usize,
    pub(super) hash: u32,
}

impl SeriesKey {
    pub(super) fn new(NameHash(hash): NameHash, kind: MetricKind) -> Self {
        // All kinds share the index. Each kind has a salt, so that the counter `a` and the gauge
        // `a` have different hashes.
        const SALTS: [u64; 4] =
            [0, 0x9ae1_6a3b_2f90_404f, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];
        let hash = hash ^ SALTS[kind as usize];
        #[allow(clippy::cast_possible_truncation)] // the halves are meant
        Self { shard: (hash >> 32) as usize % SHARDS, hash: hash as u32 }
    }
}

/// The position of a series in its shard. Positions are reused: the hash shows whether the series
/// is still the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesSlot {
    pub(super) hash: u32,
    pub(super) at: u32,
}

/// The shard and the slot of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesPlace {
    shard: u16,
    slot: SeriesSlot,
}

impl SeriesPlace {
    #[inline]
    pub fn new(shard: usize, slot: SeriesSlot) -> Self {
        #[allow(clippy::cast_possible_truncation)] // there are 256
        Self { shard: shard as u16, slot }
    }

    #[inline]
    pub fn shard(self) -> usize {
        usize::from(self.shard)
    }

    #[inline]
    pub fn slot(self) -> SeriesSlot {
        self.slot
    }

    /// The position of the series in its shard.
    #[inline]
    pub(super) fn at(self) -> usize {
        self.slot.at as usize
    }
}

/// A place in eight bytes, for long lists. A walk over the table meets the series in the order of
/// these places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackedPlace {
    /// The shard in the first byte, and the position in the others.
    at: u32,
    hash: u32,
}

impl PackedPlace {
    /// Returns `None` for a position that does not fit. It would need a table with four billion
    /// series.
    pub(super) fn new(SeriesPlace { shard, slot }: SeriesPlace) -> Option<Self> {
        let at = u32::from(shard) << 24 | slot.at;
        (slot.at >> 24 == 0).then_some(Self { at, hash: slot.hash })
    }

    pub fn unpacked(self) -> SeriesPlace {
        let slot = SeriesSlot { hash: self.hash, at: self.at & 0x00ff_ffff };
        SeriesPlace::new((self.at >> 24) as usize, slot)
    }
}

/// A series, and what its shard holds beside it.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) slot: SeriesSlot,
    pub(super) series: &'a mut Series,
    /// The running total, if totals are kept.
    pub(super) total: Option<&'a mut f64>,
    pub(super) original: OriginalName<'a>,
}

/// The name from which rules have made that of a series, if there is one. It is looked up only
/// where it is needed, which is seldom.
#[derive(Clone, Copy, Debug)]
pub(super) struct OriginalName<'a> {
    /// Not a slice, so that two registers hold this struct.
    of_shard: &'a Vec<Option<StoredName>>,
    at: usize,
}

impl<'a> OriginalName<'a> {
    /// The name of a [`TakenSeries`]: the only one in `names`, if any.
    pub(super) fn only(names: &'a Vec<Option<StoredName>>) -> Self {
        Self { of_shard: names, at: 0 }
    }

    pub(super) fn name(self) -> Option<&'a StoredName> {
        self.of_shard.get(self.at)?.as_ref()
    }
}

/// A series that was taken out of its shard.
#[derive(Debug)]
pub(super) struct TakenSeries {
    pub(super) series: Series,
    /// The name from which rules have made that of the series.
    pub(super) original: Option<StoredName>,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    index: HashTable<SeriesSlot>,
    series: Slab<Series>,
    /// The running total of each counter, at its position in `series`. Empty if none are kept.
    totals: Vec<f64>,
    /// For each series whose name rules have made, at its position in `series`, a name from which
    /// they have made it. Shorter than `series` if none of the last ones has such a name.
    sources: Vec<Option<StoredName>>,
    /// The owner of each series, at its position in `series`.
    owners: Vec<Owner>,
    /// One more than the highest position ever used. A walk ends there.
    end: usize,
}

/// The hardware overlaps about this many waits for memory.
pub(super) const PREFETCH: usize = 16;

impl Shard {
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Returns the slot of the series with this kind and name.
    pub(super) fn find(
        &self,
        hash: u32,
        kind: MetricKind,
        name: &[u8],
        tags: &TagStore,
    ) -> Option<SeriesSlot> {
        let is_it = |slot: &SeriesSlot| {
            slot.hash == hash && {
                let series = &self.series[slot.at as usize];
                series.kind() == kind && series.name().is(name, tags)
            }
        };
        self.index.find(spread(hash), is_it).copied()
    }

    /// Returns the slot that the index has for a hash. The caller must check the name and the kind.
    pub(super) fn candidate(&self, hash: u32) -> Option<SeriesSlot> {
        self.index.find(spread(hash), |slot| slot.hash == hash).copied()
    }

    /// Whether the series in `slot` has this kind, and may have a name of this length.
    pub(super) fn resembles(&self, slot: SeriesSlot, kind: MetricKind, length: usize) -> bool {
        let series = &self.series[slot.at as usize];
        series.kind() == kind && series.name().may_have_length(length)
    }

    pub(super) fn is_called(&self, slot: SeriesSlot, name: &[u8], tags: &TagStore) -> bool {
        self.series[slot.at as usize].name().is(name, tags)
    }

    /// Returns the slot of the series at a position, which must hold one.
    pub(super) fn slot(&self, at: u32) -> SeriesSlot {
        SeriesSlot { hash: self.series[at as usize].hash, at }
    }

    /// Returns the place of the series at a position of this shard, which has this number.
    pub(super) fn place(&self, number: usize, at: usize) -> Option<SeriesPlace> {
        let hash = self.series.get(at)?.hash;
        let at = u32::try_from(at).ok()?;
        Some(SeriesPlace::new(number, SeriesSlot { hash, at }))
    }

    /// Whether a large part of the memory is unused, because most series were removed.
    pub(super) fn is_sparse(&self) -> bool {
        const SMALL: usize = 64;
        let capacity = self.series.capacity();
        capacity > SMALL && self.series.len() < capacity / 4
    }

    /// Frees the memory of removed series. Series move to lower positions for that. `may_move` is
    /// called with the position of each; if it returns false, the series before it stay, too.
    pub(super) fn compact(&mut self, mut may_move: impl FnMut(u32) -> bool) {
        let Self { index, series, totals, sources, owners, .. } = self;
        #[allow(clippy::cast_possible_truncation)] // inserted as a u32
        series.compact(|series, from, to| {
            let is_it = |slot: &SeriesSlot| slot.at as usize == from;
            let found =
                index.find_mut(spread(series.hash), is_it).filter(|_| may_move(from as u32));
            let Some(slot) = found else { return false };
            slot.at = to as u32;
            owners[to] = owners[from];
            if from < totals.len() {
                totals[to] = totals[from];
            }
            if from < sources.len() {
                sources.swap(from, to);
            }
            true
        });
        self.end = series.iter().next_back().map_or(0, |(at, _)| at + 1);
        index.shrink_to_fit(|slot| spread(slot.hash));
        owners.truncate(self.end);
        owners.shrink_to_fit();
        totals.truncate(self.end);
        totals.shrink_to_fit();
        sources.truncate(self.end);
        sources.shrink_to_fit();
    }

    /// Adds a series that [`Self::find`] did not find. `keeps_totals` is the same for all series.
    pub(super) fn insert(
        &mut self,
        series: Series,
        owner: Owner,
        keeps_totals: bool,
    ) -> SeriesSlot {
        let hash = series.hash;
        let at = self.series.insert(series);
        self.end = self.end.max(at + 1);
        self.owners.resize(self.end, owner);
        self.owners[at] = owner;
        if keeps_totals {
            self.totals.resize(self.end, 0.0); // of a new series any total counts as 0
        }
        let at = u32::try_from(at).expect("a shard holds a small part of max_series, a u32");
        let slot = SeriesSlot { hash, at };
        self.index.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
        slot
    }

    pub(super) fn get_mut(&mut self, slot: SeriesSlot) -> Option<&mut Series> {
        self.series.get_mut(slot.at as usize).filter(|series| series.hash == slot.hash)
    }

    pub(super) fn at(&self, at: usize) -> Option<&Series> {
        self.series.get(at)
    }

    /// The name from which rules have made that of the series at a position. `None` if a client
    /// sends the name of the series itself.
    pub(super) fn original(&self, at: u32) -> Option<&StoredName> {
        self.sources.get(at as usize)?.as_ref()
    }

    /// Returns the name that was set before.
    pub(super) fn set_source(
        &mut self,
        at: u32,
        original: Option<StoredName>,
    ) -> Option<StoredName> {
        let at = at as usize;
        if original.is_some() && self.sources.len() <= at {
            self.sources.resize_with(at + 1, || None);
        }
        std::mem::replace(self.sources.get_mut(at)?, original)
    }

    /// Returns the series at a position, whichever it is.
    #[inline]
    pub(super) fn at_mut(&mut self, at: usize) -> Option<Placed<'_>> {
        let series = self.series.get_mut(at)?;
        let total = self.totals.get_mut(at);
        let original = OriginalName { of_shard: &self.sources, at };
        #[allow(clippy::cast_possible_truncation)] // inserted as a u32
        let at = at as u32;
        Some(Placed { slot: SeriesSlot { hash: series.hash, at }, series, total, original })
    }

    /// The owner of the series at a position.
    pub(super) fn owner(&self, at: usize) -> &Owner {
        &self.owners[at]
    }

    #[inline]
    pub(super) fn owner_mut(&mut self, at: usize) -> &mut Owner {
        &mut self.owners[at]
    }

    /// The running total of the series at a position. `None` if totals are not kept.
    pub(super) fn total(&self, at: usize) -> Option<f64> {
        self.totals.get(at).copied()
    }

    /// Begins or ends to keep totals. They begin at 0.
    pub(super) fn keep_totals(&mut self, keeps: bool) {
        self.totals = if keeps { vec![0.0; self.end] } else { Vec::new() };
    }

    /// The bytes of the totals.
    pub(super) fn total_bytes(&self) -> usize {
        self.totals.capacity() * size_of::<f64>()
    }

    /// Fetches the names of the next [`PREFETCH`] positions into the cache, for a walk that is
    /// about to read them. The waits for memory overlap here. They do not if each name is read
    /// after the work on the name before.
    pub(super) fn prefetch_names(&self, from: usize) {
        let end = self.series.capacity().min(from + PREFETCH);
        let mut touched = 0;
        for at in from..end {
            // A name may lie in two lines of the cache.
            if let Some([first, .., last]) = self.series.get(at).map(|series| series.name().bytes())
            {
                touched ^= first ^ last;
            }
        }
        // Without this the compiler would remove the loop, since its result is not used.
        std::hint::black_box(touched);
    }

    /// Removes a series, and returns it if it was there.
    pub(super) fn take(&mut self, slot: SeriesSlot) -> Option<TakenSeries> {
        let entry = self.index.find_entry(spread(slot.hash), |known| *known == slot).ok()?;
        entry.remove();
        let at = slot.at as usize;
        let original = self.sources.get_mut(at).and_then(Option::take);
        Some(TakenSeries { series: self.series.remove(at), original })
    }

    /// Returns every series with its slot, in no order.
    pub(super) fn slots(&self) -> impl Iterator<Item = (SeriesSlot, &Series)> {
        self.series.iter().map(|(at, series)| {
            let at = u32::try_from(at).expect("inserted as a u32");
            (SeriesSlot { hash: series.hash, at }, series)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_removed_series_is_freed_and_the_others_keep_all_they_have() {
        let mut tags = TagStore::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let mut shard = Shard::default();
        let name = |n: u32| format!("a.{n}").into_bytes();
        let owner = |n: u32| Owner::new(b"a.b", u16::try_from(n).unwrap(), |_| 7);
        let mut slots = Vec::new();
        for n in 0..1000 {
            let stored = StoredName::new(&name(n), &mut tags, |_| {});
            let series = Series::new((stored, true), n * 7, MetricKind::Counter, 0, 0);
            let slot = shard.insert(series, owner(n), true);
            shard.totals[slot.at as usize] = f64::from(n);
            if n % 3 == 0 {
                let original = StoredName::new(&name(n + 5000), &mut tags, |_| {});
                assert!(shard.set_source(slot.at, Some(original)).is_none());
            }
            slots.push(slot);
        }
        assert!(!shard.is_sparse());
        let stays = |n: u32| n % 10 == 9;
        for (n, slot) in (0..).zip(&slots) {
            if !stays(n) {
                assert!(shard.take(*slot).is_some());
            }
        }
        let check = |shard: &Shard| {
            for n in 0..1000 {
                let found = shard.find(n * 7, MetricKind::Counter, &name(n), &tags);
                assert_eq!(found.is_some(), stays(n), "{n}");
                let Some(slot) = found else { continue };
                assert_eq!(shard.slot(slot.at), slot);
                assert_eq!(*shard.owner(slot.at as usize), owner(n));
                assert_eq!(shard.total(slot.at as usize), Some(f64::from(n)));
                let original = shard.original(slot.at);
                assert_eq!(original.is_some(), n % 3 == 0);
                assert!(original.is_none_or(|original| original.is(&name(n + 5000), &tags)));
            }
        };
        assert!(shard.is_sparse());
        let mut moves = 0;
        shard.compact(|_| {
            moves += 1;
            moves <= 10
        });
        check(&shard);
        assert_eq!(shard.end(), 900, "one that may not move keeps those before it");
        shard.compact(|_| true);
        check(&shard);
        assert_eq!(shard.end(), 100);
        let capacities =
            [shard.series.capacity(), shard.owners.capacity(), shard.totals.capacity()];
        assert!(capacities.iter().all(|capacity| *capacity < 150), "{capacities:?}");
        assert!(shard.index.capacity() < 250 && shard.sources.capacity() < 150);
    }
}
