//! [`StallReport`]: logs when a destination stops to accept bytes over a connection that stays, and
//! when it accepts them again.

use std::mem;
use std::net::SocketAddr;

use crate::sink::outbox::Outbox;

#[derive(Debug)]
pub(super) struct StallReport {
    sink: String,
    /// Whether the log says that the destination is stalled.
    is_logged: bool,
}

impl StallReport {
    pub(super) fn new(sink: &str) -> Self {
        Self { sink: sink.to_owned(), is_logged: false }
    }

    /// Notes that the connection has ended.
    pub(super) fn forget(&mut self) {
        self.is_logged = false;
    }

    /// Logs the change, if there is one. `hint` is what to do about a stall, if there is a stall.
    pub(super) fn note(&mut self, hint: Option<String>, address: SocketAddr, outbox: &Outbox) {
        if mem::replace(&mut self.is_logged, hint.is_some()) == hint.is_some() {
            return;
        }
        let unacked_bytes = outbox.unacked_bytes();
        let queued_bytes = outbox.queued_bytes();
        match hint {
            Some(hint) => log::warn!(
                sink = self.sink, state = "stalled", address:%, unacked_bytes, queued_bytes,
                reason = "the connection is up, and nothing was acknowledged for write_timeout",
                hint;
                "the destination does not read"
            ),
            None => log::info!(
                sink = self.sink, state = "up", address:%, unacked_bytes, queued_bytes;
                "the destination reads again"
            ),
        }
    }
}
