//! A name is compared with the rules once. What the server remembers of it must not outlive the
//! rules, and must not be taken for what it knows of another name.

use std::collections::BTreeMap;

use super::names;
use crate::rig::{Core, configured, values};
use statsd_bench::Random;

/// A rule that changes names, though none of those here.
const NO_NAME: &str = "[rule.none]\nmatch = zz.**\ntags = a=b\n";

#[test]
fn a_rule_takes_no_memory_for_names_that_it_does_not_change() {
    let memory = |rules: &str| {
        let mut core = Core::configured(rules);
        for n in 0..1000 {
            let lines = format!("a.b.{n}:1|c\na.b.{n}:1|g\nc.d.{n}:1|c|#host:h{n}\n");
            core.packet(&lines);
            core.packet(&lines);
        }
        (core.engine.table().series_bytes(), core.engine.table().aliases().0)
    };
    assert_eq!(memory(NO_NAME), memory(""));
    assert_eq!(memory(NO_NAME).1, 1000, "only lines with tags need an alias");
    // Of the three, two are kinds of one name.
    let renamed = memory("[rule.a]\nmatch = a.**\nname = x.$1\n[rule.c]\nmatch = c.**\nname = y");
    assert_eq!(renamed.1, 3000);
}

/// What is remembered of known series is found again after they have moved, and is removed with
/// them.
#[test]
fn names_that_rules_keep_and_change_stay_known_when_others_are_removed() {
    let mut core = Core::configured(
        "[rule.go]\nmatch = go.**\ndelete_idle = yes\n[rule.a]\nmatch = a.*\nname = made.$1\n",
    );
    for n in 0..40_000 {
        core.packet(&format!("go.{n}:1|c"));
        if n % 400 == 0 {
            core.packet(&format!("a.{n}:1|c\nstay.{n}:1|c\nmade.{n}:1|c"));
        }
    }
    (1..4).for_each(|flush| _ = core.flush(flush * 10));
    assert_eq!(core.engine.table().len(), 200);
    for n in (0..40_000).step_by(400) {
        core.packet(&format!("a.{n}:1|c\nstay.{n}:1|c\nmade.{n}:2|c"));
    }
    let lines = core.flush(50);
    let sent = values(&lines);
    for n in (0..40_000).step_by(400) {
        assert_eq!(sent[&*format!("stats_counts.made.{n}")], "3");
        assert_eq!(sent[&*format!("stats_counts.stay.{n}")], "1");
    }
}

#[test]
fn a_reload_that_begins_to_change_names_changes_those_of_known_series() {
    let mut core = Core::configured("");
    core.packet("a:1|c\nb:1|c\nc:1|c\nt:1|c|#k:v");
    core.flush(10);
    core.engine.reconfigure(&configured(
        "[rule.a]\nmatch = a\nname = b\n[rule.b]\nmatch = b\nname = d\n\
         [rule.t]\nmatch = t\ndrop_tags = k",
    ));
    let lines = "a:1|c\nb:10|c\nc:100|c\nt:1000|c|#k:v\n";
    core.packet(&lines.repeat(2));
    let sent = core.flush(20);
    let expected = BTreeMap::from([("b", "2"), ("d", "20"), ("c", "200"), ("t", "2000")]);
    let is_sent = |sent: &[String]| {
        for (name, value) in &expected {
            assert_eq!(values(sent)[&*format!("stats_counts.{name}")], *value, "{name}: {sent:?}");
        }
    };
    is_sent(&sent);
    // The series that no line leads to any more is gone, and the others stay known.
    core.flush(30);
    assert_eq!(names(&mut core.engine), ["b", "c", "d", "t"]);
    core.packet(&lines.repeat(2));
    is_sent(&core.flush(40));
}

#[test]
fn a_reload_that_ends_the_changes_gives_names_back() {
    let mut core =
        Core::configured("[rule.a]\nmatch = a\nname = b\n[rule.b]\nmatch = b\nname = c\n");
    core.packet("a:1|c\nb:10|c\nd:5|c");
    core.flush(10);
    core.engine.reconfigure(&configured(""));
    for stamp in [20, 30, 40, 50] {
        core.packet("a:1|c\nb:10|c\nd:5|c\na:1|c\nb:10|c\nd:5|c");
        let lines = core.flush(stamp);
        let sent = values(&lines);
        let sent = ["a", "b", "d"].map(|name| sent[&*format!("stats_counts.{name}")]);
        assert_eq!(sent, ["2", "20", "10"]);
    }
    assert_eq!(names(&mut core.engine), ["a", "b", "d"]);
    assert_eq!(core.engine.table().aliases().0, 0);
}

/// Shows that a reload takes back what is known of a name, and that the second reload does not
/// take it for known again.
#[test]
fn what_is_known_by_old_rules_is_not_known_by_new_ones() {
    let [first, second] = ["x", "y"].map(|name| format!("[rule.a]\nmatch = a\nname = {name}\n"));
    let keep = format!("{NO_NAME}[rule.b]\nmatch = b\nexpire = 1h\n");
    let mut core = Core::configured(&keep);
    for (rules, expected) in [(&keep, "a"), (&first, "x"), (&keep, "a"), (&second, "y")] {
        core.engine.reconfigure(&configured(rules));
        for stamp in [10, 20] {
            core.packet("a:1|c\na:1|c\nx:10|c\nx:10|c\ny:10|c");
            let lines = core.flush(stamp);
            let sent = values(&lines);
            let value = |name: &str| sent.get(&*format!("stats_counts.{name}")).copied();
            for (name, own) in [("a", 0), ("x", 20), ("y", 10)] {
                let wanted = own + if name == expected { 2 } else { 0 };
                let is_idle = value(name).is_none_or(|value| value == "0");
                assert!(
                    value(name) == Some(&*wanted.to_string()) || wanted == 0 && is_idle,
                    "{name}, {rules}: {lines:?}"
                );
            }
        }
    }
}

/// Shows that dropped values count for their rules, in all forms of lines, whether or not the rule
/// was known to drop them, and that a reload begins and ends a drop.
#[test]
fn dropped_lines_count_for_their_rule_before_and_after_reloads() {
    for others in ["", NO_NAME] {
        let drop = |name: &str, of: &str| format!("[rule.{name}]\nmatch = {of}.**\ndrop = yes\n");
        let mut core = Core::configured(&format!("{others}{}{}", drop("a", "a"), drop("b", "b")));
        let lines = "a.x:1|c\na.x:1|c|#k:v,h:w\na.x;h=w;k=v:1|c\na.x:1:2|ms|#k:v\nb.x:1|g\n\
                     b.x:u|s|#k:v|c:x\na.x:1|c|#k:v,h:w|T1656581400\nb.x:1|kv\nc.x:1|c|#k:v\n";
        let rounds = |core: &mut Core| (0..3).for_each(|_| core.packet(lines));
        let dropped = |core: &Core, rule: &str| core.engine.ledger().dropped_by(rule);
        rounds(&mut core);
        assert_eq!((dropped(&core, "a"), dropped(&core, "b")), (18, 9), "{others}");
        assert_eq!(names(&mut core.engine), ["c.x;k=v"]);
        assert_eq!(values(&core.flush(10))["stats_counts.c.x;k=v"], "3");

        // What a new rule drops is lost from the open interval on, and counted.
        let new = format!("{others}{}{}", drop("b", "a"), drop("new", "c"));
        core.packet("c.x:1|c|#k:v\nb.x:1|c|#k:v");
        core.engine.reconfigure(&configured(&new));
        rounds(&mut core);
        let lines = series_alone(core.flush(20), 20);
        assert_eq!((dropped(&core, "b"), dropped(&core, "new")), (10 + 18, 4), "{others}");
        let sent = values(&lines);
        assert_eq!((sent["stats.gauges.b.x"], sent["stats.sets.b.x.count;k=v"]), ("1", "1"));
        assert!(!sent.keys().any(|name| name.contains("c.x")), "{lines:?}");

        core.engine.reconfigure(&configured(others));
        rounds(&mut core);
        let lines = series_alone(core.flush(30), 30);
        let sent = values(&lines);
        assert_eq!(sent["stats_counts.a.x"], "3");
        assert_eq!(sent["stats_counts.a.x;h=w;k=v"], "6");
        assert_eq!(sent["stats.timers.a.x.count;k=v"], "6");
        assert_eq!(sent["stats_counts.c.x;k=v"], "3");
        assert_eq!(core.engine.ledger().dropped_by_rule(), 18 + 10 + 18 + 4, "no more since");
    }
}

/// Returns the lines of a flush without those of values that belong to no series.
fn series_alone(mut lines: Vec<String>, stamp: u64) -> Vec<String> {
    let stamp = format!(" {stamp}");
    lines.retain(|line| line.ends_with(&stamp) && !line.starts_with("stats.kv."));
    lines
}

/// Shows that lines with the same bytes are not taken for dropped ones after a reload has changed
/// how they are read.
#[test]
fn another_dialect_makes_other_names_of_dropped_lines() {
    let rule = "[rule.a]\nmatch = a\nmatch_tags = k\ndrop = yes\n";
    let mut core = Core::configured(&format!("[statsd]\ntag_formats = dogstatsd\n{rule}"));
    core.packet("a,x=y:1|c|#k:v\na:1|c|#k:v\na:1|c|#k:v");
    assert_eq!(core.engine.ledger().dropped_by("a"), 2);
    core.engine
        .reconfigure(&configured(&format!("[statsd]\ntag_formats = dogstatsd, influx\n{rule}")));
    core.packet("a,x=y:1|c|#k:v\na:1|c|#k:v");
    assert_eq!(core.engine.ledger().dropped_by("a"), 4);
    core.engine.reconfigure(&configured(&format!("[statsd]\ntag_formats = graphite\n{rule}")));
    core.packet("a:1|c|#k:v\na:1|c|#k:v");
    assert_eq!(core.engine.ledger().dropped_by("a"), 4);
    assert!(names(&mut core.engine).contains(&"a".to_owned()));
}

/// Rules between which a server changes. What they make of a name depends on nothing else.
const RULES: &[&str] = &[
    "",
    NO_NAME,
    "[rule.a]\nmatch = a\nname = b\n[rule.b]\nmatch = b\nname = a\n",
    "[rule.a]\nmatch = a.*\nname = a\n[rule.b]\nmatch = a\nname = b\n",
    "[rule.a]\nmatch = a.**, b.**\nname = one\ndrop_tags = t\n",
    "[rule.d]\nmatch = d.*\nname = $0\n[rule.a]\nmatch = **\nname = a.$1\nrename_tag = t=u\n",
    "[rule.d]\nmatch = d.*\ndrop = yes\n",
    "[rule.d]\nmatch = d.a\ndrop = yes\n[rule.a]\nmatch = a_*, b\nname = a\n",
    "[rule.d]\nmatch_tags = t=1\nmatch = d.*\ndrop = yes\n[rule.a]\nmatch = a.a\ntags = t=1\n",
];

/// The series that rules make of names, by a server that has seen no other line.
#[derive(Default)]
struct Oracle(BTreeMap<(usize, String), Option<String>>);

impl Oracle {
    /// Returns `None` if the name is dropped.
    fn series_of(&mut self, rules: usize, sent: &str) -> Option<String> {
        let key = (rules, sent.to_owned());
        let made = self.0.entry(key).or_insert_with(|| {
            let mut core = Core::configured(RULES[rules]);
            core.packet(&format!("{}:1|c{}", first(sent), rest(sent)));
            names(&mut core.engine).pop()
        });
        made.clone()
    }
}

fn first(sent: &str) -> &str {
    sent.split('|').next().unwrap()
}

fn rest(sent: &str) -> &str {
    &sent[first(sent).len()..]
}

fn random_name(random: &mut Random) -> String {
    let mut letter = || ["a", "b", "d", "a b"][random.below(4)];
    let (start, mut end) = (letter(), letter());
    if start == "d" && end == "a b" {
        end = "a"; // a raw series and its merged one would both count as dropped
    }
    let name = if random.one_in(2) { start.to_owned() } else { format!("{start}.{end}") };
    let tags = match random.below(6) {
        0 => ";t=1".to_owned(),
        1 => format!("|#t:{}", random.below(2)),
        2 => format!("|#t:{},u:1", random.below(2)),
        3 => format!("|#u:1,t:{}", random.below(2)),
        _ => String::new(),
    };
    name + &tags
}

/// The counts of a flush that are not 0, by the names of their series.
fn sums(lines: &[String]) -> BTreeMap<String, u64> {
    let count = |line: &String| {
        let (name, value) = line.strip_prefix("stats_counts.")?.split_once(' ')?;
        let value = value.split(' ').next()?.parse().expect("a whole number");
        (value > 0).then(|| (name.to_owned(), value))
    };
    lines.iter().filter_map(count).collect()
}

/// Shows that each line is added to the series that the rules of that time make of its name, or is
/// counted for the rule that drops it, whatever was remembered of it before.
#[test]
fn every_line_goes_where_the_newest_rules_let_it_go() {
    let mut oracle = Oracle::default();
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let base = ["delete_idle = yes\n", "delete_idle = yes\nsanitize_keys = no\n"];
        let base = format!("[statsd]\n{}", base[random.below(2)]);
        let mut rules = random.below(RULES.len());
        let mut core = Core::configured(&format!("{base}{}", RULES[rules]));
        // The sums of the open interval, and which of them the rules of the sweep drop.
        let mut open: BTreeMap<String, u64> = BTreeMap::new();
        let mut dropped = 0;
        for stamp in 1..30 {
            for _ in 0..random.below(6) {
                if random.one_in(3) {
                    let next = random.below(RULES.len());
                    let settings = configured(&format!("{base}{}", RULES[next]));
                    if core.engine.can_take(&settings.rules, settings.flush_interval) {
                        core.engine.reconfigure(&settings);
                        rules = next;
                    }
                }
                let mut packet = String::new();
                for _ in 0..random.below(12) {
                    let name = random_name(&mut random);
                    packet += &format!("{}:1|c{}\n", first(&name), rest(&name));
                    match oracle.series_of(rules, &name) {
                        Some(made) => *open.entry(made).or_default() += 1,
                        None => dropped += 1,
                    }
                }
                core.packet(&packet);
            }
            core.tick(stamp);
            let closed = std::mem::take(&mut open);
            loop {
                let is_done = core.sweep(1 + random.below(5_usize));
                let name = random_name(&mut random);
                // Of a series that is dropped, the samples before its last close count no more.
                if !name.starts_with('d') {
                    core.packet(&format!("{}:1|c{}\n", first(&name), rest(&name)));
                    let made = oracle.series_of(rules, &name).expect("no rule drops it");
                    *open.entry(made).or_default() += 1;
                }
                if is_done {
                    break;
                }
            }
            let lines = core.finish();
            let sent = sums(&lines);
            // The samples of a series that is dropped at its close are counted, too.
            dropped += closed.values().sum::<u64>() - sent.values().sum::<u64>();
            for (name, count) in &closed {
                let found = sent.get(name).copied().unwrap_or(0);
                let is_dropped = name.starts_with('d') && found < *count;
                assert!(found == *count || is_dropped, "seed {seed}: {name} {found}, not {count}");
            }
            assert!(sent.keys().all(|name| closed.contains_key(name)), "seed {seed}: {lines:?}");
        }
        let left = [30, 40].map(|stamp| sums(&core.flush(stamp)).into_values().sum::<u64>());
        dropped += open.values().sum::<u64>() - left[0] - left[1];
        assert_eq!(core.engine.ledger().dropped_by_rule(), dropped, "seed {seed}");
    }
}
