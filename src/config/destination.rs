//! [`Destination`]: what the server sends to, how it is reached, and how much may be queued for it.
//! Pure.
//!
//! [`Destination`] holds what several kinds have in common. [`DestinationKind`] holds the rest.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::encode::encoders::Format;
use crate::encode::ganglia::Labels;
use crate::encode::repeated::PacketTransport;

/// One destination: of flushes, or of packets as they are received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The header of its section: `carbon`, or `carbon.NAME`. The sink has the same name.
    pub name: String,
    pub kind: DestinationKind,
    /// How the server reaches it over the network. `None` for the console and for commands.
    pub net: Option<Net>,
    pub queue: Queue,
    /// The name of the name space whose names it gets. Empty for `[namespace]`, which Ganglia and
    /// repeaters always have.
    pub namespace: String,
    /// Whether the destination gets the server's own figures. Repeaters never get them.
    pub own_figures: bool,
}

/// The kind of a destination, with the settings that no other kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationKind {
    Carbon(Carbon),
    Influxdb(Influxdb),
    /// A gmond, which takes Ganglia's metrics.
    Ganglia(Labels),
    Repeater(Repeater),
    Console(Console),
    Exec(Exec),
}

/// How the server reaches a destination on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    pub remote: Remote,
    pub connect_timeout: Duration,
    pub write_timeout: Duration,
    pub reconnect_min: Duration,
    pub reconnect_max: Duration,
}

/// How much may be queued for a destination, and what is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The most bytes that are queued or retained in memory.
    pub bytes: usize,
    pub resend: Resend,
    /// The number of delivered flushes that are retained for a resend.
    pub resend_keep: u32,
}

/// What is sent again after a broken connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// Everything retained, also delivered flushes.
    Flush,
    /// Everything from the chunk with the first unacknowledged byte on.
    Unacked,
    /// Nothing. The lines of chunks that were written at least in part count as in doubt.
    Never,
}

/// A carbon daemon of Graphite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carbon {
    pub protocol: Protocol,
    /// The most points of one pickle message.
    pub pickle_batch: u32,
}

/// How points are written to carbon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Plaintext,
    Pickle,
}

/// An InfluxDB server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influxdb {
    pub protocol: InfluxTransport,
    pub version: ApiVersion,
    pub database: String,
    /// Empty if requests carry no account.
    pub username: String,
    pub password: Secret,
    pub org: String,
    pub bucket: String,
    /// Empty if requests carry no token.
    pub token: Secret,
}

/// The version of InfluxDB's interface for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// `/write`, with a database and an account.
    V1,
    /// `/api/v2/write`, with an organisation, a bucket and a token.
    V2,
}

/// A password or a token, from the configuration or from a file of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    pub given: String,
    /// The file, whose text replaces `given`. `None` if there is none.
    pub file: Option<PathBuf>,
    /// The text of the file.
    pub read: String,
}

impl Secret {
    pub fn text(&self) -> &str {
        if self.file.is_some() { &self.read } else { &self.given }
    }
}

/// The transport of lines to InfluxDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfluxTransport {
    Http,
    Udp,
}

/// Another StatsD server, which gets a copy of every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeater {
    pub protocol: PacketTransport,
}

/// Flushes on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    pub enabled: bool,
    pub format: Layout,
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
    /// The command line for /bin/sh. Empty only while the file is being read.
    pub command: String,
    /// The command is killed if it runs longer.
    pub timeout: Duration,
    pub binary_stream: BinaryStream,
}

/// Whether a command reads statsite's binary records in place of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryStream {
    No,
    /// The keys of the records are the names of series.
    Yes,
    /// The keys have the prefixes of the name space.
    Prefixed,
}

/// The address of a destination as the file gives it: a name or a number, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// A host name, or a numeric address without brackets.
    pub host: String,
    pub port: u16,
}

/// What a destination gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationFeed<'a> {
    Flushes(FlushFeed<'a>),
    /// Every packet received.
    Packets(PacketTransport),
}

/// The flushes that a destination gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushFeed<'a> {
    pub format: Format,
    /// The name of the name space whose names they have.
    pub namespace: &'a str,
    pub own_figures: bool,
}

/// What a queue and its spool hold, and the transport by which it is sent. This must not change
/// while one of them has chunks. The kind is not part of it: a name belongs to one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueContract {
    is_udp: bool,
    spooled_format: Option<&'static str>,
}

/// The section of the console, and the name of its sink.
pub const CONSOLE: &str = "console";

impl Destination {
    /// Returns a destination with this name. It is off, because it has no address yet. Values for
    /// which its section has no keys are already the final ones.
    pub fn new(name: &str, kind: DestinationKind) -> Self {
        let net = kind.port().map(|_| Net::default());
        let queue = kind.queue();
        Self { name: name.into(), kind, net, queue, namespace: String::new(), own_figures: true }
    }

    /// Returns a destination of each kind, in the order in which destinations are listed. The
    /// defaults of the table are written over these values.
    pub(super) fn one_of_each_kind() -> Vec<Self> {
        let kinds = [
            DestinationKind::Carbon(Carbon { protocol: Protocol::Plaintext, pickle_batch: 0 }),
            DestinationKind::Influxdb(Influxdb {
                protocol: InfluxTransport::Http,
                version: ApiVersion::V1,
                database: String::new(),
                username: String::new(),
                password: Secret::default(),
                org: String::new(),
                bucket: String::new(),
                token: Secret::default(),
            }),
            DestinationKind::Ganglia(Labels {
                spoof: String::new(),
                prefix: String::new(),
                max_name_length: 0,
            }),
            DestinationKind::Repeater(Repeater { protocol: PacketTransport::Datagrams }),
            DestinationKind::Console(Console { enabled: false, format: Layout::Text }),
            DestinationKind::Exec(Exec {
                command: String::new(),
                timeout: Duration::ZERO,
                binary_stream: BinaryStream::No,
            }),
        ];
        kinds.into_iter().map(|kind| Self::new(kind.section(), kind)).collect()
    }

    /// Returns the section of the table with the keys of this destination, such as `carbon` for
    /// `[carbon.NAME]`.
    pub(super) fn section(&self) -> &'static str {
        self.kind.section()
    }

    /// Whether the server sends anything to it.
    pub(super) fn is_on(&self) -> bool {
        match &self.kind {
            DestinationKind::Console(console) => console.enabled,
            DestinationKind::Exec(exec) => !exec.command.is_empty(),
            _ => self.net.as_ref().is_some_and(|net| net.remote != Remote::OFF),
        }
    }

    /// Returns what the destination gets. Two destinations for which this is equal share one
    /// encoder.
    pub fn takes(&self) -> DestinationFeed<'_> {
        let format = match &self.kind {
            DestinationKind::Carbon(carbon) => match carbon.protocol {
                Protocol::Plaintext => Format::Plaintext,
                Protocol::Pickle => Format::Pickle { batch: carbon.pickle_batch },
            },
            DestinationKind::Influxdb(influxdb) => {
                Format::Influx { is_for_udp: influxdb.protocol == InfluxTransport::Udp }
            }
            DestinationKind::Ganglia(labels) => Format::Ganglia(labels.clone()),
            DestinationKind::Repeater(repeater) => {
                return DestinationFeed::Packets(repeater.protocol);
            }
            DestinationKind::Console(console) => match console.format {
                Layout::Text => Format::Text,
                Layout::Json => Format::JsonLines,
            },
            DestinationKind::Exec(exec) => match exec.binary_stream {
                BinaryStream::No => Format::Piped,
                BinaryStream::Yes => Format::Records { is_prefixed: false },
                BinaryStream::Prefixed => Format::Records { is_prefixed: true },
            },
        };
        let Self { namespace, own_figures, .. } = self;
        DestinationFeed::Flushes(FlushFeed { format, namespace, own_figures: *own_figures })
    }

    /// Whether the destination is reached over UDP.
    pub fn is_udp(&self) -> bool {
        match &self.kind {
            DestinationKind::Ganglia(_) => true,
            DestinationKind::Influxdb(influxdb) => influxdb.protocol == InfluxTransport::Udp,
            DestinationKind::Repeater(repeater) => repeater.protocol == PacketTransport::Datagrams,
            DestinationKind::Carbon(_) | DestinationKind::Console(_) | DestinationKind::Exec(_) => {
                false
            }
        }
    }

    pub fn queue_contract(&self) -> QueueContract {
        QueueContract { is_udp: self.is_udp(), spooled_format: self.spooled_format() }
    }

    /// Returns the name of the format of its chunks in the spool. Returns `None` if its chunks are
    /// never spooled, because they are worth nothing later. The names are on disk, so they must not
    /// change.
    pub fn spooled_format(&self) -> Option<&'static str> {
        match &self.kind {
            DestinationKind::Carbon(carbon) => match carbon.protocol {
                Protocol::Plaintext => Some("plaintext"),
                Protocol::Pickle => Some("pickle"),
            },
            DestinationKind::Influxdb(_) => Some("influx"),
            _ => None,
        }
    }
}

impl DestinationKind {
    pub(super) fn section(&self) -> &'static str {
        match self {
            Self::Carbon(_) => "carbon",
            Self::Influxdb(_) => "influxdb",
            Self::Ganglia(_) => "ganglia",
            Self::Repeater(_) => "repeater",
            Self::Console(_) => CONSOLE,
            Self::Exec(_) => "exec",
        }
    }

    /// Returns the port of an address that is given without one. It depends on the protocol.
    /// Returns `None` if the kind is not on the network.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => Some(2003),
            Self::Carbon(Carbon { protocol: Protocol::Pickle, .. }) => Some(2004),
            Self::Influxdb(Influxdb { protocol: InfluxTransport::Http, .. }) => Some(8086),
            Self::Influxdb(Influxdb { protocol: InfluxTransport::Udp, .. }) => Some(8089),
            Self::Ganglia(_) => Some(8649),
            Self::Repeater(_) => Some(8125),
            Self::Console(_) | Self::Exec(_) => None,
        }
    }

    /// Returns the queue of a destination whose section has no keys for it. Nothing that was
    /// written is sent again.
    ///
    /// The queue of a repeater is short. The other server counts a packet in the interval in which
    /// it arrives, so an old packet would falsify a later interval.
    pub(super) fn queue(&self) -> Queue {
        let bytes = match self {
            Self::Repeater(Repeater { protocol: PacketTransport::Datagrams }) => 1 << 20,
            Self::Repeater(Repeater { protocol: PacketTransport::Stream }) => 16 << 20,
            _ => 64 << 20,
        };
        Queue { bytes, resend: Resend::Never, resend_keep: 1 }
    }
}

/// The values of destinations whose sections have no keys for them. The waits are short, because
/// the data for these destinations soon loses its worth.
impl Default for Net {
    fn default() -> Self {
        Self {
            remote: Remote::OFF,
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(5),
        }
    }
}

impl Remote {
    /// The address of a destination that is off.
    pub(super) const OFF: Self = Self { host: String::new(), port: 0 };
}

impl fmt::Display for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self { host, port } => write!(out, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests;
