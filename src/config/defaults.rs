//! The configuration of an empty file: the defaults of the table of keys. Pure.

use super::keys::keys_of;
use super::model::Config;
use super::sections::{SECTIONS, indices};

impl Default for Config {
    fn default() -> Self {
        let mut config = with_all_sections();
        config.remove_inactive_destinations();
        config
    }
}

/// Returns the defaults with a section of every kind, also those of destinations that are off.
pub(super) fn with_all_sections() -> Config {
    let mut config = Config::blank();
    for section in SECTIONS {
        for (_, at) in indices(section, &config) {
            for key in keys_of(section) {
                let set = key.set(&mut config, at, key.default_in(section));
                assert_eq!(set, Ok(()), "[{section}] {}: its default is no value of it", key.name);
            }
        }
    }
    config
}
