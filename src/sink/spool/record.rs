//! The format of a segment file: a first line that names the format, then records. Each record is a
//! chunk after a head with its length and checksum. Pure.
//!
//! ```text
//!  statsd-spool 1 plaintext····\n   length  lines  crc32  bytes…   length  lines  crc32  bytes…
//!  └───────── 32 bytes ─────────┘   └── 4 ──┴─ 4 ─┴── 4 ─┴─ length ┘            (little endian)
//! ```
//! The checksum covers length, lines and bytes. So a torn write cannot join the halves of two
//! records to a valid one.

use crc32fast::Hasher;

/// Bytes before the first record.
pub(super) const PREAMBLE: usize = 32;
/// Bytes of a record before its chunk.
pub(super) const HEAD: usize = 12;
/// The most bytes of a chunk. No encoder makes longer ones, so a larger length is damage.
pub(super) const CHUNK_MAX: usize = 2 << 20;

/// Returns the first bytes of a segment for chunks of this format. The name of the format must have
/// at most 16 bytes.
pub(super) fn preamble(format: &str) -> [u8; PREAMBLE] {
    let mut bytes = [b' '; PREAMBLE];
    let text = format!("statsd-spool 1 {format}");
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes[PREAMBLE - 1] = b'\n';
    bytes
}

/// The head of a record, before the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) length: u32,
    pub(super) lines: u32,
    checksum: u32,
}

impl RecordHead {
    pub(super) fn new(chunk: &[u8], lines: u32) -> Self {
        let length = u32::try_from(chunk.len()).expect("a chunk is far shorter");
        Self { length, lines, checksum: checksum(length, lines, chunk) }
    }

    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        for (field, four) in
            [self.length, self.lines, self.checksum].iter().zip(bytes.chunks_mut(4))
        {
            four.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Parses a head. Returns `None` if the length is 0, or larger than that of any chunk. A region
    /// of zeros, which a power cut may leave, is thus no record.
    pub(super) fn from_bytes(bytes: [u8; HEAD]) -> Option<Self> {
        let field = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let head = Self { length: field(0), lines: field(4), checksum: field(8) };
        (1..=CHUNK_MAX).contains(&(head.length as usize)).then_some(head)
    }

    /// Whether this head has the checksum of these bytes.
    pub(super) fn is_of(self, chunk: &[u8]) -> bool {
        checksum(self.length, self.lines, chunk) == self.checksum
    }

    /// Returns the bytes of the whole record: head and chunk.
    pub(super) fn record_bytes(self) -> u64 {
        HEAD as u64 + u64::from(self.length)
    }
}

fn checksum(length: u32, lines: u32, chunk: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(&lines.to_le_bytes());
    hasher.update(chunk);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_this_to_the_byte() {
        assert_eq!(&preamble("plaintext"), b"statsd-spool 1 plaintext       \n");
        let head = RecordHead::new(b"a 1 2\n", 1);
        assert_eq!(head.to_bytes(), *b"\x06\0\0\0\x01\0\0\0\xff\xce\xad\xb9");
        assert_eq!(RecordHead::from_bytes(head.to_bytes()), Some(head));
        assert_eq!(head.record_bytes(), 18);
        assert!(head.is_of(b"a 1 2\n"));
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let chunk = *b"a 1 2\n";
        let head = RecordHead::new(&chunk, 1).to_bytes();
        for bit in 0..head.len() * 8 {
            let mut bytes = head;
            bytes[bit / 8] ^= 1 << (bit % 8);
            let seen = RecordHead::from_bytes(bytes).is_none_or(|head| !head.is_of(&chunk));
            assert!(seen, "bit {bit} of the head");
        }
        for bit in 0..chunk.len() * 8 {
            let mut bytes = chunk;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!RecordHead::from_bytes(head).unwrap().is_of(&bytes), "bit {bit} of the chunk");
        }
    }

    #[test]
    fn lengths_that_no_chunk_has_are_damage() {
        let with_length = |length: u32| {
            let mut bytes = [0; HEAD];
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            RecordHead::from_bytes(bytes)
        };
        assert!(with_length(0).is_none() && with_length(1).is_some());
        assert!(with_length(2 << 20).is_some() && with_length((2 << 20) + 1).is_none());
    }
}
