//! A sample as a series takes it, and how it is added to a count or a level.

use crate::protocol::Sample;

/// A sample with the hash of a member in place of the member.
#[derive(Clone, Copy, Debug)]
pub(super) enum HashedSample {
    Count(f64),
    Cumulative { value: f64, weight: f64 },
    Level(f64),
    Change(f64),
    Time { value: f64, weight: f64 },
    Member(u64),
}

impl HashedSample {
    pub(super) fn new(sample: Sample<'_>, hash: impl FnOnce(&[u8]) -> u64) -> Self {
        match sample {
            Sample::Count(value) => Self::Count(value),
            Sample::Cumulative { value, weight } => Self::Cumulative { value, weight },
            Sample::Level(value) => Self::Level(value),
            Sample::Change(value) => Self::Change(value),
            Sample::Time { value, weight } => Self::Time { value, weight },
            Sample::Member(member) => Self::Member(hash(member)),
            Sample::Kv(_) => unreachable!("a key/value is passed through"),
        }
    }
}
