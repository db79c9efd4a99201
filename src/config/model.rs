//! The settings as the rest of the server reads them. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::destination::{Destination, DestinationKind};
use crate::encode::namespace::Namespace;
use crate::logging::LogFormat;
use crate::policy::Rules;
use crate::protocol::Grammar;
use crate::series::Bounds;

/// Every setting. The values are checked, so no reader checks them again. They are grouped by the
/// part of the server that uses them, not by section.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub flush_interval: Duration,
    pub align_flush: bool,
    pub shutdown_timeout: Duration,
    pub log_level: log::LevelFilter,
    pub log_format: LogFormat,
    /// The user that the process becomes after binding. Empty if it stays who it is.
    pub user: String,
    pub group: String,
    /// Whether to log every line received.
    pub dump_messages: bool,
    pub grammar: Grammar,
    pub bounds: Bounds,
    /// How names are treated, from `[statsd]` and each `[rule.NAME]`.
    pub rules: Rules,
    /// `[namespace]` first, then each `[namespace.NAME]` in file order.
    pub namespaces: Vec<Namespace>,
    pub udp: Udp,
    pub tcp: Tcp,
    pub unix: Unix,
    pub admin: Admin,
    /// The destinations by kind. Of each kind `[KIND]` comes first, then each `[KIND.NAME]` in
    /// file order. Destinations that are off are left out, except for the console: `--stdin` turns
    /// it on with the settings of its section. Use [`Config::active_destinations`] to send.
    pub destinations: Vec<Destination>,
    pub state: State,
    pub spool: Spool,
    pub key_flush: KeyFlush,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    pub bind: Vec<Bind>,
    /// Bytes asked of the kernel for each socket's receive buffer.
    pub recv_buffer: usize,
    /// The networks whose packets are taken. Empty if all are.
    pub allow_from: Vec<IpNet>,
}

/// Sockets of this machine. Streams share the limits of `[tcp]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unix {
    pub stream: Option<PathBuf>,
    pub datagram: Option<PathBuf>,
    /// The permissions of the sockets' files.
    pub mode: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    pub bind: Vec<Bind>,
    pub max_connections: usize,
    /// `None` if a silent client may stay for ever.
    pub idle_timeout: Option<Duration>,
    /// Bytes of a line without its newline.
    pub max_line: usize,
    /// The networks whose connections are taken. Empty if all are.
    pub allow_from: Vec<IpNet>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    pub bind: Vec<Bind>,
    /// Whether `health` reports up from the start.
    pub healthy: bool,
    /// How long a client may send no command. `None` if there is no limit.
    pub idle_timeout: Option<Duration>,
    pub max_connections: usize,
    /// The networks whose connections are taken. Empty if all are.
    pub allow_from: Vec<IpNet>,
}

/// Where to listen. Always numeric: binding never resolves a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `*:port`: every address. One socket takes IPv6 and IPv4, or only IPv4 where IPv6 is off.
    Any(u16),
    /// `localhost:port`: both loopback addresses.
    Localhost(u16),
    At(SocketAddr),
}

/// What is kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// `None` if nothing is kept.
    pub file: Option<PathBuf>,
    /// How often gauges are saved. `None` if only a stop saves them.
    pub interval: Option<Duration>,
}

/// What waits on disk when it does not fit in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spool {
    /// The folder in which each destination has its own. `None` if nothing waits on disk.
    pub dir: Option<PathBuf>,
    /// Bytes of all destinations together. Each may take an equal part.
    pub max_size: usize,
}

/// How often the most frequent names are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFlush {
    /// `None` if they are never logged.
    pub interval: Option<Duration>,
    /// The part of the names that is logged.
    pub percent: u32,
    /// The file they are appended to. `None` if they go to the log.
    pub log: Option<PathBuf>,
}

impl Config {
    /// Returns a configuration that the defaults of the table are to be written into. It has one
    /// section of each kind, also those of destinations that are off.
    pub(super) fn blank() -> Self {
        Self {
            flush_interval: Duration::ZERO,
            align_flush: false,
            shutdown_timeout: Duration::ZERO,
            log_level: log::LevelFilter::Off,
            log_format: LogFormat::default(),
            user: String::new(),
            group: String::new(),
            dump_messages: false,
            grammar: Grammar::default(),
            bounds: Bounds::default(),
            rules: Rules::default(),
            namespaces: vec![Namespace::default()],
            udp: Udp::default(),
            tcp: Tcp::default(),
            unix: Unix::default(),
            admin: Admin::default(),
            destinations: Destination::one_of_each_kind(),
            state: State::default(),
            spool: Spool::default(),
            key_flush: KeyFlush::default(),
        }
    }

    /// Returns the destinations that are on, in the order of `destinations`.
    pub fn active_destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.iter().filter(|destination| destination.is_on())
    }

    /// Removes the destinations that are off, except for the console.
    pub(super) fn remove_inactive_destinations(&mut self) {
        self.destinations.retain(|destination| {
            destination.is_on() || matches!(destination.kind, DestinationKind::Console(_))
        });
    }

    /// Whether flushes are written to standard output.
    pub fn has_console(&self) -> bool {
        let is_console =
            |destination: &Destination| matches!(destination.kind, DestinationKind::Console(_));
        self.active_destinations().any(is_console)
    }

    /// Turns the console on. Its other settings are those of its section.
    pub fn enable_console(&mut self) {
        for destination in &mut self.destinations {
            if let DestinationKind::Console(console) = &mut destination.kind {
                console.enabled = true;
            }
        }
    }
}
