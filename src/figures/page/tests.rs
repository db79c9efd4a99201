//! `help info`, and docs/figures.md, which is made here from the table.

use super::*;
use crate::figures::row::{FigureKind, FigureRow, GraphiteName, LossCount};
use crate::protocol::Reject;

/// Returns the text of docs/figures.md.
fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    for section in FigureSection::ALL {
        let _ = write!(
            out,
            "\n## {}\n\n| figure | of each | unit | meaning | in Graphite | in `/metrics` |\n\
             | --- | --- | --- | --- | --- | --- |\n",
            section.title()
        );
        for row in TABLE.iter().filter(|row| row.section == section) {
            let FigureRow { name, doc, .. } = row;
            let of = row.label().unwrap_or("–");
            let unit = if row.unit.name().is_empty() { "–" } else { row.unit.name() };
            let total = if row.kind == FigureKind::Total { ", total" } else { "" };
            let graphite: Vec<String> =
                row.graphite.iter().map(|sent| graphite_name(row, *sent)).collect();
            let graphite = if graphite.is_empty() { "–".into() } else { graphite.join(", ") };
            let metric = metric_name(row);
            let _ = writeln!(
                out,
                "| `{name}` | {of} | {unit}{total} | {doc} | {graphite} | `{metric}` |"
            );
        }
    }
    let _ = write!(
        out,
        "\n## Reasons\n\nThe reasons of `bad_lines`, and their texts in the log. `info` shows those \
         that have occurred.\n\n| reason | text |\n| --- | --- |\n"
    );
    for reject in Reject::ALL {
        let _ = writeln!(out, "| `{}` | {reject} |", reject.name());
    }
    let _ = write!(out, "\n## What counts as lost\n\n{LOSS}");
    for (heading, count) in [
        ("Each is one lost line:", LossCount::Lines),
        ("Each packet is one lost line, since the server has not read it:", LossCount::Packets),
        ("Not in the sum:", LossCount::No),
    ] {
        let rows = TABLE
            .iter()
            .filter(|row| [Some(row.section), row.also].contains(&Some(FigureSection::Loss)));
        let is_sum = |row: &&FigureRow| row.name.starts_with("lost_");
        let rows = rows.filter(|row| row.loss == count && !is_sum(row));
        let names: Vec<String> = rows.map(|row| format!("`{}`", row.name)).collect();
        let _ = write!(out, "\n{heading}\n\n");
        for name in names {
            let _ = writeln!(out, "- {name}");
        }
    }
    out
}

const INTRODUCTION: &str = "# Figures of the server

Every figure that the server has about itself. `echo info | nc -N 127.0.0.1 8126` shows all of them,
`info loss` one section, and `help info` explains them. This page is made from the table of the
source: `UPDATE=1 cargo test --lib figures_page` writes it again.

- A **total** counts since the start. `info` shows its rise a second after it, as
  `NAME_per_second`, unless the total is 0.
- A rate is the mean of the last minute. In the first minute after a start it is the mean since the
  start. The server notes the totals every 5 seconds, but an idle server only at each flush. So a
  rate may be the mean of up to 65 seconds, or of a longer `flush_interval`.
- All other figures are values of this moment.
- *Of each*: the figure has a value for each destination, listener, kind of series or reason.
- *In Graphite*: the name in flushes, after `stats.`, in legacy style.
  [operations.md](operations.md#the-servers-own-figures) has the names of the other styles.
- A destination that a reload removes takes its totals with it, but `lost_lines` keeps its losses.
- A listener that a reload removes takes its counts with it. What its connections send later is
  counted in the totals of all listeners only.
";

const LOSS: &str = "`lost_lines` is 0 if, as far as the server knows, nothing was lost since the start. No loss counts
twice: a line is lost on its way in, or its points are lost on their way to a destination. A point
that two destinations do not get is two lost lines.
";

fn graphite_name(row: &FigureRow, sent: GraphiteName) -> String {
    match sent {
        GraphiteName::Own => format!("`statsd.{}`, a counter", row.name),
        GraphiteName::NumStats => "`statsd.numStats`, without `stats.`".into(),
        GraphiteName::Gauge(name) => format!("`gauges.statsd.{name}`"),
        GraphiteName::Figure(name) => format!("`statsd.{name}`"),
        GraphiteName::Carbon(name) => format!("`statsd.{name}`, of `[carbon]`"),
        GraphiteName::Sink(name) => format!("`statsd.sink.NAME.{name}`"),
    }
}

fn metric_name(row: &FigureRow) -> String {
    let metric = row.metric();
    match (row.is_limit(), row.kind) {
        (true, _) => format!("{metric}{{limit=\"{}\"}}", row.name),
        (false, FigureKind::Total) => format!("{metric}_total"),
        (false, FigureKind::Level) => metric,
    }
}

#[test]
fn help_has_every_figure_and_no_long_line() {
    let help = help();
    assert!(help.lines().all(|line| line.starts_with("  ") && line.len() <= 100), "{help}");
    for row in TABLE {
        assert!(help.contains(&format!("\n  {} ", row.name)), "{}", row.name);
    }
}

#[test]
fn the_figures_page_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/figures.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/figures.md is old: UPDATE=1 cargo test --lib figures_page writes it again"
    );
}
