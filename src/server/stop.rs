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
    /// Nothing comes in any more; the sinks have `until` then to deliver.
    Draining {
        since: Tick,
        until: Tick,
    },
    Done,
}

impl Phase {
    /// The time the sinks were given may be over.
    pub(super) fn expire(self, now: Tick) -> Self {
        match self {
            Self::Draining { until, .. } if until <= now => Self::Done,
            other => other,
        }
    }
}

/// A second SIGINT gives up on the sinks. One that comes at once is the same keystroke, passed on by a parent; a second
/// SIGTERM never does, for supervisors repeat it.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a stop reads what the kernel holds on sockets that are about to be closed.
const LAST_LOOK: Duration = Duration::from_millis(200);

impl Server {
    pub(super) fn serve_signals(&mut self) {
        let asked = self.signals.take();
        match self.phase {
            Phase::Running if asked.any() => self.stop(),
            Phase::Draining { since, .. } if asked.interrupt && since + AGAIN <= self.now.tick => {
                log::warn!("stop=hurried reason=\"interrupted again\"");
                self.phase = Phase::Done;
            }
            _ => {}
        }
    }

    fn stop(&mut self) {
        log::info!("stop=begun timeout_ms={}", self.shutdown_timeout.as_millis());
        let since = self.now.tick;
        self.phase = Phase::Draining { since, until: since + self.shutdown_timeout };
        self.take_in_the_rest();
        self.keep_interval();
        for sink in &mut self.sinks {
            sink.hurry(self.now, self.poll.registry());
        }
        self.wheel.set(Timer::Flush, None);
        self.wheel.set(Timer::Stop, Some(self.now.tick + self.shutdown_timeout));
    }

    /// Reads until every socket is dry or the time for it is over, then closes them.
    fn take_in_the_rest(&mut self) {
        self.all_inputs().into_iter().for_each(|source| self.backlog.push(source));
        self.receive_for(LAST_LOOK);
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

    /// The open interval goes to the state file, or is closed early.
    fn keep_interval(&mut self) {
        let (engine, encoders, sinks) = (&mut self.engine, &mut self.encoders, &mut self.sinks);
        self.flushing.rest(&self.clock, engine, encoders, sinks);
        if self.flushing.is_waiting() {
            self.flushing.tick(self.now, engine, encoders, sinks); // its end has come while that sweep was under way
            self.flushing.rest(&self.clock, engine, encoders, sinks);
        }
        if !self.save_open_interval() {
            self.close_interval();
        }
    }

    /// The open interval ends early, under the stamp it was due at; a sweep under way is finished first.
    fn close_interval(&mut self) {
        let (engine, encoders, sinks) = (&mut self.engine, &mut self.encoders, &mut self.sinks);
        self.flushing.tick(self.now, engine, encoders, sinks);
        self.flushing.rest(&self.clock, engine, encoders, sinks);
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
        for sink in self.sinks.iter_mut().filter(|sink| !sink.is_drained()) {
            sink.park();
        }
        log::info!("stop=done");
    }
}
