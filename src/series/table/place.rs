//! From a name's hash to the shard and the index entry that are its own.

use super::SHARDS;
use crate::protocol::MetricKind;

/// A name's hash, made once a line and used for every sample of it.
#[derive(Clone, Copy, Debug)]
pub struct NameHash(pub(in crate::series) u64);

/// Where a name of one kind belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) shard: usize,
    pub(super) hash: u32,
}

impl Place {
    pub(super) fn new(NameHash(hash): NameHash, kind: MetricKind) -> Self {
        // The four name spaces share the index; each has a salt so that `a` of one kind does not meet `a` of another.
        const SALTS: [u64; 4] =
            [0, 0x9ae1_6a3b_2f90_404f, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];
        let hash = hash ^ SALTS[kind as usize];
        #[allow(clippy::cast_possible_truncation)] // the halves are meant
        Self { shard: (hash >> 32) as usize % SHARDS, hash: hash as u32 }
    }
}
