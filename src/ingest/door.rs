//! Where accepted clients go: the connections that send lines, and the clients of the admin port.

use std::time::Duration;

use mio::Registry;
use socket2::Socket;

use crate::sender::Sender;
use crate::time::Tick;
use crate::token::{Slot, Source};

/// The clients of one kind, as the accept loop sees them.
pub trait Door {
    /// Closes one client to make room for a new one, if all places are taken and a client may be
    /// closed. Returns the key and the address of the closed client.
    fn make_room(&mut self) -> Option<(Slot, Sender)>;

    /// Admits a client and registers it with the poller. Returns `None` if all places are taken;
    /// the stream is then closed.
    fn admit(
        &mut self,
        stream: Socket,
        sender: Sender,
        now: Tick,
        registry: &Registry,
    ) -> Option<Slot>;

    /// Returns when a client is to be closed if nothing moves on it, given the `idle_timeout` of
    /// its kind. Returns `None` if the client is closed already, or may stay.
    fn deadline(&self, slot: Slot, idle: Option<Duration>) -> Option<Tick>;

    /// The event source of a client.
    fn source(slot: Slot) -> Source;
}
