//! The own figures as Prometheus reads them: a family of samples for each row of the table.

use super::read::{FigureValue, read};
use super::row::{FigureKind, FigureRow, FigureUnit};
use super::server_parts::ServerParts;
use crate::encode::exposition::Exposition;
use crate::encode::number::Number;

/// The limits that belong to [`FigureRow::metric`]'s `statsd_limit_used`.
const LIMIT: &str = "statsd_limit_max";

/// Appends the families of all own figures. Families of figures that have no value are left out.
pub fn write_metrics(from: &ServerParts<'_>, exposition: Exposition, out: &mut Vec<u8>) {
    let mut writer = MetricsWriter { exposition, number: Number::new(), family: String::new() };
    writer.info(out);
    let mut limits = Vec::new();
    read(from, None, &mut |figure| {
        writer.figure(figure, out);
        if let Some(limit) = figure.limit {
            if limits.is_empty() {
                let doc = "the limit whose used part is statsd_limit_used";
                writer.head(LIMIT, "gauge", doc, &mut limits);
            }
            writer.sample(LIMIT, &labels(figure), limit, &mut limits);
        }
    });
    out.append(&mut limits);
}

/// Writes families. A family begins with the first sample that has its name.
struct MetricsWriter {
    exposition: Exposition,
    number: Number,
    /// The family that was written last.
    family: String,
}

impl MetricsWriter {
    /// Writes the version.
    fn info(&mut self, out: &mut Vec<u8>) {
        let doc = "the version of the server";
        match self.exposition {
            Exposition::OpenMetrics => self.head("statsd", "info", doc, out),
            Exposition::Text => self.head("statsd_info", "gauge", doc, out),
        }
        let version = env!("CARGO_PKG_VERSION");
        self.sample("statsd_info", &[("version", version)], 1.0, out);
    }

    fn figure(&mut self, figure: &FigureValue<'_>, out: &mut Vec<u8>) {
        let row = figure.row;
        let family = row.metric();
        let is_total = row.kind == FigureKind::Total;
        let name = if is_total { format!("{family}_total") } else { family.clone() };
        if self.family != family {
            let kind = if is_total { "counter" } else { "gauge" };
            let doc = if row.is_limit() { "how much of a limit is in use" } else { row.doc };
            let shown = match self.exposition {
                Exposition::OpenMetrics => &family,
                Exposition::Text => &name,
            };
            self.head(shown, kind, doc, out);
            self.unit(row, &family, out);
            self.family = family;
        }
        let value = match row.unit {
            FigureUnit::Milliseconds => figure.value / 1000.0,
            _ => figure.value,
        };
        self.sample(&name, &labels(figure), value, out);
    }

    fn head(&self, family: &str, kind: &str, doc: &str, out: &mut Vec<u8>) {
        // The docs of the table need no escapes.
        out.extend_from_slice(
            format!("# TYPE {family} {kind}\n# HELP {family} {doc}\n").as_bytes(),
        );
    }

    /// Writes the unit, which only OpenMetrics has, and only if the name ends with it.
    fn unit(&self, row: &FigureRow, family: &str, out: &mut Vec<u8>) {
        let unit = match row.unit {
            FigureUnit::Bytes => "bytes",
            FigureUnit::Seconds | FigureUnit::Milliseconds => "seconds",
            _ => return,
        };
        if self.exposition == Exposition::OpenMetrics && family.ends_with(&format!("_{unit}")) {
            out.extend_from_slice(format!("# UNIT {family} {unit}\n").as_bytes());
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64, out: &mut Vec<u8>) {
        out.extend_from_slice(name.as_bytes());
        for (at, (label, text)) in labels.iter().enumerate() {
            let start = if at == 0 { "{" } else { "," };
            out.extend_from_slice(format!("{start}{label}=\"{}\"", escaped(text)).as_bytes());
        }
        out.extend_from_slice(if labels.is_empty() { b" " } else { b"} " });
        self.number.append(value, out);
        out.push(b'\n');
    }
}

/// Returns the labels of a sample. The name of a limit is one, since all limits are one family.
fn labels<'a>(figure: &FigureValue<'a>) -> Vec<(&'static str, &'a str)> {
    let limit = figure.row.is_limit().then_some(("limit", figure.row.name));
    limit.into_iter().chain(figure.labels()).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
