//! What all kinds of destinations have in common, whatever section they come from. Pure.

use std::time::Duration;

use super::{
    Carbon, Config, Console, Exec, Ganglia, Influxdb, Layout, Protocol, Remote, Repeater, Resend,
};
use crate::encode::encoders::Format;
use crate::encode::repeated::Carriage;

/// One place that flushes go to, or packets as they come.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    Carbon(&'a Carbon),
    Influxdb(&'a Influxdb),
    Ganglia(&'a Ganglia),
    Repeater(&'a Repeater),
    Console(&'a Console),
    Exec(&'a Exec),
}

/// For those without keys for it. What was written is not sent again.
pub(super) const NEVER_AGAIN: Queue =
    Queue { bytes: 64 << 20, resend: Resend::Never, resend_keep: 1 };

/// Its section, and the name of its sink.
pub const CONSOLE: &str = "console";

/// What may wait for a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Bytes that may wait or be retained in memory.
    pub bytes: usize,
    pub resend: Resend,
    /// Delivered flushes retained for a resend.
    pub resend_keep: u32,
}

/// How a destination on the network is reached.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    pub remote: &'a Remote,
    pub connect_timeout: Duration,
    pub write_timeout: Duration,
    pub reconnect_min: Duration,
    pub reconnect_max: Duration,
}

/// What a destination takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes<'a> {
    /// Flushes in this format, in the name space called so.
    Flushes(Format, &'a str),
    /// Every packet received.
    Packets(Carriage),
}

impl<'a> Way<'a> {
    /// That of destinations without keys for it. They are tried again soon: what waits for them does not get better.
    pub(super) fn to(remote: &'a Remote) -> Self {
        Self {
            remote,
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(5),
        }
    }
}

impl Carbon {
    pub fn way(&self) -> Way<'_> {
        Way {
            remote: &self.address,
            connect_timeout: self.connect_timeout,
            write_timeout: self.write_timeout,
            reconnect_min: self.reconnect_min,
            reconnect_max: self.reconnect_max,
        }
    }
}

impl Config {
    /// All that are on, in the order of their kinds and of the file.
    pub fn destinations(&self) -> impl Iterator<Item = Destination<'_>> {
        let console = Some(&self.console).filter(|console| console.enabled);
        self.carbons
            .iter()
            .map(Destination::Carbon)
            .chain(self.influxdbs.iter().map(Destination::Influxdb))
            .chain(self.ganglias.iter().map(Destination::Ganglia))
            .chain(self.repeaters.iter().map(Destination::Repeater))
            .chain(console.map(Destination::Console))
            .chain(self.execs.iter().map(Destination::Exec))
    }
}

impl<'a> Destination<'a> {
    /// The header of its section.
    pub fn name(self) -> &'a str {
        match self {
            Self::Carbon(carbon) => &carbon.name,
            Self::Influxdb(influxdb) => &influxdb.name,
            Self::Ganglia(ganglia) => &ganglia.name,
            Self::Repeater(repeater) => &repeater.name,
            Self::Console(_) => CONSOLE,
            Self::Exec(exec) => &exec.name,
        }
    }

    /// What it is sent, and of flushes in whose names.
    pub fn takes(self) -> Takes<'a> {
        match self {
            Self::Carbon(carbon) => {
                let format = match carbon.protocol {
                    Protocol::Plaintext => Format::Plaintext,
                    Protocol::Pickle => Format::Pickle { batch: carbon.pickle_batch },
                };
                Takes::Flushes(format, &carbon.namespace)
            }
            Self::Influxdb(influxdb) => Takes::Flushes(Format::Influx, &influxdb.namespace),
            // It has names of its own; of the name space it takes what ours are called.
            Self::Ganglia(ganglia) => Takes::Flushes(Format::Ganglia(ganglia.labels()), ""),
            Self::Repeater(repeater) => Takes::Packets(repeater.protocol),
            Self::Console(console) => {
                let format = match console.format {
                    Layout::Text => Format::Plaintext,
                    Layout::Json => Format::JsonLines,
                };
                Takes::Flushes(format, &console.namespace)
            }
            Self::Exec(exec) => Takes::Flushes(Format::Piped, &exec.namespace),
        }
    }

    pub fn queue(self) -> Queue {
        match self {
            Self::Carbon(&Carbon { queue: bytes, resend, resend_keep, .. }) => {
                Queue { bytes, resend, resend_keep }
            }
            Self::Influxdb(influxdb) => influxdb.queue(),
            Self::Repeater(repeater) => repeater.queue(),
            Self::Ganglia(_) | Self::Console(_) | Self::Exec(_) => NEVER_AGAIN,
        }
    }

    /// What its chunks are called in the spool, if what does not fit its queue may wait there.
    pub fn spooled_format(self) -> Option<&'static str> {
        match self {
            Self::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => Some("plaintext"),
            Self::Carbon(Carbon { protocol: Protocol::Pickle, .. }) => Some("pickle"),
            Self::Influxdb(_) => Some("influx"),
            Self::Ganglia(_) | Self::Repeater(_) | Self::Console(_) | Self::Exec(_) => None,
        }
    }

    /// How it is reached, if it is on the network.
    pub fn way(self) -> Option<Way<'a>> {
        match self {
            Self::Carbon(carbon) => Some(carbon.way()),
            Self::Influxdb(influxdb) => Some(influxdb.way()),
            Self::Ganglia(ganglia) => Some(ganglia.way()),
            Self::Repeater(repeater) => Some(repeater.way()),
            Self::Console(_) | Self::Exec(_) => None,
        }
    }
}
