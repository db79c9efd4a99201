//! The check that nothing happens after a stop that the stop does not need.

use std::fs;
use std::path::Path;

use super::bounds::flushes_begun;
use super::clock::VirtualClock;
use crate::config::Config;
use crate::ledger::OwnCounter;
use crate::server::Server;

/// What must not change once a stop has begun.
#[derive(Debug, PartialEq)]
pub(super) struct Frozen {
    flush: u64,
    config: Config,
    state: Option<Vec<u8>>,
    keys: u64,
    packets: u64,
    lines: u64,
    series: usize,
}

/// Checks a server after a turn, if it is stopping. `keys` is the log of frequent names.
pub(super) fn check(server: &Server<VirtualClock>, keys: &Path, frozen: &mut Option<Frozen>) {
    let flush = flushes_begun(server);
    let Server { life, reception, pipeline, .. } = server;
    if life.is_running() {
        return;
    }
    assert!(!reception.has_backlog(), "input waits in spite of the stop");
    let connections = reception.connections_in_use().used;
    assert_eq!(connections, 0, "clients are connected in spite of the stop");
    let listeners = reception.listeners();
    let listeners = listeners.datagrams.len() + listeners.streams.len() + listeners.admin.len();
    assert_eq!(listeners, 0, "the server listens in spite of the stop");
    assert!(!life.is_saving(), "a save is under way in spite of the stop");
    let own = pipeline.engine().own();
    let now = Frozen {
        flush,
        config: life.config().clone(),
        state: life.config().state.file.as_ref().and_then(|path| fs::read(path).ok()),
        keys: fs::metadata(keys).map_or(0, |keys| keys.len()),
        packets: own.total(OwnCounter::PacketsReceived),
        lines: own.total(OwnCounter::MetricsReceived),
        series: pipeline.engine().table().len(),
    };
    if let Some(before) = frozen {
        assert_eq!(*before, now, "something happened that a stop does not need");
    }
    *frozen = Some(now);
}
