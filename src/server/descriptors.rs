//! How many of the process's descriptors clients may have. Some are reserved for the server itself:
//! if clients had all of them, carbon, the state file and the admin port would be out of reach.

use crate::config::{Bind, Config, Destination};
use crate::sys;
use crate::warnings::LimitedBy;

/// The descriptors that were open when the process began: standard streams, sockets passed in, and
/// any other that the parent process left open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptors {
    inherited: usize,
}

/// How many clients there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientLimits {
    pub(super) connections: ClientLimit,
    pub(super) admin: ClientLimit,
}

/// How many clients of one kind there may be, and which limit decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientLimit {
    pub(super) clients: usize,
    pub(super) limited_by: LimitedBy,
}

/// The poller, the two ends of the signal pipe, the log, and two to spare.
const LOOP: usize = 6;
/// Descriptors that are open only for a moment, one after the other: for starting a child, for a
/// connection that is refused, for a message to the service manager, for the file that a reload
/// reads.
const PASSING: usize = 8;
/// The state file, the files beside it and their folder, and the log of names.
const FILES: usize = 6;
/// A connection and a look-up, or the two ends of a command's standard input.
const SINK: usize = 2;
/// The folder and its lock, the segment being written and the one being read.
const SPOOL: usize = 4;
/// Admin clients that are accepted however many descriptors are in use, so that an operator can
/// find the cause.
const ADMIN: usize = 4;

const RAISE_OPEN_FILES: &str =
    "raise the limit (ulimit -n, LimitNOFILE=), or lower max_connections of [tcp] and [admin]";

impl Descriptors {
    /// Counts the open descriptors. Must be called before the server opens any.
    pub(super) fn count() -> Self {
        const STANDARD: usize = 3;
        Self { inherited: sys::open_files().unwrap_or(STANDARD) }
    }

    /// Returns why fewer clients may connect than configured. Returns `None` if all may.
    pub(super) fn shortage(self, config: &Config) -> Option<String> {
        let limit = usize::try_from(sys::raise_open_files().ok()?).unwrap_or(usize::MAX);
        let own = self.inherited + needed(config, 0);
        let ClientLimits { connections, admin } = limits(limit, own, config);
        are_limited(&[connections, admin]).then(|| {
            format!(
                "the limit of open files ({limit}) leaves room for {} clients and {} of the admin \
                 port; {RAISE_OPEN_FILES}",
                connections.clients, admin.clients
            )
        })
    }

    /// Returns how many clients may connect beside `sinks` destinations. Logs a warning if these
    /// are fewer than the configuration allows.
    pub(super) fn client_limits(self, config: &Config, sinks: usize) -> ClientLimits {
        let limit = match sys::raise_open_files() {
            Ok(limit) => limit,
            Err(error) => {
                log::warn!(
                    open_files = "unchanged",
                    reason:% = error,
                    hint = "the server goes on with the old limit; check ulimit -n and LimitNOFILE=";
                    "the limit of open files could not be raised"
                );
                sys::open_files_limit().unwrap_or(u64::MAX)
            }
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let own = self.inherited + needed(config, sinks);
        let limits = limits(limit, own, config);
        warn(limit, own, config, limits);
        limits
    }
}

/// Returns the most descriptors that the server needs without its clients. Some of the `sinks` may
/// be leaving.
fn needed(config: &Config, sinks: usize) -> usize {
    let sockets = |bind: &Bind| if matches!(bind, Bind::Localhost(_)) { 2 } else { 1 };
    let binds = [&config.udp.bind, &config.tcp.bind, &config.admin.bind];
    let internet: usize = binds.into_iter().flatten().map(sockets).sum();
    // Each socket has its file open as well.
    let unix = 2 * [&config.unix.stream, &config.unix.datagram].into_iter().flatten().count();
    let destinations = config.active_destinations().count();
    let leaving = sinks.saturating_sub(destinations);
    let is_spooled =
        |to: &&Destination| config.spool.dir.is_some() && to.spooled_format().is_some();
    let spools = config.active_destinations().filter(is_spooled).count();
    // A leaving sink may have a spool even if the configuration no longer has one.
    let sinks = (destinations + leaving) * SINK + (spools + leaving) * SPOOL;
    LOOP + PASSING + FILES + internet + unix + sinks
}

/// Divides the rest of the descriptors. Admin clients get the first [`ADMIN`], then an eighth of
/// the rest, or more if the connections do not need it.
fn limits(limit: usize, own: usize, config: &Config) -> ClientLimits {
    let connections = config.tcp.max_connections;
    let admin = config.admin.max_connections;
    let first = admin.min(ADMIN);
    let left = limit.saturating_sub(own).saturating_sub(first);
    let more = (admin - first).min((left / 8).max(left.saturating_sub(connections)));
    ClientLimits {
        connections: ClientLimit::of(connections, left - more),
        admin: ClientLimit::of(admin, first + more),
    }
}

impl ClientLimit {
    fn of(wanted: usize, most: usize) -> Self {
        let limited_by =
            if wanted > most { LimitedBy::OpenFiles } else { LimitedBy::MaxConnections };
        Self { clients: wanted.min(most), limited_by }
    }
}

/// Whether the limit of open files leaves fewer clients than configured.
fn are_limited(limits: &[ClientLimit]) -> bool {
    limits.iter().any(|limit| limit.limited_by == LimitedBy::OpenFiles)
}

/// Logs a warning if the limit of open files leaves fewer clients than configured.
fn warn(limit: usize, own: usize, config: &Config, limits: ClientLimits) {
    let ClientLimits { connections, admin } = limits;
    if !are_limited(&[connections, admin]) {
        return;
    }
    let needed = own + config.tcp.max_connections + config.admin.max_connections;
    log::warn!(
        open_files = limit,
        needed,
        own,
        "tcp.max_connections" = connections.clients,
        "admin.max_connections" = admin.clients,
        reason = "the limit of open files is too low for all clients",
        hint = RAISE_OPEN_FILES;
        "the server accepts fewer clients than configured"
    );
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        crate::config::parse(Path::new("t.conf"), text.as_bytes()).unwrap()
    }

    fn clients(limits: ClientLimits) -> (usize, usize) {
        (limits.connections.clients, limits.admin.clients)
    }

    #[test]
    fn what_the_server_needs_is_set_aside_first() {
        let config = config("[tcp]\nmax_connections = 1000\n[admin]\nmax_connections = 64\n");
        for (limit, expected) in [
            (5000, (1000, 64)),
            (1104, (1000, 64)),
            (1103, (999, 64)),
            (1060, (956, 64)),
            (200, (137, 23)),
            (64, (18, 6)),
            (45, (1, 4)),
            (44, (0, 4)),
            (10, (0, 4)),
        ] {
            let limits = limits(limit, 40, &config);
            assert_eq!(clients(limits), expected, "of {limit}");
            let limited_by = |lowered| {
                if lowered { LimitedBy::OpenFiles } else { LimitedBy::MaxConnections }
            };
            assert_eq!(limits.connections.limited_by, limited_by(expected.0 < 1000));
            assert_eq!(limits.admin.limited_by, limited_by(expected.1 < 64));
            assert!(limit < 44 || expected.0 + expected.1 + 40 <= limit);
        }
    }

    #[test]
    fn admin_clients_take_no_more_than_they_may_be() {
        let config = config("[tcp]\nmax_connections = 10\n[admin]\nmax_connections = 2\n");
        assert_eq!(clients(limits(100, 40, &config)), (10, 2));
        assert_eq!(clients(limits(47, 40, &config)), (5, 2));
    }

    #[test]
    fn every_listener_and_destination_needs_some() {
        let needed = |text: &str| {
            let off = "[udp]\nbind =\n[tcp]\nbind =\n[admin]\nbind =\n[carbon]\naddress =\n";
            needed(&config(&format!("{off}{text}")), 0)
        };
        let none = needed("");
        assert_eq!(needed("[carbon.a]\naddress = a\n") - none, SINK);
        assert_eq!(needed("[spool]\ndir = /s\n[carbon.a]\naddress = a\n") - none, SINK + SPOOL);
        assert_eq!(needed("[unix]\nstream = /s\ndatagram = /d\n") - none, 4);
        assert_eq!(
            super::needed(&config(""), 5) - super::needed(&config(""), 0),
            4 * (SINK + SPOOL)
        );
    }

    #[test]
    fn inherited_descriptors_are_counted() {
        assert!(Descriptors::count().inherited >= 3);
    }
}
