//! [`Config`]: the settings as the rest of the server reads them. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::destination::{BinaryStream, Destination, DestinationKind};
use crate::encode::namespace::{Namespace, Style};
use crate::logging::LogFormat;
use crate::policy::Rules;
use crate::protocol::Grammar;
use crate::series::Bounds;

/// Every setting. The values were checked when the file was read, so the rest of the server does
/// not check them again. They are grouped by the part of the server that uses them, not by section.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub flush_interval: Duration,
    pub align_flush: bool,
    pub shutdown_timeout: Duration,
    pub log_level: log::LevelFilter,
    pub log_format: LogFormat,
    /// The user that the process becomes after binding. Empty if it stays the user that started it.
    pub user: String,
    /// The group that the process becomes. Empty if it is the group of `user`.
    pub group: String,
    /// Whether to log every line received.
    pub dump_messages: bool,
    pub grammar: Grammar,
    /// The most bytes of all limits together. `None` stands for half of the memory of the machine.
    pub max_memory: Option<usize>,
    pub bounds: Bounds,
    /// The settings that depend on the name of a series, from `[statsd]` and each `[rule.NAME]`.
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
    /// The receive buffer of each socket in bytes, as requested from the kernel.
    pub recv_buffer: usize,
    /// The networks whose packets are accepted. Empty if all are.
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
    /// How long a client may send nothing. `None` if there is no limit.
    pub idle_timeout: Option<Duration>,
    /// The most bytes of a line, without its newline.
    pub max_line: usize,
    /// The networks whose connections are accepted. Empty if all are.
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
    /// The networks whose connections are accepted. Empty if all are.
    pub allow_from: Vec<IpNet>,
    /// Whether the port answers HTTP.
    pub http: bool,
    pub metrics: MetricsShown,
    /// Host names, in small letters, that a request may be for. `*` stands for any name.
    pub hosts: Vec<String>,
}

impl Admin {
    /// Whether Prometheus can read the series of clients at the admin port.
    pub fn shows_series(&self) -> bool {
        self.http && self.metrics == MetricsShown::All
    }
}

/// What `/metrics` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsShown {
    /// The server's own figures, and every series.
    #[default]
    All,
    /// The server's own figures alone.
    Own,
    /// Nothing: the path does not exist.
    Off,
}

/// Where to listen. It is never a host name, so that binding never waits for a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `*:port`: every address. One socket takes IPv6 and IPv4, or only IPv4 where IPv6 is off.
    Any(u16),
    /// `localhost:port`: both loopback addresses.
    Localhost(u16),
    At(SocketAddr),
}

impl Bind {
    pub fn port(self) -> u16 {
        match self {
            Self::Any(port) | Self::Localhost(port) => port,
            Self::At(address) => address.port(),
        }
    }

    /// Returns the same address with another port.
    pub fn with_port(self, port: u16) -> Self {
        match self {
            Self::Any(_) => Self::Any(port),
            Self::Localhost(_) => Self::Localhost(port),
            Self::At(mut address) => {
                address.set_port(port);
                Self::At(address)
            }
        }
    }

    /// Whether the kernel binds only one of two sockets of the same transport to these addresses.
    /// With port 0 it chooses a free port for each, so these never overlap.
    pub fn overlaps(self, other: Self) -> bool {
        let covers = |one: Self, other: Self| other.ips().iter().any(|ip| one.takes(*ip));
        let is_same_port = self.port() == other.port() && self.port() != 0;
        is_same_port && (covers(self, other) || covers(other, self))
    }

    /// Returns the IP addresses that sockets are bound to.
    fn ips(self) -> Vec<IpAddr> {
        match self {
            Self::Any(_) => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            Self::Localhost(_) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::At(at) => vec![at.ip()],
        }
    }

    /// Whether a socket receives what is sent to this IP address.
    fn takes(self, ip: IpAddr) -> bool {
        match self {
            Self::Any(_) => true,
            Self::At(at) if at.ip().is_unspecified() => at.is_ipv4() == ip.is_ipv4(),
            Self::Localhost(_) | Self::At(_) => self.ips().contains(&ip),
        }
    }
}

/// The state file, which keeps gauges and the open interval over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The path of the file. `None` if nothing is kept.
    pub file: Option<PathBuf>,
    /// How often gauges are saved. `None` if only a stop saves them.
    pub interval: Option<Duration>,
}

/// Where chunks are stored that do not fit the queues in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spool {
    /// The folder in which each destination has a folder of its own. `None` if there is no spool.
    pub dir: Option<PathBuf>,
    /// The most bytes of all destinations together. Each gets an equal part.
    pub max_size: usize,
}

/// How often the most frequent names are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFlush {
    /// How often they are logged. `None` if they are never logged.
    pub interval: Option<Duration>,
    /// The percentage of the names that is logged.
    pub percent: u32,
    /// The file to which they are appended. `None` if they are written to the log.
    pub log: Option<PathBuf>,
}

impl Config {
    /// Returns an empty configuration, into which the defaults of the table are written. The values
    /// here do not matter. It has one section of each kind, also of destinations that are off.
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
            max_memory: None,
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

    /// Removes the destinations that are off, except for the console, which `--stdin` may turn on.
    pub(super) fn remove_inactive_destinations(&mut self) {
        self.destinations.retain(|destination| {
            destination.is_on() || matches!(destination.kind, DestinationKind::Console(_))
        });
    }

    /// Whether a destination may get figures that only statsite sends. `--stdin` may turn a
    /// destination on later, so those that are off count too.
    pub(super) fn may_send_statsite(&self) -> bool {
        let is_binary = |destination: &Destination| match &destination.kind {
            DestinationKind::Exec(exec) => exec.binary_stream != BinaryStream::No,
            _ => false,
        };
        self.namespaces.iter().any(|namespace| namespace.style == Style::Statsite)
            || self.destinations.iter().any(is_binary)
    }

    /// Whether a client may ask for the running totals of series.
    pub(super) fn shows_totals(&self) -> bool {
        self.admin.http && self.admin.metrics == MetricsShown::All
    }

    /// Whether flushes are written to standard output.
    pub fn has_console(&self) -> bool {
        let is_console =
            |destination: &Destination| matches!(destination.kind, DestinationKind::Console(_));
        self.active_destinations().any(is_console)
    }

    /// Turns the console on, for `--stdin`. Its other settings are those of its section.
    pub fn enable_console(&mut self) {
        for destination in &mut self.destinations {
            if let DestinationKind::Console(console) = &mut destination.kind {
                console.enabled = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_as_the_kernel_sees_it() {
        let at = |text: &str| Bind::At(text.parse().unwrap());
        for (one, other, expected) in [
            (Bind::Any(1), Bind::Any(1), true),
            (Bind::Any(1), Bind::Any(2), false),
            (Bind::Any(1), at("10.0.0.1:1"), true),
            (Bind::Any(1), Bind::Localhost(1), true),
            (Bind::Localhost(1), at("127.0.0.1:1"), true),
            (Bind::Localhost(1), at("127.0.0.2:1"), false),
            (Bind::Localhost(1), at("[::1]:1"), true),
            (at("0.0.0.0:1"), at("10.0.0.1:1"), true),
            (at("0.0.0.0:1"), at("[::1]:1"), false),
            (at("0.0.0.0:1"), at("[::]:1"), false),
            (at("10.0.0.1:1"), at("10.0.0.2:1"), false),
            (Bind::Any(0), Bind::Any(0), false),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                assert_eq!(one.overlaps(other), expected, "{one:?} {other:?}");
            }
        }
    }
}
