//! The series that make room for others. [`LongIdle`] has those that are evicted for new ones when
//! the table is full: those idle for longest, noted by the sweep. [`Largest`] has those that hold
//! most memory in the open interval, found without reading any other series.
//!
//! [`Largest`]: a series is noted when a large buffer of it grows, or is carried over from the
//! interval before. A buffer grows once for each doubling, so this costs almost nothing for a
//! sample.
//!
//! The notes are in classes, one for each power of two of the size. The last note in the highest
//! class counts as the largest series, which is right up to a factor of two. A heap would be exact,
//! but would move an entry at each growth.
//!
//! A note may be stale: its series may have grown, or be condensed or removed. The caller checks
//! the series.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::bounds::LARGE;
use super::memory::Pool;
use super::owner::{Group, Owner};
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

    /// Whether a series has been idle for `after` flushes, so that it may be evicted, whatever its
    /// owner is.
    #[inline]
    pub(super) fn is_long(&self, rest: Idleness) -> bool {
        rest.idle >= self.after
    }

    /// Notes a series without a recent sample, if it is among the longest idle. A series of the
    /// largest group that had samples in one interval alone need not be idle for long.
    #[inline(never)]
    pub(super) fn note(
        &mut self,
        rest: Idleness,
        is_known: bool,
        (place, owner): (SeriesPlace, &Owner),
        groups: &SeriesGroups,
    ) {
        let is_of_others = !owner.is_in(groups.largest_group());
        if !self.is_long(rest) && (is_of_others || is_known) {
            return;
        }
        let Idleness { idle: intervals, seen, .. } = rest;
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
        newcomer: &Owner,
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
    /// Whether an interval of it is closed now.
    pub(super) was_open: bool,
    /// The number of intervals without a sample.
    pub(super) idle: u32,
    /// The number of the interval of its last sample.
    seen: u32,
}

impl Idleness {
    #[inline]
    pub(super) fn of(series: &Series, tick: u32) -> Self {
        let was_open = !series.is_closed(tick);
        Self { was_open, idle: series.idle(tick), seen: series.seen() }
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
    /// Whether the sweep has closed all of them.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl IdleSeries {
    /// Whether the series may be evicted for a newcomer. The largest group takes the place of its
    /// own series alone.
    pub(super) fn can_be_evicted_for(&self, newcomer: &Owner, largest: Option<Group>) -> bool {
        !self.is_of_others || !newcomer.is_in(largest)
    }
}

/// Notes of the series that hold most memory in the open interval.
#[derive(Debug)]
pub(super) struct Largest {
    /// One list for each power of two of the bytes held, the smallest first.
    classes: Vec<Vec<SeriesPlace>>,
    /// The bytes that all holders can have together. It bounds the number of notes.
    limit: usize,
}

impl Largest {
    pub(super) fn new(limit: usize) -> Self {
        Self { classes: Vec::new(), limit }
    }

    pub(super) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Notes that a series holds this many bytes, unless they are few.
    pub(super) fn note(&mut self, bytes: usize, holder: SeriesPlace) {
        if bytes >= LARGE {
            self.note_large(bytes, holder);
        }
    }

    fn note_large(&mut self, bytes: usize, holder: SeriesPlace) {
        let class = (bytes / LARGE).ilog2();
        if self.classes.len() <= class as usize {
            self.classes.resize(class as usize + 1, Vec::new());
        }
        let notes = &mut self.classes[class as usize];
        // Series that are deleted and created again leave stale notes. So there are at most twice
        // as many notes as there can be holders.
        if notes.len() <= (self.limit >> class) / (LARGE / 2) {
            notes.push(holder);
        }
    }

    /// Takes the note of the largest series.
    fn pop(&mut self) -> Option<SeriesPlace> {
        while let Some(notes) = self.classes.last_mut() {
            if let Some(holder) = notes.pop() {
                return Some(holder);
            }
            self.classes.pop();
        }
        None
    }

    /// Condenses the largest series until the pool has room again. Each one takes time, so a call
    /// condenses at most a few. `tick` is the number of the open interval.
    pub(super) fn condense(&mut self, shards: &mut Shards, pool: &mut Pool, tick: u32) {
        const AT_ONCE: usize = 16;
        let needed = pool.take_refused();
        for _ in 0..AT_ONCE {
            if pool.has_room(needed) {
                return;
            }
            let Some(largest) = self.pop() else { return };
            // The note may be stale. Condensing a small or another series does no harm: it frees
            // little, and the next note follows.
            if let Some(series) = shards.get_mut(largest) {
                series.condense(tick, pool);
                self.note(pool.take_grown(), largest);
            }
        }
    }

    /// Whether no series is noted.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(Vec::is_empty)
    }

    /// Removes all notes, at the beginning of an interval.
    pub(super) fn clear(&mut self) {
        self.classes.clear();
    }
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::super::shard::SeriesSlot;
    use super::*;

    /// Shows that an explanation may copy a large timer: the copy has no limit.
    #[test]
    fn a_large_holder_is_noted_without_a_limit() {
        let mut largest = Largest::new(usize::MAX);
        let holder = SeriesPlace::new(1, SeriesSlot { hash: 1, at: 2 });
        largest.note(LARGE, holder);
        assert_eq!((largest.pop(), largest.pop()), (Some(holder), None));
    }

    /// Notes an idle series with the interval of its last sample.
    fn note(idle: &mut LongIdle, intervals: u32, at: u32) {
        idle.note(
            Idleness { was_open: false, idle: intervals, seen: 0 },
            false,
            (SeriesPlace::new(7, SeriesSlot { hash: 1, at }), &Owner::default()),
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
    /// they are known.
    #[test]
    fn the_largest_group_comes_first() {
        let hash = |text: &[u8]| ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(text);
        let owner = |name: &str| Owner::new(name.as_bytes(), 1, hash);
        let mut groups = SeriesGroups::default();
        (0..9).for_each(|n| groups.add(&owner(&format!("junk.x.{n}"))));
        groups.add(&owner("app.web.a"));
        let mut idle = LongIdle::new(3);
        for (at, intervals, name, is_known) in [
            (1, 1, "junk.x.2", false),
            (2, 9, "app.web.a", false),
            (3, 2, "app.web.a", false),
            (4, 2, "junk.x.3", false),
            (5, 2, "junk.x.1", true),
            (6, 3, "junk.x.1", true),
        ] {
            let rest = Idleness { was_open: false, idle: intervals, seen: 0 };
            let place = SeriesPlace::new(0, SeriesSlot { hash: 1, at });
            idle.note(rest, is_known, (place, &owner(name)), &groups);
        }
        idle.end_sweep();
        let ready: Vec<_> = idle.ready().iter().map(|idle| idle.place.slot().at).collect();
        assert_eq!(ready, [6, 4, 1, 2]);
        let can_be_evicted =
            |name: &str| idle.ready()[3].can_be_evicted_for(&owner(name), groups.largest_group());
        assert!(can_be_evicted("app.web.b") && !can_be_evicted("junk.x.4"));
    }

    fn holder(at: u32) -> SeriesPlace {
        SeriesPlace::new(0, SeriesSlot { hash: 0, at })
    }

    #[test]
    fn the_largest_comes_first_and_small_ones_never() {
        let mut largest = Largest::new(1 << 20);
        for (at, bytes) in [(1, 4096), (2, LARGE - 1), (3, 100_000), (4, 2048), (5, 70_000)] {
            largest.note(bytes, holder(at));
        }
        let order: Vec<_> =
            std::iter::from_fn(|| largest.pop()).map(|known| known.slot().at).collect();
        assert_eq!(order, [5, 3, 1, 4], "70,000 and 100,000 are of one class");
        largest.note(4096, holder(6));
        largest.clear();
        assert_eq!(largest.pop(), None);
    }

    #[test]
    fn notes_are_bounded_by_the_holders_there_can_be() {
        let mut largest = Largest::new(10 * LARGE);
        (0..1000).for_each(|at| largest.note(LARGE, holder(at)));
        assert_eq!(std::iter::from_fn(|| largest.pop()).count(), 21);
    }
}
