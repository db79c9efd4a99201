//! Programs that run once and end: `--stdin` and `--dry-run`. They build a [`Pipeline`] and no
//! server.
//!
//! [`Pipeline`]: super::pipeline::Pipeline

mod dry_run;
mod stdin;

pub use dry_run::dry_run;
pub use stdin::{StdinOutcome, flush_stdin};
