//! Writes the warnings that are due to the log: at most one line a minute for each kind.

use crate::engine::Engine;
use crate::flush::Own;
use crate::logging::{self, Bytes};
use crate::sender::Sender;
use crate::time::Tick;
use crate::warnings::{Warning, WarningKind};

/// Logs the warnings that are due at `now`.
pub(super) fn log_warnings(engine: &mut Engine, now: Tick) {
    engine.ledger().count(Own::LogLinesDropped, logging::take_dropped());
    while let Some(warning) = engine.ledger().due(now) {
        let newcomers = engine.table_mut().newcomers();
        log_warning(&warning, || newcomers.take_busiest().unwrap_or_default());
    }
}

/// `busiest` names what makes the most new series.
fn log_warning(warning: &Warning, busiest: impl FnOnce() -> Vec<u8>) {
    let Warning { what, count, example, sender } = warning;
    let text = what.text();
    let most_new = (*what == WarningKind::TooManySeries).then(|| Bytes(&busiest()).to_string());
    let sender = (*sender != Sender::Unknown).then(|| sender.to_string());
    let example = (!example.is_empty()).then(|| Bytes(example).to_string());
    log::warn!(
        (text.count_of) = count,
        reason = what.reason(),
        hint = text.hint,
        most_new, sender, example;
        "{}", text.sentence
    );
}
