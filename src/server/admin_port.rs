//! The admin port in the loop: its clients come in, and are served together for a slice of a turn.

use std::time::Duration;

use mio::net::TcpStream;

use super::clock::Clock;
use super::token::Source;
use super::{Server, Timer};
use crate::admin::View;
use crate::complaints::Grievance;
use crate::ingest::Drained;
use crate::ingest::allowed::allows;

/// What all admin clients together may take of a turn.
const SLICE: Duration = Duration::from_millis(1);

impl Server {
    pub(super) fn accept_admin(&mut self, index: u16) {
        let (admin, wheel, now) = (&mut self.admin, &mut self.wheel, self.now.tick);
        let (engine, registry) = (&mut self.engine, self.poll.registry());
        let Some(listener) = self.listeners.admin.get_mut(usize::from(index)) else { return };
        let admin_from = &self.admin_from;
        let drained = listener.accept(now, |stream, sender| {
            engine.complaints().hear(sender);
            if !allows(admin_from, sender) {
                return engine.refuse_client();
            }
            let stream = TcpStream::from_std(stream.into());
            match admin.admit(stream, now, registry) {
                Some(Source::AdminClient(slot, generation)) => {
                    let deadline = admin.deadline(slot, generation);
                    wheel.set(Timer::AdminClient(slot, generation), deadline);
                }
                _ => engine.refuse_connection(),
            }
        });
        wheel.set(Timer::AdminListener(index), listener.deadline());
        if let Some(reason) = listener.rests_for() {
            engine.complaints().add(Grievance::AcceptsPaused, reason.as_bytes());
        }
        self.busy |= drained == Drained::More;
        if drained == Drained::More {
            wheel.set(Timer::AdminListener(index), Some(now));
        }
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
    }
}
