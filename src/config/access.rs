//! Values about access: networks that may send, permissions of files, accounts, passwords and
//! spoofed hosts. Pure.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};

use super::value::ValueKind;

/// A network such as 10.0.0.0/8, or one address. Bits after the mask are set to zero.
pub(super) struct IpNetwork;

impl ValueKind<IpNet> for IpNetwork {
    fn read(&self, text: &str) -> Result<IpNet, String> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse().or_else(|_| address());
        let network = network.map(|network: IpNet| as_ipv4(network.trunc()));
        network.map_err(|_| "expected networks such as 10.0.0.0/8, fd00::/8 or 192.0.2.7".into())
    }

    fn show(&self, network: &IpNet) -> String {
        network.to_string()
    }
}

/// Turns an IPv4 network that is written as IPv6, such as `::ffff:10.0.0.0/104`, into IPv4. The
/// server uses the IPv4 form of a sender, even on a socket for both families, so the IPv6 form
/// would never match.
fn as_ipv4(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let address = mapped.addr().to_ipv4_mapped();
    let length = mapped.prefix_len().checked_sub(96);
    let ipv4 = address.zip(length).and_then(|(at, length)| Ipv4Net::new(at, length).ok());
    ipv4.map_or(network, IpNet::V4)
}

/// The permissions of a file, in octal.
pub(super) struct FileMode;

impl ValueKind<u32> for FileMode {
    fn read(&self, text: &str) -> Result<u32, String> {
        let digits = text.len() <= 4 && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
        mode.ok_or_else(|| "expected permissions in octal, 0000 to 0777".into())
    }

    fn show(&self, mode: &u32) -> String {
        format!("{mode:04o}")
    }
}

/// The name or number of a user or a group. Empty if none is given.
pub(super) struct Account;

impl ValueKind<String> for Account {
    fn read(&self, text: &str) -> Result<String, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$@".contains(&byte);
        if text.len() > 64 || !text.bytes().all(plain) {
            return Err("expected a name or a number".into());
        }
        Ok(text.into())
    }

    fn show(&self, account: &String) -> String {
        account.clone()
    }
}

/// Printable ASCII characters, including spaces. The fields are the range of their number, and the
/// characters that are not allowed.
pub(super) struct Printable(pub(super) RangeInclusive<usize>, pub(super) &'static str);

impl ValueKind<String> for Printable {
    fn read(&self, text: &str) -> Result<String, String> {
        let printable = |letter: char| matches!(letter, ' '..='~') && !self.1.contains(letter);
        if self.0.contains(&text.len()) && text.chars().all(printable) {
            return Ok(text.into());
        }
        let least = self.0.start();
        let most = self.0.end();
        let but = if self.1.is_empty() { String::new() } else { format!(" without {}", self.1) };
        Err(format!("expected {least} to {most} printable ASCII characters{but}"))
    }

    fn show(&self, text: &String) -> String {
        text.clone()
    }
}

/// The host for which Ganglia shows a metric, as `address:name`. gmond reads the part before the
/// first colon as the address.
pub(super) struct Spoof;

impl ValueKind<String> for Spoof {
    fn read(&self, text: &str) -> Result<String, String> {
        let printable = |byte: u8| byte.is_ascii_graphic();
        let parts = text.split_once(':').filter(|(address, name)| {
            !address.is_empty() && !name.is_empty() && text.bytes().all(printable)
        });
        match parts {
            Some(_) if text.len() <= 128 => Ok(text.into()),
            _ => Err("expected address:name, of at most 128 printable characters".into()),
        }
    }

    fn show(&self, spoof: &String) -> String {
        spoof.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::tests::{both_ways, refused};
    use super::*;

    #[test]
    fn networks_are_shown_without_the_bits_after_their_mask() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(IpNetwork.show(&IpNetwork.read(text).unwrap()), shown);
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/", "*"] {
            assert!(IpNetwork.read(text).unwrap_err().contains("such as"), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, mode, shown) in
            [("0660", 0o660, "0660"), ("600", 0o600, "0600"), ("0", 0, "0000")]
        {
            assert_eq!(FileMode.read(text), Ok(mode));
            assert_eq!(FileMode.show(&mode), shown);
        }
        for text in ["", "0888", "1777", "00660", "rw", "-1", "+7"] {
            assert!(FileMode.read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_has_printable_characters() {
        let password = Printable(0..=8, "");
        for text in ["", " a b ", "#\";\\", "12345678"] {
            assert_eq!(password.read(text).as_deref(), Ok(text));
        }
        for text in ["123456789", "é", "a\tb", "a\n"] {
            assert!(password.read(text).unwrap_err().contains("0 to 8 printable"), "{text}");
        }
        assert!(Printable(0..=8, ":").read("a:b").unwrap_err().ends_with("without :"));
    }

    #[test]
    fn a_spoofed_host_is_an_address_and_a_name() {
        both_ways(&Spoof, &[("192.0.2.7:web-1", "192.0.2.7:web-1".into(), "192.0.2.7:web-1")]);
        refused(&Spoof, &["", "web-1", ":web-1", "192.0.2.7:", "a:b c"], "expected address:name");
    }
}
