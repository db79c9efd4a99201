//! The admin port in the loop. It accepts clients, and serves all of them together for a slice of
//! each turn.

use std::time::Duration;

use super::accept::Admission;
use super::descriptors::ClientLimit;
use super::reactor::{Reactor, Timer};
use crate::admin::{AdminClients, Health, View};
use crate::clock::Clock;
use crate::config::{Admin, Config};
use crate::ingest::ReadOutcome;
use crate::ingest::client_table::{ClientTable as _, InUse};
use crate::ingest::listener::Listener;
use crate::ledger::Ledger;
use crate::token::Slot;
use crate::warnings::{AllowFrom, CloseReason, LimitedBy, WarningKind};

/// The clients of the admin port, and the listeners at which more of them may wait.
#[derive(Debug)]
pub(super) struct AdminPort {
    clients: AdminClients,
    /// Which limit bounds the number of clients.
    limited_by: LimitedBy,
    /// What health checks get as their answer. An operator sets it.
    health: Health,
    /// Listeners at which clients may wait.
    waiting: Vec<u16>,
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
    pub(super) fn new(limit: ClientLimit, config: &Admin) -> Self {
        Self {
            clients: AdminClients::new(limit.clients),
            limited_by: limit.limited_by,
            health: if config.healthy { Health::Up } else { Health::Down },
            waiting: Vec::new(),
        }
    }

    /// Returns the number of clients, and the most that there may be.
    pub(super) fn clients_in_use(&self) -> InUse {
        self.clients.in_use()
    }

    /// Returns the bytes that the clients hold.
    pub(super) fn bytes(&self) -> usize {
        self.clients.bytes()
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

    /// Serves the clients, whose commands read and change what `view` borrows. It gets the health.
    pub(super) fn serve<'a, C: Clock>(
        &'a mut self,
        view: impl FnOnce(&'a mut Health) -> View<'a>,
        reactor: &mut Reactor<C>,
    ) {
        let began = reactor.clock().tick();
        let end = (began + SLICE).min(reactor.now().tick + TURN).max(began + SLICE_OF_LONG_TURN);
        let mut view = view(&mut self.health);
        let more = self.clients.turn(&mut view, || reactor.clock().tick() < end);
        reactor.turn_again_if(more);
        for client in self.clients.take_served() {
            let deadline = self.clients.deadline(client, view.server.config.admin.idle_timeout);
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
            retry_timer: Timer::AdminListener(index),
            idle_timer: Timer::IdleAdminClient,
            not_allowed: WarningKind::NotAllowed(AllowFrom::Admin),
            makes_room: CloseReason::AdminEvicted,
            full: CloseReason::AdminRefused(self.limited_by),
        };
        let outcome = admission.accept(listener, ledger, reactor, |_, _| {});
        if outcome == ReadOutcome::More {
            reactor.set(Timer::AdminListener(index), Some(reactor.now().tick));
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

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};

    use slab::Slab;
    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::admin::Watch;
    use crate::args::VERSION;
    use crate::clock::SystemClock;
    use crate::config::Origin;
    use crate::figures::{FlushFigures, RecentFigures, ServerParts};
    use crate::ledger::OwnCounter;
    use crate::series::Seeds;
    use crate::server::stages::Stages;
    use crate::time::UnixTime;
    use crate::token::EventSource;

    /// An admin port alone, with a listener on a free TCP port, and what its clients see of a
    /// server without input and destinations.
    struct Rig {
        port: AdminPort,
        listener: Listener,
        reactor: Reactor<SystemClock>,
        config: Config,
        stages: Stages,
        watch: Watch,
        figures: RecentFigures,
        address: SocketAddr,
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    impl Rig {
        /// An admin port for one client, which may be idle for as long as `idle_timeout`.
        fn new(idle_timeout: Option<Duration>) -> Self {
            let mut config = Config { destinations: Vec::new(), ..Config::default() };
            config.admin.idle_timeout = idle_timeout;
            let reactor = Reactor::new(SystemClock::start()).unwrap();
            let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
            socket.listen(8).unwrap();
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            let listener = Listener::new(socket);
            listener.register(reactor.registry(), EventSource::AdminListener(0).into()).unwrap();
            let limit = ClientLimit { clients: 1, limited_by: LimitedBy::MaxConnections };
            let seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };
            Self {
                port: AdminPort::new(limit, &config.admin),
                listener,
                reactor,
                stages: Stages::new(&config, seeds),
                config,
                watch: Watch::default(),
                figures: RecentFigures::default(),
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
                    EventSource::AdminListener(listener) => self.port.note_listener(listener),
                    EventSource::AdminClient(client) => self.port.ready(client),
                    other => panic!("an event of {other:?}"),
                }
            }
            while let Some(timer) = self.reactor.pop_due() {
                let Self { port, stages, config, reactor, .. } = self;
                match timer {
                    Timer::IdleAdminClient(client) => {
                        port.check_idle(client, config, stages.engine.ledger_mut(), reactor);
                    }
                    Timer::AdminListener(listener) => port.note_listener(listener),
                    _ => {}
                }
            }
            self.serve();
            let Self { port, listener, stages, config, reactor, .. } = self;
            for index in port.take_waiting() {
                port.accept(index, listener, config, stages.engine.ledger_mut(), reactor);
            }
        }

        fn serve(&mut self) {
            let server = ServerParts {
                engine: &mut self.stages.engine,
                sinks: &self.stages.sinks,
                flush: FlushFigures::default(),
                datagrams: &Slab::new(),
                streams: &Slab::new(),
                admin_listeners: &Slab::new(),
                connections: InUse::default(),
                admin_clients: self.port.clients_in_use(),
                admin_bytes: self.port.bytes(),
                config: &self.config,
                recent: &mut self.figures,
                last_input: None,
                now: self.reactor.now(),
            };
            let origin = Origin::default();
            let view = |health| View {
                server,
                encoders: &mut self.stages.encoders,
                watch: &mut self.watch,
                health,
                is_stopping: false,
                interval_began: UnixTime::default(),
                origin: &origin,
            };
            self.port.serve(view, &mut self.reactor);
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
        fn counts(&self) -> (u64, u64) {
            let own = self.stages.engine.own();
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
