//! `explain` agrees with what the server does. Each line is explained first and then taken in. The
//! explanation must change nothing, its verdicts must equal what the engine counts, and its names
//! must equal those that the flush sends.

use std::collections::BTreeMap;

use statsd::encode::encoders::{EncoderId, Encoders, Format};
use statsd::encode::ganglia::Labels;
use statsd::encode::namespace::{Namespace, Style};
use statsd::encode::sent_names::{NameEncoders, names};
use statsd::engine::explain::{Explanation, PreviewDepth, SampleVerdict, explain, explain_series};
use statsd::engine::{Closing, Engine, Settings};
use statsd::policy::FigureNames;
use statsd::protocol::MetricKind;
use statsd::series::AddError;
use statsd::time::UnixTime;
use statsd_bench::Random;

use crate::rig::{SEEDS, configured};
use crate::vectors::all_lines;

/// The number of each verdict, as the own counters have it.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    bad: u64,
    dropped: u64,
    rejected: u64,
    events: u64,
}

impl Counts {
    fn of(engine: &Engine) -> Self {
        let own: BTreeMap<_, _> = engine.own().open().collect();
        Self {
            bad: own["bad_lines_seen"],
            dropped: own["samples_dropped"],
            rejected: own["series_rejected"],
            events: own["events_ignored"],
        }
    }

    fn since(self, before: &Self) -> Self {
        Self {
            bad: self.bad - before.bad,
            dropped: self.dropped - before.dropped,
            rejected: self.rejected - before.rejected,
            events: self.events - before.events,
        }
    }

    fn explained(explanation: &Explanation) -> Self {
        let mut counts = Self::default();
        match explanation {
            Explanation::Empty | Explanation::Binary => {}
            Explanation::Event => counts.events = 1,
            Explanation::Bad(_) => counts.bad = 1,
            Explanation::Metrics(line) => {
                for sample in &line.samples {
                    match sample.verdict {
                        SampleVerdict::Bad(_) => counts.bad += 1,
                        SampleVerdict::Dropped(_)
                        | SampleVerdict::Refused(
                            AddError::NoMemory | AddError::NoPassthroughMemory,
                        ) => {
                            counts.dropped += 1;
                        }
                        SampleVerdict::Refused(_) => counts.rejected += 1,
                        SampleVerdict::Accepted { .. }
                        | SampleVerdict::PassedOn
                        | SampleVerdict::Doomed(_) => {}
                    }
                }
            }
        }
        counts
    }
}

/// Everything of an engine that an explanation could change.
fn state(engine: &Engine) -> (Vec<u8>, Vec<(&'static str, u64)>, u64, usize) {
    let saved = engine.save(|_| Ok::<_, ()>(())).unwrap();
    let table = engine.table();
    (saved, engine.own().open().collect(), table.revision(), table.sample_bytes())
}

/// One encoder of every format, and of every style of the format that all styles use.
fn encoders(settings: &Settings) -> Encoders {
    let named = |name: &str, style| Namespace { name: name.into(), style, ..Namespace::default() };
    let old = Namespace::default();
    let modern = Namespace { global_suffix: "h".into(), ..named("modern", Style::Modern) };
    let statsite = Namespace { name: "statsite".into(), ..Namespace::statsite() };
    let labels = Labels { spoof: "1:h".into(), prefix: String::new(), max_name_length: 40 };
    let wanted = [
        (Format::Plaintext, &old),
        (Format::Plaintext, &modern),
        (Format::Plaintext, &statsite),
        (Format::Piped, &old),
        (Format::Piped, &statsite),
        (Format::Records { is_prefixed: true }, &statsite),
        (Format::Pickle { batch: 3 }, &old),
        (Format::JsonLines, &modern),
        (Format::Influx { is_for_udp: false }, &old),
        (Format::Ganglia(labels), &old),
    ];
    let rules = &settings.rules;
    let figures = FigureNames::new(&rules.percentiles(), &rules.bins());
    Encoders::new(wanted.map(|(format, namespace)| (format, namespace, false)), &figures)
}

/// The formats of the encoders above, by their ids.
fn formats(encoders: &Encoders) -> Vec<(EncoderId, Format)> {
    let labels = Labels { spoof: "1:h".into(), prefix: String::new(), max_name_length: 40 };
    let wanted = [
        (Format::Plaintext, ""),
        (Format::Plaintext, "modern"),
        (Format::Plaintext, "statsite"),
        (Format::Piped, ""),
        (Format::Piped, "statsite"),
        (Format::Records { is_prefixed: true }, "statsite"),
        (Format::Pickle { batch: 3 }, ""),
        (Format::JsonLines, "modern"),
        (Format::Influx { is_for_udp: false }, ""),
        (Format::Ganglia(labels), ""),
    ];
    let id = |(format, name): (Format, &str)| (encoders.id(&format, name, false).unwrap(), format);
    wanted.map(id).into()
}

type Sent = Vec<(usize, Vec<u8>)>;

/// The sorted names that a flush sends, each once, with the number of the encoder.
fn flushed(engine: &mut Engine, encoders: &mut Encoders) -> Sent {
    let formats = formats(encoders);
    let flush = engine.tick();
    encoders.begin(flush, UnixTime::from_secs(10));
    while !engine.sweep(usize::MAX, &mut |summary| encoders.encode(summary)) {}
    engine.finish(&Closing::default(), &mut |_| {});
    encoders.end();
    let mut sent = Vec::new();
    for (id, chunk) in encoders.take() {
        let number = formats.iter().position(|(known, _)| *known == id).unwrap();
        sent.extend(names(&formats[number].1, &chunk).into_iter().map(|name| (number, name)));
    }
    sent.sort();
    sent.dedup();
    sent
}

fn explained(explanation: &Explanation, encoders: &Encoders) -> Sent {
    let formats = formats(encoders);
    let Explanation::Metrics(line) = explanation else { return Vec::new() };
    let mut sent = Vec::new();
    for points in line.sent.iter().flat_map(|series| &series.points) {
        let number = formats.iter().position(|(known, _)| *known == points.encoder).unwrap();
        sent.extend(points.names.iter().map(|name| (number, name.clone())));
    }
    sent.sort();
    sent.dedup();
    sent
}

/// Explains a line, takes it in, and compares.
#[track_caller]
fn check(engine: &mut Engine, names: &mut NameEncoders, line: &[u8]) -> Explanation {
    let before = state(engine);
    let explanation = explain(engine, names, line, PreviewDepth::AllSamples);
    assert!(state(engine) == before, "{} was taken in", line.escape_ascii());
    if explanation != Explanation::Binary {
        let counts = Counts::of(engine);
        let evicted = engine.table().counts().evicted;
        engine.lines(line);
        let mut counted = Counts::of(engine).since(&counts);
        let expected = Counts::explained(&explanation);
        if engine.table().counts().evicted > evicted {
            // The samples of a new series that made room count there, too.
            counted.rejected = expected.rejected;
        }
        assert_eq!(expected, counted, "{}: {explanation:?}", line.escape_ascii());
    }
    explanation
}

const RULES: &str = "
[rule.web]
match = a**, web.**
percentiles = 50, 99.9, -10
histogram = 10, 100, inf
[rule.short]
match = **
timer_metrics = count, upper, upper_percent
drop = no
";

/// Shows that explanations of the lines of many projects are true, with their configurations and
/// with rules.
#[test]
fn each_line_of_other_projects_does_what_its_explanation_says() {
    let mut count = 0;
    let mut servers = BTreeMap::new();
    for (number, (config, bytes)) in all_lines().enumerate() {
        let rules = if number % 3 == 0 { RULES } else { "" };
        let text = format!("[statsd]\n{config}\n{rules}");
        let (settings, encoders, shown) = servers.entry(text).or_insert_with_key(|text| {
            let settings = configured(text);
            let encoders = encoders(&settings);
            let shown = NameEncoders::of(&encoders);
            (settings, encoders, shown)
        });
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut engine = Engine::new(settings, SEEDS);
            let explanation = check(&mut engine, shown, line);
            let sent = flushed(&mut engine, encoders);
            if explanation != Explanation::Binary {
                let expected = explained(&explanation, encoders);
                assert_eq!(expected, sent, "{}", line.escape_ascii());
                count += 1;
            }
        }
    }
    assert!(count > 1900, "{count}");
}

fn random_line(random: &mut Random) -> Vec<u8> {
    let names = ["a", "b", "web.x", "web.y.", "c d", "c_d", "c/d", "drop.x", "n", "n.x.", "\u{e9}"];
    let name = random.pick(&names);
    let number = random.below(40_u64);
    let tags = random.pick(&["", "", "|#k:v", "|#k:v w,l", "|T17", "|@0.1", "|@1e-308", "|@x"]);
    let value = random.pick(&["1", "1e308", "-1e308", "+3", "x", "2:3", "1e308:1e308", "1:x"]);
    let kind = random.pick(&["c", "c", "g", "ms", "h", "s", "kv", "C", "q"]);
    let more = random.pick(&["", "", "", ":4|g", ":5|ms|@0.5", ":4|g:5|ms:m|s:1e308|c"]);
    match random.below(30_u64) {
        0 => b"_sc|name|0".to_vec(),
        1 => b" \r".to_vec(),
        2 => b"no value".to_vec(),
        _ => format!("{name}{number}:{value}|{kind}{tags}{more}").into_bytes(),
    }
}

/// Shows that explanations hold while the table is full, series are evicted and forgotten, sums
/// overflow, and names are raw.
#[test]
fn random_lines_do_what_their_explanations_say_while_limits_are_reached() {
    let limits = |max_series: usize| {
        format!("[limits]\nmax_series = {max_series}\nevict_after = 20s\n[statsd]\n")
    };
    let drops = "[rule.no]\nmatch = drop.***, **9\ndrop = yes\n";
    let configs = [
        format!("{}delete_gauges = yes\n{drops}{RULES}", limits(60)),
        format!("{}sanitize_keys = no\n[rule.no]\nmatch = drop.**\ndrop = yes\n", limits(60)),
        // So few that one line changes which group is the largest, and evicts what it needs itself.
        format!("{}{drops}", limits(9)),
        format!("{}delete_idle = no\n{drops}[rule.m]\nmatch = **\nname = x.$1\n", limits(25)),
        format!("{}sanitize_keys = no\n{drops}", limits(14)),
    ];
    let mut verdicts = BTreeMap::new();
    for (config, seed) in configs.iter().flat_map(|config| (0..6).map(move |seed| (config, seed))) {
        let mut settings = configured(config);
        settings.bounds.passthrough_memory = 2000;
        let mut encoders = encoders(&settings);
        let mut engine = Engine::new(&settings, SEEDS);
        let mut shown = NameEncoders::of(&encoders);
        let mut random = Random::new(seed);
        for _ in 0..400 {
            let line = random_line(&mut random);
            if let Explanation::Metrics(line) = check(&mut engine, &mut shown, &line) {
                for sample in line.samples {
                    *verdicts.entry(sample.verdict.to_string()).or_insert(0) += 1;
                }
            }
            if random.one_in(100) {
                flushed(&mut engine, &mut encoders);
            }
        }
    }
    for verdict in [
        "accepted, makes a new series",
        "accepted, the series exists",
        "accepted, passed on unchanged with the next flush",
        "dropped by [rule.no]",
        "refused: the table of series is full, and no series makes room for the name",
        "refused: passthrough_memory is used up",
        "refused: the value takes its series out of the range of a double",
    ] {
        assert!(verdicts.get(verdict).is_some_and(|count| *count > 20), "{verdict}: {verdicts:?}");
    }
}

/// Shows that a line is explained with what the open interval already has.
#[test]
fn an_explanation_counts_with_the_series_that_exist() {
    let settings = configured("[statsd]\npercentiles = 1\n");
    let mut shown = NameEncoders::of(&encoders(&settings));
    let mut engine = Engine::new(&settings, SEEDS);
    engine.lines(b"t:1:2:3|ms\nbig:1e308|c");
    let Explanation::Metrics(line) = check(&mut engine, &mut shown, b"t:4|ms") else { panic!() };
    assert_eq!(line.samples[0].verdict, SampleVerdict::Accepted { creates: false });
    let shows = |part: &str| {
        let names = line.sent.iter().flat_map(|series| &series.points).flat_map(|one| &one.names);
        names.filter(|name| name.ends_with(part.as_bytes())).count() > 0
    };
    assert!(shows("timers.t.median") && !shows("upper_1"), "1 % of four samples is none");
    let Explanation::Metrics(line) = check(&mut engine, &mut shown, b"big:1e308:-1e308|c") else {
        panic!()
    };
    let verdicts = line.samples.iter().map(|sample| &sample.verdict);
    let accepted: Vec<_> =
        verdicts.map(|verdict| matches!(verdict, SampleVerdict::Accepted { .. })).collect();
    assert_eq!(accepted, [false, true]);
}

/// Shows that a rule that is new since a reload is named, although the series still takes values.
#[test]
fn a_series_that_a_new_rule_drops_is_doomed() {
    let settings = configured("");
    let mut engine = Engine::new(&settings, SEEDS);
    engine.lines(b"a:1|c");
    let settings = configured("[rule.gone]\nmatch = a\ndrop = yes\n");
    engine.reconfigure(&settings);
    let mut encoders = encoders(&settings);
    let mut shown = NameEncoders::of(&encoders);
    let Explanation::Metrics(line) = check(&mut engine, &mut shown, b"a:2|c") else { panic!() };
    assert_eq!(line.samples[0].verdict, SampleVerdict::Doomed("gone".into()));
    assert_eq!((line.sent.len(), flushed(&mut engine, &mut encoders).len()), (0, 0));
    let Explanation::Metrics(line) = check(&mut engine, &mut shown, b"a:2|c") else { panic!() };
    assert_eq!(line.samples[0].verdict, SampleVerdict::Dropped("gone".into()));
}

/// Shows that a series is explained as a line of it is.
#[test]
fn a_series_has_the_names_and_rules_of_its_lines() {
    let settings = configured(RULES);
    let encoders = encoders(&settings);
    let engine = Engine::new(&settings, SEEDS);
    for (kind, line) in [
        (MetricKind::Counter, "a;k=v:1|c"),
        (MetricKind::Gauge, "a;k=v:1|g"),
        (MetricKind::Timing, "a;k=v:1|ms"),
        (MetricKind::Set, "a;k=v:1|s"),
    ] {
        let mut names = NameEncoders::of(&encoders);
        let Explanation::Metrics(line) =
            explain(&engine, &mut names, line.as_bytes(), PreviewDepth::AllSamples)
        else {
            panic!()
        };
        let series = explain_series(&engine, &mut names, kind, b"a;k=v");
        assert_eq!((series.name, series.sent), (line.name, line.sent));
        let rules: Vec<_> = line.rules.iter().map(|(name, gives)| (&**name, &gives[..])).collect();
        let gives = [&["percentiles", "histogram"][..], &["drop", "timer_metrics"]];
        assert_eq!(rules, [("web", gives[0]), ("short", gives[1])]);
        assert_eq!(series.rules, line.rules);
    }
}

/// Shows that series with many samples are explained without a copy of these, and a line with many
/// values without all of them.
#[test]
fn large_series_and_long_lines_are_explained_in_short_time() {
    let settings = configured("[statsd]\npercentiles = 0.1, 50\n");
    let mut encoders = encoders(&settings);
    let mut shown = NameEncoders::of(&encoders);
    let mut engine = Engine::new(&settings, SEEDS);
    for number in 0..2000 {
        engine.lines(format!("t:{number}|ms\ns:{number}|s").as_bytes());
    }
    let mut sent = Vec::new();
    for line in [&b"t:4|ms"[..], b"s:new|s"] {
        let explanation = check(&mut engine, &mut shown, line);
        sent.extend(explained(&explanation, &encoders));
        let Explanation::Metrics(line) = explanation else { panic!() };
        assert_eq!(line.samples[0].verdict, SampleVerdict::Accepted { creates: false });
    }
    sent.sort();
    assert_eq!(sent, flushed(&mut engine, &mut encoders));
    let long = format!("t{}|ms", ":1".repeat(1001));
    let Explanation::Metrics(line) = check(&mut engine, &mut shown, long.as_bytes()) else {
        panic!()
    };
    assert_eq!((line.samples.len(), line.has_more_samples), (1000, true));
}
