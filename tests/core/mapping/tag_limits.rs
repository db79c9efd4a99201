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
