//! Random numbers: [`seeds`] for hashes, which no client can guess, and [`RandomNumbers`] for all
//! else. A crate for the latter would bring more code than it saves.

use crate::series::Seeds;

/// A source of random numbers: splitmix64. Its whole state is one number, so a test repeats a run
/// by its seed. It is not fit for secrets.
#[derive(Debug)]
pub(crate) struct RandomNumbers(u64);

impl RandomNumbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Returns a seed for [`RandomNumbers`], which is another one in each process.
pub(crate) fn seed() -> u64 {
    ahash::RandomState::new().hash_one(0)
}

/// Returns new seeds from the system's source of randomness, by way of ahash. A client that could
/// guess them could choose names with equal hashes, which would make every lookup slow.
pub(crate) fn seeds() -> Seeds {
    let random = ahash::RandomState::new();
    let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map(|part: u8| random.hash_one(part));
    Seeds { names: [a, b, c, d], members: [e, f] }
}
