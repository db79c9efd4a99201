//! [`Datagrams`]: the outlet of a UDP destination. UDP has no acknowledgements, so packets that the
//! kernel accepts count as delivered.
//!
//! ```text
//!   Idle ──a number, or the answer of a look-up──▶ Up ──an error──▶ Resting
//!    ▲                                                                │ the wait is over:
//!    └────────────────────────────────────────────────────────────────┘ the next address
//! ```
//! After an error, such as no process at the port or no route, the outlet rests, longer each time.
//! The queue keeps new chunks meanwhile. So a receiver that is started again misses little more
//! than the packet that caused the error.
//!
//! A name is looked up again every minute (see `resolver.rs`). A flush is sent in bursts with
//! pauses between them, because the receive buffer of a destination is smaller than a flush.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use log::Level;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::advice::Advice;
use super::error::SinkError;
use super::last_move::LastMove;
use super::outage::{FailedAttempt, LogPlace, OutageReport, retry_delay};
use super::outbox::Outbox;
use super::platform::Platform;
use super::resolver::{LookUp, Resolver};
use super::state::SinkState;
use crate::config::{Destination, DestinationKind, Net};
use crate::encode::chunk::{Packet, framed, whole_lines};
use crate::random::RandomNumbers;
use crate::time::{Now, Tick};
use crate::token::{EventSource, Generation};

/// The packets of a flush that are sent at once, and the pause before the next burst. This limits a
/// flush to about 23 MB/s. Without the pauses, the receiver's buffer would overflow and the kernel
/// would drop packets without an error.
const BURST: usize = 16;
const PAUSE: Duration = Duration::from_millis(1);
/// The repeated packets that are sent at once. Their senders set the pace, so there is no pause.
/// The number is larger than the number of packets that one turn of the loop receives.
const BURST_REPEATED: usize = 1024;

/// One UDP destination.
#[derive(Debug)]
pub(super) struct Datagrams {
    name: String,
    index: u16,
    resolver: Resolver,
    /// Returns the packet at the front of the rest of a chunk.
    cut: fn(&[u8]) -> Packet<'_>,
    /// The packets sent at once, and the pause before the next burst.
    burst: usize,
    pause: Duration,
    /// It repeats packets as they are received. They are worth nothing after their interval, so
    /// they are dropped during an outage.
    is_repeated: bool,
    reconnect_min: Duration,
    reconnect_max: Duration,
    jitter: RandomNumbers,
    state: UdpState,
    /// The generation of the newest descriptor.
    generation: Generation,
    outages: OutageReport,
    moved: LastMove,
    advice: Rc<Advice>,
}

#[derive(Debug)]
enum UdpState {
    Idle,
    Up {
        socket: ConnectedUdp,
        /// Until when nothing may be sent, after a burst.
        paused: Option<Tick>,
        /// Packets sent by this socket.
        packets: u64,
    },
    Resting {
        until: Tick,
    },
}

impl Datagrams {
    pub(super) fn new(
        index: u16,
        to: &Destination,
        net: &Net,
        advice: Rc<Advice>,
        platform: &dyn Platform,
        seed: u64,
    ) -> Self {
        let is_repeated = matches!(to.kind, DestinationKind::Repeater(_));
        Self {
            name: to.name.clone(),
            index,
            resolver: Resolver::new(&net.remote, platform.look_up()),
            cut: match to.kind {
                DestinationKind::Ganglia(_) | DestinationKind::Repeater(_) => framed,
                _ => whole_lines,
            },
            burst: if is_repeated { BURST_REPEATED } else { BURST },
            pause: if is_repeated { Duration::ZERO } else { PAUSE },
            is_repeated,
            reconnect_min: net.reconnect_min,
            reconnect_max: net.reconnect_max,
            jitter: RandomNumbers::new(seed),
            state: UdpState::Idle,
            generation: Generation::default(),
            outages: OutageReport::new(&to.name, Duration::ZERO),
            moved: LastMove::default(),
            advice,
        }
    }

    /// Sets the address if the configuration gives a number. Starts a look-up if it gives a name
    /// and a look-up is due.
    fn resolve(&mut self, outbox: &Outbox, now: Now, registry: &Registry) {
        if let Some(address) = self.resolver.number() {
            if self.resolver.address().is_none() {
                self.resolver.set(vec![address]);
            }
        } else if self.resolver.is_due(now.tick) {
            let token = self.next_token();
            let started = self.resolver.start(registry, token, self.generation, now.tick);
            if let Err(error) = started {
                self.note_look_up_failure(&error.into(), outbox, now);
            }
        }
    }

    /// Handles a look-up that has failed. If addresses of an earlier look-up are known, they stay
    /// in use, because a name server that is down for a while must not stop the packets.
    fn note_look_up_failure(&mut self, error: &SinkError, outbox: &Outbox, now: Now) {
        if self.resolver.address().is_some() {
            self.resolver.wait(now.tick);
        } else {
            self.resolver.retry();
            self.fail(error, outbox, now);
        }
    }

    /// Handles a look-up that has found addresses. If the current address is among them, the socket
    /// stays open, even if a round robin has changed their order.
    fn note_addresses(&mut self, addresses: Vec<SocketAddr>, now: Now) {
        self.resolver.wait(now.tick);
        if !self.resolver.replace(addresses) {
            self.state = UdpState::Idle;
        }
    }

    /// Opens a socket for the current address.
    fn open(&mut self, outbox: &Outbox, now: Now, registry: &Registry) {
        let Some(address) = self.resolver.address() else { return };
        let token = self.next_token();
        match ConnectedUdp::open(address, registry, token, self.generation) {
            Ok(socket) => {
                self.outages.note_connect();
                self.state = UdpState::Up { socket, paused: None, packets: 0 };
                self.log_up(address);
            }
            Err(error) => self.fail(&error.into(), outbox, now),
        }
    }

    /// Logs that the socket is open: at level `info` for the first one since the start, else at
    /// `debug`.
    fn log_up(&self, address: SocketAddr) {
        let is_first = !self.outages.is_out() && self.outages.connects() == 1;
        let level = if is_first { Level::Info } else { Level::Debug };
        log::log!(level, sink = self.name, state = "up", address:% = address, over = "udp"; "packets are sent to the destination");
    }

    /// Returns the token for a new descriptor. Events for older descriptors are ignored from now
    /// on.
    fn next_token(&mut self) -> Token {
        self.generation = self.generation.next();
        EventSource::Sink(self.index, self.generation).into()
    }

    /// Sends a burst of packets. Returns an error if the destination cannot be reached.
    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> io::Result<()> {
        let UdpState::Up { socket, paused, packets } = &mut self.state else { return Ok(()) };
        if paused.is_some_and(|until| now < until) {
            return Ok(());
        }
        *paused = None;
        for nth in 0.. {
            let Some(head) = outbox.head().filter(|_| socket.is_writable()) else { break };
            if nth == self.burst {
                *paused = Some(now + self.pause);
                break;
            }
            let packet = (self.cut)(head);
            let bytes = packet.length;
            let lines = packet.lines;
            match socket.send(packet.payload) {
                Ok(true) => {
                    outbox.wrote(bytes);
                    *packets += 1;
                    self.moved.note(now);
                }
                Ok(false) => break,
                // The packet is larger than the network allows. It would fail each time, so only
                // this packet is dropped.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    outbox.drop_part(bytes, lines);
                }
                // Mostly ECONNREFUSED, which an earlier packet has caused. This packet was not
                // sent, and stays in the queue.
                Err(error) => {
                    outbox.acknowledged_except(0);
                    return Err(error);
                }
            }
        }
        outbox.acknowledged_except(0);
        Ok(())
    }

    /// Drops all queued lines and counts them. A chunk that is partly sent is dropped packet by
    /// packet, because only its unsent lines are lost.
    fn drop_all(&self, outbox: &mut Outbox) {
        loop {
            if outbox.drop_head() {
                continue;
            }
            let Some(head) = outbox.head() else { break };
            let packet = (self.cut)(head);
            let bytes = packet.length;
            let lines = packet.lines;
            outbox.drop_part(bytes, lines);
        }
        outbox.acknowledged_except(0);
    }

    /// Handles a failure: logs it and rests before the next address is tried.
    fn fail(&mut self, error: &SinkError, outbox: &Outbox, now: Now) {
        let rounds = self.outages.rounds();
        let wait = retry_delay(self.jitter.next(), self.reconnect_min, self.reconnect_max, rounds);
        self.state = UdpState::Resting { until: now.tick + wait };
        let failed = FailedAttempt {
            error: error.to_string(),
            state: self.state().name(),
            place: LogPlace {
                address: Some(self.resolver.remote.to_string()),
                over: Some("udp"),
                ..LogPlace::default()
            },
            is_round: self.resolver.is_last(),
            cause: None,
            retry: Some(wait),
            hint: self.advice.on_failure(error, &self.resolver.remote),
            sentence: error.sentence(),
        };
        self.outages.note_failure(failed, outbox, now);
        self.resolver.rotate();
    }

    /// Handles an event. An event for an earlier descriptor of this destination does nothing.
    pub(super) fn ready(&mut self, on: Generation, outbox: &Outbox, now: Now) {
        match self.resolver.ready(on, now.tick) {
            LookUp::Found(addresses) => return self.note_addresses(addresses, now),
            LookUp::Failed(error) => return self.note_look_up_failure(&error.into(), outbox, now),
            LookUp::Pending => {}
        }
        let UdpState::Up { socket, .. } = &mut self.state else { return };
        if let Err(error) = socket.ready(on) {
            self.fail(&error.into(), outbox, now);
        }
    }

    /// Does what is due at `now`. A call that is early, late or repeated does no harm.
    pub(super) fn timeout(&mut self, outbox: &Outbox, now: Now) {
        if let Err(error) = self.resolver.timeout(now.tick) {
            self.note_look_up_failure(&error.into(), outbox, now);
        }
        if matches!(self.state, UdpState::Resting { until } if until <= now.tick) {
            self.state = UdpState::Idle;
        }
    }

    /// Returns when [`timeout`](Self::timeout) or [`pump`](Self::pump) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let (state, look_up) = match self.state {
            UdpState::Idle => (None, self.resolver.due()),
            UdpState::Up { paused, .. } => (paused, self.resolver.due()),
            UdpState::Resting { until } => (Some(until), None),
        };
        [state, look_up, self.resolver.deadline()].into_iter().flatten().min()
    }

    /// Sends a burst, after it has opened the socket if necessary. The rest of the queue waits for
    /// an event, or for the end of the pause.
    pub(super) fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        if matches!(self.state, UdpState::Resting { .. }) {
            if self.is_repeated {
                self.drop_all(outbox);
            }
            return;
        }
        self.resolve(outbox, now, registry);
        if matches!(self.state, UdpState::Idle) {
            self.open(outbox, now, registry);
        }
        if let Err(error) = self.send(outbox, now.tick) {
            self.fail(&error.into(), outbox, now);
        }
    }

    /// Ends an outage if packets were sent and no error has followed for a second. Called at each
    /// tick. A single packet proves nothing, since its error arrives later.
    pub(super) fn poll_acks(&mut self, outbox: &Outbox, now: Now) {
        let UdpState::Up { packets, .. } = self.state else { return };
        let is_quiet = !self.moved.is_recent(now.tick);
        if packets > BURST as u64 || (packets > 0 && is_quiet) {
            let place = LogPlace { over: Some("udp"), ..LogPlace::default() };
            self.outages.note_recovery(place, outbox, now.tick);
        }
    }

    /// Prepares for a stop, which waits until the outbox is drained: a rest is cut short.
    pub(super) fn drain(&mut self) {
        if matches!(self.state, UdpState::Resting { .. }) {
            self.state = UdpState::Idle;
        }
    }

    /// Changes the settings. Another address is used at once. Otherwise the socket stays open.
    pub(super) fn reconfigure(&mut self, to: &Destination, now: Now) {
        let Some(net) = &to.net else { return };
        self.reconnect_min = net.reconnect_min;
        self.reconnect_max = net.reconnect_max;
        if self.resolver.remote != net.remote {
            self.resolver.reset(&net.remote, now.tick);
            self.outages.forget();
            self.state = UdpState::Idle;
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, UdpState::Up { .. })
    }

    /// Whether a packet was sent in the last second.
    pub(super) fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_recent(now)
    }

    /// Returns when the last packet was sent, or `now` if none was.
    pub(super) fn last_ack(&self, now: Tick) -> Tick {
        self.moved.or(now)
    }

    pub(super) fn state(&self) -> SinkState {
        match self.state {
            UdpState::Idle if self.resolver.is_running() => SinkState::Resolving,
            UdpState::Idle => SinkState::Idle,
            UdpState::Up { .. } => SinkState::Up,
            UdpState::Resting { .. } => SinkState::BackingOff,
        }
    }

    /// Reaps the ended child process `child` if this outlet started it. Returns whether it did.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.resolver.note_exit(child)
    }

    pub(super) fn outages(&self) -> &OutageReport {
        &self.outages
    }
}

/// A UDP socket that is connected to one peer. Only then does the kernel report errors of that
/// peer, such as no process at the port.
#[derive(Debug)]
struct ConnectedUdp {
    socket: UdpSocket,
    generation: Generation,
    /// No call has returned `WouldBlock` since the last event.
    is_writable: bool,
}

impl ConnectedUdp {
    /// Opens a socket and connects it. Neither sends a packet, so success does not mean that the
    /// peer is up.
    fn open(
        address: SocketAddr,
        registry: &Registry,
        token: Token,
        generation: Generation,
    ) -> io::Result<Self> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let mut socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        registry.register(&mut socket, token, Interest::WRITABLE)?;
        Ok(Self { socket, generation, is_writable: true })
    }

    /// Handles an event. Returns the error that the network has reported for an earlier packet,
    /// such as that no process listens.
    fn ready(&mut self, on: Generation) -> io::Result<()> {
        if on == self.generation {
            self.is_writable = true;
            self.socket.take_error()?.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Sends a packet. Returns false if the kernel has no room for it now.
    fn send(&mut self, packet: &[u8]) -> io::Result<bool> {
        loop {
            match self.socket.send(packet) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_writable = false;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
