//! What all kinds of destinations have in common, whatever section they come from. Pure.

use std::time::Duration;

use super::{Carbon, Config, Console, Exec, Influxdb, Protocol, Remote, Resend};
use crate::encode::encoders::Format;

/// One place that flushes go to.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    Carbon(&'a Carbon),
    Influxdb(&'a Influxdb),
    Console(&'a Console),
    Exec(&'a Exec),
}

/// For those without keys for it. What was written is not sent again.
const QUEUE: Queue = Queue { bytes: 64 << 20, resend: Resend::Never, resend_keep: 1 };

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
            Self::Console(_) => CONSOLE,
            Self::Exec(exec) => &exec.name,
        }
    }

    pub fn format(self) -> Format {
        match self {
            Self::Carbon(carbon) => match carbon.protocol {
                Protocol::Plaintext => Format::Plaintext,
                Protocol::Pickle => Format::Pickle { batch: carbon.pickle_batch },
            },
            Self::Influxdb(_) => Format::Influx,
            Self::Console(console) => console.format,
            Self::Exec(_) => Format::Piped,
        }
    }

    /// The name of the name space it is sent.
    pub fn namespace(self) -> &'a str {
        match self {
            Self::Carbon(carbon) => &carbon.namespace,
            Self::Influxdb(influxdb) => &influxdb.namespace,
            Self::Console(console) => &console.namespace,
            Self::Exec(exec) => &exec.namespace,
        }
    }

    pub fn queue(self) -> Queue {
        match self {
            Self::Carbon(&Carbon { queue: bytes, resend, resend_keep, .. }) => {
                Queue { bytes, resend, resend_keep }
            }
            Self::Influxdb(influxdb) => influxdb.queue(),
            Self::Console(_) | Self::Exec(_) => QUEUE,
        }
    }

    /// What its chunks are called in the spool, if what does not fit its queue may wait there.
    pub fn spooled_format(self) -> Option<&'static str> {
        match self {
            Self::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => Some("plaintext"),
            Self::Carbon(Carbon { protocol: Protocol::Pickle, .. }) => Some("pickle"),
            Self::Influxdb(_) => Some("influx"),
            Self::Console(_) | Self::Exec(_) => None,
        }
    }

    /// How it is reached, if it is on the network.
    pub fn way(self) -> Option<Way<'a>> {
        match self {
            Self::Carbon(carbon) => Some(carbon.way()),
            Self::Influxdb(influxdb) => Some(influxdb.way()),
            Self::Console(_) | Self::Exec(_) => None,
        }
    }
}
