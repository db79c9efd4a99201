//! The accepted connections, TCP or unix. Each is a stream, and the beginning of an unfinished
//! line or packet.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use socket2::Socket;

use super::ReadOutcome;
use super::client_table::ClientTable;
use super::frames::{ConnectionSplitter, StreamLimits};
use super::lines::Piece;
use crate::sender::Sender;
use crate::time::Tick;
use crate::token::{EventSource, Slot, Slots};

/// All connections that send lines.
#[derive(Debug)]
pub struct Connections {
    clients: Slots<Connection>,
    /// The most connections.
    most: usize,
    /// All connections are read through this one buffer.
    buffer: Box<[u8]>,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: Socket,
    sender: Sender,
    /// The listener that accepted it. `None` if a reload has closed that listener since.
    listener: Option<u16>,
    input: ConnectionSplitter,
    /// When the connection was accepted, or last sent something.
    active: Tick,
}

/// What a read of one connection has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRead {
    pub outcome: ReadOutcome,
    /// The bytes that were read from the socket.
    pub bytes: usize,
}

/// Bytes read from one connection at a time: about a millisecond's work if each line creates a
/// series.
pub(crate) const READ_BYTES: usize = 16 * 1024;

impl Connections {
    /// At most `most` connections.
    pub fn new(most: usize) -> Self {
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        Self { clients: Slots::default(), most, buffer }
    }

    /// Sets another limit. Connections that are open stay.
    pub fn set_limit(&mut self, most: usize) {
        self.most = most;
    }

    /// Returns the most connections that there may be.
    pub fn limit(&self) -> usize {
        self.most
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Closes every connection. Passes on each packet that is cut short by that.
    pub fn clear(&mut self, mut each: impl FnMut(Sender, Piece<'_>)) {
        for (_, connection) in self.clients.iter_mut() {
            let sender = connection.sender;
            connection.input.end_reset(|piece| each(sender, piece));
        }
        self.clients.clear();
    }

    /// The keys of all connections.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.clients.iter().map(|(slot, _)| slot)
    }

    /// Closes a connection that has been silent for `idle`. Returns its sender. The beginning of
    /// an unfinished line is not parsed. A packet that is cut short is passed on.
    pub fn timeout(
        &mut self,
        slot: Slot,
        idle: Option<Duration>,
        now: Tick,
        each: impl FnMut(Piece<'_>),
    ) -> Option<Sender> {
        self.deadline(slot, idle).filter(|deadline| *deadline <= now)?;
        let mut connection = self.clients.remove(slot)?;
        connection.input.end_reset(each);
        Some(connection.sender)
    }

    /// Notes that a connection has sent something that waits to be read.
    pub fn note_unread_input(&mut self, slot: Slot, now: Tick) {
        if let Some(connection) = self.clients.get_mut(slot) {
            connection.active = now;
        }
    }

    /// Returns the peer of a connection, or `Unknown` if the connection is closed.
    pub fn sender(&self, slot: Slot) -> Sender {
        self.clients.get(slot).map_or(Sender::Unknown, |connection| connection.sender)
    }

    /// Notes which listener has accepted a connection.
    pub fn set_listener(&mut self, slot: Slot, listener: u16) {
        if let Some(connection) = self.clients.get_mut(slot) {
            connection.listener = Some(listener);
        }
    }

    /// Returns the listener of a connection, unless that listener is closed.
    pub fn listener(&self, slot: Slot) -> Option<u16> {
        self.clients.get(slot)?.listener
    }

    /// Notes that a listener is closed. Another one may get its index.
    pub fn forget_listener(&mut self, listener: u16) {
        for (_, connection) in self.clients.iter_mut() {
            connection.listener = connection.listener.filter(|its| *its != listener);
        }
    }

    /// Reads once, at most `limits.share` bytes and never more than [`READ_BYTES`], and passes on
    /// the lines and packets. A long packet is passed on in parts, in further calls that do not
    /// read. A connection that has ended or failed is removed.
    pub fn read(
        &mut self,
        slot: Slot,
        now: Tick,
        limits: StreamLimits,
        mut each: impl FnMut(Piece<'_>),
    ) -> StreamRead {
        let nothing = |outcome| StreamRead { outcome, bytes: 0 };
        let Some(connection) = self.clients.get_mut(slot) else {
            return nothing(ReadOutcome::Dry);
        };
        let share = limits.share.min(READ_BYTES);
        if connection.input.pass_on(share, &mut each) {
            return nothing(ReadOutcome::More);
        }
        let room = connection.input.room(share);
        match connection.stream.read(&mut self.buffer[..room]) {
            Ok(read) if read > 0 => {
                connection.active = now;
                connection.input.feed(&self.buffer[..read], limits, &mut each);
                return StreamRead { outcome: ReadOutcome::More, bytes: read };
            }
            Ok(_) => connection.input.end(limits, &mut each),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return nothing(ReadOutcome::Dry);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return nothing(ReadOutcome::More);
            }
            Err(_) => connection.input.end_reset(&mut each),
        }
        self.clients.remove(slot);
        nothing(ReadOutcome::Dry)
    }
}

impl ClientTable for Connections {
    /// Never closes a connection. Its client may not notice, and what it sends later would be lost
    /// without a trace. A refused client sees the close at once.
    fn make_room(&mut self) -> Option<(Slot, Sender)> {
        None
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
        let input = match sender {
            Sender::Unix | Sender::UnixProcess { .. } => ConnectionSplitter::undecided(),
            _ => ConnectionSplitter::text(),
        };
        let slot = self.clients.insert(|slot| {
            let descriptor = stream.as_raw_fd();
            let token = EventSource::Connection(slot).into();
            registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
            Ok(Connection { stream, sender, listener: None, input, active: now })
        });
        slot.map(Some)
    }

    fn deadline(&self, slot: Slot, idle: Option<Duration>) -> Option<Tick> {
        let connection = self.clients.get(slot)?;
        idle.map(|idle| connection.active + idle)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_a_silent_connection_times_out() {
        const LIMITS: StreamLimits = StreamLimits { max_line: 100, share: READ_BYTES };
        let poll = mio::Poll::new().unwrap();
        let idle = Some(Duration::from_secs(10));
        let mut connections = Connections::new(1);
        let (server, mut client) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let at = |secs: u64| Tick::from_millis(secs * 1000);
        let slot = connections
            .admit(server.into(), Sender::Unix, at(0), poll.registry())
            .unwrap()
            .unwrap();
        client.write_all(b"a:1|c\n").unwrap();
        let read = connections.read(slot, at(5), LIMITS, |_| {});
        assert_eq!(read, StreamRead { outcome: ReadOutcome::More, bytes: 6 });
        assert_eq!(connections.timeout(slot, idle, at(14), |_| {}), None);
        let read = connections.read(slot, at(14), LIMITS, |_| {});
        assert_eq!(read, StreamRead { outcome: ReadOutcome::Dry, bytes: 0 });
        assert_eq!(connections.deadline(slot, idle), Some(at(15)), "nothing was read");
        connections.note_unread_input(slot, at(15));
        assert_eq!(connections.timeout(slot, idle, at(24), |_| {}), None);
        assert_eq!(connections.timeout(slot, None, at(24), |_| {}), None, "it may stay for ever");
        assert_eq!(connections.timeout(slot, idle, at(25), |_| {}), Some(Sender::Unix));
        assert_eq!(connections.timeout(slot, idle, at(25), |_| {}), None);
        assert!(connections.is_empty());
    }

    /// Shows that a packet of which only the beginning has come is passed on as one that is cut
    /// short, however the server closes its connection.
    #[test]
    fn a_packet_that_a_close_cuts_short_is_counted() {
        const LIMITS: StreamLimits = StreamLimits { max_line: 100, share: READ_BYTES };
        let poll = mio::Poll::new().unwrap();
        for is_idle in [true, false] {
            let mut connections = Connections::new(1);
            let (server, mut client) = UnixStream::pair().unwrap();
            server.set_nonblocking(true).unwrap();
            let at = |secs: u64| Tick::from_millis(secs * 1000);
            let slot = connections.admit(server.into(), Sender::Unix, at(0), poll.registry());
            let slot = slot.unwrap().unwrap();
            client.write_all(b"\x07\0\0\0a:1|").unwrap();
            connections.read(slot, at(1), LIMITS, |_| panic!("the packet is not whole"));
            let mut cut = 0;
            let mut count = |piece: Piece<'_>| {
                assert!(matches!(piece, Piece::PacketCutShort));
                cut += 1;
            };
            if is_idle {
                let idle = Some(Duration::from_secs(1));
                assert!(connections.timeout(slot, idle, at(9), count).is_some());
            } else {
                connections.clear(|_, piece| count(piece));
            }
            assert_eq!(cut, 1);
        }
    }
}
