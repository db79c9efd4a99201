//! Reception: the sockets that samples come in by, and the order in which they are read.
//!
//! ```text
//!  event ──▶ Backlog ──▶ DatagramSocket ──▶ datagrams ─▶ InputHandler (the pipeline)
//!                  └──▶ Listener ──▶ Connections ──▶ pieces of streams ─▶ InputHandler
//! ```
//! The listeners of the admin port are kept here too, because a reload compares and binds all
//! addresses together.

mod backlog;
mod datagram_filter;
pub(super) mod dump_messages;
pub(super) mod listeners;
mod read_totals;
mod retired;

use std::slice::from_ref;
use std::time::Duration;

use self::backlog::Backlog;
use self::datagram_filter::DatagramFilter;
use self::dump_messages::log_piece;
use self::listeners::{BoundSocket, Endpoint, ListenerChange, Listeners, bind_all};
use self::read_totals::ReadTotals;
use self::retired::RetiredListeners;
use super::accept::Admission;
use super::descriptors::ClientLimit;
use super::reactor::{Reactor, Timer};
use super::server_error::ServerError;
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::bind::BindError;
use crate::ingest::client_table::{ClientTable as _, InUse};
use crate::ingest::connections::{Connections, READ_BYTES, StreamRead};
use crate::ingest::datagrams::{DropsSeen, SHARE_BYTES};
use crate::ingest::frames::StreamLimits;
use crate::ingest::listener::Listener;
use crate::ingest::{InputHandler, ReadOutcome};
use crate::ledger::OwnCounter;
use crate::sys::batch::RecvBatch;
use crate::time::Now;
use crate::token::{EventSource, Slot};
use crate::warnings::{AllowFrom, CloseReason, LimitedBy, WarningKind};

/// The listeners, the connections, and the sources with unread input.
#[derive(Debug)]
pub(super) struct Reception {
    listeners: Listeners,
    retired: RetiredListeners,
    connections: Connections,
    /// Which limit bounds the number of connections.
    limited_by: LimitedBy,
    batch: RecvBatch,
    /// The index of the socket that filled `batch` last. The datagrams in the batch came by it.
    filled_by: u16,
    backlog: Backlog,
    /// The index of the datagram socket whose last read has failed, until its pause begins.
    unreadable: Option<u16>,
    /// When something last came in.
    last_input: Option<Now>,
}

/// Bytes taken from one source at a time while every line is logged: about a millisecond's work for
/// the shortest lines. Writing a log line costs far more than reading the line.
const LOGGED_SHARE_BYTES: usize = 1024;
/// The time until a datagram socket that could not be read is read again.
const READ_PAUSE: Duration = Duration::from_millis(500);
/// How long sockets that are about to be closed are still read.
const LAST_READ: Duration = Duration::from_millis(200);
/// How long a listener is still read if its port is needed at once. It is part of one turn.
const SHORT_READ: Duration = Duration::from_millis(2);

impl Reception {
    pub(super) fn new(listeners: Listeners, limit: ClientLimit) -> Self {
        Self {
            listeners,
            retired: RetiredListeners::default(),
            connections: Connections::new(limit.clients),
            limited_by: limit.limited_by,
            batch: RecvBatch::new(),
            filled_by: 0,
            backlog: Backlog::default(),
            unreadable: None,
            last_input: None,
        }
    }

    /// Whether sources wait to be read.
    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// All sockets that the server listens on, those of the admin port too.
    pub(super) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Returns the number of connections that send lines, and the most that there may be.
    pub(super) fn connections_in_use(&self) -> InUse {
        InUse { used: self.connections.len(), limit: self.connections.limit() }
    }

    /// Returns when the last packet or line arrived.
    pub(super) fn last_input(&self) -> Option<Now> {
        self.last_input
    }

    /// Handles an event of the poller. The source is read in this turn's share of time, or in a
    /// later turn.
    pub(super) fn note_event<C: Clock>(&mut self, source: EventSource, reactor: &mut Reactor<C>) {
        if self.backlog.is_empty() {
            reactor.gather().note_input();
        }
        // Measuring costs a system call, and only a nap needs the result.
        if let EventSource::Datagrams(index) = source
            && reactor.gather().is_on()
            && let Some(socket) = self.listeners.datagrams.get(usize::from(index))
            && let Some((taken, room)) = socket.receive_queue()
        {
            reactor.gather().note_fill(taken, room);
        }
        self.backlog.push(source);
    }

    /// Reads from the sources in the backlog until the time is over or all are dry: every datagram
    /// socket in turn, then one stream, and again. At least one round is made, so that no source
    /// starves.
    pub(super) fn receive<C: Clock>(
        &mut self,
        time: Duration,
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) {
        let end = reactor.now().tick + time;
        while !self.backlog.is_empty() {
            // All datagram sockets before each stream: the kernel drops datagrams if a buffer is
            // full, but the sender of a stream waits.
            for _ in 0..self.backlog.datagrams() {
                self.receive_datagrams(config, input, reactor.now());
                if let Some(index) = self.unreadable.take() {
                    reactor.set(Timer::Datagrams(index), Some(reactor.now().tick + READ_PAUSE));
                }
            }
            if let Some(source) = self.backlog.pop_stream() {
                self.receive_from(source, config, input, reactor);
            }
            if reactor.clock().tick() >= end {
                break;
            }
        }
        if reactor.gather().is_on() {
            let sockets = self.listeners.datagrams.iter_mut();
            let fills = sockets.filter_map(|(_, socket)| socket.take_queue_fill());
            fills.for_each(|(received, limit)| reactor.gather().note_fill(received, limit));
        }
    }

    /// Gives one stream or listener its share, and keeps it in the backlog if it has more.
    fn receive_from<C: Clock>(
        &mut self,
        source: EventSource,
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) {
        let outcome = match source {
            EventSource::Listener(index) => self.accept(index, config, input, reactor),
            EventSource::Connection(slot) => self.receive_lines(slot, config, input, reactor),
            _ => ReadOutcome::Dry,
        };
        if outcome == ReadOutcome::More {
            self.backlog.push(source);
        }
    }

    /// Reads one share of datagrams: first those in the batch, then from the next socket.
    ///
    /// A socket whose datagrams wait in the batch is in the backlog. It does not fill the batch
    /// again before its next turn, so that the other sockets get theirs.
    fn receive_datagrams(&mut self, config: &Config, input: &mut impl InputHandler, now: Now) {
        let mut share = share_of(SHARE_BYTES, config);
        if !self.batch.is_empty() {
            share = self.take_datagrams(false, share, config, input, now);
        }
        if share == 0 {
            return;
        }
        let Some(source) = self.backlog.pop_datagrams() else { return };
        if let EventSource::Datagrams(index) = source {
            self.filled_by = index;
            if self.take_datagrams(true, share, config, input, now) == 0 {
                self.backlog.push(source);
            }
        }
    }

    /// Takes in datagrams of the socket `filled_by`, and counts them for it: those in the batch,
    /// and more from the kernel if `may_fill` is set. Returns the rest of the share, which is 0 if
    /// there may be more.
    fn take_datagrams(
        &mut self,
        may_fill: bool,
        share: usize,
        config: &Config,
        input: &mut impl InputHandler,
        now: Now,
    ) -> usize {
        let Self { listeners, batch, filled_by, last_input, unreadable, .. } = self;
        let Some(socket) = listeners.datagrams.get_mut(usize::from(*filled_by)) else {
            return share;
        };
        let before = ReadTotals::of(input.ledger());
        let mut filter = DatagramFilter { input, last_input, config, now, bytes: 0 };
        let rest =
            socket.receive(batch, may_fill, share, |datagram, share| filter.take(&datagram, share));
        let bytes = filter.bytes;
        socket.count(before.until(input.ledger(), bytes));
        rest.unwrap_or_else(|error| {
            let number = error.raw_os_error().unwrap_or_default();
            input.ledger().warn(WarningKind::ReadFailed(number), b"");
            // The socket may hold datagrams, and the poller reports only later ones. So it is read
            // again after a pause, but not at once, since the error may last.
            *unreadable = Some(*filled_by);
            share
        })
    }

    /// Reads one share of lines from a connection.
    fn receive_lines<C: Clock>(
        &mut self,
        slot: Slot,
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) -> ReadOutcome {
        let now = reactor.now();
        let share = share_of(READ_BYTES, config);
        let limits = StreamLimits { max_line: config.tcp.max_line, share };
        let Self { listeners, connections, last_input, .. } = self;
        input.ledger().set_sender(connections.sender(slot));
        let listener = connections.listener(slot);
        let before = ReadTotals::of(input.ledger());
        let StreamRead { outcome, bytes } = connections.read(slot, now.tick, limits, |piece| {
            *last_input = Some(now);
            input.repeat_piece(piece);
            if config.dump_messages {
                log_piece(piece);
            }
            input.take_piece(piece);
        });
        let listener = listener.and_then(|index| listeners.streams.get_mut(index.into()));
        if let Some(listener) = listener {
            listener.count(before.until(input.ledger(), bytes as u64));
        }
        // The connection may have ended. While it is open its timer is not moved at each read,
        // which would cost too much: `check_idle` sets it again when it fires.
        if connections.deadline(slot, config.tcp.idle_timeout).is_none() {
            reactor.set(Timer::IdleConnection(slot), None);
        }
        outcome
    }

    /// Accepts waiting connections of a listener for lines.
    fn accept<C: Clock>(
        &mut self,
        index: u16,
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) -> ReadOutcome {
        let Self { listeners, connections, limited_by, backlog, .. } = self;
        // A reload may have closed the listener.
        let Some(listener) = listeners.streams.get_mut(index.into()) else {
            return ReadOutcome::Dry;
        };
        let mut admission = Admission {
            clients: connections,
            allow_from: &config.tcp.allow_from,
            idle_timeout: config.tcp.idle_timeout,
            retry_timer: Timer::Listener(index),
            idle_timer: Timer::IdleConnection,
            not_allowed: WarningKind::NotAllowed(AllowFrom::Tcp),
            makes_room: CloseReason::ConnectionIdle,
            full: CloseReason::ConnectionRefused(*limited_by),
        };
        admission.accept(listener, input.ledger(), reactor, |connections, slot| {
            connections.set_listener(slot, index);
            // The client may have sent its first bytes already.
            backlog.push(EventSource::Connection(slot));
        })
    }

    /// Returns a listener of the admin port. Returns `None` if a reload has closed it.
    pub(super) fn admin_listener(&mut self, index: u16) -> Option<&mut Listener> {
        self.listeners.admin.get_mut(index.into())
    }

    /// Tries again to accept from a listener.
    pub(super) fn retry_listener(&mut self, index: u16) {
        self.backlog.push(EventSource::Listener(index));
    }

    /// Reads a datagram socket again that could not be read.
    pub(super) fn retry_datagrams(&mut self, index: u16) {
        self.backlog.push(EventSource::Datagrams(index));
    }

    /// Closes a connection that has been silent for too long. It is counted and logged.
    pub(super) fn check_idle<C: Clock>(
        &mut self,
        slot: Slot,
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) {
        let connections = &mut self.connections;
        let now = reactor.now().tick;
        let idle = config.tcp.idle_timeout;
        if self.backlog.has(EventSource::Connection(slot)) {
            connections.note_unread_input(slot, now); // it has sent bytes that were not read yet
        }
        input.ledger().set_sender(connections.sender(slot));
        let closed = connections.timeout(slot, idle, now, |piece| input.take_piece(piece));
        if let Some(sender) = closed {
            input.ledger().name_peer(sender);
            input.ledger().close_idle_connection(CloseReason::ConnectionIdle);
        }
        let deadline = connections.deadline(slot, idle);
        reactor.set(Timer::IdleConnection(slot), deadline);
    }

    /// Sets new limits on connections. Those that are open stay, even if there are more than the
    /// limit now allows, and get the deadline of the new `idle_timeout`.
    pub(super) fn set_limit<C: Clock>(
        &mut self,
        limit: ClientLimit,
        config: &Config,
        reactor: &mut Reactor<C>,
    ) {
        self.connections.set_limit(limit.clients);
        self.limited_by = limit.limited_by;
        for slot in self.connections.slots() {
            let deadline = self.connections.deadline(slot, config.tcp.idle_timeout);
            reactor.set(Timer::IdleConnection(slot), deadline);
        }
    }

    /// Counts the datagrams that the kernel dropped on these sockets since the last call.
    pub(super) fn count_drops(&mut self, input: &mut impl InputHandler) {
        let sockets = self.listeners.datagrams.iter_mut();
        let drops: u64 = sockets.map(|(_, socket)| u64::from(socket.take_drops())).sum();
        if drops > 0 {
            input.ledger().count(OwnCounter::UdpDrops, drops);
            input.ledger().warn_many(WarningKind::UdpDrops, drops, b"");
        }
    }

    /// Takes over what the run before counted of the drops of sockets that were passed in.
    pub(super) fn resume_drops(&mut self, seen: &[DropsSeen]) {
        self.listeners.datagrams.iter_mut().for_each(|(_, socket)| socket.resume(seen));
    }

    /// Binds the addresses of `config` that are not bound, and retires the listeners that it no
    /// longer wants. Fails if an address cannot be bound or its socket cannot be registered.
    ///
    /// Listeners that hold a missing address, as `*:8125` holds `127.0.0.1:8125`, or as a stream
    /// holds the path of a datagram socket, are closed before it is bound. After a failure they are
    /// bound again, and the log shows if that fails. Their unread data is lost then. So all other
    /// addresses are bound first: if one of these is taken, no listener is closed.
    pub(super) fn rebind<C: Clock>(
        &mut self,
        config: &Config,
        running: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) -> Result<(), ServerError> {
        let ListenerChange { missing, leaving } = self.listeners.change(config);
        let is_held =
            |wanted: &Endpoint| !self.listeners.in_the_way(from_ref(wanted), &leaving).is_empty();
        let (held, free): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_held);
        let mut bound = bind_all(&free)?;
        let mut closed = Vec::new();
        let mut rest = bind_all(&held);
        if rest.as_ref().is_err_and(BindError::is_taken) {
            let in_the_way = self.listeners.in_the_way(&held, &leaving);
            closed = self.listeners.wanted_by(&in_the_way);
            self.close_now(&in_the_way, running, input, reactor);
            rest = bind_all(&held);
        }
        let mut kept = self.listeners.all();
        let adopted = rest.map_err(ServerError::from).and_then(|rest| {
            bound.extend(rest);
            self.adopt(bound, config, reactor)
        });
        if let Err(error) = adopted {
            let is_whole = self.listen_again(&closed, running, reactor);
            return Err(if is_whole { error } else { ServerError::ListenerLost(error.into()) });
        }
        if config.udp.recv_buffer != running.udp.recv_buffer {
            // New sockets have the new size already, and retired ones are closed soon.
            kept.retain(|source| !self.retired.sources().contains(source));
            self.listeners.set_receive_buffers(&kept, config.udp.recv_buffer);
        }
        Ok(())
    }

    /// Registers bound sockets. Only then retires the listeners that `config` no longer wants, and
    /// sets the modes of unix sockets, whose failure is only logged.
    fn adopt<C: Clock>(
        &mut self,
        bound: Vec<BoundSocket>,
        config: &Config,
        reactor: &mut Reactor<C>,
    ) -> Result<(), ServerError> {
        self.listeners.add(bound, config, reactor.registry()).map_err(ServerError::Watch)?;
        self.retire(self.listeners.change(config).leaving, reactor);
        self.listeners.set_modes(config.unix.mode);
        Ok(())
    }

    /// Opens listeners again that were closed for a reload. Returns `false`, and logs why, if that
    /// fails.
    fn listen_again<C: Clock>(
        &mut self,
        closed: &[Endpoint],
        config: &Config,
        reactor: &Reactor<C>,
    ) -> bool {
        let opened = bind_all(closed).map_err(ServerError::from).and_then(|bound| {
            self.listeners.add(bound, config, reactor.registry()).map_err(ServerError::Watch)
        });
        opened.inspect_err(log_lost_listener).is_ok()
    }

    /// Reads listeners that are no longer wanted until they are empty. They are closed over the
    /// next turns, so that a busy one does not delay the others. Connections that they have
    /// accepted stay.
    fn retire<C: Clock>(&mut self, leaving: Vec<EventSource>, reactor: &mut Reactor<C>) {
        leaving.iter().for_each(|source| self.push_for_last_read(*source));
        self.retired.set(leaving, reactor.now().tick + LAST_READ);
        reactor.set(Timer::Retired, self.retired.deadline());
    }

    /// Closes the retired listeners that are empty, and all of them when their time is over.
    pub(super) fn close_retired<C: Clock>(
        &mut self,
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) {
        let Some(until) = self.retired.deadline() else { return };
        let dry = self.retired.take(|source| !self.backlog.has(source));
        self.close(&dry, config, input, reactor);
        if until <= reactor.now().tick {
            let unread = self.retired.take(|_| true);
            log_unread(unread.len(), LAST_READ);
            self.close(&unread, config, input, reactor);
        }
    }

    /// Closes listeners whose port another one needs in this turn. They are read for a short time
    /// first.
    fn close_now<C: Clock>(
        &mut self,
        leaving: &[EventSource],
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) {
        leaving.iter().for_each(|source| self.push_for_last_read(*source));
        self.receive(SHORT_READ, config, input, reactor);
        let unread = leaving.iter().filter(|source| self.backlog.has(**source)).count();
        log_unread(unread, SHORT_READ);
        self.close(leaving, config, input, reactor);
    }

    /// Closes listeners, after taking in what was received and counting their drops, which would
    /// be lost with them.
    fn close<C: Clock>(
        &mut self,
        sources: &[EventSource],
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) {
        if sources.contains(&EventSource::Datagrams(self.filled_by)) {
            self.take_datagrams(false, usize::MAX, config, input, reactor.now());
        }
        self.count_drops(input);
        // The next listener may get the index of one of these.
        self.retired.take(|source| sources.contains(&source));
        for source in sources {
            match *source {
                EventSource::Listener(index) => {
                    reactor.set(Timer::Listener(index), None);
                    self.connections.forget_listener(index);
                }
                EventSource::AdminListener(index) => {
                    reactor.set(Timer::AdminListener(index), None);
                }
                _ => {}
            }
        }
        self.listeners.close(sources);
    }

    /// Ends the reception: reads every socket that closes with this process until it is
    /// dry or [`LAST_READ`] is over, then closes them all.
    ///
    /// Sockets that were passed in keep their data for the next run. Returns what was counted of
    /// their drops, which the next run continues.
    pub(super) fn stop<C: Clock>(
        &mut self,
        config: &Config,
        input: &mut impl InputHandler,
        reactor: &mut Reactor<C>,
    ) -> Vec<DropsSeen> {
        self.backlog = Backlog::default();
        self.take_datagrams(false, usize::MAX, config, input, reactor.now());
        let ending = self.listeners.ours();
        ending.into_iter().for_each(|source| self.push_for_last_read(source));
        for slot in self.connections.slots() {
            self.backlog.push(EventSource::Connection(slot));
        }
        self.receive(LAST_READ, config, input, reactor);
        self.take_datagrams(false, usize::MAX, config, input, reactor.now());
        self.count_drops(input);
        // The backlog also holds connections that were accepted just now. They are closed as well.
        log_unread(self.backlog.take_all().len(), LAST_READ);
        let sockets = self.listeners.datagrams.iter();
        let seen = sockets.filter_map(|(_, socket)| socket.drops_seen()).collect();
        let all = self.listeners.all();
        self.listeners.close(&all);
        self.connections.clear(|sender, piece| {
            input.ledger().set_sender(sender);
            input.take_piece(piece);
        });
        seen
    }

    /// Reads a source once more before it is closed, except listeners of the admin port.
    fn push_for_last_read(&mut self, source: EventSource) {
        if !matches!(source, EventSource::AdminListener(_)) {
            self.backlog.push(source);
        }
    }
}

/// Returns the bytes that one source may bring at a time.
fn share_of(share: usize, config: &Config) -> usize {
    if config.dump_messages { LOGGED_SHARE_BYTES } else { share }
}

/// Reports sockets that were closed with data in them.
fn log_unread(sockets: usize, time: Duration) {
    if sockets > 0 {
        log::warn!(
            unread_sockets = sockets,
            reason:% = format_args!("they held more than could be read in {time:?}"),
            hint = "stop clients first, or let the service manager pass the sockets in";
            "sockets were closed with unread data, which is lost"
        );
    }
}

/// Reports that a refused reload could not get back a listener that it had closed.
fn log_lost_listener(error: &ServerError) {
    log::error!(
        reload = "failed",
        reason:% = error,
        hint = "nothing is received there; free the address and restart the server";
        "a listener was closed for a reload and could not be opened again"
    );
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::Bind;
    use crate::ingest::datagrams::DatagramSocket;
    use crate::ingest::lines::Piece;
    use crate::ledger::Ledger;
    use crate::sink::testing::logged;

    const MOST: ClientLimit = ClientLimit { clients: 100, limited_by: LimitedBy::MaxConnections };
    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A configuration without destinations that listens on TCP only.
    fn listening(tcp: &[SocketAddr], admin: &[SocketAddr]) -> Config {
        let binds = |addresses: &[SocketAddr]| addresses.iter().copied().map(Bind::At).collect();
        let mut config = Config { destinations: Vec::new(), ..Config::default() };
        config.udp.bind = Vec::new();
        config.tcp.bind = binds(tcp);
        config.admin.bind = binds(admin);
        config
    }

    /// A free address of this host.
    fn free() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// Connects this many clients, each of which reads without waiting.
    #[allow(clippy::disallowed_methods)] // a test may block
    fn connect(address: SocketAddr, clients: usize) -> Vec<TcpStream> {
        let connect = |_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        };
        (0..clients).map(connect).collect()
    }

    /// Collects the input, in place of the pipeline.
    #[derive(Default)]
    struct Collected {
        ledger: Ledger,
        lines: Vec<String>,
        /// The packets and pieces that repeaters would get.
        repeated: usize,
    }

    impl Collected {
        fn add(&mut self, text: &[u8]) {
            let text = str::from_utf8(text).unwrap();
            self.lines.extend(text.lines().map(str::to_owned));
        }
    }

    impl InputHandler for Collected {
        fn ledger(&mut self) -> &mut Ledger {
            &mut self.ledger
        }

        fn take_lines(&mut self, text: &[u8], _share: usize) -> usize {
            self.add(text);
            text.len()
        }

        fn take_piece(&mut self, piece: Piece<'_>) {
            match piece {
                Piece::Lines(text) => self.add(text),
                other => panic!("only lines were sent, not {other:?}"),
            }
        }

        fn repeat_packet(&mut self, _packet: &[u8]) {
            self.repeated += 1;
        }

        fn repeat_piece(&mut self, _piece: Piece<'_>) {
            self.repeated += 1;
        }
    }

    #[test]
    fn datagrams_and_streams_are_passed_on_and_a_client_that_is_not_allowed_is_refused() {
        let mut config = listening(&[free()], &[]);
        config.udp.bind = vec![Bind::At("127.0.0.1:0".parse().unwrap())];
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let listeners = Listeners::open(&config, Vec::new(), reactor.registry()).unwrap();
        let mut reception = Reception::new(listeners, MOST);
        let mut input = Collected::default();
        let to = reception.listeners().datagrams[0].address().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"a:1|c\nb:2|c", to.as_socket().unwrap()).unwrap();
        let Bind::At(address) = config.tcp.bind[0] else { panic!("it has an address") };
        let mut client = connect(address, 1).remove(0);
        client.write_all(b"c:3|c\nd:4").unwrap();
        client.shutdown(Shutdown::Write).unwrap(); // the last line is whole

        let mut turn = |config: &Config, input: &mut Collected, reactor: &mut Reactor| {
            let soon = reactor.now().tick + Duration::from_millis(10);
            reactor.set(Timer::Flush, Some(soon));
            reactor.turn_again_if(reception.has_backlog());
            reactor.wait().unwrap();
            while reactor.pop_due().is_some() {}
            while let Some(source) = reactor.next_event() {
                reception.note_event(source, reactor);
            }
            reception.receive(SECOND, config, input, reactor);
            reception.connections_in_use().used
        };
        let until = reactor.now().tick + PATIENCE;
        while input.lines.len() < 4 || turn(&config, &mut input, &mut reactor) > 0 {
            turn(&config, &mut input, &mut reactor);
            assert!(reactor.now().tick < until, "only {:?} was received", input.lines);
        }
        input.lines.sort();
        assert_eq!(input.lines, ["a:1|c", "b:2|c", "c:3|c", "d:4"]);
        assert!(input.repeated >= 2);
        assert_eq!(input.ledger.own().total(OwnCounter::PacketsReceived), 1);

        config.tcp.allow_from = vec!["192.0.2.0/24".parse().unwrap()];
        let _refused = connect(address, 1);
        while input.ledger.own().total(OwnCounter::ConnectionsRefused) == 0 {
            assert_eq!(turn(&config, &mut input, &mut reactor), 0);
            assert!(reactor.now().tick < until, "the client is not refused");
        }
    }

    /// Opens `sockets` sockets for datagrams, and returns a sender for each. A datagram of it is a
    /// line of 400 bytes, so that a batch of them is more than a share.
    fn receiving(
        sockets: usize,
        reactor: &Reactor<SystemClock>,
    ) -> (Reception, Vec<impl Fn() + use<>>) {
        let mut config = listening(&[], &[]);
        config.udp.bind = vec![Bind::At("127.0.0.1:0".parse().unwrap()); sockets];
        let bound = bind_all(&Endpoint::all(&config)).unwrap();
        let mut listeners = Listeners::default();
        listeners.add(bound, &config, reactor.registry()).unwrap();
        let sender = |index: usize| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = listeners.datagrams[index].address().unwrap().as_socket().unwrap();
            let line = format!("{}:1|c", "a".repeat(396));
            move || _ = socket.send_to(line.as_bytes(), to).unwrap()
        };
        let senders = (0..sockets).map(sender).collect();
        (Reception::new(listeners, MOST), senders)
    }

    #[test]
    fn each_datagram_is_counted_for_the_socket_that_it_came_by() {
        const BUSY: u64 = 100;
        const QUIET: u64 = 10;
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let (mut reception, send) = receiving(2, &reactor);
        let config = listening(&[], &[]);
        let mut input = Collected::default();
        (0..BUSY).for_each(|_| send[0]());
        (0..QUIET).for_each(|_| send[1]());
        let packets = |reception: &Reception| {
            let sockets = reception.listeners().datagrams.iter();
            sockets.map(|(_, socket)| socket.counts().packets).collect::<Vec<_>>()
        };
        let until = reactor.now().tick + PATIENCE;
        while packets(&reception).iter().sum::<u64>() < BUSY + QUIET {
            assert!(reactor.clock().tick() < until, "only {:?} came", packets(&reception));
            reception.backlog.push(EventSource::Datagrams(0));
            reception.backlog.push(EventSource::Datagrams(1));
            reception.receive(Duration::ZERO, &config, &mut input, &mut reactor);
        }
        assert_eq!(packets(&reception), [BUSY, QUIET]);
        let counts = reception.listeners().datagrams[1].counts();
        assert_eq!(counts.bytes, QUIET * 400);
    }

    #[test]
    fn a_busy_socket_leaves_a_quiet_one_its_turns() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let (mut reception, send) = receiving(2, &reactor);
        let config = listening(&[], &[]);
        let mut input = Collected::default();
        let until = reactor.now().tick + PATIENCE;
        send[1]();
        while reception.listeners().datagrams[1].counts().packets == 0 {
            assert!(reactor.clock().tick() < until, "the quiet socket is not read");
            (0..64).for_each(|_| send[0]()); // it never gets dry
            reception.backlog.push(EventSource::Datagrams(0));
            reception.backlog.push(EventSource::Datagrams(1));
            reception.receive(Duration::ZERO, &config, &mut input, &mut reactor);
        }
    }

    /// The error is that of a packet to a port at which no socket is bound.
    #[test]
    fn a_socket_is_read_again_after_an_error() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let (mut reception, _) = receiving(1, &reactor);
        let config = listening(&[], &[]);
        let mut input = Collected::default();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let unused = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        socket.connect(unused).unwrap();
        socket.send(b"a").unwrap();
        reception.listeners.datagrams[0] = DatagramSocket::new(socket.into());
        let until = reactor.now().tick + PATIENCE;
        let mut is_due = false;
        while !is_due {
            assert!(reactor.clock().tick() < until, "a socket with an error is not read again");
            reception.backlog.push(EventSource::Datagrams(0));
            reception.receive(Duration::ZERO, &config, &mut input, &mut reactor);
            assert!(!reception.has_backlog(), "it is not read again at once");
            reactor.set(Timer::Save, Some(reactor.now().tick + Duration::from_millis(1)));
            reactor.wait().unwrap();
            let mut due = std::iter::from_fn(|| reactor.pop_due());
            is_due = due.any(|timer| timer == Timer::Datagrams(0));
        }
        reception.retry_datagrams(0);
        assert!(reception.has_backlog());
    }

    #[test]
    fn what_was_received_from_a_socket_is_taken_in_when_it_is_closed() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let (mut reception, send) = receiving(1, &reactor);
        let config = listening(&[], &[]);
        let mut input = Collected::default();
        let until = reactor.now().tick + PATIENCE;
        let source = EventSource::Datagrams(0);
        while reception.batch.is_empty() {
            assert!(reactor.clock().tick() < until, "no batch is more than a share");
            (0..64).for_each(|_| send[0]());
            reception.backlog.push(source);
            reception.receive(Duration::ZERO, &config, &mut input, &mut reactor);
        }
        let before = input.lines.len();
        reception.close(&[source], &config, &mut input, &mut reactor);
        assert!(reception.batch.is_empty() && input.lines.len() > before);
    }

    #[test]
    fn a_reload_whose_sockets_cannot_be_registered_keeps_the_listeners() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let before = listening(&[free()], &[]);
        let after = listening(&[free()], &[]);
        let listeners = Listeners::open(&before, Vec::new(), reactor.registry()).unwrap();
        let mut reception = Reception::new(listeners, MOST);
        let mut bound = bind_all(&Endpoint::all(&after)).unwrap();
        // The poller refuses a file.
        let file = std::os::fd::OwnedFd::from(tempfile::tempfile().unwrap());
        bound.push(BoundSocket {
            wanted: bound[0].wanted.clone(),
            socket: file.into(),
            file: None,
        });
        let error = reception.adopt(bound, &after, &mut reactor).unwrap_err().to_string();
        assert!(error.starts_with("cannot watch a new socket: "), "{error}");
        assert!(reception.retired.sources().is_empty(), "the old listener stays");
        assert_eq!(reception.listeners().all(), [EventSource::Listener(0)]);
        let bound = bind_all(&Endpoint::all(&after)).expect("the new one is closed");
        reception.adopt(bound, &after, &mut reactor).unwrap();
        assert_eq!(reception.retired.sources(), [EventSource::Listener(0)]);
    }

    /// Lets reloads fail because another socket has one of the new addresses: one with the port of
    /// the running listener, and then another one. A client that waits at the listener would be
    /// accepted before the listener is closed.
    #[test]
    fn a_reload_that_cannot_bind_closes_no_listener_that_is_not_in_the_way() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let mut input = Collected::default();
        let others = ["127.0.0.2:0", "127.0.0.1:0"].map(|any| TcpListener::bind(any).unwrap());
        let [same_port, elsewhere] = others.each_ref().map(|other| other.local_addr().unwrap());
        let address = SocketAddr::from(([127, 0, 0, 1], same_port.port()));
        let running = listening(&[address], &[]);
        let listeners = Listeners::open(&running, Vec::new(), reactor.registry()).unwrap();
        let mut reception = Reception::new(listeners, MOST);
        let _waiting = connect(address, 1);
        let any = SocketAddr::from(([0, 0, 0, 0], address.port()));
        for wanted in [vec![same_port], vec![any, elsewhere]] {
            let wanted = listening(&wanted, &[]);
            reception.rebind(&wanted, &running, &mut input, &mut reactor).unwrap_err();
            assert_eq!(reception.listeners().all(), [EventSource::Listener(0)]);
            assert_eq!(reception.connections_in_use().used, 0, "the client waits at it");
        }
    }

    /// The kernel grants no buffer as large as the one that is asked for, so it logs a warning for
    /// each socket whose buffer is set.
    #[test]
    fn a_new_receive_buffer_is_set_once_for_each_udp_socket_that_stays_or_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let mut input = Collected::default();
        let free_udp = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let [stays, leaves, new] = [free_udp(), free_udp(), free_udp()];
        let mut running = listening(&[], &[]);
        running.udp.bind = vec![Bind::At(stays), Bind::At(leaves)];
        running.unix.datagram = Some(folder.path().join("socket"));
        let mut wanted = running.clone();
        wanted.udp.bind = vec![Bind::At(stays), Bind::At(new)];
        wanted.udp.recv_buffer = 1 << 40;
        let listeners = Listeners::open(&running, Vec::new(), reactor.registry()).unwrap();
        let mut reception = Reception::new(listeners, MOST);
        logged();
        reception.rebind(&wanted, &running, &mut input, &mut reactor).unwrap();
        let lines: Vec<String> = logged().into_iter().map(|(_, line)| line).collect();
        let of = |address: SocketAddr| {
            lines.iter().filter(|line| line.contains(&address.to_string())).count()
        };
        assert_eq!([of(stays), of(leaves), of(new)], [1, 0, 1], "{lines:#?}");
        let of_unix = lines.iter().filter(|line| line.contains("unix=")).count();
        assert_eq!(of_unix, 0, "the queue of a unix socket has not changed: {lines:#?}");
    }

    #[test]
    fn a_listener_that_cannot_be_opened_again_is_reported() {
        let reactor = Reactor::new(SystemClock::start()).unwrap();
        let running = listening(&[free()], &[]);
        let mut reception = Reception::new(Listeners::default(), MOST);
        let closed = Endpoint::all(&running);
        let Bind::At(address) = running.tcp.bind[0] else { panic!("it has an address") };
        let other = TcpListener::bind(address).unwrap();
        assert!(!reception.listen_again(&closed, &running, &reactor), "the address is taken");
        drop(other);
        assert!(reception.listen_again(&closed, &running, &reactor));
        assert_eq!(reception.listeners().all(), [EventSource::Listener(0)]);
    }

    #[test]
    fn a_listener_that_takes_the_place_of_another_gets_only_its_own_clients() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let address = free();
        let lines = listening(&[address], &[]);
        let admin = listening(&[], &[address]);
        let mut input = Collected::default();
        let listeners = Listeners::open(&lines, Vec::new(), reactor.registry()).unwrap();
        let mut reception = Reception::new(listeners, MOST);

        // Clients wait at a busy listener for lines, which closes for one of the admin port.
        reception.retry_listener(0);
        let _waiting = connect(address, 1);
        reception.rebind(&admin, &lines, &mut input, &mut reactor).unwrap();
        assert_eq!(reception.listeners().all(), [EventSource::AdminListener(0)], "with its index");
        let before = reception.connections_in_use().used;
        reception.retry_listener(0); // what the last read has left
        let operators = connect(address, 1);
        reception.receive(SECOND, &admin, &mut input, &mut reactor);
        assert_eq!(
            reception.connections_in_use().used,
            before,
            "an operator is no client that sends lines"
        );
        let mut accepted = Vec::new();
        let listener = reception.admin_listener(0).unwrap();
        listener.accept(reactor.now().tick, |stream, _| accepted.push(stream));
        let operator = operators[0].local_addr().unwrap();
        assert_eq!(accepted[0].peer_addr().unwrap().as_socket(), Some(operator));

        // The other way round: the admin port was to accept, and is one for lines now.
        reception.rebind(&lines, &admin, &mut input, &mut reactor).unwrap();
        assert_eq!(reception.listeners().all(), [EventSource::Listener(0)]);
        assert!(reception.admin_listener(0).is_none());
        let _senders = connect(address, 1);
        reception.retry_listener(0);
        reception.receive(SECOND, &lines, &mut input, &mut reactor);
        assert_eq!(reception.connections_in_use().used, before + 1, "a sender gets no admin port");
    }
}
