//! Warnings about durations: milliseconds where seconds are meant, and intervals that Graphite
//! does not have. Pure.

use std::time::Duration;

use super::context::Lint;
use crate::config::value::{Span, ValueKind as _, digits};

/// From this time on an interval is probably meant in milliseconds. Node StatsD, from which many
/// configurations are copied, counts in them.
const LONG: Duration = Duration::from_secs(1000);

/// The durations besides `flush_interval`, and whether one of [`LONG`] can be meant.
pub(super) const DURATIONS: [(&str, bool); 12] = [
    ("shutdown_timeout", false),
    ("connect_timeout", false),
    ("write_timeout", false),
    ("reconnect_min", false),
    ("reconnect_max", false),
    ("timeout", false),
    ("expire", true),
    ("state_interval", true),
    ("idle_timeout", true),
    ("evict_after", true),
    ("interval", true),
    ("history", true),
];

pub(super) fn check(lint: &mut Lint<'_>) {
    flush_interval(lint);
    for section in lint.given.sections() {
        for entry in &section.entries {
            let known = DURATIONS.iter().find(|(key, _)| *key == entry.key);
            let (Some((key, may_be_long)), Some(seconds)) = (known, digits(&entry.value)) else {
                continue;
            };
            let is_odd = seconds.is_multiple_of(1000) && !seconds.is_multiple_of(1800);
            if seconds >= LONG.as_secs() && (!may_be_long || is_odd && seconds >= 5000) {
                let reason =
                    format!("{seconds} seconds are {}", words(Duration::from_secs(seconds)));
                lint.warn(&section.name, key, reason, in_millis(key, seconds));
            }
        }
    }
}

fn flush_interval(lint: &mut Lint<'_>) {
    let interval = lint.config.flush_interval;
    let given = lint.given.entry("statsd", "flush_interval");
    if interval >= LONG {
        let reason = format!("a flush comes only every {}", words(interval));
        let remedy = match given.and_then(|entry| digits(&entry.value)) {
            Some(seconds) => in_millis("flush_interval", seconds),
            None => "Graphite expects values every few seconds or minutes, write 10s or 1m".into(),
        };
        lint.warn("statsd", "flush_interval", reason, remedy);
    } else if interval.subsec_millis() > 0 {
        let shorter = shown(Duration::from_secs(interval.as_secs()));
        lint.warn(
            "statsd",
            "flush_interval",
            "timestamps are whole seconds, so the points are not evenly spaced",
            format!("write whole seconds, such as flush_interval = {shorter}"),
        );
    }
}

/// Returns the remedy for a bare number that was meant in milliseconds.
fn in_millis(key: &str, number: u64) -> String {
    let meant = shown(Duration::from_millis(number));
    format!("a bare number is seconds; if milliseconds are meant, write {key} = {meant}")
}

fn shown(span: Duration) -> String {
    Span(Duration::ZERO).show(&span)
}

/// Returns a duration as people write it: `2h 46m 40s`.
fn words(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}
