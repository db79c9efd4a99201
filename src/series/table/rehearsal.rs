//! Adds samples to a copy of the series that they belong to, so that the table does not change.
//!
//! ```text
//!  Table ──series of one name──▶ copy, a table of its own ──▶ the code that adds real samples
//!        └─room for new series, free memory ───┘
//! ```

use std::borrow::Cow;

use super::super::closed::Closed;
use super::super::eviction::{Evicted, IdleSeries, Largest, LongIdle};
use super::super::memory::Pool;
use super::super::owner::Owner;
use super::super::raw::{Audience, merged_name, sent_name};
use super::super::shard::{SeriesKey, SeriesSlot};
use super::super::shards::{Cursor, NEWEST_TRIES};
use super::super::table_rules::Made;
use super::super::top::Top;
use super::Table;
use crate::policy::AppliedRules;
use crate::protocol::{MetricKind, cleaned, is_clean};
use crate::wire::In;

/// How much of the open interval a rehearsal copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foresight {
    /// All samples of the name, which may take a millisecond.
    Interval,
    /// Only levels and sums, which take microseconds. A timer and a set are copied without their
    /// samples. If the table is full, few of the series that may be evicted are checked.
    Line,
}

/// What a table would do with the samples of one name.
#[derive(Debug)]
pub struct Rehearsal {
    /// The number of series that were copied.
    copied: usize,
    /// Whether the series of a kind were copied, for each kind.
    has: [bool; 4],
    foresight: Foresight,
}

/// A line makes at most this many series: of each kind one, and with raw names a merged one.
const NEW_SERIES_MAX: usize = 8;

impl Rehearsal {
    /// Returns a rehearsal, and the copy that the samples must be added to. The copy has no series
    /// yet.
    pub fn new(table: &Table, foresight: Foresight) -> (Self, Table) {
        // If memory is short, the table first condenses its largest series, which nearly always
        // makes room. So only a table without such a series is short of memory here.
        let free = if table.largest.is_empty() { table.pool.free() } else { usize::MAX };
        let copy = Table {
            shards: table.shards.empty_twin(),
            members: table.members,
            pool: Pool::new(free, table.pool.exactness),
            largest: Largest::new(free),
            rules: table.rules.twin(),
            is_direct: table.is_direct,
            long_idle: LongIdle::new(u32::MAX),
            evicted: Evicted::default(),
            top: Top::new(),
            max_series: usize::MAX,
            sender: 0,
            now: table.now,
        };
        (Self { copied: 0, has: [false; 4], foresight }, copy)
    }

    /// Copies the series of a name that a sample of this kind may change. The caller must call this
    /// before it adds the sample to `copy`.
    pub fn prepare(&mut self, copy: &mut Table, table: &Table, kind: MetricKind, name: &[u8]) {
        if std::mem::replace(&mut self.has[kind as usize], true) {
            return;
        }
        let made = table.rules.made_of(name, |tag| copy.rules.deny(tag));
        let name = &*made;
        copy.max_series = usize::MAX;
        self.copy(copy, table, kind, name);
        if table.shards.raw.is_some() {
            let clean = cleaned(name);
            if !is_clean(name) {
                self.copy(copy, table, kind, &clean);
            }
            self.copy(copy, table, kind, &merged_name(&clean));
        }
        copy.max_series = self.copied.saturating_add(self.room(table, name));
    }

    /// Returns the number of new series that the table could create for a name. The sender is
    /// assumed to have no other series.
    fn room(&self, table: &Table, name: &[u8]) -> usize {
        let tries = match self.foresight {
            Foresight::Interval => usize::MAX,
            Foresight::Line => 64,
        };
        match table.max_series.saturating_sub(table.len()) {
            room if room < NEW_SERIES_MAX => {
                room + evictable(table, tries, &table.shards.owner(name, 0))
            }
            room => room,
        }
    }

    /// Copies the series that the table holds under this name, if there is one.
    fn copy(&mut self, copy: &mut Table, table: &Table, kind: MetricKind, name: &[u8]) {
        let Some((shard, slot)) = table.shards.find(kind, name) else { return };
        let Some(series) = table.shards.get(shard, slot) else { return };
        self.copied += 1;
        let is_scalar = matches!(kind, MetricKind::Counter | MetricKind::Gauge);
        let is_copied = is_scalar || self.foresight == Foresight::Interval;
        if is_copied && !series.is_expired(table.now, &table.rules.policies) {
            let mut record = Vec::new();
            let source = table.shards.all[shard].source(slot.at);
            series.save((name, source), table.now, &table.pool.records, &mut record);
            // The memory of its samples is in use already.
            let free = copy.pool.free();
            copy.pool.limit(usize::MAX, table.pool.exactness);
            let restored = copy.restore(In::new(&record), None, |idle| idle);
            copy.pool.limit(free.saturating_add(copy.pool.used()), table.pool.exactness);
            if restored == Some(Ok(())) && copy.shards.find(kind, name).is_some() {
                return;
            }
        }
        // It has no value, but its next sample needs no room for a new series. A rule may drop the
        // name by now. The series then takes samples until it is closed.
        let hash = copy.hash(name);
        let source = table.shards.all[shard].source(slot.at);
        let sent = source.unwrap_or_else(|| sent_name(name));
        let resolved = copy.rules.resolve(sent, copy.hash(sent));
        let made = Made { policy: resolved.map_or(0, |resolved| resolved.policy), source };
        let created = copy.lifecycle().create_with(name, kind, &SeriesKey::new(hash, kind), made);
        debug_assert!(created.is_ok(), "the copy has room for all series that exist");
    }

    /// Returns the name of the series that the rules make of a name.
    pub fn series_of<'a>(table: &Table, name: &'a [u8]) -> Cow<'a, [u8]> {
        table.rules.made_of(name, |_| {})
    }

    /// Returns the name from which rules have made that of a series. Returns `None` if there is no
    /// such series, or if a client sends its own name.
    pub fn source<'a>(table: &'a Table, kind: MetricKind, name: &[u8]) -> Option<&'a [u8]> {
        let (shard, slot) = table.shards.find(kind, name)?;
        table.shards.all[shard].source(slot.at)
    }

    /// Returns the rules that match a name.
    pub fn rules_of<'a>(table: &'a Table, name: &[u8]) -> AppliedRules<'a> {
        table.rules.policies.applied(sent_name(name))
    }

    /// Whether a table holds a series with a value under this name.
    pub fn has(table: &Table, kind: MetricKind, name: &[u8]) -> bool {
        let found = table.shards.find(kind, name);
        found.and_then(|(shard, slot)| table.shards.get(shard, slot)).is_some_and(|series| {
            series.has_value() && !series.is_expired(table.now, &table.rules.policies)
        })
    }

    /// Closes all series of the copy, and passes their values to `close`.
    pub fn close(copy: &mut Table, close: impl FnMut(Audience, Closed<'_>)) {
        copy.tick();
        copy.sweep(&mut Cursor::default(), usize::MAX, close);
    }
}

/// Returns how many series could be evicted for those of a newcomer, at most [`NEW_SERIES_MAX`]. At
/// most `tries` series of each kind are checked.
fn evictable(table: &Table, tries: usize, newcomer: &Owner) -> usize {
    let shards = &table.shards;
    let can_go = |idle: &&IdleSeries| {
        let shard = usize::from(idle.shard);
        let series = table.shards.get(shard, idle.slot);
        series.is_some_and(|series| series.seen() == idle.seen)
            && !table.shards.has_clean_twin(shard, idle.slot)
    };
    let may_go = |idle: &&IdleSeries| idle.may_go_for(newcomer, &shards.budget);
    let idle = table.long_idle.ready().iter().take(tries).take_while(may_go).filter(can_go);
    let idle = idle.take(NEW_SERIES_MAX).count();
    if shards.raw.is_some() {
        return idle;
    }
    let most = shards.budget.gives_newest_to(newcomer).min(NEW_SERIES_MAX - idle);
    let newest = shards.budget.newest().take(NEWEST_TRIES);
    let may_go = |(shard, slot): &(usize, SeriesSlot)| shards.may_go(*shard, *slot, table.now);
    idle + newest.filter(may_go).take(most).count()
}
