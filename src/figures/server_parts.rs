//! [`ServerParts`]: what the figures are read from. That is the parts of the server, the last
//! flush, the listeners and the destinations.

use std::time::Duration;

use slab::Slab;
use socket2::SockAddr;

use super::rates::Rates;
use crate::config::Config;
use crate::engine::Engine;
use crate::ingest::ListenerCounts;
use crate::ingest::client_table::InUse;
use crate::ingest::datagrams::DatagramSocket;
use crate::ingest::listener::Listener;
use crate::ledger::OwnCounter;
use crate::sink::{Sink, Sinks};
use crate::time::{Now, Tick};

/// The parts of the server, borrowed for a turn.
#[derive(Debug)]
pub struct ServerParts<'a> {
    /// Figures only read it. The commands of the admin port also change it.
    pub engine: &'a mut Engine,
    pub sinks: &'a Sinks,
    pub flush: FlushFigures,
    pub datagrams: &'a Slab<DatagramSocket>,
    /// The listeners for streams.
    pub streams: &'a Slab<Listener>,
    pub admin_listeners: &'a Slab<Listener>,
    /// The connections that send lines.
    pub connections: InUse,
    pub admin_clients: InUse,
    /// The bytes that the clients of the admin port hold.
    pub admin_bytes: usize,
    /// The running configuration.
    pub config: &'a Config,
    /// Figures only read it. [`remember`](super::remember) changes it.
    pub recent: &'a mut RecentFigures,
    /// When the last packet or line arrived. `None` if none has so far.
    pub last_input: Option<Now>,
    pub now: Now,
}

/// The figures of the last flush. Flushes send them.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlushFigures {
    /// When this process began its first interval.
    pub started: Now,
    /// The number of flushes that have ended.
    pub flushes: u64,
    /// The time from the tick to the end of the flush.
    pub took_ms: f64,
    /// The longest call to the disk between the last two flushes.
    pub disk_stall_ms: f64,
    /// The longest turn of the loop between the last two flushes.
    pub turn_ms: f64,
    /// The longest turn of the loop since the start.
    pub longest_turn: Duration,
    /// The seconds by which the time between the last two ticks differs from the interval.
    pub timestamp_lag: Option<f64>,
}

/// What the server remembers of its figures: the totals of the last minute, and how far the history
/// has the figures.
#[derive(Debug, Default)]
pub struct RecentFigures {
    pub(super) rates: Rates,
    /// The number of flushes whose figures the history has.
    pub(super) noted_flushes: u64,
    /// When the history last got figures. `None` before the first flush.
    pub(super) noted_at: Option<Tick>,
}

/// The figures of one listener.
#[derive(Debug)]
pub(super) struct ListenerFigures {
    pub(super) counts: ListenerCounts,
    /// The datagrams that the kernel dropped. `None` for streams.
    pub(super) drops: Option<u64>,
    /// The bytes of the receive buffer, as `recv_buffer` counts them. `None` for streams.
    pub(super) receive_buffer: Option<u32>,
}

impl FlushFigures {
    /// Notes the end of a flush, and the longest disk call and turn since the one before.
    pub fn note_flush(&mut self, took: Duration, stall: Duration, turn: Duration) {
        self.flushes += 1;
        self.took_ms = took.as_millis() as f64;
        self.disk_stall_ms = (stall.as_secs_f64() * 1000.0).ceil();
        self.turn_ms = tenths(turn);
    }
}

impl ServerParts<'_> {
    /// Returns an own counter since the start.
    pub(super) fn own(&self, own: OwnCounter) -> u64 {
        // The loop takes the drops of sockets at each tick only.
        let untaken = if own == OwnCounter::UdpDrops {
            self.datagrams.iter().map(|(_, socket)| socket.untaken_drops()).sum()
        } else {
            0
        };
        self.engine.own().total(own) + untaken
    }

    /// Calls `out` for each listener that takes samples, with its name.
    pub(super) fn each_listener(&self, out: &mut dyn FnMut(&str, &ListenerFigures)) {
        for (_, socket) in self.datagrams {
            let Ok(address) = socket.address() else { continue };
            let figures = ListenerFigures {
                counts: socket.counts(),
                drops: Some(socket.dropped()),
                // The kernel doubles what was requested.
                receive_buffer: socket.receive_queue().map(|(_, doubled)| doubled / 2),
            };
            out(&listener_name(&address, "udp", "unix datagram"), &figures);
        }
        for (_, listener) in self.streams {
            let Ok(address) = listener.address() else { continue };
            let figures =
                ListenerFigures { counts: listener.counts(), drops: None, receive_buffer: None };
            out(&listener_name(&address, "tcp", "unix stream"), &figures);
        }
    }

    /// Returns the addresses of the admin port.
    pub fn admin_addresses(&self) -> Vec<String> {
        let addresses = self.admin_listeners.iter().map(|(_, listener)| listener.address());
        addresses.flatten().map(|address| listener_name(&address, "admin", "admin")).collect()
    }

    /// Calls `out` with the name of each listener that takes samples.
    pub fn each_listener_name(&self, out: &mut dyn FnMut(&str)) {
        self.each_listener(&mut |name, _| out(name));
    }

    /// Returns about how many bytes the series take, without samples and members of sets.
    pub(super) fn series_bytes(&self) -> usize {
        self.engine.table().series_bytes()
    }
}

/// A destination: where it is, and how it stands. Its numbers are figures of the table.
#[derive(Clone, Debug)]
pub struct DestinationReport {
    /// The header of its section.
    pub name: String,
    /// The section without its own name, such as `carbon` for `[carbon.b]`.
    pub kind: String,
    /// `HOST:PORT`. `None` for the console, for a command, and for a destination that a reload has
    /// removed and that still delivers.
    pub address: Option<String>,
    /// The state in one word.
    pub state: &'static str,
    /// Since when. See [`SinkFigures::since`](crate::sink::SinkFigures::since). `None` before its
    /// first turn.
    pub since: Option<Now>,
    pub last_error: Option<String>,
}

/// Returns a report of each destination.
pub fn destinations(from: &ServerParts<'_>) -> Vec<DestinationReport> {
    let report = |sink: &Sink| {
        let figures = sink.figures();
        let name = sink.name();
        let destination = from.config.active_destinations().find(|to| to.name == name);
        let net = destination.and_then(|destination| destination.net.as_ref());
        DestinationReport {
            name: name.to_owned(),
            kind: name.split('.').next().unwrap_or(name).to_owned(),
            address: net.map(|net| net.remote.to_string()),
            state: figures.state,
            since: figures.since,
            last_error: figures.last_error,
        }
    };
    from.sinks.iter().map(report).collect()
}

/// Returns a listener's kind and address: `udp 127.0.0.1:8125`, `unix stream /run/statsd.sock`.
fn listener_name(address: &SockAddr, internet: &str, unix: &str) -> String {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => format!("{internet} {address}"),
        (None, Some(path)) => format!("{unix} {}", path.display()),
        (None, None) => unix.to_owned(),
    }
}

/// Returns a time in milliseconds, rounded up to a tenth.
pub(super) fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).ceil() / 10.0
}
