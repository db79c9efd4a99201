//! Sends traffic over UDP, TCP or a Unix socket and counts what the kernel took.
//!
//! Blocking sockets on the caller's thread. Refusals of the kernel are counted and never cause a
//! panic. On loopback, a UDP packet to a port without a listener comes back as an error of a later
//! call.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::pace::{Pace, Step};
use crate::sys;
use crate::traffic::{Payload, Traffic};

/// A run ends if its peer on TCP or on a Unix socket has read nothing for this time.
const STALL: Duration = Duration::from_secs(10);

/// The most packets that are sorted by length at once.
const SORTED: usize = 1024;

/// The rate of a run, and when it ends: after exactly `lines` lines or after `time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Lines per second. 0 means as fast as possible.
    pub rate: u64,
    pub lines: u64,
    pub time: Duration,
}

impl Plan {
    pub fn lines(lines: u64) -> Self {
        Self { rate: 0, lines, time: Duration::MAX }
    }

    pub fn lasting(time: Duration) -> Self {
        Self { rate: 0, lines: u64::MAX, time }
    }

    /// The same plan at `rate` lines per second.
    #[must_use]
    pub fn at(self, rate: u64) -> Self {
        Self { rate, ..self }
    }
}

/// The figures of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sent {
    /// Lines that the kernel accepted.
    pub lines: u64,
    pub packets: u64,
    /// Payload bytes, without headers.
    pub bytes: u64,
    pub seconds: f64,
    /// Refusals by the kernel: a UDP packet not sent, or an earlier one that came back because no
    /// process listens; a broken or stalled connection, which ends the run.
    pub errors: u64,
}

/// A connected socket to send on.
#[derive(Debug)]
pub struct Sender {
    socket: File,
    link: Link,
    is_sorted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// A refusal (`ECONNREFUSED`) is about an earlier packet, which came back.
    Udp,
    /// An error means that the receiver has closed its socket or has stalled.
    Unix,
    Stream,
}

impl Sender {
    fn over(socket: impl Into<OwnedFd>, link: Link) -> Self {
        Self { socket: socket.into().into(), link, is_sorted: false }
    }

    pub fn udp(to: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.connect(to)?;
        Ok(Self::over(socket, Link::Udp))
    }

    pub fn tcp(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Self::over(stream, Link::Stream))
    }

    /// To a Unix datagram socket. A full socket holds the sender back.
    pub fn unix(to: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(to)?;
        socket.set_write_timeout(Some(STALL))?;
        Ok(Self::over(socket, Link::Unix))
    }

    /// From now on sorts UDP packets that are due at the same moment by length, so that the kernel
    /// takes many at a time. That is three times as fast. The order of the values of a gauge, and
    /// so its last one, is then unknown.
    pub fn sort_by_length(&mut self) {
        self.is_sorted = self.link == Link::Udp;
    }

    /// Returns the bytes sent over a Unix socket that the receiver has not read. The kernel counts
    /// its own headers, too. Over UDP and TCP this is the figure of the sending side alone.
    pub fn unread(&self) -> u64 {
        sys::unread(&self.socket)
    }

    /// Sends the traffic from its start, pass after pass, until the plan ends.
    pub fn send(&mut self, traffic: &Traffic, plan: Plan) -> Sent {
        let mut packets = traffic.packets(plan.lines);
        let mut pace = Pace::new(plan.rate);
        let mut sent = Sent::default();
        let most = if self.is_sorted { SORTED } else { sys::BATCH };
        let mut offered = 0;
        let start = Instant::now();
        'run: while offered < plan.lines && start.elapsed() < plan.time {
            let elapsed = start.elapsed();
            let goal = match pace.step(elapsed, offered) {
                Step::Send(lines) => plan.lines.min(offered + lines),
                Step::Wait(time) => {
                    thread::sleep(time.min(plan.time.saturating_sub(elapsed)));
                    continue;
                }
            };
            while offered < goal {
                let mut batch = Vec::new();
                while batch.len() < most && offered < goal {
                    let packet = packets.next().expect("packets of `plan.lines` lines");
                    offered += packet.lines;
                    batch.push(packet);
                }
                if self.push(&mut batch, &mut sent).is_err() {
                    sent.errors += 1;
                    break 'run;
                }
            }
        }
        sent.seconds = start.elapsed().as_secs_f64();
        sent
    }

    /// Sends each packet once, or counts why it was not sent. Fails if the connection has ended.
    fn push(&mut self, batch: &mut [Payload<'_>], sent: &mut Sent) -> io::Result<()> {
        if self.link == Link::Stream {
            let bytes: Vec<&[u8]> = batch.iter().map(|packet| packet.bytes).collect();
            self.socket.write_all(&bytes.concat())?;
            batch.iter().for_each(|packet| sent.add(*packet));
            return Ok(());
        }
        let most = if self.is_sorted { sys::BATCH } else { 1 };
        if self.is_sorted {
            batch.sort_by_key(|packet| packet.bytes.len());
        }
        let mut rest = &*batch;
        while !rest.is_empty() {
            match sys::send_piece(&self.socket, rest, most) {
                Ok(count) => {
                    rest[..count].iter().for_each(|packet| sent.add(*packet));
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.link == Link::Unix => return Err(error),
                Err(error) => {
                    sent.errors += 1;
                    // A refusal is about an earlier packet. Then this one is tried again.
                    if error.kind() != ErrorKind::ConnectionRefused {
                        rest = &rest[1..];
                    }
                }
            }
        }
        Ok(())
    }
}

impl Sent {
    fn add(&mut self, packet: Payload<'_>) {
        self.lines += packet.lines;
        self.packets += 1;
        self.bytes += packet.bytes.len() as u64;
    }
}
