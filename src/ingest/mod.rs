//! Reads sockets: datagrams in batches, and streams cut into lines and binary messages. It owns
//! every descriptor that samples come in by.
//!
//! ```text
//!  bind, unix ──▶ DatagramSocket ──recvmmsg──▶ datagrams
//!            └──▶ Listener ──accept──▶ Connections ──ConnectionSplitter──▶ pieces of streams
//! ```
//! This module does not parse lines: `server/reception.rs` passes datagrams and pieces of streams
//! on to the engine. A source that was not drained in its turn returns [`Drained::More`], and is
//! read again in the next turn.

pub mod bind;
pub mod connections;
pub mod counts;
pub mod datagrams;
pub mod frames;
pub mod lines;
pub mod listener;
pub mod unix;

/// Whether a source has more to read after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is left to read. The poller reports when there is more.
    Dry,
    /// The budget was used up first. The poller does not report the rest, so the source must be
    /// read again in the next turn.
    More,
}
