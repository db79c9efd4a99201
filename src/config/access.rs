//! Who may send, what others may do with a socket's file, and who we are to others. Pure.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};

use super::value::Kind;

/// A network, or one address.
pub(super) struct Network;

impl Kind<IpNet> for Network {
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

/// IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) is IPv4, as senders are on a socket for both.
fn as_ipv4(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let address = mapped.addr().to_ipv4_mapped();
    let length = mapped.prefix_len().checked_sub(96);
    let ipv4 = address.zip(length).and_then(|(at, length)| Ipv4Net::new(at, length).ok());
    ipv4.map_or(network, IpNet::V4)
}

/// The permissions of a file, in octal.
pub(super) struct FileMode;

impl Kind<u32> for FileMode {
    fn read(&self, text: &str) -> Result<u32, String> {
        let digits = text.len() <= 4 && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
        mode.ok_or_else(|| "expected permissions in octal, 0000 to 0777".into())
    }

    fn show(&self, mode: &u32) -> String {
        format!("{mode:04o}")
    }
}

/// The name or number of a user or a group; empty: none.
pub(super) struct Account;

impl Kind<String> for Account {
    fn read(&self, text: &str) -> Result<String, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$@".contains(&byte);
        match text.len() <= 64 && text.bytes().all(plain) {
            true => Ok(text.into()),
            false => Err("expected a name or a number".into()),
        }
    }

    fn show(&self, account: &String) -> String {
        account.clone()
    }
}

/// So many printable characters, spaces among them, none of which is one of the others.
pub(super) struct Printable(pub(super) RangeInclusive<usize>, pub(super) &'static str);

impl Kind<String> for Printable {
    fn read(&self, text: &str) -> Result<String, String> {
        let printable = |letter: char| matches!(letter, ' '..='~') && !self.1.contains(letter);
        if self.0.contains(&text.len()) && text.chars().all(printable) {
            return Ok(text.into());
        }
        let (least, most) = (self.0.start(), self.0.end());
        let but = if self.1.is_empty() { String::new() } else { format!(" without {}", self.1) };
        Err(format!("expected {least} to {most} printable ASCII characters{but}"))
    }

    fn show(&self, text: &String) -> String {
        text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_shown_without_what_their_mask_hides() {
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
            assert_eq!(Network.show(&Network.read(text).unwrap()), shown);
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/", "*"] {
            assert!(Network.read(text).unwrap_err().contains("such as"), "{text}");
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
    fn what_is_printable_may_be_a_password() {
        let password = Printable(0..=8, "");
        for text in ["", " a b ", "#\";\\", "12345678"] {
            assert_eq!(password.read(text).as_deref(), Ok(text));
        }
        for text in ["123456789", "é", "a\tb", "a\n"] {
            assert!(password.read(text).unwrap_err().contains("0 to 8 printable"), "{text}");
        }
        assert!(Printable(0..=8, ":").read("a:b").unwrap_err().ends_with("without :"));
    }
}
