//! Sends traffic over UDP, TCP or a Unix socket and counts what the kernel took.
//!
//! Blocking sockets on the caller's thread. Refusals of the kernel are counted and never cause a
//! panic. On loopback, a UDP packet to a port without a listener comes back as an error of a later
//! call.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::clock::Clock;
use crate::pace::{Pace, Step};
use crate::sys::{self, BATCH};
use crate::traffic::{Feed, Payload, Traffic};

/// The size of a TCP write, in bytes. The last packet in it may exceed it.
const WRITE: usize = 64 << 10;

/// A run ends if its TCP peer has read nothing for this time.
const STALL: Duration = Duration::from_secs(10);

/// The longest sleep, so that a slow rate still reports and stops in time.
const NAP: Duration = Duration::from_millis(50);

/// The most packets that are sorted by length and sent in one go.
const MANY: usize = 1024;

const SECOND: Duration = Duration::from_secs(1);

/// The rate of a run, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Lines per second. Without a rate the sender is as fast as it can be.
    pub rate: Option<NonZeroU64>,
    pub stop: Stop,
}

impl Plan {
    /// Exactly `lines` lines, as fast as possible.
    pub fn lines(lines: u64) -> Self {
        Self { rate: None, stop: Stop::Lines(lines) }
    }

    /// The same plan at `rate` lines per second. A rate of 0 means no limit.
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

/// The figures of a run, or of a run so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sent {
    /// Lines that the kernel accepted.
    pub lines: u64,
    /// The number of UDP packets, or of TCP writes.
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
    socket: File,
    link: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// A refusal (`ECONNREFUSED`) is about an earlier packet, which came back.
    Udp,
    /// As `Udp`, but packets that are due together are sent by length.
    UdpByLength,
    /// A refusal means that the receiver has closed its socket.
    Unix,
    Stream,
}

impl Sender {
    fn over(socket: impl Into<OwnedFd>, link: Link) -> Self {
        Self { socket: socket.into().into(), link }
    }

    pub fn udp(to: SocketAddr) -> io::Result<Self> {
        let from: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(from)?;
        socket.connect(to)?;
        Ok(Self::over(socket, Link::Udp))
    }

    #[expect(clippy::disallowed_methods, reason = "the sender blocks; it has nothing else to do")]
    pub fn tcp(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Self::over(stream, Link::Stream))
    }

    /// A full socket holds the sender back.
    pub fn unix(to: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(to)?;
        socket.set_write_timeout(Some(STALL))?;
        Ok(Self::over(socket, Link::Unix))
    }

    pub fn unix_stream(to: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(to)?;
        stream.set_write_timeout(Some(STALL))?;
        Ok(Self::over(stream, Link::Stream))
    }

    /// From now on sorts UDP packets that are due at the same moment by length, so that the kernel
    /// takes many at a time. That is three times as fast. The order of the values of a gauge, and
    /// so its last one, is then unknown.
    pub fn sort_by_length(&mut self) {
        if self.link == Link::Udp {
            self.link = Link::UdpByLength;
        }
    }

    /// Returns the bytes sent over a Unix socket that the receiver has not read. The kernel counts
    /// its own headers, too. Over UDP and TCP this is the figure of the sending side alone.
    pub fn unread(&self) -> usize {
        sys::unread(&self.socket)
    }

    /// Sends the traffic from its start, pass after pass, until the plan ends.
    pub fn send(&mut self, traffic: &Traffic, plan: Plan) -> Sent {
        self.send_reporting(traffic, plan, |_| {})
    }

    /// As [`Self::send`], and calls `report` once a second with the figures so far.
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
                    if self.push(&mut feed, lines, &mut sent).is_break() {
                        sent.seconds = start.elapsed().as_secs_f64();
                        return sent;
                    }
                }
            }
        }
    }

    /// Sends at least `lines` lines of the feed, in whole packets. Breaks if the connection has
    /// ended.
    fn push(&mut self, feed: &mut Feed<'_>, lines: u64, sent: &mut Sent) -> ControlFlow<()> {
        let goal = feed.taken().saturating_add(lines);
        while feed.taken() < goal && !feed.is_empty() {
            match self.link {
                Link::Stream => self.push_chunk(feed, goal, sent)?,
                _ => self.push_packets(feed, goal, sent)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// Sends each packet once, or counts why it was not sent. Breaks if the socket accepts no more.
    fn push_packets(&self, feed: &mut Feed<'_>, goal: u64, sent: &mut Sent) -> ControlFlow<()> {
        let is_sorted = self.link == Link::UdpByLength;
        let most = if is_sorted { MANY } else { BATCH };
        let mut batch = Vec::with_capacity(most);
        while batch.len() < most && feed.taken() < goal {
            let Some(payload) = feed.packet() else { break };
            batch.push(payload);
        }
        if is_sorted {
            batch.sort_by_key(|payload| payload.bytes.len());
        }
        let mut packets = &batch[..];
        while !packets.is_empty() {
            let taken = if is_sorted {
                sys::send_piece(&self.socket, packets).map(|count| (count, false))
            } else {
                sys::send_batch(&self.socket, packets).map(|count| (count, count < packets.len()))
            };
            match taken {
                Ok((count, refused)) => {
                    packets[..count].iter().for_each(|&packet| sent.add(packet));
                    packets = &packets[count..];
                    sent.errors += u64::from(refused && self.link != Link::Unix);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if self.link == Link::Unix => {
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

    /// Writes neighbouring packets at once. Breaks if the connection is broken or stalled.
    fn push_chunk(&mut self, feed: &mut Feed<'_>, goal: u64, sent: &mut Sent) -> ControlFlow<()> {
        let Some(chunk) = feed.chunk(goal - feed.taken(), WRITE) else {
            return ControlFlow::Continue(());
        };
        let mut written = 0;
        while written < chunk.bytes.len() {
            match self.socket.write(&chunk.bytes[written..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    let bytes = &chunk.bytes[..written];
                    let lines = memchr::memchr_iter(b'\n', bytes).count() as u64;
                    sent.add(Payload { bytes, lines });
                    sent.errors += 1;
                    return ControlFlow::Break(());
                }
                Ok(count) => written += count,
            }
        }
        sent.add(chunk);
        ControlFlow::Continue(())
    }
}
