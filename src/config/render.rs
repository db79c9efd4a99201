//! Prints settings as a `statsd.conf`: the current ones, and the example, which is also the manual.
//! Pure.

use super::destination::DestinationKind;
use super::ini::{quoted, takes_rest_of_line};
use super::keys::keys_of;
use super::load::Origin;
use super::model::Config;
use super::rules;
use super::sections::{SECTIONS, indices, switch};
use crate::gzip;

/// Returns the settings as the text of a file. If the file is read, it gives the same settings.
pub fn render(config: &Config) -> String {
    let mut blocks = Vec::new();
    for section in SECTIONS {
        let headers = indices(section, config);
        // A destination that is off was removed. Without its section, the file would turn it on
        // again if it is on by default.
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

/// Returns the same as [`render`], with a remark beside each key that is set: `# statsd.conf:3`, or
/// the variable or option that sets it. A key without a remark has its default.
pub fn render_with_places(config: &Config, origin: &Origin) -> String {
    let mut text = String::new();
    let mut header = "";
    let rendered = render(config);
    for line in rendered.lines() {
        if let Some(name) = line.strip_prefix('[') {
            header = name.trim_end_matches(']');
        }
        let key = line.split(" =").next().unwrap_or_default();
        let is_derived = keys_of(header.split('.').next().unwrap_or_default())
            .any(|known| known.name == key && known.is_derived());
        let place = match origin.given().entry(header, key) {
            Some(entry) if !is_derived || !entry.value.is_empty() => {
                Some(origin.place(header, key))
            }
            _ if is_derived => Some(String::from("derived from [limits] max_memory")),
            _ => None,
        };
        text += &match place {
            // The remark would be a part of the command.
            Some(place) if takes_rest_of_line(header, key) && !line.ends_with('=') => {
                format!("# {place}\n{line}\n")
            }
            Some(place) => format!("{line:REMARKS_AT$}  # {place}\n"),
            None => format!("{line}\n"),
        };
    }
    text
}

/// The column at which remarks stand, so that most of them are below each other.
const REMARKS_AT: usize = 40;

/// Returns the same as [`render`], with passwords masked. For the admin port, which has no login.
pub fn render_masked(config: &Config) -> String {
    let mut masked = config.clone();
    for destination in &mut masked.destinations {
        if let DestinationKind::Influxdb(influxdb) = &mut destination.kind {
            for secret in [&mut influxdb.password.given, &mut influxdb.token.given] {
                if !secret.is_empty() {
                    *secret = MASK.into();
                }
            }
        }
    }
    render(&masked)
}

/// Shown in place of a password.
const MASK: &str = "***";

/// Returns one section with all its keys.
fn block(config: &Config, section: &str, header: &str, at: usize) -> String {
    let entries =
        keys_of(section).map(|key| line_of(section, key.name, &key.get(config, at)) + "\n");
    format!("[{header}]\n{}", entries.collect::<String>())
}

/// Returns the line that sets a key of a section, without its newline.
pub(crate) fn line_of(section: &str, key: &str, value: &str) -> String {
    let is_raw = takes_rest_of_line(section, key);
    let value = if is_raw { value.to_owned() } else { quoted(value.to_owned()) };
    format!("{key} = {value}").trim_end().to_owned()
}

/// Returns the manual: a configuration with every section and key, its default and an explanation.
///
/// It is the file `statsd.conf.example`, which `build.rs` has compressed. The tests of `manual`
/// write that file.
pub fn example() -> String {
    let file = gzip::inflated(include_bytes!(concat!(env!("OUT_DIR"), "/statsd.conf.example")));
    String::from_utf8(file).unwrap_or_default() // a test shows that it is text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::overrides::Overrides;
    use super::super::parse;
    use super::super::parse::parse_with_places;
    use super::*;

    fn read_again(text: &str) -> Config {
        parse(Path::new("rendered"), text.as_bytes()).expect(text)
    }

    #[test]
    fn a_rendered_configuration_reads_the_same() {
        for text in [
            "",
            "[statsd]\nflush_interval = 90\npercentiles = 50, 99.9, -10\ntag_formats =\nlog_level = trace",
            "[namespace]\nstyle = modern\nglobal_prefix =\nflush_counts = off\nprefix_gauge = \"a.b\"",
            "[udp]\nbind = *:1, localhost:2, 10.0.0.1:3, [::1]:4\nrecv_buffer = 5000",
            "[tcp]\nbind =\nidle_timeout = 0\nmax_connections = 9\n[admin]\nhealth = down",
            "[statsd]\ndelete_idle = yes\ndelete_sets = no\nexpire = 1h\ntimer_metrics = histogram, count_percent",
            "[rule.b]\nmatch = *a?, b\ndrop = yes\nexpire = 0\npercentiles =\nhistogram = 0:1:0.5\n\
             [rule.m]\nmatch = x.*\nmatch_regex = \"(a#;|[\\\"b]{1,3}) \"\nmatch_tags = a, b=c*\n\
             name = $0.${1}\ntags = k=$1-x, l=1\ndrop_tags = **\nkeep_tags =\n\
             rename_tag = a=b, c=d\nmax_tag_values = 100, user=5\n\
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
    fn each_key_that_is_set_has_the_place_where_it_is_set() {
        let text = "[udp]\nbind = *:1\n[exec]\ncommand = cat # \"x\"\n[rule.a]\nmatch_regex = \"a#\"\n\
                    [influxdb]\naddress = a\npassword = \"a # b\"\n";
        let options = ["statsd.percentiles=50".into()];
        let overrides = Overrides::new([], &options).unwrap();
        let path = Path::new("t.conf");
        let (config, given) = parse_with_places(path, text.as_bytes(), &overrides).unwrap();
        let text = render_with_places(&config, &Origin::new(path, overrides, given));
        for (setting, place) in [
            ("bind = *:1", "t.conf:2"),
            ("match_regex = \"a#\"", "t.conf:6"),
            ("password = \"a # b\"", "t.conf:9"),
            ("percentiles = 50", "-o statsd.percentiles"),
        ] {
            let line = format!("\n{setting:REMARKS_AT$}  # {place}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        for lines in ["\n# t.conf:4\ncommand = cat # \"x\"\n", "\nflush_interval = 10s\n"] {
            assert!(text.contains(lines), "{lines}{text}");
        }
        assert_eq!(read_again(&text), config);
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
}
