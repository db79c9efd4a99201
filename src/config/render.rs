//! Settings as a `statsd.conf`: the ones in force, and the example, which is also the manual. Pure.

use super::destination::DestinationKind;
use super::ini::takes_rest_of_line;
use super::keys::keys_of;
use super::model::Config;
use super::rules;
use super::sections::{SECTIONS, indices, switch};

/// Returns the settings as a file that makes the same settings when it is read.
pub fn render(config: &Config) -> String {
    let mut blocks = Vec::new();
    for (section, _) in SECTIONS {
        let headers = indices(section, config);
        if let Some(switch) = switch(section)
            && headers.iter().all(|(header, _)| header != section)
        {
            blocks.push(format!("[{section}]\n{} =\n", switch.key));
        }
        let copies = headers.iter().map(|(header, at)| block(config, section, header, *at));
        blocks.extend(copies);
    }
    blocks.extend(config.rules.rules.iter().map(rules::render));
    blocks.join("\n")
}

/// Returns the same with passwords masked.
pub fn render_masked(config: &Config) -> String {
    let mut masked = config.clone();
    for destination in &mut masked.destinations {
        if let DestinationKind::Influxdb(influxdb) = &mut destination.kind
            && !influxdb.password.is_empty()
        {
            influxdb.password = MASK.into();
        }
    }
    render(&masked)
}

/// Shown in place of a password.
const MASK: &str = "***";

fn block(config: &Config, section: &str, header: &str, at: usize) -> String {
    let entries = keys_of(section).map(|key| {
        let value = key.get(config, at);
        let is_raw = takes_rest_of_line(section, key.name);
        let value = if is_raw { value } else { quoted(value) };
        let entry = format!("{} = {value}", key.name);
        format!("{}\n", entry.trim_end())
    });
    format!("[{header}]\n{}", entries.collect::<String>())
}

/// Returns a value as a file has to write it. Only passwords need quotes. No other value holds a
/// `#`, a `;` or a double quote.
fn quoted(value: String) -> String {
    let is_plain = !value.contains(['"', '#', ';']) && value.trim() == value;
    if is_plain {
        return value;
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Every key with its default and what it is for.
pub fn example() -> String {
    let mut text = String::from(PREFACE);
    for (section, doc) in SECTIONS {
        text.push('\n');
        text.push_str(&explained(&format!("[{section}]"), doc));
        for (key, used) in
            keys_of(section).filter_map(|key| key.use_in(section).map(|used| (key, used)))
        {
            text.push_str(&explained(&format!("{} = {}", key.name, used.default), used.doc));
        }
    }
    text.push_str(AFTERWORD);
    text.push_str(&rules::example(explained));
    text
}

const PREFACE: &str = "\
# statsd.conf: every section and key with its default value. What is left out, or a file that is missing, means the same.
# It is looked for in the working directory, then in /etc; -c FILE names another.
#
# Comments start with # or ; at the start of a line, or after white space behind a value.
# A value may stand in double quotes, in which nothing is a comment (\\\" and \\\\ are escapes).
# Durations: 10s, 500ms, 2m, 1h (a bare number is seconds). Sizes: 64k, 16m, 1g (powers of 1024).
# Booleans: yes/no, true/false, on/off, 1/0. Lists are separated by commas.
# An unknown section or key, a repeated key or a value out of range is an error that names file, line, key and what was
# expected; all errors of a file are reported at once. `statsd --check` looks for them without starting.
";

const AFTERWORD: &str = "
# A further destination, sent the same as [carbon]. NAME is of A-Z, a-z, 0-9, _ and -. It has the keys of [carbon] with
# the defaults above, whatever [carbon] itself is set to, but needs an address of its own.
# [carbon.NAME]
# address = graphite2.example.org:2003
# namespace = new

# A further style, for the destinations with `namespace = NAME`: two at once, while dashboards move from one to the other.
# [namespace.new]
# style = modern
";

/// The column at which the comment of a line begins.
const COMMENT_COLUMN: usize = 33;

fn explained(text: &str, doc: &str) -> String {
    let line = match doc {
        "" => text.into(),
        doc => format!("{text:<COMMENT_COLUMN$} # {doc}"),
    };
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;
    use super::*;

    fn read_again(text: &str) -> Config {
        parse(Path::new("rendered"), text.as_bytes()).expect(text)
    }

    #[test]
    fn what_is_rendered_reads_the_same() {
        for text in [
            "",
            "[statsd]\nflush_interval = 90\npercentiles = 50, 99.9, -10\ntag_formats =\nlog_level = trace",
            "[namespace]\nstyle = modern\nglobal_prefix =\nflush_counts = off\nprefix_gauge = \"a.b\"",
            "[udp]\nbind = *:1, localhost:2, 10.0.0.1:3, [::1]:4\nrecv_buffer = 5000",
            "[tcp]\nbind =\nidle_timeout = 0\nmax_connections = 9\n[admin]\nhealth = down",
            "[statsd]\ndelete_idle = yes\ndelete_sets = no\nexpire = 1h\ntimer_metrics = histogram, count_percent",
            "[rule.b]\nmatch = *a?, b\ndrop = yes\nexpire = 0\npercentiles =\nhistogram = 0:1:0.5\n\
             [rule.a]\nmatch = x\nhistogram =\ntimer_metrics =\nsigned_gauges = absolute\ndelete_idle = no",
            "[carbon]\naddress =",
            "[key_flush]\ninterval = 90\npercent = 10\nlog = /tmp/a b.log",
            "[namespace]\nstyle = statsite\nextended_counters = yes\n[carbon]\nnamespace = a\n[namespace.a]\nprefix_kv =",
            "[influxdb]\naddress = a\ndatabase = \" a;b \"\npassword = \" #\\\\;\\\" \"\n[influxdb.b]\naddress =",
            "[carbon]\naddress =\n[carbon.b]\naddress = [::1]\nresend = none\n[carbon.a]\naddress = a",
        ] {
            let config = read_again(text);
            assert_eq!(read_again(&render(&config)), config, "{text}");
        }
    }

    #[test]
    fn passwords_can_be_masked() {
        let config =
            read_again("[influxdb]\naddress = a\npassword = hush\n[influxdb.b]\naddress = b");
        let text = render_masked(&config);
        assert!(text.contains("\npassword = ***\n") && text.contains("\npassword =\n"), "{text}");
        assert!(!text.contains("hush") && render(&config).contains("\npassword = hush\n"));
        read_again(&text);
    }

    #[test]
    fn the_example_reads_as_the_defaults() {
        assert_eq!(read_again(&example()), Config::default());
    }

    #[test]
    fn the_example_in_the_repository_is_the_one_made_here() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/statsd.conf.example");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, example()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == example(), "{path} is stale: run UPDATE=1 cargo test");
    }
}
