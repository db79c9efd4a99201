//! [`PlainFraming`]: the chunks go over a TCP connection as they are, and the peer's TCP
//! acknowledges them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::SinkError;
use super::last_move::LastMove;
use super::outbox::Outbox;
use super::platform::Socket;
use crate::time::Tick;

/// The most chunks written in one turn, so that one fast peer does not hold up the rest of the
/// loop.
const CHUNKS_A_TURN: usize = 8;

/// The most reads of 4 KiB in one turn. Carbon sends nothing. The bytes that any other peer sends
/// are discarded; they are read because only a read shows that the peer has closed the connection.
const READS_A_TURN: usize = 8;

/// How long a connection must last, from its first bytes on, before TCP's acknowledgements on it
/// count.
///
/// A peer may expect another protocol, such as a pickle port that receives lines. It closes the
/// connection as soon as it has read the first bytes. By then its kernel has acknowledged them.
const TRUST_AFTER: Duration = Duration::from_secs(2);

/// How long a stop waits for an early close, counted from the first bytes. It is shorter than
/// [`TRUST_AFTER`], but long enough for a nearby peer that closes at once.
///
/// A stop waits only if the connection is younger than this, as with `--stdin`. Without the wait,
/// `--stdin` would report success for a peer that has read nothing.
const LINGER: Duration = Duration::from_millis(100);

/// One established connection with plain framing.
#[derive(Debug)]
pub(super) struct PlainFraming {
    socket: Box<dyn Socket>,
    address: SocketAddr,
    /// No write has returned `WouldBlock` since the last event.
    writable: bool,
    /// No read has returned `WouldBlock` since the last event.
    readable: bool,
    /// When bytes were last written or acknowledged.
    moved: LastMove,
    /// Since when the peer has shown no sign of life, as of the last poll. `None` if no bytes are
    /// unacknowledged, since the peer then has nothing to acknowledge.
    silent_since: Option<Tick>,
    /// Since when the peer has acknowledged no bytes. Unlike silence, this does not end with the
    /// answer to a window probe. `None` if no bytes are unacknowledged.
    blocked_since: Option<Tick>,
    is_stalled: bool,
    /// Bytes that the peer's TCP had not acknowledged at the last poll. The outbox cannot be used
    /// for this, because a probe withholds acknowledgements from it.
    unacked: usize,
    /// When the first bytes were written. The connection is trusted [`TRUST_AFTER`] later.
    first_write: Option<Tick>,
    /// The peer has closed the last connections early. So only one chunk is written. Its
    /// acknowledgement is withheld from the outbox until the connection has lasted for
    /// [`TRUST_AFTER`].
    is_probe: bool,
    /// The connection is a probe and has written its one chunk.
    is_held: bool,
}

impl PlainFraming {
    pub(super) fn new(socket: Box<dyn Socket>, address: SocketAddr) -> Self {
        Self {
            socket,
            address,
            writable: true,
            readable: true,
            moved: LastMove::default(),
            silent_since: None,
            blocked_since: None,
            is_stalled: false,
            unacked: 0,
            first_write: None,
            is_probe: false,
            is_held: false,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn wake(&mut self) {
        self.writable = true;
        self.readable = true;
    }

    pub(super) fn has_more(&self, outbox: &Outbox) -> bool {
        self.readable || (self.writable && !self.is_held && outbox.head().is_some())
    }

    pub(super) fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_recent(now)
    }

    pub(super) fn receive(&mut self) -> Result<(), SinkError> {
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

    pub(super) fn send(&mut self, outbox: &mut Outbox, now: Tick) -> Result<(), SinkError> {
        for _ in 0..CHUNKS_A_TURN {
            let may_wait = self.is_probe && !self.is_trusted(now);
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
                    self.moved.note(now);
                    self.silent_since.get_or_insert(now);
                    self.blocked_since.get_or_insert(now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads from the kernel how many bytes are still unacknowledged.
    pub(super) fn poll_acks(&mut self, outbox: &mut Outbox, now: Tick) -> Result<bool, SinkError> {
        if outbox.unacked_bytes() == 0 {
            self.unacked = 0;
            self.silent_since = None;
            self.blocked_since = None;
            self.is_stalled = false;
            return Ok(false);
        }
        let outstanding = self.socket.outstanding()?;
        let left = outstanding.min(self.unacked);
        if left < self.unacked {
            self.unacked = left;
            self.moved.note(now);
            self.silent_since = (left > 0).then_some(now);
            self.blocked_since = self.silent_since;
            self.is_stalled = false;
        }
        if self.is_probe && !self.is_trusted(now) {
            return Ok(false);
        }
        Ok(outbox.acknowledged_except(outstanding))
    }

    /// Fails if the peer has been silent for `patience`.
    ///
    /// A closed window is not silence as long as the peer answers the kernel's window probes. The
    /// time between two probes grows up to two minutes. The peer counts as alive until the next
    /// one.
    pub(super) fn check(&mut self, now: Tick, patience: Duration) -> Result<(), SinkError> {
        self.is_stalled = self.blocked_since.is_some_and(|since| now - since >= patience);
        let Some(since) = self.silent_since.filter(|&since| now - since >= patience) else {
            return Ok(());
        };
        let activity = self.socket.peer_activity()?;
        let last_sign =
            if activity.owes_answer { ago(now, activity.last_ack).max(since) } else { now };
        self.silent_since = Some(last_sign);
        if now - last_sign >= patience {
            return Err(SinkError::TimedOut("no acknowledgement"));
        }
        Ok(())
    }

    pub(super) fn deadline(&self, patience: Duration) -> Option<Tick> {
        self.silent_since.map(|since| since + patience)
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Reads from the kernel whether anything was acknowledged since the last poll, which may be
    /// long ago.
    pub(super) fn silent_since(&self) -> Option<Tick> {
        let is_silent = || self.socket.outstanding().is_ok_and(|left| left >= self.unacked);
        self.blocked_since.filter(|_| is_silent())
    }

    pub(super) fn is_trusted(&self, now: Tick) -> bool {
        self.first_write.is_some_and(|first| now - first >= TRUST_AFTER)
    }

    pub(super) fn trusted_at(&self) -> Option<Tick> {
        self.first_write.map(|first| first + TRUST_AFTER)
    }

    pub(super) fn lingers_until(&self) -> Option<Tick> {
        self.first_write.map(|first| first + LINGER)
    }

    pub(super) fn probe(&mut self) {
        self.is_probe = true;
    }

    /// Returns when the peer last acknowledged bytes. The kernel stores this time, so it is correct
    /// even if the poll comes much later.
    pub(super) fn last_ack(&self, now: Tick) -> Tick {
        self.socket.peer_activity().map_or(now, |activity| ago(now, activity.last_ack))
    }
}

/// Returns the tick that was `span` before `now`, or the first tick of all.
fn ago(now: Tick, span: Duration) -> Tick {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Tick::from_micros(now.as_micros().saturating_sub(micros))
}
