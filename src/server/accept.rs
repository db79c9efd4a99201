//! The accept loop, which clients that send lines and clients of the admin port share.

use std::time::Duration;

use ipnet::IpNet;
use socket2::Socket;

use super::reactor::{Reactor, Timer};
use crate::clock::Clock;
use crate::ingest::ReadOutcome;
use crate::ingest::client_table::ClientTable;
use crate::ingest::listener::Listener;
use crate::ledger::Ledger;
use crate::sender::Sender;
use crate::token::Slot;
use crate::warnings::{CloseReason, WarningKind};

/// How the clients of one kind are admitted.
pub(super) struct Admission<'a, T> {
    pub(super) clients: &'a mut T,
    pub(super) allow_from: &'a [IpNet],
    pub(super) idle_timeout: Option<Duration>,
    /// The timer with which the listener tries again.
    pub(super) retry_timer: Timer,
    /// The timer that closes an idle client.
    pub(super) idle_timer: fn(Slot) -> Timer,
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
        listener: &mut Listener,
        ledger: &mut Ledger,
        reactor: &mut Reactor<C>,
        mut admitted: impl FnMut(&mut T, Slot),
    ) -> ReadOutcome {
        let before = listener.deadline();
        let outcome = listener.accept(reactor.now().tick, |stream, sender| {
            if let Some(slot) = self.admit(stream, sender, ledger, reactor) {
                admitted(self.clients, slot);
            }
        });
        reactor.set(self.retry_timer, listener.deadline());
        // An event in the middle of a pause tries nothing, and the pause has been reported.
        if listener.deadline() != before
            && let Some(error) = listener.paused_by()
        {
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
            reactor.set((self.idle_timer)(slot), None);
            ledger.name_peer(closed);
            ledger.close_idle_connection(self.makes_room);
            ledger.name_peer(sender);
        }
        let now = reactor.now().tick;
        let slot = match self.clients.admit(stream, sender, now, reactor.registry()) {
            Ok(Some(slot)) => slot,
            refused => {
                let why = if refused.is_ok() { self.full } else { CloseReason::NotPolled };
                ledger.refuse_connection(WarningKind::Closed(why));
                return None;
            }
        };
        let deadline = self.clients.deadline(slot, self.idle_timeout);
        reactor.set((self.idle_timer)(slot), deadline);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use socket2::{Domain, Type};

    use super::*;
    use crate::clock::SystemClock;
    use crate::ingest::connections::Connections;
    use crate::warnings::{AllowFrom, LimitedBy, Warning};

    fn admission(clients: &mut Connections) -> Admission<'_, Connections> {
        Admission {
            clients,
            allow_from: &[],
            idle_timeout: None,
            retry_timer: Timer::Listener(0),
            idle_timer: Timer::IdleConnection,
            not_allowed: WarningKind::NotAllowed(AllowFrom::Tcp),
            makes_room: CloseReason::ConnectionIdle,
            full: CloseReason::ConnectionRefused(LimitedBy::MaxConnections),
        }
    }

    /// The poller refuses regular files.
    #[test]
    fn a_client_that_the_poller_refuses_is_not_refused_for_its_number() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let mut ledger = Ledger::default();
        let file = OwnedFd::from(File::open("/proc/self/exe").unwrap());
        let mut connections = Connections::new(1);
        let admitted =
            admission(&mut connections).admit(file.into(), Sender::Unix, &mut ledger, &mut reactor);
        assert_eq!(admitted, None);
        let warnings = ledger.take_last_warnings(reactor.now().tick);
        let [Warning { what, .. }] = &warnings[..] else { panic!("{warnings:?}") };
        assert_eq!(*what, WarningKind::Closed(CloseReason::NotPolled));
    }

    #[test]
    fn a_pause_is_reported_once() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let mut ledger = Ledger::default();
        let mut connections = Connections::new(1);
        let mut admission = admission(&mut connections);
        // A socket that does not listen cannot accept.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let mut listener = Listener::new(socket);
        let mut accept = |reactor: &mut Reactor<SystemClock>| {
            admission.accept(&mut listener, &mut ledger, reactor, |_, _| ());
            listener.deadline().expect("it pauses")
        };
        let pause = accept(&mut reactor);
        assert_eq!(accept(&mut reactor), pause, "events do not prolong it");
        assert_eq!(accept(&mut reactor), pause);
        // The time of the reactor moves on at each poll.
        while reactor.now().tick < pause {
            reactor.set(Timer::Flush, Some(pause));
            reactor.wait().unwrap();
            while reactor.pop_due().is_some() {}
        }
        assert!(accept(&mut reactor) > pause, "it tries again");
        let times = |warning: &Warning| {
            matches!(warning.what, WarningKind::AcceptsPaused(_)).then_some(warning.count)
        };
        let warnings = ledger.take_last_warnings(reactor.now().tick);
        assert_eq!(warnings.iter().filter_map(times).sum::<u64>(), 2);
    }
}
