//! Sockets to lines: datagrams in batches, streams cut into lines and binary messages. Owns every
//! descriptor that samples come in by.
//!
//! ```text
//!  bind, unix, passed ──▶ DatagramSocket ──recvmmsg──▶ datagrams ─────────────▶ Engine::packet
//!                    └──▶ Listener ──accept──▶ Connections ──StreamSplitter──▶ Engine::line, Engine::binary
//! ```
//! Nothing here knows what a line means. A source that is not drained in its turn says so and is
//! asked again.

pub mod bind;
pub mod connections;
pub mod datagrams;
pub mod door;
pub mod lines;
pub mod listener;
pub mod passed;
pub mod unix;

/// What became of a source that was given its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing more to read: the poller will say when there is.
    Dry,
    /// The budget was used up first. The poller will not say it again: ask once more next turn.
    More,
}
