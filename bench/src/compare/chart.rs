//! Draws the costs and highest rates of a record as SVG: a panel of bars for each workload. Pure.

use std::fmt::Write as _;

use super::record::{Record, Results};

/// Panels stand in two columns.
const WIDTH: f64 = 960.0;
const PANEL: f64 = WIDTH / 2.0;
/// Where bars begin in a panel, and the room for the figure after the longest bar.
const NAMES: f64 = 92.0;
const FIGURES: f64 = 136.0;
const TOP: f64 = 64.0;
const ROW: f64 = 19.0;
const BAR: f64 = 13.0;
/// Above and below the bars of a panel.
const HEAD: f64 = 28.0;
const FOOT: f64 = 22.0;

/// A bar that is this many times as long as the next one is cut, so that the others can be
/// compared.
const OUTLIER: f64 = 3.0;

struct Bar<'a> {
    server: &'a str,
    value: f64,
    label: String,
}

pub(crate) fn costs(record: &Record) -> String {
    let bar = |server: &Results, load: &str| {
        let cost = server.cost(load)?;
        let lost = if server.loses(load) { ", lost some" } else { "" };
        Some((cost.median, format!("{:.3} s{lost}", cost.median)))
    };
    let title = "CPU seconds per million lines at a moderate rate: shorter is better";
    let about = |load: &super::record::LoadNote| {
        format!("{}: {}, {} k lines/s", load.name, load.about, load.lines_per_second / 1000)
    };
    panels(record, title, about, bar)
}

pub(crate) fn highest(record: &Record) -> String {
    let bar = |server: &Results, load: &str| {
        let highest = server.highest.get(load)?;
        let mark = if highest.sender_bound { "≥ " } else { "" };
        let millions = highest.lines_per_second / 1e6;
        Some((millions, format!("{mark}{millions:.2} M/s")))
    };
    let title = "Highest rate without loss, million lines a second: longer is better";
    panels(record, title, |load| format!("{}: {}", load.name, load.about), bar)
}

fn panels(
    record: &Record,
    title: &str,
    about: impl Fn(&super::record::LoadNote) -> String,
    bar: impl Fn(&Results, &str) -> Option<(f64, String)>,
) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for pair in record.loads.chunks(2) {
        let mut rows = 0;
        for (load, x) in pair.iter().zip([0.0, PANEL]) {
            let bars: Vec<Bar<'_>> = record
                .servers
                .iter()
                .filter_map(|server| {
                    let (value, label) = bar(server, load.name)?;
                    Some(Bar { server: &server.name, value, label })
                })
                .collect();
            panel(&mut body, x, y, &about(load), &bars);
            rows = rows.max(bars.len());
        }
        y += HEAD + rows as f64 * ROW + FOOT;
    }
    format!("{}{body}</svg>\n", head(record, title, y))
}

fn head(record: &Record, title: &str, height: f64) -> String {
    let part = if record.is_whole() { "" } else { " · a part of a run" };
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, sans-serif" font-size="12">
<style>text {{ fill: #1f2933 }} .name {{ text-anchor: end }} .load {{ font-weight: bold }} .title {{ font-size: 16px; font-weight: bold }} .small {{ fill: #616e7c }}</style>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="16" y="26" class="title">{title}</text>
<text x="16" y="45" class="small">{} · {} · Linux {} · commit {}{part}</text>
"##,
        escaped(&record.date),
        escaped(&record.processor),
        escaped(&record.kernel),
        escaped(&record.commit),
    )
}

fn panel(body: &mut String, x: f64, y: f64, about: &str, bars: &[Bar<'_>]) {
    let _ = writeln!(
        body,
        r#"<text x="{}" y="{}" class="load">{}</text>"#,
        x + 16.0,
        y + 18.0,
        escaped(about)
    );
    let whole = scale(bars);
    let room = PANEL - NAMES - FIGURES;
    for (at, bar) in bars.iter().enumerate() {
        let top = y + HEAD + at as f64 * ROW;
        let text = top + BAR - 2.5;
        let left = x + NAMES;
        let width = (bar.value / whole).min(1.0) * room;
        let _ = writeln!(
            body,
            r##"<text x="{:.1}" y="{text:.1}" class="name">{}</text><rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{BAR}" rx="1.5" fill="{}"/><text x="{:.1}" y="{text:.1}">{}</text>"##,
            left - 7.0,
            escaped(bar.server),
            colour(bar.server),
            left + width + 6.0,
            bar.label
        );
        if bar.value > whole {
            let cut = left + width - 22.0;
            let _ = writeln!(
                body,
                r##"<path d="M{cut:.1} {:.1} l7 -{} h5 l-7 {} z" fill="#ffffff"/>"##,
                top + BAR + 1.0,
                BAR + 2.0,
                BAR + 2.0
            );
        }
    }
}

/// What the whole length of a panel stands for: the longest bar, or a little over the next one if
/// that is far shorter.
fn scale(bars: &[Bar<'_>]) -> f64 {
    let mut values: Vec<f64> = bars.iter().map(|bar| bar.value).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    match values.as_slice() {
        [longest, next, _, ..] if *longest > OUTLIER * next => next * 1.3,
        [longest, ..] => longest.max(f64::MIN_POSITIVE),
        [] => 1.0,
    }
}

/// The server stands out from its peers, and these from the floors.
fn colour(server: &str) -> &'static str {
    match server {
        "statsd" => "#0b6e4f",
        _ if server.starts_with("floor") => "#cbd2d9",
        _ => "#7b93ae",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::record::samples::record;
    use super::*;

    /// Of the bars, not of the background.
    fn widths(chart: &str) -> Vec<f64> {
        let bars = chart.split("<rect x=").skip(1);
        bars.filter_map(|bar| bar.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect()
    }

    #[test]
    fn bars_are_as_long_as_the_medians() {
        let chart = costs(&record());
        let widths = widths(&chart);
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.01, "{widths:?} in\n{chart}");
        assert!(chart.contains("1.250 s<") && chart.contains("2.500 s, lost some<"), "{chart}");
        assert!(highest(&record()).contains("≥ 3.00 M/s"));
    }

    #[test]
    fn names_from_profiles_are_text() {
        let mut record = record();
        record.servers[0].name = "a<b&c".into();
        assert!(costs(&record).contains("a&lt;b&amp;c"));
    }

    #[test]
    fn one_far_longer_bar_leaves_room_for_the_others() {
        let bar = |value| Bar { server: "x", value, label: String::new() };
        assert_eq!(scale(&[bar(1.0), bar(2.0), bar(5.0)]), 5.0);
        assert_eq!(scale(&[bar(1.0), bar(2.0), bar(50.0)]), 2.6);
        assert_eq!(scale(&[bar(1.0), bar(50.0)]), 50.0);
        assert_eq!(scale(&[]), 1.0);
    }
}
