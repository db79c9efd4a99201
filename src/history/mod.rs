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
mod track_maps;

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use arrayvec::ArrayVec;

use crate::few::{nth_highest, sort_few};
use crate::protocol::MetricKind;
use crate::time::UnixTime;
use track::Track;
use track_maps::{MAP_TRACKS, TrackMaps};

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
    series: [TrackMaps; 4],
    /// The number of maps, of all kinds, that were searched since the last flush for tracks without
    /// points. `None` if all were.
    searched: Option<usize>,
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

/// What points are of.
#[derive(Clone, Debug)]
pub enum HistorySubject {
    Series(MetricKind, Box<[u8]>),
    /// An own figure. Without a label, its points are those of the sum over all labels.
    Figure {
        name: String,
        label: String,
    },
}

/// Flushes whose points are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct HistorySpan {
    /// The number of the oldest of them.
    next: u32,
    left: usize,
}

/// The values of a series or figure in a flush. A value is NaN where nothing is known.
type HistoryRow = ArrayVec<f32, COLUMNS_MAX>;

type SeriesName<'a> = (MetricKind, &'a [u8]);
type OwnedKey = (MetricKind, Box<[u8]>);

/// The largest number of rows, whatever the length of the history.
const ROWS_MAX: usize = 100_000;
/// The most rows that are shown. More do not fit a chart.
const SHOWN_MAX: usize = 5000;
/// The most rows that are read in a step, and the most of all tracks together. A sum over labels
/// reads a row of each track. To write a row takes about a microsecond, to read one 10 ns.
const STEP_ROWS: usize = 100;
const STEP_READS: usize = 2000;
/// The most own figures. A configuration has fewer.
const OWN_MAX: usize = 2000;
/// About the own figures of most servers.
const OWN_USUAL: usize = 128;
/// The bytes of a track besides its rows and its name, about.
const OVERHEAD: usize = 96;
/// The tracks that are searched in a step for those without points.
const STEP_TRACKS: usize = 8 * MAP_TRACKS;
/// Of a flush, the most series that are exchanged for others.
const EXCHANGED_MAX: usize = 16;

/// The most values of a row.
const COLUMNS_MAX: usize = 5;

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
        let rows = rows.clamp(2, ROWS_MAX);
        let tracks = memory / bytes_of(MetricKind::Counter, &[], rows);
        let series = std::array::from_fn(|_| TrackMaps::new(tracks));
        Self { memory, rows, series, ..Self::default() }
    }

    /// Sets other limits. If they differ, all points are forgotten.
    ///
    /// The last values of totals stay. Otherwise the next rise of each would be its count since the
    /// start.
    pub fn limit(&mut self, memory: usize, rows: usize) {
        let mut new = Self::new(memory, rows);
        if (new.memory, new.rows) != (self.memory, self.rows) {
            new.flush = self.flush; // an answer in progress must not show later points as earlier
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
        if let Some(track) = self.series[kind as usize].of_mut(name).get_mut(name) {
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
        self.series[kind as usize].of_mut(name).insert(name.into(), track);
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

    /// Ends a flush, whose time this is. [`forget_some`](Self::forget_some) is due then.
    pub fn end_flush(&mut self, time: UnixTime) {
        if !self.is_on() {
            return;
        }
        self.times.push_back(time);
        if self.times.len() > self.rows {
            self.times.pop_front();
        }
        self.flush = self.flush.wrapping_add(1);
        self.searched = Some(0);
    }

    /// Forgets series without any point left. Searches some of the series in each call, since a
    /// million would take 11 ms. Returns `false` if all are searched since the last flush.
    pub fn forget_some(&mut self) -> bool {
        let Some(mut searched) = self.searched else { return false };
        let Self { flush, rows, .. } = *self;
        let mut left = STEP_TRACKS;
        while left > 0 {
            let maps = self.series[0].maps().len(); // of each kind
            let Some(&kind) = MetricKind::ALL.get(searched / maps) else {
                self.searched = None;
                return false;
            };
            let map = &mut self.series[kind as usize].maps_mut()[searched % maps];
            left = left.saturating_sub(map.len().max(STEP_TRACKS / 64));
            map.retain(|name, track| {
                let is_dead = track.age(flush) > rows;
                if is_dead {
                    self.reserved -= bytes_of(kind, name, rows);
                    self.held -= held_by(name, track);
                }
                !is_dead
            });
            searched += 1;
        }
        self.searched = Some(searched);
        true
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
        // The tracks of series that have gone leave room for others.
        let mean = self.reserved / held.max(1);
        let free = self.memory.saturating_sub(self.reserved) / mean.max(1);
        let free = free.min(EXCHANGED_MAX);
        let ranks = if free > 0 { held + free } else { held / 2 };
        let mut wanted = first(&mut active, ranks).to_vec();
        wanted.retain(|(_, (kind, name))| !self.keeps(*kind, name));
        let mut wanted = first(&mut wanted, EXCHANGED_MAX).to_vec();
        sort_few(&mut wanted, |a, b| b.0.cmp(&a.0).then_with(|| a.1.1.cmp(b.1.1)));
        let mut forgotten = Vec::new();
        let most = wanted.len().saturating_sub(free);
        for kind in MetricKind::ALL {
            let names = self.series[kind as usize].names();
            let others = names.filter(|name| samples_of((kind, name)) < least);
            let some = others.take(most - forgotten.len());
            forgotten.extend(some.map(|name| (kind, Box::from(name))));
        }
        wanted.truncate(forgotten.len() + free);
        for (kind, name) in &forgotten {
            if let Some(track) = self.series[*kind as usize].of_mut(name).remove(name) {
                self.held -= held_by(name, &track);
            }
            self.reserved -= self.bytes_of(*kind, name);
        }
        let wanted = wanted.into_iter().map(|(_, (kind, name))| (kind, name.into()));
        (forgotten, wanted.collect())
    }

    /// The names of the values of a row. Returns `None` if there are no points.
    pub fn columns(&self, of: &HistorySubject) -> Option<&'static [&'static str]> {
        match of {
            HistorySubject::Series(kind, name) => {
                self.keeps(*kind, name).then_some(COLUMNS[*kind as usize])
            }
            HistorySubject::Figure { name, label } => {
                let own = self.own(name, label).next()?;
                Some(if own.total.is_some() { &["rate"] } else { &["value"] })
            }
        }
    }

    /// The flushes whose points are shown.
    pub fn span(&self) -> HistorySpan {
        let left = self.times.len().min(SHOWN_MAX);
        #[allow(clippy::cast_possible_truncation)] // at most `SHOWN_MAX`
        HistorySpan { next: self.flush.wrapping_sub(left as u32), left }
    }

    /// Passes some points to `see`, the oldest first, and removes their flushes from `span`.
    /// Returns `true` after the last one. Points that were forgotten meanwhile are left out.
    pub fn read_some(
        &self,
        of: &HistorySubject,
        span: &mut HistorySpan,
        mut see: impl FnMut(UnixTime, &[f32]),
    ) -> bool {
        let tracks = self.tracks(of);
        if tracks.is_empty() {
            return true;
        }
        for _ in 0..(STEP_READS / tracks.len()).clamp(1, STEP_ROWS).min(span.left) {
            let rows = tracks.iter().filter_map(|track| track.row(span.next));
            let rows = rows.map(|row| row.iter().copied().collect());
            if let Some((time, row)) = self.time_of(span.next).zip(rows.reduce(sum)) {
                see(time, &row);
            }
            span.next = span.next.wrapping_add(1);
            span.left -= 1;
        }
        span.left == 0
    }

    /// When a flush ended, if that is still known.
    fn time_of(&self, flush: u32) -> Option<UnixTime> {
        let ago = self.flush.wrapping_sub(flush) as usize;
        self.times.get(self.times.len().checked_sub(ago)?).copied()
    }

    /// The tracks whose sum the points are.
    fn tracks(&self, of: &HistorySubject) -> Vec<&Track> {
        match of {
            HistorySubject::Series(kind, name) => {
                self.series[*kind as usize].of(name).get(name).into_iter().collect()
            }
            HistorySubject::Figure { name, label } => {
                self.own(name, label).map(|own| &own.track).collect()
            }
        }
    }

    /// An own figure with this label, or all of its labels.
    fn own(&self, name: &str, label: &str) -> impl Iterator<Item = &OwnTrack> {
        let first = (name.to_owned(), label.to_owned());
        // A figure of each destination may have the name of their sum, which has no label.
        let is_sum = label.is_empty() && !self.own.contains_key(&first);
        let is_wanted = move |of: &str, its: &str| of == name && (is_sum || its == label);
        let labels = self.own.range(first..).take_while(move |((of, its), _)| is_wanted(of, its));
        labels.map(|(_, own)| own)
    }

    /// Whether points of a series are kept.
    pub fn keeps(&self, kind: MetricKind, name: &[u8]) -> bool {
        self.series[kind as usize].of(name).contains_key(name)
    }

    /// The number of series of which points are kept.
    pub fn len(&self) -> usize {
        self.series.iter().map(TrackMaps::len).sum()
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

/// Adds the row of another track. An unknown value counts as 0 beside a known one.
fn sum(mut sum: HistoryRow, added: HistoryRow) -> HistoryRow {
    for (sum, added) in sum.iter_mut().zip(added) {
        *sum = if sum.is_nan() { added } else { *sum + added.max(0.0) };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: MetricKind = MetricKind::Counter;

    /// Returns the bytes of the history, which must be those of all its tracks.
    fn bytes(history: &History) -> usize {
        let series = history.series.iter().flat_map(|series| series.maps()).flatten();
        let series: usize = series.map(|(name, track)| held_by(name, track)).sum();
        let own = history
            .own
            .iter()
            .map(|((name, label), own)| OVERHEAD + name.len() + label.len() + own.track.bytes());
        assert_eq!(history.bytes(), series + own.sum::<usize>());
        history.bytes()
    }

    /// Ends a flush, and forgets what has no point left.
    fn end_flush(history: &mut History, seconds: u64) {
        history.end_flush(UnixTime::from_secs(seconds));
        while history.forget_some() {}
    }

    /// Returns the times and the first values of all points.
    fn points(history: &History, of: &HistorySubject) -> Vec<(u64, f32)> {
        let mut span = history.span();
        let mut found = Vec::new();
        while !history.read_some(of, &mut span, |time, row| found.push((time.as_secs(), row[0]))) {}
        found
    }

    fn rates(history: &History, name: &str) -> Vec<(u64, f32)> {
        points(history, &HistorySubject::Series(COUNTER, name.as_bytes().into()))
    }

    fn own(name: &str, label: &str) -> HistorySubject {
        HistorySubject::Figure { name: name.to_owned(), label: label.to_owned() }
    }

    fn own_values(history: &History, name: &str, label: &str) -> Vec<f32> {
        points(history, &own(name, label)).into_iter().map(|(_, value)| value).collect()
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
        assert_eq!(own_values(&history, "own", "").len(), 4);
        history.end_flush(UnixTime::from_secs(90));
        assert!(rates(&history, "a")[3].1.is_nan(), "it was not closed");
        (10..15).for_each(|n| end_flush(&mut history, n * 10));
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
        for (label, rates) in
            [("udp", &[2.0, 3.0, 0.0][..]), ("tcp", &[10.0, 0.0]), ("", &[2.0, 13.0, 0.0])]
        {
            assert_eq!(history.columns(&own("lines", label)), Some(&["rate"][..]));
            assert_eq!(own_values(&history, "lines", label), rates);
        }
        assert_eq!(history.columns(&own("linesman", "")), Some(&["value"][..]));
        for unknown in [own("line", ""), own("lines", "tc"), own("lines", "tcpp")] {
            assert_eq!(history.columns(&unknown), None);
        }
        history.note_own("lines", "", 7.0);
        assert_eq!(own_values(&history, "lines", ""), [7.0]);
    }

    /// Shows that a step over many labels reads few points, and that points which are forgotten
    /// between two steps are left out.
    #[test]
    fn points_are_read_in_steps() {
        const LABELS: usize = 500;
        let mut history = History::new(8 << 20, 1000);
        let flush = |history: &mut History, number: u16| {
            history.end_flush(UnixTime::from_secs(number.into()));
            for label in 0..LABELS {
                history.note_own("lines", &label.to_string(), number.into());
            }
        };
        (0..1000).for_each(|number| flush(&mut history, number));
        let subject = own("lines", "");
        let mut span = history.span();
        let mut found = Vec::new();
        let mut steps = 0;
        loop {
            let before = found.len();
            let see = |time: UnixTime, row: &[f32]| found.push((time.as_secs(), row[0]));
            let is_over = history.read_some(&subject, &mut span, see);
            assert!(found.len() - before <= STEP_READS / LABELS);
            if is_over {
                break;
            }
            steps += 1;
            if steps == 10 {
                (1000..1100).for_each(|number| flush(&mut history, number));
            }
        }
        let of = |numbers: std::ops::Range<u16>| {
            numbers.map(|number| (u64::from(number), f32::from(number) * 500.0))
        };
        assert_eq!(found, of(0..40).chain(of(100..1000)).collect::<Vec<_>>());
        history.limit(8 << 20, 900);
        flush(&mut history, 1100);
        assert_eq!(points(&history, &subject), of(1100..1101).collect::<Vec<_>>());
        let mut late = HistorySpan { next: 500, left: 500 };
        while !history.read_some(&subject, &mut late, |_, _| panic!("a point of another time")) {}
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
            assert_eq!(own_values(&history, "series", ""), [], "{changes:?}");
            history.end_flush(UnixTime::from_secs(20));
            history.note_own_total("lines", "udp", 50_020.0, 10.0);
            assert_eq!(points(&history, &own("lines", "udp")), [(20, 2.0)], "{changes:?}");
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
                let values = own_values(&history, "figure", "7");
                assert_eq!((values.len(), values[0]), (128, 372.0));
            }
        }
        for figure in ["7", "299"] {
            let values = own_values(&history, "figure", figure);
            assert_eq!(values, (968..1000_u16).map(f32::from).collect::<Vec<_>>(), "{figure}");
        }
    }

    /// Shows that a step looks at some thousand series, however many there are, and that all are
    /// found whose points are gone.
    #[test]
    fn series_without_points_are_forgotten_in_steps() {
        const SERIES: usize = 100_000;
        let mut history = History::new(64 << 20, 2);
        for number in 0..SERIES {
            assert!(history.note(COUNTER, format!("app.{number}").as_bytes(), &[1.0]));
        }
        let largest = history.series[0].maps().iter().map(|map| map.len()).max();
        assert!(largest < Some(2 * MAP_TRACKS), "{largest:?}");
        for flush in 0..3 {
            assert_eq!(history.len(), SERIES);
            end_flush(&mut history, flush * 10);
            assert!(history.note(COUNTER, b"app.7", &[1.0]));
        }
        history.end_flush(UnixTime::from_secs(30));
        let mut steps = 0;
        loop {
            let before = history.len();
            let is_left = history.forget_some();
            assert!(before - history.len() < STEP_TRACKS + 2 * MAP_TRACKS);
            if !is_left {
                break;
            }
            steps += 1;
            bytes(&history);
        }
        assert!(steps >= SERIES / STEP_TRACKS / 2, "{steps}");
        assert!(history.len() == 1 && history.keeps(COUNTER, b"app.7"));
        assert_eq!(history.reserved(), bytes_of(COUNTER, b"app.7", 2));
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

    /// Shows that series which were refused get the room of those that have gone.
    #[test]
    fn series_that_were_refused_get_the_room_of_those_that_have_gone() {
        let rows = 4;
        let mut history = History::new(20 * bytes_of(COUNTER, b"n00", rows), rows);
        let names: Vec<String> = (10..50).map(|n| format!("n{n}")).collect();
        let kept: Vec<_> =
            names.iter().filter(|n| history.note(COUNTER, n.as_bytes(), &[1.0])).collect();
        assert_eq!(kept.len(), 20);
        // From now on, five of the kept ones are active, and all that were refused.
        let active = &names[15..];
        for flush in 0..10 {
            let samples_of = |(_, name): SeriesName<'_>| {
                u64::from(active.iter().any(|known| known.as_bytes() == name))
            };
            let samples = active.iter().map(|name| (1, (COUNTER, name.as_bytes())));
            let (_, offered) = history.exchange(samples, samples_of);
            for (_, name) in &offered {
                history.note(COUNTER, name, &[1.0]);
            }
            for name in active {
                if history.keeps(COUNTER, name.as_bytes()) {
                    history.note(COUNTER, name.as_bytes(), &[1.0]);
                }
            }
            end_flush(&mut history, flush * 10);
        }
        let kept = active.iter().filter(|name| history.keeps(COUNTER, name.as_bytes()));
        assert_eq!(kept.count(), 20);
        bytes(&history);
    }
}
