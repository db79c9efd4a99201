//! The only randomness here: splitmix64, so that a seed means the same bytes for ever.
//!
//! A crate's generator may change its stream between versions, and then old records would no
//! longer be repeatable.

/// Steele, Lea and Flood's splitmix64.
#[derive(Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in `0..limit`. The bias of `%` is below 2⁻⁴⁰ for every limit used here.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = limit as u64;
        usize::try_from(self.next() % limit).expect("below a usize")
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
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
    pub(crate) fn deal(&mut self, rng: &mut SplitMix64) -> T {
        if self.dealt == 0 {
            self.shuffle(rng);
        }
        let item = self.items[self.dealt];
        self.dealt = (self.dealt + 1) % self.items.len();
        item
    }

    fn shuffle(&mut self, rng: &mut SplitMix64) {
        for last in (1..self.items.len()).rev() {
            self.items.swap(last, rng.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        let mut rng = SplitMix64::new(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
        assert_eq!(rng.next(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn a_deck_deals_every_item_once_a_round_in_a_new_order() {
        let mut rng = SplitMix64::new(1);
        let mut deck = Deck::new(0..50);
        let mut round = || (0..50).map(|_| deck.deal(&mut rng)).collect::<Vec<_>>();
        let (mut first, mut second) = (round(), round());
        assert_ne!(first, second);
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
        assert_eq!(second, first);
    }
}
