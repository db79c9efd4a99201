//! Gathering: a busy loop naps for a few milliseconds instead of being woken for each packet. Pure.
//!
//! A wake-up costs more than parsing the packet that caused it, and StatsD promises no latency. So
//! if input wakes the loop often, the loop naps and then reads everything that has arrived
//! meanwhile. If input is rare, the loop waits for events as usual.
//!
//! The length of a nap depends on how full the receive buffers are after it. The datagrams that
//! arrive during a nap must always fit. So there are no naps while datagrams arrive at a unix
//! socket with a short queue.

use crate::ingest::datagrams::SHORT_QUEUE;
use std::time::Duration;

use crate::time::Tick;

/// When to nap, and for how long.
#[derive(Debug, Default)]
pub(in crate::server) struct Gather {
    on: bool,
    /// Turns that input has begun, since `since`.
    woken: u32,
    /// Naps since `since`.
    naps: u32,
    /// The start of the window in which both are counted.
    since: Tick,
    /// How full the fullest socket was, of those measured since the last nap was planned.
    fill: Fill,
}

/// How full the receive buffer of a socket is, or the queue of a unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Fill {
    /// So little that several times as much would still fit.
    #[default]
    Low,
    Some,
    /// A quarter or more: it must be read at once.
    High,
}

/// How long wake-ups are counted before the decision whether to nap is made again.
const WINDOW: Duration = Duration::from_secs(1);
/// From this many wake-ups a second on, naps cost less (bench/runs has the figures). Once the loop
/// naps, it goes on as long as more than every other nap ends with something to read.
const ON: u32 = 1000;
/// A nap ends at the next multiple of one of these.
const SHORT_MICROS: u64 = 1000;
const LONG_MICROS: u64 = 4000;

impl Fill {
    fn of(taken: u32, room: u32) -> Self {
        if taken >= room / 4 || room < SHORT_QUEUE {
            Self::High
        } else if taken >= room / 32 {
            Self::Some
        } else {
            Self::Low
        }
    }
}

impl Gather {
    /// Notes that a turn begins because of input.
    pub(in crate::server) fn note_input(&mut self) {
        self.woken += 1;
    }

    /// Whether the loop naps. If so, it must note how full the sockets are.
    pub(in crate::server) fn is_on(&self) -> bool {
        self.on
    }

    /// Notes that `taken` of the `room` bytes of a socket's receive buffer are in use. For a unix
    /// socket these are numbers of datagrams: those that were received, and those that fit.
    pub(in crate::server) fn note_fill(&mut self, taken: u32, room: u32) {
        self.fill = self.fill.max(Fill::of(taken, room));
    }

    /// Returns how long to nap now, given that there is nothing to do until `deadline`. Returns
    /// `None` if the loop must wait for events instead.
    pub(super) fn nap(&mut self, now: Tick, deadline: Option<Tick>) -> Option<Duration> {
        let counted = now - self.since;
        if counted >= WINDOW {
            // A window may be longer than a second if nothing woke the loop. Its rate counts.
            let often =
                u128::from(self.woken) * WINDOW.as_millis() >= u128::from(ON) * counted.as_millis();
            self.on = if self.on { self.woken * 2 > self.naps } else { often };
            self.woken = 0;
            self.naps = 0;
            self.since = now;
        }
        let step = match std::mem::take(&mut self.fill) {
            _ if !self.on => return None,
            Fill::High => return None,
            Fill::Some => SHORT_MICROS,
            Fill::Low => LONG_MICROS,
        };
        let left = Duration::from_micros(step - now.as_micros() % step);
        let due = deadline.map_or(left, |deadline| now.until(deadline));
        let nap = Some(left.min(due)).filter(|nap| !nap.is_zero());
        self.naps += u32::from(nap.is_some());
        nap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates packets at this rate for `seconds`. Returns the number of wake-ups, and whether
    /// the loop naps at the end.
    fn run(gather: &mut Gather, start: Tick, packets_a_second: u64, seconds: u64) -> (u64, bool) {
        let mut now = start;
        let mut wakes = 0;
        let mut naps = false;
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
                gather.note_input();
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
            naps && wakes < 50_000 + 4 * 260,
            "{wakes}: woken for a second, then 250 naps in each"
        );
        let at = at + Duration::from_secs(5);
        assert!(run(&mut gather, at, 500, 5).1, "it stays on for a while");
        let at = at + Duration::from_secs(5);
        assert!(!run(&mut gather, at, 100, 5).1);
    }

    #[test]
    fn naps_are_as_long_as_the_buffers_allow() {
        let mut gather = Gather { on: true, since: Tick::from_micros(900), ..Gather::default() };
        let micros = |micros| Some(Duration::from_micros(micros));
        for (taken, nap) in [(0, micros(2700)), (31, micros(2700)), (32, micros(700)), (256, None)]
        {
            gather.note_fill(taken, 1024);
            gather.note_fill(0, 1024);
            assert_eq!(gather.nap(Tick::from_micros(1300), None), nap, "{taken} of 1024");
        }
    }

    #[test]
    fn there_is_no_nap_after_input_from_a_short_queue() {
        let mut gather = Gather { on: true, since: Tick::from_micros(900), ..Gather::default() };
        gather.note_fill(1, 10);
        assert_eq!(gather.nap(Tick::from_micros(1300), None), None);
        assert!(gather.nap(Tick::from_micros(1300), None).is_some(), "nothing has arrived there");
    }

    #[test]
    fn no_nap_passes_a_deadline() {
        let mut gather = Gather { on: true, since: Tick::from_micros(900), ..Gather::default() };
        let mut nap = |until| gather.nap(Tick::from_micros(1300), Some(Tick::from_micros(until)));
        assert_eq!(nap(1500), Some(Duration::from_micros(200)));
        assert_eq!(nap(1200), None);
    }
}
