//! The stop: take in what the kernel still holds, close the interval early, and give the sinks time to deliver it.

use std::time::Duration;

use sd_notify::NotifyState;

use super::backlog::Backlog;
use super::notify;
use super::state::State;
use super::{Server, Timer};
use crate::ingest::datagrams::DropsSeen;
use crate::sink::Sink;
use crate::time::Tick;
use crate::token::Source;

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
pub(super) const LAST_LOOK: Duration = Duration::from_millis(200);

impl Server {
    pub(super) fn serve_signals(&mut self) {
        let asked = self.signals.take();
        self.reaper.wake(asked.child);
        if asked.reload && (asked.any() || self.phase != Phase::Running) {
            log_dropped_reload();
        }
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
        self.drop_pending_work();
        let seen = self.take_in_the_rest();
        self.keep_interval(&seen);
        for sink in self.sinks.iter_mut() {
            sink.drain(self.now, self.poll.registry());
        }
        self.wheel.set(Timer::Flush, None);
        self.wheel.set(Timer::Stop, Some(self.now.tick + self.shutdown_timeout));
    }

    /// Drops pending work that a stop does not need. A reload would bind sockets that are never
    /// read, and a save of the gauges would replace the interval that the stop saves.
    ///
    /// [`Timer::serves_stop`] does the same for timers.
    fn drop_pending_work(&mut self) {
        if self.wanted.take().is_some() {
            log_dropped_reload();
        }
        self.key_flush = None;
        self.state.iter_mut().for_each(State::abandon_save);
    }

    /// Reads until every socket that ends with us is dry or the time for it is over, then closes them. Those passed in keep
    /// what they hold for the next run, which is to know what of their drops was counted.
    fn take_in_the_rest(&mut self) -> Vec<DropsSeen> {
        self.backlog = Backlog::default();
        self.take_received();
        let mut ending = self.listeners.ours();
        ending.extend(self.input.connections.sources());
        ending.iter().for_each(|source| self.push_for_last_look(*source));
        self.receive_for(LAST_LOOK);
        self.count_drops();
        // The backlog also holds connections that were accepted just now. They are closed as well.
        log_unread(self.backlog.take_all().len(), LAST_LOOK);
        let seen = self.listeners.datagrams.iter().filter_map(|(_, socket)| socket.drops_seen());
        let seen = seen.collect();
        let all = self.listeners.all();
        self.listeners.close(&all);
        self.input.connections.clear();
        seen
    }

    /// Reads a source once more before it is closed, except listeners of the admin port.
    pub(super) fn push_for_last_look(&mut self, source: Source) {
        if !matches!(source, Source::AdminListener(_)) {
            self.backlog.push(source);
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
        if self.save_open_interval(seen) {
            return;
        }
        let (_, end) = self.flushing.open_interval();
        self.close_interval();
        let (reason, remedy) = match self.state {
            Some(_) => ("the open interval could not be saved", "see the error before this line"),
            None => ("no state_file is set", "set [statsd] state_file"),
        };
        log::warn!(
            "stop=interval_closed_early stamp={} reason=\"{reason}\" hint=\"{remedy}; a start before that stamp sends the interval a second time, and Graphite keeps only the second value\"",
            end.as_secs()
        );
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
                (now < until && !sink.is_given_up()) || (patient && sink.may_have_slow_reader())
            };
            if self.sinks.iter().any(|sink| !sink.is_drained() && waits(sink)) {
                return;
            }
            self.phase = Phase::Done;
        }
        if self.phase == Phase::Done {
            self.sinks.iter_mut().filter(|sink| sink.needs_spill()).for_each(Sink::spill);
            log::info!("stop=done");
        }
    }
}

fn log_dropped_reload() {
    log::warn!(
        "reload=dropped reason=\"the server is stopping\" hint=\"the next start reads the file\""
    );
}

/// Reports sockets that were closed with data in them.
pub(super) fn log_unread(sockets: usize, time: Duration) {
    if sockets > 0 {
        log::warn!(
            "unread_sockets={sockets} reason=\"they held more than could be read in {} ms; the rest is lost\" hint=\"stop clients first, or let the service manager pass the sockets in\"",
            time.as_millis()
        );
    }
}
