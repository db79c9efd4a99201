//! [`Link`]: the one TCP connection of a sink, and how it is opened again after a failure.
//!
//! ```text
//!   Idle ──a name──▶ Resolving ──an address──▶ Connecting ──no error, a peer──▶ Up
//!     │                  │                      ▲   │                           │
//!     │                  │       a number       │   │                           │
//!     └──────────────────┼──────────────────────┘   │                           │
//!                        ▼                          ▼                           ▼
//!                    BackingOff ◀──────── every failure leads here ─────────────┘
//!                        └──the wait is over──▶ Resolving or Connecting
//! ```
//! The state owns the socket, so leaving a state closes it. [`Link::go`] makes each change and logs
//! it. HTTP servers close idle connections, which is no failure: such a connection leads to Idle
//! until there is something to send.
//!
//! An *outage* lasts from the first failure until a chunk arrives that had never arrived before.
//! Only then the count of attempts returns to zero. Otherwise a peer that accepts connections and
//! closes them would be dialled without a wait.
//!
//! The outbox decides which chunks are sent, and sent again after a break. The link reports to it
//! what was written and acknowledged, and when the connection broke.
//!
//! TCP's acknowledgements come from the peer's kernel, not from its process. A peer that closes a
//! connection *early*, right after the first bytes, has probably read nothing. So an outage ends
//! only when a connection is *trusted*, because it has lasted for a while after its first bytes.
//! After [`EARLY_CLOSES_MAX`] early closes in a row the link assumes that the peer refuses the
//! data.

use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use log::Level;
use mio::{Registry, Token};

use super::advice::Advice;
use super::error::SinkError;
use super::framing::Framing;
use super::outage::{FailedAttempt, LogPlace, ONE_A_MINUTE, OutageReport};
use super::outbox::Outbox;
use super::platform::{Dialer, Platform, Socket};
use super::resolver::{LookUp, Resolver};
use super::state::SinkState;
use crate::config::{Destination, Net};
use crate::random::RandomNumbers;
use crate::time::{Now, Tick};
use crate::token::{EventSource, Generation};

mod ack_polls;
mod log_lines;
mod protocol;
mod times;

use ack_polls::AckPolls;
use log_lines::LinkLog;
use protocol::LinkProtocol;
use times::LinkTimes;

/// After this many early closes in a row the link assumes that the peer refuses the data. The
/// number must exceed three: one chunk stays in front for at most three breaks (see
/// `outbox/resend.rs`), so at the fourth another chunk was tried, too.
const EARLY_CLOSES_MAX: u32 = 4;

/// One TCP destination: its connection, or the attempts to get one.
#[derive(Debug)]
pub(super) struct Link {
    index: u16,
    resolver: Resolver,
    protocol: LinkProtocol,
    times: LinkTimes,
    /// Opens connections.
    dialer: Box<dyn Dialer>,
    jitter: RandomNumbers,
    state: LinkState,
    /// The generation of the newest descriptor. Events for older ones are ignored.
    generation: Generation,
    outages: OutageReport,
    ack_polls: AckPolls,
    trust: Trust,
    log: LinkLog,
    /// The hints of the log lines about this destination.
    advice: Rc<Advice>,
}

/// Whether the current connection is trusted: it has lasted long enough for its acknowledgements to
/// count.
#[derive(Debug, Default)]
struct Trust {
    /// How many connections in a row the peer has closed early.
    early_closes: u32,
    is_trusted: bool,
    /// A new chunk was acknowledged, so the outage ends as soon as the connection is trusted.
    has_new_ack: bool,
    /// The outbox is drained, but a stop must wait a moment longer: the peer may still close the
    /// connection early, and then nothing has arrived.
    lingers: bool,
}

/// Why a connection was closed, or could not be opened, and what the log line of that shows.
#[derive(Debug)]
struct LinkFailure {
    error: String,
    /// The server itself has closed the connection, for a reload.
    is_planned: bool,
    sentence: &'static str,
    hint: String,
    /// The HTTP status that is the reason, if one is.
    status: Option<u16>,
}

#[derive(Debug)]
enum LinkState {
    /// Not dialled yet, or the peer has closed an idle connection, which is no failure.
    Idle,
    Resolving,
    Connecting {
        socket: Box<dyn Socket>,
        address: SocketAddr,
        until: Tick,
    },
    Up(Framing),
    BackingOff {
        until: Tick,
    },
}

impl Link {
    pub(super) fn new(
        index: u16,
        to: &Destination,
        net: &Net,
        advice: Rc<Advice>,
        platform: &dyn Platform,
        seed: u64,
    ) -> Self {
        Self {
            index,
            resolver: Resolver::new(&net.remote, platform.look_up()),
            protocol: LinkProtocol::of(to),
            times: LinkTimes::of(net),
            dialer: platform.dialer(&to.name),
            jitter: RandomNumbers::new(seed),
            state: LinkState::Idle,
            generation: Generation::default(),
            outages: OutageReport::new(&to.name, ONE_A_MINUTE),
            ack_polls: AckPolls::default(),
            trust: Trust::default(),
            log: LinkLog::new(&to.name, Rc::clone(&advice)),
            advice,
        }
    }

    /// Changes the settings. If the address or the HTTP account is another one, the connection is
    /// closed and the new one is dialled at once. Otherwise the connection stays.
    pub(super) fn reconfigure(&mut self, to: &Destination, outbox: &mut Outbox, now: Now) {
        let Some(net) = &to.net else { return };
        self.times = LinkTimes::of(net);
        self.ack_polls.is_draining = false;
        let protocol = LinkProtocol::of(to);
        let has_moved = self.resolver.remote != net.remote;
        if !has_moved && self.protocol == protocol {
            return;
        }
        self.resolver.reset(&net.remote, now.tick);
        self.protocol = protocol;
        // The failures were those of the old address or account.
        self.outages.forget();
        self.trust = Trust::default();
        outbox.forget_breaks();
        if !self.is_up() {
            // An attempt with the old settings is no failure. The next one begins at once.
            if !matches!(self.state, LinkState::Idle) {
                self.go(LinkState::BackingOff { until: now.tick }, outbox, now);
            }
        } else {
            let (reason, hint) = if has_moved {
                ("its address was changed", "the server connects to the new address")
            } else {
                ("its database or account was changed", "the server connects again and uses it")
            };
            let failure = LinkFailure {
                error: reason.into(),
                is_planned: true,
                sentence: "the connection to the destination was closed for a reload",
                hint: format!("{hint}; queued data is kept"),
                status: None,
            };
            // Must come before `go`, which would count a break at the chunk in flight.
            outbox.disconnected();
            self.back_off(Duration::ZERO, failure, outbox, now);
        }
    }

    /// Handles an event. An event for an earlier descriptor of this link does nothing: the poller
    /// may still deliver one for a socket that was closed in the same turn.
    pub(super) fn ready(
        &mut self,
        on: Generation,
        outbox: &mut Outbox,
        now: Now,
        registry: &Registry,
    ) {
        if on != self.generation {
            return;
        }
        match &mut self.state {
            LinkState::Resolving => match self.resolver.ready(on, now.tick) {
                LookUp::Pending => {}
                LookUp::Found(addresses) => {
                    self.resolver.set(addresses);
                    self.dial(outbox, now, registry);
                }
                LookUp::Failed(error) => self.fail(&error.into(), outbox, now),
            },
            LinkState::Connecting { socket, .. } => match socket.is_established() {
                Ok(false) => {}
                Ok(true) => self.establish(outbox, now),
                Err(error) => self.fail(&error, outbox, now),
            },
            LinkState::Up(connection) => {
                connection.wake();
                if let Err(error) = connection.receive() {
                    self.fail(&error, outbox, now);
                }
            }
            LinkState::Idle | LinkState::BackingOff { .. } => {}
        }
    }

    /// Does what is due at `now`. A call that is early, late or repeated does no harm.
    pub(super) fn timeout(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        let looked_up = self.resolver.timeout(now.tick);
        match self.state {
            LinkState::Resolving => {
                if let Err(error) = looked_up {
                    self.fail(&error.into(), outbox, now);
                }
            }
            LinkState::Connecting { until, .. } if until <= now.tick => {
                self.fail(&SinkError::ConnectTimedOut, outbox, now);
            }
            LinkState::BackingOff { until } if until <= now.tick => {
                self.redial(outbox, now, registry);
            }
            _ => {}
        }
        self.poll_acks(outbox, now);
    }

    /// Returns when [`timeout`](Self::timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let state = match &self.state {
            LinkState::Idle | LinkState::Resolving => None,
            LinkState::Connecting { until, .. } | LinkState::BackingOff { until } => Some(*until),
            LinkState::Up(connection) => {
                // In a healthy state nothing waits for the trust. It is then noted at the next
                // tick, and no timer wakes the loop for it.
                let is_awaited = !self.trust.is_trusted
                    && (self.outages.is_out() || self.trust.early_closes > 0);
                let trusted = connection.trusted_at().filter(|_| is_awaited);
                let linger = connection.lingers_until().filter(|_| self.trust.lingers);
                let check = connection.deadline(self.times.write_timeout);
                [check, trusted, linger].into_iter().flatten().min()
            }
        };
        [state, self.ack_polls.deadline(), self.resolver.deadline()].into_iter().flatten().min()
    }

    /// Writes a turn's share of the outbox. Dials first if a connection is needed and there is
    /// none. Returns whether there is more to do at once, without an event.
    pub(super) fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        if matches!(self.state, LinkState::Idle) && self.is_wanted(outbox) {
            self.redial(outbox, now, registry);
        }
        // Reads first: a peer that has closed the connection must not be sent more chunks.
        if !self.receive(outbox, now) {
            return matches!(self.state, LinkState::Idle) && self.is_wanted(outbox);
        }
        let LinkState::Up(connection) = &mut self.state else { return false };
        let before = outbox.tally().sent_bytes;
        let sent = connection.send(outbox, now.tick);
        let more = connection.has_more(outbox);
        if let Err(error) = sent {
            self.fail(&error, outbox, now);
        } else if outbox.tally().sent_bytes > before {
            // Bytes that were just written may be acknowledged soon, so polls start at the shortest
            // interval again.
            self.ack_polls.clear();
            self.take_acks(outbox, now);
        }
        more && matches!(self.state, LinkState::Up(_))
    }

    /// Whether a connection is needed. The first one is always opened, so that the log shows at the
    /// start whether the destination can be reached.
    fn is_wanted(&self, outbox: &Outbox) -> bool {
        self.outages.connects() == 0 || outbox.head().is_some() || outbox.has_spooled()
    }

    /// Reads the bytes that the peer has sent. Returns whether the link is still up.
    fn receive(&mut self, outbox: &mut Outbox, now: Now) -> bool {
        let LinkState::Up(connection) = &mut self.state else { return false };
        match connection.receive() {
            Err(error) => self.fail(&error, outbox, now),
            Ok(()) if connection.has_answer() => self.take_acks(outbox, now),
            Ok(()) => {}
        }
        if matches!(&self.state, LinkState::Up(connection) if connection.is_spent()) {
            self.go(LinkState::Idle, outbox, now);
        }
        matches!(self.state, LinkState::Up(_))
    }

    /// Polls for acknowledgements, and fails if the peer has been silent for `write_timeout`.
    pub(super) fn poll_acks(&mut self, outbox: &mut Outbox, now: Now) {
        self.resolver.reap(now.tick);
        self.take_acks(outbox, now);
        let LinkState::Up(connection) = &mut self.state else { return };
        if let Err(error) = connection.check(now.tick, self.times.write_timeout) {
            self.fail(&error, outbox, now);
        }
        self.note_stall(outbox);
    }

    fn note_stall(&mut self, outbox: &Outbox) {
        match &self.state {
            LinkState::Up(connection) => {
                self.log.note_stall(connection.is_stalled(), connection.address(), outbox);
            }
            // The log has the failure, and the recovery later.
            _ => self.log.forget_stall(),
        }
    }

    /// Passes acknowledgements on to the outbox. Plans another poll before the next tick if
    /// something waits for it: the end of an outage, a stop, or chunks in the spool.
    fn take_acks(&mut self, outbox: &mut Outbox, now: Now) {
        let LinkState::Up(connection) = &mut self.state else { return };
        let before = outbox.unacked_bytes();
        let acked = connection.poll_acks(outbox, now.tick);
        if let Some(refused) = connection.take_refused() {
            self.log.log_refused(&refused, now.tick);
        }
        match acked {
            Ok(is_new) => self.trust.has_new_ack |= is_new,
            Err(error) => return self.fail(&error, outbox, now),
        }
        self.note_trust(outbox, now);
        let is_awaited =
            self.outages.is_out() || self.ack_polls.is_draining || outbox.has_spooled();
        if is_awaited && outbox.unacked_bytes() > 0 {
            self.ack_polls.plan(outbox.unacked_bytes() < before, now.tick);
        } else {
            self.ack_polls.clear();
        }
        self.note_stall(outbox);
    }

    /// Marks the connection as trusted once it has lasted long enough. If it has delivered a new
    /// chunk, the outage ends here.
    fn note_trust(&mut self, outbox: &mut Outbox, now: Now) {
        let LinkState::Up(connection) = &self.state else { return };
        let is_young = connection.lingers_until().is_some_and(|until| now.tick < until);
        self.trust.lingers = is_young && self.ack_polls.is_draining && outbox.is_drained();
        if !connection.is_trusted(now.tick) {
            return;
        }
        self.trust.is_trusted = true;
        self.trust.early_closes = 0;
        outbox.trust();
        if mem::take(&mut self.trust.has_new_ack) && self.outages.is_out() {
            let address = Some(connection.address().to_string());
            let place = LogPlace { address, ..LogPlace::default() };
            self.outages.note_recovery(place, outbox, now.tick);
        }
    }

    /// Prepares for a stop, which waits until the outbox is drained. A wait between attempts is cut
    /// short, and acknowledgements are polled more often.
    pub(super) fn drain(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        self.ack_polls.is_draining = true;
        if matches!(self.state, LinkState::BackingOff { .. }) {
            self.redial(outbox, now, registry);
        }
        self.take_acks(outbox, now);
    }

    /// Closes the connection before the chunks are spilled. A later reload may configure the
    /// destination again; the link then opens a new connection.
    ///
    /// Lines in flight that must not be sent again are in doubt from now on. The sink and its
    /// figures end soon, so the log must show their number.
    pub(super) fn close(&mut self, outbox: &mut Outbox) {
        if let LinkState::Up(_) = self.state {
            self.state = LinkState::Idle;
            self.ack_polls.clear(); // a poll that stays planned would be due in every turn
            self.trust = Trust::default();
            let before = outbox.tally().in_doubt;
            if !outbox.is_drained() {
                outbox.disconnected();
            }
            let in_doubt = outbox.tally().in_doubt - before;
            if in_doubt > 0 {
                self.log.log_unconfirmed(in_doubt);
            }
        }
    }

    /// Dials the next address of the round. After the last one it begins a new round: with the
    /// number that the configuration gives, or with a look-up of its name.
    fn redial(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        if self.resolver.address().is_none()
            && let Some(address) = self.resolver.number()
        {
            self.resolver.set(vec![address]);
        }
        if self.resolver.address().is_some() {
            return self.dial(outbox, now, registry);
        }
        if let Some(until) = self.resolver.busy_until(now.tick) {
            return self.go(LinkState::BackingOff { until }, outbox, now);
        }
        let token = self.next_token();
        match self.resolver.start(registry, token, self.generation, now.tick) {
            Ok(()) => self.go(LinkState::Resolving, outbox, now),
            Err(error) => self.fail(&error.into(), outbox, now),
        }
    }

    /// Begins to connect to the next address of the round.
    fn dial(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        let Some(address) = self.resolver.take_address() else { return };
        let token = self.next_token();
        match self.dialer.dial(address, registry, token) {
            Ok(socket) => {
                let until = now.tick + self.times.connect_timeout;
                self.go(LinkState::Connecting { socket, address, until }, outbox, now);
            }
            Err(error) => self.fail(&error.into(), outbox, now),
        }
    }

    /// Returns the token for a new descriptor. Events for older descriptors are ignored from now
    /// on.
    fn next_token(&mut self) -> Token {
        self.generation = self.generation.next();
        EventSource::Sink(self.index, self.generation).into()
    }

    /// Turns an established socket into a connection.
    fn establish(&mut self, outbox: &mut Outbox, now: Now) {
        // The socket moves from one state to the next. `go` below sets the state again, and nothing
        // reads `Idle` in between.
        let LinkState::Connecting { socket, address, .. } =
            mem::replace(&mut self.state, LinkState::Idle)
        else {
            return;
        };
        // A host that fails over gets a new address, so the next round looks the name up again.
        self.resolver.clear();
        self.outages.note_connect();
        let mut connection = self.protocol.over(socket, address);
        // Every chunk that is sent to a peer that refuses the data counts as in doubt. A probe
        // sends only one chunk.
        if self.trust.early_closes >= EARLY_CLOSES_MAX {
            connection.probe();
        }
        if !connection.is_trusted(now.tick) {
            outbox.distrust();
        }
        self.trust = Trust { early_closes: self.trust.early_closes, ..Trust::default() };
        self.go(LinkState::Up(connection), outbox, now);
    }

    /// Handles a failure in any state: backs off before the next attempt.
    fn fail(&mut self, error: &SinkError, outbox: &mut Outbox, now: Now) {
        if let LinkState::Up(connection) = &mut self.state {
            // Bytes that the peer has acknowledged before the break have arrived. Without this poll
            // they would be sent again. An error of the poll is not a second failure.
            self.trust.has_new_ack |= connection.poll_acks(outbox, now.tick).unwrap_or(false);
            self.note_trust(outbox, now);
        }
        let rounds = self.outages.rounds();
        let wait = self.times.retry_delay(self.jitter.next(), rounds);
        // A timeout is not a close by the peer. It proves nothing about what the peer reads.
        let is_early = !error.is_timeout() && self.is_closed_early();
        let mut text = error.to_string();
        let hint = if is_early {
            // Must come before `go`, which would count the arrivals on this connection for good.
            self.note_early_close(outbox);
            if self.trust.early_closes >= EARLY_CLOSES_MAX {
                let why = "closed by the peer right after the first bytes, again and again";
                text = format!("{why}: {}", self.advice.wrong_protocol());
            }
            self.advice.on_early_close()
        } else {
            self.advice.on_failure(error, &self.resolver.remote)
        };
        let failure = LinkFailure {
            error: text,
            is_planned: false,
            sentence: error.sentence(),
            hint,
            status: error.http_status(),
        };
        self.back_off(wait, failure, outbox, now);
        if is_early && self.trust.early_closes == EARLY_CLOSES_MAX {
            self.log.log_early_closes(&self.resolver.remote, self.trust.early_closes, outbox);
        }
    }

    /// Waits before the next attempt. Counts the failure, and logs it if it is the first one of an
    /// outage.
    fn back_off(&mut self, wait: Duration, failure: LinkFailure, outbox: &mut Outbox, now: Now) {
        self.go(LinkState::BackingOff { until: now.tick + wait }, outbox, now);
        let LinkFailure { error, is_planned, sentence, hint, status } = failure;
        let address = Some(self.resolver.remote.to_string());
        let failed = FailedAttempt {
            error,
            state: self.state().name(),
            place: LogPlace { address, ..LogPlace::default() },
            is_round: self.resolver.address().is_none(),
            cause: status.map(|status| status.to_string()),
            retry: Some(wait),
            hint,
            sentence,
        };
        if is_planned {
            self.outages.note_planned_close(failed, outbox, now.tick);
        } else {
            self.outages.note_failure(failed, outbox, now);
        }
    }

    /// Whether the connection that ends now has carried bytes, but is not trusted.
    fn is_closed_early(&self) -> bool {
        let LinkState::Up(connection) = &self.state else { return false };
        !self.trust.is_trusted && connection.trusted_at().is_some()
    }

    /// Handles an early close by the peer: its acknowledgements on this connection do not count.
    fn note_early_close(&mut self, outbox: &mut Outbox) {
        self.trust.early_closes = self.trust.early_closes.saturating_add(1);
        if self.trust.early_closes >= EARLY_CLOSES_MAX {
            outbox.broke_early_again();
        } else if let Some(chunk) = outbox.broke_early() {
            self.log.log_poison(&chunk);
        }
    }

    /// Changes the state. It cleans up the old state and logs the new one. Only `close`
    /// and `establish` also set the state. Anywhere else the outbox would miss the end of a
    /// connection.
    fn go(&mut self, next: LinkState, outbox: &mut Outbox, now: Now) {
        match mem::replace(&mut self.state, next) {
            LinkState::Resolving => self.resolver.cancel(now.tick),
            LinkState::Up(_) => {
                self.ack_polls.clear();
                self.trust.lingers = false;
                // The peer has closed an idle HTTP connection. Everything sent on it was answered,
                // so delivered chunks are not sent again, as they would be after a break.
                let is_idle_close =
                    matches!(self.state, LinkState::Idle) && outbox.unacked_bytes() == 0;
                if !is_idle_close && let Some(chunk) = outbox.broke() {
                    self.log.log_poison(&chunk);
                }
            }
            LinkState::Idle | LinkState::Connecting { .. } | LinkState::BackingOff { .. } => {}
        }
        // A failure has a log line of its own.
        if !matches!(self.state, LinkState::BackingOff { .. }) {
            self.log_state(outbox);
        }
    }

    /// Logs the state: at level `info` for the first connection since the start, else at `debug`.
    fn log_state(&self, outbox: &Outbox) {
        let is_first = self.is_up() && !self.outages.is_out() && self.outages.connects() == 1;
        let level = if is_first { Level::Info } else { Level::Debug };
        let address = match &self.state {
            LinkState::Connecting { address, .. } => Some(*address),
            LinkState::Up(connection) => Some(connection.address()),
            _ => None,
        };
        self.log.log_state(level, self.state(), address, self.outages.attempts(), outbox);
    }

    /// Whether a stop must wait although the outbox is drained, because the peer may still close
    /// the connection early.
    pub(super) fn is_busy(&self) -> bool {
        self.trust.lingers
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, LinkState::Up(_))
    }

    /// Whether the peer holds the connection, but has acknowledged nothing for `write_timeout`.
    pub(super) fn is_stalled(&self) -> bool {
        matches!(&self.state, LinkState::Up(connection) if connection.is_stalled())
    }

    /// Returns since when the peer has acknowledged nothing of the bytes that were written.
    pub(super) fn silent_since(&self) -> Option<Tick> {
        match &self.state {
            LinkState::Up(connection) => connection.silent_since(),
            _ => None,
        }
    }

    /// Whether bytes were written or acknowledged in the last second.
    pub(super) fn is_moving(&self, now: Tick) -> bool {
        matches!(&self.state, LinkState::Up(connection) if connection.is_moving(now))
    }

    /// Returns when the last acknowledgement came, or `now` if that is unknown.
    pub(super) fn last_ack(&self, now: Tick) -> Tick {
        match &self.state {
            LinkState::Up(connection) => connection.last_ack(now),
            _ => now,
        }
    }

    pub(super) fn state(&self) -> SinkState {
        match &self.state {
            LinkState::Idle => SinkState::Idle,
            LinkState::Resolving => SinkState::Resolving,
            LinkState::Connecting { .. } => SinkState::Connecting,
            LinkState::Up(_) if self.is_stalled() => SinkState::Stalled,
            LinkState::Up(_) => SinkState::Up,
            LinkState::BackingOff { .. } => SinkState::BackingOff,
        }
    }

    /// Reaps the ended child process `child` if this link started it. Returns whether it did.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.resolver.note_exit(child)
    }

    pub(super) fn outages(&self) -> &OutageReport {
        &self.outages
    }
}

#[cfg(test)]
mod tests;
