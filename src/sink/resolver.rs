//! [`Resolver`]: the addresses of a destination, and the look-ups of its name that find them.
//!
//! A TCP destination looks its name up before each round of attempts to connect. It tries every
//! address once in a round. A UDP destination never connects, so nothing would show that its
//! address has changed. Its name is looked up again [every minute](AGAIN). The old addresses stay
//! in use meanwhile.
//!
//! One look-up runs at a time, as a child process. The next one begins only after the last child is
//! reaped, so children never pile up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::{Registry, Token};

use super::look_up::{LookUpCommand, LookUpError, Query, UnreapedChild};
use crate::config::Remote;
use crate::time::Tick;
use crate::token::Generation;

/// The time between two look-ups of a UDP destination whose addresses are known.
const AGAIN: Duration = Duration::from_secs(60);
/// A look-up that takes longer has failed, and its child is killed.
const LOOK_UP: Duration = Duration::from_secs(10);

/// The addresses of one destination.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) remote: Remote,
    command: LookUpCommand,
    addresses: Vec<SocketAddr>,
    /// The index of the address to try next. It is past the end when the round is over.
    at: usize,
    running: Option<RunningQuery>,
    /// The child of the last look-up, until it is reaped.
    unreaped: Option<UnreapedChild>,
    /// When to look the name up again. `None` if that is as soon as an address is needed.
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
    pub(super) fn new(remote: &Remote, command: LookUpCommand) -> Self {
        Self {
            remote: remote.clone(),
            command,
            addresses: Vec::new(),
            at: 0,
            running: None,
            unreaped: None,
            due: None,
        }
    }

    /// Changes the destination. A look-up that runs is cancelled. The new name is looked up as soon
    /// as an address is needed.
    pub(super) fn reset(&mut self, remote: &Remote, now: Tick) {
        self.remote = remote.clone();
        self.clear();
        self.cancel(now);
        self.due = None;
    }

    /// Returns the address to try next. Returns `None` if the round is over or no address is known.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.addresses.get(self.at).copied()
    }

    /// Whether the current address is the last one of the round.
    pub(super) fn is_last(&self) -> bool {
        self.at + 1 >= self.addresses.len()
    }

    /// Returns the next address of the round and moves on. After the last one it returns `None`
    /// until new addresses are [set](Self::set).
    pub(super) fn take_address(&mut self) -> Option<SocketAddr> {
        let address = self.address()?;
        self.at += 1;
        Some(address)
    }

    /// Moves on to the next address, or from the last one to the first.
    pub(super) fn rotate(&mut self) {
        self.at = (self.at + 1) % self.addresses.len().max(1);
    }

    /// Sets the addresses. The first one is tried next.
    pub(super) fn set(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
        self.at = 0;
    }

    /// Sets the addresses and keeps the current one. Returns false if the current one is not among
    /// them; the first one is then tried next.
    pub(super) fn replace(&mut self, addresses: Vec<SocketAddr>) -> bool {
        let current = self.address();
        let at = addresses.iter().position(|&address| Some(address) == current);
        self.addresses = addresses;
        self.at = at.unwrap_or(0);
        at.is_some()
    }

    /// Removes all addresses, so that the next round begins with a look-up.
    pub(super) fn clear(&mut self) {
        self.set(Vec::new());
    }

    /// Returns the address of a destination that the configuration gives as a number, which needs
    /// no look-up. Returns `None` if it gives a name.
    pub(super) fn number(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.remote.host.parse().ok()?;
        Some(SocketAddr::new(address, self.remote.port))
    }

    /// Whether it is time for a look-up, and no child of an earlier one is left.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.running.is_none() && self.unreaped.is_none() && self.due.is_none_or(|due| due <= now)
    }

    /// Returns when to try again, if a look-up must wait until the child of the last one is reaped.
    /// A child that was killed needs a moment to end. Returns `None` if it needs more than that.
    pub(super) fn busy_until(&self, now: Tick) -> Option<Tick> {
        let child = self.unreaped.as_ref().filter(|child| now - child.since() < LOOK_UP)?;
        Some(child.deadline())
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts a look-up. The poller sends an event for `token`, which has this `generation`, when
    /// there is an answer.
    pub(super) fn start(
        &mut self,
        registry: &Registry,
        token: Token,
        generation: Generation,
        now: Tick,
    ) -> Result<(), LookUpError> {
        if self.unreaped.is_some() {
            return Err(LookUpError::StillRunning);
        }
        let command = (self.command)(&self.remote.host, self.remote.port);
        let query = Query::start(command, registry, token)?;
        self.running = Some(RunningQuery { query, generation, until: now + LOOK_UP });
        Ok(())
    }

    /// Handles an event for a token with this generation. The event may be for another descriptor
    /// of the same destination; the result is then [`LookUp::Pending`].
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
        if self.unreaped.as_mut().is_some_and(|child| child.is_reaped(now)) {
            self.unreaped = None;
        }
    }

    /// Returns when [`timeout`](Self::timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let query = self.running.as_ref().map(|running| running.until);
        [query, self.unreaped.as_ref().map(UnreapedChild::deadline)].into_iter().flatten().min()
    }

    /// Returns when the name is to be looked up again. Returns `None` while a look-up runs, and if
    /// the name is looked up on demand.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due.filter(|_| self.running.is_none() && self.unreaped.is_none())
    }

    /// Plans the next look-up of the name in a minute.
    pub(super) fn wait(&mut self, now: Tick) {
        self.due = Some(now + AGAIN);
    }

    /// Plans the next look-up of the name as soon as an address is needed.
    pub(super) fn retry(&mut self) {
        self.due = None;
    }

    /// Reaps the ended child process `child` if this resolver started it. Returns whether it did.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.running.as_mut().is_some_and(|running| running.query.note_exit(child))
            || self.unreaped.as_mut().is_some_and(|unreaped| unreaped.note_exit(child))
    }

    /// Ends the look-up, if one runs, and kills its child. The child is reaped later.
    pub(super) fn cancel(&mut self, now: Tick) {
        if let Some(running) = self.running.take() {
            self.unreaped = Some(running.query.end(now));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use mio::Poll;

    use super::*;
    use crate::sink::testing::{patiently, shell};

    /// Gives a resolver a child that it does not try to reap before this time.
    pub(in crate::sink) fn leave_child(resolver: &mut Resolver, registry: &Registry, until: Tick) {
        let query = Query::start(shell("exec sleep 1000"), registry, Token(7)).unwrap();
        resolver.unreaped = Some(query.end(until));
    }

    #[test]
    fn no_look_up_starts_before_the_child_of_the_last_one_is_reaped() {
        let poll = Poll::new().unwrap();
        let remote = Remote { host: "carbon.test".into(), port: 2003 };
        let mut resolver = Resolver::new(&remote, |_, _| shell("exec sleep 1000"));
        let now = Tick::default();
        let later = now + Duration::from_secs(3600);
        leave_child(&mut resolver, poll.registry(), later);
        let refused = resolver.start(poll.registry(), Token(7), Generation::default(), now);
        let error = refused.unwrap_err().to_string();
        assert_eq!(error, "the child of the last look-up is still there");
        assert!(!resolver.is_running());
        patiently("the child's end", || {
            resolver.reap(resolver.deadline().unwrap_or(later));
            resolver.unreaped.is_none().then_some(())
        });
        resolver.start(poll.registry(), Token(8), Generation::default(), later).unwrap();
        assert!(resolver.is_running());
    }
}
