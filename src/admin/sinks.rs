//! `sinks`: the destinations, a line for each.

use super::text::write;
use super::view::View;
use crate::figures::destinations;
use crate::sink::Sink;

/// Appends a line for each destination.
pub(super) fn put_sinks(view: &View<'_>, out: &mut Vec<u8>) {
    for (sink, report) in view.sinks.iter().zip(destinations(&view.sources())) {
        let figures = sink.figures();
        write(out, format_args!("{} state={}", sink.name(), figures.state));
        let queued = figures.queue_bytes;
        let spooled = figures.spool_bytes.unwrap_or(0);
        let dropped = figures.dropped_lines;
        write(
            out,
            format_args!(" queued_bytes={queued} spooled_bytes={spooled} dropped_lines={dropped}"),
        );
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

/// Returns the name of a destination, and whether it is down, so that points wait in its queue.
pub(super) fn name_and_state(sink: &Sink) -> String {
    format!("{}{}", sink.name(), if sink.state().is_down() { " (down, queued)" } else { "" })
}
