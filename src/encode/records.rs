//! Binary records as statsite writes them to a command with `binary_stream`. Numbers are
//! little-endian.
//!
//! ```text
//!   timestamp: u64 │ type: u8 │ figure: u8 │ key length: u16 │ value: f64 │ key … 0
//! ```
//! The key length includes the NUL. The record of a bin of a histogram has a bound as its value.
//! The count of the bin follows the key, as a u32.
//!
//! A record has no name of a figure, but the code of one. So the series that are sent, and the
//! figures, are those of statsite, whatever the style of the name space.

use super::chunk::Chunks;
use super::encoder::{Encoder, RefusalReason, RefusedPoints};
use super::names::{Point, Points};
use super::namespace::{Namespace, Style};
use crate::flush::{Subject, Summary};
use crate::policy::{Bin, FigureId, FigureNames};

/// The codes of types.
const KV: u8 = 1;
const COUNTER: u8 = 2;
const TIMER: u8 = 3;
const SET: u8 = 4;
const GAUGE: u8 = 5;

/// The codes of figures.
const VALUE: u8 = 0;
const SUM: u8 = 1;
const COUNT: u8 = 4;
const RATE: u8 = 0xb;
const HISTOGRAM_FLOOR: u8 = 8;
const HISTOGRAM_BIN: u8 = 9;
const HISTOGRAM_CEILING: u8 = 0xa;
/// Added to the whole percents of a percentile.
const PERCENTILE: u8 = 0x80;

/// The encoder of statsite's records.
#[derive(Debug)]
pub(super) struct Records {
    points: Points,
    /// What a figure of a timing is written as, in the order of [`FigureId`]. `None` for a figure
    /// that statsite does not write.
    timing: Vec<Option<TimingRecord>>,
    stamp: u64,
    record: Vec<u8>,
    chunks: Chunks,
    refused: Vec<RefusedPoints>,
}

/// What a figure of a timing is written as.
#[derive(Clone, Copy, Debug)]
enum TimingRecord {
    /// The value of the figure, with this code.
    Value(u8),
    /// The value without its fraction, with this code.
    Whole(u8),
    /// This bound with this code, and then the value of the figure as a count.
    Bin(u8, f64),
}

impl Records {
    /// `is_prefixed` is true if the keys have the prefixes of the name space, as with statsite's
    /// `prefix_binary_stream`.
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames, is_prefixed: bool) -> Self {
        let prefix = |prefix: &String| if is_prefixed { prefix.clone() } else { String::new() };
        let namespace = Namespace {
            style: Style::Statsite,
            extended_counters: true,
            global_prefix: prefix(&namespace.global_prefix),
            prefix_counter: prefix(&namespace.prefix_counter),
            prefix_timer: prefix(&namespace.prefix_timer),
            prefix_gauge: prefix(&namespace.prefix_gauge),
            prefix_set: prefix(&namespace.prefix_set),
            prefix_kv: prefix(&namespace.prefix_kv),
            ..namespace.clone()
        };
        Self {
            points: Points::new(&namespace, figures),
            timing: timing_records(figures),
            stamp: 0,
            record: Vec::new(),
            chunks: Chunks::default(),
            refused: Vec::new(),
        }
    }
}

/// Returns what each figure of a timing is written as.
fn timing_records(figures: &FigureNames) -> Vec<Option<TimingRecord>> {
    let mut records = vec![None; figures.statsite().count()];
    for (id, code) in [
        (FigureId::SUM, SUM),
        (FigureId::SUM_SQUARES, 2),
        (FigureId::MEAN, 3),
        (FigureId::STDEV, 5),
        (FigureId::LOWER, 6),
        (FigureId::UPPER, 7),
        (FigureId::SUM_PS, RATE),
        (FigureId::COUNT_PS, 0xc),
    ] {
        records[id.index()] = Some(TimingRecord::Value(code));
    }
    records[FigureId::COUNT.index()] = Some(TimingRecord::Whole(COUNT));
    for (percentile, id) in figures.quantiles().filter(|(known, _)| known.percent() > 0.0) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at most 100
        let code = PERCENTILE | percentile.percent() as u8;
        records[id.index()] = Some(TimingRecord::Value(code));
    }
    for (bin, id) in figures.bins() {
        records[id.index()] = Some(TimingRecord::of_bin(bin));
    }
    records
}

impl TimingRecord {
    fn of_bin(bin: Bin) -> Self {
        if bin.from() == f64::NEG_INFINITY {
            Self::Bin(HISTOGRAM_FLOOR, bin.bound())
        } else if bin.bound() == f64::INFINITY {
            Self::Bin(HISTOGRAM_CEILING, bin.from())
        } else {
            Self::Bin(HISTOGRAM_BIN, bin.from())
        }
    }
}

impl Encoder for Records {
    fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = stamp;
        self.chunks.begin(flush);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        let Self { points, timing, stamp, record, chunks, refused } = self;
        points.of(summary, |point, id| {
            let counter = if id == FigureId::RATE { RATE } else { COUNT };
            let (kind, what) = match summary.subject {
                Subject::Counter | Subject::OwnCounter | Subject::NumStats => {
                    (COUNTER, TimingRecord::Value(counter))
                }
                Subject::Gauge | Subject::OwnGauge | Subject::Own => {
                    (GAUGE, TimingRecord::Value(VALUE))
                }
                Subject::Kv => (KV, TimingRecord::Value(VALUE)),
                Subject::Set => (SET, TimingRecord::Value(SUM)),
                Subject::Timing => match timing[id.index()] {
                    Some(what) => (TIMER, what),
                    None => return,
                },
            };
            record.clear();
            if write(record, &point, kind, what, *stamp) {
                chunks.line().extend_from_slice(record);
            } else {
                RefusedPoints::add(refused, RefusalReason::RecordKeyTooLong, summary, 1);
            }
        });
    }

    fn end(&mut self) {
        self.chunks.end();
    }

    fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }

    fn take_refused(&mut self) -> Vec<RefusedPoints> {
        std::mem::take(&mut self.refused)
    }
}

/// Writes a record to `out`, which is empty. Returns `false` if the key is too long for one.
fn write(out: &mut Vec<u8>, point: &Point<'_>, kind: u8, what: TimingRecord, stamp: u64) -> bool {
    let (code, value) = match what {
        TimingRecord::Value(code) => (code, point.value),
        TimingRecord::Whole(code) => (code, point.value.trunc()),
        TimingRecord::Bin(code, bound) => (code, bound),
    };
    out.extend_from_slice(&point.timestamp.unwrap_or(stamp).to_le_bytes());
    out.extend_from_slice(&[kind, code, 0, 0]); // the key length comes when the key is written
    out.extend_from_slice(&value.to_le_bytes());
    let head = out.len();
    point.append_series_name(out);
    out.extend_from_slice(point.tags);
    out.push(0);
    let Ok(key_length) = u16::try_from(out.len() - head) else { return false };
    out[LENGTH_AT..LENGTH_AT + 2].copy_from_slice(&key_length.to_le_bytes());
    if let TimingRecord::Bin(..) = what {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count
        out.extend_from_slice(&(point.value as u32).to_le_bytes());
    }
    true
}

/// Returns the key of each record in a chunk, with its type and figure after it: their names where
/// statsite has some, and their codes.
pub(super) fn names(chunk: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let mut rest = chunk;
    while let Some((head, after)) = rest.split_first_chunk::<12>() {
        let [.., kind, figure, low, high] = *head;
        let key_length = usize::from(u16::from_le_bytes([low, high]));
        let Some(key) = after.get(size_of::<f64>()..size_of::<f64>() + key_length) else { break };
        let mut name = key.strip_suffix(b"\0").unwrap_or(key).to_vec();
        name.extend_from_slice(format!(" (type {kind}, figure {figure})").as_bytes());
        names.push(name);
        let is_bin = matches!(figure, HISTOGRAM_FLOOR | HISTOGRAM_BIN | HISTOGRAM_CEILING);
        let count = if is_bin && kind == TIMER { size_of::<u32>() } else { 0 };
        rest = after.get(size_of::<f64>() + key_length + count..).unwrap_or_default();
    }
    names
}

/// Where the key length is in a record.
const LENGTH_AT: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Figure, Percentile};

    fn names() -> FigureNames {
        let percentiles = [50.0, 99.9, -10.0].map(|percent| Percentile::new(percent).unwrap());
        FigureNames::new(&percentiles, &Bin::histogram(&[10.0, 20.0, f64::INFINITY]))
    }

    fn record(subject: Subject, ids: &[FigureId], is_prefixed: bool) -> String {
        let mut records = Records::new(&Namespace::statsite(), &names(), is_prefixed);
        records.begin(1, 0x0102);
        let figures: Vec<_> = ids.iter().map(|&id| Figure { id, value: 2.0 }).collect();
        records.encode(&Summary::new(subject, b"a;k=v", &figures));
        records.end();
        let bytes: Vec<u8> = records.chunks().take().flat_map(|one| one.bytes().to_vec()).collect();
        bytes.escape_ascii().to_string()
    }

    const STAMP: &str = r"\x02\x01\x00\x00\x00\x00\x00\x00";
    const TWO: &str = r"\x00\x00\x00\x00\x00\x00\x00@";

    #[test]
    fn each_type_and_figure_has_the_code_that_statsite_gives_it() {
        let one = |kind: &str, code: &str| format!(r"{STAMP}{kind}{code}\x06\x00{TWO}a;k=v\x00");
        for (subject, id, kind, code) in [
            (Subject::Kv, FigureId::VALUE, r"\x01", r"\x00"),
            (Subject::Counter, FigureId::COUNT, r"\x02", r"\x04"),
            (Subject::Counter, FigureId::RATE, r"\x02", r"\x0b"),
            (Subject::Set, FigureId::COUNT, r"\x04", r"\x01"),
            (Subject::Gauge, FigureId::VALUE, r"\x05", r"\x00"),
            (Subject::Timing, FigureId::SUM, r"\x03", r"\x01"),
            (Subject::Timing, FigureId::SUM_SQUARES, r"\x03", r"\x02"),
            (Subject::Timing, FigureId::MEAN, r"\x03", r"\x03"),
            (Subject::Timing, FigureId::COUNT, r"\x03", r"\x04"),
            (Subject::Timing, FigureId::STDEV, r"\x03", r"\x05"),
            (Subject::Timing, FigureId::LOWER, r"\x03", r"\x06"),
            (Subject::Timing, FigureId::UPPER, r"\x03", r"\x07"),
            (Subject::Timing, FigureId::SUM_PS, r"\x03", r"\x0b"),
            (Subject::Timing, FigureId::COUNT_PS, r"\x03", r"\x0c"),
        ] {
            assert_eq!(record(subject, &[id], false), one(kind, code), "{subject:?}");
        }
        let quantiles: Vec<_> = names().quantiles().map(|(_, id)| id).collect();
        let expected = [one(r"\x03", r"\xb2"), one(r"\x03", r"\xe3")].concat();
        assert_eq!(record(Subject::Timing, &quantiles, false), expected, "not one from the top");
        let node = [FigureId::STD, FigureId::MEDIAN, FigureId::QUANTILE_MEDIAN];
        assert_eq!(record(Subject::Timing, &node, false), "");
    }

    #[test]
    fn a_bin_has_its_bound_and_its_count() {
        let ten = r"\x00\x00\x00\x00\x00\x00$@";
        let twenty = r"\x00\x00\x00\x00\x00\x004@";
        let one = |code: &str, bound: &str| {
            format!(r"{STAMP}\x03{code}\x06\x00{bound}a;k=v\x00\x02\x00\x00\x00")
        };
        let bins: Vec<_> = names().bins().map(|(_, id)| id).collect();
        let expected = [one(r"\x08", ten), one("\\t", ten), one("\\n", twenty)].concat();
        assert_eq!(record(Subject::Timing, &bins, false), expected);
    }

    #[test]
    fn keys_have_prefixes_if_they_are_wanted() {
        for (subject, id, bare, prefixed) in [
            (Subject::Kv, FigureId::VALUE, "a;k=v", "kv.a;k=v"),
            (Subject::Counter, FigureId::COUNT, "a;k=v", "counts.a;k=v"),
            (Subject::Timing, FigureId::MEAN, "a;k=v", "timers.a;k=v"),
            (Subject::Set, FigureId::COUNT, "a;k=v", "sets.a;k=v"),
            (Subject::Gauge, FigureId::VALUE, "a;k=v", "gauges.a;k=v"),
            (Subject::OwnCounter, FigureId::COUNT, "statsd.a;k=v", "counts.statsd.a;k=v"),
            (Subject::OwnGauge, FigureId::VALUE, "statsd.a;k=v", "gauges.statsd.a;k=v"),
            (Subject::Own, FigureId::VALUE, "statsd.a;k=v", "gauges.statsd.a;k=v"),
            (Subject::NumStats, FigureId::VALUE, "statsd.a;k=v", "counts.statsd.a;k=v"),
        ] {
            for (key, is_prefixed) in [(bare, false), (prefixed, true)] {
                let found = record(subject, &[id], is_prefixed);
                let length = u8::try_from(key.len() + 1).unwrap().escape_ascii();
                let tail = format!(r"{length}\x00{TWO}{key}\x00");
                assert!(found.ends_with(&tail), "{found} {tail}");
            }
        }
    }

    #[test]
    fn a_key_that_is_too_long_is_refused_and_counted() {
        let mut records = Records::new(&Namespace::statsite(), &names(), false);
        records.begin(1, 10);
        for bytes in [65_534, 65_535] {
            let name = vec![b'n'; bytes];
            let figures = [Figure { id: FigureId::VALUE, value: 1.0 }];
            records.encode(&Summary::new(Subject::Gauge, &name, &figures));
        }
        records.end();
        assert_eq!(records.chunks().take().map(|chunk| chunk.lines()).sum::<u32>(), 1);
        let refused = records.take_refused();
        assert_eq!(
            (refused.len(), refused[0].points, refused[0].reason),
            (1, 1, RefusalReason::RecordKeyTooLong)
        );
    }
}
