//! Finds out that a file is the configuration of another program. One message then replaces a
//! hundred mistakes. Pure.
//!
//! `parse` calls it only if the file has mistakes. So a valid `statsd.conf` is never taken for
//! the file of another program.

use std::path::Path;

use super::ini::{Flaw, SettingPlace};
use super::sections::{COPIED, RULE, SECTIONS};

/// A server whose configurations are recognised, and whether they can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignServer {
    Node,
    Statsite,
    Statsdpy,
    Brubeck,
    Telegraf,
    Gostatsd,
    Exporter,
    /// A program, or a form of files, that is not imported.
    Other(&'static str),
}

/// A program whose configurations are recognised.
#[derive(Clone, Copy)]
struct Program {
    /// The program and the form of its file.
    name: &'static str,
    server: ForeignServer,
}

const NODE: Program = program("Node StatsD (JavaScript)", ForeignServer::Node);
const STATSITE: Program = program("statsite", ForeignServer::Statsite);
const STATSDPY: Program = program("statsdpy", ForeignServer::Statsdpy);
const TELEGRAF: Program = program("telegraf (TOML)", ForeignServer::Telegraf);
const BRUBECK: Program = program("brubeck (JSON)", ForeignServer::Brubeck);
const GOSTATSD: Program = program("gostatsd (TOML)", ForeignServer::Gostatsd);
const EXPORTER: Program = program("statsd_exporter (YAML)", ForeignServer::Exporter);
const DATADOG: Program = other("the Datadog agent (YAML)");
const OPENTELEMETRY: Program = other("the OpenTelemetry collector (YAML)");
const VECTOR: Program = other("Vector");
const COLLECTD: Program = other("collectd");
const CARBON: Program = other("carbon");
const NODE_PROXY: Program = other("the cluster proxy of Node StatsD");
const JSON: Program = other("some program in JSON or JavaScript");
const TOML: Program = other("some program in TOML");
const YAML: Program = other("some program in YAML");

const fn program(name: &'static str, server: ForeignServer) -> Program {
    Program { name, server }
}

const fn other(name: &'static str) -> Program {
    program(name, ForeignServer::Other(name))
}

/// Returns the server that a text is a configuration of. Returns `None` if it may be any file.
///
/// The text was found not to be meant for this server. So a section that this server has,
/// too, shows nothing. A line that any program may have counts only if no other line is clearer.
pub(crate) fn foreign_server(text: &str) -> Option<ForeignServer> {
    let found = find_object(text).map(|(_, program)| program).or_else(|| {
        let mut found = contents(text).filter_map(|(_, line)| program_of(line));
        let is_clear = |program: &Program| !matches!(program.server, ForeignServer::Other(_));
        found.clone().find(is_clear).or_else(|| found.next())
    });
    found.map(|program| program.server)
}

/// Returns the one mistake of a file that is written for another program. Returns `None` if the
/// text may be meant for this server.
pub(super) fn flaw_of_foreign_file(file: &Path, text: &[u8]) -> Option<Flaw> {
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (line, Program { name, server }) = find_object(text).or_else(|| find_lines(text))?;
    let next = match server {
        ForeignServer::Other(_) => "`statsd --print-config=example` prints a statsd.conf".into(),
        _ => format!("`statsd --import {}` prints a statsd.conf made from it", file.display()),
    };
    let what = format!(
        "this is a configuration of {name}, not of this server; {next}, and docs/migrating.md is \
         about moving from other servers"
    );
    Some(Flaw { place: SettingPlace::Line(line), what })
}

/// Recognises a file that is an object of JavaScript or JSON. Returns the line of its brace.
fn find_object(text: &str) -> Option<(usize, Program)> {
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
    } else if has(&["adminport"]) && !has(&NODE_KEYS[..5]) {
        NODE_PROXY
    } else if has(&NODE_KEYS) {
        NODE
    } else {
        JSON
    };
    Some((line, program))
}

/// Keys of Node's configuration. Nearly every such file has at least one of them. The cluster proxy
/// has none of the first five.
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
fn find_lines(text: &str) -> Option<(usize, Program)> {
    let of_line = |(number, line)| program_of(line).map(|program| (number, program));
    // Files of several programs begin with the line `---`.
    let (number, program) = contents(text).filter(|(_, line)| *line != "---").find_map(of_line)?;
    let is_meant = match program.server {
        // Its keys stand before all sections, of which some have names of this server's. A file of
        // sections alone is one of TOML if the values have quotes.
        ForeignServer::Gostatsd => {
            let is_first_header =
                contents(text).next().is_none_or(|(_, first)| first.starts_with('['));
            is_first_header && !has_quoted_value(text)
        }
        ForeignServer::Statsdpy => contents(text).all(|(_, line)| line != "[main]"),
        _ => text.lines().any(|line| is_own_header(line.trim())),
    };
    (!is_meant).then_some((number, program))
}

/// Whether a value is in quotes, as texts are in TOML.
fn has_quoted_value(text: &str) -> bool {
    let values = text.lines().filter_map(|line| line.split_once('='));
    values.into_iter().any(|(_, value)| value.trim_start().starts_with(['"', '\'']))
}

/// Returns the lines with content that have no indent, with their numbers. The keys below them may
/// be the same in the files of several programs.
fn contents(text: &str) -> impl Iterator<Item = (usize, &str)> + Clone {
    let is_content = |raw: &str| {
        raw.starts_with(|first: char| !first.is_whitespace() && first != '#' && first != ';')
    };
    let lines = (1..).zip(text.lines());
    lines.filter(move |(_, raw)| is_content(raw)).map(|(number, raw)| (number, raw.trim()))
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
    // TOML allows blanks and quotes in a header: `[[ inputs . "statsd" ]]`.
    let header;
    let line = if line.starts_with('[') {
        header = line.replace([' ', '\t', '"', '\''], "");
        header.as_str()
    } else {
        line
    };
    let starts = |starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
    let key = line.split(['=', ':']).next().unwrap_or_default().trim();
    let is_assigned = line.find(['=', ':']).is_some_and(|at| line[at..].starts_with('='));
    Some(match key {
        _ if starts(&["[statsite]"]) => STATSITE,
        _ if starts(&[
            "[[inputs.",
            "[[outputs.",
            "[[processors.",
            "[[aggregators.",
            "[agent]",
            "[global_tags]",
        ]) =>
        {
            TELEGRAF
        }
        _ if starts(&["[sources.", "[sinks.", "[transforms."]) => VECTOR,
        _ if starts(&[
            "[disabled-sub-metrics]",
            "[statsdaemon]",
            "[graphite]",
            "[datadog]",
            "[newrelic]",
            "[otlp]",
        ]) =>
        {
            GOSTATSD
        }
        _ if starts(&["[["]) => TOML,
        _ if starts(&["<Plugin", "LoadPlugin "]) => COLLECTD,
        _ if starts(&["[cache]", "[relay]", "[aggregator]"]) => CARBON,
        "retentions" | "aggregationMethod" | "xFilesFactor" => CARBON,
        "metrics-addr" | "flush-interval" | "percent-threshold" | "max-workers"
        | "expiry-interval" | "default-tags" | "statser-type" | "internal-namespace" => GOSTATSD,
        "graphite_host" | "graphite_port" | "listen_addr" | "percent_threshold" => STATSDPY,
        "backends" | "http-servers" | "server-mode" if is_assigned => GOSTATSD,
        _ if is_assigned => return None,
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
        let is_imported = super::foreign_server(text)
            .is_some_and(|server| !matches!(server, super::ForeignServer::Other(_)));
        assert_eq!(found[0].contains("`statsd --import t.conf`"), is_imported, "{found:?}");
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
        is_of("---\na: 1\n", 2, "some program in YAML");
        is_of("receivers:\n  statsd:\n    endpoint: a\n", 1, "the OpenTelemetry collector (YAML)");
        is_of("dogstatsd_port: 8125\n", 1, "the Datadog agent (YAML)");
        is_of("[sources.statsd]\ntype = \"statsd\"\n", 1, "Vector");
        is_of("backends = ['graphite']\nflush-interval = '10s'\n", 1, "gostatsd (TOML)");
        is_of("flush-interval = '10s'\n[influxdb]\nbucket = 'a'\n", 1, "gostatsd (TOML)");
        is_of("[main]\ngraphite_host = g\nlisten_port = 8125\n", 2, "statsdpy");
        is_of("mappings: # as of version >= 0.6\n- match: a\n", 1, "statsd_exporter (YAML)");
        is_of("LoadPlugin statsd\n<Plugin statsd>\n</Plugin>\n", 1, "collectd");
        is_of("[statsd]\npattern = ^stats\nretentions = 10s:1d\n", 3, "carbon");
        let proxy = "{\nnodes: [\n{host: '127.0.0.1', port: 8127, adminport: 8128}],\n\
                     server: './servers/udp', port: 8125, mgmt_port: 8126, forkCount: 0 }";
        is_of(proxy, 1, "the cluster proxy of Node StatsD");
        is_of("{ graphiteHost: 'a', nodes: [{adminport: 1}] }", 1, "Node StatsD (JavaScript)");
        is_of("[[ inputs . \"statsd\" ]]\nprotocol = \"udp\"\n", 1, "telegraf (TOML)");
        is_of("[graphite]\n\taddress = \"g:2003\"\n[datadog]\n", 1, "gostatsd (TOML)");
        is_of("[cache]\nLINE_RECEIVER_PORT = 2003\n", 1, "carbon");
    }

    /// Shows that `--import` recognises a file by a section that could be a mistake in one of ours.
    #[test]
    fn a_file_with_sections_alone_can_be_imported() {
        let text = "[graphite]\n\taddress = g:2003\n";
        assert!(matches!(super::foreign_server(text), Some(super::ForeignServer::Gostatsd)));
        assert!(mistakes(text)[0].contains("[graphite]"), "{:?}", mistakes(text));
    }

    #[test]
    fn mistakes_of_a_file_of_ours_are_all_reported() {
        for (text, count) in [
            ("[statsite]\nport = 1\n[carbon]\nhost = a\n", 2),
            ("[statsd]\nport = 1\nquantiles = 1\n", 2),
            ("flush_interval = 10s\n", 1),
            ("[statsd]\nbackends = graphite\n", 1),
            ("[statsd]\ngraphite_host = a\npercent_threshold = 90\n", 2),
            ("nonsense\n{\n", 2),
            ("[statsd]\nretention = 1\nfoo bar\n", 2),
        ] {
            let found = mistakes(text);
            assert_eq!(found.len(), count, "{text}: {found:#?}");
            assert!(!found[0].contains("this is a configuration of"), "{found:?}");
        }
    }
}
