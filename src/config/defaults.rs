//! The defaults: of all settings, and of those that depend on the style. [`Defaults`] shows which
//! settings a file need not have. Pure.

use super::keys::keys_of;
use super::model::Config;
use super::sections::{NAMESPACE, SECTIONS, indices};
use crate::encode::namespace::Style;

/// The configuration of an empty file: the defaults in the table of keys.
impl Default for Config {
    fn default() -> Self {
        let mut config = with_all_sections();
        config.remove_inactive_destinations();
        config.bounds.keeps_totals = config.shows_totals();
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

/// A default that depends on the style.
struct StyleDefault {
    style: Style,
    section: &'static str,
    key: &'static str,
    default: &'static str,
}

/// A key of `[namespace.NAME]` follows the style of that section. A key of another section follows
/// the style of `[namespace]`.
const BY_STYLE: [StyleDefault; 4] = [
    statsite(NAMESPACE, "global_prefix", ""),
    statsite(NAMESPACE, "prefix_counter", "counts"),
    statsite("statsd", "delete_idle", "yes"),
    statsite("statsd", "delete_gauges", "no"),
];

const fn statsite(section: &'static str, key: &'static str, default: &'static str) -> StyleDefault {
    StyleDefault { style: Style::Statsite, section, key, default }
}

/// Sets the keys that a file does not give to the defaults of their style, if the style has its
/// own. `is_given` gets the header of a section and a key. The whole file must have been read: only
/// its end shows which style a section has and which keys it gives.
pub(super) fn follow_style(config: &mut Config, is_given: impl Fn(&str, &str) -> bool) {
    for StyleDefault { style, section, key: name, default } in BY_STYLE {
        for (header, at) in indices(section, config) {
            if config.namespaces[at].style == style && !is_given(&header, name) {
                let key = keys_of(section).find(|key| key.name == name);
                let set = key.map(|key| key.set(config, at, default));
                assert_eq!(set, Some(Ok(())), "the table's defaults are values of its keys");
            }
        }
    }
}

/// The defaults of a file with a style.
#[derive(Debug)]
pub(crate) struct Defaults(Config);

impl Defaults {
    /// Returns the defaults of a file whose `[namespace]` has this style. Some keys have another
    /// default then.
    pub(crate) fn of_style(style: &str) -> Self {
        let mut config = with_all_sections();
        let default = config.namespaces[0].style;
        if let Some(key) = keys_of(NAMESPACE).find(|key| key.name == "style") {
            // A style that does not exist is a mistake of the file, and has no defaults.
            let _ = key.set(&mut config, 0, style);
        }
        follow_style(&mut config, |_, _| false);
        config.namespaces[0].style = default; // the style itself has one default
        Self(config)
    }

    /// Whether a key of a section has its default with this value. Returns `false` for sections
    /// with a name, which begin with other values.
    pub(crate) fn has(&self, section: &str, name: &str, value: &str) -> bool {
        let Some(key) = keys_of(section).find(|key| key.name == name) else { return false };
        let Some((_, at)) = indices(section, &self.0).into_iter().next() else { return false };
        let mut config = self.0.clone();
        key.set(&mut config, at, value).is_ok() && key.is_same((&config, at), (&self.0, at))
    }
}
