//! A known line with tags is found by its unread bytes, before its tags are read. Random lines are
//! sent to two servers. One of them counts names, so it reads every line. Both must do the same.

use std::time::Duration;

use statsd::encode::namespace::Namespace;
use statsd::engine::Settings;
use statsd::policy::{Glob, Rule, Template};
use statsd::protocol::{Dialect, Dialects, MetricKind};
use statsd::series::Bounds;
use statsd_bench::Random;

use crate::rig::{Core, settings};

/// Settings of which `number` chooses some: dialects, rules, and limits.
fn chosen(number: u64, sanitize: bool) -> Settings {
    let mut settings = settings();
    settings.grammar.sanitize = sanitize;
    settings.grammar.max_key_length = if number.is_multiple_of(3) { 512 } else { 40 };
    let dialects = match number % 4 {
        0 => vec![Dialect::Dogstatsd, Dialect::Graphite],
        1 => vec![Dialect::Dogstatsd],
        2 => Dialect::ALL.to_vec(),
        _ => vec![Dialect::Graphite],
    };
    settings.grammar.dialects = Dialects::from_iter(dialects);
    settings.bounds = Bounds {
        max_series: if number.is_multiple_of(2) { 25 } else { 1000 },
        evict_after: Duration::ZERO,
        sample_memory: 4096,
        ..settings.bounds
    };
    if number.is_multiple_of(5) {
        let drops =
            Rule { matches: vec![Glob::new("n1*").unwrap()], drop: Some(true), ..Rule::default() };
        settings.rules.rules = vec![drops];
    }
    if number.is_multiple_of(7) {
        // A full table may give up other series: after a reload, a series keeps the name of one of
        // its lines, and which one that is depends on which lines are compared with the rules.
        settings.bounds.max_series = 1000;
        let name = Template::new(if number.is_multiple_of(2) { "n2" } else { "n0.x" });
        let matches = vec![Glob::new("n?").unwrap(), Glob::new("n_*").unwrap()];
        settings.rules.rules.push(Rule { matches, rename: name, ..Rule::default() });
    }
    settings.rules.base.expire = Some(Duration::from_secs(20));
    settings
}

fn tags(random: &mut Random) -> String {
    let tag = |random: &mut Random| match random.below(9) {
        0 => "flag".to_owned(),
        1 => format!("~k{}:v", random.below(3)),
        2 => "path:/a/b".to_owned(),
        3 => "a b:c:d".to_owned(),
        4 => String::new(),
        _ => format!("k{}:v{}", random.below(3), random.below(2)),
    };
    (0..random.below(4)).map(|_| tag(random)).collect::<Vec<_>>().join(",")
}

fn line(random: &mut Random) -> String {
    let mut name = match random.below(30) {
        0 => format!("n {}", random.below(3)),
        1 => format!("n{},k=v", random.below(3)),
        2 => format!("\u{feff}n{};k=v", random.below(3)),
        3 => "datadog.dogstatsd.client.metrics".to_owned(),
        4 => "_e{1,1}".to_owned(),
        5 => "n\n1".to_owned(),
        _ => format!("n{}", random.below(14)),
    };
    name.push_str(match random.below(14) {
        0 => ":1:2|ms",
        1 => ":-3|g",
        2 => ":7|g",
        3 => ":1|d",
        4 => ":5|s",
        5 => ":1|c|@0.5",
        6 => ":1|kv",
        7 => ":1e9|c",
        _ => ":3|c",
    });
    if !random.one_in(6) {
        name.push_str("|#");
        name.push_str(&tags(random));
    }
    name.push_str(match random.below(20) {
        0 => "|c:ci-1",
        1 => "|T1656581400",
        2 => "|e:it-false|c:x\r",
        3 => "\r",
        4 => " ",
        5 => "\0",
        6 => "|c:\0y",
        7 => "|@0.1",
        8 => "|",
        9 => "|#k0:v9",
        _ => "",
    });
    name
}

/// Takes in the same traffic twice: found by an alias, and read.
fn compare(seed: u64, sanitize: bool) -> usize {
    let mut random = Random::new(seed);
    let first = chosen(seed, sanitize);
    let read_all = |settings: &Settings| Settings { count_names: true, ..settings.clone() };
    let mut cores =
        [&first, &read_all(&first)].map(|settings| Core::new(settings, &Namespace::default()));
    let mut most = 0;
    let changes_names = |settings: &Settings| settings.rules.rules.iter().any(Rule::changes_names);
    let mut have_changed_names = changes_names(&first);
    for stamp in 1..12 {
        for _ in 0..6 {
            let lines: Vec<String> = (0..1 + random.below(40)).map(|_| line(&mut random)).collect();
            let packet = lines.join("\n");
            for core in &mut cores {
                core.own = true;
                core.packet(&packet);
            }
            if random.one_in(4) {
                let kind = *random.pick(&[MetricKind::Counter, MetricKind::Gauge]);
                let name = format!("n{};k0=v0", random.below(14));
                let [first, second] = cores.each_mut().map(|core| core.remove(kind, &name));
                assert_eq!(first, second, "seed {seed}");
            }
        }
        most = most.max(cores[0].engine.table().aliases().0);
        assert!(have_changed_names || cores[1].engine.table().aliases().0 == 0);
        let work = 1 + random.below(50_usize);
        let between = (0..20).map(|_| line(&mut random)).collect::<Vec<_>>().join("\n");
        let flushed = cores.each_mut().map(|core| {
            core.tick(stamp);
            core.sweep(work);
            core.packet(&between);
            while !core.sweep(work) {}
            core.finish()
        });
        let others = |at: usize| -> Vec<&String> {
            flushed[at].iter().filter(|line| !flushed[1 - at].contains(line)).collect()
        };
        if flushed[0] != flushed[1] {
            panic!("seed {seed}: {:?}, not {:?}", others(0), others(1));
        }
        if random.one_in(3) {
            let mut next = chosen(random.below(60), sanitize);
            if have_changed_names {
                next.bounds.max_series = 1000;
            }
            if cores[0].engine.can_take(&next.rules, next.flush_interval) {
                have_changed_names |= changes_names(&next);
                cores[0].engine.reconfigure(&next);
                cores[1].engine.reconfigure(&read_all(&next));
            }
        }
    }
    let [first, second] = cores.each_ref().map(|core| core.engine.ledger());
    let reasons =
        |ledger: &statsd::ledger::Ledger| ledger.bad_lines_by_reason().collect::<Vec<_>>();
    assert_eq!(reasons(first), reasons(second), "seed {seed}");
    assert_eq!(first.dropped_by_rule(), second.dropped_by_rule(), "seed {seed}");
    most
}

#[test]
fn a_line_found_by_its_raw_bytes_has_the_same_effect_as_one_that_is_read() {
    let most: usize = (0..300).map(|seed| compare(seed, true)).sum();
    assert!(most > 300 * 10, "few lines were found by their bytes: {most}");
}

#[test]
fn with_raw_names_too() {
    let most: usize = (0..100).map(|seed| compare(seed, false)).sum();
    assert!(most > 100 * 3, "few lines were found by their bytes: {most}");
}

/// The aliases of series that are removed are removed with them.
#[test]
fn no_series_no_alias() {
    let mut core = Core::configured("[statsd]\ndelete_idle = yes");
    for n in 0..1000 {
        core.packet(&format!("a{n}:1|c|#k:v\na{n}:1|c|#k:v,\na{n}:2|g|#k:v\r\n"));
    }
    assert_eq!(core.engine.table().aliases().0, 3000);
    core.flush(1);
    core.flush(2);
    core.flush(3);
    assert!(core.engine.table().is_empty());
    assert_eq!(core.engine.table().aliases().0, 0);
}

/// 20,000 pods send one counter, of which a rule drops the tag `pod`.
const JOINED: &str = "[rule.joined]\nmatch = **\ndrop_tags = pod\n";

fn send_from_pods(core: &mut Core) {
    for pod in 0..20_000 {
        core.packet(&format!("hits:1|c|#pod:p{pod}"));
    }
}

/// Many lines that rules make one series stay known, so that they are not read again. Their number
/// does not depend on `max_series`.
#[test]
fn all_lines_of_one_series_stay_known() {
    let mut core = Core::configured(&format!("[limits]\nmax_series = 100\n{JOINED}"));
    for stamp in 1..4 {
        send_from_pods(&mut core);
        assert_eq!(core.engine.table().aliases().0, 20_000);
        assert!(core.flush(stamp).contains(&format!("stats_counts.hits 20000 {stamp}")));
    }
}

/// When such a series expires, its aliases are removed in steps, as a slice of a sweep must be
/// short. If a line comes in between, the series stays.
#[test]
fn a_series_with_many_lines_expires_in_steps() {
    for is_sent_again in [false, true] {
        let mut core = Core::configured(&format!("[statsd]\ndelete_idle = yes\n{JOINED}"));
        send_from_pods(&mut core);
        core.flush(1);
        core.tick(2);
        let mut before = core.engine.table().aliases().0;
        let mut steps = 0;
        while !core.sweep(100) {
            let after = core.engine.table().aliases().0;
            assert!(before - after <= 100, "{before} to {after}");
            before = after;
            steps += 1;
            if is_sent_again && steps == 50 {
                core.packet("hits:7|c|#pod:p1");
            }
        }
        core.finish();
        assert!(is_sent_again || steps >= 200, "{steps}");
        assert_eq!(core.engine.table().len(), usize::from(is_sent_again));
        let last = core.flush(3);
        assert_eq!(last.contains(&"stats_counts.hits 7 3".to_owned()), is_sent_again);
    }
}

/// When most series are removed, the others move together to free memory. Their lines stay known,
/// and reach the same series as before.
#[test]
fn lines_stay_known_when_their_series_moves() {
    let rules = "[rule.joined]\nmatch = joined.*\ndrop_tags = pod\nexpire = 0\n";
    let mut core = Core::configured(&format!("[statsd]\ndelete_idle = yes\n{rules}"));
    // The junk first, so that it has the lower positions.
    for junk in 0..50_000 {
        core.packet(&format!("junk{junk}:1|c"));
    }
    for stamp in 1..5 {
        for name in 0..500 {
            for pod in 0..if name == 0 { 5000 } else { 30 } {
                core.packet(&format!("joined.n{name}:1|c|#pod:p{pod}"));
            }
        }
        let lines = core.flush(stamp);
        assert_eq!(core.engine.table().aliases().0, 5000 + 499 * 30);
        for name in 0..500 {
            let count = if name == 0 { 5000 } else { 30 };
            let line = format!("stats_counts.joined.n{name} {count} {stamp}");
            assert!(lines.contains(&line), "{line}");
        }
    }
    assert_eq!(core.engine.table().len(), 500);
}
