//! Lines to samples. Pure: bytes in, samples or reasons out; no socket, clock, file, log or random source.
//!
//! ```text
//!  line ──▶ LineReader::read ──▶ Line { name, timestamp } ──▶ Line::samples ──▶ Sample, Sample, Reject, Sample …
//!            line.rs, names.rs        canonical, hashed once      group.rs          number.rs
//!  message ─▶ LineReader::read_binary ─▶ Message { name, sample }                    binary.rs
//! ```
//! A sample borrows from the receive buffer; only a name that needs rewriting or has tags is written anew, into a buffer
//! the reader keeps. `../../README.md` names what differs from Node StatsD.

mod group;
mod line;
mod binary;

mod dialect;
mod names;
mod number;
mod plain;
mod tagged;
mod reject;

pub use dialect::{Dialect, Dialects};
pub use group::Samples;
pub use line::{Line, LineReader, Message, Reading};
pub use number::decimal;
pub use reject::Reject;

pub(crate) use binary::{MAGIC, Reach, first_piece, is_binary, reach};
pub(crate) use line::trimmed;
pub(crate) use names::{cleaned, is_clean};
pub use plain::{Plain, PlainLine, is_plain_name, read_plain};

/// What a line may look like, fixed by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// Rewrite names, keys and values into what every sink can store.
    pub sanitize: bool,
    /// The ways of writing tags that are read.
    pub dialects: Dialects,
    /// The longest canonical name, tags included, in bytes.
    pub max_key_length: usize,
}

impl Default for Grammar {
    fn default() -> Self {
        Self { sanitize: true, dialects: Dialects::default(), max_key_length: 512 }
    }
}

impl Grammar {
    /// Whether every canonical name is read as itself: nothing is cleaned away from it, and its tags are found.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.sanitize && self.dialects.has(Dialect::Graphite)
    }
}

/// The name spaces a series can live in: one name may be in all four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Counter,
    Gauge,
    Timing,
    Set,
}

/// One parsed value, ready to be added to its series. All numbers are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample<'a> {
    /// What to add to a counter: the value × (1 / rate), in Node's order of operations.
    Count(f64),
    /// What a counter kept by the client has come to; its rise × `weight` (1 / rate) is what to add.
    Cumulative { value: f64, weight: f64 },
    /// What a gauge now is.
    Level(f64),
    /// What to add to a gauge.
    Change(f64),
    /// A timing's value, and the number of events it stands for (1 / rate).
    Time { value: f64, weight: f64 },
    /// A member of a set.
    Member(&'a [u8]),
    /// A key/value: sent as it came with the next flush.
    Kv(f64),
}

impl Sample<'_> {
    /// Of the series it belongs to; a key/value makes none.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Count(_) | Self::Cumulative { .. } => Some(Kind::Counter),
            Self::Level(_) | Self::Change(_) => Some(Kind::Gauge),
            Self::Time { .. } => Some(Kind::Timing),
            Self::Member(_) => Some(Kind::Set),
            Self::Kv(_) => None,
        }
    }
}
