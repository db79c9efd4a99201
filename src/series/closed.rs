//! A closed interval of a series, as the sweep passes it on.

use std::cell::Cell;

use super::records::TimingTotals;
use super::sketch::Sketch;
use super::timing_samples::TimingSamples;
use crate::policy::Policy;

/// A series at the end of an interval.
#[derive(Debug)]
pub struct Closed<'a> {
    pub name: &'a [u8],
    /// Whether the name is [plain](crate::protocol::is_plain_path).
    pub has_plain_name: bool,
    pub policy: &'a Policy,
    /// Whether the interval had no sample.
    pub idle: bool,
    /// The number of the sender of the last sample, or 0.
    pub sender: u16,
    pub values: Values<'a>,
    /// The record of a timing, to which the interval must be added. `None` if none is kept.
    pub record: Option<&'a mut TimingTotals>,
    /// The mark that offers the series to the history. The receiver removes it if the history does
    /// not keep the series.
    pub is_remembered: &'a Cell<bool>,
}

/// The values of a series in a closed interval, or in the open one for a client that reads it.
#[derive(Debug)]
pub enum Values<'a> {
    Counter(f64),
    Gauge(f64),
    /// The samples in no order, and the number of events they stand for. The receiver may sort the
    /// samples in place.
    Timing {
        samples: &'a mut [f64],
        weight: f64,
    },
    /// A timing that had too many samples to keep all of them.
    Sketch(&'a Sketch),
    /// The number of members. It is an estimate if there were too many to keep all of them.
    Set {
        members: usize,
    },
}

impl<'a> Values<'a> {
    pub(super) fn of(samples: &'a mut TimingSamples) -> Self {
        match samples {
            TimingSamples::Exact { values, weight } => {
                Self::Timing { samples: values, weight: *weight }
            }
            TimingSamples::One { value, weight } => {
                Self::Timing { samples: std::slice::from_mut(value), weight: *weight }
            }
            TimingSamples::Sketch(sketch) => Self::Sketch(sketch),
        }
    }
}
