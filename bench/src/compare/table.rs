//! A record as Markdown, which reads on a terminal too. Pure.

use std::fmt::Write as _;

use super::record::{Record, Results};

pub(crate) fn tables(record: &Record) -> String {
    let mut text = format!(
        "{} · {} · Linux {} · commit {} · flush every {} s · receive buffers of {} MiB\n\n",
        record.date,
        record.processor,
        record.kernel,
        record.commit,
        record.flush_interval_seconds,
        record.receive_buffer_bytes >> 20,
    );
    for load in &record.loads {
        let rate = load.lines_per_second / 1000;
        let _ = writeln!(text, "- {}: {} ({rate} k lines/s)", load.name, load.about);
    }
    let loads: Vec<&str> = record.loads.iter().map(|load| load.name).collect();
    let servers = &record.servers;
    let _ = writeln!(
        text,
        "\nCPU seconds per million lines at these rates (± half of the range over the rounds; * lost some):\n"
    );
    table(&mut text, &loads, servers, |server, load| {
        let cost = server.cost(load)?;
        let mark = if server.loses(load) { " *" } else { "" };
        Some(format!("{:.3} ± {:.0} %{mark}", cost.median, cost.range * 50.0))
    });
    let _ = writeln!(
        text,
        "\nHighest rate without loss, million lines a second, and CPU seconds per million lines at it (≥: the sender could not send faster):\n"
    );
    table(&mut text, &loads, servers, |server, load| {
        let highest = server.highest.get(load)?;
        let mark = if highest.sender_bound { "≥ " } else { "" };
        let (rate, cpu) = (highest.lines_per_second / 1e6, highest.cpu_seconds_per_million_lines);
        Some(format!("{mark}{rate:.2} · {cpu:.3}"))
    });
    let kinds: Vec<&str> =
        servers.iter().flat_map(|server| server.footprints.keys().copied()).collect();
    let mut unique = Vec::new();
    kinds.into_iter().for_each(|kind| {
        if !unique.contains(&kind) {
            unique.push(kind)
        }
    });
    let _ = writeln!(text, "\nMiB resident before a flush · at most, after it:\n");
    table(&mut text, &unique, servers, |server, kind| {
        let footprint = server.footprints.get(kind)?;
        Some(format!("{:.1} · {:.1}", footprint.before_flush_mib, footprint.peak_mib))
    });
    let _ = writeln!(
        text,
        "\nA flush of 100,000 counters; and a server that nobody asks anything of, in one flush interval:\n"
    );
    let figures = [
        "flush: CPU ms",
        "first to last byte ms",
        "longest gap in reading ms",
        "lines",
        "idle: ready after ms",
        "MiB",
        "wake-ups",
        "CPU ms",
    ];
    table(&mut text, &figures, servers, figure_of);
    let _ = writeln!(text, "\nThis server's binary has {} bytes.", record.binary_bytes);
    for (name, missing) in &record.skipped {
        let _ = writeln!(text, "Skipped: {name} ({missing} is not installed).");
    }
    for failure in &record.failures {
        let _ = writeln!(text, "Not measured: {failure}");
    }
    text
}

fn figure_of(server: &Results, figure: &str) -> Option<String> {
    let (flush, quiet) = (server.flush.as_ref(), server.quiet.as_ref());
    match figure {
        "flush: CPU ms" => flush.map(|flush| format!("{:.0}", flush.cpu_ms)),
        "first to last byte ms" => flush.map(|flush| format!("{:.0}", flush.sending_ms)),
        "longest gap in reading ms" => flush.map(|flush| {
            let lost = if flush.dropped_packets > 0 { " *" } else { "" };
            format!("{:.0}{lost}", flush.longest_gap_ms)
        }),
        "lines" => flush.map(|flush| flush.lines.to_string()),
        "idle: ready after ms" => quiet.map(|quiet| format!("{:.1}", quiet.ready_ms)),
        "MiB" => quiet.map(|quiet| format!("{:.1}", quiet.resident_mib)),
        "wake-ups" => quiet.map(|quiet| quiet.wake_ups.to_string()),
        "CPU ms" => quiet.map(|quiet| format!("{:.1}", quiet.cpu_ms)),
        _ => None,
    }
}

/// A row for each server.
fn table(
    text: &mut String,
    columns: &[&str],
    servers: &[Results],
    cell: impl Fn(&Results, &str) -> Option<String>,
) {
    let mut rows = vec![
        std::iter::once("").chain(columns.iter().copied()).map(str::to_owned).collect::<Vec<_>>(),
    ];
    for server in servers {
        let cells = columns.iter().map(|column| cell(server, column).unwrap_or_else(|| "–".into()));
        rows.push(std::iter::once(server.name.clone()).chain(cells).collect());
    }
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=columns.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    text.push_str(&line(&rows[0]));
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    text.push_str(&line(&rule));
    rows[1..].iter().for_each(|row| text.push_str(&line(row)));
}
