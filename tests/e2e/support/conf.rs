//! A statsd.conf for a test: every listener on a loopback port the kernel picks, no carbon.

use std::fmt::Display;
use std::net::SocketAddr;

#[derive(Clone, Debug)]
pub(crate) struct Conf(Vec<(String, Vec<(String, String)>)>);

impl Conf {
    /// Returns a configuration that flushes every `flush_interval`, without a destination.
    pub(crate) fn flushing_every(flush_interval: &str) -> Self {
        Self(Vec::new())
            .set("statsd", "flush_interval", flush_interval)
            .set("udp", "bind", "127.0.0.1:0")
            .set("tcp", "bind", "127.0.0.1:0")
            .set("admin", "bind", "127.0.0.1:0")
            .set("carbon", "address", "")
    }

    /// Returns a configuration that flushes to `carbon`, and retries a connection quickly.
    pub(crate) fn sending_to(carbon: SocketAddr, flush_interval: &str) -> Self {
        Self::flushing_every(flush_interval).set("carbon", "address", carbon).set(
            "carbon",
            "reconnect_max",
            "500ms",
        )
    }

    /// Returns a configuration whose only interval lasts longer than the test.
    pub(crate) fn never_flushing() -> Self {
        Self::flushing_every("1h").set("statsd", "align_flush", "no")
    }

    /// Returns a configuration that flushes to `carbon` when the server is stopped, and not before:
    /// its only interval lasts longer than the test.
    pub(crate) fn flushing_at_stop_to(carbon: SocketAddr) -> Self {
        Self::sending_to(carbon, "1h").set("statsd", "align_flush", "no")
    }

    /// Parses a configuration in which no value has quotes.
    pub(crate) fn read(text: &str) -> Self {
        let (mut conf, mut section) = (Self(Vec::new()), "");
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
            } else if let Some((key, value)) = line.split_once('=') {
                conf = conf.set(section, key.trim(), value.trim());
            }
        }
        conf
    }

    /// Sets a key, or replaces its value.
    pub(crate) fn set(mut self, section: &str, key: &str, value: impl Display) -> Self {
        let keys = self.section(section);
        keys.retain(|(known, _)| known != key);
        keys.push((key.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.0 {
            text += &format!("[{section}]\n");
            for (key, value) in keys {
                text += &format!("{key} = {value}\n");
            }
        }
        text
    }

    fn section(&mut self, name: &str) -> &mut Vec<(String, String)> {
        let index = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
}
