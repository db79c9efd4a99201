//! [`parse`]: turns the text of a configuration file into a [`Config`]. It begins with the defaults
//! and writes the values of the file over them. Pure.
//!
//! It reports all mistakes of a file at once, so that the operator need not try again for each one.

use std::path::Path;
use std::time::Duration;

use super::address::Address;
use super::destination::{Destination, DestinationFeed, DestinationKind, Net, Remote};
use super::foreign::flaw_of_foreign_file;
use super::hints::{unknown_key, unknown_section};
use super::ini::{self, Flaw, GivenSettings, IniSection, KeyValue, Mistake, SettingPlace};
use super::keys::keys_of;
use super::limits::{
    ALL_BINS_MAX, ALL_PERCENTILES_MAX, DESTINATIONS_MAX, ENCODINGS_MAX, MISTAKES_MAX,
    NAMESPACES_MAX,
};
use super::model::Config;
use super::overrides::Overrides;
use super::sections::{COPIED, NAMESPACE, RULE, SECTIONS, add, indices, switch};
use super::value::{Span, ValueKind as _};
use super::{defaults, paths, rules};
use crate::few::sort_few;
use crate::nearest::nearest;
use crate::policy::RULES_MAX;

/// Returns the configuration of a file: the defaults, with its values written over them. Returns
/// all mistakes, in the order of their lines, if there are any. A configuration of another program
/// is one mistake. `file` is only used in messages.
pub fn parse(file: &Path, text: &[u8]) -> Result<Config, Vec<Mistake>> {
    parse_with_places(file, text, &Overrides::NONE).map(|(config, _)| config)
}

/// As [`parse`], with settings from outside of the file over its own. Also returns the keys that
/// are set, with their places.
pub fn parse_with_places(
    file: &Path,
    text: &[u8],
    overrides: &Overrides,
) -> Result<(Config, GivenSettings), Vec<Mistake>> {
    read_sections(file, text, overrides, None)
}

/// As [`parse_with_places`], but reads `[admin]` alone. Mistakes in other sections do not matter.
/// Fails if the text is that of another server's configuration.
pub(super) fn parse_admin(
    file: &Path,
    text: &[u8],
    overrides: &Overrides,
) -> Result<(Config, GivenSettings), Vec<Mistake>> {
    read_sections(file, text, overrides, Some("admin"))
}

fn read_sections(
    file: &Path,
    text: &[u8],
    overrides: &Overrides,
    only: Option<&str>,
) -> Result<(Config, GivenSettings), Vec<Mistake>> {
    let ini::Document { mut sections, mut flaws } = ini::read(text);
    overrides.apply(&mut sections);
    if let Some(only) = only {
        sections.retain(|section| section.name == only);
        flaws = flaw_of_foreign_file(file, text).into_iter().collect();
    }
    let defaults = defaults::with_all_sections();
    let config = defaults.clone();
    let mut reader = FileReader {
        config,
        defaults,
        flaws,
        named_destinations: 0,
        last_rule: SettingPlace::START,
        last_section: SettingPlace::START,
    };
    for section in &sections {
        reader.section(section);
    }
    reader.follow_style(&sections);
    reader.check_namespaces(&sections);
    reader.check_figures();
    let config = reader.finish(&sections).map_err(|flaws| {
        let flaws = flaw_of_foreign_file(file, text).map_or(flaws, |flaw| vec![flaw]);
        let named = |Flaw { place, what }| Mistake { place: overrides.show(file, place), what };
        flaws.into_iter().map(named).collect::<Vec<_>>()
    })?;
    Ok((config, GivenSettings::new(sections)))
}

/// Reads the sections of a file into a configuration. Destinations that are off are removed only at
/// the end, because a copy of a section is added after the last destination of its kind.
struct FileReader {
    config: Config,
    /// The values with which a further section begins.
    defaults: Config,
    flaws: Vec<Flaw>,
    /// The number of `[KIND.NAME]` sections of destinations so far.
    named_destinations: usize,
    /// The place of the last rule. Mistakes of all rules together are reported there.
    last_rule: SettingPlace,
    /// The place of the last other section. Mistakes of all destinations together are reported
    /// there.
    last_section: SettingPlace,
}

impl FileReader {
    /// Reads a section.
    fn section(&mut self, section: &IniSection) {
        if self.flaws.len() > MISTAKES_MAX {
            return; // further mistakes are not reported
        }
        let kind = match kind_of(&section.name) {
            Ok(kind) => kind,
            Err(what) => return self.flaw(section.place, what),
        };
        if kind == RULE {
            return self.rule(section);
        }
        self.last_section = section.place;
        let at = match self.index(kind, &section.name) {
            Ok(at) => at,
            Err(what) => return self.flaw(section.place, format!("[{}]: {what}", section.name)),
        };
        for entry in &section.entries {
            if let Err(what) = self.entry(kind, at, entry) {
                self.flaw(entry.place, format!("[{}] {}: {what}", section.name, entry.key));
            }
        }
        self.check_switch(section, kind);
        // Only now all keys of the section are read, whatever their order in the file.
        if keys_of(kind).any(|key| key.name == "address") {
            self.follow_protocol(section, at);
        }
        if keys_of(kind).any(|key| key.name == "reconnect_max") {
            self.check_waits(section, at);
        }
    }

    fn rule(&mut self, section: &IniSection) {
        self.last_rule = section.place;
        if self.config.rules.rules.len() == RULES_MAX {
            let what = format!("[{}]: expected at most {RULES_MAX} rules", section.name);
            return self.flaw(section.place, what);
        }
        let (rule, flaws) = rules::read(section);
        self.flaws.extend(flaws);
        self.config.rules.rules.push(rule);
    }

    /// Returns the index of a section among the name spaces or destinations. Adds `[SECTION.NAME]`
    /// to the configuration. Fails if there are too many.
    fn index(&mut self, kind: &str, header: &str) -> Result<usize, String> {
        let Some((_, name)) = header.split_once('.') else {
            let found = indices(kind, &self.config).into_iter().find(|(known, _)| known == header);
            return Ok(found.map_or(0, |(_, at)| at));
        };
        if kind == NAMESPACE {
            if self.config.namespaces.len() > NAMESPACES_MAX {
                return Err(format!("expected at most {NAMESPACES_MAX} name spaces"));
            }
        } else if self.named_destinations == DESTINATIONS_MAX {
            return Err(format!("expected at most {DESTINATIONS_MAX} further destinations"));
        } else {
            self.named_destinations += 1;
        }
        let added = add(kind, name, &mut self.config, &self.defaults);
        Ok(added.expect("the configuration has a section of each kind until the end"))
    }

    /// Sets a key. Returns the message if there is no such key or its value is wrong.
    fn entry(&mut self, kind: &str, at: usize, entry: &KeyValue) -> Result<(), String> {
        let Some(key) = keys_of(kind).find(|key| key.name == entry.key) else {
            let names: Vec<_> = keys_of(kind).map(|key| key.name).collect();
            return Err(unknown_key(kind, &names, &entry.key));
        };
        if key.is_derived() && entry.value.is_empty() {
            return Ok(()); // the default stands until `memory` derives the value
        }
        key.set(&mut self.config, at, &entry.value)
    }

    /// Checks that a further destination gives the key that turns it on. An empty value turns it
    /// off, which is no mistake.
    fn check_switch(&mut self, section: &IniSection, kind: &str) {
        let IniSection { name, place, .. } = section;
        let Some(switch) = switch(kind) else { return };
        if name != kind && section.entry(switch.key).is_none() {
            let expected = format!("expected {}, it has no default", switch.wanted);
            self.flaw(*place, format!("[{name}] {}: {expected}", switch.key));
        }
    }

    /// Sets the values that depend on the protocol: the port of an address without one, even of the
    /// default address, and the queue of a repeater.
    fn follow_protocol(&mut self, section: &IniSection, at: usize) {
        let Destination { kind, net, queue, .. } = &mut self.config.destinations[at];
        if let DestinationKind::Repeater(_) = kind {
            *queue = kind.queue();
        }
        let (Some(port), Some(net)) = (kind.port(), net) else { return };
        match section.entry("address") {
            // A value that cannot be read was reported when the entry was set.
            Some(entry) => net.remote = Address(port).read(&entry.value).unwrap_or(Remote::OFF),
            None if net.remote != Remote::OFF => net.remote.port = port,
            None => {}
        }
    }

    /// Checks that `reconnect_max` is not less than `reconnect_min`, once both are known.
    fn check_waits(&mut self, section: &IniSection, at: usize) {
        let Some(Net { reconnect_min, reconnect_max, .. }) = &self.config.destinations[at].net
        else {
            return;
        };
        let both = [section.entry("reconnect_max"), section.entry("reconnect_min")];
        let mut given = both.into_iter().flatten();
        // In place of a value that was refused the default would be compared.
        if given.clone().any(|entry| self.flaws.iter().any(|flaw| flaw.place == entry.place)) {
            return;
        }
        if let Some(entry) = given.next().filter(|_| reconnect_max < reconnect_min) {
            let least = Span(Duration::ZERO).show(reconnect_min);
            let expected = format!("expected at least reconnect_min, which is {least}");
            self.flaw(entry.place, format!("[{}] reconnect_max: {expected}", section.name));
        }
    }

    /// Sets the keys that the file does not give and whose defaults depend on the style.
    fn follow_style(&mut self, sections: &[IniSection]) {
        defaults::follow_style(&mut self.config, |header, key| {
            let mut of_header = sections.iter().filter(|section| section.name == header);
            of_header.any(|section| section.entry(key).is_some())
        });
    }

    /// Checks that each `namespace` key names a section that exists. The section may come later in
    /// the file than the destination.
    fn check_namespaces(&mut self, sections: &[IniSection]) {
        for section in sections {
            let has_key = |kind| keys_of(kind).any(|key| key.name == "namespace");
            let Some(entry) = section.entry("namespace") else { continue };
            if !kind_of(&section.name).is_ok_and(has_key) {
                continue;
            }
            let names = || self.config.namespaces.iter().map(|namespace| namespace.name.as_str());
            // A value that no name space can have was reported when the entry was set.
            let is_reported = self.flaws.iter().any(|flaw| flaw.place == entry.place);
            if is_reported || names().any(|known| known == entry.value) {
                continue;
            }
            let hint = match nearest(&entry.value, names().filter(|known| !known.is_empty())) {
                Some(near) => format!("did you mean {near}?"),
                None => "expected the NAME of a [namespace.NAME], or nothing".into(),
            };
            let wanted = entry.value.escape_debug();
            let what = format!("[{}] namespace: no [namespace.{wanted}]; {hint}", section.name);
            self.flaw(entry.place, what);
        }
    }

    /// Checks the bounds on percentiles and bins that hold for `[statsd]` and all rules together.
    fn check_figures(&mut self) {
        let rules = &self.config.rules;
        for (of, found, most) in [
            ("percentiles", rules.percentiles().len(), ALL_PERCENTILES_MAX),
            ("histogram bins", rules.bins().len(), ALL_BINS_MAX),
        ] {
            if found > most {
                let what = format!("expected at most {most} different {of} in all, not {found}");
                self.flaw(self.last_rule, what);
            }
        }
    }

    /// Checks the number of different encodings. Only destinations that are on count, so this comes
    /// after the others were removed.
    fn check_encodings(&mut self) {
        let mut all = Vec::new();
        for takes in self.config.active_destinations().map(Destination::takes) {
            if matches!(takes, DestinationFeed::Flushes(..)) && !all.contains(&takes) {
                all.push(takes);
            }
        }
        if all.len() > ENCODINGS_MAX {
            let found = all.len();
            let what = "different combinations of format, namespace and own_figures";
            self.flaw(
                self.last_section,
                format!("expected at most {ENCODINGS_MAX} {what}, not {found}"),
            );
        }
    }

    /// Adds a mistake.
    fn flaw(&mut self, place: SettingPlace, what: String) {
        self.flaws.push(Flaw { place, what });
    }

    /// Returns the configuration, or all flaws.
    fn finish(mut self, sections: &[IniSection]) -> Result<Config, Vec<Flaw>> {
        self.config.remove_inactive_destinations();
        self.config.bounds.keeps_totals = self.config.shows_totals();
        self.config.rules.base.statsite = self.config.may_send_statsite();
        self.config.rules.base.squeeze_dots = self.config.grammar.squeeze_dots;
        self.flaws.extend(paths::clashes(&self.config, sections));
        if self.flaws.is_empty() {
            self.check_encodings();
        }
        if self.flaws.is_empty() {
            return Ok(self.config);
        }
        // Checks at the end of the file have added mistakes of earlier lines.
        sort_few(&mut self.flaws, |a, b| a.place.cmp(&b.place));
        if self.flaws.len() > MISTAKES_MAX {
            self.flaws.truncate(MISTAKES_MAX);
            let place = self.flaws.last().map_or(SettingPlace::START, |flaw| flaw.place);
            self.flaw(place, format!("there are more mistakes than these {MISTAKES_MAX}"));
        }
        Err(self.flaws)
    }
}

/// Returns the kind of a section: `carbon` for `[carbon]` and `[carbon.NAME]`. Returns the message
/// if the name of the section is wrong.
fn kind_of(section: &str) -> Result<&'static str, String> {
    if let Some(kind) = SECTIONS.iter().find(|kind| **kind == section) {
        return Ok(kind);
    }
    let (kind, name) = section.split_once('.').unwrap_or((section, ""));
    match COPIED.into_iter().chain([RULE]).find(|named| *named == kind) {
        Some(named) if is_section_name(name) => Ok(named),
        Some(RULE) if name.is_empty() => {
            Err(format!("[{}]: expected [rule.NAME]", section.escape_debug()))
        }
        Some(_) => Err(format!(
            "[{}]: expected 1 to 64 of A-Z, a-z, 0-9, _ and - after the dot",
            section.escape_debug()
        )),
        None if name.is_empty() => Err(unknown_section(section, "", &SECTIONS)),
        None => {
            let named: Vec<_> = COPIED.into_iter().chain([RULE]).collect();
            Err(unknown_section(kind, &section[kind.len()..], &named))
        }
    }
}

/// Whether this can be the NAME in `[SECTION.NAME]`. A NAME becomes the name of a folder of the
/// spool, so it must not contain a slash.
fn is_section_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::model::Tcp;
    use crate::encode::namespace::Namespace;
    use crate::protocol::{Dialect, Dialects};
    use crate::series::Bounds;

    pub(in super::super) fn config(text: &str) -> Config {
        parse(Path::new("t.conf"), text.as_bytes()).unwrap()
    }

    pub(in super::super) fn mistakes(text: &str) -> Vec<String> {
        let found = parse(Path::new("t.conf"), text.as_bytes()).expect_err(text);
        found.iter().map(Mistake::to_string).collect()
    }

    #[test]
    fn no_text_is_the_defaults() {
        let config = config("");
        let carbons = config.active_destinations().filter(|to| to.section() == "carbon").count();
        let Config { grammar, bounds, namespaces, .. } = config;
        assert_eq!(grammar, Default::default());
        assert_eq!(bounds, Bounds { keeps_totals: true, ..Bounds::default() });
        assert_eq!(namespaces, [Default::default()]);
        assert_eq!(carbons, 1);
    }

    #[test]
    fn a_file_overrides_the_keys_it_gives() {
        let text = "[tcp]\nbind =\nidle_timeout = 0\n[statsd]\ntag_formats = graphite\n";
        let dialects = Dialects::from_iter([Dialect::Graphite]);
        let expected = Config {
            tcp: Tcp { bind: vec![], idle_timeout: None, ..Config::default().tcp },
            grammar: crate::protocol::Grammar { dialects, ..Default::default() },
            ..Config::default()
        };
        assert_eq!(config(text), expected);
    }

    #[test]
    fn further_carbons_come_after_the_first_with_the_defaults_of_the_table() {
        let text = "[carbon.b]\naddress = b\n[carbon]\nqueue = 1m\n[carbon.a]\naddress = a:1\n";
        let config = config(text);
        let named: Vec<_> = config
            .active_destinations()
            .map(|carbon| (carbon.name.clone(), carbon.queue.bytes))
            .collect();
        let default = 64 << 20;
        assert_eq!(
            named,
            [
                ("carbon".into(), 1 << 20),
                ("carbon.b".into(), default),
                ("carbon.a".into(), default)
            ]
        );
    }

    #[test]
    fn all_mistakes_come_at_once_in_the_order_of_their_lines() {
        let text = "[statsd]\nflush_interval = 0.5s\n[tcp]\nmax_line = 1\nnonsense\n\
                    [admin]\nhealth = good\n[tcp]\nmax_line = 9k\n";
        assert_eq!(
            mistakes(text),
            [
                "t.conf:2: [statsd] flush_interval: expected a duration such as 10s, 500ms, 2m or 1h, \
                 from 1s to 8760h, not \"0.5s\"",
                "t.conf:4: [tcp] max_line: expected a size from 64 to 1m, not \"1\"",
                "t.conf:5: expected `key = value` or `[section]`",
                "t.conf:7: [admin] health: expected one of up, down, not \"good\"",
                "t.conf:9: [tcp] max_line: given twice, first in line 4",
            ]
        );
    }

    #[test]
    fn an_unknown_section_or_key_is_a_mistake_with_a_suggestion() {
        for (text, expected) in [
            ("[statd]", "1: [statd]: no such section; did you mean [statsd]?"),
            ("[Carbon]", "1: [Carbon]: no such section; did you mean [carbon]?"),
            ("[cabron.a]", "1: [cabron.a]: no such section; did you mean [carbon.a]?"),
            ("[udp.a]", "1: [udp.a]: no such section; expected one of statsd, carbon, "),
            ("[opentsdb]\naddress = x", "1: [opentsdb]: no such section; expected one of statsd"),
            ("[carbon.]", "1: [carbon.]: expected 1 to 64 of A-Z"),
            ("[carbon.a b]", "1: [carbon.a b]: expected 1 to 64 of A-Z"),
            (
                "[statsd]\nflushInterval = 1",
                "2: [statsd] flushInterval: no such key; did you mean flush_interval?",
            ),
            ("[tcp]\nbnid = *:1", "2: [tcp] bnid: no such key; did you mean bind?"),
            ("[tcp]\nmax_series = 1", "no such key; did you mean to give it in [limits]?"),
            (
                "[tcp]\nqueue_depth =",
                "no such key; expected one of bind, allow_from, max_connections, idle_timeout",
            ),
            ("[carbon]\nprotokoll = pickle", "no such key; did you mean protocol?"),
            (
                "[udp]\nallow_from = 10.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24, fd00::/8, example.org",
                "2: [udp] allow_from: expected networks such as 10.0.0.0/8, fd00::/8 or 192.0.2.7, \
                 not \"example.org\"",
            ),
            (
                "[udp]\nallow_from = 10.0.0.0/8, 10.1.2.3/8",
                "expected 10.1.2.3/8 only once, not after 10.0.0.0/8, which is the same",
            ),
            ("[tcp]\nbind = *:8125, *:x, *:8126", "no other names, not \"*:x\""),
            ("[statsd]\ntag_formats = graphite, ddog", "not \"ddog\""),
            ("[statsd]\npercentiles = 90, 101, 99", "not \"101\""),
        ] {
            let found = mistakes(text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn the_longest_wait_is_not_shorter_than_the_first() {
        let expected = "[carbon] reconnect_max: expected at least reconnect_min, which is 1m";
        assert_eq!(mistakes("[carbon]\nreconnect_min = 1m"), [format!("t.conf:2: {expected}")]);
        let both = "[carbon]\nreconnect_max = 2s\nreconnect_min = 1m";
        assert_eq!(mistakes(both), [format!("t.conf:2: {expected}")]);
        config("[carbon]\nreconnect_min = 1m\nreconnect_max = 1m");
    }

    #[test]
    fn messages_quote_values_short_and_printable() {
        let text = format!("[tcp]\nmax_line = \u{1b}{}", "x".repeat(100));
        let quoted = format!("not \"\\u{{1b}}{}\"...", "x".repeat(59));
        assert!(mistakes(&text)[0].ends_with(&quoted), "{:?}", mistakes(&text));
    }

    #[test]
    fn a_style_sets_its_defaults_for_keys_the_file_does_not_give() {
        let text = "[namespace]\nprefix_counter = n\nstyle = statsite\n[namespace.b]\nstyle = statsite\n\
                    [namespace.c]\n[carbon]\nnamespace = c";
        let Config { namespaces, destinations, .. } =
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
        assert_eq!(destinations[0].namespace, "c");
    }

    #[test]
    fn the_figures_of_statsite_are_computed_if_some_destination_may_need_them() {
        for (text, statsite) in [
            ("", false),
            ("[namespace]\nstyle = modern\n[exec]\ncommand = cat", false),
            ("[namespace]\nstyle = statsite", true),
            ("[namespace.old]\nstyle = statsite\n[console]\nnamespace = old", true),
            ("[exec.b]\nbinary_stream = prefixed\ncommand = cat", true),
            ("[exec]\nbinary_stream = yes", false),
        ] {
            assert_eq!(config(text).rules.base.statsite, statsite, "{text}");
        }
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
                "t.conf:10: [namespace.]: expected 1 to 64 of A-Z, a-z, 0-9, _ and - after the dot",
                "t.conf:11: [namespce.a]: no such section; did you mean [namespace.a]?",
            ]
        );
    }

    #[test]
    fn a_name_space_has_each_tag_once() {
        assert_eq!(config("[namespace]\ntags = dc=eu, dc2=eu").namespaces[0].tags.len(), 2);
        for (tags, expected) in [
            ("dc=eu, dc=us", "expected dc only once, not \"dc=eu, dc=us\""),
            ("dc=eu, dc=eu", "expected dc=eu only once, not again"),
            ("dc=eu, a", "expected tags such as dc=eu, host=$HOST, not \"a\""),
            (
                "dc=eu, a=$HOSTNAME",
                "expected tags such as dc=eu, host=$HOST; only $HOST and ${HOST} are replaced, \
                 not \"a=$HOSTNAME\"",
            ),
        ] {
            let found = mistakes(&format!("[namespace]\ntags = {tags}"));
            assert_eq!(found, [format!("t.conf:2: [namespace] tags: {expected}")]);
        }
    }

    #[test]
    fn a_wrong_wait_is_one_mistake() {
        let found = mistakes("[carbon]\nreconnect_min = soon\nreconnect_max = 50ms");
        assert!(found.len() == 1 && found[0].starts_with("t.conf:2: "), "{found:?}");
    }

    #[test]
    fn a_wrong_name_of_a_name_space_is_one_mistake() {
        for value in ["a\"b", "a b"] {
            let found = mistakes(&format!("[carbon]\nnamespace={value}"));
            assert!(found.len() == 1 && found[0].contains("expected 0 to 64 of A-Z"), "{found:?}");
        }
    }
}
