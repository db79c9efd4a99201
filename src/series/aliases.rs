//! Finds the series of a line by its unread bytes: the name and the tags as a client writes them.
//!
//! ```text
//!  unread name, tags ──two hashes──▶ AliasKey ──index──▶ Alias { kind, shard, at } ──▶ Series
//!                                                         ▲
//!                            all aliases of one series: AliasList
//! ```
//! A known line with tags needs no reading of tags: they are not split, cleaned or sorted. The
//! first line with such bytes takes the long way to its series, and then adds an alias.
//!
//! The bytes are not stored, because they are several times longer than the rest of a series. Two
//! hashes of 64 bits stand for them, with different random seeds. A client cannot compute them, so
//! it cannot choose bytes that are taken for those of another series.
//!
//! The aliases of a series are a list, so they are removed together with it. Their number is
//! bounded. If a shard is full, the half of its aliases that was not used for longest is removed.

use std::hash::{BuildHasher as _, Hasher as _};

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::bounds::SeriesLimits;
use super::shard::{SHARDS, SeriesPlace};
use crate::protocol::MetricKind;

/// What stands for the name and the tags of a line that is not read. With `sanitize_keys = no`,
/// "raw" has another meaning: see `raw.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AliasKey([u64; 2]);

impl AliasKey {
    /// One of the two hashes.
    #[inline]
    pub(super) fn first(self) -> u64 {
        self.0[0]
    }
}

/// The aliases of all series.
#[derive(Debug)]
pub(super) struct Aliases {
    hashers: [RandomState; 2],
    shards: Box<[AliasShard]>,
    /// For each shard of series, the list of the series at each position.
    lists: Box<[Vec<AliasList>]>,
    /// The most aliases of one shard.
    most: usize,
    len: usize,
}

/// The aliases whose keys belong to one shard. Shards of aliases are not those of series.
#[derive(Debug, Default)]
struct AliasShard {
    index: HashTable<u32>,
    aliases: Slab<Alias>,
}

#[derive(Clone, Copy, Debug)]
struct Alias {
    key: AliasKey,
    /// The position of the series in its shard.
    at: u32,
    /// The neighbours in the list of the aliases of one series.
    next: AliasLink,
    previous: AliasLink,
    /// The low bits of the number of the interval in which it was last used.
    used: u16,
    /// The shard of the series.
    shard: u8,
    kind: MetricKind,
}

/// The place of an alias: its shard in the low 8 bits, one more than its position in the others. 0
/// stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AliasLink(u32);

/// The list of the aliases of one series.
#[derive(Clone, Copy, Debug, Default)]
struct AliasList {
    first: AliasLink,
    len: u32,
}

/// The most aliases of one series. They are all removed in one turn of the loop, so they must be
/// few. If one more comes, they are removed, and added again as their lines come.
const OF_SERIES_MAX: u32 = 4096;

/// The least bound of a shard. Chance puts more aliases into one shard than into another.
const OF_SHARD_MIN: usize = 64;

impl AliasLink {
    fn new(shard: usize, at: usize) -> Self {
        let number = (at + 1) * SHARDS + shard;
        Self(u32::try_from(number).expect("a shard has at most OF_SHARD_MAX aliases"))
    }

    /// Returns the shard and the position.
    fn place(self) -> Option<(usize, usize)> {
        let number = self.0 as usize;
        Some((number % SHARDS, (number / SHARDS).checked_sub(1)?))
    }
}

/// The bytes of an alias: its entry, its place in the index, its part of the list of its series,
/// and the slack of all of them.
pub(super) const ALIAS_BYTES: usize = 60;

/// With more, the position would not fit in a [`AliasLink`].
const OF_SHARD_MAX: usize = (u32::MAX as usize) / SHARDS - 1;

impl Aliases {
    /// `seeds` are those of the hashes of names. `limits` are those of the table.
    pub(super) fn new([a, b, c, d]: [u64; 4], limits: SeriesLimits) -> Self {
        // The seeds of the two hashes are themselves hashes. So neither is the hash of names.
        let maker = RandomState::with_seeds(a, b, c, d);
        let seed = |number: u64| maker.hash_one(number);
        let hasher = |first: u64| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|more| seed(first + more));
            RandomState::with_seeds(a, b, c, d)
        };
        let mut aliases = Self {
            hashers: [hasher(1), hasher(5)],
            shards: std::iter::repeat_with(AliasShard::default).take(SHARDS).collect(),
            lists: vec![Vec::new(); SHARDS].into(),
            most: 0,
            len: 0,
        };
        aliases.limit(limits);
        aliases
    }

    /// Sets the most aliases: two for each series that the table can hold, and no more than fit in
    /// a quarter of the memory of all series. Those that are there stay.
    pub(super) fn limit(&mut self, SeriesLimits { count, bytes }: SeriesLimits) {
        let most = count.saturating_mul(2).min(bytes / 4 / ALIAS_BYTES);
        self.most = (most / SHARDS).clamp(OF_SHARD_MIN, OF_SHARD_MAX);
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// About the bytes of all aliases. It takes no walk over the shards.
    pub(super) fn bytes(&self) -> usize {
        self.len * ALIAS_BYTES
    }

    #[inline]
    pub(super) fn key(&self, name: &[u8], tags: &[u8]) -> AliasKey {
        // The hasher mixes in the length of each text. So `a`, `bc` differ from `ab`, `c`.
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(name);
            hasher.write(tags);
            hasher.finish()
        };
        AliasKey([hash(&self.hashers[0]), hash(&self.hashers[1])])
    }

    /// Returns the key of a line by its canonical name. No line has such tags, so the name is never
    /// taken for the bytes of a line.
    #[inline]
    pub(super) fn key_of_name(&self, name: &[u8]) -> AliasKey {
        self.key(name, b"\n")
    }

    /// Returns the shard and the position of the series that has an alias with this key. Marks the
    /// alias as used in the interval `tick`.
    #[inline]
    pub(super) fn find(
        &mut self,
        key: AliasKey,
        kind: MetricKind,
        tick: u32,
    ) -> Option<(usize, u32)> {
        let AliasShard { index, aliases } = &mut self.shards[shard_of(key)];
        let is_it = |at: &u32| {
            let alias = &aliases[*at as usize];
            alias.key == key && alias.kind == kind
        };
        let at = *index.find(key.0[0], is_it)? as usize;
        let alias = &mut aliases[at];
        alias.used = low_bits(tick);
        Some((usize::from(alias.shard), alias.at))
    }

    /// Adds an alias of the series at a place. Does nothing if there is an alias with this key.
    pub(super) fn add(&mut self, key: AliasKey, kind: MetricKind, place: SeriesPlace, tick: u32) {
        if self.find(key, kind, tick).is_some() {
            return;
        }
        let shard = place.shard();
        let at = place.slot().at;
        if self.list(shard, at).len >= OF_SERIES_MAX {
            self.remove_all(shard, at);
        }
        let home = shard_of(key);
        if self.shards[home].aliases.len() >= self.most {
            self.make_room(home, tick);
        }
        let first = self.list(shard, at).first;
        #[allow(clippy::cast_possible_truncation)] // there are 256 shards
        let alias = Alias {
            key,
            at,
            next: first,
            previous: AliasLink::default(),
            used: low_bits(tick),
            shard: shard as u8,
            kind,
        };
        let AliasShard { index, aliases } = &mut self.shards[home];
        let position = aliases.insert(alias);
        let number = u32::try_from(position).expect("at most OF_SHARD_MAX");
        index.insert_unique(key.0[0], number, |at| aliases[*at as usize].key.0[0]);
        let link = AliasLink::new(home, position);
        if let Some(next) = self.at_mut(first) {
            next.previous = link;
        }
        let list = self.list(shard, at);
        list.first = link;
        list.len += 1;
        self.len += 1;
    }

    /// Removes all aliases of the series in a shard at a position.
    pub(super) fn remove_all(&mut self, shard: usize, at: u32) {
        let Some(list) = self.lists[shard].get_mut(at as usize) else { return };
        let mut link = std::mem::take(list).first;
        while let Some((home, position)) = link.place() {
            link = self.take(home, position).next;
        }
    }

    /// Removes every alias.
    pub(super) fn clear(&mut self) {
        self.shards.fill_with(AliasShard::default);
        self.lists.fill_with(Vec::new);
        self.len = 0;
    }

    /// Removes the aliases of a shard that were not used for longer than the average, or about half
    /// of all if those are few. So the next call is many new aliases away.
    #[cold]
    fn make_room(&mut self, home: usize, tick: u32) {
        let aliases = &self.shards[home].aliases;
        let age = |alias: &Alias| low_bits(tick).wrapping_sub(alias.used);
        let sum: u64 = aliases.iter().map(|(_, alias)| u64::from(age(alias))).sum();
        let average = sum / aliases.len().max(1) as u64;
        let is_old = |alias: &Alias| u64::from(age(alias)) > average;
        let old = aliases.iter().filter(|(_, alias)| is_old(alias)).count();
        let are_few = old < aliases.len() / 4;
        let removed: Vec<usize> = aliases
            .iter()
            .filter(|(at, alias)| is_old(alias) || are_few && at % 2 == 0)
            .map(|(at, _)| at)
            .collect();
        removed.into_iter().for_each(|position| self.remove(home, position));
    }

    /// Removes one alias.
    fn remove(&mut self, home: usize, position: usize) {
        let Alias { next, previous, shard, at, .. } = self.take(home, position);
        if let Some(next) = self.at_mut(next) {
            next.previous = previous;
        }
        let list = &mut self.lists[usize::from(shard)][at as usize];
        list.len -= 1;
        match previous.place() {
            None => list.first = next,
            Some((home, position)) => self.shards[home].aliases[position].next = next,
        }
    }

    /// Frees the memory of a shard of which most aliases were removed. The others are removed, too,
    /// and added again as their lines come.
    pub(super) fn compact(&mut self, home: usize) {
        const SMALL: usize = 64;
        let aliases = &self.shards[home].aliases;
        if aliases.capacity() > SMALL && aliases.len() < aliases.capacity() / 4 {
            let all: Vec<usize> = aliases.iter().map(|(at, _)| at).collect();
            all.into_iter().for_each(|position| self.remove(home, position));
            self.shards[home] = AliasShard::default();
        }
    }

    /// The number of aliases of the series in a shard at a position.
    pub(super) fn count(&self, shard: usize, at: u32) -> u32 {
        self.lists[shard].get(at as usize).map_or(0, |list| list.len)
    }

    /// Frees the lists of a shard of series from this position on. They must be empty.
    pub(super) fn shrink_lists(&mut self, shard: usize, end: usize) {
        let lists = &mut self.lists[shard];
        lists.truncate(end);
        lists.shrink_to_fit();
    }

    /// Takes out an alias. Its neighbours in its list stay as they are.
    fn take(&mut self, home: usize, position: usize) -> Alias {
        let AliasShard { index, aliases } = &mut self.shards[home];
        let alias = aliases.remove(position);
        let is_it = |at: &u32| *at as usize == position;
        if let Ok(entry) = index.find_entry(alias.key.0[0], is_it) {
            entry.remove();
        }
        self.len -= 1;
        alias
    }

    fn at_mut(&mut self, link: AliasLink) -> Option<&mut Alias> {
        let (home, position) = link.place()?;
        self.shards[home].aliases.get_mut(position)
    }

    /// Returns the list of the series in a shard at a position.
    fn list(&mut self, shard: usize, at: u32) -> &mut AliasList {
        let lists = &mut self.lists[shard];
        if lists.len() <= at as usize {
            lists.resize(at as usize + 1, AliasList::default());
        }
        &mut lists[at as usize]
    }
}

fn shard_of(AliasKey([hash, _]): AliasKey) -> usize {
    // The index uses the lowest and the seven highest bits.
    (hash >> 40) as usize % SHARDS
}

#[allow(clippy::cast_possible_truncation)] // the low bits are meant
fn low_bits(tick: u32) -> u16 {
    tick as u16
}

const _: () = assert!(size_of::<Alias>() == 32);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use statsd_bench::Random;

    use super::super::shard::SeriesSlot;
    use super::*;

    const KIND: MetricKind = MetricKind::Counter;

    /// Checks that the lists and the index agree.
    fn check(aliases: &Aliases) {
        let mut listed = 0;
        for (shard, lists) in aliases.lists.iter().enumerate() {
            for (at, list) in lists.iter().enumerate() {
                let mut previous = AliasLink::default();
                let mut link = list.first;
                let mut len = 0;
                while let Some((home, position)) = link.place() {
                    let alias = aliases.shards[home].aliases[position];
                    assert_eq!((usize::from(alias.shard), alias.at as usize), (shard, at));
                    assert_eq!(alias.previous, previous);
                    (previous, link) = (link, alias.next);
                    len += 1;
                }
                assert_eq!(len, list.len);
                listed += len as usize;
            }
        }
        let indexed: usize = aliases.shards.iter().map(|shard| shard.index.len()).sum();
        let stored: usize = aliases.shards.iter().map(|shard| shard.aliases.len()).sum();
        assert_eq!((listed, indexed, stored), (aliases.len, aliases.len, aliases.len));
    }

    fn place(shard: usize, at: u32) -> SeriesPlace {
        SeriesPlace::new(shard, SeriesSlot { hash: 0, at })
    }

    fn aliases_of(count: usize) -> Aliases {
        Aliases::new([1, 2, 3, 4], SeriesLimits { count, ..SeriesLimits::NONE })
    }

    #[test]
    fn every_alias_leads_to_its_series_until_that_is_removed() {
        let mut aliases = aliases_of(1_000_000);
        let mut model: HashMap<(usize, u32), Vec<u64>> = HashMap::new();
        let mut random = Random::new(1);
        for step in 0..30_000_u64 {
            let series = (random.below(4_usize), random.below(50_u32));
            if random.below(10) == 0 {
                aliases.remove_all(series.0, series.1);
                for number in model.remove(&series).unwrap_or_default() {
                    let key = aliases.key(&number.to_le_bytes(), b"");
                    assert_eq!(aliases.find(key, KIND, 0), None);
                }
            } else {
                let key = aliases.key(&step.to_le_bytes(), b"");
                aliases.add(key, KIND, place(series.0, series.1), 0);
                aliases.add(key, KIND, place(9, 9), 0);
                model.entry(series).or_default().push(step);
                assert_eq!(aliases.find(key, MetricKind::Gauge, 0), None);
            }
        }
        check(&aliases);
        for (series, numbers) in model {
            for number in numbers {
                let key = aliases.key(&number.to_le_bytes(), b"");
                assert_eq!(aliases.find(key, KIND, 0), Some(series));
            }
        }
        aliases.clear();
        check(&aliases);
    }

    #[test]
    fn the_number_is_bounded_and_those_in_use_stay() {
        let mut aliases = aliases_of(1);
        let used: Vec<AliasKey> =
            (0..2000_u32).map(|n| aliases.key(&n.to_le_bytes(), b"")).collect();
        for tick in 0..50_u32 {
            for (at, key) in (0..).zip(&used) {
                aliases.add(*key, KIND, place(1, at), tick);
            }
            for n in 0..2000_u32 {
                let key = aliases.key(b"once", &(tick * 2000 + n).to_le_bytes());
                aliases.add(key, KIND, place(2, n), tick);
            }
            check(&aliases);
            assert!(aliases.len() <= SHARDS * OF_SHARD_MIN);
        }
        let kept = used.iter().filter(|key| aliases.find(**key, KIND, 50).is_some()).count();
        assert!(kept > 1900, "{kept}");
    }

    #[test]
    fn a_series_with_too_many_aliases_begins_again() {
        let mut aliases = aliases_of(1_000_000);
        for n in 0..=OF_SERIES_MAX {
            let key = aliases.key(&n.to_le_bytes(), b"");
            aliases.add(key, KIND, place(3, 3), 0);
        }
        assert_eq!(aliases.len(), 1);
        check(&aliases);
    }

    #[test]
    fn bytes_that_are_split_in_another_way_have_another_key() {
        let aliases = aliases_of(1);
        assert_ne!(aliases.key(b"a", b"bc"), aliases.key(b"ab", b"c"));
        assert_ne!(aliases.key(b"a", b""), aliases.key(b"", b"a"));
    }
}
