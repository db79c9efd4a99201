//! Programs that run once and end: `--stdin` and `--dry-run`. They build a [`Pipeline`] and no
//! server. `input.rs` has what they share.
//!
//! [`Pipeline`]: super::pipeline::Pipeline

mod dry_run;
mod input;
mod only_flush;
mod stdin;

pub use dry_run::dry_run;
pub use input::StdinOutcome;
pub use stdin::flush_stdin;
