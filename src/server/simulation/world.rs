//! A real server on a virtual clock, and everything around it. Whatever happens to it, the
//! invariants are checked after each turn.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::admin_clients::SimulatedAdmins;
use super::bounds::{self, Sizes, flushes_begun};
use super::clients::{Clients, count_sent};
use super::clock::VirtualClock;
use super::coverage::Coverage;
use super::destinations::{Destinations, Receiver};
use super::file::{Choices, Fixed, rules_of};
use super::frozen::{self, Frozen};
use super::outside::Outside;
use super::ports::{Ports, udp_socket};
use super::stamps::StampCheck;
use super::variables::is_replay;
use crate::config::{self, Config, Origin, Overrides};
use crate::ledger::OwnCounter;
use crate::series::Seeds;
use crate::server::descriptors::Descriptors;
use crate::server::outputs::{self, SinkResources};
use crate::server::reactor::Reactor;
use crate::server::received_signals::ReceivedSignals;
use crate::server::reception::listeners::Listeners;
use crate::server::signals::Signals;
use crate::server::{Resources, Server};
use crate::sink::Sinks;
use crate::state::{StateFile, checked};
use crate::token::EventSource;

/// A server, its clients, its destinations, its files and its operator.
pub(super) struct World {
    folder: TempDir,
    fixed: Fixed,
    pub(super) clock: VirtualClock,
    pub(super) destinations: Destinations,
    pub(super) ganglia: Receiver,
    /// Ganglia's reference. Its socket stays open.
    _reference: Receiver,
    pub(super) clients: Clients,
    pub(super) admin: SimulatedAdmins,
    ports: Ports,
    /// A port and a state file that the server cannot have.
    taken: (TcpListener, StateFile),
    /// The text of the file, and the settings of the last file without a mistake.
    pub(super) choices: Choices,
    wanted: Config,
    /// Queues that are shorter than a file could say. They last until a reload.
    short_queue: Option<usize>,
    server: Option<Server<VirtualClock>>,
    /// Signals for the next turn.
    raised: Option<ReceivedSignals>,
    /// Extra time that each turn takes, as on an overloaded machine.
    pub(super) extra_time: Duration,
    run: Run,
    stamps: StampCheck,
    frozen: Option<Frozen>,
    /// The sum of the samples that are flushed for certain, or counted as refused.
    floor: u64,
    /// The sum of the samples that were lost with a killed server.
    lost: u64,
    /// The samples that earlier runs have counted as refused.
    refused: u64,
    pub(super) coverage: Coverage,
}

/// What the checks remember of the present run.
#[derive(Debug, Default)]
struct Run {
    /// The newest flush.
    flush: u64,
    /// The sum of the samples sent before a flush whose sweep is under way.
    closing: Option<u64>,
    sizes: Sizes,
}

const SEEDS: Seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };

impl World {
    pub(super) fn new(
        choices: Choices,
        short_queue: Option<usize>,
        spool: &'static str,
        is_passed: bool,
        is_slow: bool,
    ) -> Self {
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let destinations =
            Destinations::new(!is_slow, |line, seen| seen.sum += count_sent(line.trim_ascii_end()));
        let clients = Clients::new(folder.path(), is_passed);
        let ganglia = Receiver::new();
        let reference = Receiver::new();
        let peers = destinations.peers().into_iter().map(|(_, peer)| peer).collect();
        let mut world = Self {
            clock: VirtualClock::new(peers),
            destinations,
            fixed: Fixed {
                folder: folder.path().into(),
                spool,
                ganglia: (!is_slow).then(|| [ganglia.address(), reference.address()]),
                log_level: if is_replay() { "debug" } else { "warn" },
            },
            ganglia,
            _reference: reference,
            clients,
            admin: SimulatedAdmins::default(),
            ports: Ports::default(),
            taken: (
                TcpListener::bind("127.0.0.1:0").unwrap(),
                StateFile::open(&folder.path().join("busy")).unwrap(),
            ),
            wanted: Config::default(),
            choices,
            short_queue,
            server: None,
            raised: None,
            extra_time: Duration::ZERO,
            run: Run::default(),
            stamps: StampCheck::default(),
            frozen: None,
            floor: 0,
            lost: 0,
            refused: 0,
            coverage: Coverage::default(),
            folder,
        };
        world.make_state_folder();
        world.begin(true);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self) -> &Server<VirtualClock> {
        self.server.as_ref().expect("a server runs")
    }

    fn sinks(&self) -> &Sinks {
        self.server().pipeline.sinks()
    }

    /// Starts a server, as after a stop or a kill. `is_new` is true if no saved interval goes on.
    fn begin(&mut self, is_new: bool) {
        drop(self.server.take());
        self.clients.begin_run();
        self.destinations.console().begin_run();
        self.admin.begin_run();
        self.write_file(&self.choices.text(&self.fixed));
        let (mut config, origin) =
            config::load(Some(&self.path("statsd.conf")), Overrides::default()).unwrap();
        self.wanted = config.clone();
        if let Some(queue) = self.short_queue {
            let faulty = |name: &str| !name.contains("reference") && !name.contains("repeater");
            let all = config.destinations.iter_mut();
            all.filter(|to| faulty(&to.name)).for_each(|to| to.queue.bytes = queue);
        }
        self.run = Run::default();
        self.ports = Ports::default();
        self.start(config, origin, is_new);
        // Connects the repeaters. A stop does not wait for one that is not connected.
        self.run_for(Duration::from_millis(10));
    }

    /// What the sinks of the next server meet.
    fn outside(&self) -> Outside {
        let faulty = self.destinations.faulty.iter();
        Outside {
            peers: self.destinations.peers(),
            disks: faulty.filter_map(|to| Some((to.name, to.disk.clone()?))).collect(),
            console: self.destinations.console().clone(),
        }
    }

    fn start(&mut self, config: Config, origin: Origin, is_new: bool) {
        let descriptors = Descriptors::count();
        let reactor = Reactor::new(self.clock.clone()).unwrap();
        if is_new {
            self.stamps.note_new_schedule(reactor.now().unix);
        }
        let listeners = Listeners::open(&config, self.clients.passed(), reactor.registry());
        let resources = Resources {
            listeners: listeners.unwrap(),
            // A signal of this process is not for a simulated server.
            signals: Signals::watch(&[], reactor.registry()).unwrap(),
            reactor,
            sinks: SinkResources {
                platform: Box::new(self.outside()),
                stdout: None,
                account: None,
                seed: 1,
            },
            descriptors,
            seeds: SEEDS,
        };
        let mut server = Server::assemble(config, origin, resources).unwrap();
        server.begin();
        self.destinations.begin_run(server.pipeline.sinks(), server.life.config());
        self.server = Some(server);
        self.note_flushes(0);
    }

    /// What the spool of one destination may take under a configuration. 0 if there is no spool.
    fn spool_part(&self, config: &Config) -> u64 {
        if self.fixed.spool.is_empty() {
            return 0;
        }
        outputs::spool_part(config, &config.spool)
    }

    /// One turn of the loop, and the checks.
    fn turn(&mut self) {
        let clock = self.clock.clone();
        let server = self.server.as_mut().expect("a server runs");
        server.wait().unwrap();
        clock.advance(self.extra_time);
        self.destinations.begin_turn(server.life.config());
        let was_sweeping = server.pipeline.is_sweeping();
        let sent = self.clients.sent();
        if let Some(received) = self.raised.take() {
            server.serve_signals(received);
        }
        for token in clock.take_events() {
            server.serve(EventSource::try_from(token).expect("a token of a sink"));
        }
        server.turn();
        self.destinations.console().read();
        if was_sweeping && flushes_begun(server) > self.run.flush {
            self.coverage.overruns += 1;
            let overtakes = server.life.is_running() && server.life.is_saving();
            assert!(!overtakes, "a late flush goes before a save that is under way");
        }
        self.note_flushes(sent);
        self.note_accepted();
        self.ports.update(self.server.as_ref().expect("a server runs"));
        let part = self.spool_part(self.server().life.config());
        let Server { pipeline, life, .. } = self.server.as_ref().expect("a server runs");
        let reached = &mut self.coverage.reached;
        self.destinations.check_turn(pipeline.sinks(), life.config(), part, reached);
        let server = self.server.as_ref().expect("a server runs");
        let is_limited = self.choices.limits.is_some();
        let reached = &mut self.coverage.reached;
        self.run.sizes.check(server, &mut self.admin, is_limited, reached);
        let server = self.server.as_ref().expect("a server runs");
        frozen::check(server, &self.fixed.keys(), &mut self.frozen);
        self.check_stamps();
    }

    /// Turns the loop for `span`.
    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.clock.at() + span;
        self.clock.limit_waits(end);
        while self.clock.at() < end {
            self.turn();
        }
    }

    /// `sent` is the sum of the samples sent before this turn.
    fn note_flushes(&mut self, sent: u64) {
        let flush = flushes_begun(self.server());
        let Server { pipeline, life, reception, reactor, .. } =
            self.server.as_ref().expect("a server runs");
        for _ in self.run.flush..flush {
            self.destinations.note_flush();
            self.stamps.note_tick(reactor.now().unix, !life.is_running());
        }
        if flush > self.run.flush {
            self.run.flush = flush;
            // The sweep of the flush before has ended.
            self.floor = self.floor.max(self.run.closing.take().unwrap_or(0));
            // A stop leaves data in the sockets that were passed in.
            let reads_all = life.is_running() || !self.clients.is_passed();
            self.run.closing = Some(sent).filter(|_| reads_all && !reception.has_backlog());
        }
        if !pipeline.is_sweeping() {
            self.floor = self.floor.max(self.run.closing.take().unwrap_or(0));
        }
    }

    /// If nothing is left to be read, every connection is accepted or refused.
    fn note_accepted(&mut self) {
        if !self.clients.is_connecting() && !self.admin.is_connecting() {
            return;
        }
        let Server { life, reception, .. } = self.server.as_ref().expect("a server runs");
        if life.is_running() && !reception.has_backlog() {
            self.clients.note_accepted();
            self.admin.note_accepted();
        }
    }

    /// Checks what the server counts of its clients. Called between turns, now and then.
    pub(super) fn check_counters(&mut self) {
        let server = self.server.as_ref().expect("a server runs");
        let reached = &mut self.coverage.reached;
        bounds::check_counters(server, &mut self.clients, &mut self.admin, reached);
    }

    /// Checks that stamps only go up, except after a step of the wall clock.
    fn check_stamps(&mut self) {
        let stamps = self.destinations.flushed().seen(|seen| {
            assert_eq!(seen.went_back, None, "a gauge has an older value again");
            std::mem::take(&mut seen.stamps)
        });
        self.stamps.check(stamps);
    }

    /// Sets the wall clock.
    pub(super) fn step_wall(&mut self, millis: i64) {
        self.clock.step_wall(millis);
        if millis < 0 {
            self.stamps.note_step_back();
        }
    }

    /// Whether nothing waits for any destination, in memory or on disk.
    pub(super) fn are_delivered(&self) -> bool {
        self.destinations.are_delivered(self.sinks())
    }

    fn write_file(&self, text: &str) {
        fs::write(self.path("statsd.conf"), text).unwrap();
    }

    /// Requests a reload of the file with the present choices, or of one with a mistake.
    pub(super) fn reload(&mut self, is_good: bool) {
        let text = self.choices.text(&self.fixed);
        if is_good {
            self.write_file(&text);
            self.wanted = config::parse(&self.path("statsd.conf"), text.as_bytes()).unwrap();
            self.short_queue = None;
            self.coverage.reloads += 1;
        } else {
            self.write_file(&format!("{text}[statsd]\nflush_interval = 0\n"));
        }
        self.raise(ReceivedSignals { reload: true, ..ReceivedSignals::default() });
    }

    /// Requests a reload to other choices, which the server must refuse: the port or the state file
    /// that the file names as well is taken. Does nothing while a reload is pending.
    pub(super) fn reload_in_vain(&mut self, mut choices: Choices, by_port: bool) {
        if !self.is_reloaded() {
            return;
        }
        if !by_port {
            choices.state = Some("busy");
        }
        let mut text = choices.text(&self.fixed);
        if by_port {
            let address = self.taken.0.local_addr().unwrap();
            let start = text.find("[tcp]\nbind = ").expect("each file has one");
            let end = text[start..].find("\nmax_connections").expect("it follows") + start;
            text.replace_range(start..end, &format!("[tcp]\nbind = {address}"));
        }
        self.write_file(&text);
        self.coverage.refused_reloads += 1;
        self.raise(ReceivedSignals { reload: true, ..ReceivedSignals::default() });
    }

    /// Whether the settings of the last good file are in force, but for those that need a restart.
    pub(super) fn is_reloaded(&self) -> bool {
        let running = self.server().life.config();
        config::difference(running, &config::applicable(running, &self.wanted)).is_empty()
    }

    fn raise(&mut self, received: ReceivedSignals) {
        self.raised = Some(received);
    }

    /// Sends a datagram of UDP, if the server has a socket for them.
    pub(super) fn send_udp(&mut self, text: &[u8]) {
        let Some(address) = self.ports.udp.address() else { return };
        let Server { reception, .. } = self.server.as_ref().expect("a server runs");
        if let Some(socket) = udp_socket(reception.listeners().datagrams.iter(), address) {
            self.clients.send_udp(text, address, socket);
        }
    }

    /// Sends a datagram of UDP from more addresses than the server keeps records of.
    pub(super) fn send_udp_from_many(&mut self, text: &[u8]) {
        let Some(address) = self.ports.udp.address() else { return };
        let Server { reception, .. } = self.server.as_ref().expect("a server runs");
        if let Some(socket) = udp_socket(reception.listeners().datagrams.iter(), address) {
            self.clients.send_udp_from_many(text, 200, address, socket);
        }
    }

    /// Connects a client, by TCP or by the unix socket.
    pub(super) fn connect(&mut self, by_tcp: bool) {
        match self.ports.tcp.address() {
            Some(address) if by_tcp => self.clients.connect(Some(address)),
            _ => self.clients.connect(None),
        }
    }

    /// Connects a client of the admin port.
    pub(super) fn connect_admin(&mut self, is_slow: bool) {
        if let Some(address) = self.ports.admin.address() {
            self.admin.connect(address, is_slow);
        }
    }

    pub(super) fn remove_state_folder(&self, puts_file: bool) {
        let folder = self.path("state");
        let _ = fs::remove_dir_all(&folder);
        let _ = fs::remove_file(&folder);
        if puts_file {
            fs::write(folder, "no folder").unwrap();
        }
    }

    pub(super) fn make_state_folder(&self) {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = self.path("state");
        let _ = fs::remove_file(&folder);
        let _ = fs::DirBuilder::new().mode(0o700).create(folder);
    }

    /// Lets the server read what the kernel still holds at the clients' ends.
    fn read_unarrived(&mut self) {
        for _ in 0..1000 {
            if !self.clients.has_unarrived() {
                return;
            }
            self.run_for(Duration::from_millis(1));
        }
    }

    /// Stops as SIGTERM does, and starts again from what the stop has left.
    pub(super) fn restart(&mut self) {
        let is_saved = self.stop();
        self.begin(!is_saved);
    }

    /// Stops as SIGTERM does. Returns whether the open interval is saved.
    pub(super) fn stop(&mut self) -> bool {
        self.read_unarrived();
        self.check_counters();
        self.raise(ReceivedSignals { terminate: true, ..ReceivedSignals::default() });
        let state = self.server().life.config().state.file.clone();
        self.extra_time = Duration::ZERO; // or the time for the stop would be over at once
        let patience = Duration::from_millis(self.choices.shutdown_ms.max(3500));
        let end = self.clock.at() + patience * 2 + Duration::from_secs(1);
        while !self.server().life.is_over() {
            assert!(self.clock.at() < end, "the stop does not end");
            self.clock.limit_waits(self.clock.at() + Duration::from_millis(25));
            self.turn();
        }
        self.coverage.stops += 1;
        self.frozen = None;
        let server = self.server.as_mut().expect("a server runs");
        let pending = server.life.take_pending_if(|_| true);
        assert!(pending.is_none(), "a reload is pending in spite of the stop");
        self.let_references_read();
        let sinks = self.server.as_ref().expect("a server runs").pipeline.sinks();
        assert!(self.destinations.is_reference_drained(sinks));
        self.destinations.end_run(sinks);
        self.stamps.check_complete();
        let is_saved = self.check_stopped();
        // What is saved must be found again, though another file may be named since.
        let is_b = state.as_ref().is_some_and(|path| path.ends_with("b"));
        self.choices.state = state.is_some().then_some(if is_b { "state/b" } else { "state/a" });
        self.choices.rule = rules_of(self.server().life.config());
        self.refused += self.refused_now();
        drop(self.server.take());
        is_saved
    }

    /// Checks that a stop has flushed everything, or saved it. Returns whether it has saved.
    fn check_stopped(&mut self) -> bool {
        let path = self.server().life.config().state.file.clone();
        let is_saved = path
            .and_then(|path| fs::read(path).ok())
            .is_some_and(|bytes| checked(&bytes).is_ok_and(|head| head.whole));
        if is_saved {
            self.coverage.saved += 1;
        } else {
            self.coverage.closed_early += 1;
            self.destinations.flushed().seen(|seen| seen.gauges.clear());
        }
        let known = self.known();
        assert!(known >= self.floor, "{known} of {} samples are flushed or counted", self.floor);
        if !is_saved && !self.clients.is_passed() {
            assert_eq!(known, self.clients.sent(), "each sample is flushed or counted");
        }
        is_saved
    }

    /// The sum of the samples that were flushed, counted as refused, or lost with a killed server.
    fn known(&self) -> u64 {
        let flushed = self.destinations.flushed().seen(|seen| seen.sum);
        flushed + self.lost + self.refused + self.refused_now()
    }

    /// The samples that the present run has counted as refused.
    fn refused_now(&self) -> u64 {
        let ledger = self.server.as_ref().map(|server| server.pipeline.engine().ledger());
        ledger.map_or(0, |ledger| {
            let own = ledger.own();
            own.total(OwnCounter::SeriesRejected)
                + own.total(OwnCounter::SamplesDropped)
                + ledger.not_restored()
        })
    }

    /// Lets the peers without faults read what is on its way to them.
    fn let_references_read(&mut self) {
        for _ in 0..10 {
            self.clock.advance(Duration::from_millis(25));
            let _ = self.clock.take_events();
        }
        self.check_stamps();
    }

    /// Ends as by SIGKILL: what is in memory is gone. `send` sends something that is never read.
    pub(super) fn kill(&mut self, send: impl FnOnce(&mut Self)) {
        self.extra_time = Duration::ZERO; // or ganglia's reference would not be drained in time
        self.read_unarrived();
        let is_quiet = |world: &Self| {
            world.destinations.is_reference_drained(world.sinks())
                && !world.server().reception.has_backlog()
        };
        self.run_for(Duration::from_millis(1));
        while !is_quiet(self) {
            self.run_for(Duration::from_millis(1));
        }
        let sent = self.clients.sent();
        send(self);
        let unread = self.clients.sent() - sent;
        self.coverage.kills += 1;
        let sinks = self.server.as_ref().expect("a server runs").pipeline.sinks();
        self.destinations.note_kill(sinks);
        self.choices.rule = rules_of(self.server().life.config());
        self.refused += self.refused_now();
        drop(self.server.take());
        self.let_references_read();
        self.stamps.forget_unread();
        let known = self.known();
        assert!(known >= self.floor, "{known} of {} samples are flushed or counted", self.floor);
        assert!(known <= sent, "{known} samples are flushed or counted, of {sent} sent");
        self.lost += sent - known;
        if !self.clients.is_passed() {
            self.lost += unread;
        }
        self.floor = known.max(self.floor);
        self.destinations.flushed().seen(|seen| {
            seen.gauges.clear();
            seen.is_in_flush = false;
        });
        self.begin(true);
    }

    /// Checks, at the end of a trial, that each sample is in exactly one flush, or counted.
    pub(super) fn check_samples(&mut self) {
        let sent = self.clients.sent();
        assert_eq!(self.known(), sent, "each sample is in exactly one flush, or counted");
        let repeated = self.destinations.repeated().seen(|seen| seen.sum);
        assert!(repeated <= sent, "samples were repeated twice");
        if self.coverage.kills == 0 {
            assert_eq!(repeated, sent, "each sample is repeated once");
        }
        self.coverage.refused = self.refused + self.refused_now();
    }

    /// Checks that the admin port still answers. It may have to close idle clients first.
    pub(super) fn check_admin(&mut self) {
        self.admin.close_all();
        self.run_for(Duration::from_millis(50));
        self.connect_admin(false);
        self.run_for(Duration::from_millis(50));
        let last = self.admin.len().checked_sub(1).expect("the admin port is bound");
        self.admin.write(last, "health\n");
        self.run_for(Duration::from_millis(50));
        let answer = self.admin.read();
        assert!(answer.starts_with(b"health: "), "the admin port answers {:?}", answer);
    }
}
