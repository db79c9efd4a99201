//! How the chunks of an outbox get out: what every kind of destination does in its own way.

use std::fmt::Debug;
use std::rc::Rc;

use mio::Registry;

use super::outbox::Outbox;
use crate::config::Destination;
use crate::privileges::Login;
use crate::time::{Now, Tick, UnixTime};
use crate::token::Generation;

/// It writes what the outbox has at its head, and tells it what was written, what arrived and what broke. It never blocks.
pub(super) trait Outlet: Debug {
    /// A descriptor of this is ready. Spurious and stale events are harmless.
    fn ready(&mut self, on: Generation, outbox: &mut Outbox, now: Now, registry: &Registry);

    /// Does what is due. Early, late or twice is harmless.
    fn timeout(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry);

    /// When [`timeout`](Self::timeout) has something to do.
    fn deadline(&self) -> Option<Tick>;

    /// Writes a turn's share of the outbox. True when more could be done at once.
    fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool;

    /// At a tick: looks what has arrived.
    fn look(&mut self, outbox: &mut Outbox, now: Now);

    /// Somebody waits for the outbox to drain.
    fn hurry(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry);

    /// Other settings, for a destination of the same kind.
    fn reconfigure(&mut self, to: &Destination, outbox: &mut Outbox, now: Now);

    /// Something is under way that the outbox does not know of.
    fn is_busy(&self) -> bool {
        false
    }

    /// Reaps an ended child of this process if this outlet started it. Returns whether it did.
    fn note_exit(&mut self, _: u32) -> bool {
        false
    }

    /// Sets the account that this process has become, for outlets that start commands.
    fn run_as(&mut self, _: &Rc<Login>) {}

    /// The time for a stop is over: ends what is under way.
    fn abandon(&mut self, _: &mut Outbox) {}

    fn is_up(&self) -> bool;

    /// Whether bytes went out or were acknowledged in the last second.
    fn is_moving(&self, now: Tick) -> bool;

    /// When the last acknowledgement came, or `now` where nobody can tell.
    fn last_ack(&self, now: Tick) -> Tick;

    /// One word for the admin port.
    fn state(&self) -> &'static str;

    fn history(&self) -> &History;

    #[cfg(test)]
    fn link(&mut self) -> &mut super::Link {
        panic!("this is no link");
    }

    #[cfg(test)]
    fn datagrams(&mut self) -> &mut super::Datagrams {
        panic!("these are no datagrams");
    }
}

/// What happened to an outlet since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) connects: u64,
    pub(super) last_exception: Option<UnixTime>,
    pub(super) last_error: Option<String>,
}
