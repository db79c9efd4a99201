//! Rules and the series of the run before.

use super::names;
use crate::rig::{Core, configured, values};
use statsd::engine::Restored;
use statsd::wire::In;

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
