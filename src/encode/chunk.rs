//! Chunks: encoded bytes for the sinks. A chunk has whole lines, or whole messages of lines.
//!
//! An encoder fills a chunk and seals it. Then the outboxes of all sinks with its format share it,
//! read-only. A queue drops, resends and counts whole chunks. The outbox keeps the position inside
//! a chunk that is partly sent.
//!
//! A sink that sends datagrams cuts a chunk into [packets](Packet).

use std::rc::Rc;

/// An encoder seals a chunk at about this many bytes. A chunk is longer by at most one line, or if
/// it is a single longer message.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Whole encoded lines of one flush.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    bytes: Vec<u8>,
    lines: u32,
    flush: u64,
}

impl Chunk {
    /// `flush` is the number of the flush that the lines belong to, counted from 1 since the start.
    /// It is 0 for lines of no flush.
    pub fn new(bytes: Vec<u8>, lines: u32, flush: u64) -> Rc<Self> {
        debug_assert!(!bytes.is_empty(), "a chunk holds something");
        Rc::new(Self { bytes, lines, flush })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn lines(&self) -> u32 {
        self.lines
    }

    pub fn flush(&self) -> u64 {
        self.flush
    }
}

/// Collects lines into chunks.
#[derive(Debug, Default)]
pub struct Chunks {
    flush: u64,
    open: Vec<u8>,
    lines: u32,
    full: Vec<Rc<Chunk>>,
}

/// Room past [`CHUNK_BYTES`] for the line that fills a chunk. Few lines are longer. For those the
/// buffer grows.
const LINE_BYTES_MAX: usize = 4096;

impl Chunks {
    /// Begins a flush. The flush before must have ended with [`Self::end`].
    pub(super) fn begin(&mut self, flush: u64) {
        debug_assert!(self.open.is_empty() && self.full.is_empty());
        self.flush = flush;
    }

    /// Returns the buffer, to which the caller must append exactly one line.
    pub(super) fn line(&mut self) -> &mut Vec<u8> {
        if self.open.len() >= CHUNK_BYTES {
            self.seal();
        }
        if self.open.capacity() == 0 {
            self.open.reserve_exact(CHUNK_BYTES + LINE_BYTES_MAX);
        }
        self.lines += 1;
        &mut self.open
    }

    /// Removes the line that was appended last, from `start` of the buffer on.
    pub(super) fn remove_line(&mut self, start: usize) {
        self.open.truncate(start);
        self.lines -= 1;
    }

    /// Appends a message of `lines` lines. It stays whole: if it does not fit into the chunk, it
    /// begins another one.
    pub(super) fn frame(&mut self, message: &[u8], lines: u32) {
        self.room(message.len(), lines).extend_from_slice(message);
    }

    /// Returns the buffer, to which the caller must append one whole message of at most `bytes`
    /// bytes and of `lines` lines.
    pub(super) fn room(&mut self, bytes: usize, lines: u32) -> &mut Vec<u8> {
        if !self.open.is_empty() && self.open.len() + bytes > CHUNK_BYTES {
            self.seal();
        }
        self.lines += lines;
        &mut self.open
    }

    fn seal(&mut self) {
        let mut bytes = std::mem::take(&mut self.open);
        // A long line may have doubled the buffer.
        if bytes.len() < CHUNK_BYTES / 2 || bytes.capacity() > CHUNK_BYTES + LINE_BYTES_MAX {
            bytes.shrink_to_fit();
        }
        self.full.push(Chunk::new(bytes, std::mem::take(&mut self.lines), self.flush));
    }

    /// Ends the flush. Its last lines become a chunk.
    pub fn end(&mut self) {
        if !self.open.is_empty() {
            self.seal();
        }
    }

    /// Takes the sealed chunks, oldest first.
    pub fn take(&mut self) -> std::vec::Drain<'_, Rc<Chunk>> {
        self.full.drain(..)
    }
}

/// The room in an Ethernet frame after the longest headers that may occur. A packet of whole lines
/// is longer only if a single line is.
const PACKET_BYTES: usize = 1432;

/// The longest UDP datagram over IPv4: 64 KiB less the headers. IPv6 has room for 20 bytes more.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// The head of a packet that must stay whole: the number of its bytes and of its lines, with four
/// bytes each, the highest first.
pub(super) const HEAD_BYTES: usize = 8;

/// The first packet of the rest of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub payload: &'a [u8],
    pub lines: u64,
    /// The bytes of the chunk that it takes, including its head.
    pub length: usize,
}

/// Returns a packet of as many whole lines as fit. `rest` must not be empty.
pub fn whole_lines(rest: &[u8]) -> Packet<'_> {
    let most = &rest[..rest.len().min(PACKET_BYTES)];
    let end = memchr::memrchr(b'\n', most).or_else(|| memchr::memchr(b'\n', rest));
    let payload = &rest[..end.map_or(rest.len(), |at| at + 1)];
    Packet { payload, lines: newlines(payload), length: payload.len() }
}

/// Returns a packet that has a head. `rest` must hold at least one whole packet.
pub fn framed(rest: &[u8]) -> Packet<'_> {
    let (head, after) = rest.split_at(HEAD_BYTES);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
    #[allow(clippy::cast_possible_truncation)] // it was a length before
    let bytes = number(&head[..4]) as usize;
    Packet { payload: &after[..bytes], lines: number(&head[4..]), length: HEAD_BYTES + bytes }
}

/// Appends a packet and its head.
pub(super) fn append(payload: &[u8], lines: u32, out: &mut Vec<u8>) {
    let bytes = u32::try_from(payload.len()).expect("no packet has 4 GiB");
    out.extend_from_slice(&bytes.to_be_bytes());
    out.extend_from_slice(&lines.to_be_bytes());
    out.extend_from_slice(payload);
}

pub(super) fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets<'a>(mut rest: &'a [u8], cut: fn(&'a [u8]) -> Packet<'a>) -> Vec<(&'a [u8], u64)> {
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let packet = cut(rest);
            packets.push((packet.payload, packet.lines));
            rest = &rest[packet.length..];
        }
        packets
    }

    #[test]
    fn a_packet_is_as_many_whole_lines_as_fit() {
        let line = |bytes: usize| format!("{}\n", "x".repeat(bytes - 1));
        let text = line(1000) + &line(432) + &line(1432) + &line(1433) + &line(2000) + &line(5);
        let found = packets(text.as_bytes(), whole_lines);
        let found: Vec<_> = found.iter().map(|(payload, lines)| (payload.len(), *lines)).collect();
        assert_eq!(found, [(1432, 2), (1432, 1), (1433, 1), (2000, 1), (5, 1)]);
        let small = line(10).repeat(500);
        let packets = packets(small.as_bytes(), whole_lines);
        assert_eq!(packets[0].0.len(), 1430);
        assert_eq!(packets.iter().map(|packet| packet.1).sum::<u64>(), 500);
    }

    #[test]
    fn a_packet_with_a_head_is_as_it_was() {
        let mut chunk = Vec::new();
        let long = vec![b'x'; 70_000];
        for (payload, lines) in [(&b"a\nb"[..], 2), (&[], 0), (&long, 70)] {
            append(payload, lines, &mut chunk);
        }
        assert_eq!(packets(&chunk, framed), [(&b"a\nb"[..], 2), (&[], 0), (&long, 70)]);
    }

    #[test]
    fn a_long_line_makes_no_chunk_hold_more_memory() {
        let mut chunks = Chunks::default();
        chunks.begin(1);
        for bytes in [CHUNK_BYTES - 1, 65_536, 10] {
            let line = chunks.line();
            line.resize(line.len() + bytes, b'x');
        }
        chunks.end();
        for chunk in chunks.take() {
            assert!(chunk.bytes.capacity() <= chunk.len().max(CHUNK_BYTES + LINE_BYTES_MAX));
        }
    }
}
