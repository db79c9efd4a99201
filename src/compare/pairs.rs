//! [`Pairs`]: finds the two points of each name and flush, and what differs between them. Pure.
//!
//! Each server flushes by its own clock, so the two timestamps of a flush differ. The first
//! timestamp of a stream gives its phase: the timestamp modulo the interval. A timestamp less the
//! phase, divided by the interval and rounded, is the number of its flush. So a timestamp may be
//! off by nearly half an interval. Two flushes are a pair if they end at most half an interval
//! apart.
//!
//! A flush is compared when both streams have gone on by two flushes, or at the end.

use std::collections::BTreeMap;

use ahash::AHashMap;

use crate::few::{sort_few, sort_many};

/// The most points that wait to be compared. Each takes about 100 bytes. When there are more, the
/// oldest flush is compared early.
const PENDING_MAX: usize = 2_000_000;
/// How many flushes both streams go on before a flush is compared.
const LAG: i64 = 2;

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompareSide {
    Old,
    New,
}

/// Why two points probably differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DifferenceReason {
    /// Only one stream has the point, and it brings nothing new: 0, or the value of the flush
    /// before.
    Idle,
    /// The numbers are equal but for their last digits.
    Rounding,
    /// The tags of the two names stand in different orders.
    TagOrder,
    /// What one stream has more, it has less in the flush before or after: a packet came between
    /// the ends of the two flushes.
    Moved,
    OnlyOld,
    OnlyNew,
    Value,
}

/// Two points of one name and flush that differ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PointDifference {
    pub(super) name: Vec<u8>,
    pub(super) stamp: i64,
    pub(super) old: Option<f64>,
    pub(super) new: Option<f64>,
    pub(super) reason: DifferenceReason,
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ComparedCounts {
    pub(super) flushes: u64,
    /// Pairs of points, and points without a partner.
    pub(super) points: u64,
    pub(super) differing: u64,
    /// Points of flushes that only one stream has, such as those before the other began.
    pub(super) outside: u64,
    /// Figures of the servers about themselves.
    pub(super) own: u64,
    /// Points that came after their flush was compared.
    pub(super) late: u64,
    /// Points that stand in one flush with an earlier point of their name. The interval is longer
    /// than that of the servers, so they were not compared.
    pub(super) crowded: u64,
}

/// A point that waits to be compared.
#[derive(Clone, Debug)]
struct StreamPoint {
    value: f64,
    stamp: i64,
    /// The name, if its tags are not in order.
    unsorted: Option<Box<[u8]>>,
}

/// The points of one flush, by their names with sorted tags.
type FlushPoints = AHashMap<Box<[u8]>, StreamPoint>;

#[derive(Debug, Default)]
struct PairedStream {
    /// The first timestamp modulo the interval. `None` before the first point.
    phase: Option<i64>,
    /// The numbers of the first and the last flush.
    first: i64,
    last: i64,
    /// The flushes that are not compared yet, by their numbers.
    pending: BTreeMap<i64, FlushPoints>,
    /// The flush that was compared last.
    before: FlushPoints,
}

#[derive(Debug)]
pub(super) struct Pairs {
    interval: i64,
    old: PairedStream,
    new: PairedStream,
    /// The number of points in all pending flushes, and the most that there may be.
    points: usize,
    most: usize,
    /// The number of the next flush to compare, as the old stream counts. `None` before the first.
    next: Option<i64>,
    has_ended: bool,
    counts: ComparedCounts,
}

impl Pairs {
    /// `interval` is the flush interval of both servers in seconds.
    pub(super) fn new(interval: i64) -> Self {
        Self {
            interval: interval.max(1),
            old: PairedStream::default(),
            new: PairedStream::default(),
            points: 0,
            most: PENDING_MAX,
            next: None,
            has_ended: false,
            counts: ComparedCounts::default(),
        }
    }

    pub(super) fn counts(&self) -> ComparedCounts {
        self.counts
    }

    /// Adds a point. A point that comes again replaces the first one, as in Graphite. One with
    /// another timestamp of the same flush does so, too, and is counted.
    pub(super) fn add(&mut self, side: CompareSide, name: &[u8], value: f64, stamp: i64) {
        if is_own(name) {
            self.counts.own += 1;
            return;
        }
        let interval = self.interval;
        let shift = if side == CompareSide::New { self.shift() } else { Some(0) };
        let stream = match side {
            CompareSide::Old => &mut self.old,
            CompareSide::New => &mut self.new,
        };
        let phase = *stream.phase.get_or_insert_with(|| stamp.rem_euclid(interval));
        let flush = (stamp - phase + interval / 2).div_euclid(interval);
        let is_first = stream.pending.is_empty() && stream.before.is_empty();
        stream.first = if is_first { flush } else { stream.first.min(flush) };
        stream.last = if is_first { flush } else { stream.last.max(flush) };
        if let (Some(next), Some(shift)) = (self.next, shift)
            && flush + shift < next
        {
            self.counts.late += 1;
            return;
        }
        let sorted = sorted_tags(name);
        let unsorted = (*sorted != *name).then(|| name.into());
        let points = stream.pending.entry(flush).or_default();
        match points.insert(sorted, StreamPoint { value, stamp, unsorted }) {
            None => self.points += 1,
            Some(before) => self.counts.crowded += u64::from(before.stamp != stamp),
        }
        if self.points > self.most {
            self.make_room();
        }
    }

    /// Returns what is added to the number of a flush of the new stream to get that of the old one.
    /// Returns `None` until both have begun.
    fn shift(&self) -> Option<i64> {
        let apart = self.new.phase? - self.old.phase?;
        let half = self.interval / 2;
        Some(if apart > half {
            1
        } else if apart < -half {
            -1
        } else {
            0
        })
    }

    /// Notes that no more points come. If `is_whole`, the last flush of each stream is whole.
    /// Otherwise it is left out.
    pub(super) fn end(&mut self, is_whole: bool) {
        self.has_ended = true;
        if is_whole {
            return;
        }
        for stream in [&mut self.old, &mut self.new] {
            if let Some((_, points)) = stream.pending.pop_last() {
                self.points -= points.len();
                self.counts.outside += points.len() as u64;
                stream.last -= 1;
            }
        }
    }

    /// Returns the number of the last flush that both streams have begun.
    fn last_of_both(&self) -> Option<i64> {
        Some(self.old.last.min(self.new.last + self.shift()?))
    }

    /// Whether the last flush of a stream is later than that of the other one.
    pub(super) fn is_ahead(&self, side: CompareSide) -> bool {
        let Some(shift) = self.shift() else {
            // The other one has not begun.
            let stream = if side == CompareSide::Old { &self.old } else { &self.new };
            return stream.phase.is_some();
        };
        let ahead = self.old.last - (self.new.last + shift);
        if side == CompareSide::Old { ahead > 0 } else { ahead < 0 }
    }

    /// Returns the side whose points are behind, and by how many flushes. Returns `None` if neither
    /// is. Before the first point of a side, all flushes of the other one count.
    pub(super) fn behind(&self) -> Option<(CompareSide, i64)> {
        let Self { old, new, .. } = self;
        let ahead = match self.shift() {
            Some(shift) => old.last - (new.last + shift),
            None if old.phase.is_some() => old.last - old.first + 1,
            None if new.phase.is_some() => new.first - new.last - 1,
            None => 0,
        };
        let side = if ahead > 0 { CompareSide::New } else { CompareSide::Old };
        (ahead != 0).then_some((side, ahead.abs()))
    }

    /// Compares the next flush if it is whole. Returns its differences. Returns `None` if more
    /// points are needed, or after the last flush.
    pub(super) fn compare_next(&mut self) -> Option<Vec<PointDifference>> {
        let shift = self.shift()?;
        let first = self.old.first.max(self.new.first + shift);
        let flush = *self.next.get_or_insert(first);
        let last = self.last_of_both()?;
        if last < if self.has_ended { flush } else { flush + LAG } {
            return None;
        }
        Some(self.compare(flush, shift))
    }

    /// Returns the number of points that were never compared, after the end.
    pub(super) fn remaining(&self) -> u64 {
        self.points as u64
    }

    fn compare(&mut self, flush: i64, shift: i64) -> Vec<PointDifference> {
        let old = self.old.take(flush, &mut self.counts, &mut self.points);
        let new = self.new.take(flush - shift, &mut self.counts, &mut self.points);
        let has_both = !old.is_empty() && !new.is_empty();
        let stamp = flush * self.interval + self.old.phase.unwrap_or(0);
        let mut found = Vec::new();
        let mut points = 0;
        for (name, point) in &old {
            points += 1;
            let partner = new.get(name);
            let reason = self.reason(name, Some(point), partner, [flush, flush - shift], has_both);
            found.extend(reason.map(|reason| PointDifference {
                name: point.unsorted.as_ref().unwrap_or(name).to_vec(),
                stamp,
                old: Some(point.value),
                new: partner.map(|partner| partner.value),
                reason,
            }));
        }
        for (name, point) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
            points += 1;
            let reason = self.reason(name, None, Some(point), [flush, flush - shift], has_both);
            found.extend(reason.map(|reason| PointDifference {
                name: point.unsorted.as_ref().unwrap_or(name).to_vec(),
                stamp,
                old: None,
                new: Some(point.value),
                reason,
            }));
        }
        // A map has no order. A report should be the same each time.
        sort_many(&mut found, |one, other| one.name.cmp(&other.name));
        self.old.before = old;
        self.new.before = new;
        self.next = Some(flush + 1);
        self.counts.flushes += 1;
        self.counts.points += points;
        self.counts.differing += found.len() as u64;
        found
    }

    /// Returns why two points of a name differ, or `None` if they do not. `flushes` are the numbers
    /// of the flush in the two streams. `has_both` is true if each of them has points in it.
    fn reason(
        &self,
        name: &[u8],
        old: Option<&StreamPoint>,
        new: Option<&StreamPoint>,
        flushes: [i64; 2],
        has_both: bool,
    ) -> Option<DifferenceReason> {
        // A stream without any point in this flush has missed it, also those that are as before.
        let was = |stream: &PairedStream, value: f64| {
            let is_as_before =
                || stream.before.get(name).is_some_and(|before| before.value == value);
            value == 0.0 || has_both && is_as_before()
        };
        match (old, new) {
            (Some(old), Some(new)) if old.value == new.value => {
                (old.unsorted != new.unsorted).then_some(DifferenceReason::TagOrder)
            }
            (Some(old), Some(new)) if is_rounded(old.value, new.value) => {
                Some(DifferenceReason::Rounding)
            }
            (Some(old), None) if was(&self.old, old.value) => Some(DifferenceReason::Idle),
            (None, Some(new)) if was(&self.new, new.value) => Some(DifferenceReason::Idle),
            _ => {
                let value = |point: Option<&StreamPoint>| point.map_or(0.0, |point| point.value);
                let apart = value(old) - value(new);
                let [of_old, of_new] = flushes.map(|flush| flush + 1);
                let beside = [
                    (self.old.before.get(name), self.new.before.get(name)),
                    (self.old.later(of_old, name), self.new.later(of_new, name)),
                ];
                let is_moved = |(old, new)| {
                    let other: f64 = value(old) - value(new);
                    other != 0.0 && is_rounded(other, -apart)
                };
                Some(match (old, new) {
                    _ if beside.into_iter().any(is_moved) => DifferenceReason::Moved,
                    (Some(_), None) => DifferenceReason::OnlyOld,
                    (None, _) => DifferenceReason::OnlyNew,
                    _ => DifferenceReason::Value,
                })
            }
        }
    }

    /// Makes room for more points: compares the oldest flush, or drops it if only one stream goes
    /// on.
    fn make_room(&mut self) {
        let is_longer = self.old.pending.len() >= self.new.pending.len();
        let stream = if is_longer { &mut self.old } else { &mut self.new };
        if let Some((flush, points)) = stream.pending.pop_first() {
            self.points -= points.len();
            self.counts.outside += points.len() as u64;
            stream.first = flush + 1;
        }
        if let (Some(next), Some(shift)) = (self.next, self.shift()) {
            self.next = Some(next.max(self.old.first).max(self.new.first + shift));
        }
    }
}

impl PairedStream {
    /// Takes the points of a flush. Points of earlier flushes are dropped: the other stream has no
    /// such flush.
    fn take(&mut self, flush: i64, counts: &mut ComparedCounts, points: &mut usize) -> FlushPoints {
        while let Some(entry) = self.pending.first_entry().filter(|entry| *entry.key() < flush) {
            let dropped = entry.remove().len();
            *points -= dropped;
            counts.outside += dropped as u64;
        }
        let taken = self.pending.remove(&flush).unwrap_or_default();
        *points -= taken.len();
        taken
    }

    fn later(&self, flush: i64, name: &[u8]) -> Option<&StreamPoint> {
        self.pending.get(&flush)?.get(name)
    }
}

/// Whether two numbers are equal but for their last digits: statsite prints six decimals, and sums
/// of other orders differ in the last bit.
fn is_rounded(one: f64, other: f64) -> bool {
    let apart = (one - other).abs();
    apart <= 1e-6 || apart <= 1e-9 * one.abs().max(other.abs())
}

/// Figures of Node StatsD about itself. No two servers have the same.
const OWN: [&[u8]; 8] = [
    b"bad_lines_seen",
    b"packets_received",
    b"metrics_received",
    b"numStats",
    b"graphiteStats",
    b"timestamp_lag",
    b"processing_time",
    b"calculationtime",
];

/// Whether a name is that of a figure of a server about itself, such as `statsd.numStats` or
/// `stats.statsd.bad_lines_seen`.
fn is_own(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'.').take(4);
    parts.any(|part| part == b"statsd") && parts.next().is_some_and(|next| OWN.contains(&next))
}

/// Returns a name with its tags in order.
fn sorted_tags(name: &[u8]) -> Box<[u8]> {
    let mut tags = name.split(|byte| *byte == b';');
    let bare = tags.next().unwrap_or_default();
    let mut tags: Vec<&[u8]> = tags.collect();
    if tags.is_sorted() {
        return name.into();
    }
    sort_few(&mut tags, Ord::cmp);
    let mut sorted = bare.to_vec();
    for tag in tags {
        sorted.push(b';');
        sorted.extend_from_slice(tag);
    }
    sorted.into()
}

#[cfg(test)]
mod tests {
    use super::DifferenceReason::{Idle, Moved, OnlyNew, OnlyOld, Rounding, TagOrder, Value};
    use super::*;

    /// Adds the points of both streams, and returns all differences.
    fn compared(interval: i64, old: &[(&str, f64, i64)], new: &[(&str, f64, i64)]) -> Pairs {
        let mut pairs = Pairs::new(interval);
        for (side, points) in [(CompareSide::Old, old), (CompareSide::New, new)] {
            for (name, value, stamp) in points {
                pairs.add(side, name.as_bytes(), *value, *stamp);
            }
        }
        pairs.end(true);
        pairs
    }

    fn differences(mut pairs: Pairs) -> Vec<PointDifference> {
        std::iter::from_fn(|| pairs.compare_next()).flatten().collect()
    }

    #[test]
    fn flushes_with_different_timestamps_are_paired() {
        // The phases of the new stream, its first flush first.
        for stamps in [[10, 20, 30], [13, 23, 33], [15, 24, 36], [7, 17, 27], [9, 21, 30]] {
            let old = [("a", 1.0, 10), ("a", 2.0, 20), ("a", 3.0, 30)];
            let new = [("a", 1.0, stamps[0]), ("a", 2.0, stamps[1]), ("a", 3.0, stamps[2])];
            let mut pairs = compared(10, &old, &new);
            while let Some(found) = pairs.compare_next() {
                assert_eq!(found, [], "{stamps:?}");
            }
            let counts = pairs.counts();
            assert_eq!((counts.flushes, counts.points), (3, 3), "{stamps:?}: {counts:?}");
        }
    }

    /// Shows that points of a flush which the other side has missed are not taken for idle series,
    /// though their values are those of before.
    #[test]
    fn a_flush_that_one_side_has_missed_is_no_idle_series() {
        let old = [("a", 1.0, 10), ("a", 1.0, 20), ("b", 0.0, 20), ("a", 1.0, 30)];
        let new = [("a", 1.0, 10), ("a", 1.0, 30)];
        let found = differences(compared(10, &old, &new));
        let reasons: Vec<_> = found.iter().map(|found| (&*found.name, found.reason)).collect();
        assert_eq!(reasons, [(&b"a"[..], OnlyOld), (&b"b"[..], Idle)]);
    }

    #[test]
    fn each_difference_has_its_likely_reason() {
        let old = [
            ("idle", 0.0, 10),
            ("gauge", 7.0, 10),
            ("gauge", 7.0, 20),
            ("round", 0.333_333_3, 10),
            ("t;b=1;a=2", 1.0, 10),
            ("moved", 5.0, 10),
            ("moved", 3.0, 20),
            ("lost", 4.0, 20),
            ("value", 4.0, 20),
            ("equal", 4.0, 20),
        ];
        let new = [
            ("gauge", 7.0, 11),
            ("round", 0.333_333, 11),
            ("t;a=2;b=1", 1.0, 11),
            ("moved", 4.0, 11),
            ("moved", 4.0, 21),
            ("more", 9.0, 21),
            ("value", 6.0, 21),
            ("equal", 4.0, 21),
        ];
        let found = differences(compared(10, &old, &new));
        let found: Vec<_> = found
            .iter()
            .map(|difference| {
                let name = std::str::from_utf8(&difference.name).unwrap();
                (name, difference.stamp, difference.reason)
            })
            .collect();
        let expected = [
            ("idle", 10, Idle),
            ("moved", 10, Moved),
            ("round", 10, Rounding),
            ("t;b=1;a=2", 10, TagOrder),
            ("gauge", 20, Idle),
            ("lost", 20, OnlyOld),
            ("more", 20, OnlyNew),
            ("moved", 20, Moved),
            ("value", 20, Value),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn flushes_of_one_stream_alone_and_own_figures_do_not_count() {
        let old = [
            ("a", 1.0, 0),
            ("a", 1.0, 10),
            ("a", 2.0, 20),
            ("stats.statsd.bad_lines_seen", 1.0, 10),
        ];
        let new = [("a", 1.0, 11), ("a", 2.0, 21), ("a", 3.0, 31), ("statsd.numStats", 9.0, 11)];
        let mut pairs = compared(10, &old, &new);
        while let Some(found) = pairs.compare_next() {
            assert_eq!(found, []);
        }
        let counts = pairs.counts();
        let expected =
            ComparedCounts { flushes: 2, points: 2, outside: 1, own: 2, ..Default::default() };
        assert_eq!((counts, pairs.remaining()), (expected, 1));
    }

    #[test]
    fn a_flush_waits_until_both_streams_have_gone_on() {
        let mut pairs = Pairs::new(10);
        for stamp in [10, 20, 30, 40] {
            pairs.add(CompareSide::Old, b"a", 1.0, stamp);
        }
        assert_eq!(pairs.compare_next(), None);
        pairs.add(CompareSide::New, b"a", 1.0, 12);
        pairs.add(CompareSide::New, b"a", 1.0, 22);
        assert_eq!(pairs.compare_next(), None);
        pairs.add(CompareSide::New, b"a", 1.0, 32);
        assert_eq!(pairs.compare_next(), Some(vec![]));
        assert_eq!(pairs.compare_next(), None);
        pairs.add(CompareSide::New, b"a", 1.0, 13);
        assert_eq!(pairs.counts().late, 1);
        // An interrupted stream may have sent a part of its last flush.
        pairs.end(false);
        assert_eq!(pairs.compare_next(), Some(vec![]));
        assert_eq!(pairs.compare_next(), None);
    }

    /// Shows that an interval longer than that of the servers is no proof that nothing differs.
    #[test]
    fn several_points_of_a_flush_are_counted() {
        let mut pairs = Pairs::new(10);
        for second in 0..40 {
            pairs.add(CompareSide::Old, b"a", 1.0, second);
            pairs.add(CompareSide::New, b"a", if second % 10 == 9 { 1.0 } else { 2.0 }, second);
            pairs.add(CompareSide::New, b"a", if second % 10 == 9 { 1.0 } else { 2.0 }, second);
        }
        assert!(pairs.counts().crowded >= 70, "{:?}", pairs.counts());
    }

    #[test]
    fn the_side_without_points_is_behind() {
        let mut pairs = Pairs::new(10);
        assert_eq!(pairs.behind(), None);
        for (side, stamp, expected) in [
            (CompareSide::New, 12, Some((CompareSide::Old, 1))),
            (CompareSide::New, 22, Some((CompareSide::Old, 2))),
            (CompareSide::Old, 21, None),
            (CompareSide::Old, 51, Some((CompareSide::New, 3))),
            (CompareSide::New, 52, None),
            (CompareSide::New, 62, Some((CompareSide::Old, 1))),
        ] {
            pairs.add(side, b"a", 1.0, stamp);
            assert_eq!(pairs.behind(), expected, "{side:?} {stamp}");
        }
    }

    #[test]
    fn memory_is_bounded_if_one_stream_has_no_points() {
        let mut pairs = Pairs::new(10);
        pairs.most = 100;
        for nth in 0..110 {
            pairs.add(CompareSide::Old, b"a", 1.0, nth * 10);
        }
        assert_eq!(pairs.remaining(), 100);
        assert_eq!(pairs.counts().outside, 10);
    }
}
