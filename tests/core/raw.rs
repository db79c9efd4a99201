//! Raw names (`sanitize_keys = no`): destinations that store them get them, and the others get one
//! series for the names that are one after cleaning.

use std::time::Duration;

use crate::rig::{SEEDS, configured, receive};
use statsd::encode::encoders::{Encoders, Format};
use statsd::encode::namespace::Namespace;
use statsd::engine::{Closing, Engine};
use statsd::policy::FigureNames;
use statsd::protocol::MetricKind;
use statsd::time::UnixTime;
use statsd::wire::In;
use statsd_bench::Random;

/// An engine, and one encoder for clean names and one for raw names.
struct Server {
    engine: Engine,
    encoders: Encoders,
    own: bool,
}

/// The sorted lines of a flush.
#[derive(Debug, PartialEq)]
struct Sent {
    plaintext: Vec<String>,
    json: Vec<String>,
}

impl Server {
    fn new(text: &str) -> Self {
        let settings = configured(text);
        let rules = &settings.rules;
        let figures = FigureNames::new(&rules.percentiles(), &rules.bins());
        let names = Namespace::default();
        let wanted = [Format::Plaintext, Format::JsonLines].map(|format| (format, &names, true));
        Self {
            engine: Engine::new(&settings, SEEDS),
            encoders: Encoders::new(wanted, &figures),
            own: false,
        }
    }

    /// Reloads as the server does: the encoders have the figures of the new rules.
    fn reconfigure(&mut self, text: &str) {
        self.engine.reconfigure(&configured(text));
        self.encoders = Self::new(text).encoders;
    }

    fn packet(&mut self, packet: &[u8]) {
        receive(&mut self.engine, packet);
    }

    fn tick(&mut self, stamp: u64) {
        let flush = self.engine.tick();
        self.encoders.begin(flush, UnixTime::from_secs(stamp));
    }

    fn sweep(&mut self, work: usize) -> bool {
        self.engine.sweep(work, &mut |summary| self.encoders.encode(summary))
    }

    fn remove(&mut self, kind: MetricKind, name: &str) -> bool {
        self.engine.remove(kind, name.as_bytes(), &mut |summary| self.encoders.encode(summary))
    }

    fn finish(&mut self) -> Sent {
        let (own, encoders) = (self.own, &mut self.encoders);
        self.engine.finish(&Closing::default(), &mut |summary| {
            if own {
                encoders.encode_own(summary);
            }
        });
        self.encoders.end();
        let plaintext = self.encoders.id(&Format::Plaintext, "", true);
        let mut sent = Sent { plaintext: Vec::new(), json: Vec::new() };
        for (id, chunk) in self.encoders.take() {
            let text = String::from_utf8(chunk.bytes().to_vec()).unwrap();
            let lines = text.lines().map(str::to_owned);
            if Some(id) == plaintext {
                sent.plaintext.extend(lines);
            } else {
                sent.json.extend(lines);
            }
        }
        sent.plaintext.sort();
        sent.json.sort();
        sent.check_names();
        sent
    }

    fn flush(&mut self, stamp: u64) -> Sent {
        self.tick(stamp);
        while !self.sweep(usize::MAX) {}
        self.finish()
    }

    fn save(&self) -> Vec<u8> {
        self.engine.save(|_| Ok::<_, ()>(())).unwrap()
    }

    fn restore(&mut self, saved: &[u8]) {
        let restored = self.engine.restore(In::new(saved), Duration::from_secs(10), false);
        assert!(!restored.damaged && restored.refused == 0, "{restored:?}");
    }
}

impl Sent {
    /// No destination gets two points of one name and stamp.
    fn check_names(&self) {
        let name = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        let mut names: Vec<_> = self.plaintext.iter().map(name).collect();
        names.dedup();
        assert_eq!(names.len(), self.plaintext.len(), "{:?}", self.plaintext);
        let name = |line: &String| line.split("\"value\"").next().unwrap_or_default().to_owned();
        let mut names: Vec<_> = self.json.iter().map(name).collect();
        names.dedup();
        assert_eq!(names.len(), self.json.len(), "{:?}", self.json);
    }

    /// The values of the series `name`, as `text` destinations and as `json` destinations get them.
    fn counts(&self, folder: &str) -> (Vec<String>, Vec<String>) {
        let text = self.plaintext.iter().filter_map(|line| {
            let (name, rest) = line.strip_prefix(folder)?.rsplit_once(' ')?.0.rsplit_once(' ')?;
            Some(format!("{name} {rest}"))
        });
        let json = self.json.iter().filter_map(|line| {
            let line = line.strip_prefix("{\"name\":\"")?.strip_prefix(folder)?;
            Some(line.split(",\"timestamp\"").next()?.replace(",\"", " \""))
        });
        (text.collect(), json.collect())
    }
}

const RAW: &str = "[statsd]\nsanitize_keys = no\n";

/// Lines, the beginning of names, and what destinations of clean and of raw names are sent.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str]);

const CASES: [Case<'_>; 11] = [
    ("a b:1|c\na_b:2|c", "stats_counts.", &["a_b 3"], &["a b\" \"value\":1", "a_b\" \"value\":2"]),
    (
        "a_b:2|c\na b:1|c\na  b:4|c|@0.5",
        "stats_counts.",
        &["a_b 11"],
        &["a  b\" \"value\":8", "a b\" \"value\":1", "a_b\" \"value\":2"],
    ),
    ("a/b:1|c", "stats_counts.", &["a-b 1"], &["a/b\" \"value\":1"]),
    ("plain:1|c", "stats_counts.", &["plain 1"], &["plain\" \"value\":1"]),
    ("g h:5|g\ng_h:+1|g", "stats.gauges.", &["g_h 6"], &["g h\" \"value\":5", "g_h\" \"value\":1"]),
    (
        "g_h:5|g\ng h:+1|g\ng_h:+1|g",
        "stats.gauges.",
        &["g_h 7"],
        &["g h\" \"value\":1", "g_h\" \"value\":6"],
    ),
    (
        "s t:x|s\ns_t:x|s\ns_t:y|s",
        "stats.sets.",
        &["s_t.count 2"],
        &["s t.count\" \"value\":1", "s_t.count\" \"value\":2"],
    ),
    (
        "a:1|c|#k:x y\na:1|c|#k:x_y\na:1|c|#k:x  y",
        "stats_counts.",
        &["a;k=x_y 3"],
        &[
            "a\" \"tags\":{\"k\":\"x  y\"} \"value\":1",
            "a\" \"tags\":{\"k\":\"x y\"} \"value\":1",
            "a\" \"tags\":{\"k\":\"x_y\"} \"value\":1",
        ],
    ),
    // Tags are in the order of their clean keys.
    (
        "a:1|c|#b b:1,b!c:2\na:1|c|#b_b:1,bc:2",
        "stats_counts.",
        &["a;b_b=1;bc=2 2"],
        &[
            "a\" \"tags\":{\"b b\":\"1\" \"b!c\":\"2\"} \"value\":1",
            "a\" \"tags\":{\"b_b\":\"1\" \"bc\":\"2\"} \"value\":1",
        ],
    ),
    // What no destination can store is changed when it is read.
    (
        "t\tab:1|c\nt_ab:1|c\nback\\:1|c\nback:1|c\nbell\u{7}x:1|c\nbellx:1|c",
        "stats_counts.",
        &["back 2", "bellx 2", "t_ab 2"],
        &["back\" \"value\":2", "bellx\" \"value\":2", "t_ab\" \"value\":2"],
    ),
    (
        "q\"b\\x:1|c\ncaf\u{e9} 1:1|c",
        "stats_counts.",
        &["caf_1 1", "qbx 1"],
        &["caf\u{e9} 1\" \"value\":1", "q\\\"b\\\\x\" \"value\":1"],
    ),
];

#[test]
fn raw_names_that_are_one_clean_name_are_summed_where_names_are_clean() {
    for (lines, folder, text, json) in CASES {
        let mut server = Server::new(RAW);
        server.packet(lines.as_bytes());
        let sent = server.flush(10);
        assert_eq!(sent.counts(folder), (strings(text), strings(json)), "{lines}");
        // The same in the next interval, when all series are known.
        server.flush(20);
        server.packet(lines.as_bytes());
        if folder != "stats.gauges." {
            let sent = server.flush(30);
            assert_eq!(sent.counts(folder), (strings(text), strings(json)), "{lines}");
        }
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let mut server = Server::new(RAW);
    server.packet(b"a\xff b:1|c\na\xfe b:1|c");
    let (text, json) = server.flush(10).counts("stats_counts.");
    assert_eq!(text, ["a_b 2"]);
    assert_eq!(json, ["a\u{fffd} b\" \"value\":2"]);
}

#[test]
fn num_stats_counts_the_series_that_a_destination_gets() {
    let mut server = Server::new(RAW);
    server.own = true;
    server.packet(b"a b:1|c\na_b:2|c\nx:1|c");
    let sent = server.flush(10);
    assert!(sent.plaintext.contains(&"statsd.numStats 5 10".to_owned()), "{sent:?}");
    let of_json = "{\"name\":\"statsd.numStats\",\"value\":6,\"timestamp\":10}";
    assert!(sent.json.contains(&of_json.to_owned()), "{sent:?}");
}

#[test]
fn rules_see_clean_names() {
    let mut server = Server::new(&format!(
        "{RAW}[rule.a]\nmatch = a_b\npercentiles = 50\n[rule.junk]\nmatch = junk_**\ndrop = yes"
    ));
    server.packet(b"a b:1|ms\na_b:2|ms\njunk x:1|c\njunk_x:1|c\nok:1|c");
    let sent = server.flush(10);
    for name in ["stats.timers.a_b.upper_50", "stats.timers.a b.upper_50"] {
        let lines = sent.plaintext.iter().chain(&sent.json);
        assert!(lines.into_iter().any(|line| line.contains(name)), "{name}: {sent:?}");
    }
    assert!(!sent.plaintext.iter().chain(&sent.json).any(|line| line.contains("junk")));
}

#[test]
fn a_merged_series_is_deleted_with_its_last_raw_series() {
    let mut server = Server::new(RAW);
    server.packet(b"a b:1|c\na_b:2|c\nc d:1|c");
    assert!(server.remove(MetricKind::Counter, "a_b"));
    assert!(!server.remove(MetricKind::Counter, "a_b"));
    assert!(!server.remove(MetricKind::Counter, "c_d"), "only raw names are deleted");
    server.packet(b"a_b:4|c");
    let (text, json) = server.flush(10).counts("stats_counts.");
    assert_eq!(text, ["a_b 7", "c_d 1"]);
    assert_eq!(json, ["a b\" \"value\":1", "a_b\" \"value\":4", "c d\" \"value\":1"]);
    server.packet(b"a b:8|c");
    server.tick(20);
    server.sweep(1);
    server.remove(MetricKind::Counter, "a b");
    while !server.sweep(1) {}
    assert_eq!(
        server.finish().counts("stats_counts.").0,
        ["a_b 8", "c_d 0"],
        "the interval before"
    );
}

#[test]
fn deleted_raw_gauges_leave_the_others_and_at_last_nothing() {
    let mut server = Server::new(RAW);
    server.packet(b"x/y:1|g\nx/ y:2|g\nx-y:3|g\nx-_y:4|g");
    assert!(server.remove(MetricKind::Gauge, "x/y"));
    let (text, json) = server.flush(10).counts("stats.gauges.");
    assert_eq!(text, ["x-_y 4", "x-y 3"]);
    assert_eq!(json.len(), 3);
    assert!(server.remove(MetricKind::Gauge, "x-y"));
    assert!(!server.remove(MetricKind::Gauge, "x-y"));
    assert!(server.remove(MetricKind::Gauge, "x-_y"));
    let (text, json) = server.flush(20).counts("stats.gauges.");
    assert_eq!(text, ["x-_y 4"], "a raw series is left");
    assert_eq!(json.len(), 1);
    assert!(!server.remove(MetricKind::Gauge, "x-_y"));
    assert!(server.remove(MetricKind::Gauge, "x/ y"));
    let (text, json) = server.flush(30).counts("stats.gauges.");
    assert!(text.is_empty() && json.is_empty(), "{text:?} {json:?}");
    assert!(server.engine.table().is_empty());
}

#[test]
fn a_full_table_keeps_the_merged_series_of_a_known_name() {
    let mut server = Server::new(&format!("{RAW}[limits]\nmax_series = 3\nevict_after = 10s"));
    server.packet(b"a_b:1|c\na b:1|c");
    (1..4).for_each(|flush| drop(server.flush(flush * 10)));
    server.packet(b"new.1:1|c\nnew.2:1|c\nnew.3:1|c");
    let (text, _) = server.flush(50).counts("stats_counts.");
    assert!(!text.is_empty());
}

const NAMES: [&str; 7] = ["a b", "a_b", "a  b", "c-d", "c/d", "e", "f!"];

/// Three servers that get the same samples: one with raw names, one whose names are cleaned when
/// they are read, and one whose names are all different and clean.
struct Three {
    raw: Server,
    clean: Server,
    apart: Server,
}

impl Three {
    fn feed(&mut self, random: &mut Random) {
        let name = random.below(NAMES.len());
        let value = 1 + random.below(9);
        let rest = match random.below(6) {
            0 => format!("{value}|c"),
            1 => format!("{value}|ms"),
            2 => format!("{value}|g"),
            3 => format!("+{value}|g"),
            4 => format!("m{value}|s"),
            _ => format!("{}|C", 10 * value),
        };
        let line = format!("{}:{rest}", NAMES[name]);
        self.raw.packet(line.as_bytes());
        self.clean.packet(line.as_bytes());
        self.apart.packet(format!("{}:{rest}", code(name)).as_bytes());
    }

    fn flush(&mut self, stamp: u64, random: &mut Random, trial: &str) {
        for server in [&mut self.raw, &mut self.clean, &mut self.apart] {
            server.tick(stamp);
        }
        while !self.raw.sweep(1) {
            if random.one_in(3) {
                self.feed(random);
            }
        }
        for server in [&mut self.clean, &mut self.apart] {
            while !server.sweep(usize::MAX) {}
        }
        let sent = self.raw.finish();
        assert_eq!(sent.plaintext, self.clean.finish().plaintext, "{trial}");
        let mut expected = self.apart.finish().json;
        for line in &mut expected {
            for (name, raw) in NAMES.iter().enumerate() {
                *line = line.replace(&code(name), raw);
            }
        }
        expected.sort();
        assert_eq!(sent.json, expected, "{trial}");
    }
}

fn code(name: usize) -> String {
    format!("zz{name}zz")
}

#[test]
fn whatever_comes_clean_and_raw_destinations_get_what_they_would_get_alone() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let keys = *random.pick(&[
            "",
            "delete_idle = yes\n",
            "expire = 20s\n",
            "delete_gauges = yes\ngauge_ttl = 2\n",
            "timer_exact = 3\nset_exact = 2\n",
        ]);
        let mut three = Three {
            raw: Server::new(&format!("{RAW}{keys}")),
            clean: Server::new(&format!("[statsd]\n{keys}")),
            apart: Server::new(&format!("[statsd]\n{keys}")),
        };
        for flush in 1..8 {
            (0..random.below(8)).for_each(|_| three.feed(&mut random));
            three.flush(flush * 10, &mut random, &format!("seed {seed}, flush {flush}"));
            if random.one_in(3) {
                let saved = three.raw.save();
                three.raw = Server::new(&format!("{RAW}{keys}"));
                three.raw.restore(&saved);
            }
        }
        // A start with the other setting goes on with the clean names.
        if keys.is_empty() {
            let mut other = Server::new("[statsd]\n");
            other.restore(&three.raw.save());
            assert_eq!(other.flush(90).plaintext, three.clean.flush(90).plaintext, "seed {seed}");
        }
    }
}

/// Shows that a merged timer that begins after a reload has the totals of its own percentiles. The
/// series of the clean name still has those of before.
#[test]
fn a_merged_timer_that_begins_after_a_reload_has_its_own_percentiles() {
    // The encoder of the test has the names of all three percentiles from the start.
    let text = |percentiles| {
        format!("{RAW}percentiles = {percentiles}\n[rule.z]\nmatch = z\npercentiles = 50, 90, 99\n")
    };
    let mut server = Server::new(&text("90"));
    server.packet(b"a_b:5|ms");
    server.flush(10);
    server.engine.reconfigure(&configured(&text("50, 90, 99")));
    server.packet(b"a_b:5|ms\na b:7|ms");
    server.flush(20);
    let visited = server.engine.table_mut().look_up(MetricKind::Timing, b"\0a_b").unwrap();
    let plan = &visited.policy.plan;
    assert_eq!(visited.series.timing().unwrap().boundaries(plan), [5.0, 7.0, 7.0]);
}

/// Shows that samples of a clean name count from the line on that begins the merged series, also if
/// that line stands in the middle of a packet.
#[test]
fn a_merged_series_that_begins_within_a_packet_gets_all_lines_after_it() {
    let mut server = Server::new(RAW);
    server.packet(b"a_b:1|c|#t:v");
    let lines = ["a_b:1|c|#t:v"; 100].join("\n");
    server.packet(format!("{lines}\na b:1|c|#t:v\n{lines}").as_bytes());
    let (text, _) = server.flush(10).counts("stats_counts.");
    assert_eq!(text, ["a_b;t=v 202"]);
}

/// Shows that values are not added a second time at a start whose rules give one of the raw names
/// another name, or that made the clean name.
#[test]
fn a_restart_adds_the_values_of_raw_names_once_if_rules_change_names() {
    let rule = |keys: &str| format!("{RAW}[rule.a]\n{keys}\n");
    let mut server = Server::new(RAW);
    server.packet(b"a b:3|c\na_b:5|c");
    let mut other = Server::new(&rule("match = a_b\nname = x"));
    other.restore(&server.save());
    let (text, _) = other.flush(10).counts("stats_counts.");
    assert_eq!(text, ["x 8"]);

    let made = rule("match = x\nname = a_b");
    let mut server = Server::new(&made);
    server.packet(b"x:1|c\na b:2|c");
    let mut other = Server::new(&made);
    other.restore(&server.save());
    other.packet(b"x:1|c");
    let (text, json) = other.flush(10).counts("stats_counts.");
    assert_eq!(text, ["a_b 4"]);
    assert_eq!(json.len(), 2, "{json:?}");
}

/// Shows that a restart whose rules, or whose `sanitize_keys`, make other names adds each value
/// once for destinations of clean names.
#[test]
fn a_restart_that_changes_raw_names_loses_no_value_and_adds_none_twice() {
    let cut = "[rule.a]\nmatch_regex = ^x\\.(.*)\nname = $1\n";
    let prefix = "[rule.a]\nmatch = **\nname = z.$1\n";
    let clean = "[statsd]\n";
    for (before, after, sent, expected) in [
        // Rules give a clean name up, and what the client sends is not clean. A series of several
        // names keeps its name.
        ((RAW, cut), (RAW, ""), "x.a b:1|c", &["x.a_b 1"][..]),
        ((RAW, cut), (RAW, ""), "x.a b:1|c\nx.a/b:2|c\nx.a_b:4|c", &["a_b 5", "x.a-b 2"]),
        // Rules make one name of them.
        ((RAW, ""), (clean, prefix), "a b:1|c\na_b:2|c", &["z.a_b 3"]),
        ((RAW, ""), (RAW, prefix), "a b:1|c\na_b:2|c\na  b:4|c", &["z.a_b 7"]),
        // One of the raw series was made by rules.
        ((RAW, cut), (clean, cut), "a b:1|c\nx.a_b:4|c", &["a_b 5"]),
        ((RAW, cut), (RAW, cut), "a b:1|c\nx.a_b:4|c", &["a_b 5"]),
        ((RAW, cut), (RAW, ""), "a b:1|c\nx.a_b:4|c", &["a_b 1", "x.a_b 4"]),
        ((RAW, cut), (clean, ""), "x.a_b:4|c\na b:1|c", &["a_b 1", "x.a_b 4"]),
    ] {
        let mut server = Server::new(&[before.0, before.1].concat());
        server.packet(sent.as_bytes());
        let mut other = Server::new(&[after.0, after.1].concat());
        other.restore(&server.save());
        let (text, _) = other.flush(10).counts("stats_counts.");
        assert_eq!(text, expected, "{sent} from {before:?} to {after:?}");
    }
}

/// Shows that the totals of clients whose names rules make one are not compared with each other,
/// nor when a raw name begins their merged series.
#[test]
fn a_merged_counter_has_the_totals_of_each_client() {
    let conf = format!("{RAW}[rule.a]\nmatch = **\ndrop_tags = pod\n");
    let mut server = Server::new(&conf);
    server.packet(b"b:50|C|#pod:x\nb!:3|c\nb:10|C\nb:55|C|#pod:x\nb:11|C");
    let mut other = Server::new(&conf);
    other.restore(&server.save());
    other.packet(b"b:13|C\nb:59|C|#pod:x");
    for (mut server, expected) in [(server, "b 9"), (other, "b 15")] {
        let (text, _) = server.flush(10).counts("stats_counts.");
        assert_eq!(text, [expected]);
    }
}

/// Shows that a timer which is deleted after a reload, before the sweep has reached it, is sent
/// with the figures of the new configuration.
#[test]
fn a_merged_timer_that_is_deleted_after_a_reload_has_the_new_figures() {
    let text = |percentiles: &str| format!("{RAW}percentiles = {percentiles}\n");
    let mut server = Server::new(&text("50, 75, 90, 99"));
    server.packet(b"a_b:5|ms\na b:7|ms");
    server.flush(10);
    server.packet(b"a_b:5|ms\na b:7|ms");
    server.reconfigure(&text("99"));
    server.tick(20);
    assert!(server.remove(MetricKind::Timing, "a b"));
    while !server.sweep(1) {}
    let sent = server.finish();
    let (text, _) = sent.counts("stats.timers.a_b.");
    assert!(text.contains(&"upper_99 7".to_owned()), "{text:?}");
    assert!(!text.iter().any(|line| line.contains("_50")), "{text:?}");
}
