//! [`Flushes`]: the flushes that have not wholly arrived at a destination, and the figures of the
//! last one that has. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Tick, UnixTime};

/// The most flushes that are stored, so that a long outage does not fill the memory. Beyond that,
/// the figures of the oldest flushes are lost, but no data.
const UNDERWAY: usize = 1024;

/// A flush that was acknowledged to its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) at: UnixTime,
    /// The time from the tick of the flush to the acknowledgement of its last byte.
    pub(super) took: Duration,
    pub(super) bytes: u64,
}

/// The flushes of one sink.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    underway: VecDeque<Underway>,
    last: Option<Arrived>,
}

#[derive(Debug)]
struct Underway {
    number: u64,
    started: Tick,
    bytes: u64,
}

impl Flushes {
    /// Notes that a flush has begun. Numbers must ascend.
    pub(super) fn start(&mut self, number: u64, now: Tick) {
        if self.underway.len() == UNDERWAY {
            self.underway.pop_front();
        }
        self.underway.push_back(Underway { number, started: now, bytes: 0 });
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
    pub(super) fn is_news(&self, whole: u64) -> bool {
        self.underway.front().is_some_and(|flush| flush.number <= whole)
    }

    /// Notes that all flushes up to number `whole` have arrived, the last byte at `tick`, which is
    /// `at` on the wall clock.
    pub(super) fn arrive(&mut self, whole: u64, tick: Tick, at: UnixTime) {
        while self.is_news(whole) {
            let arrived =
                |flush: Underway| Arrived { at, took: tick - flush.started, bytes: flush.bytes };
            self.last = self.underway.pop_front().map(arrived);
        }
    }

    pub(super) fn last(&self) -> Option<Arrived> {
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
        assert_eq!((flushes.last(), flushes.is_news(0)), (None, false));
        assert!(flushes.is_news(2));
        flushes.arrive(2, Tick::from_millis(2500), UnixTime::from_secs(77));
        let last =
            Arrived { at: UnixTime::from_secs(77), took: Duration::from_millis(500), bytes: 111 };
        assert_eq!(flushes.last(), Some(last));
        assert!(!flushes.is_news(2));
    }

    #[test]
    fn an_outage_does_not_fill_the_memory() {
        let mut flushes = Flushes::default();
        for number in 1..=5000 {
            flushes.start(number, Tick::default());
        }
        assert_eq!(flushes.underway.len(), UNDERWAY);
        assert!(flushes.is_news(5000) && !flushes.is_news(5000 - UNDERWAY as u64));
    }
}
