//! What goes over an established connection, and what acknowledges it. TCP destinations differ in
//! nothing else.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::error::SinkError;
use super::outbox::Outbox;
use crate::encode::chunk::Chunk;
use crate::time::Tick;

/// Moves bytes between an outbox and a socket, and reports whether the peer is still there. The
/// link decides what follows a failure. Nothing here blocks.
pub(super) trait Framing: Debug {
    fn address(&self) -> SocketAddr;

    /// Handles an event: there may be something to read, and room to write.
    fn wake(&mut self);

    /// Whether there is more to do at once, without another event.
    fn has_more(&self, outbox: &Outbox) -> bool;

    fn is_moving(&self, now: Tick) -> bool;

    /// Reads all there is, at most a turn's share. Returns an error if the peer has closed the
    /// connection while it was needed.
    fn receive(&mut self) -> Result<(), SinkError>;

    /// Writes a turn's share of the outbox, as far as the kernel takes it.
    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> Result<(), SinkError>;

    /// Passes acknowledgements on to the outbox. Returns whether a chunk has arrived for the first
    /// time.
    fn poll_acks(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError>;

    /// Returns an error if the peer owes an answer and was silent for `patience`.
    fn check(&mut self, now: Tick, patience: Duration) -> Result<(), SinkError>;

    /// When to [`check`](Self::check). `None` while the peer owes nothing.
    fn deadline(&self, patience: Duration) -> Option<Tick>;

    /// When the last acknowledgement came.
    fn last_ack(&self, now: Tick) -> Tick;

    /// Whether the acknowledgements on this connection count. They always do if the peer's process
    /// sends them, and not only its TCP.
    fn is_proven(&self, _now: Tick) -> bool {
        true
    }

    /// Returns when the connection is proven if it lasts until then. Returns `None` before the
    /// first bytes, and if it needs no proof.
    fn proves_itself_at(&self) -> Option<Tick> {
        None
    }

    /// Returns until when a stop waits for a close that may follow the first bytes. Returns `None`
    /// if it does not wait.
    fn lingers_until(&self) -> Option<Tick> {
        None
    }

    /// Limits this connection to one chunk until it is proven. The acknowledgement of the chunk
    /// counts only then.
    fn probe(&mut self) {}

    /// Whether [`poll_acks`](Self::poll_acks) has an answer to handle now.
    fn has_answer(&self) -> bool {
        false
    }

    /// Whether the connection has ended in good order. The next chunk needs another one.
    fn is_spent(&self) -> bool {
        false
    }

    /// Returns a chunk that was dropped because the peer refused it.
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
