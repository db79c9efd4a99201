//! Closes an interval: when it ends, and the figures that each series is sent as. Pure.
//!
//! ```text
//!  Schedule ──▶ when an interval ends, and its timestamp
//!  Closed { name, values } ──▶ Summarizer ──▶ Summary { name, figures }
//!                                └─ of a timing: timing.rs, or sketched.rs if there were too many
//! ```
//! The table walks over the series (`series/table.rs`), and `engine.rs` drives both. A summary has
//! its figures by number. The encoder has the name of each figure for its format.

mod schedule;
mod sketched;
mod summary;
mod timing;

pub use schedule::Schedule;
pub use summary::{Subject, Summarizer, Summary};
