//! Sums up a record as tables in Markdown, which are readable on a terminal, too. Pure.

use std::fmt::Write as _;

use super::record::{Record, Spread};

/// The figures of one server in one measurement.
struct Found<'a> {
    record: &'a Record,
    what: &'a str,
    of: &'a str,
    server: &'a str,
}

impl Found<'_> {
    fn spread(&self, figure: &str) -> Option<Spread> {
        self.record.spread(self.what, self.of, self.server, figure)
    }

    fn get(&self, figure: &str) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }

    /// A mark if something was lost in any round.
    fn lost(&self) -> &'static str {
        let dropped = self.spread("dropped_packets").is_some_and(|it| it.most > 0.0);
        let missing = self.spread("counted").is_some_and(|it| it.least < 1.0);
        if dropped || missing { " *" } else { "" }
    }

    fn bound(&self) -> &'static str {
        if self.get("sender_bound") > Some(0.0) { "≥ " } else { "" }
    }

    fn rounded(&self, figure: &str, digits: usize) -> Option<String> {
        Some(format!("{:.digits$}", self.get(figure)?))
    }
}

/// A column: its title, which is the name of the workload if it has one; its measurement; whether
/// it is of a workload; and its cells.
struct Column<'a> {
    title: &'a str,
    what: &'static str,
    of: &'a str,
    cell: Cell,
}

type Cell = fn(&Found<'_>) -> Option<String>;

/// The columns of a table whose titles are not the names of workloads.
type Columns = &'static [(&'static str, &'static str, Cell)];

const FLUSH: Columns = &[
    ("lines", "flush", |it| it.rounded("lines", 0)),
    ("CPU ms", "flush", |it| it.rounded("cpu_ms", 0)),
    ("tick to last byte ms", "flush", |it| it.rounded("tick_to_last_byte_ms", 0)),
    ("first to last byte ms", "flush", |it| it.rounded("sending_ms", 0)),
    ("longest gap in receiving ms", "flush", |it| it.rounded("longest_gap_ms", 0)),
    ("dropped of packets", "flush", |it| {
        Some(format!("{} of {}", it.get("dropped_packets")?, it.get("packets_sent")?))
    }),
    ("counts that arrived", "flush", |it| Some(format!("{:.4} %", it.get("counted")? * 100.0))),
];

const IDLE: Columns = &[
    ("listens after ms", "quiet", |it| it.rounded("listening_ms", 1)),
    ("ready after ms", "quiet", |it| it.rounded("ready_ms", 1)),
    ("MiB", "quiet", |it| it.rounded("resident_mib", 1)),
    ("wake-ups", "quiet", |it| it.rounded("wake_ups", 0)),
    ("CPU ms", "quiet", |it| it.rounded("cpu_ms", 1)),
    ("MiB with connections", "connections", |it| it.rounded("resident_mib", 1)),
    ("binary KiB", "server", |it| Some(format!("{:.0}", it.get("binary_bytes")? / 1024.0))),
];

const TURNS: Columns = &[
    ("ms", "turns", |it| it.rounded("longest_ms", 1)),
    ("priority", "turns", |it| {
        Some(if it.get("highest_priority")? > 0.0 { "highest" } else { "usual" }.to_owned())
    }),
];

/// Tables with a column for each workload, filling or rate.
const BY_LOAD: [(&str, &str, Cell); 5] = [
    (
        "CPU seconds per million lines at these rates (± half of the range over the rounds; * lost some)",
        "cost",
        |it| {
            let cost = it.spread("cpu_s_per_million_lines")?;
            Some(format!("{:.3} ± {:.0} %{}", cost.median, cost.percent(), it.lost()))
        },
    ),
    (
        "Highest rate without loss, million lines a second · CPU seconds per million lines at it (≥: the sender could not send faster)",
        "highest",
        |it| {
            let rate = it.get("lines_per_s")? / 1e6;
            let cpu = it.get("cpu_s_per_million_lines")?;
            Some(format!("{}{rate:.2} · {cpu:.3}", it.bound()))
        },
    ),
    ("The same in MiB a second · cores in use · MiB resident", "highest", |it| {
        let [rate, cores, memory] = ["mib_per_s", "cores", "resident_mib"].map(|name| it.get(name));
        Some(format!("{}{:.0} · {:.2} · {:.1}", it.bound(), rate?, cores?, memory?))
    }),
    (
        "W1 at rates from nearly idle to busy: CPU seconds per million lines · wake-ups a second",
        "sweep",
        |it| {
            let cost = it.get("cpu_s_per_million_lines")?;
            Some(format!("{cost:.2} · {:.0}{}", it.get("wake_ups_per_s")?, it.lost()))
        },
    ),
    (
        "MiB resident before the first flush · at most, until the fourth flush has ended",
        "memory",
        |it| Some(format!("{:.1} · {:.1}", it.get("before_flush_mib")?, it.get("peak_mib")?)),
    ),
];

const BY_FIGURE: [(&str, Columns); 3] = [
    (
        "A flush of 100,000 counters, of which each came once in its interval: by itself, and (the last three) while 50,000 packets a second come",
        FLUSH,
    ),
    (
        "A server that nobody asks anything of (wake-ups and CPU in one flush interval), and with 10,000 idle connections",
        IDLE,
    ),
    (
        "The longest turn of the loop while 1,000,000 new counters come at 200,000 a second, and are flushed",
        TURNS,
    ),
];

pub(crate) fn summary(record: &Record) -> String {
    let mut text = head(record);
    for (title, what, cell) in BY_LOAD {
        let mut names: Vec<&str> = Vec::new();
        for row in record.of(what).filter(|row| !row.of.is_empty()) {
            if !names.contains(&row.of.as_str()) {
                names.push(&row.of);
            }
        }
        let columns: Vec<_> =
            names.into_iter().map(|of| Column { title: of, what, of, cell }).collect();
        section(&mut text, record, title, &columns);
    }
    for (title, columns) in BY_FIGURE {
        let column = |&(title, what, cell)| Column { title, what, of: "", cell };
        section(&mut text, record, title, &columns.iter().map(column).collect::<Vec<_>>());
    }
    text.push('\n');
    for row in record.of("skipped") {
        let _ = writeln!(text, "Skipped: {} ({} is not installed).", row.server, row.value);
    }
    for row in record.of("failed") {
        let first = row.value.lines().next().unwrap_or_default();
        let _ = writeln!(text, "Not measured: {}: {first}", row.of);
    }
    text
}

fn head(record: &Record) -> String {
    let [date, processor, kernel, commit] =
        ["date", "processor", "kernel", "commit"].map(|fact| record.run(fact));
    let interval = record.run("flush_interval_s");
    let buffers = record.run("receive_buffers");
    let command = record.run("command");
    let mut text = format!(
        "{date} · {processor} · Linux {kernel} · commit {commit} · flush every {interval} s · {buffers}\n\n`{command}`\n\n"
    );
    let [made, planned] = ["made", "planned"].map(|fact| record.run(fact));
    if made != planned {
        let _ = writeln!(text, "A part of a run: {made} of {planned} measurements were made.\n");
    }
    for row in record.of("load") {
        let _ = writeln!(text, "- {}: {}", row.of, row.value);
    }
    text
}

/// Adds a table with a row for each server that has any of the figures, or nothing if no server
/// has.
fn section(text: &mut String, record: &Record, title: &str, columns: &[Column<'_>]) {
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(columns.iter().map(|column| column.title.to_owned()));
    for server in record.of("server").filter(|row| row.figure == "about") {
        let server = &server.server;
        let cell =
            |&Column { what, of, cell, .. }: &Column<'_>| cell(&Found { record, what, of, server });
        let cells: Vec<_> = columns.iter().map(cell).collect();
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
    let _ = writeln!(text, "\n{title}:\n");
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Figures, Row};
    use super::*;

    /// A server with three rounds of costs, one that loses, and one without figures.
    fn record() -> Record {
        let mut record = Record::default();
        for (fact, value) in [("date", "2026-11-23"), ("made", "4"), ("planned", "4")] {
            record.fact(fact, value);
        }
        record.note("load", "W1", "", "about", "one (50 k lines/s)");
        for server in ["ours", "other", "none"] {
            record.note("server", "", server, "about", "");
        }
        for (server, cost, drops) in
            [("ours", 1.0, 0.0), ("ours", 1.5, 0.0), ("ours", 1.25, 0.0), ("other", 2.5, 9.0)]
        {
            let figures = vec![("cpu_s_per_million_lines", cost), ("dropped_packets", drops)];
            add(&mut record, "cost", "W1", server, &figures);
        }
        record.note("skipped", "", "absent", "missing", "/bin/absent");
        record
    }

    fn add(record: &mut Record, what: &str, of: &str, server: &str, figures: &Figures) {
        let [what, of, server] = [what, of, server].map(str::to_owned);
        record.add(&Row { what, of, server, ..Row::default() }, figures);
    }

    #[test]
    fn tables_name_what_was_skipped_and_leave_out_what_was_not_measured() {
        let text = summary(&record());
        assert!(text.contains("| ours  | 1.250 ± 20 %  |"), "{text}");
        assert!(text.contains("| other | 2.500 ± 0 % * |"), "{text}");
        assert!(!text.contains("| none"), "{text}");
        assert!(!text.contains("MiB resident"), "{text}");
        assert!(text.contains("- W1: one (50 k lines/s)"), "{text}");
        assert!(text.contains("Skipped: absent (/bin/absent is not installed)."), "{text}");
    }

    #[test]
    fn a_part_of_a_run_says_so() {
        let mut record = record();
        assert!(!summary(&record).contains("A part of a run"));
        record.fact("made", "3");
        assert!(summary(&record).contains("A part of a run: 3 of 4 measurements were made."));
    }

    #[test]
    fn a_failure_is_named_in_a_line() {
        let mut record = record();
        let reason = "it has ended:\nits last words";
        record.note("failed", "cost W1 other", "other", "reason", reason);
        let text = summary(&record);
        assert!(text.contains("Not measured: cost W1 other: it has ended:\n"), "{text}");
        assert!(!text.contains("last words"), "{text}");
    }

    #[test]
    fn the_figures_of_a_flush_have_columns_of_their_own() {
        let mut record = record();
        let turns = vec![("longest_ms", 1.94), ("highest_priority", 1.0)];
        add(&mut record, "turns", "", "ours", &turns);
        let flush = vec![
            ("lines", 200_033.0),
            ("cpu_ms", 21.6),
            ("sending_ms", 30.0),
            ("longest_gap_ms", 4.2),
            ("packets_sent", 350_000.0),
            ("dropped_packets", 7.0),
            ("counted", 0.99998),
        ];
        add(&mut record, "flush", "", "ours", &flush);
        let text = summary(&record);
        let row = text.lines().find(|line| line.contains("200033")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2..9], ["200033", "22", "–", "30", "4", "7 of 350000", "99.9980 %"]);
        assert!(text.contains("| ours | 1.9 | highest  |"), "{text}");
    }

    #[test]
    fn highest_rates_are_shown_in_lines_and_in_bytes() {
        let mut record = record();
        let figures = vec![
            ("cpu_s_per_million_lines", 0.1),
            ("lines_per_s", 3e6),
            ("mib_per_s", 512.4),
            ("cores", 0.3),
            ("resident_mib", 25.0),
            ("sender_bound", 1.0),
        ];
        add(&mut record, "highest", "W7", "ours", &figures);
        let text = summary(&record);
        assert!(text.contains("| ours | ≥ 3.00 · 0.100 |"), "{text}");
        assert!(text.contains("| ours | ≥ 512 · 0.30 · 25.0 |"), "{text}");
    }
}
