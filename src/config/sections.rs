//! The sections there are, which of them there may be several of, and what a style changes in their defaults. Pure.

use super::address::OFF;
use super::{Carbon, Config, Exec, Ganglia, Influxdb, Repeater};
use crate::encode::namespace::{Namespace, Style};

/// The sections in the file's order, and what the example says of each.
pub(super) const SECTIONS: [(&str, &str); 15] = [
    ("statsd", ""),
    (NAMESPACE, "what names look like on their way out; further ones: [namespace.NAME]"),
    ("udp", ""),
    ("tcp", ""),
    ("unix", ""),
    ("admin", ""),
    ("limits", ""),
    ("carbon", "further destinations: [carbon.NAME]"),
    ("influxdb", "further ones: [influxdb.NAME]"),
    ("ganglia", "further ones: [ganglia.NAME]"),
    ("repeater", "further ones: [repeater.NAME]"),
    ("spool", ""),
    ("console", ""),
    ("exec", "statsite's stream_cmd; further ones: [exec.NAME]"),
    ("key_flush", ""),
];

pub(super) const NAMESPACE: &str = "namespace";

/// A section whose further copies are `[SECTION.NAME]`, each with the defaults of the table, whatever `[SECTION]` says.
pub(super) struct Copied {
    pub(super) section: &'static str,
    /// The key that is empty where a destination is off; a further copy has to give it. Empty: they are no destinations.
    pub(super) switch: &'static str,
    /// What that key wants.
    pub(super) wanted: &'static str,
    /// Adds a copy with this header to the first configuration. Its other values come from the
    /// second one, which holds the defaults.
    pub(super) add: fn(&mut Config, &Config, &str),
    /// The number of copies, the first included.
    pub(super) count: fn(&Config) -> usize,
    /// The headers of those there are.
    pub(super) headers: fn(&Config) -> Vec<String>,
    /// Forgets those that are off.
    pub(super) retain_on: fn(&mut Config),
}

pub(super) const COPIED: [Copied; 6] = [
    Copied {
        section: NAMESPACE,
        switch: "",
        wanted: "",
        add: |config, defaults, header| {
            let name = header[NAMESPACE.len() + 1..].into();
            config.namespaces.push(Namespace { name, ..defaults.namespaces[0].clone() });
        },
        count: |config| config.namespaces.len(),
        headers: |config| {
            let further = |namespace: &Namespace| format!("{NAMESPACE}.{}", namespace.name);
            let further = config.namespaces.iter().skip(1).map(further);
            [NAMESPACE.to_owned()].into_iter().chain(further).collect()
        },
        retain_on: |_| {},
    },
    Copied {
        section: "carbon",
        switch: "address",
        wanted: "host[:port]",
        add: |config, defaults, header| {
            config.carbons.push(Carbon { name: header.into(), ..defaults.carbons[0].clone() });
        },
        count: |config| config.carbons.len(),
        headers: |config| config.carbons.iter().map(|carbon| carbon.name.clone()).collect(),
        retain_on: |config| config.carbons.retain(|carbon| carbon.address != OFF),
    },
    Copied {
        section: "exec",
        switch: "command",
        wanted: "a command",
        add: |config, defaults, header| {
            config.execs.push(Exec { name: header.into(), ..defaults.execs[0].clone() });
        },
        count: |config| config.execs.len(),
        headers: |config| config.execs.iter().map(|exec| exec.name.clone()).collect(),
        retain_on: |config| config.execs.retain(|exec| !exec.command.is_empty()),
    },
    Copied {
        section: "influxdb",
        switch: "address",
        wanted: "host[:port]",
        add: |config, defaults, header| {
            config
                .influxdbs
                .push(Influxdb { name: header.into(), ..defaults.influxdbs[0].clone() });
        },
        count: |config| config.influxdbs.len(),
        headers: |config| config.influxdbs.iter().map(|influxdb| influxdb.name.clone()).collect(),
        retain_on: |config| config.influxdbs.retain(|influxdb| influxdb.address != OFF),
    },
    Copied {
        section: "ganglia",
        switch: "address",
        wanted: "host[:port]",
        add: |config, defaults, header| {
            config.ganglias.push(Ganglia { name: header.into(), ..defaults.ganglias[0].clone() });
        },
        count: |config| config.ganglias.len(),
        headers: |config| config.ganglias.iter().map(|ganglia| ganglia.name.clone()).collect(),
        retain_on: |config| config.ganglias.retain(|ganglia| ganglia.address != OFF),
    },
    Copied {
        section: "repeater",
        switch: "address",
        wanted: "host[:port]",
        add: |config, defaults, header| {
            config
                .repeaters
                .push(Repeater { name: header.into(), ..defaults.repeaters[0].clone() });
        },
        count: |config| config.repeaters.len(),
        headers: |config| config.repeaters.iter().map(|repeater| repeater.name.clone()).collect(),
        retain_on: |config| config.repeaters.retain(|repeater| repeater.address != OFF),
    },
];

/// None if there is one of it at the most.
pub(super) fn copied(section: &str) -> Option<&'static Copied> {
    COPIED.iter().find(|copied| copied.section == section)
}

/// Section, key and default of what a style changes: a key of `[namespace.NAME]` goes by the style it has there, one of
/// another section by that of `[namespace]`.
pub(super) const BY_STYLE: [(Style, &str, &str, &str); 4] = [
    (Style::Statsite, NAMESPACE, "global_prefix", ""),
    (Style::Statsite, NAMESPACE, "prefix_counter", "counts"),
    (Style::Statsite, "statsd", "delete_idle", "yes"),
    (Style::Statsite, "statsd", "delete_gauges", "no"),
];
