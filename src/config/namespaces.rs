//! What hangs together across sections: the defaults a style brings, and which name space a destination is sent. Pure.

use super::ini::Section;
use super::keys::keys_of;
use super::parse::{Reading, kind_of, nearest};
use super::sections::{BY_STYLE, NAMESPACE};
use crate::encode::namespace::Namespace;

impl Reading {
    /// What the file leaves open where a style has a default of its own.
    pub(super) fn default_by_style(&mut self, sections: &[Section]) {
        for (style, kind, name, default) in BY_STYLE {
            let copies = if kind == NAMESPACE { self.config.namespaces.len() } else { 1 };
            for nth in 0..copies {
                let Namespace { name: nickname, style: chosen, .. } = &self.config.namespaces[nth];
                let header = if nth == 0 { kind.into() } else { format!("{kind}.{nickname}") };
                let mut of_header = sections.iter().filter(|section| section.name == header);
                if *chosen == style && of_header.all(|section| section.entry(name).is_none()) {
                    let key = keys_of(kind).find(|key| key.name == name);
                    let set = key.map(|key| key.set(&mut self.config, nth, default));
                    assert_eq!(set, Some(Ok(())), "the table's defaults are values of its keys");
                }
            }
        }
    }

    /// Only at the end is it known which name spaces there are.
    pub(super) fn check_namespaces(&mut self, sections: &[Section]) {
        let chosen = |section: &Section| {
            let chooses = |kind| keys_of(kind).any(|key| key.name == "namespace");
            let entry =
                section.entry("namespace").filter(|_| kind_of(&section.name).is_ok_and(chooses))?;
            Some((entry.line, format!("[{}] namespace", section.name), entry.value.clone()))
        };
        for (line, place, name) in sections.iter().filter_map(chosen) {
            let names = || self.config.namespaces.iter().map(|namespace| namespace.name.as_str());
            if names().any(|known| known == name) {
                continue;
            }
            let hint = match nearest(&name, names().filter(|known| !known.is_empty())) {
                Some(near) => format!("did you mean {near}?"),
                None => "expected the NAME of a [namespace.NAME], or nothing".into(),
            };
            self.flaw(line, format!("{place}: no [namespace.{}]; {hint}", name.escape_debug()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, Mistake, parse};
    use super::*;

    #[test]
    fn a_style_brings_its_defaults_for_what_the_file_leaves_open() {
        let text = "[namespace]\nprefix_counter = n\nstyle = statsite\n[namespace.b]\nstyle = statsite\n\
                    [namespace.c]\n[carbon]\nnamespace = c";
        let Config { namespaces, carbons, .. } =
            parse(Path::new("t.conf"), text.as_bytes()).unwrap();
        let statsite = Namespace::statsite();
        assert_eq!(
            namespaces,
            [
                Namespace { prefix_counter: "n".into(), ..statsite.clone() },
                Namespace { name: "b".into(), ..statsite },
                Namespace { name: "c".into(), ..Default::default() },
            ]
        );
        assert_eq!(carbons[0].namespace, "c");
    }

    #[test]
    fn idle_series_are_deleted_by_default_in_statsite_style_but_gauges_are_kept() {
        for (text, idle, gauges) in [
            ("[namespace]\nstyle = statsite", true, Some(false)),
            (
                "[namespace]\nstyle = statsite\n[statsd]\ndelete_idle = no\ndelete_gauges =",
                false,
                None,
            ),
            ("[namespace.other]\nstyle = statsite", false, None),
        ] {
            let Config { rules, .. } = parse(Path::new("t.conf"), text.as_bytes()).unwrap();
            assert_eq!(
                (rules.base.delete_idle, rules.base.delete_gauges),
                (idle, gauges),
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_space_that_does_not_exist_is_a_mistake_wherever_it_is_named() {
        let text = "[carbon]\nnamespace = odl\n[namespace.old]\n[carbon.b]\naddress = b\nnamespace = new\n\
                    [carbon.c]\naddress =\nnamespace = old\n[namespace.]\n[namespce.a]";
        let found = parse(Path::new("t.conf"), text.as_bytes()).unwrap_err();
        assert_eq!(
            found.iter().map(Mistake::to_string).collect::<Vec<_>>(),
            [
                "t.conf:2: [carbon] namespace: no [namespace.odl]; did you mean old?",
                "t.conf:6: [carbon.b] namespace: no [namespace.new]; \
                 expected the NAME of a [namespace.NAME], or nothing",
                "t.conf:10: [namespace.]: expected 1 to 64 of A-Z, a-z, 0-9, _ and - behind the dot",
                "t.conf:11: [namespce.a]: no such section; did you mean [namespace.a]?",
            ]
        );
    }
}
