//! What things are called on their way out: two name spaces at once, and what the server tells of what it hears.

mod support;

use support::{Conf, Daemon, FakeCarbon, Point};

/// Shows that each destination is sent the names of its name space and no others, from one set of series.
#[test]
fn two_styles_at_once() {
    let (legacy, statsite) = (FakeCarbon::start(), FakeCarbon::start());
    let conf = Conf::sending_to(legacy.address(), "1s")
        .set("statsd", "percentiles", "50, 90")
        .set("namespace.old", "style", "statsite")
        .set("namespace.old", "prefix_stats", "own.statsd")
        .set("carbon.b", "address", statsite.address())
        .set("carbon.b", "namespace", "old");
    let daemon = Daemon::start(&conf);
    daemon.send(["hits:4|c\nload:8|ms\nlevel:-3|g\nusers:x|s"]);
    let count = legacy.until_point("stats_counts.hits", 4.0);
    let same = statsite.until_point("counts.hits", 4.0);
    assert_eq!(count.stamp, same.stamp);
    let (later, legacy_points) = legacy.flush_after(count.stamp);
    assert_eq!(value(&legacy_points, "stats_counts.hits"), Some("0"));
    assert_eq!(value(&legacy_points, "stats.timers.load.count"), Some("0"));
    let idle = statsite.until("the idle flush", |points| {
        let ends =
            |point: &&Point| point.stamp == later && point.name == "counts.own.statsd.numStats";
        points.iter().find(ends)?;
        Some(points.iter().filter(|point| point.stamp == later).cloned().collect::<Vec<_>>())
    });
    assert_eq!(value(&idle, "gauges.level"), Some("-3"));
    for name in ["counts.hits", "timers.load.count", "sets.users"] {
        assert_eq!(value(&idle, name), None, "{name} was idle");
    }
    expect(
        &statsite.points(),
        &[
            ("timers.load.sum", "8"),
            ("timers.load.median", "8"),
            ("timers.load.p90", "8"),
            ("timers.load.stdev", "0"),
            ("sets.users", "1"),
            ("counts.own.statsd.bad_lines_seen", "0"),
            ("gauges.own.statsd.sink.carbon_b.dropped_lines", "0"),
        ],
    );
    expect(
        &legacy.points(),
        &[("stats.sets.users.count", "1"), ("stats.statsd.sink.carbon_b.dropped_lines", "0")],
    );
    let strays = |points: Vec<Point>, other: &[&str]| {
        let stray = |point: &Point| other.iter().any(|prefix| point.name.starts_with(prefix));
        points.into_iter().filter(stray).count()
    };
    assert_eq!(strays(legacy.points(), &["counts.", "timers.", "gauges.", "sets."]), 0);
    assert_eq!(strays(statsite.points(), &["stats", "statsd."]), 0);
    daemon.stop();
}

/// Shows that the admin port gives back both sections, with the defaults their styles bring.
#[test]
fn the_running_configuration_shows_both_name_spaces() {
    let conf = Conf::never_flushing()
        .set("namespace", "style", "statsite")
        .set("namespace.new", "style", "modern")
        .set("carbon.b", "address", "127.0.0.1:9")
        .set("carbon.b", "namespace", "new");
    let config = Daemon::start(&conf).admin().ask("config");
    for line in
        ["prefix_counter = counts\n", "[namespace.new]\nstyle = modern\nglobal_prefix = stats\n"]
    {
        assert!(config.contains(line), "no {line:?} in\n{config}");
    }
    assert!(config.contains("namespace = new\n"), "{config}");
}

#[track_caller]
fn expect(points: &[Point], expected: &[(&str, &str)]) {
    for (name, wanted) in expected {
        assert_eq!(value(points, name), Some(*wanted), "{name}");
    }
}

fn value<'a>(points: &'a [Point], name: &str) -> Option<&'a str> {
    points.iter().find(|point| point.name == name).map(|point| point.value.as_str())
}
