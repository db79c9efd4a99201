//! The loop and what only it has: the poller, the timer wheel, the clocks, signals.
//!
//! ```text
//!  wait ─▶ events ─▶ backlog ─▶ timers ─▶ a slice of the sweep ─▶ admin ─▶ sinks ─▶ wait …
//! ```
//! The order is policy: input before timers, so that a flush holds all that came before its tick; writing last, so that
//! what a turn made goes out in that turn. Every step is bounded, and what it leaves undone makes the next wait short.

mod admin_port;
mod backlog;
mod log_warnings;
mod descriptors;
mod flushing;
mod gather;
mod input;
mod key_flush;
mod listen;
mod messages;
mod notify;
mod outputs;
mod reaper;
mod reload;
mod round;
mod settings;
mod signals;
#[cfg(test)]
mod simulation;
mod start;
mod state;
mod stdin;
mod stop;
pub mod wheel;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use mio::{Events, Poll};
use sd_notify::NotifyState;

use self::backlog::Backlog;
use self::descriptors::Descriptors;
use self::flushing::Flushing;
use self::gather::Gather;
use self::input::Input;
use self::key_flush::KeyFlush;
use self::listen::Listeners;
use self::reaper::Reaper;
use self::reload::Retired;
use self::round::Round;
use self::settings::{random_seeds, settings};
use self::signals::Signals;
pub use self::start::StartError;
use self::state::State;
use self::stop::Phase;
use self::wheel::Wheel;
use crate::admin::{Admin, Health};
use crate::clock::{self, Clock, SystemClock};
use crate::config::{Config, Origin};
use crate::encode::encoders::Encoders;
use crate::engine::Engine;
use crate::flush::Schedule;
use crate::ingest::passed;
use crate::privileges::{self, Login};
use crate::series::Seeds;
use crate::sink::Sinks;
use crate::state::Head;
use crate::time::{Now, Tick};
use crate::token::{Generation, Source};

/// The whole server. It owns every descriptor, every timer and both clocks.
#[derive(Debug)]
pub struct Server {
    poll: Poll,
    events: Events,
    clock: SystemClock,
    /// As of the last look at the poller.
    now: Now,
    /// When the turn began.
    began: Tick,
    started: Now,
    wheel: Wheel<Timer>,
    backlog: Backlog,
    gather: Gather,
    /// Where the sources of a turn are listed; empty between two uses.
    sources: Vec<Source>,
    signals: Signals,
    descriptors: Descriptors,
    listeners: Listeners,
    input: Input,
    admin: Admin,
    engine: Engine,
    encoders: Encoders,
    flushing: Flushing,
    sinks: Sinks,
    round: Round,
    key_flush: Option<KeyFlush>,
    state: Option<State>,
    health: Health,
    /// What holds, and where it came from.
    config: Config,
    origin: Origin,
    /// The configuration that a reload has read and that applies once the sweep is over, and its
    /// origin.
    wanted: Option<Box<(Config, Origin)>>,
    retired: Retired,
    seeds: Seeds,
    shutdown_timeout: Duration,
    /// How often the service manager is told that the loop turns.
    watchdog: Option<Duration>,
    admin_from: Vec<IpNet>,
    reaper: Reaper,
    /// The account that this process has become, if `user` is set.
    account: Option<Rc<Login>>,
    phase: Phase,
    /// A stop waits for whoever reads standard output, however long that takes.
    is_patient: bool,
    /// Something stopped at its budget and could go on at once.
    busy: bool,
}

/// What a deadline is for. One that fires late, or for what is gone, does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timer {
    Flush,
    /// Until then the sinks may hold the sweep.
    Sweep,
    /// Then the listeners that a reload removed are closed at the latest.
    Retired,
    Stop,
    KeyFlush,
    State,
    Sink(u16),
    Connection(u16, Generation),
    AdminClient(u16, Generation),
    StreamListener(u16),
    Watchdog,
    AdminListener(u16),
}

impl Timer {
    /// Whether a stop needs what this timer does. Once a stop has begun, nothing else may act. For
    /// example, a save of the gauges would replace the interval that the stop has just saved.
    fn serves_stop(self) -> bool {
        match self {
            Self::Stop | Self::Sink(_) | Self::AdminClient(..) | Self::Watchdog => true,
            Self::Flush
            | Self::Sweep
            | Self::Retired
            | Self::KeyFlush
            | Self::State
            | Self::Connection(..)
            | Self::StreamListener(_)
            | Self::AdminListener(_) => false,
        }
    }
}

const EVENTS_PER_TURN: usize = 256;
/// What input may take of a turn, and of the look before a tick. It ends with the source that was served last, which is
/// bounded in bytes.
const INPUT_SLICE: Duration = Duration::from_millis(1);
/// Timers fired in one turn; the rest are due in the next.
const TIMERS_PER_TURN: usize = 256;

impl Server {
    /// Binds everything. After this the server can be run.
    pub fn start(config: &Config, origin: &Origin) -> Result<Self, StartError> {
        let descriptors = Descriptors::count();
        let poll = Poll::new()?;
        let clock = SystemClock::start();
        let now = clock.now();
        let signals = Signals::register(poll.registry())?;
        let identity = privileges::look_up(&config.user, &config.group)?;
        let passed = passed::take().map_err(StartError::Passed)?;
        let shares = descriptors.share(config, 0);
        let listeners = Listeners::open(config, passed, poll.registry())?;
        listeners.give_files_to(identity.owner())?;
        let stdout = outputs::stdout(config)?;
        let account = identity.account().map(Rc::new);
        identity.assume()?;
        let mut seeds = random_seeds();
        let state_file = state::open(&config.state)?;
        let found = state::load(state_file.as_ref(), config);
        let open_interval = found.as_ref().filter(|found| !found.gauges_only);
        let schedule = first_schedule(config, open_interval.map(|found| found.head), now);
        seeds.members = open_interval.map_or(seeds.members, |found| found.head.members);
        let encoders = outputs::encoders(config);
        let mut sinks = Sinks::default();
        let new = outputs::new_ones(config, &config.spool, &sinks, stdout)?;
        outputs::add(&mut sinks, new, &encoders, seeds.names[0], account.as_ref());
        let mut server = Self {
            events: Events::with_capacity(EVENTS_PER_TURN),
            now,
            began: now.tick,
            started: now,
            wheel: Wheel::new(),
            backlog: Backlog::default(),
            gather: Gather::default(),
            sources: Vec::new(),
            signals,
            descriptors,
            listeners,
            input: Input::new(config, shares.connections),
            admin: Admin::new(admin_port::limits(config, shares.admin)),
            engine: Engine::new(&settings(config), seeds),
            flushing: Flushing::new(schedule, config.flush_interval),
            sinks,
            round: Round::default(),
            encoders,
            key_flush: KeyFlush::new(&config.key_flush),
            state: State::new(&config.state, state_file, seeds.members),
            health: if config.admin.healthy { Health::Up } else { Health::Down },
            config: config.clone(),
            origin: origin.clone(),
            wanted: None,
            retired: Retired::default(),
            seeds,
            shutdown_timeout: config.shutdown_timeout,
            watchdog: notify::watchdog(),
            admin_from: config.admin.allow_from.clone(),
            reaper: Reaper::default(),
            account,
            phase: Phase::Running,
            is_patient: false,
            busy: false,
            poll,
            clock,
        };
        if let Some(found) = found {
            server.take_over(&found);
        }
        server.set_first_timers();
        Ok(server)
    }

    fn set_first_timers(&mut self) {
        let now = self.now;
        self.plan_state_save();
        self.wheel.set(Timer::Flush, self.flushing.deadline(now));
        let key_flush = self.key_flush.as_ref().map(|keys| keys.deadline(now.tick));
        self.wheel.set(Timer::KeyFlush, key_flush);
    }

    /// The line that tells whoever started the server where it listens.
    pub fn ready_line(&self) -> String {
        self.listeners.ready_line()
    }

    /// Runs until a signal stops it.
    pub fn run(mut self) -> io::Result<()> {
        notify::tell(&[NotifyState::Ready]);
        self.feed_watchdog();
        self.pump_sinks();
        self.turn_until_done()
    }

    fn turn_until_done(&mut self) -> io::Result<()> {
        self.began = self.clock.tick(); // the start is no turn
        while self.phase != Phase::Done {
            self.wait()?;
            self.serve_events();
            self.receive_for(INPUT_SLICE);
            self.fire_timers();
            if self.phase == Phase::Running {
                self.sweep();
                self.flush_keys();
                self.save_state();
                self.finish_reload();
                self.close_retired();
                self.tick_if_late();
            }
            self.serve_admin();
            self.pump_sinks();
            self.busy |= self.reaper.turn(&mut self.sinks);
            self.log_warnings();
            self.check_stop();
        }
        Ok(())
    }

    /// Ends a turn, and sleeps until something happens or is due.
    fn wait(&mut self) -> io::Result<()> {
        let now = self.clock.tick();
        self.flushing.note_turn(now - self.began);
        let idle = !std::mem::take(&mut self.busy) && self.backlog.is_empty();
        let deadline = if idle { self.wheel.deadline() } else { Some(now) };
        let timeout = match if idle { self.gather.nap(now, deadline) } else { None } {
            Some(span) => {
                clock::nap(span);
                Some(Duration::ZERO)
            }
            None => deadline.map(|at| now.until(at)),
        };
        self.look(timeout)?;
        self.began = self.now.tick;
        Ok(())
    }

    /// Asks the poller; an interrupted wait is one without events.
    fn look(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            other => other?,
        }
        self.now = self.clock.now();
        Ok(())
    }

    /// Serves what the poller named, but for input, which waits for its share of the turn's time.
    fn serve_events(&mut self) {
        let mut sources = std::mem::take(&mut self.sources);
        sources.extend(self.events.iter().filter_map(|event| Source::try_from(event.token()).ok()));
        for source in sources.drain(..) {
            self.serve(source);
        }
        self.sources = sources;
    }

    fn serve(&mut self, source: Source) {
        match source {
            Source::Signals => self.serve_signals(),
            // A stop has closed these sockets; an event of the same turn must not bring them back.
            Source::Datagrams(_) | Source::StreamListener(_) | Source::Connection(..)
                if self.phase != Phase::Running => {}
            Source::Datagrams(_) | Source::StreamListener(_) | Source::Connection(..) => {
                self.note_input(source);
                self.backlog.push(source);
            }
            Source::AdminListener(index) => self.admin.note_listener(index),
            Source::AdminClient(slot, generation) => self.admin.ready(slot, generation),
            Source::Sink(index, generation) => {
                if let Some(sink) = self.sinks.at(index) {
                    sink.ready(generation, self.now, self.poll.registry());
                }
            }
        }
    }

    fn fire_timers(&mut self) {
        for _ in 0..TIMERS_PER_TURN {
            match self.wheel.pop_due(self.now.tick) {
                Some(timer) => self.fire(timer),
                None => return,
            }
        }
        self.busy = true;
    }

    fn fire(&mut self, timer: Timer) {
        if self.phase != Phase::Running && !timer.serves_stop() {
            return;
        }
        match timer {
            Timer::Flush if self.flushing.is_due(&mut self.engine) => self.tick(),
            // A tick that waits for the sweep, and work that the end of every turn does anyway.
            Timer::Flush | Timer::Sweep | Timer::Sink(_) | Timer::Stop | Timer::Retired => {}
            Timer::KeyFlush => self.begin_key_flush(),
            Timer::State => self.begin_state_save(),
            Timer::Connection(slot, generation) => self.check_idle(slot, generation),
            Timer::AdminClient(slot, generation) => self.check_idle_admin(slot, generation),
            Timer::Watchdog => self.feed_watchdog(),
            Timer::StreamListener(index) => self.backlog.push(Source::StreamListener(index)),
            Timer::AdminListener(index) => self.admin.note_listener(index),
        }
    }

    /// Ends the open interval: first one bounded look at every socket, so that it holds all that came before.
    fn tick(&mut self) {
        if self.look(Some(Duration::ZERO)).is_ok() {
            self.serve_events();
            self.receive_for(INPUT_SLICE);
        }
        if self.phase != Phase::Running {
            return; // the look found a signal: the stop has closed the interval
        }
        self.count_drops();
        self.end_interval();
    }

    fn end_interval(&mut self) {
        if let Some(state) = &mut self.state {
            self.flushing.note_stall(state.take_stall());
        }
        let (engine, encoders) = (&mut self.engine, &mut self.encoders);
        self.flushing.tick(self.now, engine, encoders, &mut self.sinks);
        self.wheel.set(Timer::Flush, self.flushing.deadline(self.now));
        self.busy = true;
    }

    /// One slice of the sweep, unless a sink holds it.
    fn sweep(&mut self) {
        if !self.engine.is_sweeping() {
            return;
        }
        let now = self.now.tick;
        let holds = self.sinks.iter().any(|sink| sink.holds_sweep(now));
        let held_until = self.flushing.held_until(holds, now);
        self.wheel.set(Timer::Sweep, held_until);
        if held_until.is_some() {
            return;
        }
        self.busy = true;
        let (engine, encoders) = (&mut self.engine, &mut self.encoders);
        self.flushing.slice(&self.clock, engine, encoders, &mut self.sinks);
    }

    /// Does a tick that has waited for the end of the sweep. A reload and a save of the gauges go
    /// first. If each interval ends before the sweep of the one before it, they would otherwise
    /// never find a moment without a sweep.
    fn tick_if_late(&mut self) {
        let is_saving = self.state.as_ref().is_some_and(State::is_saving);
        if self.flushing.is_waiting() && !self.engine.is_sweeping() && !is_saving {
            self.tick();
        }
    }

    fn begin_key_flush(&mut self) {
        let Some(keys) = &mut self.key_flush else { return };
        keys.begin(self.now, &mut self.engine);
        self.wheel.set(Timer::KeyFlush, Some(keys.deadline(self.now.tick)));
    }

    fn flush_keys(&mut self) {
        let now = self.now.tick;
        self.busy |= self.key_flush.as_mut().is_some_and(|keys| keys.step(now));
    }

    /// Serves the destinations, as many as a turn has time for.
    fn pump_sinks(&mut self) {
        self.repeat();
        let Self { round, sinks, wheel, clock, now, phase, busy, .. } = self;
        let (now, registry) = (*now, self.poll.registry());
        *busy |= round.serve(sinks.end(), clock, |index| {
            let Some(sink) = sinks.at(index) else { return false };
            sink.timeout(now, registry);
            *busy |= sink.pump(now, registry);
            wheel.set(Timer::Sink(index), sink.deadline());
            let parts =
                sink.is_spilling() || (*phase == Phase::Running && sink.is_removal_due(now.tick));
            if parts && sink.spill_some() {
                sinks.remove(index);
                wheel.set(Timer::Sink(index), None);
            } else {
                *busy |= parts;
            }
            true
        });
    }
}

/// Returns the schedule of the first interval. An open interval from the run before keeps its end.
fn first_schedule(config: &Config, open_interval: Option<Head>, now: Now) -> Schedule {
    match open_interval {
        Some(head) => Schedule::resume(config.flush_interval, config.align_flush, head.end),
        None => Schedule::new(config.flush_interval, config.align_flush, now.unix),
    }
}
