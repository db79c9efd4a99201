//! `[influxdb]`: what there is to say of an InfluxDB. Pure.

use std::time::Duration;

use super::address::{Destination, OFF};
use super::destination::{Queue, Way};
use super::ini::Section;
use super::value::Kind as _;
use super::{Remote, Resend};

/// One InfluxDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influxdb {
    /// `influxdb`, or `influxdb.NAME`.
    pub name: String,
    pub address: Remote,
    pub protocol: Over,
    pub database: String,
    /// Empty: it is not told who we are.
    pub username: String,
    pub password: String,
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

/// How lines get to InfluxDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Http,
    Udp,
}

impl Over {
    /// Where InfluxDB listens for it unless it is told otherwise.
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Http => 8086,
            Self::Udp => 8089,
        }
    }
}

impl Influxdb {
    /// For the table's defaults to be written into.
    pub(super) fn blank() -> Self {
        Self {
            name: "influxdb".into(),
            address: OFF,
            protocol: Over::Http,
            database: String::new(),
            username: String::new(),
            password: String::new(),
            connect_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
            reconnect_min: Duration::ZERO,
            reconnect_max: Duration::ZERO,
            queue: 0,
            resend: Resend::Unacked,
            resend_keep: 0,
            namespace: String::new(),
        }
    }

    pub(super) fn queue(&self) -> Queue {
        Queue { bytes: self.queue, resend: self.resend, resend_keep: self.resend_keep }
    }

    pub fn way(&self) -> Way<'_> {
        Way {
            remote: &self.address,
            connect_timeout: self.connect_timeout,
            write_timeout: self.write_timeout,
            reconnect_min: self.reconnect_min,
            reconnect_max: self.reconnect_max,
        }
    }

    /// What gives no port goes to that of its protocol.
    pub(super) fn choose_port(&mut self, section: &Section) {
        if let Some(entry) = section.entry("address") {
            // What cannot be read was complained of.
            self.address = Destination(self.protocol.port()).read(&entry.value).unwrap_or(OFF);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{config, mistakes};

    #[test]
    fn it_is_off_without_an_address_and_the_port_is_that_of_its_protocol() {
        assert_eq!(config("[influxdb]\ndatabase = a").influxdbs, []);
        for (text, port) in [
            ("address = a", 8086),
            ("address = a\nprotocol = udp", 8089),
            ("protocol = udp\naddress = a:1", 1),
        ] {
            let config = config(&format!("[influxdb.b]\n{text}"));
            assert_eq!(config.influxdbs[0].address.port, port, "{text}");
            assert_eq!(config.influxdbs[0].name, "influxdb.b");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("[influxdb.a]", "1: [influxdb.a] address: expected host[:port], it has no default"),
            (
                "[influxdb]\naddress = a\nreconnect_min = 1h",
                "3: [influxdb] reconnect_max: expected at least",
            ),
            ("[influxdb]\ndatabase =", "2: [influxdb] database: expected 1 to 128 printable"),
            ("[influxdb]\nusername = a:b", "2: [influxdb] username: expected 0 to 128 printable"),
            ("[influxdb]\nnamespace = x", "2: [influxdb] namespace: no [namespace.x]"),
            ("[influxdb]\naddress = :1\nprotocol = udp", "2: [influxdb] address: expected host"),
        ] {
            let found = mistakes(text);
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
        }
    }
}
