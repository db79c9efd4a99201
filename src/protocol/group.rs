//! The part of a line after its name: groups of values, each with a type and perhaps a rate, and
//! sections.
//!
//! ```text
//!  value ":" value "|" type "|@" rate  ":"  value "|" type  "|#" tags "|T" time "|c:" id
//!  └───────────── group ────────────┘      └─── group ───┘  └───────── sections ───────┘
//! ```
//! A type and a rate also end at a `:`, which begins the next group. Any other section ends only at
//! the next `|`.

use memchr::{memchr, memchr2};

use super::number::{decimal, rate};
use super::reject::Reject;
use super::sample::Sample;

/// The samples of one line, and the values refused, in the order of the line.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    /// The rest of the line. `None` at its end.
    rest: Option<&'a [u8]>,
    group: Option<ValueGroup<'a>>,
    timed: bool,
    /// The number of values that may still be read from the line.
    left: usize,
}

/// The most values, types and sections that one line may have. A datagram has no room for more. A
/// line of a stream may have 1 MiB, and half a million values would take the loop 30 ms.
const PARTS_MAX: usize = 32 << 10;

impl<'a> Samples<'a> {
    pub(super) fn new(body: &'a [u8], timed: bool) -> Self {
        Self { rest: Some(body), group: None, timed, left: PARTS_MAX }
    }
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Sample<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(group) = &mut self.group
                && let Some(value) = group.next_value()
            {
                let Some(left) = self.left.checked_sub(1) else {
                    self.rest = None;
                    self.group = None;
                    return Some(Err(Reject::TooManyParts));
                };
                self.left = left;
                return Some(group.sample(value, self.timed));
            }
            let (group, rest) = ValueGroup::read(self.rest?);
            self.group = Some(group);
            self.rest = rest;
        }
    }
}

/// The content of a section, for a caller that reads tags and times before the samples.
pub(super) enum LineSection<'a> {
    Tags(&'a [u8]),
    Time(&'a [u8]),
    Other,
}

/// Calls `found` with each section of `body`, except rates. Fails if there are more parts than
/// [`PARTS_MAX`].
pub(super) fn sections<'a>(
    body: &'a [u8],
    mut found: impl FnMut(LineSection<'a>),
) -> Result<(), Reject> {
    if body.len() > PARTS_MAX {
        require_few_parts(body)?; // each part takes at least a byte
    }
    let mut rest = Some(body);
    while let Some(body) = rest {
        rest = ValueGroup::split(body).and_then(|(_, _, tail)| skip_sections(tail, &mut found).1);
    }
    Ok(())
}

/// Fails if `body` has more values, types and sections than [`PARTS_MAX`].
#[cold]
fn require_few_parts(body: &[u8]) -> Result<(), Reject> {
    let mut parts = 0;
    let mut rest = Some(body);
    while let Some(body) = rest {
        let mut count = |_| parts += 1;
        rest = ValueGroup::split(body).and_then(|(_, _, tail)| skip_sections(tail, &mut count).1);
        parts += 1;
        if parts > PARTS_MAX {
            return Err(Reject::TooManyParts);
        }
    }
    Ok(())
}

/// Values that share a type and a rate.
#[derive(Clone, Debug)]
struct ValueGroup<'a> {
    /// The values not yet read, separated by `:`.
    values: Option<&'a [u8]>,
    /// Whether all of it is one member of a set, including the colons.
    whole: bool,
    /// The type and the weight of each value, or why no value of the group can be taken.
    reading: Result<(ValueType, f64), Reject>,
}

/// The type of a value, as the letters after its `|` name it.
#[derive(Clone, Copy, Debug)]
enum ValueType {
    Counter,
    /// `C`: the client keeps the total and sends it.
    Cumulative,
    Gauge,
    /// `ms`: never negative.
    Time,
    /// `h`, `d`: timings that may be negative.
    SignedTime,
    Set,
    Kv,
}

impl<'a> ValueGroup<'a> {
    /// Returns the group at the start of `text`, and the rest (`None` at the end of the line).
    fn read(text: &'a [u8]) -> (Self, Option<&'a [u8]>) {
        let Some((values, kind, tail)) = Self::split(text) else {
            let reading = Err(Reject::NoType);
            return (Self { values: Some(text), whole: false, reading }, None);
        };
        let (sample_rate, rest) = skip_sections(tail, &mut |_| {});
        let kind = ValueType::read(kind);
        let whole = matches!(kind, Ok(ValueType::Set));
        let reading = kind.and_then(|kind| match sample_rate {
            None => Ok((kind, 1.0)),
            Some(text) => rate(text).map(|rate| (kind, 1.0 / rate)).ok_or(Reject::BadRate),
        });
        (Self { values: Some(values), whole, reading }, rest)
    }

    /// Returns the values, the type and the rest, which is empty or begins with `|` or `:`. Returns
    /// `None` if there is no type.
    fn split(text: &'a [u8]) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
        let bar = memchr(b'|', text)?;
        let values = &text[..bar];
        let after = &text[bar + 1..];
        let end = memchr2(b':', b'|', after).unwrap_or(after.len());
        Some((values, &after[..end], &after[end..]))
    }

    /// Takes the next value of the group.
    fn next_value(&mut self) -> Option<&'a [u8]> {
        let values = self.values.take()?;
        if self.whole {
            return Some(values);
        }
        match memchr(b':', values) {
            None => Some(values),
            Some(colon) => {
                self.values = Some(&values[colon + 1..]);
                Some(&values[..colon])
            }
        }
    }

    /// Parses a value of the group. `timed` tells whether the line has a timestamp.
    fn sample(&self, text: &'a [u8], timed: bool) -> Result<Sample<'a>, Reject> {
        let (kind, weight) = self.reading?;
        if matches!(kind, ValueType::Set) {
            return Ok(Sample::Member(if text.is_empty() { b"0" } else { text }));
        }
        let value = decimal(text).ok_or(Reject::BadValue)?;
        let sample = match kind {
            ValueType::Counter => Sample::Count(value * weight),
            ValueType::Cumulative => Sample::Cumulative { value, weight },
            ValueType::Gauge if !is_signed(text) => Sample::Level(value),
            ValueType::Gauge if timed => return Err(Reject::TimedChange),
            ValueType::Gauge => Sample::Change(value),
            ValueType::Time if value < 0.0 => return Err(Reject::NegativeTime),
            ValueType::Time | ValueType::SignedTime => Sample::Time { value, weight },
            ValueType::Kv => Sample::Kv(value),
            ValueType::Set => unreachable!("answered above"),
        };
        // The smallest rates have no finite inverse.
        let is_finite = match sample {
            Sample::Count(number) | Sample::Cumulative { weight: number, .. } => number.is_finite(),
            Sample::Time { weight, .. } => weight.is_finite(),
            _ => true,
        };
        is_finite.then_some(sample).ok_or(Reject::TooLarge)
    }
}

impl ValueType {
    fn read(text: &[u8]) -> Result<Self, Reject> {
        Ok(match text.trim_ascii() {
            b"c" | b"m" => Self::Counter,
            b"C" => Self::Cumulative,
            b"ms" => Self::Time,
            b"g" => Self::Gauge,
            b"s" => Self::Set,
            b"h" | b"d" => Self::SignedTime,
            b"kv" => Self::Kv,
            _ => return Err(Reject::UnknownType),
        })
    }
}

fn is_signed(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'+' | b'-'))
}

/// Walks over the sections after a type. Returns the first rate, and the text after the `:` that
/// begins the next group.
///
/// A second rate in one group is ignored, since Node reads only the first.
fn skip_sections<'a>(
    mut tail: &'a [u8],
    found: &mut impl FnMut(LineSection<'a>),
) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let mut sample_rate = None;
    loop {
        match tail.split_first() {
            None => return (sample_rate, None),
            Some((b':', next)) => return (sample_rate, Some(next)),
            Some((_, section)) => {
                let is_rate = section.first() == Some(&b'@');
                let end =
                    if is_rate { memchr2(b':', b'|', section) } else { memchr(b'|', section) };
                let (text, rest) = section.split_at(end.unwrap_or(section.len()));
                match text.first() {
                    Some(b'@') => sample_rate = sample_rate.or_else(|| text.get(1..)),
                    Some(b'#') => found(LineSection::Tags(&text[1..])),
                    Some(b'T') => found(LineSection::Time(&text[1..])),
                    _ => found(LineSection::Other),
                }
                tail = rest;
            }
        }
    }
}
