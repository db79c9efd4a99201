//! Chunks: encoded bytes on their way to the sinks, always whole lines, or whole messages of lines.
//!
//! A chunk is made once by an encoder, sealed, and then shared (read-only) by the outboxes of every
//! sink that takes its format. It is the unit in which a queue drops, resends and counts; partial
//! progress through one is the outbox's business.

use std::rc::Rc;

/// Where an encoder seals a chunk: about this many bytes, one line over at the most, or one message
/// that is longer.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Whole encoded lines of one flush.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    bytes: Vec<u8>,
    lines: u32,
    flush: u64,
}

impl Chunk {
    /// `flush` is the number of the flush the lines belong to, counted from 1 since the start; 0
    /// for lines of none.
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

/// Lines on their way into chunks.
#[derive(Debug, Default)]
pub struct Chunks {
    flush: u64,
    open: Vec<u8>,
    lines: u32,
    full: Vec<Rc<Chunk>>,
}

/// Room behind [`CHUNK_BYTES`] for the line that fills a chunk. A line is far shorter: names and
/// figures are bounded.
const LINE_BYTES_MAX: usize = 4096;

impl Chunks {
    /// Begins a flush; the one before must have been [`Self::end`]ed.
    pub(super) fn begin(&mut self, flush: u64) {
        debug_assert!(self.open.is_empty() && self.full.is_empty());
        self.flush = flush;
    }

    /// The place to append exactly one line to.
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

    /// Appends a whole message of so many lines. It stays whole: where it does not fit the chunk,
    /// it begins another.
    pub(super) fn frame(&mut self, message: &[u8], lines: u32) {
        self.room(message.len(), lines).extend_from_slice(message);
    }

    /// The place to append a whole message to, of at most so many bytes and of so many lines.
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

    /// Ends the flush: its last lines become a chunk too.
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
