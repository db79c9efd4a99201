//! The admin port in the loop. It accepts clients, and serves all of them together for a slice of
//! each turn.

use std::time::Duration;

use nix::unistd::gethostname;

use super::accept::Admission;
use super::descriptors::ClientLimit;
use super::life::Life;
use super::pipeline::Pipeline;
use super::reactor::{Reactor, Timer};
use super::reception::Reception;
use crate::admin::{AdminClients, Health, View};
use crate::clock::Clock;
use crate::config::Config;
use crate::figures::{self, FigureKind, Rates, ServerParts};
use crate::ingest::ReadOutcome;
use crate::ingest::listener::{ClientTable as _, Listener};
use crate::ledger::Ledger;
use crate::time::{Now, Tick};
use crate::token::Slot;
use crate::warnings::{AllowFrom, CloseReason, LimitedBy, WarningKind};

/// The clients of the admin port, and what their commands show and change.
#[derive(Debug)]
pub(super) struct AdminPort {
    clients: AdminClients,
    /// Which limit bounds the number of clients.
    limited_by: LimitedBy,
    /// Listeners at which clients may wait.
    waiting: Vec<u16>,
    health: Health,
    /// The name of this machine, which HTTP requests may be for.
    machine: String,
    started: Now,
    rates: Rates,
    noted: NotedFigures,
}

/// How far the history has the figures.
#[derive(Debug)]
struct NotedFigures {
    /// The number of flushes whose figures it has.
    flushes: u64,
    /// When figures were noted last.
    at: Tick,
}

/// What all admin clients together may take of a turn.
const SLICE: Duration = Duration::from_micros(500);
/// What all admin clients together may take of a turn that other work has made long, such as much
/// input or the sweep of a flush. One step is always done, so that each scrape ends.
const SLICE_OF_LONG_TURN: Duration = Duration::from_micros(50);
/// When the slice of the admin clients ends, from the beginning of the turn. The step in which it
/// ends takes a while, and a turn must not take 2 ms because of a scrape.
const TURN: Duration = Duration::from_micros(1300);

impl AdminPort {
    pub(super) fn new(limit: ClientLimit, config: &Config, started: Now) -> Self {
        Self {
            clients: AdminClients::new(limit.clients),
            limited_by: limit.limited_by,
            waiting: Vec::new(),
            health: if config.admin.healthy { Health::Up } else { Health::Down },
            machine: gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            started,
            rates: Rates::default(),
            noted: NotedFigures { flushes: 0, at: started.tick },
        }
    }

    /// Sets new limits. Connected clients stay, but get new deadlines.
    pub(super) fn set_limit(&mut self, limit: ClientLimit) {
        self.clients.limit(limit.clients);
        self.limited_by = limit.limited_by;
    }

    /// Notes that clients may wait at a listener.
    pub(super) fn note_listener(&mut self, listener: u16) {
        self.waiting.push(listener);
    }

    /// Handles an event of a client's socket.
    pub(super) fn ready(&mut self, client: Slot) {
        self.clients.ready(client);
    }

    /// Serves the clients. Their commands read all parts of the server, and change the pipeline.
    pub(super) fn serve<C: Clock>(
        &mut self,
        pipeline: &mut Pipeline,
        reception: &Reception,
        life: &Life,
        reactor: &mut Reactor<C>,
    ) {
        let began = reactor.clock().tick();
        let end = (began + SLICE).min(reactor.now().tick + TURN).max(began + SLICE_OF_LONG_TURN);
        let is_due = self.rates.is_due(reactor.now().tick);
        let config = life.config();
        let flush = pipeline.flush_figures();
        let interval_began = pipeline.open_interval().start;
        let (stages, watch) = pipeline.for_admin();
        let mut view = View {
            server: ServerParts {
                engine: &mut stages.engine,
                sinks: &stages.sinks,
                flush,
                datagrams: &reception.listeners().datagrams,
                streams: &reception.listeners().streams,
                connections: reception.connections_in_use(),
                admin_clients: self.clients.in_use(),
                admin_bytes: self.clients.bytes(),
                config,
                rates: &self.rates,
                started: self.started,
                last_input: reception.last_input(),
                now: reactor.now(),
            },
            encoders: &mut stages.encoders,
            watch,
            health: &mut self.health,
            is_stopping: !life.is_running(),
            machine: &self.machine,
            interval_began,
            origin: life.origin(),
        };
        note_figures(&mut view.server, &mut self.noted);
        // In turns that happen anyway: an idle server is not woken for it.
        let totals = is_due.then(|| figures::sample(&view.server));
        let more = self.clients.turn(&mut view, || reactor.clock().tick() < end);
        if let Some(totals) = totals {
            self.rates.add(totals);
        }
        reactor.turn_again_if(more);
        for client in self.clients.take_served() {
            let deadline = self.clients.deadline(client, config.admin.idle_timeout);
            reactor.set(Timer::IdleAdminClient(client), deadline);
        }
    }

    /// Takes the listeners at which clients may wait. Each must be passed to [`Self::accept`].
    pub(super) fn take_waiting(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.waiting)
    }

    /// Accepts the waiting clients of a listener. If more may wait, the listener is noted again in
    /// the next turn.
    pub(super) fn accept<C: Clock>(
        &mut self,
        index: u16,
        listener: &mut Listener,
        config: &Config,
        ledger: &mut Ledger,
        reactor: &mut Reactor<C>,
    ) {
        let mut admission = Admission {
            clients: &mut self.clients,
            allow_from: &config.admin.allow_from,
            idle_timeout: config.admin.idle_timeout,
            idle_timer: Timer::IdleAdminClient,
            not_allowed: WarningKind::NotAllowed(AllowFrom::Admin),
            makes_room: CloseReason::AdminEvicted,
            full: CloseReason::AdminRefused(self.limited_by),
        };
        let outcome = admission.accept(index, listener, ledger, reactor, |_, _| {});
        if outcome == ReadOutcome::More {
            reactor.set(Timer::Listener(index), Some(reactor.now().tick));
        }
        reactor.turn_again(); // new clients may have sent their first bytes already
    }

    /// Closes a client that was idle, or left its answer unread, for too long. It is counted and
    /// logged.
    pub(super) fn check_idle<C: Clock>(
        &mut self,
        client: Slot,
        config: &Config,
        ledger: &mut Ledger,
        reactor: &mut Reactor<C>,
    ) {
        let idle = config.admin.idle_timeout;
        if let Some((why, sender)) = self.clients.timeout(client, idle, reactor.now().tick) {
            ledger.name_peer(sender);
            ledger.close_idle_connection(why);
        }
        let deadline = self.clients.deadline(client, idle);
        reactor.set(Timer::IdleAdminClient(client), deadline);
    }
}

/// Notes all figures in the history, once after each flush. It does not matter that this happens in
/// a later step of the turn: clients are served after it.
fn note_figures(server: &mut ServerParts<'_>, noted: &mut NotedFigures) {
    let now = server.now.tick;
    if server.flush.flushes == noted.flushes || !server.engine.history().is_on() {
        return;
    }
    let seconds = noted.at.until(now).as_secs_f64();
    *noted = NotedFigures { flushes: server.flush.flushes, at: now };
    let mut figures = Vec::new();
    figures::read(server, None, &mut |figure| {
        // There are two dozen reasons for bad lines, of which a server meets a few.
        let is_unmet = figure.value == 0.0 && figure.row.label() == Some("reason");
        if !is_unmet {
            let label = figure.label.unwrap_or_default().to_owned();
            figures.push((figure.row, label, figure.value));
        }
    });
    let history = server.engine.history_mut();
    for (row, label, value) in figures {
        match row.kind {
            FigureKind::Total => history.note_own_total(row.name, &label, value, seconds),
            FigureKind::Level => history.note_own(row.name, &label, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};

    use super::*;
    use crate::args::VERSION;
    use crate::clock::SystemClock;
    use crate::config::{Bind, Origin};
    use crate::flush::Schedule;
    use crate::ledger::OwnCounter;
    use crate::series::Seeds;
    use crate::server::descriptors::Descriptors;
    use crate::server::listeners::Listeners;
    use crate::server::outputs::SinkResources;
    use crate::token::EventSource;

    /// An admin port with a listener on a free TCP port, and the other parts of a server without
    /// input and destinations.
    struct Rig {
        port: AdminPort,
        pipeline: Pipeline,
        reception: Reception,
        life: Life,
        reactor: Reactor<SystemClock>,
        address: SocketAddr,
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    impl Rig {
        /// An admin port for one client, which may be idle for as long as `idle_timeout`.
        fn new(idle_timeout: Option<Duration>) -> Self {
            let mut config = Config { destinations: Vec::new(), ..Config::default() };
            config.udp.bind = Vec::new();
            config.tcp.bind = Vec::new();
            config.admin.bind = vec![Bind::At("127.0.0.1:0".parse().unwrap())];
            config.admin.idle_timeout = idle_timeout;
            let reactor = Reactor::new(SystemClock::start()).unwrap();
            let listeners = Listeners::open(&config, Vec::new(), reactor.registry()).unwrap();
            let address = listeners.streams[0].address().unwrap().as_socket().unwrap();
            let seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };
            let schedule = Schedule::new(config.flush_interval, false, reactor.now().unix);
            let resources = SinkResources::default();
            let limit = ClientLimit { clients: 1, limited_by: LimitedBy::MaxConnections };
            Self {
                port: AdminPort::new(limit, &config, reactor.now()),
                pipeline: Pipeline::without_sinks(&config, schedule, seeds, resources),
                reception: Reception::new(listeners, limit),
                life: Life::new(
                    config,
                    Origin::default(),
                    None,
                    seeds.members,
                    Descriptors::count(),
                ),
                reactor,
                address,
            }
        }

        #[allow(clippy::disallowed_methods)] // a test may block
        fn connect(&self) -> TcpStream {
            let client = TcpStream::connect(self.address).unwrap();
            client.set_nonblocking(true).unwrap();
            client
        }

        /// Waits a moment for events and timers, and serves the clients, as a turn of the loop
        /// does.
        fn turn(&mut self) {
            let soon = self.reactor.now().tick + Duration::from_millis(10);
            self.reactor.set(Timer::Flush, Some(soon));
            self.reactor.wait().unwrap();
            while let Some(source) = self.reactor.next_event() {
                match source {
                    EventSource::Listener(listener) => self.port.note_listener(listener),
                    EventSource::AdminClient(client) => self.port.ready(client),
                    other => panic!("an event of {other:?}"),
                }
            }
            while let Some(timer) = self.reactor.pop_due() {
                let Self { port, pipeline, life, reactor, .. } = self;
                match timer {
                    Timer::IdleAdminClient(client) => {
                        port.check_idle(client, life.config(), pipeline.ledger(), reactor);
                    }
                    Timer::Listener(listener) => port.note_listener(listener),
                    _ => {}
                }
            }
            let Self { port, pipeline, reception, life, reactor, .. } = self;
            port.serve(pipeline, reception, life, reactor);
            for index in port.take_waiting() {
                let listener = reception.admin_listener(index).unwrap();
                port.accept(index, listener, life.config(), pipeline.ledger(), reactor);
            }
        }

        /// Takes turns until a client has received a text that ends like this.
        fn until_received(&mut self, client: &mut TcpStream, end: &str) -> String {
            self.receive(client, |text| text.ends_with(end))
        }

        /// Takes turns until the port has closed the connection. Returns the text before that.
        fn until_closed(&mut self, client: &mut TcpStream) -> String {
            self.receive(client, |_| false)
        }

        /// Takes turns until a client has received enough, or the end of the connection.
        fn receive(&mut self, client: &mut TcpStream, is_enough: impl Fn(&str) -> bool) -> String {
            let last = self.reactor.now().tick + PATIENCE;
            let mut text = String::new();
            while !is_enough(&text) {
                let mut piece = [0; 4096];
                match client.read(&mut piece) {
                    Ok(0) => break,
                    Ok(read) => text.push_str(std::str::from_utf8(&piece[..read]).unwrap()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.turn(),
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                    Err(error) => panic!("{error}"),
                }
                assert!(self.reactor.now().tick < last, "only {text:?} was received");
            }
            text
        }

        /// The number of clients refused, and of clients closed because they were idle.
        fn counts(&mut self) -> (u64, u64) {
            let own = self.pipeline.ledger().own();
            (
                own.total(OwnCounter::ConnectionsRefused),
                own.total(OwnCounter::IdleConnectionsClosed),
            )
        }

        /// Asserts that the port serves this client.
        fn assert_served(&mut self, client: &mut TcpStream) {
            client.write_all(b"version\n").unwrap();
            assert_eq!(self.until_received(client, "\n"), format!("{VERSION}\n"));
        }
    }

    #[test]
    fn a_client_gets_its_answers_and_its_place_is_free_after_it_has_left() {
        let mut rig = Rig::new(None);
        let mut client = rig.connect();
        rig.assert_served(&mut client);
        client.write_all(b"help version\n").unwrap();
        let help = rig.until_received(&mut client, "\n\n");
        assert!(help.contains("shows the version"), "{help}");
        client.write_all(b"quit\n").unwrap();
        assert_eq!(rig.until_closed(&mut client), "");
        let mut next = rig.connect();
        rig.assert_served(&mut next);
        assert_eq!(rig.counts(), (0, 0));
    }

    #[test]
    fn a_client_beyond_the_limit_is_refused_while_the_other_is_busy() {
        let mut rig = Rig::new(None);
        // Both wait at the listener. The first is busy until it has had its turn.
        let mut first = rig.connect();
        let mut second = rig.connect();
        assert_eq!(rig.until_closed(&mut second), "");
        assert_eq!(rig.counts(), (1, 0));
        rig.assert_served(&mut first);
    }

    #[test]
    fn an_idle_client_makes_room_for_the_next_one() {
        let mut rig = Rig::new(None);
        let mut first = rig.connect();
        rig.assert_served(&mut first);
        let mut second = rig.connect();
        rig.assert_served(&mut second);
        assert_eq!(rig.until_closed(&mut first), "");
        assert_eq!(rig.counts(), (0, 1));
    }

    #[test]
    fn a_watch_makes_room_for_the_next_client() {
        let mut rig = Rig::new(None);
        for (request, answer) in [
            ("watch zzz\n", "watching; an empty line ends it\n"),
            ("GET /api/watch?name=zzz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "\r\n\r\n"),
        ] {
            let mut first = rig.connect();
            first.write_all(request.as_bytes()).unwrap();
            rig.until_received(&mut first, answer);
            let mut second = rig.connect();
            rig.assert_served(&mut second);
            assert_eq!(rig.until_closed(&mut first), "");
            second.write_all(b"quit\n").unwrap();
            rig.until_closed(&mut second);
        }
        assert_eq!(rig.counts(), (0, 2));
    }

    #[test]
    fn a_client_that_sends_nothing_is_closed_after_idle_timeout() {
        let mut rig = Rig::new(Some(Duration::from_millis(30)));
        let mut client = rig.connect();
        assert_eq!(rig.until_closed(&mut client), "");
        assert_eq!(rig.counts(), (0, 1));
    }
}
