//! The last hour of the own figures and of the most active series, for charts. Pure.
//!
//! ```text
//!  sweep ──▶ note(kind, name, values) ──▶ Track: a ring, one row a flush ──▶ points
//!  end_flush(time) ─▶ the time of the row
//!  figures ─▶ note_own(name, value) ────▶ OwnTrack                       ──▶ own
//! ```
//! Memory is bounded by `history_memory`, and a track takes it as its rows come. A series that does
//! not fit is refused, and the table then no longer offers it. In a turn of each flush the server
//! exchanges series that have become active for less active ones.
//!
//! The tracks of the own figures have as much again at most. If it does not hold all rows, these
//! tracks are shorter: a short chart of each figure is worth more than a long one of some.

mod track;

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use ahash::AHashMap;
use arrayvec::ArrayVec;

use crate::few::{nth_highest, sort_few};
use crate::protocol::MetricKind;
use crate::time::UnixTime;
use track::Track;

/// The points of the last flushes.
#[derive(Debug, Default)]
pub struct History {
    /// The bytes of the tracks of series. 0 switches the history off.
    memory: usize,
    /// The most rows of a track.
    rows: usize,
    /// The bytes that the tracks of series take once they are full.
    reserved: usize,
    /// The bytes that all tracks take now, about.
    held: usize,
    /// The number of the flush whose rows are noted now.
    flush: u32,
    /// When the last flushes ended, the newest last.
    times: VecDeque<UnixTime>,
    series: [AHashMap<Box<[u8]>, Track>; 4],
    /// By the name of a figure and its label.
    own: BTreeMap<(String, String), OwnTrack>,
    /// Whether a series was refused since the start or the last change of the limits.
    is_full: bool,
}

/// The points of an own figure.
#[derive(Debug)]
struct OwnTrack {
    track: Track,
    /// The last value of a total, whose rise in a second is kept. `None` for other figures.
    total: Option<f64>,
}

/// The last points of a series or figure, the oldest first. A value is NaN where nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPoints {
    /// The names of the values of a row.
    pub columns: &'static [&'static str],
    /// At most 5,000. More do not fit a chart, nor a turn.
    pub rows: Vec<HistoryRow>,
}

/// The time of a flush, and the values of a series or figure in it.
pub type HistoryRow = (UnixTime, ArrayVec<f32, COLUMNS_MAX>);

type SeriesName<'a> = (MetricKind, &'a [u8]);
type OwnedKey = (MetricKind, Box<[u8]>);

/// The largest number of rows, whatever the length of the history.
const ROWS_MAX: usize = 100_000;
/// The most rows that are shown.
const SHOWN_MAX: usize = 5000;
/// The most own figures. A configuration has fewer.
const OWN_MAX: usize = 2000;
/// About the own figures of most servers.
const OWN_USUAL: usize = 128;
/// The bytes of a track besides its rows and its name, about.
const OVERHEAD: usize = 96;
/// Of a flush, the most series that are exchanged for others.
const EXCHANGED_MAX: usize = 16;

/// The most values of a row.
pub const COLUMNS_MAX: usize = 5;

/// The values of a row of each kind, in the order of [`MetricKind`].
const COLUMNS: [&[&str]; 4] = [
    &["rate"],
    &["value"],
    &["count", "lower", "median", "upper_percentile", "upper"],
    &["members"],
];

impl History {
    /// `memory` is for the tracks of series, in bytes; `rows` is the number of flushes.
    pub fn new(memory: usize, rows: usize) -> Self {
        Self { memory, rows: rows.clamp(2, ROWS_MAX), ..Self::default() }
    }

    /// Sets other limits. If they differ, all points are forgotten.
    ///
    /// The last values of totals stay. Otherwise the next rise of each would be its count since the
    /// start.
    pub fn limit(&mut self, memory: usize, rows: usize) {
        let mut new = Self::new(memory, rows);
        if (new.memory, new.rows) != (self.memory, self.rows) {
            new.own = std::mem::take(&mut self.own);
            new.own.retain(|_, own| own.total.is_some());
            new.own.values_mut().for_each(|own| own.track = Track::new(1));
            *self = new;
        }
    }

    /// Whether a series was refused for lack of memory.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    pub fn is_on(&self) -> bool {
        self.memory > 0
    }

    /// Notes the values of a series in the flush in progress. Returns `false` if there is no room
    /// for the series.
    pub fn note(&mut self, kind: MetricKind, name: &[u8], values: &[f32]) -> bool {
        if let Some(track) = self.series[kind as usize].get_mut(name) {
            self.held -= track.bytes();
            track.push(self.flush, values, self.rows);
            self.held += track.bytes();
            return true;
        }
        let bytes = self.bytes_of(kind, name);
        if self.reserved + bytes > self.memory {
            self.is_full = true;
            return false;
        }
        self.reserved += bytes;
        let mut track = Track::new(COLUMNS[kind as usize].len());
        track.push(self.flush, values, self.rows);
        self.held += held_by(name, &track);
        self.series[kind as usize].insert(name.into(), track);
        true
    }

    /// Notes an own figure at the end of the last flush. `label` distinguishes its values, and is
    /// empty if it has one value.
    pub fn note_own(&mut self, name: &str, label: &str, value: f64) {
        self.push_own(name, label, value, None);
    }

    /// Notes a figure that counts since the start. Its rise in a second is kept, `seconds` after
    /// the flush before.
    pub fn note_own_total(&mut self, name: &str, label: &str, value: f64, seconds: f64) {
        self.push_own(name, label, value, Some(seconds));
    }

    fn push_own(&mut self, name: &str, label: &str, value: f64, seconds: Option<f64>) {
        let key = (name.to_owned(), label.to_owned());
        let has_room = self.own.len() < OWN_MAX || self.own.contains_key(&key);
        if !self.is_on() || !has_room {
            return;
        }
        let total = seconds.map(|_| 0.0);
        let own_rows = self.own_rows();
        let own = self.own.entry(key).or_insert_with(|| {
            self.held += OVERHEAD + name.len() + label.len();
            OwnTrack { track: Track::new(1), total }
        });
        let value = match (own.total, seconds) {
            (Some(before), Some(seconds)) => {
                own.total = Some(value);
                (value - before).max(0.0) / seconds.max(0.001)
            }
            _ => value,
        };
        self.held -= own.track.bytes();
        #[allow(clippy::cast_possible_truncation)] // a chart needs no more digits
        own.track.push(self.flush.wrapping_sub(1), &[value as f32], own_rows);
        self.held += own.track.bytes();
    }

    /// The rows of each own figure, so that all of them take no more than the series do.
    fn own_rows(&self) -> usize {
        // In steps, so that a new figure seldom makes all tracks shorter.
        let tracks = (self.own.len() + 1).next_power_of_two().max(OWN_USUAL);
        (self.memory / tracks / size_of::<f32>()).clamp(2, self.rows)
    }

    /// Ends a flush, whose time this is. Forgets series without any point left.
    pub fn end_flush(&mut self, time: UnixTime) {
        if !self.is_on() {
            return;
        }
        self.times.push_back(time);
        if self.times.len() > self.rows {
            self.times.pop_front();
        }
        self.flush = self.flush.wrapping_add(1);
        // Some at a time would do, but all of them are a few thousand.
        for kind in MetricKind::ALL {
            let dead = |track: &Track| track.age(self.flush) > self.rows;
            let mut freed = 0;
            self.series[kind as usize].retain(|name, track| {
                let is_dead = dead(track);
                if is_dead {
                    freed += bytes_of(kind, name, self.rows);
                    self.held -= held_by(name, track);
                }
                !is_dead
            });
            self.reserved -= freed;
        }
    }

    /// Returns the series to be forgotten and those to be offered in their place. Both are few.
    ///
    /// `active` has the most active series with the number of their samples, in any order.
    /// `samples_of` returns this number for one series. It is 0 for one that is not active.
    pub fn exchange<'a>(
        &mut self,
        active: impl Iterator<Item = (u64, SeriesName<'a>)>,
        samples_of: impl Fn(SeriesName<'_>) -> u64,
    ) -> (Vec<OwnedKey>, Vec<OwnedKey>) {
        if !self.is_full {
            return (Vec::new(), Vec::new());
        }
        // A series moves in if it is among the first half, and out if it is not among twice as many
        // as are held. Otherwise two of equal activity would be exchanged at each flush. A sort by
        // samples and name would take milliseconds: all names are compared if all are as active.
        let held = self.len();
        let mut active: Vec<_> = active.collect();
        let least = first(&mut active, 2 * held).iter().map(|(samples, _)| *samples).min();
        let least = least.filter(|_| active.len() > 2 * held).unwrap_or(1);
        let mut wanted = first(&mut active, held / 2).to_vec();
        wanted.retain(|(_, (kind, name))| !self.keeps(*kind, name));
        let mut wanted = first(&mut wanted, EXCHANGED_MAX).to_vec();
        sort_few(&mut wanted, |a, b| b.0.cmp(&a.0).then_with(|| a.1.1.cmp(b.1.1)));
        let mut forgotten = Vec::new();
        for kind in MetricKind::ALL {
            let names = self.series[kind as usize].keys();
            let others = names.filter(|name| samples_of((kind, name)) < least);
            let some = others.take(wanted.len() - forgotten.len());
            forgotten.extend(some.map(|name| (kind, name.clone())));
        }
        wanted.truncate(forgotten.len());
        for (kind, name) in &forgotten {
            if let Some(track) = self.series[*kind as usize].remove(name) {
                self.held -= held_by(name, &track);
            }
            self.reserved -= self.bytes_of(*kind, name);
        }
        let wanted = wanted.into_iter().map(|(_, (kind, name))| (kind, name.into()));
        (forgotten, wanted.collect())
    }

    /// The points of a series. `None` if it is not kept.
    pub fn points(&self, kind: MetricKind, name: &[u8]) -> Option<HistoryPoints> {
        let track = self.series[kind as usize].get(name)?;
        Some(HistoryPoints { columns: COLUMNS[kind as usize], rows: self.rows_of(track) })
    }

    /// The points of an own figure. Without a label, those of the sum over all labels. `None` if
    /// there is none of this name.
    pub fn own(&self, name: &str, label: &str) -> Option<HistoryPoints> {
        let first = (name.to_owned(), label.to_owned());
        // A figure of each destination may have the name of their sum, which has no label.
        let is_sum = label.is_empty() && !self.own.contains_key(&first);
        let labels = self.own.range(first..).take_while(|((of, _), _)| of == name);
        let wanted = labels.filter(|((_, its), _)| is_sum || its == label);
        let mut sum: Option<HistoryPoints> = None;
        for own in wanted.map(|(_, own)| own) {
            let columns: &[&str] = if own.total.is_some() { &["rate"] } else { &["value"] };
            let rows = self.rows_of(&own.track);
            match &mut sum {
                None => sum = Some(HistoryPoints { columns, rows }),
                Some(sum) => add_rows(&mut sum.rows, rows),
            }
        }
        sum
    }

    /// Whether points of a series are kept.
    pub fn keeps(&self, kind: MetricKind, name: &[u8]) -> bool {
        self.series[kind as usize].contains_key(name)
    }

    /// The number of series of which points are kept.
    pub fn len(&self) -> usize {
        self.series.iter().map(|series| series.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that all tracks take now, about.
    pub fn bytes(&self) -> usize {
        self.held
    }

    /// The bytes that the series which are kept take once they have all their points. This is what
    /// [`memory`](Self::memory) limits.
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// The most bytes of the series.
    pub fn memory(&self) -> usize {
        self.memory
    }

    fn rows_of(&self, track: &Track) -> Vec<HistoryRow> {
        // The newest time is that of the flush before the one in progress.
        let mut rows: Vec<_> = (1u32..)
            .zip(self.times.iter().rev().take(SHOWN_MAX))
            .map_while(|(ago, time)| {
                let at = self.flush.wrapping_sub(ago);
                track.row(at).map(|row| (*time, row.iter().copied().collect()))
            })
            .collect();
        rows.reverse();
        rows
    }

    fn bytes_of(&self, kind: MetricKind, name: &[u8]) -> usize {
        bytes_of(kind, name, self.rows)
    }
}

/// Moves the series with the most samples to the front, and returns them in any order.
fn first<'s, 'a>(
    series: &'s mut [(u64, SeriesName<'a>)],
    count: usize,
) -> &'s mut [(u64, SeriesName<'a>)] {
    let count = count.min(series.len());
    if count > 0 {
        let mut samples: Vec<u64> = series.iter().map(|(samples, _)| *samples).collect();
        let least = nth_highest(&mut samples, count - 1);
        let mut moved = 0;
        for wanted in [Ordering::Greater, Ordering::Equal] {
            let left = moved..series.len();
            for at in left {
                if moved < count && series[at].0.cmp(&least) == wanted {
                    series.swap(moved, at);
                    moved += 1;
                }
            }
        }
    }
    &mut series[..count]
}

/// The bytes that a track takes now.
fn held_by(name: &[u8], track: &Track) -> usize {
    OVERHEAD + name.len() + track.bytes()
}

/// The bytes that a full track takes.
fn bytes_of(kind: MetricKind, name: &[u8], rows: usize) -> usize {
    OVERHEAD + name.len() + rows * COLUMNS[kind as usize].len() * size_of::<f32>()
}

/// Adds the rows of another track, which may begin earlier or later. Unknown values count as 0
/// beside known ones.
fn add_rows(sum: &mut Vec<HistoryRow>, more: Vec<HistoryRow>) {
    let missing = more.len().saturating_sub(sum.len());
    let shift = sum.len().saturating_sub(more.len());
    let mut more = more.into_iter();
    let earlier: Vec<_> = more.by_ref().take(missing).collect();
    for ((_, row), (_, added)) in sum[shift..].iter_mut().zip(more) {
        row[0] = if row[0].is_nan() { added[0] } else { row[0] + added[0].max(0.0) };
    }
    sum.splice(0..0, earlier);
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: MetricKind = MetricKind::Counter;

    /// Returns the bytes of the history, which must be those of all its tracks.
    fn bytes(history: &History) -> usize {
        let series = history.series.iter().flatten();
        let series: usize = series.map(|(name, track)| held_by(name, track)).sum();
        let own = history
            .own
            .iter()
            .map(|((name, label), own)| OVERHEAD + name.len() + label.len() + own.track.bytes());
        assert_eq!(history.bytes(), series + own.sum::<usize>());
        history.bytes()
    }

    fn rates(history: &History, name: &str) -> Vec<(u64, f32)> {
        let points = history.points(COUNTER, name.as_bytes()).unwrap();
        points.rows.iter().map(|(time, row)| (time.as_secs(), row[0])).collect()
    }

    #[test]
    fn the_last_rows_are_kept_and_gaps_are_unknown() {
        let mut history = History::new(1 << 20, 4);
        for flush in 0..9u16 {
            if ![4, 6].contains(&flush) {
                assert!(history.note(COUNTER, b"a", &[f32::from(flush)]));
            }
            history.end_flush(UnixTime::from_secs(u64::from(flush) * 10));
            history.note_own("own", "", 1.0);
        }
        let found = rates(&history, "a");
        assert_eq!([found[0], found[2], found[3]], [(50, 5.0), (70, 7.0), (80, 8.0)]);
        assert!(found.len() == 4 && found[1].1.is_nan() && found[1].0 == 60);
        assert_eq!(history.own("own", "").unwrap().rows.len(), 4);
        history.end_flush(UnixTime::from_secs(90));
        assert!(rates(&history, "a")[3].1.is_nan(), "it was not closed");
        (10..15).for_each(|n| history.end_flush(UnixTime::from_secs(n * 10)));
        assert!(history.is_empty() && history.reserved == 0, "nothing is left of it");
        assert!(bytes(&history) < 200, "an own figure is left");
    }

    #[test]
    fn the_newest_points_of_a_long_history_are_shown() {
        let mut history = History::new(1 << 20, ROWS_MAX);
        for flush in 0..6000_u16 {
            assert!(history.note(COUNTER, b"a", &[f32::from(flush)]));
            history.end_flush(UnixTime::from_secs(flush.into()));
        }
        let found = rates(&history, "a");
        assert_eq!((found.len(), found[0], found[4999]), (5000, (1000, 1000.0), (5999, 5999.0)));
    }

    #[test]
    fn totals_become_rates_and_labels_are_summed() {
        let mut history = History::new(1 << 20, 10);
        for (flush, total) in [(1, 20.0), (2, 50.0), (3, 50.0)] {
            history.end_flush(UnixTime::from_secs(flush * 10));
            history.note_own_total("lines", "udp", total, 10.0);
            if flush > 1 {
                history.note_own_total("lines", "tcp", 2.0 * total, 10.0);
            }
            history.note_own("linesman", "", 1.0);
        }
        let values = |label: &str| {
            let points = history.own("lines", label).unwrap();
            assert_eq!(points.columns, ["rate"]);
            points.rows.iter().map(|(_, row)| row[0]).collect::<Vec<_>>()
        };
        assert_eq!(values("udp"), [2.0, 3.0, 0.0]);
        assert_eq!(values("tcp"), [10.0, 0.0]);
        assert_eq!(values(""), [2.0, 13.0, 0.0]);
        assert_eq!(history.own("linesman", "").unwrap().columns, ["value"]);
        assert_eq!(history.own("line", ""), None);
        history.note_own("lines", "", 7.0);
        assert_eq!(history.own("lines", "").unwrap().rows[0].1[0], 7.0);
    }

    /// Changes the limits between two points of a total, as a reload does. One of the changes
    /// switches the history off and on.
    #[test]
    fn other_limits_empty_the_tracks_of_totals_and_keep_their_last_values() {
        for changes in [&[20][..], &[0, 10]] {
            let mut history = History::new(1 << 20, 10);
            history.end_flush(UnixTime::from_secs(10));
            history.note_own_total("lines", "udp", 50_000.0, 10.0);
            history.note_own("series", "", 7.0);
            for rows in changes {
                history.limit(if *rows == 0 { 0 } else { 1 << 20 }, *rows);
            }
            assert_eq!(history.own("series", ""), None, "{changes:?}");
            history.end_flush(UnixTime::from_secs(20));
            history.note_own_total("lines", "udp", 50_020.0, 10.0);
            let rows = history.own("lines", "udp").unwrap().rows;
            let values: Vec<_> = rows.iter().map(|(time, row)| (time.as_secs(), row[0])).collect();
            assert_eq!(values, [(20, 2.0)], "{changes:?}");
        }
    }

    #[test]
    fn memory_is_bounded_and_taken_as_rows_come() {
        let memory = 100_000;
        let mut history = History::new(memory, 360);
        let noted = |history: &mut History| {
            let name = |n: u32| format!("app.{n}").into_bytes();
            (0..1000).filter(|n| history.note(COUNTER, &name(*n), &[1.0])).count()
        };
        let kept = noted(&mut history);
        assert!((60..66).contains(&kept), "{kept}");
        assert!(bytes(&history) < memory / 5, "{}", history.bytes());
        for flush in 0..400 {
            history.end_flush(UnixTime::from_secs(flush));
            assert_eq!(noted(&mut history), kept);
        }
        assert!(bytes(&history) <= memory, "{}", history.bytes());
    }

    /// Shows that the own figures of a long history take no more than its limit, and that all of
    /// them have points when there are more than usual.
    #[test]
    fn the_memory_of_own_figures_is_bounded() {
        const MEMORY: usize = 64 << 10;
        let mut history = History::new(MEMORY, ROWS_MAX);
        for flush in 0..1000_u16 {
            history.end_flush(UnixTime::from_secs(flush.into()));
            let figures = if flush < 500 { 100 } else { 300 };
            for figure in 0..figures {
                history.note_own("figure", &format!("{figure}"), f64::from(flush));
            }
            let own: usize = history.own.values().map(|own| own.track.bytes()).sum();
            assert!(bytes(&history) > own);
            // A track becomes shorter with its next row.
            assert!(own <= MEMORY || flush == 500, "{own} bytes in flush {flush}");
            if flush == 499 {
                let rows = history.own("figure", "7").unwrap().rows;
                assert_eq!((rows.len(), rows[0].1[0]), (128, 372.0));
            }
        }
        for figure in ["7", "299"] {
            let rows = history.own("figure", figure).unwrap().rows;
            let values: Vec<f32> = rows.iter().map(|(_, row)| row[0]).collect();
            assert_eq!(values, (968..1000_u16).map(f32::from).collect::<Vec<_>>(), "{figure}");
        }
    }

    #[test]
    fn active_series_take_the_place_of_others() {
        let mut history = History::new(20 * 500, 100);
        let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
        let kept = names.iter().filter(|n| history.note(COUNTER, n.as_bytes(), &[1.0])).count();
        // The names with the highest numbers have most samples.
        let active = || (0..).zip(&names).map(|(n, name)| (1 + n, (COUNTER, name.as_bytes())));
        let samples_of = |(_, name): SeriesName<'_>| {
            active().find(|(_, (_, known))| *known == name).map_or(0, |(samples, _)| samples)
        };
        let (forgotten, offered) = history.exchange(active(), samples_of);
        assert_eq!((forgotten.len(), offered.len()), (kept / 2, kept / 2));
        bytes(&history);
        assert_eq!(*offered[0].1, *b"n99");
        for (_, name) in &offered {
            assert!(history.note(COUNTER, name, &[1.0]));
        }
        assert_eq!(history.len(), kept);
        let (forgotten, offered) = history.exchange(active(), samples_of);
        assert!(forgotten.is_empty() && offered.is_empty(), "those it has are active");
    }
}
