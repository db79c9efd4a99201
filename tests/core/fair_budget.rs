//! A full table that is mostly in use: the flood makes room for new names, however few of the
//! series it has, and whatever it shares with the others.

use std::net::SocketAddr;

use crate::rig::{Core, values};
use statsd::engine::NamedGroup;
use statsd::ledger::OwnCounter;
use statsd::protocol::MetricKind;
use statsd::sender::Sender;

/// Returns the n-th name.
type Name = fn(u32) -> String;

const MOST: u32 = 5000;
const GOOD: u32 = 100;
/// Junk lines in one interval.
const JUNK: u32 = 4000;

fn full_table() -> Core {
    Core::configured(&format!("[limits]\nmax_series = {MOST}\n"))
}

fn send(core: &mut Core, host: u32, line: &str) {
    let address = SocketAddr::from((host.to_be_bytes(), 1));
    core.engine.ledger_mut().set_sender(Sender::Internet(address));
    core.packet(line);
}

fn counters(core: &mut Core, host: u32, numbers: impl IntoIterator<Item = u32>, name: Name) {
    numbers.into_iter().for_each(|n| send(core, host, &format!("{}:1|c", name(n))));
}

/// Sends names in three intervals, so that they are established.
fn establish(core: &mut Core, count: u32, name: Name) {
    for stamp in 0..3 {
        counters(core, 1, 0..count, name);
        core.flush(stamp);
    }
}

/// The number of counters of these names that were sent with the value 1.
fn arrived(lines: &[String], count: u32, name: Name) -> usize {
    let sent = values(lines);
    let of = |n: u32| sent.get(&*format!("stats_counts.{}", name(n)));
    (0..count).filter(|n| of(*n).is_some_and(|value| *value == "1")).count()
}

fn named(core: &mut Core) -> NamedGroup {
    core.engine.largest_group().expect("names of the flood were refused")
}

/// The names of the established series, of the junk and of the good names, and the prefix of the
/// junk.
const SCHEMES: [(Name, Name, Name, &str); 4] = [
    (
        |n| format!("legit.svc{}.m{n}", n % 37),
        |n| format!("junk.x.{n}"),
        |n| format!("app.web.g{n}"),
        "junk.x",
    ),
    (
        |n| format!("legit{}.svc.m{n}", n % 37),
        |n| format!("junk.x.{n}"),
        |n| format!("app.web.g{n}"),
        "junk.x",
    ),
    (
        |n| format!("prod.svc{}.m{n}", n % 37),
        |n| format!("prod.app.j{n}"),
        |n| format!("prod.api.g{n}"),
        "prod.app",
    ),
    (
        |n| format!("api.req;pod=p{n}"),
        |n| format!("api.hits;user=u{n}"),
        |n| format!("api.errors;code={n}"),
        "api.hits",
    ),
];

/// Shows that new names get in beside a flood, and that the flood is named, if most of the table is
/// established: a series that stays is no part of what is shared out.
#[test]
fn good_names_get_in_however_many_series_are_established() {
    for (established, junk_host) in [(60, 2), (60, 1), (90, 2), (90, 1)] {
        let count = MOST * established / 100;
        for (scheme, (legit, junk, good, prefix)) in SCHEMES.into_iter().enumerate() {
            let what = format!("{established} %, junk of sender {junk_host}, scheme {scheme}");
            let mut core = full_table();
            establish(&mut core, count, legit);
            counters(&mut core, junk_host, 0..JUNK, junk);
            let mut junk_at = JUNK;
            for stamp in 3..7 {
                counters(&mut core, 1, 0..count, legit);
                counters(&mut core, junk_host, junk_at..junk_at + JUNK, junk);
                counters(&mut core, 1, 0..GOOD, good);
                counters(&mut core, junk_host, junk_at + JUNK..junk_at + 2 * JUNK, junk);
                junk_at += 2 * JUNK;
                let group = named(&mut core);
                assert_eq!(group.group.prefix.as_deref(), Some(prefix.as_bytes()), "{what}");
                assert_eq!(group.sender.to_string(), format!("0.0.0.{junk_host}"), "{what}");
                let example = String::from_utf8(group.group.example).unwrap();
                assert!(example.starts_with(prefix), "{what}: {example}");
                assert!(group.group.percent > 75, "{what}: {}", group.group.percent);
                let lines = core.flush(stamp);
                assert_eq!(arrived(&lines, GOOD, good), 100, "{what}, interval {stamp}");
                assert_eq!(arrived(&lines, count, legit), count as usize, "{what}");
            }
            assert!(core.engine.table().len() <= MOST as usize);
        }
    }
}

/// Shows that new names get in already in the second interval of those that stay, in which they
/// are established.
#[test]
fn series_are_no_longer_shared_out_from_their_second_interval_on() {
    let (legit, junk, good, _) = SCHEMES[0];
    let mut core = full_table();
    counters(&mut core, 1, 0..3000, legit);
    counters(&mut core, 2, 0..2000, junk);
    core.flush(1);
    counters(&mut core, 1, 0..3000, legit);
    counters(&mut core, 2, 2000..6000, junk);
    counters(&mut core, 1, 0..GOOD, good);
    let lines = core.flush(2);
    assert_eq!(arrived(&lines, GOOD, good), 100);
    assert_eq!(arrived(&lines, 3000, legit), 3000);
}

/// Shows that a flood takes nothing of what a good prefix has sent once, as gauges are that are set
/// at the start: neither of another prefix, nor of the same prefix and another sender.
#[test]
fn a_flood_takes_no_gauge_that_was_set_once() {
    let (legit, _, _, _) = SCHEMES[0];
    let gauge: Name = |n| format!("app.boot.limit{n}");
    let cases: [(u32, u32, Name); 4] = [
        (60, 2, |n| format!("junk.x.{n}")),
        (60, 1, |n| format!("junk.x.{n}")),
        (85, 2, |n| format!("junk.x.{n}")),
        (60, 2, |n| format!("app.boot.{n}")),
    ];
    for (established, host, junk) in cases {
        let count = MOST * established / 100;
        let gauges = (MOST - count) / 4;
        let mut core = full_table();
        establish(&mut core, count, legit);
        (0..gauges).for_each(|n| send(&mut core, 1, &format!("{}:7|g", gauge(n))));
        core.flush(3);
        for stamp in 4..10 {
            counters(&mut core, 1, 0..count, legit);
            counters(&mut core, host, stamp * JUNK..(stamp + 1) * JUNK, junk);
            core.flush(u64::from(stamp));
            let table = core.engine.table();
            let is_kept = |n: &u32| table.has_series(MetricKind::Gauge, gauge(*n).as_bytes());
            let kept = (0..gauges).filter(is_kept).count();
            assert_eq!(kept, gauges as usize, "{}, {established} %, {host}, {stamp}", junk(0));
        }
    }
}

/// Shows that what was sent once gives up a third at most, if it has filled the rest of the table
/// before the flood came.
#[test]
fn two_thirds_of_the_gauges_stay_if_they_filled_the_table() {
    let (legit, junk, _, _) = SCHEMES[0];
    let gauge: Name = |n| format!("app.boot.limit{n}");
    let mut core = full_table();
    establish(&mut core, 4500, legit);
    (0..500).for_each(|n| send(&mut core, 1, &format!("{}:7|g", gauge(n))));
    core.flush(3);
    for stamp in 4..10 {
        counters(&mut core, 1, 0..4500, legit);
        counters(&mut core, 2, stamp * JUNK..(stamp + 1) * JUNK, junk);
        core.flush(u64::from(stamp));
    }
    let table = core.engine.table();
    let is_kept = |n: &u32| table.has_series(MetricKind::Gauge, gauge(*n).as_bytes());
    let kept = (0..500).filter(is_kept).count();
    assert!((333..=335).contains(&kept), "{kept}");
}

/// Shows that a sender is told from a flood that has its prefix, and the names of a sender with two
/// prefixes from the one of them that it floods.
#[test]
fn what_a_flood_shares_with_good_names_keeps_them_not_out() {
    let rows: [(Name, Name, u32); 6] = [
        (|n| format!("app.web.j{n}"), |n| format!("app.web.g{n}"), 1),
        (|n| format!("app.web.req;user=j{n}"), |n| format!("app.web.req;user=g{n}"), 1),
        (|n| format!("prod.eu.app1.j{n}"), |n| format!("prod.eu.web.g{n}"), 1),
        (|n| format!("app.web.j{n}"), |n| format!("app.api.g{n}"), 1),
        (|n| format!("app.web.j{n}"), |n| format!("app.api.g{n}"), 2),
        (|n| format!("app.web.req;user=j{n}"), |n| format!("app.web.all;user=g{n}"), 2),
    ];
    for (junk, good, host) in rows {
        let mut core = full_table();
        counters(&mut core, 2, 0..3 * JUNK, junk);
        for stamp in 0..8 {
            let from = (3 + stamp) * JUNK;
            counters(&mut core, 2, from..from + JUNK / 2, junk);
            counters(&mut core, host, 0..GOOD, good);
            counters(&mut core, 2, from + JUNK / 2..from + JUNK, junk);
            let group = named(&mut core);
            assert_eq!(group.sender.to_string(), "0.0.0.2");
            let lines = core.flush(u64::from(stamp));
            assert_eq!(arrived(&lines, GOOD, good), 100, "{}, {host}, {stamp}", good(0));
        }
        assert!(core.engine.own().total(OwnCounter::SeriesRejected) > 0);
    }
}

/// Shows that good names which share the prefix or the sender of a flood do not make room for those
/// that share the other one, although they are the newest.
#[test]
fn good_names_that_share_a_prefix_with_a_flood_do_not_make_room_for_others() {
    let junk: Name = |n| format!("app.web.j{n}");
    let shares_prefix: Name = |n| format!("app.web.g{n}");
    let shares_sender: Name = |n| format!("other.x.g{n}");
    let shares_nothing: Name = |n| format!("third.x.g{n}");
    let mut core = full_table();
    counters(&mut core, 2, 0..3 * JUNK, junk);
    for (host, name) in [(1, shares_prefix), (2, shares_sender), (1, shares_nothing)] {
        counters(&mut core, host, 0..GOOD, name);
    }
    let lines = core.flush(1);
    for name in [shares_prefix, shares_sender, shares_nothing] {
        assert_eq!(arrived(&lines, GOOD, name), 100, "{}", name(0));
    }
}

/// Shows that established series may be given up once they have been idle for `evict_after`, and
/// not any more when they are active again.
#[test]
fn established_series_are_shared_out_while_they_are_idle_for_long() {
    let (legit, junk, _, _) = SCHEMES[0];
    let text = format!("[limits]\nmax_series = {MOST}\nevict_after = 20s\n");
    let mut core = Core::configured(&text);
    establish(&mut core, MOST, legit);
    (3..6).for_each(|stamp| drop(core.flush(stamp)));
    counters(&mut core, 1, 0..4000, legit);
    counters(&mut core, 2, 0..JUNK, junk);
    let lines = core.flush(6);
    assert_eq!(arrived(&lines, 4000, legit), 4000, "they are active again");
    // A sweep notes 4,096 idle series of the 5,000. Most of these are active again.
    let others = arrived(&lines, JUNK, junk);
    assert!((700..=1000).contains(&others), "{others} of the others make room");
    assert_eq!(named(&mut core).group.prefix.as_deref(), Some(&b"junk.x"[..]));
}

/// The flushes without samples after which an established series may be dormant, with the default
/// `evict_after`. The first of their places are free after one flush more.
const DORMANT: u64 = 8;

/// Shows that series that had values in two intervals and are dead keep no new name out until
/// `evict_after` has passed, although their sender goes on to make up names. No active series is
/// lost, and the dead ones are named, or the largest group while none is dormant.
#[test]
fn dead_series_make_room_for_new_names_soon() {
    let by_count = format!("max_series = {MOST}");
    // What limits the table, the number of active series, and that of dead ones and their names.
    let rows: [(&str, u32, u32, Name, &str); 5] = [
        (&by_count, 0, 5000, |n| format!("junk.pod{n}.x"), "junk"),
        (&by_count, 3000, 2000, |n| format!("junk.pod{n}.x"), "junk"),
        (&by_count, 3000, 2000, |n| format!("junk.hits;pod={n}"), "junk.hits"),
        (&by_count, 4000, 1000, |n| format!("junk.x.{n}"), "junk.x"),
        ("series_memory = 512k", 1000, 5000, |n| format!("junk.pod{n}.x"), "junk"),
    ];
    let active: Name = |n| format!("shop.svc{n}.x");
    let good: Name = |n| format!("app.web.g{n}");
    for (limit, count, ended, dead, prefix) in rows {
        let mut core = Core::configured(&format!("[limits]\n{limit}\n"));
        for stamp in 0..2 {
            counters(&mut core, 3, 0..count, active);
            counters(&mut core, 2, 0..ended, dead);
            core.flush(stamp);
        }
        for stamp in 2..DORMANT + 12 {
            let what = format!("{limit}, {count}, {}, interval {stamp}", dead(0));
            let junk_at = MOST * u32::try_from(stamp).unwrap();
            counters(&mut core, 3, 0..count, active);
            counters(&mut core, 2, junk_at..junk_at + MOST / 10, dead);
            counters(&mut core, 1, 0..GOOD, good);
            let is_dormant = stamp >= DORMANT + 2;
            let is_early = stamp < DORMANT + 3;
            let NamedGroup { group, sender } = named(&mut core);
            let named = String::from_utf8(group.prefix.unwrap()).unwrap();
            let is_named = named == prefix && sender.to_string() == "0.0.0.2";
            assert!(is_named || !is_dormant && named == "shop", "{what}: {named}");
            assert_eq!(group.of == "all series", !is_dormant, "{what}");
            let lines = core.flush(stamp);
            assert_eq!(arrived(&lines, count, active), count as usize, "{what}");
            let arrived = arrived(&lines, GOOD, good);
            assert_eq!(arrived, if is_early { 0 } else { 100 }, "{what}");
        }
    }
}

/// Shows that new pods take the place of the dead ones of the same program.
#[test]
fn new_pods_replace_dead_ones() {
    let pod: Name = |n| format!("app.pod{n}.x");
    let mut core = full_table();
    for stamp in 0..2 {
        counters(&mut core, 1, 0..MOST, pod);
        core.flush(stamp);
    }
    (2..DORMANT + 3).for_each(|stamp| drop(core.flush(stamp)));
    for stamp in 0..10 {
        counters(&mut core, 1, MOST..MOST + 500, pod);
        let lines = core.flush(100 + stamp);
        let of = |n| lines.contains(&format!("stats_counts.{} 1 {}", pod(MOST + n), 100 + stamp));
        assert_eq!((0..500).filter(|n| of(*n)).count(), 500, "{stamp}");
    }
}

/// Shows that a flood of new names takes no series of well-behaved programs that have been idle for
/// some minutes, and at most an eighth of those of the program with the most of them.
#[test]
fn a_flood_takes_no_idle_series_of_well_behaved_programs() {
    let programs: Name = |n| format!("prog{}.svc.m{n}", n % 9);
    let one: Name = |n| format!("prog.svc{}.m{n}", n % 9);
    let junk: Name = |n| format!("junk.x.{n}");
    let made_up: Name = |n| format!("x{n}.y.z");
    // The idle series and their kind, whether each program has a sender of its own, the sender and
    // the names of the flood, the number of intervals in which it sends each name, and how many
    // series it may take.
    let rows: [(Name, &str, bool, u32, Name, u64, usize); 9] = [
        (programs, "c", true, 2, junk, 1, 0),
        (programs, "c", true, 2, junk, 2, 0),
        (programs, "c", true, 2, made_up, 1, 0),
        (programs, "c", true, 2, made_up, 2, 0),
        (programs, "c", false, 1, junk, 2, 0),
        (programs, "c", false, 1, made_up, 1, 0),
        (programs, "c", false, 2, junk, 1, 501),
        (one, "c", false, 2, junk, 1, 501),
        (one, "g", false, 2, junk, 2, 0),
    ];
    for (row, (idle, kind, has_senders, host, flood, times, most)) in rows.into_iter().enumerate() {
        let metric = if kind == "g" { MetricKind::Gauge } else { MetricKind::Counter };
        let mut core = full_table();
        for stamp in 0..2 {
            for n in 0..4000 {
                let of_program = if has_senders { 10 + n % 9 } else { 1 };
                send(&mut core, of_program, &format!("{}:1|{kind}", idle(n)));
            }
            counters(&mut core, 3, 0..1000, |n| format!("shop.svc.m{n}"));
            core.flush(stamp);
        }
        for stamp in 2..30 {
            counters(&mut core, 3, 0..1000, |n| format!("shop.svc.m{n}"));
            let from = JUNK * u32::try_from(stamp / times).unwrap();
            counters(&mut core, host, from..from + JUNK, flood);
            core.flush(stamp);
            let table = core.engine.table();
            let is_kept = |n: &u32| table.has_series(metric, idle(*n).as_bytes());
            let taken = 4000 - (0..4000).filter(is_kept).count();
            assert!(taken <= most, "row {row}, interval {stamp}: {taken}");
            assert!(
                stamp < 20 || taken >= most.saturating_sub(2),
                "row {row}: the limit is tested"
            );
        }
    }
}

/// Shows that counters that are sent once a minute stay, also if they are the largest group of a
/// full table.
#[test]
fn a_counter_that_is_sent_once_a_minute_stays() {
    let slow: Name = |n| format!("cron.job.m{n}");
    let mut core = full_table();
    for stamp in 0..60 {
        if stamp % 6 == 0 {
            counters(&mut core, 1, 0..MOST, slow);
        }
        if stamp > 6 {
            counters(&mut core, 2, 0..GOOD, |n| format!("app.web.g{n}"));
        }
        let lines = core.flush(stamp);
        assert!(stamp % 6 > 0 || arrived(&lines, MOST, slow) == MOST as usize, "{stamp}");
    }
    assert_eq!(named(&mut core).group.prefix.as_deref(), Some(&b"cron.job"[..]));
}
