//! Ganglia's packets, read as gmond reads them.

use super::super::chunk::framed;
use super::*;
use crate::policy::{Figure, Percentile};

/// Reads XDR.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> u32 {
        let (number, rest) = self.0.split_first_chunk::<4>().unwrap();
        self.0 = rest;
        u32::from_be_bytes(*number)
    }

    fn text(&mut self) -> String {
        let length = self.number() as usize;
        let (text, rest) = self.0.split_at(length.next_multiple_of(4));
        self.0 = rest;
        assert!(text[length..].iter().all(|&byte| byte == 0), "filled up with zeros");
        String::from_utf8(text[..length].into()).unwrap()
    }
}

/// A description as `metric (units, group)`, a value as `metric=value`.
fn shown(packet: &[u8]) -> String {
    let mut packet = Reader(packet);
    let kind = packet.number();
    assert_eq!(packet.text(), "10.0.0.1:web");
    let metric = packet.text();
    assert_eq!(packet.number(), 1, "spoofed");
    let shown = match kind {
        128 => {
            assert_eq!((packet.text(), packet.text()), ("double".into(), metric.clone()));
            let units = packet.text();
            let numbers = [packet.number(), packet.number(), packet.number(), packet.number()];
            assert_eq!(numbers, [3, 60, 12_000, 1]);
            assert_eq!(packet.text(), "GROUP");
            format!("{metric} ({units}, {})", packet.text())
        }
        133 => {
            assert_eq!(packet.text(), "%s");
            format!("{metric}={}", packet.text())
        }
        other => panic!("a packet of kind {other}"),
    };
    assert!(packet.0.is_empty(), "nothing is left");
    shown
}

fn ganglia(prefix: &str, max_name_length: usize) -> Ganglia {
    let labels = Labels { spoof: "10.0.0.1:web".into(), prefix: prefix.into(), max_name_length };
    let percentiles = [99.9, -10.0].map(|percent| Percentile::new(percent).unwrap());
    Ganglia::new(&labels, &Namespace::default(), &FigureNames::new(&percentiles, &[]))
}

type Series<'a> = (Subject, &'a str, &'a [(FigureId, f64)]);

fn flush(ganglia: &mut Ganglia, number: u64, series: &[Series<'_>]) -> Vec<String> {
    ganglia.begin(number, 10);
    for (subject, name, figures) in series {
        let figures: Vec<_> = figures.iter().map(|&(id, value)| Figure { id, value }).collect();
        ganglia.encode(&Summary::new(*subject, name.as_bytes(), &figures));
    }
    ganglia.end();
    let mut packets = Vec::new();
    for chunk in ganglia.chunks().take() {
        let mut rest = chunk.bytes();
        let mut lines = 0;
        while !rest.is_empty() {
            let packet = framed(rest);
            packets.push(shown(packet.payload));
            lines += packet.lines;
            rest = &rest[packet.length..];
        }
        assert_eq!(u64::from(chunk.lines()), lines);
    }
    packets
}

const HITS: Series<'_> =
    (Subject::Counter, "hits", &[(FigureId::RATE, 0.5), (FigureId::COUNT, 5.0)]);

#[test]
fn each_kind_has_its_names_groups_and_units() {
    let series = [
        HITS,
        (Subject::Gauge, "level;env=prod", &[(FigureId::VALUE, -7.25)]),
        (Subject::Set, "users", &[(FigureId::COUNT, 3.0)]),
        (Subject::Kv, "key", &[(FigureId::VALUE, 1.0)]),
        (Subject::OwnCounter, "bad", &[(FigureId::RATE, 0.1), (FigureId::COUNT, 1.0)]),
        (Subject::Own, "turn_ms", &[(FigureId::VALUE, 0.2)]),
        // One that was passed through.
        (Subject::Counter, "once", &[(FigureId::COUNT, 4.0)]),
    ];
    let expected = [
        "app.hits (per second, counters)",
        "app.hits=0.5",
        "app.level.env_prod (, gauges)",
        "app.level.env_prod=-7.25",
        "app.users (members, sets)",
        "app.users=3",
        "app.key (, kv)",
        "app.key=1",
        "app.statsd.bad (per second, statsd)",
        "app.statsd.bad=0.1",
        "app.statsd.turn_ms (, statsd)",
        "app.statsd.turn_ms=0.2",
        "app.once (, counters)",
        "app.once=4",
    ];
    assert_eq!(flush(&mut ganglia("app", 100), 1, &series), expected);
}

#[test]
fn a_timing_is_a_group_of_figures_in_seconds() {
    let mut ganglia = ganglia("", 100);
    let all: Vec<_> = ganglia.timing.iter().flatten().cloned().collect();
    let of = |suffix: &str| all.iter().find(|shape| shape.suffix == suffix).expect(suffix);
    for (suffix, units, scale) in [
        ("count", "count", 1.0),
        ("count_ps", "per second", 1.0),
        ("mean", "seconds", 1e-3),
        ("sum_squares", "square seconds", 1e-6),
        ("99_9pct", "seconds", 1e-3),
        ("count_99_9", "count", 1.0),
        ("sum_squares_top10", "square seconds", 1e-6),
        ("lower_top10", "seconds", 1e-3),
    ] {
        let shape = of(suffix);
        assert_eq!((shape.units, shape.scale), (units, scale), "{suffix}");
    }
    let figures = [(FigureId::LOWER, 20.0), (FigureId::UPPER, 3521.0), (FigureId::COUNT, 2.0)];
    let expected = [
        "load_min (seconds, load)",
        "load_min=0.02",
        "load_max (seconds, load)",
        "load_max=3.521",
        "load_count (count, load)",
        "load_count=2",
    ];
    assert_eq!(flush(&mut ganglia, 1, &[(Subject::Timing, "load", &figures)]), expected);
}

/// Shows in which flushes each metric is described: when it is new, when it comes back after
/// flushes without a value, and every sixth one.
#[test]
fn a_metric_is_described_when_it_is_new_and_every_sixth_flush() {
    let mut ganglia = ganglia("", 100);
    let names: Vec<String> = (0..60).map(|nth| format!("level.{nth}")).collect();
    let mut described = vec![Vec::new(); names.len()];
    for number in 1..=60 {
        let comes = |nth: usize| number >= 3 && (nth != 7 || !(20..40).contains(&number));
        let of = |name| (Subject::Gauge, name, &[(FigureId::VALUE, 1.0)][..]);
        let series: Vec<Series<'_>> =
            (0..names.len()).filter(|&nth| comes(nth)).map(|nth| of(names[nth].as_str())).collect();
        let packets = flush(&mut ganglia, number, &series);
        for (name, flushes) in names.iter().zip(&mut described) {
            if packets.iter().any(|packet| packet.starts_with(&format!("{name} ("))) {
                flushes.push(number);
            }
        }
    }
    for (nth, flushes) in described.iter().enumerate() {
        assert!(flushes.contains(&3), "the first: {flushes:?}");
        assert!(nth != 7 || flushes.contains(&40), "after it was away: {flushes:?}");
        let regular: Vec<_> = flushes.iter().filter(|&&at| at != 3).collect();
        assert!(regular.windows(2).all(|two| two[1] - two[0] == 6 || nth == 7), "{flushes:?}");
    }
    let at = |flush: u64| described.iter().filter(|flushes| flushes.contains(&flush)).count();
    assert!((10..16).all(|flush| (2..30).contains(&at(flush))), "a part of all in each");
}

#[test]
fn too_long_a_name_is_refused_and_counted() {
    let mut ganglia = ganglia("app", 10);
    let load = [(FigureId::SUM, 1.0), (FigureId::MEDIAN, 1.0)];
    let series = [HITS, (Subject::Timing, "ab", &load), (Subject::Gauge, "abcdefg", &load[..1])];
    let expected = [
        "app.hits (per second, counters)",
        "app.hits=0.5",
        "app.ab_sum (seconds, app.ab)",
        "app.ab_sum=0.001",
    ];
    assert_eq!(flush(&mut ganglia, 1, &series), expected);
    let refused = RefusedPoints {
        points: 2,
        reason: RefusalReason::GangliaNameTooLong,
        example: b"ab".to_vec(),
        sender: 0,
    };
    assert_eq!(ganglia.take_refused(), [refused]);
}

#[test]
fn what_gmond_takes_for_no_metric_is_refused() {
    let mut ganglia = ganglia("", 100);
    let level = [(FigureId::VALUE, 1.0)];
    let series =
        ["Heartbeat", "location", "locations"].map(|name| (Subject::Gauge, name, &level[..]));
    let expected = ["locations (, gauges)", "locations=1"];
    assert_eq!(flush(&mut ganglia, 1, &series), expected);
    let refused = ganglia.take_refused();
    assert_eq!(
        (refused.len(), refused[0].points, refused[0].reason),
        (1, 2, RefusalReason::GangliaNoMetric)
    );
}

#[test]
fn values_are_shown_as_text() {
    let mut ganglia = ganglia("p", 100);
    ganglia.begin(1, 10);
    let figures = [Figure { id: FigureId::VALUE, value: -0.5 }];
    for name in [&b"g"[..], b"longer.name"] {
        ganglia.encode(&Summary::new(Subject::Gauge, name, &figures));
    }
    ganglia.end();
    let chunk = ganglia.chunks().take().next().unwrap();
    let text = String::from_utf8(values_as_text(chunk.bytes())).unwrap();
    assert_eq!(text, "p.g -0.5\np.longer.name -0.5\n");
}

/// Shows that metrics are described once while they have values, that there may be any number of
/// them, and that a metric is described again after a pause.
#[test]
fn the_memory_of_described_metrics_is_fixed() {
    let mut described = Described::new();
    let hash = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let new = |described: &mut Described, most: u64, flush: u64| {
        (1..=most).filter(|&number| described.note(hash(number), flush)).count()
    };
    assert_eq!(new(&mut described, 50_000, 12), 50_000);
    assert_eq!(new(&mut described, 50_000, 13), 0);
    assert_eq!(new(&mut described, 50_000, 18), 0);
    assert_eq!(new(&mut described, 50_000, 30), 50_000, "no value for two periods");
    assert_eq!(new(&mut described, 1_000_000, 31), 950_000);
    assert!(new(&mut described, 1_000_000, 32) > 400_000, "those without a place");
    assert_eq!(described.places.len(), GROUPS);
}
