//! Who makes way for new series when the table is full: those idle the longest, noted by the sweep.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::shard::Slot;

/// The series idle for longest, as of the last sweep. Each is given out once, so a new series costs no search.
#[derive(Debug)]
pub(super) struct LongIdle {
    /// How many flushes on end a series must be idle at to make way.
    after: u32,
    /// What the sweep under way has found; the least idle on top, to be given up for a longer idle one.
    found: BinaryHeap<Idle>,
    /// What the sweep before found, the longest idle first.
    ready: std::vec::IntoIter<Idle>,
}

/// A series as it was when the sweep passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Idle {
    /// Intervals without a sample.
    intervals: Reverse<u32>,
    /// The number of the interval of its last sample: another number by now, and it is not idle any more.
    pub(super) seen: u32,
    pub(super) shard: u16,
    pub(super) slot: Slot,
}

/// How many can make way in one interval: 80 KiB, sorted in a small part of a slice.
pub(super) const LONG_IDLE_MAX: usize = 4096;

impl LongIdle {
    pub(super) fn new(after: u32) -> Self {
        Self { after, found: BinaryHeap::new(), ready: Vec::new().into_iter() }
    }

    /// From the next sweep on, so many flushes on end.
    pub(super) fn wait(&mut self, after: u32) {
        self.after = after;
    }

    /// Notes a series that had no sample in the last `intervals`, if it is among the longest idle.
    pub(super) fn note(&mut self, intervals: u32, seen: u32, shard: usize, slot: Slot) {
        if intervals < self.after {
            return;
        }
        let shard = u16::try_from(shard).expect("there are 256 shards");
        let idle = Idle { intervals: Reverse(intervals), seen, shard, slot };
        if self.found.len() < LONG_IDLE_MAX {
            self.found.push(idle);
        } else if let Some(mut least) = self.found.peek_mut()
            && idle < *least
        {
            *least = idle;
        }
    }

    /// The sweep is over: what it found is to be had.
    pub(super) fn end_sweep(&mut self) {
        self.ready = std::mem::take(&mut self.found).into_sorted_vec().into_iter();
    }

    /// The longest idle that is left. It may have had samples since, or be gone.
    pub(super) fn next(&mut self) -> Option<Idle> {
        self.ready.next()
    }
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    #[test]
    fn the_longest_idle_come_first_and_their_number_is_bounded() {
        let mut idle = LongIdle::new(3);
        let count = 3 * u32::try_from(LONG_IDLE_MAX).unwrap();
        let mut in_no_order: Vec<_> = (0..count).collect();
        Random::new(1).shuffle(&mut in_no_order);
        for intervals in in_no_order {
            idle.note(intervals, 0, 7, Slot { hash: 1, at: intervals });
        }
        assert_eq!(idle.next(), None, "the sweep is still under way");
        idle.end_sweep();
        let given: Vec<_> = std::iter::from_fn(|| idle.next()).map(|idle| idle.slot.at).collect();
        assert_eq!(given.len(), LONG_IDLE_MAX);
        assert!(given.is_sorted_by(|a, b| a >= b));
        assert!(given[0] >= count - 10, "{}", given[0]);
    }

    #[test]
    fn who_is_not_idle_for_long_stays() {
        let mut idle = LongIdle::new(3);
        idle.note(2, 0, 0, Slot { hash: 1, at: 1 });
        idle.end_sweep();
        assert_eq!(idle.next(), None);
    }
}
