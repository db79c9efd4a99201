//! A bound datagram socket, UDP or unix, read in batches: one system call for many datagrams.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{SockAddr, Socket};

use super::ListenerCounts;
use crate::sys;
use crate::sys::batch::{ControlRoom, Datagram, RecvBatch};

/// A queue that holds fewer datagrams may be full before the shortest nap ends. The kernel's
/// default is 10. A sender that does not wait loses what does not fit.
pub const SHORT_QUEUE: u32 = 128;

/// A bound socket and its drop counter.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: Socket,
    /// The room for control messages, which depends on the address family.
    room: ControlRoom,
    /// The kernel's drop counter when it was last read. It wraps at 32 bits.
    drops: u32,
    /// The drops counted until then, since the start.
    dropped: u64,
    counts: ListenerCounts,
    /// Only a unix socket has one.
    queue: Option<DatagramQueue>,
}

/// The queue of a unix socket. The kernel limits the number of its datagrams, not their bytes, and
/// does not report how many wait.
#[derive(Debug)]
struct DatagramQueue {
    limit: u32,
    /// Datagrams received since the fill was last asked for.
    received: u32,
}

/// The drop counter of a socket when it was last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropsSeen {
    /// The socket's number, which it keeps until the next boot, whatever process has it.
    pub cookie: u64,
    pub drops: u32,
}

/// Bytes taken from one socket at a time: about a millisecond's work if each line creates a series.
/// A larger datagram is taken over several turns.
pub(crate) const SHARE_BYTES: usize = 16 * 1024;
/// The bytes that each datagram counts for in that, in addition to its length.
const DATAGRAM_BYTES: usize = 64;

impl DatagramSocket {
    pub fn new(socket: Socket) -> Self {
        let is_unix = socket.local_addr().is_ok_and(|address| address.is_unix());
        let room = if !is_unix {
            ControlRoom::PIECES
        } else if sys::enable_credentials(socket.as_fd()).is_ok() {
            // Also for a socket that was passed in. A later process that does not expect the
            // credentials has no room for them, and they do no harm.
            ControlRoom::CREDENTIALS
        } else {
            ControlRoom::NONE
        };
        let queue = is_unix.then(|| DatagramQueue { limit: sys::unix_queue_limit(), received: 0 });
        Self { socket, room, drops: 0, dropped: 0, counts: ListenerCounts::default(), queue }
    }

    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, Interest::READABLE)
    }

    pub fn address(&self) -> io::Result<SockAddr> {
        self.socket.local_addr()
    }

    /// Returns what has come in by this socket.
    pub fn counts(&self) -> ListenerCounts {
        self.counts
    }

    /// Adds what has come in by this socket.
    pub fn count(&mut self, more: ListenerCounts) {
        self.counts += more;
    }

    /// Returns how many datagrams the kernel queues for a unix socket. Returns `None` for UDP,
    /// which has a receive buffer of bytes instead.
    pub fn queue_limit(&self) -> Option<u32> {
        self.queue.as_ref().map(|queue| queue.limit)
    }

    /// Requests a receive buffer of `bytes`. Returns the size that the kernel granted. It has no
    /// effect on a unix socket.
    pub fn request_buffer(&self, bytes: usize) -> io::Result<usize> {
        sys::force_receive_buffer(self.socket.as_fd(), bytes)
    }

    /// Passes on datagrams of this socket, up to `share` bytes. Datagrams received beyond that stay
    /// in the batch. `each` gets the rest of a datagram and the rest of the share. It returns the
    /// number of bytes it took: all of them, or about the share.
    ///
    /// If `may_fill` is `false`, only datagrams that wait in the batch are passed on. They must be
    /// of this socket.
    ///
    /// Returns the rest of the share. It is 0 if the socket may hold more. Otherwise the poller
    /// reports later datagrams: if a batch is not full, the socket was empty after it.
    pub(crate) fn receive(
        &mut self,
        batch: &mut RecvBatch,
        mut may_fill: bool,
        mut share: usize,
        mut each: impl FnMut(Datagram<'_>, usize) -> usize,
    ) -> io::Result<usize> {
        loop {
            while let Some(datagram) = batch.next() {
                let taken = each(datagram, share);
                share = share.saturating_sub(taken + DATAGRAM_BYTES);
                batch.consume(taken);
                if share == 0 {
                    return Ok(0);
                }
            }
            if !may_fill {
                return Ok(share);
            }
            may_fill = match batch.fill(self.socket.as_fd(), self.room) {
                Ok(may_hold_more) => may_hold_more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(share),
                Err(error) => return Err(error),
            };
            if let Some(queue) = &mut self.queue {
                queue.received += batch.len();
            }
        }
    }

    /// Returns the used bytes of the receive buffer and its size, as the kernel counts them.
    /// Returns `None` for a unix socket, whose buffer is not used.
    pub fn receive_queue(&self) -> Option<(u32, u32)> {
        if self.queue.is_some() {
            return None;
        }
        sys::receive_queue(self.socket.as_fd()).ok()
    }

    /// Returns how many datagrams were received from a unix socket since the last call, and how
    /// many its queue holds. Returns `None` if there were none, and for UDP.
    pub(crate) fn take_queue_fill(&mut self) -> Option<(u32, u32)> {
        let queue = self.queue.as_mut().filter(|queue| queue.received > 0)?;
        Some((std::mem::take(&mut queue.received), queue.limit))
    }

    /// Returns the number of datagrams that the kernel dropped on this socket since the last call,
    /// because its buffer was full or they were damaged.
    pub fn take_drops(&mut self) -> u32 {
        let Ok(drops) = sys::socket_drops(self.socket.as_fd()) else { return 0 };
        let more = drops.wrapping_sub(std::mem::replace(&mut self.drops, drops));
        self.dropped += u64::from(more);
        more
    }

    /// Returns the drop counter when it was last read, for the next process that has this socket.
    pub fn drops_seen(&self) -> Option<DropsSeen> {
        sys::cookie(self.socket.as_fd()).ok().map(|cookie| DropsSeen { cookie, drops: self.drops })
    }

    /// Continues to count where the process before has stopped, if it had this socket.
    pub fn resume(&mut self, seen: &[DropsSeen]) {
        let Ok(cookie) = sys::cookie(self.socket.as_fd()) else { return };
        if let Some(seen) = seen.iter().find(|seen| seen.cookie == cookie) {
            self.drops = seen.drops;
        }
    }

    /// Returns the number of datagrams that the kernel dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped + self.untaken_drops()
    }

    /// Returns the number of datagrams that the kernel dropped since
    /// [`take_drops`](Self::take_drops).
    pub fn untaken_drops(&self) -> u64 {
        let now = sys::socket_drops(self.socket.as_fd()).unwrap_or(self.drops);
        u64::from(now.wrapping_sub(self.drops))
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_large_datagram_is_taken_over_several_turns() {
        const LENGTH: usize = 60_000;
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = here.local_addr().unwrap();
        let mut socket = DatagramSocket::new(here.into());
        let mut batch = RecvBatch::new();
        there.send_to(&[b'a'; LENGTH], to).unwrap();
        there.send_to(b"b:1|c", to).unwrap();
        let mut turns: Vec<Vec<(usize, bool)>> = Vec::new();
        loop {
            let mut turn = Vec::new();
            let rest = socket.receive(&mut batch, true, SHARE_BYTES, |datagram, share| {
                turn.push((datagram.bytes.len(), datagram.is_rest));
                datagram.bytes.len().min(share)
            });
            turns.push(turn);
            if rest.unwrap() > 0 {
                break;
            }
        }
        let left = |taken: usize| (LENGTH - taken * SHARE_BYTES, taken > 0);
        let all: Vec<_> = turns.concat();
        assert_eq!(all, [left(0), left(1), left(2), left(3), (5, false)]);
        assert!(turns[..3].iter().all(|turn| turn.len() == 1), "{turns:?}");
    }

    #[test]
    fn the_queue_of_a_unix_socket_is_measured_by_what_was_received() {
        let (here, there) = UnixDatagram::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let mut socket = DatagramSocket::new(OwnedFd::from(here).into());
        let limit = socket.queue_limit().unwrap();
        let mut batch = RecvBatch::new();
        for sent in [0, 1, 3] {
            (0..sent).for_each(|_| assert!(there.send(b"a:1|c").is_ok()));
            socket
                .receive(&mut batch, true, SHARE_BYTES, |datagram, _| datagram.bytes.len())
                .unwrap();
            assert_eq!(socket.take_queue_fill(), (sent > 0).then_some((sent, limit)));
        }
        assert_eq!(socket.receive_queue(), None, "the kernel does not count its bytes");
    }
}
