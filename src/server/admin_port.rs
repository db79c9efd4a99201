//! The admin port in the loop. It accepts clients, and serves all of them together for a slice of
//! each turn.

use std::time::Duration;

use super::descriptors::Share;
use super::pipeline::Pipeline;
use super::reactor::{Reactor, Timer};
use super::reception::Reception;
use crate::admin::{AdminClients, Health, View};
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::listener::Door as _;
use crate::time::Now;
use crate::token::{Slot, Source};
use crate::warnings::LimitedBy;

/// The clients of the admin port, and what their commands show and change.
#[derive(Debug)]
pub(super) struct AdminPort {
    clients: AdminClients,
    /// Which limit bounds the number of clients.
    limited_by: LimitedBy,
    /// Listeners at which clients may wait.
    waiting: Vec<u16>,
    health: Health,
    started: Now,
}

/// What all admin clients together may take of a turn.
const SLICE: Duration = Duration::from_millis(1);

impl AdminPort {
    pub(super) fn new(share: Share, config: &Config, started: Now) -> Self {
        Self {
            clients: AdminClients::new(share.clients),
            limited_by: share.limited_by,
            waiting: Vec::new(),
            health: if config.admin.healthy { Health::Up } else { Health::Down },
            started,
        }
    }

    /// Sets new limits. Connected clients stay, but get new deadlines.
    pub(super) fn limit(&mut self, share: Share) {
        self.clients.limit(share.clients);
        self.limited_by = share.limited_by;
    }

    /// Notes that clients may wait at a listener. They are accepted after the connected clients
    /// have had their turn, because only then is it known which of those are idle.
    pub(super) fn note_listener(&mut self, listener: u16) {
        self.waiting.push(listener);
    }

    /// Handles an event of a client's socket.
    pub(super) fn ready(&mut self, client: Slot) {
        self.clients.ready(client);
    }

    /// Serves the clients, then accepts new ones.
    pub(super) fn serve<C: Clock>(
        &mut self,
        config: &Config,
        reception: &mut Reception,
        pipeline: &mut Pipeline,
        reactor: &mut Reactor<C>,
    ) {
        let end = reactor.clock().tick() + SLICE;
        let (engine, encoders, sinks) = pipeline.split();
        let mut view = View {
            engine,
            encoders,
            sinks,
            datagrams: reception.datagrams(),
            health: &mut self.health,
            config,
            started: self.started,
            last_input: reception.last_input(),
            now: reactor.now(),
        };
        let more = self.clients.turn(&mut view, || reactor.clock().tick() < end);
        reactor.turn_again_if(more);
        for client in self.clients.take_served() {
            let deadline = self.clients.deadline(client, config.admin.idle_timeout);
            reactor.set(Timer::Idle(Source::AdminClient(client)), deadline);
        }
        for listener in std::mem::take(&mut self.waiting) {
            self.accept(listener, config, reception, pipeline, reactor);
        }
    }

    /// Accepts the waiting clients of a listener. If more may wait, the listener is noted again in
    /// the next turn.
    fn accept<C: Clock>(
        &mut self,
        listener: u16,
        config: &Config,
        reception: &mut Reception,
        pipeline: &mut Pipeline,
        reactor: &mut Reactor<C>,
    ) {
        let clients = &mut self.clients;
        let limited_by = self.limited_by;
        let more = reception.accept_admin(listener, clients, limited_by, config, pipeline, reactor);
        if more {
            reactor.set(Timer::Listener(listener), Some(reactor.now().tick));
        }
        reactor.turn_again_if(true); // new clients may have sent their first bytes already
    }

    /// Closes a client that was idle, or left its answer unread, for too long. It is counted and
    /// logged.
    pub(super) fn check_idle<C: Clock>(
        &mut self,
        client: Slot,
        config: &Config,
        pipeline: &mut Pipeline,
        reactor: &mut Reactor<C>,
    ) {
        let idle = config.admin.idle_timeout;
        if let Some((why, sender)) = self.clients.timeout(client, idle, reactor.now().tick) {
            pipeline.ledger().set_sender(sender);
            pipeline.ledger().close_idle_connection(why);
        }
        let deadline = self.clients.deadline(client, idle);
        reactor.set(Timer::Idle(Source::AdminClient(client)), deadline);
    }
}
