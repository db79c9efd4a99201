//! [`Given`]: the keys that are set, with the place of each. A configuration does not show
//! whether a value was given or is the default. Pure.

use super::ini::{IniSection, KeyValue};
use super::setting_place::SettingPlace;

/// The sections and keys of a file, of the environment and of the options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    sections: Vec<IniSection>,
}

impl Given {
    pub(super) fn new(sections: Vec<IniSection>) -> Self {
        Self { sections }
    }

    pub(super) fn sections(&self) -> &[IniSection] {
        &self.sections
    }

    pub(super) fn section(&self, header: &str) -> Option<&IniSection> {
        self.sections.iter().find(|section| section.name == header)
    }

    /// Returns a key of the section with this header. Returns `None` if it is not set.
    pub(super) fn entry(&self, header: &str, key: &str) -> Option<&KeyValue> {
        self.section(header)?.entry(key)
    }

    /// Whether a key is set, and not to an empty text.
    pub(super) fn has_value(&self, header: &str, key: &str) -> bool {
        self.entry(header, key).is_some_and(|entry| !entry.value.is_empty())
    }

    /// Returns the place of a key. Returns that of its section if the key is not set, and `None` if
    /// there is no such section.
    pub fn place(&self, header: &str, key: &str) -> Option<SettingPlace> {
        let section = self.section(header)?;
        Some(section.entry(key).map_or(section.place, |entry| entry.place))
    }
}
