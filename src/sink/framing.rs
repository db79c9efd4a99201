//! [`Framing`]: what is sent over an established TCP connection, and what acknowledges it. TCP
//! destinations differ in nothing else, so [`Link`](super::link::Link) has only one implementation.
//!
//! | framing | sends | acknowledged by |
//! | --- | --- | --- |
//! | [`PlainFraming`] | the bytes of the chunks | the peer's TCP |
//! | [`HttpFraming`] | an HTTP request for each chunk | the answer 204 |
//!
//! A framing stores which readiness events it has seen, and when the peer last showed a sign of
//! life. The outbox decides which chunks are sent, and the link decides what follows a failure.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::SinkError;
use super::http::{HttpFraming, RefusedChunk};
use super::outbox::Outbox;
use super::plain_framing::PlainFraming;
use crate::time::Tick;

/// Moves bytes between an outbox and a socket, and reports whether the peer is still up. No call
/// blocks.
#[derive(Debug)]
pub(super) enum Framing {
    Plain(Box<PlainFraming>),
    Http(Box<HttpFraming>),
}

impl Framing {
    /// Returns the address of the peer.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Plain(plain) => plain.address(),
            Self::Http(http) => http.address(),
        }
    }

    /// Handles an event: there may be something to read, and room to write.
    pub(super) fn wake(&mut self) {
        match self {
            Self::Plain(plain) => plain.wake(),
            Self::Http(http) => http.wake(),
        }
    }

    /// Whether there is more to do at once, without another event.
    pub(super) fn has_more(&self, outbox: &Outbox) -> bool {
        match self {
            Self::Plain(plain) => plain.has_more(outbox),
            Self::Http(http) => http.has_more(outbox),
        }
    }

    /// Whether bytes were written or acknowledged in the last second.
    pub(super) fn is_moving(&self, now: Tick) -> bool {
        match self {
            Self::Plain(plain) => plain.is_moving(now),
            Self::Http(http) => http.is_moving(now),
        }
    }

    /// Reads what the peer has sent, at most a turn's share. Returns an error if the peer has
    /// closed the connection while it was needed.
    pub(super) fn receive(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Plain(plain) => plain.receive(),
            Self::Http(http) => http.receive(),
        }
    }

    /// Writes a turn's share of the outbox, or as much as the kernel accepts.
    pub(super) fn send(&mut self, outbox: &mut Outbox, now: Tick) -> Result<(), SinkError> {
        match self {
            Self::Plain(plain) => plain.send(outbox, now),
            Self::Http(http) => http.send(outbox, now),
        }
    }

    /// Passes acknowledgements on to the outbox. Returns whether a chunk has arrived for the first
    /// time.
    pub(super) fn poll_acks(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError> {
        match self {
            Self::Plain(plain) => plain.poll_acks(outbox, now),
            Self::Http(http) => http.poll_acks(outbox, now),
        }
    }

    /// Returns an error if the peer owes an answer and was silent for `patience`.
    pub(super) fn check(&mut self, now: Tick, patience: Duration) -> Result<(), SinkError> {
        match self {
            Self::Plain(plain) => plain.check(now, patience),
            Self::Http(http) => http.check(now, patience),
        }
    }

    /// Returns when to call [`check`](Self::check). Returns `None` while the peer owes nothing.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Tick> {
        match self {
            Self::Plain(plain) => plain.deadline(patience),
            Self::Http(http) => http.deadline(patience),
        }
    }

    /// Whether the peer is alive, but had accepted no byte for `patience` at the last
    /// [`check`](Self::check). Its process probably does not read.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(self, Self::Plain(plain) if plain.is_stalled())
    }

    /// Returns since when the peer has acknowledged nothing of the bytes that were written. Returns
    /// `None` if there are none, and if the peer has to answer each request.
    pub(super) fn silent_since(&self) -> Option<Tick> {
        match self {
            Self::Plain(plain) => plain.silent_since(),
            Self::Http(_) => None,
        }
    }

    /// Returns when the last acknowledgement came, or `now` if that is unknown.
    pub(super) fn last_ack(&self, now: Tick) -> Tick {
        match self {
            Self::Plain(plain) => plain.last_ack(now),
            Self::Http(http) => http.last_ack(now),
        }
    }

    /// Whether the acknowledgements on this connection count. Answers of HTTP always do, because
    /// they come from the peer's process and not only from its TCP.
    pub(super) fn is_trusted(&self, now: Tick) -> bool {
        match self {
            Self::Plain(plain) => plain.is_trusted(now),
            Self::Http(_) => true,
        }
    }

    /// Returns when the connection is trusted, if it lasts until then. Returns `None` before the
    /// first bytes, and if the connection is always trusted.
    pub(super) fn trusted_at(&self) -> Option<Tick> {
        match self {
            Self::Plain(plain) => plain.trusted_at(),
            Self::Http(_) => None,
        }
    }

    /// Returns until when a stop must wait, because the peer may close the connection right after
    /// the first bytes. Returns `None` if it need not wait.
    pub(super) fn lingers_until(&self) -> Option<Tick> {
        match self {
            Self::Plain(plain) => plain.lingers_until(),
            Self::Http(_) => None,
        }
    }

    /// Limits this connection to one chunk until it is trusted. The acknowledgement of that chunk
    /// counts only then.
    pub(super) fn probe(&mut self) {
        if let Self::Plain(plain) = self {
            plain.probe();
        }
    }

    /// Whether [`poll_acks`](Self::poll_acks) has an answer to handle now.
    pub(super) fn has_answer(&self) -> bool {
        matches!(self, Self::Http(http) if http.has_answer())
    }

    /// Whether the peer has closed the connection while nothing was under way, or will do so. That
    /// is no failure. The next chunk needs another connection.
    pub(super) fn is_spent(&self) -> bool {
        matches!(self, Self::Http(http) if http.is_spent())
    }

    /// Takes a chunk that was dropped because the peer refused it, for the log.
    pub(super) fn take_refused(&mut self) -> Option<RefusedChunk> {
        match self {
            Self::Plain(_) => None,
            Self::Http(http) => http.take_refused(),
        }
    }
}
