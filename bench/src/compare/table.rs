//! Prints a record as Markdown, which is readable on a terminal, too. Pure.

use std::fmt::Write as _;

use super::measure::{KINDS, RATES};
use super::record::{Record, Results};

pub(crate) fn tables(record: &Record) -> String {
    let mut text = head(record);
    let servers = &record.servers;
    let loads: Vec<&str> = record.loads.iter().map(|load| load.name).collect();
    let title = "CPU seconds per million lines at these rates (± half of the range over the rounds; * lost some)";
    section(&mut text, title, &loads, servers, cost);
    let title = "Highest rate without loss, million lines a second · CPU seconds per million lines at it (≥: the sender could not send faster)";
    section(&mut text, title, &loads, servers, highest);
    let title =
        "W1 at rates from nearly idle to busy: CPU seconds per million lines · wake-ups a second";
    let rates = RATES.map(|rate| format!("{} k/s", rate / 1000));
    let rates = rates.each_ref().map(String::as_str);
    section(&mut text, title, &rates, servers, |server, rate| {
        let at = rates.iter().position(|of| *of == rate)?;
        let step = server.sweep.get(at)?;
        let lost = if step.dropped_packets > 0 { " *" } else { "" };
        let cost = step.cpu_seconds_per_million_lines;
        let woken = step.wake_ups_per_second;
        Some(format!("{cost:.2} · {woken:.0}{lost}"))
    });
    let title = "MiB resident before the first flush · at most, until the fourth flush has ended";
    section(&mut text, title, &KINDS.map(|kind| kind.name), servers, |server, kind| {
        let footprint = server.footprints.get(kind)?;
        Some(format!("{:.1} · {:.1}", footprint.before_flush_mib, footprint.peak_mib))
    });
    for (title, figures) in FIGURES {
        let names: Vec<&str> = figures.iter().map(|(name, _)| *name).collect();
        section(&mut text, title, &names, servers, |server, name| {
            figures.iter().find(|(figure, _)| *figure == name)?.1(server)
        });
    }
    foot(&mut text, record);
    text
}

fn head(record: &Record) -> String {
    let buffers = if record.receive_buffers_equal {
        format!("receive buffers of {} MiB", record.receive_buffer_bytes >> 20)
    } else {
        "receive buffers as each server asks for them".to_owned()
    };
    let date = &record.date;
    let processor = &record.processor;
    let kernel = &record.kernel;
    let commit = &record.commit;
    let interval = record.flush_interval_seconds;
    let mut text = format!(
        "{date} · {processor} · Linux {kernel} · commit {commit} · flush every {interval} s · {buffers}\n\n`{}`\n\n",
        record.command
    );
    if !record.is_whole() {
        let made = record.measurements.made;
        let planned = record.measurements.planned;
        let _ = writeln!(text, "A part of a run: {made} of {planned} measurements were made.\n");
    }
    for load in &record.loads {
        let rate = load.lines_per_second / 1000;
        let _ = writeln!(text, "- {}: {} ({rate} k lines/s)", load.name, load.about);
    }
    text
}

fn foot(text: &mut String, record: &Record) {
    text.push('\n');
    for (name, missing) in &record.skipped {
        let _ = writeln!(text, "Skipped: {name} ({missing} is not installed).");
    }
    for failure in &record.failures {
        let first = failure.lines().next().unwrap_or_default();
        let _ = writeln!(text, "Not measured: {first}");
    }
}

fn cost(server: &Results, load: &str) -> Option<String> {
    let cost = server.cost(load)?;
    let mark = if server.loses(load) { " *" } else { "" };
    Some(format!("{:.3} ± {:.0} %{mark}", cost.median, cost.range * 50.0))
}

fn highest(server: &Results, load: &str) -> Option<String> {
    let highest = server.highest.get(load)?;
    let mark = if highest.sender_bound { "≥ " } else { "" };
    let rate = highest.lines_per_second / 1e6;
    let cpu = highest.cpu_seconds_per_million_lines;
    Some(format!("{mark}{rate:.2} · {cpu:.3}"))
}

type Figure = (&'static str, fn(&Results) -> Option<String>);

/// Tables with a column of its own for each figure.
const FIGURES: [(&str, &[Figure]); 3] = [
    (
        "A flush of 100,000 counters, of which each came once in its interval: by itself, and (the last three) while 50,000 packets a second come",
        &[
            ("lines", |server| Some(server.flush?.lines.to_string())),
            ("CPU ms", |server| Some(format!("{:.0}", server.flush?.cpu_ms))),
            ("tick to last byte ms", |server| {
                Some(format!("{:.0}", server.flush?.tick_to_last_byte_ms?))
            }),
            ("first to last byte ms", |server| Some(format!("{:.0}", server.flush?.sending_ms))),
            ("longest gap in receiving ms", |server| {
                Some(format!("{:.0}", server.flush?.longest_gap_ms))
            }),
            ("dropped of packets", |server| {
                let flush = server.flush?;
                Some(format!("{} of {}", flush.dropped_packets, flush.packets_sent))
            }),
            ("counts that arrived", |server| {
                Some(format!("{:.4} %", server.flush?.counted? * 100.0))
            }),
        ],
    ),
    (
        "A server that nobody asks anything of (wake-ups and CPU in one flush interval), and with 10,000 idle connections",
        &[
            ("listens after ms", |server| Some(format!("{:.1}", server.quiet?.listening_ms))),
            ("ready after ms", |server| Some(format!("{:.1}", server.quiet?.ready_ms?))),
            ("MiB", |server| Some(format!("{:.1}", server.quiet?.resident_mib))),
            ("wake-ups", |server| Some(server.quiet?.wake_ups.to_string())),
            ("CPU ms", |server| Some(format!("{:.1}", server.quiet?.cpu_ms))),
            ("MiB with connections", |server| {
                Some(format!("{:.1}", server.connections?.resident_mib))
            }),
            ("binary KiB", |server| Some((server.binary_bytes? / 1024).to_string())),
        ],
    ),
    (
        "The longest turn of the loop while 1,000,000 new counters come at 200,000 a second, and are flushed",
        &[
            ("ms", |server| Some(format!("{:.1}", server.turns?.longest_turn_ms))),
            ("priority", |server| {
                let favoured = server.turns?.favoured;
                Some(if favoured { "highest" } else { "usual" }.to_owned())
            }),
        ],
    ),
];

/// A table with a row for each server that has any of it; nothing if none has.
fn section(
    text: &mut String,
    title: &str,
    columns: &[&str],
    servers: &[Results],
    cell: impl Fn(&Results, &str) -> Option<String>,
) {
    let row = |server: &Results| {
        let cells: Vec<Option<String>> =
            columns.iter().map(|column| cell(server, column)).collect();
        let has_any = cells.iter().any(Option::is_some);
        let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".into()));
        has_any.then(|| std::iter::once(server.name.clone()).chain(cells).collect::<Vec<_>>())
    };
    let rows: Vec<Vec<String>> = servers.iter().filter_map(row).collect();
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}:\n");
    let head = std::iter::once("").chain(columns.iter().copied()).map(str::to_owned);
    table(text, std::iter::once(head.collect()).chain(rows).collect());
}

/// Of equal rows, the first one the head.
fn table(text: &mut String, mut rows: Vec<Vec<String>>) {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    rows.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Flush, Turns};
    use super::super::record::samples::record;
    use super::*;

    #[test]
    fn tables_name_what_was_skipped_and_leave_out_what_was_not_measured() {
        let text = tables(&record());
        assert!(text.contains("| ours  | 1.250 ± 20 %  |"), "{text}");
        assert!(text.contains("| other | 2.500 ± 0 % * |"), "{text}");
        assert!(!text.contains("| none"), "{text}");
        assert!(!text.contains("MiB resident"), "{text}");
        assert!(text.contains("Skipped: absent (/bin/absent is not installed)."), "{text}");
    }

    #[test]
    fn a_part_of_a_run_says_so() {
        let mut record = record();
        assert!(!tables(&record).contains("A part of a run"));
        record.measurements.made = 3;
        assert!(tables(&record).contains("A part of a run: 3 of 4 measurements were made."));
    }

    #[test]
    fn a_failure_is_named_in_a_line() {
        let mut record = record();
        record.failures.push("cost W1 other: it has ended:\nits last words".into());
        let text = tables(&record);
        assert!(text.contains("Not measured: cost W1 other: it has ended:\n"), "{text}");
        assert!(!text.contains("last words"), "{text}");
    }

    #[test]
    fn the_figures_of_a_flush_have_columns_of_their_own() {
        let mut record = record();
        record.servers[0].turns =
            Some(Turns { counters: 1_000_000, longest_turn_ms: 1.94, favoured: true, flushes: 3 });
        record.servers[0].flush = Some(Flush {
            lines: 200_033,
            cpu_ms: 21.6,
            tick_to_last_byte_ms: None,
            sending_ms: 30.0,
            longest_gap_ms: 4.2,
            packets_sent: 350_000,
            dropped_packets: 7,
            counted: Some(0.99998),
        });
        let text = tables(&record);
        let row = text.lines().find(|line| line.contains("200033")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2..9], ["200033", "22", "–", "30", "4", "7 of 350000", "99.9980 %"]);
        assert!(text.contains("| ours | 1.9 |"), "{text}");
    }
}
