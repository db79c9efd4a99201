//! The text of a configuration file to a [`Config`]: the defaults, and over them what the file says. Pure.
//!
//! All mistakes of a file are found in one reading. What near misses were meant to be is guessed here too.

use std::path::Path;
use std::time::Duration;

use super::address::{Destination, OFF, PICKLE_PORT};
use super::ini::{self, Entry, Flaw, Section, excerpt};
use super::keys::{KEYS, keys_of};
use super::limits::{
    ALL_BINS_MAX, ALL_PERCENTILES_MAX, DESTINATIONS_MAX, ENCODINGS_MAX, GUESSED_MAX, MISTAKES_MAX,
    NAMESPACES_MAX,
};
use super::paths;
use super::rules::{self, RULE};
use super::sections::{COPIED, Copied, NAMESPACE, SECTIONS, copied};
use super::value::{Kind as _, Span};
use super::{Carbon, Config, Mistake, Protocol, Takes};
use crate::policy::RULES_MAX;

/// The configuration a file's text makes of the defaults, or every mistake in it, in the order of their lines.
pub fn parse(file: &Path, text: &[u8]) -> Result<Config, Vec<Mistake>> {
    let ini::Document { sections, flaws } = ini::read(text);
    let defaults = Config::with_all_sections();
    let config = defaults.clone();
    let mut reading = Reading { config, defaults, flaws, further: 0, last_rule: 1, last: 1 };
    for section in &sections {
        reading.section(section);
    }
    reading.default_by_style(&sections);
    reading.check_namespaces(&sections);
    reading.check_figures();
    reading.finish(file, &sections)
}

/// Whether a file's text sets a key or has a mistake. A text without either is empty, or was only
/// begun.
pub(super) fn sets_a_key(text: &[u8]) -> bool {
    let ini::Document { sections, flaws } = ini::read(text);
    !flaws.is_empty() || sections.iter().any(|section| !section.entries.is_empty())
}

/// A file half read. Destinations that are off are among the others until the end.
pub(super) struct Reading {
    pub(super) config: Config,
    /// The values that a further section begins with.
    defaults: Config,
    flaws: Vec<Flaw>,
    /// The number of further destinations so far.
    further: usize,
    /// The line of the last rule; `last` is that of the last other section.
    last_rule: usize,
    last: usize,
}

impl Reading {
    fn section(&mut self, section: &Section) {
        if self.flaws.len() > MISTAKES_MAX {
            return; // further mistakes are not reported
        }
        let kind = match kind_of(&section.name) {
            Ok(kind) => kind,
            Err(what) => return self.flaw(section.line, what),
        };
        if kind == RULE {
            return self.rule(section);
        }
        self.last = section.line;
        let nth = match self.nth(&section.name) {
            Ok(nth) => nth,
            Err(what) => return self.flaw(section.line, format!("[{}]: {what}", section.name)),
        };
        for entry in &section.entries {
            if let Err(what) = self.entry(kind, nth, entry) {
                self.flaw(entry.line, format!("[{}] {}: {what}", section.name, entry.key));
            }
        }
        self.check_switch(section, kind);
        match kind {
            "carbon" => {
                let Carbon { reconnect_min, reconnect_max, .. } = self.config.carbons[nth];
                self.check_waits(section, reconnect_min, reconnect_max);
                self.choose_port(section, nth);
            }
            "influxdb" => {
                let influxdb = &mut self.config.influxdbs[nth];
                influxdb.choose_port(section);
                let (min, max) = (influxdb.reconnect_min, influxdb.reconnect_max);
                self.check_waits(section, min, max);
            }
            _ => {}
        }
    }

    fn rule(&mut self, section: &Section) {
        self.last_rule = section.line;
        if self.config.rules.rules.len() == RULES_MAX {
            let what = format!("[{}]: expected at most {RULES_MAX} rules", section.name);
            return self.flaw(section.line, what);
        }
        let (rule, flaws) = rules::read(section);
        self.flaws.extend(flaws);
        self.config.rules.rules.push(rule);
    }

    /// Returns the index of a section among those of its kind, and adds a `[SECTION.NAME]`. Fails
    /// if there are too many.
    fn nth(&mut self, section: &str) -> Result<usize, String> {
        let Some(kind) = section.split_once('.').and_then(|(kind, _)| copied(kind)) else {
            return Ok(0);
        };
        let nth = (kind.count)(&self.config);
        if kind.section == NAMESPACE {
            if nth > NAMESPACES_MAX {
                return Err(format!("expected at most {NAMESPACES_MAX} name spaces"));
            }
        } else if self.further == DESTINATIONS_MAX {
            return Err(format!("expected at most {DESTINATIONS_MAX} further destinations"));
        } else {
            self.further += 1;
        }
        (kind.add)(&mut self.config, &self.defaults, section);
        Ok(nth)
    }

    /// Checks the bounds on figures, which only all rules together can exceed.
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

    /// Checks the number of different encodings. Only destinations that are on count.
    fn check_encodings(&mut self) {
        let mut all = Vec::new();
        for takes in self.config.destinations().map(super::Destination::takes) {
            if matches!(takes, Takes::Flushes(..)) && !all.contains(&takes) {
                all.push(takes);
            }
        }
        if all.len() > ENCODINGS_MAX {
            let found = all.len();
            let what = "different pairs of format and name space among the destinations";
            self.flaw(self.last, format!("expected at most {ENCODINGS_MAX} {what}, not {found}"));
        }
    }

    fn entry(&mut self, kind: &'static str, nth: usize, entry: &Entry) -> Result<(), String> {
        let key = keys_of(kind).find(|key| key.name == entry.key);
        let names = || keys_of(kind).map(|key| key.name).collect::<Vec<_>>();
        let key = key.ok_or_else(|| unknown_key(&names(), &entry.key))?;
        key.set(&mut self.config, nth, &entry.value).map_err(|what| instead(&what, entry))
    }

    /// A further destination that says nowhere to go is a mistake; one that says so with an empty value is off.
    fn check_switch(&mut self, section: &Section, kind: &str) {
        let Section { name, line, .. } = section;
        let Some(Copied { switch, wanted, .. }) = copied(kind) else { return };
        if !switch.is_empty() && name != kind && section.entry(switch).is_none() {
            self.flaw(*line, format!("[{name}] {switch}: expected {wanted}, it has no default"));
        }
    }

    fn check_waits(&mut self, section: &Section, min: Duration, max: Duration) {
        let given = section.entry("reconnect_max").or_else(|| section.entry("reconnect_min"));
        if let Some(entry) = given.filter(|_| max < min) {
            let least = Span(Duration::ZERO).show(&min);
            let expected = format!("expected at least reconnect_min, which is {least}");
            self.flaw(entry.line, format!("[{}] reconnect_max: {expected}", section.name));
        }
    }

    /// What gives no port goes to that of its protocol, and so does the default.
    fn choose_port(&mut self, section: &Section, carbon: usize) {
        let carbon = &mut self.config.carbons[carbon];
        let Carbon { protocol: Protocol::Pickle, .. } = carbon else { return };
        match section.entry("address") {
            Some(entry) => {
                // What cannot be read was complained of.
                let read = Destination(PICKLE_PORT).read(&entry.value);
                carbon.address = read.unwrap_or(OFF);
            }
            None => carbon.address.port = PICKLE_PORT,
        }
    }

    pub(super) fn flaw(&mut self, line: usize, what: String) {
        self.flaws.push(Flaw { line, what });
    }

    fn finish(mut self, file: &Path, sections: &[Section]) -> Result<Config, Vec<Mistake>> {
        COPIED.iter().for_each(|copied| (copied.retain_on)(&mut self.config));
        self.flaws.extend(paths::clashes(&self.config, sections));
        if self.flaws.is_empty() {
            self.check_encodings();
        }
        if self.flaws.is_empty() {
            return Ok(self.config);
        }
        self.flaws.sort_by_key(|flaw| flaw.line);
        if self.flaws.len() > MISTAKES_MAX {
            self.flaws.truncate(MISTAKES_MAX);
            let line = self.flaws.last().map_or(1, |flaw| flaw.line);
            self.flaw(line, format!("there are more mistakes than these {MISTAKES_MAX}"));
        }
        let mistake = |Flaw { line, what }| Mistake { file: file.into(), line, what };
        Err(self.flaws.into_iter().map(mistake).collect())
    }
}

/// The section of the table whose keys a section of the file has.
pub(super) fn kind_of(section: &str) -> Result<&'static str, String> {
    if let Some((kind, _)) = SECTIONS.iter().find(|(kind, _)| *kind == section) {
        return Ok(kind);
    }
    let (kind, name) = section.split_once('.').unwrap_or((section, ""));
    match (copied(kind), name.is_empty()) {
        (Some(Copied { section, .. }), _) if is_nickname(name) => Ok(section),
        (None, false) if kind == RULE && is_nickname(name) => Ok(RULE),
        (None, true) if kind == RULE => {
            Err(format!("[{}]: expected [rule.NAME]", section.escape_debug()))
        }
        (found, _) if found.is_some() || kind == RULE => Err(format!(
            "[{}]: expected 1 to 64 of A-Z, a-z, 0-9, _ and - behind the dot",
            section.escape_debug()
        )),
        (_, true) => Err(unknown_section(section, "", &SECTIONS.map(|(name, _)| name))),
        (_, false) => {
            let named: Vec<_> = COPIED.iter().map(|copied| copied.section).chain([RULE]).collect();
            Err(unknown_section(kind, &section[kind.len()..], &named))
        }
    }
}

fn is_nickname(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// `behind` is the dot and what follows it.
fn unknown_section(section: &str, behind: &str, kinds: &[&'static str]) -> String {
    let [found, behind] = [section, behind].map(str::escape_debug);
    let hint = match nearest(section, kinds.iter().copied()) {
        Some(kind) => format!("did you mean [{kind}{behind}]?"),
        None => format!("expected one of {}", SECTIONS.map(|(name, _)| name).join(", ")),
    };
    format!("[{found}{behind}]: no such section; {hint}")
}

pub(super) fn unknown_key(names: &[&'static str], name: &str) -> String {
    let elsewhere = || KEYS.iter().find(|key| key.name == name).map(|key| key.section);
    let hint = match (nearest(name, names.iter().copied()), elsewhere()) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, Some(section)) => format!("did you mean to give it in [{section}]?"),
        (None, None) => format!("expected one of {}", names.join(", ")),
    };
    format!("no such key; {hint}")
}

/// The candidate that at most a third of the letters, and at least one, keeps from being the wanted word.
pub(super) fn nearest<'a>(
    wanted: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (wanted.len() / 3).max(1);
    // The distance is at least the difference in length, and takes long to compute for long words.
    let may_be_near = |candidate: &&str| {
        wanted.len().max(candidate.len()) <= GUESSED_MAX
            && wanted.len().abs_diff(candidate.len()) <= allowed
    };
    let wanted = wanted.to_ascii_lowercase();
    let distance = |candidate: &&str| strsim::osa_distance(&wanted, candidate);
    let near = candidates.filter(may_be_near).map(|candidate| (distance(&candidate), candidate));
    let nearest = near.min_by_key(|(distance, _)| *distance)?;
    Some(nearest.1).filter(|_| nearest.0 <= allowed)
}

/// What was expected, and what was found.
pub(super) fn instead(expected: &str, entry: &Entry) -> String {
    format!("{expected}, not {}", excerpt(&entry.value))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Tcp;
    use super::*;
    use crate::protocol::{Dialect, Dialects};

    pub(in super::super) fn config(text: &str) -> Config {
        parse(Path::new("t.conf"), text.as_bytes()).unwrap()
    }

    pub(in super::super) fn mistakes(text: &str) -> Vec<String> {
        let found = parse(Path::new("t.conf"), text.as_bytes()).expect_err(text);
        found.iter().map(Mistake::to_string).collect()
    }

    #[test]
    fn no_text_is_the_defaults() {
        let Config { grammar, bounds, namespaces, carbons, .. } = config("");
        assert_eq!(grammar, Default::default());
        assert_eq!(bounds, Default::default());
        assert_eq!(namespaces, [Default::default()]);
        assert_eq!(carbons.len(), 1);
    }

    #[test]
    fn a_file_overrides_what_it_names() {
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
    fn further_carbons_come_behind_the_first_with_the_defaults_of_the_table() {
        let text = "[carbon.b]\naddress = b\n[carbon]\nqueue = 1m\n[carbon.a]\naddress = a:1\n";
        let named: Vec<_> =
            config(text).carbons.into_iter().map(|carbon| (carbon.name, carbon.queue)).collect();
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
    fn a_carbon_without_an_address_is_off() {
        assert_eq!(config("[carbon]\naddress = # off\n[carbon.x]\naddress =\n").carbons, []);
        assert_eq!(
            mistakes("\n[carbon.x]\nqueue = 1m\n"),
            ["t.conf:2: [carbon.x] address: expected host[:port], it has no default"]
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
                "t.conf:4: [tcp] max_line: expected a size such as 64k, 16m or 1g, from 64 to 1m, not \"1\"",
                "t.conf:5: expected `key = value` or `[section]`",
                "t.conf:7: [admin] health: expected one of up, down, not \"good\"",
                "t.conf:9: [tcp] max_line: given twice, first in line 4",
            ]
        );
    }

    #[test]
    fn what_does_not_exist_is_a_mistake_with_a_guess() {
        for (text, expected) in [
            ("[statd]", "1: [statd]: no such section; did you mean [statsd]?"),
            ("[Carbon]", "1: [Carbon]: no such section; did you mean [carbon]?"),
            ("[cabron.a]", "1: [cabron.a]: no such section; did you mean [carbon.a]?"),
            ("[udp.a]", "1: [udp.a]: no such section; expected one of statsd, namespace, "),
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
                "no such key; expected one of bind, max_connections, idle_timeout, max_line",
            ),
            ("[carbon]\nprotokoll = pickle", "no such key; did you mean protocol?"),
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
    fn the_port_is_that_of_the_protocol_unless_it_is_given() {
        for (text, port) in [
            ("[carbon]\nprotocol = pickle", 2004),
            ("[carbon]\naddress = a\nprotocol = pickle", 2004),
            ("[carbon]\nprotocol = pickle\naddress = a:2003", 2003),
            ("[carbon]\naddress = a\nprotocol = plaintext", 2003),
        ] {
            assert_eq!(config(text).carbons[0].address.port, port, "{text}");
        }
        let wrong = mistakes("[carbon]\nprotocol = pickle\naddress = :1");
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }

    #[test]
    fn messages_quote_values_short_and_printable() {
        let text = format!("[tcp]\nmax_line = \u{1b}{}", "x".repeat(100));
        let quoted = format!("not \"\\u{{1b}}{}\"...", "x".repeat(59));
        assert!(mistakes(&text)[0].ends_with(&quoted), "{:?}", mistakes(&text));
    }
}
