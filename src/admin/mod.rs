//! The admin port: a line-based conversation as Node StatsD's, served in slices like everything else.
//!
//! ```text
//!  bytes ──▶ Client::input ──line──▶ commands.rs (one table) ──▶ reply, or a job (dump.rs, delete.rs)
//!  socket ◀── Client::output ◀──────────────────────────────────────┘ a slice a turn, while the reader keeps up
//! ```
//! A client that does not read stops only its own dump: past [`client::OUTPUT_HIGH`] of unread output its job rests.

mod client;
mod commands;
mod job;
mod dump;
mod delete;
mod json;
mod view;

use std::io;

use mio::Registry;
use mio::net::TcpStream;
use slab::Slab;

use self::client::Client;
use crate::server::token::{Generation, Source};
use crate::time::Tick;

pub use view::{Health, View};

/// The clients of the admin port.
#[derive(Debug)]
pub struct Admin {
    clients: Slab<Client>,
    max: usize,
    generation: Generation,
}

impl Admin {
    pub fn new(max_connections: usize) -> Self {
        Self { clients: Slab::new(), max: max_connections, generation: Generation::default() }
    }

    /// Takes a client in; None if it is one too many (it is closed).
    pub fn admit(&mut self, stream: TcpStream, now: Tick, registry: &Registry) -> Option<Source> {
        if self.clients.len() >= self.max {
            return None;
        }
        let slot = self.clients.vacant_entry();
        let index = u16::try_from(slot.key()).ok()?;
        self.generation = self.generation.next();
        let source = Source::AdminClient(index, self.generation);
        slot.insert(Client::new(stream, self.generation, now, registry, source.into()).ok()?);
        Some(source)
    }

    /// The poller has news of a client: it may be read from or written to.
    pub fn ready(&mut self, slot: u16, generation: Generation) {
        if let Some(client) = self.get(slot, generation) {
            client.wake();
        }
    }

    /// When a client that neither reads nor writes is to be closed.
    pub fn deadline(&mut self, slot: u16, generation: Generation) -> Option<Tick> {
        self.get(slot, generation).map(|client| client.deadline())
    }

    pub fn timeout(&mut self, slot: u16, generation: Generation, now: Tick) {
        if self.deadline(slot, generation).is_some_and(|deadline| deadline <= now) {
            self.clients.remove(slot.into());
        }
    }

    /// Gives every client that has something to do a slice; true if one could go on at once.
    pub fn turn(&mut self, view: &mut View<'_>) -> bool {
        let mut more = false;
        self.clients.retain(|_, client| {
            if !client.is_awake() {
                return true;
            }
            match client.turn(view) {
                Ok(goes_on) => {
                    more |= goes_on;
                    true
                }
                Err(end) => {
                    if end.kind() != io::ErrorKind::UnexpectedEof {
                        log::debug!("admin=closed reason=\"{end}\"");
                    }
                    false
                }
            }
        });
        more
    }

    fn get(&mut self, slot: u16, generation: Generation) -> Option<&mut Client> {
        self.clients.get_mut(slot.into()).filter(|client| client.generation() == generation)
    }
}
