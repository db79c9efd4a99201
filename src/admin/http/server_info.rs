//! `/api/info`: everything about the server in one JSON object.

use std::collections::BTreeMap;

use super::host::machine;
use crate::admin::json::JsonWriter;
use crate::admin::view::View;
use crate::engine::NamedGroup;
use crate::figures::{
    DestinationReport, FigureSection, FigureValue, LossCount, destinations, read, read_value,
};
use crate::time::UnixTime;

/// Figures with a label: for each value of it their names and values.
type Labelled = BTreeMap<String, BTreeMap<&'static str, f64>>;

/// The fields of a destination, and the figures that they show.
const DESTINATION_FIELDS: [(&str, &str); 10] = [
    ("up", "up"),
    ("queue_bytes", "queue_bytes"),
    ("queue_limit", "queue_limit_bytes"),
    ("queue_lasts", "queue_lasts_seconds"),
    ("spool_bytes", "spool_bytes"),
    ("dropped_lines", "dropped_lines"),
    ("in_doubt", "in_doubt"),
    ("reconnects", "reconnects"),
    ("resent_lines", "resent_lines"),
    ("points_refused", "points_refused"),
];
/// The figures of a listener.
const LISTENER_FIELDS: [&str; 5] = ["packets", "lines", "samples", "bytes", "drops"];

/// Writes the whole answer. It is as large as the table of figures, whatever the number of series.
pub(super) fn put(view: &mut View<'_>, out: &mut Vec<u8>) {
    let mut json = JsonWriter::new(out);
    json.open(b'{');
    put_server(view, &mut json);
    put_largest_group(view, &mut json);
    let server = &view.server;
    let mut listeners = Labelled::new();
    let mut sinks = Labelled::new();
    json.key("sections").open(b'{');
    for section in FigureSection::ALL {
        json.key(section.name()).open(b'[');
        read(server, Some(section), &mut |figure| {
            put_figure(figure, &mut json);
            let Some((kind, label)) = figure.labels() else { return };
            let name = figure.row.name;
            match (kind, section) {
                ("listener", FigureSection::Input) => {
                    listeners.entry(label.to_owned()).or_default().insert(name, figure.value);
                }
                ("destination", FigureSection::Destinations) => {
                    sinks.entry(label.to_owned()).or_default().insert(name, figure.value);
                }
                _ => {}
            }
        });
        json.close(b']');
    }
    json.close(b'}').key("bad").open(b'[');
    for (reason, count) in view.server.engine.ledger().bad_lines_by_reason() {
        if count > 0 {
            json.open(b'{').key("reason").string(reason.to_string().as_bytes());
            json.key("count").number(count as f64).close(b'}');
        }
    }
    json.close(b']').key("lost_lines");
    json.maybe_number(read_value(server, FigureSection::Loss, "lost_lines"));
    json.key("destinations").open(b'[');
    for report in destinations(server) {
        put_destination(&report, sinks.get(&report.name), &mut json);
    }
    json.close(b']').key("listeners").open(b'[');
    server.each_listener_name(&mut |name| {
        json.open(b'{').key("address").string(name.as_bytes());
        for field in LISTENER_FIELDS {
            let value = listeners.get(name).and_then(|figures| figures.get(field)).copied();
            json.key(field).number(value.unwrap_or(0.0));
        }
        json.close(b'}');
    });
    json.close(b']').key("history").open(b'{');
    let history = view.server.engine.history();
    // A new series comes in with its first flush.
    let leaves_out = history.is_full() || !history.is_on();
    let series =
        if leaves_out { view.server.engine.table().client_series().iter().sum() } else { 0 };
    let not_kept = series.saturating_sub(history.len());
    json.key("bytes").number(history.bytes() as f64);
    json.key("reserved").number(history.reserved() as f64);
    json.key("limit").number(history.memory() as f64);
    json.key("series").number(history.len() as f64);
    json.key("not_kept").number(not_kept as f64);
    json.close(b'}').key("drop_rules").open(b'[');
    for rule in view.server.config.rules.rules.iter().filter(|rule| rule.drop == Some(true)) {
        json.open(b'{').key("name").string(format!("rule.{}", rule.name).as_bytes());
        let dropped = view.server.engine.ledger().dropped_by(&rule.name);
        json.key("dropped_values").number(dropped as f64);
        json.key("match").open(b'[');
        rule.matches.iter().for_each(|glob| _ = json.string(glob.as_str().as_bytes()));
        json.close(b']').close(b'}');
    }
    json.close(b']').close(b'}');
}

/// Writes the sender or prefix that fills the table. Writes nothing if the table has room.
fn put_largest_group(view: &mut View<'_>, json: &mut JsonWriter<'_>) {
    let Some(NamedGroup { group, sender }) = view.server.engine.largest_group() else { return };
    json.key("crowd").open(b'{');
    json.key("prefix").maybe_string(group.prefix.as_deref());
    json.key("sender").string(sender.to_string().as_bytes());
    json.key("series").number(group.series as f64);
    json.key("percent").number(group.percent as f64);
    json.key("of").string(group.of.as_bytes());
    json.key("example").string(&group.example).close(b'}');
}

/// Writes what is known of the server beside its figures.
fn put_server(view: &View<'_>, json: &mut JsonWriter<'_>) {
    let is_first = view.server.flush.flushes == 0;
    json.key("version").string(env!("CARGO_PKG_VERSION").as_bytes());
    json.key("now").number(seconds(view.server.now.unix));
    json.key("started").number(seconds(view.server.flush.started.unix));
    json.key("interval").number(view.server.config.flush_interval.as_secs_f64());
    json.key("last_flush").maybe_number((!is_first).then(|| seconds(view.interval_began)));
    json.key("host").string(machine().as_bytes());
    json.key("pid").number(f64::from(std::process::id()));
    json.key("health").string(view.health.name().as_bytes());
    let config = view.origin.path().map(|path| path.display().to_string());
    json.key("config").maybe_string(config.as_deref().map(str::as_bytes));
}

/// Writes one value of a figure.
fn put_figure(figure: &FigureValue<'_>, json: &mut JsonWriter<'_>) {
    json.open(b'{').key("name").string(figure.row.name.as_bytes());
    if let Some((kind, label)) = figure.labels() {
        json.key("labels").open(b'{').key(kind).string(label.as_bytes()).close(b'}');
    }
    json.key("value").number(figure.value);
    if let Some(limit) = figure.limit {
        json.key("limit").number(limit);
    }
    if let Some(rate) = figure.rate {
        json.key("rate").number(rate);
    }
    if figure.row.loss != LossCount::No {
        json.key("lost").boolean(true); // it counts in lost_lines
    }
    json.key("unit").string(figure.row.unit.name().as_bytes());
    json.key("doc").string(figure.row.doc.as_bytes()).close(b'}');
}

fn put_destination(
    report: &DestinationReport,
    figures: Option<&BTreeMap<&'static str, f64>>,
    json: &mut JsonWriter<'_>,
) {
    json.open(b'{').key("name").string(report.name.as_bytes());
    json.key("kind").string(report.kind.as_bytes());
    json.key("address").maybe_string(report.address.as_deref().map(str::as_bytes));
    json.key("state").string(report.state.as_bytes());
    json.key("since").maybe_number(report.since.map(|since| seconds(since.unix)));
    for (field, name) in DESTINATION_FIELDS {
        let value = figures.and_then(|figures| figures.get(name)).copied();
        // Only the time that a queue lasts may be unknown. Other figures are left out if they do
        // not apply.
        let missing = (name != "queue_lasts_seconds").then_some(0.0);
        json.key(field).maybe_number(value.or(missing));
    }
    json.key("last_error").maybe_string(report.last_error.as_deref().map(str::as_bytes));
    json.close(b'}');
}

fn seconds(time: UnixTime) -> f64 {
    time.as_millis() as f64 / 1000.0
}
