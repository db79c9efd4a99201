//! The table of series, and the values that each kind of series keeps. Pure.
//!
//! ```text
//!  (name, sample) ──▶ Table ──▶ Shard: hash → slot ──▶ Series { NamePlace, intervals }
//!                      256 of them, each with a           │ first sample after a tick: the
//!                      NameStore: NamePlace → name        │ current interval becomes previous
//!                                                         ▼ sweep: each interval is closed once
//!                                                       Closed { name, values }
//! ```
//! A series is closed exactly once a flush. Its values are those at the tick, however late the
//! sweep reaches the series. This module uses no summaries, sinks or sockets.
//!
//! Read `series.rs` and `intervals.rs` first (one series), then `live_series.rs` and `sweep.rs`
//! (its life), then `shard.rs` and `shards.rs` (where it stands). Read `table.rs` after these: it
//! only decides which series a sample is for. Then read where names are (`new_names.rs`,
//! `stored_name.rs`, `text_chunks.rs`, `tag_store.rs`), how lines find series without being read
//! (`aliases.rs`), and what series keep for readers (`records.rs`). Read last what happens when
//! memory is used up (`room.rs`, `membership.rs`, `series_groups.rs`, `eviction.rs`,
//! `newest_series.rs`, `crowd.rs`, `largest.rs`).
//!
//! # Which function adds a sample
//!
//! [`Table`] finds the series of a sample. The first four are for the engine, and choose from the
//! others:
//!
//! | `Table` | the series of the sample | goes on with |
//! | --- | --- | --- |
//! | `add_looked_up` | looked up before, with a batch | `add_plain`, `add` or `add_aliased` |
//! | `add_aliased` | found by the bytes of the line | `add_at` |
//! | `add` | found by its name | `add_by_name` or `add_maybe_renamed` |
//! | `add_with_alias` | as `add`; the bytes of the line then find it, too | as `add` |
//! | `add_maybe_renamed` | rules change names, or names are raw | `add_at` if the rules are known to leave the name as it is, or one of the next three |
//! | `add_maybe_raw` | only names are raw | `add_by_name` or `add_raw_and_merged` |
//! | `add_by_rules_with_alias` | only rules change names | `add_at` if the name was compared with the rules before, or `add_by_rules` |
//! | `add_by_rules` | the one that rules make of the name | `add_by_name` or `add_raw_and_merged` |
//! | `add_raw_and_merged` | two: those of the raw and of the clean name | `add_by_name`, twice |
//!
//! `LiveSeries` adds the sample:
//!
//! | `LiveSeries` | what it does |
//! | --- | --- |
//! | `add_by_name` | finds the name or creates its series, then calls `add_at` |
//! | `add_at` | adds the sample to the series at a place; condenses the series that hold most samples if their memory is used up |
//! | `add_plain` | the same for a line without options, in fewer instructions |

mod aliases;
mod batch;
mod batch_lookup;
mod bounds;
mod series_groups;
mod closed;
mod counts;
mod crowd;
mod distinct;
mod eviction;
mod frequent;
mod hashing;
mod intervals;
mod largest;
mod live_series;
mod membership;
mod memory;
mod moments;
mod new_names;
mod newest_series;
mod passthrough;
mod raw;
mod records;
mod restoring;
mod room;
mod saved;
#[allow(clippy::module_inception)] // the file is named after its type
mod series;
mod shard;
mod shards;
mod sketch;
mod stored_name;
mod sweep;
mod table;
mod table_rules;
mod tag_keys;
mod tag_limits;
mod tag_store;
mod text_chunks;
mod timing_samples;
mod top;
mod visited;

pub use aliases::AliasKey;
pub use batch::{Batch, LookedUpResult, Lookup, PendingSample};
pub use bounds::{AddError, Bounds, RestoreError};
pub use closed::{Closed, Values};
pub use counts::SeriesCounts;
pub use frequent::{Counted, Frequent, MostFrequent};
pub use hashing::Seeds;
pub use moments::Moments;
pub use passthrough::{Passthrough, PassthroughKind, PassthroughValue};
pub use raw::Audience;
pub use records::{ClosedTiming, LastInterval, TimingTotals};
pub use series::Series;
pub use series_groups::LargestGroup;
pub use shard::{NameHash, PackedPlace, SeriesPlace, SeriesSlot};
pub use shards::Cursor;
pub use sketch::Sketch;
pub use table::Table;
pub use table::preview::{COPIED_MAX, Preview, PreviewDepth};
pub use table_rules::TableRules;
pub use tag_keys::TagValues;
pub use top::{NewPrefix, Top, TopCounts};
pub use visited::Visited;
