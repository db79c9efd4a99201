//! When to send how much, for a steady rate. Pure: time is an argument.
//!
//! Normally a sender sends each packet when it is due, as independent clients would. If it is late
//! (it was not scheduled, or the peer stalled), it catches up at no more than twice the rate. If it
//! sent all due packets at once, they would overflow a receive buffer and count as the server's
//! loss. A sender that is always late never catches up. Its `Sent` shows the rate that it reached.

use std::num::NonZeroU64;
use std::time::Duration;

/// The most that is sent at once.
const BURST: Duration = Duration::from_millis(2);

/// The pause after a burst while there is more to catch up with.
const GAP: Duration = Duration::from_millis(1);

/// What an unlimited sender sends before it looks at the clock again.
const UNLIMITED_LINES: u64 = 4096;

/// A rate in lines per second, or none.
#[derive(Debug, Clone)]
pub struct Pace {
    rate: Option<NonZeroU64>,
    resume: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send this many lines, rounded up to whole packets.
    Send(u64),
    /// Nothing is due for this time.
    Wait(Duration),
}

impl Pace {
    pub fn new(rate: Option<NonZeroU64>) -> Self {
        Self { rate, resume: Duration::ZERO }
    }

    /// The next step, `elapsed` after the start and with `offered` lines sent so far.
    pub fn step(&mut self, elapsed: Duration, offered: u64) -> Step {
        let Some(rate) = self.rate else { return Step::Send(UNLIMITED_LINES) };
        if elapsed < self.resume {
            return Step::Wait(self.resume - elapsed);
        }
        let due = lines_in(rate, elapsed) + 1;
        if due <= offered {
            return Step::Wait(time_of(rate, offered).saturating_sub(elapsed));
        }
        let burst = lines_in(rate, BURST).max(1);
        if due - offered <= burst {
            return Step::Send(due - offered);
        }
        self.resume = elapsed + GAP;
        Step::Send(burst)
    }
}

fn lines_in(rate: NonZeroU64, time: Duration) -> u64 {
    let lines = u128::from(rate.get()).saturating_mul(time.as_nanos()) / 1_000_000_000;
    u64::try_from(lines).unwrap_or(u64::MAX - 1)
}

/// When line number `line` is due; the first one, number 0, at once.
fn time_of(rate: NonZeroU64, line: u64) -> Duration {
    let nanos = (u128::from(line) * 1_000_000_000).div_ceil(u128::from(rate.get()));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender with a virtual clock: sending takes no time, waiting what was asked for and more.
    struct Run {
        pace: Pace,
        now: Duration,
        offered: u64,
        bursts: Vec<(Duration, u64)>,
    }

    impl Run {
        fn new(rate: u64) -> Self {
            let pace = Pace::new(NonZeroU64::new(rate));
            Self { pace, now: Duration::ZERO, offered: 0, bursts: Vec::new() }
        }

        fn until(&mut self, end: Duration, packet: u64, oversleep: Duration) {
            while self.now < end {
                match self.pace.step(self.now, self.offered) {
                    Step::Wait(time) => self.now += time + oversleep,
                    Step::Send(lines) => {
                        let lines = lines.next_multiple_of(packet);
                        self.offered += lines;
                        self.bursts.push((self.now, lines));
                    }
                }
            }
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const SLACK: Duration = Duration::from_micros(60);

    #[test]
    fn the_rate_is_kept_whatever_the_packet_and_the_sleep() {
        for rate in [1, 3, 999, 50_000, 200_000, 7_000_000] {
            for packet in [1, 45] {
                let mut run = Run::new(rate);
                run.until(SECOND, packet, SLACK);
                let late = lines_in(NonZeroU64::new(rate).unwrap(), 2 * SLACK) + 1;
                assert!(run.offered <= rate + packet, "{rate} {packet}: {}", run.offered);
                assert!(run.offered + late >= rate, "{rate} {packet}: {}", run.offered);
            }
        }
    }

    #[test]
    fn in_step_lines_go_out_one_by_one() {
        let mut run = Run::new(1000);
        run.until(SECOND, 1, Duration::ZERO);
        assert_eq!(run.bursts.len(), 1000);
        assert!(run.bursts.iter().all(|&(_, lines)| lines == 1));
        assert_eq!(run.bursts[7].0, Duration::from_millis(7));
    }

    #[test]
    fn after_a_stall_it_catches_up_at_twice_the_rate_at_most() {
        let mut run = Run::new(100_000);
        run.until(SECOND, 1, SLACK);
        run.now += Duration::from_millis(100);
        run.bursts.clear();
        run.until(SECOND * 2, 1, SLACK);
        assert!(run.bursts.iter().all(|&(_, lines)| lines <= 200));
        for (index, (start, _)) in run.bursts.iter().enumerate() {
            let window = run.bursts[index..].iter().take_while(|(at, _)| *at < *start + 10 * GAP);
            assert!(window.map(|(_, lines)| lines).sum::<u64>() <= 2200);
        }
        assert!(run.offered + 20 >= 200_000, "{}", run.offered);
    }

    #[test]
    fn without_a_rate_it_never_waits() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.step(Duration::ZERO, u64::MAX), Step::Send(UNLIMITED_LINES));
    }

    #[test]
    fn extremes_do_not_overflow() {
        for rate in [1, u64::MAX] {
            let mut pace = Pace::new(NonZeroU64::new(rate));
            pace.step(Duration::MAX - SECOND, 0);
            let mut pace = Pace::new(NonZeroU64::new(rate));
            pace.step(Duration::ZERO, u64::MAX);
        }
    }
}
