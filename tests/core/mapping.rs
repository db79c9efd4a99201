//! Rules that change names and tags: which series a line goes to, and that its values stay whole.

mod cumulative;
mod exporter;
mod known_names;
mod restart;
mod rule_sets;
mod tag_limits;
mod whole;

use std::collections::BTreeMap;

use self::exporter::{EXPORTER, EXPORTER_CHANGED, EXPORTER_ELSEWHERE, EXPORTER_MISTAKES, Exporter};
use crate::rig::{Core, configured, receive, values};
use statsd::engine::Engine;
use statsd::protocol::MetricKind;
use statsd::sender::Sender;
use statsd::series::Cursor;
use statsd::time::Tick;

/// The names of all series after these lines, sorted.
fn series(config: &str, lines: &str) -> Vec<String> {
    let mut core = Core::configured(config);
    core.packet(lines);
    names(&mut core.engine)
}

fn names(engine: &mut Engine) -> Vec<String> {
    let mut names = Vec::new();
    engine.table_mut().visit(&mut Cursor::default(), usize::MAX, |visited| {
        names.push(String::from_utf8_lossy(visited.name()).into_owned());
    });
    names.sort();
    names
}

/// Rules and a name as a client sends it, and the name of the series.
const CASES: &[(&str, &str, &str)] = &[
    (
        "match = airflow.dag.*.*.duration\nname = dag.duration\ntags = dag=$1, task=$2",
        "airflow.dag.etl.load.duration",
        "dag.duration;dag=etl;task=load",
    ),
    ("match = a.*\nname = b.$1", "a.b.c", "a.b.c"),
    ("match = a.**\nname = b.$1", "a.b.c", "b.b.c"),
    ("match = a.**.z\nname = $1", "a.b.c.z", "b.c"),
    ("match = *-*.**\nname = x\ntags = a=$1, b=$2, c=$3", "p-q-r.s.t", "x;a=p;b=q-r;c=s.t"),
    ("match = a*\nname = ${1}0", "a1", "10"),
    ("match = a*\nname = n_$1_$0", "a1", "n_1_a1"),
    ("match = a*\nname = $1", "a", "a"),
    ("match = a*\ntags = x=$1, y=2", "a", "a;y=2"),
    ("match = **\ntags = dc=eu", "a", "a;dc=eu"),
    ("match = **\ntags = dc=eu", "a;dc=us;b=1", "a;b=1;dc=eu"),
    ("match = **\nname = x", "a;b=1;c=2", "x;b=1;c=2"),
    ("match = **\ndrop_tags = b", "a;b=1;c=2", "a;c=2"),
    ("match = **\ndrop_tags = b*", "a;b=1;bc=2;c=3", "a;c=3"),
    ("match = **\ndrop_tags = **", "a;b=1;bc=2;c=3", "a"),
    ("match = **\nkeep_tags = b, c", "a;b=1;bc=2;c=3", "a;b=1;c=3"),
    ("match = **\nkeep_tags =", "a;b=1;c=3", "a"),
    ("match = **\nkeep_tags = b*\ndrop_tags = bc", "a;b=1;bc=2;c=3", "a;b=1"),
    ("match = **\nkeep_tags = b\ntags = x=1", "a;b=1;c=3", "a;b=1;x=1"),
    ("match = **\nrename_tag = b=z", "a;b=1;c=3", "a;c=3;z=1"),
    ("match = **\nrename_tag = b=c, c=b", "a;b=1;c=3", "a;b=3;c=1"),
    ("match = **\nrename_tag = b=c", "a;b=1;c=3", "a;c=1"),
    ("match = **\nrename_tag = b=c\ntags = c=9", "a;b=1", "a;c=9"),
    ("match = **\nrename_tag = b=c\ndrop_tags = c", "a;b=1;c=3", "a;c=1"),
    (
        "match_regex = ^api\\.(v[0-9]+)\\.\nname = api\ntags = version=$1",
        "api.v2.hits",
        "api;version=v2",
    ),
    ("match_regex = ^api\\.(v[0-9]+)\\.\nname = api", "web.api.v2.hits", "web.api.v2.hits"),
    ("match_regex = hits|misses\nname = cache.$0", "a.misses", "cache.a.misses"),
    ("match_regex = (a)|(b)\nname = x$1y$2", "b", "xyb"),
    ("match = api.*\nmatch_regex = (.)$\nname = x$1", "api.b", "xb"),
    ("match = api.*\nmatch_regex = (.)$\nname = x$1", "web.b", "web.b"),
    ("match_tags = env\nname = x", "a;env=1", "x;env=1"),
    ("match_tags = env\nname = x", "a;environment=1", "a;environment=1"),
    ("match_tags = env=test*, host\nname = x", "a;env=test1;host=h", "x;env=test1;host=h"),
    ("match_tags = env=test*, host\nname = x", "a;env=test1", "a;env=test1"),
    ("match = a.*\nmatch_tags = env\ndrop_tags = env", "a.b;env=1", "a.b"),
    ("match = a.*\nmatch_tags = env\ndrop_tags = env", "b;env=1", "b;env=1"),
    // The first rule that matches and has a key gives it. A name and added tags are one key.
    ("match = a.*\nname = x\n[rule.b]\nmatch = a.**\nname = y\ntags = t=1", "a.b", "x"),
    ("match = a.*\nname = x\n[rule.b]\nmatch = a.**\nname = y\ntags = t=1", "a.b.c", "y;t=1"),
    ("match = a.*\nname = x\n[rule.b]\nmatch = a.**\ndrop_tags = t", "a.b;t=1", "x"),
    ("match = a.*\ndrop_tags = u\n[rule.b]\nmatch = a.**\ndrop_tags = t", "a.b;t=1", "a.b;t=1"),
    // No rule sees a name that a rule has made.
    ("match = a\nname = b\n[rule.b]\nmatch = b\nname = c", "a", "b"),
    ("match = **\nname = x.$1", "x.a", "x.x.a"),
    // Names and tags are cleaned, so that every destination stores them.
    ("match = **\nname = x.$1", "a b/c", "x.a_b-c"),
    ("match = **\ntags = t=$1=2", "a", "a;t=a=2"),
    (
        "match = *\ntags = first=$1\n[rule.b]\nmatch = *.*\ntags = first=$1, second=$2",
        "a.b",
        "a.b;first=a;second=b",
    ),
];

#[test]
fn a_table_of_rules_and_what_they_make_of_a_name() {
    for (rule, sent, expected) in CASES {
        let found = series(&format!("[rule.a]\n{rule}"), &format!("{sent}:1|c"));
        assert_eq!(found, [*expected], "{rule}: {sent}");
    }
}

/// Shows that a long name costs no more than 1,024 bytes of it do.
#[test]
fn an_expression_reads_the_first_1024_bytes_of_a_name() {
    let rule = "[rule.a]\nmatch_regex = x.$\nname = made\n";
    let long = |at: usize| format!("{}xy{}", "a".repeat(at), "a".repeat(3000 - at));
    assert_eq!(series(rule, &format!("{}:1|c", long(1022))), ["made"]);
    for at in [1021, 1023, 3000] {
        assert_eq!(series(rule, &format!("{}:1|c", long(at))), [long(at)], "{at}");
    }
}

/// What a wildcard matches may be empty, so a rule can make empty elements of a name without any.
#[test]
fn squeezed_dots_are_also_those_of_names_that_rules_make() {
    let rule = "[rule.a]\nmatch = web.*-*.hits\nname = site.$1.$2.hits\ntags = at=$1.$2\n";
    let names = |config: &str| series(config, "web.-eu.hits:1|g\nweb.us-.hits:1|g\nx.y:1|g");
    assert_eq!(
        names(rule),
        ["site..eu.hits;at=.eu", "site.us..hits;at=us.", "x.y"],
        "the default is to leave them"
    );
    let squeezed = format!("[statsd]\nsqueeze_dots = yes\n{rule}");
    assert_eq!(names(&squeezed), ["site.eu.hits;at=.eu", "site.us.hits;at=us.", "x.y"]);
    // A reload that changes the key changes the names.
    let mut core = Core::configured(rule);
    core.packet("web.-eu.hits:1|c");
    core.engine.reconfigure(&configured(&squeezed));
    core.packet("web.-eu.hits:1|c");
    let lines = core.flush(10);
    assert!(values(&lines).contains_key("stats_counts.site.eu.hits;at=.eu"), "{lines:?}");
}

#[test]
fn series_that_a_rule_makes_one_are_one() {
    let mut core = Core::configured("[rule.a]\nmatch = a.*\nname = a\n");
    core.packet("a.x:1|c\na.y:2|c|@0.5\na:3|c\na.x:1|g\na.y:7|g\na.x:1|ms\na.y:3|ms\na:5|ms");
    core.packet("a.x:u|s\na.y:u|s\na.y:v|s\na.x:2|c");
    assert_eq!(core.engine.table().len(), 4);
    let lines = core.flush(10);
    let sent = values(&lines);
    for (name, expected) in [
        ("stats_counts.a", "10"),
        ("stats.gauges.a", "7"),
        ("stats.timers.a.count", "3"),
        ("stats.timers.a.mean", "3"),
        ("stats.sets.a.count", "2"),
    ] {
        assert_eq!(sent[name], expected, "{name}");
    }
    assert!(sent.keys().all(|name| !name.contains("a.x") && !name.contains("a.y")), "{sent:?}");
}

/// Shows that a name which a rule changes is not taken for the series that rules give its name.
#[test]
fn two_names_can_be_exchanged() {
    let mut core =
        Core::configured("[rule.a]\nmatch = a\nname = b\n[rule.b]\nmatch = b\nname = a\n");
    for _ in 0..3 {
        core.packet("a:1|c\nb:10|c\nb;t=1:100|c\n");
    }
    let lines = core.flush(10);
    let sent = values(&lines);
    assert_eq!((sent["stats_counts.b"], sent["stats_counts.a"]), ("3", "30"));
    assert_eq!(sent["stats_counts.a;t=1"], "300");
}

#[test]
fn values_that_belong_to_no_series_get_the_names_of_rules_too() {
    let mut core = Core::configured(
        "[rule.a]\nmatch = a.*\nname = x\ntags = t=$1\n[rule.b]\nmatch = b\ndrop = yes",
    );
    core.packet("a.b:1|kv\na.b:2|c|T1000\nb:1|kv\nb:1|c|T9\na.c:3|g|T1000");
    assert_eq!(
        core.flush(10),
        ["stats.gauges.x;t=c 3 1000", "stats.kv.x;t=b 1 10", "stats_counts.x;t=b 2 1000"]
    );
    receive(&mut core.engine, b"\xaa\x02\x04\x00\x00\x00\x00\x00\x00\x00\x08\x40a.d\x00");
    assert_eq!(names(&mut core.engine), ["x;t=d"]);
}

#[test]
fn the_settings_of_a_rule_that_changes_a_name_are_those_of_the_series() {
    let rule =
        "[rule.a]\nmatch = a.*\nname = made\npercentiles = 50\ntimer_metrics = upper_percent";
    let mut core = Core::configured(rule);
    core.packet("a.b:1:2:3|ms");
    assert_eq!(core.flush(10), ["stats.timers.made.upper_50 2 10"]);
    // A reload keeps them, though the name of the series matches no rule.
    core.engine.reconfigure(&configured(&format!("{rule}\ndelete_idle = yes")));
    core.packet("a.b:1:2:3|ms");
    assert_eq!(core.flush(20), ["stats.timers.made.upper_50 2 20"]);
    assert_eq!(core.flush(30), [""; 0], "the new setting holds, too");
    assert_eq!(core.engine.table().len(), 0);
}

#[test]
fn a_tag_with_too_many_values_gets_another_one_and_the_log_names_it() {
    let config = "[rule.a]\nmatch = **\nmax_tag_values = 2, page=1\ndelete_idle = yes\n";
    let mut core = Core::configured(config);
    let sender = Sender::Internet("10.0.0.7:1".parse().unwrap());
    core.engine.ledger_mut().set_sender(sender);
    core.packet("a:1|c|#user:1,page:1\nb:1|c|#user:2,page:2\na:1|c|#user:3,page:1\na:1|c|#user:4");
    core.packet("a:1|c|#user:1,page:1\na:1|c|#user:3,page:1");
    assert_eq!(
        names(&mut core.engine),
        ["a;page=1;user=1", "a;page=1;user=other", "a;user=other", "b;page=other;user=2"]
    );
    let lines = core.flush(10);
    assert_eq!(values(&lines)["stats_counts.a;page=1;user=1"], "2");
    assert_eq!(values(&lines)["stats_counts.a;page=1;user=other"], "2");
    let warnings = core.engine.ledger_mut().take_warnings(Tick::from_millis(1000));
    let warning = warnings.iter().find(|warning| warning.sender == sender).unwrap();
    assert_eq!(warning.example, b"page=2");
    assert_eq!(warning.count, 3, "a known line does not count: {warning:?}");
    // A value counts while a series has it, and then until the next flush.
    core.flush(20);
    assert_eq!(core.engine.table().len(), 0);
    core.packet("a:1|c|#user:7");
    assert_eq!(names(&mut core.engine), ["a;user=other"]);
    core.flush(30);
    core.flush(40);
    core.packet("a:1|c|#user:8\na:1|c|#user:9\na:1|c|#user:10");
    assert_eq!(names(&mut core.engine), ["a;user=8", "a;user=9", "a;user=other"]);
}

/// Shows that a name which `other` would make longer than 64,000 bytes stays as it is sent.
#[test]
fn a_limit_makes_no_name_too_long() {
    let config = "[limits]\nmax_key_length = 64k\n[rule.a]\nmatch = **\nmax_tag_values = 1\n";
    let tags = |value: &str| (10..100).map(|n| format!(";k{n}={value}")).collect::<String>();
    // 90 tags of 6 bytes, which become 10 bytes each.
    for (length, value) in [(63_000, "other"), (63_100, "other"), (63_101, "w")] {
        let name = "x".repeat(length);
        let lines = format!("a{}:1|c\n{name}{}:1|c", tags("v"), tags("w"));
        let found = series(config, &lines);
        assert!(found[1] == name + &tags(value), "{length}: {} bytes", found[1].len());
    }
}

/// Shows that the names that clients send take little memory beside those that rules make: both
/// share their tags, which are freed with the last of the two.
#[test]
fn rules_that_change_names_store_no_tag_twice() {
    let bytes = |config: &str| {
        let mut core = Core::configured(&format!("[statsd]\nexpire = 10s\n{config}"));
        let tag = |n: u32| format!("key{n:03}:{}", "v".repeat(60));
        for n in 0..1000 {
            let tags: Vec<_> = (0..20).map(|k| tag((n * 7 + k * 13) % 400)).collect();
            core.packet(&format!("app.ctx.{n}:1|c|#{}", tags.join(",")));
        }
        let bytes = core.engine.table().series_bytes();
        core.flush(10);
        core.flush(20);
        assert_eq!((core.engine.table().len(), core.engine.table().tags()), (0, (0, 0)));
        bytes
    };
    let without = bytes("");
    for rule in ["tags = dc=eu", "drop_tags = key001", "name = other.$1"] {
        let with = bytes(&format!("[rule.a]\nmatch = **\n{rule}\n"));
        assert!(with < without + 1000 * 200, "{rule}: {with}, without {without}");
    }
}

#[test]
fn after_a_reload_lines_go_to_the_series_that_new_rules_name() {
    let mut core = Core::configured("[rule.a]\nmatch = a.*\nname = old\n");
    core.packet("a.b:1|c\na.b:5|g\nc:1|c\nc:7|g");
    core.engine.reconfigure(&configured("[rule.a]\nmatch = a.*\nname = new\n"));
    core.packet("a.b:2|c\na.b:6|g\nc:1|c");
    let lines = core.flush(10);
    let sent = values(&lines);
    assert_eq!((sent["stats_counts.old"], sent["stats_counts.new"]), ("1", "2"));
    assert_eq!((sent["stats.gauges.old"], sent["stats.gauges.new"]), ("5", "6"));
    // A series that no line leads to has sent its last interval, and is removed.
    let lines = core.flush(20);
    let sent = values(&lines);
    assert_eq!(sent.get("stats_counts.old"), None);
    assert_eq!(sent.get("stats.gauges.old"), None);
    assert_eq!((sent["stats.gauges.new"], sent["stats.gauges.c"]), ("6", "7"));
    assert_eq!(names(&mut core.engine), ["c", "c", "new", "new"]);
    // Without rules the names are those of the clients again.
    core.engine.reconfigure(&configured(""));
    core.packet("a.b:1|c");
    core.flush(30);
    core.flush(40);
    assert_eq!(names(&mut core.engine), ["a.b", "c", "c"]);
}

/// Shows that a series which a reload has left without a source stays if another name leads to it.
#[test]
fn a_series_stays_after_a_reload_if_another_name_leads_to_it() {
    let mut core = Core::configured("[rule.a]\nmatch = a.*\nname = x\n");
    core.packet("a.b:5|g");
    core.flush(10);
    core.engine.reconfigure(&configured("[rule.a]\nmatch = b.*\nname = x\n"));
    core.packet("b.c:+1|g");
    core.flush(20);
    let lines = core.flush(30);
    assert_eq!(values(&lines)["stats.gauges.x"], "6");
}

#[test]
fn raw_names_are_changed_as_their_clean_forms() {
    let mut core =
        Core::configured("[statsd]\nsanitize_keys = no\n[rule.a]\nmatch = a_*\nname = x.$1\n");
    core.packet("a b:1|c\na_b:2|c\nc d:4|c\nc_d:8|c\na b:1|c");
    let lines = core.flush(10);
    for expected in ["stats_counts.x.b 4 10", "stats_counts.c_d 12 10"] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
}

/// A series that makes room during a sweep is closed by the rules for the name that its lines have,
/// not for the name that rules have made.
#[test]
fn an_evicted_series_is_closed_by_the_rules_for_its_original_name() {
    let config = "[limits]\nmax_series = 2\nevict_after = 10s\n\
                  [rule.a]\nmatch = a.*\nname = made.$1\n";
    let mut core = Core::configured(config);
    core.packet("a.x:5|g\nother:1|c");
    core.flush(10);
    core.packet("other:1|c");
    core.flush(20);
    core.packet("other:1|c");
    core.engine
        .reconfigure(&configured(&format!("{config}[rule.b]\nmatch = made.*\ndrop = yes\n")));
    core.tick(30);
    core.packet("new:1|c");
    assert_eq!(core.engine.table().counts().evicted, 1);
    while !core.sweep(1) {}
    assert_eq!(values(&core.finish()).get("stats.gauges.made.x"), Some(&"5"));
}

#[test]
fn the_cases_of_the_mapper_of_statsd_exporter() {
    let mut passed = BTreeMap::new();
    for Exporter { name, rules, lines } in EXPORTER {
        let mut core = Core::configured(rules);
        for (sent, expected) in *lines {
            let engine = &mut core.engine;
            receive(engine, format!("{sent}:1|c").as_bytes());
            let found = names(engine);
            if expected.is_empty() {
                assert_eq!(found, [""; 0], "{name}: {sent} is dropped");
            } else {
                assert_eq!(found, [*expected], "{name}: {sent}");
            }
            found.iter().for_each(|name| _ = core.remove(MetricKind::Counter, name));
        }
        *passed.entry(*name).or_insert(0) += lines.len();
    }
    for (name, _) in EXPORTER_CHANGED {
        assert!(passed.remove(name).is_some(), "{name} is tested as it is here");
    }
    for (name, rules, mistake) in EXPORTER_MISTAKES {
        let config = statsd::config::parse("t.conf".as_ref(), rules.as_bytes());
        let mistakes = config.expect_err(name);
        let found = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(found.contains(mistake), "{name}: {found}");
        passed.insert(name, 1);
    }
    let counted = [passed.len(), EXPORTER_CHANGED.len(), EXPORTER_ELSEWHERE.len()];
    assert_eq!(counted, [38, 10, 12], "docs/rules.md has these numbers");
}

/// Shows that a timer has the percentiles or the bins of the case, and no others, and that a series
/// is removed after its `ttl`.
#[test]
fn the_cases_with_quantiles_buckets_and_ttl_have_their_figures() {
    let case = |wanted: &str| EXPORTER.iter().find(|case| case.name == wanted).expect(wanted);
    let bins = ["bin_0_1", "bin_1", "bin_10", "bin_100", "bin_1000", "bin_inf"];
    for (name, sent, made, expected) in [
        ("Config with good observer type", "test.a.b", "foo", &["upper_42", "upper_70"][..]),
        (
            "Config with good observertype and no defaults",
            "test1.a.b",
            "foo",
            &["upper_50", "upper_90", "upper_99"],
        ),
        ("New style quantiles", "test.a.b", "foo", &["upper_42", "upper_70"]),
        ("Config with histogram options", "test.a.b", "foo", &bins),
        ("Config with default histogram options", "test.a.b", "foo", &bins),
        ("Config that overrides default histogram configuration", "test.a.b", "foo", &bins),
        (
            "Config that overrides default histogram configuration and a default options mapping",
            "test_default.a.b",
            "foo_default",
            &["bin_0_2", "bin_2", "bin_20", "bin_200", "bin_inf"],
        ),
    ] {
        let mut core = Core::configured(case(name).rules);
        core.packet(&format!("{sent}:1:2:3|ms"));
        let prefix = format!("stats.timers.{made}.");
        let lines = core.flush(10);
        let figures =
            lines.iter().filter_map(|line| line.strip_prefix(&*prefix)?.split(' ').next());
        let kind = if expected[0].starts_with("bin") { "histogram." } else { "upper_" };
        let mut found: Vec<_> = figures.filter(|figure| figure.starts_with(kind)).collect();
        found.iter_mut().for_each(|found| *found = found.trim_start_matches("histogram."));
        // The default of this server is beside them, unless the rule has percentiles of its own.
        assert_eq!(found, expected, "{name}");
    }
    for (name, flushes) in [
        ("Config that has a ttl", 1),
        ("Config that has a default ttl", 7),
        ("Config that override a default ttl", 1),
    ] {
        let mut core = Core::configured(case(name).rules);
        core.packet("web.localhost:1|c");
        core.flush(10);
        for flush in 1..=flushes {
            assert_eq!(names(&mut core.engine), ["web;site=localhost"], "{name}: {flush}");
            core.flush(10 + flush * 10);
        }
        assert_eq!(names(&mut core.engine), [""; 0], "{name}");
    }
}
