//! Which of many lines are shown: at most a fixed number a second and in a turn of the loop, spread
//! evenly. Pure.

use std::time::Duration;

use crate::time::Tick;

/// The most lines a second.
pub(super) const PER_SECOND: u64 = 1000;

/// The number is kept for each part of a second, so that a second is not used up at once.
const SLOTS_PER_SECOND: u64 = 10;
const PER_SLOT: u64 = PER_SECOND / SLOTS_PER_SECOND;

/// The most lines of a turn. The analysis of a line takes about 70 us, and a turn must not take
/// 2 ms because of a client that watches.
pub(super) const PER_TURN: u64 = 10;

/// Takes one of `stride` lines on average. The gaps are random, or a sender of regular lines would
/// always be seen with the same ones.
#[derive(Debug)]
pub(super) struct Sampler {
    /// When the present part of a second began.
    began: Tick,
    /// The lines of the present part, and those taken of them.
    seen: u64,
    taken: u64,
    /// The lines that the present turn may still take.
    left: u64,
    stride: u64,
    /// The lines to be left out before the next one is taken.
    gap: u64,
    random: u64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            began: Tick::default(),
            seen: 0,
            taken: 0,
            left: PER_TURN,
            stride: 1,
            gap: 0,
            random: 1,
        }
    }
}

impl Sampler {
    /// Begins a turn. The stride follows the number of lines in the part of a second before.
    pub(super) fn begin_turn(&mut self, now: Tick) {
        self.left = PER_TURN;
        let slot = Duration::from_millis(1000 / SLOTS_PER_SECOND);
        let passed = now - self.began;
        if passed < slot {
            return;
        }
        let slots = u64::try_from(passed.as_micros() / slot.as_micros()).unwrap_or(u64::MAX);
        let rate = self.seen / slots.max(1);
        self.stride = rate.div_ceil(PER_SLOT).max(1);
        self.began = now;
        self.seen = 0;
        self.taken = 0;
        self.gap = self.gap.min(2 * self.stride);
    }

    /// Whether the turn has taken all lines that it may take.
    pub(super) fn is_sated(&self) -> bool {
        self.left == 0
    }

    /// Whether the next line is taken.
    pub(super) fn takes(&mut self) -> bool {
        self.seen += 1;
        if self.gap > 0 {
            self.gap -= 1;
            return false;
        }
        if self.taken >= PER_SLOT || self.is_sated() {
            return false;
        }
        self.taken += 1;
        self.left -= 1;
        // The rest of a part that began too fast is spread further: the gaps double with each half
        // of the rest.
        let left = PER_SLOT - self.taken;
        let halvings = PER_SLOT.checked_div(left.max(1)).unwrap_or(1).ilog2();
        self.gap = self.random_gap(self.stride << halvings.min(16));
        true
    }

    /// Returns a number from 0 to 2 * (`stride` - 1).
    fn random_gap(&mut self, stride: u64) -> u64 {
        if stride <= 1 {
            return 0;
        }
        // Marsaglia's xorshift.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % (2 * stride - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the indices taken of `rate` lines a second for `seconds`, in turns of 1 ms.
    fn taken(rate: u64, seconds: u64) -> Vec<u64> {
        let mut sampler = Sampler::default();
        let mut taken = Vec::new();
        let mut at = 0;
        for turn in 0..seconds * 1000 {
            sampler.begin_turn(Tick::from_millis(turn));
            while at < rate * (turn + 1) / 1000 {
                if sampler.takes() {
                    taken.push(at);
                }
                at += 1;
            }
        }
        taken
    }

    #[test]
    fn few_lines_are_all_taken() {
        assert_eq!(taken(400, 3).len(), 1200);
    }

    #[test]
    fn a_turn_takes_few_lines() {
        let mut sampler = Sampler::default();
        for turn in 0..3 {
            sampler.begin_turn(Tick::from_millis(turn));
            let taken = (0..1000).filter(|_| sampler.takes()).count();
            assert!((1..=10).contains(&taken) && sampler.is_sated() == (taken == 10), "{taken}");
        }
    }

    #[test]
    fn of_many_lines_a_bounded_number_is_taken_from_all_parts() {
        for rate in [2000, 50_000, 200_000, 1_000_000] {
            let all = taken(rate, 5);
            let most = usize::try_from(5 * PER_SECOND).unwrap();
            assert!(all.len() <= most && all.len() >= most * 6 / 10, "{rate}: {}", all.len());
            // After the first second, each tenth of a part of a second has some.
            let tenth = rate / SLOTS_PER_SECOND / 10;
            for tenth_number in 100..500 {
                let from = tenth_number * tenth;
                let count = all.iter().filter(|at| (from..from + tenth).contains(at)).count();
                assert!((1..=30).contains(&count), "{rate}: {count} in tenth {tenth_number}");
            }
        }
    }

    #[test]
    fn regular_lines_are_not_met_at_the_same_places() {
        let all = taken(200_000, 5);
        for place in 0..10 {
            let share = all.iter().filter(|at| *at % 10 == place).count();
            assert!(share > all.len() / 20, "{share} of {}", all.len());
        }
    }
}
