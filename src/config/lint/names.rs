//! Warnings about prefixes, suffixes and name spaces. Pure.

use super::context::Lint;
use crate::config::destination::DestinationKind;
use crate::config::key::Key;
use crate::config::keys::keys_of;
use crate::config::sections::{NAMESPACE, indices};
use crate::policy::Template;

/// The keys that are parts of names.
const AFFIXES: [&str; 9] = [
    "global_prefix",
    "global_suffix",
    "prefix_counter",
    "prefix_timer",
    "prefix_gauge",
    "prefix_set",
    "prefix_kv",
    "prefix_stats",
    "prefix",
];

pub(super) fn check(lint: &mut Lint<'_>) {
    for section in [NAMESPACE, "ganglia"] {
        let affixes: Vec<&Key> = keys_of(section).filter(|key| is_affix(key)).collect();
        for (header, at) in indices(section, lint.config) {
            for key in &affixes {
                dots(lint, &header, key.name, &key.get(lint.config, at));
            }
        }
    }
    if !lint.config.grammar.squeeze_dots {
        for rule in &lint.config.rules.rules {
            let name = rule.rename.as_ref().map_or("", Template::as_str);
            dots(lint, &format!("rule.{}", rule.name), "name", name);
        }
    }
    unused(lint);
    renamed_tags(lint);
}

fn is_affix(key: &Key) -> bool {
    AFFIXES.contains(&key.name)
}

/// Warns about a dot that makes an empty part in every name.
fn dots(lint: &mut Lint<'_>, header: &str, key: &'static str, value: &str) {
    let parts = || value.split('.').filter(|part| !part.is_empty());
    if value.is_empty() || parts().count() == value.split('.').count() {
        return;
    }
    let meant = parts().collect::<Vec<_>>().join(".");
    let is_whole_name = key == "name";
    let reason = if is_whole_name {
        format!("{value} has an empty part")
    } else if value.starts_with('.') || value.ends_with('.') {
        format!("the server adds the dots between the parts of a name, so {value} gives two dots")
    } else {
        format!("{value} has an empty part between two dots")
    };
    let remedy = match (&*meant, key) {
        // The one key that cannot be empty.
        ("", "prefix_stats") => "write prefix_stats = statsd".into(),
        ("", _) => format!("leave {key} without a value"),
        (meant, _) => format!("write {key} = {meant}"),
    };
    lint.warn(header, key, reason, remedy);
}

/// Warns about name spaces that no destination has.
fn unused(lint: &mut Lint<'_>) {
    let is_used = |name: &str| lint.config.active_destinations().any(|to| to.namespace == name);
    let named = lint.config.namespaces.iter().map(|namespace| namespace.name.clone());
    let unused: Vec<_> = named.filter(|name| !name.is_empty() && !is_used(name)).collect();
    for name in unused {
        lint.warn(
            &format!("{NAMESPACE}.{name}"),
            "",
            "no destination that is on has this name space",
            format!("add namespace = {name} to a destination, or remove the section"),
        );
    }
}

/// Warns about tags that a destination gets with another key.
fn renamed_tags(lint: &mut Lint<'_>) {
    for to in lint.config.active_destinations() {
        let (key, reason) = match to.kind {
            DestinationKind::Carbon(_) => {
                ("name", "carbon has the name of each series as its tag name, and gets @name")
            }
            DestinationKind::Influxdb(_) => ("time", "InfluxDB stores no tag time, and gets @time"),
            _ => continue,
        };
        for (header, at) in indices(NAMESPACE, lint.config) {
            let namespace = &lint.config.namespaces[at];
            if namespace.name == to.namespace && namespace.tags.iter().any(|tag| tag.key == key) {
                lint.warn(&header, "tags", reason, "write another key");
            }
        }
        for rule in &lint.config.rules.rules {
            let adds = rule.add_tags.iter().flatten().any(|tag| tag.key == key);
            let renames = rule.rename_tag.iter().flatten().any(|rename| rename.to == key);
            for (name, _) in [("tags", adds), ("rename_tag", renames)].iter().filter(|(_, is)| *is)
            {
                lint.warn(&format!("rule.{}", rule.name), name, reason, "write another key");
            }
        }
    }
}
