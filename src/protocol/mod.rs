//! Parses lines into samples. Pure: bytes in, samples or errors out, without sockets, clocks,
//! files, logs or random numbers.
//!
//! ```text
//!  plain line ──▶ read_plain ──▶ PlainLine { name, value, tags, … }     plain.rs
//!  any line ────▶ LineReader::read ──▶ MetricLine { name, timestamp }   line.rs, names.rs
//!                     MetricLine::samples ──▶ Sample, Sample, Reject …  group.rs, number.rs
//!  message ─────▶ LineReader::read_binary ──▶ BinaryMessage             binary.rs
//! ```
//! Nearly all lines are plain. [`read_plain`] reads them in one pass, and returns the same as the
//! general reader.
//!
//! A sample borrows from the receive buffer. Only a name that must be cleaned, or that has tags, is
//! copied into a buffer of the reader. `docs/protocol.md` lists the differences from Node StatsD.

mod binary;
mod grammar;
mod group;
mod line;
mod names;
mod number;
mod plain;
mod reject;
mod sample;

pub use grammar::{Dialect, Dialects, Grammar, PackedValues};
pub use group::Samples;
pub use line::{BinaryMessage, LineReader, MetricLine, ParsedLine, UnreadLine};
pub use names::{has_empty_elements, has_name_tag, is_plain_for};
pub use number::decimal;
pub use plain::{Plain, PlainLine, plain_series_name, read_plain};
pub use reject::Reject;
pub use sample::{MetricKind, Sample};

pub use binary::{MAGIC, Reach, first_piece, is_binary, reach};
pub use line::trimmed;
pub use names::{bare_name, cleaned, is_clean, is_plain_path, squeezed, tags_of};
pub(crate) use names::{is_canonical_for, is_storable};

/// The longest packet of a framed stream. It is the limit for datagrams, too.
pub const PACKET_BYTES_MAX: usize = 64 << 10;
