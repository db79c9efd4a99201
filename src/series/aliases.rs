//! Finds the series of a line by its unread bytes: the name and the tags as a client writes them.
//!
//! ```text
//!  unread name, tags ──two hashes──▶ AliasKey, kind ──index──▶ Alias { series } ──▶ Series
//!                                                               ▲
//!                                 AliasLists: all aliases of one series
//! ```
//! A known line with tags needs no reading of tags: they are not split, cleaned or sorted. The
//! first line with such bytes takes the long way to its series, and then adds an alias.
//!
//! The bytes are not stored, because they are several times longer than the rest of a series. 88
//! bits of two hashes stand for them, with different random seeds. A client cannot compute them, so
//! it cannot choose bytes that are taken for those of another series. With two million aliases, one
//! in 10^20 unknown lines is taken for a known one by chance. A server that reads ten million
//! unknown lines a second meets such a line in 300,000 years.
//!
//! The aliases of a series are listed, so they are removed together with it. Nearly all series have
//! one alias, so only a series with more of them has a list: one that rules make of several names,
//! or whose tags come in several orders. The memory of aliases is bounded. If a shard is full, the
//! half of its aliases that was not used for longest is removed.

use std::hash::{BuildHasher as _, Hasher as _};
use std::num::NonZeroU32;

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::bounds::SeriesLimits;
use super::hashing::spread;
use super::shard::{NameHash, SHARDS, SeriesPlace};
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
    shards: Box<[AliasShard; SHARDS]>,
    /// For each shard of series, the aliases of its series.
    lists: Box<[AliasLists; SHARDS]>,
    /// The most aliases of one shard, and the most bytes of all.
    most: usize,
    most_bytes: usize,
    len: usize,
    /// The number of series with a list.
    listed: usize,
    /// The number of the last removal of aliases of one shard.
    removals: u32,
}

/// The aliases whose keys belong to one shard. Shards of aliases are not those of series.
#[derive(Debug, Default)]
struct AliasShard {
    index: HashTable<u32>,
    aliases: Slab<Alias>,
}

/// An alias, in 16 bytes. The shard that it is in is 8 more bits of its key.
#[derive(Clone, Copy, Debug)]
struct Alias {
    /// The hash in the index.
    hash: u64,
    /// The other part of its key.
    tail: u16,
    /// The low bits of the number of the interval in which it was last used.
    used: u16,
    series: AliasedSeries,
}

/// The shard of a series in the low 8 bits, one more than its position in the others. It is never
/// 0, which saves the slab eight bytes for each alias.
#[derive(Clone, Copy, Debug)]
struct AliasedSeries(NonZeroU32);

/// The place of an alias: its shard in the low 8 bits, one more than its position in the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AliasLink(u32);

/// The aliases of the series of one shard.
#[derive(Debug, Default)]
struct AliasLists {
    /// For the series at each position its alias, [`AliasLink::NONE`] or [`AliasLink::SEVERAL`].
    single: Vec<AliasLink>,
    several: HashTable<AliasList>,
}

/// The aliases of a series that has had more than one.
#[derive(Debug)]
struct AliasList {
    /// The position of the series.
    at: u32,
    /// The number of the last removal that went through it.
    removal: u32,
    links: Vec<AliasLink>,
}

/// The least bound of a shard. Chance puts more aliases into one shard than into another.
const OF_SHARD_MIN: usize = 64;

impl AliasKey {
    /// Returns the shard of the aliases with this key.
    #[inline]
    fn shard(self) -> usize {
        (self.0[1] >> 16) as usize % SHARDS
    }

    /// Returns what an alias has of the key beside the hash of the index. The kind is a part of it.
    #[inline]
    fn tail(self, kind: MetricKind) -> u16 {
        #[allow(clippy::cast_possible_truncation)] // the low bits are meant
        let bits = self.0[1] as u16;
        bits ^ kind as u16
    }
}

impl AliasedSeries {
    fn new(shard: usize, at: u32) -> Self {
        let number = (at as usize + 1) * SHARDS + shard;
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        Self(number.expect("a shard of series has less than 2^20"))
    }

    /// Returns the shard and the position.
    #[inline]
    fn place(self) -> (usize, u32) {
        let number = self.0.get() as usize;
        #[allow(clippy::cast_possible_truncation)] // it was a u32
        let at = (number / SHARDS) as u32 - 1;
        (number % SHARDS, at)
    }
}

impl AliasLink {
    const NONE: Self = Self(0);
    const SEVERAL: Self = Self(u32::MAX);

    fn new(shard: usize, at: usize) -> Self {
        let number = (at + 1) * SHARDS + shard;
        Self(u32::try_from(number).expect("a shard has at most OF_SHARD_MAX aliases"))
    }

    /// Returns the shard and the position.
    fn place(self) -> (usize, usize) {
        let number = self.0 as usize;
        (number % SHARDS, number / SHARDS - 1)
    }
}

impl AliasLists {
    fn of(&self, at: u32) -> AliasLink {
        self.single.get(at as usize).copied().unwrap_or(AliasLink::NONE)
    }

    /// The number of aliases of the series at a position.
    fn count(&self, at: u32) -> usize {
        match self.of(at) {
            AliasLink::NONE => 0,
            AliasLink::SEVERAL => self.several(at).map_or(0, |list| list.links.len()),
            _ => 1,
        }
    }

    fn several(&self, at: u32) -> Option<&AliasList> {
        self.several.find(spread(at), |list| list.at == at)
    }

    /// Adds an alias. Returns whether a list was made.
    fn add(&mut self, at: u32, link: AliasLink) -> bool {
        let needed = at as usize + 1;
        if self.single.len() < needed {
            self.single.resize(needed, AliasLink::NONE);
        }
        let single = &mut self.single[at as usize];
        match *single {
            AliasLink::NONE => *single = link,
            AliasLink::SEVERAL => {
                if let Some(list) = self.several.find_mut(spread(at), |list| list.at == at) {
                    list.links.push(link);
                }
            }
            first => {
                *single = AliasLink::SEVERAL;
                let list = AliasList { at, removal: 0, links: vec![first, link] };
                self.several.insert_unique(spread(at), list, |list| spread(list.at));
                return true;
            }
        }
        false
    }

    /// Removes those aliases of a series with a list that `is_kept` is false for, unless this
    /// removal has done so before. Returns whether the list was freed.
    fn retain(&mut self, at: u32, removal: u32, is_kept: impl Fn(AliasLink) -> bool) -> bool {
        let found = self.several.find_entry(spread(at), |list| list.at == at);
        let Ok(mut found) = found else { return false };
        let list = found.get_mut();
        if std::mem::replace(&mut list.removal, removal) == removal {
            return false;
        }
        let links = &mut list.links;
        links.retain(|link| is_kept(*link));
        links.shrink_to(2 * links.len());
        if !links.is_empty() {
            return false;
        }
        found.remove();
        self.single[at as usize] = AliasLink::NONE;
        true
    }

    /// Takes out the last aliases of the list of a series, at most `most`. Returns whether the list
    /// was freed.
    fn take_listed(&mut self, at: u32, most: usize, taken: &mut Vec<AliasLink>) -> bool {
        let found = self.several.find_entry(spread(at), |list| list.at == at);
        let Ok(mut found) = found else { return false };
        let links = &mut found.get_mut().links;
        taken.extend(links.drain(links.len().saturating_sub(most)..));
        if !links.is_empty() {
            return false;
        }
        found.remove();
        self.single[at as usize] = AliasLink::NONE;
        true
    }

    /// Moves the aliases of the series at `from` to the position `to`, which has none.
    fn move_to(&mut self, from: u32, to: u32) -> &[AliasLink] {
        let link = self.of(from);
        if link == AliasLink::NONE {
            return &[];
        }
        self.single[from as usize] = AliasLink::NONE;
        self.single[to as usize] = link;
        if link != AliasLink::SEVERAL {
            return std::slice::from_ref(&self.single[to as usize]);
        }
        let found = self.several.find_entry(spread(from), |list| list.at == from);
        let Ok(found) = found else { return &[] };
        let (list, _) = found.remove();
        let list = AliasList { at: to, ..list };
        let entry = self.several.insert_unique(spread(to), list, |list| spread(list.at));
        &entry.into_mut().links
    }

    /// Frees the memory from this position on. There must be no aliases of series there.
    fn shrink(&mut self, end: usize) {
        self.single.truncate(end);
        self.single.shrink_to_fit();
        self.several.shrink_to_fit(|list| spread(list.at));
    }
}

/// The bytes of an alias: its entry, its place in the index, its place beside its series, and the
/// slack of all of them.
const ALIAS_BYTES: usize = 32;

/// The bytes of the list of a series that has several aliases.
const LIST_BYTES: usize = 80;

/// The most bytes that one more alias can take.
pub(super) const NEW_ALIAS_BYTES_MAX: usize = ALIAS_BYTES + LIST_BYTES;

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
            shards: Box::new(std::array::from_fn(|_| AliasShard::default())),
            lists: Box::new(std::array::from_fn(|_| AliasLists::default())),
            most: 0,
            most_bytes: 0,
            len: 0,
            listed: 0,
            removals: 0,
        };
        aliases.limit(limits);
        aliases
    }

    /// Sets the most aliases: as many as fit in a quarter of the memory of all series. Those that
    /// are there stay. Their number does not depend on that of the series, because rules may make
    /// few series of many names.
    pub(super) fn limit(&mut self, SeriesLimits { bytes, .. }: SeriesLimits) {
        self.most_bytes = bytes / 4;
        let most = self.most_bytes / ALIAS_BYTES;
        self.most = (most / SHARDS).clamp(OF_SHARD_MIN, OF_SHARD_MAX);
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// About the bytes of all aliases. It takes no walk over the shards.
    pub(super) fn bytes(&self) -> usize {
        self.len * ALIAS_BYTES + self.listed * LIST_BYTES
    }

    #[inline]
    pub(super) fn key(&self, name: &[u8], tags: &[u8]) -> AliasKey {
        let [first, second] = &self.hashers;
        AliasKey([hash(first, name, tags), hash(second, name, tags)])
    }

    /// Returns the key of a line by its canonical name, whose hash takes the place of the first
    /// one. No line has such tags, so the name is never taken for the bytes of a line.
    #[inline]
    pub(super) fn key_of_name(&self, name: &[u8], of_name: NameHash) -> AliasKey {
        AliasKey([of_name.0, hash(&self.hashers[1], name, b"\n")])
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
        let AliasShard { index, aliases } = &mut self.shards[key.shard()];
        let tail = key.tail(kind);
        let is_it = |at: &u32| {
            let alias = &aliases[*at as usize];
            alias.hash == key.0[0] && alias.tail == tail
        };
        let at = *index.find(key.0[0], is_it)? as usize;
        let alias = &mut aliases[at];
        alias.used = low_bits(tick);
        Some(alias.series.place())
    }

    /// Adds an alias of the series at a place. Does nothing if there is an alias with this key.
    pub(super) fn add(&mut self, key: AliasKey, kind: MetricKind, place: SeriesPlace, tick: u32) {
        if self.find(key, kind, tick).is_some() {
            return;
        }
        let shard = place.shard();
        let at = place.slot().at;
        let home = key.shard();
        let shard_len = self.shards[home].aliases.len();
        if shard_len >= self.most || shard_len > OF_SHARD_MIN && self.bytes() >= self.most_bytes {
            self.make_room(home, tick);
        }
        let alias = Alias {
            hash: key.0[0],
            tail: key.tail(kind),
            used: low_bits(tick),
            series: AliasedSeries::new(shard, at),
        };
        let AliasShard { index, aliases } = &mut self.shards[home];
        let position = aliases.insert(alias);
        let number = u32::try_from(position).expect("at most OF_SHARD_MAX");
        index.insert_unique(alias.hash, number, |at| aliases[*at as usize].hash);
        let has_list = self.lists[shard].add(at, AliasLink::new(home, position));
        self.listed += usize::from(has_list);
        self.len += 1;
    }

    /// Removes at most `most` aliases of the series in a shard at a position. `most` is at least 1.
    /// Returns how many were removed.
    pub(super) fn remove_some(&mut self, shard: usize, at: u32, most: usize) -> usize {
        let lists = &mut self.lists[shard];
        let mut removed = Vec::new();
        match lists.of(at) {
            AliasLink::NONE => {}
            AliasLink::SEVERAL => {
                let has_freed = lists.take_listed(at, most, &mut removed);
                self.listed -= usize::from(has_freed);
            }
            // Nearly every removed series has one alias. It takes no list to remove that.
            link => {
                lists.single[at as usize] = AliasLink::NONE;
                let (home, position) = link.place();
                self.take(home, position);
                return 1;
            }
        }
        for link in &removed {
            let (home, position) = link.place();
            self.take(home, position);
        }
        removed.len()
    }

    /// Moves the aliases of a series to another position in its shard, which has none.
    pub(super) fn move_series(&mut self, shard: usize, from: u32, to: u32) {
        for link in self.lists[shard].move_to(from, to) {
            let (home, position) = link.place();
            self.shards[home].aliases[position].series = AliasedSeries::new(shard, to);
        }
    }

    /// Removes every alias.
    pub(super) fn clear(&mut self) {
        self.shards.fill_with(AliasShard::default);
        self.lists.fill_with(AliasLists::default);
        self.len = 0;
        self.listed = 0;
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
        self.remove_of_shard(home, &removed);
    }

    /// Removes aliases of one shard. Each list with one of them is gone through once.
    fn remove_of_shard(&mut self, home: usize, positions: &[usize]) {
        let mut in_lists = Vec::new();
        for position in positions {
            let (shard, at) = self.take(home, *position).series.place();
            let lists = &mut self.lists[shard];
            match lists.of(at) {
                AliasLink::SEVERAL => in_lists.push((shard, at)),
                _ => lists.single[at as usize] = AliasLink::NONE,
            }
        }
        self.removals = self.removals.wrapping_add(1);
        let left = &self.shards[home].aliases;
        for (shard, at) in in_lists {
            let has_freed = self.lists[shard].retain(at, self.removals, |link| {
                let (shard, position) = link.place();
                shard != home || left.contains(position)
            });
            self.listed -= usize::from(has_freed);
        }
    }

    /// Frees the memory of a shard of which most aliases were removed. The others are removed, too,
    /// and added again as their lines come.
    pub(super) fn compact(&mut self, home: usize) {
        const SMALL: usize = 64;
        let aliases = &self.shards[home].aliases;
        if aliases.capacity() > SMALL && aliases.len() < aliases.capacity() / 4 {
            let all: Vec<usize> = aliases.iter().map(|(at, _)| at).collect();
            self.remove_of_shard(home, &all);
            self.shards[home] = AliasShard::default();
        }
    }

    /// The number of aliases of the series in a shard at a position.
    pub(super) fn count(&self, shard: usize, at: u32) -> usize {
        self.lists[shard].count(at)
    }

    /// Frees the lists of a shard of series from this position on. They must be empty.
    pub(super) fn shrink_lists(&mut self, shard: usize, end: usize) {
        self.lists[shard].shrink(end);
    }

    /// Takes out an alias. The list of its series stays as it is.
    fn take(&mut self, home: usize, position: usize) -> Alias {
        let AliasShard { index, aliases } = &mut self.shards[home];
        let alias = aliases.remove(position);
        let is_it = |at: &u32| *at as usize == position;
        if let Ok(entry) = index.find_entry(alias.hash, is_it) {
            entry.remove();
        }
        self.len -= 1;
        alias
    }
}

/// A hash of an unread name and its tags. The hasher mixes in the length of each text. So `a`, `bc`
/// differ from `ab`, `c`.
#[inline]
fn hash(hasher: &RandomState, name: &[u8], tags: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(name);
    hasher.write(tags);
    hasher.finish()
}

#[allow(clippy::cast_possible_truncation)] // the low bits are meant
fn low_bits(tick: u32) -> u16 {
    tick as u16
}

const _: () = assert!(size_of::<Option<Alias>>() == 16, "a slab holds nothing beside it");

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
        let mut several = 0;
        for (shard, lists) in aliases.lists.iter().enumerate() {
            several += lists.several.len();
            for (at, single) in (0..).zip(&lists.single) {
                let links = match *single {
                    AliasLink::NONE => &[][..],
                    AliasLink::SEVERAL => &lists.several(at).expect("it has a list").links,
                    _ => std::slice::from_ref(single),
                };
                for link in links {
                    let (home, position) = link.place();
                    let alias = aliases.shards[home].aliases[position];
                    assert_eq!(alias.series.place(), (shard, at));
                }
                assert_eq!(links.len(), lists.count(at));
                listed += links.len();
            }
        }
        assert_eq!(several, aliases.listed);
        let indexed: usize = aliases.shards.iter().map(|shard| shard.index.len()).sum();
        let stored: usize = aliases.shards.iter().map(|shard| shard.aliases.len()).sum();
        assert_eq!((listed, indexed, stored), (aliases.len, aliases.len, aliases.len));
    }

    fn place(shard: usize, at: u32) -> SeriesPlace {
        SeriesPlace::new(shard, SeriesSlot { hash: 0, at })
    }

    fn aliases_of(count: usize) -> Aliases {
        let limits = SeriesLimits { bytes: count * 4 * ALIAS_BYTES, ..SeriesLimits::NONE };
        Aliases::new([1, 2, 3, 4], limits)
    }

    #[test]
    fn every_alias_leads_to_its_series_until_that_is_removed() {
        let mut aliases = aliases_of(1_000_000);
        let mut model: HashMap<(usize, u32), Vec<u64>> = HashMap::new();
        let mut random = Random::new(1);
        for step in 0..30_000_u64 {
            let series = (random.below(4_usize), random.below(50_u32));
            if random.below(10) == 0 {
                let count = aliases.count(series.0, series.1);
                assert_eq!(aliases.remove_some(series.0, series.1, usize::MAX), count);
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

    /// Shows that a series with many aliases keeps those in use when a shard is full, moves with
    /// all of them, and loses them a part at a time.
    #[test]
    fn a_series_may_have_many_aliases() {
        let mut aliases = aliases_of(1_000_000);
        let keys: Vec<AliasKey> =
            (0..50_000_u32).map(|n| aliases.key(&n.to_le_bytes(), b"")).collect();
        for (tick, key) in (0..).zip(&keys) {
            aliases.add(*key, KIND, place(3, 3 + tick % 2), tick / 10_000);
        }
        assert_eq!((aliases.count(3, 3), aliases.count(3, 4)), (25_000, 25_000));
        aliases.move_series(3, 4, 0);
        check(&aliases);
        for (at, key) in (0..).zip(&keys) {
            assert_eq!(aliases.find(*key, KIND, 0), Some((3, if at % 2 == 0 { 3 } else { 0 })));
        }
        let few = SeriesLimits { bytes: 40_000 * 4 * ALIAS_BYTES, ..SeriesLimits::NONE };
        aliases.limit(few);
        for n in 50_000..60_000_u32 {
            let key = aliases.key(&n.to_le_bytes(), b"");
            aliases.add(key, KIND, place(3, 0), 9);
        }
        check(&aliases);
        assert!((20_000..=40_000).contains(&aliases.len()), "{}", aliases.len());
        let mut left = aliases.count(3, 0);
        while left > 0 {
            assert_eq!(aliases.remove_some(3, 0, 1000), left.min(1000));
            left -= left.min(1000);
            assert_eq!(aliases.count(3, 0), left);
        }
        check(&aliases);
    }

    #[test]
    fn bytes_that_are_split_in_another_way_have_another_key() {
        let aliases = aliases_of(1);
        assert_ne!(aliases.key(b"a", b"bc"), aliases.key(b"ab", b"c"));
        assert_ne!(aliases.key(b"a", b""), aliases.key(b"", b"a"));
    }
}
