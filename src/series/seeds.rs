//! The random numbers that make hashes unguessable, and the hash of a member of a set.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

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
}
