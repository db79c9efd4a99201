//! The series that make room for others. [`LongIdle`] has those that are evicted for new ones when
//! the table is full: those idle for longest, noted by the sweep. If there is none,
//! [`NewestSeries`](super::newest_series::NewestSeries) finds a new one.

use std::collections::BinaryHeap;

use super::membership::Membership;
use super::series::Series;
use super::series_groups::{RoomClaim, SeriesGroups};
use super::shard::{SeriesPlace, TakenSeries};
use super::shards::Shards;

/// The series that were idle for longest at the last sweep. Each is returned once, so that a new
/// series costs no search.
#[derive(Debug)]
pub(super) struct LongIdle {
    /// The number of consecutive idle flushes after which a series may be evicted.
    after: u32,
    /// The dormant series that the sweep in progress has found.
    dormant: SeriesGroups,
    /// The series that the sweep in progress has found. The one idle for the shortest time is on
    /// top, to be replaced by one idle for longer.
    found: BinaryHeap<IdleSeries>,
    /// The series of each [`IdleClass`] that the last sweep found.
    ready: [std::vec::IntoIter<IdleSeries>; IDLE_CLASSES],
}

/// Which idle series are evicted first, and for which names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IdleClass {
    /// It is one of the flood, and has been idle for `evict_after`. Those idle for longest are
    /// first.
    LongOfFlood,
    /// It is one of the flood that had values in one interval alone. Those idle for the shortest
    /// time are first, so that a flood takes the place of its own names, and not that of a gauge
    /// that was sent once, long before them.
    NewOfFlood,
    /// It has been idle for `evict_after`. Those idle for longest are first.
    Long,
    /// It is one of the largest group of dormant series. Those idle for longest are first.
    Dormant,
}

impl IdleClass {
    pub(super) const ALL: [Self; IDLE_CLASSES] =
        [Self::LongOfFlood, Self::NewOfFlood, Self::Long, Self::Dormant];
}

const IDLE_CLASSES: usize = 4;

/// An idle series at the time of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IdleSeries {
    class: IdleClass,
    /// Its place among those of its class: a smaller number is evicted earlier.
    order: u32,
    /// The number of the interval of its last sample. If that number has changed, the series is no
    /// longer idle.
    pub(super) seen: u32,
    pub(super) place: SeriesPlace,
}

/// The most series that can be evicted in one interval. They take 80 KiB, and sorting them takes a
/// small part of a slice of the sweep.
pub(super) const LONG_IDLE_MAX: usize = 4096;

/// An established series is dormant once it has been idle for this part of `evict_after`: 75
/// seconds by default. So a counter that is sent once a minute is never dormant.
const DORMANT_PART: u32 = 8;
/// It must be idle for this many flushes, too. Otherwise a counter that is sent once in a long
/// flush interval would be dormant when it comes a little late.
const DORMANT_FLUSHES_MIN: u32 = 3;

impl LongIdle {
    pub(super) fn new(after: u32) -> Self {
        Self {
            after: after.max(1),
            dormant: SeriesGroups::default(),
            found: BinaryHeap::new(),
            ready: Default::default(),
        }
    }

    /// Sets the number of idle flushes, from the next sweep on.
    pub(super) fn set_after(&mut self, after: u32) {
        self.after = after.max(1);
    }

    /// Whether a series has been idle for `after` flushes, so that it may be evicted, whichever its
    /// groups are.
    #[inline]
    pub(super) fn is_long(&self, idleness: Idleness) -> bool {
        idleness.idle >= self.after
    }

    /// Whether an established series has been idle for enough flushes to be dormant.
    fn is_dormant(&self, intervals: u32) -> bool {
        intervals >= self.after.div_ceil(DORMANT_PART).max(DORMANT_FLUSHES_MIN)
    }

    /// Notes a series without a recent sample, if it is among the first to be evicted. `is_new` is
    /// true if it had samples in one interval alone. `may_be_dormant` is its membership and the
    /// groups of the table, unless the series is never dormant.
    #[inline(never)]
    pub(super) fn note(
        &mut self,
        idleness: Idleness,
        is_new: bool,
        is_of_flood: bool,
        may_be_dormant: Option<(&Membership, &SeriesGroups)>,
        place: SeriesPlace,
    ) {
        let Idleness { idle: intervals, seen, .. } = idleness;
        let is_long = self.is_long(idleness);
        let class = match is_of_flood {
            true if is_long => IdleClass::LongOfFlood,
            true if is_new && intervals > 0 => IdleClass::NewOfFlood,
            false if is_long => IdleClass::Long,
            _ => {
                let is_dormant = self.is_dormant(intervals);
                let Some((membership, groups)) = may_be_dormant.filter(|_| is_dormant) else {
                    return;
                };
                self.dormant.add(membership);
                if !groups.dormant().is_some_and(|dormant| dormant.flood.has(membership)) {
                    return;
                }
                IdleClass::Dormant
            }
        };
        let is_new = class == IdleClass::NewOfFlood;
        let order = if is_new { intervals } else { u32::MAX - intervals };
        let idle = IdleSeries { class, order, seen, place };
        if self.found.len() < LONG_IDLE_MAX {
            self.found.push(idle);
        } else if let Some(mut last) = self.found.peek_mut()
            && idle < *last
        {
            *last = idle;
        }
    }

    /// Ends the sweep. The series that it found can be evicted from now on. `is_of_flood` returns
    /// whether a series is one of the flood. While the sweep was under way, that was not known: the
    /// series that have just become long idle count for it, too.
    pub(super) fn end_sweep(&mut self, is_of_flood: impl Fn(SeriesPlace) -> bool) {
        let mut rest = std::mem::take(&mut self.found).into_vec();
        let is_long = |class| matches!(class, IdleClass::LongOfFlood | IdleClass::Long);
        for idle in rest.iter_mut().filter(|idle| is_long(idle.class)) {
            let is_of_flood = is_of_flood(idle.place);
            idle.class = if is_of_flood { IdleClass::LongOfFlood } else { IdleClass::Long };
        }
        let mut rest = BinaryHeap::from(rest).into_sorted_vec();
        self.ready = IdleClass::ALL.map(|class| {
            let end = rest.partition_point(|idle| idle.class == class);
            let after = rest.split_off(end);
            std::mem::replace(&mut rest, after).into_iter()
        });
    }

    /// The dormant series that the sweep has counted.
    pub(super) fn dormant_mut(&mut self) -> &mut SeriesGroups {
        &mut self.dormant
    }

    /// The series of a class that can be evicted, the first one first.
    pub(super) fn ready(&self, class: IdleClass) -> &[IdleSeries] {
        self.ready[class as usize].as_slice()
    }

    /// Takes out the first idle series whose place `newcomer` may take. Returns `None` if the last
    /// sweep noted none that can still be evicted for it.
    pub(super) fn take_for(
        &mut self,
        newcomer: &Membership,
        shards: &mut Shards,
    ) -> Option<TakenSeries> {
        let claim = shards.groups.claim(newcomer);
        for class in IdleClass::ALL {
            while let Some(idle) = self.ready(class).first().copied() {
                let fate = idle.fate(&claim, shards, |_| false);
                if fate == IdleFate::Kept {
                    break;
                }
                self.ready[class as usize].next();
                if fate == IdleFate::Evicted {
                    return shards.take(idle.place);
                }
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

/// What becomes of an idle series when a new name needs room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdleFate {
    /// The new name takes its place.
    Evicted,
    /// It stays, as do the others of its class. The name may not take their place.
    Kept,
    /// It is not idle any more, or not one of the flood.
    Stale,
}

impl IdleSeries {
    /// `is_gone` returns whether a series of the table counts as evicted.
    pub(super) fn fate(
        &self,
        claim: &RoomClaim,
        shards: &Shards,
        is_gone: impl Fn(SeriesPlace) -> bool,
    ) -> IdleFate {
        // The place may hold another series by now, or this one may have had a sample.
        if shards.get(self.place).is_none_or(|series| series.seen() != self.seen) {
            return IdleFate::Stale;
        }
        let membership = shards.membership_at(self.place);
        let is_of_flood = claim.flood.has(membership);
        let is_dormant = claim.dormant.is_some_and(|dormant| dormant.has(membership));
        let is_given = match self.class {
            IdleClass::LongOfFlood => true,
            // A flood takes the place of its own series alone.
            IdleClass::Long => !claim.is_of_flood || is_of_flood,
            IdleClass::NewOfFlood => claim.is_of_flood || claim.giver.is_some(),
            IdleClass::Dormant => claim.dormant.is_some(),
        };
        if !is_given {
            return IdleFate::Kept;
        }
        // A merged series stays while there is a series with its clean name. Otherwise
        // destinations with cleaned names would get the values of that one alone. It has been idle
        // for as long, so it is evicted itself.
        let is_in_use = shards.series_of_clean_name(self.place).is_some_and(|at| !is_gone(at));
        let is_of_class = match self.class {
            IdleClass::LongOfFlood | IdleClass::Long => true,
            IdleClass::NewOfFlood => is_of_flood,
            IdleClass::Dormant => is_dormant,
        };
        if is_of_class && !is_in_use { IdleFate::Evicted } else { IdleFate::Stale }
    }
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::super::shard::SeriesSlot;
    use super::*;

    /// Notes an idle series with the interval of its last sample.
    fn note(idle: &mut LongIdle, intervals: u32, at: u32) {
        let idleness = Idleness { closes_interval: false, idle: intervals, seen: 0 };
        let place = SeriesPlace::new(7, SeriesSlot { hash: 1, at });
        idle.note(idleness, false, false, None, place);
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
        assert_eq!(idle.ready(IdleClass::Long), [], "the sweep is still under way");
        idle.end_sweep(|_| false);
        let given: Vec<_> =
            idle.ready(IdleClass::Long).iter().map(|idle| idle.place.slot().at).collect();
        assert_eq!(given.len(), LONG_IDLE_MAX);
        assert!(given.is_sorted_by(|a, b| a >= b));
        assert!(given[0] >= count - 10, "{}", given[0]);
    }

    /// Shows that the series of the flood come first, and need not be idle for long if they are
    /// new. Of these the newest come first.
    #[test]
    fn the_flood_comes_first() {
        let mut idle = LongIdle::new(3);
        for (at, intervals, is_of_flood, is_new) in [
            (1, 1, true, true),
            (2, 9, false, true),
            (3, 2, false, true),
            (4, 2, true, true),
            (5, 2, true, false),
            (6, 3, true, false),
            (7, 0, true, true),
        ] {
            let idleness = Idleness { closes_interval: false, idle: intervals, seen: 0 };
            let place = SeriesPlace::new(0, SeriesSlot { hash: 1, at });
            idle.note(idleness, is_new, is_of_flood, None, place);
        }
        idle.end_sweep(|place| [6, 5].contains(&place.slot().at));
        let ready = IdleClass::ALL.map(|class| {
            let places = idle.ready(class).iter().map(|idle| idle.place.slot().at);
            places.collect::<Vec<_>>()
        });
        assert_eq!(ready, [vec![6], vec![1, 4], vec![2], vec![]]);
    }
}
