//! Chunks: encoded bytes for the sinks. A chunk has whole lines, or whole messages of lines.
//!
//! An encoder fills a chunk and seals it. Then the outboxes of all sinks with its format share it,
//! read-only. A queue drops, resends and counts whole chunks. The outbox keeps the position inside
//! a chunk that is partly sent.

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

/// Room past [`CHUNK_BYTES`] for the line that fills a chunk. A line is far shorter, since names
/// and figures are bounded.
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
        if bytes.len() < CHUNK_BYTES / 2 {
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
