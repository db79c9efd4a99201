//! Chunks: encoded bytes on their way to the sinks, always whole lines.
//!
//! A chunk is made once by an encoder, sealed, and then shared (read-only) by the outboxes of every sink that takes its
//! format. It is the unit in which a queue drops, resends and counts; partial progress through one is the outbox's business.

use std::rc::Rc;

/// Where an encoder seals a chunk: about this many bytes, one line over at the most.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Whole encoded lines of one flush.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    bytes: Vec<u8>,
    lines: u32,
    flush: u64,
}

impl Chunk {
    /// `flush` is the number of the flush the lines belong to, counted from 1 since the start.
    pub fn new(bytes: Vec<u8>, lines: u32, flush: u64) -> Rc<Self> {
        debug_assert!(bytes.last() == Some(&b'\n'), "a chunk ends with a whole line");
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
