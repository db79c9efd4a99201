//! `allow_from`: whose packets and connections are taken.

use ipnet::IpNet;

use crate::sender::Sender;

/// Whether a list of networks has a sender in it. An empty list has everybody; who comes by a unix socket passed its mode.
pub fn allows(networks: &[IpNet], sender: Sender) -> bool {
    match sender {
        _ if networks.is_empty() => true,
        Sender::Internet(address) => {
            let address = address.ip().to_canonical();
            networks.iter().any(|network| network.contains(&address))
        }
        Sender::Unix => true,
        Sender::Unknown => false,
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
            assert_eq!(allows(&networks, sender), allowed, "{address}");
            assert!(allows(&[], sender));
        }
        assert!(allows(&networks, Sender::Unix) && !allows(&networks, Sender::Unknown));
    }
}
