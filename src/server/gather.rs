//! Gathering: a busy loop naps to its next millisecond instead of being woken for each packet. Pure.
//!
//! Being woken costs more than parsing what woke it, and StatsD has no latency to keep. So where wake-ups by input come
//! often, the loop sleeps a moment and takes all that has come meanwhile; where they are rare it is woken as ever. A socket
//! that fills up faster than that ends the naps until it is drained.

use std::time::Duration;

use crate::time::Tick;

/// When to nap.
#[derive(Debug, Default)]
pub(super) struct Gather {
    on: bool,
    /// Turns since `since` that input began.
    woken: u32,
    since: Tick,
    /// A socket is filling up.
    hurries: bool,
}

/// How long wake-ups are counted before it is decided anew.
const WINDOW: Duration = Duration::from_secs(1);
/// From so many wake-ups a second a thousand naps cost less (bench/README.md has the figures).
const ON: u32 = 1500;
/// So few naps that end with something to read, of a thousand, mean that wake-ups would cost less again.
const OFF: u32 = 600;
const NAP_MICROS: u64 = 1000;

impl Gather {
    /// A turn begins because of input. Returns whether sockets should be looked at for how full they are.
    pub(super) fn woken(&mut self) -> bool {
        self.woken += 1;
        self.on
    }

    /// A socket holds so much that it cannot wait for a nap.
    pub(super) fn hurry(&mut self) {
        self.hurries = true;
    }

    /// How long to sleep now, with nothing left to do until `deadline`.
    pub(super) fn nap(&mut self, now: Tick, deadline: Option<Tick>) -> Option<Duration> {
        let counted = now - self.since;
        if counted >= WINDOW {
            let most = if self.on { OFF } else { ON };
            // A window that was slept through counts for what it had in each second.
            self.on = u128::from(self.woken) * WINDOW.as_millis()
                >= u128::from(most) * counted.as_millis();
            (self.woken, self.since) = (0, now);
        }
        if !self.on || std::mem::take(&mut self.hurries) {
            return None;
        }
        let left = Duration::from_micros(NAP_MICROS - now.as_micros() % NAP_MICROS);
        let due = deadline.map_or(left, |deadline| now.until(deadline));
        Some(left.min(due)).filter(|nap| !nap.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets come at this rate for so many seconds; returns the wake-ups, and whether it naps in the end.
    fn run(gather: &mut Gather, start: Tick, packets_a_second: u64, seconds: u64) -> (u64, bool) {
        let (mut now, mut wakes, mut naps) = (start, 0, false);
        let end = start + Duration::from_secs(seconds);
        let gap = Duration::from_micros(1_000_000 / packets_a_second);
        let mut next = now + gap;
        while now < end {
            match gather.nap(now, None) {
                Some(nap) => (now, naps) = (now + nap, true),
                None => (now, naps) = (now.max(next), false),
            }
            wakes += 1;
            if next <= now {
                gather.woken();
            }
            while next <= now {
                next = next + gap;
            }
        }
        (wakes, naps)
    }

    #[test]
    fn a_busy_loop_naps_and_a_quiet_one_is_woken() {
        let mut gather = Gather::default();
        let at = Tick::from_millis(5_000);
        assert_eq!(run(&mut gather, at, 100, 5), (500, false));
        let at = at + Duration::from_secs(5);
        let (wakes, naps) = run(&mut gather, at, 50_000, 5);
        assert!(
            naps && wakes < 50_000 + 4 * 1100,
            "{wakes}: woken for a second, then a thousand naps in each"
        );
        let at = at + Duration::from_secs(5);
        assert!(run(&mut gather, at, 1000, 5).1, "it stays on for a while");
        let at = at + Duration::from_secs(5);
        assert!(!run(&mut gather, at, 400, 5).1);
    }

    #[test]
    fn it_naps_past_no_deadline_and_not_while_a_socket_fills_up() {
        let mut gather = Gather { on: true, since: Tick::from_micros(900), ..Gather::default() };
        let micros = |micros| Some(Duration::from_micros(micros));
        assert_eq!(gather.nap(Tick::from_micros(1300), None), micros(700));
        assert_eq!(gather.nap(Tick::from_micros(1300), Some(Tick::from_micros(1500))), micros(200));
        assert_eq!(gather.nap(Tick::from_micros(1300), Some(Tick::from_micros(1200))), None);
        gather.hurry();
        assert_eq!(gather.nap(Tick::from_micros(1300), None), None);
        assert_eq!(gather.nap(Tick::from_micros(1300), None), micros(700));
    }
}
