//! statsite's binary protocol: one sample a message, little-endian, told from a line by its first
//! byte.
//!
//! ```text
//!  aa  type  key length: u16  value: f64  key … 0
//!  aa   04   key length: u16  member length: u16  key … 0  member … 0
//! ```
//! Both lengths count the NUL. What follows the first NUL of a key or member is not looked at, as
//! in C. An UTF-8 line never begins with `aa`. The length of a message whose type is unknown is
//! unknown too: what follows it begins behind the next newline.

use memchr::memchr;

use super::reject::Reject;
use super::sample::Sample;

/// What every message begins with.
pub(crate) const MAGIC: u8 = 0xaa;

/// How far a message reaches, as far as its beginning tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has so many bytes, header included.
    Bytes(usize),
    /// So many bytes are needed to tell.
    Header(usize),
    /// No type of ours: nobody knows.
    Unknown,
}

/// What a type's number makes of a value.
struct MessageType {
    code: u8,
    read: fn(f64) -> Result<Sample<'static>, Reject>,
}

const SET: u8 = 4;

/// Those with a value; a set has members.
const TYPES: [MessageType; 5] = [
    MessageType { code: 1, read: |value| Ok(Sample::Kv(value)) },
    MessageType { code: 2, read: |value| Ok(Sample::Count(value)) },
    MessageType { code: 3, read: timing },
    MessageType { code: 5, read: |value| Ok(Sample::Level(value)) },
    MessageType { code: 6, read: |value| Ok(Sample::Change(value)) },
];

fn timing(value: f64) -> Result<Sample<'static>, Reject> {
    if value < 0.0 {
        return Err(Reject::NegativeTime);
    }
    Ok(Sample::Time { value, weight: 1.0 })
}

/// Whether a piece of a datagram or stream is a binary message rather than a line.
pub(crate) fn is_binary(piece: &[u8]) -> bool {
    piece.first() == Some(&MAGIC)
}

/// The line (without its newline) or message that a datagram goes on with, and what follows it. A
/// message that says it is longer than the datagram ends as one of unknown length does: at the next
/// newline.
pub(crate) fn first_piece(rest: &[u8]) -> (&[u8], &[u8]) {
    if is_binary(rest)
        && let Reach::Bytes(total) = reach(rest)
        && total <= rest.len()
    {
        return rest.split_at(total);
    }
    memchr(b'\n', rest).map_or((rest, &[]), |end| (&rest[..end], &rest[end + 1..]))
}

/// The reach of the message that `bytes`, which are not empty, begin with.
pub(crate) fn reach(bytes: &[u8]) -> Reach {
    const WITH_VALUE: usize = 12;
    const WITH_MEMBER: usize = 6;
    let length =
        |at: usize| Some(usize::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    let Some(&code) = bytes.get(1) else { return Reach::Header(2) };
    let (header, total) = if code == SET {
        (WITH_MEMBER, length(2).zip(length(4)).map(|(key, member)| WITH_MEMBER + key + member))
    } else if TYPES.iter().any(|kind| kind.code == code) {
        (4, length(2).map(|key| WITH_VALUE + key))
    } else {
        return Reach::Unknown;
    };
    total.map_or(Reach::Header(header), Reach::Bytes)
}

/// The key and the sample of a message, which ends where `bytes` do. The key is as it came.
pub(super) fn read(bytes: &[u8]) -> Result<(&[u8], Sample<'_>), Reject> {
    match reach(bytes) {
        Reach::Unknown => return Err(Reject::UnknownCode),
        Reach::Bytes(total) if total == bytes.len() => {}
        Reach::Bytes(_) | Reach::Header(_) => return Err(Reject::CutShort),
    }
    let key_length = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
    if bytes[1] == SET {
        let (key, member) = bytes[6..].split_at(key_length);
        let key = before_nul(key)?;
        let member = before_nul(member)?;
        return Ok((key, Sample::Member(if member.is_empty() { b"0" } else { member })));
    }
    let (value, key) = bytes[4..].split_first_chunk().ok_or(Reject::CutShort)?;
    let key = before_nul(key)?;
    let value = f64::from_le_bytes(*value);
    if !value.is_finite() {
        return Err(Reject::NotFinite);
    }
    let kind = TYPES.iter().find(|kind| kind.code == bytes[1]).ok_or(Reject::UnknownCode)?;
    (kind.read)(value).map(|sample| (key, sample))
}

/// Text that ends with a NUL, up to its first.
fn before_nul(text: &[u8]) -> Result<&[u8], Reject> {
    match text.last() {
        Some(0) => Ok(&text[..memchr(0, text).unwrap_or(text.len())]),
        _ => Err(Reject::NoNul),
    }
}
