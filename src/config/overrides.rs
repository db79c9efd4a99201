//! [`Overrides`]: settings from outside of the file, which replace those of the file. Pure.
//!
//! A container is configured by its environment, and a quick test by an option, without a file:
//! ```text
//! STATSD_CARBON_ADDRESS=graphite:2003     [carbon] address
//! STATSD_KEY_FLUSH_INTERVAL=1m            [key_flush] interval
//! -o carbon.address=graphite:2003         the same by an option
//! -o carbon.second.address=other:2003     [carbon.second] address: the last dot separates the key
//! ```
//! An option replaces a variable, and a variable replaces the file. A value is everything after the
//! `=`: no quotes and no comment are removed from it.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use super::ini::{IniSection, KeyValue, SettingPlace};
use super::keys::keys_of;
use super::sections::SECTIONS;
use crate::few::sort_few;

/// Settings from the environment and the command line, in the order in which they take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    list: Vec<Override>,
    /// The folder that systemd has made for the state of the service (`StateDirectory=`). An empty
    /// `state_file` is a file in it.
    state_folder: Option<String>,
}

/// One key from outside of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Override {
    section: String,
    key: String,
    value: String,
    /// How the operator finds it: the name of the variable, or `-o` and the key.
    source: String,
}

/// Why a variable or an option cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideError {
    /// No file could have the value of this variable or option.
    Value { source: String },
    /// The option has no section, no key or no `=`.
    Form { option: String },
}

impl Error for OverrideError {}

impl fmt::Display for OverrideError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { source } => {
                write!(out, "{source}: expected a value in UTF-8 without control characters")
            }
            Self::Form { option } => {
                write!(out, "-o {}: expected -o SECTION.KEY=VALUE", option.escape_debug())
            }
        }
    }
}

/// Every variable of ours begins with this word.
const PREFIX: &str = "STATSD_";

/// The variable with the folders of `StateDirectory=`, separated by colons.
const STATE_FOLDERS: &str = "STATE_DIRECTORY";

impl Overrides {
    pub(super) const NONE: Self = Self { list: Vec::new(), state_folder: None };

    /// Reads variables of the environment and the values of `-o` options. Other variables are
    /// ignored. Returns what is wrong with the first one that cannot be used. Whether a key exists
    /// and what its value means is checked later, together with the file.
    pub fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        options: &[String],
    ) -> Result<Self, OverrideError> {
        let mut overrides = Self::NONE;
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            if name == STATE_FOLDERS {
                let first = value.to_str().and_then(|folders| folders.split(':').next());
                overrides.state_folder =
                    first.filter(|folder| folder.starts_with('/')).map(Into::into);
            } else if let Some((section, key)) = section_and_key(name, &value.to_string_lossy()) {
                let value = value.into_string().ok().and_then(one_line);
                let source = name.to_owned();
                let value = value.ok_or_else(|| OverrideError::Value { source: source.clone() })?;
                overrides.list.push(Override { section: section.into(), key, value, source });
            }
        }
        // The order of variables in the environment means nothing.
        sort_few(&mut overrides.list, |a, b| a.source.cmp(&b.source));
        for option in options {
            overrides.list.push(option_value(option)?);
        }
        Ok(overrides)
    }

    /// Writes these settings over those of a file.
    pub(super) fn apply(&self, sections: &mut Vec<IniSection>) {
        for (index, Override { section, key, value, .. }) in self.list.iter().enumerate() {
            set(sections, section, key, value, SettingPlace::Override(index));
        }
        if let Some(folder) = &self.state_folder {
            let state = |section: &&IniSection| section.name == "statsd";
            let given = sections.iter().find(state).and_then(|state| state.entry("state_file"));
            if given.is_none_or(|entry| entry.value.is_empty()) {
                let file = format!("{folder}/state");
                let place = SettingPlace::Override(self.list.len());
                set(sections, "statsd", "state_file", &file, place);
            }
        }
    }

    /// Whether no variable and no option of ours is set. The folder of the state does not count,
    /// because systemd sets it for every service that has one.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns a place as an operator finds it: `statsd.conf:3`, `STATSD_CARBON_ADDRESS`, or
    /// `-o carbon.address`.
    pub(super) fn show(&self, file: &Path, place: SettingPlace) -> String {
        match place {
            SettingPlace::Line(line) => format!("{}:{line}", file.display()),
            SettingPlace::Override(index) => {
                self.list.get(index).map_or(STATE_FOLDERS, |given| &given.source).into()
            }
        }
    }
}

/// Sets a key in a section. Adds the section if the file does not have it.
fn set(sections: &mut Vec<IniSection>, name: &str, key: &str, value: &str, place: SettingPlace) {
    let found = sections.iter().position(|section| section.name == name);
    let index = found.unwrap_or_else(|| {
        sections.push(IniSection { name: name.into(), place, entries: Vec::new() });
        sections.len() - 1
    });
    let entries = &mut sections[index].entries;
    let entry = KeyValue { key: key.into(), value: value.into(), place };
    match entries.iter_mut().find(|known| known.key == key) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}

/// Splits the name of a variable into one of our sections and a key. Returns `None` for a variable
/// that is not ours, such as `STATSD_HOST`, which clients read.
///
/// Kubernetes sets variables in each pod for each service: for one with the name `statsd-tcp` they
/// are `STATSD_TCP_SERVICE_HOST`, `STATSD_TCP_PORT` and `STATSD_TCP_PORT_8125_TCP_ADDR`. They look
/// like ours. No key of ours begins so, and a start must not fail because of them. The value of the
/// second is a URL. With another value it is a mistake of the operator.
fn section_and_key(variable: &str, value: &str) -> Option<(&'static str, String)> {
    let rest = variable.strip_prefix(PREFIX)?;
    let (section, key) = SECTIONS.into_iter().find_map(|section| {
        let (start, key) = rest.split_at_checked(section.len())?;
        let is_section =
            start.chars().eq(section.chars().map(|letter| letter.to_ascii_uppercase()));
        Some((section, key.strip_prefix('_').filter(|_| is_section)?))
    })?;
    let is_of_kubernetes = (key == "PORT" && value.contains("://"))
        || key.starts_with("PORT_")
        || key.starts_with("SERVICE_");
    (!is_of_kubernetes).then(|| (section, key.to_ascii_lowercase()))
}

/// Returns the key of `[statsd]` that a variable names without a section, as in
/// `STATSD_FLUSH_INTERVAL`. The server ignores such a variable, which may be one of clients.
pub fn key_without_section(variable: &str) -> Option<&'static str> {
    let name = variable.strip_prefix(PREFIX)?;
    let is_it = |key: &&str| key.to_ascii_uppercase() == name;
    keys_of("statsd").map(|key| key.name).find(is_it)
}

/// Reads the value of an `-o` option.
fn option_value(option: &str) -> Result<Override, OverrideError> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let (section, key) = name
        .rsplit_once('.')
        .filter(|(section, key)| option.contains('=') && !section.is_empty() && !key.is_empty())
        .ok_or_else(|| OverrideError::Form { option: option.into() })?;
    let source = format!("-o {}", name.escape_debug());
    let Some(value) = one_line(value.into()) else { return Err(OverrideError::Value { source }) };
    Ok(Override { section: section.into(), key: key.into(), value, source })
}

/// Returns a value without white space at its ends. Returns `None` if a file could not have it.
fn one_line(value: String) -> Option<String> {
    (!value.contains(|letter: char| letter.is_control())).then(|| value.trim().into())
}

#[cfg(test)]
mod tests {
    use super::super::model::Bind;
    use super::super::parse::parse_with_places;
    use super::*;

    fn overrides(variables: &[(&str, &str)], options: &[&str]) -> Result<Overrides, OverrideError> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let options: Vec<_> = options.iter().map(|&option| option.into()).collect();
        Overrides::new(variables, &options)
    }

    /// Returns each key that is given, as `source section.key=value`.
    fn given(variables: &[(&str, &str)], options: &[&str]) -> Vec<String> {
        let Overrides { list, .. } = overrides(variables, options).unwrap();
        let show = |given: Override| {
            let Override { section, key, value, source } = given;
            format!("{source} {section}.{key}={value}")
        };
        list.into_iter().map(show).collect()
    }

    #[test]
    fn a_variable_with_one_of_our_sections_is_a_setting() {
        for (variable, value, expected) in [
            ("STATSD_CARBON_ADDRESS", "a:1", "carbon.address=a:1"),
            ("STATSD_STATSD_FLUSH_INTERVAL", "60", "statsd.flush_interval=60"),
            ("STATSD_KEY_FLUSH_INTERVAL", "1m", "key_flush.interval=1m"),
            ("STATSD_CARBON_ADDRESS", "", "carbon.address="),
            ("STATSD_EXEC_COMMAND", " cat # \"x\" ", "exec.command=cat # \"x\""),
            ("STATSD_CARBON_ADRESS", "a", "carbon.adress=a"),
            ("STATSD_CARBON_B_ADDRESS", "a", "carbon.b_address=a"),
            ("STATSD_CARBON_PORT", "2004", "carbon.port=2004"),
        ] {
            assert_eq!(given(&[(variable, value)], &[]), [format!("{variable} {expected}")]);
        }
    }

    #[test]
    fn variables_of_others_are_ignored() {
        for variable in [
            "STATSD_HOST",
            "STATSD_PORT",
            "STATSD_PORT_8125_UDP",
            "STATSD_SERVICE_HOST",
            "STATSD_TCP_PORT",
            "STATSD_TCP_PORT_8125_TCP_ADDR",
            "STATSD_ADMIN_SERVICE_PORT_HTTP",
            "STATSD_UDP",
            "STATSD_UDPS_BIND",
            "STATSD_",
            "STATSD_é",
            "statsd_carbon_address",
            "CARBON_ADDRESS",
        ] {
            assert_eq!(given(&[(variable, "tcp://10.0.0.1:8125")], &[]), [""; 0], "{variable}");
        }
    }

    #[test]
    fn a_key_of_the_first_section_is_found_without_it() {
        for (variable, expected) in [
            ("STATSD_FLUSH_INTERVAL", Some("flush_interval")),
            ("STATSD_STATSD_FLUSH_INTERVAL", None),
            ("STATSD_CARBON_ADDRESS", None),
            ("STATSD_HOST", None),
            ("FLUSH_INTERVAL", None),
        ] {
            assert_eq!(key_without_section(variable), expected, "{variable}");
        }
    }

    #[test]
    fn the_last_dot_of_an_option_separates_the_key() {
        for (option, expected) in [
            ("carbon.address=a=b", "-o carbon.address carbon.address=a=b"),
            ("carbon.b.address=a:1", "-o carbon.b.address carbon.b.address=a:1"),
            ("rule.x.match=a.**", "-o rule.x.match rule.x.match=a.**"),
        ] {
            assert_eq!(given(&[], &[option]), [expected]);
        }
        for option in ["carbon.address", "address=a", ".address=a", "carbon.=a", "=", ""] {
            let error = overrides(&[], &[option]).unwrap_err().to_string();
            assert!(error.ends_with("expected -o SECTION.KEY=VALUE"), "{error}");
        }
        for value in ["a\nb", "\0"] {
            let error = overrides(&[("STATSD_CARBON_ADDRESS", value)], &[]).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("STATSD_CARBON_ADDRESS: expected a value"), "{error}");
            overrides(&[], &[&format!("carbon.address={value}")]).unwrap_err();
        }
    }

    #[test]
    fn options_replace_variables_and_variables_the_file() {
        let text = b"[udp]\nbind = *:1\nrecv_buffer = 1m\n[tcp]\nbind = *:1\n";
        let overrides = overrides(
            &[("STATSD_UDP_BIND", "*:2"), ("STATSD_TCP_BIND", "*:2")],
            &["udp.bind=*:3", "carbon.b.address=b:1", "udp.bind=*:4"],
        );
        let overrides = overrides.unwrap();
        let (config, given) =
            parse_with_places(Path::new("t.conf"), text, &overrides).expect("it is valid");
        assert_eq!(
            (&config.udp.bind[..], &config.tcp.bind[..]),
            (&[Bind::Any(4)][..], &[Bind::Any(2)][..])
        );
        assert!(config.active_destinations().any(|to| to.name == "carbon.b"));
        for (section, key, place) in [
            ("udp", "recv_buffer", "t.conf:3"),
            ("udp", "bind", "-o udp.bind"),
            ("tcp", "bind", "STATSD_TCP_BIND"),
            ("carbon.b", "address", "-o carbon.b.address"),
        ] {
            let found = given.place(section, key).unwrap();
            assert_eq!(overrides.show(Path::new("t.conf"), found), place);
        }
    }

    #[test]
    fn a_mistake_names_the_variable_or_the_option() {
        for (variable, option, expected) in [
            (
                "STATSD_CARBON_ADRESS",
                "",
                "STATSD_CARBON_ADRESS: [carbon] adress: no such key; did you mean address?",
            ),
            ("", "carbn.b.address=x", "-o carbn.b.address: [carbn.b]: no such section"),
            ("", "udp.recv_buffer=many", "-o udp.recv_buffer: [udp] recv_buffer: expected"),
        ] {
            let variables: Vec<_> =
                [(variable, "x")].into_iter().filter(|(name, _)| !name.is_empty()).collect();
            let options: Vec<_> = [option].into_iter().filter(|text| !text.is_empty()).collect();
            let overrides = overrides(&variables, &options).unwrap();
            let mistakes = parse_with_places(Path::new("t.conf"), b"", &overrides).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert!(mistakes[0].to_string().starts_with(expected), "{mistakes:?}");
        }
    }

    #[test]
    fn an_empty_state_file_is_in_the_folder_of_the_service() {
        let file = |text: &str, folder: &str| {
            let overrides = overrides(&[("STATE_DIRECTORY", folder)], &[]).unwrap();
            let parsed = parse_with_places(Path::new("t.conf"), text.as_bytes(), &overrides);
            parsed.unwrap().0.state.file.map(|path| path.display().to_string())
        };
        let in_folder = || Some("/var/lib/statsd/state".into());
        assert_eq!(file("", "/var/lib/statsd"), in_folder());
        assert_eq!(file("[statsd]\nstate_file =\n", "/var/lib/statsd:/var/lib/b"), in_folder());
        assert_eq!(file("[statsd]\nstate_file = /a/b\n", "/var/lib/statsd"), Some("/a/b".into()));
        assert_eq!(file("", ""), None);
    }
}
