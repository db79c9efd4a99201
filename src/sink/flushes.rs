//! [`Flushes`]: the flushes that have not wholly arrived at a destination, and the figures of the
//! last one that has. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Now, Tick, UnixTime};

/// The most flushes that are stored, so that a long outage does not fill the memory. Beyond that,
/// the figures of the oldest flushes are lost, but no data.
const UNDERWAY_MAX: usize = 1024;

/// A flush that was acknowledged to its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArrivedFlush {
    pub(super) at: UnixTime,
    /// The time from the tick of the flush to the acknowledgement of its last byte.
    pub(super) took: Duration,
    pub(super) bytes: u64,
}

/// What shows that flushes which have left the queue have arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrivalSigns {
    /// The outlet can be written to.
    pub(super) is_up: bool,
    /// Lines were delivered since flushes last left the queue.
    pub(super) has_delivered: bool,
}

/// The flushes of one sink.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    underway: VecDeque<FlushUnderway>,
    last: Option<ArrivedFlush>,
}

#[derive(Debug)]
struct FlushUnderway {
    number: u64,
    started: Tick,
    bytes: u64,
}

impl Flushes {
    /// Notes that a flush has begun. Numbers must ascend.
    pub(super) fn start(&mut self, number: u64, now: Tick) {
        if self.underway.len() == UNDERWAY_MAX {
            self.underway.pop_front();
        }
        self.underway.push_back(FlushUnderway { number, started: now, bytes: 0 });
    }

    /// Notes that `bytes` of a flush were queued.
    pub(super) fn grow(&mut self, number: u64, bytes: usize) {
        let flush = self.underway.iter_mut().rev().find(|flush| flush.number == number);
        if let Some(flush) = flush {
            flush.bytes += bytes as u64;
        }
    }

    /// Whether [`arrive`](Self::arrive) would find a flush that has not been noted as arrived yet.
    /// The caller tests this first, because to get the time of the arrival takes a system call.
    pub(super) fn has_arrivals(&self, whole: u64) -> bool {
        self.underway.front().is_some_and(|flush| flush.number <= whole)
    }

    /// Notes that all flushes up to number `whole` have left the queue, the last byte at `acked`.
    /// They count as arrived only if `signs` show it.
    ///
    /// A flush without bytes counts as arrived at its tick if the outlet is up. Otherwise a
    /// destination without the server's own figures would look broken whenever no client sends
    /// anything. If the outlet is down, such a flush does not count, or a broken destination would
    /// look healthy.
    pub(super) fn arrive(&mut self, whole: u64, acked: Tick, signs: ArrivalSigns, now: Now) {
        while self.has_arrivals(whole) {
            let Some(flush) = self.underway.pop_front() else { return };
            // Chunks also leave the queue if they are dropped or spilled.
            let has_arrived = if flush.bytes == 0 { signs.is_up } else { signs.has_delivered };
            if !has_arrived {
                continue;
            }
            let arrived = acked.max(flush.started);
            let ago = u64::try_from((now.tick - arrived).as_millis()).unwrap_or(u64::MAX);
            let at = UnixTime::from_millis(now.unix.as_millis().saturating_sub(ago));
            let took = arrived - flush.started;
            self.last = Some(ArrivedFlush { at, took, bytes: flush.bytes });
        }
    }

    pub(super) fn last(&self) -> Option<ArrivedFlush> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_last_flush_that_arrived() {
        let mut flushes = Flushes::default();
        for number in 1..=3 {
            flushes.start(number, Tick::from_millis(number * 1000));
            flushes.grow(number, 100);
            flushes.grow(number, 11);
        }
        assert_eq!((flushes.last(), flushes.has_arrivals(0)), (None, false));
        assert!(flushes.has_arrivals(2));
        let now = Now { tick: Tick::from_millis(3500), unix: UnixTime::from_secs(78) };
        let signs = ArrivalSigns { is_up: true, has_delivered: true };
        flushes.arrive(2, Tick::from_millis(2500), signs, now);
        let last = ArrivedFlush {
            at: UnixTime::from_secs(77),
            took: Duration::from_millis(500),
            bytes: 111,
        };
        assert_eq!(flushes.last(), Some(last));
        assert!(!flushes.has_arrivals(2));
    }

    /// Shows that a destination to which nothing is sent does not look broken while it is up, and
    /// does not look healthy while it is down.
    #[test]
    fn an_empty_flush_counts_only_if_the_outlet_is_up() {
        let mut flushes = Flushes::default();
        let acked = Tick::from_millis(500);
        let mut empty = |number: u64, is_up| {
            let now = Now {
                tick: Tick::from_millis(number * 1000),
                unix: UnixTime::from_secs(70 + number),
            };
            flushes.start(number, now.tick);
            let signs = ArrivalSigns { is_up, has_delivered: false };
            flushes.arrive(number, acked, signs, now);
            flushes.last().map(|last| (last.at.as_secs(), last.took, last.bytes))
        };
        assert_eq!(empty(1, false), None);
        assert_eq!(empty(2, true), Some((72, Duration::ZERO, 0)));
        assert_eq!(empty(3, false), Some((72, Duration::ZERO, 0)));
        assert_eq!(empty(4, true), Some((74, Duration::ZERO, 0)));
    }

    #[test]
    fn an_outage_does_not_fill_the_memory() {
        let mut flushes = Flushes::default();
        for number in 1..=5000 {
            flushes.start(number, Tick::default());
        }
        assert_eq!(flushes.underway.len(), UNDERWAY_MAX);
        assert!(flushes.has_arrivals(5000) && !flushes.has_arrivals(5000 - UNDERWAY_MAX as u64));
    }
}
