//! The values of a series of each kind, in the current interval and in the one before.

use super::bounds::AddError;
use super::closed::Values;
use super::distinct::Members;
use super::memory::Pool;
use super::records::{LastValue, TimingTotals};
use super::timing_samples::TimingSamples;
use crate::protocol::MetricKind;

/// The values of the current and the previous interval.
#[derive(Debug)]
pub(super) enum Intervals {
    /// `previous` stays after the interval is closed. It is NaN until then.
    Counter {
        current: f64,
        previous: f64,
        /// Of a cumulative counter.
        last_value: LastValue,
    },
    /// A gauge without a level has NaN as its `current`. `previous` stays, too.
    Gauge {
        current: f64,
        previous: f64,
    },
    Timing(Box<TimingIntervals>),
    Set(Box<SetIntervals>),
}

/// The samples of the current interval, and of the one before until it is closed. What the closed
/// intervals were is in the record.
#[derive(Debug, Default)]
pub(super) struct TimingIntervals {
    pub(super) current: TimingSamples,
    pub(super) previous: TimingSamples,
    pub(super) record: Option<Box<TimingTotals>>,
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
            MetricKind::Counter => {
                Self::Counter { current: 0.0, previous: f64::NAN, last_value: LastValue::default() }
            }
            MetricKind::Gauge => Self::Gauge { current: NO_LEVEL, previous: NO_LEVEL },
            MetricKind::Timing => Self::Timing(Box::default()),
            MetricKind::Set => Self::Set(Box::default()),
        }
    }

    #[inline]
    pub(super) fn kind(&self) -> MetricKind {
        match self {
            Self::Counter { .. } => MetricKind::Counter,
            Self::Gauge { .. } => MetricKind::Gauge,
            Self::Timing(_) => MetricKind::Timing,
            Self::Set(_) => MetricKind::Set,
        }
    }

    /// Forgets what an idle series still has. It is empty already, except for the level of a gauge,
    /// the last value of a cumulative counter, and what is kept of the last closed interval.
    pub(super) fn restart(&mut self, pool: &mut Pool) {
        match self {
            Self::Counter { previous, last_value, .. } => {
                *previous = f64::NAN;
                pool.records.forget_last_value(last_value);
            }
            Self::Gauge { current, previous } => {
                *current = NO_LEVEL;
                *previous = NO_LEVEL;
            }
            Self::Timing(intervals) => pool.records.release(&mut intervals.record),
            Self::Set(intervals) => intervals.closed = f64::NAN,
        }
    }

    /// Returns the values of the current interval.
    pub(super) fn current(&mut self) -> Values<'_> {
        match self {
            Self::Counter { current, .. } => Values::Counter(*current),
            Self::Gauge { current, .. } => Values::Gauge(*current),
            Self::Timing(intervals) => Values::of(&mut intervals.current),
            Self::Set(intervals) => Values::Set { members: intervals.current.len() },
        }
    }

    /// Returns the values of an interval without samples. A gauge keeps its level.
    pub(super) fn without_samples(&self) -> Values<'_> {
        match self {
            Self::Counter { .. } => Values::Counter(0.0),
            Self::Gauge { current, .. } => Values::Gauge(*current),
            Self::Timing(_) => Values::Timing { samples: &mut [], weight: 0.0 },
            Self::Set(_) => Values::Set { members: 0 },
        }
    }

    /// Stores the current interval in less memory if possible.
    pub(super) fn condense(&mut self, pool: &mut Pool) {
        match self {
            Self::Counter { .. } | Self::Gauge { .. } => {}
            Self::Timing(intervals) => intervals.current.condense(pool),
            Self::Set(intervals) => intervals.current.condense(pool),
        }
    }

    /// The cost of closing an interval, as a number of counters.
    #[inline]
    pub(super) fn work(&self) -> usize {
        match self {
            Self::Counter { .. } | Self::Gauge { .. } | Self::Set(_) => 1,
            Self::Timing(pair) => 4 + (pair.current.len() + pair.previous.len()) / 8,
        }
    }

    /// Returns the memory to the pool.
    pub(super) fn release(self, pool: &mut Pool) {
        match self {
            Self::Counter { mut last_value, .. } => {
                pool.records.forget_last_value(&mut last_value);
            }
            Self::Gauge { .. } => {}
            Self::Timing(intervals) => {
                let TimingIntervals { current, previous, mut record } = *intervals;
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
