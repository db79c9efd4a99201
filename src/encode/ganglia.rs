//! Ganglia's packets, as gmetric 3.1 sends them, in XDR. A number has four bytes, the highest
//! first. A text comes after its length, and is filled up to a multiple of four bytes.
//!
//! ```text
//!   description   128 │ host metric spoofed │ type metric units slope tmax dmax │ 1 "GROUP" group
//!   value         133 │ host metric spoofed │ "%s" value
//! ```
//! gmond accepts a value only if its metric was described before, and it may be restarted at any
//! time. So a metric is described with its first value, and again every few flushes. Each flush
//! describes a part of all metrics. The time of a value is the time at which it arrives.
//!
//! A metric has the name that sivy's pystatsd gives it, and belongs to a group of the web page. A
//! counter (its rate) and a gauge have the name of their series. The figures of a timing have that
//! name and `_FIGURE` after it. They are in seconds, in a group of their own.

use std::borrow::Cow;
use std::rc::Rc;

use super::chunk::{Chunks, HEAD_BYTES, append, framed};
use super::encoder::{Encoder, RefusalReason, RefusedPoints};
use super::namespace::Namespace;
use super::number::Number;
use crate::flush::{Subject, Summary};
use crate::policy::{FigureId, FigureNames};
use crate::protocol::{cleaned, is_clean};

/// The settings that are the same for all metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The host that they are shown for, as `address:name`.
    pub spoof: String,
    /// The text before each name. A dot follows it unless it is empty.
    pub prefix: String,
    /// The most bytes of a metric's name.
    pub max_name_length: usize,
}

/// The first number of a packet that describes a metric.
const DESCRIPTION: u32 = 128;
/// The first number of a packet with a value, which is a text.
const VALUE: u32 = 133;
/// Flushes from one description of a metric to the next.
const DESCRIBED_EVERY: u64 = 6;
/// Names that gmond does not treat as metrics, in upper or lower case.
const NOT_METRICS: [&[u8]; 2] = [b"heartbeat", b"location"];
/// Seconds between two values. If more have passed, the page shows how old a value is.
const TMAX: u32 = 60;
/// Seconds after which gmond removes a metric without values, as in pystatsd.
const DMAX: u32 = 12_000;
/// A value may rise and fall.
const SLOPE_BOTH: u32 = 3;

/// The encoder of Ganglia's packets.
#[derive(Debug)]
pub(super) struct Ganglia {
    labels: Labels,
    /// The prefix of the names of the server's own figures, without a dot.
    own: String,
    /// In the order of [`FigureId`]. `None` for a figure that a timing does not have.
    timing: Rc<[Option<Shape>]>,
    described: Described,
    hasher: ahash::RandomState,
    flush: u64,
    number: Number,
    metric: Vec<u8>,
    value: Vec<u8>,
    packet: Vec<u8>,
    chunks: Chunks,
    refused: Vec<RefusedPoints>,
}

/// How a figure is shown.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    /// The text after the name of the series and a `_`. Empty if the name of the series is enough.
    suffix: String,
    units: &'static str,
    /// The factor that a value is multiplied with.
    scale: f64,
}

/// The metrics that were described, and when they last had a value.
///
/// Clients choose the names, so the memory is fixed. A metric has one of the four places of its
/// group. If more than four metrics of a group have values, some are described with each value.
#[derive(Debug)]
struct Described {
    /// Each place has 24 bits of a hash, and the low byte of the time of the last value.
    places: Vec<[u32; 4]>,
}

/// The number of groups. It is a power of two. All groups together take 2 MiB.
const GROUPS: usize = 1 << 17;

impl Described {
    fn new() -> Self {
        Self { places: vec![[0; 4]; GROUPS] }
    }

    /// Notes that the metric with this hash has a value. Returns whether it must be described,
    /// because it was not, or may have been forgotten since its last value.
    #[allow(clippy::cast_possible_truncation)] // some of the bits are enough
    fn note(&mut self, hash: u64, flush: u64) -> bool {
        let time = (flush / DESCRIBED_EVERY) as u8;
        let key = (hash >> 32) as u32 & !0xff;
        let group = &mut self.places[hash as usize % GROUPS];
        let is_recent = |place: u32| time.wrapping_sub(place as u8) <= 1;
        let known = group.iter().position(|&place| place & !0xff == key && is_recent(place));
        let free = || group.iter().position(|&place| place == 0 || !is_recent(place));
        let at = known.or_else(free).unwrap_or(hash as usize / GROUPS % 4);
        group[at] = key | u32::from(time);
        known.is_none()
    }
}

impl Ganglia {
    pub(super) fn new(labels: &Labels, namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            labels: labels.clone(),
            own: namespace.prefix_stats.clone(),
            timing: figures.node().map(|figure| figure.map(Shape::of_timing)).collect(),
            described: Described::new(),
            hasher: ahash::RandomState::with_seeds(1, 2, 3, 4),
            flush: 0,
            number: Number::new(),
            metric: Vec::new(),
            value: Vec::new(),
            packet: Vec::new(),
            chunks: Chunks::default(),
            refused: Vec::new(),
        }
    }

    /// Writes the name of a series to `metric`.
    fn name(&mut self, summary: &Summary<'_>) {
        self.metric.clear();
        let own = if is_own(summary.subject) { self.own.as_str() } else { "" };
        for part in [self.labels.prefix.as_str(), own] {
            if !part.is_empty() {
                self.metric.extend_from_slice(part.as_bytes());
                self.metric.push(b'.');
            }
        }
        let cleaned_name;
        let name = if is_clean(summary.name) {
            summary.name
        } else {
            cleaned_name = cleaned(summary.name);
            &cleaned_name
        };
        // Ganglia has no tags, and no place for what they are written with.
        self.metric.extend(name.iter().map(|byte| match byte {
            b';' => b'.',
            b'=' => b'_',
            other => *other,
        }));
    }

    /// Appends the value of the metric, after its description if that is due.
    fn send(&mut self, group: &[u8], units: &str) {
        let Self { labels, metric, value, packet, chunks, .. } = self;
        // The hash spreads the descriptions over the flushes. It is stored in place of the name. If
        // two names have the same hash, the second one is described up to five flushes late.
        let hash = self.hasher.hash_one(&*metric);
        let is_new = self.described.note(hash, self.flush);
        if is_new || hash % DESCRIBED_EVERY == self.flush % DESCRIBED_EVERY {
            packet.clear();
            put(DESCRIPTION, packet);
            put_id(labels, metric, packet);
            for text in [&b"double"[..], metric, units.as_bytes()] {
                put_text(text, packet);
            }
            [SLOPE_BOTH, TMAX, DMAX, 1].into_iter().for_each(|number| put(number, packet));
            put_text(b"GROUP", packet);
            put_text(group, packet);
            append(packet, 0, chunks.room(packet.len() + HEAD_BYTES, 0));
        }
        packet.clear();
        put(VALUE, packet);
        put_id(labels, metric, packet);
        put_text(b"%s", packet);
        put_text(value, packet);
        append(packet, 1, chunks.room(packet.len() + HEAD_BYTES, 1));
    }
}

impl Encoder for Ganglia {
    fn begin(&mut self, flush: u64, _: u64) {
        self.flush = flush;
        self.chunks.begin(flush);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        self.name(summary);
        let group = match summary.subject {
            Subject::Counter => Cow::Borrowed(&b"counters"[..]),
            Subject::Gauge => b"gauges".into(),
            Subject::Set => b"sets".into(),
            Subject::Kv => b"kv".into(),
            Subject::Timing => self.metric.clone().into(),
            _ => self.own.clone().into_bytes().into(),
        };
        let series = self.metric.len();
        let timing = Rc::clone(&self.timing);
        for figure in summary.figures {
            let Some(shape) = shape(&timing, summary, figure.id) else { continue };
            self.metric.truncate(series);
            if !shape.suffix.is_empty() {
                self.metric.push(b'_');
                self.metric.extend_from_slice(shape.suffix.as_bytes());
            }
            let is_metric = NOT_METRICS.iter().all(|name| !name.eq_ignore_ascii_case(&self.metric));
            let is_too_long = self.metric.len() > self.labels.max_name_length;
            if is_too_long || !is_metric {
                let reason = if is_too_long {
                    RefusalReason::GangliaNameTooLong
                } else {
                    RefusalReason::GangliaNoMetric
                };
                RefusedPoints::add(&mut self.refused, reason, summary, 1);
                continue;
            }
            self.value.clear();
            self.number.append(figure.value * shape.scale, &mut self.value);
            self.send(&group, shape.units);
        }
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

static RATE: Shape = Shape::plain("per second");
static LEVEL: Shape = Shape::plain("");
static MEMBERS: Shape = Shape::plain("members");

impl Shape {
    const fn plain(units: &'static str) -> Self {
        Self { suffix: String::new(), units, scale: 1.0 }
    }

    /// The shape of a timing's figure, from the name that Node gives it. `upper_90` becomes
    /// `90pct`.
    fn of_timing(figure: &str) -> Self {
        let (units, scale) = match figure {
            _ if figure.starts_with("count_ps") => ("per second", 1.0),
            _ if figure.starts_with("count") || figure.starts_with("histogram") => ("count", 1.0),
            _ if figure.starts_with("sum_squares") => ("square seconds", 1e-6),
            _ => ("seconds", 1e-3),
        };
        let suffix = match (figure, figure.strip_prefix("upper_")) {
            ("lower", _) => "min".into(),
            ("upper", _) => "max".into(),
            (_, Some(percentile)) => format!("{percentile}pct"),
            _ => figure.into(),
        };
        Self { suffix, units, scale }
    }
}

/// Returns `None` for a figure that is not sent, such as a count that has a rate beside it.
fn shape<'a>(
    timing: &'a [Option<Shape>],
    summary: &Summary<'_>,
    figure: FigureId,
) -> Option<&'a Shape> {
    match (summary.subject, figure) {
        (Subject::Timing, _) => timing[figure.index()].as_ref(),
        (Subject::Set, _) => Some(&MEMBERS),
        (Subject::Counter | Subject::OwnCounter, FigureId::RATE) => Some(&RATE),
        // A count that was passed through has no rate beside it.
        (Subject::Counter, FigureId::COUNT) if summary.figures.len() == 1 => Some(&LEVEL),
        (Subject::Counter | Subject::OwnCounter, _) => None,
        _ => Some(&LEVEL),
    }
}

fn is_own(subject: Subject) -> bool {
    matches!(subject, Subject::OwnCounter | Subject::OwnGauge | Subject::Own | Subject::NumStats)
}

fn put(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put(u32::try_from(text.len()).expect("names and values are short"), out);
    out.extend_from_slice(text);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Returns the values of a chunk as lines of `metric value`, for people.
pub fn values_as_text(mut chunk: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    while !chunk.is_empty() {
        let packet = framed(chunk);
        if let Some((metric, value)) = value(packet.payload) {
            for part in [metric, b" ", value, b"\n"] {
                text.extend_from_slice(part);
            }
        }
        chunk = &chunk[packet.length..];
    }
    text
}

/// Returns the metric and the value of a packet. Returns `None` for a description.
fn value(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = packet.strip_prefix(&VALUE.to_be_bytes())?;
    take_text(&mut rest)?; // the host
    let metric = take_text(&mut rest)?;
    rest = rest.get(4..)?; // spoofed
    take_text(&mut rest)?; // the format
    Some((metric, take_text(&mut rest)?))
}

/// Takes a text that [`put_text`] has written.
fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    *rest = after.get(length.next_multiple_of(4)..)?;
    after.get(..length)
}

/// Appends the host and the name of a metric.
fn put_id(labels: &Labels, metric: &[u8], out: &mut Vec<u8>) {
    put_text(labels.spoof.as_bytes(), out);
    put_text(metric, out);
    put(1, out); // the host is not that of the packet's sender
}

#[cfg(test)]
mod tests;
