//! The life of a series: how long an idle one is sent and kept, and which series is evicted if the
//! table is full.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::rig::{Core, configured, values};
use statsd::ledger::OwnCounter;
use statsd::protocol::MetricKind;
use statsd::wire::In;
use statsd_bench::Random;

const OF_EACH_KIND: &str = "a:1|c\na:2|g\na:3|ms\na:4|s";

/// Returns the names that an idle flush after `OF_EACH_KIND` sends, one for each kind.
fn idle_kinds(text: &str) -> Vec<String> {
    let mut core = Core::configured(&format!("[statsd]\n{text}"));
    core.packet(OF_EACH_KIND);
    assert_eq!(core.flush(10).len(), 18, "the flush with samples sends all");
    let lines = core.flush(20);
    let kinds = ["stats_counts.a", "stats.gauges.a", "stats.timers.a.count", "stats.sets.a.count"];
    let sent = values(&lines);
    kinds.into_iter().filter(|kind| sent.contains_key(kind)).map(str::to_owned).collect()
}

#[test]
fn each_kind_is_deleted_by_its_own_key_or_by_delete_idle() {
    let [counter, gauge, timer, set] =
        ["stats_counts.a", "stats.gauges.a", "stats.timers.a.count", "stats.sets.a.count"];
    for (text, kept) in [
        ("", vec![counter, gauge, timer, set]),
        ("delete_counters = yes", vec![gauge, timer, set]),
        ("delete_gauges = yes", vec![counter, timer, set]),
        ("delete_timers = yes", vec![counter, gauge, set]),
        ("delete_sets = yes", vec![counter, gauge, timer]),
        ("delete_idle = yes", vec![]),
        ("delete_idle = yes\ndelete_gauges = no", vec![gauge]),
        ("delete_idle = yes\ngauge_ttl = 2", vec![gauge]),
        ("gauge_ttl = 1", vec![counter, gauge, timer, set]),
    ] {
        assert_eq!(idle_kinds(text), kept, "{text}");
    }
}

#[test]
fn a_deleted_series_is_forgotten_and_begins_again() {
    let mut core = Core::configured("[statsd]\ndelete_idle = yes");
    core.packet(OF_EACH_KIND);
    core.flush(10);
    core.flush(20);
    assert!(core.engine.table().is_empty());
    assert_eq!(core.engine.table().sample_bytes(), 0, "its memory is given back");
    core.packet("a:+5|g");
    assert_eq!(values(&core.flush(30))["stats.gauges.a"], "5");
}

#[test]
fn a_cumulative_counter_that_was_deleted_is_primed_again_by_any_sender() {
    for sweep_first in [true, false] {
        let mut core = Core::configured("[statsd]\ndelete_idle = yes");
        core.packet("up:100|C\nup:130|C");
        core.flush(10);
        core.tick(20);
        if sweep_first {
            while !core.sweep(1) {}
        }
        core.packet("up:150|C\nup:157|C");
        while !core.sweep(1) {}
        core.finish();
        assert_eq!(values(&core.flush(30))["stats_counts.up"], "7", "{sweep_first}");
    }
}

#[test]
fn a_sample_that_comes_after_the_tick_and_before_the_sweep_finds_a_deleted_series_gone() {
    let mut core = Core::configured("[statsd]\ndelete_idle = yes");
    core.packet(OF_EACH_KIND);
    core.flush(10);
    core.tick(20);
    core.packet("a:7|c\na:+7|g\na:7|ms\na:7|s");
    while !core.sweep(1) {}
    assert_eq!(core.finish(), Vec::<String>::new(), "idle in the interval before the tick");
    let lines = core.flush(30);
    assert_eq!(values(&lines)["stats_counts.a"], "7");
    assert_eq!(values(&lines)["stats.gauges.a"], "7", "a change of nothing, not of 2");
    assert_eq!(values(&lines)["stats.timers.a.count"], "1");
    assert_eq!(values(&lines)["stats.sets.a.count"], "1");
}

#[test]
fn a_series_with_samples_in_every_interval_is_sent_in_every_flush() {
    let mut core = Core::configured("[statsd]\ndelete_idle = yes\nexpire = 10s");
    core.packet("a:1|c");
    for flush in 1..5 {
        core.tick(flush * 10);
        core.packet("a:1|c");
        while !core.sweep(1) {}
        assert_eq!(core.finish().len(), 2, "flush {flush}");
    }
}

/// As Node counts `gaugesMaxTTL`: set at a sample, one less at each flush, removed at 0 after the
/// flush.
#[test]
fn gauge_ttl_is_the_number_of_flushes_that_send_a_value() {
    for ttl in [1, 2, 5] {
        let mut core =
            Core::configured(&format!("[statsd]\ndelete_gauges = yes\ngauge_ttl = {ttl}"));
        core.packet("g:1|g");
        let sent = (1..10).take_while(|flush| !core.flush(flush * 10).is_empty()).count();
        assert_eq!(sent, ttl);
        core.packet("g:1|g");
        core.flush(100);
        core.packet("g:+1|g");
        let sent = (1..10).take_while(|flush| !core.flush(100 + flush * 10).is_empty()).count();
        assert_eq!(sent, ttl, "counted from the last sample");
    }
}

/// Each case is `[statsd]` keys, the number of flushes between `g:5|g` and `g:+1|g`, and the level
/// that the next flush sends. Node StatsD with `deleteGauges` and `gaugesMaxTTL` sends the same.
const CHANGES: [(&str, usize, &str); 16] = [
    ("", 3, "6"),
    ("delete_idle = yes", 0, "6"),
    ("delete_idle = yes", 1, "1"),
    ("delete_idle = yes", 2, "1"),
    ("delete_gauges = yes", 1, "1"),
    ("delete_idle = yes\ndelete_gauges = no", 3, "6"),
    ("delete_counters = yes\ndelete_timers = yes\ndelete_sets = yes", 3, "6"),
    ("delete_gauges = yes\ngauge_ttl = 2", 1, "6"),
    ("delete_gauges = yes\ngauge_ttl = 2", 2, "1"),
    ("delete_gauges = yes\ngauge_ttl = 3", 2, "6"),
    ("delete_gauges = yes\ngauge_ttl = 3", 3, "1"),
    ("gauge_ttl = 1", 3, "6"),
    // `expire` counts whole idle intervals, and forgets a gauge with its series.
    ("expire = 10s", 1, "6"),
    ("expire = 10s", 2, "1"),
    ("[rule.a]\nmatch = g\ndelete_idle = yes", 1, "1"),
    ("delete_gauges = yes\n[rule.a]\nmatch = g\ndelete_idle = no", 3, "6"),
];

#[test]
fn a_deleted_gauge_has_no_value_that_a_change_could_add_to() {
    for (text, flushes, expected) in CHANGES {
        let text = &format!("[statsd]\n{text}");
        let mut core = Core::configured(text);
        core.packet("g:5|g");
        (0..flushes).for_each(|flush| drop(core.flush(10 * flush as u64)));
        core.packet("g:+1|g");
        assert_eq!(values(&core.flush(100))["stats.gauges.g"], expected, "{text}");

        // The same if the change arrives before the sweep has reached the gauge.
        let mut core = Core::configured(text);
        core.packet("g:5|g");
        (1..flushes).for_each(|flush| drop(core.flush(10 * flush as u64)));
        if flushes > 0 {
            core.tick(90);
            core.packet("g:+1|g");
            while !core.sweep(1) {}
            core.finish();
            assert_eq!(values(&core.flush(100))["stats.gauges.g"], expected, "{text}");
        }

        // The same over a restart after each flush.
        let mut core = Core::configured(text);
        core.packet("g:5|g");
        for flush in 0..flushes {
            core.flush(10 * flush as u64);
            let saved = core.engine.save(|_| Ok::<_, ()>(())).unwrap();
            core = Core::configured(text);
            let (bytes, interval) = (In::new(&saved), Duration::from_secs(10));
            assert!(!core.engine.restore(bytes, interval, flush % 2 == 0).damaged);
        }
        core.packet("g:+1|g");
        assert_eq!(values(&core.flush(100))["stats.gauges.g"], expected, "{text}");
    }
}

#[test]
fn a_forgotten_gauge_is_neither_shown_nor_saved_nor_deleted_nor_sent() {
    let mut core = Core::configured("[statsd]\ndelete_gauges = yes");
    core.packet("g:5|g\nkeep:1|c");
    let shown = |core: &mut Core| {
        let (mut gauges, mut cursor) = (0, statsd::series::Cursor::default());
        while !core.engine.table_mut().visit(&mut cursor, 100, |visited| {
            gauges += usize::from(visited.kind == MetricKind::Gauge);
        }) {}
        gauges
    };
    assert_eq!(shown(&mut core), 1);
    assert_eq!(values(&core.flush(10))["stats.gauges.g"], "5");
    assert_eq!(shown(&mut core), 0);
    let saved = core.engine.save(|_| Ok::<_, ()>(())).unwrap();
    assert!(memchr::memmem::find(&saved, b"keep").is_some());
    assert!(memchr::memmem::find(&saved, b"\x01\0g").is_none(), "its name");
    assert!(!core.remove(MetricKind::Gauge, "g"));
    assert!(!values(&core.flush(20)).contains_key("stats.gauges.g"));
    assert_eq!(core.engine.table().len(), 1);
}

#[test]
fn a_reload_that_stops_the_deletion_brings_no_forgotten_gauge_back() {
    let mut core = Core::configured("[statsd]\ndelete_gauges = yes");
    core.packet("g:5|g\nh:5|g");
    core.flush(10);
    core.engine.reconfigure(&configured("[statsd]\ndelete_gauges = no"));
    core.packet("h:+1|g");
    let lines = core.flush(20);
    assert_eq!(values(&lines).into_iter().collect::<Vec<_>>(), [("stats.gauges.h", "1")]);
    core.engine.reconfigure(&configured("[statsd]\ndelete_gauges = yes"));
    core.flush(30);
    core.packet("h:+1|g");
    assert_eq!(values(&core.flush(40))["stats.gauges.h"], "1", "idle in the interval before");
    assert_eq!(core.engine.own().total(OwnCounter::FiguresNotFinite), 0);
}

#[test]
fn expire_forgets_what_was_not_seen_for_that_long_and_sends_nothing_then() {
    for (expire, flushes) in [("1ms", 1), ("10s", 1), ("11s", 2), ("30s", 3)] {
        let mut core = Core::configured(&format!("[statsd]\nexpire = {expire}"));
        core.packet(OF_EACH_KIND);
        let sent = (1..10).take_while(|flush| !core.flush(flush * 10).is_empty()).count();
        assert_eq!(sent, flushes, "{expire}");
        assert!(core.engine.table().is_empty());
    }
}

#[test]
fn a_client_and_the_server_may_send_points_of_one_name_and_time() {
    let mut core = Core::configured("");
    core.packet("statsd.bad_lines_seen:5|c\nbad\nk:1|kv\nk:2|kv\ng:1|g\ng:2|g|T10\ng:3|g|T10");
    core.own = true;
    let lines = core.flush(10);
    let of = |name: &str| {
        let begins = format!("{name} ");
        lines.iter().filter(|line| line.starts_with(&begins)).collect::<Vec<_>>()
    };
    let own = "stats_counts.statsd.bad_lines_seen";
    assert_eq!(of(own), [&format!("{own} 1 10"), &format!("{own} 5 10")]);
    assert_eq!(of("stats.kv.k").len(), 2);
    assert_eq!(of("stats.gauges.g").len(), 3);
}

#[test]
fn the_servers_own_counters_are_never_deleted() {
    let mut core = Core::configured("[statsd]\ndelete_idle = yes\nexpire = 10s");
    core.own = true;
    (1..5).for_each(|flush| {
        assert!(core.flush(flush * 10).iter().any(|line| line.contains("statsd.bad_lines_seen")));
    });
}

/// Compares random traffic, before the tick and during the sweep, with the rule: at the end of an
/// interval a series without a sample in the last `life` intervals is removed and not sent. All
/// others are sent.
#[test]
fn what_is_sent_is_what_the_plain_rule_says_however_sweeps_and_samples_mix() {
    for seed in 0..200u64 {
        let mut random = Random::new(seed);
        let deletes = random.one_in(2);
        let ttl = 1 + random.below(3);
        let expire = random.below(5);
        let answer = if deletes { "yes" } else { "no" };
        let mut core = Core::configured(&format!(
            "[statsd]\ndelete_idle = {answer}\ngauge_ttl = {ttl}\nexpire = {}s",
            expire * 10
        ));
        let expire = if expire == 0 { u64::MAX } else { expire };
        let life = |kind: char| match (deletes, kind) {
            (false, _) => expire,
            (true, 'g') => ttl.min(expire),
            (true, _) => 1,
        };
        let mut model: BTreeMap<(char, u64), (u64, u64)> = BTreeMap::new(); // value, last interval
        let add = |model: &mut BTreeMap<_, (u64, u64)>, sample: (char, u64), interval: u64| {
            let (value, last) = model.entry(sample).or_default();
            if deletes && sample.0 == 'g' && interval - *last >= ttl {
                *value = 0; // the flush that sent it last has forgotten it
            }
            (*value, *last) = (*value + 1, interval);
        };
        let mut amid: Vec<(char, u64)> = Vec::new();
        for interval in 0..12 {
            for sample in amid.drain(..) {
                add(&mut model, sample, interval);
            }
            for _ in 0..random.below(4) {
                let sample = (*random.pick(&['c', 'g']), random.below(4));
                core.packet(&format!("n{}:+1|{}", sample.1, sample.0));
                add(&mut model, sample, interval);
            }
            core.tick(interval);
            loop {
                if random.one_in(3) {
                    let sample = (*random.pick(&['c', 'g']), random.below(4));
                    core.packet(&format!("n{}:+1|{}", sample.1, sample.0));
                    amid.push(sample);
                }
                if core.sweep(1) {
                    break;
                }
            }
            model.retain(|(kind, _), (_, last)| interval - *last < life(*kind));
            let lines = core.finish();
            let mut sent = values(&lines);
            sent.retain(|name, _| !name.starts_with("stats.n"));
            let expected = model.iter_mut().map(|((kind, name), (value, _))| {
                let folder = if *kind == 'c' { "stats_counts" } else { "stats.gauges" };
                let sent = (format!("{folder}.n{name}"), value.to_string());
                if *kind == 'c' {
                    *value = 0;
                }
                sent
            });
            let expected: BTreeMap<_, _> = expected.collect();
            let sent: BTreeMap<_, _> =
                sent.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            assert_eq!(sent, expected, "seed {seed}, interval {interval}");
        }
    }
}

/// A table for ten series, in which a series is evicted after 20 idle seconds. All have had samples
/// in two intervals once the open one is closed.
fn full() -> Core {
    let mut core = Core::configured("[limits]\nmax_series = 10\nevict_after = 20s");
    (0..10).for_each(|n| core.packet(&format!("old.{n}:1|c")));
    core.flush(1);
    (0..10).for_each(|n| core.packet(&format!("old.{n}:1|c")));
    core
}

fn rejected(core: &Core) -> u64 {
    core.engine.own().total(OwnCounter::SeriesRejected)
}

#[test]
fn at_the_limit_the_longest_idle_makes_way_once_it_is_idle_for_evict_after() {
    let mut core = full();
    core.flush(10);
    core.packet("old.0:1|c\nnew.0:1|c");
    assert_eq!(rejected(&core), 1);
    core.flush(20);
    core.packet("new.0:1|c");
    assert_eq!(rejected(&core), 2, "idle for one interval, not for two");
    core.flush(30);
    (0..9).for_each(|n| core.packet(&format!("new.{n}:1|c")));
    assert_eq!((rejected(&core), core.engine.table().len()), (2, 10));
    core.packet("new.9:1|c");
    assert_eq!(rejected(&core), 3, "old.0 was seen later");
    let lines = core.flush(40);
    assert_eq!(values(&lines)["stats_counts.old.0"], "0");
    assert_eq!(values(&lines)["stats_counts.new.8"], "1");
    assert_eq!(lines.len(), 20);
}

#[test]
fn the_longest_idle_goes_first_and_who_came_back_stays() {
    let mut core = full();
    for flush in 1..8 {
        core.flush(flush * 10);
        // Each one gets its last sample in another interval, number 9 in the last one.
        (flush..10).for_each(|n| core.packet(&format!("old.{n}:1|c")));
    }
    core.flush(80);
    core.packet("old.0:1|c"); // back after the sweep noted it
    core.packet("new.0:1|c\nnew.1:1|c");
    let names: Vec<_> =
        (0..10).filter(|n| core.remove(MetricKind::Counter, &format!("old.{n}"))).collect();
    assert_eq!(names, [0, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn who_makes_way_during_a_sweep_is_closed_in_it_once() {
    let mut core = full();
    core.packet("old.5:3|g"); // refused: the table is full
    (1..5).for_each(|flush| drop(core.flush(flush * 10)));
    core.tick(50);
    assert!(!core.sweep(3));
    (0..5).for_each(|n| core.packet(&format!("new.{n}:1|c")));
    while !core.sweep(1) {
        core.packet("new.1:1|c");
    }
    let lines = core.finish();
    assert_eq!(values(&lines).len(), 20, "ten counters of two lines, none twice");
    assert!(lines.iter().all(|line| line.contains("old.")));
    let lines = core.flush(60);
    assert_eq!(lines.iter().filter(|line| line.starts_with("stats_counts.new.")).count(), 5);
    assert_eq!(lines.len(), 20);
    assert_eq!(core.engine.table().len(), 10);
}

#[test]
fn a_burst_of_junk_neither_fills_memory_nor_locks_real_names_out() {
    let mut core = Core::configured("[limits]\nmax_series = 1000\nevict_after = 20s");
    (0..20_000).for_each(|n| core.packet(&format!("junk.x{}.{n}:{n}|ms", n % 50)));
    (0..20_000).for_each(|n| core.packet(&format!("app.burst.{n}:1|s")));
    assert_eq!(core.engine.table().len(), 1000);
    let named = core.engine.largest_group().expect("the table is full").group;
    assert_eq!((named.prefix.as_deref(), named.of), (Some(&b"junk"[..]), "new series"));
    let mut flush = 0;
    let mut real = |core: &mut Core| {
        (0..500).for_each(|n| core.packet(&format!("real.{n}:1|c")));
        flush += 10;
        core.flush(flush).iter().filter(|line| line.starts_with("stats_counts.real")).count()
    };
    let admitted: Vec<usize> = (0..4).map(|_| real(&mut core)).collect();
    assert!(admitted[0] > 100, "{admitted:?}: the junk gives up its newest");
    assert!(admitted[2] > 450 && admitted[3] == 500, "{admitted:?}: in the end all are in");
    assert_eq!(core.engine.table().len(), 1000);
}
