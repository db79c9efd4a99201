//! The values of a series of each kind, in the current interval and in the one before.

use super::bounds::AddError;
use super::closed::{Closed, Values};
use super::distinct::Members;
use super::memory::Pool;
use super::records::{LastValue, TotalsRecord, add_to_total};
use super::timing_samples::TimingSamples;
use crate::protocol::MetricKind;

/// The values of the current and the previous interval.
///
/// The kind is a byte of its own. The compiler would derive it from the record of a timing, in more
/// instructions for each sample. `last_value` is first so that it shares eight bytes with the kind.
#[derive(Debug)]
#[repr(u8)]
pub(super) enum Intervals {
    /// `previous` stays after the interval is closed. It is NaN until then.
    Counter {
        /// Of a cumulative counter.
        last_value: LastValue,
        current: f64,
        previous: f64,
        /// The sum of all closed intervals. Like all totals it begins at 0 with each series.
        total: f64,
    },
    /// A gauge without a level has NaN as its `current`. `previous` stays, too.
    Gauge {
        current: f64,
        previous: f64,
    },
    /// What the closed intervals were is in the record.
    Timing(Box<TimingIntervals>, TotalsRecord),
    Set(Box<SetIntervals>),
}

/// The samples of the current interval, and of the one before until it is closed.
#[derive(Debug, Default)]
pub(super) struct TimingIntervals {
    pub(super) current: TimingSamples,
    pub(super) previous: TimingSamples,
}

/// The members of the current interval, and of the one before until it is closed.
#[derive(Debug)]
pub(super) struct SetIntervals {
    pub(super) current: Members,
    pub(super) previous: Members,
    /// The number of members of the last closed interval. NaN if none was closed.
    pub(super) closed: f64,
}

impl Default for SetIntervals {
    fn default() -> Self {
        Self { current: Members::default(), previous: Members::default(), closed: f64::NAN }
    }
}

/// The level of a gauge that has no value yet, or whose value was forgotten.
pub(super) const NO_LEVEL: f64 = f64::NAN;

impl Intervals {
    pub(super) fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter {
                current: 0.0,
                previous: f64::NAN,
                total: 0.0,
                last_value: LastValue::default(),
            },
            MetricKind::Gauge => Self::Gauge { current: NO_LEVEL, previous: NO_LEVEL },
            MetricKind::Timing => Self::Timing(Box::default(), TotalsRecord::default()),
            MetricKind::Set => Self::Set(Box::default()),
        }
    }

    #[inline]
    pub(super) fn kind(&self) -> MetricKind {
        match self {
            Self::Counter { .. } => MetricKind::Counter,
            Self::Gauge { .. } => MetricKind::Gauge,
            Self::Timing(..) => MetricKind::Timing,
            Self::Set(_) => MetricKind::Set,
        }
    }

    /// Forgets what an idle series still has. It is empty already, except for the level of a gauge,
    /// the last value of a cumulative counter, and what is kept of the last closed interval.
    pub(super) fn restart(&mut self, pool: &mut Pool) {
        match self {
            Self::Counter { previous, total, last_value, .. } => {
                *previous = f64::NAN;
                *total = 0.0;
                pool.records.forget_last_value(last_value);
            }
            Self::Gauge { current, previous } => {
                *current = NO_LEVEL;
                *previous = NO_LEVEL;
            }
            Self::Timing(_, record) => pool.records.release(record),
            Self::Set(intervals) => intervals.closed = f64::NAN,
        }
    }

    /// Closes the current interval in place. No sample has arrived since the tick. `closed` has all
    /// but the values. `age` is the number of intervals since that of the last sample.
    pub(super) fn close_current(
        &mut self,
        closed: Closed<'_>,
        age: u32,
        pool: &mut Pool,
        close: &mut impl FnMut(Closed<'_>),
    ) {
        let policy = closed.policy;
        match self {
            Self::Counter { current, previous, total, .. } => {
                close(Closed { values: Values::Counter(*current), ..closed });
                *previous = std::mem::take(current);
                add_to_total(total, *previous);
            }
            Self::Gauge { current, previous } => {
                close(Closed { values: Values::Gauge(*current), ..closed });
                *previous = *current;
                if policy.forgets_gauge(age) {
                    *current = NO_LEVEL;
                }
            }
            Self::Timing(intervals, record) => {
                let record = pool.records.of_timing(record, &policy.plan);
                close(Closed { values: Values::of(&mut intervals.current), record, ..closed });
                intervals.current.empty(pool);
            }
            Self::Set(intervals) => {
                let members = intervals.current.len();
                close(Closed { values: Values::Set { members }, ..closed });
                intervals.closed = members as f64;
                intervals.current.empty(pool);
            }
        }
    }

    /// Closes the interval before the current one. `closed` has all but the values.
    pub(super) fn close_previous(
        &mut self,
        closed: Closed<'_>,
        pool: &mut Pool,
        close: &mut impl FnMut(Closed<'_>),
    ) {
        match self {
            Self::Counter { previous, total, .. } => {
                close(Closed { values: Values::Counter(*previous), ..closed });
                add_to_total(total, *previous);
            }
            Self::Gauge { previous, .. } => {
                close(Closed { values: Values::Gauge(*previous), ..closed });
            }
            Self::Timing(intervals, record) => {
                let record = pool.records.of_timing(record, &closed.policy.plan);
                close(Closed { values: Values::of(&mut intervals.previous), record, ..closed });
                std::mem::take(&mut intervals.previous).release(pool);
            }
            Self::Set(intervals) => {
                let members = intervals.previous.len();
                close(Closed { values: Values::Set { members }, ..closed });
                intervals.closed = members as f64;
                std::mem::take(&mut intervals.previous).release(pool);
            }
        }
    }

    /// Returns the values of the current interval.
    pub(super) fn current(&mut self) -> Values<'_> {
        match self {
            Self::Counter { current, .. } => Values::Counter(*current),
            Self::Gauge { current, .. } => Values::Gauge(*current),
            Self::Timing(intervals, _) => Values::of(&mut intervals.current),
            Self::Set(intervals) => Values::Set { members: intervals.current.len() },
        }
    }

    /// Returns the values of an interval without samples. A gauge keeps its level.
    pub(super) fn without_samples(&self) -> Values<'_> {
        match self {
            Self::Counter { .. } => Values::Counter(0.0),
            Self::Gauge { current, .. } => Values::Gauge(*current),
            Self::Timing(..) => Values::Timing { samples: &mut [], weight: 0.0 },
            Self::Set(_) => Values::Set { members: 0 },
        }
    }

    /// Stores the current interval in less memory if possible.
    pub(super) fn condense(&mut self, pool: &mut Pool) {
        match self {
            Self::Counter { .. } | Self::Gauge { .. } => {}
            Self::Timing(intervals, _) => intervals.current.condense(pool),
            Self::Set(intervals) => intervals.current.condense(pool),
        }
    }

    /// The cost of closing an interval, as a number of counters.
    #[inline]
    pub(super) fn work(&self) -> usize {
        match self {
            Self::Counter { .. } | Self::Gauge { .. } | Self::Set(_) => 1,
            Self::Timing(pair, _) => 4 + (pair.current.len() + pair.previous.len()) / 8,
        }
    }

    /// Returns the memory to the pool.
    pub(super) fn release(self, pool: &mut Pool) {
        match self {
            Self::Counter { mut last_value, .. } => {
                pool.records.forget_last_value(&mut last_value);
            }
            Self::Gauge { .. } => {}
            Self::Timing(intervals, mut record) => {
                let TimingIntervals { current, previous } = *intervals;
                pool.records.release(&mut record);
                current.release(pool);
                previous.release(pool);
            }
            Self::Set(intervals) => {
                let SetIntervals { current, previous, .. } = *intervals;
                current.release(pool);
                previous.release(pool);
            }
        }
    }
}

/// Adds `more` to `current`, unless the sum is too large for a double.
#[inline]
pub(super) fn add_finite(current: &mut f64, more: f64) -> Result<(), AddError> {
    let sum = *current + more;
    if !sum.is_finite() {
        return Err(AddError::NotFinite);
    }
    *current = sum;
    Ok(())
}

/// Adds `more` to the level of a gauge. A gauge without a level starts at 0.
pub(super) fn change_level(level: &mut f64, more: f64) -> Result<(), AddError> {
    let mut changed = if level.is_nan() { 0.0 } else { *level };
    add_finite(&mut changed, more)?;
    *level = changed;
    Ok(())
}
