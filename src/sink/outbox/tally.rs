//! Counts of the lines that went through an outbox. Pure.

use super::item::Item;
use crate::encode::chunk::Chunk;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxTally {
    /// Lines of chunks that were acknowledged, each counted once.
    pub delivered_lines: u64,
    /// Lines of chunks that were dropped before they were acknowledged: for want of room, because
    /// the peer refused them, or as the likely cause of breaks.
    pub dropped_lines: u64,
    /// Lines of chunks that were begun again after they had been begun on an earlier connection.
    pub resent_lines: u64,
    /// Lines whose delivery is unknown. Their chunks were written at least in part when a
    /// connection broke, and will not be sent again. Also lines written to a peer that closes each
    /// connection early: each counts once, though it is sent again.
    pub in_doubt: u64,
    /// Lines in two of the other figures: in `in_doubt` and also as delivered or waiting, or as
    /// delivered and waiting in the spool to be sent again.
    pub twice_lines: u64,
    /// Lines of retained chunks that were removed to make room for new ones.
    pub displaced_lines: u64,
    /// Bytes written, those of resent chunks again.
    pub sent_bytes: u64,
}

impl OutboxTally {
    /// Counts a chunk that will not be sent again.
    pub(super) fn drop_item(&mut self, item: &Item) {
        let lines = u64::from(item.chunk.lines());
        match (item.doubted, item.arrived) {
            (true, true) => {}
            (true, false) => self.twice_lines -= lines, // it no longer waits
            (false, true) => self.doubt(&item.chunk),
            (false, false) => self.dropped_lines += lines,
        }
    }

    /// Counts a chunk that was in flight on a connection that broke, and will not be sent again.
    pub(super) fn doubt_item(&mut self, item: &Item) {
        let lines = u64::from(item.chunk.lines());
        match (item.doubted, item.arrived) {
            (true, true) => {}
            (true, false) => self.twice_lines -= lines, // it no longer waits
            // It was sent again, because the connection on which it had arrived broke. Since then a
            // reload has set `resend = none`.
            (false, true) => self.doubt(&item.chunk),
            (false, false) => self.in_doubt += lines,
        }
    }

    /// Counts a chunk that was delivered on a connection that broke, and perhaps never read.
    pub(super) fn doubt(&mut self, chunk: &Chunk) {
        self.doubt_lines(chunk.lines().into());
    }

    /// Counts delivered or waiting lines as in doubt, too.
    pub(super) fn doubt_lines(&mut self, lines: u64) {
        self.in_doubt += lines;
        self.twice_lines += lines;
    }
}
