//! Makes `statsd.conf.example`, which is the manual: a chapter for each section, and a text for
//! each key of the table. Only tests compile this folder. The server has the file itself,
//! compressed.
//!
//! The texts are not in the table, because the table would be hard to read with them. A text is a
//! doc comment above the keys that it explains. After a change here, `UPDATE=1 cargo test --lib
//! manual` writes `statsd.conf.example` again.
//!
//! Sections and keys have the same order here and in the table: common ones first. A test compares
//! them, so a key without a text cannot be forgotten.

mod chapter;
mod destinations;
mod general;

use std::path::Path;

use chapter::{Chapter, ExampleLine, is_key};

use super::example;
use super::key::{Applies, Key};
use super::keys::keys_of;
use super::parse::tests::config;
use super::sections::{RULE, SECTIONS};

/// All chapters, in the order of the example. Rules come after what the server listens to, because
/// they are about names that arrive.
const CHAPTERS: [&Chapter; 16] = [
    &general::STATSD,
    &destinations::CARBON,
    &general::NAMESPACE,
    &general::UDP,
    &general::TCP,
    &general::UNIX,
    &general::ADMIN,
    &general::RULE,
    &general::SPOOL,
    &general::LIMITS,
    &destinations::CONSOLE,
    &destinations::INFLUXDB,
    &destinations::EXEC,
    &destinations::GANGLIA,
    &destinations::REPEATER,
    &general::KEY_FLUSH,
];

/// The head of the file.
const PREFACE: &str = "\
# statsd.conf: every section and key of the server, with its default value.
#
# A key that is left out has the value shown here. The sections and keys that most people change
# come first. `statsd --print-config=example` prints this file.
#
# The server reads the file named by -c, else ./statsd.conf, else /etc/statsd.conf, else it takes
# the defaults. `statsd --check` reports mistakes, warns about values that are legal and probably
# wrong, and tries what a start would do. `statsd --print-config` prints all settings in use.
#
# How to write values
#   Comment    # or ; at the start of a line, or after white space that follows a value.
#   Text       Double quotes keep # and ; in a value. Inside quotes, \\\" and \\\\ are escapes.
#   Duration   10s, 500ms, 2m, 1h, 7d, or 10 sec, 2 minutes, 0.5 hours. In whole milliseconds. A
#              bare number is seconds. At most a year. Where 0 means never, never and off may
#              be written, too.
#   Size       64k, 16m, 1.5g, or 64KB, 16 MiB, 1 GB, always in powers of 1024. A bare number is
#              bytes.
#   Number     1000000 or 1_000_000. A share of 0.01 may be 1%, a percentile of 99 also 99% or p99.
#   Word       One of those listed at the key, in capital or small letters: INFO is info.
#   Boolean    yes or no, true or false, on or off, 1 or 0, in capital or small letters.
#   List       Elements are separated by commas. No element may be listed twice.
#   Address    host, host:port, [IPv6] or [IPv6]:port. A host name is looked up again before each
#              attempt to connect, and every minute for UDP. A look-up never blocks the server.
#   NAME       In [carbon.NAME] and the like: 1 to 64 of A-Z, a-z, 0-9, _ and -.
#
# A line such as #match = api.** has no space after its #. It shows a setting that is off. Remove
# the # to turn it on.
#
# An unknown section or key, a repeated key or a value out of range is a mistake. The message names
# the file, the line, the key and what was expected. At most 50 mistakes are reported at once. A
# server does not start with a file that has mistakes.
#
# On SIGHUP the server reads the file again. Either all of it applies, between two flushes, or
# nothing changes and the log shows why. A few keys are applied at the next start only; their
# comments say so. A file has at most 512 KiB, and 128 KiB without its comments.
";

/// Returns the file: every section and key, its default and its text.
fn made() -> String {
    let mut text = String::from(PREFACE);
    for chapter in CHAPTERS {
        let section = chapter.section;
        text += &if section == RULE {
            let line =
                |setting: &str| ExampleLine { text: format!("#{setting}"), needs_restart: false };
            chapter.render("#[rule.latency]", &line)
        } else {
            chapter.render(&format!("[{section}]"), &|name| default_line(section, name))
        };
    }
    text
}

/// Returns the line of a key with its default.
fn default_line(section: &str, name: &str) -> ExampleLine {
    let key = keys_of(section).find(|key| key.name == name);
    let text = |key: &Key| {
        let value = if key.is_derived() { "" } else { key.default_in(section) };
        format!("{name} = {value}").trim_end().into()
    };
    ExampleLine {
        text: key.map_or_else(String::new, text),
        needs_restart: key.is_some_and(|key| key.applies == Applies::Restart),
    }
}

/// The server has the file as it was when it was compiled, so both are compared.
#[test]
fn the_example_in_the_repository_and_in_the_server_is_the_one_made_here() {
    let made = made();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("statsd.conf.example");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let is_stale = "statsd.conf.example is stale: run UPDATE=1 cargo test --lib manual";
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == made, "{is_stale}");
    assert!(example() == made, "build.rs has not compressed statsd.conf.example again");
}

#[test]
fn each_section_and_key_has_a_text_in_the_order_of_the_table() {
    let chapters = || CHAPTERS.iter().filter(|chapter| chapter.section != RULE);
    let sections: Vec<_> = chapters().map(|chapter| chapter.section).collect();
    assert_eq!(sections, SECTIONS);
    for chapter in chapters() {
        let explained: Vec<_> = chapter.keys.lines().filter(|line| is_key(line)).collect();
        let keys: Vec<_> = keys_of(chapter.section).map(|key| key.name).collect();
        assert_eq!(explained, keys, "[{}]", chapter.section);
    }
}

#[test]
fn every_key_stands_under_a_text() {
    for chapter in CHAPTERS {
        assert!(chapter.about.starts_with("# ["), "[{}]", chapter.section);
        for of_key in chapter.keys.trim_start().split("\n\n") {
            assert!(of_key.starts_with("# "), "[{}] {of_key}", chapter.section);
        }
    }
}

#[test]
fn the_manual_is_wrapped_at_100_columns() {
    for line in made().lines() {
        assert!(line.len() <= 100 && line.trim_end() == line, "{line}");
    }
}

#[test]
fn the_settings_that_are_off_in_the_example_can_be_turned_on() {
    let turned_on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| !" #=".contains(first)) => {
            format!("{setting}\n")
        }
        _ => format!("{line}\n"),
    };
    let config = config(&made().lines().map(turned_on).collect::<String>());
    let [rule] = &config.rules.rules[..] else { panic!("{:?}", config.rules) };
    assert_eq!((rule.matches.len(), rule.histogram.as_ref().map(Vec::len)), (2, Some(4)));
    assert!(rule.signed_gauges.is_some() && rule.expire.is_some() && rule.drop.is_some());
    assert!(rule.percentiles.is_some() && rule.timer_metrics.is_some());
    let names: Vec<_> = config.namespaces.iter().map(|space| space.name.as_str()).collect();
    assert_eq!(names, ["", "new"]);
    let second = config.active_destinations().find(|to| to.name == "carbon.second");
    assert_eq!(second.map(|to| to.namespace.as_str()), Some("new"));
}
