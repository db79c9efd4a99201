//! Which of many lines are shown: all of them while they are few, else a fair part. Pure.

use std::time::Duration;

use crate::few::sort_few;
use crate::random::RandomNumbers;
use crate::sender::Sender;
use crate::time::Tick;

/// The most lines a second on average.
pub(super) const PER_SECOND: u32 = 1000;

/// The most lines at a time, after a pause. Lines that come in a burst each second are all taken,
/// also if the bursts are not evenly spaced.
pub(super) const BURST: u32 = 2 * PER_SECOND;

/// What the lines of senders with too many are planned to bring together. The rest is a reserve for
/// senders with few lines.
const PLANNED: u32 = 900;
/// The last lines of the credit are for senders with few lines.
const RESERVE: u32 = 100;

/// The time after which one more line may be taken, in microseconds.
const LINE_MICROS: u64 = 1_000_000 / PER_SECOND as u64;

/// The most senders that have a share of their own. The others have one together.
const SENDERS_MAX: usize = 256;

/// Takes all lines while there are at most [`PER_SECOND`]. Otherwise each sender gets an equal
/// share, and the share that a sender does not need goes to the others. Of a sender with more lines
/// than its share, random ones are taken. Regular lines would always be the same ones otherwise.
#[derive(Debug)]
pub(super) struct Sampler {
    /// The lines that may be taken now, each as [`LINE_MICROS`].
    credit_micros: u64,
    now: Tick,
    /// The senders of the last seconds, sorted.
    senders: Vec<SenderShare>,
    /// The senders that have no place, as one. Those that are new in this second have its chance.
    others: SenderShare,
    /// When the present second began.
    began: Tick,
    random: RandomNumbers,
}

/// A sender and the part of its lines that is taken.
#[derive(Clone, Copy, Debug, Default)]
struct SenderShare {
    sender: Sender,
    /// Its lines of this second, and of the one before.
    seen: u32,
    seen_before: u32,
    /// The chance of a line, in parts of 65,536. `None` if all lines are taken, even from the
    /// reserve.
    chance: Option<u32>,
    /// Whether it was known in the second before. Otherwise it has the chance of the others.
    is_known: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            credit_micros: u64::from(BURST) * LINE_MICROS,
            now: Tick::default(),
            senders: Vec::new(),
            others: SenderShare::default(),
            began: Tick::default(),
            random: RandomNumbers::new(1),
        }
    }
}

impl Sampler {
    /// Sets the time.
    pub(super) fn advance(&mut self, now: Tick) {
        let passed = self.now.until(now).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let most = u64::from(BURST) * LINE_MICROS;
        self.credit_micros = self.credit_micros.saturating_add(passed).min(most);
        self.now = now;
        if self.began + Duration::from_secs(1) <= now {
            self.began = now;
            self.share_out();
        }
    }

    /// Gives each sender its share of the next second, by its lines of the last two.
    fn share_out(&mut self) {
        self.senders.retain(|share| share.seen > 0 || share.seen_before > 0);
        self.senders.iter_mut().for_each(|share| share.is_known = true);
        let mut counts: Vec<u32> = self.senders.iter().map(SenderShare::lines).collect();
        counts.push(self.others.lines());
        let fair = fair_share(&mut counts);
        for share in self.senders.iter_mut().chain([&mut self.others]) {
            let lines = share.lines();
            share.chance = (lines > fair).then(|| (fair << 16) / lines);
            share.seen_before = std::mem::take(&mut share.seen);
        }
    }

    /// Whether the next line, which is one of `sender`, is taken.
    pub(super) fn takes(&mut self, sender: Sender) -> bool {
        let share = self.note(sender);
        let reserve = if share.chance.is_some() { RESERVE } else { 0 };
        let is_lucky = share.chance.is_none_or(|chance| self.random() < chance);
        if !is_lucky || self.credit_micros < u64::from(reserve + 1) * LINE_MICROS {
            return false;
        }
        self.credit_micros -= LINE_MICROS;
        true
    }

    /// Counts a line of a sender. Returns the share whose chance the line has.
    fn note(&mut self, sender: Sender) -> SenderShare {
        match self.senders.binary_search_by(|share| share.sender.cmp(&sender)) {
            Ok(at) => {
                let share = &mut self.senders[at];
                share.seen = share.seen.saturating_add(1);
                if share.is_known {
                    return *share;
                }
            }
            Err(at) if self.senders.len() < SENDERS_MAX => {
                let share = SenderShare { sender, seen: 1, ..SenderShare::default() };
                self.senders.insert(at, share);
            }
            Err(_) => self.others.seen = self.others.seen.saturating_add(1),
        }
        self.others
    }

    /// Returns a number below 65,536.
    fn random(&mut self) -> u32 {
        u32::try_from(self.random.next() >> 48).unwrap_or(0)
    }
}

impl SenderShare {
    /// Its lines of a second, as the mean of two.
    fn lines(&self) -> u32 {
        self.seen / 2 + self.seen_before / 2
    }
}

/// Returns the share at which these counts, each cut off at the share, have the sum [`PLANNED`].
/// Returns `u32::MAX` if all together are no more than [`PER_SECOND`].
fn fair_share(counts: &mut [u32]) -> u32 {
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    if sum <= u64::from(PER_SECOND) {
        return u32::MAX;
    }
    sort_few(counts, Ord::cmp);
    let mut planned = PLANNED;
    let mut left = u32::try_from(counts.len()).unwrap_or(u32::MAX);
    for count in counts {
        let share = planned / left;
        if *count > share {
            return share;
        }
        planned -= *count;
        left -= 1;
    }
    planned // not reached: the sum is larger than what is planned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: u64) -> Sender {
        Sender::Internet(format!("10.0.0.1:{}", 1 + number).parse().unwrap())
    }

    /// Returns the indices taken of `rate` lines a second of one sender, in turns of 1 ms.
    fn taken(rate: u64, seconds: u64) -> Vec<u64> {
        let mut sampler = Sampler::default();
        let mut taken = Vec::new();
        let mut at = 0;
        for turn in 0..seconds * 1000 {
            sampler.advance(Tick::from_millis(turn));
            while at < rate * (turn + 1) / 1000 {
                if sampler.takes(sender(0)) {
                    taken.push(at);
                }
                at += 1;
            }
        }
        taken
    }

    #[test]
    fn lines_below_the_limit_are_all_taken_however_they_come() {
        assert_eq!(taken(1000, 5).len(), 5000);
        for (every, jitter) in [(1000, 0), (1000, 90), (250, 20), (30, 0)] {
            let mut sampler = Sampler::default();
            for turn in 1..9000 {
                sampler.advance(Tick::from_millis(turn));
                let burst = turn / every;
                if burst > 0 && turn == burst * every + burst % 2 * jitter {
                    for line in 0..every * 95 / 100 {
                        assert!(sampler.takes(sender(line % 60)), "{turn} ms, line {line}");
                    }
                }
            }
        }
    }

    #[test]
    fn of_many_lines_a_bounded_number_is_taken_from_all_parts() {
        for rate in [1200, 2000, 50_000, 200_000, 1_000_000] {
            let all = taken(rate, 8);
            assert!(all.len() <= (BURST + 8 * PER_SECOND) as usize, "{rate}: {}", all.len());
            let count =
                |from: u64, to: u64| all.iter().filter(|at| (from..to).contains(at)).count();
            for second in 3..8 {
                let count = count(second * rate, (second + 1) * rate);
                assert!((750..=1000).contains(&count), "{rate}: {count} in second {second}");
            }
            for part in 150..400 {
                let count = count(rate * part / 50, rate * (part + 1) / 50);
                assert!((1..60).contains(&count), "{rate}: {count} in part {part}");
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

    /// Shows that senders with few lines are shown whole beside one with very many.
    #[test]
    fn senders_with_few_lines_are_not_lost_among_others() {
        let mut sampler = Sampler::default();
        let mut rare = [0; 40];
        let mut flood = 0;
        for turn in 0..5000_u64 {
            sampler.advance(Tick::from_millis(turn));
            flood += (0..100).filter(|_| sampler.takes(sender(100))).count();
            if turn % 200 == 0 && turn >= 2000 {
                for (number, count) in rare.iter_mut().enumerate() {
                    *count += u32::from(sampler.takes(sender(number as u64)));
                }
            }
        }
        // Five lines a second. Until a second has ended they belong to the others.
        assert!(rare.iter().all(|count| *count >= 10), "{rare:?}");
        assert!(flood > 3000, "{flood}");
    }

    /// Shows that senders that never come again need bounded memory, and that some are shown.
    #[test]
    fn ever_new_senders_share_one_part() {
        let mut sampler = Sampler::default();
        let mut shown = 0;
        for turn in 0..5000_u64 {
            sampler.advance(Tick::from_millis(turn));
            let from = (turn * 10) % 60_000;
            shown += (from..from + 10).filter(|from| sampler.takes(sender(*from))).count();
        }
        assert!(sampler.senders.len() <= SENDERS_MAX && shown > 3500, "{shown}");
    }

    #[test]
    fn a_share_that_is_not_needed_goes_to_the_others() {
        assert_eq!(fair_share(&mut [500, 400, 100]), u32::MAX);
        assert_eq!(fair_share(&mut [5000, 5000]), PLANNED / 2);
        assert_eq!(fair_share(&mut [100_000, 10, 20, 9000]), (PLANNED - 30) / 2);
        assert_eq!(fair_share(&mut [1500, 0]), PLANNED);
    }
}
