//! [`recognised`]: finds out that a file is the configuration of another program. One message then
//! replaces a hundred mistakes. Pure.
//!
//! `parse` calls it only if the file has mistakes. So a valid `statsd.conf` is never taken for the
//! file of another program.

use super::ini::Flaw;
use super::sections::{COPIED, RULE, SECTIONS};
use super::setting_place::SettingPlace;

/// A program whose configurations are recognised.
#[derive(Clone, Copy)]
struct Program {
    /// The program and the form of its file.
    name: &'static str,
    /// `docs/migrating.md` has its keys.
    has_table: bool,
}

const NODE: Program = program("Node StatsD (JavaScript)", true);
const STATSITE: Program = program("statsite", true);
const TELEGRAF: Program = program("telegraf (TOML)", true);
const BRUBECK: Program = program("brubeck (JSON)", false);
const GOSTATSD: Program = program("gostatsd (TOML)", false);
const EXPORTER: Program = program("statsd_exporter (YAML)", false);
const DATADOG: Program = program("the Datadog agent (YAML)", false);
const OPENTELEMETRY: Program = program("the OpenTelemetry collector (YAML)", false);
const VECTOR: Program = program("Vector", false);
const COLLECTD: Program = program("collectd", false);
const CARBON: Program = program("carbon", false);
const JSON: Program = program("some program in JSON or JavaScript", false);
const TOML: Program = program("some program in TOML", false);
const YAML: Program = program("some program in YAML", false);

const fn program(name: &'static str, has_table: bool) -> Program {
    Program { name, has_table }
}

/// Returns the one mistake of a file that is written for another program. Returns `None` if the
/// text may be meant for this server.
pub(super) fn recognised(text: &[u8]) -> Option<Flaw> {
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (line, Program { name, has_table }) = object(text).or_else(|| lines(text))?;
    let more = if has_table {
        "docs/migrating.md has the key to write for each of its keys"
    } else {
        "docs/migrating.md is about moving from other servers"
    };
    let what = format!(
        "this is a configuration of {name}, not of this server; {more}, and \
         `statsd --print-config=example` prints a statsd.conf"
    );
    Some(Flaw { place: SettingPlace::Line(line), what })
}

/// Recognises a file that is an object of JavaScript or JSON. Returns the line of its brace.
fn object(text: &str) -> Option<(usize, Program)> {
    let rest = without_comments(text);
    let assigned = rest.strip_prefix("module.exports").unwrap_or(rest);
    let assigned = assigned.trim_start().strip_prefix('=').unwrap_or(assigned);
    if !assigned.trim_start().starts_with(['{', '(']) {
        return None;
    }
    let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
    let has = |keys: &[&str]| keys.iter().any(|key| assigned.contains(key));
    let program = if has(&["samplers", "dumpfile"]) {
        BRUBECK
    } else if has(&NODE_KEYS) {
        NODE
    } else {
        JSON
    };
    Some((line, program))
}

/// Keys of Node's configuration. Nearly every such file has at least one of them.
const NODE_KEYS: [&str; 12] = [
    "graphiteHost",
    "graphitePort",
    "backends",
    "flushInterval",
    "percentThreshold",
    "mgmt_port",
    "mgmt_address",
    "deleteIdleStats",
    "repeater",
    "servers",
    "dumpMessages",
    "port",
];

/// Returns the text after white space and comments of JavaScript.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("//") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

/// Recognises a file by its lines. Returns the first line that shows it.
fn lines(text: &str) -> Option<(usize, Program)> {
    let mut found = None;
    for (number, raw) in (1..).zip(text.lines()) {
        let line = raw.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if is_own_header(line) {
            return None;
        }
        // Only keys without an indent name the program. The keys below them may be the same in the
        // files of several programs.
        if found.is_none() && raw.starts_with(|first: char| !first.is_whitespace()) {
            found = program_of(line).map(|program| (number, program));
        }
    }
    found
}

/// Whether a line opens a section that this server has. `[statsd]` does not count: carbon's files
/// may have a section of that name.
fn is_own_header(line: &str) -> bool {
    let header = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let Some((name, _)) = header else { return false };
    let kind = name.trim().split('.').next().unwrap_or_default();
    let is_known = SECTIONS.contains(&kind) || COPIED.contains(&kind) || kind == RULE;
    is_known && kind != "statsd"
}

/// Returns the program whose configurations have such a line. Returns `None` if several may have
/// it.
fn program_of(line: &str) -> Option<Program> {
    let starts = |starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
    let key = line.split(['=', ':']).next().unwrap_or_default().trim();
    Some(match key {
        _ if line == "[statsite]" => STATSITE,
        _ if starts(&["[[inputs.", "[[outputs.", "[[processors.", "[[aggregators.", "[agent]"]) => {
            TELEGRAF
        }
        _ if starts(&["[sources.", "[sinks.", "[transforms."]) => VECTOR,
        _ if starts(&["[["]) => TOML,
        _ if starts(&["<Plugin", "LoadPlugin "]) => COLLECTD,
        _ if starts(&["[cache]", "[relay]", "[aggregator]"]) => CARBON,
        "retentions" | "aggregationMethod" | "xFilesFactor" => CARBON,
        "metrics-addr" | "flush-interval" | "percent-threshold" | "max-workers" => GOSTATSD,
        _ if line.contains('=') => return None,
        "mappings" | "defaults" => EXPORTER,
        "receivers" | "exporters" | "processors" => OPENTELEMETRY,
        "dogstatsd_port" | "use_dogstatsd" | "api_key" | "dd_url" => DATADOG,
        "sources" | "sinks" | "transforms" => VECTOR,
        _ if line == "---" => YAML,
        key if key.len() < line.len() && is_word(key) => YAML,
        _ => return None,
    })
}

fn is_word(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::mistakes;

    #[track_caller]
    fn is_of(text: &str, line: usize, program: &str) {
        let found = mistakes(text);
        let expected = format!("t.conf:{line}: this is a configuration of {program}, not of this");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{text}: {found:#?}");
        assert!(found[0].contains("docs/migrating.md") && !found[0].contains('\n'), "{found:?}");
    }

    #[test]
    fn configurations_of_other_servers_are_recognised_in_one_line() {
        let node = "/*\n\n  graphiteHost: a\n*/\n// mine\n{\n  graphitePort: 2003\n, port: 8125\n\
                    , backends: [ \"./backends/graphite\" ]\n}\n";
        is_of(node, 6, "Node StatsD (JavaScript)");
        is_of("{flushInterval: 10000}", 1, "Node StatsD (JavaScript)");
        is_of("module.exports = {\n graphiteHost: 'a' }", 1, "Node StatsD (JavaScript)");
        is_of("{\n  \"backends\": [], \"samplers\": [] }", 1, "brubeck (JSON)");
        is_of("{ \"a\": 1 }", 1, "some program in JSON or JavaScript");
        let statsite = "# mine\n[statsite]\nport = 8125\nstream_cmd = cat\n[histogram1]\nprefix=api\n\
                        min=0\n";
        is_of(statsite, 2, "statsite");
        let telegraf =
            "[agent]\n  interval = \"10s\"\n[[inputs.statsd]]\n  service_address = \":8125\"\n";
        is_of(telegraf, 1, "telegraf (TOML)");
        is_of("[[inputs.statsd]]\n", 1, "telegraf (TOML)");
        is_of("mappings:\n- match: a.*\n  name: b\n", 1, "statsd_exporter (YAML)");
        is_of("---\na: 1\n", 1, "some program in YAML");
        is_of("receivers:\n  statsd:\n    endpoint: a\n", 1, "the OpenTelemetry collector (YAML)");
        is_of("dogstatsd_port: 8125\n", 1, "the Datadog agent (YAML)");
        is_of("[sources.statsd]\ntype = \"statsd\"\n", 1, "Vector");
        is_of("backends = ['graphite']\nflush-interval = '10s'\n", 2, "gostatsd (TOML)");
        is_of("LoadPlugin statsd\n<Plugin statsd>\n</Plugin>\n", 1, "collectd");
        is_of("[statsd]\npattern = ^stats\nretentions = 10s:1d\n", 3, "carbon");
        is_of("[cache]\nLINE_RECEIVER_PORT = 2003\n", 1, "carbon");
    }

    #[test]
    fn mistakes_of_a_file_of_ours_are_all_reported() {
        for (text, count) in [
            ("[statsite]\nport = 1\n[carbon]\nhost = a\n", 2),
            ("[statsd]\nport = 1\nquantiles = 1\n", 2),
            ("flush_interval = 10s\n", 1),
            ("nonsense\n{\n", 2),
            ("[statsd]\nretention = 1\nfoo bar\n", 2),
        ] {
            let found = mistakes(text);
            assert_eq!(found.len(), count, "{text}: {found:#?}");
            assert!(!found[0].contains("this is a configuration of"), "{found:?}");
        }
    }
}
