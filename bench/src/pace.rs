//! When to send how much, for a steady rate. Pure: time is an argument.
//!
//! Normally a sender sends each packet when it is due, as independent clients would. If it is late
//! (it was not scheduled, or the peer stalled), it catches up at no more than twice the rate. If it
//! sent all due packets at once, they would overflow a receive buffer and count as the server's
//! loss. A sender that is always late never catches up. Its `Sent` shows the rate that it reached.

use std::time::Duration;

/// The most lines that are sent at once.
const BURST: Duration = Duration::from_millis(2);

/// The pause after a burst while there is more to catch up with.
const GAP: Duration = Duration::from_millis(1);

/// The lines that an unlimited sender sends between two readings of the clock.
const UNLIMITED_LINES: u64 = 4096;

#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Lines per second; 0 means no limit.
    rate: u64,
    resume: Duration,
}

/// The next step of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this many lines, rounded up to whole packets.
    Send(u64),
    /// Nothing is due for this time.
    Wait(Duration),
}

impl Pace {
    pub(crate) fn new(rate: u64) -> Self {
        Self { rate, resume: Duration::ZERO }
    }

    /// The next step, `elapsed` after the start and with `offered` lines sent so far.
    pub(crate) fn step(&mut self, elapsed: Duration, offered: u64) -> Step {
        if self.rate == 0 {
            return Step::Send(UNLIMITED_LINES);
        }
        if elapsed < self.resume {
            return Step::Wait(self.resume - elapsed);
        }
        // The first line is due at once.
        let due = self.lines_in(elapsed) + 1;
        if due <= offered {
            let nanos = (u128::from(offered) * 1_000_000_000).div_ceil(u128::from(self.rate));
            let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            return Step::Wait(time.saturating_sub(elapsed));
        }
        let burst = self.lines_in(BURST).max(1);
        if due - offered <= burst {
            return Step::Send(due - offered);
        }
        self.resume = elapsed + GAP;
        Step::Send(burst)
    }

    fn lines_in(&self, time: Duration) -> u64 {
        u64::try_from(u128::from(self.rate) * time.as_nanos() / 1_000_000_000)
            .unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a sender with a virtual clock. Sending takes no time, and waiting a little more than
    /// the requested time. Between `stall` and 100 ms later it does nothing. Returns the times and
    /// the lines of its sends.
    fn run(rate: u64, packet: u64, stall: Duration) -> Vec<(Duration, u64)> {
        let (mut pace, mut now, mut offered) = (Pace::new(rate), Duration::ZERO, 0);
        let mut sends = Vec::new();
        while now < 2 * SECOND {
            if (stall..stall + 100 * GAP).contains(&now) {
                now = stall + 100 * GAP;
            }
            match pace.step(now, offered) {
                Step::Wait(time) => now += time + Duration::from_micros(60),
                Step::Send(lines) => {
                    let lines = lines.next_multiple_of(packet);
                    offered += lines;
                    sends.push((now, lines));
                }
            }
        }
        sends
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rate_is_kept_whatever_the_packet_and_the_sleep() {
        for rate in [1, 3, 999, 50_000, 200_000, 7_000_000] {
            for packet in [1, 45] {
                let sent: u64 = run(rate, packet, 3 * SECOND).iter().map(|(_, lines)| lines).sum();
                assert!(sent <= 2 * rate + packet, "{rate} {packet}: {sent}");
                assert!(sent + rate / 8_000 + 1 >= 2 * rate, "{rate} {packet}: {sent}");
            }
        }
    }

    #[test]
    fn after_a_stall_it_catches_up_at_twice_the_rate_at_most() {
        let sends = run(100_000, 1, SECOND);
        for (index, (start, _)) in sends.iter().enumerate() {
            let window = sends[index..].iter().take_while(|(at, _)| *at < *start + 10 * GAP);
            assert!(window.map(|(_, lines)| lines).sum::<u64>() <= 2200);
        }
        assert!(sends.iter().map(|(_, lines)| lines).sum::<u64>() + 20 >= 200_000);
    }
}
