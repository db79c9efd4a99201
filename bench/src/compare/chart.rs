//! The costs of a record as an SVG: a group of bars for each workload, shorter is better. Pure.

use std::fmt::Write as _;

use super::record::Record;

const WIDTH: usize = 760;
const LEFT: usize = 150;
const ROW: usize = 18;
/// Distinct also without colour: dark to light.
const COLOURS: [&str; 8] =
    ["#0b6e4f", "#8d99ae", "#a5a58d", "#b08968", "#cdb4db", "#bde0fe", "#ffc8dd", "#d9d9d9"];

pub(crate) fn chart(record: &Record) -> String {
    let mut bars = String::new();
    let mut y = 44;
    for load in &record.loads {
        let costs: Vec<_> = record.servers.iter().map(|server| server.cost(load.name)).collect();
        let longest = costs.iter().flatten().map(|cost| cost.median).fold(0.0, f64::max);
        let _ = writeln!(
            bars,
            r#"<text x="8" y="{y}" class="load">{}: {} ({} k lines/s)</text>"#,
            load.name,
            load.about,
            load.lines_per_second / 1000
        );
        y += 8;
        for (at, (server, cost)) in record.servers.iter().zip(&costs).enumerate() {
            let Some(cost) = cost else { continue };
            let room = (WIDTH - LEFT - 90) as f64;
            let width = cost.median / longest * room;
            let colour = COLOURS[at % COLOURS.len()];
            let (text, end) = (y + 13, LEFT as f64 + width + 6.0);
            let _ = writeln!(
                bars,
                r#"<text x="{}" y="{text}" class="name">{}</text><rect x="{LEFT}" y="{y}" width="{width:.1}" height="{}" fill="{colour}"/><text x="{end:.1}" y="{text}">{:.3} s</text>"#,
                LEFT - 8,
                server.name,
                ROW - 3,
                cost.median
            );
            y += ROW;
        }
        y += 24;
    }
    let head = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="12">
<style>.name {{ text-anchor: end }} .load {{ font-weight: bold }} .title {{ font-size: 14px; font-weight: bold }}</style>
<rect width="{WIDTH}" height="{y}" fill="white"/>
<text x="8" y="20" class="title">CPU seconds per million lines (shorter is better) · {} · {}</text>
"#,
        record.date, record.processor
    );
    format!("{head}{bars}</svg>\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::measure::Cost;
    use super::super::record::{LoadNote, Results};
    use super::super::table::tables;
    use super::*;

    fn record() -> Record {
        let cost = |cpu| Cost {
            cpu_seconds_per_million_lines: cpu,
            lines_per_second: 50_000.0,
            dropped_packets: 0,
            counted: Some(1.0),
        };
        let server = |name: &str, costs: &[f64]| Results {
            name: name.into(),
            costs: BTreeMap::from([("W1", costs.iter().map(|&cpu| cost(cpu)).collect())]),
            ..Results::default()
        };
        Record {
            date: "2026-11-23".into(),
            processor: "a processor".into(),
            kernel: "6".into(),
            commit: "abc".into(),
            command: "statsd-bench compare".into(),
            flush_interval_seconds: 10,
            receive_buffer_bytes: 8 << 20,
            binary_bytes: 1,
            loads: vec![LoadNote { name: "W1", about: "one", lines_per_second: 50_000 }],
            servers: vec![
                server("ours", &[1.0, 1.5, 1.25]),
                server("other", &[5.0]),
                server("none", &[]),
            ],
            skipped: BTreeMap::from([("absent".to_owned(), "/bin/absent".to_owned())]),
            failures: Vec::new(),
        }
    }

    #[test]
    fn bars_are_as_long_as_the_medians() {
        let chart = chart(&record());
        let widths: Vec<f64> = chart
            .split("height=\"15\"")
            .filter_map(|part| part.rsplit_once("width=\"")?.1.split('"').next()?.parse().ok())
            .take(2)
            .collect();
        assert!((widths[1] / widths[0] - 4.0).abs() < 0.01, "{widths:?} in\n{chart}");
        assert!(chart.contains("1.250 s") && chart.contains("5.000 s"));
    }

    #[test]
    fn tables_name_what_was_skipped_and_leave_out_what_was_not_measured() {
        let text = tables(&record());
        assert!(text.contains("| ours  | 1.250 ± 20 % |"), "{text}");
        assert!(text.contains("| none  | –"), "{text}");
        assert!(text.contains("Skipped: absent (/bin/absent is not installed)."), "{text}");
    }
}
