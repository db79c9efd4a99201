//! The sender of a datagram or of a connection, for warnings and for `allow_from`. Pure.

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;

/// The sender of a datagram, or the peer of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// There is no sender, or the kernel did not name it.
    #[default]
    Unknown,
    Internet(SocketAddr),
    /// A process that sends to a unix socket, and that this process cannot see, as one of another
    /// container.
    Unix,
    /// A process that sends to a unix socket, and its user.
    UnixProcess {
        process: i32,
        user: u32,
    },
    /// Standard input, for `--stdin`.
    Stdin,
}

impl Sender {
    /// Whether `allow_from` lists the sender: whether one of `networks` has its address.
    ///
    /// An empty list allows all. A unix socket has no address; the mode of its file decides who may
    /// send.
    pub fn is_allowed(self, networks: &[IpNet]) -> bool {
        match self {
            _ if networks.is_empty() => true,
            Self::Internet(address) => {
                let address = address.ip().to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
            Self::Unix | Self::UnixProcess { .. } | Self::Stdin => true,
            Self::Unknown => false,
        }
    }

    /// Returns the sender of a unix socket, given what the kernel reports about its process. The
    /// number of a process that this one cannot see is 0.
    pub fn of_process(process: i32, user: u32) -> Self {
        if process > 0 { Self::UnixProcess { process, user } } else { Self::Unix }
    }

    /// Returns the port, or 0 if the sender has none.
    pub fn port(self) -> u16 {
        match self {
            Self::Internet(address) => address.port(),
            _ => 0,
        }
    }

    /// Returns the sender with port 0. The sockets of one host are equal then, also if some of
    /// them reach a socket for both address families by IPv4.
    #[must_use]
    pub fn without_port(self) -> Self {
        match self {
            Self::Internet(address) => {
                Self::Internet(SocketAddr::new(address.ip().to_canonical(), 0))
            }
            other => other,
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => out.write_str("unknown"),
            Self::Internet(address) => {
                // An IPv4 client of a socket for both families is shown as what it is.
                let ip = address.ip().to_canonical();
                match address.port() {
                    0 => ip.fmt(out),
                    port => SocketAddr::new(ip, port).fmt(out),
                }
            }
            Self::Unix => out.write_str("unix"),
            Self::UnixProcess { process, .. } => write!(out, "unix:{process}"),
            Self::Stdin => out.write_str("stdin"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let networks: Vec<IpNet> = ["10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32"]
            .map(|text| text.parse().unwrap())
            .into();
        for (address, allowed) in [
            ("10.1.255.255:1", true),
            ("10.2.0.0:1", false),
            ("192.0.2.7:65535", true),
            ("192.0.2.8:1", false),
            ("[2001:db8::1]:1", true),
            ("[2001:db9::1]:1", false),
            ("[::ffff:10.1.2.3]:1", true), // IPv4 on a socket for both
            ("[::ffff:10.2.2.3]:1", false),
        ] {
            let sender = Sender::Internet(address.parse().unwrap());
            assert_eq!(sender.is_allowed(&networks), allowed, "{address}");
            assert!(sender.is_allowed(&[]));
        }
        assert!(Sender::Unix.is_allowed(&networks) && !Sender::Unknown.is_allowed(&networks));
    }
}
