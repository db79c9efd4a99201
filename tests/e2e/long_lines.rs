//! Lines as Datadog's clients send them, with up to 50 tags and several kilobytes each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::support::{Carbon, Conf, Daemon, GraphiteWeb, Influxd, until_true};
use statsd_bench::{Mix, Traffic, Workload};

/// A line with one value, and where the value is found.
#[derive(Debug)]
struct Sent {
    line: String,
    /// The name in Graphite, and the measurement in InfluxDB.
    prefix: &'static str,
    bare: String,
    tags: BTreeMap<String, String>,
    figure: &'static str,
    /// The end of the name in `/metrics`.
    suffix: &'static str,
    value: f64,
}

impl Sent {
    /// Returns `None` if a key occurs twice, or the value has no running total in `/metrics`.
    fn read(line: &str) -> Option<Self> {
        let (bare, rest) = line.split_once(':')?;
        let fields: Vec<_> = rest.split('|').collect();
        let [value, kind, tags] = fields[..] else { return None };
        let (prefix, figure, suffix) = match kind {
            "c" => ("stats_counts.", "", "_total"),
            "g" => ("stats.gauges.", "", "_value"),
            "s" => return None,
            _ => ("stats.timers.", ".sum", "_timer_sum"),
        };
        let tags = tags.strip_prefix('#')?;
        let pairs = tags.split(',').map(|tag| tag.split_once(':').unwrap());
        let unique: BTreeMap<_, _> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        (unique.len() == tags.split(',').count()).then(|| Self {
            line: line.to_owned(),
            prefix,
            bare: bare.to_owned(),
            tags: unique,
            figure,
            suffix,
            value: value.parse().unwrap(),
        })
    }

    /// The tags, sorted by their keys.
    fn tags(&self) -> Vec<String> {
        self.tags.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// The name of the file that carbon makes. It sorts the texts of the tags. `=` is behind the
    /// digits, so `a1=` is before `a=`.
    fn in_graphite(&self) -> String {
        let mut tags = self.tags();
        tags.sort();
        format!("{}{}{};{}", self.prefix, self.bare, self.figure, tags.join(";"))
    }

    /// Whether this is the line of the series in `/metrics`, with its value.
    fn is_shown_by(&self, line: &str) -> bool {
        let Some((name, rest)) = line.split_once('{') else { return false };
        let Some((labels, value)) = rest.rsplit_once("} ") else { return false };
        let pair = |(key, value): (&String, &String)| format!("{key}=\"{value}\"");
        // If all keys are legal labels, the label `statsd_name` has only the name, or is missing.
        let whole = format!("statsd_name=\"{};{}\"", self.bare, self.tags().join(";"));
        let bare = format!("statsd_name=\"{}\"", self.bare);
        let mut shown: BTreeSet<_> = labels.split(',').map(str::to_owned).collect();
        let is_named = shown.remove(&bare) || name.starts_with(&self.bare);
        let is_it =
            shown.contains(&whole) || is_named && shown == self.tags.iter().map(pair).collect();
        is_it && name.ends_with(self.suffix) && value.parse() == Ok(self.value)
    }
}

/// Shows that each of them is read back from Graphite, InfluxDB and `/metrics` with all of its tags
/// and its value.
#[test]
fn lines_with_fifty_tags_are_the_same_in_graphite_influxdb_and_metrics() {
    let test = "lines_with_fifty_tags_are_the_same_in_graphite_influxdb_and_metrics";
    let Some(influxd) = Influxd::start(test) else { return };
    let carbon = Carbon::start();
    let Some(web) = GraphiteWeb::start(&carbon) else { return };
    let conf = Conf::sending_to(carbon.address(), "6s")
        .set("influxdb", "address", influxd.http())
        .set("unix", "stream", "s.sock");
    let daemon = Daemon::start(&conf);
    let workload =
        Workload { names: 2000, mix: Mix::MIXED, tags: true, dogstatsd: true, packet: 8192 };
    let traffic = Traffic::build(&workload);
    let mut sent: BTreeMap<String, Sent> = BTreeMap::new();
    for packet in traffic.packets(4000) {
        let lines = std::str::from_utf8(packet.bytes).unwrap().lines();
        for line in lines.filter_map(Sent::read) {
            if sent.len() == 60 {
                break;
            }
            sent.entry(line.in_graphite()).or_insert(line);
        }
    }
    assert!(sent.len() == 60 && sent.values().any(|sent| sent.line.len() > 2000));
    let mut stream = UnixStream::connect(daemon.folder().join("s.sock")).unwrap();
    for Sent { line, .. } in sent.values() {
        let length = u32::try_from(line.len()).unwrap().to_le_bytes();
        stream.write_all(&[&length, line.as_bytes()].concat()).unwrap();
    }
    let mut metrics = daemon.web();
    until_true("the series in /metrics", || {
        let body = metrics.get("/metrics").body;
        sent.values().all(|sent| body.lines().any(|line| sent.is_shown_by(line)))
    });
    let stored: Vec<_> = sent.iter().map(|(name, sent)| (&**name, sent.value)).collect();
    let stamps = carbon.until_points(&stored);
    for ((name, value), stamp) in stored.into_iter().zip(stamps) {
        let points = web.points(&[name], stamp - 1, stamp);
        let found = points.get(name).map(|points| points.as_slice());
        assert_eq!(found, Some(&[(stamp, value)][..]), "{name}: {points:?}");
    }
    for sent in sent.values() {
        let field = if sent.figure.is_empty() { "value" } else { &sent.figure[1..] };
        let measurement = format!("{}{}", sent.prefix, sent.bare);
        influxd.until_point(&measurement, &sent.tags().join(","), field, sent.value);
    }
    daemon.stop();
}
