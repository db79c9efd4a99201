//! The plain framing: the chunks' bytes as they are, acknowledged by the peer's TCP.
//!
//! It knows what readiness it has seen, and when the peer last gave a sign; what is to be sent is the outbox's, and
//! what a failure leads to is the link's.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::framing::Framing;
use super::outbox::Outbox;
use super::socket::Socket;
use crate::time::Tick;

/// Chunks written in one turn, so that a fast peer with much to take leaves room for the others.
const CHUNKS_A_TURN: usize = 8;

/// Reads of 4 KiB in one turn. Carbon says nothing; whatever else answers is read and thrown away.
const READS_A_TURN: usize = 8;

/// A connection counts as moving when something moved in this long.
const MOVING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Connection {
    socket: Box<dyn Socket>,
    address: SocketAddr,
    /// Not yet drained to `WouldBlock` since the last event.
    writable: bool,
    readable: bool,
    /// Bytes were last written, or acknowledged.
    moved: Option<Tick>,
    /// With bytes unacknowledged: since when the peer has given no sign, as far as we looked.
    silent_since: Option<Tick>,
}

impl Connection {
    pub(super) fn new(socket: Box<dyn Socket>, address: SocketAddr) -> Self {
        Self { socket, address, writable: true, readable: true, moved: None, silent_since: None }
    }
}

impl Framing for Connection {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn wake(&mut self) {
        self.writable = true;
        self.readable = true;
    }

    fn has_more(&self, outbox: &Outbox) -> bool {
        self.readable || (self.writable && outbox.head().is_some())
    }

    fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_some_and(|moved| now - moved < MOVING)
    }

    /// Reads and throws away.
    fn receive(&mut self) -> io::Result<()> {
        let mut nobody_reads = [0; 4096];
        for _ in 0..READS_A_TURN {
            if !self.readable {
                break;
            }
            match self.socket.read(&mut nobody_reads) {
                Ok(0) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the peer"));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> io::Result<()> {
        for _ in 0..CHUNKS_A_TURN {
            let Some(head) = outbox.head().filter(|_| self.writable) else { break };
            match self.socket.write(head) {
                Ok(bytes) => {
                    outbox.wrote(bytes);
                    self.moved = Some(now);
                    self.silent_since.get_or_insert(now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks the kernel what is still unacknowledged.
    fn settle(&mut self, outbox: &mut Outbox, now: Tick) -> io::Result<bool> {
        let before = outbox.unacked_bytes();
        if before == 0 {
            self.silent_since = None;
            return Ok(false);
        }
        let arrived = outbox.acknowledged(self.socket.outstanding()?);
        let left = outbox.unacked_bytes();
        if left < before {
            self.moved = Some(now);
            self.silent_since = (left > 0).then_some(now);
        }
        Ok(arrived)
    }

    /// A closed window is no silence as long as the peer answers when it is probed. The kernel doubles the time between
    /// probes up to two minutes, so between two of them it is taken at its last word.
    fn check(&mut self, now: Tick, patience: Duration) -> io::Result<()> {
        let Some(since) = self.silent_since.filter(|&since| now - since >= patience) else {
            return Ok(());
        };
        let signs = self.socket.signs()?;
        let last_sign = if signs.owes_answer { ago(now, signs.last_ack).max(since) } else { now };
        self.silent_since = Some(last_sign);
        if now - last_sign >= patience {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no acknowledgement"));
        }
        Ok(())
    }

    fn deadline(&self, patience: Duration) -> Option<Tick> {
        self.silent_since.map(|since| since + patience)
    }

    /// It says so also if we look much later.
    fn last_ack(&self, now: Tick) -> Tick {
        self.socket.signs().map_or(now, |signs| ago(now, signs.last_ack))
    }
}

fn ago(now: Tick, span: Duration) -> Tick {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Tick::from_micros(now.as_micros().saturating_sub(micros))
}
