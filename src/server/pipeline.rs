//! The pipeline: what happens to a sample between its line and its destinations.
//!
//! ```text
//!  lines ──▶ Engine ──tick, sweep──▶ summaries ──▶ Encoders ──chunks──▶ Sinks ──pump──▶ sockets
//!  bytes for repeaters ──▶ Repeated ────────────────chunks──▶ ┘
//! ```
//! The server, `--stdin`, `--dry-run` and the simulation each drive one. Only its sinks own
//! descriptors.

pub(super) mod flushing;
mod key_flush;
mod reaper;
mod sink_round;
mod warning_log;

use std::time::Duration;

use self::flushing::Flushing;
use self::key_flush::KeyFlush;
use self::reaper::Reaper;
use self::sink_round::SinkRound;
use super::open_interval::OpenInterval;
use super::outputs::{self, NewSink, SinkResources};
use super::reactor::{Reactor, Timer};
use super::server_error::ServerError;
use super::stages::{Stages, settings};
use crate::admin::Watch;
use crate::clock::Clock;
use crate::config::{self, Config, Destination, DestinationFeed};
use crate::encode::encoders::Encoders;
use crate::encode::repeated::Repeated;
use crate::engine::{Engine, Restored};
use crate::figures::FlushFigures;
use crate::flush::Schedule;
use crate::ingest::InputHandler;
use crate::ingest::lines::Piece;
use crate::ledger::{Ledger, OwnCounter};
use crate::logging;
use crate::series::Seeds;
use crate::sink::{Feed, Sink, Sinks};
use crate::state::SavedState;
use crate::time::{Now, Tick};
use crate::token::Generation;
use crate::warnings::PacketLoss;

/// The engine, the encoders, the sinks, and the state of the flush between them.
#[derive(Debug)]
pub(super) struct Pipeline {
    stages: Stages,
    /// The packets and lines of this turn, for the repeaters.
    repeated: Repeated,
    flushing: Flushing,
    round: SinkRound,
    reaper: Reaper,
    key_flush: KeyFlush,
    /// The admin clients that see lines as they arrive.
    watch: Watch,
    /// A stop has begun, so no sink is removed any more.
    is_stopping: bool,
    /// The most bytes of all spools together. A reload cannot change it.
    spool_max_size: u64,
    /// Spools may have grown, or there are new ones, since they were compared with
    /// `spool_max_size`.
    must_bound_spools: bool,
    resources: SinkResources,
}

/// What a reload has opened for the pipeline, before anything changes.
#[derive(Debug)]
pub(super) struct OpenedOutputs<'a> {
    encoders: Encoders,
    new: Vec<NewSink<'a>>,
}

impl Pipeline {
    /// Makes the engine and opens all destinations. Fails if a spool or standard output cannot be
    /// opened. `schedule` has the end of the first interval.
    pub(super) fn open(
        config: &Config,
        schedule: Schedule,
        seeds: Seeds,
        mut resources: SinkResources,
    ) -> Result<Self, ServerError> {
        let stdout = resources.stdout.take();
        let mut pipeline = Self::without_sinks(config, schedule, seeds, resources);
        let platform = &*pipeline.resources.platform;
        let new = outputs::open(config, &config.spool, pipeline.sinks(), platform, stdout)?;
        pipeline.add_sinks(new);
        Ok(pipeline)
    }

    /// Makes the engine and the encoders. Opens nothing.
    pub(super) fn without_sinks(
        config: &Config,
        schedule: Schedule,
        seeds: Seeds,
        resources: SinkResources,
    ) -> Self {
        let mut pipeline = Self {
            stages: Stages::new(config, seeds),
            repeated: Repeated::default(),
            flushing: Flushing::new(schedule, config.flush_interval),
            round: SinkRound::default(),
            reaper: Reaper::default(),
            key_flush: KeyFlush::new(),
            watch: Watch::default(),
            is_stopping: false,
            spool_max_size: config.spool.max_size as u64,
            must_bound_spools: false,
            resources,
        };
        pipeline.want_repeated(config);
        pipeline
    }

    fn add_sinks(&mut self, new: Vec<NewSink<'_>>) {
        let Stages { encoders, sinks, .. } = &mut self.stages;
        outputs::add_sinks(sinks, new, encoders, &self.resources);
        self.must_bound_spools = true;
    }

    fn want_repeated(&mut self, config: &Config) {
        self.repeated.want(|transport| {
            let takes = |to: &Destination| to.takes() == DestinationFeed::Packets(transport);
            config.active_destinations().any(takes)
        });
    }

    /// Sets the first timers.
    pub(super) fn set_timers<C: Clock>(&mut self, config: &Config, reactor: &mut Reactor<C>) {
        let now = reactor.now();
        reactor.set(Timer::Flush, self.flushing.begin(now));
        plan_key_flush(config, reactor);
    }

    /// The counters and warnings.
    pub(super) fn ledger(&mut self) -> &mut Ledger {
        self.stages.engine.ledger_mut()
    }

    pub(super) fn sinks(&self) -> &Sinks {
        &self.stages.sinks
    }

    /// What a flush goes through. For a process that flushes once.
    pub(super) fn stages(&mut self) -> &mut Stages {
        &mut self.stages
    }

    /// What the admin port reads and changes.
    pub(super) fn for_admin(&mut self) -> (&mut Stages, &mut Watch) {
        (&mut self.stages, &mut self.watch)
    }

    /// Returns the figures of the last flush.
    pub(super) fn flush_figures(&self) -> FlushFigures {
        self.flushing.figures()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.stages.engine
    }

    /// Parses lines, at most about `share` bytes of them, and shows them to the clients that watch.
    /// Returns the rest.
    #[inline]
    fn parse_share<'a>(&mut self, text: &'a [u8], share: usize) -> &'a [u8] {
        if !self.watch.is_on() {
            return self.stages.engine.lines_up_to(text, share);
        }
        self.watch.lines(&mut self.stages.engine, text, share)
    }

    /// Queues the packets and lines of this turn for the repeaters.
    fn push_repeated(&mut self) {
        for (transport, chunk) in self.repeated.take() {
            self.stages.sinks.push(Feed::Packets(transport), &chunk);
        }
    }

    /// Takes over the series that the run before has saved, and the beginning of its interval.
    pub(super) fn restore(&mut self, found: &SavedState) -> Restored {
        if !found.gauges_only {
            self.flushing.resume(found.head.start);
        }
        self.stages.engine.restore(found.records(), found.head.interval, found.gauges_only)
    }

    /// Handles an event of a sink's descriptor.
    pub(super) fn ready<C: Clock>(
        &mut self,
        sink: u16,
        generation: Generation,
        reactor: &Reactor<C>,
    ) {
        if let Some(sink) = self.stages.sinks.at(sink) {
            sink.ready(generation, reactor.now(), reactor.registry());
        }
    }

    /// Notes the length of a turn of the loop. The longest one is a figure of the next flush.
    pub(super) fn note_turn(&mut self, length: Duration) {
        self.flushing.note_turn(length);
    }

    /// Notes the longest call to the disk since the last flush. `stall` is that of the state saves.
    pub(super) fn note_stall(&mut self, stall: Duration) {
        self.flushing.note_stall(stall.max(self.key_flush.take_stall()));
    }

    /// Defers the tick, whose time has come, if the sweep of the interval before is still under
    /// way, and counts an overrun. Returns whether it did.
    pub(super) fn defer_tick_if_sweeping(&mut self) -> bool {
        self.flushing.defer_tick_if_sweeping(&mut self.stages.engine)
    }

    /// Whether a tick was deferred, and the sweep that it waits for has ended.
    pub(super) fn is_deferred_tick_due(&self) -> bool {
        self.flushing.is_tick_deferred() && !self.stages.engine.is_sweeping()
    }

    pub(super) fn is_sweeping(&self) -> bool {
        self.stages.engine.is_sweeping()
    }

    pub(super) fn open_interval(&self) -> OpenInterval {
        self.flushing.open_interval()
    }

    /// Ends the open interval, and begins the sweep that closes its series.
    pub(super) fn tick<C: Clock>(&mut self, reactor: &mut Reactor<C>) {
        self.flushing.tick(reactor.now(), &mut self.stages);
        reactor.set(Timer::Flush, self.flushing.deadline());
        reactor.turn_again();
    }

    /// Does one slice of the sweep, unless a sink holds it.
    pub(super) fn sweep<C: Clock>(&mut self, reactor: &mut Reactor<C>) {
        if !self.stages.engine.is_sweeping() {
            return;
        }
        let now = reactor.now().tick;
        let holds = self.stages.sinks.iter().any(|sink| sink.holds_sweep(now));
        let held_until = self.flushing.held_until(holds, now);
        reactor.set(Timer::Sweep, held_until);
        if held_until.is_some() {
            return;
        }
        reactor.turn_again();
        self.flushing.sweep_slice(reactor.clock(), &mut self.stages);
        self.must_bound_spools = true;
    }

    /// Ends the sweep that is under way, and the interval whose tick waits for that sweep.
    pub(super) fn finish_sweep<C: Clock>(&mut self, reactor: &Reactor<C>) {
        self.flushing.finish_sweep(reactor.clock(), &mut self.stages);
        if self.flushing.is_tick_deferred() {
            self.close_interval(reactor);
        }
    }

    /// Ends the open interval early, under the stamp that it was due at, and closes all its series.
    pub(super) fn close_interval<C: Clock>(&mut self, reactor: &Reactor<C>) {
        self.flushing.tick(reactor.now(), &mut self.stages);
        self.flushing.finish_sweep(reactor.clock(), &mut self.stages);
    }

    /// Serves the destinations, as many as a turn has time for.
    pub(super) fn pump<C: Clock>(&mut self, reactor: &mut Reactor<C>) {
        self.push_repeated();
        let now = reactor.now();
        let end = self.stages.sinks.index_limit();
        let mut round = std::mem::take(&mut self.round);
        let more = round.serve(end, reactor.clock().tick(), |index| {
            self.pump_one(index, now, reactor).then(|| reactor.clock().tick())
        });
        self.round = round;
        reactor.turn_again_if(more);
        self.must_bound_spools =
            self.must_bound_spools && self.stages.sinks.bound_spools(self.spool_max_size);
        reactor.turn_again_if(self.must_bound_spools);
    }

    /// Returns `false` if there is no sink at this index.
    fn pump_one<C: Clock>(&mut self, index: u16, now: Now, reactor: &mut Reactor<C>) -> bool {
        let Some(sink) = self.stages.sinks.at(index) else { return false };
        sink.timeout(now, reactor.registry());
        let more = sink.pump(now, reactor.registry());
        reactor.turn_again_if(more);
        reactor.set(Timer::Sink(index), sink.deadline());
        let is_leaving = sink.is_spilling() || (!self.is_stopping && sink.is_removal_due(now.tick));
        // The turn after the last share is for a reload, which may wait for the end of this sink.
        reactor.turn_again_if(is_leaving);
        if is_leaving && sink.spill_some() {
            self.stages.sinks.remove(index);
            reactor.set(Timer::Sink(index), None);
        }
        true
    }

    /// Notes that a child process may have ended. [`reap`](Self::reap) checks it in this turn.
    pub(super) fn note_ended_child(&mut self) {
        self.reaper.note_ended_child();
    }

    /// Reaps children that no sink waits for.
    pub(super) fn reap<C: Clock>(&mut self, reactor: &mut Reactor<C>) {
        reactor.turn_again_if(self.reaper.turn(&mut self.stages.sinks));
    }

    /// Begins to write the most frequent names.
    pub(super) fn begin_key_flush<C: Clock>(&mut self, config: &Config, reactor: &mut Reactor<C>) {
        self.key_flush.begin(reactor.now(), &mut self.stages.engine, &config.key_flush);
        plan_key_flush(config, reactor);
    }

    /// Writes a piece of the most frequent names.
    pub(super) fn flush_keys<C: Clock>(&mut self, config: &Config, reactor: &mut Reactor<C>) {
        let now = reactor.now().tick;
        reactor.turn_again_if(self.key_flush.step(now, &config.key_flush));
    }

    /// Logs the warnings that are due: at most one line a minute for each cause and sender.
    pub(super) fn log_warnings(&mut self, now: Tick) {
        self.ledger().count(OwnCounter::LogLinesDropped, logging::take_dropped());
        let warnings = self.ledger().take_warnings(now);
        warning_log::write(&mut self.stages.engine, &warnings);
    }

    /// Whether these settings can be applied now. They cannot during a sweep. Other rules must wait
    /// until a flush has brought the last ones to every series. A destination that comes back with
    /// another protocol must wait until its old sink has ended.
    pub(super) fn can_take(&self, config: &Config) -> bool {
        self.stages.engine.can_take(&config.rules, config.flush_interval)
            && self.sink_to_end_before(config).is_none()
    }

    /// Returns the sink of a removed destination that must end before `config` is applied.
    fn sink_to_end_before(&self, config: &Config) -> Option<&Sink> {
        let must_end =
            |sink: &&Sink| config.active_destinations().any(|to| sink.must_end_before(to));
        self.sinks().iter().find(must_end)
    }

    /// Logs that a reload has to wait for the sink of a removed destination, if it has to.
    pub(super) fn log_wait_of(&self, config: &Config) {
        if let Some(sink) = self.sink_to_end_before(config) {
            log::warn!(
                reload = "pending",
                sink = sink.name(),
                reason = "the destination comes back with another protocol, and what it still delivers has the old one",
                hint = "wait: the reload applies when the old destination has ended, at the latest after shutdown_timeout; or give the new one another name";
                "the reload waits for a removed destination"
            );
        }
    }

    /// Opens what a reload needs. `spool` is the folder of the running configuration, which a
    /// reload cannot change.
    pub(super) fn open_for<'a>(
        &self,
        config: &'a Config,
        spool: &config::Spool,
    ) -> Result<OpenedOutputs<'a>, ServerError> {
        let platform = &*self.resources.platform;
        let new = outputs::open(config, spool, self.sinks(), platform, None)?;
        Ok(OpenedOutputs { encoders: outputs::encoders(config), new })
    }

    /// Applies a configuration. The sinks of its destinations get their settings. Sinks of removed
    /// destinations get `shutdown_timeout` to deliver.
    pub(super) fn reconfigure<C: Clock>(
        &mut self,
        config: &Config,
        running: &Config,
        opened: OpenedOutputs<'_>,
        reactor: &mut Reactor<C>,
    ) {
        self.stages.engine.reconfigure(&settings(config));
        self.flushing.reconfigure(config.flush_interval, config.align_flush);
        reactor.set(Timer::Flush, self.flushing.deadline());
        self.push_repeated(); // for the repeaters of the configuration before
        self.want_repeated(config);
        self.stages.encoders = opened.encoders;
        self.watch.reconfigure();
        self.reconfigure_sinks(config, &running.spool, reactor);
        self.add_sinks(opened.new);
        if config.key_flush != running.key_flush {
            self.key_flush.reconfigure(reactor.now().tick, &running.key_flush);
            plan_key_flush(config, reactor);
        }
    }

    /// Passes new settings to the sinks of configured destinations, and removes all other sinks. A
    /// removed sink has `shutdown_timeout` to deliver.
    fn reconfigure_sinks<C: Clock>(
        &mut self,
        config: &Config,
        spool: &config::Spool,
        reactor: &Reactor<C>,
    ) {
        let now = reactor.now();
        let until = now.tick + config.shutdown_timeout;
        let spool_bytes = outputs::spool_part(config, spool);
        for sink in self.stages.sinks.iter_mut() {
            match config.active_destinations().find(|destination| destination.name == sink.name()) {
                Some(destination) => {
                    let takes = outputs::feed(destination, &self.stages.encoders);
                    sink.limit_spool(spool_bytes);
                    sink.reconfigure(destination, takes, now);
                }
                None => sink.begin_removal(until, now, reactor.registry()),
            }
        }
    }

    /// Drops the log of frequent names, which a stop does not need, and drains the sinks.
    pub(super) fn begin_stop<C: Clock>(&mut self, reactor: &mut Reactor<C>) {
        self.is_stopping = true;
        self.key_flush = KeyFlush::new();
        for sink in self.stages.sinks.iter_mut() {
            sink.drain(reactor.now(), reactor.registry());
        }
        reactor.set(Timer::Flush, None);
    }

    /// Logs all warnings, including those whose minute is not over. Called once, at the end.
    pub(super) fn log_last_warnings(&mut self, now: Tick) {
        let warnings = self.ledger().take_last_warnings(now);
        warning_log::write(&mut self.stages.engine, &warnings);
    }

    /// Logs the warnings whose minute is not over, which would be lost otherwise. Moves the
    /// undelivered chunks of the sinks to their spools. Without a spool they are lost, and the log
    /// shows it.
    pub(super) fn finish_stop(&mut self, now: Tick) {
        self.log_last_warnings(now);
        self.stages.sinks.iter_mut().filter(|sink| sink.needs_spill()).for_each(Sink::spill);
        while self.stages.sinks.bound_spools(self.spool_max_size) {}
    }
}

impl InputHandler for Pipeline {
    fn ledger(&mut self) -> &mut Ledger {
        self.stages.engine.ledger_mut()
    }

    fn take_lines(&mut self, text: &[u8], share: usize) -> usize {
        let rest = self.parse_share(text, share);
        let taken = text.len() - rest.len();
        self.ledger().count_bytes(taken);
        taken
    }

    fn take_piece(&mut self, piece: Piece<'_>) {
        self.ledger().count_bytes(piece.bytes());
        match piece {
            Piece::Lines(text) | Piece::Packet(text) => {
                self.parse_share(text, usize::MAX);
            }
            Piece::Binary(message) if self.watch.is_on() => {
                self.watch.binary(&mut self.stages.engine, message);
            }
            Piece::Binary(message) => self.stages.engine.binary(message),
            Piece::Overlong(start) => {
                self.stages.engine.overlong_line(start);
                if self.watch.is_on() {
                    self.watch.overlong(&mut self.stages.engine, start);
                }
            }
            Piece::PacketTooLong => self.ledger().lose_packet(PacketLoss::FrameTooLong),
            Piece::PacketCutShort => self.ledger().lose_packet(PacketLoss::FrameCutShort),
        }
    }

    fn repeat_packet(&mut self, packet: &[u8]) {
        self.repeated.packet(packet);
        self.stages.note_refused_lines(&mut self.repeated);
    }

    fn repeat_piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Lines(text) => self.repeated.lines(text),
            Piece::Binary(message) => self.repeated.binary(message),
            Piece::Packet(packet) => self.repeated.packet(packet),
            Piece::Overlong(_) | Piece::PacketTooLong | Piece::PacketCutShort => {}
        }
        self.stages.note_refused_lines(&mut self.repeated);
    }
}

/// Sets the time of the next log of frequent names. Takes the timer out if they are not logged.
fn plan_key_flush<C: Clock>(config: &Config, reactor: &mut Reactor<C>) {
    let now = reactor.now().tick;
    reactor.set(Timer::KeyFlush, config.key_flush.interval.map(|interval| now + interval));
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::io;
    use std::net::SocketAddr;
    use std::path::Path;
    use std::rc::Rc;

    use mio::{Registry, Token};

    use super::*;
    use crate::sink::error::SinkError;
    use crate::sink::platform::{Dialer, Socket};
    use crate::sink::spool::Disk;
    use crate::sink::{LostLines, Platform};
    use crate::sys::PeerActivity;
    use crate::time::UnixTime;
    use crate::token::EventSource;

    /// A clock that a test sets.
    #[derive(Debug)]
    struct SetClock(Rc<Cell<Now>>);

    impl Clock for SetClock {
        fn tick(&self) -> Tick {
            self.0.get().tick
        }

        fn now(&self) -> Now {
            self.0.get()
        }

        fn nap(&self, _span: Duration) {}

        fn poll_timeout(&self, _span: Option<Duration>) -> Option<Duration> {
            Some(Duration::ZERO)
        }
    }

    /// A carbon that accepts each connection and reads all at once. It keeps what it reads, and the
    /// token of the newest connection.
    #[derive(Clone, Debug, Default)]
    struct Carbon(Rc<RefCell<(String, Option<Token>)>>);

    impl Platform for Carbon {
        fn dialer(&self, _destination: &str) -> Box<dyn Dialer> {
            Box::new(self.clone())
        }

        fn disk(&self, _folder: &Path) -> io::Result<Box<dyn Disk>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    impl Dialer for Carbon {
        fn dial(&mut self, _: SocketAddr, _: &Registry, to: Token) -> io::Result<Box<dyn Socket>> {
            self.0.borrow_mut().1 = Some(to);
            Ok(Box::new(self.clone()))
        }
    }

    impl Socket for Carbon {
        fn is_established(&self) -> Result<bool, SinkError> {
            Ok(true)
        }

        fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().0 += str::from_utf8(bytes).unwrap();
            Ok(bytes.len())
        }

        fn outstanding(&self) -> io::Result<usize> {
            Ok(0)
        }

        fn peer_activity(&self) -> io::Result<PeerActivity> {
            Ok(PeerActivity { last_ack: Duration::ZERO, owes_answer: false })
        }
    }

    /// A pipeline alone, with one carbon. The first interval begins at [`START`] and ends at
    /// `START + 7`, a multiple of the flush interval.
    struct Rig {
        pipeline: Pipeline,
        carbon: Carbon,
        clock: Rc<Cell<Now>>,
        reactor: Reactor<SetClock>,
        config: Config,
    }

    const START: u64 = 1_000_003;

    fn config(text: &str) -> Config {
        let text = format!("[statsd]\nflush_interval = 10s\n{text}");
        config::parse(Path::new("statsd.conf"), text.as_bytes()).unwrap()
    }

    impl Rig {
        fn new() -> Self {
            let config = config("[carbon]\naddress = 192.0.2.1:2003\n");
            let start = Now { tick: Tick::default(), unix: UnixTime::from_secs(START) };
            let clock = Rc::new(Cell::new(start));
            let mut reactor = Reactor::new(SetClock(clock.clone())).unwrap();
            let schedule = Schedule::new(config.flush_interval, config.align_flush, start.unix);
            let seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };
            let carbon = Carbon::default();
            let platform = Box::new(carbon.clone());
            let resources = SinkResources { platform, ..SinkResources::default() };
            let mut pipeline = Pipeline::open(&config, schedule, seeds, resources).unwrap();
            pipeline.set_timers(&config, &mut reactor);
            Self { pipeline, carbon, clock, reactor, config }
        }

        /// Lets `seconds` pass since the start. Returns the timers that are due.
        fn advance_to(&mut self, seconds: u64) -> Vec<Timer> {
            let unix = UnixTime::from_secs(START + seconds);
            self.clock.set(Now { tick: Tick::from_millis(seconds * 1000), unix });
            self.reactor.poll_now().unwrap();
            std::iter::from_fn(|| self.reactor.pop_due()).collect()
        }

        fn take(&mut self, lines: &str) {
            let taken = self.pipeline.take_lines(lines.as_bytes(), usize::MAX);
            assert_eq!(taken, lines.len());
        }

        fn sweep(&mut self) {
            while self.pipeline.is_sweeping() {
                self.pipeline.sweep(&mut self.reactor);
            }
        }

        /// Applies another configuration.
        fn reload(&mut self, text: &str) {
            let wanted = config(text);
            assert!(self.pipeline.can_take(&wanted));
            let opened = self.pipeline.open_for(&wanted, &self.config.spool).unwrap();
            self.pipeline.reconfigure(&wanted, &self.config, opened, &mut self.reactor);
            self.config = wanted;
        }

        /// Serves the destinations. An attempt to connect succeeds.
        fn pump(&mut self) {
            self.pipeline.pump(&mut self.reactor);
            let dialled = self.carbon.0.borrow_mut().1.take();
            if let Some(EventSource::Sink(index, generation)) =
                dialled.map(|token| EventSource::try_from(token).unwrap())
            {
                self.pipeline.ready(index, generation, &self.reactor);
                self.pipeline.pump(&mut self.reactor);
            }
        }

        /// Returns the values that carbon got of `name`, and their stamps.
        fn received(&self, name: &str) -> Vec<String> {
            let received = self.carbon.0.borrow();
            let point = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
            received.0.lines().filter_map(point).collect()
        }
    }

    #[test]
    fn lines_arrive_as_points_of_the_interval_in_which_they_came() {
        let mut rig = Rig::new();
        rig.take("a:1|c\na:2|c");
        assert_eq!(rig.advance_to(6), [], "the interval is open");
        assert_eq!(rig.advance_to(7), [Timer::Flush]);
        rig.pipeline.tick(&mut rig.reactor);
        rig.take("a:5|c"); // after the tick, before its series is closed
        rig.sweep();
        rig.pump();
        assert_eq!(rig.received("stats_counts.a"), ["3 1000010"]);
        assert_eq!(rig.advance_to(17), [Timer::Flush]);
        rig.pipeline.tick(&mut rig.reactor);
        rig.sweep();
        rig.pump();
        assert_eq!(rig.received("stats_counts.a"), ["3 1000010", "5 1000020"]);
        assert_eq!(rig.pipeline.sinks().lost_lines(), LostLines::default());
    }

    #[test]
    fn a_tick_waits_for_the_sweep_before_it_and_counts_as_one_overrun() {
        let mut rig = Rig::new();
        rig.take("a:1|c");
        rig.advance_to(7);
        assert!(!rig.pipeline.defer_tick_if_sweeping());
        rig.pipeline.tick(&mut rig.reactor);
        assert_eq!(rig.advance_to(17), [Timer::Flush]);
        assert!(rig.pipeline.defer_tick_if_sweeping() && rig.pipeline.defer_tick_if_sweeping());
        assert!(!rig.pipeline.is_deferred_tick_due(), "the sweep goes on");
        rig.sweep();
        assert!(rig.pipeline.is_deferred_tick_due());
        assert_eq!(rig.pipeline.ledger().own().total(OwnCounter::FlushOverruns), 1);
        rig.pipeline.tick(&mut rig.reactor);
        assert!(!rig.pipeline.is_deferred_tick_due());
    }

    #[test]
    fn a_destination_that_a_reload_removes_delivers_first() {
        let mut rig = Rig::new();
        rig.take("a:1|c");
        rig.advance_to(7);
        rig.pipeline.tick(&mut rig.reactor);
        let without = "[carbon]\naddress =\n";
        assert!(!rig.pipeline.can_take(&config(without)), "a sweep is under way");
        rig.sweep();
        rig.reload(without);
        assert_eq!(rig.pipeline.sinks().len(), 1);
        rig.pump();
        assert_eq!(rig.received("stats_counts.a"), ["1 1000010"]);
        rig.advance_to(8); // its connection has lasted long enough to prove the delivery
        rig.pump();
        assert_eq!(rig.pipeline.sinks().len(), 0);
    }

    #[test]
    fn a_destination_that_comes_back_with_another_protocol_waits_for_the_end_of_the_old_one() {
        let mut rig = Rig::new();
        rig.take("a:1|c");
        rig.advance_to(7);
        rig.pipeline.tick(&mut rig.reactor);
        rig.sweep();
        rig.reload("[carbon]\naddress =\n");
        let same = config("[carbon]\naddress = 192.0.2.1:2003\n");
        let pickle = config("[carbon]\naddress = 192.0.2.1:2003\nprotocol = pickle\n");
        assert!(rig.pipeline.can_take(&same), "its queue goes on");
        assert!(!rig.pipeline.can_take(&pickle), "lines of text are queued");
        rig.pump();
        rig.advance_to(8); // its connection has lasted long enough to prove the delivery
        rig.pump();
        assert!(rig.pipeline.sinks().is_empty() && rig.pipeline.can_take(&pickle));
    }
}
