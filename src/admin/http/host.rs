//! [`Authority`]: the host that a request is for, and whether this server is called that.
//!
//! A web page can point a name of its own at 127.0.0.1, and then read the answers of a server there
//! as if they were its own (DNS rebinding). Its requests still carry the name of the page. So a
//! request is answered only if its host is an address, `localhost`, the name of this machine, or a
//! name that the operator lists.

use std::net::{Ipv4Addr, Ipv6Addr};

use nix::unistd::gethostname;

/// A host, without its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    host: &'a str,
}

impl<'a> Authority<'a> {
    /// Reads `host` or `host:port`. Returns `None` if the text is neither. An empty text is read as
    /// a host that no machine has.
    pub fn read(text: &'a str) -> Option<Self> {
        let end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(end);
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/@?#\\\"<>".contains(&byte);
        (is_port && host.bytes().all(is_host)).then_some(Self { host })
    }

    /// Whether requests for this host are answered. `machine` is the name of this machine, and
    /// `listed` are further names in small letters, of which `*` stands for any.
    pub fn is_ours(self, machine: &str, listed: &[String]) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(self.host);
        let is_machine = !machine.is_empty() && name.eq_ignore_ascii_case(machine);
        let is_listed = |known: &String| known == "*" || name.eq_ignore_ascii_case(known);
        self.is_address()
            || name.eq_ignore_ascii_case("localhost")
            || is_machine
            || listed.iter().any(is_listed)
    }

    fn is_address(self) -> bool {
        let v6 = self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match v6 {
            Some(v6) => v6.split('%').next().is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok()),
            None => self.host.parse::<Ipv4Addr>().is_ok(),
        }
    }

    /// The host as it was sent.
    pub fn as_str(self) -> &'a str {
        self.host
    }
}

/// Returns the name of this machine. It is empty if the kernel does not report it.
pub(super) fn machine() -> String {
    gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_known_names_are_ours() {
        let listed = ["stats.example.org".to_owned()];
        for (text, is_ours) in [
            ("127.0.0.1", true),
            ("10.1.2.3:8126", true),
            ("[::1]", true),
            ("[::1]:8126", true),
            ("[fe80::1%eth0]:8126", true),
            ("localhost", true),
            ("LocalHost:8126", true),
            ("localhost.", true),
            ("box7:8126", true),
            ("BOX7", true),
            ("stats.example.org:80", true),
            ("Stats.Example.ORG.", true),
            ("", false),
            (":8126", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("box7.evil.example", false),
            ("box", false),
            ("2130706433", false), // a browser writes it as 127.0.0.1
            ("[::1", false),
            ("*", false),
        ] {
            let found = Authority::read(text).is_some_and(|host| host.is_ours("box7", &listed));
            assert_eq!(found, is_ours, "{text}");
        }
        let any = ["*".to_owned()];
        assert!(Authority::read("evil.example").unwrap().is_ours("box7", &any));
        assert!(!Authority::read("").unwrap().is_ours("", &[]), "a machine without a name");
    }

    #[test]
    fn other_texts_are_no_hosts() {
        for text in ["a b", "a/b", "u@a", "a:b", "a:1:2", "::1", "[::1]x", "a\u{e9}", "a:+1"] {
            assert_eq!(Authority::read(text), None, "{text}");
        }
    }
}
