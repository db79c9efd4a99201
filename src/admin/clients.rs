//! The clients of the admin port, each served for a slice of a turn.

use std::io;
use std::time::Duration;

use mio::Registry;
use mio::net::TcpStream;
use socket2::Socket;

use super::client::{Client, NextStep};
use super::view::View;
use crate::ingest::client_table::{ClientTable, InUse};
use crate::sender::Sender;
use crate::time::Tick;
use crate::token::{EventSource, Slot, Slots};
use crate::warnings::CloseReason;

/// The clients of the admin port.
#[derive(Debug)]
pub struct AdminClients {
    clients: Slots<Client>,
    /// The most clients.
    most: usize,
    /// The place of the client that was served first in the last turn. The next turn begins after
    /// it, so that no client starves.
    first: u16,
    /// The clients that were served, whose deadlines have moved.
    served: Vec<Slot>,
    /// The bytes that all clients held after the last turn.
    bytes: usize,
}

/// Dumps in progress at the same time. Each holds some bytes for every series. Further ones wait
/// until one ends, or until a client with a dump does not keep up with reading.
const DUMPS_MAX: usize = 2;

/// The most unsent bytes that the kernel holds for a client, beside those that are on their way.
/// Otherwise it would hold up to 4 MiB for each client that does not read.
const KERNEL_UNSENT_MAX: u32 = 64 << 10;

impl AdminClients {
    /// At most `most` clients.
    pub fn new(most: usize) -> Self {
        Self { clients: Slots::default(), most, first: 0, served: Vec::new(), bytes: 0 }
    }

    /// Returns the number of clients, and the most that there may be.
    pub fn in_use(&self) -> InUse {
        InUse { used: self.clients.len(), limit: self.most }
    }

    /// The bytes that the clients hold: input, unsent output, and what dumps and scrapes need.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets another limit after a reload. Connected clients stay, but get new deadlines. A count of
    /// the series of each rule begins again with the new rules.
    pub fn limit(&mut self, most: usize) {
        self.most = most;
        self.clients.iter_mut().for_each(|(_, client)| client.restart_rule_counts());
        self.served.extend(self.clients.iter().map(|(slot, _)| slot));
    }

    /// Handles an event of the poller: a client may be read from or written to.
    pub fn ready(&mut self, slot: Slot) {
        if let Some(client) = self.clients.get_mut(slot) {
            client.wake();
        }
    }

    /// Closes a client whose deadline has come. Returns the reason and the client's address, unless
    /// the conversation with it was over.
    pub fn timeout(
        &mut self,
        slot: Slot,
        idle: Option<Duration>,
        now: Tick,
    ) -> Option<(CloseReason, Sender)> {
        if self.clients.get_mut(slot).is_some_and(|client| client.wake_if_due(now)) {
            return None;
        }
        self.deadline(slot, idle).filter(|deadline| *deadline <= now)?;
        let client = self.clients.remove(slot).filter(|client| !client.lingers())?;
        let is_idle = client.idle_since().is_some();
        let why = if is_idle { CloseReason::AdminIdle } else { CloseReason::AdminStalled };
        Some((why, client.sender()))
    }

    /// Serves the clients that have something to do, one after the other as long as there is time.
    /// Returns `true` if one of them could go on at once.
    pub fn turn(&mut self, view: &mut View<'_>, has_time: impl Fn() -> bool) -> bool {
        view.watch.begin_turn(view.server.now);
        let mut more = false;
        if view.watch.is_on() {
            more = view.watch.explain(view.server.engine, view.encoders, view.server.sinks);
            let watching = self
                .clients
                .iter_mut()
                .filter(|(_, client)| client.has_watched(view.server.now.tick));
            watching.for_each(|(_, client)| client.wake());
        }
        let awake: Vec<Slot> = self.awake();
        if !awake.is_empty() {
            more |= self.serve(awake, view, has_time);
            self.bytes = self.clients.iter().map(|(_, client)| client.bytes()).sum();
        }
        more
    }

    /// Serves some clients. Returns `true` if one of them could go on at once.
    fn serve(
        &mut self,
        mut awake: Vec<Slot>,
        view: &mut View<'_>,
        has_time: impl Fn() -> bool,
    ) -> bool {
        let mut more = false;
        let last = awake.len() - 1;
        begin_after(self.first, &mut awake);
        self.first = awake[0].index;
        let mut dumps = self.clients.iter().filter(|(_, client)| client.is_dumping()).count();
        for (position, slot) in awake.into_iter().enumerate() {
            let Some(client) = self.clients.get_mut(slot) else { continue };
            let was_dumping = client.is_dumping();
            self.served.push(slot);
            match client.turn(view, dumps < DUMPS_MAX, &has_time) {
                Ok(NextStep::GoOn) => more = true,
                Ok(NextStep::Wait) => {}
                Ok(NextStep::Close) => _ = self.clients.remove(slot),
                Err(error) => {
                    log::debug!(admin = "closed", reason:% = error; "the connection of an admin client failed");
                    self.clients.remove(slot);
                }
            }
            let is_dumping = self.clients.get(slot).is_some_and(Client::is_dumping);
            dumps = dumps + usize::from(is_dumping) - usize::from(was_dumping);
            if dumps == DUMPS_MAX && self.one_waits_to_dump() && self.one_pauses_its_dump() {
                dumps -= 1;
            }
            if dumps < DUMPS_MAX && self.one_waits_to_dump() {
                self.clients.iter_mut().for_each(|(_, client)| client.wake());
                more = true;
            }
            if !has_time() {
                return more || position < last;
            }
        }
        more
    }

    fn one_waits_to_dump(&self) -> bool {
        self.clients.iter().any(|(_, client)| client.waits_to_dump())
    }

    fn one_pauses_its_dump(&mut self) -> bool {
        self.clients.iter_mut().any(|(_, client)| client.pause_unread_dump())
    }

    fn awake(&self) -> Vec<Slot> {
        self.clients.iter().filter(|(_, client)| client.is_awake()).map(|(slot, _)| slot).collect()
    }

    /// Returns the clients served since the last call, and after [`limit`](Self::limit) all
    /// clients. Each has a new deadline, or is closed.
    pub fn take_served(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.served)
    }
}

/// Puts the clients after the place `first` to the front. `awake` is in the order of their places.
fn begin_after(first: u16, awake: &mut [Slot]) {
    awake.rotate_left(awake.partition_point(|slot| slot.index <= first));
}

impl ClientTable for AdminClients {
    /// Closes the client that has been idle longest, so that an operator can always get in. If none
    /// is idle, closes a client that does not read, or else the watch that has shown nothing for
    /// longest.
    fn make_room(&mut self) -> Option<(Slot, Sender)> {
        if self.clients.len() < self.most {
            return None;
        }
        let ranks =
            self.clients.iter().filter_map(|(slot, client)| Some((client.eviction_rank()?, slot)));
        let (_, slot) = ranks.min()?;
        self.clients.remove(slot).map(|client| (slot, client.sender()))
    }

    fn admit(
        &mut self,
        stream: Socket,
        sender: Sender,
        now: Tick,
        registry: &Registry,
    ) -> io::Result<Option<Slot>> {
        if self.clients.len() >= self.most {
            return Ok(None);
        }
        // Fails for a unix socket, for which the kernel never holds much.
        let _ = stream.set_tcp_notsent_lowat(KERNEL_UNSENT_MAX);
        let stream = TcpStream::from_std(stream.into());
        let slot = self.clients.insert(|slot| {
            Client::new(stream, sender, now, registry, EventSource::AdminClient(slot).into())
        });
        slot.map(Some)
    }

    /// Returns `None` also for a client that gets its turn before it could be idle.
    fn deadline(&self, slot: Slot, idle: Option<Duration>) -> Option<Tick> {
        self.clients.get(slot).and_then(|client| client.deadline(idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_begins_after_the_client_that_was_first_in_the_one_before() {
        let mut slots = Slots::default();
        for _ in 0..4 {
            slots.insert(|_| Ok(())).unwrap();
        }
        let awake: Vec<Slot> = slots.iter().map(|(slot, ())| slot).collect();
        let from = |first| {
            let mut awake = awake.clone();
            begin_after(first, &mut awake);
            awake.iter().map(|slot| slot.index).collect::<Vec<_>>()
        };
        assert_eq!(from(0), [1, 2, 3, 0]);
        assert_eq!(from(2), [3, 0, 1, 2]);
        assert_eq!(from(3), [0, 1, 2, 3], "the last one was first");
        assert_eq!(from(9), [0, 1, 2, 3], "that one has closed its connection");
    }
}
