//! `statsd.conf` to settings, and back.
//!
//! ```text
//! load ──bytes──▶ ini ──sections──▶ parse ──row of keys, text──▶ value, address ──▶ Config ──▶ render
//! ```
//! `load` finds the file and reads it; all else is pure. `keys` is the one table of what there is.

mod load;
mod parse;
mod render;
mod difference;
mod destination;

mod access;
mod address;
mod command;
mod fraction;
mod ganglia;
mod histogram;
mod influxdb;
mod defaults;
mod ini;
mod keys;
mod limits;
mod namespaces;
mod paths;
mod repeater;
mod rules;
mod sections;
mod value;

pub use destination::{CONSOLE, Destination, Queue, Takes, Way};
pub use difference::difference;
pub use ganglia::Ganglia;
pub use influxdb::{Influxdb, Over};
pub use keys::{KEYS, Key};
pub use load::{Failure, Origin, PLACES, Unreadable, find, load, reload};
pub use parse::parse;
pub use render::{example, render, render_masked};
pub use repeater::Repeater;

use parse::sets_a_key;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::encode::namespace::Namespace;
use crate::logging::LogFormat;
use crate::policy::Rules;
use crate::protocol::Grammar;
use crate::series::Bounds;

/// Every setting, checked: nothing downstream checks again. Grouped by who uses them, not by section.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub flush_interval: Duration,
    pub align_flush: bool,
    pub shutdown_timeout: Duration,
    pub log_format: LogFormat,
    pub log_level: log::LevelFilter,
    /// Whom to become after binding; empty: stay who we are.
    pub user: String,
    pub group: String,
    /// Log every line received.
    pub dump_messages: bool,
    pub grammar: Grammar,
    pub bounds: Bounds,
    /// What names are treated as; from `[statsd]` and each `[rule.NAME]`.
    pub rules: Rules,
    /// `[namespace]` first, then each `[namespace.NAME]` in file order.
    pub namespaces: Vec<Namespace>,
    pub udp: Udp,
    pub tcp: Tcp,
    pub unix: Unix,
    pub admin: Admin,
    /// `[carbon]` first, then each `[carbon.NAME]` in file order; those without an address are not here.
    pub carbons: Vec<Carbon>,
    /// As `carbons`.
    pub influxdbs: Vec<Influxdb>,
    /// As `carbons`.
    pub ganglias: Vec<Ganglia>,
    /// As `carbons`.
    pub repeaters: Vec<Repeater>,
    pub console: Console,
    /// As `carbons`; those without a command are not here.
    pub execs: Vec<Exec>,
    pub state: State,
    pub spool: Spool,
    pub key_flush: KeyFlush,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    pub bind: Vec<Bind>,
    /// Bytes asked of the kernel for each socket's receive buffer.
    pub recv_buffer: usize,
    /// Whose packets are taken; empty: everybody's.
    pub allow_from: Vec<IpNet>,
}

/// Sockets of this machine. Streams share the limits of `[tcp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unix {
    pub stream: Option<PathBuf>,
    pub datagram: Option<PathBuf>,
    /// Of the sockets' files.
    pub mode: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    pub bind: Vec<Bind>,
    pub max_connections: usize,
    /// None: a silent client may stay for ever.
    pub idle_timeout: Option<Duration>,
    /// Bytes of a line without its newline.
    pub max_line: usize,
    /// Whose connections are taken; empty: everybody's.
    pub allow_from: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub bind: Vec<Bind>,
    /// Whether `health` says up from the start.
    pub healthy: bool,
    /// How long a client may send no command. `None`: for ever.
    pub idle_timeout: Option<Duration>,
    pub max_connections: usize,
    /// Whose connections are taken; empty: everybody's.
    pub allow_from: Vec<IpNet>,
}

/// Where to listen. Always numeric: binding never resolves a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `*:port`: every address, IPv6 and IPv4 in one socket, IPv4 alone where IPv6 is off.
    Any(u16),
    /// `localhost:port`: both loopback addresses.
    Localhost(u16),
    At(SocketAddr),
}

/// One destination that speaks carbon's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carbon {
    /// `carbon`, or `carbon.NAME`.
    pub name: String,
    pub address: Remote,
    pub protocol: Protocol,
    /// Points of a message of pickle, at the most.
    pub pickle_batch: u32,
    pub connect_timeout: Duration,
    pub write_timeout: Duration,
    pub reconnect_min: Duration,
    pub reconnect_max: Duration,
    /// Bytes that may wait or be retained in memory.
    pub queue: usize,
    pub resend: Resend,
    /// Delivered flushes retained for a resend.
    pub resend_keep: u32,
    /// The name of one of the name spaces.
    pub namespace: String,
}

/// How points are written to carbon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Plaintext,
    Pickle,
}

/// Flushes on standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    pub enabled: bool,
    pub format: Layout,
    /// The name of one of the name spaces.
    pub namespace: String,
}

/// What the console's lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Text,
    Json,
}

/// A command that each flush is piped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// `exec`, or `exec.NAME`.
    pub name: String,
    /// For /bin/sh. Empty only until its file is read.
    pub command: String,
    /// It is killed when it takes longer.
    pub timeout: Duration,
    /// The name of one of the name spaces.
    pub namespace: String,
}

/// What is kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// None: nothing.
    pub file: Option<PathBuf>,
    /// None: gauges are saved at a stop only.
    pub interval: Option<Duration>,
}

/// What waits on disk when it does not fit in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// A folder in which each destination has its own; none: nothing waits on disk.
    pub dir: Option<PathBuf>,
    /// Bytes that all destinations together may take, each an equal part.
    pub max_size: usize,
}

/// How often which names are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFlush {
    /// None: never.
    pub interval: Option<Duration>,
    /// Of the names, the most frequent.
    pub percent: u32,
    /// None: the log.
    pub log: Option<PathBuf>,
}

/// A destination as written: a name or a number, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// A host name, or a numeric address without brackets.
    pub host: String,
    pub port: u16,
}

/// What is sent again after a broken connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// Everything retained: delivered flushes too.
    Flush,
    /// From the chunk with the first unacknowledged byte.
    Unacked,
    /// Nothing that was ever written; it is counted as in doubt.
    Never,
}

/// A mistake in a configuration file, or in what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    /// 1 for the first line.
    pub line: usize,
    /// What is wrong and what was expected, naming section and key.
    pub what: String,
}

impl fmt::Display for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self { host, port } => write!(out, "{host}:{port}"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        write!(out, "{}:{line}: {what}", file.display())
    }
}
