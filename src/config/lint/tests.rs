//! A table of configurations, each with the warnings that it must cause.

use std::path::Path;

mod destinations;
mod memory;
mod rule_keys;

use super::*;
use crate::config::load::Origin;
use crate::config::overrides::Overrides;
use crate::config::parse::parse_with_places;
use crate::config::render::{example, render};

fn found_near(text: &str, surroundings: &Surroundings) -> Vec<String> {
    let path = Path::new("t.conf");
    let (config, given) = parse_with_places(path, text.as_bytes(), &Overrides::NONE).expect(text);
    let origin = Origin::of_file(path, given);
    warnings(&config, &origin, surroundings).iter().map(ConfigWarning::to_string).collect()
}

fn found(text: &str) -> Vec<String> {
    found_near(text, &Surroundings::default())
}

/// Fails unless each text causes one warning, which has both parts.
fn assert_warns(cases: &[(&str, &str, &str)]) {
    for (text, reason, remedy) in cases {
        let found = found(text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        let has = |part: &str| found[0].contains(part);
        assert!(has(reason) && has(remedy), "{text}: {found:#?}");
    }
}

fn assert_silent(texts: &[&str]) {
    for text in texts {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn the_defaults_the_example_and_what_is_installed_cause_no_warning() {
    let installed = include_str!("../../../packaging/statsd.conf");
    assert_silent(&["", &example(), installed, &render(&Config::default())]);
    assert_eq!(warnings(&Config::default(), &Origin::default(), &Surroundings::default()), []);
}

#[test]
fn a_warning_has_the_line_and_the_remedy() {
    let text = "# by hand\n[statsd]\npercentiles = 50\nflush_interval = 10000\n";
    let expected = "t.conf:4: [statsd] flush_interval: a flush comes only every 2h 46m 40s; \
                    a bare number is seconds; if milliseconds are meant, write flush_interval = 10s";
    assert_eq!(found(text), [expected]);
}

#[test]
fn the_number_of_warnings_is_bounded() {
    let rules = (0..100).map(|nth| format!("[rule.r{nth}]\nmatch = ^a{nth}$\ndrop = yes\n"));
    let found = found(&rules.collect::<String>());
    assert_eq!(found.len(), 50);
    assert!(found[49].ends_with("; there are others after these 50 warnings, fix these first"));
    assert!(found[48].ends_with("write match = a48"), "{}", found[48]);
}

#[test]
fn warnings_come_in_the_order_of_their_lines() {
    let found = found(
        "[carbon]\naddress =\n[statsd]\npercentiles = 0.5\n[udp]\nbind =\n[tcp]\nbind =\n\
         [admin]\nmetrics = off",
    );
    let places: Vec<_> = found.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(places, ["t.conf:2:", "t.conf:4:", "t.conf:6:"], "{found:#?}");
}

#[test]
fn milliseconds_where_seconds_are_meant() {
    assert_warns(&[
        ("[statsd]\nflush_interval = 1000", "every 16m 40s", "write flush_interval = 1s"),
        ("[statsd]\nflush_interval = 60000", "every 16h 40m", "write flush_interval = 1m"),
        ("[statsd]\nflush_interval = 1000s", "every 16m 40s", "write 10s or 1m"),
        ("[statsd]\nflush_interval = 1h", "every 1h", "write 10s or 1m"),
        ("[statsd]\nflush_interval = 1500ms", "not evenly spaced", "flush_interval = 1s"),
        (
            "[statsd]\nshutdown_timeout = 5000",
            "5000 seconds are 1h 23m 20s",
            "shutdown_timeout = 5s",
        ),
        ("[carbon]\nconnect_timeout = 1500", "1500 seconds are 25m", "connect_timeout = 1500ms"),
        ("[exec]\ncommand = a\ntimeout = 30000", "8h 20m", "timeout = 30s"),
        ("[key_flush]\ninterval = 10000", "2h 46m 40s", "interval = 10s"),
        ("[tcp]\nidle_timeout = 60000", "16h 40m", "idle_timeout = 1m"),
        ("[rule.a]\nmatch = a\nexpire = 60000", "16h 40m", "expire = 1m"),
    ]);
    assert_silent(&[
        "[statsd]\nflush_interval = 999",
        "[statsd]\nflush_interval = 60",
        "[statsd]\nexpire = 86400",
        "[statsd]\nexpire = 3600",
        "[tcp]\nidle_timeout = 18000",
        "[key_flush]\ninterval = 1h",
        "[statsd]\nshutdown_timeout = 30m",
    ]);
}

/// Shows that the rule about bare numbers covers every duration.
#[test]
fn every_duration_is_known() {
    let defaults = crate::config::defaults::with_all_sections();
    for section in crate::config::sections::SECTIONS {
        let at = crate::config::sections::indices(section, &defaults)[0].1;
        for key in crate::config::keys::keys_of(section) {
            let is_duration = key.set(&mut defaults.clone(), at, "10500ms").is_ok()
                && key.set(&mut defaults.clone(), at, "10500mx").is_err();
            let is_known = times::DURATIONS.iter().any(|(known, _)| *known == key.name);
            assert_eq!(is_duration && key.name != "flush_interval", is_known, "{}", key.name);
        }
    }
}

#[test]
fn quantiles_where_percentiles_are_meant() {
    assert_warns(&[
        ("[statsd]\npercentiles = 0.5, 0.95, 0.999", "quantiles", "percentiles = 50, 95, 99.9"),
        ("[statsd]\npercentiles = 0.57", "quantiles", "percentiles = 57"),
        ("[statsd]\npercentiles = 0.5, 1", "quantiles", "percentiles = 50, 100"),
        ("[rule.a]\nmatch = a\npercentiles = -0.1", "t.conf:3: [rule.a]", "percentiles = -10"),
    ]);
    assert_silent(&["[statsd]\npercentiles = 0.1, 50", "[statsd]\npercentiles = 1"]);
}

#[test]
fn figures_that_are_never_sent() {
    assert_warns(&[
        (
            "[statsd]\npercentiles = 95\ntimer_metrics = count, mean",
            "t.conf:2: [statsd] percentiles: timer_metrics lists no figure of percentiles",
            "add upper_percent to timer_metrics",
        ),
        (
            "[rule.a]\nmatch = a\nhistogram = 1, 2\ntimer_metrics = count",
            "t.conf:3: [rule.a] histogram",
            "add histogram to timer_metrics",
        ),
        ("[statsd]\ntimer_metrics = count, stdev", "the style does not send stdev", "remove them"),
        (
            "[namespace]\nstyle = statsite\n[statsd]\ntimer_metrics = median, count",
            "the style does not send median",
            "remove them",
        ),
        (
            "[statsd]\ntimer_exact = 1000000\ntimer_memory = 4m",
            "do not fit timer_memory",
            "write timer_exact = 393216",
        ),
    ]);
    assert_silent(&[
        "[statsd]\ntimer_metrics = count, mean",
        "[statsd]\npercentiles = 95\ntimer_metrics = count, upper_percent",
        "[rule.a]\nmatch = a\nhistogram = 1, 2\ntimer_metrics = histogram",
        "[namespace.b]\nstyle = statsite\n[statsd]\ntimer_metrics = stdev, std\n\
         [exec]\ncommand = a\nnamespace = b",
    ]);
}

#[test]
fn regular_expressions_where_patterns_are_meant() {
    for (regex, glob) in [
        (r"^api\..*", "match = api.**"),
        (r"^api\..*$", "match = api.**"),
        (r"api\.web", "match = **api.web**"),
        (r"^api.requests$", "match = api.requests"),
        (".*", "match = **"),
        (r".*\.count$", "match = **.count"),
        ("web.+", "match = **web?**"),
        ("(a|b)", "write such as api.**"),
        ("[a-z]*", "write such as api.**"),
        (r"n\d{3}", "write such as api.**"),
        ("/^api/", "match = api**"),
        (r"/^api\..*$/i", "match = api.**"),
        ("/api/", "match = **api**"),
        ("/a|b/g", "write such as api.**"),
    ] {
        let text = format!("[rule.a]\nmatch = {regex}\ndrop = yes");
        let found = found(&text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with("t.conf:2: [rule.a] match: ") && found[0].ends_with(glob));
        assert!(found[0].contains("looks like a regular expression"), "{found:#?}");
    }
    assert_warns(&[
        ("[rule.a]\nmatch = api.**, a/b\ndrop = yes", "no name matches a/b", "/ becomes -"),
        ("[rule.a]\nmatch_regex = ^ü\ndrop = yes", "no name has a ü", "/ becomes -"),
        ("[rule.a]\nmatch_regex = a;b=[c;]\ndrop = yes", "no name has a ;", "/ becomes -"),
        (
            "[statsd]\nsqueeze_dots = yes\n[rule.a]\nmatch = a..b\ndrop = yes",
            "no name matches a..b",
            "remove the dots",
        ),
    ]);
    assert_silent(&[
        "[rule.a]\nmatch_regex = ^[^;/]+\\.(?:b|c)$\ndrop = yes",
        "[rule.a]\nmatch = a..b\ndrop = yes",
        "[statsd]\nsanitize_keys = no\n[rule.a]\nmatch = /var/log**, /, //\ndrop = yes",
        "[rule.a]\nmatch = api.**, **.web.**, n?m?*, a-b_c\ndrop = yes",
        "[statsd]\nsanitize_keys = no\n[rule.a]\nmatch = a/b\ndrop = yes",
    ]);
}

#[test]
fn patterns_that_begin_or_end_with_a_star() {
    assert_warns(&[
        ("[rule.a]\nmatch = x, api.*\ndrop = yes", "api.* matches no name with", "write api.**"),
        ("[rule.a]\nmatch = *.hits\nexpire = 1h", "a dot in place of *", "**.hits to match dots"),
        ("[rule.a]\nmatch = *\nexpire = 1h", "a dot in place of *", "too, or ?* for one path"),
        // Other rules and patterns do not matter.
        (
            "[rule.a]\nmatch = api.*\ndrop = yes\n[rule.b]\nmatch = web.**\nname = x",
            "[rule.a] match: api.* matches",
            "or api.?* for one path element",
        ),
        ("[rule.a]\nmatch = db.**, api*\ndrop = yes", "api* matches no name", "write api**"),
    ]);
    assert_silent(&[
        "[rule.a]\nmatch = api.?*, *?.b, web.*.hits, web.**.*\ndrop = yes",
        "[rule.a]\nmatch = api.*\nname = api\ntags = a=$1",
        "[rule.a]\nmatch = api.web, a?c\ndrop = yes",
    ]);
}

#[test]
fn rules_without_an_effect() {
    let earlier = "[rule.all]\nmatch = api.**\nexpire = 1h\npercentiles = 50\n";
    assert_warns(&[
        ("[rule.a]\nmatch = a", "only selects names", "remove the rule"),
        (
            &format!("{earlier}[rule.web]\nmatch = api.web.?*\nexpire = 2h"),
            "t.conf:6: [rule.web] match: [rule.all] comes before it",
            "move the rule before [rule.all]",
        ),
        (
            "[rule.d]\nmatch = api.**\ndrop = yes\n[rule.web]\nmatch = api.web.?*\nexpire = 2h",
            "[rule.d] comes before it",
            "move the rule before [rule.d]",
        ),
    ]);
    assert_silent(&[
        &format!("{earlier}[rule.web]\nmatch = api.web.?*, web.?*\nexpire = 2h"),
        &format!("{earlier}[rule.web]\nmatch = api.web.?*\nexpire = 2h\nhistogram = 1, 2"),
        "[rule.web]\nmatch = api.web.?*\nexpire = 2h\n[rule.all]\nmatch = api.**\nexpire = 1h",
        "[rule.keep]\nmatch = a.b.**\ndrop = no\n[rule.d]\nmatch = a.**\ndrop = yes\n\
         [rule.c]\nmatch = a.b.c\nexpire = 1h",
    ]);
}

#[test]
fn rules_that_drop_every_name() {
    let all = ("drops every name", "drop = no before this one");
    assert_warns(&[
        ("[rule.d]\nmatch = **\ndrop = yes", all.0, all.1),
        ("[rule.d]\nmatch = web.?*, **\ndrop = yes", all.0, all.1),
        (
            "[rule.d]\nmatch = ?**\ndrop = yes\n[rule.web]\nmatch = web.?*\ndrop = no",
            "t.conf:2",
            all.1,
        ),
        ("[rule.a]\nmatch = a?*\ndrop = yes\n[rule.d]\nmatch = **\ndrop = yes", "[rule.d]", all.1),
    ]);
    assert_silent(&[
        "[rule.web]\nmatch = web.?*\ndrop = no\n[rule.d]\nmatch = **\ndrop = yes",
        "[rule.d]\nmatch = **.**\ndrop = yes",
        "[rule.d]\nmatch = **\ndrop = no",
    ]);
}

/// Shows that the comparison of many patterns ends soon. A reload makes it inside the loop.
#[test]
fn many_rules_are_compared_quickly() {
    let rule = |nth: usize| {
        let patterns = (0..100).map(|at| format!("**a**b{nth}*{at}*")).collect::<Vec<_>>();
        format!("[rule.r{nth}]\nmatch = {}\nexpire = 1h\n", patterns.join(", "))
    };
    assert_silent(&[&(0..80).map(rule).collect::<String>()]);
}

#[test]
fn dots_at_the_ends_of_prefixes() {
    assert_warns(&[
        ("[namespace]\nstyle = modern\nprefix_kv = kv.", "two dots", "write prefix_kv = kv"),
        ("[namespace]\nstyle = modern\nglobal_prefix = .a", "two dots", "global_prefix = a"),
        ("[namespace]\nglobal_suffix = .host1", "two dots", "write global_suffix = host1"),
        ("[namespace]\nprefix_stats = own..x", "an empty part", "write prefix_stats = own.x"),
        ("[namespace]\nstyle = modern\nprefix_set = .", "two dots", "leave prefix_set without"),
        ("[namespace]\nglobal_suffix = .", "two dots", "leave global_suffix without a value"),
        ("[namespace]\nprefix_stats = ..", "two dots", "write prefix_stats = statsd"),
        ("[ganglia]\naddress = a\nprefix = web.", "t.conf:3: [ganglia] prefix", "prefix = web"),
        ("[rule.a]\nmatch = x.*\nname = a.$1..b", "an empty part", "write name = a.$1.b"),
        ("[rule.a]\nmatch = x.*\nname = a.$1.", "t.conf:3: [rule.a] name", "write name = a.$1"),
    ]);
    assert_silent(&[
        "[namespace]\nstyle = modern\nprefix_kv = a.b\nglobal_suffix = c.d",
        "[statsd]\nsqueeze_dots = yes\n[rule.a]\nmatch = x.*\nname = a.$1..b",
        "[rule.a]\nmatch = x.*\ntags = a=$1..b",
    ]);
    let copy =
        "[namespace.b]\nstyle = modern\nprefix_set = s.\n[carbon.b]\naddress = b\nnamespace = b";
    assert!(found(copy)[0].starts_with("t.conf:3: [namespace.b] prefix_set"), "{:?}", found(copy));
}

#[test]
fn tags_that_a_destination_gets_with_another_key() {
    let influx = "[carbon]\naddress =\n[influxdb]\naddress = a\n";
    assert_warns(&[
        ("[namespace]\ntags = dc=eu, name=x", "[namespace] tags: carbon has the name", "another"),
        ("[rule.a]\nmatch = a\ntags = name=x", "t.conf:3: [rule.a] tags: carbon has", "another"),
        ("[rule.a]\nmatch = a\nrename_tag = a=name", "rename_tag: carbon has", "another"),
        (&format!("{influx}[namespace]\ntags = time=1"), "InfluxDB stores no tag time", "another"),
    ]);
    assert_silent(&[
        "[namespace]\ntags = time=1, name2=x",
        "[rule.a]\nmatch = a\nrename_tag = name=a",
        &format!("{influx}[namespace]\ntags = name=1\n[rule.a]\nmatch = a\ntags = name=x"),
        "[namespace.b]\ntags = name=1\n[influxdb]\naddress = a\nnamespace = b",
    ]);
}

#[test]
fn keys_that_the_style_does_not_use() {
    for key in ["global_prefix", "prefix_counter", "prefix_timer", "prefix_gauge", "prefix_kv"] {
        let text = format!("[namespace]\n{key} = x");
        let found = found(&text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with(&format!("t.conf:2: [namespace] {key}: legacy style")));
        assert_silent(&[&format!("[namespace]\nstyle = modern\n{key} = x")]);
    }
    assert_warns(&[
        ("[namespace]\nextended_counters = yes", "only statsite style", "style = statsite"),
        ("[namespace]\nstyle = statsite\nflush_counts = no", "always sends counts", "remove"),
        ("[namespace]\nhost_suffix = yes\nglobal_suffix = a", "host_suffix = yes", "remove"),
        (
            "[namespace.b]\nstyle = modern",
            "t.conf:1: [namespace.b]: no destination",
            "add namespace = b",
        ),
    ]);
    assert_silent(&[
        "[namespace]\nglobal_prefix = stats\nextended_counters = no",
        "[namespace]\nstyle = modern\nflush_counts = no",
        "[namespace]\nprefix_stats = own\nglobal_suffix = a",
    ]);
}

#[test]
fn keys_that_another_key_makes_useless() {
    assert_warns(&[
        ("[statsd]\ngauge_ttl = 5", "idle gauges are not deleted", "delete_gauges = yes"),
        (
            "[statsd]\ndelete_idle = yes\ndelete_gauges = no\ngauge_ttl = 5",
            "idle gauges are not deleted",
            "remove gauge_ttl",
        ),
        ("[statsd]\nstate_interval = 5s", "no state_file", "set state_file"),
        ("[statsd]\nlog_level = warn\ndump_messages = yes", "log_level hides", "log_level = info"),
        ("[statsd]\nlog_level = warn\n[key_flush]\ninterval = 1m", "log_level hides", "set log"),
        ("[unix]\nmode = 0600", "there is no socket", "set stream or datagram"),
        ("[carbon]\npickle_batch = 9", "plaintext", "write protocol = pickle"),
        ("[carbon]\nresend = unacked\nresend_keep = 5", "only with resend = flush", "remove"),
        ("[influxdb]\naddress = a\nresend_keep = 5", "only with resend = flush", "remove"),
        ("[influxdb]\naddress = a\npassword = b", "username is empty", "set username"),
        (
            "[influxdb]\naddress = a\nprotocol = udp\ndatabase = b",
            "the protocol is udp",
            "protocol = http",
        ),
        ("[spool]\ndir = /v\n[carbon]\naddress =\n[console]\nenabled = yes", "none of them", "dir"),
        ("[spool]\nmax_size = 2g", "dir is not set", "set dir"),
        ("[influxdb]\ndatabase = a", "address is not set", "address = host:8086"),
        ("[console]\nformat = json", "enabled is not set", "enabled = yes"),
        ("[key_flush]\npercent = 10", "interval is not set", "set interval"),
        ("[admin]\nbind =\nidle_timeout = 1m", "there is no admin port", "set bind"),
        ("[admin]\nbind =\nmetrics = own", "there is no admin port", "set bind"),
        ("[admin]\nhttp = no\nhosts = a", "answers no HTTP", "http = yes"),
    ]);
    assert_silent(&[
        "[statsd]\ndelete_idle = yes\ngauge_ttl = 5",
        "[statsd]\ngauge_ttl = 5\n[rule.a]\nmatch = a\ndelete_idle = yes",
        "[carbon]\nprotocol = pickle\npickle_batch = 9",
        "[spool]\ndir =\nmax_size = 2g",
        "[influxdb]\naddress =\ndatabase = a",
    ]);
}

#[test]
fn no_listener_or_no_destination() {
    assert_warns(&[
        ("[udp]\nbind =\n[tcp]\nbind =", "t.conf:2: [udp] bind: no listener", "bind = *:8125"),
        (
            "[carbon]\naddress =\n[admin]\nmetrics = own",
            "t.conf:2: [carbon] address: no destination",
            "host:2003",
        ),
        (
            "[limits]\nmax_key_length = 64k",
            "t.conf:2: [limits] max_key_length: on a stream a longer line",
            "raise max_line, too",
        ),
        (
            "[tcp]\nbind =\n[unix]\nstream = /s\n[limits]\nmax_key_length = 17k",
            "t.conf:6: [limits] max_key_length: on a stream",
            "or lower this",
        ),
        ("[carbon]\naddress =\n[admin]\nbind =", "no destination", "host:2003"),
        ("[carbon]\naddress =\n[admin]\nhttp = no", "no destination", "host:2003"),
    ]);
    assert_silent(&[
        "[udp]\nbind =\n[tcp]\nbind =\n[unix]\nstream = /s",
        "[tcp]\nbind =",
        "[tcp]\nbind =\n[limits]\nmax_key_length = 64k",
        "[tcp]\nmax_line = 4k",
        "[tcp]\nmax_line = 4k\n[limits]\nmax_key_length = 8k",
        "[limits]\nmax_key_length = 16k",
        // Prometheus scrapes the series.
        "[carbon]\naddress =",
        "[carbon]\naddress =\n[console]\nenabled = yes",
        "[carbon]\naddress =\n[exec]\ncommand = a",
    ]);
    let address = "127.0.0.1:8125".parse().unwrap();
    let passed = vec![PassedAddress { section: "udp", address }];
    let surroundings = Surroundings { passed, ..Surroundings::default() };
    assert_eq!(found_near("[udp]\nbind =\n[tcp]\nbind =", &surroundings), [""; 0]);
}

#[test]
fn ports_of_other_services() {
    assert_warns(&[
        ("[carbon]\naddress = a:2004", "t.conf:2: [carbon] address", "write protocol = pickle"),
        (
            "[carbon]\nprotocol = pickle\naddress = a:2003",
            "port 2003 is usually for plaintext for carbon",
            "write protocol = plaintext, or port 2004",
        ),
        ("[carbon]\nprotocol = pickle\naddress = a:2013", "carbon-relay", "protocol = plaintext"),
        ("[carbon]\naddress = a:7002", "queries of carbon's cache", "port 2003"),
        ("[carbon]\naddress = a:8086", "HTTP for InfluxDB", "port 2003"),
        ("[influxdb]\naddress = a:8089", "UDP for InfluxDB", "write protocol = udp"),
        ("[influxdb]\naddress = a:8086\nprotocol = udp", "HTTP for InfluxDB", "protocol = http"),
        ("[repeater]\naddress = a:2003", "plaintext for carbon", "port 8125"),
        ("[repeater]\naddress = a:8126", "admin commands", "port 8125"),
        ("[ganglia]\naddress = a:8651", "gmetad", "port 8649"),
    ]);
    assert_silent(&[
        "[carbon]\naddress = a:2003",
        "[carbon]\nprotocol = pickle",
        "[carbon]\nprotocol = pickle\naddress = a:2024",
        "[carbon]\naddress = a:12003",
        "[influxdb]\naddress = a",
    ]);
}

#[test]
fn an_admin_port_for_everyone() {
    let remedy = "write bind = localhost:8126, or set allow_from";
    assert_warns(&[
        ("[admin]\nbind = *:8126", "t.conf:2: [admin] bind: other machines", remedy),
        ("[admin]\nbind = 10.0.0.1:8126", "has no password", remedy),
        ("[udp]\nbind = localhost:1\nallow_from = 10.0.0.0/8", "refuses all senders", "127.0.0.1"),
        ("[unix]\nstream = /s\nmode = 0444", "only root can send", "mode = 0660"),
    ]);
    assert_silent(&[
        "[admin]\nbind = *:8126\nallow_from = 10.0.0.0/8",
        "[admin]\nbind = 127.0.0.1:8126",
        "[udp]\nbind = localhost:1\nallow_from = 10.0.0.0/8, 127.0.0.0/8",
        "[udp]\nbind = localhost:1\nallow_from = 0.0.0.0/0",
    ]);
}

#[test]
fn a_socket_passed_in_that_is_wider_than_bind() {
    for (text, section, address, is_wider) in [
        ("[udp]\nbind = 127.0.0.1:8125", "udp", "0.0.0.0:8125", true),
        ("[udp]\nbind = localhost:8125", "udp", "[::]:8125", true),
        ("[udp]\nbind = 10.0.0.1:8125", "udp", "10.0.0.2:8125", true),
        ("[tcp]\nbind = localhost:8125", "tcp", "192.0.2.7:8125", true),
        ("", "admin", "[::]:8126", true),
        ("", "admin", "127.0.0.1:8126", false),
        ("", "udp", "0.0.0.0:8125", false),
        ("[udp]\nbind = 0.0.0.0:8125", "udp", "10.0.0.1:8125", false),
        ("[udp]\nbind = 10.0.0.1:8125", "udp", "127.0.0.1:8125", false),
        ("[udp]\nbind =", "udp", "0.0.0.0:8125", true),
        ("[tcp]\nbind =", "tcp", "[::]:8125", true),
        ("[tcp]\nbind =", "tcp", "127.0.0.1:8125", false),
        ("[udp]\nbind = localhost:8125", "tcp", "0.0.0.0:8125", false),
        ("[udp]\nbind = localhost:8125\nallow_from = 10.0.0.0/8", "udp", "[::]:8125", false),
        ("[udp]\nbind = 127.0.0.1:8126", "udp", "127.0.0.1:8125", true), // another port
        ("[udp]\nbind = *:18125", "udp", "0.0.0.0:8125", true),
        ("[udp]\nbind = *:0", "udp", "0.0.0.0:8125", false),
        ("", "udp", "0.0.0.0:9125", false), // the default, which the socket replaces
        ("[admin]\nbind = *:8126", "admin", "127.0.0.1:8126", false),
    ] {
        let passed = vec![PassedAddress { section, address: address.parse().unwrap() }];
        let surroundings = Surroundings { passed, ..Surroundings::default() };
        let found = found_near(text, &surroundings);
        let is_found = |found: &Vec<String>| {
            found.len() == 1
                && found[0].contains(&format!("[{section}] bind: the socket {address}"))
        };
        assert!(if is_wider { is_found(&found) } else { found.is_empty() }, "{text}: {found:#?}");
    }
}
