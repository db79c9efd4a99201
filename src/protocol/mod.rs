//! Parses lines into samples. Pure: bytes in, samples or errors out, without sockets, clocks,
//! files, logs or random numbers.
//!
//! ```text
//!  line ──▶ LineReader::read ──▶ MetricLine { name, timestamp } ──▶ MetricLine::samples ──▶ Sample, Sample, Reject, Sample …
//!            line.rs, names.rs        canonical, hashed once      group.rs          number.rs
//!  message ─▶ LineReader::read_binary ─▶ BinaryMessage { name, sample }                    binary.rs
//! ```
//! A sample borrows from the receive buffer. Only a name that must be cleaned, or that has tags, is
//! copied into a buffer of the reader. `docs/protocol.md` lists the differences from Node StatsD.

mod binary;
mod dialect;
mod grammar;
mod group;
mod line;
mod names;
mod number;
mod plain;
mod reject;
mod sample;
mod tagged;

pub use dialect::{Dialect, Dialects};
pub use grammar::Grammar;
pub use group::Samples;
pub use line::{BinaryMessage, LineReader, MetricLine, ParsedLine};
pub use names::is_plain_name;
pub use number::decimal;
pub use plain::{Plain, PlainLine, read_plain};
pub use reject::Reject;
pub use sample::{MetricKind, Sample};

pub(crate) use binary::{MAGIC, Reach, first_piece, is_binary, reach};
pub(crate) use line::trimmed;
pub(crate) use names::{cleaned, is_clean};
