//! What a reload changes: how two configurations differ, and which of the changes can be applied to
//! a running server. Pure.

use ahash::AHashMap;

use super::destination::Destination;
use super::key::{Applies, Key};
use super::keys::keys_of;
use super::model::Config;
use super::rules;
use super::sections::{SECTIONS, indices};
use crate::few::sort_few;

/// Returns `section.key` of every value that differs, in alphabetical order. A section that only
/// one of the two has is listed without its keys.
///
/// A reload calls this inside the loop, so the values are compared in place. To render both
/// configurations and compare the texts would take 10 ms for the largest file.
pub fn difference(one: &Config, other: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for section in SECTIONS {
        let mut theirs: AHashMap<String, usize> = indices(section, other).into_iter().collect();
        for (header, at) in indices(section, one) {
            let Some(other_at) = theirs.remove(&header) else {
                found.push(header);
                continue;
            };
            let differ = keys_of(section).filter(|key| !key.is_same((one, at), (other, other_at)));
            found.extend(differ.map(|key| format!("{header}.{}", key.name)));
        }
        found.extend(theirs.into_keys());
    }
    found.extend(rules::difference(&one.rules.rules, &other.rules.rules));
    sort_few(&mut found, Ord::cmp);
    found
}

/// Returns the wanted configuration without the changes that only a start can apply. These are the
/// keys that the table marks with `restart`.
///
/// If such a key of a destination differs, the destination keeps all its old values, because chunks
/// may be queued for the old address in the old protocol. Only its name space is the wanted one:
/// the old name space may no longer exist.
pub fn applicable(before: &Config, wanted: &Config) -> Config {
    let mut config = wanted.clone();
    let needs_restart = |section| keys_of(section).filter(|key| key.applies == Applies::Restart);
    for section in SECTIONS {
        for key in needs_restart(section) {
            key.copy(&mut config, before);
        }
    }
    for (at, destination) in config.destinations.iter_mut().enumerate() {
        let find = |old: &Destination| old.name == destination.name;
        let Some(old) = before.destinations.iter().position(find) else { continue };
        let is_same = |key: &Key| key.is_same((before, old), (wanted, at));
        if !needs_restart(destination.section()).all(is_same) {
            let namespace = std::mem::take(&mut destination.namespace);
            *destination = Destination { namespace, ..before.destinations[old].clone() };
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::config;
    use super::*;

    #[test]
    fn differences_are_named_by_section_and_key() {
        let one = config(
            "[statsd]\npercentiles = 90\n[carbon.b]\naddress = b\n[rule.a]\nmatch = a\ndrop = yes",
        );
        let other =
            config("[statsd]\npercentiles = 95\n[udp]\nbind =\n[rule.a]\nmatch = b\nexpire = 1h");
        let expected = [
            "carbon.b",
            "rule.a.drop",
            "rule.a.expire",
            "rule.a.match",
            "statsd.percentiles",
            "udp.bind",
        ];
        assert_eq!(difference(&one, &other), expected);
        assert!(difference(&one, &one).is_empty());
        let off = config("[carbon]\naddress =");
        assert_eq!(difference(&off, &config("")), ["carbon"]);
    }

    #[test]
    fn a_reload_applies_all_but_what_needs_a_restart() {
        let before = config(
            "[statsd]\nuser = a\n[spool]\ndir = /a\n[carbon]\naddress = a\nnamespace = a\n\
             [namespace.a]\n[influxdb.b]\naddress = b\n[repeater]\naddress = r\n[tcp]\nmax_line = 1k",
        );
        let wanted = config(
            "[statsd]\nuser = b\ngroup = b\npercentiles = 50\n[spool]\nmax_size = 1m\n\
             [carbon]\naddress = c\nprotocol = pickle\n[influxdb.b]\naddress = c\nqueue = 1m\n\
             [repeater]\naddress = s\nprotocol = tcp\n[repeater.new]\naddress = n\nprotocol = tcp",
        );
        let running = applicable(&before, &wanted);
        let unchanged = [
            "carbon.address",
            "carbon.protocol",
            "repeater.address",
            "repeater.protocol",
            "spool.dir",
            "spool.max_size",
            "statsd.group",
            "statsd.user",
        ];
        assert_eq!(difference(&running, &wanted), unchanged);
        let changed = [
            "carbon.namespace",
            "influxdb.b.address",
            "influxdb.b.queue",
            "namespace.a",
            "repeater.new",
            "statsd.percentiles",
            "tcp.max_line",
        ];
        assert_eq!(difference(&before, &running), changed);
        let repeater =
            |config: &Config| config.destinations.iter().find(|to| to.name == "repeater").cloned();
        assert_eq!(repeater(&running), repeater(&before), "with the queue of its protocol");
        assert_eq!(applicable(&before, &before), before);
    }
}
