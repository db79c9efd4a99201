//! HTTP as a framing: each chunk is a request, one at a time, and its 204 acknowledges it.
//!
//! ```text
//!   free ──a chunk──▶ under way ──its answer──▶ free, if the connection stays
//!                          │                      204: it has arrived
//!                          │                      400, 413: it is refused, and dropped
//!                          ▼                      all else: an error, the chunk waits
//!                  silence, a close: an error
//! ```
//! A request is a copy of its chunk. The chunk counts as written from then on, so that it is not
//! removed from the outbox while its length is promised.
//!
//! It is no failure if a server closes a connection after an answer, or before the first byte of
//! the next answer: servers and proxies close idle connections. Such a connection is *spent*.
//!
//! A request has `write_timeout` to be written whole, and its answer `write_timeout` after that.
//! Bytes that move meanwhile do not extend these times. Otherwise a server that reads or sends a
//! byte now and then, or sends status 100 repeatedly, would never time out.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

mod answer;
mod request_head;

use super::dialer::Socket;
use super::error::SinkError;
use super::framing::{Framing, RefusedChunk};
use super::outbox::Outbox;
use crate::time::Tick;
use answer::HttpAnswer;
pub(super) use request_head::RequestHead;

/// Reads of 4 KiB, and writes of what the kernel takes, in one turn.
const READS_A_TURN: usize = 8;
const WRITES_A_TURN: usize = 8;

/// A connection counts as moving when something moved in this long.
const MOVING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Requests {
    socket: Box<dyn Socket>,
    address: SocketAddr,
    head: Rc<RequestHead>,
    /// All bytes of the request under way. Empty if there is none.
    request: Vec<u8>,
    /// How much of it is written.
    sent: usize,
    answer: HttpAnswer,
    /// Answers that came.
    answered: u64,
    is_spent: bool,
    refused: Option<RefusedChunk>,
    /// No call has returned `WouldBlock` since the last event.
    writable: bool,
    readable: bool,
    /// Bytes were received since the last poll, which knows the time.
    has_received: bool,
    moved: Option<Tick>,
    /// With a request under way: when its first byte was due, then when its last byte was written.
    /// Bytes of the answer do not change it, or a server that sends one now and then would never be
    /// late.
    waits_since: Option<Tick>,
    last_ack: Option<Tick>,
}

impl Requests {
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
            moved: None,
            waits_since: None,
            last_ack: None,
        }
    }

    fn is_under_way(&self) -> bool {
        !self.request.is_empty()
    }

    fn read_response(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.has_received = true;
        if self.is_under_way() {
            return self.answer.feed(bytes);
        }
        // There is no request. Such an answer tells why the server is about to close.
        self.readable = false;
        self.close(SinkError::UnaskedAnswer)
    }

    /// Handles that the peer has closed or broken the connection. That is an error only if a
    /// request is under way, or if no request was ever answered.
    fn close(&mut self, error: SinkError) -> Result<(), SinkError> {
        let is_answered = self.is_under_way() && self.answer.is_whole();
        let is_idle = self.answered > 0 && self.answer.is_empty();
        self.is_spent |= is_answered || is_idle;
        if self.is_spent { Ok(()) } else { Err(error) }
    }

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

    fn has_unsent(&self) -> bool {
        self.sent < self.request.len() && !self.answer.is_whole()
    }

    /// Does what a whole answer means for the chunk. Returns whether the chunk has arrived for the
    /// first time.
    fn handle_answer(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError> {
        let answer = std::mem::take(&mut self.answer);
        let is_early = self.sent < self.request.len();
        self.request.clear();
        self.waits_since = None;
        self.answered += 1;
        self.is_spent |= is_early || !answer.keeps_open();
        match answer.status() {
            204 if !is_early => {
                self.last_ack = Some(now);
                return Ok(outbox.acknowledged(0));
            }
            400 | 413 => {
                let refused = outbox.refuse_in_flight();
                self.refused = refused.map(|chunk| RefusedChunk { chunk, reason: answer.text() });
                return Ok(false);
            }
            _ => {}
        }
        Err(SinkError::Http { status: answer.status(), text: answer.text() })
    }
}

impl Framing for Requests {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn wake(&mut self) {
        self.writable = true;
        self.readable = true;
    }

    fn has_more(&self, outbox: &Outbox) -> bool {
        let may_begin = !self.is_under_way() && outbox.head().is_some();
        let writes = self.writable && (may_begin || self.has_unsent());
        self.readable || writes || self.has_answer() || self.is_spent
    }

    fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_some_and(|moved| now - moved < MOVING)
    }

    fn receive(&mut self) -> Result<(), SinkError> {
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

    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> Result<(), SinkError> {
        self.begin(outbox, now);
        for _ in 0..WRITES_A_TURN {
            if !self.writable || !self.has_unsent() {
                break;
            }
            match self.socket.write(&self.request[self.sent..]) {
                Ok(bytes) => {
                    self.sent += bytes;
                    self.moved = Some(now);
                    if self.sent == self.request.len() {
                        self.waits_since = Some(now); // the time for the answer begins
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => {
                    // The server may have sent the reason before it closed.
                    self.writable = false;
                    self.readable = true;
                    self.receive()?;
                    return self.close(error.into());
                }
            }
        }
        Ok(())
    }

    fn poll_acks(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError> {
        if std::mem::take(&mut self.has_received) {
            self.moved = Some(now);
        }
        if self.has_answer() { self.handle_answer(outbox, now) } else { Ok(false) }
    }

    fn check(&mut self, now: Tick, patience: Duration) -> Result<(), SinkError> {
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

    fn deadline(&self, patience: Duration) -> Option<Tick> {
        self.waits_since.map(|since| since + patience)
    }

    fn last_ack(&self, now: Tick) -> Tick {
        self.last_ack.unwrap_or(now)
    }

    fn has_answer(&self) -> bool {
        self.is_under_way() && self.answer.is_whole()
    }

    fn is_spent(&self) -> bool {
        self.is_spent && !self.has_answer()
    }

    fn take_refused(&mut self) -> Option<RefusedChunk> {
        self.refused.take()
    }
}

#[cfg(test)]
mod tests;
