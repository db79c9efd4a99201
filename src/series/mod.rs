//! The table of series, and the values that each kind of series keeps. Pure.
//!
//! ```text
//!  (name, sample) ──▶ Table ──▶ Shard: hash → slot ──▶ Series { name, current, previous }
//!                      256 of them                        │ first sample after a tick: the
//!                                                         │ current interval becomes previous
//!                                                         ▼ sweep: each interval is closed once
//!                                                       Closed { name, values }
//! ```
//! A series is closed exactly once a flush. Its values are those at the tick, however late the
//! sweep reaches the series. This module uses no summaries, sinks or sockets.

mod aliases;
mod batch;
mod bounds;
mod budget;
mod closed;
mod counts;
mod distinct;
mod eviction;
mod frequent;
mod hashing;
mod intervals;
mod live_series;
mod memory;
mod moments;
mod owner;
mod passthrough;
mod raw;
mod records;
mod room;
mod saved;
mod shard;
mod shards;
#[allow(clippy::module_inception)] // the file is named after its type
mod series;
mod sketch;
mod stored_name;
mod table;
mod table_rules;
mod tag_keys;
mod tag_limits;
mod tag_store;
mod timing_samples;
mod top;
mod visited;

pub use aliases::RawKey;
pub use batch::{Batch, Lookup, PendingSample};
pub use bounds::{AddError, Bounds, RestoreError};
pub use budget::Crowd;
pub use closed::{Closed, Values};
pub use counts::SeriesCounts;
pub use frequent::{Counted, Frequent, MostFrequent};
pub use hashing::Seeds;
pub use moments::Moments;
pub use passthrough::{Passthrough, PassthroughKind, PassthroughValue};
pub use raw::Audience;
pub use records::{ClosedTiming, LastInterval, TimingTotals};
pub use series::Series;
pub use shard::{NameHash, PackedPlace, SeriesPlace, SeriesSlot};
pub use shards::Cursor;
pub use sketch::Sketch;
pub use stored_name::StoredName;
pub use table::preview::{Preview, PreviewDepth};
pub use table::{AddKnown, Table};
pub use table_rules::TableRules;
pub use tag_keys::TagValues;
pub use top::{NewPrefix, Newcomers, Top, TopCounts};
pub use visited::Visited;
