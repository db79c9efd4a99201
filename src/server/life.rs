//! The life of the server: the configuration in force, a reload that waits, the stop, and the state
//! that is kept for the next run.
//!
//! `Life` decides what should change and keeps track of it. [`Server`](super::Server) applies the
//! change to the other parts.

pub(super) mod notify;
pub(super) mod state_saver;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use self::state_saver::StateSaver;
use super::drain_limit::DrainLimit;
use super::open_interval::OpenInterval;
use super::reactor::{Reactor, Timer};
use super::received_signals::ReceivedSignals;
use super::server_error::ServerError;
use crate::clock::Clock;
use crate::config::{self, Config, LoadError, Origin};
use crate::engine::Engine;
use crate::ingest::datagrams::DropsSeen;
use crate::sink::Sinks;
use crate::state::StateFile;
use crate::time::{Now, Tick, UnixTime};

/// The configuration in force, and the phase of the server.
#[derive(Debug)]
pub(super) struct Life {
    /// The configuration in force. Other parts borrow it. The engine and the sinks copy the
    /// settings that they keep.
    config: Config,
    origin: Origin,
    /// What a reload has read. It applies once the sweep is over.
    pending: Option<Box<PendingReload>>,
    /// Whether a reload has applied a configuration whose warnings are not logged yet.
    is_unreported: bool,
    phase: Phase,
    saver: Option<StateSaver>,
    /// The key of the hashes of set members, which the next run needs.
    members: [u64; 2],
    /// How often the service manager must be notified that the server is alive.
    watchdog: Option<Duration>,
}

/// A configuration that a reload has read and checked, but not applied.
#[derive(Debug)]
pub(super) struct PendingReload {
    pub(super) config: Config,
    pub(super) origin: Origin,
}

/// What a reload does with the state file.
#[derive(Debug)]
pub(super) enum StateChange {
    /// The settings of the state are the same.
    Same,
    /// The file that is open stays. The new configuration has this path for it.
    Renamed(PathBuf),
    /// Another file. `None` if the new configuration has no file, or one that cannot be used now.
    Other(Option<StateFile>),
}

/// The phase of the server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// A stop has begun: nothing is received any more, and the sinks deliver their chunks.
    Draining(DrainLimit),
    Done,
}

/// What the server must do because of signals, in its present phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Reload,
    Stop,
}

impl Life {
    pub(super) fn new(
        config: Config,
        origin: Origin,
        saver: Option<StateSaver>,
        members: [u64; 2],
    ) -> Self {
        Self {
            config,
            origin,
            pending: None,
            is_unreported: false,
            phase: Phase::Running,
            saver,
            members,
            watchdog: notify::watchdog(),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether no stop has begun.
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Interprets signals. A reload that comes with a stop or after it is dropped.
    pub(super) fn request(&mut self, received: ReceivedSignals, now: Now) -> Option<Request> {
        if received.reload && (received.requests_stop() || !self.is_running()) {
            log_dropped_reload();
        }
        match &mut self.phase {
            Phase::Running if received.requests_stop() => Some(Request::Stop),
            Phase::Running if received.reload => Some(Request::Reload),
            Phase::Draining(drain) => {
                drain.note_signals(received, now.tick);
                None
            }
            _ => None,
        }
    }

    /// Notifies the service manager that the server is alive.
    pub(super) fn feed_watchdog<C: Clock>(&self, reactor: &mut Reactor<C>) {
        if let Some(span) = self.watchdog {
            notify::alive();
            reactor.set(Timer::Watchdog, Some(reactor.now().tick + span));
        }
    }

    /// Reads the configuration again. If it has mistakes they are logged, and nothing changes. A
    /// reload that is pending stays so. Returns the new configuration.
    pub(super) fn begin_reload(&mut self) -> Option<&Config> {
        notify::reloading();
        match config::reload(&self.origin) {
            Ok((config, origin)) => {
                let pending = PendingReload { config, origin };
                Some(&self.pending.insert(pending.into()).config)
            }
            Err(failure) => {
                refuse_file(&self.origin, &failure, self.pending.is_some());
                None
            }
        }
    }

    /// Takes the pending configuration if it can be applied now.
    pub(super) fn take_pending_if(
        &mut self,
        is_applicable: impl FnOnce(&Config) -> bool,
    ) -> Option<Box<PendingReload>> {
        self.pending.take_if(|pending| is_applicable(&pending.config))
    }

    /// Ends a reload that was applied as `running`. What only a start can apply stays as it was.
    pub(super) fn finish_reload(&mut self, running: Config, wanted: &Config, origin: Origin) {
        let later = config::difference(&running, wanted).join(" ");
        if !later.is_empty() {
            log::warn!(
                reload = "partial",
                unchanged = later,
                reason = "these keys apply at a start only",
                hint = "restart the server to apply them";
                "a part of the new configuration was not applied"
            );
        }
        let changed = config::difference(&self.config, &running).join(" ");
        log::info!(reload = "done", changed; "the new configuration is in force");
        self.config = running;
        self.origin = origin;
        self.is_unreported = true;
        notify::ready();
    }

    /// Whether the warnings about a new configuration must be logged now. They are logged once.
    pub(super) fn take_unreported(&mut self) -> bool {
        std::mem::take(&mut self.is_unreported)
    }

    /// Returns what a new configuration does with the state file. Opens its file, unless that is
    /// the one already open.
    pub(super) fn open_state_of(&self, config: &Config) -> Result<StateChange, ServerError> {
        if config.state == self.config.state {
            return Ok(StateChange::Same);
        }
        match (&self.saver, &config.state.file) {
            (Some(saver), Some(path)) if saver.is_at(path) => {
                Ok(StateChange::Renamed(path.clone()))
            }
            _ => state_saver::open(&config.state).map(StateChange::Other),
        }
    }

    /// Continues with the state file of a new configuration. `change` is what
    /// [`Self::open_state_of`] returned.
    pub(super) fn change_state<C: Clock>(
        &mut self,
        config: &Config,
        change: StateChange,
        reactor: &mut Reactor<C>,
    ) {
        match change {
            StateChange::Same => return,
            StateChange::Renamed(path) => {
                if let Some(saver) = &mut self.saver {
                    saver.rename(path);
                }
            }
            StateChange::Other(file) => {
                self.saver = StateSaver::new(&config.state, file);
            }
        }
        self.plan_save_of(&config.state, reactor);
    }

    /// Sets the time of the next save of the gauges.
    pub(super) fn plan_next_save<C: Clock>(&self, reactor: &mut Reactor<C>) {
        self.plan_save_of(&self.config.state, reactor);
    }

    fn plan_save_of<C: Clock>(&self, config: &config::State, reactor: &mut Reactor<C>) {
        let interval = config.interval.filter(|_| self.saver.is_some());
        let deadline = interval.map(|interval| reactor.now().tick + interval);
        reactor.set(Timer::Save, deadline);
    }

    /// Begins a save of the gauges.
    pub(super) fn begin_save<C: Clock>(&mut self, open: OpenInterval, reactor: &mut Reactor<C>) {
        if let Some(saver) = &mut self.saver {
            saver.begin(open, self.members);
        }
        self.plan_next_save(reactor);
    }

    /// Does a slice of a save of the gauges.
    pub(super) fn save_gauges<C: Clock>(&mut self, engine: &Engine, reactor: &mut Reactor<C>) {
        if let Some(saver) = &mut self.saver {
            saver.step(engine, reactor);
        }
    }

    /// Whether a save of the gauges is under way.
    pub(super) fn is_saving(&self) -> bool {
        self.saver.as_ref().is_some_and(StateSaver::is_saving)
    }

    /// Returns the longest call to the disk that a save made since the last time.
    pub(super) fn take_stall(&mut self) -> Duration {
        self.saver.as_mut().map_or(Duration::ZERO, StateSaver::take_stall)
    }

    /// Begins the stop. Drops what a stop does not need: a reload would bind sockets that are never
    /// read, and a save of the gauges would replace the interval that the stop saves.
    /// [`Timer::serves_stop`] does the same for timers.
    pub(super) fn begin_stop<C: Clock>(&mut self, reactor: &mut Reactor<C>) {
        let patience = self.config.shutdown_timeout;
        log::info!(stop = "begun", timeout_ms = patience.as_millis(); "the server is stopping");
        notify::stopping();
        let now = reactor.now().tick;
        self.phase = Phase::Draining(DrainLimit::new(now, patience));
        reactor.set(Timer::Stop, Some(now + patience));
        if self.pending.take().is_some() {
            log_dropped_reload();
        }
        self.saver.iter_mut().for_each(StateSaver::end_save);
    }

    /// Saves the open interval for the next run. Returns `false` if it is not saved, so that it
    /// must be closed early. No sweep may be under way.
    pub(super) fn save_open_interval(
        &mut self,
        engine: &Engine,
        open: OpenInterval,
        seen: &[DropsSeen],
    ) -> bool {
        let saver = self.saver.as_mut();
        saver.is_some_and(|saver| saver.save_open_interval(engine, open, self.members, seen))
    }

    /// Logs that the open interval was closed early, because it is not saved.
    pub(super) fn log_closed_early(&self, end: UnixTime) {
        let (reason, remedy) = if self.saver.is_some() {
            ("the open interval could not be saved", "see the error before this line")
        } else {
            ("no state_file is set", "set [statsd] state_file")
        };
        log::warn!(
            stop = "interval_closed_early",
            stamp = end.as_secs(),
            reason,
            hint:% = format_args!(
                "{remedy}; a start before that stamp sends the interval a second time, and Graphite keeps only the second value"
            );
            "the open interval was flushed before its end"
        );
    }

    /// Whether a stop can end: every sink has delivered, or the time for it is over.
    pub(super) fn is_stop_due(&self, sinks: &Sinks, now: Tick) -> bool {
        matches!(&self.phase, Phase::Draining(drain) if drain.is_over(sinks, now))
    }

    /// Ends the stop. The loop ends after this turn.
    pub(super) fn end_stop(&mut self) {
        self.phase = Phase::Done;
        log::info!(stop = "done"; "the server has stopped");
    }
}

/// Logs that a reload was requested too late: the server is stopping.
fn log_dropped_reload() {
    log::warn!(
        reload = "dropped",
        reason = "the server is stopping",
        hint = "the next start reads the file again";
        "the configuration was not reloaded"
    );
}

/// Ends a reload whose file cannot be used: logs why, one line for each mistake. The service
/// manager waits for READY after every reload, so it is notified, too. If an earlier reload is
/// pending, the end of that one notifies it.
fn refuse_file(origin: &Origin, why: &LoadError, is_one_pending: bool) {
    let state = if is_one_pending {
        "an earlier reload is pending and applies after a flush"
    } else {
        "nothing has changed"
    };
    log_refusal(origin, why, state, "fix the file, test it with statsd --check");
    if !is_one_pending {
        notify::ready();
    }
}

/// Ends a reload whose file has no mistake, but which cannot be applied, because an address is
/// taken for example.
pub(super) fn refuse_reload(origin: &Origin, why: &ServerError) {
    let state = match why {
        ServerError::ListenerLost(_) => "a listener is closed, see the error before this line",
        _ => "nothing has changed",
    };
    log_refusal(origin, why, state, "remove the cause");
    notify::ready();
}

/// Logs why a reload was refused, one line for each mistake. `state` is what is in force now.
fn log_refusal(origin: &Origin, why: &dyn fmt::Display, state: &str, remedy: &str) {
    let path = origin.to_string();
    for line in why.to_string().lines() {
        log::error!(
            reload = "refused",
            config = path,
            reason = line,
            hint:% = format_args!("{state}; {remedy}, and reload again");
            "the configuration was not reloaded"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::sink::testing::logged;
    use crate::time::{Tick, UnixTime};

    const SIGTERM: ReceivedSignals =
        ReceivedSignals { interrupt: false, terminate: true, reload: false, child: false };
    const SIGINT: ReceivedSignals =
        ReceivedSignals { interrupt: true, terminate: false, ..SIGTERM };
    const SIGHUP: ReceivedSignals = ReceivedSignals { reload: true, terminate: false, ..SIGTERM };

    fn at(millis: u64) -> Now {
        Now { tick: Tick::from_millis(millis), unix: UnixTime::from_secs(1_000_000) }
    }

    fn life() -> Life {
        let config = Config { destinations: Vec::new(), ..Config::default() };
        Life::new(config, Origin::default(), None, [1, 2])
    }

    #[test]
    fn a_stop_goes_before_a_reload_and_nothing_follows_it_but_its_end() {
        let mut life = life();
        assert_eq!(life.request(SIGHUP, at(0)), Some(Request::Reload));
        let both = ReceivedSignals { reload: true, ..SIGTERM };
        assert_eq!(life.request(both, at(0)), Some(Request::Stop));
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        life.begin_stop(&mut reactor);
        assert!(!life.is_running() && !life.is_over());
        assert_eq!(life.request(SIGHUP, at(0)), None);
        assert_eq!(life.request(SIGTERM, at(0)), None);
    }

    #[test]
    fn a_stop_ends_when_no_destination_holds_data() {
        let mut life = life();
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let sinks = Sinks::default();
        assert!(!life.is_stop_due(&sinks, reactor.now().tick), "no stop has begun");
        life.begin_stop(&mut reactor);
        assert_eq!(life.request(SIGINT, reactor.now()), None, "the keystroke that began it");
        assert!(life.is_stop_due(&sinks, reactor.now().tick) && !life.is_over());
        life.end_stop();
        assert!(life.is_over());
    }

    #[test]
    fn a_refused_reload_shows_what_has_changed_and_what_to_fix() {
        logged();
        let origin = Origin::default();
        refuse_file(&origin, &LoadError::NoFile, false);
        refuse_reload(&origin, &ServerError::TooManyLeaving(80));
        refuse_reload(&origin, &ServerError::ListenerLost(ServerError::TooManyLeaving(80).into()));
        let lines = logged().into_iter().map(|(_, line)| line);
        let hints: Vec<_> =
            lines.filter_map(|line| Some(line.split_once("hint=")?.1.to_owned())).collect();
        assert_eq!(
            hints,
            [
                "\"nothing has changed; fix the file, test it with statsd --check, and reload again\"",
                "\"nothing has changed; remove the cause, and reload again\"",
                "\"a listener is closed, see the error before this line; remove the cause, and reload again\"",
            ]
        );
    }

    #[test]
    fn a_reload_of_the_running_configuration_needs_no_other_state_file() {
        let life = life();
        assert!(matches!(life.open_state_of(life.config()), Ok(StateChange::Same)));
    }
}
