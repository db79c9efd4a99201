//! statsite's binary protocol: one sample in each message, little-endian. The first byte
//! distinguishes a message from a line.
//!
//! ```text
//!  aa  type  key length: u16  value: f64  key … 0
//!  aa   04   key length: u16  member length: u16  key … 0  member … 0
//! ```
//! Both lengths include the NUL. The bytes after the first NUL of a key or a member are ignored, as
//! in C. A UTF-8 line never begins with `aa`. If the type of a message is unknown, its length is
//! unknown, too. It then ends at the next newline.

use memchr::memchr;

use super::reject::Reject;
use super::sample::Sample;

/// The first byte of every message.
pub const MAGIC: u8 = 0xaa;

/// The length of a message, as far as its first bytes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The message has this many bytes, including its header.
    Bytes(usize),
    /// This many bytes of it are needed to know its length.
    Header(usize),
    /// The type is unknown, and so is the length.
    Unknown,
}

/// A type of message, and how its value becomes a sample.
struct MessageType {
    code: u8,
    read: fn(f64) -> Result<Sample<'static>, Reject>,
}

const SET: u8 = 4;

/// The types of messages with a value. A set has members instead.
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
pub fn is_binary(piece: &[u8]) -> bool {
    piece.first() == Some(&MAGIC)
}

/// Returns the first line (without its newline) or message of the rest of a datagram, and the bytes
/// after it. A message that states a length beyond the end of the datagram ends at the next
/// newline, as one of unknown length does.
pub fn first_piece(rest: &[u8]) -> (&[u8], &[u8]) {
    if is_binary(rest)
        && let Reach::Bytes(total) = reach(rest)
        && total <= rest.len()
    {
        return rest.split_at(total);
    }
    memchr(b'\n', rest).map_or((rest, &[]), |end| (&rest[..end], &rest[end + 1..]))
}

/// Returns the reach of the message at the start of `bytes`, which must not be empty.
pub fn reach(bytes: &[u8]) -> Reach {
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

/// Reads a message that ends where `bytes` end. Returns its key, which is not cleaned, and its
/// sample.
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

/// Returns a text up to its first NUL. Fails if the text does not end with a NUL.
fn before_nul(text: &[u8]) -> Result<&[u8], Reject> {
    match text.last() {
        Some(0) => Ok(&text[..memchr(0, text).unwrap_or(text.len())]),
        _ => Err(Reject::NoNul),
    }
}
