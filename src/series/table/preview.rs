//! Adds samples to a copy of the series that they belong to, so that the table does not change.
//!
//! ```text
//!  Table ──series of one name──▶ copy, a table of its own ──▶ the code that adds real samples
//!        └─room for new series, free memory ───┘
//! ```

use std::collections::VecDeque;

use super::super::bounds::SeriesLimits;
use super::super::counts::bytes_beside_name;
use super::super::eviction::{Evicted, IdleClass, IdleFate, LongIdle};
use super::super::largest::Largest;
use super::super::live_series::LiveSeries;
use super::super::membership::{Flood, Membership};
use super::super::memory::Pool;
use super::super::newest_series::{NEWEST_TRIES, NewestSeries, can_be_evicted, find_spare};
use super::super::raw::{merged_name, without_mark};
use super::super::series::Series;
use super::super::series_groups::GroupChanges;
use super::super::shard::SeriesPlace;
use super::super::shards::Cursor;
use super::super::stored_name::StoredName;
use super::super::table_rules::RuleOutcome;
use super::super::top::Top;
use super::Table;
use crate::protocol::{MetricKind, cleaned, is_clean};
use crate::wire::In;

/// How much of the open interval a preview copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewDepth {
    /// All samples of the name. A timer or a set with more than [`COPIED_MAX`] is copied without
    /// them, because that would take milliseconds.
    AllSamples,
    /// Only levels and sums, which take microseconds. A timer and a set are copied without their
    /// samples. If the table is full, few of the series that may be evicted are checked.
    SumsOnly,
}

/// What a table would do with the samples of one name.
#[derive(Debug)]
pub struct Preview {
    /// The number of series that were copied.
    copied: usize,
    /// For each kind, whether the series of the name were copied.
    has_copied: [bool; 4],
    depth: PreviewDepth,
    /// Whether the series that was copied last has too many samples.
    is_large: bool,
    forecast: Forecast,
}

/// The most samples of a timer, and members of a set, that are copied.
pub const COPIED_MAX: usize = 1000;

/// A line makes at most this many series: of each kind one, and with raw names a merged one.
const NEW_SERIES_MAX: usize = 8;

impl Preview {
    /// Returns a preview, and the copy that the samples must be added to. The copy has no series
    /// yet.
    pub fn new(table: &Table, depth: PreviewDepth) -> (Self, Table) {
        // If memory is short, the table first condenses its largest series, which nearly always
        // makes room. So only a table without such a series is short of memory here.
        let free = if table.live.largest.is_empty() { table.live.pool.free() } else { usize::MAX };
        let live = LiveSeries {
            shards: table.live.shards.empty_copy(),
            limits: SeriesLimits::NONE,
            rules: table.live.rules.unused_copy(),
            members: table.live.members,
            pool: Pool::new(free, table.live.pool.exactness),
            largest: Largest::new(free),
            long_idle: LongIdle::new(u32::MAX),
            newest: NewestSeries::default(),
            evicted: Evicted::default(),
            top: Top::new(),
            sender: 0,
            tick: table.live.tick,
        };
        let copy = Table {
            live,
            is_direct: table.is_direct,
            has_restored_merged: false,
            remakes_merged: false,
        };
        let forecast = Forecast::default();
        (Self { copied: 0, has_copied: [false; 4], depth, is_large: false, forecast }, copy)
    }

    /// Copies the series of a name that a sample of this kind may change. The caller must call this
    /// before it adds the sample to `copy`. Returns whether the series has more samples than are
    /// copied.
    pub fn prepare(
        &mut self,
        copy: &mut Table,
        table: &Table,
        kind: MetricKind,
        name: &[u8],
    ) -> bool {
        self.is_large = false;
        if std::mem::replace(&mut self.has_copied[kind as usize], true) {
            return false;
        }
        let is_series = |name: &[u8]| table.live.shards.find(kind, name).is_some();
        let made = table.live.rules.made_of(name, &is_series, |tag| copy.live.rules.deny(tag));
        let name = &*made;
        copy.live.limits = SeriesLimits::NONE;
        let created = copy.len() - self.copied;
        let tries = match self.depth {
            PreviewDepth::AllSamples => usize::MAX,
            PreviewDepth::SumsOnly => 64,
        };
        // The sender is assumed to have no other series.
        let LiveSeries { shards, .. } = &table.live;
        let mut newcomer = shards.membership(name, 0);
        let is_nearly_full = table.live.room().series() < NEW_SERIES_MAX;
        if is_nearly_full {
            let bytes = StoredName::bytes_for(name, &shards.tags);
            newcomer.set_bytes(bytes_beside_name(kind) + bytes);
            self.forecast.create(&table.live, &newcomer, created, tries);
        }
        let its_own = self.copy(copy, table, kind, name);
        self.forecast.touch(&table.live, its_own);
        if table.live.shards.raw.is_some() {
            let clean = cleaned(name);
            if !is_clean(name) {
                self.copy(copy, table, kind, &clean);
            }
            let merged = self.copy(copy, table, kind, &merged_name(&clean));
            self.forecast.touch(&table.live, merged);
        }
        if is_nearly_full {
            let most = NEW_SERIES_MAX.saturating_sub(created);
            let room = self.forecast.room(&table.live, &newcomer, most, tries);
            let limits = SeriesLimits { count: copy.len() + room, ..SeriesLimits::NONE };
            copy.live.limits = limits;
        }
        self.is_large
    }

    /// Copies the series that the table holds under this name. Returns its place, or `None` if
    /// there is no such series.
    fn copy(
        &mut self,
        copy: &mut Table,
        table: &Table,
        kind: MetricKind,
        name: &[u8],
    ) -> Option<SeriesPlace> {
        let place = table.live.shards.find(kind, name)?;
        if self.forecast.has_evicted(place) {
            return None; // for a series that the line has made before
        }
        self.copied += 1;
        let LiveSeries { shards, .. } = &table.live;
        let original = shards.original(place).map(|name| name.owned_text(&shards.tags));
        let original = original.as_deref();
        if !self.copy_values(copy, table, place, name, original) {
            // It has no value, but its next sample needs no room for a new series. A rule may drop
            // the name by now. The series then takes samples until it is closed.
            let compared = original.unwrap_or_else(|| without_mark(name));
            let resolved = copy.live.rules.resolve(compared, copy.hash(compared), &|_| false);
            let policy = resolved.map_or(0, |resolved| resolved.policy);
            let outcome = RuleOutcome { policy, original };
            let created = copy.live.create_with(name, copy.hash(name), kind, outcome);
            debug_assert!(created.is_ok(), "the copy has room for all series that exist");
        }
        Some(place)
    }

    /// Creates the series at a place in the copy, with its values. Returns `false` if it has none
    /// that are copied.
    fn copy_values(
        &mut self,
        copy: &mut Table,
        table: &Table,
        place: SeriesPlace,
        name: &[u8],
        original: Option<&[u8]>,
    ) -> bool {
        let LiveSeries { shards, rules, pool, tick, .. } = &table.live;
        let Some(series) = shards.get(place) else { return false };
        let is_scalar = matches!(series.kind(), MetricKind::Counter | MetricKind::Gauge);
        let is_copied = is_scalar || self.depth == PreviewDepth::AllSamples;
        if !is_copied || series.is_expired(*tick, &rules.policies) {
            return false;
        }
        // Restored samples are not among those that it has counted.
        let is_many = series.samples() as usize > COPIED_MAX || series.work() > COPIED_MAX / 4;
        self.is_large = !is_scalar && is_many;
        if self.is_large {
            return false;
        }
        let mut record = Vec::new();
        series.save(name, original, true, *tick, &pool.records, &mut record);
        // The memory of its samples is in use already.
        let free = copy.live.pool.free();
        copy.live.pool.limit(usize::MAX, pool.exactness);
        let restored = copy.restore(In::new(&record), None, |idle| idle);
        copy.live.pool.limit(free.saturating_add(copy.live.pool.used()), pool.exactness);
        restored.is_ok() && copy.live.shards.find(series.kind(), name).is_some()
    }
}

/// The series that new ones would replace in a full table, and what the creations of a line have
/// changed so far.
///
/// It repeats the steps of `LiveSeries::make_room`. Each creation and eviction changes the counts
/// of the groups, which decide the next eviction.
#[derive(Clone, Debug, Default)]
struct Forecast {
    groups: GroupChanges,
    created: usize,
    /// The series that were evicted.
    evicted: Vec<SeriesPlace>,
    /// The series that have a sample of the line. They are not idle any more.
    touched: Vec<SeriesPlace>,
    /// How many of the idle series of each class, and of the newest ones, that the table has noted
    /// were tried.
    idle: [usize; IdleClass::ALL.len()],
    newest: usize,
    /// The series of the line at the end of the newest ones.
    own: usize,
    /// The series that a search has found, the last of which is the newest, and where the search
    /// goes on.
    found: Vec<SeriesPlace>,
    search: Option<Cursor>,
    /// The newest series that were put back. `None` is a series of the line.
    put_back: VecDeque<Option<SeriesPlace>>,
}

impl Forecast {
    /// Whether the line has evicted this series.
    fn has_evicted(&self, place: SeriesPlace) -> bool {
        self.evicted.contains(&place)
    }

    /// Notes that a series gets a sample, if there is one.
    fn touch(&mut self, live: &LiveSeries, place: Option<SeriesPlace>) {
        let Some(place) = place else { return };
        let is_spare = |series: &Series| series.is_spare() && series.seen() != live.tick;
        if live.shards.get(place).is_some_and(is_spare) {
            self.groups.remove(live.shards.membership_at(place));
        }
        self.touched.push(place);
    }

    /// Makes creations of the line, up to `created` of them in all.
    fn create(&mut self, live: &LiveSeries, newcomer: &Membership, created: usize, tries: usize) {
        while self.created < created && self.create_one(live, newcomer, tries) {}
    }

    /// Returns how many more series the line can create, at most `most`.
    fn room(&self, live: &LiveSeries, newcomer: &Membership, most: usize, tries: usize) -> usize {
        let mut forecast = self.clone();
        (0..most).take_while(|_| forecast.create_one(live, newcomer, tries)).count()
    }

    /// Creates a series. Returns `false` if there is no room for it.
    fn create_one(&mut self, live: &LiveSeries, newcomer: &Membership, tries: usize) -> bool {
        if live.room().series() + self.evicted.len() <= self.created {
            let taken =
                self.take_idle(live, newcomer, tries).or_else(|| self.take_newest(live, newcomer));
            let Some(place) = taken else { return false };
            self.groups.remove(live.shards.membership_at(place));
            self.evicted.push(place);
        }
        self.groups.add(&live.shards.groups, newcomer);
        self.created += 1;
        self.own += 1;
        true
    }

    /// Takes the series that has been idle for longest. At most `tries` are checked.
    fn take_idle(
        &mut self,
        live: &LiveSeries,
        newcomer: &Membership,
        tries: usize,
    ) -> Option<SeriesPlace> {
        let shards = &live.shards;
        let claim = self.groups.claim(&shards.groups, newcomer);
        let mut left = tries;
        for class in IdleClass::ALL {
            let tried = class as usize;
            while let Some(idle) = live.long_idle.ready(class).get(self.idle[tried]) {
                left = left.checked_sub(1)?;
                let fate = idle.fate(&claim, shards, |place| self.has_evicted(place));
                if fate == IdleFate::Kept {
                    break;
                }
                self.idle[tried] += 1;
                if fate == IdleFate::Evicted && self.is_as_before(idle.place) {
                    return Some(idle.place);
                }
            }
        }
        None
    }

    /// Takes the newest series of the flood that may be given up.
    fn take_newest(&mut self, live: &LiveSeries, newcomer: &Membership) -> Option<SeriesPlace> {
        let shards = &live.shards;
        let claim = self.groups.claim(&shards.groups, newcomer);
        let giver = Flood::of(claim.giver.filter(|_| shards.raw.is_none())?);
        self.take_noted(live, claim.flood)
            .or_else(|| {
                let search = self.search.get_or_insert_with(|| live.newest.cursor());
                self.found.extend(find_spare(shards, search, giver));
                self.take_noted(live, claim.flood)
            })
            .or_else(|| self.take_noted(live, giver))
    }

    /// Takes the newest series of these groups that is noted and may be given up.
    fn take_noted(&mut self, live: &LiveSeries, of: Flood) -> Option<SeriesPlace> {
        let shards = &live.shards;
        for _ in 0..NEWEST_TRIES {
            let next = if self.own > 0 {
                self.own -= 1;
                None
            } else if let Some(place) = self.found.pop() {
                Some(place)
            } else if let Some(place) = live.newest.iter().nth(self.newest) {
                self.newest += 1;
                Some(place)
            } else {
                self.put_back.pop_front()?
            };
            let Some(place) = next else {
                self.put_back.push_back(None);
                continue;
            };
            if shards.get(place).is_none() || self.has_evicted(place) {
                continue;
            }
            if self.is_as_before(place) && can_be_evicted(shards, place, live.tick, of) {
                return Some(place);
            }
            self.put_back.push_back(Some(place));
        }
        None
    }

    /// Whether the line has changed nothing of a series.
    fn is_as_before(&self, place: SeriesPlace) -> bool {
        !self.touched.contains(&place) && !self.has_evicted(place)
    }
}
