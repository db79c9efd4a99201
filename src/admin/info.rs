//! `info`: everything about the server, as `key:value` lines. `sinks`: a line for each destination.

use std::fmt::Write as _;
use std::time::Duration;

use super::text::{number, put_escaped, shown_seconds, write};
use super::view::View;
use crate::figures::{FigureSection, FigureValue, destinations, read};

/// The answer to `info`, or to `info` with the name of one section.
#[derive(Default)]
struct InfoText {
    out: String,
    /// The lines of each label, in the order in which the labels first came. They are written
    /// together, though the table has a row for each figure.
    labelled: Vec<(String, String)>,
    /// The lines of losses that never happened. They are written last, so that the others are seen.
    zeros: String,
}

/// Returns the text of the answer, without its end. Fails if there is no such section.
pub(super) fn info(view: &View<'_>, section: Option<&[u8]>) -> Result<String, String> {
    let sections = match section {
        None => FigureSection::ALL.to_vec(),
        Some(name) => vec![FigureSection::named(name).ok_or_else(unknown)?],
    };
    let mut text = InfoText::default();
    for section in sections {
        // No empty line precedes it, because an empty line ends an answer.
        let _ = writeln!(text.out, "# {}", section.title());
        match section {
            FigureSection::Server => text.server(view),
            FigureSection::Input => text.listeners(view),
            FigureSection::Destinations => text.destinations(view),
            _ => {}
        }
        read(&view.server, Some(section), &mut |figure| text.figure(section, figure));
        text.finish_section();
    }
    Ok(text.out)
}

fn unknown() -> String {
    let names: Vec<_> = FigureSection::ALL.into_iter().map(FigureSection::name).collect();
    format!("ERROR no such section; there are {}", names.join(", "))
}

impl InfoText {
    /// Writes what is no number about the server.
    fn server(&mut self, view: &View<'_>) {
        let path = view.origin.path();
        let config = path.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        let config = shown(&config);
        let version = env!("CARGO_PKG_VERSION");
        let mut listeners = Vec::new();
        view.server.each_listener_name(&mut |name| listeners.push(name.to_owned()));
        listeners.extend(view.server.admin_addresses());
        let listeners = listeners.join(", ");
        let _ = write!(
            self.out,
            "version:{version}\npid:{}\nconfig:{config}\nhealth:{}\nstarted:{}\n\
             listeners:{}\n",
            std::process::id(),
            view.health.name(),
            shown_seconds(view.server.flush.started.unix),
            shown(&listeners),
        );
    }

    /// Numbers the listeners, since their addresses contain colons.
    fn listeners(&mut self, view: &View<'_>) {
        view.server.each_listener_name(&mut |name| {
            let key = format!("listener{}", self.labelled.len());
            let line = format!("{key}:{}\n", shown(name));
            self.labelled.push((name.to_owned(), line));
        });
    }

    /// Writes what is no number about the destinations.
    fn destinations(&mut self, view: &View<'_>) {
        for report in destinations(&view.server) {
            let name = &report.name;
            let mut lines = format!("{name}.kind:{}\n", report.kind);
            if let Some(address) = report.address {
                let _ = writeln!(lines, "{name}.address:{address}");
            }
            let _ = writeln!(lines, "{name}.state:{}", report.state);
            if let Some(since) = report.since {
                let seconds = since.tick.until(view.server.now.tick).as_secs();
                let _ = writeln!(lines, "{name}.since:{}", shown_seconds(since.unix));
                let _ = writeln!(lines, "{name}.since_seconds:{seconds}");
            }
            let error = shown(report.last_error.as_deref().unwrap_or("none"));
            let _ = writeln!(lines, "{name}.last_error:{error}");
            self.labelled.push((name.clone(), lines));
        }
    }

    fn figure(&mut self, section: FigureSection, figure: &FigureValue<'_>) {
        let name = figure.row.name;
        let Some((kind, label)) = figure.labels() else {
            // The sums of the losses stay first.
            let is_zero = section == FigureSection::Loss && figure.value == 0.0;
            let is_sum = name.starts_with("lost_");
            let out = if is_zero && !is_sum { &mut self.zeros } else { &mut self.out };
            put_figure(out, name, figure);
            return;
        };
        if kind == "reason" && figure.value == 0.0 {
            return; // there are two dozen reasons, of which a server meets a few
        }
        let known = self.labelled.iter().position(|(its, _)| its == label);
        let at = known.unwrap_or_else(|| {
            self.labelled.push((label.to_owned(), String::new()));
            self.labelled.len() - 1
        });
        let key = match kind {
            "listener" => format!("listener{at}.{name}"),
            "destination" => format!("{label}.{name}"),
            _ => format!("{name}.{label}"),
        };
        put_figure(&mut self.labelled[at].1, &key, figure);
    }

    fn finish_section(&mut self) {
        for (_, lines) in self.labelled.drain(..) {
            self.out.push_str(&lines);
        }
        self.out.push_str(&std::mem::take(&mut self.zeros));
    }
}

/// Writes the value of a figure, its rate and its limit.
fn put_figure(out: &mut String, key: &str, figure: &FigureValue<'_>) {
    let _ = writeln!(out, "{key}:{}", number(figure.value));
    // Most totals are of something that never happens.
    if let Some(rate) = figure.rate.filter(|_| figure.value > 0.0) {
        let _ = writeln!(out, "{key}_per_second:{}", number((rate * 1000.0).round() / 1000.0));
    }
    if let Some(limit) = figure.limit {
        let percent = if limit > 0.0 { figure.value / limit * 100.0 } else { 0.0 };
        let _ = writeln!(out, "{key}_limit:{}", number(limit));
        let _ = writeln!(out, "{key}_percent:{}", number((percent * 10.0).round() / 10.0));
    }
}

/// Returns a text without control characters. An error may be the text of a peer.
fn shown(text: &str) -> String {
    let mut out = Vec::new();
    put_escaped(text.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends a line for each destination.
pub(super) fn put_sinks(view: &View<'_>, out: &mut Vec<u8>) {
    for (sink, report) in view.server.sinks.iter().zip(destinations(&view.server)) {
        let figures = sink.figures();
        write(out, format_args!("{} state={}", sink.name(), figures.state));
        let queued = figures.queue_bytes;
        let spooled = figures.spool_bytes.unwrap_or(0);
        let dropped = figures.dropped_lines;
        write(
            out,
            format_args!(" queued_bytes={queued} spooled_bytes={spooled} dropped_lines={dropped}"),
        );
        let silent = sink.unacknowledged_for(view.server.now.tick).unwrap_or_default();
        if silent >= Duration::from_secs(1) {
            write(out, format_args!(" unacknowledged_seconds={}", silent.as_secs()));
        }
        if let Some(address) = report.address {
            write(out, format_args!(" address={address}"));
        }
        write(out, format_args!(" queue_limit_bytes={}", figures.queue_limit));
        if let Some(limit) = figures.spool_limit {
            write(out, format_args!(" spool_limit_bytes={limit}"));
        }
        let error = figures.last_error.as_deref().unwrap_or("none");
        write(out, format_args!(" last_error={error:?}\n"));
    }
}
