//! The hashes of names and of members of sets: the random numbers that make them unguessable, and
//! the forms in which they are stored.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::records::OtherName;
use crate::protocol::Sample;

/// Random numbers that make the hashes unguessable. The caller supplies them, since the table has
/// no source of randomness.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// For the index of names, which is in memory only.
    pub names: [u64; 4],
    /// For the hashes of the members of sets. They are saved with the sets.
    pub members: [u64; 2],
}

/// Computes the hashes that sets store in place of their members.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberHasher(SipHasher13);

impl MemberHasher {
    pub(super) fn new(seeds: &Seeds) -> Self {
        Self(SipHasher13::new_with_keys(seeds.members[0], seeds.members[1]))
    }

    #[inline]
    pub(super) fn hash(&self, member: &[u8]) -> u64 {
        let mut hasher = self.0;
        hasher.write(member);
        hasher.finish()
    }

    /// The hash of a name that clients send, for the last values of cumulative counters.
    pub(super) fn name(&self, name: &[u8]) -> OtherName {
        OtherName(self.hash(name))
    }
}

/// A sample as a series takes it: with the hash of a member in place of the member, and with the
/// name of a cumulative value if it is not the own one of its series.
#[derive(Clone, Copy, Debug)]
pub(super) enum HashedSample {
    Count(f64),
    Cumulative { value: f64, weight: f64, name: Option<OtherName> },
    Level(f64),
    Change(f64),
    Time { value: f64, weight: f64 },
    Member(u64),
}

impl HashedSample {
    /// A key/value has no series; the caller must not pass one.
    pub(super) fn new(sample: Sample<'_>, hasher: &MemberHasher) -> Self {
        match sample {
            Sample::Count(value) => Self::Count(value),
            Sample::Cumulative { value, weight } => Self::Cumulative { value, weight, name: None },
            Sample::Level(value) => Self::Level(value),
            Sample::Change(value) => Self::Change(value),
            Sample::Time { value, weight } => Self::Time { value, weight },
            Sample::Member(member) => Self::Member(hasher.hash(member)),
            Sample::Kv(_) => unreachable!("a key/value is passed through"),
        }
    }
}

/// Spreads the 32 bits of a stored hash over the 64 bits that an index needs. The control bytes of
/// the index use the highest bits.
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
