//! A real server on a virtual clock, and everything around it. Whatever happens to it, the
//! invariants are checked after each turn.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::books::{
    Books, Freeze, Judgement, Totals, flushes_begun, queue_of_carbon, settings_of_carbon,
};
use super::clients::{Clients, count_sent};
use super::clock::VirtualClock;
use super::file::{Choices, rules_of};
use super::network::{Lines, Peer};
use super::outside::{CARBON, Outside};
use super::witness::read_flushed;
use crate::config::{self, Config, Origin, Overrides, Resend};
use crate::sender::Sender;
use crate::series::Seeds;
use crate::server::descriptors::Descriptors;
use crate::server::listeners::Listeners;
use crate::server::outputs::SinkResources;
use crate::server::reactor::Reactor;
use crate::server::signals::{Received, Signals};
use crate::server::{Resources, Server};
use crate::sink::spool::testing::MemoryDisk;
use crate::sink::testing::Account;
use crate::sink::{Sink, testing};
use crate::state::checked;
use crate::token::EventSource;

/// A server with these destinations: `carbon` and `carbon.extra`, which come and go and have
/// trouble; `carbon.witness`, which has none, and so shows what the server has flushed; `repeater`,
/// which has none either, and so shows what came in.
pub(super) struct World {
    folder: TempDir,
    pub(super) clock: VirtualClock,
    pub(super) carbon: Peer,
    pub(super) extra: Peer,
    witness: Peer,
    repeater: Peer,
    pub(super) disk: MemoryDisk,
    /// The disk of the spool has been full or unwritable.
    pub(super) is_disk_faulty: bool,
    spool_bytes: u64,
    spool: &'static str,
    pub(super) clients: Clients,
    /// What the file says, and the settings of the last file without a mistake.
    pub(super) choices: Choices,
    wanted: Config,
    /// A queue of `carbon` that is shorter than a file could say. It lasts until a reload.
    short_queue: Option<usize>,
    server: Option<Server<VirtualClock>>,
    /// Signals for the next turn.
    raised: Option<Received>,
    /// Extra time that each turn takes, as on an overloaded machine.
    pub(super) drag: Duration,
    books: Books,
    freeze: Option<Freeze>,
    pub(super) totals: Totals,
}

const WITNESS: &str = "carbon.witness";
const SEEDS: Seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };

impl World {
    pub(super) fn new(
        choices: Choices,
        short_queue: Option<usize>,
        spool: &'static str,
        is_passed: bool,
    ) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let carbon = Peer::new(|_, _| {});
        let extra = Peer::new(|_, _| {});
        let witness = Peer::new(read_flushed);
        let repeater = Peer::new(|line, seen| seen.sum += count_sent(line.trim_ascii_end()));
        let peers = [&carbon, &extra, &witness, &repeater].map(Clone::clone);
        let clients = Clients::new(folder.path(), is_passed);
        let spool_bytes = match spool {
            "" => 0,
            "1m" => 1 << 20,
            _ => 64 << 20,
        };
        let mut world = Self {
            clock: VirtualClock::new(peers.into()),
            carbon,
            extra,
            witness,
            repeater,
            disk: MemoryDisk::default(),
            is_disk_faulty: false,
            spool_bytes,
            spool,
            clients,
            wanted: Config::default(),
            choices,
            short_queue,
            server: None,
            raised: None,
            drag: Duration::ZERO,
            books: Books::default(),
            freeze: None,
            totals: Totals::default(),
            folder,
        };
        world.mend_state_folder();
        world.begin();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self) -> &Server<VirtualClock> {
        self.server.as_ref().expect("a server runs")
    }

    fn server_mut(&mut self) -> &mut Server<VirtualClock> {
        self.server.as_mut().expect("a server runs")
    }

    /// Starts a server, as after a stop or a kill.
    fn begin(&mut self) {
        drop(self.server.take());
        self.write_file(&self.choices.text(self.folder.path(), self.spool));
        let (mut config, origin) =
            config::load(Some(&self.path("statsd.conf")), Overrides::default()).unwrap();
        self.wanted = config.clone();
        if let Some(queue) = self.short_queue {
            let carbon = config.destinations.iter_mut().find(|to| to.name == CARBON);
            carbon.expect("carbon is there until a reload").queue.bytes = queue;
        }
        let Books { floor, stamp, repeats, .. } = self.books;
        self.books = Books { floor, stamp, repeats, ..Books::default() };
        self.start(config, origin);
        self.run_for(Duration::from_millis(10)); // connects the repeater: a stop gives it up else
    }

    /// What the sinks of the next server meet.
    fn outside(&self) -> Outside {
        Outside {
            peers: vec![
                (CARBON, self.carbon.clone()),
                ("carbon.extra", self.extra.clone()),
                (WITNESS, self.witness.clone()),
                ("repeater", self.repeater.clone()),
            ],
            disk: self.disk.clone(),
        }
    }

    fn start(&mut self, config: Config, origin: Origin) {
        let descriptors = Descriptors::count();
        let reactor = Reactor::new(self.clock.clone()).unwrap();
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
            },
            descriptors,
            seeds: SEEDS,
        };
        let mut server = Server::assemble(config, origin, resources).unwrap();
        server.begin();
        self.server = Some(server);
        self.note_flushes(0);
    }

    /// One turn of the loop, and the checks.
    fn turn(&mut self) {
        let clock = self.clock.clone();
        let server = self.server.as_mut().expect("a server runs");
        server.wait().unwrap();
        clock.advance(self.drag);
        let had_carbon = queue_of_carbon(server.life.config()).is_some();
        let was_sweeping = server.pipeline.is_sweeping();
        let sent = self.clients.sent();
        if let Some(received) = self.raised.take() {
            server.serve_signals(received);
        }
        for token in clock.take_events() {
            server.serve(EventSource::try_from(token).expect("a token of a sink"));
        }
        server.turn();
        if was_sweeping && flushes_begun(server) > self.books.flush {
            self.totals.overruns += 1;
            let overtakes = server.life.is_running() && server.life.is_saving();
            assert!(!overtakes, "a late flush goes before a save that is under way");
        }
        if server.life.is_running() && !server.reception.has_backlog() {
            self.clients.note_accepted();
        }
        self.note_flushes(sent);
        self.note_pushed(had_carbon);
        self.check_carbon();
        self.check_bounds();
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

    /// `sent` is the sum of the counters sent before this turn.
    fn note_flushes(&mut self, sent: u64) {
        let server = self.server.as_mut().expect("a server runs");
        let flush = flushes_begun(server);
        if flush > self.books.flush {
            for _ in self.books.flush..flush {
                self.carbon.flush_begins();
            }
            self.books.flush = flush;
            // The sweep of the flush before has ended.
            self.books.close_sweep();
            // A stop leaves data in the sockets that were passed in.
            let reads_all = server.life.is_running() || !self.clients.is_passed();
            let has_all = reads_all && !server.reception.has_backlog();
            self.books.closing = Some(sent).filter(|_| has_all);
        }
        if !server.pipeline.is_sweeping() {
            self.books.close_sweep();
        }
    }

    /// Follows how many lines each destination was to get.
    fn note_pushed(&mut self, had_carbon: bool) {
        let Account { delivered, queued, dropped, in_doubt, .. } =
            self.account_of(WITNESS).expect("the witness stays");
        assert_eq!((dropped, in_doubt), (0, 0), "the witness has no trouble");
        let more = delivered + queued - self.books.witnessed;
        self.books.witnessed += more;
        if had_carbon {
            self.books.pushed += more;
        } else {
            self.totals.unsubscribed += more;
        }
    }

    /// Checks that every line for `carbon` is delivered, queued, spooled or counted as lost.
    fn check_carbon(&mut self) {
        let Some(account) = self.account_of(CARBON) else {
            return self.note_removal();
        };
        let places = account.delivered + account.queued + account.spooled;
        assert_eq!(
            self.books.pushed + account.found + account.twice,
            places + account.dropped + account.in_doubt,
            "{account:?}"
        );
        self.books.carbon = Some(account);
        if let Some(carbon) = settings_of_carbon(self.server().life.config()) {
            self.books.resend = Some(carbon.resend);
        }
        // What is being written is not evicted, and the chunk that was just pushed may be it.
        let bound = |queue: usize| queue + (128 << 10);
        let queue = queue_of_carbon(self.server().life.config()).unwrap_or(self.books.queue);
        // A queue that a reload has made shorter takes some turns to shrink.
        if queue > self.books.queue || account.held_bytes <= bound(queue) {
            self.books.queue = queue;
        }
        assert!(account.held_bytes <= bound(self.books.queue), "{account:?}");
    }

    /// The sink of `carbon` is gone, if there was one.
    fn note_removal(&mut self) {
        assert!(queue_of_carbon(self.server().life.config()).is_none(), "carbon has no sink");
        let Some(last) = self.books.carbon.take() else { return };
        self.books.pushed = 0;
        self.totals.removals += 1;
        self.totals.given_up += last.dropped + last.in_doubt;
        if self.books.resend == Some(Resend::Never) {
            // Those of its lines that were in flight are in doubt, and are not spooled.
            self.totals.given_up += last.queued;
        }
        // The last share of what it held may have been given up in this turn.
        let in_spool = self.totals.in_spool.saturating_sub(last.found) + last.spooled + last.queued;
        if self.spool_bytes < 64 << 20 || self.is_disk_faulty {
            self.totals.given_up += in_spool;
            self.totals.in_spool = 0;
        } else {
            self.totals.in_spool = in_spool;
        }
        self.totals.forgotten.push(self.carbon.flush());
    }

    fn check_bounds(&mut self) {
        let spooled = self.disk.bytes() as u64;
        assert!(spooled <= self.spool_bytes, "{spooled} bytes are in the spool");
        let allowed = self.server().life.config().tcp.max_connections;
        let connections = self.server().reception.clients.in_use().used;
        self.books.connections = self.books.connections.max(allowed);
        assert!(connections <= self.books.connections, "{connections} connections");
        let series = self.server().pipeline.engine().table().len();
        assert!(series <= SERIES_MAX, "{series} series");
        if self.server().life.is_running() {
            return;
        }
        assert!(!self.server().reception.has_backlog(), "input waits in spite of the stop");
        assert_eq!(connections, 0, "clients are connected in spite of the stop");
        let now = self.freeze();
        if let Some(before) = &self.freeze {
            assert_eq!(*before, now, "something happened that a stop does not need");
        }
        self.freeze = Some(now);
    }

    fn freeze(&mut self) -> Freeze {
        let flush = flushes_begun(self.server_mut());
        let life = &self.server().life;
        assert!(!life.is_saving(), "a save is under way in spite of the stop");
        Freeze {
            flush,
            sent: life.config().clone(),
            state: life.config().state.file.as_ref().and_then(|path| fs::read(path).ok()),
            keys: fs::metadata(self.path("keys")).map_or(0, |keys| keys.len()),
        }
    }

    /// Checks that stamps only go up, except after a step of the wall clock.
    fn check_stamps(&mut self) {
        let stamps = self.witness.seen(|seen| {
            assert_eq!(seen.went_back, None, "a gauge has an older value again");
            std::mem::take(&mut seen.stamps)
        });
        for stamp in stamps {
            let goes_on = stamp > self.books.stamp;
            assert!(goes_on || self.books.repeats > 0, "{stamp} after {}", self.books.stamp);
            self.books.repeats -= u64::from(!goes_on);
            self.books.stamp = stamp;
        }
    }

    /// Sets the wall clock.
    pub(super) fn step_wall(&mut self, millis: i64) {
        self.clock.step_wall(millis);
        self.books.repeats += u64::from(millis < 0);
    }

    pub(super) fn account(&self) -> Option<Account> {
        self.account_of(CARBON)
    }

    /// Whether `carbon` is a destination for which nothing waits, in memory or on disk.
    pub(super) fn is_delivered(&self) -> bool {
        self.sink(CARBON).is_some_and(|sink| {
            let figures = sink.figures();
            figures.queue_bytes == 0 && figures.spool_bytes.unwrap_or(0) == 0
        })
    }

    fn account_of(&self, name: &str) -> Option<Account> {
        self.sink(name).map(testing::account)
    }

    fn sink(&self, name: &str) -> Option<&Sink> {
        self.server().pipeline.sinks().iter().find(|sink| sink.name() == name)
    }

    fn write_file(&self, text: &str) {
        fs::write(self.path("statsd.conf"), text).unwrap();
    }

    /// Requests a reload of the file with the present choices, or of one with a mistake.
    pub(super) fn reload(&mut self, is_good: bool) {
        let text = self.choices.text(self.folder.path(), self.spool);
        if is_good {
            self.write_file(&text);
            self.wanted = config::parse(&self.path("statsd.conf"), text.as_bytes()).unwrap();
            self.short_queue = None;
            self.totals.reloads += 1;
        } else {
            self.write_file(&format!("{text}[statsd]\nflush_interval = 0\n"));
        }
        self.raise(Received { reload: true, ..Received::default() });
    }

    /// Whether the settings of the last good file are in force.
    pub(super) fn is_reloaded(&self) -> bool {
        config::difference(self.server().life.config(), &self.wanted).is_empty()
    }

    fn raise(&mut self, received: Received) {
        self.raised = Some(received);
    }

    /// Connects a client, unless the server has as many as it may have.
    pub(super) fn connect(&mut self, resets: bool) {
        self.clients.note_closed();
        let server = self.server.as_mut().expect("a server runs");
        let most = server.life.config().tcp.max_connections;
        if server.reception.clients.in_use().used + self.clients.connecting() >= most {
            return;
        }
        if !resets {
            return self.clients.connect();
        }
        let Server { reactor, reception, pipeline, life, .. } = server;
        let stream = self.clients.connect_pair();
        let ledger = pipeline.ledger();
        let admitted =
            reception.clients.admit(stream, Sender::Unix, life.config(), ledger, reactor);
        assert!(admitted.is_some(), "it has room for this client");
    }

    pub(super) fn remove_state_folder(&self, puts_file: bool) {
        let folder = self.path("state");
        let _ = fs::remove_dir_all(&folder);
        let _ = fs::remove_file(&folder);
        if puts_file {
            fs::write(folder, "no folder").unwrap();
        }
    }

    pub(super) fn mend_state_folder(&self) {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = self.path("state");
        let _ = fs::remove_file(&folder);
        let _ = fs::DirBuilder::new().mode(0o700).create(folder);
    }

    /// Stops as SIGTERM does, and starts again from what the stop has left.
    pub(super) fn stop(&mut self) {
        self.raise(Received { terminate: true, ..Received::default() });
        let state = self.server().life.config().state.file.clone();
        self.drag = Duration::ZERO; // or the time for the stop would be over at once
        let before = self.books.carbon;
        let patience = Duration::from_millis(self.choices.shutdown_ms.max(3500));
        let end = self.clock.at() + patience * 2 + Duration::from_secs(1);
        while !self.server().life.is_over() {
            assert!(self.clock.at() < end, "the stop does not end");
            self.clock.limit_waits(self.clock.at() + Duration::from_millis(25));
            self.turn();
        }
        self.totals.stops += 1;
        self.freeze = None;
        let server = self.server.as_mut().expect("a server runs");
        let pending = server.life.take_pending_if(|_| true);
        assert!(pending.is_none(), "a reload is pending in spite of the stop");
        assert!(self.sink(WITNESS).unwrap().is_drained());
        if let Some(account) = self.account() {
            assert_eq!(account.queued, 0);
        }
        if self.spool_bytes == 0 && before.is_some_and(|before| before.queued > 0) {
            self.totals.forgotten.push(self.carbon.flush());
        }
        self.settle_reading();
        self.check_stopped();
        self.close_account();
        self.clients.note_closed();
        // What is saved must be found again, though another file may be named since.
        let is_b = state.as_ref().is_some_and(|path| path.ends_with("b"));
        self.choices.state = state.is_some().then_some(if is_b { "state/b" } else { "state/a" });
        self.choices.rule = rules_of(self.server().life.config());
        self.begin();
    }

    /// Checks that a stop has flushed everything, or saved it.
    fn check_stopped(&mut self) {
        let path = self.server().life.config().state.file.clone();
        let is_saved = path
            .and_then(|path| fs::read(path).ok())
            .is_some_and(|bytes| checked(&bytes).is_ok_and(|head| head.whole));
        let flushed = self.witness.seen(|seen| seen.sum);
        if is_saved {
            self.totals.saved += 1;
        } else {
            self.totals.closed_early += 1;
            self.books.repeats += 1;
            self.witness.seen(|seen| seen.gauges.clear());
        }
        assert!(flushed + self.totals.lost >= self.books.floor, "flushed samples are missing");
        if !is_saved && !self.clients.is_passed() {
            assert_eq!(flushed + self.totals.lost, self.clients.sent(), "all is flushed");
        }
    }

    /// Lets the peers without trouble read what is on its way to them.
    fn settle_reading(&mut self) {
        for _ in 0..10 {
            self.clock.advance(Duration::from_millis(25));
            let _ = self.clock.take_events();
        }
        self.check_stamps();
    }

    fn close_account(&mut self) {
        if let Some(account) = self.account() {
            self.totals.given_up += account.dropped + account.in_doubt;
            let unread = self.totals.in_spool.saturating_sub(account.found);
            self.totals.in_spool = unread + account.spooled;
        }
    }

    /// Dies as by SIGKILL: what is in memory is gone. `send` sends something that is never read.
    pub(super) fn kill(&mut self, send: impl FnOnce(&mut Self)) {
        let is_settled = |world: &Self| {
            let drained = |name| world.sink(name).unwrap().is_drained();
            drained(WITNESS) && drained("repeater") && !world.server().reception.has_backlog()
        };
        self.run_for(Duration::from_millis(1));
        while !is_settled(self) {
            self.run_for(Duration::from_millis(1));
        }
        let sent = self.clients.sent();
        send(self);
        let unread = self.clients.sent() - sent;
        self.totals.kills += 1;
        self.totals.died += self.account().map_or(0, |account| account.queued);
        self.totals.forgotten.push(self.carbon.flush());
        // Where the scheduled ends are others, two of them may round to the same second.
        let choices = &self.choices;
        let is_moved = self.server().life.config().align_flush != choices.aligned;
        self.books.repeats += u64::from(is_moved);
        self.disk = self.disk.snapshot();
        self.close_account();
        self.choices.rule = rules_of(self.server().life.config());
        drop(self.server.take());
        self.settle_reading();
        let known = self.witness.seen(|seen| seen.sum) + self.totals.lost;
        assert!(known >= self.books.floor, "{known} of {} flushed", self.books.floor);
        assert!(known <= sent, "{known} flushed, of {sent} sent");
        self.totals.lost += sent - known;
        if !self.clients.is_passed() {
            self.totals.lost += unread;
        }
        self.books.floor = known.max(self.books.floor);
        self.witness.seen(|seen| {
            seen.gauges.clear();
            seen.is_torn = false;
        });
        self.clients.forget_streams();
        self.begin();
    }

    /// What `carbon` was to be sent, and what of it its process has never read.
    pub(super) fn judge(&self) -> Judgement {
        let (sent, read): (Lines, Lines) = (self.witness.take_read(), self.carbon.take_read());
        let invented: Vec<_> = read.keys().filter(|line| !sent.contains_key(*line)).collect();
        assert!(invented.is_empty(), "lines that were never flushed: {invented:?}");
        let extra = self.extra.take_read();
        assert!(extra.keys().all(|line| sent.contains_key(line)), "lines that were never flushed");
        let missing: HashSet<_> =
            sent.keys().filter(|line| !read.contains_key(*line)).cloned().collect();
        let mut lost = self.carbon.take_lost();
        lost.retain(|lost| missing.contains(&lost.line));
        let Totals { given_up, died, unsubscribed, .. } = self.totals;
        let flushed = self.witness.seen(|seen| seen.sum) + self.totals.lost;
        assert_eq!(flushed, self.clients.sent(), "each sample is in exactly one flush");
        let repeated = self.repeater.seen(|seen| seen.sum);
        assert!(repeated <= self.clients.sent(), "samples were repeated twice");
        if self.totals.kills == 0 {
            assert_eq!(repeated, self.clients.sent(), "each sample is repeated once");
        }
        Judgement { missing, lost, counted: given_up + died + unsubscribed }
    }
}

/// More series than any trial makes: each name with each of its tags, before and after a reload.
const SERIES_MAX: usize = 12_000;
