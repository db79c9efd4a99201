//! [`Lint`]: what all rules read, and where they put their warnings. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::config::ini::{GivenSettings, SettingPlace};
use crate::config::load::Origin;
use crate::config::model::Config;
use crate::few::sort_few;
use crate::memory_limit::MemoryLimit;

/// What the rules compare a configuration with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The least of all limits of memory.
    pub memory: Option<MemoryLimit>,
    /// The name of this host.
    pub host_name: String,
    /// The numeric addresses of destinations that are addresses of this host.
    pub own_addresses: Vec<IpAddr>,
    /// The internet sockets that were passed in.
    pub passed: Vec<PassedAddress>,
    /// Whether unix sockets were passed in.
    pub has_passed_unix: bool,
    /// Whether one of them is a stream for metrics.
    pub has_passed_unix_stream: bool,
}

/// The address of a socket that was passed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedAddress {
    /// The section whose `bind` it replaces.
    pub section: &'static str,
    pub address: SocketAddr,
}

/// A setting that is legal and almost surely wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Where it is: `statsd.conf:3`, or the file alone if the file does not set the key.
    pub place: String,
    /// The place of the key. `None` if it is not set.
    pub at: Option<SettingPlace>,
    /// The header of the section, such as `carbon.b`.
    pub section: String,
    /// Empty if the warning is about the whole section.
    pub key: &'static str,
    /// Why the value is probably wrong.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

impl ConfigWarning {
    /// Returns the setting as the log names it: `statsd.flush_interval`.
    pub fn setting(&self) -> String {
        let Self { section, key, .. } = self;
        if key.is_empty() { section.clone() } else { format!("{section}.{key}") }
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, section, key, reason, remedy, .. } = self;
        let key = if key.is_empty() { String::new() } else { format!(" {key}") };
        write!(out, "{place}: [{section}]{key}: {reason}; {remedy}")
    }
}

/// The most warnings about one configuration. A start and a reload log them all at once.
const WARNINGS_MAX: usize = 50;

/// The configuration under check, and the warnings so far.
pub(super) struct Lint<'a> {
    pub(super) config: &'a Config,
    pub(super) given: &'a GivenSettings,
    pub(super) surroundings: &'a Surroundings,
    origin: &'a Origin,
    found: Vec<ConfigWarning>,
}

impl<'a> Lint<'a> {
    pub(super) fn new(
        config: &'a Config,
        origin: &'a Origin,
        surroundings: &'a Surroundings,
    ) -> Self {
        Self { config, origin, given: origin.given(), surroundings, found: Vec::new() }
    }

    /// Returns the warnings in the order of their lines, at most [`WARNINGS_MAX`].
    pub(super) fn into_warnings(mut self) -> Vec<ConfigWarning> {
        sort_few(&mut self.found, |a, b| a.at.cmp(&b.at));
        let more = self.found.len().saturating_sub(WARNINGS_MAX);
        self.found.truncate(WARNINGS_MAX);
        if let Some(last) = self.found.last_mut().filter(|_| more > 0) {
            let other = if more == 1 { "there is another one" } else { "there are others" };
            last.remedy +=
                &format!("; {other} after these {WARNINGS_MAX} warnings, fix these first");
        }
        self.found
    }

    /// Adds a warning. `section` is the header of the section.
    pub(super) fn warn(
        &mut self,
        section: &str,
        key: &'static str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.found.push(ConfigWarning {
            place: self.origin.place(section, key),
            at: self.given.place(section, key),
            section: section.to_owned(),
            key,
            reason: reason.into(),
            remedy: remedy.into(),
        });
    }

    /// Whether the file sets this key.
    pub(super) fn gives(&self, section: &str, key: &str) -> bool {
        self.given.entry(section, key).is_some()
    }
}
