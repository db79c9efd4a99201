//! [`ConfigWarning`]: one warning about a configuration, and how it is shown. Pure.

use std::fmt;

/// A setting that is legal and almost surely wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Where it is: `statsd.conf:3`, or the file alone if the file does not set the key.
    pub place: String,
    /// The line of the key. `None` if the file does not set it.
    pub line: Option<usize>,
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
