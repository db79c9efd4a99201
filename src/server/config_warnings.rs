//! Finds out what the rules about a configuration compare it with: the limit of memory, the name
//! and addresses of this host, and the sockets that were passed in. Then logs their warnings.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::unistd::gethostname;

use super::reception::listeners::PassedSocket;
use crate::config::{self, Config, Origin, PassedAddress, Surroundings};
use crate::ingest::bind::Purpose;
use crate::memory_limit::MemoryLimit;

/// Logs each warning about a configuration, in the order of the file.
pub(super) fn log_config_warnings(config: &Config, origin: &Origin, passed: &[PassedSocket]) {
    for warning in config::warnings(config, origin, &read_surroundings(config, passed)) {
        log::warn!(
            setting = warning.setting(),
            place = warning.place,
            reason = warning.reason,
            hint = warning.remedy;
            "a setting is legal and probably wrong"
        );
    }
}

/// Reads what the rules need. What cannot be read is left out, and no rule warns about it.
pub(super) fn read_surroundings(config: &Config, passed: &[PassedSocket]) -> Surroundings {
    let host = gethostname().ok().and_then(|name| name.into_string().ok());
    let nets = config.active_destinations().filter_map(|to| to.net.as_ref());
    let hosts = nets.filter_map(|net| net.remote.host.parse::<IpAddr>().ok());
    let internet = |socket: &PassedSocket| {
        let section = match socket.purpose {
            Purpose::Datagrams => "udp",
            Purpose::Streams => "tcp",
            Purpose::Admin => "admin",
        };
        Some(PassedAddress { section, address: socket.address? })
    };
    let has_unix =
        |purpose| passed.iter().any(|socket| socket.purpose == purpose && socket.address.is_none());
    Surroundings {
        memory: MemoryLimit::of_process(),
        host_name: host.unwrap_or_default(),
        own_addresses: hosts.filter(|address| is_ours(*address)).collect(),
        passed: passed.iter().filter_map(internet).collect(),
        has_passed_unix: has_unix(Purpose::Datagrams) || has_unix(Purpose::Streams),
        has_passed_unix_stream: has_unix(Purpose::Streams),
    }
}

/// Whether an address is one of this host. The kernel then takes it as the source, too. No packet
/// is sent.
fn is_ours(address: IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let source = UdpSocket::bind(any).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours_and_an_address_for_documentation_is_not() {
        assert!(is_ours([127, 0, 0, 1].into()));
        assert!(!is_ours([192, 0, 2, 1].into()));
    }
}
