//! The sections of a file: which exist, and which can be repeated with a name. Pure.

use super::destination::Destination;
use super::model::Config;
use crate::encode::namespace::Namespace;

/// The sections, in the order of the example. Those that most people change come first.
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

/// The kind of rule sections, which are always `[rule.NAME]`. Their keys are in a table of their
/// own.
pub(super) const RULE: &str = "rule";

/// The sections that can be repeated as `[SECTION.NAME]`. Each copy has the defaults of the table,
/// not the values of `[SECTION]`.
pub(super) const COPIED: [&str; 6] =
    [NAMESPACE, "carbon", "exec", "influxdb", "ganglia", "repeater"];

/// The key that turns a destination on. It is empty while the destination is off. A further copy
/// must give it, because a copy without it would do nothing.
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) key: &'static str,
    /// What the key expects, for messages.
    pub(super) wanted: &'static str,
}

/// Returns the key that turns the destinations of a section on. Returns `None` if the section is
/// not one of destinations, and for the console, which has no copies.
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

/// Returns the header of a name space: `namespace` or `namespace.NAME`.
fn namespace_header(namespace: &Namespace) -> String {
    match namespace.name.as_str() {
        "" => NAMESPACE.into(),
        name => format!("{NAMESPACE}.{name}"),
    }
}

/// Adds `[SECTION.NAME]` to a configuration, with the values that `defaults` has for `[SECTION]`.
/// Returns its index. A destination is added after the last one of its kind, so the indices of
/// later kinds change. Returns `None` if a section of this kind is missing.
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
