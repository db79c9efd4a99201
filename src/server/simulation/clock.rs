//! Virtual time, and the network that lives in it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use mio::Token;

use super::network::Peer;
use crate::clock::Clock;
use crate::time::{Now, Tick, UnixTime};

/// A clock that moves only when the server waits or reads it. It is shared by the server and the
/// test.
///
/// While the server waits, the network goes on. So the wait ends as a real one does: at its
/// deadline, or at the first event.
#[derive(Clone, Debug)]
pub(super) struct VirtualClock(Rc<Time>);

#[derive(Debug)]
struct Time {
    tick: Cell<Tick>,
    /// What the wall clock showed at tick zero, in milliseconds.
    wall: Cell<u64>,
    /// What one reading of the clock takes, so that slices end.
    cost: Cell<Duration>,
    /// No wait goes on after this time.
    limit: Cell<Tick>,
    peers: Vec<Peer>,
    /// Events of the network that were not delivered yet.
    events: RefCell<Vec<Token>>,
}

/// The network moves in steps of at most this length.
const STEP: Duration = Duration::from_millis(25);
/// The shortest time from one wait to the next.
const TURN: Duration = Duration::from_micros(100);

impl VirtualClock {
    pub(super) fn new(peers: Vec<Peer>) -> Self {
        Self(Rc::new(Time {
            tick: Cell::new(Tick::from_millis(1)),
            wall: Cell::new(1_000_000_000_000),
            cost: Cell::new(Duration::from_micros(50)),
            limit: Cell::new(Tick::default()),
            peers,
            events: RefCell::default(),
        }))
    }

    pub(super) fn at(&self) -> Tick {
        self.0.tick.get()
    }

    pub(super) fn advance(&self, span: Duration) {
        self.0.tick.set(self.at() + span);
    }

    /// Sets the wall clock, which is `millis` ahead of where it was, or behind if negative.
    pub(super) fn step_wall(&self, millis: i64) {
        self.0.wall.set(self.0.wall.get().saturating_add_signed(millis));
    }

    pub(super) fn set_cost(&self, cost: Duration) {
        self.0.cost.set(cost);
    }

    pub(super) fn limit_waits(&self, until: Tick) {
        self.0.limit.set(until);
    }

    /// Lets the network move up to now. Returns the events since the last call.
    pub(super) fn take_events(&self) -> Vec<Token> {
        self.advance(TURN);
        self.move_network();
        self.0.events.take()
    }

    fn move_network(&self) {
        let now = self.at();
        for peer in &self.0.peers {
            self.0.events.borrow_mut().extend(peer.advance(now));
        }
    }
}

impl Clock for VirtualClock {
    fn tick(&self) -> Tick {
        self.advance(self.0.cost.get());
        self.at()
    }

    fn now(&self) -> Now {
        let tick = self.at();
        Now { tick, unix: UnixTime::from_millis(self.0.wall.get() + tick.as_micros() / 1000) }
    }

    fn nap(&self, span: Duration) {
        self.advance(span);
    }

    fn poll_timeout(&self, span: Option<Duration>) -> Option<Duration> {
        let limit = self.0.limit.get();
        let deadline = span.map_or(limit, |span| limit.min(self.at() + span));
        loop {
            self.move_network();
            let now = self.at();
            if !self.0.events.borrow().is_empty() || deadline <= now {
                return Some(Duration::ZERO);
            }
            self.advance(STEP.min(deadline - now));
        }
    }
}
