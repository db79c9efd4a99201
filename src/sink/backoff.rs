//! How long an outlet waits before it tries again. Pure: the random number is an argument.

use std::time::Duration;

/// Returns the wait before retry number `attempt`, counted from 0. The longest wait starts at twice
/// `min` and doubles up to `max`. The result is a random time in the upper half of it. Otherwise
/// all servers would connect to a restarted carbon in the same millisecond.
///
/// The result is never under `min` and never over `max`. If `min` is larger than `max`, it is
/// `min`.
pub(super) fn delay(random: u64, min: Duration, max: Duration, attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_add(1));
    let longest = min.saturating_mul(factor).min(max).max(min);
    let shortest = (longest / 2).max(min);
    let span = u64::try_from((longest - shortest).as_nanos()).unwrap_or(u64::MAX);
    shortest + Duration::from_nanos(random % span.saturating_add(1))
}

/// A source of random numbers for jitter: splitmix64. Its whole state is one number, so tests can
/// repeat a run by its seed. It is not fit for secrets.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(30);

    #[test]
    fn it_doubles_within_bounds_and_stops_at_the_longest() {
        for (attempt, shortest, longest) in [
            (0, 100, 200),
            (1, 200, 400),
            (2, 400, 800),
            (7, 12_800, 25_600),
            (8, 15_000, 30_000),
            (31, 15_000, 30_000),
            (u32::MAX, 15_000, 30_000),
        ] {
            let millis = |random| delay(random, MIN, MAX, attempt).as_millis();
            let mut jitter = Jitter::new(7);
            for _ in 0..1000 {
                let wait = millis(jitter.next());
                assert!((shortest..=longest).contains(&wait), "retry {attempt} after {wait} ms");
            }
            assert_eq!(millis(0), shortest);
        }
    }

    #[test]
    fn it_spreads_over_the_whole_range() {
        let mut jitter = Jitter::new(7);
        let waits: Vec<_> = (0..1000).map(|_| delay(jitter.next(), MIN, MAX, 0)).collect();
        for tenth in 0..10 {
            let from = MIN + MIN / 10 * tenth;
            let within = waits.iter().filter(|&&wait| from <= wait && wait < from + MIN / 10);
            assert!(within.count() > 50, "few waits from {from:?}");
        }
    }

    #[test]
    fn odd_bounds_are_kept_too() {
        for (min, max) in [(MAX, MAX), (MAX, MIN), (Duration::ZERO, MAX), (MIN, Duration::MAX)] {
            for attempt in [0, 5, 40] {
                for random in [0, 1, u64::MAX] {
                    let wait = delay(random, min, max, attempt);
                    assert!(min <= wait && wait <= max.max(min), "{wait:?} of {min:?} to {max:?}");
                }
            }
        }
    }
}
