//! The only generator of random numbers for tests and benches. Tests of the server use it too.
//!
//! The algorithm is our own copy of splitmix64. The crates that generate random numbers may change
//! their stream in a new version, and then the recorded runs in `bench/runs` could not be repeated.

/// A generator that gives the same numbers for the same seed.
///
/// It prints its seed if a panic drops it. So a test that fails over random input shows how to
/// repeat it, without a message in each assertion.
#[derive(Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Neighbouring seeds give unrelated numbers, so tests can count seeds from 0.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// Returns 64 random bits: Steele, Lea and Flood's splitmix64.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a whole number in `0..limit`, of any type of integer.
    ///
    /// The numbers are slightly uneven, because `limit` need not divide 2⁶⁴. For limits below 2²⁴
    /// no number is more likely than another by more than one part in 2⁴⁰.
    ///
    /// # Panics
    /// Panics if `limit` is not positive.
    pub fn below<N: TryInto<u64> + TryFrom<u64>>(&mut self, limit: N) -> N {
        let limit = limit.try_into().ok().filter(|limit| *limit > 0).expect("a positive limit");
        N::try_from(self.bits() % limit).ok().expect("less than the limit, which fits")
    }

    /// Returns true in one of `n` cases.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Returns a number between 0 and 1, but neither of them.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Returns a reference to one of `choices`. Panics if there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Drop for Random {
    #[expect(clippy::print_stderr)] // for the output of the failed test
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the random numbers were those of seed {}", self.seed);
        }
    }
}

/// Deals each of its items once, then shuffles and deals again.
#[derive(Debug)]
pub(crate) struct Deck<T> {
    items: Vec<T>,
    dealt: usize,
}

impl<T: Copy> Deck<T> {
    pub(crate) fn new(items: impl IntoIterator<Item = T>) -> Self {
        Self { items: items.into_iter().collect(), dealt: 0 }
    }

    /// Panics when the deck has no items.
    pub(crate) fn deal(&mut self, random: &mut Random) -> T {
        if self.dealt == 0 {
            random.shuffle(&mut self.items);
        }
        let item = self.items[self.dealt];
        self.dealt = (self.dealt + 1) % self.items.len();
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
        assert_eq!(random.bits(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn numbers_are_below_their_limit_and_reach_it() {
        let mut random = Random::new(1);
        let mut met = [0_u8; 7];
        for _ in 0..1000 {
            met[random.below(met.len())] = 1;
            assert!(random.below(3_u8) < 3);
            assert!(random.below(1 << 40) < 1_u64 << 40);
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert_eq!(met, [1; 7]);
    }

    #[test]
    fn a_deck_deals_every_item_once_a_round_in_a_new_order() {
        let mut random = Random::new(1);
        let mut deck = Deck::new(0..50);
        let mut round = || (0..50).map(|_| deck.deal(&mut random)).collect::<Vec<_>>();
        let mut first = round();
        let mut second = round();
        assert_ne!(first, second);
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
        assert_eq!(second, first);
    }
}
