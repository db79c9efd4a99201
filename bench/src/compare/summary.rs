//! Sums up a record as tables in Markdown, which are readable on a terminal, too. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::record::{Record, Row, median};

/// A table of one measurement. It has a row for each server.
struct Table {
    title: &'static str,
    what: &'static str,
    figures: &'static [Figure],
}

/// The title of its column, the name in the record, the factor it is shown with, and the digits
/// after the point. Figures without a title are shown together, in a column for each workload.
type Figure = (&'static str, &'static str, f64, usize);

const TABLES: [Table; 7] = [
    Table {
        title: "CPU seconds per million lines at these rates (± half of the range over the rounds; * lost some)",
        what: "cost",
        figures: &[("", "cpu_s_per_million_lines", 1.0, 3)],
    },
    Table {
        title: "Highest rate without loss, million lines a second · CPU seconds per million lines at it (≥: the sender could not send faster)",
        what: "highest",
        figures: &[("", "lines_per_s", 1e-6, 2), ("", "cpu_s_per_million_lines", 1.0, 3)],
    },
    Table {
        title: "The same in MiB a second · cores in use · MiB resident",
        what: "highest",
        figures: &[("", "mib_per_s", 1.0, 0), ("", "cores", 1.0, 2), ("", "resident_mib", 1.0, 1)],
    },
    Table {
        title: "MiB resident before the first flush · at most, until the last flush has ended · the longest turn of the loop in ms, if the server reports it",
        what: "memory",
        figures: &[
            ("", "before_flush_mib", 1.0, 1),
            ("", "peak_mib", 1.0, 1),
            ("", "longest_turn_ms", 1.0, 1),
        ],
    },
    Table {
        title: "A flush of 100,000 counters, of which each came once in its interval: by itself, and (the last three) while 50,000 packets a second come",
        what: "flush",
        figures: &[
            ("lines", "lines", 1.0, 0),
            ("CPU ms", "cpu_ms", 1.0, 0),
            ("first to last byte ms", "sending_ms", 1.0, 0),
            ("packets", "packets_sent", 1.0, 0),
            ("dropped", "dropped_packets", 1.0, 0),
            ("% of the counts that arrived", "counted", 100.0, 4),
        ],
    },
    Table {
        title: "A server that nobody asks anything of (wake-ups and CPU in one flush interval)",
        what: "quiet",
        figures: &[
            ("listens after ms", "listening_ms", 1.0, 1),
            ("MiB", "resident_mib", 1.0, 1),
            ("wake-ups", "wake_ups", 1.0, 0),
            ("CPU ms", "cpu_ms", 1.0, 1),
        ],
    },
    Table {
        title: "A server with 10,000 idle connections",
        what: "connections",
        figures: &[("MiB", "resident_mib", 1.0, 1)],
    },
];

/// Returns the figures of one server in one measurement: the medians over the rounds, the spread
/// of the first, and whether something was lost. Returns `None` if it was not measured.
fn cell(rows: &[&Row], figures: &[Figure]) -> Option<String> {
    let all = |name: &str| -> Vec<f64> {
        let rows = rows.iter().filter(|row| row.figure == name);
        rows.filter_map(|row| row.value.parse().ok()).collect()
    };
    let mut parts = Vec::new();
    for &(_, name, factor, digits) in figures {
        let mut values = all(name);
        let Some(median) = median(&mut values) else { continue };
        let mut part = format!("{:.digits$}", median * factor);
        if let ([least, .., most], true) = (&values[..], parts.is_empty()) {
            let _ = write!(part, " ± {:.0} %", (most - least) / median * 50.0);
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return rows.iter().any(|row| row.figure == "failed").then(|| "failed".to_owned());
    }
    let bound = if all("sender_bound").contains(&1.0) { "≥ " } else { "" };
    let has_dropped = all("dropped_packets").iter().any(|count| *count > 0.0);
    let has_lost = has_dropped || all("counted").iter().any(|share| *share < 1.0);
    // A flush has columns of its own for these.
    let lost = if has_lost && figures[0].0.is_empty() { " *" } else { "" };
    Some(format!("{bound}{}{lost}", parts.join(" · ")))
}

pub(crate) fn summary(record: &Record) -> String {
    let mut text = head(record);
    for table in &TABLES {
        section(&mut text, record, table);
    }
    text.push('\n');
    for row in record.of("skipped") {
        let _ = writeln!(text, "Skipped: {} ({} is not installed).", row.server, row.value);
    }
    for row in record.0.iter().filter(|row| row.figure == "failed") {
        let reason = row.value.lines().next().unwrap_or_default();
        let _ = writeln!(text, "Failed: {} {} {}: {reason}", row.what, row.of, row.server);
    }
    text
}

fn head(record: &Record) -> String {
    let mut text = format!(
        "{} · {} · Linux {} · commit {} · flush every {} s · {}\n\n`{}`\n\n",
        record.run("date"),
        record.run("processor"),
        record.run("kernel"),
        record.run("commit"),
        record.run("flush_interval_s"),
        record.run("receive_buffers"),
        record.run("command"),
    );
    let facts = ["run", "load", "server", "skipped"];
    let made = record.0.iter().filter(|row| !facts.contains(&row.what.as_str()));
    let made: BTreeSet<_> = made.map(|row| (&row.what, &row.of, &row.server, row.round)).collect();
    let planned = record.run("planned");
    let made = made.len();
    if planned.parse().is_ok_and(|planned: usize| made < planned) {
        let _ = writeln!(text, "A part of a run: {made} of {planned} measurements were made.\n");
    }
    for row in record.of("load") {
        let _ = writeln!(text, "- {}: {}", row.of, row.value);
    }
    text
}

/// Adds a table with a row for each server that has any of the figures, or nothing if no server
/// has.
fn section(text: &mut String, record: &Record, table: &Table) {
    // The title, the workload and the figures of each column.
    let mut columns: Vec<(&str, &str, &[Figure])> = Vec::new();
    for row in record.of(table.what) {
        if columns.iter().all(|(_, load, _)| *load != row.of) {
            match table.figures[0].0 {
                "" => columns.push((&row.of, &row.of, table.figures)),
                _ => columns.extend(table.figures.chunks(1).map(|it| (it[0].0, &*row.of, it))),
            }
        }
    }
    let titles = columns.iter().map(|(title, ..)| (*title).to_owned());
    let mut rows = vec![std::iter::once(String::new()).chain(titles).collect::<Vec<_>>()];
    for server in record.of("server").map(|row| &row.server) {
        let cells = columns.iter().map(|(_, load, figures)| {
            let is_its = |row: &&Row| row.server == *server && row.of == *load;
            cell(&record.of(table.what).filter(is_its).collect::<Vec<_>>(), figures)
        });
        let cells: Vec<_> = cells.collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".into()));
            rows.push(std::iter::once(server.clone()).chain(cells).collect());
        }
    }
    if rows.len() == 1 {
        return;
    }
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    rows.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());
    let _ = writeln!(text, "\n{}:\n", table.title);
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_the_release_is_read() {
        let runs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runs");
        for release in std::fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()) {
            if release.is_dir() {
                let text = summary(&Record::read(&release.join("record.csv")).unwrap());
                for part in ["| statsd", "| floor", "CPU seconds per", "Highest", "MiB", "A flush"]
                {
                    assert!(text.contains(part), "{release:?} has no {part:?}: {text}");
                }
                assert!(!text.contains("A part of a run"), "{text}");
            }
        }
    }

    #[test]
    fn cells_show_the_median_the_loss_and_what_failed() {
        let mut record = Record::default();
        record.add("run", "", "", 0, "planned", "5");
        record.add("load", "W1", "", 0, "about", "one (50 k lines/s)");
        for server in ["ours", "other", "none", "broken"] {
            record.add("server", "", server, 0, "about", "");
        }
        for (server, round, figure, value) in [
            ("ours", 1, "cpu_s_per_million_lines", "1"),
            ("ours", 2, "cpu_s_per_million_lines", "1.5"),
            ("other", 0, "cpu_s_per_million_lines", "2.5"),
            ("other", 0, "dropped_packets", "9"),
            ("broken", 0, "failed", "it has ended:\nits last words"),
        ] {
            record.add("cost", "W1", server, round, figure, value);
        }
        record.add("skipped", "", "absent", 0, "missing", "/bin/absent");
        let text = summary(&record);
        for part in [
            "A part of a run: 4 of 5 measurements were made.",
            "- W1: one (50 k lines/s)",
            "| ours   | 1.250 ± 20 % |",
            "| other  | 2.500 *      |",
            "| broken | failed       |",
            "Skipped: absent (/bin/absent is not installed).",
            "Failed: cost W1 broken: it has ended:\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("| none") && !text.contains("last words"), "{text}");
        assert!(!text.contains("MiB resident"), "{text}");
    }
}
