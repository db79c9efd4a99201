//! The flushes that are on their way to a sink, and the figures of the last that arrived. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Tick, UnixTime};

/// The most flushes that are stored. In an outage of more flushes, the figures of the oldest ones
/// are lost, but no data.
const UNDERWAY: usize = 1024;

/// A flush that was acknowledged to its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) at: UnixTime,
    /// The time from its tick to the acknowledgement of its last byte.
    pub(super) took: Duration,
    pub(super) bytes: u64,
}

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

    /// Whether a flush up to number `whole` has not been noted as arrived yet.
    pub(super) fn is_news(&self, whole: u64) -> bool {
        self.underway.front().is_some_and(|flush| flush.number <= whole)
    }

    /// Notes that all flushes up to number `whole` have arrived, and the last byte at `tick`.
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
    fn the_last_that_arrived_says_how_it_went() {
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
