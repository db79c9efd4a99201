//! The server: its parts, the loop that drives them, and what they do together.
//!
//! ```text
//!             ┌──────────────────────── Server ────────────────────────┐
//!  sockets ──▶│ Reception ──lines──▶ Pipeline ──chunks──▶ its sinks ──▶│──▶ carbon, …
//!  operator ─▶│ AdminPort ──reads, deletes──▶ Pipeline                 │
//!  signals ──▶│ Signals ──▶ Life: configuration, reload, stop, state   │
//!             │ Reactor: poller, timers, clocks, passed to each part   │
//!             └────────────────────────────────────────────────────────┘
//! ```
//! `Server::turn` is the loop. Read it first.
//!
//! No part imports another one, but for the reactor, which they take as an argument (`tests/tidy`
//! checks that). So each part is built and tested without the others, and only `Server` connects
//! them. What only one part uses is in the folder of its name. The files beside them are for all.
//!
//! [`once`] and [`start_check`] are not parts of the loop: they run once, and the process ends.

mod accept;
mod admin_port;
mod config_warnings;
mod descriptors;
mod drain_limit;
mod life;
mod once;
mod open_interval;
mod outputs;
mod pipeline;
mod reactor;
mod received_signals;
mod reception;
mod server_error;
mod signals;
#[cfg(test)]
mod simulation;
mod stages;
mod start_check;

use std::io;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use self::admin_port::AdminPort;
use self::descriptors::Descriptors;
use self::life::notify;
use self::life::state_saver::{self, StateSaver};
use self::life::{Life, PendingReload, Request, refuse_reload};
pub use self::once::{StdinOutcome, dry_run, flush_stdin};
use self::outputs::SinkResources;
use self::pipeline::Pipeline;
use self::reactor::{Reactor, Timer};
use self::received_signals::ReceivedSignals;
use self::reception::Reception;
use self::reception::listeners::Listeners;
pub use self::server_error::ServerError;
use self::signals::Signals;
use self::stages::Stages;
pub use self::start_check::{Finding, FindingKind, check_start};
use crate::admin::View;
use crate::args::VERSION;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Origin};
use crate::figures::{self, RecentFigures, ServerParts};
use crate::flush::Schedule;
use crate::ingest::bind;
use crate::logging;
use crate::privileges;
use crate::random;
use crate::series::Seeds;
use crate::state::{SavedState, StateHead};
use crate::sys;
use crate::time::Now;
use crate::token::EventSource;

/// The whole server. It owns every descriptor, every timer and both clocks.
#[derive(Debug)]
pub struct Server<C = SystemClock> {
    reactor: Reactor<C>,
    signals: Signals,
    reception: Reception,
    pipeline: Pipeline,
    admin: AdminPort,
    life: Life,
    descriptors: Descriptors,
    /// What the server remembers of the figures of all its parts.
    figures: RecentFigures,
}

/// The time for input in a turn, and in the poll before a tick. It may be exceeded by the share of
/// the source that is read last, which is bounded in bytes.
const INPUT_SLICE: Duration = Duration::from_millis(1);
/// Timers that fire in one turn. The rest fire in the next.
const TIMERS_PER_TURN: usize = 256;

/// The first attempts to connect are over after this time. So the address of the page is the last
/// line that a start logs, where a person looks for it.
const SHOW_PAGE_AFTER: Duration = Duration::from_millis(300);

/// What a server gets from its process and from the system when it starts.
#[derive(Debug)]
struct Resources<C> {
    reactor: Reactor<C>,
    signals: Signals,
    listeners: Listeners,
    sinks: SinkResources,
    descriptors: Descriptors,
    seeds: Seeds,
}

impl Server {
    /// Opens and binds everything. After this the server can run.
    pub fn start(config: Config, origin: Origin) -> Result<Self, ServerError> {
        sys::merge_freed_blocks_at_once();
        let descriptors = Descriptors::count();
        let reactor = Reactor::new(SystemClock::start()).map_err(ServerError::Poll)?;
        let signals = Signals::of_process(reactor.registry()).map_err(ServerError::Poll)?;
        let identity = privileges::look_up(&config.user, &config.group)?;
        let passed = bind::take_passed().map_err(ServerError::Passed)?;
        let listeners = Listeners::open(&config, passed, reactor.registry())?;
        listeners.give_files_to(identity.owner())?;
        let mut sinks = SinkResources::open(&config)?;
        sinks.account = identity.account().map(Rc::new);
        identity.assume()?; // the state and the spools belong to the new user
        let seeds = random::seeds();
        let resources = Resources { reactor, signals, listeners, sinks, descriptors, seeds };
        Self::assemble(config, origin, resources)
    }

    /// Runs until a signal stops it.
    pub fn run(mut self) -> io::Result<()> {
        self.begin();
        while !self.life.is_over() {
            self.wait()?;
            self.turn();
        }
        Ok(())
    }
}

impl<C: Clock> Server<C> {
    /// One turn of the loop. Every step is bounded. A step that could go on makes the next wait a
    /// short one. The order of the steps is policy.
    fn turn(&mut self) {
        // Events only note what is ready.
        self.serve_events();
        // Input before timers, so that a flush holds all that came before its tick.
        self.receive();
        self.fire_timers();
        if self.life.is_running() {
            // The sweep first, since a save, a reload and a late tick wait for its end.
            self.pipeline.sweep(&mut self.reactor);
            self.pipeline.flush_keys(self.life.config(), &mut self.reactor);
            self.life.save_gauges(self.pipeline.engine(), &mut self.reactor);
            // Warnings are logged in the turn after the reload, so that neither turn takes long.
            if self.life.take_unreported() {
                self.log_config_warnings();
            }
            // A reload before a late tick. Otherwise a server whose sweeps take longer than its
            // interval would never reload.
            self.finish_reload();
            let Self { reactor, reception, pipeline, life, .. } = &mut *self;
            reception.close_retired(life.config(), pipeline, reactor);
            self.tick_if_deferred();
        }
        // The sinks after all that makes chunks, so that these are sent in this turn.
        self.serve_admin();
        self.pipeline.pump(&mut self.reactor);
        // What follows depends on the sinks.
        self.pipeline.reap(&mut self.reactor);
        self.pipeline.log_warnings(self.reactor.now().tick);
        self.end_stop_if_due();
    }

    fn serve_events(&mut self) {
        while let Some(source) = self.reactor.next_event() {
            self.serve(source);
        }
    }

    /// Handles an event of the poller. Input is only noted: it has its own share of the turn.
    fn serve(&mut self, source: EventSource) {
        match source {
            EventSource::Signals => {
                let received = self.signals.take();
                self.serve_signals(received);
            }
            EventSource::AdminClient(client) => self.admin.ready(client),
            EventSource::Sink(index, generation) => {
                self.pipeline.ready(index, generation, &self.reactor);
            }
            EventSource::AdminListener(index) => self.admin.note_listener(index),
            EventSource::Datagrams(_) | EventSource::Listener(_) | EventSource::Connection(_) => {
                // A stop has closed these sockets. An event of the same turn must not bring them
                // back.
                if self.life.is_running() {
                    self.reception.note_event(source, &mut self.reactor);
                }
            }
        }
    }

    /// Begins a stop or a reload if a signal has requested it.
    fn serve_signals(&mut self, received: ReceivedSignals) {
        if received.child {
            self.pipeline.note_ended_child();
        }
        match self.life.request(received, self.reactor.now()) {
            Some(Request::Stop) => self.begin_stop(),
            Some(Request::Reload) => {
                if let Some(wanted) = self.life.begin_reload() {
                    self.pipeline.log_wait_of(wanted);
                }
            }
            None => {}
        }
    }

    fn receive(&mut self) {
        let Self { reactor, reception, pipeline, life, .. } = self;
        reception.receive(INPUT_SLICE, life.config(), pipeline, reactor);
    }

    fn serve_admin(&mut self) {
        self.serve_admin_clients();
        let Self { reactor, reception, pipeline, admin, life, .. } = self;
        // New clients come last. Only after the connected ones had their turn is it known which of
        // those are idle, and may be closed for a new one.
        for index in admin.take_waiting() {
            if let Some(listener) = reception.admin_listener(index) {
                admin.accept(index, listener, life.config(), pipeline.ledger(), reactor);
            }
        }
    }

    /// Remembers the figures, and then serves the clients of the admin port, with a view of what
    /// they show and change.
    fn serve_admin_clients(&mut self) {
        let Self { reactor, reception, pipeline, admin, life, figures, .. } = self;
        let is_stopping = !life.is_running();
        let interval_began = pipeline.open_interval().start;
        let flush = pipeline.flush_figures();
        let (Stages { engine, encoders, sinks }, watch) = pipeline.for_admin();
        let mut server = ServerParts {
            engine,
            sinks,
            flush,
            datagrams: &reception.listeners().datagrams,
            streams: &reception.listeners().streams,
            admin_listeners: &reception.listeners().admin,
            connections: reception.connections_in_use(),
            admin_clients: admin.clients_in_use(),
            admin_bytes: admin.bytes(),
            config: life.config(),
            recent: figures,
            last_input: reception.last_input(),
            now: reactor.now(),
        };
        figures::remember(&mut server);
        let origin = life.origin();
        let view =
            |health| View { server, encoders, watch, health, is_stopping, interval_began, origin };
        admin.serve(view, reactor);
    }

    /// Fires the timers that are due, at most [`TIMERS_PER_TURN`].
    fn fire_timers(&mut self) {
        for _ in 0..TIMERS_PER_TURN {
            match self.reactor.pop_due() {
                Some(timer) => self.fire(timer),
                None => return,
            }
        }
        self.reactor.turn_again();
    }

    /// Does the work of a timer that is due. During a stop, most timers are ignored.
    fn fire(&mut self, timer: Timer) {
        if !self.life.is_running() && !timer.serves_stop() {
            return;
        }
        let Self { reactor, reception, pipeline, admin, life, .. } = self;
        match timer {
            Timer::Flush => {
                if !pipeline.defer_tick_if_sweeping() {
                    self.tick();
                }
            }
            // These only woke the loop up, because `turn` does their work anyway.
            Timer::Sweep | Timer::Sink(_) | Timer::Stop | Timer::Retired => {}
            Timer::KeyFlush => pipeline.begin_key_flush(life.config(), reactor),
            Timer::Save => life.begin_save(pipeline.open_interval(), reactor),
            Timer::IdleConnection(slot) => {
                reception.check_idle(slot, life.config(), pipeline, reactor);
            }
            Timer::IdleAdminClient(slot) => {
                admin.check_idle(slot, life.config(), pipeline.ledger(), reactor);
            }
            Timer::ShowPage => {
                let page =
                    reception.listeners().page_address().filter(|_| life.config().admin.http);
                if let Some(page) = page {
                    log::info!(page; "a web page shows what the server receives and sends");
                }
            }
            Timer::Watchdog => life.feed_watchdog(reactor),
            Timer::Listener(index) => reception.retry_listener(index),
            Timer::AdminListener(index) => admin.note_listener(index),
            Timer::Datagrams(index) => reception.retry_datagrams(index),
        }
    }

    /// Ends the open interval. Polls and reads once more before, for at most [`INPUT_SLICE`]. What
    /// is not read in that time counts in the next interval.
    fn tick(&mut self) {
        if self.reactor.poll_now().is_ok() {
            self.serve_events();
            self.receive();
        }
        if !self.life.is_running() {
            return; // the poll found a signal: the stop has ended the interval
        }
        self.reception.count_drops(&mut self.pipeline);
        self.end_interval();
    }

    fn end_interval(&mut self) {
        self.pipeline.note_stall(self.life.take_stall());
        self.pipeline.tick(&mut self.reactor);
    }

    /// Does a tick that was deferred to the end of the sweep, unless a save of the gauges is under
    /// way, which must not be starved.
    fn tick_if_deferred(&mut self) {
        if self.pipeline.is_deferred_tick_due() && !self.life.is_saving() {
            self.tick();
        }
    }

    /// Takes over what the run before left. Its interval ends at once if its time is over.
    fn take_over(&mut self, found: &SavedState) {
        self.reception.resume_drops(&state_saver::decode_drops(found));
        let restored = self.pipeline.restore(found);
        let is_over = state_saver::is_interval_over(found, self.reactor.now());
        state_saver::log_restored(found, &restored, is_over);
        state_saver::mark_restored(found);
        if is_over {
            self.end_interval();
        }
    }

    /// Applies a pending reload, between two sweeps: all of it or nothing.
    ///
    /// ```text
    ///  SIGHUP ─▶ read, checked ─▶ waits for the end of the sweep ─▶ bound, opened ─▶ applied
    ///                 │ a mistake                                        │ an address is taken
    ///                 └────────────────▶ nothing changes ◀───────────────┘
    /// ```
    fn finish_reload(&mut self) {
        let pipeline = &self.pipeline;
        let pending = self.life.take_pending_if(|config| pipeline.can_take(config));
        let Some(PendingReload { config: wanted, origin }) = pending.map(|pending| *pending) else {
            return;
        };
        let running = config::applicable(self.life.config(), &wanted);
        match self.apply(&running) {
            Ok(()) => {
                self.life.finish_reload(running, &wanted, origin);
                self.reactor.turn_again(); // for the warnings about it
            }
            Err(error) => refuse_reload(&origin, &error),
        }
    }

    /// All steps that can fail come first. `rebind` is the last of them, and the only one that may
    /// have closed a listener when it fails. It binds that listener again.
    fn apply(&mut self, config: &Config) -> Result<(), ServerError> {
        let Self { reactor, reception, pipeline, admin, life, descriptors, .. } = self;
        let opened = pipeline.open_for(config, &life.config().spool)?;
        let state = life.open_state_of(config)?;
        reception.rebind(config, life.config(), pipeline, reactor)?;
        logging::set_format(config.log_format);
        logging::set_level(config.log_level);
        pipeline.reconfigure(config, life.config(), opened, reactor);
        let limits = descriptors.client_limits(config, pipeline.sinks().len());
        reception.set_limit(limits.connections, config, reactor);
        admin.set_limit(limits.admin);
        life.change_state(config, state, reactor);
        Ok(())
    }

    /// Ends a stop when every sink has delivered, or when the time for it is over.
    fn end_stop_if_due(&mut self) {
        let Self { reactor, pipeline, life, .. } = self;
        let now = reactor.now().tick;
        if life.is_stop_due(pipeline.sinks(), now) {
            pipeline.finish_stop(now);
            life.end_stop();
        }
    }

    /// Begins the stop: reads what the kernel still holds, keeps or closes the open interval, and
    /// gives the sinks time to deliver.
    fn begin_stop(&mut self) {
        let Self { reactor, reception, pipeline, life, .. } = self;
        life.begin_stop(reactor);
        let seen = reception.stop(life.config(), pipeline, reactor);
        pipeline.finish_sweep(reactor);
        let open = pipeline.open_interval();
        if !life.save_open_interval(pipeline.engine(), open, &seen) {
            pipeline.close_interval(reactor);
            life.log_closed_early(open.end);
        }
        pipeline.begin_stop(reactor);
    }

    /// Puts the parts together, opens the state and the spools, and takes over what the run before
    /// left.
    fn assemble(
        config: Config,
        origin: Origin,
        resources: Resources<C>,
    ) -> Result<Self, ServerError> {
        let Resources { reactor, signals, listeners, sinks, descriptors, mut seeds } = resources;
        let no_sinks = 0; // they are made below, and none is leaving yet
        let limits = descriptors.client_limits(&config, no_sinks);
        let state_file = state_saver::open(&config.state)?;
        let found = state_saver::load(state_file.as_ref(), &config);
        let open_interval = found.as_ref().filter(|found| !found.gauges_only);
        let schedule =
            first_schedule(&config, open_interval.map(|found| found.head), reactor.now());
        seeds.members = open_interval.map_or(seeds.members, |found| found.head.members);
        let pipeline = Pipeline::open(&config, schedule, seeds, sinks)?;
        let saver = StateSaver::new(&config.state, state_file);
        let mut server = Self {
            reception: Reception::new(listeners, limits.connections),
            admin: AdminPort::new(limits.admin, &config.admin),
            figures: RecentFigures::default(),
            life: Life::new(config, origin, saver, seeds.members),
            descriptors,
            signals,
            pipeline,
            reactor,
        };
        if let Some(found) = found {
            server.take_over(&found);
        }
        server.life.plan_next_save(&mut server.reactor);
        server.pipeline.set_timers(server.life.config(), &mut server.reactor);
        Ok(server)
    }

    /// Prepares for the first turn.
    fn begin(&mut self) {
        notify::ready();
        self.life.feed_watchdog(&mut self.reactor);
        self.pipeline.pump(&mut self.reactor);
        self.reactor.set(Timer::ShowPage, Some(self.reactor.now().tick + SHOW_PAGE_AFTER));
        // There is no client yet, but this also remembers the totals at the start. From these the
        // rates of the first minute are computed. The first turn may come with the first packet,
        // which must not be among them.
        self.serve_admin();
        self.reactor.begin();
    }

    /// Ends a turn, and waits until there is something to do.
    fn wait(&mut self) -> io::Result<()> {
        self.reactor.turn_again_if(self.reception.has_backlog());
        let took = self.reactor.wait()?;
        self.pipeline.note_turn(took);
        self.pipeline.ledger().set_now(self.reactor.now().unix);
        Ok(())
    }

    /// Logs which version starts, and when it will flush.
    pub fn log_start(&self) {
        let first_flush = self.pipeline.open_interval().end;
        let first_flush = UNIX_EPOCH + Duration::from_millis(first_flush.as_millis());
        log::info!(
            start = VERSION.replace(' ', "-"),
            flush_interval:? = self.life.config().flush_interval,
            first_flush:% = humantime::format_rfc3339_millis(first_flush),
            config:% = self.life.origin();
            "the server starts"
        );
    }

    /// Logs a warning for each setting that is legal and probably wrong.
    pub fn log_config_warnings(&self) {
        let passed = self.reception.listeners().passed();
        config_warnings::log_config_warnings(self.life.config(), self.life.origin(), &passed);
    }

    /// Returns the line that reports where the server listens.
    pub fn ready_line(&self) -> String {
        self.reception.listeners().ready_line()
    }
}

/// Returns the schedule of the first interval. An open interval from the run before keeps its end.
fn first_schedule(config: &Config, open_interval: Option<StateHead>, now: Now) -> Schedule {
    match open_interval {
        Some(head) => Schedule::resume(config.flush_interval, config.align_flush, head.end),
        None => Schedule::new(config.flush_interval, config.align_flush, now.unix),
    }
}
