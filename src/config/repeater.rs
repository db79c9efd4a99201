//! `[repeater]`: another StatsD server that every packet goes on to. Pure.

use super::Remote;
use super::address::OFF;
use super::destination::{NEVER_AGAIN, Queue, Way};
use crate::encode::repeated::Carriage;

/// One server that is sent what is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeater {
    /// `repeater`, or `repeater.NAME`.
    pub name: String,
    pub address: Remote,
    pub protocol: Carriage,
}

impl Repeater {
    /// For the table's defaults to be written into.
    pub(super) fn blank() -> Self {
        Self { name: "repeater".into(), address: OFF, protocol: Carriage::Datagrams }
    }

    pub fn way(&self) -> Way<'_> {
        Way::to(&self.address)
    }

    /// What waits is soon worth nothing: it counts in the interval in which it arrives.
    pub(super) fn queue(&self) -> Queue {
        let bytes = match self.protocol {
            Carriage::Datagrams => 1 << 20,
            Carriage::Stream => 16 << 20,
        };
        Queue { bytes, ..NEVER_AGAIN }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::config;
    use super::*;

    #[test]
    fn it_is_off_without_an_address() {
        assert_eq!(config("[repeater]\nprotocol = tcp").repeaters, []);
        let text = "[repeater]\naddress = a\n[repeater.b]\naddress = b:1\nprotocol = tcp";
        let repeaters = config(text).repeaters;
        let found: Vec<_> =
            repeaters.iter().map(|one| (one.address.to_string(), one.protocol)).collect();
        let expected = [("a:8125".into(), Carriage::Datagrams), ("b:1".into(), Carriage::Stream)];
        assert_eq!(found, expected);
    }
}
