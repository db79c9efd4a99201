//! `/api/history`: the remembered points of a series or of an own figure, as JSON. Some of them are
//! written in each turn.

use super::request::WebRequest;
use super::series_list::read_kind;
use super::status::HttpStatus;
use crate::admin::json::JsonWriter;
use crate::admin::view::View;
use crate::figures::TABLE;
use crate::history::{HistoryPoints, HistoryRow};
use crate::protocol::MetricKind;

/// The points that a request is about, in progress.
#[derive(Debug)]
pub(super) struct HistoryPage {
    points: HistoryPoints,
    /// The seconds between two flushes.
    interval: f64,
    /// How many points are written.
    written: usize,
}

/// The points that one step writes. A value takes about 0.2 us.
const STEP_POINTS: usize = 100;

impl HistoryPage {
    /// Finds the points. Returns the status and the reason if there are none.
    pub(super) fn new(
        request: &WebRequest<'_>,
        view: &View<'_>,
    ) -> Result<Self, (HttpStatus, String)> {
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
        let interval = view.server.config.flush_interval.as_secs_f64();
        Ok(Self { points, interval, written: 0 })
    }

    /// The bytes that the page holds.
    pub(super) fn bytes(&self) -> usize {
        self.points.rows.capacity() * size_of::<HistoryRow>()
    }

    /// Writes some points. Returns `true` after the last one.
    pub(super) fn step(&mut self, out: &mut Vec<u8>) -> bool {
        let HistoryPoints { columns, rows } = &self.points;
        let mut json = JsonWriter::resume(out, self.written > 0);
        if self.written == 0 {
            json.open(b'{').key("step").number(self.interval);
            json.key("columns").open(b'[').string(b"t");
            columns.iter().for_each(|column| _ = json.string(column.as_bytes()));
            json.close(b']').key("points").open(b'[');
        }
        for (time, values) in rows[self.written..].iter().take(STEP_POINTS) {
            json.open(b'[').number(time.as_millis() as f64 / 1000.0);
            values.iter().for_each(|value| _ = json.number(shortened(*value)));
            json.close(b']');
            self.written += 1;
        }
        let is_complete = self.written == rows.len();
        if is_complete {
            json.close(b']').close(b'}');
        }
        is_complete
    }
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

/// Returns the shortest decimal number that is this value, as a double. Otherwise the digits that a
/// double has beyond those of the history would be shown.
fn shortened(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::time::UnixTime;

    #[test]
    fn many_points_take_many_steps_and_are_one_object() {
        for count in [0, 1, STEP_POINTS, 5000] {
            let row = |at| (UnixTime::from_secs(at), [0.1, f32::NAN].into_iter().collect());
            let rows = (0..count as u64).map(row).collect();
            let points = HistoryPoints { columns: &["lower", "upper"], rows };
            let mut page = HistoryPage { points, interval: 10.0, written: 0 };
            let mut out = Vec::new();
            let mut steps = 1;
            while !page.step(&mut out) {
                steps += 1;
            }
            assert_eq!(steps, count.div_ceil(STEP_POINTS).max(1));
            let json: Value = serde_json::from_slice(&out).unwrap();
            let points = json["points"].as_array().unwrap();
            assert_eq!(points.len(), count);
            assert_eq!(json["columns"].as_array().unwrap().len(), 3);
            if let Some(last) = points.last() {
                let values: Vec<_> = last.as_array().unwrap().iter().map(Value::as_f64).collect();
                assert_eq!(values, [Some((count - 1) as f64), Some(0.1), None]);
            }
        }
    }
}
