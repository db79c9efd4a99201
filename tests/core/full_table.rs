//! A full table: at `max_series` a flood makes room for well-behaved names.

use std::net::SocketAddr;
use std::time::Duration;

use crate::rig::{Core, configured, values};
use statsd::ledger::OwnCounter;
use statsd::protocol::MetricKind;
use statsd::sender::Sender;
use statsd::series::Cursor;
use statsd::wire::In;
use statsd_bench::Random;

const JUNK: u32 = 100_000;
const GOOD: u32 = 100;

/// Returns the sender and the name of the n-th junk line.
type Junk = fn(u32) -> (u32, String);

fn send(core: &mut Core, host: u32, packet: &str) {
    let address = SocketAddr::from((host.to_be_bytes(), 1));
    core.engine.ledger_mut().set_sender(Sender::Internet(address));
    core.packet(packet);
}

/// After this many junk lines the table is full.
const FULL: u32 = 1000;

/// Sends junk from the sender and with the name that `junk` gives, and beside it 100 good names of
/// sender 1, of which the first come when the table is full. Returns how many values of good names
/// were sent and arrived, and the rest of the junk that no counter shows.
fn flood(limits: &str, junk: Junk) -> (f64, f64, f64) {
    let text = format!("[limits]\n{limits}\n");
    let bounds = configured(&text).bounds;
    let mut core = Core::configured(&text);
    let (mut sent, mut arrived, mut all) = (0.0, 0.0, 0.0);
    let mut flush = |core: &mut Core, stamp| {
        for (name, value) in values(&core.flush(stamp)) {
            let value: f64 = value.parse().unwrap();
            if name.starts_with("stats_counts.app.web.") && !name.contains(';') {
                arrived += value;
            }
            if name.starts_with("stats_counts.") && !name.starts_with("stats_counts.statsd.") {
                all += value;
            }
        }
    };
    for n in 0..JUNK {
        let (host, name) = junk(n);
        send(&mut core, host, &format!("{name}:1|c"));
        if n % 500 == 499 && n > FULL {
            for good in 0..GOOD {
                send(&mut core, 1, &format!("app.web.{good}:1|c"));
                sent += 1.0;
            }
        }
        if n % 20_000 == 10_000 {
            flush(&mut core, u64::from(n));
        }
    }
    flush(&mut core, u64::from(JUNK));
    let table = core.engine.table();
    assert!(table.len() <= bounds.max_series, "{}", table.len());
    assert!(table.series_bytes() <= bounds.series_memory, "{}", table.series_bytes());
    let rejected = core.engine.own().total(OwnCounter::SeriesRejected) as f64;
    (sent, arrived, f64::from(JUNK) + sent - all - rejected)
}

/// Shows that all values of the good names arrive, whatever the junk has in common, and that each
/// value of the junk is either sent or counted.
#[test]
fn a_flood_costs_a_well_behaved_sender_nothing() {
    let floods: [(&str, Junk); 8] = [
        ("one sender, one prefix", |n| (2, format!("junk.x.{n}"))),
        ("one sender, short names", |n| (2, format!("junk.{n}"))),
        ("one sender, made-up prefixes", |n| (2, format!("x{n}.y{n}.z"))),
        ("one sender, bare names", |n| (2, format!("x{n}"))),
        ("forged senders, one prefix", |n| (n + 2, format!("junk.x.{n}"))),
        ("the good sender itself", |n| (1, format!("junk.x.{n}"))),
        ("the good sender itself, bare names", |n| (1, format!("x{n}"))),
        ("a tag of many values, in the same prefix", |n| (1, format!("app.web.requests;user={n}"))),
    ];
    for (what, junk) in floods {
        let (sent, arrived, lost) = flood("max_series = 1000", junk);
        assert_eq!((arrived, lost), (sent, 0.0), "{what}");
    }
}

/// Shows the same for a table that is full by its bytes, with junk of long names, of many tags, and
/// of both lengths.
#[test]
fn a_flood_of_long_names_costs_a_well_behaved_sender_nothing() {
    let floods: [(&str, Junk); 3] = [
        // An element of a path has at most 255 bytes, or Graphite could not store it.
        ("long names", |n| (2, format!("junk.x.{n}{}", ".yyyyyyyyy".repeat(200)))),
        ("many tags", |n| {
            let tags = (0..20).map(|tag| format!(";k{tag}={n}.{}", "z".repeat(40)));
            (2, format!("junk.x{}", tags.collect::<String>()))
        }),
        ("short and long names", |n| {
            (2, format!("junk.x.{n}{}", ".yyyyyyyyy".repeat(if n % 3 == 0 { 200 } else { 0 })))
        }),
    ];
    for (what, junk) in floods {
        let (sent, arrived, lost) = flood("series_memory = 1m", junk);
        assert_eq!((arrived, lost), (sent, 0.0), "{what}");
    }
}

/// Shows that a few series with long names count as much as the many short ones that they keep out:
/// new names of a sender with many series get in, and none of its series makes room.
#[test]
fn a_few_long_names_are_the_largest_group_and_not_the_many_short_ones_beside_them() {
    let mut core = Core::configured("[limits]\nseries_memory = 4m\n");
    let good = |core: &mut Core, from: u32, to: u32| {
        for n in from..to {
            send(core, 1, &format!("app.web.{n}:1|c"));
        }
    };
    good(&mut core, 0, 10_000);
    core.flush(10);
    good(&mut core, 0, 10_000);
    for n in 0..1000 {
        send(&mut core, 2, &format!("junk.x.{n}{}:1|c", ".yyyyyyyyy".repeat(700)));
    }
    core.flush(20);
    good(&mut core, 10_000, 10_500);
    let flushed = core.flush(30);
    let sent = values(&flushed);
    let arrived =
        |n: u32| sent.iter().any(|(name, _)| name == &format!("stats_counts.app.web.{n}"));
    let missing = (0..10_500).filter(|n| !arrived(*n)).count();
    assert_eq!(missing, 0, "of the good names");
    let group = core.engine.largest_group().expect("junk was refused").group;
    assert_eq!(group.prefix.as_deref(), Some(&b"junk.x"[..]));
}

/// Returns 30 tags, as Datadog's clients have them. They are others for each `version`.
fn many_tags(version: u32) -> String {
    (0..30).map(|tag| format!(";tag{tag:02}={}{version}", "v".repeat(40))).collect()
}

/// The number of names that are in the table, of those that `name` gives for 0 to `count`.
fn in_table(core: &Core, count: u32, name: impl Fn(u32) -> String) -> usize {
    let table = core.engine.table();
    (0..count).filter(|n| table.has_series(MetricKind::Counter, name(*n).as_bytes())).count()
}

/// Shows that names with many tags get into a table that is full of short names, also if some of
/// the tags are stored already, and if the short names have been idle for long.
#[test]
fn a_flood_of_short_names_keeps_no_names_with_many_tags_out() {
    for idle_flushes in [0, 3] {
        let text = "[limits]\nseries_memory = 4m\nevict_after = 20s\n";
        let mut core = Core::configured(text);
        (0..JUNK).for_each(|n| send(&mut core, 2, &format!("junk.x.{n}:1|c")));
        (0..idle_flushes).for_each(|n| drop(core.flush(10 * (n + 1))));
        let name = |n: u32| format!("app.web.{n}{}", many_tags(n % 10));
        (0..100).for_each(|n| send(&mut core, 1, &format!("{}:1|c", name(n))));
        assert_eq!(in_table(&core, 100, name), 100, "after {idle_flushes} idle flushes");
        let bytes = core.engine.table().series_bytes();
        assert!(bytes <= configured(text).bounds.series_memory, "{bytes}");
    }
}

/// Shows that tags that many series share do not make those series the largest group, since they
/// take their memory once.
#[test]
fn series_with_shared_tags_are_not_the_largest_group_beside_a_flood() {
    let mut core = Core::configured("[limits]\nseries_memory = 8m\n");
    let tagged = |n: u32| format!("app.web.{n}{}", many_tags(0));
    (0..4000).for_each(|n| send(&mut core, 1, &format!("{}:1|c", tagged(n))));
    (0..2 * JUNK).for_each(|n| send(&mut core, 2, &format!("junk.x.{n}:1|c")));
    let new = |n: u32| format!("app.new.{n}");
    (0..100).for_each(|n| send(&mut core, 1, &format!("{}:1|c", new(n))));
    assert_eq!(in_table(&core, 100, new), 100);
    assert_eq!(in_table(&core, 4000, tagged), 4000);
    let group = core.engine.largest_group().expect("junk was refused").group;
    assert_eq!(group.prefix.as_deref(), Some(&b"junk.x"[..]));
    assert!((85..=95).contains(&group.percent), "{}", group.percent);
}

/// Shows that more new names get in than the order of creation is known of, all in one interval.
#[test]
fn ten_thousand_new_names_get_in_beside_a_flood_within_one_interval() {
    let mut core = Core::configured("[limits]\nmax_series = 50000\n");
    (0..JUNK).for_each(|n| send(&mut core, 2, &format!("junk.x.{n}:1|c")));
    let name = |n: u32| format!("app.web.{n}");
    (0..10_000).for_each(|n| send(&mut core, 1, &format!("{}:1|c", name(n))));
    assert_eq!(in_table(&core, 10_000, name), 10_000);
    assert_eq!(core.engine.table().len(), 50_000);
}

/// Shows that new names of a sender that has made up all others get in, and that an example of the
/// others is named.
#[test]
fn new_names_of_a_sender_that_made_up_others_get_in() {
    let mut core = Core::configured("[limits]\nmax_series = 1000\n");
    (0..5000).for_each(|n| send(&mut core, 2, &format!("x{n}:1|c")));
    let name = |n: u32| format!("app.web.{n}");
    (0..100).for_each(|n| send(&mut core, 2, &format!("{}:1|c", name(n))));
    assert_eq!(in_table(&core, 100, name), 100);
    let group = core.engine.largest_group().expect("the table is full").group;
    assert_eq!((group.prefix, group.sender != 0), (None, true));
    assert_eq!(core.engine.own().total(OwnCounter::SeriesRejected), 4100);
    assert_eq!(core.engine.table().counts().evicted, 4100);
}

/// Shows that a name that cannot fit evicts nothing.
#[test]
fn a_name_that_is_too_long_for_the_rest_evicts_nothing() {
    let text = "[limits]\nseries_memory = 1m\nevict_after = 0\nmax_key_length = 64k\n";
    let mut core = Core::configured(text);
    for n in 0..20_000 {
        send(&mut core, 2, &format!("junk.{n}:1|c"));
    }
    core.flush(10);
    core.flush(20);
    let before = core.engine.table().counts();
    send(&mut core, 2, &format!("long{}:1|c", ".yyyyyyyyy".repeat(6000)));
    let after = core.engine.table().counts();
    assert_eq!(after.evicted, before.evicted);
    for n in 0..20 {
        send(&mut core, 1, &format!("app.web.{n}:1|c"));
    }
    let created = core.engine.table().counts().created - after.created;
    assert_eq!(created, 20, "each good name gets in");
}

/// Shows that a full table remembers no more lines.
#[test]
fn the_keys_of_known_lines_are_within_the_memory_of_series() {
    let text = "[limits]\nseries_memory = 64k\n";
    let mut core = Core::configured(text);
    for tags in ["env:prod,pod:x", "pod:x,env:prod"] {
        (0..1000).for_each(|n| core.packet(&format!("app.web.{n}:1|c|#{tags}")));
    }
    assert!(core.engine.own().total(OwnCounter::SeriesRejected) > 0, "the table is full");
    let bytes = core.engine.table().series_bytes();
    assert!(bytes <= configured(text).bounds.series_memory, "{bytes}");
}

#[test]
fn the_largest_group_is_named_with_its_sender_share_and_example() {
    let mut core = Core::configured("[limits]\nmax_series = 1000\n");
    assert!(core.engine.largest_group().is_none());
    (0..100).for_each(|n| send(&mut core, 1, &format!("app.web.{n}:1|c")));
    (0..1000).for_each(|n| send(&mut core, 2, &format!("junk.x.{n}:1|c")));
    let named = core.engine.largest_group().unwrap();
    assert_eq!(named.sender.to_string(), "0.0.0.2");
    assert_eq!(named.group.prefix.as_deref(), Some(&b"junk.x"[..]));
    assert_eq!((named.group.series, named.group.percent), (900, 90));
    assert_eq!(named.group.example, b"junk.x.900");
    core.remove(MetricKind::Counter, "junk.x.1");
    assert!(core.engine.largest_group().is_none(), "there is room");
}

/// Shows that series that are established and active stay, also those of the largest prefix.
#[test]
fn no_established_series_is_given_up_while_it_is_active() {
    let mut core = Core::configured("[limits]\nmax_series = 1000\n");
    for stamp in 1..5 {
        (0..1000).for_each(|n| send(&mut core, 1, &format!("app.web.{n}:1|c")));
        core.flush(stamp);
    }
    for stamp in 5..9 {
        (0..1000).for_each(|n| send(&mut core, 1, &format!("app.web.{n}:1|c")));
        (0..1000).for_each(|n| send(&mut core, n, &format!("junk{n}.x.{stamp}:1|c")));
        let lines = core.flush(stamp);
        let counts = values(&lines);
        assert!((0..1000).all(|n| counts[&*format!("stats_counts.app.web.{n}")] == "1"));
    }
    assert_eq!(core.engine.own().total(OwnCounter::SeriesRejected), 4000);
}

/// Shows that a series with restored values makes no room: what it had would be lost uncounted.
#[test]
fn a_restored_value_is_sent_however_many_names_come() {
    let limits = |most| format!("[limits]\nmax_series = {most}\n");
    let mut before = Core::configured(&limits(100));
    (0..60).for_each(|n| send(&mut before, 2, &format!("app.web.{n}:1|c")));
    let saved = before.engine.save(|_| Ok::<_, ()>(())).unwrap();
    let mut after = Core::configured(&limits(60));
    let restored = after.engine.restore(In::new(&saved), Duration::from_secs(10), false);
    assert_eq!(restored.series, 60);
    (0..50).for_each(|n| send(&mut after, 1, &format!("other{n}.x.y:1|c")));
    let flushed = after.flush(10);
    let sent = values(&flushed);
    let kept = sent.iter().filter(|(name, value)| {
        name.starts_with("stats_counts.app.web.") && value.parse() == Ok(1.0)
    });
    assert_eq!(kept.count(), 60);
    assert_eq!(after.engine.own().total(OwnCounter::SeriesRejected), 50);
}

/// Shows that a restart makes no established series one that makes room, and no junk established.
#[test]
fn established_series_stay_after_a_restart_and_junk_makes_room() {
    let limits = "[limits]\nmax_series = 1000\n";
    let name = |n: u32| format!("app.web.{n}");
    let mut core = Core::configured(limits);
    for stamp in 1..4 {
        (0..900).for_each(|n| send(&mut core, 1, &format!("{}:1|g", name(n))));
        core.flush(stamp);
    }
    (0..100).for_each(|n| send(&mut core, 1, &format!("app.web.junk{n}:1|g")));
    core.flush(4);
    let saved = core.engine.save(|_| Ok::<_, ()>(())).unwrap();
    let mut core = Core::configured(limits);
    let restored = core.engine.restore(In::new(&saved), Duration::from_secs(10), false);
    assert_eq!(restored.series, 1000);
    let other = |n: u32| format!("other.x.{n}");
    for stamp in 5..20 {
        (0..400).for_each(|n| send(&mut core, 2, &format!("{}:1|g", other(n))));
        core.flush(stamp);
    }
    let table = core.engine.table();
    let count = |most: u32, name: &dyn Fn(u32) -> String| {
        (0..most).filter(|n| table.has_series(MetricKind::Gauge, name(*n).as_bytes())).count()
    };
    assert_eq!(count(900, &name), 900);
    let others = count(400, &other);
    assert!((98..=100).contains(&others), "{others} take the place of the junk");
}

/// Shows that a refused sample is counted once, also if its series then makes room for another.
#[test]
fn a_refused_sample_of_an_evicted_series_is_counted_once() {
    let mut core = Core::configured("[limits]\nmax_series = 1000\n");
    for _ in 0..2 {
        // The sum of two would be infinite, so the second one is refused.
        (0..1000).for_each(|n| send(&mut core, 2, &format!("junk.x.{n}:1e308|c")));
    }
    assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 1000);
    assert_eq!(core.engine.ledger().samples(), 1000);
    send(&mut core, 1, "app.web.a:1|c");
    assert_eq!(core.engine.own().total(OwnCounter::SeriesRejected), 1);
    assert_eq!(core.engine.ledger().samples(), 1000, "one more has come, and one is lost");
}

/// Lines of all kinds, with names and tags of many lengths.
fn mixed(n: u32) -> String {
    let long = ".yyyyyyyyy".repeat(n as usize % 7 * 5);
    match n % 6 {
        0 => format!("c.{n}{long}:1|c"),
        1 => format!("c.{n}:1|c|#pod:{},env:prod{long}", n % 50),
        2 => format!("t.{n}{long}:1:2|ms"),
        3 => format!("s.{n}{long}:x|s"),
        4 => format!("C.{n}:{n}|C"),
        _ => format!("C.{n}:1|c"),
    }
}

/// The events of the lines of [`mixed`] that a flush has sent.
fn events(lines: &[String]) -> f64 {
    let sent = values(lines);
    let of_lines = sent.iter().filter(|(name, _)| {
        let is_counter = name.starts_with("stats_counts.c.") || name.starts_with("stats_counts.C.");
        let is_timer = name.starts_with("stats.timers.") && name.ends_with(".count");
        is_counter || is_timer || name.starts_with("stats.sets.")
    });
    of_lines.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// Shows that the limit holds for every kind of series, with running totals of timers that a reload
/// makes larger, and with the last values of cumulative counters.
#[test]
fn no_kind_of_series_and_no_reload_exceeds_the_memory_of_series() {
    const MANY: &str = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, inf";
    // The encoder of the test has the names of all bins from the start.
    let text = |bins: &str| {
        format!(
            "[limits]\nseries_memory = 128k\n[rule.z]\nmatch = z\nhistogram = {MANY}\n\
             [rule.h]\nmatch = t.**\nhistogram = {bins}\n"
        )
    };
    let settings = configured(&text("1, inf"));
    assert!(settings.bounds.keeps_totals);
    let mut core = Core::configured(&text("1, inf"));
    let check = |core: &Core| {
        let bytes = core.engine.table().series_bytes();
        assert!(bytes <= settings.bounds.series_memory, "{bytes}");
    };
    for n in 0..1000 {
        core.packet(&mixed(n));
        // A counter that begins to be cumulative needs memory for its last value.
        core.packet(&mixed(n).replace(":1|c", ":1|C"));
        check(&core);
    }
    assert!(core.engine.own().total(OwnCounter::SeriesRejected) > 0, "the table is full");
    core.flush(10);
    check(&core);
    core.engine.reconfigure(&configured(&text(MANY)));
    for n in 0..1000 {
        core.packet(&mixed(n));
        check(&core);
    }
    core.flush(20);
    check(&core);
    let mut with_all_bins = 0;
    let mut cursor = Cursor::default();
    let table = core.engine.table_mut();
    while !table.visit(&mut cursor, 1000, |visited| {
        let bins = visited.series.timing().map_or(0, |it| it.bins(&visited.policy.plan).len());
        with_all_bins += usize::from(bins == MANY.split(',').count());
    }) {}
    assert!(with_all_bins > 0, "the totals have other bins");
}

/// Shows that names that lead to a series since a reload need room as those of new series do, and
/// that each sample is sent or counted, also if a rule drops the own name of the series.
#[test]
fn names_that_lead_to_a_series_since_a_reload_are_within_the_memory_of_series() {
    const RULES: &str =
        "[rule.m]\nmatch = k.*.**\nname = m.$1\n[rule.d]\nmatch = m.*\ndrop = yes\n";
    let text = "[limits]\nseries_memory = 64k\n";
    let most = configured(text).bounds.series_memory;
    let mut core = Core::configured(text);
    (0..1000).for_each(|n| core.packet(&format!("m.{n}:1|c")));
    let count = |lines: &[String]| {
        let counts = values(lines);
        let counts = counts.iter().filter(|(name, _)| name.starts_with("stats_counts.m."));
        counts.map(|(_, count)| count.parse::<f64>().unwrap()).sum::<f64>()
    };
    let mut arrived = count(&core.flush(10));
    core.engine.reconfigure(&configured(&format!("{text}{RULES}")));
    let long = ".yyyyyyyyy".repeat(8);
    for n in 0..1000 {
        core.packet(&format!("k.{n}{long}:1|c"));
        let bytes = core.engine.table().series_bytes();
        assert!(bytes <= most, "{bytes}");
    }
    arrived += count(&core.flush(20)) + count(&core.flush(30));
    let own = core.engine.own();
    let rejected = own.total(OwnCounter::SeriesRejected);
    assert!(rejected > 0, "the table is full");
    assert_eq!(arrived + rejected as f64, 2000.0);
}

/// Shows that a state within the limits is restored whole, in whatever order it was made, also if
/// the table was full. What lower limits have no room for is counted.
#[test]
fn a_full_table_is_restored_whole_and_what_lower_limits_refuse_is_counted() {
    let limits = |memory| format!("[limits]\nseries_memory = {memory}\n");
    for seed in 0..20 {
        let mut numbers: Vec<u32> = (0..2000).collect();
        Random::new(seed).shuffle(&mut numbers);
        let mut before = Core::configured(&limits("128k"));
        numbers.iter().for_each(|n| before.packet(&mixed(*n)));
        assert!(before.engine.own().total(OwnCounter::SeriesRejected) > 0, "the table is full");
        let saved = before.engine.save(|_| Ok::<_, ()>(())).unwrap();
        let series = before.engine.table().len() as u64;
        let all = events(&before.flush(10));
        for (memory, is_whole) in [("128k", true), ("64k", false)] {
            let mut after = Core::configured(&limits(memory));
            let restored = after.engine.restore(In::new(&saved), Duration::from_secs(10), false);
            assert_eq!(restored.series + restored.refused, series);
            assert_eq!(restored.refused == 0, is_whole, "{restored:?}");
            let bytes = after.engine.table().series_bytes();
            assert!(bytes <= configured(&limits(memory)).bounds.series_memory, "{bytes}");
            let lost = after.engine.ledger().not_restored();
            assert_eq!(lost, restored.lost_events());
            assert_eq!(events(&after.flush(10)) + lost as f64, all);
        }
    }
}

/// Shows that series stay what they are when the memory of many others is freed: their values,
/// totals and known lines, and those that come later.
#[test]
fn series_that_stay_lose_nothing_when_most_others_go() {
    let mut core = Core::configured("[statsd]\nexpire = 10s\n");
    let line = |n: u32| format!("app.{n}:1|c|#pod:{n},env:prod\nt.{n}:5|ms\n");
    let kept = || (0..60_000).step_by(97);
    (0..60_000).for_each(|n| core.packet(&line(n)));
    for stamp in 1..8 {
        kept().for_each(|n| core.packet(&line(n)));
        let lines = core.flush(stamp * 10);
        let sent = values(&lines);
        let expected = if stamp == 1 { "2" } else { "1" };
        for n in kept() {
            assert_eq!(sent[&*format!("stats_counts.app.{n};env=prod;pod={n}")], expected);
            assert_eq!(sent[&*format!("stats.timers.t.{n}.count")], expected);
        }
        let table = core.engine.table();
        assert!(stamp == 1 || table.len() == 2 * kept().count(), "{}", table.len());
        assert!(table.aliases().0 <= 60_000);
    }
    let mut totals = 0;
    let mut cursor = Cursor::default();
    while !core.engine.table_mut().visit(&mut cursor, 100, |visited| {
        let timing = visited.series.timing().map(|totals| totals.count);
        assert_eq!(visited.total.or(timing), Some(8.0));
        totals += 1;
    }) {}
    assert_eq!(totals, 2 * kept().count());
}
