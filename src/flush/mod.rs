//! Closing an interval: when it ends, and the figures that each series ends as. Pure.
//!
//! ```text
//!  Schedule: when, under which stamp        Closed { name, values } ──▶ Summarizer ──▶ Summary { name, figures }
//!  Own: the server's own counters           timing.rs does the only arithmetic worth the name
//! ```
//! The walk over the series is the table's (`series/table.rs`); `engine.rs` drives both. Summaries know figures by number;
//! what they are called in a destination is the encoder's business.

mod figure;
mod own;
mod schedule;
mod sketched;
mod summary;
mod timing;

pub use figure::Figure;
pub use own::{Own, OwnCounters};
pub use schedule::Schedule;
pub use summary::{Subject, Summarizer, Summary};
