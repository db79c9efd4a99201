//! The accept loop, which clients that send lines and clients of the admin port share.

use std::time::Duration;

use ipnet::IpNet;

use super::reactor::{Reactor, Timer};
use crate::clock::Clock;
use crate::ingest::Drained;
use crate::ingest::listener::{Door, Listener};
use crate::ledger::Ledger;
use crate::sender::Sender;
use crate::token::Source;
use crate::warnings::{CloseReason, WarningKind};

/// How the clients of one kind are admitted.
pub(super) struct Admission<'a, D> {
    pub(super) door: &'a mut D,
    pub(super) allow_from: &'a [IpNet],
    pub(super) idle_timeout: Option<Duration>,
    /// The warning about a client that `allow_from` does not list.
    pub(super) not_allowed: WarningKind,
    /// Why a client is closed to make room.
    pub(super) makes_room: CloseReason,
    /// Why a client is refused when all places are taken.
    pub(super) full: CloseReason,
}

impl<D: Door> Admission<'_, D> {
    /// Accepts the waiting connections of a listener, up to a turn's budget. Calls `admitted` for
    /// each new client, which may have sent its first bytes already.
    pub(super) fn accept<C: Clock>(
        &mut self,
        (index, listener): (u16, &mut Listener),
        ledger: &mut Ledger,
        reactor: &mut Reactor<C>,
        mut admitted: impl FnMut(Source),
    ) -> Drained {
        let now = reactor.now().tick;
        let drained = listener.accept(now, |stream, sender| {
            if !self.admits(sender, ledger, reactor) {
                return;
            }
            match self.door.admit(stream, sender, now, reactor.registry()) {
                Some(slot) => {
                    let deadline = self.door.deadline(slot, self.idle_timeout);
                    reactor.set(Timer::Idle(D::source(slot)), deadline);
                    admitted(D::source(slot));
                }
                None => ledger.refuse_connection(WarningKind::Closed(self.full)),
            }
        });
        reactor.set(Timer::Listener(index), listener.deadline());
        if let Some(error) = listener.rests_for() {
            ledger.warn(WarningKind::AcceptsPaused(error), b"");
        }
        drained
    }

    /// Counts and logs a client that is not allowed. Makes room for one that is.
    fn admits<C: Clock>(
        &mut self,
        sender: Sender,
        ledger: &mut Ledger,
        reactor: &mut Reactor<C>,
    ) -> bool {
        ledger.name_peer(sender);
        if !sender.is_allowed(self.allow_from) {
            ledger.refuse_connection(self.not_allowed);
            return false;
        }
        while let Some((slot, whose)) = self.door.make_room() {
            reactor.set(Timer::Idle(D::source(slot)), None);
            ledger.name_peer(whose);
            ledger.close_idle_connection(self.makes_room);
            ledger.name_peer(sender);
        }
        true
    }
}
