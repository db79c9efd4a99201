//! `max_tag_values`: what counts against the limit.

use super::names;
use crate::rig::{Core, configured};
use statsd::time::Tick;

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
