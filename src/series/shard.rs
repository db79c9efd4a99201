//! One of the 256 parts of the table: a slab of series, and an index from a hash to a slot.
//!
//! ```text
//!  name ──▶ NameHash ──kind──▶ SeriesKey { shard, hash } ──index──▶ SeriesSlot ──slab──▶ Series
//!                                                                      NameStore: its name ◀─┘
//! ```
//! Each shard grows by itself, so no single step of growth is long on the way to a million series.
//! An entry of the index is a position and 12 bits of the hash, in four bytes. The index compares 7
//! more bits of the hash by itself. So a lookup rarely reads a series in vain. Growth of the index
//! reads the hashes in the series.

use hashbrown::HashTable;
use slab::Slab;

use super::hashing::spread;
use super::membership::Membership;
use super::series::Series;
use super::stored_name::{NamePlace, NameStore, StoredName};
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
    pub(super) name: StoredName<'a>,
    pub(super) original: OriginalName<'a>,
}

/// The name from which rules have made that of a series, if there is one. It is looked up only
/// where it is needed, which is seldom.
#[derive(Clone, Copy, Debug)]
pub(super) struct OriginalName<'a> {
    of_shard: &'a NameStore,
    at: u32,
}

impl<'a> OriginalName<'a> {
    pub(super) fn name(self) -> Option<StoredName<'a>> {
        self.of_shard.original(self.at)
    }
}

/// A series that was taken out of its shard.
#[derive(Debug)]
pub(super) struct TakenSeries {
    pub(super) series: Series,
    /// The bytes of its [`StoredName`].
    pub(super) name: Box<[u8]>,
    /// The bytes of the name from which rules have made that of the series.
    pub(super) original: Option<Box<[u8]>>,
}

impl TakenSeries {
    pub(super) fn name(&self) -> StoredName<'_> {
        StoredName::of_bytes(&self.name)
    }
}

/// An entry of the index: the position of a series in the low [`POSITION_BITS`], and the high bits
/// of its hash in the others.
#[derive(Clone, Copy, Debug)]
struct IndexEntry(u32);

/// With 100 million series, the most that `max_series` allows, a shard has 400,000.
const POSITION_BITS: u32 = 20;

impl IndexEntry {
    fn new(SeriesSlot { hash, at }: SeriesSlot) -> Self {
        assert!(at >> POSITION_BITS == 0, "a shard holds a small part of max_series");
        Self(hash >> POSITION_BITS << POSITION_BITS | at)
    }

    #[inline]
    fn at(self) -> u32 {
        self.0 & ((1 << POSITION_BITS) - 1)
    }

    /// Whether the series may have this hash.
    #[inline]
    fn may_have(self, hash: u32) -> bool {
        (self.0 ^ hash) >> POSITION_BITS == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    index: HashTable<IndexEntry>,
    series: Slab<Series>,
    names: NameStore,
    /// The membership of each series, at its position in `series`.
    memberships: Vec<Membership>,
    /// One more than the highest position ever used. A walk ends there.
    end: usize,
}

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
        let is_it = |entry: &IndexEntry| {
            entry.may_have(hash) && {
                let series = &self.series[entry.at() as usize];
                series.hash == hash && series.kind() == kind && self.name(series).is(name, tags)
            }
        };
        let found = self.index.find(spread(hash), is_it)?;
        Some(SeriesSlot { hash, at: found.at() })
    }

    /// Returns a slot that the index may have for a hash. The caller must check the name and the
    /// kind, and call [`find`](Self::find) if they are others.
    pub(super) fn candidate(&self, hash: u32) -> Option<SeriesSlot> {
        let found = self.index.find(spread(hash), |entry| entry.may_have(hash))?;
        Some(SeriesSlot { hash, at: found.at() })
    }

    /// Whether the series in `slot` has this kind, and may have a name of this length.
    pub(super) fn resembles(&self, slot: SeriesSlot, kind: MetricKind, length: usize) -> bool {
        let series = &self.series[slot.at as usize];
        series.kind() == kind && (series.name().length() == length || self.name(series).has_tags())
    }

    pub(super) fn is_called(&self, slot: SeriesSlot, name: &[u8], tags: &TagStore) -> bool {
        self.name(&self.series[slot.at as usize]).is(name, tags)
    }

    /// Whether the rules of this set are known to leave the name of the series in `slot` as it is.
    #[inline]
    pub(super) fn is_name_kept_by(&self, slot: SeriesSlot, set: u16) -> bool {
        self.series[slot.at as usize].is_name_kept_by(set)
    }

    /// The name of a series of this shard.
    #[inline]
    pub(super) fn name(&self, series: &Series) -> StoredName<'_> {
        self.names.get(series.name())
    }

    /// Stores the name of a series that will be inserted. See [`NameStore::add`].
    pub(super) fn add_name(
        &mut self,
        name: &[u8],
        tags: &mut TagStore,
        is_new: impl FnMut(&[u8]),
    ) -> NamePlace {
        self.names.add(name, tags, is_new)
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

    /// Frees the memory of removed series. Series move to lower positions for that. `move_more` is
    /// called with the old and the new position of each, and moves what the shard does not hold. If
    /// it returns false, the series before it stay, too.
    pub(super) fn compact(&mut self, mut move_more: impl FnMut(u32, u32) -> bool) {
        let Self { index, series, names, memberships, .. } = self;
        #[allow(clippy::cast_possible_truncation)] // inserted as a u32
        series.compact(|series, from, to| {
            let is_it = |entry: &IndexEntry| entry.at() as usize == from;
            let found = index.find_mut(spread(series.hash), is_it);
            let Some(entry) = found.filter(|_| move_more(from as u32, to as u32)) else {
                return false;
            };
            *entry = IndexEntry::new(SeriesSlot { hash: series.hash, at: to as u32 });
            memberships[to] = memberships[from];
            names.move_original(from as u32, to as u32);
            true
        });
        self.end = series.iter().next_back().map_or(0, |(at, _)| at + 1);
        index.shrink_to_fit(|entry| spread(series[entry.at() as usize].hash));
        memberships.truncate(self.end);
        memberships.shrink_to_fit();
        names.shrink_originals();
    }

    /// Adds a series that [`Self::find`] did not find. Its name is from [`Self::add_name`].
    pub(super) fn insert(&mut self, series: Series, membership: Membership) -> SeriesSlot {
        let hash = series.hash;
        let at = self.series.insert(series);
        self.end = self.end.max(at + 1);
        self.memberships.resize(self.end, membership);
        self.memberships[at] = membership;
        #[allow(clippy::cast_possible_truncation)] // an entry asserts it
        let slot = SeriesSlot { hash, at: at as u32 };
        let Self { index, series, .. } = self;
        index.insert_unique(spread(hash), IndexEntry::new(slot), |entry| {
            spread(series[entry.at() as usize].hash)
        });
        slot
    }

    pub(super) fn get_mut(&mut self, slot: SeriesSlot) -> Option<&mut Series> {
        self.series.get_mut(slot.at as usize).filter(|series| series.hash == slot.hash)
    }

    #[inline]
    pub(super) fn found_mut(&mut self, at: usize) -> Option<&mut Series> {
        self.series.get_mut(at)
    }

    pub(super) fn at(&self, at: usize) -> Option<&Series> {
        self.series.get(at)
    }

    /// The name from which rules have made that of the series at a position. `None` if a client
    /// sends the name of the series itself.
    pub(super) fn original(&self, at: u32) -> Option<StoredName<'_>> {
        self.names.original(at)
    }

    /// Sets the name from which rules have made that of the series at a position. It is from
    /// [`Self::add_name`]. Returns the bytes of the one before.
    pub(super) fn set_original(
        &mut self,
        at: u32,
        original: Option<NamePlace>,
    ) -> Option<Box<[u8]>> {
        let before = self.names.set_original(at, original)?;
        Some(self.remove_name(before))
    }

    /// Removes a name that no series of the shard has any more. Returns its bytes.
    fn remove_name(&mut self, name: NamePlace) -> Box<[u8]> {
        let bytes = self.names.get(name).bytes().into();
        if self.names.remove(name) {
            self.names.compact(self.series.iter_mut().map(|(_, series)| series.name_mut()));
        }
        bytes
    }

    /// Returns the series at a position, whichever it is.
    #[inline]
    pub(super) fn at_mut(&mut self, at: usize) -> Option<Placed<'_>> {
        let series = self.series.get_mut(at)?;
        let name = self.names.get(series.name());
        #[allow(clippy::cast_possible_truncation)] // inserted as a u32
        let at = at as u32;
        let original = OriginalName { of_shard: &self.names, at };
        Some(Placed { slot: SeriesSlot { hash: series.hash, at }, series, name, original })
    }

    /// The membership of the series at a position.
    pub(super) fn membership(&self, at: usize) -> &Membership {
        &self.memberships[at]
    }

    /// The membership of the series at a position, to change its size.
    pub(super) fn membership_mut(&mut self, at: usize) -> &mut Membership {
        &mut self.memberships[at]
    }

    /// Removes a series, and returns it if it was there.
    pub(super) fn take(&mut self, slot: SeriesSlot) -> Option<TakenSeries> {
        let at = slot.at as usize;
        self.series.get(at).filter(|series| series.hash == slot.hash)?;
        let entry = self.index.find_entry(spread(slot.hash), |known| known.at() == slot.at);
        entry.ok()?.remove();
        let original = self.set_original(slot.at, None);
        let series = self.series.remove(at);
        let name = self.remove_name(series.name());
        Some(TakenSeries { series, name, original })
    }

    /// The names of all series.
    pub(super) fn names(&self) -> impl Iterator<Item = StoredName<'_>> {
        self.series.iter().map(|(_, series)| self.name(series))
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
        let membership = |n: u32| Membership::new(b"a.b", u16::try_from(n).unwrap(), |_| 7);
        let mut slots = Vec::new();
        for n in 0..1000 {
            let stored = shard.add_name(&name(n), &mut tags, |_| {});
            let mut series = Series::new(stored, true, n * 7, MetricKind::Counter, 0, 0);
            series.set_total(f64::from(n));
            let slot = shard.insert(series, membership(n));
            if n % 3 == 0 {
                let original = shard.add_name(&name(n + 5000), &mut tags, |_| {});
                assert!(shard.set_original(slot.at, Some(original)).is_none());
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
                assert_eq!(*shard.membership(slot.at as usize), membership(n));
                assert_eq!(shard.at(slot.at as usize).unwrap().total(), Some(f64::from(n)));
                let original = shard.original(slot.at);
                assert_eq!(original.is_some(), n % 3 == 0);
                assert!(original.is_none_or(|original| original.is(&name(n + 5000), &tags)));
            }
        };
        assert!(shard.is_sparse());
        let mut moves = 0;
        shard.compact(|_, _| {
            moves += 1;
            moves <= 10
        });
        check(&shard);
        assert_eq!(shard.end(), 900, "one that may not move keeps those before it");
        shard.compact(|_, _| true);
        check(&shard);
        assert_eq!(shard.end(), 100);
        let capacities = [shard.series.capacity(), shard.memberships.capacity()];
        assert!(capacities.iter().all(|capacity| *capacity < 150), "{capacities:?}");
        assert!(shard.index.capacity() < 250 && shard.names.originals.capacity() < 150);
    }
}
