//! The stop: take in what the kernel still holds, close the interval early, and give the sinks time to deliver it.

use std::time::Duration;

use super::token::Source;
use super::{Server, Timer};
use crate::sink::Sink;
use crate::time::Tick;

/// Where the server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Nothing comes in any more; the sinks deliver until then.
    Draining {
        until: Tick,
    },
    Done,
}

impl Phase {
    /// The time the sinks were given may be over.
    pub(super) fn expire(self, now: Tick) -> Self {
        match self {
            Self::Draining { until } if until <= now => Self::Done,
            other => other,
        }
    }
}

/// How long a stop reads what the kernel holds on sockets that are about to be closed.
const LAST_LOOK: Duration = Duration::from_millis(200);

impl Server {
    pub(super) fn serve_signals(&mut self) {
        match (self.signals.stops(), self.phase) {
            (0, _) => {}
            (_, Phase::Running) => self.stop(),
            // Asked again: whoever asks does not want to wait for the sinks.
            (_, Phase::Draining { .. } | Phase::Done) => self.phase = Phase::Done,
        }
    }

    fn stop(&mut self) {
        log::info!("stop=begun timeout_ms={}", self.shutdown_timeout.as_millis());
        self.phase = Phase::Draining { until: self.now.tick + self.shutdown_timeout };
        self.take_in_the_rest();
        self.close_interval();
        for sink in &mut self.sinks {
            sink.hurry(self.now, self.poll.registry());
        }
        self.wheel.set(Timer::Flush, None);
        self.wheel.set(Timer::Stop, Some(self.now.tick + self.shutdown_timeout));
    }

    /// Reads until every socket is dry or the time for it is over, then closes them.
    fn take_in_the_rest(&mut self) {
        let end = self.clock.tick() + LAST_LOOK;
        let mut sources = self.all_inputs();
        while !sources.is_empty() && self.clock.tick() < end {
            sources.drain(..).for_each(|source| self.receive(source));
            self.backlog.move_to(&mut sources);
        }
        self.count_drops();
        self.listeners.udp.clear();
        self.listeners.tcp.clear();
        self.listeners.admin.clear();
        self.input.connections.clear();
    }

    fn all_inputs(&self) -> Vec<Source> {
        let index = |at: usize| u16::try_from(at).expect("registered with a u16");
        let udp = (0..self.listeners.udp.len()).map(|at| Source::Udp(index(at)));
        let tcp = (0..self.listeners.tcp.len()).map(|at| Source::TcpListener(index(at)));
        tcp.chain(udp).chain(self.input.connections.sources()).collect()
    }

    /// The open interval ends early, under the stamp it was due at; a sweep under way is finished first.
    fn close_interval(&mut self) {
        let (engine, graphite, sinks) = (&mut self.engine, &mut self.graphite, &mut self.sinks);
        self.flushing.rest(&self.clock, engine, graphite, sinks);
        self.flushing.tick(self.now, engine, graphite, sinks);
        self.flushing.rest(&self.clock, engine, graphite, sinks);
    }

    /// The stop is done when every sink has delivered, and reported when one has not.
    pub(super) fn check_stop(&mut self) {
        let delivered = self.sinks.iter().all(Sink::is_drained);
        match self.phase {
            Phase::Running => return,
            Phase::Draining { .. } if delivered => self.phase = Phase::Done,
            Phase::Draining { .. } => return,
            Phase::Done => {}
        }
        for sink in self.sinks.iter().filter(|sink| !sink.is_drained()) {
            let (name, bytes) = (sink.name(), sink.figures().queue_bytes);
            log::warn!(
                "sink={name} state=abandoned lost_bytes={bytes} reason=\"not delivered in time\""
            );
        }
        log::info!("stop=done");
    }
}
