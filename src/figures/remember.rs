//! [`remember`]: keeps the figures of this moment, for the rates and for the charts.

use super::read::{read, sample};
use super::row::FigureKind;
use super::server_parts::ServerParts;

/// Remembers the present figures: the totals every few seconds, and all figures after each flush.
///
/// The loop calls this in turns that happen anyway, so an idle server is not woken for it.
pub fn remember(parts: &mut ServerParts<'_>) {
    if parts.flush.flushes != parts.recent.noted_flushes && parts.engine.history().is_on() {
        note_in_history(parts);
    }
    if parts.recent.rates.is_due(parts.now.tick) {
        let totals = sample(parts);
        parts.recent.rates.add(totals);
    }
}

/// Notes all figures in the history. It does not matter that this happens in a later step of the
/// turn than the flush: clients are served after it.
fn note_in_history(parts: &mut ServerParts<'_>) {
    let now = parts.now.tick;
    let before = parts.recent.noted_at.replace(now).unwrap_or(parts.flush.started.tick);
    let seconds = before.until(now).as_secs_f64();
    parts.recent.noted_flushes = parts.flush.flushes;
    let mut figures = Vec::new();
    read(parts, None, &mut |figure| {
        // Most of the two dozen reasons never occur. A reason gets a track with its first line.
        let is_unmet = figure.value == 0.0 && figure.row.label() == Some("reason");
        if !is_unmet {
            let label = figure.label.unwrap_or_default().to_owned();
            figures.push((figure.row, label, figure.value));
        }
    });
    let history = parts.engine.history_mut();
    for (row, label, value) in figures {
        match row.kind {
            FigureKind::Total => history.note_own_total(row.name, &label, value, seconds),
            FigureKind::Level => history.note_own(row.name, &label, value),
        }
    }
}
