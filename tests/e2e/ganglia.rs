//! Ganglia's gmond: the metrics that it has after a flush, also after gmond was restarted.

use crate::support::{Conf, DEADLINE, Daemon, Gmond, until};

fn conf(gmond: &Gmond) -> Conf {
    Conf::flushing_every("2s").set("ganglia", "address", gmond.udp())
}

/// Metric, value, units and group of what the test sends.
const STORED: [(&str, &str, &str, &str); 8] = [
    ("hits", "1.5", "per second", "counters"),
    ("level.dc_eu", "-7.25", "", "gauges"),
    ("who", "2", "members", "sets"),
    ("load_count", "4", "count", "load"),
    ("load_min", "0.001", "seconds", "load"),
    ("load_max", "3.521", "seconds", "load"),
    ("load_mean", "0.88175", "seconds", "load"),
    ("load_90pct", "3.521", "seconds", "load"),
];

/// Shows that each kind is there under its name, in its unit and its group.
#[test]
fn what_is_sent_is_there() {
    let Some(gmond) = Gmond::start("what_is_sent_is_there") else { return };
    let daemon = Daemon::start(&conf(&gmond).set("statsd", "delete_idle", "yes"));
    daemon.send_together([
        "hits:3|c",
        "level:-7.25|g|#dc:eu",
        "who:a|s\nwho:b|s",
        "load:1:2:3:3521|ms",
    ]);
    for (name, value, units, group) in STORED {
        let metric = gmond.until_metric("statsd", name, value);
        assert_eq!((&*metric.units, &*metric.group), (units, group), "{name}");
    }
    let own = until(DEADLINE, "an own figure", || {
        gmond.metrics("statsd").remove("statsd.packets_received")
    });
    assert_eq!((&*own.units, &*own.group), ("per second", "statsd"));
    assert!(daemon.admin().ask("sinks").starts_with("ganglia state=up"));
    daemon.stop();
}

/// Shows the host that the metrics belong to, and the prefix of their names.
#[test]
fn the_host_and_the_prefix_are_those_of_the_configuration() {
    let test = "the_host_and_the_prefix_are_those_of_the_configuration";
    let Some(gmond) = Gmond::start(test) else { return };
    let conf = conf(&gmond).set("ganglia", "spoof", "192.0.2.7:web-1");
    let daemon = Daemon::start(&conf.set("ganglia", "prefix", "app"));
    daemon.send(["level:4|g"]);
    gmond.until_metric("web-1", "app.level", "4");
    daemon.stop();
}

/// Shows that what gmond's page would cut off is left out, counted and named in the log.
#[test]
fn too_long_a_name_is_logged_and_costs_nothing_else() {
    let test = "too_long_a_name_is_logged_and_costs_nothing_else";
    let Some(gmond) = Gmond::start(test) else { return };
    let daemon = Daemon::start(&conf(&gmond));
    let long = "x".repeat(101);
    daemon.send([format!("{long}:4|g\n{}:5|g", &long[1..])]);
    gmond.until_metric("statsd", &long[1..], "5");
    daemon.until_logged(&["points_refused=", "raise max_name_length"], 1);
    assert!(!gmond.metrics("statsd").contains_key(&long));
    daemon.stop();
}

/// Shows that a gmond that was started again, and has lost its descriptions, soon has all metrics
/// again.
#[test]
fn a_gmond_may_be_started_again() {
    let Some(mut gmond) = Gmond::start("a_gmond_may_be_started_again") else { return };
    let daemon = Daemon::start(&conf(&gmond).set("statsd", "flush_interval", "1s"));
    daemon.send(["level:4|g"]);
    gmond.until_metric("statsd", "level", "4");
    gmond.sigkill();
    daemon.until_logged(&["sink=ganglia state=backing_off", "Connection refused"], 1);
    daemon.send(["level:5|g"]);
    gmond.start_again();
    gmond.until_metric("statsd", "level", "5");
    daemon.until_logged(&["sink=ganglia state=up", "recovered"], 1);
    daemon.stop();
}
