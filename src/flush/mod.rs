//! Closes an interval: when it ends, and the figures that each series is sent as. Pure.
//!
//! ```text
//!  Schedule: when, under which stamp        Closed { name, values } ──▶ Summarizer ──▶ Summary { name, figures }
//!  Own: the server's own counters           timing.rs does the only arithmetic worth the name
//! ```
//! The table walks over the series (`series/table.rs`), and `engine.rs` drives both. Summaries have
//! figures by number. The encoder knows their names in a destination.

mod schedule;
mod sketched;
mod summary;
mod timing;

pub use schedule::Schedule;
pub use summary::{Subject, Summarizer, Summary};
