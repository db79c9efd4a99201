//! The table of figures: what is lost, and the families that Prometheus reads.

use std::collections::BTreeSet;

use slab::Slab;

use crate::rig::{receive, settings};
use statsd::config::Config;
use statsd::encode::exposition::Exposition;
use statsd::engine::Engine;
use statsd::figures::{
    FigureKind, FigureSection, FlushFigures, LossCount, RecentFigures, ServerParts, read,
    read_value, remember, write_metrics,
};
use statsd::history::HistorySubject;
use statsd::ingest::client_table::InUse;
use statsd::ingest::datagrams::DatagramSocket;
use statsd::ingest::listener::Listener;
use statsd::series::Seeds;
use statsd::sink::Sinks;
use statsd::time::{Now, Tick, UnixTime};
use statsd::warnings::PacketLoss;

/// The parts of a server that has listeners no more, and no destination.
struct Parts {
    engine: Engine,
    sinks: Sinks,
    datagrams: Slab<DatagramSocket>,
    streams: Slab<Listener>,
    config: Config,
    recent: RecentFigures,
    flush: FlushFigures,
    now: Now,
}

impl Parts {
    fn new() -> Self {
        let mut settings = settings();
        settings.bounds.max_series = 2;
        Self {
            engine: Engine::new(&settings, Seeds { names: [1, 2, 3, 4], members: [5, 6] }),
            sinks: Sinks::default(),
            datagrams: Slab::new(),
            streams: Slab::new(),
            config: Config::default(),
            recent: RecentFigures::default(),
            flush: FlushFigures::default(),
            now: Now::default(),
        }
    }

    fn borrowed(&mut self) -> ServerParts<'_> {
        ServerParts {
            engine: &mut self.engine,
            sinks: &self.sinks,
            flush: self.flush,
            datagrams: &self.datagrams,
            streams: &self.streams,
            admin_listeners: &self.streams,
            connections: InUse::default(),
            admin_clients: InUse::default(),
            admin_bytes: 0,
            config: &self.config,
            recent: &mut self.recent,
            last_input: None,
            now: self.now,
        }
    }

    fn loss(&mut self, name: &str) -> f64 {
        read_value(&self.borrowed(), FigureSection::Loss, name).unwrap()
    }

    fn metrics(&mut self, exposition: Exposition) -> String {
        let mut out = Vec::new();
        write_metrics(&self.borrowed(), exposition, &mut out);
        String::from_utf8(out).unwrap()
    }
}

#[test]
fn what_is_lost_is_summed_once() {
    let mut parts = Parts::new();
    assert_eq!(parts.loss("lost_lines"), 0.0);
    receive(&mut parts.engine, b"a:1|c\nbad\nb:1:x|ms\nc:1|c\n_e{1,1}:a|b");
    parts.engine.ledger_mut().lose_packet(PacketLoss::Datagram);
    parts.engine.ledger_mut().refuse_packet();
    for (name, count) in [
        ("bad_lines_seen", 2.0),
        ("series_rejected", 1.0),
        ("events_ignored", 1.0),
        ("packets_truncated", 1.0),
        ("packets_refused", 1.0),
        ("lost_packets", 1.0),
        ("lost_lines", 4.0),
    ] {
        assert_eq!(parts.loss(name), count, "{name}");
    }
    let mut sum = 0.0;
    read(&parts.borrowed(), None, &mut |figure| {
        if figure.row.loss != LossCount::No {
            let shown = [Some(figure.row.section), figure.row.also];
            assert!(shown.contains(&Some(FigureSection::Loss)), "{}", figure.row.name);
            sum += figure.value;
        }
    });
    assert_eq!(sum, parts.loss("lost_lines"));
}

#[test]
fn figures_are_remembered_for_rates_and_once_a_flush_for_charts() {
    let mut parts = Parts::new();
    remember(&mut parts.borrowed());
    let subject =
        HistorySubject::Figure { name: "metrics_received".to_owned(), label: String::new() };
    assert_eq!(parts.engine.history().columns(&subject), None, "no flush has ended");
    receive(&mut parts.engine, "a:1|c\n".repeat(20).as_bytes());
    for flush in 1..=2 {
        parts.now.tick = Tick::from_millis(flush * 10_000);
        parts.flush.flushes = flush;
        parts.engine.end_history(UnixTime::from_secs(flush * 10));
        for _ in 0..2 {
            remember(&mut parts.borrowed());
            receive(&mut parts.engine, b"a:1|c");
        }
    }
    let history = parts.engine.history();
    assert_eq!(history.columns(&subject), Some(&["rate"][..]));
    let mut points = Vec::new();
    let see = |time: UnixTime, row: &[f32]| points.push((time.as_secs(), row.to_vec()));
    assert!(history.read_some(&subject, &mut history.span(), see));
    assert_eq!(points, [(10, vec![2.0]), (20, vec![0.2])]);
    let mut rate = None;
    read(&parts.borrowed(), Some(FigureSection::Input), &mut |figure| {
        if figure.row.name == "metrics_received" {
            rate = figure.rate;
        }
    });
    assert_eq!(rate, Some(1.2), "24 lines in the 20 seconds since the start");
}

#[test]
fn only_totals_have_rates() {
    let mut parts = Parts::new();
    let mut rows = BTreeSet::new();
    read(&parts.borrowed(), None, &mut |figure| {
        assert_eq!(figure.rate.is_some(), figure.row.kind == FigureKind::Total);
        assert_eq!(figure.limit.is_some(), figure.row.is_limit());
        assert_eq!(figure.row.label().is_some(), figure.label.is_some());
        rows.insert((figure.row.section, figure.row.name));
    });
    assert!(rows.len() > 40, "{rows:?}");
}

/// Shows that each family has one head and follows it, and that names end as OpenMetrics requires.
#[test]
fn families_are_whole_and_legal() {
    let mut parts = Parts::new();
    receive(&mut parts.engine, b"a:1|c\nbad");
    let text = parts.metrics(Exposition::OpenMetrics);
    let mut seen = BTreeSet::new();
    let mut samples = BTreeSet::new();
    let mut family = ("", "");
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split_once(' ').unwrap();
            assert!(seen.insert(family.0), "{line}: twice");
        } else if let Some(unit) = line.strip_prefix("# UNIT ") {
            let (name, unit) = unit.split_once(' ').unwrap();
            assert!(name == family.0 && name.ends_with(&format!("_{unit}")), "{line}");
        } else if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.starts_with(&format!("{} ", family.0)), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
            let end = match family.1 {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let name = sample.split('{').next().unwrap();
            assert_eq!(name, format!("{}{end}", family.0), "{line}");
            assert!(samples.insert(sample), "{line}: twice");
        }
    }
    for line in [
        "# UNIT statsd_processing_time_seconds seconds",
        "statsd_bad_lines_total{reason=\"no_value\"} 1",
        "statsd_series{kind=\"counter\"} 1",
        "statsd_lost_lines_total 1",
        "statsd_limit_used{limit=\"max_series\"} 1",
        "statsd_limit_max{limit=\"tcp.max_connections\"} 0",
    ] {
        assert!(text.lines().any(|its| its == line), "no {line} in {text}");
    }
}

/// Shows that the older format names a counter's family as its sample, and has no units.
#[test]
fn the_text_format_differs_where_it_must() {
    let mut parts = Parts::new();
    let text = parts.metrics(Exposition::Text);
    assert!(!text.contains("# UNIT") && !text.contains(" info\n"));
    assert!(text.contains("# TYPE statsd_lost_lines_total counter\n"));
    assert!(text.contains("# TYPE statsd_info gauge\n"));
}
