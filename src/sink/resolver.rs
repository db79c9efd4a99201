//! The addresses of a destination's name, and the look-ups that find them.
//!
//! A TCP destination looks its name up before each round of attempts to connect, and tries every
//! address once a round. A UDP destination has no connect at which to do that, so its name is
//! looked up again [every minute](AGAIN), while the old addresses stay in use.
//!
//! One look-up runs at a time, as a child process (see `look_up.rs`). Another begins only when the
//! last child is reaped.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use mio::{Registry, Token};

use super::look_up::{self, Dying, LookUpError, Query};
use crate::config::Remote;
use crate::time::Tick;
use crate::token::Generation;

/// Time between two look-ups of a name whose addresses are known.
const AGAIN: Duration = Duration::from_secs(60);
/// A look-up that takes longer has failed.
const LOOK_UP: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) remote: Remote,
    /// The command that looks a name up. Only tests have another one.
    pub(super) look_up: fn(&str, u16) -> Command,
    addresses: Vec<SocketAddr>,
    /// The index of the address to try. There is none at the end of a round.
    at: usize,
    running: Option<RunningQuery>,
    /// The child of the last look-up, until it is reaped.
    pub(super) dying: Option<Dying>,
    /// When to look the name up again. `None`: as soon as it is needed.
    due: Option<Tick>,
}

#[derive(Debug)]
struct RunningQuery {
    query: Query,
    /// The generation of the token that announces the answer.
    generation: Generation,
    until: Tick,
}

/// The state of a look-up after an event.
#[derive(Debug)]
pub(super) enum LookUp {
    /// The event was for something else, or the answer is not complete.
    Pending,
    Found(Vec<SocketAddr>),
    Failed(LookUpError),
}

impl Resolver {
    pub(super) fn new(remote: &Remote) -> Self {
        Self {
            remote: remote.clone(),
            look_up: look_up::command,
            addresses: Vec::new(),
            at: 0,
            running: None,
            dying: None,
            due: None,
        }
    }

    /// Changes the destination. Its address is looked up as soon as it is needed.
    pub(super) fn reset(&mut self, remote: &Remote, now: Tick) {
        self.remote = remote.clone();
        self.clear();
        self.cancel(now);
        self.due = None;
    }

    /// The address to try now.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.addresses.get(self.at).copied()
    }

    /// Whether there is no other address after this one in a round.
    pub(super) fn is_last(&self) -> bool {
        self.at + 1 >= self.addresses.len()
    }

    /// Takes the next address of this round. After the last one there is none until new addresses
    /// are [set](Self::set).
    pub(super) fn take_address(&mut self) -> Option<SocketAddr> {
        let address = self.address()?;
        self.at += 1;
        Some(address)
    }

    /// Goes on to the next address, after the last one to the first.
    pub(super) fn rotate(&mut self) {
        self.at = (self.at + 1) % self.addresses.len().max(1);
    }

    /// Sets the addresses, of which the first is tried next.
    pub(super) fn set(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
        self.at = 0;
    }

    /// Sets the addresses and goes on with the current one. Returns false if it is not among them;
    /// then the first is tried next.
    pub(super) fn replace(&mut self, addresses: Vec<SocketAddr>) -> bool {
        let current = self.address();
        let at = addresses.iter().position(|&address| Some(address) == current);
        self.addresses = addresses;
        self.at = at.unwrap_or(0);
        at.is_some()
    }

    /// Forgets the addresses.
    pub(super) fn clear(&mut self) {
        self.set(Vec::new());
    }

    /// The address of a destination that is given as a number and needs no look-up.
    pub(super) fn number(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.remote.host.parse().ok()?;
        Some(SocketAddr::new(address, self.remote.port))
    }

    /// Whether it is time for a look-up, and none is running.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.running.is_none() && self.dying.is_none() && self.due.is_none_or(|due| due <= now)
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts a look-up. `token`, of this `generation`, will announce the answer.
    pub(super) fn start(
        &mut self,
        registry: &Registry,
        token: Token,
        generation: Generation,
        now: Tick,
    ) -> Result<(), LookUpError> {
        if self.dying.is_some() {
            return Err(LookUpError::StillRunning);
        }
        let command = (self.look_up)(&self.remote.host, self.remote.port);
        let query = Query::start(command, registry, token)?;
        self.running = Some(RunningQuery { query, generation, until: now + LOOK_UP });
        Ok(())
    }

    /// Handles an event for the token of this generation.
    pub(super) fn ready(&mut self, on: Generation, now: Tick) -> LookUp {
        let Some(running) = self.running.as_mut().filter(|running| running.generation == on) else {
            return LookUp::Pending;
        };
        let answer = match running.query.read() {
            Ok(false) => return LookUp::Pending,
            Ok(true) => running.query.addresses(),
            Err(error) => Err(error),
        };
        self.cancel(now);
        match answer {
            Ok(addresses) => LookUp::Found(addresses),
            Err(error) => LookUp::Failed(error),
        }
    }

    /// Does what is due. Returns an error if a look-up took too long.
    pub(super) fn timeout(&mut self, now: Tick) -> Result<(), LookUpError> {
        self.reap(now);
        if self.running.as_ref().is_some_and(|running| running.until <= now) {
            self.cancel(now);
            return Err(LookUpError::TimedOut);
        }
        Ok(())
    }

    /// Reaps the child of the last look-up if it has ended.
    pub(super) fn reap(&mut self, now: Tick) {
        if self.dying.as_mut().is_some_and(|child| child.is_gone(now)) {
            self.dying = None;
        }
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let query = self.running.as_ref().map(|running| running.until);
        [query, self.dying.as_ref().map(Dying::deadline)].into_iter().flatten().min()
    }

    /// When the name is to be looked up again, if that is known and no look-up is running.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due.filter(|_| self.running.is_none() && self.dying.is_none())
    }

    /// The name is looked up again in a minute.
    pub(super) fn wait(&mut self, now: Tick) {
        self.due = Some(now + AGAIN);
    }

    /// The name is looked up again as soon as it is needed.
    pub(super) fn retry(&mut self) {
        self.due = None;
    }

    /// Reaps an ended child of this process if it is one of this resolver. Returns whether it is.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.running.as_mut().is_some_and(|running| running.query.note_exit(child))
            || self.dying.as_mut().is_some_and(|dying| dying.note_exit(child))
    }

    /// Ends a look-up that is running, and kills its child.
    pub(super) fn cancel(&mut self, now: Tick) {
        if let Some(running) = self.running.take() {
            self.dying = Some(running.query.end(now));
        }
    }
}
