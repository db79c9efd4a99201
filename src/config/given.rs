//! [`Given`]: the keys that a file sets, with the line of each. A configuration does not show
//! whether a value was given or is the default. Pure.

use super::ini::{IniSection, KeyValue};

/// The sections and keys of a file, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    sections: Vec<IniSection>,
}

impl Given {
    pub(super) const NONE: Self = Self { sections: Vec::new() };

    pub(super) fn new(sections: Vec<IniSection>) -> Self {
        Self { sections }
    }

    pub(super) fn sections(&self) -> &[IniSection] {
        &self.sections
    }

    pub(super) fn section(&self, header: &str) -> Option<&IniSection> {
        self.sections.iter().find(|section| section.name == header)
    }

    /// Returns a key of the section with this header. Returns `None` if the file does not set it.
    pub(super) fn entry(&self, header: &str, key: &str) -> Option<&KeyValue> {
        self.section(header)?.entry(key)
    }

    /// Returns the line of a key. Returns that of its section if the file does not set the key, and
    /// `None` if the file does not have the section.
    pub fn line(&self, header: &str, key: &str) -> Option<usize> {
        let section = self.section(header)?;
        Some(section.entry(key).map_or(section.line, |entry| entry.line))
    }
}
