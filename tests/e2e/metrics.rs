//! `/metrics`: the parsers of Prometheus accept it in both formats, and its figures are right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::docs::{example, replaced, section};
use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, Page, Process, Web, is_installed, peer_script, peers,
    reserve_tcp, skipped, until, until_true,
};

const TEXT: &str = "Accept: text/plain;version=0.0.4\r\n";

/// A family as prometheus-client reads it.
#[derive(Debug)]
struct Family {
    kind: String,
    /// The value of each sample, by its name and labels.
    samples: BTreeMap<(String, String), f64>,
}

/// Has prometheus-client read a text. Returns the families by name. Fails if it refuses the text.
fn parsed(format: &str, text: &str) -> BTreeMap<String, Family> {
    let python = peers().join("venv/bin/python");
    let mut reader = Command::new(python)
        .arg(peer_script("read_metrics.py"))
        .arg(format)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{text}");
    let mut families = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let family: Value = serde_json::from_str(line).unwrap();
        let mut samples = BTreeMap::new();
        for sample in family["samples"].as_array().unwrap() {
            let name = sample[0].as_str().unwrap().to_owned();
            let value = sample[2].as_str().unwrap().parse().unwrap();
            let known = samples.insert((name, sample[1].to_string()), value);
            assert!(known.is_none(), "{sample} twice");
        }
        let kind = family["type"].as_str().unwrap().to_owned();
        let name = family["name"].as_str().unwrap().to_owned();
        let known = families.insert(name, Family { kind, samples });
        assert!(known.is_none(), "two families: {line}");
    }
    families
}

fn open_metrics(web: &mut Web) -> BTreeMap<String, Family> {
    let page = web.get("/metrics");
    assert_eq!(page.status, 200);
    assert!(page.body.ends_with("\n# EOF\n"));
    parsed("openmetrics", &page.body)
}

/// Values that OpenMetrics forbids: a part of an event, quantiles and totals below zero, and totals
/// that are too large for a double.
const ODD_VALUES: &str = "odd.rate:5|ms|@0.3\nodd.below:-5|h\nodd.below:-7|c\nodd.both:-5:5|ms\n\
    odd.large:1e308|c\nodd.large:1e308|ms\nodd.binned:-5:5|h|@0.3";

/// Sends series of each kind whose names and tags are as bad as clients can make them.
fn send_hostile_names(daemon: &Daemon) {
    let names: [&[u8]; 23] = [
        b"a.b",
        b"a_b",
        b"a-b",
        b"a.b.total",
        b"a.b_value",
        b"a.timer.sum",
        b"1st",
        b"statsd.packets",
        b"<b>\"q\\x",
        b"caf\xc3\xa9",
        b"raw\xff",
        b"raw\xfe",
        b"t;env=prod",
        b"t;e-v=1;e_v=2",
        b"t;le=5;quantile=x",
        b"t;__name__=z",
        b"t;--name--=z",
        b"t;--flag=1",
        b"t;statsd-name=z",
        b"t;k=",
        b"t;k=q\"\\'",
        b"a.b.members",
        b"x:y",
    ];
    let kinds = [&b"c"[..], b"g", b"ms", b"s"].into_iter();
    let lines = kinds.flat_map(|kind| names.map(|name| [name, b":1|", kind].concat()));
    daemon.send_together(lines.chain([ODD_VALUES.into(), b"last:1|g".to_vec()]));
    daemon.until_shown("gauges", "last", 1.0);
}

/// Shows that both formats are accepted, whatever the names, and that each series has its samples.
#[test]
fn prometheus_client_accepts_both_formats() {
    let conf = Conf::flushing_every("1s").set("statsd", "sanitize_keys", "no");
    let conf = conf.set("statsd", "percentiles", "50, 90, 99.9, -10");
    let conf = conf.set("rule.bins", "match", "a.b*, odd.binned").set(
        "rule.bins",
        "histogram",
        "0.5, 10, inf",
    );
    let daemon = Daemon::start(&conf);
    send_hostile_names(&daemon);
    let mut web = daemon.web();
    let all_are_closed = |families: &BTreeMap<String, Family>| families.contains_key("a_b_members");
    until_true("a flush", || all_are_closed(&open_metrics(&mut web)));
    let families = open_metrics(&mut web);
    for (family, kind) in [
        ("a_b", "counter"),
        ("a_b_value", "gauge"),
        ("a_b_distribution", "histogram"),
        ("t_timer", "summary"),
        ("a_b_members", "gauge"),
        ("statsd_uptime_seconds", "gauge"),
        ("statsd_listener_lines", "counter"),
    ] {
        let found = families.get(family).map(|family| family.kind.as_str());
        assert_eq!(found, Some(kind), "{family} in {:?}", families.keys());
    }
    let counters = &families["a_b"].samples;
    let labels: Vec<_> = counters.keys().map(|(_, labels)| labels.as_str()).collect();
    let named = ["a-b", "a.b.total", "a_b"].map(|name| format!(r#"{{"statsd_name":"{name}"}}"#));
    assert_eq!(labels, [&named[0], &named[1], &named[2], "{}"]);
    let names = |families: &BTreeMap<String, Family>| -> BTreeSet<(String, String)> {
        let all = families.values().flat_map(|family| family.samples.keys().cloned());
        all.collect()
    };
    // A flush between the two may add samples about the server. The text format alone has values
    // below zero.
    let text = until(DEADLINE, "the same samples in both", || {
        let text = web.get_with("/metrics", TEXT);
        let open = names(&open_metrics(&mut web));
        let mut plain = parsed("text", &text.body);
        for family in plain.values_mut() {
            let is_odd = |name: &str| name.starts_with("odd_");
            family.samples.retain(|known, _| !is_odd(&known.0) || open.contains(known));
        }
        (open == names(&plain)).then_some(text)
    });
    let shown = |line: &str| text.body.lines().any(|known| known == line);
    assert!(shown("odd_rate_timer_count 3.3333333333333335"), "{}", text.body);
    assert_eq!(
        sample(&open_metrics(&mut web), "odd_rate_timer", "odd_rate_timer_count"),
        Some(3.0)
    );
    // Two more intervals with the largest values: a sum would be infinite.
    for round in [1.0, 2.0] {
        daemon.send_together([ODD_VALUES, "again:1|c"]);
        until_true("a flush", || {
            sample(&open_metrics(&mut web), "again", "again_total") == Some(round)
        });
    }
    assert_eq!(sample(&open_metrics(&mut web), "odd_large", "odd_large_total"), Some(1e308));
    assert_eq!(text.field("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!text.body.contains("# EOF") && !text.body.contains("# UNIT"));
}

/// Shows what `metrics` switches, and the answer to HEAD and to HTTP/1.0.
#[test]
fn the_key_metrics_decides_what_is_shown() {
    let conf = Conf::never_flushing();
    let daemon = Daemon::start(&conf.clone().set("admin", "metrics", "own"));
    daemon.send(["a:1|g"]);
    daemon.until_shown("gauges", "a", 1.0);
    let mut web = daemon.web();
    let own = open_metrics(&mut web);
    assert!(own.keys().all(|family| family.starts_with("statsd")), "{:?}", own.keys());
    daemon.reload(&conf.clone().set("admin", "metrics", "off"));
    until_true("no metrics", || web.get("/metrics").status == 404);
    daemon.reload(&conf);
    until_true("all metrics", || web.get("/metrics").status == 200);
    assert!(open_metrics(&mut web).contains_key("a_value"));
    web.send("HEAD /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let head = web.answer_without_body();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((head.status, head.field("Content-Type")), (200, Some(kind)));
    web.send("GET /metrics HTTP/1.0\r\n\r\n");
    assert!(web.answer().body.ends_with("# EOF\n"));
}

/// Runs a program of Debian's package `prometheus`, or skips the test if it is not installed.
fn has_prometheus(test: &str) -> bool {
    let is_there = is_installed("prometheus") && is_installed("promtool");
    if !is_there {
        skipped(test, "prometheus", "apt-get install prometheus");
    }
    is_there
}

/// Shows that `promtool` accepts the text format. Its remarks about the names of clients do not
/// count.
#[test]
fn promtool_accepts_the_text_format() {
    if !has_prometheus("promtool_accepts_the_text_format") {
        return;
    }
    let conf = Conf::flushing_every("1s").set("statsd", "sanitize_keys", "no");
    let daemon = Daemon::start(&conf);
    send_hostile_names(&daemon);
    let mut web = daemon.web();
    let page: Page = until(DEADLINE, "a flush", || {
        let page = web.get_with("/metrics", TEXT);
        page.body.contains("a_b_timer_count").then_some(page)
    });
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(page.body.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // 3 stands for remarks alone.
    assert!([Some(0), Some(3)].contains(&output.status.code()), "{}: {printed}", output.status);
    let own: Vec<_> = printed.lines().filter(|line| line.starts_with("statsd")).collect();
    assert!(own.is_empty(), "remarks about our own names: {own:#?}");
}

/// Has a real Prometheus scrape the server until each query has its value. `scrape_configs` is as
/// docs/operations.md writes it.
fn assert_prometheus_stores(scrape_configs: &str, daemon: &Daemon, values: &[(&str, f64)]) {
    let folder = tempfile::tempdir().unwrap();
    let target = daemon.admin_bound()[0].to_string();
    let config = replaced(scrape_configs, "127.0.0.1:8126", &target);
    let config = format!("global: {{scrape_interval: 1s}}\n{config}");
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let (_reserved, address) = reserve_tcp();
    let mut command = Command::new("prometheus");
    command
        .current_dir(folder.path())
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address={address}"));
    let process = Process::start(&mut command);
    let ask = |query: &str| -> Option<f64> {
        let stream = std::net::TcpStream::connect(address).ok()?;
        drop(stream);
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let page = Web::connect(address).get(&format!("/api/v1/query?query={encoded}"));
        let answer: Value = serde_json::from_str(&page.body).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    for (query, value) in values {
        until_true(&format!("{query} is {value} in\n{}", process.stderr().join("\n")), || {
            ask(query) == Some(*value)
        });
    }
}

/// Shows that a real Prometheus scrapes the server, and stores the values.
#[test]
fn prometheus_scrapes() {
    if !has_prometheus("prometheus_scrapes") {
        return;
    }
    let daemon = Daemon::start(&Conf::flushing_every("1s"));
    daemon.send(["jobs.done:5|c|#env:prod\nqueue.depth:7|g\nlast:1|g"]);
    daemon.until_shown("gauges", "last", 1.0);
    let values = [
        ("up", 1.0),
        ("queue_depth_value", 7.0),
        ("jobs_done_total{env=\"prod\"}", 5.0),
        ("count(statsd_uptime_seconds)", 1.0),
    ];
    assert_prometheus_stores(&example("operations.md", "scrape_configs:"), &daemon, &values);
}

/// Shows that with the rules of docs/migrating.md a real Prometheus stores the names that
/// statsd_exporter shows.
#[test]
fn prometheus_restores_the_names_of_statsd_exporter() {
    if !has_prometheus("prometheus_restores_the_names_of_statsd_exporter") {
        return;
    }
    let conf = Conf::flushing_every("1s").set("rule.bins", "match", "size_bytes");
    let daemon = Daemon::start(&conf.set("rule.bins", "histogram", "10, 250, inf"));
    daemon.send([
        "jobs_total:5|c|#env:prod\norders_created_total:6|c\nqueue_depth:7|g\nsize_bytes:20|ms\nwait:2|ms\nwait:4|ms\n\
         a.mixed_name:3|g\na_value:8|g\nb_timer:9|g\nlast:1|g",
    ]);
    daemon.until_shown("gauges", "last", 1.0);
    let values = [
        ("jobs_total{env=\"prod\"}", 5.0),
        ("queue_depth", 7.0),
        ("size_bytes_bucket{le=\"250.0\"}", 1.0),
        ("size_bytes_sum", 20.0),
        ("orders_created_total", 6.0),
        ("wait_count", 2.0),
        ("wait_sum / wait_count / 1000", 0.003),
        ("count(wait{quantile=\"0.5\"})", 1.0),
        ("a_mixed_name{statsd_name=\"\"}", 3.0),
        ("a_value", 8.0),
        ("b_timer", 9.0),
        ("count(statsd_uptime_seconds)", 1.0),
        ("count({statsd_name!=\"\"}) or vector(0)", 0.0),
    ];
    assert_prometheus_stores(&example("migrating.md", "scrape_configs:"), &daemon, &values);
}

/// Shows that the example of docs/rules.md, from the line of a client to `/metrics`, is what
/// happens.
#[test]
fn a_mapping_leads_to_the_metric_that_the_page_shows() {
    let text = section("rules.md", "## Moving from statsd_exporter");
    let cell = |row: &str| {
        let start = format!("| {row} | `");
        let found = text.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix("` |"));
        found.unwrap_or_else(|| panic!("no row {row}")).replace("\\|", "|")
    };
    let rule = example("rules.md", "[rule.signup]");
    let settings = rule.lines().filter_map(|line| line.split_once(" = "));
    let conf = settings
        .fold(Conf::flushing_every("1s"), |conf, (key, value)| conf.set("rule.signup", key, value));
    let daemon = Daemon::start(&conf);
    daemon.send([cell("a client sends")]);
    let mut web = daemon.web();
    let [shown, series] = ["`/metrics` shows", "the series"].map(cell);
    for format in [TEXT, ""] {
        until_true(&shown, || {
            web.get_with("/metrics", format).body.lines().any(|line| line == shown)
        });
    }
    assert!(daemon.admin().ask("counters").contains(&series), "{series}");
}

/// Returns the value of the one sample of this name, or `None` if there is none.
fn sample(families: &BTreeMap<String, Family>, family: &str, name: &str) -> Option<f64> {
    let found = families.get(family)?.samples.iter().filter(|((known, _), _)| known == name);
    let values: Vec<f64> = found.map(|(_, value)| *value).collect();
    assert!(values.len() <= 1, "{name}: {values:?}");
    values.first().copied()
}

/// Shows that while a series lives, the rise of its totals between two scrapes is what Graphite was
/// sent in between, and that a forgotten series begins again at 0.
#[test]
fn rises_equal_what_graphite_was_sent() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s");
    let conf = conf.set("rule.bins", "match", "size").set("rule.bins", "histogram", "10, 20");
    let daemon = Daemon::start(&conf);
    let mut web = daemon.web();
    // The totals in /metrics, and the sums of what Graphite was sent, in the same order.
    let mut totals = || {
        let families = open_metrics(&mut web);
        [
            sample(&families, "jobs", "jobs_total"),
            sample(&families, "rated", "rated_total"),
            sample(&families, "time_timer", "time_timer_count"),
            sample(&families, "time_timer", "time_timer_sum"),
            sample(&families, "size_distribution", "size_distribution_sum"),
        ]
        .map(Option::unwrap_or_default)
    };
    let sent = || {
        [
            "stats_counts.jobs",
            "stats_counts.rated",
            "stats.timers.time.count",
            "stats.timers.time.sum",
            "stats.timers.size.sum",
        ]
        .map(|name| carbon.series(name).iter().map(crate::support::Point::number).sum::<f64>())
    };
    let mut expected = [0.0; 5];
    let mut before = [0.0; 5];
    let mut stamp = 0;
    for round in 1..=3_u32 {
        for n in 1..=4_u32 {
            let n = n * round;
            daemon.send([format!("jobs:{n}|c\nrated:1|c|@0.1\ntime:{n}|ms|@0.5\nsize:{n}|ms")]);
            let more = [n.into(), 10.0, 2.0, n.into(), n.into()];
            expected = std::array::from_fn(|at| expected[at] + more[at]);
            // The next values fall into another interval.
            (stamp, _) = carbon.flush_after(stamp);
        }
        until_true(&format!("{expected:?} in both"), || {
            let (shown, sent) = (totals(), sent());
            let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
            shown.iter().zip(&expected).all(is_near) && sent.iter().zip(&expected).all(is_near)
        });
        let shown = totals();
        let rise: [f64; 5] = std::array::from_fn(|at| shown[at] - before[at]);
        assert!(rise.iter().all(|rise| *rise > 0.0), "{rise:?}");
        before = expected;
    }
    daemon.reload(&conf.clone().set("statsd", "expire", "1s"));
    until_true("the series are forgotten", || totals() == [0.0; 5]);
    daemon.reload(&conf);
    daemon.until_logged(&["reload=done", "statsd.expire"], 2);
    let sent_before = sent();
    daemon.send(["jobs:3|c\ntime:7|ms"]);
    until_true("the totals begin again", || totals() == [3.0, 0.0, 1.0, 7.0, 0.0]);
    until_true("Graphite has them", || {
        let sent = sent();
        sent[0] - sent_before[0] == 3.0 && sent[3] - sent_before[3] == 7.0
    });
}
