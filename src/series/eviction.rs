//! The series that are evicted for new ones when the table is full: those idle for longest, noted
//! by the sweep.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::shard::SeriesSlot;

/// The series that were idle for longest at the last sweep. Each is returned once, so that a new
/// series costs no search.
#[derive(Debug)]
pub(super) struct LongIdle {
    /// The number of consecutive idle flushes after which a series may be evicted.
    after: u32,
    /// The series that the sweep in progress has found. The one idle for the shortest time is on
    /// top, to be replaced by one idle for longer.
    found: BinaryHeap<IdleSeries>,
    /// The series that the last sweep found, those idle for longest first.
    ready: std::vec::IntoIter<IdleSeries>,
}

/// An idle series at the time of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IdleSeries {
    /// The number of intervals without a sample.
    intervals: Reverse<u32>,
    /// The number of the interval of its last sample. If that number has changed, the series is no
    /// longer idle.
    pub(super) seen: u32,
    pub(super) shard: u16,
    pub(super) slot: SeriesSlot,
}

/// The most series that can be evicted in one interval. They take 80 KiB, and sorting them takes a
/// small part of a slice of the sweep.
pub(super) const LONG_IDLE_MAX: usize = 4096;

impl LongIdle {
    pub(super) fn new(after: u32) -> Self {
        Self { after, found: BinaryHeap::new(), ready: Vec::new().into_iter() }
    }

    /// Sets the number of idle flushes, from the next sweep on.
    pub(super) fn wait(&mut self, after: u32) {
        self.after = after;
    }

    /// Notes a series that had no sample in the last `intervals`, if it is among the longest idle.
    ///
    /// It is inlined because a sweep calls it for every series, and few of them are idle for long.
    #[inline]
    pub(super) fn note(&mut self, intervals: u32, seen: u32, shard: usize, slot: SeriesSlot) {
        if intervals >= self.after {
            self.note_idle(intervals, seen, shard, slot);
        }
    }

    #[inline(never)]
    fn note_idle(&mut self, intervals: u32, seen: u32, shard: usize, slot: SeriesSlot) {
        let shard = u16::try_from(shard).expect("there are 256 shards");
        let idle = IdleSeries { intervals: Reverse(intervals), seen, shard, slot };
        if self.found.len() < LONG_IDLE_MAX {
            self.found.push(idle);
        } else if let Some(mut least) = self.found.peek_mut()
            && idle < *least
        {
            *least = idle;
        }
    }

    /// Ends the sweep. The series that it found can be evicted from now on.
    pub(super) fn end_sweep(&mut self) {
        self.ready = std::mem::take(&mut self.found).into_sorted_vec().into_iter();
    }

    /// Returns the next series idle for longest. It may have had samples since the sweep, or be
    /// removed.
    pub(super) fn next(&mut self) -> Option<IdleSeries> {
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
            idle.note(intervals, 0, 7, SeriesSlot { hash: 1, at: intervals });
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
        idle.note(2, 0, 0, SeriesSlot { hash: 1, at: 1 });
        idle.end_sweep();
        assert_eq!(idle.next(), None);
    }
}
