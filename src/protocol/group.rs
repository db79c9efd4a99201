//! The part of a line after its name: groups of values, each with a type and perhaps a rate, and
//! sections.
//!
//! ```text
//!  value ":" value "|" type "|@" rate  ":"  value "|" type  "|#" tags "|T" time "|c:" id
//!  └───────────── group ────────────┘      └─── group ───┘  └───────── sections ───────┘
//! ```
//! A type, a rate and a time also end at a `:`, which begins the next group. Tags and the fields of
//! Datadog's clients end only at the next `|`. [`Section::read`] has the rest of that rule.

use memchr::{memchr, memchr2};

use super::grammar::PackedValues;
use super::number::{decimal, rate};
use super::reject::Reject;
use super::sample::Sample;

/// The samples of one line, and the values refused, in the order of the line.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    /// The rest of the line. `None` at its end.
    rest: Option<&'a [u8]>,
    group: Option<ValueGroup<'a>>,
    is_timed: bool,
    is_tagged: bool,
    packed_values: PackedValues,
    has_packed: bool,
    /// The number of values that may still be read from the line.
    left: usize,
}

/// What the values of a line depend on, besides their text.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineContext {
    /// Whether the line has a timestamp.
    pub(super) is_timed: bool,
    /// Whether the line has a section of tags, so that a client of Datadog has sent it.
    pub(super) is_tagged: bool,
    pub(super) packed_values: PackedValues,
}

/// The most values, types and sections that one line may have. A datagram has no room for more. A
/// line of a stream may have 1 MiB, and half a million values would take the loop 30 ms.
const PARTS_MAX: usize = 32 << 10;

impl<'a> Samples<'a> {
    pub(super) fn new(body: &'a [u8], line: LineContext) -> Self {
        let LineContext { is_timed, is_tagged, packed_values } = line;
        Self {
            rest: Some(body),
            group: None,
            is_timed,
            is_tagged,
            packed_values,
            has_packed: false,
            left: PARTS_MAX,
        }
    }

    /// Whether several valid values of one counter, gauge or key/value were read so far.
    ///
    /// Clients pack timings. Several values of another type may be a name with a colon, such as
    /// `host:8080:1|c`, so this is worth a warning.
    pub fn has_packed(&self) -> bool {
        self.has_packed
    }

    /// Returns the text of the value that [`next`](Self::next) would read, and its rate. The rate
    /// is `None` if the type or the rate is bad.
    pub fn peek(&self) -> Option<(&'a [u8], Option<f64>)> {
        let mut copy = self.clone();
        loop {
            if let Some(group) = &mut copy.group
                && let Some(value) = group.values.next()
            {
                return Some((value, group.reading.ok().map(|(_, weight)| 1.0 / weight)));
            }
            let (group, rest) = ValueGroup::read(copy.rest?, copy.packed_values);
            copy.group = Some(group);
            copy.rest = rest;
        }
    }
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Sample<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(group) = &mut self.group
                && let Some(value) = group.values.next()
            {
                let Some(left) = self.left.checked_sub(1) else {
                    self.rest = None;
                    self.group = None;
                    return Some(Err(Reject::TooManyParts));
                };
                self.left = left;
                let sample = group.sample(value, self.is_timed, self.is_tagged);
                group.accepted += usize::from(sample.is_ok());
                self.has_packed |= group.accepted > 1 && group.packs_numbers();
                return Some(sample);
            }
            let (group, rest) = ValueGroup::read(self.rest?, self.packed_values);
            self.group = Some(group);
            self.rest = rest;
        }
    }
}

/// A section after a type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Section<'a> {
    Rate(&'a [u8]),
    Tags(&'a [u8]),
    Time(&'a [u8]),
    /// A section that changes nothing.
    Other,
    /// A section that makes its group bad.
    Bad(Reject),
}

impl<'a> Section<'a> {
    /// Reads the section at the start of `text`, which follows a `|`. Returns it and its length.
    ///
    /// A rate and a time end at a `:` too, because Node ends every section there. Tags may contain
    /// colons.
    fn read(text: &'a [u8]) -> (Self, usize) {
        let until_colon = || colon_or_bar(text).unwrap_or(text.len());
        match text.first() {
            Some(b'@') => {
                let end = until_colon();
                (Self::Rate(&text[1..end]), end)
            }
            Some(b'#') => {
                let end = memchr(b'|', text).unwrap_or(text.len());
                (Self::Tags(&text[1..end]), end)
            }
            Some(b'T') => {
                let end = until_colon();
                (Self::Time(&text[1..end]), end)
            }
            _ => Self::read_other(text),
        }
    }

    /// Reads a section that is no rate, tags or time.
    ///
    /// A field that is not known may contain colons, since later fields of Datadog's clients may.
    /// But Node ends a section at its first `:`. So if a whole group follows there, it is a group.
    fn read_other(text: &'a [u8]) -> (Self, usize) {
        let bar = memchr(b'|', text).unwrap_or(text.len());
        let section = &text[..bar];
        if FIELDS.iter().any(|field| section.starts_with(field)) {
            return (Self::Other, bar);
        }
        let colon = memchr(b':', section);
        let until_colon = colon.unwrap_or(bar);
        match section.trim_ascii_start().first() {
            None if bar == text.len() => (Self::Bad(Reject::EmptySection), bar),
            None | Some(b':') => (Self::Other, until_colon),
            Some(b'0'..=b'9' | b'.' | b'+' | b'-') => (Self::Bad(Reject::BareNumber), until_colon),
            Some(b'@') => (Self::Bad(Reject::BadRate), until_colon), // after a blank
            Some(_) => match colon {
                Some(colon) if begins_with_group(&text[colon + 1..]) => {
                    (Self::Bad(Reject::UnknownSection), colon)
                }
                _ => (Self::Other, bar),
            },
        }
    }
}

/// How the fields of Datadog's clients begin that are known and skipped.
pub(super) const FIELDS: [&[u8]; 3] = [b"c:", b"e:", b"card:"];

/// Whether `text` begins with a whole group: values that can be read, and a type.
#[cold]
fn begins_with_group(text: &[u8]) -> bool {
    let Some(parts) = GroupParts::split(text) else { return false };
    match parts.value_type() {
        Err(_) => false,
        Ok(ValueType::Set) => true,
        Ok(_) => {
            let mut values = GroupValues::new(parts.values, Form::Packed).take(PARTS_MAX);
            values.all(|value| decimal(value).is_some())
        }
    }
}

/// Calls `found` with each section at the start of `tail`, which is empty or begins with `|` or
/// `:`. Returns the text after the `:` that begins the next group.
fn walk_sections<'a>(mut tail: &'a [u8], mut found: impl FnMut(Section<'a>)) -> Option<&'a [u8]> {
    loop {
        match tail.split_first()? {
            (b':', next) => return Some(next),
            (_, text) => {
                let (section, length) = Section::read(text);
                found(section);
                tail = &text[length..];
            }
        }
    }
}

/// Calls `found` with each section of `body`. Fails if there are more parts than [`PARTS_MAX`].
pub(super) fn sections<'a>(
    body: &'a [u8],
    mut found: impl FnMut(Section<'a>),
) -> Result<(), Reject> {
    if body.len() > PARTS_MAX {
        require_few_parts(body)?; // each part takes at least a byte
    }
    let mut rest = Some(body);
    while let Some(body) = rest {
        rest = GroupParts::split(body).and_then(|parts| walk_sections(parts.tail, &mut found));
    }
    Ok(())
}

/// Fails if `body` has more groups and sections than [`PARTS_MAX`].
#[cold]
fn require_few_parts(body: &[u8]) -> Result<(), Reject> {
    let mut parts = 0;
    let mut rest = Some(body);
    while let Some(body) = rest {
        rest = GroupParts::split(body).and_then(|group| walk_sections(group.tail, |_| parts += 1));
        parts += 1;
        if parts > PARTS_MAX {
            return Err(Reject::TooManyParts);
        }
    }
    Ok(())
}

/// The number of bytes that [`near`] compares one by one.
const NEAR: usize = 8;

/// Returns the first position of a byte that is usually among the first ones. `find` is the search
/// in the rest. A search with vectors costs as much as some ten comparisons before it begins.
#[inline]
fn near(
    text: &[u8],
    is_it: impl Fn(u8) -> bool,
    find: impl FnOnce(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let (first, rest) = text.split_at(text.len().min(NEAR));
    match first.iter().position(|&byte| is_it(byte)) {
        None if !rest.is_empty() => find(rest).map(|at| NEAR + at),
        found => found,
    }
}

fn colon_or_bar(text: &[u8]) -> Option<usize> {
    near(text, |byte| matches!(byte, b':' | b'|'), |text| memchr2(b':', b'|', text))
}

/// The text of a group, split at its type.
struct GroupParts<'a> {
    values: &'a [u8],
    /// `None` if a section stands in its place.
    value_type: Option<&'a [u8]>,
    /// What follows the type. Empty, or begins with `|` or `:`.
    tail: &'a [u8],
}

impl<'a> GroupParts<'a> {
    /// Splits the group at the start of `text`. Returns `None` if there is no `|`, and so no type.
    fn split(text: &'a [u8]) -> Option<Self> {
        let bar = near(text, |byte| byte == b'|', |text| memchr(b'|', text))?;
        let values = &text[..bar];
        let after = &text[bar + 1..];
        // No type begins like these. The section is read, so that its tags are not lost.
        if let Some(b'#' | b'@' | b'T') = after.first() {
            return Some(Self { values, value_type: None, tail: &text[bar..] });
        }
        let end = colon_or_bar(after).unwrap_or(after.len());
        Some(Self { values, value_type: Some(&after[..end]), tail: &after[end..] })
    }

    fn value_type(&self) -> Result<ValueType, Reject> {
        self.value_type.ok_or(Reject::NoType).and_then(ValueType::read)
    }
}

/// Values that share a type and a rate.
#[derive(Clone, Debug)]
struct ValueGroup<'a> {
    values: GroupValues<'a>,
    /// The type and 1 / rate, or why no value of the group can be taken.
    reading: Result<(ValueType, f64), Reject>,
    /// The number of valid values so far.
    accepted: usize,
}

/// The values before a type.
#[derive(Clone, Debug)]
struct GroupValues<'a> {
    /// The values not yet read, separated by `:`. `None` if there are none.
    rest: Option<&'a [u8]>,
    form: Form,
    /// The number of values read.
    taken: usize,
}

/// What several values before one type are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// One member of a set, including the colons.
    Whole,
    /// Values of their own. Empty ones, and ones of white space, are skipped.
    Packed,
    /// Groups without a type before the last value, as Node reads them.
    LastOnly,
}

impl Form {
    /// What several values of a group are whose type is missing or unknown. Each is a bad value.
    /// With `no` the empty ones are too, so that the number of bad values is Node's.
    fn without_type(packed_values: PackedValues) -> Self {
        match packed_values {
            PackedValues::All | PackedValues::Timings => Self::Packed,
            PackedValues::No => Self::LastOnly,
        }
    }
}

/// The type of a value, as the letters after its `|` name it.
#[derive(Clone, Copy, Debug)]
enum ValueType {
    Counter,
    /// `C`: the client keeps the total and sends it.
    Cumulative,
    Gauge,
    /// `ms`: never negative in a line without a section of tags.
    Time,
    /// `h`, `d`: timings that may be negative.
    SignedTime,
    Set,
    Kv,
}

impl<'a> ValueGroup<'a> {
    /// Returns the group at the start of `text`, and the rest (`None` at the end of the line).
    fn read(text: &'a [u8], packed_values: PackedValues) -> (Self, Option<&'a [u8]>) {
        let Some(parts) = GroupParts::split(text) else {
            let values = GroupValues::new(text, Form::without_type(packed_values));
            return (Self { values, reading: Err(Reject::NoType), accepted: 0 }, None);
        };
        let mut sample_rate = None;
        let mut bad = None;
        // A second rate in one group is ignored, since Node reads only the first.
        let rest = walk_sections(parts.tail, |section| match section {
            Section::Rate(text) => sample_rate = sample_rate.or(Some(text)),
            Section::Bad(reject) => bad = bad.or(Some(reject)),
            Section::Tags(_) | Section::Time(_) | Section::Other => {}
        });
        let value_type = parts.value_type();
        let form = value_type
            .map_or_else(|_| Form::without_type(packed_values), |of| of.form(packed_values));
        let reading = value_type.and_then(|of| match (bad, sample_rate) {
            (Some(reject), _) => Err(reject),
            (None, None) => Ok((of, 1.0)),
            (None, Some(text)) => rate(text).map(|rate| (of, 1.0 / rate)).ok_or(Reject::BadRate),
        });
        (Self { values: GroupValues::new(parts.values, form), reading, accepted: 0 }, rest)
    }

    /// Whether several values of the group are numbers that are not timings.
    fn packs_numbers(&self) -> bool {
        self.values.form == Form::Packed && self.reading.is_ok_and(|(of, _)| !of.is_timing())
    }

    /// Parses a value of the group. `is_timed` and `is_tagged` are those of [`LineContext`].
    fn sample(
        &self,
        text: &'a [u8],
        is_timed: bool,
        is_tagged: bool,
    ) -> Result<Sample<'a>, Reject> {
        let (value_type, weight) = self.reading?;
        if matches!(value_type, ValueType::Set) {
            return Ok(Sample::Member(if text.is_empty() { b"0" } else { text }));
        }
        if self.values.form == Form::LastOnly && self.values.rest.is_some() {
            return Err(Reject::NotLast);
        }
        let value = decimal(text).ok_or(Reject::BadValue)?;
        let sample = match value_type {
            // The client has aggregated a value with its own time, so Datadog's Agent ignores the
            // rate, too.
            ValueType::Counter if is_timed => Sample::Count(value),
            ValueType::Counter => Sample::Count(value * weight),
            ValueType::Cumulative => Sample::Cumulative { value, weight },
            ValueType::Gauge if !is_signed(text) => Sample::Level(value),
            ValueType::Gauge if is_timed => return Err(Reject::TimedChange),
            ValueType::Gauge => Sample::Change(value),
            // Datadog's Agent accepts any time, and Node none below 0.
            ValueType::Time if value < 0.0 && !is_tagged => return Err(Reject::NegativeTime),
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

impl<'a> GroupValues<'a> {
    fn new(text: &'a [u8], form: Form) -> Self {
        Self { rest: Some(text), form, taken: 0 }
    }
}

impl<'a> Iterator for GroupValues<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut rest = self.rest.take()?;
        if self.form == Form::Packed {
            let is_skipped = |byte: &u8| *byte == b':' || byte.is_ascii_whitespace();
            rest = match rest.iter().position(|byte| !is_skipped(byte)) {
                Some(start) => &rest[start..],
                None if self.taken > 0 => return None,
                None => &[], // all values are empty, which is one bad value
            };
        }
        self.taken += 1;
        match near(rest, |byte| byte == b':', |rest| memchr(b':', rest)) {
            Some(colon) if self.form != Form::Whole => {
                self.rest = Some(&rest[colon + 1..]);
                Some(&rest[..colon])
            }
            _ => Some(rest),
        }
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
            text if text.contains(&b'@') => return Err(Reject::RateInType),
            _ => return Err(Reject::UnknownType),
        })
    }

    /// What several values before this type are.
    fn form(self, packed_values: PackedValues) -> Form {
        match (self, packed_values) {
            (Self::Set, _) => Form::Whole,
            (_, PackedValues::All) => Form::Packed,
            (of, PackedValues::Timings) if of.is_timing() => Form::Packed,
            (_, PackedValues::Timings | PackedValues::No) => Form::LastOnly,
        }
    }

    fn is_timing(self) -> bool {
        matches!(self, Self::Time | Self::SignedTime)
    }
}

fn is_signed(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'+' | b'-'))
}
