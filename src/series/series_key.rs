//! From the hash of a name to the shard and the index entry of a series.

use crate::protocol::MetricKind;

/// The number of shards of the table.
pub(super) const SHARDS: usize = 256;

/// The hash of a name. It is computed once for a line and used for every sample of the line.
#[derive(Clone, Copy, Debug)]
pub struct NameHash(pub(super) u64);

/// The shard that a series is in, and its hash in the index of that shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesKey {
    pub(super) shard: usize,
    pub(super) hash: u32,
}

impl SeriesKey {
    pub(super) fn new(NameHash(hash): NameHash, kind: MetricKind) -> Self {
        // All kinds share the index. Each kind has a salt, so that the counter `a` and the gauge
        // `a` have different hashes.
        const SALTS: [u64; 4] =
            [0, 0x9ae1_6a3b_2f90_404f, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];
        let hash = hash ^ SALTS[kind as usize];
        #[allow(clippy::cast_possible_truncation)] // the halves are meant
        Self { shard: (hash >> 32) as usize % SHARDS, hash: hash as u32 }
    }
}
