//! The admin port in the loop: its clients come in, and are served together for a slice of a turn.

use std::time::Duration;

use mio::net::TcpStream;

use super::descriptors::Share;
use super::{Server, Timer};
use crate::admin::{AdminLimits, View};
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::Drained;
use crate::ingest::allowed::allows;
use crate::token::{Generation, Source};
use crate::warnings::{CloseReason, WarningKind};

/// What all admin clients together may take of a turn.
const SLICE: Duration = Duration::from_millis(1);

pub(super) fn limits(config: &Config, share: Share) -> AdminLimits {
    let Share { clients, limited_by } = share;
    AdminLimits { clients, limited_by, idle: config.admin.idle_timeout }
}

impl Server {
    fn accept_admin(&mut self, index: u16) {
        let (admin, wheel, now) = (&mut self.admin, &mut self.wheel, self.now.tick);
        let (engine, registry) = (&mut self.engine, self.poll.registry());
        let Some(listener) = self.listeners.admin.get_mut(usize::from(index)) else { return };
        let admin_from = &self.admin_from;
        let drained = listener.accept(now, |stream, sender| {
            engine.warnings().set_sender(sender);
            if !allows(admin_from, sender) {
                return engine.refuse_connection(CloseReason::AdminNotAllowed);
            }
            while let Some((idle, whose)) = admin.make_room() {
                if let Source::AdminClient(slot, generation) = idle {
                    wheel.set(Timer::AdminClient(slot, generation), None);
                }
                engine.warnings().set_sender(whose);
                engine.close_idle_connection(CloseReason::AdminMadeWay);
                engine.warnings().set_sender(sender);
            }
            let stream = TcpStream::from_std(stream.into());
            match admin.admit(stream, sender, now, registry) {
                Some(Source::AdminClient(slot, generation)) => {
                    let deadline = admin.deadline(slot, generation);
                    wheel.set(Timer::AdminClient(slot, generation), deadline);
                }
                _ => engine.refuse_connection(CloseReason::AdminRefused(admin.limited_by())),
            }
        });
        wheel.set(Timer::AdminListener(index), listener.deadline());
        if let Some(reason) = listener.rests_for() {
            engine.warnings().add(WarningKind::AcceptsPaused, reason.as_bytes());
        }
        self.busy = true; // new clients may have sent their first bytes already
        if drained == Drained::More {
            wheel.set(Timer::AdminListener(index), Some(now));
        }
    }

    /// Closes an admin client that was idle, or left its answer unread, for too long. It is counted
    /// and logged.
    pub(super) fn check_idle_admin(&mut self, slot: u16, generation: Generation) {
        if let Some((why, sender)) = self.admin.timeout(slot, generation, self.now.tick) {
            self.engine.warnings().set_sender(sender);
            self.engine.close_idle_connection(why);
        }
        let deadline = self.admin.deadline(slot, generation);
        self.wheel.set(Timer::AdminClient(slot, generation), deadline);
    }

    pub(super) fn serve_admin(&mut self) {
        let (clock, end) = (&self.clock, self.clock.tick() + SLICE);
        let mut view = View {
            engine: &mut self.engine,
            encoders: &mut self.encoders,
            sinks: &self.sinks,
            datagrams: &self.listeners.datagrams,
            health: &mut self.health,
            config: &self.config,
            started: self.started,
            heard: self.input.heard,
            now: self.now,
        };
        self.busy |= self.admin.turn(&mut view, || clock.tick() < end);
        for (slot, generation) in self.admin.take_served() {
            let deadline = self.admin.deadline(slot, generation);
            self.wheel.set(Timer::AdminClient(slot, generation), deadline);
        }
        for index in self.admin.take_listeners() {
            self.accept_admin(index);
        }
    }
}
