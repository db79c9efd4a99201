//! `/api/history`: the remembered points of a series or of an own figure, as JSON.

use super::request::WebRequest;
use super::series_list::read_kind;
use super::status::HttpStatus;
use crate::admin::json::JsonWriter;
use crate::admin::view::View;
use crate::figures::TABLE;
use crate::history::HistoryPoints;
use crate::protocol::MetricKind;

/// The most points of an answer: the newest. More do not fit a chart, nor a turn.
const MOST: usize = 5000;

/// Writes the points that a request is about. Returns the status and the reason if there are none.
pub(super) fn put(
    request: &WebRequest<'_>,
    view: &View<'_>,
    out: &mut Vec<u8>,
) -> Result<(), (HttpStatus, String)> {
    let history = view.server.engine.history();
    let points = if let Some(figure) = request.parameter("figure") {
        let figure = String::from_utf8_lossy(&figure).into_owned();
        let label = request.parameter("labels").unwrap_or_default();
        // Of a figure that exists there are no points before the first flush.
        let is_figure = || TABLE.iter().any(|row| row.name == figure);
        let none = || HistoryPoints { columns: &["value"], rows: Vec::new() };
        let points = history.own(&figure, &String::from_utf8_lossy(&label));
        points.or_else(|| is_figure().then(none))
    } else {
        let (kind, name) =
            read_series(request).map_err(|error| (HttpStatus::BadRequest, error.to_owned()))?;
        history.points(kind, &name)
    };
    let points = points.ok_or_else(|| {
        let error = match request.parameter("figure") {
            Some(_) => unknown_figure(),
            None => "no points are kept of this series; history_memory may be full".to_owned(),
        };
        (HttpStatus::NotFound, error)
    })?;
    let mut json = JsonWriter::new(out);
    json.open(b'{').key("step").number(view.server.config.flush_interval.as_secs_f64());
    put_points(&points, &mut json);
    json.close(b'}');
    Ok(())
}

/// Reads the kind and the name of the series that a request is about.
fn read_series(request: &WebRequest<'_>) -> Result<(MetricKind, Vec<u8>), &'static str> {
    let name = request.parameter("name").ok_or("name or figure is missing")?;
    let kind = read_kind(request)?.ok_or("name needs kind")?;
    Ok((kind, name))
}

/// Returns the text of an error that lists what exists.
fn unknown_figure() -> String {
    let mut names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
    names.dedup();
    format!("no such figure; there are {}", names.join(", "))
}

fn put_points(points: &HistoryPoints, json: &mut JsonWriter<'_>) {
    json.key("columns").open(b'[').string(b"t");
    for column in points.columns {
        json.string(column.as_bytes());
    }
    json.close(b']').key("points").open(b'[');
    let first = points.rows.len().saturating_sub(MOST);
    for (time, values) in &points.rows[first..] {
        json.open(b'[').number(time.as_millis() as f64 / 1000.0);
        for value in values {
            json.number(shortened(*value));
        }
        json.close(b']');
    }
    json.close(b']');
}

/// Returns the shortest decimal number that is this value, as a double. Otherwise the digits that a
/// double has beyond those of the history would be shown.
fn shortened(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}
