//! Datagrams that real clients send, with the name of each client, and what the flush must send for
//! them.

use crate::reading::{member, message};
use crate::rig::{Core, receive, settings};
use statsd::encode::namespace::Namespace;
use statsd::ledger::OwnCounter;
use statsd::protocol::{Dialect, Dialects};

/// The client and the form, a datagram as the client sends it, and the lines of the flush, without
/// rates and the derived figures of timings.
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("pystatsd increment", "k:1|c", &["stats_counts.k 1"]),
    ("pystatsd decrement", "k:-1|c", &["stats_counts.k -1"]),
    ("pystatsd sampled", "k:1|c|@0.5", &["stats_counts.k 2"]),
    ("pystatsd timing", "k:12.000000|ms", &["stats.timers.k.upper 12"]),
    ("pystatsd sampled timing", "k:12.000000|ms|@0.5", &["stats.timers.k.upper 12"]),
    ("pystatsd negative gauge", "k:-3.500000|g", &["stats.gauges.k -3.5"]),
    ("pystatsd sampled gauge", "k:3.500000|g|@0.5", &["stats.gauges.k 3.5"]),
    ("jsocol timing", "k:1.000000|ms", &["stats.timers.k.upper 1"]),
    ("jsocol incr", "k:7|c|@0.1", &["stats_counts.k 70"]),
    ("jsocol small rate", "k:1|c|@1e-05", &["stats_counts.k 99999.99999999999"]),
    ("jsocol set", "k:any thing|s", &["stats.sets.k.count 1"]),
    ("jsocol gauge delta", "k:5|g\nk:+5|g", &["stats.gauges.k 10"]),
    ("jsocol gauge delta down", "k:5|g\nk:-7|g", &["stats.gauges.k -2"]),
    ("jsocol negative gauge", "k:0|g\nk:-5|g", &["stats.gauges.k -5"]),
    ("jsocol pipeline", "a:1|c\nb:2|g", &["stats.gauges.b 2", "stats_counts.a 1"]),
    ("statsdpy gauge", "gtest:100|g", &["stats.gauges.gtest 100"]),
    ("statsdpy counter", "testitem:1|c|@0.5", &["stats_counts.testitem 2"]),
    ("statsdpy timer", "timertest:300|ms", &["stats.timers.timertest.upper 300"]),
    ("statsdpy combined", "a:1|c\na:1|c\na:1|c\n", &["stats_counts.a 3"]),
    ("hot-shots tags", "k:1|c|@0.5|#a:b,c", &["stats_counts.k;a=b;c=true 2"]),
    ("hot-shots histogram", "k:50|h", &["stats.timers.k.upper 50"]),
    ("hot-shots distribution", "k:8|d|#a:b", &["stats.timers.k.upper;a=b 8"]),
    ("hot-shots telegraf", "k,b=2,a=1:1|c", &["stats_counts.k;a=1;b=2 1"]),
    ("hot-shots buffered", "a:1|c\nb:1|c", &["stats_counts.a 1", "stats_counts.b 1"]),
    ("hot-shots event", "_e{5,4}:title|text|d:1|h:x|p:low|#a:b\na:1|c", &["stats_counts.a 1"]),
    ("hot-shots check", "_sc|name|0|d:1|h:x|#a:b|m:text\na:1|c", &["stats_counts.a 1"]),
    ("hot-shots broken delta", "k:--5|g\na:1|c", &["stats_counts.a 1"]),
    ("node-statsd undefined", "k:undefined|c\na:1|c\n", &["stats_counts.a 1"]),
    ("node-statsd null", "k:null|g\na:1|c\n", &["stats_counts.a 1"]),
    ("node-statsd NaN", "k:NaN|ms\na:1|c\n", &["stats_counts.a 1"]),
    (
        "datadog-go count",
        "k:1|c|@0.5|#a:b|c:83c0a9|e:it-false|card:low\n",
        &["stats_counts.k;a=b 2"],
    ),
    (
        "datadog-go timestamp",
        "k:3|c|#a:b|c:83c0a9|T1656581400\n",
        &["stats_counts.k;a=b 3 at 1656581400"],
    ),
    (
        "datadog-go gauge timestamp",
        "k:3|g|#a:b|T1656581400\n",
        &["stats.gauges.k;a=b 3 at 1656581400"],
    ),
    ("datadog-go packed", "k:1:2:3|d|#a:b\n", &["stats.timers.k.upper;a=b 3"]),
    ("datadog-go timing", "k:12.345678|ms|#a:b\n", &["stats.timers.k.upper;a=b 12.345678"]),
    ("Shopify packed", "k:1:2:3|d", &["stats.timers.k.upper 3"]),
    ("Shopify kv", "k:5|kv", &["stats.kv.k 5"]),
    ("reinh small rate", "k:1|c|@1.0e-05", &["stats_counts.k 99999.99999999999"]),
    ("reinh names", "a.b.c:320|ms", &["stats.timers.a.b.c.upper 320"]),
    ("cactus rate", "k:1|c|@0.100000", &["stats_counts.k 10"]),
    ("cactus infix tags", "k,a=b:1|c|@0.100000", &["stats_counts.k;a=b 10"]),
    ("cactus suffix tags", "k:1|c|#a:b", &["stats_counts.k;a=b 1"]),
    ("cactus raw negative gauge", "k:-5|g", &["stats.gauges.k -5"]),
    ("alexcesaro negative gauge", "k:9|g\nk:0|g\nk:-5|g", &["stats.gauges.k -5"]),
    ("smira Influx tags", "k,host=a,env=b:1|c\n", &["stats_counts.k;env=b;host=a 1"]),
    ("smira negative gauge", "k:0|g\nk:-5|g\n", &["stats.gauges.k -5"]),
    ("tim-group negative gauge", "k:0|g\nk:-5|g", &["stats.gauges.k -5"]),
    ("tim-group long rate", "k:1|c|@0.100000000000000005551115", &["stats_counts.k 10"]),
    ("tim-group before 3.1.0", "k:1|c@0.1\na:1|c", &["stats_counts.a 1"]),
    ("domnikl exponent", "k:1.0E-5|c|#a:b", &["stats_counts.k;a=b 0.00001"]),
    ("League exponent", "k:1.2E+25|g\na:1|c", &["stats.gauges.k 1.2e+25", "stats_counts.a 1"]),
    ("cadence meter", "k:7|m\n", &["stats_counts.k 7"]),
    ("cadence histogram", "k:7|h\n", &["stats.timers.k.upper 7"]),
    ("cadence packed", "k:1:2:3|ms|@0.5|#a:b\n", &["stats.timers.k.upper;a=b 3"]),
    ("cadence timestamp", "k:7|c|T1656581400\n", &["stats_counts.k 7 at 1656581400"]),
    ("Dropwizard NaN", "k:NaN|g\na:1|c", &["stats_counts.a 1"]),
    ("jmxtrans INF", "k:INF|g\na:1|c", &["stats_counts.a 1"]),
    ("Shinken blank", "k: 5|ms", &["stats.timers.k.upper 5"]),
    ("shell newline", "k:1|c\n", &["stats_counts.k 1"]),
    ("shell CRLF", "k:1|c\r\nk:2|c\r\n", &["stats_counts.k 3"]),
    ("shell CRLF with rate", "k:1|c|@0.1\r\n", &["stats_counts.k 10"]),
    ("shell CRLF with tags", "k:1|c|#a:b\r\n", &["stats_counts.k;a=b 1"]),
    ("statsite CRLF set", "k:m|s\r\nk:m|s\n", &["stats.sets.k.count 1"]),
    ("brubeck cumulative", "k:100|C\nk:105|C", &["stats_counts.k 5"]),
];

/// Returns the lines of a flush for the samples. Their stamp is left out if it is that of the
/// flush.
fn told(core: &mut Core) -> Vec<String> {
    let shown = |name: &str| {
        let (bare, _) = name.split_once(';').unwrap_or((name, ""));
        match bare.strip_prefix("stats.timers.") {
            Some(timing) => timing.ends_with(".upper"),
            None => bare.starts_with("stats_counts.") || bare.matches('.').count() > 1,
        }
    };
    let lines = core.flush(10);
    let mut told = Vec::new();
    for line in &lines {
        let [name, value, stamp] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let is_rate = lines
            .iter()
            .any(|other| other.starts_with(&name.replacen("stats.", "stats_counts.", 1)))
            && !name.starts_with("stats_counts.");
        match stamp {
            "10" if shown(name) && !is_rate => told.push(format!("{name} {value}")),
            "10" => {}
            own => told.push(format!("{name} {value} at {own}")),
        }
    }
    told
}

#[test]
fn every_client_is_understood() {
    let mut settings = settings();
    settings.grammar.dialects = Dialects::default().with(Dialect::Influx);
    for (client, datagram, expected) in CASES {
        let mut core = Core::new(&settings, &Namespace::default());
        core.packet(datagram);
        assert_eq!(told(&mut core), *expected, "{client}: {datagram:?}");
    }
}

#[test]
fn statsites_own_clients_are_understood() {
    let mut core = Core::new(&settings(), &Namespace::default());
    // Its bench and test suite write messages back to back, without newlines.
    let stream = [
        message(2, b"requests\0", 1.0),
        message(3, b"latency\0", 12.5),
        message(5, b"load\0", 0.5),
        message(6, b"load\0", -1.5),
        message(1, b"tab\0", 3.0),
        member(b"users\0", b"ann\0"),
    ];
    receive(&mut core.engine, &stream.concat());
    let expected = [
        "stats.gauges.load -1",
        "stats.kv.tab 3",
        "stats.sets.users.count 1",
        "stats.timers.latency.upper 12.5",
        "stats_counts.requests 1",
    ];
    assert_eq!(told(&mut core), expected);
    assert_eq!(core.engine.own().total(OwnCounter::BadLinesSeen), 0);
}
