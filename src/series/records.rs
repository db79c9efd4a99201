//! What a series keeps beside the values of its intervals: the figures for readers that come at any
//! time, such as Prometheus, and the last value of a cumulative counter.
//!
//! ```text
//!  counter   running total, in the series itself
//!  timing    TimingTotals: running totals, and figures of the last closed interval
//!  set       the number of members of the last closed interval, in the series itself
//!  gauge     nothing: its level is in the series
//! ```
//! Timing records exist only while `Bounds::keeps_totals` is on. All totals begin at 0 with each
//! series, also after a restart: a reader of totals takes a lower total for a new beginning.

use std::time::Duration;

use slab::Slab;

use super::bounds::Bounds;
use crate::policy::{Figure, FigureId, Plan, flushes};

/// The records that are not part of a series or of its shard.
#[derive(Debug, Default)]
pub(super) struct SideRecords {
    /// Whether closed timings are added to a record.
    keeps_timings: bool,
    /// The bytes of all timing records.
    timing_bytes: usize,
    /// The bytes by which records may grow. The caller sets it before it closes series, and before
    /// it adds what may make a record.
    pub(super) room: usize,
    /// The last values of each cumulative counter.
    last_values: Slab<LastValues>,
    /// The number of all [`LastValues::others`].
    others: usize,
    /// A name without values for this many intervals may make room for another one of its series.
    forget_after: u32,
}

/// The last values of a cumulative counter: one for each name that clients send to it. Each client
/// counts by itself, so a value is compared with the last one of the same name.
#[derive(Debug)]
struct LastValues {
    /// The value of the name from which rules have made that of the series, or of the name of the
    /// series. NaN if there is none.
    own: f64,
    /// The values of the other names, in the order of those.
    others: Vec<OtherLast>,
}

/// The last value of a name that rules make one series with others.
#[derive(Clone, Copy, Debug)]
struct OtherLast {
    name: OtherName,
    /// The number of the interval of the value.
    seen: u32,
    value: f64,
}

/// The hash of a name that clients send to a series, if it is not the one that the series is stored
/// with. It is made as those of the members of sets, so it stays the same after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OtherName(pub(super) u64);

/// The bytes of the last values of a counter, with the slack of their list.
const LAST_VALUE_BYTES: usize = 48;
/// The bytes of one more name, with the slack.
const OTHER_BYTES: usize = 36;
/// The most names of one counter beside its own. If there are more, values of further names are
/// refused.
const OTHERS_MAX: usize = 4096;

/// The record of a timing.
#[derive(Debug, Default)]
pub(super) enum TotalsRecord {
    #[default]
    None,
    /// The bytes of a record, which is made when the first interval is closed. So a timing that has
    /// just come takes less memory, and less time.
    Reserved(usize),
    Kept(Box<TimingTotals>),
}

/// One more than the place in `last_values`. 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastValue(u32);

/// The running totals of a timing, and what its last closed interval was sent as.
///
/// An interval is added when it is closed. So the rise of a total between two readings is the sum
/// of the figures that were sent in between.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimingTotals {
    /// The events of all closed intervals: the sum of the figures `count`.
    pub count: f64,
    /// The samples of all closed intervals. Without sample rates it is the same as `count`.
    pub samples: f64,
    /// The sum of the figures `sum`.
    pub sum: f64,
    /// The last closed interval. Its figures are NaN if it had no samples.
    pub last: LastInterval,
    /// The boundaries of the percentiles in the last closed interval, and then the running number
    /// of samples in each bin. Both are in the order of the [`Plan`].
    values: Box<[f64]>,
}

/// The figures of a closed interval of a timing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastInterval {
    pub count: f64,
    pub sum: f64,
    pub mean: f64,
    pub lower: f64,
    pub median: f64,
    pub upper: f64,
}

impl Default for LastInterval {
    fn default() -> Self {
        let none = f64::NAN;
        Self { count: 0.0, sum: 0.0, mean: none, lower: none, median: none, upper: none }
    }
}

impl SideRecords {
    /// Sets whether closed timings are added to a record, and after what time a name without values
    /// makes room. Records are made, and freed, when each timing is closed next.
    pub(super) fn limit(&mut self, bounds: &Bounds, interval: Duration) {
        self.keeps_timings = bounds.keeps_totals;
        self.forget_after = flushes(bounds.evict_after, interval);
    }

    /// The bytes of all timing records and last values.
    pub(super) fn bytes(&self) -> usize {
        let last_values = self.last_values.len() * LAST_VALUE_BYTES + self.others * OTHER_BYTES;
        self.timing_bytes + last_values
    }

    /// The bytes of the record that a new timing with this plan gets.
    pub(super) fn bytes_of_timing(&self, plan: &Plan) -> usize {
        if self.keeps_timings { TimingTotals::bytes_for(plan) } else { 0 }
    }

    /// Takes `bytes` of the room. Returns false if there is less.
    #[must_use]
    fn take_room(&mut self, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// Returns the increase of a cumulative counter. The first value has nothing to compare with,
    /// so it counts as 0. After a decrease the client has restarted from 0.
    pub(super) fn increase(&self, last: LastValue, name: Option<OtherName>, value: f64) -> f64 {
        match self.last_value(last, name) {
            None => 0.0,
            Some(last) if value < last => value,
            Some(last) => value - last,
        }
    }

    /// The last value that was sent to a cumulative counter under a name, or under its own. A flush
    /// does not change it.
    pub(super) fn last_value(&self, last: LastValue, name: Option<OtherName>) -> Option<f64> {
        let known = self.last_values.get(last.at()?)?;
        let value = match name {
            None => known.own,
            Some(name) => known.others[known.find(name).ok()?].value,
        };
        (!value.is_nan()).then_some(value)
    }

    /// The last values of the other names of a cumulative counter.
    pub(super) fn other_values(&self, last: LastValue) -> impl Iterator<Item = (OtherName, f64)> {
        let known = last.at().and_then(|at| self.last_values.get(at));
        known.into_iter().flat_map(|known| &known.others).map(|other| (other.name, other.value))
    }

    /// Sets the last value of a name, or of the own one, in the interval `seen`. Returns false, and
    /// sets nothing, if there is no room for one more value.
    #[must_use]
    pub(super) fn set_last_value(
        &mut self,
        last: &mut LastValue,
        name: Option<OtherName>,
        value: f64,
        seen: u32,
    ) -> bool {
        let at = match last.at() {
            Some(at) => at,
            None if self.take_room(LAST_VALUE_BYTES) => {
                let none = LastValues { own: f64::NAN, others: Vec::new() };
                let at = self.last_values.insert(none);
                last.0 = u32::try_from(at + 1).expect("one for each series, a u32");
                at
            }
            None => return false,
        };
        let Some(name) = name else {
            self.last_values[at].own = value;
            return true;
        };
        let known = &mut self.last_values[at];
        if let Ok(place) = known.find(name) {
            known.others[place] = OtherLast { name, seen, value };
            return true;
        }
        let before = known.others.len();
        if before >= OTHERS_MAX {
            known.others.retain(|other| seen.wrapping_sub(other.seen) < self.forget_after);
        }
        let forgotten = before - known.others.len();
        let is_full = known.others.len() >= OTHERS_MAX;
        self.others -= forgotten;
        self.room = self.room.saturating_add(forgotten * OTHER_BYTES);
        if is_full || !self.take_room(OTHER_BYTES) {
            return false;
        }
        self.others += 1;
        self.last_values[at].insert(OtherLast { name, seen, value });
        true
    }

    /// Sets the last value of a name to a saved one, unless a higher one is known. The table may
    /// have got the same name from two saved series, of which the lower value is the older one.
    #[must_use]
    pub(super) fn restore_last_value(
        &mut self,
        last: &mut LastValue,
        name: Option<OtherName>,
        saved: f64,
        seen: u32,
    ) -> bool {
        let known = self.last_value(*last, name).unwrap_or(saved);
        saved.is_nan() || self.set_last_value(last, name, saved.max(known), seen)
    }

    /// Notes that a cumulative counter is stored with the name `after` from now on, and was stored
    /// with `before`.
    pub(super) fn rename_own(
        &mut self,
        last: LastValue,
        [before, after]: [OtherName; 2],
        seen: u32,
    ) {
        let Some(known) = last.at().and_then(|at| self.last_values.get_mut(at)) else { return };
        self.others -= known.others.len();
        let place = known.find(after).ok();
        let own = place.map_or(f64::NAN, |place| known.others.remove(place).value);
        let value = std::mem::replace(&mut known.own, own);
        if !value.is_nan() {
            known.insert(OtherLast { name: before, seen, value });
        }
        self.others += known.others.len();
    }

    pub(super) fn forget_last_value(&mut self, last: &mut LastValue) {
        if let Some(known) = std::mem::take(last).at() {
            self.others -= self.last_values.remove(known).others.len();
        }
    }

    /// Reserves the bytes of the record of a new timing. There must be room for them.
    pub(super) fn reserve(&mut self, record: &mut TotalsRecord, plan: &Plan) {
        if self.keeps_timings {
            let bytes = TimingTotals::bytes_for(plan);
            self.timing_bytes += bytes;
            *record = TotalsRecord::Reserved(bytes);
        }
    }

    /// Returns the record of a timing that is being closed. Makes it or frees it, as the setting
    /// demands. Returns `None` also if there is no room for it: a reload has begun to keep records,
    /// or has made them larger.
    #[inline]
    pub(super) fn of_timing<'a>(
        &mut self,
        record: &'a mut TotalsRecord,
        plan: &Plan,
    ) -> Option<&'a mut TimingTotals> {
        if !self.keeps_timings || !matches!(record, TotalsRecord::Kept(_)) {
            self.begin_or_release(record, plan);
        }
        match record {
            TotalsRecord::Kept(totals) => Some(totals),
            _ => None,
        }
    }

    #[cold]
    fn begin_or_release(&mut self, record: &mut TotalsRecord, plan: &Plan) {
        self.release(record);
        if self.keeps_timings && self.take_room(TimingTotals::bytes_for(plan)) {
            self.keep(record, TimingTotals::new(plan));
        }
    }

    /// Makes the record of a timing fit another plan, after a reload. Its totals stay. Frees it if
    /// it becomes larger, and there is no room for that.
    pub(super) fn refit(&mut self, record: &mut TotalsRecord, before: &Plan, after: &Plan) {
        let fits =
            before.percentiles.len() == after.percentiles.len() && have_same_bins(before, after);
        if !fits && let TotalsRecord::Kept(known) = record {
            let refitted = known.refitted(before, after);
            self.replace(record, &refitted);
        }
    }

    /// Replaces the record of a timing by a copy of another one, if there is room for it.
    pub(super) fn replace(&mut self, record: &mut TotalsRecord, by: &TimingTotals) {
        self.release(record);
        if self.take_room(by.bytes()) {
            self.keep(record, by.clone());
        }
    }

    fn keep(&mut self, record: &mut TotalsRecord, totals: TimingTotals) {
        self.timing_bytes += totals.bytes();
        *record = TotalsRecord::Kept(Box::new(totals));
    }

    pub(super) fn release(&mut self, record: &mut TotalsRecord) {
        let bytes = match std::mem::take(record) {
            TotalsRecord::None => 0,
            TotalsRecord::Reserved(bytes) => bytes,
            TotalsRecord::Kept(totals) => totals.bytes(),
        };
        self.timing_bytes -= bytes;
        self.room = self.room.saturating_add(bytes);
    }
}

impl LastValue {
    fn at(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

impl LastValues {
    fn find(&self, name: OtherName) -> Result<usize, usize> {
        self.others.binary_search_by_key(&name, |other| other.name)
    }

    /// Adds the value of a name that is not known.
    fn insert(&mut self, other: OtherLast) {
        let place = self.find(other.name).unwrap_or_else(|place| place);
        self.others.insert(place, other);
    }
}

impl TimingTotals {
    /// Reads something of each part, so that all of it is in the cache.
    pub(super) fn touch(&self) -> u64 {
        let values = self.values.first().copied().unwrap_or_default();
        (self.count + self.last.upper + values).to_bits()
    }

    fn new(plan: &Plan) -> Self {
        let mut values = vec![f64::NAN; plan.percentiles.len()];
        values.resize(plan.percentiles.len() + plan.bins.len(), 0.0);
        Self { values: values.into(), ..Self::default() }
    }

    /// Returns the same totals in a record for another plan.
    ///
    /// The totals of bins stay only if both plans have the same bins. Others cannot be compared
    /// with them, and begin at 0. The boundaries of other percentiles are unknown until an interval
    /// is closed.
    pub(super) fn refitted(&self, before: &Plan, after: &Plan) -> Self {
        let percentiles =
            |plan: &Plan| plan.percentiles.iter().map(|it| it.percentile).collect::<Vec<_>>();
        let mut values = Self::new(after).values;
        let (boundaries, bins) = values.split_at_mut(after.percentiles.len());
        if percentiles(before) == percentiles(after) {
            boundaries.copy_from_slice(self.boundaries(before));
        }
        if have_same_bins(before, after) {
            bins.copy_from_slice(self.bins(before));
        }
        Self { values, ..self.clone() }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.values)
    }

    /// The bytes of a record for this plan.
    fn bytes_for(plan: &Plan) -> usize {
        let values = plan.percentiles.len() + plan.bins.len();
        size_of::<Self>() + values * size_of::<f64>()
    }

    /// The boundaries of the percentiles of the policy's plan in the last closed interval, in the
    /// order of the plan. NaN if there is none.
    pub fn boundaries(&self, plan: &Plan) -> &[f64] {
        &self.values[..plan.percentiles.len()]
    }

    /// The running number of samples in each bin of the policy's plan, in the order of the plan.
    /// Unlike in Prometheus, a bin does not include the bins below it.
    pub fn bins(&self, plan: &Plan) -> &[f64] {
        &self.values[plan.percentiles.len()..]
    }

    /// Adds an interval that is closed now. `figures` are those that it is sent as. `sum` and
    /// `extremes` (lower, upper) are known also if they are not sent.
    pub fn add(&mut self, plan: &Plan, closed: ClosedTiming, figures: &[Figure]) {
        let ClosedTiming { weight, samples, sum, lower, upper } = closed;
        self.last = LastInterval::default();
        let percentiles = plan.percentiles.len();
        self.values[..percentiles].fill(f64::NAN);
        if samples == 0.0 {
            return;
        }
        add_to_total(&mut self.count, weight);
        add_to_total(&mut self.samples, samples);
        add_to_total(&mut self.sum, sum);
        let median = find(figures, FigureId::MEDIAN).unwrap_or(f64::NAN);
        self.last = LastInterval { count: weight, sum, mean: sum / samples, lower, median, upper };
        let (boundaries, bins) = self.values.split_at_mut(percentiles);
        for (boundary, planned) in boundaries.iter_mut().zip(&plan.percentiles) {
            let id = planned.figures[2].or(planned.quantile);
            *boundary = id.and_then(|id| find(figures, id)).unwrap_or(f64::NAN);
        }
        for (total, (_, id)) in bins.iter_mut().zip(&plan.bins) {
            *total += find(figures, *id).unwrap_or(0.0);
        }
    }
}

/// The figures of a closed timing that its record needs, whether they are sent or not.
#[derive(Clone, Copy, Debug)]
pub struct ClosedTiming {
    /// The events that the samples stand for.
    pub weight: f64,
    pub samples: f64,
    pub sum: f64,
    pub lower: f64,
    pub upper: f64,
}

/// Whether two plans have the same bins. The number of a bin's figure does not count, since it
/// depends on the percentiles of all rules.
fn have_same_bins(a: &Plan, b: &Plan) -> bool {
    a.bins.iter().map(|(bin, _)| bin).eq(b.bins.iter().map(|(bin, _)| bin))
}

fn find(figures: &[Figure], id: FigureId) -> Option<f64> {
    figures.iter().find(|figure| figure.id == id).map(|figure| figure.value)
}

/// Adds to a running total, unless the sum is too large for a double. An infinite total would stay
/// infinite until the series is forgotten.
#[inline]
pub(super) fn add_to_total(total: &mut f64, more: f64) {
    let sum = *total + more;
    if sum.is_finite() {
        *total = sum;
    }
}
