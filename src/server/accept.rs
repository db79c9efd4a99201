//! The accept loop, which clients that send lines and clients of the admin port share.

use std::time::Duration;

use ipnet::IpNet;
use socket2::Socket;

use super::reactor::{Reactor, Timer};
use crate::clock::Clock;
use crate::ingest::ReadOutcome;
use crate::ingest::listener::{ClientTable, Listener};
use crate::ledger::Ledger;
use crate::sender::Sender;
use crate::token::Slot;
use crate::warnings::{CloseReason, WarningKind};

/// How the clients of one kind are admitted.
pub(super) struct Admission<'a, T> {
    pub(super) clients: &'a mut T,
    pub(super) allow_from: &'a [IpNet],
    pub(super) idle_timeout: Option<Duration>,
    /// The warning about a client that `allow_from` does not list.
    pub(super) not_allowed: WarningKind,
    /// Why a client is closed to make room.
    pub(super) makes_room: CloseReason,
    /// Why a client is refused when all places are taken.
    pub(super) full: CloseReason,
}

impl<T: ClientTable> Admission<'_, T> {
    /// Accepts the waiting connections of a listener, up to a turn's budget. Passes the key of each
    /// client that is admitted to `admitted`. Sets the time at which a listener that cannot accept
    /// tries again.
    pub(super) fn accept<C: Clock>(
        &mut self,
        index: u16,
        listener: &mut Listener,
        ledger: &mut Ledger,
        reactor: &mut Reactor<C>,
        mut admitted: impl FnMut(&mut T, Slot),
    ) -> ReadOutcome {
        let outcome = listener.accept(reactor.now().tick, |stream, sender| {
            if let Some(slot) = self.admit(stream, sender, ledger, reactor) {
                admitted(self.clients, slot);
            }
        });
        reactor.set(Timer::Listener(index), listener.deadline());
        if let Some(error) = listener.paused_by() {
            ledger.warn(WarningKind::AcceptsPaused(error), b"");
        }
        outcome
    }

    /// Admits an accepted client, or closes its stream and counts why.
    fn admit<C: Clock>(
        &mut self,
        stream: Socket,
        sender: Sender,
        ledger: &mut Ledger,
        reactor: &mut Reactor<C>,
    ) -> Option<Slot> {
        ledger.name_peer(sender);
        if !sender.is_allowed(self.allow_from) {
            ledger.refuse_connection(self.not_allowed);
            return None;
        }
        while let Some((slot, closed)) = self.clients.make_room() {
            reactor.set(Timer::Idle(T::source(slot)), None);
            ledger.name_peer(closed);
            ledger.close_idle_connection(self.makes_room);
            ledger.name_peer(sender);
        }
        let now = reactor.now().tick;
        let Some(slot) = self.clients.admit(stream, sender, now, reactor.registry()) else {
            ledger.refuse_connection(WarningKind::Closed(self.full));
            return None;
        };
        let deadline = self.clients.deadline(slot, self.idle_timeout);
        reactor.set(Timer::Idle(T::source(slot)), deadline);
        Some(slot)
    }
}
