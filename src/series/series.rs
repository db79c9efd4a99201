//! One series: its open interval and, during a sweep, the interval before it.

use std::cell::Cell;

use super::bounds::{AddError, RestoreError};
use super::closed::{Closed, Values};
use super::distinct::Members;
use super::hashing::HashedSample;
use super::intervals::{Intervals, NO_LEVEL, add_finite, change_level};
use super::memory::Pool;
use super::records::{OtherName, SideRecords, TimingTotals, TotalsRecord};
use super::saved::SavedSeries;
use super::stored_name::NamePlace;
use super::timing_samples::TimingSamples;
use crate::policy::{Plan, Policy, PolicySets};
use crate::protocol::MetricKind;
use crate::wire::Put;

/// A name of one kind and its values. The struct fits in one cache line.
///
/// A counter or a gauge needs no memory besides this struct and its name.
#[derive(Debug)]
pub struct Series {
    name: NamePlace,
    /// The lower half of the hash of name and kind. The index stores 12 bits of it and reads the
    /// rest here.
    pub(super) hash: u32,
    /// The number of the flush that began the current interval.
    interval: u32,
    /// The number of the flush that began the interval of the last sample.
    seen: u32,
    /// The number of its policy in [`PolicySets`].
    policy: u16,
    pending: PendingInterval,
    /// The samples of the open interval. If it has none, those of the interval before, until that
    /// is closed.
    samples: u32,
    /// The number of the sender of the last sample. 0 if it is unknown.
    last_sender: u16,
    /// Whether the series is offered to the history when it is closed.
    is_remembered: Cell<bool>,
    /// Facts about the name, as bits: [`PLAIN`], [`JOINED`], [`LIMITED`], and [`kept_by`] a set of
    /// rules.
    name_facts: u8,
    standing: Standing,
    intervals: Intervals,
}

/// The series that saved values are restored into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestoreInto {
    New,
    /// The series has the values of another saved series, because rules make one of the two.
    Existing {
        /// Whether the saved level of a gauge replaces the present one if both are as old.
        saved_wins_tie: bool,
        /// The name that the series is stored with, and the one that the saved series was.
        names: [OtherName; 2],
    },
}

/// The name is [plain](crate::protocol::is_plain_path). That is checked once, and not by each
/// encoder at each flush.
const PLAIN: u8 = 1;

/// Clients have sent a second name to the series.
const JOINED: u8 = 0x80;

/// Lines that were not read lead to the series, although it has `other` in place of a value of
/// theirs.
const LIMITED: u8 = 0x40;

/// The rules of this set of [`PolicySets`] make no other name of the name of the series. So a line
/// with this name is found by it, and needs no alias. Rules must be applied to a line to know it.
fn kept_by(set: u16) -> u8 {
    2 << set
}

/// Whether the series may be given up for a new name, if the table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It had values in one interval. A name that a client makes up for one value stays new.
    New,
    /// The same, but it has restored values that were not sent yet.
    Restored,
    /// It had values in two intervals, so it stays.
    Established,
    /// The same, but it has been idle for `evict_after` since.
    Idle,
}

/// Whether the previous interval must still be closed, and whether it had samples. It takes one
/// byte, so that a series takes 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PendingInterval {
    No,
    Idle,
    Active,
}

impl Series {
    pub(super) fn new(
        name: NamePlace,
        has_plain_name: bool,
        hash: u32,
        kind: MetricKind,
        policy: u16,
        interval: u32,
    ) -> Self {
        Self {
            name,
            hash,
            interval,
            seen: interval,
            policy,
            pending: PendingInterval::No,
            samples: 0,
            last_sender: 0,
            is_remembered: Cell::new(true),
            name_facts: u8::from(has_plain_name) * PLAIN,
            standing: Standing::New,
            intervals: Intervals::new(kind),
        }
    }

    /// The place of the name in the store of the shard.
    pub(super) fn name(&self) -> NamePlace {
        self.name
    }

    pub(super) fn name_mut(&mut self) -> &mut NamePlace {
        &mut self.name
    }

    #[inline]
    pub fn kind(&self) -> MetricKind {
        self.intervals.kind()
    }

    /// Prepares the series for a sample of sender number `from` in the open interval. If it is the
    /// first one of the interval, the caller must call [`begin_active`](Self::begin_active) before.
    #[inline]
    pub(super) fn touch(&mut self, from: u16) {
        self.last_sender = from;
        self.samples = self.samples.wrapping_add(1);
    }

    /// Makes the interval that `tick` began the current one, which gets its first sample. An
    /// interval before it had one, too. Returns whether the series was [spare](Self::is_spare)
    /// until now.
    pub(super) fn begin_active(
        &mut self,
        tick: u32,
        policies: &PolicySets,
        pool: &mut Pool,
    ) -> bool {
        if self.interval != tick {
            self.roll(tick, policies, pool);
        }
        self.seen = tick;
        let was_spare = self.is_spare();
        self.standing = Standing::Established;
        was_spare
    }

    /// Adds a sample to the open interval. The caller must call [`touch`](Self::touch) first.
    pub(super) fn add(
        &mut self,
        sample: HashedSample,
        policies: &PolicySets,
        pool: &mut Pool,
    ) -> Result<(), AddError> {
        match (&mut self.intervals, sample) {
            (Intervals::Gauge { current, .. }, HashedSample::Change(level))
                if policies.at(self.policy).absolute =>
            {
                *current = level;
            }
            (Intervals::Counter { current, .. }, HashedSample::Count(more)) => {
                add_finite(current, more)?;
            }
            (Intervals::Gauge { current, .. }, HashedSample::Change(more)) => {
                change_level(current, more)?;
            }
            (
                Intervals::Counter { current, last_value, .. },
                HashedSample::Cumulative { value, weight, name },
            ) => {
                let mut count = *current;
                add_finite(&mut count, pool.records.increase(*last_value, name, value) * weight)?;
                if !pool.records.set_last_value(last_value, name, value, self.interval) {
                    return Err(AddError::TooManySeries);
                }
                *current = count;
            }
            (Intervals::Gauge { current, .. }, HashedSample::Level(level)) => *current = level,
            (Intervals::Timing(pair, _), HashedSample::Time { value, weight }) => {
                pair.current.add(value, weight, pool)?;
            }
            (Intervals::Set(pair), HashedSample::Member(member)) => {
                pair.current.add(member, pool)?
            }
            _ => unreachable!("a sample is looked up by its own kind"),
        }
        Ok(())
    }

    /// Adds a count, a level, the value of a timing or the member of a set, whichever the series
    /// takes, as [`add`](Self::add) does. This function branches on the kind only once.
    #[inline]
    pub(super) fn add_plain(
        &mut self,
        value: f64,
        weight: f64,
        member: impl FnOnce() -> u64,
        pool: &mut Pool,
    ) -> Result<(), AddError> {
        match &mut self.intervals {
            Intervals::Counter { current, .. } => add_finite(current, value * weight),
            Intervals::Gauge { current, .. } => {
                *current = value;
                Ok(())
            }
            Intervals::Timing(pair, _) => pair.current.add(value, weight, pool),
            Intervals::Set(pair) => pair.current.add(member(), pool),
        }
    }

    /// Makes the open interval the previous one. This is O(1), since it runs while lines are read:
    /// nothing is sorted or encoded here.
    fn roll(&mut self, tick: u32, policies: &PolicySets, pool: &mut Pool) {
        let is_closed = self.pending == PendingInterval::No;
        debug_assert!(is_closed, "a tick waits until every series of the one before is closed");
        if self.is_expired(tick, policies) {
            return self.restart(tick, pool);
        }
        match &mut self.intervals {
            Intervals::Counter { current, previous, .. } => *previous = std::mem::take(current),
            Intervals::Gauge { current, previous } => {
                *previous = *current;
                if policies.at(self.policy).forgets_gauge(tick.wrapping_sub(self.seen)) {
                    *current = NO_LEVEL;
                }
            }
            Intervals::Timing(pair, _) => {
                pair.previous = std::mem::replace(&mut pair.current, TimingSamples::new(pool));
            }
            Intervals::Set(pair) => pair.previous = std::mem::take(&mut pair.current),
        }
        let had_samples = self.seen == self.interval;
        self.pending = if had_samples { PendingInterval::Active } else { PendingInterval::Idle };
        self.interval = tick;
    }

    /// Makes an expired series a new one, because a sample arrived before the sweep could remove
    /// it.
    fn restart(&mut self, tick: u32, pool: &mut Pool) {
        self.interval = tick;
        self.intervals.restart(pool);
    }

    /// Whether clients have sent several names to the series, which rules make one.
    pub(super) fn is_joined(&self) -> bool {
        self.name_facts & JOINED != 0
    }

    /// Notes that clients have sent a second name to the series.
    pub(super) fn set_joined(&mut self) {
        self.name_facts |= JOINED;
    }

    /// Whether aliases may lead to the series from lines with `other` in place of a value.
    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.name_facts & LIMITED != 0
    }

    pub(super) fn set_limited(&mut self, is_limited: bool) {
        self.name_facts &= !LIMITED;
        self.name_facts |= LIMITED * u8::from(is_limited);
    }

    /// Notes that the series is stored with another name that clients send: first the name before,
    /// then the new one.
    pub(super) fn rename(&self, names: [OtherName; 2], pool: &mut Pool) {
        if let Intervals::Counter { last_value, .. } = self.intervals {
            pool.records.rename_own(last_value, names, self.interval);
        }
    }

    /// Notes that the sweep has passed the series, and whether it had to close an interval. Returns
    /// whether [`is_spare`](Self::is_spare) has changed.
    #[inline]
    pub(super) fn note_sweep(&mut self, closes_interval: bool, is_long_idle: bool) -> bool {
        self.standing = match self.standing {
            Standing::Restored if closes_interval => Standing::New,
            Standing::Established if is_long_idle => Standing::Idle,
            Standing::Idle if !is_long_idle => Standing::Established,
            _ => return false,
        };
        true
    }

    /// Notes that the series has restored values. Without this it could be given up while it has
    /// them, and they would be lost uncounted.
    fn note_restored(&mut self, is_established: bool, tick: u32) {
        if is_established || self.is_established() {
            self.standing = Standing::Established;
        } else if self.seen == tick {
            self.standing = Standing::Restored;
        }
    }

    /// Whether the series may be given up for a new name: it had values in one interval alone, or
    /// has been idle for `evict_after`.
    #[inline]
    pub(super) fn is_spare(&self) -> bool {
        matches!(self.standing, Standing::New | Standing::Idle)
    }

    /// Whether the series is spare because it had values in one interval alone.
    pub(super) fn is_new(&self) -> bool {
        self.standing == Standing::New
    }

    /// Whether the series had samples in two intervals.
    pub(super) fn is_established(&self) -> bool {
        matches!(self.standing, Standing::Established | Standing::Idle)
    }

    /// Whether the series is dormant if it is idle for some time. A gauge that is idle still sends
    /// its level, which may be right for as long, so it is not.
    pub(super) fn can_be_dormant(&self) -> bool {
        self.standing == Standing::Established && self.kind() != MetricKind::Gauge
    }

    /// Whether there is something to show of the series. A gauge whose level was forgotten stays in
    /// the table for one interval, because its next sample is likely to come in that interval.
    pub fn has_value(&self) -> bool {
        !matches!(self.intervals, Intervals::Gauge { current, .. } if current.is_nan())
    }

    /// Returns the number of intervals before `tick` that passed without a sample.
    pub(super) fn idle(&self, tick: u32) -> u32 {
        tick.wrapping_sub(self.seen).saturating_sub(1)
    }

    #[inline]
    pub(super) fn seen(&self) -> u32 {
        self.seen
    }

    /// The number of its policy.
    pub(super) fn policy(&self) -> u16 {
        self.policy
    }

    pub(super) fn set_policy(&mut self, policy: u16) {
        self.policy = policy;
    }

    /// Whether the rules of this set are known to leave the name as it is.
    #[inline]
    pub(super) fn is_name_kept_by(&self, set: u16) -> bool {
        self.name_facts & kept_by(set) != 0
    }

    /// Notes that the rules of this set leave the name as it is.
    pub(super) fn note_name_kept_by(&mut self, set: u16) {
        self.name_facts |= kept_by(set);
    }

    /// Forgets whether the rules of another set than this one leave the name as it is.
    pub(super) fn forget_name_kept_before(&mut self, set: u16) {
        self.name_facts &= PLAIN | JOINED | LIMITED | kept_by(set);
    }

    /// Whether the series has been idle for the number of flushes that its policy allows. It must
    /// then be removed without being sent.
    pub(super) fn is_expired(&self, tick: u32, policies: &PolicySets) -> bool {
        policies.at(self.policy).is_expired(self.kind(), self.idle(tick))
    }

    /// Whether the interval before `tick` is closed.
    pub(super) fn is_closed(&self, tick: u32) -> bool {
        self.pending == PendingInterval::No && self.interval == tick
    }

    /// Whether the open interval has a sample while the one before it is not closed yet.
    #[inline]
    pub(super) fn has_begun_next(&self) -> bool {
        self.pending != PendingInterval::No
    }

    /// Closes the interval before `tick`, unless it is closed already, and passes its values to
    /// `close`. An expired series has no values to pass. `name` is the canonical name.
    pub(super) fn close(
        &mut self,
        tick: u32,
        policies: &PolicySets,
        name: &[u8],
        pool: &mut Pool,
        close: &mut impl FnMut(Closed<'_>),
    ) {
        if self.has_begun_next() || self.interval != tick && !self.is_expired(tick, policies) {
            self.close_open(tick, policies.at(self.policy), name, pool, close);
        }
    }

    /// Closes the interval before `tick` as [`close`](Self::close) does. It must not be closed
    /// already, and the series must not be expired.
    #[inline]
    pub(super) fn close_open(
        &mut self,
        tick: u32,
        policy: &Policy,
        name: &[u8],
        pool: &mut Pool,
        close: &mut impl FnMut(Closed<'_>),
    ) {
        // A pending interval means that a sample has arrived since the tick, and `touch` has moved
        // the interval before it to `previous`. Otherwise the interval is still `current`.
        let pending = std::mem::replace(&mut self.pending, PendingInterval::No);
        let Self { interval, seen, is_remembered, intervals, .. } = self;
        let idle = match pending {
            PendingInterval::No => seen != interval,
            _ => pending == PendingInterval::Idle,
        };
        let closed = Closed {
            name,
            has_plain_name: self.name_facts & PLAIN != 0,
            policy,
            idle,
            sender: self.last_sender,
            values: Values::Counter(0.0),
            record: None,
            is_remembered,
        };
        if pending == PendingInterval::No {
            *interval = tick;
            intervals.close_current(closed, tick.wrapping_sub(*seen), pool, close);
        } else {
            intervals.close_previous(closed, pool, close);
        }
    }

    /// The running total of a counter: the sum of its closed intervals.
    pub(super) fn total(&self) -> Option<f64> {
        match self.intervals {
            Intervals::Counter { total, .. } => Some(total),
            _ => None,
        }
    }

    /// Sets the running total, if the series is a counter.
    pub(super) fn set_total(&mut self, by: f64) {
        if let Intervals::Counter { total, .. } = &mut self.intervals {
            *total = by;
        }
    }

    /// The samples of the open interval, without those that were refused. If it has none, those of
    /// the interval before, until that is closed.
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// Counts that the last sample was refused. It is not lost a second time if the series is
    /// evicted.
    #[cold]
    pub(super) fn uncount_sample(&mut self) {
        self.samples = self.samples.wrapping_sub(1);
    }

    /// Returns [`samples`](Self::samples), and begins to count again.
    #[inline]
    pub(super) fn take_samples(&mut self) -> u32 {
        std::mem::take(&mut self.samples)
    }

    /// The number of the sender of the last sample. 0 if it is unknown.
    pub fn last_sender(&self) -> u16 {
        self.last_sender
    }

    pub(super) fn set_remembered(&self, is_remembered: bool) {
        self.is_remembered.set(is_remembered);
    }

    /// The value of the last ended interval: of a counter its count, of a gauge its level, of a set
    /// its members, of a timing the events. Returns `None` if no interval of it has ended, or if it
    /// is a timing without a record.
    pub fn last(&self, tick: u32) -> Option<f64> {
        let is_unclosed = self.interval != tick;
        let value = match &self.intervals {
            Intervals::Counter { current, previous, .. }
            | Intervals::Gauge { current, previous } => {
                if is_unclosed {
                    *current
                } else {
                    *previous
                }
            }
            Intervals::Timing(..) => self.timing()?.last.count,
            Intervals::Set(intervals) => intervals.closed,
        };
        (!value.is_nan()).then_some(value)
    }

    /// The record of a timing. Returns `None` until an interval was closed.
    pub fn timing(&self) -> Option<&TimingTotals> {
        match &self.intervals {
            Intervals::Timing(_, TotalsRecord::Kept(totals)) => Some(totals),
            _ => None,
        }
    }

    /// Reserves the bytes of the record of a new timing, before other series use them up. The table
    /// must have room for them.
    pub(super) fn reserve_record(&mut self, policies: &PolicySets, pool: &mut Pool) {
        if let Intervals::Timing(_, record) = &mut self.intervals {
            pool.records.reserve(record, &policies.at(self.policy).plan);
        }
    }

    /// Makes the record of a timing fit another plan than that of its policy.
    pub(super) fn refit_record(&mut self, before: &Plan, after: &Plan, pool: &mut Pool) {
        if let Intervals::Timing(_, record) = &mut self.intervals {
            pool.records.refit(record, before, after);
        }
    }

    /// Replaces the record of a timing by that of another one, if there is room for it.
    pub(super) fn take_record(&mut self, by: &TimingTotals, pool: &mut Pool) {
        if let Intervals::Timing(_, record) = &mut self.intervals {
            pool.records.replace(record, by);
        }
    }

    /// The count of a counter that the sweep will still close before `tick`, or 0.
    pub(super) fn unclosed(&self, tick: u32) -> f64 {
        match &self.intervals {
            Intervals::Counter { previous, .. } if self.pending != PendingInterval::No => *previous,
            Intervals::Counter { current, .. } if self.interval != tick => *current,
            _ => 0.0,
        }
    }

    /// Returns the values of the open interval. A series that the sweep has not reached has none
    /// yet, but a gauge always has its level.
    pub fn open(&mut self, tick: u32) -> Values<'_> {
        if self.interval == tick {
            return self.intervals.current();
        }
        self.intervals.without_samples()
    }

    /// Stores the open interval in less memory if possible. An interval that the sweep must still
    /// close stays as it is.
    pub(super) fn condense(&mut self, tick: u32, pool: &mut Pool) {
        if self.interval == tick {
            self.intervals.condense(pool);
        }
    }

    /// The cost of closing the series, as a number of counters.
    pub(super) fn work(&self) -> usize {
        self.intervals.work()
    }

    /// Returns the memory of the series to the pool.
    pub(super) fn release(self, pool: &mut Pool) {
        self.intervals.release(pool);
    }

    /// Appends the open interval to `out`, and nothing of the interval before. If that one is not
    /// closed yet, the open interval has no samples.
    ///
    /// `name` is the canonical name, and `original` the name from which rules have made it.
    pub(super) fn save(
        &self,
        name: &[u8],
        original: Option<&[u8]>,
        is_established: bool,
        tick: u32,
        records: &SideRecords,
        out: &mut Vec<u8>,
    ) {
        let is_open = self.interval == tick;
        let idle = self.idle_until(tick);
        let marks = [!is_established, self.is_joined()];
        SavedSeries::put_head(self.kind(), idle, name, original, marks, out);
        match &self.intervals {
            Intervals::Counter { current, last_value, .. } => {
                out.put_f64(if is_open { *current } else { 0.0 });
                out.put_f64(records.last_value(*last_value, None).unwrap_or(f64::NAN));
                for (OtherName(name), value) in records.other_values(*last_value) {
                    out.put_u64(name);
                    out.put_f64(value);
                }
            }
            Intervals::Gauge { current, .. } => out.put_f64(*current),
            Intervals::Timing(pair, _) if is_open => pair.current.save(out),
            Intervals::Timing(..) => TimingSamples::default().save(out),
            Intervals::Set(pair) if is_open => pair.current.save(out),
            Intervals::Set(_) => Members::default().save(out),
        }
    }

    /// The number of intervals since the last sample: 0 if the open interval has one.
    pub fn idle_until(&self, tick: u32) -> u32 {
        tick.wrapping_sub(self.seen)
    }

    /// Takes over the saved values.
    ///
    /// In an existing series, counts add up. Of two gauges the one with the later sample wins. The
    /// samples of timings and the members of sets are added, unless both are estimates.
    pub(super) fn restore(
        &mut self,
        saved: SavedSeries<'_>,
        tick: u32,
        pool: &mut Pool,
        into: RestoreInto,
    ) -> Result<(), RestoreError> {
        let mut values = saved.values;
        let (idle, wins_tie, names) = match into {
            RestoreInto::New => (u32::MAX, true, None),
            RestoreInto::Existing { saved_wins_tie, names } => {
                (self.idle_until(tick), saved_wins_tie, Some(names))
            }
        };
        let wins = saved.idle < idle || saved.idle == idle && wins_tie;
        self.seen = tick.wrapping_sub(saved.idle.min(idle));
        if saved.is_joined || names.is_some_and(|[own, saved]| own != saved) {
            self.set_joined();
        }
        self.note_restored(saved.is_established, tick);
        let is_whole = match &mut self.intervals {
            Intervals::Counter { current, last_value, .. } => {
                let both = values.finite().zip(values.f64());
                let (count, last) = both.ok_or(RestoreError::Damaged)?;
                let other = |name| names.is_none_or(|[own, _]| own != name).then_some(name);
                let saved_own = names.and_then(|[_, saved]| other(saved));
                let mut fits = pool.records.restore_last_value(last_value, saved_own, last, tick);
                while fits && !values.is_empty() {
                    let both = values.u64().zip(values.f64());
                    let (name, last) = both.ok_or(RestoreError::Damaged)?;
                    let name = other(OtherName(name));
                    fits = pool.records.restore_last_value(last_value, name, last, tick);
                }
                // In this order, so that a refused count is not added.
                fits && add_finite(current, count).is_ok()
            }
            Intervals::Gauge { current, .. } => {
                let level = values.finite().ok_or(RestoreError::Damaged)?;
                if wins {
                    *current = level;
                }
                true
            }
            Intervals::Timing(pair, _) => pair.current.restore(&mut values, pool)?,
            Intervals::Set(pair) => pair.current.restore(&mut values, pool)?,
        };
        if is_whole { Ok(()) } else { Err(RestoreError::Refused(AddError::NoMemory)) }
    }
}

// A sample of a counter reads three cache lines: the index entry, this struct and the name. If the
// name has tags, the alias stands in place of the name.
const _: () = assert!(size_of::<Series>() <= 64);
