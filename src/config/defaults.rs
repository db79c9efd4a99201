//! [`Defaults`]: tells which settings a file need not have. Pure.

use super::keys::keys_of;
use super::model::Config;
use super::parse::with_all_sections;
use super::sections::{BY_STYLE, indices};
use crate::encode::namespace::Style;

/// The defaults of a file with a style.
#[derive(Debug)]
pub(crate) struct Defaults(Config);

impl Defaults {
    /// Returns the defaults of a file whose `[namespace]` has this style. Some keys have another
    /// default then.
    pub(crate) fn of_style(style: &str) -> Self {
        let mut config = with_all_sections();
        let is_statsite = style.eq_ignore_ascii_case("statsite");
        let of_style =
            BY_STYLE.iter().filter(|(style, ..)| is_statsite && *style == Style::Statsite);
        for (_, section, name, default) in of_style {
            if let Some(key) = keys_of(section).find(|key| key.name == *name) {
                let set = key.set(&mut config, 0, default);
                debug_assert_eq!(set, Ok(()), "a default is a value of its key");
            }
        }
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
