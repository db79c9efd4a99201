//! Lines are shown and counted, and have the same effect as without a watch.

use statsd_bench::Random;

use super::queue::QUEUE_BYTES_MAX;
use super::sampler::PER_SECOND;
use super::*;
use crate::config::Config;
use crate::encode::encoders::Format;
use crate::encode::namespace::Namespace;
use crate::engine::Settings;
use crate::ledger::OwnCounter;
use crate::policy::FigureNames;
use crate::series::Seeds;
use crate::time::UnixTime;

fn engine() -> Engine {
    let config = Config::default();
    let settings = Settings {
        grammar: config.grammar,
        bounds: crate::series::Bounds { max_series: 30, ..config.bounds },
        rules: config.rules,
        flush_interval: config.flush_interval,
        prefix_stats: "statsd".into(),
        count_names: false,
    };
    Engine::new(&settings, Seeds { names: [1, 2, 3, 4], members: [5, 6] })
}

fn encoders() -> Encoders {
    let wanted = [(Format::Plaintext, &Namespace::default(), true)];
    let rules = Config::default().rules;
    Encoders::new(wanted, &FigureNames::new(&rules.percentiles(), &rules.bins()))
}

fn filter(text: &str) -> WatchFilter {
    let words: Vec<_> = text.split_whitespace().map(|word| word.as_bytes().into()).collect();
    WatchFilter::parse(&words).unwrap()
}

fn begin_turn(watch: &mut Watch, millis: u64) {
    let tick = Tick::from_millis(millis);
    watch.begin_turn(Now { tick, unix: UnixTime::from_millis(millis) });
}

fn explain_all(watch: &mut Watch, engine: &Engine) {
    while watch.explain(engine, &encoders(), &Sinks::default()) {}
}

fn random_packet(random: &mut Random) -> Vec<u8> {
    let mut packet = Vec::new();
    for _ in 0..random.below(30_u64) {
        let name = random.pick(&["a", "web.x", "c d", ""]);
        let value = random.pick(&["1", "x", "1e308", "-1e308", "2:3", ""]);
        let end = random.pick(&["|c", "|ms", "|g|#k:v", "|c|T5", "", "|s"]);
        let number = random.below(20_u64);
        packet.extend_from_slice(format!("{name}{number}:{value}{end}\n").as_bytes());
        if random.one_in(20) {
            packet.extend_from_slice(b"\xaa\x02\x02\0\0\0\0\0\0\0\xf0\x3fb\0");
        }
    }
    packet
}

/// Shows that the engine takes the same lines in the same order whether clients watch or not.
#[test]
fn lines_have_the_same_effect_while_they_are_watched() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut plain = engine();
        let mut watched = engine();
        let mut watch = Watch::default();
        let filters = ["", "web.*", "bad", "c_d* bad"];
        let mut watching: Vec<_> = filters.iter().map(|text| watch.add(filter(text))).collect();
        for turn in 0..100 {
            begin_turn(&mut watch, turn * random.below(200_u64));
            let packet = random_packet(&mut random);
            let share = 1 + random.below(400_usize);
            plain.lines(&packet);
            let mut rest = &packet[..];
            while !rest.is_empty() {
                rest = watch.lines(&mut watched, rest, share);
            }
            let saved = |engine: &Engine| engine.save(|_| Ok::<_, ()>(())).unwrap();
            assert!(saved(&plain) == saved(&watched), "seed {seed}");
            explain_all(&mut watch, &watched);
            let mut out = Vec::new();
            watching.iter_mut().for_each(|one| _ = one.step(Tick::default(), &mut out));
        }
    }
}

/// Shows that a client that does not read costs a bounded queue, and learns what it missed.
#[test]
fn a_slow_reader_misses_lines_that_are_counted() {
    let mut engine = engine();
    let mut watch = Watch::default();
    let mut watching = watch.add(WatchFilter::default());
    for turn in 0..200 {
        begin_turn(&mut watch, turn * 10);
        let packet = "name:1|c\n".repeat(10);
        watch.lines(&mut engine, packet.as_bytes(), usize::MAX);
        explain_all(&mut watch, &engine);
    }
    let mut out = Vec::new();
    assert!(watching.step(Tick::from_millis(5000), &mut out));
    assert!(!watching.step(Tick::from_millis(9000), &mut out), "once");
    assert!(out.len() < QUEUE_BYTES_MAX + 100);
    let text = String::from_utf8(out).unwrap();
    let shown = text.lines().filter(|line| line.contains(" line=\"name:1|c\" ")).count();
    let missed: usize = text
        .lines()
        .filter_map(|line| line.strip_prefix("missed=")?.split(' ').next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(shown + missed, 2000, "{text}");
    assert!(text.contains(" not_sampled=") && !text.contains(" not_read=0\n"));
}

/// Shows that a burst is shown whole, though a turn explains few lines, and that a watch ends only
/// after the lines that were taken for it.
#[test]
fn a_burst_is_shown_over_several_turns() {
    let mut engine = engine();
    let mut watch = Watch::default();
    let mut watching = watch.add(WatchFilter::default());
    begin_turn(&mut watch, 1);
    let lines = PER_SECOND as usize;
    assert!(watch.lines(&mut engine, "name:1|c\n".repeat(lines).as_bytes(), usize::MAX).is_empty());
    assert_eq!(
        engine.own().total(OwnCounter::MetricsReceived),
        lines as u64,
        "input does not wait"
    );
    let mut out = Vec::new();
    let mut turns = 1;
    while watch.explain(&engine, &encoders(), &Sinks::default()) {
        turns += 1;
        assert!(!watching.end(&mut out) || turns * PER_TURN >= lines);
        watching.step(Tick::from_millis(turns as u64), &mut out);
    }
    watch.lines(&mut engine, b"late:1|c", usize::MAX);
    assert!(!watch.explain(&engine, &encoders(), &Sinks::default()));
    assert!(watching.has_news(Tick::default()) && watching.end(&mut out));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches(" line=\"name:1|c\" verdict=\"accepted, ").count(), lines);
    assert_eq!(
        text.matches("makes a new series").count(),
        1,
        "the first, though it is explained late"
    );
    assert_eq!(
        (turns, text.contains("missed") || text.contains("late")),
        (lines / PER_TURN, false)
    );
}

/// Shows that a series is new only with its first line, also if that line is not shown.
#[test]
fn a_line_that_is_not_shown_makes_its_series() {
    let mut engine = engine();
    let mut watch = Watch::default();
    let mut bad = watch.add(filter("bad"));
    begin_turn(&mut watch, 1);
    watch.lines(&mut engine, b"a:1|c\na:1:x|c\n", usize::MAX);
    explain_all(&mut watch, &engine);
    let mut out = Vec::new();
    bad.step(Tick::default(), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("verdict=\"accepted, the series exists; refused: "), "{text}");
}

/// Shows that a watch of bad lines shows those that only their sum makes bad, and that good lines
/// and messages do not use up what may be shown.
#[test]
fn a_watch_of_bad_lines_shows_all_kinds_of_them() {
    let mut engine = engine();
    let mut watch = Watch::default();
    let mut bad = watch.add(filter("bad"));
    begin_turn(&mut watch, 1);
    for _ in 0..3 * PER_SECOND {
        watch.binary(&mut engine, b"\xaa\x02\x02\0\0\0\0\0\0\0\xf0\x3fb\0");
        watch.lines(&mut engine, b"c:1e292|c|@0.1\nlevel:1e308|g\n", usize::MAX);
    }
    let lines = b"level:+1e308|g\nnew:1e308:1e308|c\ngood:1|g\nx\n\
        total:1|C\ntotal:1e200|C|@1e-150\n";
    watch.lines(&mut engine, lines, usize::MAX);
    explain_all(&mut watch, &engine);
    let mut out = Vec::new();
    bad.step(Tick::from_millis(5000), &mut out);
    let text = String::from_utf8(out).unwrap();
    let shown: Vec<_> = text.lines().map(|line| line.split('"').nth(1).unwrap_or(line)).collect();
    let bad_lines = ["level:+1e308|g", "new:1e308:1e308|c", "x", "total:1e200|C|@1e-150"];
    assert_eq!(shown, bad_lines, "{text}");
    assert!(text.lines().next().unwrap().contains("refused: the value takes its series out"));
    assert_eq!(engine.own().total(OwnCounter::BadLinesSeen), 4);
    for _ in 0..3 * PER_SECOND {
        watch.lines(&mut engine, b"level:1e308|g\nlevel:+1e308|g\n", usize::MAX);
    }
    explain_all(&mut watch, &engine);
    let mut out = Vec::new();
    bad.step(Tick::from_millis(9000), &mut out);
    let text = String::from_utf8(out).unwrap();
    let missed = text.lines().find_map(|line| line.strip_prefix("missed=")?.split(' ').next());
    let missed: usize = missed.unwrap().parse().unwrap();
    assert_eq!(
        text.matches("level:+1e308|g").count() + missed,
        3 * PER_SECOND as usize,
        "{missed}"
    );
}

/// Shows that a name which a rule makes is found by both names.
#[test]
fn lines_are_found_by_the_name_that_a_rule_makes() {
    let mut config = Config::default();
    config.rules.rules = vec![crate::policy::Rule {
        name: "latency".into(),
        matches: vec![Glob::new("in.*.time").unwrap()],
        rename: Some(crate::policy::Template::new("latency.$1").unwrap()),
        ..Default::default()
    }];
    let mut engine = crate::admin::tests::engine(config.rules.clone());
    let mut watch = Watch::default();
    let mut watching: Vec<_> =
        ["latency.web", "in.web.time", "latency.db"].map(|name| watch.add(filter(name))).into();
    let end = Tick::from_millis(5000);
    let mut counting = watch.count(Glob::new("latency.web").unwrap(), end).unwrap();
    begin_turn(&mut watch, 1);
    watch.lines(&mut engine, b"in.web.time:1|ms\nother:1|c\n", usize::MAX);
    explain_all(&mut watch, &engine);
    let shown = watching.iter_mut().map(|watching| {
        let mut out = Vec::new();
        watching.step(Tick::default(), &mut out);
        String::from_utf8(out).unwrap()
    });
    let shown: Vec<_> = shown.collect();
    assert!(shown[0].contains(" series=\"latency.web\" "), "{shown:?}");
    assert_eq!((&shown[0], &shown[2]), (&shown[1], &String::new()));
    let mut out = Vec::new();
    while !counting.step(&mut out) {}
    assert!(String::from_utf8(out).unwrap().contains(" lines=1 values=1 "));
    // The rules of a reload make other names.
    config.rules.rules[0].rename = Some(crate::policy::Template::new("delay.$1").unwrap());
    engine = crate::admin::tests::engine(config.rules);
    watch.reconfigure();
    watch.lines(&mut engine, b"in.web.time:1|ms\n", usize::MAX);
    explain_all(&mut watch, &engine);
    let mut out = Vec::new();
    watching[0].step(Tick::default(), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "");
}

/// Shows that a count by senders misses no line, and costs nothing after its end.
#[test]
fn lines_are_counted_by_sender() {
    let mut engine = engine();
    let mut watch = Watch::default();
    let end = Tick::from_millis(5000);
    let mut counting = watch.count(Glob::new("a").unwrap(), end).unwrap();
    let others: Vec<_> =
        (1..COUNTS_MAX).map(|_| watch.count(Glob::new("b").unwrap(), end).unwrap()).collect();
    assert!(watch.count(Glob::new("a").unwrap(), end).is_none());
    begin_turn(&mut watch, 1);
    watch.lines(&mut engine, "a:1|c\nb:1|c\na:2|c\n".repeat(2000).as_bytes(), usize::MAX);
    let mut out = Vec::new();
    assert!(!counting.step(&mut out));
    begin_turn(&mut watch, 2);
    assert_eq!(watch.counts.len(), COUNTS_MAX - 1, "the answer is not written yet");
    watch.lines(&mut engine, b"a:1|c", usize::MAX);
    while !counting.step(&mut out) {}
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(" lines=4000 values=4000 rates=\"1 x4000\" adds=6000 mean=1.5 "),
        "{text}"
    );
    drop((counting, others));
    begin_turn(&mut watch, 3);
    assert!(!watch.is_on());
}

/// Shows that a watch ends with its client, and costs nothing from then on.
#[test]
fn a_client_that_leaves_is_forgotten() {
    let mut watch = Watch::default();
    let watching = watch.add(WatchFilter::default());
    begin_turn(&mut watch, 1);
    assert!(watch.is_on());
    drop(watching);
    begin_turn(&mut watch, 2);
    assert!(!watch.is_on());
}

/// Shows what is shown of lines, by each filter.
#[test]
fn lines_are_shown_with_their_verdicts() {
    let mut engine = engine();
    let mut watch = Watch::default();
    let mut all = watch.add(filter(""));
    let mut bad = watch.add(filter("bad"));
    let mut web = watch.add(filter("web.*"));
    begin_turn(&mut watch, 1_795_862_607_000);
    engine.ledger_mut().set_sender(Sender::Internet("10.0.0.1:7".parse().unwrap()));
    let packet = b"web.a:1:2|c|#k:v\na\"\x1b:1|c\nweb.b:x|g\n_sc|a|0\n\n";
    watch.lines(&mut engine, packet, usize::MAX);
    explain_all(&mut watch, &engine);
    let shown = |watching: &mut WatchJob| {
        let mut out = Vec::new();
        watching.step(Tick::default(), &mut out);
        String::from_utf8(out).unwrap()
    };
    let text = shown(&mut all);
    let lines: Vec<_> = text.lines().collect();
    let head = "2026-11-28T10:43:27.000Z 10.0.0.1:7 ";
    assert_eq!(
        lines[0],
        format!(
            "{head}line=\"web.a:1:2|c|#k:v\" verdict=\"accepted, makes a new series; \
             accepted, the series exists\" series=\"web.a;k=v\" rules=\"\" sent=\"\""
        )
    );
    assert!(lines[1].starts_with(&format!("{head}line=\"a\\\"\\x1b:1|c\" verdict=")));
    assert!(lines[3].contains("verdict=\"ignored: an event or a service check\""));
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(shown(&mut bad), format!("{}\n", lines[2]));
    assert_eq!(shown(&mut web), format!("{}\n{}\n", lines[0], lines[2]));
}
