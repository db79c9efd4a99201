//! InfluxDB's line protocol: `measurement,tag=value field=number,field=number nanoseconds\n`.
//!
//! The measurement is the name that Graphite is sent, without the name of the figure. The figure is
//! the field, so the figures of a timing are fields of one point. If a name has no figure, its
//! field is `value`.
//!
//! A clean name needs no escapes, except for `=` in the value of a tag. In a raw name, commas and
//! spaces get a backslash, too.
//!
//! InfluxDB does not accept `time` as the key of a tag, so such a tag is renamed. A line that
//! begins with `#` is a comment, so such a measurement is refused.
//!
//! Over UDP a line must fit into a datagram. A point with a longer line is refused.

use memchr::memchr;

use super::chunk::{Chunks, DATAGRAM_BYTES_MAX};
use super::encoder::{Encoder, RefusalReason, RefusedPoints};
use super::names::{Point, Points};
use super::namespace::Namespace;
use super::number::Number;
use crate::flush::Summary;
use crate::policy::FigureNames;

/// When a line is longer than this, the next field begins another line of the same point. InfluxDB
/// joins the two again. So packets stay within an MTU, however many fields there are.
const LINE_BYTES: usize = 1200;
/// The most bytes of a series and one of its fields in InfluxDB's index.
const KEY_BYTES_MAX: usize = 65_535;
/// The text between the two.
const KEY_SEPARATOR: &str = "#!~#";
/// The last second whose nanoseconds fit in an `i64`, as InfluxDB stores them.
const LAST_SECOND: u64 = (i64::MAX / 1_000_000_000) as u64 - 1;
/// The bytes of ` SECONDS000000000\n` after the fields, with seconds of ten digits.
const LINE_END_BYTES: usize = 21;
/// The key that replaces `time=`. No clean key begins like this.
const TIME_KEY: &[u8] = b"@time=";

/// The encoder of InfluxDB's line protocol.
#[derive(Debug)]
pub(super) struct Influx {
    points: Points,
    stamp: u64,
    line: PointLine,
    chunks: Chunks,
    refused: Vec<RefusedPoints>,
}

/// The line that is being written. It is empty between two lines.
#[derive(Debug)]
struct PointLine {
    text: Vec<u8>,
    /// The prefix of the name with which the line was begun.
    prefix: Vec<u8>,
    /// The bytes of the measurement and its tags.
    series_bytes: usize,
    /// Whether each line must fit into a datagram.
    is_for_udp: bool,
    number: Number,
}

impl Influx {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames, is_for_udp: bool) -> Self {
        Self {
            points: Points::raw(namespace, figures),
            stamp: 0,
            line: PointLine {
                text: Vec::new(),
                prefix: Vec::new(),
                series_bytes: 0,
                is_for_udp,
                number: Number::new(),
            },
            chunks: Chunks::default(),
            refused: Vec::new(),
        }
    }
}

impl Encoder for Influx {
    fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = stamp;
        self.chunks.begin(flush);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        let stamp = summary.timestamp.unwrap_or(self.stamp);
        if stamp > LAST_SECOND {
            let points = summary.figures.len();
            return RefusedPoints::add(
                &mut self.refused,
                RefusalReason::InfluxTooLate,
                summary,
                points,
            );
        }
        let Self { points, line, chunks, refused, .. } = self;
        points.of(summary, |point, _| {
            if point.is_raw && point.prefix().is_empty() && summary.name.starts_with(b"#") {
                return RefusedPoints::add(refused, RefusalReason::InfluxComment, summary, 1);
            }
            // Figures with another prefix are another measurement, such as `stats_counts.hits`
            // beside `stats.hits`.
            if line.text.len() > LINE_BYTES || line.prefix != point.prefix() {
                line.end(stamp, chunks);
            }
            if let Err(reason) = line.append(&point) {
                RefusedPoints::add(refused, reason, summary, 1);
            }
        });
        line.end(stamp, chunks);
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

impl PointLine {
    /// Appends a field to the line. Begins the line if it is empty. Appends nothing, and returns
    /// the reason, if the key is too long for InfluxDB or the line for a datagram.
    fn append(&mut self, point: &Point<'_>) -> Result<(), RefusalReason> {
        let Self { text, prefix, series_bytes, is_for_udp, number } = self;
        let is_first = text.is_empty();
        if is_first {
            prefix.clear();
            prefix.extend_from_slice(point.prefix());
            point.append_series_name(text);
            if point.is_raw {
                escape_name_and_append_tags(point.tags, text);
            } else {
                append_tags(point.tags, text);
            }
            *series_bytes = text.len();
        }
        let figure = match point.figure() {
            b"" => b"value",
            figure => figure,
        };
        if *series_bytes + KEY_SEPARATOR.len() + figure.len() > KEY_BYTES_MAX {
            if is_first {
                text.clear();
            }
            return Err(RefusalReason::InfluxKeyTooLong);
        }
        text.push(if is_first { b' ' } else { b',' });
        text.extend_from_slice(figure);
        text.push(b'=');
        number.append(point.value, text);
        // Only the first field can make a line exceed the limit: see `LINE_BYTES`.
        if *is_for_udp && text.len() > DATAGRAM_BYTES_MAX - LINE_END_BYTES {
            text.clear();
            return Err(RefusalReason::InfluxLineTooLong);
        }
        Ok(())
    }

    /// Ends the line with its timestamp, and appends it to the chunks. Does nothing if it is empty.
    fn end(&mut self, stamp: u64, chunks: &mut Chunks) {
        if self.text.is_empty() {
            return;
        }
        self.text.extend_from_slice(format!(" {stamp}000000000\n").as_bytes());
        chunks.line().extend_from_slice(&self.text);
        self.text.clear();
    }
}

/// Appends tags such as `;k=v;k2=v2` as `,k=v,k2=v2`.
fn append_tags(tags: &[u8], out: &mut Vec<u8>) {
    for tag in tags.split(|&byte| byte == b';').filter(|tag| !tag.is_empty()) {
        out.push(b',');
        let key_end = memchr(b'=', tag).map_or(tag.len(), |equals| equals + 1);
        let (key, mut value) = tag.split_at(key_end);
        out.extend_from_slice(if key == b"time=" { TIME_KEY } else { key });
        // InfluxDB refuses a line with a bare `=` in the value of a tag.
        while let Some(equals) = memchr(b'=', value) {
            out.extend_from_slice(&value[..equals]);
            out.extend_from_slice(b"\\=");
            value = &value[equals + 1..];
        }
        out.extend_from_slice(value);
    }
}

/// Escapes the raw name in `out`, and appends raw tags as [`append_tags`] does, with all escapes.
/// Most names are clean, so this is kept apart from their code.
///
/// A key such as `@time` also gets an `@`. Otherwise two tags could have the key `@time`.
#[cold]
#[inline(never)]
fn escape_name_and_append_tags(tags: &[u8], out: &mut Vec<u8>) {
    escape(out, 0, b", ");
    for tag in tags.split(|&byte| byte == b';').filter(|tag| !tag.is_empty()) {
        let (key, value) = tag.split_at(memchr(b'=', tag).unwrap_or(tag.len()));
        out.push(b',');
        let ats = key.iter().take_while(|byte| **byte == b'@').count();
        if &key[ats..] == b"time" {
            out.push(b'@');
        }
        let mut start = out.len();
        out.extend_from_slice(key);
        escape(out, start, b",= ");
        out.push(b'=');
        start = out.len();
        out.extend_from_slice(value.get(1..).unwrap_or_default());
        escape(out, start, b",= ");
    }
}

/// Puts a backslash before each of the `special` bytes from `start` on.
fn escape(text: &mut Vec<u8>, start: usize, special: &[u8]) {
    for byte in text.split_off(start) {
        if special.contains(&byte) {
            text.push(b'\\');
        }
        text.push(byte);
    }
}

/// Returns the series and the field of each value in a chunk, with a blank between them.
pub(super) fn names(chunk: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    for line in chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let is_end = |at: &usize| line[*at] == b' ' && line.get(at - 1) != Some(&b'\\');
        let Some(end) = (1..line.len()).find(is_end) else { continue };
        let series = &line[..end];
        let rest = &line[end + 1..];
        let fields = &rest[..memchr(b' ', rest).unwrap_or(rest.len())];
        for field in fields.split(|byte| *byte == b',') {
            let key = &field[..memchr(b'=', field).unwrap_or(field.len())];
            names.push([series, b" ", key].concat());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::namespace::Style;
    use super::*;
    use crate::flush::Subject;
    use crate::policy::{Figure, FigureId, Percentile};

    fn lines(namespace: &Namespace, summaries: &[(Subject, &str, &[FigureId])]) -> String {
        let percentiles = [Percentile::new(90.0).unwrap()];
        let mut influx = Influx::new(namespace, &FigureNames::new(&percentiles, &[]), false);
        influx.begin(1, 10);
        for (subject, name, ids) in summaries {
            let figures: Vec<_> =
                (1..).zip(*ids).map(|(nth, &id)| Figure { id, value: f64::from(nth) }).collect();
            influx.encode(&Summary::new(*subject, name.as_bytes(), &figures));
        }
        influx.end();
        let text = influx.chunks().take().flat_map(|chunk| chunk.bytes().to_vec()).collect();
        String::from_utf8(text).unwrap()
    }

    const SUMMARIES: [(Subject, &str, &[FigureId]); 4] = [
        (Subject::Counter, "hits;env=prod;route=a", &[FigureId::RATE, FigureId::COUNT]),
        (
            Subject::Timing,
            "load;time=noon=12=h",
            &[FigureId::MEAN, FigureId::UPPER, FigureId::SUM_SQUARES],
        ),
        (Subject::Gauge, "dir/ty=,x y;a b=c,d=\"e;time=1;@time=2", &[FigureId::VALUE]),
        (Subject::Set, "users", &[FigureId::COUNT]),
    ];

    #[test]
    fn a_series_is_a_point_whose_fields_are_its_figures() {
        let modern =
            Namespace { style: Style::Modern, global_suffix: "h".into(), ..Namespace::default() };
        let expected = "\
stats.counters.hits.h,env=prod,route=a rate=1,count=2 10000000000
stats.timers.load.h,@time=noon\\=12\\=h mean=1,upper=2,sum_squares=3 10000000000
stats.gauges.dir/ty=\\,x\\ y.h,a\\ b=c\\,d\\=\"e,@time=1,@@time=2 value=1 10000000000
stats.sets.users.h count=1 10000000000
";
        assert_eq!(lines(&modern, &SUMMARIES), expected);
    }

    #[test]
    fn names_that_differ_before_the_series_are_points_of_their_own() {
        let expected = "\
stats.hits,env=prod,route=a value=1 10000000000
stats_counts.hits,env=prod,route=a value=2 10000000000
stats.timers.load,@time=noon\\=12\\=h mean=1,upper=2,sum_squares=3 10000000000
stats.gauges.dir/ty=\\,x\\ y,a\\ b=c\\,d\\=\"e,@time=1,@@time=2 value=1 10000000000
stats.sets.users count=1 10000000000
";
        assert_eq!(lines(&Namespace::default(), &SUMMARIES), expected);
    }

    #[test]
    fn a_long_point_is_several_lines() {
        let ids = [FigureId::MEAN; 300];
        let text = lines(&Namespace::default(), &[(Subject::Timing, "a", &ids)]);
        assert!(text.lines().count() > 2);
        let fields = text.lines().map(|line| {
            assert!(line.len() < LINE_BYTES + 100, "{line}");
            let fields = line.strip_prefix("stats.timers.a mean=").unwrap();
            fields.strip_suffix(" 10000000000").unwrap().split(',').count()
        });
        assert_eq!(fields.sum::<usize>(), 300);
    }

    #[test]
    fn a_raw_name_that_would_be_a_comment_is_refused_and_one_that_would_break_a_line_is_cleaned() {
        let namespace = Namespace {
            style: Style::Modern,
            global_prefix: String::new(),
            prefix_gauge: String::new(),
            ..Namespace::default()
        };
        let mut influx = Influx::new(&namespace, &FigureNames::new(&[], &[]), false);
        influx.begin(1, 10);
        for name in ["#a b", "a#b", "a\nb c", "a b\\"] {
            let figures = [Figure { id: FigureId::VALUE, value: 1.0 }];
            influx.encode(&Summary::new(Subject::Gauge, name.as_bytes(), &figures));
        }
        influx.end();
        let text: Vec<u8> =
            influx.chunks().take().flat_map(|chunk| chunk.bytes().to_vec()).collect();
        let expected =
            "a#b value=1 10000000000\na_b_c value=1 10000000000\na_b value=1 10000000000\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        let example = b"#a b".to_vec();
        assert_eq!(
            influx.take_refused(),
            [RefusedPoints { points: 1, reason: RefusalReason::InfluxComment, example, sender: 0 }]
        );
    }

    #[test]
    fn a_time_that_influxdb_has_not_is_refused_and_counted() {
        let mut influx = Influx::new(&Namespace::default(), &FigureNames::new(&[], &[]), false);
        influx.begin(1, 10);
        for timestamp in [9_223_372_035, 9_223_372_036, u64::MAX] {
            let figures = [Figure { id: FigureId::VALUE, value: 1.0 }];
            let summary = Summary::new(Subject::Gauge, b"a", &figures);
            influx.encode(&Summary { timestamp: Some(timestamp), ..summary });
        }
        influx.end();
        assert_eq!(influx.chunks().take().map(|chunk| chunk.lines()).sum::<u32>(), 1);
        let example = b"a".to_vec();
        let reason = RefusalReason::InfluxTooLate;
        let refused = RefusedPoints { points: 2, reason, example, sender: 0 };
        assert_eq!(influx.take_refused(), [refused]);
        assert_eq!(influx.take_refused(), []);
    }

    /// The limit is that of InfluxDB 1.6.7, which drops a point with a longer key.
    #[test]
    fn a_key_that_is_too_long_for_influxdb_is_refused_and_counted() {
        let space = Namespace { style: Style::Modern, ..Namespace::default() };
        let mut influx = Influx::new(&space, &FigureNames::new(&[], &[]), false);
        influx.begin(1, 10);
        let figures = [FigureId::RATE, FigureId::COUNT].map(|id| Figure { id, value: 1.0 });
        // `rate` fits into the first two, and `count`, which is longer, into the first alone.
        for bytes in [65_526, 65_527, 65_528, 1000] {
            let mut name = b"n;t=".to_vec();
            name.resize(bytes - "stats.counters.".len(), b'v');
            influx.encode(&Summary::new(Subject::Counter, &name, &figures));
        }
        influx.end();
        let text: Vec<u8> =
            influx.chunks().take().flat_map(|chunk| chunk.bytes().to_vec()).collect();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let fields: Vec<_> = lines
            .map(|line| {
                let fields = line.split(|byte| *byte == b' ').nth(1).unwrap();
                String::from_utf8(fields.to_vec()).unwrap()
            })
            .collect();
        assert_eq!(fields, ["rate=1", "count=1", "rate=1", "rate=1,count=1"]);
        let refused = influx.take_refused();
        assert_eq!((refused.len(), refused[0].points), (1, 3));
        assert_eq!(refused[0].reason, RefusalReason::InfluxKeyTooLong);
    }

    /// Over UDP, a line that no datagram can hold is refused, and only that line.
    #[test]
    fn a_line_that_no_datagram_can_hold_is_refused_over_udp_alone() {
        let space = Namespace { style: Style::Modern, ..Namespace::default() };
        for (is_for_udp, refused_points) in [(true, 2), (false, 0)] {
            let mut influx = Influx::new(&space, &FigureNames::new(&[], &[]), is_for_udp);
            influx.begin(1, 1_700_000_000);
            let rest = "stats.gauges. value=1 1700000000000000000\n".len();
            for bytes in [10, DATAGRAM_BYTES_MAX - rest, DATAGRAM_BYTES_MAX - rest + 1, 65_490, 20]
            {
                let name = "n".repeat(bytes);
                let figures = [Figure { id: FigureId::VALUE, value: 1.0 }];
                influx.encode(&Summary::new(Subject::Gauge, name.as_bytes(), &figures));
            }
            influx.end();
            let text: Vec<u8> =
                influx.chunks().take().flat_map(|chunk| chunk.bytes().to_vec()).collect();
            let lengths: Vec<_> =
                text.split_inclusive(|byte| *byte == b'\n').map(<[_]>::len).collect();
            assert_eq!(lengths.len(), 5 - refused_points);
            assert_eq!(lengths[1], DATAGRAM_BYTES_MAX);
            let refused = influx.take_refused();
            let found: Vec<_> = refused.iter().map(|one| (one.points, one.reason)).collect();
            let expected = [(refused_points as u64, RefusalReason::InfluxLineTooLong)];
            assert_eq!(found, expected[..usize::from(is_for_udp)]);
        }
    }
}
