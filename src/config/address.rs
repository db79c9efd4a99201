//! Addresses as the file writes them: [`Listen`] for where to listen, [`Address`] for where to
//! send. Pure: no name is looked up here.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::destination::Remote;
use super::model::Bind;
use super::value::ValueKind;

/// Where to listen: `*:port`, `localhost:port`, `1.2.3.4:port` or `[::1]:port`. With port 0 the
/// kernel chooses a free port. Host names are refused, so that binding never waits for a look-up.
pub(super) struct Listen;

impl ValueKind<Bind> for Listen {
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
            format!("expected host, host:{port} or [IPv6 address]:{port}, or nothing for off")
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

/// Parses a port. Digits only: `parse` alone would also accept a leading `+`.
fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
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

#[cfg(test)]
mod tests {
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
            assert_eq!(Listen.read(text), Ok(bind), "{text}");
            assert_eq!(Listen.show(&bind), text);
        }
        for text in
            ["", "*", "8125", ":8125", "*:", "*:65536", "*:+1", "host:1", "::1:8125", "[*]:1"]
        {
            assert!(Listen.read(text).unwrap_err().contains("such as *:8125"), "{text}");
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
    }
}
