//! Reloads of rules: what becomes of the series that there are, and of their open interval.

use crate::rig::{Core, configured, values};
use statsd::ledger::OwnCounter;

/// Shows that a timer has the record of its own percentiles when a reload lets another name lead to
/// it, and that name has more percentiles.
#[test]
fn a_timer_that_another_name_leads_to_has_room_for_its_percentiles() {
    let rules = |a, b| {
        format!(
            "[rule.a]\nmatch = a.*\nname = {a}\npercentiles = 90\n\
             [rule.b]\nmatch = b.*\nname = {b}\npercentiles = 50, 90, 99\n"
        )
    };
    let mut core = Core::configured(&rules("x", "y"));
    core.packet("a.a:1|ms");
    core.flush(10);
    core.packet("a.a:1|ms");
    core.engine.reconfigure(&configured(&rules("y", "x")));
    core.flush(20); // from now on, no line leads to x
    core.packet("b.b:7|ms");
    let lines = core.flush(30);
    let values = values(&lines);
    for figure in ["upper_50", "upper_90", "upper_99"] {
        assert_eq!(values[format!("stats.timers.x.{figure}").as_str()], "7");
    }
}

/// Shows that a gauge stays if its rule is removed and a client then sends its name itself.
#[test]
fn a_series_stays_after_its_rule_is_removed_if_lines_have_its_own_name() {
    let mut core = Core::configured("[rule.a]\nmatch = a.*\nname = x\n");
    core.packet("a.b:5|g");
    core.flush(10);
    core.engine.reconfigure(&configured(""));
    core.packet("x:+1|g");
    for stamp in [20, 30, 40] {
        let lines = core.flush(stamp);
        assert_eq!(values(&lines)["stats.gauges.x"], "6", "at {stamp}");
    }
    core.packet("x:+1|g");
    let lines = core.flush(50);
    assert_eq!(values(&lines)["stats.gauges.x"], "7");
    let mut copy = Core::configured("[rule.b]\nmatch = a.*\nname = y\n");
    let saved = core.engine.save(|_| Ok::<_, ()>(())).unwrap();
    let input = statsd::wire::In::new(&saved);
    copy.engine.restore(input, std::time::Duration::from_secs(10), false);
    let lines = copy.flush(60);
    assert_eq!(values(&lines).get("stats.gauges.x"), Some(&"7"), "its name is its own");
}

/// Shows that a series to which no line leads any more is not sent for ever.
#[test]
fn a_series_without_lines_goes_after_its_rule_is_removed() {
    let mut core = Core::configured("[rule.a]\nmatch = a.*\nname = x\n");
    core.packet("a.b:5|g");
    core.flush(10);
    core.engine.reconfigure(&configured(""));
    core.packet("a.b:6|g");
    core.flush(20);
    let lines = core.flush(30);
    assert_eq!(values(&lines).get("stats.gauges.x"), None);
    assert_eq!(values(&lines)["stats.gauges.a.b"], "6");
}

/// Shows that values are counted as lost if a reload drops their series before the flush.
#[test]
fn values_that_a_reload_drops_are_counted() {
    let mut core = Core::configured("");
    core.packet("a.b:1|c\na.b:1|c\na.b:1|c\nb.c:1|c");
    assert_eq!(core.engine.ledger().samples(), 4);
    core.engine.reconfigure(&configured("[rule.a]\nmatch = a.*\ndrop = yes\n"));
    let lines = core.flush(10);
    assert_eq!(values(&lines).get("stats_counts.a.b"), None);
    assert_eq!(values(&lines)["stats_counts.b.c"], "1");
    let ledger = core.engine.ledger();
    assert_eq!(ledger.dropped_by("a"), 3);
    assert_eq!(ledger.own().total(OwnCounter::SamplesDropped), 3);
    assert_eq!(ledger.samples(), 1);
}
