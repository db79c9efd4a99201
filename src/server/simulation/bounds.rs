//! The checks of the bounds of memory and of clients.

use super::admin_clients::SimulatedAdmins;
use super::clients::{Clients, patiently};
use super::clock::VirtualClock;
use super::coverage::{Bound, Reached};
use crate::ledger::{OwnCounter, SENDERS_MAX};
use crate::protocol::Reject;
use crate::server::Server;

/// Sizes that are bounded, after the last turn. A limit that a reload has lowered holds for what is
/// added after it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    connections: usize,
    series: usize,
    series_bytes: usize,
    admin: usize,
    /// The limits. In the turn of a reload they hold until it is applied.
    max_connections: usize,
    max_admin: usize,
    series_memory: usize,
}

/// More memory than an estimate of a timer may take in excess of the limit.
const TIMER_SLACK: usize = 16 << 10;

/// More bytes than a series of a trial takes.
const SERIES_BYTES_MAX: usize = 1000;

impl Sizes {
    /// Checks the sizes after a turn. `is_limited` is true if the limits of series and memory are
    /// small.
    pub(super) fn check(
        &mut self,
        server: &Server<VirtualClock>,
        admin_clients: &mut SimulatedAdmins,
        is_limited: bool,
        reached: &mut Reached,
    ) {
        let Server { pipeline, life, reception, .. } = server;
        let config = life.config();
        let engine = pipeline.engine();
        let before = *self;

        let connections = reception.connections_in_use().used;
        let max_connections = config.tcp.max_connections;
        let most = before.connections.max(max_connections).max(before.max_connections);
        assert!(connections <= most, "{connections} connections");
        let max_admin = config.admin.max_connections;
        let most = before.admin.max(max_admin).max(before.max_admin);
        let admin = admin_clients.accepted_of(most);
        assert!(admin <= most, "{admin} admin clients");
        let series = engine.table().len();
        let max_series = config.bounds.max_series;
        assert!(series <= before.series.max(max_series), "{series} series");
        // Those that wait may be accepted under the limit that a reload replaces in this turn.
        let admin = admin_clients.len();
        let series_bytes = engine.table().series_bytes();
        let series_memory = config.bounds.series_memory;
        let most = before.series_bytes.max(series_memory).max(before.series_memory);
        assert!(series_bytes <= most, "{series_bytes} bytes of series, {series_memory} allowed");
        *self = Self {
            connections,
            series,
            series_bytes,
            admin,
            max_connections,
            max_admin,
            series_memory,
        };

        let own = |own| engine.own().total(own);
        reached.note(Bound::Series, own(OwnCounter::SeriesRejected) > 0);
        assert!(own(OwnCounter::SeriesRejected) == 0 || is_limited, "refused series");
        if is_limited {
            let is_near = series_bytes + SERIES_BYTES_MAX > series_memory;
            reached.note(Bound::SeriesMemory, is_near);
            let key_values = engine.passthrough_bytes();
            let most = config.bounds.passthrough_memory;
            assert!(key_values <= most, "{key_values} bytes of key/values");
            reached.note(Bound::KeyValues, key_values + 200 > most);
            let samples = engine.table().sample_bytes();
            let most = config.bounds.sample_memory;
            assert!(samples <= most + TIMER_SLACK, "{samples} bytes of samples");
            reached.note(Bound::TimerMemory, samples > most / 2);
            let history = engine.history();
            let seconds = config.bounds.history.as_secs_f64();
            let rows = seconds / config.flush_interval.as_secs_f64();
            // Each row of a series takes at least one number of four bytes.
            let bytes = history.len() as f64 * rows.floor() * 4.0;
            assert!(bytes <= history.memory() as f64, "{} series in the history", history.len());
            reached.note(Bound::History, history.is_full());
            let senders =
                engine.ledger().senders().largest(usize::MAX, |record| record.lines).len();
            assert!(senders <= SENDERS_MAX, "{senders} senders");
            reached.note(Bound::Senders, senders == SENDERS_MAX);
        }
    }
}

/// Checks what the server counts of its clients.
pub(super) fn check_counters(
    server: &Server<VirtualClock>,
    clients: &mut Clients,
    admin: &mut SimulatedAdmins,
    reached: &mut Reached,
) {
    let Server { pipeline, reception, life, .. } = server;
    let ledger = pipeline.engine().ledger();
    let own = |own| ledger.own().total(own);
    let closed = own(OwnCounter::ConnectionsRefused) + own(OwnCounter::IdleConnectionsClosed);
    // A listener that was passed in may hold connections of clients that are gone.
    if !clients.is_connecting() && !admin.is_connecting() && !clients.is_passed() {
        // On a busy machine, the kernel needs some time to show a client that it was closed.
        patiently("clients to see that they were closed", || {
            clients.note_closed();
            admin.note_closed();
            closed <= clients.closed() + admin.closed() + admin.unknown()
        });
    }
    clients.note_closed();
    admin.note_closed();
    let seen = clients.closed();
    let is_connecting = clients.is_connecting() || admin.is_connecting();
    assert!(is_connecting || seen <= closed, "{closed} counted as closed, {seen} are closed");
    let sockets = reception.listeners().datagrams.iter();
    let untaken: u64 = sockets.map(|(_, socket)| socket.untaken_drops()).sum();
    assert_eq!(own(OwnCounter::UdpDrops) + untaken, clients.dropped(), "dropped datagrams");
    let rejects = |wanted| {
        let found = ledger.bad_lines_by_reason().find(|(reason, _)| *reason == wanted);
        found.map_or(0, |(_, count)| count)
    };
    reached.note(Bound::Connections, own(OwnCounter::ConnectionsRefused) > 0 && seen > 0);
    reached
        .note(Bound::AdminClients, admin.closed() > 0 && life.config().admin.max_connections < 8);
    reached.note(Bound::IdleTime, own(OwnCounter::IdleConnectionsClosed) > 0);
    reached.note(Bound::ReceiveBuffer, clients.dropped() > 0);
    reached.note(Bound::LineLength, rejects(Reject::LineTooLong) > 0);
    reached.note(Bound::NameLength, rejects(Reject::NameTooLong) > 0);
}

/// The number of flushes that have begun in this run.
pub(super) fn flushes_begun(server: &Server<VirtualClock>) -> u64 {
    let ended = server.pipeline.flush_figures().flushes;
    ended + u64::from(server.pipeline.is_sweeping())
}
