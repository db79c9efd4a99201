//! InfluxDB's own server: the points that it stores, over HTTP and UDP; outages; and points that it
//! refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::{
    ACCOUNT, Conf, DEADLINE, Daemon, FakeCarbon, Influxd, unix_now, until, until_clock_shows,
    until_equal, until_true,
};

/// Flushes to InfluxDB by HTTP every second, and is quick to connect again.
fn conf(influxd: &Influxd) -> Conf {
    Conf::flushing_every("1s").set("influxdb", "address", influxd.http()).set(
        "influxdb",
        "reconnect_max",
        "200ms",
    )
}

fn dropped(daemon: &Daemon) -> bool {
    !daemon.admin().ask("sinks").contains(" dropped_lines=0 ")
}

const PACKETS: [&str; 4] = [
    "hits;env=prod;time=noon:3|c",
    "load;host=a:1:2:3.5:100|ms",
    "level:-7|g|#a:b=d=,c",
    "who:x|s",
];

/// What [`PACKETS`] are in the legacy style: measurement, tags, field, value. InfluxDB shows `=` in
/// the value of a tag with a backslash.
const STORED: [(&str, &str, &str, f64); 10] = [
    ("stats.hits", "@time=noon,env=prod", "value", 1.5),
    ("stats_counts.hits", "@time=noon,env=prod", "value", 3.0),
    ("stats.timers.load", "host=a", "count", 4.0),
    ("stats.timers.load", "host=a", "upper_90", 100.0),
    ("stats.timers.load", "host=a", "mean", 26.625),
    ("stats.timers.load", "host=a", "sum_squares", 10017.25),
    ("stats.timers.load", "host=a", "std", 42.3724188004414),
    ("stats.timers.load", "host=a", "lower", 1.0),
    ("stats.gauges.level", "a=b\\=d\\=,c=true", "value", -7.0),
    ("stats.sets.who", "", "count", 1.0),
];

/// Shows that InfluxDB has all points under their names, tags and fields, and all points of one
/// interval at one time.
fn assert_stored(influxd: &Influxd, daemon: &Daemon) {
    let before = unix_now();
    daemon.send_together(PACKETS);
    let stored = STORED.map(|(measurement, tags, field, value)| {
        influxd.until_point(measurement, tags, field, value)
    });
    let stamp = stored[0];
    assert_eq!(stored, [stamp; STORED.len()], "all in one flush");
    assert!(stamp % 2 == 0 && (before..=unix_now() + 2).contains(&stamp), "{stamp}");
    let fields = influxd.query("SHOW FIELD KEYS FROM \"stats.timers.load\"");
    assert_eq!(fields.len(), 14, "{fields:?}");
}

#[test]
fn what_is_sent_by_http_is_there() {
    let Some(influxd) = Influxd::start("what_is_sent_by_http_is_there") else { return };
    let conf = conf(&influxd).set("statsd", "flush_interval", "2s");
    let daemon = Daemon::start(&conf.set("statsd", "delete_idle", "yes"));
    assert_stored(&influxd, &daemon);
    assert!(!dropped(&daemon));
    let sinks = daemon.admin().ask("sinks");
    assert!(sinks.starts_with("influxdb state=up"), "{sinks}");
    daemon.stop();
}

#[test]
fn what_is_sent_by_udp_is_there() {
    let Some(influxd) = Influxd::start("what_is_sent_by_udp_is_there") else { return };
    let conf = Conf::flushing_every("2s")
        .set("influxdb.udp", "address", influxd.udp())
        .set("influxdb.udp", "protocol", "udp")
        .set("statsd", "delete_idle", "yes");
    let daemon = Daemon::start(&conf);
    assert_stored(&influxd, &daemon);
    daemon.stop();
}

/// Shows that with `sanitize_keys = no` InfluxDB stores names and tags with blanks, commas, equals
/// signs and quotes, and that the clean name beside a raw one is another measurement.
#[test]
fn raw_names_are_stored_as_they_were_sent() {
    let test = "raw_names_are_stored_as_they_were_sent";
    let Some(influxd) = Influxd::start(test) else { return };
    let daemon = Daemon::start(&conf(&influxd).set("statsd", "sanitize_keys", "no").set(
        "influxdb",
        "own_figures",
        "no",
    ));
    daemon.send(["a b,c=d\"e:5|g\na_bc=de:6|g\na\\b:8|g", "tags;k y,=v w,x=y\"z;q\"=\"p\":7|g"]);
    // The answer is CSV, so a text with a comma or a quote is quoted, and its quotes are doubled.
    // In tags, InfluxDB shows its escapes of blanks, commas and equals signs.
    let expected = [
        r#""stats.gauges.a b,c=d""e", 5"#,
        r"stats.gauges.a_bc=de, 6",
        r"stats.gauges.a\b, 8",
        r#"stats.gauges.tags,"k\ y\,=v\ w\,x\=y""z,q""=""p""" 7"#,
    ];
    let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
    until_equal("the names in InfluxDB", &expected, || {
        let lines = influxd.query("SELECT value FROM /^stats.gauges/ GROUP BY *");
        let without_time = lines.iter().map(|line| {
            let (rest, value) = line.rsplit_once(',').expect(line);
            let (series, _) = rest.rsplit_once(',').expect(line);
            format!("{series} {value}")
        });
        without_time.collect()
    });
    assert!(!dropped(&daemon));
    daemon.stop();
}

/// Shows that name spaces are the destination's own, and that in the modern style a counter is one
/// point of two fields.
#[test]
fn a_name_space_of_its_own() {
    let Some(influxd) = Influxd::start("a_name_space_of_its_own") else { return };
    let conf = conf(&influxd)
        .set("influxdb", "namespace", "new")
        .set("namespace.new", "style", "modern")
        .set("namespace.new", "global_suffix", "here");
    let daemon = Daemon::start(&conf);
    daemon.send(["hits:3|c"]);
    let stamp = influxd.until_point("stats.counters.hits.here", "", "count", 3.0);
    assert_eq!(influxd.until_point("stats.counters.hits.here", "", "rate", 3.0), stamp);
    daemon.stop();
}

/// Shows that data is kept until the database exists, that the log reports the failure, and that no
/// point is lost.
#[test]
fn a_missing_database_is_logged_and_waited_for() {
    let test = "a_missing_database_is_logged_and_waited_for";
    let Some(influxd) = Influxd::bare(test, "") else { return };
    let daemon = Daemon::start(&conf(&influxd));
    daemon.send(["hits:3|c"]);
    let reason = r#"error="404 Not Found: database not found: \"statsd\"""#;
    daemon.until_logged(&["state=backing_off", reason], 1);
    until_clock_shows(unix_now() + 3);
    influxd.create_database();
    influxd.until_point("stats_counts.hits", "", "value", 3.0);
    daemon.until_logged(&["sink=influxdb", "recovered", "dropped_lines=0"], 1);
    assert!(!dropped(&daemon));
    daemon.stop();
}

/// Shows that data is kept while the account is wrong, and that a reload with the right one
/// delivers all of it.
#[test]
fn a_wrong_account_is_logged_and_can_be_fixed() {
    let test = "a_wrong_account_is_logged_and_can_be_fixed";
    let Some(influxd) = Influxd::bare(test, "auth-enabled = true") else { return };
    influxd.create_account();
    influxd.create_database();
    let conf = conf(&influxd);
    let daemon = Daemon::start(&conf);
    daemon.send(["hits:3|c"]);
    daemon.until_logged(&["state=backing_off", "error=\"401 Unauthorized"], 1);
    let (name, password) = ACCOUNT;
    let quoted = format!("\"{}\"", password.replace('\\', "\\\\").replace('"', "\\\""));
    let conf = conf.set("influxdb", "username", name).set("influxdb", "password", quoted);
    daemon.reload(&conf);
    influxd.until_point("stats_counts.hits", "", "value", 3.0);
    daemon.until_logged(&["reload=done", "influxdb.password influxdb.username"], 1);
    assert!(!daemon.log().iter().any(|line| line.contains("p ss")), "no password in the log");
    assert!(!dropped(&daemon));
    daemon.stop();
}

/// Shows that a line that InfluxDB refuses costs the request it was in, which is counted and
/// logged, and no later one.
#[test]
fn what_influxdb_refuses_is_counted_and_logged() {
    let test = "what_influxdb_refuses_is_counted_and_logged";
    let Some(influxd) = Influxd::start(test) else { return };
    influxd.write("stats.gauges.level value=1i");
    let daemon = Daemon::start(&conf(&influxd));
    daemon.send(["level:4|g"]);
    daemon.until_logged(&["answer=\"400 Bad Request: partial write: field type conflict"], 1);
    until_true("the count", || dropped(&daemon));
    influxd.query("DROP MEASUREMENT \"stats.gauges.level\"");
    influxd.until_point("stats.gauges.level", "", "value", 4.0);
    daemon.stop();
}

const SERIES: usize = 2000;

fn make_series(daemon: &Daemon) {
    let lines: Vec<String> = (0..SERIES).map(|nth| format!("kill.{nth}:1|c\n")).collect();
    daemon.send(lines.chunks(40).map(<[String]>::concat));
    daemon.until_counter(&format!("kill.{}", SERIES - 1), 0.0);
}

/// Returns the stamps of the flushes from `first` on. A late server skips a second.
fn sent(witness: &FakeCarbon, first: u64) -> BTreeSet<u64> {
    witness.stamps(&format!("stats_counts.kill.{}", SERIES - 1)).split_off(&first)
}

/// Waits until every series has a point at each of these stamps.
fn until_whole(influxd: &Influxd, stamps: &BTreeSet<u64>) {
    let query = format!(
        "SELECT value FROM /^stats_counts.kill/ WHERE time >= {}s AND time <= {}s",
        stamps.first().unwrap(),
        stamps.last().unwrap()
    );
    until(2 * DEADLINE, "every point in InfluxDB", || {
        let mut stored: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for line in influxd.query(&query) {
            let fields: Vec<&str> = line.split(',').collect();
            stored.entry(fields[0].to_owned()).or_default().insert(fields[2].parse().unwrap());
        }
        let whole = stored.values().filter(|found| stamps.is_subset(found));
        (whole.count() == SERIES).then_some(())
    });
}

/// Shows that no point is missing at the end if influxd is killed in the middle of a flush and
/// started again later.
#[test]
fn influxd_may_be_killed_in_mid_flush() {
    let Some(mut influxd) = Influxd::start("influxd_may_be_killed_in_mid_flush") else { return };
    let witness = FakeCarbon::start();
    let daemon = Daemon::start(&conf(&influxd).set("carbon", "address", witness.address()));
    make_series(&daemon);
    let (first, _) = witness.flush_after(unix_now() + 1);
    for kill in 1..=2 {
        let at = unix_now() + 2;
        until_clock_shows(at);
        // Kill it at another moment of the flush each time.
        std::thread::sleep(Duration::from_millis(kill * 7));
        influxd.sigkill();
        until_clock_shows(at + 3);
        influxd.start_again();
    }
    witness.flush_after(unix_now() + 1);
    until_whole(&influxd, &sent(&witness, first));
    daemon.until_logged(&["sink=influxdb", "recovered", "dropped_lines=0"], 1);
    assert!(!dropped(&daemon));
    daemon.stop();
}

/// Shows that what an outage leaves no room for waits on disk, over a restart of the server too.
#[test]
fn an_outage_goes_to_disk_and_comes_back() {
    let test = "an_outage_goes_to_disk_and_comes_back";
    let Some(mut influxd) = Influxd::start(test) else { return };
    let witness = FakeCarbon::start();
    let conf = conf(&influxd)
        .set("carbon", "address", witness.address())
        .set("influxdb", "queue", "1m")
        .set("statsd", "shutdown_timeout", "200ms")
        .set("spool", "dir", "spool");
    let daemon = Daemon::start(&conf);
    make_series(&daemon);
    witness.flush_after(unix_now());
    influxd.sigkill();
    let (first, _) = witness.flush_after(unix_now());
    daemon.until_logged(&["sink=influxdb", "queue=full", "spool/influxdb"], 1);
    daemon.sigterm();
    let daemon = daemon.again(&conf);
    until_true("the spool of the run before", || {
        daemon.log().iter().any(|line| line.contains("found_bytes="))
    });
    influxd.start_again();
    until_whole(&influxd, &sent(&witness, first));
    assert!(!dropped(&daemon));
    daemon.stop();
}
