//! `max_tag_values`: what counts against the limit.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use crate::rig::{Core, configured};
use statsd::protocol::MetricKind;
use statsd::time::Tick;
use statsd_bench::Random;

/// Shows that the limit holds for lines without a series: key/values, and values with a timestamp
/// of their own. Their values count together with those of series, until the next flush.
#[test]
fn a_limit_of_tag_values_holds_for_lines_without_a_series() {
    let mut core = Core::configured("[rule.a]\nmatch = **\nmax_tag_values = 3\n");
    let users = |lines: &[String]| {
        let user = |line: &String| {
            line.split_once(";user=")?.1.split_once(' ').map(|(user, _)| user.to_string())
        };
        lines.iter().filter_map(user).collect::<Vec<_>>()
    };
    core.packet("s:1|g|#user:s");
    for n in 0..10 {
        core.packet(&format!("a:1|kv|#user:{n}\nb:1|c|#user:{n}|T1656581400"));
    }
    let sent = users(&core.flush(10));
    let count = |user: &str| sent.iter().filter(|sent| *sent == user).count();
    assert_eq!((count("0"), count("1"), count("2"), count("s")), (2, 2, 0, 1), "{sent:?}");
    assert_eq!(count("other"), 16, "{sent:?}");
    let warnings = core.engine.ledger_mut().take_warnings(Tick::from_millis(1000));
    assert!(warnings.iter().any(|warning| warning.example == b"user=2"), "{warnings:?}");
    core.packet("a:1|kv|#user:8\na:1|kv|#user:9\na:1|kv|#user:10");
    let sent = users(&core.flush(20));
    assert!(
        ["8", "9", "other"].iter().all(|user| sent.iter().any(|sent| sent == user)),
        "{sent:?}"
    );
}

/// Shows that values that series have count against a limit also between a reload and the next
/// flush, whatever the reload changes beside the limit, and only once.
#[test]
fn a_reload_keeps_the_values_that_count_against_a_limit() {
    let rule = "[rule.u]\nmatch = a.**\nmax_tag_values = user=3\n";
    let reloads = [
        format!("{rule}[statsd]\npercentiles = 50\n"),
        format!("{rule}delete_idle = yes\n[statsd]\ndelete_idle = no\n"),
        format!("[rule.other]\nmatch = b\nexpire = 1h\n{rule}"),
    ];
    for changed in reloads {
        let mut core = Core::configured(rule);
        let lines = |from: u32, to: u32| {
            (from..to).map(|n| format!("a.b:1|c|#user:{n}\n")).collect::<String>()
        };
        let users = |core: &mut Core| {
            let mut names = names(&mut core.engine);
            names.retain(|name| name.starts_with("a.b;"));
            names.into_iter().map(|name| name.replace("a.b;user=", "")).collect::<Vec<_>>()
        };
        core.packet(&lines(0, 3));
        core.engine.reconfigure(&configured(&changed));
        core.packet(&lines(1, 6));
        assert_eq!(users(&mut core), ["0", "1", "2", "other"], "{changed}");
        core.flush(10);
        core.packet(&lines(1, 9));
        assert_eq!(users(&mut core), ["0", "1", "2", "other"], "{changed}");
        // A higher limit counts them, too.
        core.engine.reconfigure(&configured(&changed.replace("user=3", "user=5")));
        core.packet(&lines(0, 9));
        core.flush(20);
        core.packet(&lines(9, 12));
        assert_eq!(users(&mut core), ["0", "1", "2", "3", "4", "other"], "{changed}");
    }
}

/// Shows that a series keeps its lines from the first moment of a reload that brings a limit.
/// Its value counts against the limit only once the series is closed.
#[test]
fn a_reload_that_brings_a_limit_leaves_the_lines_of_known_series_where_they_were() {
    let rule = "[rule.u]\nmatch = web.**\n";
    for (before, after, page) in [
        (String::new(), format!("{rule}max_tag_values = 10\n"), "page:1"),
        (
            format!("{rule}max_tag_values = page=1\n"),
            format!("{rule}max_tag_values = user=10, page=1\n"),
            "page:2",
        ),
    ] {
        let mut core = Core::configured(&before);
        core.packet("web.x:1|c|#page:1");
        let send = |core: &mut Core, from: u32, to: u32| {
            for n in from..to {
                core.packet(&format!("web.x:1|c|#{page},user:{n}"));
            }
        };
        send(&mut core, 0, 100);
        let known = names(&mut core.engine);
        core.engine.reconfigure(&configured(&after));
        send(&mut core, 0, 30);
        core.tick(10);
        for n in 1..10 {
            core.sweep(20);
            send(&mut core, n * 10, n * 10 + 10);
        }
        while !core.sweep(1) {}
        let mut lines = core.finish();
        send(&mut core, 0, 10);
        assert_eq!(names(&mut core.engine), known, "{after}");
        lines.extend(core.flush(20));
        let sum = |user: u32| {
            let counts = lines.iter().filter(|line| {
                line.starts_with("stats_counts.") && line.contains(&format!(";user={user} "))
            });
            counts.map(|line| line.split(' ').nth(1).unwrap().parse::<u32>().unwrap()).sum::<u32>()
        };
        assert!((0..100).all(|user| sum(user) == 2 + u32::from(user < 30)), "{lines:?}");
        // A new value is one too many from then on.
        send(&mut core, 100, 101);
        assert_eq!(names(&mut core.engine).iter().filter(|n| n.ends_with("user=other")).count(), 1);
        // What `explain` and `watch` show is the same.
        let table = core.engine.table();
        let sent = format!("web.x;{};user=7", page.replace(':', "="));
        assert!(table.series_name(sent.as_bytes()).ends_with(b"user=7"));
    }
}

/// Shows that a raw name and its merged series count as one value.
#[test]
fn a_value_of_a_raw_name_counts_once() {
    let mut core = Core::configured(
        "[statsd]\nsanitize_keys = no\n[rule.a]\nmatch = **\nmax_tag_values = 3\n",
    );
    let others = |core: &mut Core| {
        names(&mut core.engine).iter().filter(|name| name.ends_with("user=other")).count()
    };
    for n in 0..3 {
        core.packet(&format!("a:1|c|#user:\u{e9}{n}"));
        assert_eq!(others(&mut core), 0, "{n}");
    }
    // The series keep their values after a reload, too.
    core.engine.reconfigure(&configured(
        "[statsd]\nsanitize_keys = no\n[rule.a]\nmatch = **\nmax_tag_values = 2\n",
    ));
    let known = names(&mut core.engine);
    core.flush(10);
    core.flush(20);
    core.packet("a:1|c|#user:\u{e9}0\na:1|c|#user:\u{e9}2");
    core.flush(30);
    assert_eq!(names(&mut core.engine), known);
    core.packet("a:1|c|#user:\u{e9}3");
    assert_eq!(others(&mut core), 1);
}

/// The users of the series of `web.hits`.
fn users(core: &mut Core) -> Vec<String> {
    let mut names = names(&mut core.engine);
    names.retain(|name| name.starts_with("web.hits;"));
    names.into_iter().map(|name| name.split_once("user=").unwrap().1.to_owned()).collect()
}

/// The counts of `web.hits` that are not 0, by user.
fn counts(lines: &[String]) -> Vec<(String, u32)> {
    let count = |line: &String| {
        let rest = line.strip_prefix("stats_counts.web.hits;")?.split_once("user=")?.1;
        let mut words = rest.split(' ');
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    };
    lines.iter().filter_map(count).filter(|(_, count)| *count > 0).collect()
}

/// Shows that a value that was replaced gets a place that has become free, and that at any time all
/// lines of one name go to one series, which is also the one that `explain` shows.
#[test]
fn a_replaced_value_gets_a_place_once_one_is_free() {
    let mut core = Core::configured(
        "[statsd]\ndelete_idle = yes\n[rule.u]\nmatch = web.**\nmax_tag_values = user=3\n",
    );
    let lines = ["web.hits:1|c|#user:u4,env:p", "web.hits:1|c|#env:p,user:u4"];
    for user in ["u1", "u2", "u3", "u4", "u5"] {
        core.packet(&format!("web.hits:1|c|#user:{user},env:p"));
    }
    assert_eq!(users(&mut core), ["other", "u1", "u2", "u3"]);
    core.flush(10);
    let mut series = Vec::new();
    for interval in 2..6 {
        for line in lines.iter().chain(&lines) {
            let shown = core.engine.table().series_name(b"web.hits;env=p;user=u4").into_owned();
            core.packet(line);
            series.push(String::from_utf8(shown).unwrap());
        }
        // Lines that come again are known by their bytes.
        assert!(core.engine.table().aliases().0 >= 2);
        let counted = counts(&core.flush(interval * 10));
        let shown = series.last().unwrap().rsplit_once('=').unwrap().1;
        assert_eq!(counted, [(shown.to_owned(), 4)], "{series:?}");
    }
    assert!(series[0].ends_with("user=other") && series[15].ends_with("user=u4"), "{series:?}");
    assert_eq!(users(&mut core), ["u4"]);
}

/// Shows that places are given away at most once a minute, and that until then a value keeps its
/// place, and a line whose value was replaced is known.
#[test]
fn places_of_a_tag_whose_values_were_replaced_are_given_away_once_a_minute() {
    let mut core = Core::configured(
        "[statsd]\ndelete_idle = yes\n[rule.u]\nmatch = web.**\nmax_tag_values = user=1\n",
    );
    let mut first_with = |user: &str| {
        core.packet(&format!("web.hits:1|c|#user:{user}"));
        users(&mut core).iter().any(|known| known == user)
    };
    assert!(first_with("u1") && !first_with("u2"));
    let mut given = Vec::new();
    let mut user = 1;
    for interval in 1..=40 {
        core.flush(interval * 10);
        // A user is silent as soon as he has a series, and the next one gets his place.
        let next = format!("u{}", user + 1);
        for _ in 0..2 {
            core.packet(&format!("web.hits:1|c|#user:{next}"));
        }
        let is_known = core.engine.table().aliases().0 > 0;
        if users(&mut core).contains(&next) {
            given.push(interval);
            user += 1;
            core.packet(&format!("web.hits:1|c|#user:u{}", user + 1));
        }
        assert!(is_known, "{interval}");
    }
    let between: Vec<u64> = given.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(between.len() > 3 && between.iter().all(|between| *between == 6), "{given:?}");
    // A value that comes back before that has its place still.
    core.packet(&format!("web.hits:1|c|#user:u{user}"));
    assert!(users(&mut core).contains(&format!("u{user}")));
}

/// Shows that the tags of one client do not use up the limits of other tags.
#[test]
fn many_tags_leave_the_limits_of_other_tags_as_they_are() {
    let mut core = Core::configured("[rule.a]\nmatch = **\nmax_tag_values = 2\n");
    for line in 0..20 {
        let tags: Vec<_> = (0..100).map(|n| format!("k{}:v", line * 100 + n)).collect();
        core.packet(&format!("junk:1|c|#{}", tags.join(",")));
    }
    core.packet("web.hits:1|c|#user:a\nweb.hits:1|c|#user:b\nweb.hits:1|c|#user:c");
    assert_eq!(users(&mut core), ["a", "b", "other"]);
}

/// Shows that few places are kept: those of further tags are free at once.
#[test]
fn the_number_of_places_that_are_kept_is_bounded() {
    let mut core = Core::configured("[rule.a]\nmatch = **\nmax_tag_values = 1\n");
    let send = |core: &mut Core, value: &str| {
        for key in 0..20_000 {
            core.packet(&format!("web.hits:1|c|#k{key}:{value},user:u"));
        }
    };
    send(&mut core, "a");
    send(&mut core, "b");
    let all = names(&mut core.engine);
    let (other, own): (Vec<_>, Vec<_>) = all.iter().partition(|name| name.contains("=other"));
    assert_eq!((own.len(), other.len()), (20_000, 20_000));
    for name in own {
        core.remove(MetricKind::Counter, name);
    }
    send(&mut core, "c");
    let own = names(&mut core.engine).iter().filter(|name| name.contains("=c;")).count();
    assert_eq!(own, 20_000 - 16_384);
    core.flush(10);
    send(&mut core, "d");
    let own = names(&mut core.engine).iter().filter(|name| name.contains("=d;")).count();
    assert_eq!(own, 16_384);
}

/// Shows that places are given away in small steps, however many lines were replaced, and that all
/// lines have the same answer in between.
#[test]
fn lines_whose_values_were_replaced_are_forgotten_in_steps() {
    let mut core =
        Core::configured("[statsd]\ndelete_idle = yes\n[rule.a]\nmatch = **\nmax_tag_values = 1\n");
    core.packet("web.hits:1|c|#user:a");
    let send = |core: &mut Core| {
        for user in 0..1000 {
            core.packet(&format!("web.hits:1|c|#user:{user}"));
        }
        core.engine.table().aliases().0
    };
    core.flush(10);
    send(&mut core);
    core.flush(20);
    assert_eq!(send(&mut core), 1000);
    core.tick(30);
    let mut steps = 0;
    while !core.sweep(10) {
        let before = core.engine.table().aliases().0;
        assert_eq!(users(&mut core), ["other"]);
        core.packet("web.hits:1|c|#user:7");
        assert_eq!(
            (users(&mut core), core.engine.table().aliases().0),
            (vec!["other".into()], before)
        );
        steps += 1;
    }
    assert!((90..200).contains(&steps), "{steps}");
    core.finish();
    core.packet("web.hits:1|c|#user:7");
    assert_eq!(users(&mut core), ["7", "other"]);
}

/// Shows for random lines, in any order of tags, that `explain` shows the series of each line, and
/// that all lines of one name go to one series between the ends of two flushes, while values come
/// and go.
#[test]
fn all_lines_of_one_name_go_to_one_series_while_values_come_and_go() {
    let mut given = 0;
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let most = 1 + random.below(3);
        let mut core = Core::configured(&format!(
            "[statsd]\ndelete_idle = yes\n[rule.a]\nmatch = **\nmax_tag_values = user={most}\n"
        ));
        let mut went: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut replaced = BTreeSet::new();
        let mut line = |core: &mut Core, random: &mut Random, went: &mut BTreeMap<_, _>| {
            let tags = format!("env:{},user:{}", random.below(2), random.below(6));
            let name = format!("web.hits;{}", tags.replace(':', "=").replace(',', ";"));
            let mut texts: Vec<_> = tags.split(',').collect();
            if random.below(2) == 0 {
                texts.reverse();
            }
            let shown = core.engine.table().series_name(name.as_bytes()).into_owned();
            let samples = |core: &mut Core| {
                let found = core.engine.table_mut().look_up(MetricKind::Counter, &shown);
                found.map_or(0, |found| found.series.samples())
            };
            let before = samples(core);
            core.packet(&format!("web.hits:1|c|#{}", texts.join(",")));
            let context = format!("seed {seed}, {name}: {}", shown.escape_ascii());
            assert_eq!(samples(core), before + 1, "{context}");
            if shown.ends_with(b"other") {
                replaced.insert(name.clone());
            } else {
                given += u32::from(replaced.remove(&name));
            }
            let first = went.entry(name).or_insert_with(|| shown.clone());
            assert_eq!(*first, shown, "{context}");
        };
        for flush in 1..30 {
            for _ in 0..random.below(20) {
                line(&mut core, &mut random, &mut went);
            }
            if random.below(3) == 0 {
                let names = names(&mut core.engine);
                if let Some(name) = names.get(random.below(names.len().max(1))) {
                    core.remove(MetricKind::Counter, name);
                    went.retain(|_, series| series != name.as_bytes());
                }
            }
            core.tick(flush * 10);
            while !core.sweep(1) {
                // An idle series that the sweep has not reached is restarted by a line.
                if random.below(3) == 0 {
                    let user = random.below(6_u32);
                    core.packet(&format!("web.hits:1|c|#user:{user},env:{}", random.below(2)));
                }
            }
            core.finish();
            went.clear();
        }
    }
    assert!(given > 50, "{given}");
}
