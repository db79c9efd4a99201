//! The stop: take in what the kernel still holds, close the interval early, and give the sinks time to deliver it.

use std::time::Duration;

use sd_notify::NotifyState;

use super::backlog::Backlog;
use super::notify;
use super::token::Source;
use super::{Server, Timer};
use crate::ingest::datagrams::DropsSeen;
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

/// A second SIGINT gives up on the sinks. One that comes at once is the same keystroke, passed on by a parent; a second
/// SIGTERM never does, for supervisors repeat it.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a stop reads what the kernel holds on sockets that are about to be closed.
const LAST_LOOK: Duration = Duration::from_millis(200);

impl Server {
    pub(super) fn serve_signals(&mut self) {
        let asked = self.signals.take();
        self.reaper.wake(asked.child);
        match self.phase {
            Phase::Running if asked.any() => self.stop(),
            Phase::Running if asked.reload => self.begin_reload(),
            Phase::Draining { since, .. } if asked.interrupt && since + AGAIN <= self.now.tick => {
                log::warn!("stop=hurried reason=\"interrupted again\"");
                self.phase = Phase::Done;
            }
            _ => {}
        }
    }

    fn stop(&mut self) {
        log::info!("stop=begun timeout_ms={}", self.shutdown_timeout.as_millis());
        notify::tell(&[NotifyState::Stopping]);
        let since = self.now.tick;
        self.phase = Phase::Draining { since, until: since + self.shutdown_timeout };
        let seen = self.take_in_the_rest();
        self.keep_interval(&seen);
        for sink in self.sinks.iter_mut() {
            sink.hurry(self.now, self.poll.registry());
        }
        self.wheel.set(Timer::Flush, None);
        self.wheel.set(Timer::Stop, Some(self.now.tick + self.shutdown_timeout));
    }

    /// Reads until every socket that ends with us is dry or the time for it is over, then closes them. Those passed in keep
    /// what they hold for the next run, which is to know what of their drops was counted.
    fn take_in_the_rest(&mut self) -> Vec<DropsSeen> {
        self.backlog = Backlog::default();
        self.take_received();
        let mut ending = self.listeners.ours();
        ending.extend(self.input.connections.sources());
        self.last_look(&ending);
        let seen = self.listeners.datagrams.iter().filter_map(|(_, socket)| socket.drops_seen());
        let seen = seen.collect();
        let all = self.listeners.all();
        self.listeners.close(&all);
        self.input.connections.clear();
        seen
    }

    /// Reads what these hold, who are about to be closed, for a while. What is left is lost, and said.
    pub(super) fn last_look(&mut self, ending: &[Source]) {
        let is_read = |source: &&Source| !matches!(source, Source::AdminListener(_));
        ending.iter().filter(is_read).for_each(|source| self.backlog.push(*source));
        self.receive_for(LAST_LOOK);
        self.count_drops();
        let unread = ending.iter().filter(|source| self.backlog.has(**source)).count();
        if unread > 0 {
            log::warn!(
                "unread_sockets={unread} reason=\"they held more than could be read in {} ms\" hint=\"what they hold is lost; let clients stop first, or pass sockets in\"",
                LAST_LOOK.as_millis()
            );
        }
    }

    /// The open interval goes to the state file, or is closed early.
    fn keep_interval(&mut self, seen: &[DropsSeen]) {
        let (engine, encoders, sinks) = (&mut self.engine, &mut self.encoders, &mut self.sinks);
        self.flushing.rest(&self.clock, engine, encoders, sinks);
        if self.flushing.is_waiting() {
            self.flushing.tick(self.now, engine, encoders, sinks); // its end has come while that sweep was under way
            self.flushing.rest(&self.clock, engine, encoders, sinks);
        }
        if !self.save_open_interval(seen) {
            self.close_interval();
        }
    }

    /// The open interval ends early, under the stamp it was due at; a sweep under way is finished first.
    pub(super) fn close_interval(&mut self) {
        let (engine, encoders, sinks) = (&mut self.engine, &mut self.encoders, &mut self.sinks);
        self.flushing.tick(self.now, engine, encoders, sinks);
        self.flushing.rest(&self.clock, engine, encoders, sinks);
    }

    /// The stop is done when every sink has delivered or the time for it is over, and reported where one has not.
    pub(super) fn check_stop(&mut self) {
        if let Phase::Draining { until, .. } = self.phase {
            let (now, patient) = (self.now.tick, self.is_patient);
            let waits = |sink: &Sink| {
                (now < until && !sink.is_given_up()) || (patient && sink.is_console())
            };
            if self.sinks.iter().any(|sink| !sink.is_drained() && waits(sink)) {
                return;
            }
            self.phase = Phase::Done;
        }
        if self.phase == Phase::Done {
            self.sinks.iter_mut().filter(|sink| !sink.is_drained()).for_each(Sink::park);
            log::info!("stop=done");
        }
    }
}
