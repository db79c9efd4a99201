//! Rules: which settings a rule can give to a name, and which rule applies if several match.

use crate::rig::{Core, configured, receive, values};
use statsd::ledger::OwnCounter;

#[test]
fn a_dropped_name_is_no_series_and_its_samples_are_counted() {
    let mut core = Core::configured("[rule.junk]\nmatch = junk.*\ndrop = yes");
    core.packet("junk.a:1|c:2|c\njunk.a;t=x:1|ms\njunk.b:1|g|T1000\nok:1|c\nok.junk.a:1|c");
    core.packet("junk.a:1|c");
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), 5);
    assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 0, "the lines were sound");
    assert_eq!(core.engine.table().len(), 2);
    assert!(core.flush(10).iter().all(|line| line.contains("ok")));
}

/// Shows that each dropped value counts for its rule, also when the name is remembered, and that a
/// reload keeps the count of a rule by its name.
#[test]
fn dropped_values_count_for_their_rule() {
    let rule = |name: &str, of: &str| format!("[rule.{name}]\nmatch = {of}.*\ndrop = yes\n");
    let mut core = Core::configured(&(rule("first", "a") + &rule("second", "b")));
    core.packet("a.x:1|c\na.x:1|c\nb.x:1|c\nb.x:1|g|T1000\na.y:1|kv");
    let dropped = |core: &Core, name| core.engine.ledger().dropped_by(name);
    assert_eq!((dropped(&core, "first"), dropped(&core, "second")), (3, 2));
    core.engine.reconfigure(&configured(&(rule("new", "a") + &rule("second", "b"))));
    core.packet("a.x:1|c\nb.x:1|c\nb.x:1|c");
    assert_eq!((dropped(&core, "new"), dropped(&core, "second")), (1, 4));
    assert_eq!(core.engine.ledger().dropped_by_rule(), 8);
}

#[test]
fn a_dropped_name_is_no_key_value_and_no_binary_message_either() {
    let mut core = Core::configured("[rule.junk]\nmatch = junk.*\ndrop = yes");
    core.packet("junk.a:1|kv\njunk.a:1|C\nok:1|kv");
    receive(&mut core.engine, b"\xaa\x02\x07\x00\x00\x00\x00\x00\x00\x00\x08\x40junk.a\x00");
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), 3);
    assert_eq!(core.flush(10), ["stats.kv.ok 1 10"]);
}

#[test]
fn more_dropped_names_than_are_remembered_stay_dropped() {
    let mut core = Core::configured("[rule.junk]\nmatch = junk.*\ndrop = yes");
    for _ in 0..2 {
        (0..5000).for_each(|n| core.packet(&format!("junk.{n}:1|c")));
    }
    assert_eq!(core.engine.own().total(OwnCounter::SamplesDropped), 10_000);
    assert!(core.engine.table().is_empty());
}

#[test]
fn a_signed_gauge_is_a_change_or_a_value() {
    let mut core = Core::configured(
        "[rule.abs]\nmatch = abs.*\nsigned_gauges = absolute\n[rule.b]\nmatch = b",
    );
    core.packet("abs.a:5|g\nabs.a:-10|g\nabs.b:+3|g\nb:5|g\nb:-10|g\nabs.c:7|g");
    let lines = core.flush(10);
    let levels = values(&lines);
    assert_eq!(levels["stats.gauges.abs.a"], "-10");
    assert_eq!(levels["stats.gauges.abs.b"], "3");
    assert_eq!(levels["stats.gauges.abs.c"], "7");
    assert_eq!(levels["stats.gauges.b"], "-5");
    core.packet("abs.a:-1|g\nb:-1|g");
    let lines = core.flush(20);
    assert_eq!(values(&lines)["stats.gauges.abs.a"], "-1");
    assert_eq!(values(&lines)["stats.gauges.b"], "-6");
}

#[test]
fn each_setting_is_of_the_first_rule_that_matches_and_sets_it() {
    let mut core = Core::configured(
        "[statsd]\ndelete_idle = yes\ntimer_metrics = count\n\
         [rule.z]\nmatch = api.slow.**\npercentiles = 50\n\
         [rule.m]\nmatch = api.**, web.**\npercentiles = 99\ntimer_metrics = upper_percent\n\
         [rule.a]\nmatch = **\npercentiles = 75\ndelete_idle = no\ntimer_metrics = count_percent\n",
    );
    core.packet("api.slow.x:1:2:3:4|ms\napi.y:1:2:3:4|ms\nother:1:2:3:4|ms");
    let lines = core.flush(10);
    let expected = [
        ("stats.timers.api.slow.x.upper_50", "2"),
        ("stats.timers.api.y.upper_99", "4"),
        ("stats.timers.other.count_75", "3"),
    ];
    assert_eq!(values(&lines).into_iter().collect::<Vec<_>>(), expected);
    core.flush(20);
    core.packet("api.y:1|ms");
    assert_eq!(core.engine.table().len(), 3, "the last rule's delete_idle holds for all of them");
}

#[test]
fn tags_are_not_looked_at_and_names_are_as_they_are_sent() {
    let mut core = Core::configured("[rule.a]\nmatch = a-b_c\ntimer_metrics = median");
    core.packet("a/b c;x=y:1|ms\na/b c:2|ms|#k:v");
    let lines = core.flush(10);
    assert_eq!(
        values(&lines).into_iter().collect::<Vec<_>>(),
        [("stats.timers.a-b_c.median;k=v", "2"), ("stats.timers.a-b_c.median;x=y", "1")]
    );
}

#[test]
fn a_rule_can_keep_or_forget_what_statsd_does_not() {
    let mut core = Core::configured(
        "[statsd]\ndelete_idle = yes\ndelete_gauges = no\nexpire = 30s\n\
         [rule.keep]\nmatch = keep\ndelete_idle = no\nexpire = 0\n\
         [rule.go]\nmatch = go\ndelete_idle = yes\n",
    );
    core.packet("keep:1|c\nkeep:1|g\ngo:1|g\nother:1|g\nother:1|c");
    core.flush(10);
    let lines = core.flush(20);
    let idle: Vec<_> = values(&lines).into_keys().collect();
    assert_eq!(
        idle,
        ["stats.gauges.keep", "stats.gauges.other", "stats.keep", "stats_counts.keep"]
    );
    (3..10).for_each(|flush| drop(core.flush(10 * flush)));
    let lines = core.flush(100);
    let forever: Vec<_> = values(&lines).into_keys().collect();
    assert_eq!(forever, ["stats.gauges.keep", "stats.keep", "stats_counts.keep"]);
}

/// Shows that a figure has the same value whether or not others are wanted.
#[test]
fn a_filter_changes_no_figure() {
    let names = [
        "count",
        "count_ps",
        "std",
        "upper",
        "lower",
        "sum",
        "sum_squares",
        "mean",
        "median",
        "count_percent",
        "mean_percent",
        "upper_percent",
        "lower_percent",
        "sum_percent",
        "sum_squares_percent",
        "histogram",
    ];
    let rule =
        "[statsd]\npercentiles = 10, 50, 99.9, -20\n[rule.a]\nmatch = **\nhistogram = 3, 50, inf\n";
    let flush = |metrics: &str, samples: &str| {
        let mut core = Core::configured(&format!("{rule}timer_metrics = {metrics}"));
        core.packet(samples);
        core.flush(10)
    };
    for samples in ["t:7|ms", "t:9:2|ms", "t:40.5:3:77:0.1:3:12:900:5.5:6.25:1|ms|@0.1"] {
        let all = flush("", samples);
        let mut pieces: Vec<String> = names.iter().flat_map(|name| flush(name, samples)).collect();
        pieces.sort();
        assert_eq!(pieces, all, "{samples}");
    }
}
