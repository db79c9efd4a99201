//! Who sent what is being read: for warnings, and for `allow_from`. Pure.

use std::fmt;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// Nobody said.
    #[default]
    Unknown,
    Internet(SocketAddr),
    /// A process of this machine, by a unix socket.
    Unix,
}

impl fmt::Display for Sender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => out.write_str("unknown"),
            Self::Internet(address) => {
                // An IPv4 client of a socket for both families is shown as what it is.
                SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(out)
            }
            Self::Unix => out.write_str("unix"),
        }
    }
}
