//! Reloads of rules: what becomes of the series that there are, and of their open interval.

use crate::rig::{Core, configured, values};
use statsd::ledger::OwnCounter;
use statsd_bench::Random;

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

/// Rules between which a server changes. The first three leave all names as they are.
const RULES: &[&str] = &[
    "",
    "[rule.a]\nmatch = a.*\ndrop = yes\n",
    "[rule.all]\nmatch = **\ndrop = yes\n",
    "[rule.b]\nmatch = b.*\ndrop = yes\n[rule.a]\nmatch = a.**\nname = b.$1\n",
    "[rule.one]\nmatch = **\nname = one\n",
    "[rule.t]\nmatch = **\nmax_tag_values = 1\n",
    "[rule.t]\nmatch_tags = t=2\ndrop = yes\n\
     [rule.u]\nmatch = **\nmax_tag_values = 1\nexpire = 10s\n",
    "[rule.t]\nmatch = **\ndrop_tags = t\n",
];

/// Returns a line with one sample, of a few names. Two of them are one when they are cleaned.
fn some_line(random: &mut Random, number: u64) -> String {
    let name = *random.pick(&["a.x", "a.y", "a y", "a_y", "b.x", "b y", "b/y", "c", "c d", "c_d"]);
    let tags = *random.pick(&["", "", "|#t:1", "|#t:2", "|#t:3"]);
    match random.below(4u64) {
        0 => format!("{name}:{number}|s{tags}"),
        1 => format!("{name}:5|ms{tags}"),
        _ => format!("{name}:1|c{tags}"),
    }
}

/// Shows that each sample is sent, or is counted in one figure of lost samples, whenever it
/// arrives: before the sweep of a reload, between its slices, and after it.
#[test]
fn each_sample_is_in_one_figure_whatever_a_reload_does_to_its_series() {
    let mut figures = [0; 2];
    let mut wrong = Vec::new();
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let names = *random.pick(&["", "sanitize_keys = no\n"]);
        let expire = *random.pick(&["", "expire = 20s\n", "delete_idle = yes\n"]);
        let limits = *random.pick(&["", "[limits]\nmax_series = 9\nevict_after = 0\n"]);
        // With raw names a sample has two series. A full table may have room for one of them, and
        // rules may make one of them from another name than the other.
        let (limits, rules) = if names.is_empty() { (limits, RULES) } else { ("", &RULES[..3]) };
        let base = format!("[statsd]\n{names}{expire}{limits}");
        let mut core = Core::configured(&base);
        let [mut received, mut sent] = [0, 0];
        for flush in 1..12 {
            let lines = |core: &mut Core, random: &mut Random, received: &mut u64, most: u64| {
                for _ in 0..random.below(most) {
                    *received += 1;
                    core.packet(&some_line(random, *received));
                }
            };
            lines(&mut core, &mut random, &mut received, 40);
            let settings = configured(&format!("{base}{}", random.pick(rules)));
            if flush < 11 && core.engine.can_take(&settings.rules, settings.flush_interval) {
                core.engine.reconfigure(&settings);
                lines(&mut core, &mut random, &mut received, 20);
            }
            core.tick(flush * 10);
            while !core.sweep(1) {
                if flush < 11 {
                    lines(&mut core, &mut random, &mut received, 4);
                }
            }
            for (name, value) in values(&core.finish()) {
                let name = name.split(';').next().unwrap();
                let is_count = name.starts_with("stats_counts.") || name.ends_with(".count");
                sent += if is_count { value.parse::<u64>().unwrap() } else { 0 };
            }
        }
        let own = core.engine.own();
        let lost = [OwnCounter::SamplesDropped, OwnCounter::SeriesRejected];
        let lost = lost.map(|figure| own.total(figure));
        (0..2).for_each(|at| figures[at] += lost[at]);
        if received != sent + lost[0] + lost[1] {
            wrong.push((seed, base, received, sent, lost));
        }
    }
    assert_eq!(wrong, []);
    assert!(figures.iter().all(|lost| *lost > 1000), "{figures:?}");
}
