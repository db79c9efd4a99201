//! The admin port: a line-based conversation as Node StatsD's, served in slices like everything else.
//!
//! ```text
//!  bytes ──▶ Client::input ──line──▶ commands.rs (one table) ──▶ reply, or a job (dump.rs, delete.rs)
//!  socket ◀── Client::output ◀──────────────────────────────────────┘ a slice a turn, while the reader keeps up
//! ```
//! A client that does not read stops only its own dump: past [`client::OUTPUT_HIGH`] of unread output its job rests, and
//! makes way for a dump that waits.

mod client;
mod commands;
mod job;
mod dump;
mod delete;
mod json;
mod view;

use std::io;
use std::time::Duration;

use mio::Registry;
use mio::net::TcpStream;
use slab::Slab;

use self::client::Client;
use crate::sender::Sender;
use crate::time::Tick;
use crate::token::{Generation, Source};
use crate::warnings::{CloseReason, LimitedBy};

pub use view::{Health, View};

/// The clients of the admin port.
#[derive(Debug)]
pub struct Admin {
    clients: Slab<Client>,
    limits: AdminLimits,
    generation: Generation,
    /// The slot that was served first in the last turn: the next turn begins behind it.
    first: usize,
    /// The clients served, whose deadlines have moved.
    served: Vec<(u16, Generation)>,
    /// The listeners at which clients may wait.
    calling: Vec<u16>,
}

/// The bounds on clients of the admin port.
#[derive(Clone, Copy, Debug)]
pub struct AdminLimits {
    pub clients: usize,
    /// Which limit bounds `clients`.
    pub limited_by: LimitedBy,
    /// How long a client may be idle. `None`: for ever.
    pub idle: Option<Duration>,
}

/// Dumps under way at a time, for each holds eight bytes a series. Further ones wait until one ends, or its client is behind
/// with reading.
const DUMPS_MAX: usize = 2;

impl Admin {
    pub fn new(limits: AdminLimits) -> Self {
        Self {
            clients: Slab::new(),
            limits,
            generation: Generation::default(),
            first: 0,
            served: Vec::new(),
            calling: Vec::new(),
        }
    }

    /// Sets other limits. Connected clients stay, but get new deadlines.
    pub fn limit(&mut self, limits: AdminLimits) {
        self.limits = limits;
        self.served.extend(self.clients.iter().filter_map(name));
    }

    /// Notes that clients may wait at a listener. They are accepted after the connected clients
    /// have had their turn, because only then is it known which of the latter are idle.
    pub fn note_listener(&mut self, index: u16) {
        self.calling.push(index);
    }

    pub fn take_listeners(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.calling)
    }

    /// Which limit is the reason when a client is not admitted.
    pub fn limited_by(&self) -> LimitedBy {
        self.limits.limited_by
    }

    /// Closes the client that has been idle longest, if all places are taken and a client is idle.
    /// Called before a new client is admitted. Returns the source and the address of the closed
    /// client.
    pub fn make_room(&mut self) -> Option<(Source, Sender)> {
        if self.clients.len() < self.limits.clients {
            return None;
        }
        let idle =
            |(slot, client): (usize, &Client)| client.idle_since().map(|since| (since, slot));
        let (_, slot) = self.clients.iter().filter_map(idle).min()?;
        let client = self.clients.remove(slot);
        let source = Source::AdminClient(u16::try_from(slot).ok()?, client.generation());
        Some((source, client.sender()))
    }

    /// Takes a client in; None if it is one too many (it is closed).
    pub fn admit(
        &mut self,
        stream: TcpStream,
        sender: Sender,
        now: Tick,
        registry: &Registry,
    ) -> Option<Source> {
        if self.clients.len() >= self.limits.clients {
            return None;
        }
        let slot = self.clients.vacant_entry();
        let index = u16::try_from(slot.key()).ok()?;
        self.generation = self.generation.next();
        let source = Source::AdminClient(index, self.generation);
        let client = Client::new(stream, sender, self.generation, now, registry, source.into());
        slot.insert(client.ok()?);
        Some(source)
    }

    /// The poller has news of a client: it may be read from or written to.
    pub fn ready(&mut self, slot: u16, generation: Generation) {
        if let Some(client) = self.get(slot, generation) {
            client.wake();
        }
    }

    /// Returns when a client is to be closed if it neither sends a command nor reads. Returns
    /// `None` if the client is closed already, gets its turn before that, or may stay.
    pub fn deadline(&mut self, slot: u16, generation: Generation) -> Option<Tick> {
        let idle = self.limits.idle;
        self.get(slot, generation).and_then(|client| client.deadline(idle))
    }

    /// Closes a client whose deadline has come. Returns the reason and the client's address.
    pub fn timeout(
        &mut self,
        slot: u16,
        generation: Generation,
        now: Tick,
    ) -> Option<(CloseReason, Sender)> {
        self.deadline(slot, generation).filter(|deadline| *deadline <= now)?;
        let client = self.clients.try_remove(slot.into())?;
        let is_idle = client.idle_since().is_some();
        let why = if is_idle { CloseReason::AdminIdle } else { CloseReason::AdminStalled };
        Some((why, client.sender()))
    }

    /// Serves the clients that have something to do, one after the other as long as there is time; true if one could go on
    /// at once.
    pub fn turn(&mut self, view: &mut View<'_>, has_time: impl Fn() -> bool) -> bool {
        let mut awake: Vec<usize> = self.awake_slots();
        if awake.is_empty() {
            return false;
        }
        awake.sort_by_key(|slot| *slot <= self.first); // those behind the last first one come first
        self.first = awake[0];
        let mut dumps = self.clients.iter().filter(|(_, client)| client.is_dumping()).count();
        let mut more = false;
        for slot in awake {
            let client = &mut self.clients[slot];
            let was_dumping = client.is_dumping();
            self.served.extend(name((slot, &*client)));
            match client.turn(view, dumps < DUMPS_MAX, &has_time) {
                Ok(goes_on) => more |= goes_on,
                Err(end) => self.close(slot, &end),
            }
            let is_dumping = self.clients.get(slot).is_some_and(Client::is_dumping);
            dumps = dumps + usize::from(is_dumping) - usize::from(was_dumping);
            if dumps == DUMPS_MAX && self.one_waits_to_dump() && self.one_gives_way() {
                dumps -= 1;
            }
            if dumps < DUMPS_MAX && self.one_waits_to_dump() {
                self.clients.iter_mut().for_each(|(_, client)| client.wake());
                more = true;
            }
            if !has_time() {
                return true;
            }
        }
        more
    }

    fn one_waits_to_dump(&self) -> bool {
        self.clients.iter().any(|(_, client)| client.waits_to_dump())
    }

    fn one_gives_way(&mut self) -> bool {
        self.clients.iter_mut().any(|(_, client)| client.gives_way())
    }

    fn awake_slots(&self) -> Vec<usize> {
        self.clients.iter().filter(|(_, client)| client.is_awake()).map(|(slot, _)| slot).collect()
    }

    fn close(&mut self, slot: usize, end: &io::Error) {
        if end.kind() != io::ErrorKind::UnexpectedEof {
            log::debug!(admin = "closed", reason:% = end; "the connection of an admin client failed");
        }
        self.clients.remove(slot);
    }

    /// Returns the clients served since the last call, and after [`limit`](Self::limit) all
    /// clients. Each has a new deadline, or is closed.
    pub fn take_served(&mut self) -> Vec<(u16, Generation)> {
        std::mem::take(&mut self.served)
    }

    fn get(&mut self, slot: u16, generation: Generation) -> Option<&mut Client> {
        self.clients.get_mut(slot.into()).filter(|client| client.generation() == generation)
    }
}

/// Identifies a client. The generation tells it from earlier clients in the same slot.
fn name((slot, client): (usize, &Client)) -> Option<(u16, Generation)> {
    u16::try_from(slot).ok().map(|slot| (slot, client.generation()))
}
