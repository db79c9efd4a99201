//! Where samples come in: sockets on one side, the engine on the other.

use std::time::Duration;

use ipnet::IpNet;

use super::descriptors::Share;
use super::{Server, Timer, messages};
use crate::clock::Clock;
use crate::config::{Config, Destination, Takes};
use crate::encode::repeated::Repeated;
use crate::engine::Engine;
use crate::flush::Own;
use crate::ingest::Drained;
use crate::ingest::allowed::allows;
use crate::ingest::connections::{Connections, Limits, READ_BYTES};
use crate::ingest::datagrams::SHARE_BYTES;
use crate::ingest::lines::Piece;
use crate::sink::Feed;
use crate::sys::batch::{Datagram, RecvBatch};
use crate::time::Now;
use crate::token::{Generation, Source};
use crate::warnings::{CloseReason, LimitedBy, WarningKind};

/// What all sources share.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) connections: Connections,
    batch: RecvBatch,
    /// When something last came.
    pub(super) heard: Option<Now>,
    /// Whose packets and connections are taken.
    datagrams_from: Vec<IpNet>,
    connections_from: Vec<IpNet>,
    /// Which limit bounds the number of connections.
    limited_by: LimitedBy,
    /// Every line goes to the log.
    logs_messages: bool,
    /// What came in this turn, for other servers.
    repeated: Repeated,
}

/// Bytes taken from one source at a time while every line is logged: about a millisecond's work for
/// the shortest lines.
const LOGGED_SHARE_BYTES: usize = 1024;

impl Input {
    pub(super) fn new(config: &Config, share: Share) -> Self {
        let tcp = &config.tcp;
        let mut input = Self {
            connections: Connections::new(limits(config, share)),
            batch: RecvBatch::new(),
            heard: None,
            datagrams_from: config.udp.allow_from.clone(),
            connections_from: tcp.allow_from.clone(),
            limited_by: share.limited_by,
            logs_messages: config.dump_messages,
            repeated: Repeated::default(),
        };
        input.want_repeated(config);
        input
    }

    /// Other limits; connections that are here stay.
    pub(super) fn reconfigure(&mut self, config: &Config, share: Share) {
        self.connections.limit(limits(config, share));
        self.limited_by = share.limited_by;
        self.want_repeated(config);
        self.datagrams_from.clone_from(&config.udp.allow_from);
        self.connections_from.clone_from(&config.tcp.allow_from);
        self.logs_messages = config.dump_messages;
    }

    fn want_repeated(&mut self, config: &Config) {
        self.repeated.want(|carriage| {
            let takes = |to: &Destination| to.takes() == Takes::Packets(carriage);
            config.active_destinations().any(takes)
        });
    }

    /// Returns the bytes that one source may bring at a time. Writing a log line costs far more than
    /// reading the line, so the share is smaller while lines are logged.
    fn share(&self, share: usize) -> usize {
        if self.logs_messages { LOGGED_SHARE_BYTES } else { share }
    }

    fn split<'a>(
        &'a mut self,
        engine: &'a mut Engine,
        now: Now,
    ) -> (&'a mut RecvBatch, Entrance<'a>) {
        let Self { batch, heard, datagrams_from: allowed, logs_messages, repeated, .. } = self;
        let logs_messages = *logs_messages;
        (batch, Entrance { engine, heard, allowed, logs_messages, repeated, now })
    }
}

/// Where datagrams go in.
struct Entrance<'a> {
    engine: &'a mut Engine,
    heard: &'a mut Option<Now>,
    allowed: &'a [IpNet],
    logs_messages: bool,
    repeated: &'a mut Repeated,
    now: Now,
}

impl Entrance<'_> {
    /// Takes the lines of a datagram, at most about `share` bytes of them. Returns the number of
    /// bytes taken.
    fn take(&mut self, datagram: &Datagram<'_>, share: usize) -> usize {
        let bytes = datagram.bytes;
        self.engine.warnings().set_sender(datagram.sender);
        if !datagram.is_rest && !self.admit(datagram) {
            return bytes.len();
        }
        let rest = self.engine.some_lines(bytes, share);
        let taken = bytes.len() - rest.len();
        if self.logs_messages {
            messages::log_packet(&bytes[..taken]);
        }
        taken
    }

    /// Counts a datagram and passes it to the repeaters. Returns `false` if its lines are not to be
    /// read: its sender is not allowed, or it was cut off.
    fn admit(&mut self, datagram: &Datagram<'_>) -> bool {
        if !allows(self.allowed, datagram.sender) {
            self.engine.refuse_packet();
            return false;
        }
        *self.heard = Some(self.now);
        self.engine.count(Own::PacketsReceived, 1);
        if datagram.truncated {
            self.engine.count(Own::PacketsTruncated, 1);
            self.engine.warnings().add(WarningKind::PacketTruncated, b"");
            return false;
        }
        self.repeated.packet(datagram.bytes);
        true
    }
}

/// Takes in a piece of a stream.
pub(super) fn take_piece(engine: &mut Engine, logs_messages: bool, piece: Piece<'_>) {
    if logs_messages {
        match piece {
            Piece::Lines(text) => messages::log_packet(text),
            Piece::Binary(text) | Piece::Overlong(text) => messages::log_line(text),
        }
    }
    match piece {
        Piece::Lines(text) => engine.lines(text),
        Piece::Binary(message) => engine.binary(message),
        Piece::Overlong(start) => engine.overlong_line(start),
    }
}

fn repeat(repeated: &mut Repeated, piece: Piece<'_>) {
    match piece {
        Piece::Lines(text) => repeated.lines(text),
        Piece::Binary(message) => repeated.binary(message),
        Piece::Overlong(_) => {} // nobody takes it
    }
}

fn limits(config: &Config, share: Share) -> Limits {
    let tcp = &config.tcp;
    Limits { connections: share.clients, idle: tcp.idle_timeout, line: tcp.max_line }
}

impl Server {
    /// Reads from the sources that wait until the time is over or all are dry: every datagram socket in turn, a stream, and
    /// again. At least one round is made, so that nobody starves.
    pub(super) fn receive_for(&mut self, slice: Duration) {
        let end = self.now.tick + slice;
        while !self.backlog.is_empty() {
            for _ in 0..self.backlog.datagrams() {
                let Some(source) = self.backlog.pop_datagrams() else { break };
                self.receive(source);
            }
            if let Some(source) = self.backlog.pop_stream() {
                self.receive(source);
            }
            if self.clock.tick() >= end {
                return;
            }
        }
    }

    /// The poller names a source of input.
    pub(super) fn note_input(&mut self, source: Source) {
        if self.backlog.is_empty() {
            self.gather.woken();
        }
        if let (true, Source::Datagrams(index)) = (self.gather.is_on(), source)
            && let Some(socket) = self.listeners.datagrams.get(usize::from(index))
            && let Some((taken, room)) = socket.receive_queue()
        {
            self.gather.look(taken, room);
        }
    }

    /// Gives one source its share, and keeps it if it has more.
    fn receive(&mut self, source: Source) {
        let drained = match source {
            Source::Datagrams(index) => self.receive_datagrams(index),
            Source::StreamListener(index) => self.accept(index),
            Source::Connection(slot, generation) => self.receive_lines(slot, generation),
            _ => Drained::Dry,
        };
        if drained == Drained::More {
            self.backlog.push(source);
        }
    }

    fn receive_datagrams(&mut self, index: u16) -> Drained {
        let Some(socket) = self.listeners.datagrams.get(usize::from(index)) else {
            return Drained::Dry;
        };
        let share = self.input.share(SHARE_BYTES);
        let (batch, mut entrance) = self.input.split(&mut self.engine, self.now);
        let drained = socket.drain(batch, share, |datagram, share| entrance.take(&datagram, share));
        drained.unwrap_or_else(|error| {
            let reason = error.to_string();
            self.engine.warnings().add(WarningKind::ReadFailed, reason.as_bytes());
            Drained::Dry
        })
    }

    /// What was received of datagrams and waits for its turn, whatever socket it came by: the kernel has it no more.
    pub(super) fn take_received(&mut self) {
        let (batch, mut entrance) = self.input.split(&mut self.engine, self.now);
        while let Some(datagram) = batch.next() {
            let taken = entrance.take(&datagram, usize::MAX);
            batch.consume(taken);
        }
    }

    fn receive_lines(&mut self, slot: u16, generation: Generation) -> Drained {
        let share = self.input.share(READ_BYTES);
        let (engine, now) = (&mut self.engine, self.now);
        let Input { connections, heard, logs_messages, repeated, .. } = &mut self.input;
        engine.warnings().set_sender(connections.sender(slot, generation));
        let drained = connections.read(slot, generation, now.tick, share, |piece| {
            *heard = Some(now);
            repeat(repeated, piece);
            take_piece(engine, *logs_messages, piece);
        });
        if connections.deadline(slot, generation).is_none() {
            self.wheel.set(Timer::Connection(slot, generation), None);
        }
        drained
    }

    /// Closes a connection that has been silent for too long. It is counted and logged.
    pub(super) fn check_idle(&mut self, slot: u16, generation: Generation) {
        let (connections, now) = (&mut self.input.connections, self.now.tick);
        let source = Source::Connection(slot, generation);
        if self.backlog.has(source) {
            connections.note_news(slot, generation, now); // it has sent bytes that were not read yet
        }
        if let Some(sender) = connections.timeout(slot, generation, now) {
            self.engine.warnings().set_sender(sender);
            self.engine.close_idle_connection(CloseReason::ConnectionIdle);
        }
        let deadline = connections.deadline(slot, generation);
        self.wheel.set(Timer::Connection(slot, generation), deadline);
    }

    /// Gives each connection the deadline of the `idle_timeout` in force.
    pub(super) fn watch_idle_connections(&mut self) {
        for source in self.input.connections.sources() {
            let Source::Connection(slot, generation) = source else { continue };
            let deadline = self.input.connections.deadline(slot, generation);
            self.wheel.set(Timer::Connection(slot, generation), deadline);
        }
    }

    fn accept(&mut self, index: u16) -> Drained {
        let (wheel, engine) = (&mut self.wheel, &mut self.engine);
        let Input { connections, connections_from, limited_by, .. } = &mut self.input;
        let backlog = &mut self.backlog;
        let (now, registry) = (self.now.tick, self.poll.registry());
        let Some(listener) = self.listeners.streams.get_mut(usize::from(index)) else {
            return Drained::Dry;
        };
        let drained = listener.accept(now, |stream, sender| {
            engine.warnings().set_sender(sender);
            if !allows(connections_from, sender) {
                return engine.refuse_client();
            }
            match connections.admit(stream, sender, now, registry) {
                Some(source @ Source::Connection(slot, generation)) => {
                    let deadline = connections.deadline(slot, generation);
                    wheel.set(Timer::Connection(slot, generation), deadline);
                    backlog.push(source); // its first bytes may be here already
                }
                _ => engine.refuse_connection(CloseReason::ConnectionRefused(*limited_by)),
            }
        });
        wheel.set(Timer::StreamListener(index), listener.deadline());
        if let Some(reason) = listener.rests_for() {
            engine.warnings().add(WarningKind::AcceptsPaused, reason.as_bytes());
        }
        drained
    }

    /// Queues what came in this turn for the servers that are sent all of it.
    pub(super) fn repeat(&mut self) {
        for (carriage, chunk) in self.input.repeated.take() {
            self.sinks.push(Feed::Packets(carriage), &chunk);
        }
    }

    /// What the kernel dropped on our sockets since the last flush.
    pub(super) fn count_drops(&mut self) {
        let drops: u64 = self
            .listeners
            .datagrams
            .iter_mut()
            .map(|(_, socket)| u64::from(socket.take_drops()))
            .sum();
        if drops > 0 {
            self.engine.count(Own::UdpDrops, drops);
            self.engine.warnings().add_many(WarningKind::UdpDrops, drops, b"");
        }
    }
}
