//! [`remember`]: keeps the figures of this moment, for the rates and for the charts.

use super::read::{read, sample};
use super::row::FigureKind;
use super::server_parts::ServerParts;

/// Remembers the present figures: the totals every few seconds, and all figures after each flush.
///
/// The loop calls this in turns that happen anyway, so an idle server is not woken for it.
pub fn remember(from: &mut ServerParts<'_>) {
    if from.flush.flushes != from.recent.noted_flushes && from.engine.history().is_on() {
        note_in_history(from);
    }
    if from.recent.rates.is_due(from.now.tick) {
        let totals = sample(from);
        from.recent.rates.add(totals);
    }
}

/// Notes all figures in the history. It does not matter that this happens in a later step of the
/// turn than the flush: clients are served after it.
fn note_in_history(from: &mut ServerParts<'_>) {
    let now = from.now.tick;
    let before = from.recent.noted_at.replace(now).unwrap_or(from.flush.started.tick);
    let seconds = before.until(now).as_secs_f64();
    from.recent.noted_flushes = from.flush.flushes;
    let mut figures = Vec::new();
    read(from, None, &mut |figure| {
        // There are two dozen reasons for bad lines, of which a server meets a few.
        let is_unmet = figure.value == 0.0 && figure.row.label() == Some("reason");
        if !is_unmet {
            let label = figure.label.unwrap_or_default().to_owned();
            figures.push((figure.row, label, figure.value));
        }
    });
    let history = from.engine.history_mut();
    for (row, label, value) in figures {
        match row.kind {
            FigureKind::Total => history.note_own_total(row.name, &label, value, seconds),
            FigureKind::Level => history.note_own(row.name, &label, value),
        }
    }
}
