//! The series that make room for others. [`LongIdle`] has those that are evicted for new ones when
//! the table is full: those idle for longest, noted by the sweep. If there is none,
//! [`NewestSeries`](super::newest_series::NewestSeries) finds a new one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::membership::{Group, Membership};
use super::series::Series;
use super::series_groups::SeriesGroups;
use super::shard::{SeriesPlace, TakenSeries};
use super::shards::Shards;

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
    /// Whether it is not of the largest group. Such series are evicted last.
    is_of_others: bool,
    /// The number of intervals without a sample.
    intervals: Reverse<u32>,
    /// The number of the interval of its last sample. If that number has changed, the series is no
    /// longer idle.
    pub(super) seen: u32,
    pub(super) place: SeriesPlace,
}

/// The most series that can be evicted in one interval. They take 80 KiB, and sorting them takes a
/// small part of a slice of the sweep.
pub(super) const LONG_IDLE_MAX: usize = 4096;

impl LongIdle {
    pub(super) fn new(after: u32) -> Self {
        Self { after, found: BinaryHeap::new(), ready: Vec::new().into_iter() }
    }

    /// Sets the number of idle flushes, from the next sweep on.
    pub(super) fn set_after(&mut self, after: u32) {
        self.after = after;
    }

    /// Whether a series has been idle for `after` flushes, so that it may be evicted, whichever its
    /// groups are.
    #[inline]
    pub(super) fn is_long(&self, idleness: Idleness) -> bool {
        idleness.idle >= self.after
    }

    /// Notes a series without a recent sample, if it is among the longest idle. A series of the
    /// largest group that had samples in one interval alone need not be idle for long.
    #[inline(never)]
    pub(super) fn note(
        &mut self,
        idleness: Idleness,
        is_established: bool,
        (place, membership): (SeriesPlace, &Membership),
        groups: &SeriesGroups,
    ) {
        let is_of_others = !membership.is_in(groups.largest_group());
        if !self.is_long(idleness) && (is_of_others || is_established) {
            return;
        }
        let Idleness { idle: intervals, seen, .. } = idleness;
        let intervals = Reverse(intervals);
        let idle = IdleSeries { is_of_others, intervals, seen, place };
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

    /// The series that [`next`](Self::next) would return.
    pub(super) fn ready(&self) -> &[IdleSeries] {
        self.ready.as_slice()
    }

    /// Returns the next series idle for longest. It may have had samples since the sweep, or be
    /// removed.
    fn next(&mut self) -> Option<IdleSeries> {
        self.ready.next()
    }

    /// Takes out the series that has been idle for longest, one of the largest group if it has one.
    /// `newcomer` takes its place. Returns `None` if the last sweep noted none that can still be
    /// evicted for it.
    pub(super) fn take_for(
        &mut self,
        newcomer: &Membership,
        shards: &mut Shards,
    ) -> Option<TakenSeries> {
        while let Some(idle) = self.ready().first().copied() {
            if !idle.can_be_evicted_for(newcomer, shards.groups.largest_group()) {
                return None;
            }
            self.next();
            // The place may hold another series by now, or this one may have had a sample.
            if shards.get(idle.place).is_none_or(|series| series.seen() != idle.seen) {
                continue;
            }
            if shards.series_of_clean_name(idle.place).is_some() {
                // A merged series stays while there is a series with its clean name. Otherwise
                // destinations with cleaned names would get the values of that one alone. It has
                // been idle for as long, so it is evicted itself.
                continue;
            }
            let taken = shards.take(idle.place);
            if taken.is_some() {
                return taken;
            }
        }
        None
    }
}

/// How long a series has had no sample, before the sweep closes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idleness {
    /// Whether this sweep still has to close an interval of the series.
    pub(super) closes_interval: bool,
    /// The number of intervals without a sample.
    pub(super) idle: u32,
    /// The number of the interval of its last sample.
    seen: u32,
}

impl Idleness {
    #[inline]
    pub(super) fn of(series: &Series, tick: u32) -> Self {
        let closes_interval = !series.is_closed(tick);
        Self { closes_interval, idle: series.idle(tick), seen: series.seen() }
    }
}

/// The series that made room for others.
#[derive(Debug, Default)]
pub(super) struct Evicted {
    /// Those with an interval that the sweep in progress must still close.
    pub(super) open: Vec<TakenSeries>,
    /// The samples that they had in the open interval. They are lost.
    pub(super) samples: u64,
}

impl Evicted {
    /// Notes what is lost with a series that was evicted. If the sweep must still send its interval
    /// before the tick, the series is kept for that. Otherwise it is returned, to be released.
    pub(super) fn add(&mut self, mut taken: TakenSeries, tick: u32) -> Option<TakenSeries> {
        if taken.series.seen() == tick {
            self.samples += u64::from(taken.series.take_samples());
        }
        if taken.series.is_closed(tick) {
            return Some(taken);
        }
        self.open.push(taken);
        None
    }

    /// Whether the sweep has closed all of them.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl IdleSeries {
    /// Whether the series may be evicted for a newcomer. The largest group takes the place of its
    /// own series alone.
    pub(super) fn can_be_evicted_for(&self, newcomer: &Membership, largest: Option<Group>) -> bool {
        !self.is_of_others || !newcomer.is_in(largest)
    }
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::super::shard::SeriesSlot;
    use super::*;

    /// Notes an idle series with the interval of its last sample.
    fn note(idle: &mut LongIdle, intervals: u32, at: u32) {
        idle.note(
            Idleness { closes_interval: false, idle: intervals, seen: 0 },
            false,
            (SeriesPlace::new(7, SeriesSlot { hash: 1, at }), &Membership::default()),
            &SeriesGroups::default(),
        );
    }

    #[test]
    fn the_longest_idle_come_first_and_their_number_is_bounded() {
        let mut idle = LongIdle::new(3);
        let count = 3 * u32::try_from(LONG_IDLE_MAX).unwrap();
        let mut in_no_order: Vec<_> = (0..count).collect();
        Random::new(1).shuffle(&mut in_no_order);
        for intervals in in_no_order {
            note(&mut idle, intervals, intervals);
        }
        assert_eq!(idle.next(), None, "the sweep is still under way");
        idle.end_sweep();
        let given: Vec<_> =
            std::iter::from_fn(|| idle.next()).map(|idle| idle.place.slot().at).collect();
        assert_eq!(given.len(), LONG_IDLE_MAX);
        assert!(given.is_sorted_by(|a, b| a >= b));
        assert!(given[0] >= count - 10, "{}", given[0]);
    }

    /// Shows that the series of the largest group come first, and need not be idle for long unless
    /// they are established.
    #[test]
    fn the_largest_group_comes_first() {
        let hash = |text: &[u8]| ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(text);
        let membership = |name: &str| Membership::new(name.as_bytes(), 1, hash);
        let mut groups = SeriesGroups::default();
        (0..9).for_each(|n| groups.add(&membership(&format!("junk.x.{n}"))));
        groups.add(&membership("app.web.a"));
        let mut idle = LongIdle::new(3);
        for (at, intervals, name, is_established) in [
            (1, 1, "junk.x.2", false),
            (2, 9, "app.web.a", false),
            (3, 2, "app.web.a", false),
            (4, 2, "junk.x.3", false),
            (5, 2, "junk.x.1", true),
            (6, 3, "junk.x.1", true),
        ] {
            let idleness = Idleness { closes_interval: false, idle: intervals, seen: 0 };
            let place = SeriesPlace::new(0, SeriesSlot { hash: 1, at });
            idle.note(idleness, is_established, (place, &membership(name)), &groups);
        }
        idle.end_sweep();
        let ready: Vec<_> = idle.ready().iter().map(|idle| idle.place.slot().at).collect();
        assert_eq!(ready, [6, 4, 1, 2]);
        let can_be_evicted = |name: &str| {
            idle.ready()[3].can_be_evicted_for(&membership(name), groups.largest_group())
        };
        assert!(can_be_evicted("app.web.b") && !can_be_evicted("junk.x.4"));
    }
}
