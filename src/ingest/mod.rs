//! Reads sockets: datagrams in batches, and streams cut into lines and binary messages. It owns
//! every descriptor that samples come in by.
//!
//! ```text
//!  bind, unix ──▶ DatagramSocket ──recvmmsg──▶ datagrams
//!            └──▶ Listener ──accept──▶ Connections ──ConnectionSplitter──▶ pieces of streams
//! ```
//! This module does not parse lines: `server/reception.rs` passes datagrams and pieces of streams
//! on to an [`InputHandler`], the pipeline. A source that was not read to its end in its turn
//! returns [`ReadOutcome::More`], and is read again in the next turn.

pub mod bind;
pub mod client_table;
pub mod connections;
pub mod datagrams;
pub mod frames;
pub mod lines;
pub mod listener;
pub mod unix;

use std::ops::AddAssign;

use self::lines::Piece;
use crate::ledger::Ledger;

/// Whether a source has more to read after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Nothing is left to read. The poller reports when there is more.
    Dry,
    /// The budget was used up first. The poller does not report the rest, so the source must be
    /// read again in the next turn.
    More,
}

/// What input is passed to. In the server this is the pipeline.
pub trait InputHandler {
    /// Returns the counters of packets and of closed connections.
    fn ledger(&mut self) -> &mut Ledger;

    /// Takes in the lines of a datagram, at most about `share` bytes of them. Returns the number of
    /// bytes taken.
    fn take_lines(&mut self, text: &[u8], share: usize) -> usize;

    /// Takes in a piece of a stream.
    fn take_piece(&mut self, piece: Piece<'_>);

    /// Passes a datagram to the repeaters.
    fn repeat_packet(&mut self, packet: &[u8]);

    /// Passes a piece of a stream to the repeaters, unless it was cut off.
    fn repeat_piece(&mut self, piece: Piece<'_>);
}

/// What has come in by one listener since it was opened. The page and the figures show it.
///
/// It is added up once for each read. Nothing is counted for each line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerCounts {
    /// The connections that were accepted. Always 0 for a socket for datagrams.
    pub connections: u64,
    /// The datagrams, empty ones too. Always 0 for a listener for streams.
    pub packets: u64,
    pub lines: u64,
    /// The values that were added to a series, or are passed through.
    pub samples: u64,
    pub bytes: u64,
}

impl AddAssign for ListenerCounts {
    fn add_assign(&mut self, more: Self) {
        self.connections += more.connections;
        self.packets += more.packets;
        self.lines += more.lines;
        self.samples += more.samples;
        self.bytes += more.bytes;
    }
}
