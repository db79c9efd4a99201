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
mod eviction;
mod memory;
mod newcomers;
mod passthrough;

mod frequent;
mod shard;
mod table;
mod values;

pub use aggregate::{Closed, Series, Values};
pub use frequent::{Counted, Frequent};
pub use memory::Pool;
pub use newcomers::Newcomers;
pub use passthrough::{Passthrough, Timed};
pub use shard::Slot;
pub use table::{Cursor, NameHash, Seeds, Table};

use std::time::Duration;

/// What the table may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Series of all kinds together.
    pub max_series: usize,
    /// At `max_series`, a series idle for this long makes way for a new one.
    pub evict_after: Duration,
    /// Bytes of timing samples and set members of all series together.
    pub sample_memory: usize,
    /// Bytes of values with a timestamp of their own waiting for the flush.
    pub passthrough_memory: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_series: 1_000_000,
            evict_after: Duration::from_secs(600),
            sample_memory: 64 << 20,
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
