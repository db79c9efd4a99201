//! Adds samples to a copy of the series that they belong to, so that the table does not change.
//!
//! ```text
//!  Table ──series of one name──▶ copy, a table of its own ──▶ the code that adds real samples
//!        └─room for new series, free memory ───┘
//! ```

use super::super::eviction::{Evicted, Largest, LongIdle};
use super::super::live_series::LiveSeries;
use super::super::memory::Pool;
use super::super::raw::{merged_name, sent_name};
use super::super::shard::SeriesKey;
use super::super::table_rules::RuleOutcome;
use super::super::top::Top;
use super::Table;
use super::forecast::Forecast;
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
    forecast: Forecast,
}

/// A line makes at most this many series: of each kind one, and with raw names a merged one.
const NEW_SERIES_MAX: usize = 8;

impl Rehearsal {
    /// Returns a rehearsal, and the copy that the samples must be added to. The copy has no series
    /// yet.
    pub fn new(table: &Table, foresight: Foresight) -> (Self, Table) {
        // If memory is short, the table first condenses its largest series, which nearly always
        // makes room. So only a table without such a series is short of memory here.
        let free = if table.live.largest.is_empty() { table.live.pool.free() } else { usize::MAX };
        let live = LiveSeries {
            shards: table.live.shards.empty_twin(),
            rules: table.live.rules.twin(),
            members: table.live.members,
            pool: Pool::new(free, table.live.pool.exactness),
            largest: Largest::new(free),
            long_idle: LongIdle::new(u32::MAX),
            evicted: Evicted::default(),
            top: Top::new(),
            max_series: usize::MAX,
            sender: 0,
            tick: table.live.tick,
        };
        let copy = Table { live, is_direct: table.is_direct, has_restored_merged: false };
        let forecast = Forecast::default();
        (Self { copied: 0, has: [false; 4], foresight, forecast }, copy)
    }

    /// Copies the series of a name that a sample of this kind may change. The caller must call this
    /// before it adds the sample to `copy`.
    pub fn prepare(&mut self, copy: &mut Table, table: &Table, kind: MetricKind, name: &[u8]) {
        if std::mem::replace(&mut self.has[kind as usize], true) {
            return;
        }
        let made = table.live.rules.made_of(name, |tag| copy.live.rules.deny(tag));
        let name = &*made;
        copy.live.max_series = usize::MAX;
        let created = copy.len() - self.copied;
        let tries = match self.foresight {
            Foresight::Interval => usize::MAX,
            Foresight::Line => 64,
        };
        // The sender is assumed to have no other series.
        let newcomer = table.live.shards.owner(name, 0);
        let is_nearly_full = table.live.max_series.saturating_sub(table.len()) < NEW_SERIES_MAX;
        if is_nearly_full {
            self.forecast.create(&table.live, &newcomer, created, tries);
        }
        self.copy(copy, table, kind, name, true);
        if table.live.shards.raw.is_some() {
            let clean = cleaned(name);
            if !is_clean(name) {
                self.copy(copy, table, kind, &clean, false);
            }
            self.copy(copy, table, kind, &merged_name(&clean), true);
        }
        if is_nearly_full {
            let most = NEW_SERIES_MAX.saturating_sub(created);
            let room = self.forecast.room(&table.live, &newcomer, most, tries);
            copy.live.max_series = copy.len() + room;
        }
    }

    /// Copies the series that the table holds under this name, if there is one. `is_touched` tells
    /// whether the sample is for it.
    fn copy(
        &mut self,
        copy: &mut Table,
        table: &Table,
        kind: MetricKind,
        name: &[u8],
        is_touched: bool,
    ) {
        let Some((shard, slot)) = table.live.shards.find(kind, name) else { return };
        let Some(series) = table.live.shards.get(shard, slot) else { return };
        if self.forecast.has_evicted((shard, slot)) {
            return; // for a series that the line has made before
        }
        if is_touched {
            self.forecast.touch((shard, slot));
        }
        self.copied += 1;
        let is_scalar = matches!(kind, MetricKind::Counter | MetricKind::Gauge);
        let is_copied = is_scalar || self.foresight == Foresight::Interval;
        if is_copied && !series.is_expired(table.live.tick, &table.live.rules.policies) {
            let mut record = Vec::new();
            let original = table.live.shards.all[shard].original(slot.at);
            series.save((name, original), table.live.tick, &table.live.pool.records, &mut record);
            // The memory of its samples is in use already.
            let free = copy.live.pool.free();
            copy.live.pool.limit(usize::MAX, table.live.pool.exactness);
            let restored = copy.restore(In::new(&record), None, |idle| idle);
            copy.live.pool.limit(free.saturating_add(copy.live.pool.used()), table.live.pool.exactness);
            if restored == Some(Ok(())) && copy.live.shards.find(kind, name).is_some() {
                return;
            }
        }
        // It has no value, but its next sample needs no room for a new series. A rule may drop the
        // name by now. The series then takes samples until it is closed.
        let hash = copy.hash(name);
        let original = table.live.shards.all[shard].original(slot.at);
        let sent = original.unwrap_or_else(|| sent_name(name));
        let resolved = copy.live.rules.resolve(sent, copy.hash(sent));
        let made = RuleOutcome { policy: resolved.map_or(0, |resolved| resolved.policy), original };
        let created = copy.live.create_with(name, kind, &SeriesKey::new(hash, kind), made);
        debug_assert!(created.is_ok(), "the copy has room for all series that exist");
    }
}
