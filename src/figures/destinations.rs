//! [`DestinationReport`]: what is known of a destination beside its figures.

use super::sources::Sources;
use crate::time::Now;

/// A destination: where it is, and how it stands. Its numbers are figures of the table.
#[derive(Clone, Debug)]
pub struct DestinationReport {
    /// The header of its section.
    pub name: String,
    /// The section without its own name, such as `carbon` for `[carbon.b]`.
    pub kind: String,
    /// `HOST:PORT`. `None` for the console, for a command, and for a destination that a reload has
    /// removed and that still delivers.
    pub address: Option<String>,
    /// The state in one word.
    pub state: &'static str,
    /// Since when. See [`SinkFigures::since`](crate::sink::SinkFigures::since). `None` before its
    /// first turn.
    pub since: Option<Now>,
    pub last_error: Option<String>,
}

/// Returns a report of each destination.
pub fn destinations(from: &Sources<'_>) -> Vec<DestinationReport> {
    let report = |sink: &crate::sink::Sink| {
        let figures = sink.figures();
        let name = sink.name();
        let destination = from.config.active_destinations().find(|to| to.name == name);
        let net = destination.and_then(|destination| destination.net.as_ref());
        DestinationReport {
            name: name.to_owned(),
            kind: name.split('.').next().unwrap_or(name).to_owned(),
            address: net.map(|net| net.remote.to_string()),
            state: figures.state,
            since: figures.since,
            last_error: figures.last_error,
        }
    };
    from.sinks.iter().map(report).collect()
}
