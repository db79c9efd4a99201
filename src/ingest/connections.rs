//! The accepted connections, TCP or unix, each a stream and the beginning of a line.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use slab::Slab;
use socket2::Socket;

use super::Drained;
use super::lines::{Piece, StreamSplitter};
use crate::sender::Sender;
use crate::time::Tick;
use crate::token::{Generation, Source};

#[derive(Debug)]
pub struct Connections {
    slots: Slab<Connection>,
    limits: Limits,
    generation: Generation,
    /// All connections are read through this one buffer.
    buffer: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: usize,
    pub idle: Option<Duration>,
    /// Bytes of a line.
    pub line: usize,
}

#[derive(Debug)]
struct Connection {
    stream: Socket,
    sender: Sender,
    generation: Generation,
    lines: StreamSplitter,
    heard: Tick,
}

/// Bytes read from one connection at a time: about a millisecond's work if each line creates a
/// series.
pub(crate) const READ_BYTES: usize = 16 * 1024;

impl Connections {
    pub fn new(limits: Limits) -> Self {
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        Self { slots: Slab::new(), limits, generation: Generation::default(), buffer }
    }

    /// Other limits. Those who are here stay.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Admits a connection. Returns `None` if all places are taken; the connection is then closed.
    ///
    /// A silent connection is not closed for a new one, unlike on the admin port. Its client may
    /// never notice, and what it sends later would be lost without a trace. A refused client sees
    /// the close at once.
    pub fn admit(
        &mut self,
        stream: Socket,
        sender: Sender,
        now: Tick,
        registry: &Registry,
    ) -> Option<Source> {
        if self.slots.len() >= self.limits.connections {
            return None;
        }
        let slot = self.slots.vacant_entry();
        let index = u16::try_from(slot.key()).ok()?;
        self.generation = self.generation.next();
        let source = Source::Connection(index, self.generation);
        let descriptor = stream.as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), source.into(), Interest::READABLE).ok()?;
        let generation = self.generation;
        slot.insert(Connection {
            stream,
            sender,
            generation,
            lines: StreamSplitter::default(),
            heard: now,
        });
        Some(source)
    }

    /// Closes every connection.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Every connection there is, for a last look at all of them.
    pub fn sources(&self) -> Vec<Source> {
        let source = |(slot, connection): (usize, &Connection)| {
            let slot = u16::try_from(slot).expect("admitted as a u16");
            Source::Connection(slot, connection.generation)
        };
        self.slots.iter().map(source).collect()
    }

    /// When a silent connection is to be closed; None for one that is gone or may stay.
    pub fn deadline(&self, slot: u16, generation: Generation) -> Option<Tick> {
        let connection = self.get(slot, generation)?;
        self.limits.idle.map(|idle| connection.heard + idle)
    }

    /// Closes a connection that has been silent for too long. Returns its sender. The beginning of
    /// an unfinished line is not parsed.
    pub fn timeout(&mut self, slot: u16, generation: Generation, now: Tick) -> Option<Sender> {
        self.deadline(slot, generation).filter(|deadline| *deadline <= now)?;
        self.slots.try_remove(slot.into()).map(|connection| connection.sender)
    }

    /// Notes that a connection has sent something that waits to be read.
    pub fn note_news(&mut self, slot: u16, generation: Generation, now: Tick) {
        if self.get(slot, generation).is_some() {
            self.slots[slot.into()].heard = now;
        }
    }

    /// Who is at the other end; unknown once it is gone.
    pub fn sender(&self, slot: u16, generation: Generation) -> Sender {
        self.get(slot, generation).map_or(Sender::Unknown, |connection| connection.sender)
    }

    /// Reads once, at most `share` bytes and never more than [`READ_BYTES`], and passes on the
    /// lines. A connection that has ended or failed is removed.
    pub fn read(
        &mut self,
        slot: u16,
        generation: Generation,
        now: Tick,
        share: usize,
        mut each: impl FnMut(Piece<'_>),
    ) -> Drained {
        if self.get(slot, generation).is_none() {
            return Drained::Dry;
        }
        let connection = &mut self.slots[slot.into()];
        let room = share.min(READ_BYTES);
        match connection.stream.read(&mut self.buffer[..room]) {
            Ok(read) if read > 0 => {
                connection.heard = now;
                connection.lines.feed(&self.buffer[..read], self.limits.line, &mut each);
                return Drained::More;
            }
            Ok(_) => connection.lines.end(&mut each),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Drained::Dry,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Drained::More,
            Err(_) => {} // a reset: what it left of a line is not parsed
        }
        self.slots.remove(slot.into());
        Drained::Dry
    }

    fn get(&self, slot: u16, generation: Generation) -> Option<&Connection> {
        self.slots.get(slot.into()).filter(|connection| connection.generation == generation)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_a_silent_connection_times_out() {
        let poll = mio::Poll::new().unwrap();
        let idle = Some(Duration::from_secs(10));
        let mut connections = Connections::new(Limits { connections: 1, idle, line: 100 });
        let (server, mut client) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let at = |secs: u64| Tick::from_millis(secs * 1000);
        let admitted = connections.admit(server.into(), Sender::Unix, at(0), poll.registry());
        let Some(Source::Connection(slot, generation)) = admitted else { panic!("{admitted:?}") };
        client.write_all(b"a:1|c\n").unwrap();
        connections.read(slot, generation, at(5), READ_BYTES, |_| {});
        assert_eq!(connections.timeout(slot, generation, at(14)), None);
        assert_eq!(connections.read(slot, generation, at(14), READ_BYTES, |_| {}), Drained::Dry);
        assert_eq!(connections.deadline(slot, generation), Some(at(15)), "nothing was read");
        connections.note_news(slot, generation, at(15));
        assert_eq!(connections.timeout(slot, generation, at(24)), None);
        assert_eq!(connections.timeout(slot, generation, at(25)), Some(Sender::Unix));
        assert_eq!(connections.timeout(slot, generation, at(25)), None);
        assert!(connections.is_empty());
    }
}
