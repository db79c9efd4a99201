//! The outlet of a UDP destination. Nobody acknowledges: what the kernel takes counts as delivered.
//!
//! ```text
//!   Idle ──a number, or the look-up's answer──▶ Up ──an error──▶ Resting ──the wait is over──▶ Up, at the next address
//! ```
//! An error (nobody listens, no way there) is a reason to rest, ever longer, while the queue keeps what comes: a receiver
//! that is started again misses little more than the packet by which we learned that it was anet. A name is looked up
//! again every minute, by the child of `resolve.rs`. A flush goes out in bursts with a pause between: a receiver's buffer is
//! smaller than a flush.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use mio::{Registry, Token};

mod name;
mod report;
mod socket;

use super::backoff::{self, Jitter};
use super::outbox::Outbox;
use super::outlet::{History, Outlet};
use super::resolve;
use crate::config::{Destination, DestinationKind, Net, Remote};
use crate::encode::packets::{Packet, framed, whole_lines};
use crate::time::{Now, Tick};
use crate::token::{Generation, Source};
use name::Name;
use socket::Socket;

/// Packets of a flush sent at once, and the pause before the next ones: at most some 23 MB a second.
const BURST: usize = 16;
const PAUSE: Duration = Duration::from_millis(1);
/// Of what is repeated, which comes at the pace of those who sent it: more than a turn of the loop receives.
const BURST_REPEATED: usize = 1024;

/// It counts as moving when a packet went out in this long.
const MOVING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Datagrams {
    label: String,
    index: u16,
    remote: Remote,
    /// It is no name.
    is_number: bool,
    /// The first packet of what is left of a chunk.
    cut: fn(&[u8]) -> Packet<'_>,
    /// Packets sent at once, and how long the next ones wait.
    burst: usize,
    pause: Duration,
    /// What comes while nobody is there is worth nothing later.
    is_repeated: bool,
    reconnect_min: Duration,
    reconnect_max: Duration,
    jitter: Jitter,
    state: State,
    /// Of the newest descriptor.
    generation: Generation,
    name: Name,
    look_up: fn(&str, u16) -> Command,
    addresses: Vec<SocketAddr>,
    /// Which of them is used.
    at: usize,
    /// Since the first failure.
    outage: Option<Outage>,
    moved: Option<Tick>,
    history: History,
}

#[derive(Debug)]
enum State {
    Idle,
    Up {
        socket: Socket,
        /// A burst went out; more may be sent then.
        paused: Option<Tick>,
        /// Packets that went out.
        packets: u64,
    },
    Resting {
        until: Tick,
    },
}

#[derive(Debug)]
struct Outage {
    since: Tick,
    attempts: u32,
}

impl Datagrams {
    pub(super) fn new(index: u16, to: &Destination, net: &Net, seed: u64) -> Self {
        let is_repeated = matches!(to.kind, DestinationKind::Repeater(_));
        Self {
            label: to.name.clone(),
            index,
            remote: net.remote.clone(),
            is_number: is_number(&net.remote),
            cut: match to.kind {
                DestinationKind::Ganglia(_) | DestinationKind::Repeater(_) => framed,
                _ => whole_lines,
            },
            burst: if is_repeated { BURST_REPEATED } else { BURST },
            pause: if is_repeated { Duration::ZERO } else { PAUSE },
            is_repeated,
            reconnect_min: net.reconnect_min,
            reconnect_max: net.reconnect_max,
            jitter: Jitter::new(seed),
            state: State::Idle,
            generation: Generation::default(),
            name: Name::default(),
            look_up: resolve::command,
            addresses: Vec::new(),
            at: 0,
            outage: None,
            moved: None,
            history: History::default(),
        }
    }

    /// Looks the name up if that was not done yet, or not lately.
    fn find(&mut self, now: Now, registry: &Registry) {
        if self.is_number {
            if let Ok(address) = self.remote.host.parse::<IpAddr>()
                && self.addresses.is_empty()
            {
                self.addresses.push(SocketAddr::new(address, self.remote.port));
            }
        } else if self.name.is_due(now.tick) {
            let command = (self.look_up)(&self.remote.host, self.remote.port);
            let token = self.next_token();
            let asked = self.name.ask(command, registry, (token, self.generation), now.tick);
            if let Err(error) = asked {
                self.note_unknown(&error, now);
            }
        }
    }

    /// The name could not be looked up. What it was known by before is as good as ever.
    fn note_unknown(&mut self, error: &io::Error, now: Now) {
        if self.addresses.is_empty() {
            self.name.forget(now.tick);
            self.fail(error, now);
        } else {
            self.name.rest(now.tick);
        }
    }

    fn found(&mut self, addresses: Vec<SocketAddr>, now: Now) {
        self.name.rest(now.tick);
        let used = self.addresses.get(self.at).copied();
        match used.and_then(|used| addresses.iter().position(|&address| address == used)) {
            Some(at) => self.at = at,
            None => {
                self.at = 0;
                self.state = State::Idle;
            }
        }
        self.addresses = addresses;
    }

    fn open(&mut self, now: Now, registry: &Registry) {
        let Some(&address) = self.addresses.get(self.at) else { return };
        let token = self.next_token();
        match Socket::open(address, registry, token, self.generation) {
            Ok(socket) => {
                self.history.connects += 1;
                self.state = State::Up { socket, paused: None, packets: 0 };
                self.log_up(address);
            }
            Err(error) => self.fail(&error, now),
        }
    }

    fn next_token(&mut self) -> Token {
        self.generation = self.generation.next();
        Source::Sink(self.index, self.generation).into()
    }

    /// Sends a burst. An error that the destination may get over.
    fn send(&mut self, outbox: &mut Outbox, now: Tick) -> io::Result<()> {
        let State::Up { socket, paused, packets } = &mut self.state else { return Ok(()) };
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
            let (bytes, count) = (packet.length, packet.lines);
            match socket.send(packet.payload) {
                Ok(true) => {
                    outbox.wrote(bytes);
                    *packets += 1;
                    self.moved = Some(now);
                }
                Ok(false) => break,
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    outbox.pass_over(bytes, count);
                }
                Err(error) => {
                    outbox.acknowledged(0);
                    return Err(error);
                }
            }
        }
        outbox.acknowledged(0);
        Ok(())
    }

    /// Counts all queued lines as dropped: packet by packet of a chunk that is partly sent, then
    /// chunk by chunk.
    fn drop_all(&self, outbox: &mut Outbox) {
        loop {
            if outbox.give_up_head() {
                continue;
            }
            let Some(head) = outbox.head() else { break };
            let packet = (self.cut)(head);
            let (bytes, lines) = (packet.length, packet.lines);
            outbox.pass_over(bytes, lines);
        }
        outbox.acknowledged(0);
    }

    fn fail(&mut self, error: &io::Error, now: Now) {
        self.history.last_exception = Some(now.unix);
        self.history.last_error = Some(error.to_string());
        let is_news = self.outage.is_none();
        let outage = self.outage.get_or_insert(Outage { since: now.tick, attempts: 0 });
        let rounds = outage.attempts / u32::try_from(self.addresses.len().max(1)).unwrap_or(1);
        outage.attempts = outage.attempts.saturating_add(1);
        let wait =
            backoff::delay(self.jitter.next(), self.reconnect_min, self.reconnect_max, rounds);
        self.state = State::Resting { until: now.tick + wait };
        self.at = (self.at + 1) % self.addresses.len().max(1);
        self.log_failure(is_news, wait);
    }
}

impl Outlet for Datagrams {
    fn ready(&mut self, on: Generation, _: &mut Outbox, now: Now, _: &Registry) {
        match self.name.ready(on, now.tick) {
            Some(Ok(addresses)) => return self.found(addresses, now),
            Some(Err(error)) => return self.note_unknown(&error, now),
            None => {}
        }
        let State::Up { socket, .. } = &mut self.state else { return };
        if let Err(error) = socket.ready(on) {
            self.fail(&error, now);
        }
    }

    fn timeout(&mut self, _: &mut Outbox, now: Now, _: &Registry) {
        if let Some(error) = self.name.timeout(now.tick) {
            self.note_unknown(&error, now);
        }
        if matches!(self.state, State::Resting { until } if until <= now.tick) {
            self.state = State::Idle;
        }
    }

    fn deadline(&self) -> Option<Tick> {
        let (state, name) = match self.state {
            State::Idle => (None, self.name.due()),
            State::Up { paused, .. } => (paused, self.name.due()),
            State::Resting { until } => (Some(until), None),
        };
        [state, name, self.name.deadline()].into_iter().flatten().min()
    }

    fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        if matches!(self.state, State::Resting { .. }) {
            if self.is_repeated {
                self.drop_all(outbox);
            }
            return false;
        }
        self.find(now, registry);
        if matches!(self.state, State::Idle) {
            self.open(now, registry);
        }
        if let Err(error) = self.send(outbox, now.tick) {
            self.fail(&error, now);
        }
        false // what is left waits for room, or for the end of a pause
    }

    fn look(&mut self, _: &mut Outbox, now: Now) {
        let State::Up { packets, .. } = self.state else { return };
        let is_quiet = self.moved.is_some_and(|moved| now.tick - moved >= MOVING);
        if packets > BURST as u64 || (packets > 0 && is_quiet) {
            self.recover(now.tick);
        }
    }

    fn hurry(&mut self, _: &mut Outbox, _: Now, _: &Registry) {
        if matches!(self.state, State::Resting { .. }) {
            self.state = State::Idle;
        }
    }

    fn reconfigure(&mut self, to: &Destination, _: &mut Outbox, now: Now) {
        let Some(net) = &to.net else { return };
        self.reconnect_min = net.reconnect_min;
        self.reconnect_max = net.reconnect_max;
        if self.remote != net.remote {
            self.remote = net.remote.clone();
            self.is_number = is_number(&net.remote);
            self.addresses.clear();
            self.at = 0;
            self.name.forget(now.tick);
            self.outage = None;
            self.state = State::Idle;
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_some_and(|moved| now - moved < MOVING)
    }

    fn last_ack(&self, now: Tick) -> Tick {
        self.moved.unwrap_or(now)
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Idle if self.name.is_asked() => "resolving",
            State::Idle => "idle",
            State::Up { .. } => "up",
            State::Resting { .. } => "backing_off",
        }
    }

    fn note_exit(&mut self, child: u32) -> bool {
        self.name.note_exit(child)
    }

    fn history(&self) -> &History {
        &self.history
    }

    #[cfg(test)]
    fn datagrams(&mut self) -> &mut Datagrams {
        self
    }
}

fn is_number(remote: &Remote) -> bool {
    remote.host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
impl Datagrams {
    fn rests_until(&self) -> Option<Tick> {
        if let State::Resting { until } = self.state { Some(until) } else { None }
    }
}

#[cfg(test)]
mod tests;
