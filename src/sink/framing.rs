//! [`Framing`]: what is sent over an established TCP connection, and what acknowledges it. TCP
//! destinations differ in nothing else, so [`Link`](super::link::Link) has only one implementation.
//!
//! | framing | sends | acknowledged by |
//! | --- | --- | --- |
//! | `Upstream` | the bytes of the chunks | the peer's TCP |
//! | `Requests` | an HTTP request for each chunk | the answer 204 |

use std::fmt::Debug;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::error::SinkError;
use super::outbox::Outbox;
use crate::encode::chunk::Chunk;
use crate::time::Tick;

/// Moves bytes between an outbox and a socket, and reports whether the peer is still up. The link
/// decides what follows a failure. No call blocks.
pub(super) trait Framing: Debug {
    /// Returns the address of the peer.
    fn address(&self) -> SocketAddr;

    /// Handles an event: there may be something to read, and room to write.
    fn wake(&mut self);

    /// Whether there is more to do at once, without another event.
    fn has_more(&self, outbox: &Outbox) -> bool;

    /// Whether bytes were written or acknowledged in the last second.
    fn is_moving(&self, now: Tick) -> bool;

    /// Reads what the peer has sent, at most a turn's share. Returns an error if the peer has
    /// closed the connection while it was needed.
    fn receive(&mut self) -> Result<(), SinkError>;

    /// Writes a turn's share of the outbox, or as much as the kernel accepts.
    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> Result<(), SinkError>;

    /// Passes acknowledgements on to the outbox. Returns whether a chunk has arrived for the first
    /// time.
    fn poll_acks(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError>;

    /// Returns an error if the peer owes an answer and was silent for `patience`.
    fn check(&mut self, now: Tick, patience: Duration) -> Result<(), SinkError>;

    /// Returns when to call [`check`](Self::check). Returns `None` while the peer owes nothing.
    fn deadline(&self, patience: Duration) -> Option<Tick>;

    /// Returns when the last acknowledgement came, or `now` if that is unknown.
    fn last_ack(&self, now: Tick) -> Tick;

    /// Whether the acknowledgements on this connection count. They always do if they come from the
    /// peer's process and not only from its TCP.
    fn is_proven(&self, _now: Tick) -> bool {
        true
    }

    /// Returns when the connection is proven, if it lasts until then. Returns `None` before the
    /// first bytes, and if the connection needs no proof.
    fn proves_itself_at(&self) -> Option<Tick> {
        None
    }

    /// Returns until when a stop must wait, because the peer may close the connection right after
    /// the first bytes. Returns `None` if it need not wait.
    fn lingers_until(&self) -> Option<Tick> {
        None
    }

    /// Limits this connection to one chunk until it is proven. The acknowledgement of that chunk
    /// counts only then.
    fn probe(&mut self) {}

    /// Whether [`poll_acks`](Self::poll_acks) has an answer to handle now.
    fn has_answer(&self) -> bool {
        false
    }

    /// Whether the peer has closed the connection while nothing was under way, or will do so. That
    /// is no failure. The next chunk needs another connection.
    fn is_spent(&self) -> bool {
        false
    }

    /// Takes a chunk that was dropped because the peer refused it, for the log.
    fn take_refused(&mut self) -> Option<RefusedChunk> {
        None
    }
}

/// A chunk that the peer refused, and the reason it gave.
#[derive(Debug)]
pub(super) struct RefusedChunk {
    pub(super) chunk: Rc<Chunk>,
    pub(super) reason: String,
}
