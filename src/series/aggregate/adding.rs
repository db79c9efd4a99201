//! A sample into its series' open interval.

use super::{Series, State};
use crate::policy::Generations;
use crate::protocol::Sample;
use crate::series::Refused;
use crate::series::memory::Pool;

/// A sample on its way into its series, a set's member hashed.
#[derive(Clone, Copy, Debug)]
pub(in crate::series) enum Adding {
    Count(f64),
    Cumulative { value: f64, weight: f64 },
    Level(f64),
    Change(f64),
    Time { value: f64, weight: f64 },
    Member(u64),
}

impl Adding {
    pub(in crate::series) fn new(sample: Sample<'_>, hash: impl FnOnce(&[u8]) -> u64) -> Self {
        match sample {
            Sample::Count(value) => Self::Count(value),
            Sample::Cumulative { value, weight } => Self::Cumulative { value, weight },
            Sample::Level(value) => Self::Level(value),
            Sample::Change(value) => Self::Change(value),
            Sample::Time { value, weight } => Self::Time { value, weight },
            Sample::Member(member) => Self::Member(hash(member)),
            Sample::Kv(_) => unreachable!("a key/value is passed through"),
        }
    }
}

impl Series {
    /// A sample comes in the interval that began with flush number `now`: that is the open one from here on.
    #[inline]
    pub(in crate::series) fn touch(&mut self, now: u32, policies: &Generations, pool: &mut Pool) {
        if self.interval != now {
            self.roll(now, policies, pool);
        }
        self.seen = now;
    }

    /// Adds a sample to the open interval, after a [`touch`](Self::touch).
    pub(in crate::series) fn add(
        &mut self,
        sample: Adding,
        policies: &Generations,
        pool: &mut Pool,
    ) -> Result<(), Refused> {
        match (&mut self.state, sample) {
            (State::Gauge { current, .. }, Adding::Change(level))
                if policies.at(self.policy).absolute =>
            {
                *current = level;
            }
            (State::Counter { current, .. }, Adding::Count(more) | Adding::Change(more))
            | (State::Gauge { current, .. }, Adding::Change(more) | Adding::Count(more)) => {
                rise_by(current, more)?;
            }
            (State::Counter { current, last, .. }, Adding::Cumulative { value, weight }) => {
                rise_by(current, rise(*last, value) * weight)?;
                *last = value;
            }
            (State::Gauge { current, .. }, Adding::Level(level)) => *current = level,
            (State::Timing(two), Adding::Time { value, weight }) => {
                two.current.add(value, weight, pool)?;
            }
            (State::Set(two), Adding::Member(member)) => two.current.add(member, pool)?,
            _ => unreachable!("a sample is looked up by its own kind"),
        }
        Ok(())
    }

    /// As [`add`](Self::add) does with a count, a level, a timing's value or a set's member, whichever the series takes: its
    /// kind is asked for once.
    #[inline]
    pub(in crate::series) fn add_plain(
        &mut self,
        value: f64,
        weight: f64,
        member: impl FnOnce() -> u64,
        pool: &mut Pool,
    ) -> Result<(), Refused> {
        match &mut self.state {
            State::Counter { current, .. } => rise_by(current, value * weight),
            State::Gauge { current, .. } => {
                *current = value;
                Ok(())
            }
            State::Timing(two) => two.current.add(value, weight, pool),
            State::Set(two) => two.current.add(member(), pool),
        }
    }
}

fn rise_by(current: &mut f64, more: f64) -> Result<(), Refused> {
    let sum = *current + more;
    if !sum.is_finite() {
        return Err(Refused::NotFinite);
    }
    *current = sum;
    Ok(())
}

/// What a cumulative counter has risen by. The first value tells nothing; after a fall the client began again at 0.
fn rise(last: f64, value: f64) -> f64 {
    if last.is_nan() {
        0.0
    } else if value < last {
        value
    } else {
        value - last
    }
}
