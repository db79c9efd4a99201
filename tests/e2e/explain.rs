//! `explain`: what a line would do, as an operator asks for it.

use crate::support::{Conf, Daemon, FakeCarbon};

/// Shows the whole answer, with the names for every kind of destination, and that the names are
/// those that carbon then gets.
#[test]
fn a_line_is_explained_with_the_names_that_carbon_gets() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("influxdb", "address", "127.0.0.1:9")
        .set("influxdb", "namespace", "new")
        .set("namespace.new", "style", "modern")
        .set("repeater", "address", "127.0.0.1:9")
        .set("rule.shop", "match", "shop.*")
        .set("rule.shop", "percentiles", "75")
        .set("rule.shop", "timer_metrics", "count, upper_percent")
        .set("rule.junk", "match", "junk.*")
        .set("rule.junk", "drop", "yes");
    let daemon = Daemon::start(&conf);
    let mut admin = daemon.admin();
    assert_eq!(
        // No server listens at port 9.
        admin
            .ask("explain shop.pay ment:3:x|ms|@0.1|#env:\"prod\"|T9:+4|g")
            .replace(" (down, queued)", ""),
        "line: shop.pay ment:3:x|ms|@0.1|#env:\"prod\"|T9:+4|g\n\
         series: shop.pay_ment;env=prod\n\
         tag: env=prod\n\
         timestamp: 9\n\
         value: 3 (timer, 3 for 10 events, rate 0.1): accepted, makes a new series\n\
         value: x: refused: the value is not a finite decimal number\n\
         value: +4: refused: a signed gauge cannot have a timestamp\n\
         rule: [rule.shop] gives percentiles, timer_metrics (match = shop.*)\n\
         sent: carbon: stats.timers.shop.pay_ment.count;env=prod\n\
         sent: carbon: stats.timers.shop.pay_ment.upper_75;env=prod\n\
         sent: influxdb: stats.timers.shop.pay_ment,env=prod count\n\
         sent: influxdb: stats.timers.shop.pay_ment,env=prod upper_75\n\
         repeated: repeater: shop.pay ment:3:x|ms|@0.1|#env:\"prod\"|T9:+4|g\n\
         END\n\n"
    );
    assert!(!admin.ask("timers").contains("shop"), "nothing was taken in");
    // A client chooses the length of a name, and need not read the answer.
    let answer = admin.ask(&format!("explain {}:1|ms", "n".repeat(8000)));
    assert!(answer.contains(": 5 more names\n"), "{answer}");
    assert!(answer.len() < 100_000, "{}", answer.len());
    daemon.send(["shop.pay ment:3|ms|#env:\"prod\""]);
    carbon.until_point("stats.timers.shop.pay_ment.count;env=prod", 1.0);
    carbon.until_point("stats.timers.shop.pay_ment.upper_75;env=prod", 3.0);
}

/// Shows the answers about lines that are not taken, and that none of them is counted.
#[test]
fn lines_that_are_not_taken_have_their_reasons() {
    let conf = Conf::never_flushing()
        .set("limits", "max_series", 1)
        .set("rule.junk", "match", "junk.*")
        .set("rule.junk", "drop", "yes");
    let daemon = Daemon::start(&conf);
    daemon.send(["a:1|c"]);
    daemon.until_counter("a", 1.0);
    let mut admin = daemon.admin();
    for (line, expected) in [
        ("a:1", "value: 1: refused: no type after the value"),
        ("  a:1|c", "series: _a"),
        ("a:+2|c|@0.5", "value: +2 (counter, adds 4, rate 0.5): accepted, the series exists"),
        ("\ta:1|c\t", "value: 1 (counter, adds 1): refused: the table of series is full, and"),
        ("b:1|g", "value: 1 (gauge, sets 1): refused: the table of series is full, and"),
        ("junk.x:1|c", "value: 1 (counter, adds 1): dropped by [rule.junk]"),
        ("junk.x:1|c", "rule: [rule.junk] gives drop (match = junk.*)"),
        ("a:1|c|0.1", "value: 1: refused: a rate has no @ before it, as in @0.1"),
        ("a", "verdict: refused: no colon and value after the name"),
        ("a:1|c|T1", "value: 1 (counter, adds 1): accepted, passed on unchanged with the"),
        ("_e{1,1}:a|b", "verdict: ignored: an event or a service check; it is counted in"),
        ("", "verdict: ignored: the line is empty"),
        ("a:1:2|c", "note: each of the values was read as a sample; a name must not have a"),
        ("a,k=v:1|c", "note: the name looks as if it had tags of a dialect that tag_formats"),
        ("\x1b[2J:1|c", "line: \\x1b[2J:1|c"),
    ] {
        let answer = admin.ask(&format!("explain {line}"));
        let is_it = |shown: &str| shown.starts_with(expected);
        assert!(answer.lines().any(is_it), "{line:?}: {answer}");
    }
    let many = format!("explain a{}|c", ":1".repeat(20_000));
    let answer = admin.ask(&many);
    assert_eq!(answer.matches("\nvalue: 1 (counter, adds 1): accepted").count(), 1000);
    assert!(answer.contains("\nnote: the line has more values, which are not shown\n"));
    let counters = admin.numbers("counters");
    assert_eq!((counters["a"], counters["statsd.metrics_received"]), (1.0, 1.0));
    assert_eq!(counters["statsd.bad_lines_seen"], 0.0);
}
