//! `--import`: configurations of other servers, what is made of them, and what is wrong with
//! others.
//!
//! `tests/core/import` has a configuration of each server, written for these tests with the
//! features of real ones, and beside it the `statsd.conf` that is made from it. After a change:
//! `UPDATE=1 cargo test --test core import`.

use std::fs;
use std::path::{Path, PathBuf};

use statsd::config;
use statsd::import::import;

/// The configurations, with the number of settings that each has at least.
const FILES: [(&str, usize); 7] = [
    ("node.js", 45),
    ("statsite.conf", 35),
    ("statsdpy.conf", 17),
    ("brubeck.json", 25),
    ("telegraf.conf", 45),
    ("gostatsd.toml", 45),
    ("exporter.yml", 30),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/import")
}

fn imported(name: &str) -> (String, String) {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let made = import(Path::new(name), text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    (text, made)
}

#[test]
fn each_configuration_becomes_the_one_beside_it() {
    for (name, _) in FILES {
        let (_, made) = imported(name);
        let path = folder().join(format!("{name}.statsd.conf"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &made).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(made, expected, "{name}: UPDATE=1 writes it again");
    }
}

#[test]
fn what_is_made_is_valid_and_has_no_default() {
    for (name, _) in FILES {
        let (_, made) = imported(name);
        let file = Path::new(name);
        let whole = config::parse(file, made.as_bytes()).unwrap_or_else(|found| {
            panic!("{name}: {found:#?}\n{made}");
        });
        let lines: Vec<&str> = made.lines().collect();
        let mut header = "";
        for (at, line) in lines.iter().enumerate() {
            if line.starts_with('[') {
                header = line;
            }
            // A section with a name begins without a value, and keys of rules have no default.
            if line.starts_with(['#', '[']) || line.is_empty() || header.contains('.') {
                continue;
            }
            let others = [&lines[..at], &lines[at + 1..]].concat().join("\n");
            let without = config::parse(file, others.as_bytes()).ok();
            assert!(without.as_ref() != Some(&whole), "{name}: {header} {line} has its default");
        }
    }
}

/// Shows that each line of the old file with a value is named by its number, as the origin of a key
/// or in a remark.
#[test]
fn no_setting_is_dropped_in_silence() {
    for (name, least) in FILES {
        let (text, made) = imported(name);
        let made = made.replace("\n# ", " ").replace("  ", " ");
        let mut settings = 0;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim().trim_start_matches(['-', '{', ',', ' ']);
            let Some((key, value)) = line.split_once(['=', ':']) else { continue };
            let key = key.trim().trim_matches(['"', '\'']);
            let is_key = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
            let opens = ["", "{", "[", "|"].contains(&value.trim().trim_end_matches(','));
            let is_list = matches!(key, "percentiles" | "templates");
            if key.is_empty() || !key.chars().all(is_key) || (opens && !is_list && key != "prefix")
            {
                continue;
            }
            settings += 1;
            let named = format!("(line {number})");
            assert!(made.contains(&named), "{name}:{number}: {line} is not in\n{made}");
        }
        assert!(settings >= least, "{name}: {settings} settings");
    }
}

#[test]
fn secrets_stand_in_no_comment() {
    for (name, secret) in [
        ("node.js", "t0ken"),
        ("brubeck.json", "5ec7e7"),
        ("telegraf.conf", "s3cret"),
        ("gostatsd.toml", "5ec7e7"),
    ] {
        let (_, made) = imported(name);
        let shown = made.lines().find(|line| line.starts_with('#') && line.contains(secret));
        assert_eq!(shown, None, "{name}");
    }
}

#[test]
fn bad_syntax_is_reported_with_its_line_and_what_to_do() {
    for (text, expected) in [
        ("{ port: 8125\n  backends: [] }", ":2: expected a comma or }, not 'b'"),
        ("{ port: 8125,\n  flushInterval 10 }", ":2: expected a : after the key \"flushInterval\""),
        ("{\n port: 8125,\n", ":1: expected the } that ends what begins here"),
        ("{ port: 8125, repeater: [ {host: 'a'},", ":1: expected the ] that ends"),
        ("{ port: '8125\n' }", ":1: expected a closing ' in the same line"),
        ("{ port: 8125 } }", ":1: expected nothing after the object, not '}'"),
        ("/* a\n", ": this is no configuration that can be imported"),
        ("{ port: f(\n", ":1: expected the expression that begins here to end"),
        ("{ /* port", ":1: expected the comment to end with */"),
        ("[statsite]\nport = 1\nnonsense\n", ":3: expected `key = value` or `[section]`"),
        ("[statsite\nport = 1\n[statsite]", ":1: expected ] in the line"),
        ("port = 1\n[statsite]\n", ":1: expected a [section] before the first key"),
        ("[agent]\ninterval = \n", ":2: expected a value, not '\\n'"),
        ("[agent]\ninterval \"10s\"\n", ":2: expected = after the key, not '\"'"),
        ("[agent]\ninterval = \"10s\" x\n", ":2: expected the end of the line, not 'x'"),
        ("[[inputs.statsd]]\npercentiles = [1,\n", ":2: expected the ] of the list"),
        ("[[inputs.statsd]\n", ":1: expected ]] after the name of the table"),
        ("[agent]\na = \"\"\"x\n", ":2: expected \"\"\" at the end of the text"),
        ("[agent]\na = \"\\uzzzz\"\n", ":2: expected hexadecimal digits"),
        ("mappings:\n- match: *.a\n", ":2: expected a plain value: anchors, aliases and tags"),
        ("mappings:\n\t- match: a\n", ":2: expected an indent of spaces, not of tabs"),
        ("mappings:\n- match: a\n  name\n", ":3: expected `key: value`"),
        ("mappings:\n- <<: a\n", ":2: expected a key: merges"),
        ("mappings: [\n", ":2: expected"),
        ("mappings:\n{{ range }}\n", ":2: expected"),
        ("mappings: {}\n---\na: 1\n", ":2: expected one document in the file"),
        ("mappings:\n  - match: a\n - match: b\n", ":3: expected the indent of a line above"),
        ("[sources.statsd]\n", ": this is a configuration of Vector, which --import does not"),
        ("", ": this is no configuration that can be imported"),
        ("[statsd]\nflush_interval = 10s\n", ": this is no configuration that can be imported"),
    ] {
        let error = import(Path::new("old"), text.as_bytes()).expect_err(text);
        let message = error.message(Path::new("old"));
        assert!(message.starts_with(&format!("old{expected}")), "{text:?}: {message}");
        assert!(!message.contains('\n'), "{message:?}");
        assert_eq!(error.exit_code(), 2);
    }
}

/// Shows that each form of a real file is read as its server reads it.
#[test]
fn forms_of_real_files_are_read() {
    let exporter = "mappings:\n- match: a.*\n  name: a\n- match: '*.b'\n  name: b\n  ttl: 2m\n  \
                    observer_type: histogram\n  buckets: [0.5]\n- match: c\n  name: c\n";
    let with_quantiles = "defaults:\n  observer_type: histogram\n  summary_options:\n    \
                          quantiles:\n    - quantile: 0.95\n      error: 0.01\n";
    let summary = format!(
        "{with_quantiles}mappings:\n- match: a\n  name: a\n  \
                           observer_type: summary\n"
    );
    for (text, expected) in [
        (
            "{ port: 8125 }",
            "\n# of several values in one line, Node counts the last: host:8080:1|c adds 1\n\
             packed_values = no\n",
        ),
        (
            "{ graphiteHost: process.env.GRAPHITE, graphitePort: 2003 }",
            "\n# the file has no graphiteHost that can be read\naddress =\n",
        ),
        (
            "{ graphiteHost: process.env.GRAPHITE }",
            "\n# - graphiteHost (line 1): process.env.GRAPHITE: the old server computes the value",
        ),
        (
            "{ port: 8125, mgmt_address: process.env.ADMIN }",
            "\n# the file has no mgmt_address that can be read; localhost:8126 is safer\nbind",
        ),
        (
            "{ port: 8125, percentThreshold: [ 50, process.env.HIGH ] }",
            "percentThreshold (line 1): [50, process.env.HIGH]: the old server computes the value",
        ),
        (
            "{ port: 8125, graphite: { globalPrefix: 'shop.' } }",
            "\n# - graphite.globalPrefix (line 1): shop.: without its dot, since Node sends two",
        ),
        ("{ port: 8125, graphite: { globalPrefix: 'shop.' } }", "\nglobal_prefix = shop\n"),
        (
            "(function() {\n  return { port: 8225, graphiteHost: 'g' };\n})();\n",
            "\n# port (line 2): 8225\nbind = *:8225\n",
        ),
        // The histogram of *.b is not one of a.*, nor is its expiry.
        (
            exporter,
            "name = a\n# the first mapping that matches counts\nexpire = 0\n# the first mapping \
             that matches counts\npercentiles = 50, 90, 99\n# the first mapping that matches \
             counts\nhistogram =\n",
        ),
        (exporter, "name = b\n# mappings[1].ttl (line 6): 2m\nexpire = 2m\n# mappings[1].buckets"),
        (exporter, "\nhistogram = 500, inf\n# mappings[1].observer_type (line 7): histogram\n"),
        (exporter, "match = c\n# mappings[2].name (line 10): c\nname = c\n\n"),
        (&summary, "\n# mappings.observer_type (line 10): summary\npercentiles = 95\n"),
        (
            "[[ inputs . \"statsd\" ]]\nservice_address = \":8225\"\n",
            "\n# inputs.statsd.service_address (line 2): :8225\nbind = *:8225\n",
        ),
        ("['graphite']\naddress = \"g:2004\"\n", "\naddress = g:2004\n"),
    ] {
        let made = import(Path::new("old"), text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert!(made.contains(expected), "{expected}: {made}");
        config::parse(Path::new("made"), made.as_bytes()).expect(&made);
    }
    let proxy = "{ nodes: [{host: 'a', port: 8127, adminport: 8128}], port: 8125, forkCount: 0 }";
    let error = import(Path::new("old"), proxy.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("a configuration of the cluster proxy of Node StatsD"), "{error}");
}

/// Asserts that each text becomes a valid configuration with the expected text in it, where a
/// remark is one line. A text after `!` must not be in it.
fn assert_made(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let made = import(Path::new("old"), text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        config::parse(Path::new("made"), made.as_bytes()).expect(&made);
        let whole = made.replace("\n#   ", " ");
        let found = match expected.strip_prefix('!') {
            Some(absent) => !whole.contains(absent),
            None => whole.contains(expected),
        };
        assert!(found, "{expected}: {made}");
    }
}

/// Shows that a mapping that drops one type does not become a rule that drops all, and that a `ttl`
/// of 0 is the default's.
#[test]
fn a_mapping_does_no_more_than_it_did() {
    let one_type = "mappings:\n- match: app.*\n  match_metric_type: counter\n  action: drop\n  \
                    name: x\n- match: svc.*\n  match_metric_type: gauge\n  name: svc\n";
    let ttl = "defaults:\n  ttl: 10m\nmappings:\n- match: app.*\n  name: app\n  ttl: 0s\n- match: \
               b.*\n  name: b\n";
    let later = format!("{ttl}- match: c.*\n  name: c\n  ttl: 5m\n");
    assert_made(&[
        (one_type, "!drop = "),
        (one_type, "!match = app"),
        (
            one_type,
            "# - mappings[0].match (line 2): app.*; mappings[0].match_metric_type (line 3): \
             counter; mappings[0].action (line 4): drop; mappings[0].name (line 5): x: left out: a \
             rule would drop all types of these names.",
        ),
        (one_type, "(line 7): gauge: the rule is for all types: it renames the other types"),
        (ttl, "\n# defaults.ttl (line 2): 10m\nexpire = 10m\n"),
        (ttl, "!expire = 0"),
        (ttl, "mappings[0].ttl (line 6): 0s: 0 stands for the ttl of the defaults"),
        (&later, "name = app\n# the first mapping that matches counts\nexpire = 10m\n"),
        (&later, "\nexpire = 5m\n"),
    ]);
}

/// Shows that numbers of Node that are products are read, that `debug` decides about the log, and
/// that a key that is written twice is no unknown key.
#[test]
fn values_of_node_are_read_as_node_reads_them() {
    let debug = "{ port: 8125, debug: true, log: { level: 'LOG_INFO' } }";
    let twice = "{ port: 8125,\n percentThreshold: [90],\n percentThreshold: [50, 95] }";
    let quoted = "{ port: 8125, graphite: { legacyNamespace: false, prefixTimer: `t` } }";
    assert_made(&[
        ("{ port: 8125, flushInterval: 60 * 1000 }", "flush_interval = 1m\n"),
        ("{ port: 8125, flushInterval: 2*30*1000, debug: true }", "flush_interval = 1m\n"),
        ("{ port: 8125, flushInterval: 10 * N }", "flushInterval (line 1): 10 * N: the old"),
        ("{ port: 8125, flushInterval: 10 ** 4 }", "flushInterval (line 1): 10 ** 4: the old"),
        (quoted, "\nprefix_timer = t\n"),
        ("{ port: 8125, prefixStats: `a${b}` }", "prefixStats (line 1): `a${b}`: the old"),
        (debug, "\n# debug (line 1): true\nlog_level = debug\n"),
        (debug, "log.level (line 1): LOG_INFO: the level of the lines in syslog"),
        (debug, "!log_level here, too"),
        (twice, "\n# percentThreshold (line 3): [50, 95]\npercentiles = 50, 95\n"),
        (twice, "# - percentThreshold (line 2): [90]: a later line sets it again\n"),
    ]);
}

/// Shows that the tags of telegraf's input are set beside the global ones, that a bad tag costs no
/// other, and that an output that cannot be had is reported with all its settings.
#[test]
fn tags_and_outputs_are_read_one_by_one() {
    let tags = "[global_tags]\n dc = \"a\"\n team = \"b\"\n[agent]\n hostname = \"web#1\"\n\
                [[inputs.statsd]]\n service_address = \":8125\"\n[inputs.statsd.tags]\n team = \
                \"ops\"\n";
    let interval = "[agent]\n interval = '20s'\n[[inputs.statsd]]\n interval = '5s'\n";
    let unix = "[[inputs.statsd]]\n service_address = \":8125\"\n[[outputs.influxdb]]\n urls = \
                [\"unix:///run/influxdb.sock\"]\n database = \"d\"\n";
    let gostatsd = "metrics-addr = ':8125'\nbackends = ['stdout']\ndefault-tags = ['env:prod', \
                    'bare', 'region:eu']\n";
    let exporter = "mappings:\n- match: a.*\n  name: a\n  labels:\n    good: $1\n    bad: $3\n";
    assert_made(&[
        (tags, "\n# inputs.statsd.tags.team (line 9): ops\n# global_tags.dc (line 2): a\n"),
        (tags, "\ntags = team=ops, dc=a\n"),
        (tags, "# - global_tags.team (line 3): b: the input has the same tag\n"),
        (tags, "# - agent.hostname (line 5): web#1: not set, because this server refuses it"),
        (interval, "\nflush_interval = 5s\n"),
        (interval, "# - agent.interval (line 2): 20s: the input has an interval of its own\n"),
        (unix, "![influxdb"),
        (unix, "influxdb.sock]: left out: this server writes over HTTP and UDP only"),
        (unix, "outputs.influxdb.database (line 5): d: its output is left out"),
        (gostatsd, "\ntags = env=prod, region=eu\n"),
        (gostatsd, ": not set, because this server refuses it"),
        (exporter, "\ntags = good=$1\n"),
        (exporter, "labels.bad (line 6): $3: not set, because this server refuses it"),
    ]);
}

/// Shows that no setting that statsite has is called unknown to it.
#[test]
fn the_figures_of_extended_counters_are_no_unknown_setting() {
    let text = "[statsite]\nextended_counters = 1\nextended_counters_include = count,rate\n";
    assert_made(&[
        (text, "\nextended_counters = yes\n"),
        (text, "count,rate: extended counters always have a count and a rate here\n"),
    ]);
}

/// Shows that the two public files of statsdpy are read: a template of Puppet with keys of an older
/// version, and the sample with a size of batches beside the plain protocol, which has none.
#[test]
fn the_public_files_of_statsdpy_are_read() {
    for (text, expected) in [
        (
            "[main]\ngraphite_host = <%= @graphite %>\nlisten_port = 8125\ncombined_events = no\n",
            "\n# - main.combined_events (line 4): no: statsdpy has no such setting, and ignores it\n",
        ),
        (
            "[main]\ngraphite_host = g\npickle_protocol = no\npickle_batch_size = 500\n",
            "\n# - main.pickle_batch_size (line 4): 500: the other protocol is used\n",
        ),
    ] {
        let made = import(Path::new("old"), text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert!(made.contains(expected), "{expected}: {made}");
        config::parse(Path::new("made"), made.as_bytes()).expect(&made);
    }
}

/// Shows that what is made of the largest file is short enough for this server, and that it reports
/// the number of the settings that it does not name.
#[test]
fn what_is_made_is_no_longer_than_a_configuration_may_be() {
    let text: String =
        (0..9_990).map(|n| format!("{}: '{n}',\n", format!("k{n}").repeat(9))).collect();
    let made = import(Path::new("old"), format!("{{ port: 8125,\n{text} }}").as_bytes()).unwrap();
    assert!(made.len() <= 512 << 10, "{}", made.len());
    assert!(made.len() > 500 << 10, "{}", made.len());
    let last = made.lines().last().unwrap();
    assert!(last.ends_with(" further remarks, for which a file has no room"), "{last}");
}

/// Shows that files of any depth and size are refused or read, and that no value breaks out of its
/// comment or its line.
#[test]
fn hostile_files_are_bounded() {
    let nested = |open: &str, close: &str, count| open.repeat(count) + &close.repeat(count);
    for text in [
        format!("{{ port: {} }}", nested("[", "]", 100_000)),
        format!("{{ port: {}", "{a:".repeat(100_000)),
        format!("[agent]\na = {}\n", nested("[", "]", 100_000)),
        format!("[agent]\na = {}\n", "{a=".repeat(100_000)),
        format!("[agent]\n{}a = 1\n", "a.".repeat(1000)),
        format!("mappings: {}\n", nested("[", "]", 100_000)),
        format!("mappings:\n{}\n", "- ".repeat(100_000)),
        (0..2000).fold("mappings:\n".into(), |text, n| text + &" ".repeat(n + 1) + "a:\n"),
        format!("{{ port: [{}] }}", "1,".repeat(100_000)),
        format!("[statsite]\n{}", "a = 1\n".repeat(100_000)),
        format!("mappings:\n{}", "- match: a\n".repeat(100_000)),
        format!("[agent]\n{}", "[[a]]\n".repeat(100_000)),
    ] {
        let error = import(Path::new("old"), text.as_bytes()).expect_err(&text[..50]);
        assert!(error.to_string().contains("expected"), "{error}");
    }
    let many = (0..300).map(|n| format!("- match: a{n}.*\n  name: b{n}\n")).collect::<String>();
    let long = "x".repeat(100_000);
    for (text, expected) in [
        (format!("mappings:\n{many}"), "a configuration has at most 100 rules"),
        (format!("{{ port: 8125, title: '{long}' }}"), "title (line 1): xxxx"),
        (format!("{{ port: 8125, prefixStats: '{long}' }}"), "this server refuses it"),
        ("{ port: 8125, title: 'a\\nb = c\\n[tcp]' }".into(), "title (line 1): a?b = c?[tcp]"),
        ("{ port: 8125, 'x\\n[y]': 1 }".into(), "x?[y] (line 1): 1"),
        ("{ port: 8125, prefixStats: 'a\\nb' }".into(), "without control characters"),
        ("mappings:\n- {match: 'a #b;\"', match_type: regex}".into(), "regex = \"a #b;\\\"\""),
        ("{ port: #PORT# }".into(), "port (line 1): #PORT#: the old server computes the value"),
        ("{ port: 'x y', flushInterval: 100 }".into(), "flushInterval (line 1): 100: not set"),
        ("{ port: 8125, port: 8126 }".into(), "port (line 1): 8125: a later line sets it again"),
        ("[statsite]\nstream_cmd = cat; # \"a\"\n".into(), "command = cat; # \"a\"\n"),
    ] {
        let made = import(Path::new("old"), text.as_bytes()).unwrap();
        let parsed = config::parse(Path::new("made"), made.as_bytes());
        assert!(parsed.is_ok(), "{parsed:#?}");
        assert!(made.contains(expected), "{expected}: {}", &made[..made.len().min(3000)]);
    }
}
