//! The link of a TCP sink: the one connection to its address, and the way to get it back.
//!
//! ```text
//!   Idle ──a name──▶ Resolving ──an address──▶ Connecting ──no error, a peer──▶ Up
//!     │                  │                      ▲   │                           │
//!     │                  │       a number       │   │                           │
//!     └──────────────────┼──────────────────────┘   │                           │
//!                        ▼                          ▼                           ▼
//!                    BackingOff ◀──────── every way down leads here ────────────┘
//!                        └──the wait is over──▶ Resolving or Connecting
//! ```
//! The state owns the socket (or the look-up), so leaving a state closes it. [`Link::go`] makes each change and logs it.
//! A connection that has done its service in good order (HTTP servers close what is idle) leads to rest instead, until there
//! is something to send. An *outage* lasts from the first way down until a chunk arrives that never had before; only then attempts count from
//! zero again, so that a peer that accepts and closes is not stormed. What is sent, and again after a break, is the
//! outbox's business; the link tells it what was written, acknowledged and broken.
//!
//! TCP's acknowledgements come from the peer's kernel, not from its process. A peer that closes a
//! connection *early*, right after the first bytes, has probably read nothing. So an outage ends
//! only when a connection has proved itself, by lasting for a while after its first bytes. After
//! [`REFUSALS_BELIEVED`] early closes in a row the link assumes that the peer refuses the data.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use log::Level;
use mio::Registry;

use super::backoff::{self, Jitter};
use super::framing::{Framing, Speech};
use super::http::Unwilling;
use super::outbox::Outbox;
use super::outlet::{History, Outlet};
use super::resolve::{self, Dying, Query};
use super::socket::{Network, Socket, Tcp};
use crate::config::{Destination, Net, Remote};
use crate::time::{Now, Tick};
use crate::token::Generation;

mod arrivals;
mod dial;
mod outage;
mod report;

use self::outage::Outages;

/// When we look whether chunks have arrived while somebody waits for it: first, and at the most if nothing moves.
/// Acknowledgements wake nobody. In a healthy state the looks at each tick and write do.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_secs(1);
const LOOK_MAX_HURRIED: Duration = Duration::from_millis(50);

const REFUSALS: Duration = Duration::from_secs(60);

/// After this many early closes in a row the link assumes that the peer refuses the data. One chunk
/// stays in front for three breaks at most (see `outbox/suspect.rs`), so by then another chunk was
/// tried, too.
const REFUSALS_BELIEVED: u32 = 4;

#[derive(Debug)]
pub(super) struct Link {
    name: String,
    index: u16,
    remote: Remote,
    speech: Speech,
    connect_timeout: Duration,
    write_timeout: Duration,
    reconnect_min: Duration,
    reconnect_max: Duration,
    network: Box<dyn Network>,
    /// How a name is looked up.
    look_up: fn(&str, u16) -> Command,
    jitter: Jitter,
    state: State,
    generation: Generation,
    /// Addresses of this round that were not tried yet.
    addresses: VecDeque<SocketAddr>,
    /// A look-up's child that is not known to be gone.
    dying: Option<Dying>,
    outages: Outages,
    look: Option<Look>,
    look_max: Duration,
    /// With what the last failure was answered, if it was.
    answer: Option<u16>,
    refusals: Refusals,
    proof: Proof,
    /// The hint for the log if each connection is closed early.
    hint: String,
    history: History,
}

/// Whether the peer keeps connections open long enough for acknowledgements to count.
#[derive(Debug, Default)]
struct Proof {
    /// Early closes by the peer in a row.
    early: u32,
    /// The current connection has lasted long enough.
    is_given: bool,
    /// A new chunk was acknowledged, and the outage ends once the connection is proven.
    is_awaited: bool,
    /// A stop must wait a moment longer for the outbox to drain, since the peer may still close.
    lingers: bool,
}

/// Chunks that the peer would not have: told at most once in [`REFUSALS`].
#[derive(Debug, Default)]
struct Refusals {
    quiet_until: Tick,
    untold_lines: u64,
}

#[derive(Debug)]
enum State {
    /// Not dialled yet.
    Idle,
    Resolving {
        query: Query,
        until: Tick,
    },
    Connecting {
        socket: Box<dyn Socket>,
        address: SocketAddr,
        until: Tick,
    },
    Up(Box<dyn Framing>),
    BackingOff {
        until: Tick,
    },
}

/// A look at what is acknowledged, to come.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Tick,
    wait: Duration,
}

impl Link {
    pub(super) fn new(index: u16, to: &Destination, net: &Net, seed: u64) -> Self {
        Self {
            name: to.name.clone(),
            index,
            remote: net.remote.clone(),
            speech: Speech::of(to),
            connect_timeout: net.connect_timeout,
            write_timeout: net.write_timeout,
            reconnect_min: net.reconnect_min,
            reconnect_max: net.reconnect_max,
            network: Box::new(Tcp),
            look_up: resolve::command,
            jitter: Jitter::new(seed),
            state: State::Idle,
            generation: Generation::default(),
            addresses: VecDeque::new(),
            dying: None,
            outages: Outages::default(),
            look: None,
            look_max: LOOK_MAX,
            answer: None,
            refusals: Refusals::default(),
            proof: Proof::default(),
            hint: report::hint(to),
            history: History::default(),
        }
    }
}

impl Outlet for Link {
    /// A descriptor of this link is ready. An event for an earlier one finds nothing.
    fn ready(
        &mut self,
        generation: Generation,
        outbox: &mut Outbox,
        now: Now,
        registry: &Registry,
    ) {
        if generation != self.generation {
            return;
        }
        match &mut self.state {
            State::Resolving { query, .. } => match query.read() {
                Ok(false) => {}
                Ok(true) => self.resolved(outbox, now, registry),
                Err(error) => self.fail(&error, outbox, now),
            },
            State::Connecting { socket, .. } => match socket.is_established() {
                Ok(false) => {}
                Ok(true) => self.establish(outbox, now),
                Err(error) => self.fail(&error, outbox, now),
            },
            State::Up(connection) => {
                connection.wake();
                if let Err(error) = connection.receive() {
                    self.fail(&error, outbox, now);
                }
            }
            State::Idle | State::BackingOff { .. } => {}
        }
    }

    /// Does what is due. Early, late or twice is harmless.
    fn timeout(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        self.reap(now.tick);
        match self.state {
            State::Resolving { until, .. } if until <= now.tick => {
                self.fail(&timed_out("no answer to the look-up"), outbox, now);
            }
            State::Connecting { until, .. } if until <= now.tick => {
                self.fail(&timed_out("no answer to the connect"), outbox, now);
            }
            State::BackingOff { until } if until <= now.tick => self.redial(outbox, now, registry),
            _ => {}
        }
        self.look(outbox, now);
    }

    /// When [`timeout`](Self::timeout) has something to do.
    fn deadline(&self) -> Option<Tick> {
        let state = match &self.state {
            State::Idle => None,
            State::Resolving { until, .. }
            | State::Connecting { until, .. }
            | State::BackingOff { until } => Some(*until),
            State::Up(connection) => {
                let is_awaited =
                    !self.proof.is_given && (self.outages.now().is_some() || self.proof.early > 0);
                let proof = connection.proves_itself_at().filter(|_| is_awaited);
                let linger = connection.lingers_until().filter(|_| self.proof.lingers);
                let check = connection.deadline(self.write_timeout);
                [check, proof, linger].into_iter().flatten().min()
            }
        };
        let look = self.look.map(|look| look.at);
        let dying = self.dying.as_ref().map(Dying::deadline);
        [state, look, dying].into_iter().flatten().min()
    }

    /// Dials at the first call, writes a turn's share of them. True when more could be done at once.
    fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        if matches!(self.state, State::Idle) && self.is_wanted(outbox) {
            self.redial(outbox, now, registry);
        }
        if !self.poll_acks(outbox, now) {
            return matches!(self.state, State::Idle) && self.is_wanted(outbox);
        }
        let State::Up(connection) = &mut self.state else { return false };
        let before = outbox.tally().sent_bytes;
        let moved = connection.send(outbox, now.tick);
        let more = connection.has_more(outbox);
        if let Err(error) = moved {
            self.fail(&error, outbox, now);
        } else if outbox.tally().sent_bytes > before {
            self.look = None; // what was just written is worth an early look
            self.settle(outbox, now);
        }
        more && matches!(self.state, State::Up(_))
    }

    /// Looks what has arrived, and whether the peer is still there.
    fn look(&mut self, outbox: &mut Outbox, now: Now) {
        self.reap(now.tick);
        self.settle(outbox, now);
        let State::Up(connection) = &mut self.state else { return };
        if let Err(error) = connection.check(now.tick, self.write_timeout) {
            self.fail(&error, outbox, now);
        }
    }

    /// Somebody waits for the outbox to drain: a wait is cut short, and arrivals are looked for more often.
    fn hurry(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        self.look_max = LOOK_MAX_HURRIED;
        if matches!(self.state, State::BackingOff { .. }) {
            self.redial(outbox, now, registry);
        }
        self.settle(outbox, now);
    }

    /// Another address is dialled at once.
    fn reconfigure(&mut self, to: &Destination, outbox: &mut Outbox, now: Now) {
        if let Some(net) = &to.net {
            self.settle_for(net, Speech::of(to), outbox, now);
        }
    }

    /// Closes the connection for good. If the destination comes back, a new one is opened.
    fn abandon(&mut self, outbox: &mut Outbox) {
        if let State::Up(_) = self.state {
            self.state = State::Idle;
            self.proof = Proof::default();
            if !outbox.is_drained() {
                outbox.broke();
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.proof.lingers
    }

    fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Whether bytes went out or were acknowledged in the last second.
    fn is_moving(&self, now: Tick) -> bool {
        matches!(&self.state, State::Up(connection) if connection.is_moving(now))
    }

    /// When the last acknowledgement came, or `now` where nobody can tell.
    fn last_ack(&self, now: Tick) -> Tick {
        match &self.state {
            State::Up(connection) => connection.last_ack(now),
            _ => now,
        }
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Idle => "idle",
            State::Resolving { .. } => "resolving",
            State::Connecting { .. } => "connecting",
            State::Up(_) => "up",
            State::BackingOff { .. } => "backing_off",
        }
    }

    fn note_exit(&mut self, child: u32) -> bool {
        let queried = match &mut self.state {
            State::Resolving { query, .. } => query.note_exit(child),
            _ => false,
        };
        queried || self.dying.as_mut().is_some_and(|dying| dying.note_exit(child))
    }

    fn history(&self) -> &History {
        &self.history
    }

    #[cfg(test)]
    fn link(&mut self) -> &mut Link {
        self
    }
}

impl Link {
    fn reap(&mut self, now: Tick) {
        if self.dying.as_mut().is_some_and(|child| child.is_gone(now)) {
            self.dying = None;
        }
    }

    /// The way down, from any state.
    fn fail(&mut self, error: &io::Error, outbox: &mut Outbox, now: Now) {
        if let State::Up(connection) = &mut self.state {
            // What was acknowledged before the break counts; that it cannot be told is no further failure.
            self.proof.is_awaited |= connection.settle(outbox, now.tick).unwrap_or(false);
            self.note_proof(outbox, now);
        }
        let unwilling = error.get_ref().and_then(|inner| inner.downcast_ref::<Unwilling>());
        self.answer = unwilling.map(|unwilling| unwilling.status);
        self.history.last_exception = Some(now.unix);
        self.history.last_error = Some(error.to_string());
        let rounds = self.outages.now().map_or(0, |outage| outage.rounds);
        let wait =
            backoff::delay(self.jitter.next(), self.reconnect_min, self.reconnect_max, rounds);
        let is_early = error.kind() != io::ErrorKind::TimedOut && self.is_closed_early();
        if is_early {
            self.note_early_close(outbox);
        }
        self.go(State::BackingOff { until: now.tick + wait }, outbox, now);
        if is_early && self.proof.early == REFUSALS_BELIEVED {
            self.log_refused_connections(outbox);
        }
    }

    /// Makes each change of state, does what leaving and entering a state means, and logs it.
    fn go(&mut self, next: State, outbox: &mut Outbox, now: Now) {
        match mem::replace(&mut self.state, next) {
            State::Resolving { query, .. } => self.dying = Some(query.end(now.tick)),
            State::Up(_) => {
                self.look = None;
                self.proof.lingers = false;
                // What was delivered over a connection that ends in good order is not sent again.
                let is_farewell = matches!(self.state, State::Idle) && outbox.unacked_bytes() == 0;
                let poison = if is_farewell { None } else { outbox.broke() };
                poison.inspect(|chunk| self.log_poison(chunk));
            }
            State::Idle | State::Connecting { .. } | State::BackingOff { .. } => {}
        }
        let is_down = matches!(self.state, State::BackingOff { .. });
        let level = if is_down && self.count_way_down(outbox, now.tick) {
            Level::Warn
        } else if self.is_up() && self.outages.now().is_none() && self.history.connects == 1 {
            Level::Info
        } else {
            Level::Debug
        };
        self.log_state(level, outbox, now.tick);
    }

    /// True when the log should hear of it.
    fn count_way_down(&mut self, outbox: &Outbox, now: Tick) -> bool {
        let dropped_lines = outbox.tally().dropped_lines;
        let (is_round, answer) = (self.addresses.is_empty(), self.answer);
        self.outages.count(is_round, answer, dropped_lines, now)
    }
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

#[cfg(test)]
mod tests;
