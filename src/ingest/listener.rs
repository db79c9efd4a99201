//! A listening stream socket, TCP or unix. It accepts a bounded number of connections in a turn,
//! and pauses if the process has no descriptor left. The clients go to a
//! [`ClientTable`](super::client_table::ClientTable).

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use socket2::{SockAddr, Socket, TcpKeepalive};

use super::{ListenerCounts, ReadOutcome};
use crate::sender::Sender;
use crate::time::Tick;

/// A listening socket, and whether it pauses after a failure.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Set while accepting fails for a reason that is not one peer's, as when no descriptor is
    /// left.
    pause: Option<Pause>,
    counts: ListenerCounts,
}

/// Why a listener does not accept, and until when.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Tick,
    /// The number of the system's error.
    error: i32,
}

/// The most connections that a listener accepts in one turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long a listener does not try to accept after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// The times of TCP keepalive. They find a client that disappeared without closing, as when its
/// machine lost power or a firewall forgot the connection.
///
/// The kernel closes such a connection after `PROBE_AFTER` + `PROBES` × `PROBE_EVERY`: four
/// minutes. A client that is only silent costs a probe every two minutes, and stays.
const PROBE_AFTER: Duration = Duration::from_secs(120);
const PROBE_EVERY: Duration = Duration::from_secs(30);
const PROBES: u32 = 4;

impl Listener {
    pub fn new(socket: Socket) -> Self {
        if let Err(error) = keep_alive(&socket) {
            log::warn!(
                keepalive = "off",
                reason:% = error,
                hint = "connections of dead clients stay open; set [tcp] idle_timeout to close them";
                "a listener has no TCP keepalive"
            );
        }
        Self { socket, pause: None, counts: ListenerCounts::default() }
    }

    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, Interest::READABLE)
    }

    pub fn address(&self) -> io::Result<SockAddr> {
        self.socket.local_addr()
    }

    /// Whether it accepts connections over IPv6 alone.
    pub fn is_only_v6(&self) -> bool {
        self.socket.only_v6().unwrap_or(false)
    }

    /// Returns what has come in by connections of this listener.
    pub fn counts(&self) -> ListenerCounts {
        self.counts
    }

    /// Adds what has come in by a connection of this listener.
    pub fn count(&mut self, more: ListenerCounts) {
        self.counts += more;
    }

    /// Returns when a paused listener must try again.
    pub fn deadline(&self) -> Option<Tick> {
        self.pause.map(|pause| pause.until)
    }

    /// Returns the number of the error for which the listener pauses, or `None` if it does not.
    pub fn paused_by(&self) -> Option<i32> {
        self.pause.map(|pause| pause.error)
    }

    /// Accepts waiting connections, up to a turn's budget, and passes them to `each`.
    pub fn accept(&mut self, now: Tick, mut each: impl FnMut(Socket, Sender)) -> ReadOutcome {
        if self.pause.is_some_and(|pause| now < pause.until) {
            return ReadOutcome::Dry;
        }
        self.pause = None;
        for _ in 0..ACCEPTS_PER_TURN {
            let accepted = self.socket.accept();
            match accepted
                .and_then(|(stream, from)| stream.set_nonblocking(true).map(|()| (stream, from)))
            {
                Ok((stream, from)) => {
                    // A connection made before this process set keepalive on the listener has not
                    // inherited it.
                    if let Err(error) = keep_alive(&stream) {
                        log::debug!(keepalive = "off", reason:% = error; "a connection has no TCP keepalive");
                    }
                    let sender = sender(&stream, &from);
                    self.counts.connections += 1;
                    each(stream, sender);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return ReadOutcome::Dry,
                Err(error) if concerns_one_peer(&error) => {
                    log::debug!(accept = "failed", reason:% = error; "a connection was not accepted");
                }
                Err(error) => {
                    let number = error.raw_os_error().unwrap_or_default();
                    self.pause = Some(Pause { until: now + PAUSE, error: number });
                    return ReadOutcome::Dry;
                }
            }
        }
        ReadOutcome::More
    }
}

/// Turns TCP keepalive on. Connections inherit it from their listener, which saves four system
/// calls for each.
fn keep_alive(socket: &Socket) -> io::Result<()> {
    if socket.keepalive()? {
        return Ok(()); // inherited, or chosen by the process that passed the listener in
    }
    if socket.local_addr()?.is_unix() {
        return Ok(()); // the kernel closes the connection of a process that ended
    }
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    socket.set_tcp_keepalive(&probes.with_retries(PROBES))
}

fn sender(stream: &Socket, from: &SockAddr) -> Sender {
    let process = || {
        let credentials = getsockopt(stream, PeerCredentials).ok()?;
        Some(Sender::of_process(credentials.pid(), credentials.uid()))
    };
    match from.as_socket() {
        Some(address) => Sender::Internet(address),
        None => process().unwrap_or(Sender::Unix),
    }
}

/// Whether an error concerns only one connection: its peer gave up before it was accepted, or the
/// network failed for it. Any other error may come again at once, so the listener pauses.
fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ETIMEDOUT
        )
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::config::Bind;
    use crate::ingest::bind::{Transport, bind};

    fn listening() -> Socket {
        bind(Transport::Tcp, Bind::At(([127, 0, 0, 1], 0).into())).unwrap().remove(0)
    }

    /// Returns the server's ends of two connections. One was made before the listener was set up,
    /// the other after.
    #[allow(clippy::disallowed_methods)] // a test may block
    fn accepted(socket: Socket) -> Vec<Socket> {
        let to = socket.local_addr().unwrap().as_socket().unwrap();
        let _before = TcpStream::connect(to).unwrap();
        let mut listener = Listener::new(socket);
        let _after = TcpStream::connect(to).unwrap();
        let mut found = Vec::new();
        while found.len() < 2 {
            listener.accept(Tick::default(), |stream, _| found.push(stream));
        }
        found
    }

    #[test]
    fn dead_clients_are_found_out_by_the_kernel() {
        for stream in accepted(listening()) {
            assert!(stream.keepalive().unwrap());
            assert_eq!(stream.tcp_keepalive_time().unwrap(), PROBE_AFTER);
            assert_eq!(stream.tcp_keepalive_interval().unwrap(), PROBE_EVERY);
            assert_eq!(stream.tcp_keepalive_retries().unwrap(), PROBES);
        }
        let chosen = listening();
        let an_hour = Duration::from_secs(3600);
        chosen.set_tcp_keepalive(&TcpKeepalive::new().with_time(an_hour)).unwrap();
        for stream in accepted(chosen) {
            assert_eq!(
                stream.tcp_keepalive_time().unwrap(),
                an_hour,
                "the times chosen before stay"
            );
        }
    }
}
