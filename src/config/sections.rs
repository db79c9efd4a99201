//! The sections there are, which of them a file may repeat with a name, and what a style changes in
//! their defaults. Pure.

use super::destination::Destination;
use super::model::Config;
use crate::encode::namespace::{Namespace, Style};

/// The sections in the file's order. Those that most people change come first.
pub(super) const SECTIONS: [&str; 15] = [
    "statsd",
    "carbon",
    NAMESPACE,
    "udp",
    "tcp",
    "unix",
    "admin",
    "spool",
    "limits",
    "console",
    "influxdb",
    "exec",
    "ganglia",
    "repeater",
    "key_flush",
];

pub(super) const NAMESPACE: &str = "namespace";

/// What the names of rule sections begin with, up to the dot. Rules have a table of keys of their
/// own.
pub(super) const RULE: &str = "rule";

/// The sections whose further copies are `[SECTION.NAME]`. Each copy has the defaults of the table,
/// whatever `[SECTION]` is set to.
pub(super) const COPIED: [&str; 6] =
    [NAMESPACE, "carbon", "exec", "influxdb", "ganglia", "repeater"];

/// The key of a destination that is empty while the destination is off. A further copy has to give
/// it.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) key: &'static str,
    /// What the key wants.
    pub(super) wanted: &'static str,
}

/// Returns the key that turns the destinations of a section on. Returns `None` if these are no
/// destinations, or if the section is never left out.
pub(super) fn switch(section: &str) -> Option<Switch> {
    match section {
        "carbon" | "influxdb" | "ganglia" | "repeater" => {
            Some(Switch { key: "address", wanted: "host[:port]" })
        }
        "exec" => Some(Switch { key: "command", wanted: "a command" }),
        _ => None,
    }
}

/// Returns the headers of a section and its copies in a configuration, each with its index among
/// the name spaces or the destinations. A section that a configuration has once has index 0.
pub(super) fn indices(section: &str, config: &Config) -> Vec<(String, usize)> {
    if section == NAMESPACE {
        return config.namespaces.iter().map(namespace_header).zip(0..).collect();
    }
    let destinations = config.destinations.iter().zip(0..);
    let found: Vec<_> = destinations
        .filter(|(destination, _)| destination.section() == section)
        .map(|(destination, at)| (destination.name.clone(), at))
        .collect();
    let is_single = found.is_empty() && switch(section).is_none();
    if is_single { vec![(section.into(), 0)] } else { found }
}

fn namespace_header(namespace: &Namespace) -> String {
    match namespace.name.as_str() {
        "" => NAMESPACE.into(),
        name => format!("{NAMESPACE}.{name}"),
    }
}

/// Adds `[SECTION.NAME]` to a configuration with the values that `defaults` has for `[SECTION]`.
/// Returns its index.
pub(super) fn add(
    section: &str,
    name: &str,
    config: &mut Config,
    defaults: &Config,
) -> Option<usize> {
    if section == NAMESPACE {
        config.namespaces.push(Namespace { name: name.into(), ..defaults.namespaces[0].clone() });
        return Some(config.namespaces.len() - 1);
    }
    let is_same_kind = |destination: &Destination| destination.section() == section;
    let blank = defaults.destinations.iter().find(|destination| is_same_kind(destination))?;
    let at = config.destinations.iter().rposition(is_same_kind)? + 1;
    let added = Destination { name: format!("{section}.{name}"), ..blank.clone() };
    config.destinations.insert(at, added);
    Some(at)
}

/// The style, section, key and default of each value that a style changes. A key of
/// `[namespace.NAME]` follows the style of that section. A key of another section follows the style
/// of `[namespace]`.
pub(super) const BY_STYLE: [(Style, &str, &str, &str); 4] = [
    (Style::Statsite, NAMESPACE, "global_prefix", ""),
    (Style::Statsite, NAMESPACE, "prefix_counter", "counts"),
    (Style::Statsite, "statsd", "delete_idle", "yes"),
    (Style::Statsite, "statsd", "delete_gauges", "no"),
];
