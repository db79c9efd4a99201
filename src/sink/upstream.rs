//! The plain framing: the bytes of the chunks as they are, acknowledged by the peer's TCP.
//!
//! It stores which readiness it has seen, and when the peer last gave a sign. The outbox decides
//! what is sent, and the link what follows a failure.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::dialer::Socket;
use super::error::SinkError;
use super::framing::Framing;
use super::outbox::Outbox;
use crate::time::Tick;

/// The most chunks written in one turn, so that one fast peer does not hold up the others.
const CHUNKS_A_TURN: usize = 8;

/// The most reads of 4 KiB in one turn. Carbon sends nothing. Bytes of any other peer are dropped.
const READS_A_TURN: usize = 8;

/// A connection counts as moving when something moved in this long.
const MOVING: Duration = Duration::from_secs(1);

/// How long a connection must last from its first bytes on before TCP's acknowledgements on it
/// count.
///
/// A peer that cannot read what it is sent, such as a pickle port that is sent lines, closes as
/// soon as it has read the first bytes. By then its kernel has acknowledged them.
const PROBATION: Duration = Duration::from_secs(2);

/// How long a stop waits for such a close; it does not wait for all of [`PROBATION`]. This is
/// enough for a nearby peer that closes at once.
///
/// It costs time only if the connection is younger, as with `--stdin`. Without it, `--stdin` would
/// report such a peer as having received everything.
const LINGER: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Upstream {
    socket: Box<dyn Socket>,
    address: SocketAddr,
    /// Not yet drained to `WouldBlock` since the last event.
    writable: bool,
    readable: bool,
    /// Bytes were last written, or acknowledged.
    moved: Option<Tick>,
    /// With bytes unacknowledged: since when the peer has given no sign, at the last poll.
    silent_since: Option<Tick>,
    /// Bytes that the peer's TCP had not acknowledged at the last poll.
    unacked: usize,
    first_write: Option<Tick>,
    /// The peer closed the connections before this one early. So only one chunk is written, and its
    /// acknowledgement is withheld from the outbox until this connection has lasted for
    /// [`PROBATION`].
    is_probe: bool,
    /// A probe that has written its chunk.
    is_held: bool,
}

impl Upstream {
    pub(super) fn new(socket: Box<dyn Socket>, address: SocketAddr) -> Self {
        Self {
            socket,
            address,
            writable: true,
            readable: true,
            moved: None,
            silent_since: None,
            unacked: 0,
            first_write: None,
            is_probe: false,
            is_held: false,
        }
    }

    fn is_on_probation(&self, now: Tick) -> bool {
        self.first_write.is_none_or(|first| now - first < PROBATION)
    }
}

impl Framing for Upstream {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn wake(&mut self) {
        self.writable = true;
        self.readable = true;
    }

    fn has_more(&self, outbox: &Outbox) -> bool {
        self.readable || (self.writable && !self.is_held && outbox.head().is_some())
    }

    fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_some_and(|moved| now - moved < MOVING)
    }

    fn receive(&mut self) -> Result<(), SinkError> {
        let mut unused = [0; 4096];
        for _ in 0..READS_A_TURN {
            if !self.readable {
                break;
            }
            match self.socket.read(&mut unused) {
                Ok(0) => return Err(SinkError::ClosedByPeer),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> Result<(), SinkError> {
        for _ in 0..CHUNKS_A_TURN {
            let may_wait = self.is_probe && self.is_on_probation(now);
            self.is_held = may_wait && outbox.has_written_a_chunk();
            if self.is_held {
                break;
            }
            let Some(head) = outbox.head().filter(|_| self.writable) else { break };
            match self.socket.write(head) {
                Ok(bytes) => {
                    outbox.wrote(bytes);
                    self.unacked += bytes;
                    self.first_write.get_or_insert(now);
                    self.moved = Some(now);
                    self.silent_since.get_or_insert(now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Asks the kernel how many bytes are still unacknowledged.
    fn poll_acks(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError> {
        if outbox.unacked_bytes() == 0 {
            self.unacked = 0;
            self.silent_since = None;
            return Ok(false);
        }
        let outstanding = self.socket.outstanding()?;
        let left = outstanding.min(self.unacked);
        if left < self.unacked {
            self.unacked = left;
            self.moved = Some(now);
            self.silent_since = (left > 0).then_some(now);
        }
        if self.is_probe && self.is_on_probation(now) {
            return Ok(false);
        }
        Ok(outbox.acknowledged(outstanding))
    }

    /// A closed window is no silence as long as the peer answers the kernel's probes. The time
    /// between probes grows up to two minutes. Between two of them the last answer counts.
    fn check(&mut self, now: Tick, patience: Duration) -> Result<(), SinkError> {
        let Some(since) = self.silent_since.filter(|&since| now - since >= patience) else {
            return Ok(());
        };
        let signs = self.socket.signs()?;
        let last_sign = if signs.owes_answer { ago(now, signs.last_ack).max(since) } else { now };
        self.silent_since = Some(last_sign);
        if now - last_sign >= patience {
            return Err(SinkError::TimedOut("no acknowledgement"));
        }
        Ok(())
    }

    fn deadline(&self, patience: Duration) -> Option<Tick> {
        self.silent_since.map(|since| since + patience)
    }

    fn is_proven(&self, now: Tick) -> bool {
        !self.is_on_probation(now)
    }

    fn proves_itself_at(&self) -> Option<Tick> {
        self.first_write.map(|first| first + PROBATION)
    }

    fn lingers_until(&self) -> Option<Tick> {
        self.first_write.map(|first| first + LINGER)
    }

    fn probe(&mut self) {
        self.is_probe = true;
    }

    /// The kernel stores this time, so it is right also if the poll comes much later.
    fn last_ack(&self, now: Tick) -> Tick {
        self.socket.signs().map_or(now, |signs| ago(now, signs.last_ack))
    }
}

fn ago(now: Tick, span: Duration) -> Tick {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Tick::from_micros(now.as_micros().saturating_sub(micros))
}
