//! Reads the lines that nearly all traffic consists of in one pass: `name:digits|c` and the like,
//! perhaps with a rate or tags.
//!
//! The tags are not read here: a known line is found by its unread bytes. [`plain_series_name`]
//! reads them if the line is new.
//!
//! Any other line (with a sign, an exponent, several values, or a byte to be cleaned) is left to
//! the general reader. For plain lines the general reader returns the same, and the tests compare
//! the two. The types of lines come in no order that a processor could predict, so this reader does
//! not branch on the type.

use arrayvec::ArrayVec;
use memchr::{memchr, memchr2};

use super::grammar::{Dialect, Grammar};
use super::group::FIELDS;
use super::names::{KEEPS, is_plain_for};
use super::number::POWERS;
use super::sample::MetricKind;
use crate::few::sort_few;

/// A line whose value, type and rate are clean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainLine<'a> {
    pub plain: Plain<'a>,
    /// The length of the line without its newline.
    pub length: usize,
    /// The tags of a `#` section, as the line writes them. `None` if there is no such section.
    pub tags: Option<&'a [u8]>,
}

/// The content of a plain line without its tags.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plain<'a> {
    pub name: &'a [u8],
    pub kind: MetricKind,
    /// The value. For a set it is the member as a number, which has no meaning.
    pub value: f64,
    /// 1 / rate.
    pub weight: f64,
    /// The value as the line writes it, for the member of a set.
    pub text: &'a [u8],
}

/// Most names are shorter than this.
const USUAL_NAME: usize = 64;

/// Any number with this many digits is an exact double.
const DIGITS: usize = 15;

/// The tags of lines with more are left to the general reader.
const TAGS_MAX: usize = 16;

/// Returns the plain line at the start of `text`, or `None` for any other line.
///
/// The name and the tags are not checked: the name may have any byte except a colon, and the tags
/// any byte that does not end them. The caller must know such a line already, or check the name
/// with [`is_plain_for`](super::is_plain_for), and the tags with [`plain_series_name`].
#[inline]
pub fn read_plain<'a>(grammar: &Grammar, text: &'a [u8]) -> Option<PlainLine<'a>> {
    let (mut plain, mut end) = read_head(grammar, text)?;
    if let Some((weight, length)) = read_rate(&text[end..]) {
        plain.weight = weight;
        end += length;
    }
    match text.get(end) {
        None | Some(b'\n') => Some(PlainLine { plain, length: end, tags: None }),
        Some(b'|') if grammar.dialects.has(Dialect::Dogstatsd) => {
            let (tags, length) = read_tags(&text[end..])?;
            Some(PlainLine { plain, length: end + length, tags: Some(tags) })
        }
        Some(_) => None,
    }
}

/// Reads the tags at the start of `text`, and the fields after them that have no effect. Returns
/// the tags, and the length up to the end of the line.
///
/// What the general reader removes from the end of a line is removed from the tags.
#[inline]
fn read_tags(text: &[u8]) -> Option<(&[u8], usize)> {
    let section = text.strip_prefix(b"|#")?;
    let end = memchr2(b'\n', b'|', section).unwrap_or(section.len());
    if section.get(end) == Some(&b'|') {
        let length = read_fields(&section[end..])?;
        return Some((&section[..end], 2 + end + length));
    }
    let is_removed = |byte: &u8| matches!(byte, b'\r' | b' ' | 0);
    let last = section[..end].iter().rposition(|byte| !is_removed(byte));
    Some((&section[..last.map_or(0, |last| last + 1)], 2 + end))
}

/// Returns the length of the fields at the start of `text`, up to the end of the line. Returns
/// `None` if another section is among them, or a NUL, which makes a line bad.
fn read_fields(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while text.get(at) == Some(&b'|') {
        let field = &text[at + 1..];
        if !FIELDS.iter().any(|known| field.starts_with(known)) {
            return None;
        }
        at += 1 + memchr2(b'\n', b'|', field).unwrap_or(field.len());
    }
    memchr(0, &text[..at]).is_none().then_some(at)
}

/// Reads the part before the rate and the sections: name, value and type.
#[inline]
fn read_head<'a>(grammar: &Grammar, text: &'a [u8]) -> Option<(Plain<'a>, usize)> {
    let colon = match find_colon(&text[..text.len().min(USUAL_NAME)]) {
        Some(colon) if colon <= grammar.max_key_length => colon,
        _ => long_name(grammar, text)?,
    };
    let name = &text[..colon];
    let values = &text[colon + 1..];
    let (value, digits) = read_number(values)?;
    let Some(&[b'|', first, ref after @ ..]) = values.get(digits..) else { return None };
    let (kind, letters) = TYPES[usize::from(first)]?;
    let is_whole = (first != b'm') | (after.first() == Some(&b's'));
    if name.is_empty() || !is_whole {
        return None;
    }
    let plain = Plain { name, kind, value, weight: 1.0, text: &values[..digits] };
    Some((plain, colon + 2 + digits + letters))
}

/// Returns the position of the first colon.
///
/// It compares 16 bytes at a time. `memchr` takes twice as many instructions for a name of usual
/// length: it is called through a pointer, since it works with whatever vectors the processor has.
#[inline]
fn find_colon(text: &[u8]) -> Option<usize> {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    for (at, block) in blocks.iter().enumerate() {
        // A fold, unlike `any`, has no branch for each byte.
        if block.iter().fold(false, |has_colon, byte| has_colon | (*byte == b':')) {
            return Some(at * BLOCK + colon_in(block));
        }
    }
    rest.iter().position(|byte| *byte == b':').map(|at| blocks.len() * BLOCK + at)
}

const BLOCK: usize = 16;

/// Returns the position of the first colon of a block that has one.
#[inline]
fn colon_in(block: &[u8; BLOCK]) -> usize {
    const EACH: u128 = u128::from_le_bytes([1; BLOCK]);
    let others = u128::from_le_bytes(*block) ^ (EACH * b':' as u128);
    // The high bit of a byte is set if the byte was a colon. In the bytes after the first colon it
    // may be wrong.
    let colons = others.wrapping_sub(EACH) & !others & (EACH * 0x80);
    colons.trailing_zeros() as usize / 8
}

/// Returns the length of a name that is longer than most names. Returns `None` if it has no end, or
/// one past `max_key_length`.
///
/// The search stops at the end of the line. A packet may hold 64 KiB of short lines without a
/// colon, and each of them would otherwise search `max_key_length` bytes of the lines after it.
#[cold]
fn long_name(grammar: &Grammar, text: &[u8]) -> Option<usize> {
    let text = &text[..text.len().min(grammar.max_key_length + 1)];
    memchr2(b':', b'\n', text).filter(|&end| text[end] == b':')
}

/// For each first letter of a type: the kind, and the number of letters of the type.
static TYPES: [Option<(MetricKind, usize)>; 256] = types();

const fn types() -> [Option<(MetricKind, usize)>; 256] {
    let mut types = [None; 256];
    types[b'c' as usize] = Some((MetricKind::Counter, 1));
    types[b'g' as usize] = Some((MetricKind::Gauge, 1));
    types[b'm' as usize] = Some((MetricKind::Timing, 2));
    types[b'h' as usize] = Some((MetricKind::Timing, 1));
    types[b'd' as usize] = Some((MetricKind::Timing, 1));
    types[b's' as usize] = Some((MetricKind::Set, 1));
    types
}

/// Reads a rate such as `|@0.1` at the start of `text`. Returns 1 / rate, and the length of the
/// text read.
#[inline]
fn read_rate(text: &[u8]) -> Option<(f64, usize)> {
    let (rate, digits) = read_number(text.strip_prefix(b"|@")?)?;
    // Finite: a rate of so few digits is not that small.
    (rate > 0.0 && rate <= 1.0).then(|| (1.0 / rate, 2 + digits))
}

/// Reads digits, perhaps with a point between or after them. Returns the number and its length.
#[inline]
fn read_number(text: &[u8]) -> Option<(f64, usize)> {
    match text.first_chunk().and_then(|chunk| short_integer(u64::from_le_bytes(*chunk))) {
        Some((value, digits)) if text[digits] != b'.' => Some((value as f64, digits)),
        _ => long_number(text),
    }
}

/// Reads the digits at the start of eight characters, of which the first is in the lowest byte.
/// Returns their value and their number. Returns `None` if there are none, or eight.
///
/// All digits are converted at once, as if zeros stood before them: pairs of digits to numbers
/// below 100, pairs of these, and pairs of those.
#[inline]
fn short_integer(characters: u64) -> Option<(u32, usize)> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let values = characters ^ (EACH * 0x30);
    // The high bit of a byte is set if the character is no digit. In the bytes after the first such
    // one it may be wrong.
    let others = (values.wrapping_add(EACH * 0x76) | values) & (EACH * 0x80);
    let digits = others.trailing_zeros() / 8;
    if digits == 0 || digits == 8 {
        return None;
    }
    let ones = values << (64 - 8 * digits);
    let pairs = ones.wrapping_mul(10).wrapping_add(ones >> 8);
    const PAIR: u64 = 0x0000_00ff_0000_00ff;
    let upper = (pairs & PAIR).wrapping_mul(100 + (1_000_000 << 32));
    let lower = (pairs >> 16 & PAIR).wrapping_mul(1 + (10_000 << 32));
    #[allow(clippy::cast_possible_truncation)] // less than 10^7
    let number = (upper.wrapping_add(lower) >> 32) as u32;
    Some((number, digits as usize))
}

/// Reads digits, perhaps with a point, one by one. Returns the number and its length, or `None` if
/// there are more than [`DIGITS`] digits.
fn long_number(text: &[u8]) -> Option<(f64, usize)> {
    let mut mantissa = 0_u64;
    let mut at = 0;
    let mut point = None;
    while let Some(&byte) = text.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point.is_none() && at > 0 {
            point = Some(at);
        } else {
            break;
        }
        at += 1;
        if at > DIGITS {
            return None; // the mantissa has not wrapped
        }
    }
    if at == 0 {
        return None;
    }
    // Both are exact, so that one division rounds once.
    let value = mantissa as f64;
    let value = point.map_or(value, |point| value / POWERS[at - point - 1]);
    Some((value, at))
}

/// A tag in the receive buffer.
#[derive(Clone, Copy)]
struct Tag<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

/// Returns the canonical name of a series called `name` with these tags, as [`read_plain`] returns
/// them. It is written to `room`, which must hold `max_key_length` bytes.
///
/// Returns `None` if the name or a tag is not clean, or if the canonical name is too long. The
/// general reader must read the line then.
pub fn plain_series_name<'a>(
    grammar: &Grammar,
    name: &[u8],
    tags: &[u8],
    room: &'a mut [u8],
) -> Option<&'a [u8]> {
    if !is_plain_for(grammar, name) {
        return None;
    }
    let mut split = split_tags(tags)?;
    let bytes = name.len() + 1 + tags.len(); // a tag follows a `;` here, and a `,` in the line
    let is_too_long = bytes > grammar.max_key_length || split.len() > grammar.max_tags;
    if is_too_long || !sort_tags(&mut split) {
        return None;
    }
    let room = room.get_mut(..bytes)?;
    write_name(name, &split, room);
    Some(room)
}

/// Splits the tags. Returns `None` if a tag is not clean or has no value.
fn split_tags(tags: &[u8]) -> Option<ArrayVec<Tag<'_>, TAGS_MAX>> {
    let mut split = ArrayVec::new();
    let mut start = 0;
    let mut colon = None;
    for at in 0..=tags.len() {
        let byte = tags.get(at).copied().unwrap_or(b',');
        if KEEPS[usize::from(byte)] {
            continue;
        }
        match (byte, colon) {
            (b':', None) => colon = Some(at),
            (b',', Some(middle)) if start < middle && middle + 1 < at => {
                let tag = Tag { key: &tags[start..middle], value: &tags[middle + 1..at] };
                split.try_push(tag).ok()?;
                start = at + 1;
                colon = None;
            }
            _ => return None,
        }
    }
    Some(split)
}

/// Sorts the tags by the bytes of their keys. Returns false if a key occurs twice.
fn sort_tags(tags: &mut [Tag<'_>]) -> bool {
    let is_sorted = |tags: &[Tag<'_>]| tags.windows(2).all(|pair| pair[0].key < pair[1].key);
    is_sorted(tags) || {
        sort_few(tags, |one, other| one.key.cmp(other.key));
        is_sorted(tags)
    }
}

/// Writes the canonical name into `name`, which must have exactly its length.
fn write_name(bare: &[u8], tags: &[Tag<'_>], name: &mut [u8]) {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        name[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(bare);
    for Tag { key, value } in tags {
        put(b";");
        put(key);
        put(b"=");
        put(value);
    }
}

#[cfg(test)]
mod tests;
