//! [`HttpFraming`]: the HTTP framing. Each chunk is one request, and the answer 204 acknowledges
//! it. Only one request is under way at a time.
//!
//! ```text
//!   free ──a chunk──▶ under way ──its answer──▶ free, if the connection stays
//!                          │                      204: the chunk has arrived
//!                          │                      400, 413, 422: the chunk is refused, and dropped
//!                          ▼                      any other: an error, the chunk stays queued
//!                  silence, a close: an error
//! ```
//! A request holds a copy of its chunk. The whole chunk counts as written as soon as the request is
//! made. The outbox then cannot remove the chunk, whose length the head of the request announces.
//!
//! Servers and proxies close idle connections. So it is no failure if a server closes a connection
//! after an answer, or before the first byte of the next answer. Such a connection is *spent*.
//!
//! A request must be written whole within `write_timeout`. Its whole answer must arrive within
//! another `write_timeout`. Bytes that move meanwhile do not extend these times. Otherwise a server
//! that reads or sends a byte now and then, or sends status 100 repeatedly, would never time out.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

mod messages;

use super::error::SinkError;
use super::last_move::LastMove;
use super::outbox::Outbox;
use super::platform::Socket;
use crate::encode::chunk::Chunk;
use crate::time::Tick;
use messages::HttpAnswer;
pub(super) use messages::RequestHead;

/// The most reads of 4 KiB and the most writes in one turn.
const READS_A_TURN: usize = 8;
const WRITES_A_TURN: usize = 8;

/// One established connection with HTTP framing.
#[derive(Debug)]
pub(super) struct HttpFraming {
    socket: Box<dyn Socket>,
    address: SocketAddr,
    head: Rc<RequestHead>,
    /// All bytes of the request under way. Empty if there is none.
    request: Vec<u8>,
    /// How many bytes of the request are written.
    sent: usize,
    answer: HttpAnswer,
    /// The number of whole answers on this connection.
    answered: u64,
    /// The connection can carry no further request.
    is_spent: bool,
    refused: Option<RefusedChunk>,
    /// No call has returned `WouldBlock` since the last event.
    writable: bool,
    readable: bool,
    /// Bytes were received since the last poll. `receive` does not get the time, so the next poll
    /// updates `moved`.
    has_received: bool,
    moved: LastMove,
    /// When the request was begun; after its last byte was written, the time of that. `None`
    /// without a request. Bytes of the answer do not change it.
    waits_since: Option<Tick>,
    last_ack: Option<Tick>,
}

/// A chunk that the peer refused, and the reason it gave.
#[derive(Debug)]
pub(super) struct RefusedChunk {
    pub(super) chunk: Rc<Chunk>,
    pub(super) status: u16,
    /// The status as a number and in words, and what the peer adds.
    pub(super) reason: String,
}

impl HttpFraming {
    pub(super) fn new(socket: Box<dyn Socket>, address: SocketAddr, head: Rc<RequestHead>) -> Self {
        Self {
            socket,
            address,
            head,
            request: Vec::new(),
            sent: 0,
            answer: HttpAnswer::default(),
            answered: 0,
            is_spent: false,
            refused: None,
            writable: true,
            readable: true,
            has_received: false,
            moved: LastMove::default(),
            waits_since: None,
            last_ack: None,
        }
    }

    fn is_under_way(&self) -> bool {
        !self.request.is_empty()
    }

    /// Handles received bytes.
    fn read_response(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.has_received = true;
        if self.is_under_way() {
            return self.answer.feed(bytes);
        }
        // An answer without a request, such as status 408, which a server sends before it closes an
        // idle connection.
        self.readable = false;
        self.close(SinkError::UnaskedAnswer)
    }

    /// Handles the end of the connection. It is no error if the answer is whole, or if none of the
    /// current answer has arrived and an earlier request was answered: the server has closed an
    /// idle connection. Otherwise returns `error`.
    fn close(&mut self, error: SinkError) -> Result<(), SinkError> {
        let is_answered = self.is_under_way() && self.answer.is_whole();
        let is_idle = self.answered > 0 && self.answer.is_empty();
        self.is_spent |= is_answered || is_idle;
        if self.is_spent { Ok(()) } else { Err(error) }
    }

    /// Makes the next request, if none is under way.
    fn begin(&mut self, outbox: &mut Outbox, now: Tick) {
        if self.is_under_way() || self.is_spent {
            return;
        }
        let Some(lines) = outbox.head() else { return };
        let bytes = lines.len();
        self.head.request(lines, &mut self.request);
        self.sent = 0;
        self.waits_since = Some(now);
        outbox.wrote(bytes);
    }

    /// Whether a part of the request must still be written. After a whole answer the server does
    /// not read the rest.
    fn has_unsent(&self) -> bool {
        self.sent < self.request.len() && !self.answer.is_whole()
    }

    /// Applies a whole answer to the chunk of the request. Returns whether the chunk has arrived
    /// for the first time. Returns an error if the chunk must be sent again.
    fn handle_answer(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError> {
        let answer = std::mem::take(&mut self.answer);
        let is_early = self.sent < self.request.len();
        self.request.clear();
        self.waits_since = None;
        self.answered += 1;
        // After an early answer, the rest of the request would be read as the next one.
        self.is_spent |= is_early || !answer.keeps_open();
        match answer.status() {
            // A server that answers 204 before it has read all lines has not stored them all.
            204 if !is_early => {
                self.last_ack = Some(now);
                return Ok(outbox.acknowledged_except(0));
            }
            // Malformed lines, too many of them, or lines that InfluxDB 2 cannot store beside
            // others, which it has stored (422). The same request would be refused each time and
            // hold up all later chunks.
            status @ (400 | 413 | 422) => {
                let reason = answer.text();
                let chunk = outbox.refuse_in_flight();
                self.refused = chunk.map(|chunk| RefusedChunk { chunk, status, reason });
                return Ok(false);
            }
            _ => {}
        }
        Err(SinkError::Http { status: answer.status(), text: answer.text() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn wake(&mut self) {
        self.writable = true;
        self.readable = true;
    }

    pub(super) fn has_more(&self, outbox: &Outbox) -> bool {
        let may_begin = !self.is_under_way() && outbox.head().is_some();
        let writes = self.writable && (may_begin || self.has_unsent());
        self.readable || writes || self.has_answer() || self.is_spent
    }

    pub(super) fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_recent(now)
    }

    pub(super) fn receive(&mut self) -> Result<(), SinkError> {
        let mut buffer = [0; 4096];
        for _ in 0..READS_A_TURN {
            if !self.readable || self.has_answer() {
                break;
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => {
                    self.readable = false;
                    return self.close(SinkError::ClosedByPeer);
                }
                Ok(bytes) => self.read_response(&buffer[..bytes])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) => {
                    self.readable = false;
                    return self.close(error.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn send(&mut self, outbox: &mut Outbox, now: Tick) -> Result<(), SinkError> {
        self.begin(outbox, now);
        for _ in 0..WRITES_A_TURN {
            if !self.writable || !self.has_unsent() {
                break;
            }
            match self.socket.write(&self.request[self.sent..]) {
                Ok(bytes) => {
                    self.sent += bytes;
                    self.moved.note(now);
                    if self.sent == self.request.len() {
                        self.waits_since = Some(now); // the time for the answer begins
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => {
                    // The server may have sent its reason, such as status 413, before it closed.
                    self.writable = false;
                    self.readable = true;
                    self.receive()?;
                    return self.close(error.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn poll_acks(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError> {
        if std::mem::take(&mut self.has_received) {
            self.moved.note(now);
        }
        if self.has_answer() { self.handle_answer(outbox, now) } else { Ok(false) }
    }

    pub(super) fn check(&self, now: Tick, patience: Duration) -> Result<(), SinkError> {
        match self.waits_since {
            Some(since) if now - since >= patience => {
                let what = if self.sent < self.request.len() {
                    "the server reads the request too slowly"
                } else if self.answer.is_empty() {
                    "no answer"
                } else {
                    "the server sends its answer too slowly"
                };
                Err(SinkError::TimedOut(what))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn deadline(&self, patience: Duration) -> Option<Tick> {
        self.waits_since.map(|since| since + patience)
    }

    pub(super) fn last_ack(&self, now: Tick) -> Tick {
        self.last_ack.unwrap_or(now)
    }

    pub(super) fn has_answer(&self) -> bool {
        self.is_under_way() && self.answer.is_whole()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.is_spent && !self.has_answer()
    }

    pub(super) fn take_refused(&mut self) -> Option<RefusedChunk> {
        self.refused.take()
    }
}

#[cfg(test)]
mod tests;
