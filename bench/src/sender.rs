//! Sends traffic over UDP, TCP or a Unix socket and counts what the kernel took.
//!
//! Blocking sockets on the caller's thread. Refusals of the kernel are counted and never cause a
//! panic. On loopback, a UDP packet to a port without a listener comes back as an error of a later
//! call.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::clock::Clock;
use crate::pace::{Pace, Step};
use crate::sys::segments::{self, MANY};
use crate::sys::{self, BATCH};
use crate::traffic::{Feed, Payload, Traffic};

/// The size of a TCP write, in bytes; the last packet in it may go over.
const WRITE: usize = 64 << 10;

/// A run ends if its TCP peer has read nothing for this time.
const STALL: Duration = Duration::from_secs(10);

/// The longest sleep, so that a slow rate still reports and stops in time.
const NAP: Duration = Duration::from_millis(50);

const SECOND: Duration = Duration::from_secs(1);

/// How fast and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Lines per second; none is as fast as it goes.
    pub rate: Option<NonZeroU64>,
    pub stop: Stop,
}

impl Plan {
    /// Exactly `lines` lines, as fast as it goes.
    pub fn lines(lines: u64) -> Self {
        Self { rate: None, stop: Stop::Lines(lines) }
    }

    /// As it is, but at `rate` lines per second. A rate of 0 is no limit.
    #[must_use]
    pub fn at(self, rate: u64) -> Self {
        Self { rate: NonZeroU64::new(rate), ..self }
    }
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After exactly this many lines. The last packet is cut to fit.
    Lines(u64),
    After(Duration),
}

/// What a run has sent, or what it has sent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sent {
    /// Lines the kernel took.
    pub lines: u64,
    /// UDP packets; over TCP, writes.
    pub packets: u64,
    /// Payload bytes, without headers.
    pub bytes: u64,
    pub seconds: f64,
    /// Refusals by the kernel: a UDP packet not sent, or an earlier one that came back because no
    /// process listens; a broken or stalled TCP connection, which ends the run.
    pub errors: u64,
}

impl Sent {
    fn add(&mut self, payload: Payload<'_>) {
        self.lines += payload.lines;
        self.packets += 1;
        self.bytes += payload.bytes.len() as u64;
    }
}

/// A connected socket to send on.
#[derive(Debug)]
pub struct Sender {
    link: Link,
}

/// Whether packets that are due together may be sent in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Kept,
    ByLength,
}

#[derive(Debug)]
enum Link {
    Udp(UdpSocket, Order),
    Tcp(TcpStream),
    Unix(UnixDatagram),
    UnixStream(UnixStream),
}

impl Sender {
    pub fn udp(to: SocketAddr) -> io::Result<Self> {
        let from: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(from)?;
        socket.connect(to)?;
        Ok(Self { link: Link::Udp(socket, Order::Kept) })
    }

    #[expect(clippy::disallowed_methods, reason = "the sender blocks; it has nothing else to do")]
    pub fn tcp(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Self { link: Link::Tcp(stream) })
    }

    /// A full socket holds the sender back.
    pub fn unix(to: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(to)?;
        socket.set_write_timeout(Some(STALL))?;
        Ok(Self { link: Link::Unix(socket) })
    }

    pub fn unix_stream(to: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(to)?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Self { link: Link::UnixStream(stream) })
    }

    /// From now on sorts UDP packets that are due at the same moment by length, so that the kernel
    /// takes many at a time. That is three times as fast. The order of the values of a gauge, and
    /// so its last one, is then unknown.
    pub fn sort_by_length(&mut self) {
        if let Link::Udp(_, order) = &mut self.link {
            *order = Order::ByLength;
        }
    }

    /// Sends the traffic from its start, pass after pass, until the plan says stop.
    pub fn send(&mut self, traffic: &Traffic, plan: Plan) -> Sent {
        self.send_reporting(traffic, plan, |_| {})
    }

    /// As [`Self::send`], and calls `report` once a second with what was sent so far.
    pub fn send_reporting(
        &mut self,
        traffic: &Traffic,
        plan: Plan,
        mut report: impl FnMut(&Sent),
    ) -> Sent {
        let (lines, end) = match plan.stop {
            Stop::Lines(lines) => (lines, Duration::MAX),
            Stop::After(time) => (u64::MAX, time),
        };
        let mut feed = traffic.feed(lines);
        let mut pace = Pace::new(plan.rate);
        let mut sent = Sent::default();
        let mut next_report = SECOND;
        let start = Clock::start();
        loop {
            let elapsed = start.elapsed();
            sent.seconds = elapsed.as_secs_f64();
            if feed.is_empty() || elapsed >= end {
                return sent;
            }
            if elapsed >= next_report {
                report(&sent);
                next_report += SECOND;
            }
            match pace.step(elapsed, feed.taken()) {
                Step::Wait(time) => Clock::sleep(time.min(NAP).min(end - elapsed)),
                Step::Send(lines) => {
                    if self.link.push(&mut feed, lines, &mut sent).is_break() {
                        sent.seconds = start.elapsed().as_secs_f64();
                        return sent;
                    }
                }
            }
        }
    }
}

impl Link {
    /// Sends at least `lines` lines of the feed, in whole packets; breaks when the link is gone.
    fn push(&mut self, feed: &mut Feed<'_>, lines: u64, sent: &mut Sent) -> ControlFlow<()> {
        let goal = feed.taken().saturating_add(lines);
        while feed.taken() < goal && !feed.is_empty() {
            match self {
                Self::Udp(socket, Order::Kept) => {
                    push_packets(socket.as_fd(), Refusal::Late, feed, goal, sent)?
                }
                Self::Udp(socket, Order::ByLength) => {
                    push_sorted(socket.as_fd(), feed, goal, sent)?
                }
                Self::Unix(socket) => push_packets(socket.as_fd(), Refusal::Now, feed, goal, sent)?,
                Self::UnixStream(stream) => push_chunk(stream, feed, goal, sent)?,
                Self::Tcp(stream) => push_chunk(stream, feed, goal, sent)?,
            }
        }
        ControlFlow::Continue(())
    }
}

/// What a refused connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// An earlier packet, which came back: UDP.
    Late,
    /// The receiver has closed its socket.
    Now,
}

fn push_packets(
    socket: BorrowedFd<'_>,
    refusal: Refusal,
    feed: &mut Feed<'_>,
    goal: u64,
    sent: &mut Sent,
) -> ControlFlow<()> {
    let mut batch = [Payload { bytes: &[], lines: 0 }; BATCH];
    let mut count = 0;
    while count < BATCH && feed.taken() < goal {
        let Some(payload) = feed.packet() else { break };
        batch[count] = payload;
        count += 1;
    }
    send_packets(&batch[..count], refusal, sent, |packets| {
        let count = sys::send_batch(socket, packets)?;
        Ok((count, count < packets.len()))
    })
}

fn push_sorted(
    socket: BorrowedFd<'_>,
    feed: &mut Feed<'_>,
    goal: u64,
    sent: &mut Sent,
) -> ControlFlow<()> {
    let mut batch = Vec::with_capacity(MANY);
    while batch.len() < MANY && feed.taken() < goal {
        let Some(payload) = feed.packet() else { break };
        batch.push(payload);
    }
    batch.sort_by_key(|payload| payload.bytes.len());
    let send = |packets: &[Payload<'_>]| segments::send_segments(socket, packets);
    send_packets(&batch, Refusal::Late, sent, send)
}

/// Sends each packet once, or counts why not; breaks when the socket can take no more. `send` takes
/// some of those it is given, the first ones, and says whether the next one was refused.
fn send_packets(
    mut packets: &[Payload<'_>],
    refusal: Refusal,
    sent: &mut Sent,
    send: impl Fn(&[Payload<'_>]) -> io::Result<(usize, bool)>,
) -> ControlFlow<()> {
    while !packets.is_empty() {
        match send(packets) {
            Ok((count, refused)) => {
                packets[..count].iter().for_each(|&packet| sent.add(packet));
                packets = &packets[count..];
                sent.errors += u64::from(refusal == Refusal::Late && refused);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) if refusal == Refusal::Now => {
                sent.errors += 1;
                return ControlFlow::Break(());
            }
            // The error is about an earlier packet. Try this one again.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => sent.errors += 1,
            Err(_) => {
                sent.errors += 1;
                packets = &packets[1..];
            }
        }
    }
    ControlFlow::Continue(())
}

fn push_chunk(
    stream: &mut impl Write,
    feed: &mut Feed<'_>,
    goal: u64,
    sent: &mut Sent,
) -> ControlFlow<()> {
    let Some(chunk) = feed.chunk(goal - feed.taken(), WRITE) else {
        return ControlFlow::Continue(());
    };
    let written = write(stream, chunk.bytes);
    if written == chunk.bytes.len() {
        sent.add(chunk);
        return ControlFlow::Continue(());
    }
    let bytes = &chunk.bytes[..written];
    let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
    sent.add(Payload { bytes, lines });
    sent.errors += 1;
    ControlFlow::Break(())
}

/// Writes all it can; fewer bytes than given mean that the connection is broken or stalled.
fn write(stream: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}
