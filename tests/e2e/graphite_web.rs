//! The reading end of Graphite: graphite-web must answer with the values that were sent to the
//! server, and draw them.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{
    Carbon, Conf, DEADLINE, Daemon, FakeCarbon, GraphiteWeb, until, until_clock_shows, until_equal,
    until_interval_has_left,
};
use statsd_bench::Random;

const INTERVAL: u64 = 2;
const OURS: [&str; 5] = [
    "stats.timers.shop.checkout.*",
    "stats.shop.*",
    "stats_counts.shop.*",
    "stats.gauges.shop.*",
    "stats.sets.shop.*.*",
];

/// Stamps and values, by the name of the series.
type Rendered = BTreeMap<String, Vec<(u64, f64)>>;

/// Shows that graphite-web answers with every point of every series, to the last digit as it was
/// sent to carbon, that the figures of a timing are those of the values the clients sent, and that
/// it draws them.
#[test]
fn every_point_sent_is_rendered_as_json_and_drawn_as_png() {
    let (carbon, recorded) = (Carbon::start(), FakeCarbon::start());
    let Some(web) = GraphiteWeb::start(&carbon) else { return };
    let conf = Conf::sending_to(carbon.address(), &format!("{INTERVAL}s"))
        .set("statsd", "percentiles", "50, 90, 99.9")
        .set("carbon.recorded", "address", recorded.address());
    let daemon = Daemon::start(&conf);
    let burst = (1..=100).map(|ms| format!("shop.checkout:{ms}|ms\nshop.orders:1|c|@0.1"));
    let more = ["shop.stock:17.25|g", "shop.customers:ann|s", "shop.customers:bob|s"];
    daemon.send_together(burst.chain(more.map(str::to_owned)));
    let first = recorded.until_point("stats.timers.shop.checkout.count", 100.0).stamp;
    assert_eq!(first % INTERVAL, 0);
    daemon.send_together(["shop.checkout:0.1|ms|@0.3", "shop.checkout:1e3|ms", "shop.orders:-3|c"]);
    let second = recorded.until_point("stats_counts.shop.orders", -3.0).stamp;
    let (last, _) = recorded.flush_after(second);
    let sent = of_shop(&recorded, first, last);
    until_equal("what graphite-web shows", &sent, || web.points(&OURS, first - 1, last));
    show_the_first_burst(&sent, first);
    assert!(pixels_drawn(&web, "stats.timers.shop.checkout.mean_90", first, last) > 100);
    assert_eq!(pixels_drawn(&web, "stats.timers.shop.nothing.mean_90", first, last), 0);
    daemon.stop();
}

/// Shows that series which differ in a tag `name` are series of their own in Graphite, over both
/// protocols.
#[test]
fn series_with_a_tag_called_name_are_read_back() {
    for protocol in ["plaintext", "pickle"] {
        let carbon = Carbon::start();
        let Some(web) = GraphiteWeb::start(&carbon) else { return };
        let is_pickle = protocol == "pickle";
        let address = if is_pickle { carbon.pickle_address() } else { carbon.address() };
        let conf =
            Conf::sending_to(address, &format!("{INTERVAL}s")).set("carbon", "protocol", protocol);
        let daemon = Daemon::start(&conf);
        daemon.send_together(["a:1|g|#name:x", "a:2|g|#name:y,zone:1", "a:3|g"].map(str::to_owned));
        let expected = [
            ("stats.gauges.a", 3.0),
            ("stats.gauges.a;@name=x", 1.0),
            ("stats.gauges.a;@name=y;zone=1", 2.0),
        ];
        let stamp = carbon.until_points(&expected)[0];
        for (name, value) in expected {
            let points = web.points(&[name], stamp - 1, stamp);
            assert_eq!(points.get(name), Some(&vec![(stamp, value)]), "{protocol}: {points:?}");
        }
        daemon.stop();
    }
}

/// Returns every point of `shop` that was sent to carbon in these flushes.
fn of_shop(recorded: &FakeCarbon, first: u64, last: u64) -> Rendered {
    let mut sent = Rendered::new();
    for point in recorded.points() {
        if point.name.contains("shop.") && (first..=last).contains(&point.stamp) {
            sent.entry(point.name.clone()).or_default().push((point.stamp, point.number()));
        }
    }
    sent
}

fn show_the_first_burst(rendered: &Rendered, stamp: u64) {
    for (name, value) in [
        ("stats.timers.shop.checkout.count", 100.0),
        ("stats.timers.shop.checkout.lower", 1.0),
        ("stats.timers.shop.checkout.upper", 100.0),
        ("stats.timers.shop.checkout.mean", 50.5),
        ("stats.timers.shop.checkout.median", 50.5),
        ("stats.timers.shop.checkout.sum", 5050.0),
        ("stats.timers.shop.checkout.count_90", 90.0),
        ("stats.timers.shop.checkout.upper_90", 90.0),
        ("stats.timers.shop.checkout.mean_90", 45.5),
        ("stats.shop.orders", 500.0),
        ("stats_counts.shop.orders", 1000.0),
        ("stats.gauges.shop.stock", 17.25),
        ("stats.sets.shop.customers.count", 2.0),
    ] {
        assert_eq!(rendered[name][0], (stamp, value), "{name}");
    }
}

/// Returns the share of the pixels that have the colour of the only curve, in a picture without
/// text.
fn pixels_drawn(web: &GraphiteWeb, target: &str, first: u64, last: u64) -> usize {
    let (from, until) = ((first - 1).to_string(), last.to_string());
    let picture = web.render(&[
        ("format", "png"),
        ("target", target),
        ("from", &from),
        ("until", &until),
        ("graphOnly", "true"),
        ("lineMode", "connected"),
        ("lineWidth", "5"),
        ("colorList", "ff0000"),
    ]);
    web.count_pixels("ff0000", &picture)
}

/// Draws the picture of the README from three minutes of traffic: `make picture`. It checks nothing
/// that the test above does not check. The picture is not written to `docs`, because a run must not
/// change a tracked file.
#[test]
#[ignore = "takes three minutes and writes target/tmp/graphite.png"]
fn picture() {
    const FLUSHES: u64 = 90;
    let carbon = Carbon::start();
    let web = GraphiteWeb::start(&carbon).expect("graphite-web");
    let conf = Conf::sending_to(carbon.address(), &format!("{INTERVAL}s"));
    let daemon = Daemon::start(&conf);
    let random = &mut Random::new(8);
    let mut stamps = Vec::new();
    for flush in 0..FLUSHES {
        stamps.push(until_interval_has_left(INTERVAL - 1, INTERVAL));
        daemon.send((0..300).map(|_| format!("shop.checkout:{}|ms", checkout(flush, random))));
        until_clock_shows(stamps[stamps.len() - 1]);
    }
    let (first, last) = (stamps[0], stamps[stamps.len() - 1]);
    let count = "stats.timers.shop.checkout.count";
    until(DEADLINE, "the last flush in Whisper", || {
        (web.points(&[count], first, last).get(count)?.last()?.0 == last).then_some(())
    });
    // Whisper has a slot for each second here, and every second slot is empty.
    let curve = |figure| {
        let name = format!("stats.timers.shop.checkout.{figure}");
        format!("alias(summarize({name},'{INTERVAL}s','last'),'{figure}')")
    };
    let picture = web.render(&[
        ("format", "png"),
        ("target", &curve("upper")),
        ("target", &curve("upper_90")),
        ("target", &curve("mean_90")),
        ("target", &curve("median")),
        ("from", &first.to_string()),
        ("until", &last.to_string()),
        ("title", "What a checkout took, in milliseconds"),
        ("colorList", "b9c3d6,d95f02,1b9e77,2c5f9e"),
        ("bgcolor", "white"),
        ("fgcolor", "333333"),
        ("majorGridLineColor", "dddddd"),
        ("minorGridLineColor", "f3f3f3"),
        ("lineWidth", "2"),
        ("fontName", "DejaVu Sans"),
        ("fontSize", "11"),
        ("yMin", "0"),
        ("hideLegend", "false"),
        ("width", "800"),
        ("height", "360"),
    ]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(folder.join("graphite.png"), picture).expect("room on the disk");
    daemon.stop();
}

/// Returns a duration in milliseconds. Most are short. The share of long ones goes up and down, and
/// is high for half a minute.
fn checkout(flush: u64, random: &mut Random) -> u64 {
    let swell = (f64::from(u32::try_from(flush).unwrap_or(0)) / 40.0 * TAU).sin();
    let trouble = (50..65).contains(&flush);
    let mut die = |sides: u32| f64::from(random.below(sides));
    let quick = die(100) < if trouble { 30.0 } else { 62.0 - 5.0 * swell };
    let usual = if quick { 45.0 + die(30) } else { 130.0 + 20.0 * swell + die(90) };
    let unlucky = if die(60) == 0.0 { 1.2 + die(80) / 100.0 } else { 1.0 };
    Duration::from_secs_f64(usual * unlucky * if trouble { 1.4 } else { 1.0 }).as_secs()
}
