//! [`ClientTable`]: where accepted clients go, whether they send lines or use the admin port.
//! [`InUse`]: how many places of such a table are taken.

use std::io;
use std::time::Duration;

use mio::Registry;
use socket2::Socket;

use crate::sender::Sender;
use crate::time::Tick;
use crate::token::Slot;

/// Where the accept loop puts the clients of one kind: the connections that send lines, or the
/// clients of the admin port.
pub trait ClientTable {
    /// Closes one client to make room for a new one, if all places are taken and a client may be
    /// closed. Returns the key and the address of the closed client.
    fn make_room(&mut self) -> Option<(Slot, Sender)>;

    /// Admits a client and registers it with the poller. Returns `None` if all places are taken,
    /// and fails if the poller refuses it. The stream is then closed.
    fn admit(
        &mut self,
        stream: Socket,
        sender: Sender,
        now: Tick,
        registry: &Registry,
    ) -> io::Result<Option<Slot>>;

    /// Returns when a client is to be closed if nothing moves on it, given the `idle_timeout` of
    /// its kind. Returns `None` if the client is closed already, or may stay.
    fn deadline(&self, slot: Slot, idle: Option<Duration>) -> Option<Tick>;
}

/// How many of a limited number are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    pub used: usize,
    pub limit: usize,
}
