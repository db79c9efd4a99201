//! All shards of the table as one: finds, adds and takes out series, and counts them.

use super::aliases::{AliasKey, Aliases};
use super::bounds::SeriesLimits;
use super::counts::{SeriesCounts, bytes_beside_name, original_bytes};
use super::hashing::MemberHasher;
use super::membership::{LastPrefixes, Membership};
use super::memory::Pool;
use super::raw::{RawNames, is_merged, without_mark};
use super::records::{OtherName, SideRecords, TimingTotals};
use super::series::Series;
use super::series_groups::SeriesGroups;
use super::shard::{NameHash, SHARDS, SeriesKey, SeriesPlace, SeriesSlot, Shard, TakenSeries};
use super::stored_name::{NamePlace, StoredName};
use super::tag_store::TagStore;
use super::visited::Visited;
use crate::policy::PolicySets;
use crate::protocol::{Grammar, MetricKind, is_canonical_for, is_clean};
use crate::wire::Put;

/// The position of a walk over all series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub(super) shard: usize,
    pub(super) at: usize,
}

impl Cursor {
    /// Goes back to the beginning of the shard, whose series may have moved.
    pub fn restart_shard(&mut self) {
        self.at = 0;
    }
}

/// The running totals of a series, whichever its kind has.
#[derive(Debug, Default)]
pub(super) struct RunningTotal {
    count: Option<f64>,
    /// With the number of the policy of its series.
    timing: Option<(u16, TimingTotals)>,
}

/// The series in their shards.
#[derive(Debug)]
pub(super) struct Shards {
    pub(super) all: Box<[Shard; SHARDS]>,
    pub(super) names: ahash::RandomState,
    /// `None` if all names are clean, because the reader cleans them.
    pub(super) raw: Option<RawNames>,
    pub(super) aliases: Aliases,
    pub(super) tags: TagStore,
    /// The buffer for the name of a series that is visited.
    name_buffer: Vec<u8>,
    len: usize,
    revision: u64,
    pub(super) counts: SeriesCounts,
    pub(super) groups: SeriesGroups,
    last_prefixes: LastPrefixes,
}

impl Shards {
    /// `seeds` make the hashes of names unguessable.
    pub(super) fn new(seeds: [u64; 4], limits: SeriesLimits) -> Self {
        let [a, b, c, d] = seeds;
        let names = ahash::RandomState::with_seeds(a, b, c, d);
        let all: Box<[Shard]> = std::iter::repeat_with(Shard::default).take(SHARDS).collect();
        Self {
            all: all.try_into().expect("there are as many"),
            tags: TagStore::new(names.clone()),
            names,
            name_buffer: Vec::new(),
            raw: None,
            aliases: Aliases::new(seeds, limits),
            len: 0,
            revision: 0,
            counts: SeriesCounts::default(),
            groups: SeriesGroups::default(),
            last_prefixes: LastPrefixes::default(),
        }
    }

    /// Returns shards without series, in which each name has the same hash.
    pub(super) fn empty_copy(&self) -> Self {
        Self {
            names: self.names.clone(),
            raw: self.raw.as_ref().map(|_| RawNames::new(self.names.clone())),
            ..Self::new([0; 4], SeriesLimits::NONE)
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// About the bytes of all series, without samples, members of sets, and records.
    pub(super) fn bytes(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, RawNames::bytes);
        self.counts.bytes + self.tags.bytes() + self.aliases.bytes() + raw
    }

    /// See [`Table::revision`](super::Table::revision).
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn hash(&self, name: &[u8]) -> NameHash {
        NameHash(self.names.hash_one(name))
    }

    /// Whether there is a merged series.
    pub(super) fn has_merged(&self) -> bool {
        self.raw.as_ref().is_some_and(|raw| !raw.is_empty())
    }

    /// Whether a clean name has a merged series.
    pub(super) fn is_merged_into(&self, kind: MetricKind, clean: &[u8]) -> bool {
        self.raw.as_ref().is_some_and(|raw| raw.has_merged(kind, clean))
    }

    /// Whether there is a series of another name that this is the clean name of.
    pub(super) fn has_unclean(&self, kind: MetricKind, clean: &[u8]) -> bool {
        self.raw.as_ref().is_some_and(|raw| raw.has_unclean(kind, clean))
    }

    /// Returns the series with the clean name of a merged series. Returns `None` if there is none,
    /// or if the series at `place` is not merged.
    pub(super) fn series_of_clean_name(&self, place: SeriesPlace) -> Option<SeriesPlace> {
        let shard = &self.all[place.shard()];
        let merged = shard.at(place.at())?;
        if !is_merged(shard.name(merged).bare()) {
            return None;
        }
        let mut name = Vec::new();
        shard.name(merged).append(&self.tags, &mut name);
        self.find(merged.kind(), without_mark(&name))
    }

    /// Returns a shard. With the remainder, which is the number itself, no bound is checked.
    #[inline]
    pub(super) fn shard(&self, number: usize) -> &Shard {
        &self.all[number % SHARDS]
    }

    /// Returns the place of a series.
    pub(super) fn find(&self, kind: MetricKind, name: &[u8]) -> Option<SeriesPlace> {
        let key = SeriesKey::new(self.hash(name), kind);
        self.find_by(&key, kind, name).map(|slot| SeriesPlace::new(key.shard, slot))
    }

    #[inline]
    pub(super) fn find_by(
        &self,
        key: &SeriesKey,
        kind: MetricKind,
        name: &[u8],
    ) -> Option<SeriesSlot> {
        self.all[key.shard].find(key.hash, kind, name, &self.tags)
    }

    /// Returns the place of the series of this name, if the rules are known to leave that name as
    /// it is, and samples of it belong to no other series. `set` is that of the rules.
    pub(super) fn find_kept(
        &self,
        name: &[u8],
        hash: NameHash,
        kind: MetricKind,
        set: u16,
    ) -> Option<SeriesPlace> {
        if self.raw.is_some() && (!is_clean(name) || self.is_merged_into(kind, name)) {
            return None;
        }
        let key = SeriesKey::new(hash, kind);
        let slot = self.find_by(&key, kind, name)?;
        let is_kept = self.shard(key.shard).is_name_kept_by(slot, set);
        is_kept.then(|| SeriesPlace::new(key.shard, slot))
    }

    /// Notes that the rules of this set leave the name of the series at a place as it is.
    pub(super) fn note_name_kept(&mut self, place: SeriesPlace, set: u16) {
        if let Some(series) = self.get_mut(place) {
            series.note_name_kept_by(set);
        }
    }

    /// Returns the place of the series that has an alias. Returns `None` while there is a merged
    /// series, since a sample may have to be added to that one, too.
    pub(super) fn find_by_alias(
        &mut self,
        alias: AliasKey,
        kind: MetricKind,
        tick: u32,
    ) -> Option<SeriesPlace> {
        if self.has_merged() {
            return None;
        }
        let (shard, at) = self.aliases.find(alias, kind, tick)?;
        Some(SeriesPlace::new(shard, self.all[shard].slot(at)))
    }

    pub(super) fn get(&self, place: SeriesPlace) -> Option<&Series> {
        let series = self.all[place.shard()].at(place.at());
        series.filter(|series| series.hash == place.slot().hash)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: SeriesPlace) -> Option<&mut Series> {
        self.all[place.shard() % SHARDS].get_mut(place.slot())
    }

    /// Returns the series at a place that was looked up since the last change of the table.
    #[inline]
    pub(super) fn found_mut(&mut self, place: SeriesPlace) -> Option<&mut Series> {
        self.all[place.shard() % SHARDS].found_mut(place.at())
    }

    /// The name of the series at a place.
    pub(super) fn name(&self, place: SeriesPlace) -> Option<StoredName<'_>> {
        self.get(place).map(|series| self.all[place.shard()].name(series))
    }

    /// The name from which rules have made that of the series at a place. `None` if a client sends
    /// the name of the series itself.
    pub(super) fn original(&self, place: SeriesPlace) -> Option<StoredName<'_>> {
        self.all[place.shard()].original(place.slot().at)
    }

    /// The name that clients send to the series at a place: the first one that rules have made the
    /// series of. The series is stored with it, and rules are compared with it.
    pub(super) fn stored_with(&self, place: SeriesPlace) -> Option<StoredName<'_>> {
        self.original(place).or_else(|| self.name(place))
    }

    /// Whether this is the name that [`stored_with`](Self::stored_with) returns. The mark of a
    /// merged series is no part of a name that clients send.
    pub(super) fn is_stored_with(&self, place: SeriesPlace, name: &[u8]) -> bool {
        let name = without_mark(name);
        self.stored_with(place).is_some_and(|stored| {
            if is_merged(stored.bare()) {
                return without_mark(&stored.owned_text(&self.tags)) == name;
            }
            stored.is(name, &self.tags)
        })
    }

    /// Notes that clients have sent a name to the series at a place.
    pub(super) fn note_sent(&mut self, place: SeriesPlace, sent: &[u8]) {
        if !self.is_stored_with(place, sent)
            && let Some(series) = self.get_mut(place)
        {
            series.set_joined();
        }
    }

    /// The hashes of the name that the series at a place is stored with, and of another one.
    pub(super) fn names_of(
        &self,
        place: SeriesPlace,
        other: &[u8],
        hasher: &MemberHasher,
    ) -> [OtherName; 2] {
        let stored = self.stored_with(place).map(|name| name.owned_text(&self.tags));
        [&stored.unwrap_or_default(), other].map(|name| hasher.name(without_mark(name)))
    }

    /// Gets the last values of a series ready for another name that it will be stored with.
    pub(super) fn rename(
        &self,
        place: SeriesPlace,
        name: &[u8],
        hasher: &MemberHasher,
        pool: &mut Pool,
    ) {
        let names = self.names_of(place, name, hasher);
        if let Some(series) = self.get(place)
            && names[0] != names[1]
        {
            series.rename(names, pool);
        }
    }

    /// The membership of the series at a place.
    pub(super) fn membership_at(&self, place: SeriesPlace) -> &Membership {
        self.all[place.shard()].membership(place.at())
    }

    /// The membership of a new series of this name.
    pub(super) fn membership(&self, name: &[u8], sender: u16) -> Membership {
        Membership::new(name, sender, |prefix| self.names.hash_one(prefix))
    }

    /// The same for a series that is about to be created.
    pub(super) fn membership_of_new(&mut self, name: &[u8], sender: u16) -> Membership {
        let Self { last_prefixes, names, .. } = self;
        Membership::after(last_prefixes, name, sender, |prefix| names.hash_one(prefix))
    }

    /// Counts for the groups of a series that it became spare, or that it no longer is.
    #[cold]
    pub(super) fn count_spare(&mut self, place: SeriesPlace) {
        let shard = &self.all[place.shard()];
        let Some(series) = shard.at(place.at()) else { return };
        let membership = shard.membership(place.at());
        if series.is_spare() {
            self.groups.add(membership);
        } else {
            self.groups.remove(membership);
        }
    }

    /// Adds a series that was not found. `tick` is the number of the open interval.
    pub(super) fn insert(
        &mut self,
        number: usize,
        series: Series,
        membership: Membership,
        tick: u32,
    ) -> SeriesPlace {
        self.groups.add(&membership);
        self.len += 1;
        self.revision += 1;
        self.counts.created += 1;
        self.counts.kinds[series.kind() as usize] += 1;
        self.counts.bytes += bytes_of(&series);
        let shard = &mut self.all[number];
        if let Some(raw) = &mut self.raw {
            raw.note_created(series.kind(), shard.name(&series).text(&mut self.tags), tick);
        }
        SeriesPlace::new(number, shard.insert(series, membership))
    }

    /// Takes a series out, if it is still there.
    pub(super) fn take(&mut self, place: SeriesPlace) -> Option<TakenSeries> {
        let shard = &mut self.all[place.shard()];
        let taken = shard.take(place.slot())?;
        let series = &taken.series;
        if series.is_spare() {
            self.groups.remove(shard.membership(place.at()));
        }
        self.aliases.remove_some(place.shard(), place.slot().at, usize::MAX);
        self.len -= 1;
        self.revision += 1;
        self.counts.kinds[series.kind() as usize] -= 1;
        let original = taken.original.as_ref().map(|bytes| bytes.len());
        self.counts.bytes -= bytes_of(series) + original_bytes(original);
        if let Some(raw) = &mut self.raw {
            raw.note_removed(series.kind(), taken.name().text(&mut self.tags));
        }
        Some(taken)
    }

    /// Removes the aliases of a series that expires, if they are many, and takes their number from
    /// `left`. Returns false if some are left, for a later turn of the loop.
    #[inline(never)]
    pub(super) fn remove_aliases(&mut self, place: SeriesPlace, left: &mut usize) -> bool {
        const FEW: usize = 64;
        let shard = place.shard();
        let at = place.slot().at;
        let count = self.aliases.count(shard, at);
        if count <= FEW {
            return true;
        }
        let removed = self.aliases.remove_some(shard, at, FEW.max(*left));
        *left = left.saturating_sub(removed);
        removed == count
    }

    /// Sets the name from which rules have made that of a series. It is from
    /// [`Shard::add_name`].
    pub(super) fn set_original(&mut self, place: SeriesPlace, original: Option<NamePlace>) {
        let shard = &mut self.all[place.shard()];
        let before = shard.set_original(place.slot().at, original);
        let more = original_bytes(original.map(NamePlace::length));
        let fewer = original_bytes(before.as_ref().map(|bytes| bytes.len()));
        self.counts.bytes = self.counts.bytes + more - fewer;
        let is_spare = shard.at(place.at()).is_some_and(Series::is_spare);
        self.groups.change(shard.membership_mut(place.at()), is_spare, more, fewer);
        if let Some(before) = before {
            StoredName::of_bytes(&before).release(&mut self.tags);
        }
    }

    /// Whether the reader would make all names of series as they are.
    pub(super) fn are_canonical(&self, grammar: &Grammar) -> bool {
        self.all.iter().flat_map(Shard::names).all(|name| is_canonical_for(grammar, name.bare()))
            && self.tags.all().all(is_clean)
    }

    /// Appends the open interval of up to `work` series, from `cursor` on. See
    /// [`Table::save`](super::Table::save).
    pub(super) fn save(
        &self,
        cursor: &mut Cursor,
        kind: Option<MetricKind>,
        work: usize,
        out: &mut Vec<u8>,
        (tag, tick): (u8, u32),
        records: &SideRecords,
    ) -> bool {
        let is_wanted =
            |series: &&Series| kind.is_none_or(|kind| series.kind() == kind) && series.has_value();
        let mut left = work;
        let mut name = Vec::new();
        let mut original_text = Vec::new();
        while cursor.shard < SHARDS {
            let shard = &self.all[cursor.shard];
            while cursor.at < shard.end() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                if let Some(series) = shard.at(cursor.at).filter(is_wanted) {
                    let original = u32::try_from(cursor.at).ok().and_then(|at| shard.original(at));
                    let original = original.map(|original| {
                        original_text.clear();
                        original.append(&self.tags, &mut original_text);
                        &*original_text
                    });
                    out.put_record(|out| {
                        out.put_u8(tag);
                        name.clear();
                        shard.name(series).append(&self.tags, &mut name);
                        let is_established = series.is_established();
                        series.save(&name, original, is_established, tick, records, out);
                    });
                }
                cursor.at += 1;
            }
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }

    /// See [`Table::visit`](super::Table::visit).
    pub(super) fn visit(
        &mut self,
        cursor: &mut Cursor,
        work: usize,
        policies: &PolicySets,
        tick: u32,
        mut visit: impl FnMut(Visited<'_>),
    ) -> bool {
        let mut left = work;
        while cursor.shard < SHARDS {
            let shard = &mut self.all[cursor.shard];
            while cursor.at < shard.end() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                if let Some(placed) = shard.at_mut(cursor.at)
                    && placed.series.has_value()
                {
                    let raw = self.raw.as_ref();
                    let buffer = &mut self.name_buffer;
                    let shard = cursor.shard;
                    visit(Visited::new(placed, shard, raw, &self.tags, buffer, policies, tick));
                }
                cursor.at += 1;
            }
            *cursor = Cursor { shard: cursor.shard + 1, at: 0 };
        }
        true
    }

    /// See [`Table::look_up`](super::Table::look_up).
    pub(super) fn look_up<'a>(
        &'a mut self,
        kind: MetricKind,
        name: &[u8],
        policies: &'a PolicySets,
        tick: u32,
    ) -> Option<Visited<'a>> {
        self.visit_one(self.find(kind, name)?, policies, tick)
    }

    /// See [`Table::visit_one`](super::Table::visit_one).
    pub(super) fn visit_one<'a>(
        &'a mut self,
        place: SeriesPlace,
        policies: &'a PolicySets,
        tick: u32,
    ) -> Option<Visited<'a>> {
        let placed = self.all[place.shard()].at_mut(place.at())?;
        let is_it = placed.slot == place.slot() && placed.series.has_value();
        let raw = self.raw.as_ref();
        let buffer = &mut self.name_buffer;
        is_it.then(|| Visited::new(placed, place.shard(), raw, &self.tags, buffer, policies, tick))
    }

    /// The running total of a series, for another series of the same clean name that takes its
    /// place. With `tick`, it includes the interval that the sweep will still send as this series.
    pub(super) fn total(&self, place: SeriesPlace, tick: Option<u32>) -> RunningTotal {
        let Some(series) = self.get(place) else { return RunningTotal::default() };
        let unclosed = tick.map_or(0.0, |tick| series.unclosed(tick));
        RunningTotal {
            count: series.total().map(|total| total + unclosed),
            timing: series.timing().map(|record| (series.policy(), record.clone())),
        }
    }

    /// Sets the running total of a series, if there is one of this name.
    pub(super) fn set_total(
        &mut self,
        kind: MetricKind,
        name: &[u8],
        total: RunningTotal,
        policies: &PolicySets,
        pool: &mut Pool,
    ) {
        let Some(place) = self.find(kind, name) else { return };
        let Some(series) = self.get_mut(place) else { return };
        if let Some(count) = total.count {
            series.set_total(count);
        }
        // A reload may have changed the percentiles of one of the two.
        if let Some((policy, record)) = total.timing {
            let before = &policies.at(policy).plan;
            let after = &policies.at(series.policy()).plan;
            series.take_record(&record.refitted(before, after), pool);
        }
    }

    /// Frees the memory of removed series of a shard, if it is much. Returns about what it has
    /// cost, as a number of series.
    ///
    /// A walk that is under way may leave out series that move.
    pub(super) fn compact(&mut self, number: usize) -> usize {
        /// The aliases that may move with their series in one call. The next flush moves the rest,
        /// but a single series with more of them stays.
        const MOVED_MAX: usize = 16 << 10;
        let Self { all, aliases, .. } = self;
        aliases.compact(number);
        let shard = &mut all[number];
        if !shard.is_sparse() {
            return 0;
        }
        let mut moved = 0;
        shard.compact(|from, to| {
            let count = aliases.count(number, from);
            if moved + count > MOVED_MAX {
                return false;
            }
            moved += count;
            aliases.move_series(number, from, to);
            true
        });
        aliases.shrink_lists(number, shard.end());
        self.revision += 1;
        all[number].end() + moved
    }

    /// See [`Table::set_remembered`](super::Table::set_remembered).
    pub(super) fn set_remembered(&mut self, kind: MetricKind, name: &[u8], is_remembered: bool) {
        if let Some(place) = self.find(kind, name)
            && let Some(series) = self.get_mut(place)
        {
            series.set_remembered(is_remembered);
        }
    }

    /// Returns the record of the open interval of a series, and its running total. `None` if there
    /// is no such series, or the sweep is about to remove it.
    pub(super) fn open_interval(
        &self,
        kind: MetricKind,
        name: &[u8],
        tick: u32,
        policies: &PolicySets,
        records: &SideRecords,
    ) -> Option<(Vec<u8>, RunningTotal)> {
        let place = self.find(kind, name)?;
        let shard = &self.all[place.shard()];
        let series = shard.at(place.at())?;
        if !series.has_value() || series.is_expired(tick, policies) {
            return None;
        }
        let mut record = Vec::new();
        let original = self.original(place).map(|name| name.owned_text(&self.tags));
        series.save(name, original.as_deref(), series.is_established(), tick, records, &mut record);
        Some((record, self.total(place, Some(tick))))
    }
}

/// The bytes of a series with its name, without its tags.
fn bytes_of(series: &Series) -> usize {
    bytes_beside_name(series.kind()) + series.name().length()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that the membership of a series counts an original name that the series gets later.
    #[test]
    fn an_original_name_counts_for_the_groups_of_its_series() {
        let mut shards = Shards::new([1, 2, 3, 4], SeriesLimits::NONE);
        let mut places = Vec::new();
        for n in 0..1000 {
            let name = format!("a.b.{n}").into_bytes();
            let membership = shards.membership(&name, 0);
            let stored = shards.all[0].add_name(&name, &mut shards.tags, |_| {});
            let series = Series::new(stored, true, n, MetricKind::Counter, 0, 0);
            places.push(shards.insert(0, series, membership, 0));
        }
        let last = places[999];
        let sizes =
            |shards: &Shards| (shards.all[0].membership(last.at()).weight(), shards.bytes());
        let before = sizes(&shards);
        let original = shards.all[0].add_name(&[b'o'; 800], &mut shards.tags, |_| {});
        shards.set_original(last, Some(original));
        assert_eq!(sizes(&shards), (before.0 + 52, before.1 + 832), "832 bytes, of which 16 are 1");
        shards.set_original(last, None);
        assert_eq!(sizes(&shards), before);
    }
}
