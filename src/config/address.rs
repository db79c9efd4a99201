//! Values about peers and access: [`ListenAddress`] for where to listen, [`Address`] for where to
//! send, and the networks that may send, permissions of files, accounts, passwords and spoofed
//! hosts. Pure: no name is looked up here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};

use super::destination::Remote;
use super::model::Bind;
use super::value::{ValueKind, digits};

/// Where to listen: `*:port`, `localhost:port`, `1.2.3.4:port` or `[::1]:port`. With port 0 the
/// kernel chooses a free port. Host names are refused, so that binding never waits for a look-up.
pub(super) struct ListenAddress;

impl ValueKind<Bind> for ListenAddress {
    fn read(&self, text: &str) -> Result<Bind, String> {
        let numeric = || text.parse().ok().map(Bind::At);
        let bind = match text.rsplit_once(':') {
            Some(("*", written)) => port(written).map(Bind::Any),
            Some(("localhost", written)) => port(written).map(Bind::Localhost),
            _ => numeric(),
        };
        bind.ok_or_else(|| {
            "expected addresses such as *:8125, localhost:8125, 10.0.0.1:8125 or [::1]:8125; \
             no other names"
                .into()
        })
    }

    fn show(&self, bind: &Bind) -> String {
        match bind {
            Bind::Any(port) => format!("*:{port}"),
            Bind::Localhost(port) => format!("localhost:{port}"),
            Bind::At(address) => address.to_string(),
        }
    }
}

/// Where to send: `host`, `host:port`, `[v6]` or `[v6]:port`. The field is the port of an address
/// that gives none. An empty text is [`Remote::OFF`].
pub(super) struct Address(pub(super) u16);

impl ValueKind<Remote> for Address {
    fn read(&self, text: &str) -> Result<Remote, String> {
        if text.is_empty() {
            return Ok(Remote::OFF);
        }
        self.remote(text).ok_or_else(|| {
            let port = self.0;
            let v6 = text.parse::<Ipv6Addr>().ok();
            let v6 = v6.map_or_else(|| "IPv6 address".into(), |v6| v6.to_string());
            let bare = match text.split_once("://") {
                Some((scheme, _)) if is_host(scheme) => format!(" without {scheme}://"),
                _ => String::new(),
            };
            format!("expected host, host:{port} or [{v6}]:{port}{bare}, or nothing for off")
        })
    }

    fn show(&self, remote: &Remote) -> String {
        if *remote == Remote::OFF { String::new() } else { remote.to_string() }
    }
}

impl Address {
    /// Returns the destination that a text stands for. Returns `None` if it is not an address.
    fn remote(&self, text: &str) -> Option<Remote> {
        let (host, written) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((v6, written)) => (v6.parse::<Ipv6Addr>().ok()?.to_string(), written),
            None => {
                let (host, written) = text.split_at(text.find(':').unwrap_or(text.len()));
                (host.into(), Some(written).filter(|_| is_host(host))?)
            }
        };
        let port = match written {
            "" => self.0,
            written => port(written.strip_prefix(':')?).filter(|&port| port > 0)?,
        };
        Some(Remote { host, port })
    }
}

fn port(text: &str) -> Option<u16> {
    digits(text).and_then(|port| u16::try_from(port).ok())
}

/// Whether a text is an IPv4 address or may be a host name. `10.1` and `2003` are neither:
/// resolvers read them as addresses, which is hardly meant. A name must not begin with `-`, because
/// the child that looks it up would read it as an option.
fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let named = last.bytes().any(|byte| !byte.is_ascii_digit());
    text.parse::<Ipv4Addr>().is_ok()
        || (named && text.len() <= 253 && text.bytes().all(plain) && !text.starts_with(['-', '.']))
}

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

/// A name by which HTTP clients call this server, or `*` for any name. It has no port.
pub(super) struct HostPattern;

impl ValueKind<String> for HostPattern {
    fn read(&self, text: &str) -> Result<String, String> {
        let name = text.trim_end_matches('.');
        if text == "*" || is_host(name) {
            return Ok(name.to_ascii_lowercase());
        }
        Err("expected host names such as stats.example.org, without a port, or * for any".into())
    }

    fn show(&self, name: &String) -> String {
        name.clone()
    }
}

/// The permissions of a file, in octal.
pub(super) struct FileMode;

impl ValueKind<u32> for FileMode {
    fn read(&self, text: &str) -> Result<u32, String> {
        let text = text.strip_prefix("0o").unwrap_or(text);
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
        if text.contains(':') {
            return Err("expected a name or a number; [statsd] user and group are two keys".into());
        }
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
    fn listening_addresses() {
        for (text, bind) in [
            ("*:8125", Bind::Any(8125)),
            ("localhost:0", Bind::Localhost(0)),
            ("10.0.0.1:8125", Bind::At("10.0.0.1:8125".parse().unwrap())),
            ("[::1]:8125", Bind::At("[::1]:8125".parse().unwrap())),
            ("[fe80::1%2]:8125", Bind::At("[fe80::1%2]:8125".parse().unwrap())),
        ] {
            assert_eq!(ListenAddress.read(text), Ok(bind), "{text}");
            assert_eq!(ListenAddress.show(&bind), text);
        }
        for text in
            ["", "*", "8125", ":8125", "*:", "*:65536", "*:+1", "host:1", "::1:8125", "[*]:1"]
        {
            assert!(ListenAddress.read(text).unwrap_err().contains("such as *:8125"), "{text}");
        }
    }

    #[test]
    fn names_that_http_requests_may_be_for() {
        for (text, name) in [("*", "*"), ("Stats.example.org.", "stats.example.org"), ("a", "a")] {
            assert_eq!(HostPattern.read(text).as_deref(), Ok(name));
            assert_eq!(HostPattern.read(name).as_deref(), Ok(name));
            assert_eq!(HostPattern.show(&name.to_owned()), name);
        }
        for text in ["", ".", "a:8126", "*.a", "http://a", "a b", "-a", "1.2"] {
            assert!(HostPattern.read(text).unwrap_err().contains("without a port"), "{text}");
        }
    }

    #[test]
    fn destinations() {
        let carbon = Address(2003);
        for (text, host, port, shown) in [
            ("127.0.0.1:2003", "127.0.0.1", 2003, "127.0.0.1:2003"),
            ("graphite", "graphite", 2003, "graphite:2003"),
            ("a-b_c.example.org.:99", "a-b_c.example.org.", 99, "a-b_c.example.org.:99"),
            ("[::1]:2004", "::1", 2004, "[::1]:2004"),
            ("[0:0::1]", "::1", 2003, "[::1]:2003"),
            ("", "", 0, ""),
        ] {
            let remote = Remote { host: host.into(), port };
            assert_eq!(carbon.read(text).as_ref(), Ok(&remote), "{text}");
            assert_eq!(carbon.show(&remote), shown);
            assert_eq!(carbon.read(shown), Ok(remote));
        }
    }

    #[test]
    fn bad_destinations_are_refused() {
        let long = "a".repeat(254);
        for text in [
            ":2003",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "a:1:2",
            "::1",
            "[::1]2003",
            "[::1",
            "[a]:1",
            "a b",
            "-c",
            ".a",
            ".",
            "2003",
            "10.1",
            "1.2.3.256",
            "a/b",
            "é",
            "a\0",
            "a,b",
            &long,
        ] {
            let message = Address(2003).read(text).expect_err(text);
            assert!(message.contains("host:2003"), "{text}: {message}");
        }
        let expected = "expected host, host:2003 or [fd00::1]:2003, or nothing for off";
        assert_eq!(Address(2003).read("fd00::1"), Err(expected.into()));
        let message = Address(8086).read("http://influx:8086/").unwrap_err();
        assert!(message.contains("or [IPv6 address]:8086 without http://,"), "{message}");
    }

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
        for (text, mode, shown) in [
            ("0660", 0o660, "0660"),
            ("600", 0o600, "0600"),
            ("0", 0, "0000"),
            ("0o640", 0o640, "0640"),
        ] {
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
