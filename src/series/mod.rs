//! Names being aggregated: the table of series and what each kind keeps. Pure.
//!
//! ```text
//!  (name, sample) ──▶ Table ──▶ Shard: hash → slot ──▶ Series { name, current interval, previous interval }
//!                      256 of them                        │ first touch after a tick: current becomes previous
//!                                                         ▼ sweep: previous is handed on, once a flush
//!                                                       Closed { name, values }
//! ```
//! A series is closed exactly once a flush, with the values it had at the tick, however late the sweep reaches it.
//! Nothing here knows what a summary, a sink or a socket is.

mod aggregate;
mod values;
mod sketch;
mod moments;
mod distinct;
mod eviction;
mod memory;
mod newcomers;
mod passthrough;

mod frequent;
mod shard;
mod table;
mod largest;

pub use aggregate::{Closed, Series, Values};
pub use frequent::{Counted, Frequent, MostFrequent};
pub use moments::Moments;
pub use newcomers::Newcomers;
pub use passthrough::{Passing, Passthrough, Untouched};
pub use shard::Slot;
pub use sketch::Sketch;
pub use table::{Batch, Cursor, NameHash, Seeds, Table, Wanted};

use std::time::Duration;

/// What the table may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Series of all kinds together.
    pub max_series: usize,
    /// At `max_series`, a series idle for this long makes way for a new one.
    pub evict_after: Duration,
    /// Bytes of timing samples and set members of all series together.
    pub sample_memory: usize,
    /// Samples of one timing kept exactly in one interval.
    pub timer_exact: usize,
    /// The relative error of percentiles past that, from 0.001.
    pub timer_error: f64,
    /// Members of one set kept exactly in one interval.
    pub set_exact: usize,
    /// The relative standard error of their number past that.
    pub set_error: f64,
    /// Bytes of key/values, and of values with a timestamp of their own, waiting for the flush.
    pub passthrough_memory: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_series: 1_000_000,
            evict_after: Duration::from_secs(600),
            sample_memory: 64 << 20,
            timer_exact: 50_000,
            timer_error: 0.01,
            set_exact: 10_000,
            set_error: 0.02,
            passthrough_memory: 16 << 20,
        }
    }
}

/// Why a sound sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A new series, and `max_series` are here, none of them idle for `evict_after`.
    TooManySeries,
    /// A rule says so.
    ByRule,
    /// `sample_memory` or `passthrough_memory` is used up for this interval.
    NoMemory,
    /// It would take its series out of the range of a double.
    NotFinite,
}
