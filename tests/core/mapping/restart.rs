//! Rules and the series of the run before.

use std::time::Duration;

use super::names;
use crate::rig::{Core, SEEDS, configured, values};
use statsd::engine::{Engine, Restored};
use statsd::series::Seeds;
use statsd::wire::In;
use statsd_bench::Random;

#[test]
fn a_restored_series_is_not_changed_twice() {
    let config = "[rule.a]\nmatch = **\nname = x.$1\ndelete_idle = no\npercentiles = 50\n";
    let mut core = Core::configured(config);
    core.packet("a:3|c\na:5|g\nb:1:2|ms");
    let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
    let restore = |config: &str| {
        let settings = configured(config);
        let mut core = Core::new(&settings, &Default::default());
        let restored = core.engine.restore(In::new(&state), settings.flush_interval, false);
        assert!(!restored.damaged && restored.refused == 0, "{restored:?}");
        core
    };
    let mut same = restore(config);
    assert_eq!(names(&mut same.engine), ["x.a", "x.a", "x.b"]);
    same.packet("a:4|c");
    let lines = same.flush(10);
    assert_eq!(values(&lines)["stats_counts.x.a"], "7");
    assert!(values(&lines).contains_key("stats.timers.x.b.upper_50"), "{lines:?}");
    // With other rules, the series get the names that those make of what the clients sent.
    assert_eq!(names(&mut restore("").engine), ["a", "a", "b"]);
    let other = "[rule.a]\nmatch = a\ntags = t=1\n";
    assert_eq!(names(&mut restore(other).engine), ["a;t=1", "a;t=1", "b"]);
}

/// Shows that no count is lost if rules make one series of two saved ones, and that the last value
/// of a gauge wins.
#[test]
fn saved_series_of_one_name_are_restored_as_one() {
    let one = "[rule.m]\nmatch = a.*\nname = m\n";
    let saved = |core: &Core| core.engine.save(|_| Ok::<(), ()>(())).unwrap();
    let restore = |state: &[u8], config: &str| {
        let settings = configured(config);
        let mut core = Core::new(&settings, &Default::default());
        let restored = core.engine.restore(In::new(state), settings.flush_interval, false);
        assert_eq!(restored, Restored { series: restored.series, ..Restored::default() });
        let lines = core.flush(10);
        let value = |name: &str| values(&lines).get(name).map(|value| value.to_string());
        (value("stats_counts.m"), value("stats_counts.a.1"), value("stats.gauges.m"), {
            value("stats.gauges.a.1")
        })
    };
    let text = |text: &str| Some(text.to_owned());
    // Rules that are new since the state was saved.
    let mut core = Core::configured("");
    core.packet("a.1:3|c\na.2:4|c");
    assert_eq!(restore(&saved(&core), one).0, text("7"));
    // Rules that a reload has brought in the saved interval, and has taken away.
    for (before, after) in [("", one), (one, "")] {
        let mut core = Core::configured(before);
        core.packet("a.1:3|c\na.1:5|g");
        core.engine.reconfigure(&configured(after));
        core.packet("a.1:4|c\na.1:6|g");
        let state = saved(&core);
        assert_eq!(restore(&state, one).0, text("7"));
        assert_eq!(restore(&state, "").1, text("7"));
        let restored = restore(&state, after);
        assert_eq!(restored.2.or(restored.3), text("6"));
    }
}

/// Shows that timers and sets that rules make one have all samples and members of both, whether
/// these are exact or estimates. Two estimates cannot be added, and the log shows that.
#[test]
fn saved_timers_and_sets_of_one_name_are_restored_as_one() {
    let limits = "[statsd]\ntimer_exact = 100\nset_exact = 100\n";
    let values_of = |name: &str, count: usize| {
        let from = if name == "a.1" { 0 } else { 1000 };
        let line = |at: usize| format!("{name}:{0}|ms|@0.5\n{name}:{0}|s\n", from + at);
        (1..=count).map(line).collect::<String>()
    };
    for (one, other, estimates) in [(3, 4, 0), (80, 90, 0), (3, 400, 0), (400, 3, 0), (300, 400, 2)]
    {
        let mut core = Core::configured(limits);
        core.packet(&values_of("a.1", one));
        core.packet(&values_of("a.2", other));
        let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
        let settings = configured(&format!("{limits}[rule.m]\nmatch = a.*\nname = m\n"));
        let mut core = Core::new(&settings, &Default::default());
        let restored = core.engine.restore(In::new(&state), settings.flush_interval, false);
        let case = format!("{one} and {other}: {restored:?}");
        assert!(!restored.damaged && (restored.series, restored.refused) == (2, 0), "{case}");
        assert_eq!(restored.not_added, estimates, "{case}");
        assert_eq!(restored.not_added_events > 0, estimates > 0, "{case}");
        let lines = core.flush(10);
        let value = |name: &str| values(&lines)[name].parse::<f64>().unwrap();
        if estimates == 0 {
            let sum = (1..=one).sum::<usize>() + (1001..=1000 + other).sum::<usize>();
            assert_eq!(value("stats.timers.m.count"), 2.0 * (one + other) as f64, "{case}");
            assert!((value("stats.timers.m.sum") / sum as f64 - 1.0).abs() < 1e-9, "{case}");
            assert_eq!(value("stats.timers.m.upper"), 1000.0 + other as f64, "{case}");
            let members = value("stats.sets.m.count") / (one + other) as f64;
            let tolerance = if one + other > 100 { 0.1 } else { 0.0 };
            assert!((members - 1.0).abs() <= tolerance, "{case}: {members}");
        }
    }
}

#[test]
fn a_restored_series_that_a_rule_drops_is_not_refused_by_a_limit() {
    let mut core = Core::configured("");
    core.packet("a.1:3|c\nb:4|c\na.1:5|ms");
    let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
    let settings = configured("[rule.m]\nmatch = a.*\ndrop = yes\n");
    let mut core = Core::new(&settings, &Default::default());
    let restored = core.engine.restore(In::new(&state), settings.flush_interval, false);
    assert_eq!(restored, Restored { series: 1, dropped: 2, ..Restored::default() });
}

/// Shows that a restart changes no value of any series, whichever order the table has them in. A
/// series of `other` has the values of many names, of which it is stored with one.
#[test]
fn a_restored_series_has_the_value_that_it_had() {
    let limit = "[rule.u]\nmatch = **\nmax_tag_values = 3\n";
    let raw = "[statsd]\nsanitize_keys = no\n";
    let configs = [
        limit.to_owned(),
        format!("{limit}drop_tags = pod\ntags = t=$1\n"),
        limit.to_owned() + raw,
    ];
    let user = |n: u32| format!("{}{n}", ["u", "\u{e9}"][n as usize % 2]);
    for seed in 0..50 {
        for config in &configs {
            let settings = configured(config);
            let mut random = Random::new(seed);
            let mut send = |core: &mut Core| {
                for _ in 0..40 {
                    let kind = ["c", "g", "ms", "s"][random.below(4)];
                    let [number, pod, value] = [10, 3, 100].map(|most| random.below(most));
                    let user = user(number);
                    core.packet(&format!("hits:{value}|{kind}|#user:{user},pod:{pod}"));
                }
            };
            let seeded = |names: u64| {
                let mut core = Core::new(&settings, &Default::default());
                core.engine = Engine::new(&settings, Seeds { names: [names, 2, 3, 4], ..SEEDS });
                core
            };
            let mut core = seeded(seed);
            send(&mut core);
            core.flush(10);
            send(&mut core);
            let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
            let mut again = seeded(seed + 1000);
            let restored = again.engine.restore(In::new(&state), settings.flush_interval, false);
            assert!(!restored.damaged && restored.refused == 0, "{restored:?}");
            assert_eq!(names(&mut again.engine), names(&mut core.engine), "{seed}: {config}");
            // The values that are known stay known.
            let lines =
                (0..10).map(|n| format!("hits:1|c|#user:{}\n", user(n))).collect::<String>();
            core.packet(&lines);
            again.packet(&lines);
            assert_eq!(again.flush(20), core.flush(20), "{seed}: {config}");
        }
    }
}

/// Shows that the values of several names are not taken for those of one of them, if the rules that
/// have made them one are gone. As after a reload, they are sent as they were, once.
#[test]
fn restored_values_of_several_names_do_not_become_those_of_one() {
    let pods = "[rule.a]\nmatch = **\ndrop_tags = pod\n";
    let users = "[rule.a]\nmatch = **\nmax_tag_values = 1\n";
    for (before, after, joined, line) in [
        (pods, "", "hits", "hits:4|c|#pod:a"),
        (pods, "[rule.a]\nmatch = **\nname = x.$1\n", "hits", "hits:4|c|#pod:a"),
        (users, "", "hits;user=other", "hits:4|c|#user:b"),
        (
            users,
            "[rule.a]\nmatch = **\nrename_tag = user=u\n",
            "hits;user=other",
            "hits:4|c|#user:b",
        ),
    ] {
        let mut core = Core::configured(before);
        core.packet("hits:1|c|#user:a\nhits:1|c|#pod:a\nhits:2|c|#pod:b\nhits:7|g|#pod:b");
        core.packet("hits:1|c|#user:b\nhits:2|c|#user:c\nhits:5|g|#pod:a\nhits:9|g");
        let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
        let restore = |state: &[u8]| {
            let settings = configured(after);
            let mut core = Core::new(&settings, &Default::default());
            let restored = core.engine.restore(In::new(state), settings.flush_interval, false);
            assert!(!restored.damaged && restored.refused == 0, "{restored:?}");
            core
        };
        let core = restore(&state);
        let mut core = restore(&core.engine.save(|_| Ok::<(), ()>(())).unwrap());
        core.packet(line);
        let lines = core.flush(10);
        assert_eq!(values(&lines)[&*format!("stats_counts.{joined}")], "3", "{after}: {lines:?}");
        assert!(values(&lines).values().any(|value| *value == "4"), "{after}: {lines:?}");
        core.packet(line);
        core.flush(20);
        let left = names(&mut core.engine);
        assert!(!left.iter().any(|name| name == joined), "{after}: {left:?}");
    }
}

/// Shows that a series which is restored under a name that rules no longer make stays if lines lead
/// to it again.
#[test]
fn a_restored_series_of_several_names_stays_if_lines_lead_to_it() {
    let mut core = Core::configured("[rule.a]\nmatch = **\ndrop_tags = pod\n");
    core.packet("hits:7|g|#pod:b\nhits:5|g|#pod:a\nhits:2|C|#pod:b\nhits:3|C|#pod:a");
    let state = core.engine.save(|_| Ok::<(), ()>(())).unwrap();
    let settings = configured("");
    let mut core = Core::new(&settings, &Default::default());
    core.engine.restore(In::new(&state), settings.flush_interval, false);
    core.packet("hits:+1|g\nhits:9|C");
    core.packet("hits:10|C");
    let lines = core.flush(10);
    assert_eq!(values(&lines)["stats_counts.hits"], "1", "no total of another name is compared");
    (2..4).for_each(|flush| _ = core.flush(flush * 10));
    assert_eq!(values(&core.flush(40))["stats.gauges.hits"], "6");
    assert_eq!(names(&mut core.engine), ["hits", "hits"]);
}

/// Shows that a restored series that a rule drops is not added to a series to which rules give its
/// name. Many names are tried, since their order in the state file is that of hashes.
#[test]
fn the_values_of_a_dropped_name_are_not_added_to_those_of_another() {
    let mut before = Core::configured("");
    let mut rules = String::from("[rule.drop]\nmatch = q*\ndrop = yes\n");
    let mut expected = Vec::new();
    for n in 0..20 {
        before.packet(&format!("q{n}:1|c\nz{n}:2|c"));
        rules += &format!("[rule.{n}]\nmatch = z{n}\nname = q{n}\n");
        expected.push(format!("stats_counts.q{n} 2 10"));
    }
    let saved = before.engine.save(|_| Ok::<(), ()>(())).unwrap();
    let mut after = Core::configured(&rules);
    let restored = after.engine.restore(In::new(&saved), Duration::from_secs(10), false);
    assert_eq!((restored.dropped, restored.refused), (20, 0));
    expected.sort();
    let mut lines = after.flush(10);
    lines.retain(|line| line.starts_with("stats_counts."));
    assert_eq!(lines, expected);
}
