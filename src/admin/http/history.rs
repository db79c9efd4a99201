//! `/api/history`: the remembered points of a series or of an own figure, as JSON. Some of them are
//! written in each turn.

use super::request::WebRequest;
use super::series_list::read_kind;
use super::status::HttpStatus;
use crate::admin::json::JsonWriter;
use crate::admin::view::View;
use crate::figures::TABLE;
use crate::history::{History, HistorySpan, HistorySubject};
use crate::protocol::MetricKind;

/// The points that a request is about, in progress. It holds none of them: a client that does not
/// read its answer costs the name alone.
#[derive(Debug)]
pub(super) struct HistoryPage {
    subject: HistorySubject,
    /// The names of the values of a point.
    columns: &'static [&'static str],
    /// The flushes whose points are still to be written.
    span: HistorySpan,
    /// The beginning of the answer is written.
    is_begun: bool,
    /// The answer has a point.
    has_points: bool,
}

impl HistoryPage {
    /// Finds the points. Returns the status and the reason if there are none.
    pub(super) fn new(
        request: &WebRequest<'_>,
        view: &View<'_>,
    ) -> Result<Self, (HttpStatus, String)> {
        let history = view.server.engine.history();
        let (subject, columns) = if let Some(figure) = request.parameter("figure") {
            let name = String::from_utf8_lossy(&figure).into_owned();
            let label = request.parameter("labels").unwrap_or_default();
            // Of a figure that exists there are no points before the first flush.
            let is_figure = TABLE.iter().any(|row| row.name == name);
            let none = is_figure.then_some(&["value"][..]);
            let label = String::from_utf8_lossy(&label).into_owned();
            let subject = HistorySubject::Figure { name, label };
            let columns = history.columns(&subject).or(none);
            (subject, columns.ok_or_else(unknown_figure))
        } else {
            let (kind, name) =
                read_series(request).map_err(|error| (HttpStatus::BadRequest, error.to_owned()))?;
            let subject = HistorySubject::Series(kind, name.into());
            let columns = history.columns(&subject);
            (subject, columns.ok_or_else(|| NO_SERIES.to_owned()))
        };
        let columns = columns.map_err(|error| (HttpStatus::NotFound, error))?;
        Ok(Self { subject, columns, span: history.span(), is_begun: false, has_points: false })
    }

    /// Writes some points. Returns `true` after the last one.
    pub(super) fn step(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        let interval = view.server.config.flush_interval.as_secs_f64();
        self.write(view.server.engine.history(), interval, out)
    }

    fn write(&mut self, history: &History, interval: f64, out: &mut Vec<u8>) -> bool {
        let mut json = JsonWriter::resume(out, self.has_points);
        if !self.is_begun {
            self.is_begun = true;
            json.open(b'{').key("step").number(interval);
            json.key("columns").open(b'[').string(b"t");
            self.columns.iter().for_each(|column| _ = json.string(column.as_bytes()));
            json.close(b']').key("points").open(b'[');
        }
        let is_complete = history.read_some(&self.subject, &mut self.span, |time, values| {
            json.open(b'[').number(time.as_millis() as f64 / 1000.0);
            values.iter().for_each(|value| _ = json.number(shortened(*value)));
            json.close(b']');
            self.has_points = true;
        });
        if is_complete {
            json.close(b']').close(b'}');
        }
        is_complete
    }
}

const NO_SERIES: &str = "no points are kept of this series; history_memory may be full";

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
        let mut history = History::new(1 << 20, 5000);
        let subject = HistorySubject::Series(MetricKind::Timing, (*b"a").into());
        let mut flushes = 0..;
        let mut kept = 0;
        for (count, least_steps) in [(0, 1), (1, 1), (2, 1), (5000, 50)] {
            for at in flushes.by_ref().take(count - std::mem::replace(&mut kept, count)) {
                assert!(history.note(MetricKind::Timing, b"a", &[1.0, 0.1, f32::NAN, 2.0, 3.0]));
                history.end_flush(UnixTime::from_secs(at));
            }
            let span = history.span();
            let columns = &["count", "lower", "median", "upper_percentile", "upper"];
            let subject = subject.clone();
            let mut page =
                HistoryPage { subject, columns, span, is_begun: false, has_points: false };
            let mut out = Vec::new();
            let mut steps = 1;
            while !page.write(&history, 10.0, &mut out) {
                steps += 1;
            }
            assert!(steps >= least_steps);
            let json: Value = serde_json::from_slice(&out).unwrap();
            let points = json["points"].as_array().unwrap();
            assert_eq!(points.len(), count);
            assert_eq!(json["columns"].as_array().unwrap().len(), 6);
            if let Some(last) = points.last() {
                let values: Vec<_> = last.as_array().unwrap().iter().map(Value::as_f64).collect();
                assert_eq!(values[..4], [Some((count - 1) as f64), Some(1.0), Some(0.1), None]);
            }
        }
    }
}
