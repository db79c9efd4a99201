//! Closes an interval: when it ends, and the figures that each series is sent as. Pure.
//!
//! ```text
//!  Schedule ──▶ when an interval ends, and its timestamp
//!  Closed { name, values } ──▶ Summarizer ──▶ Summary { name, figures }
//!                                └─ of a timing: timing.rs, or sketched.rs if there were too many
//! ```
//! The table walks over the series (`series/table.rs`), and `engine.rs` drives both. Summaries have
//! figures by number. The encoder knows their names in a destination.

mod schedule;
mod sketched;
mod summary;
mod timing;

pub use schedule::Schedule;
pub use summary::{Subject, Summarizer, Summary};
