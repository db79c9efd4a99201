//! [`close_series`]: closes series of the table, as a part of a flush or for `explain`.

use crate::flush::{Subject, Summarizer, Summary};
use crate::history::History;
use crate::policy::{FigureId, Plan};
use crate::protocol::MetricKind;
use crate::series::{Audience, Cursor, Table};

/// Closes about `work` series, counts them in `summaries`, and notes their values in the history,
/// if there is one. Returns true once all are closed.
///
/// A flush and `explain` call it, so that the loop of the sweep is compiled once.
#[inline(never)]
pub(super) fn close_series(
    table: &mut Table,
    cursor: &mut Cursor,
    work: usize,
    summarizer: &mut Summarizer,
    summaries: &mut [u64; 3],
    mut history: Option<&mut History>,
    out: &mut dyn FnMut(&Summary<'_>),
) -> bool {
    table.sweep(cursor, work, |audience, closed| {
        summaries[audience as usize] += 1;
        let is_remembered = closed.is_remembered;
        let plan = &closed.policy.plan;
        let summary = summarizer.closed(audience, closed);
        if is_remembered.get()
            && let Some(history) = &mut history
        {
            is_remembered.set(remember(history, &summary, plan));
        }
        out(&summary);
    })
}

/// Notes a closed series in the history. Returns `false` if there is no room for it.
#[allow(clippy::cast_possible_truncation)] // a chart needs no more digits
#[inline(never)]
fn remember(history: &mut History, summary: &Summary<'_>, plan: &Plan) -> bool {
    if summary.audience == Audience::Clean {
        return false; // a merged series; each client's name is kept by itself
    }
    let value = |id: FigureId| {
        let figure = summary.figures.iter().find(|figure| figure.id == id);
        figure.map_or(f32::NAN, |figure| figure.value as f32)
    };
    let name = summary.name;
    match summary.subject {
        Subject::Counter => history.note(MetricKind::Counter, name, &[value(FigureId::RATE)]),
        Subject::Gauge => history.note(MetricKind::Gauge, name, &[value(FigureId::VALUE)]),
        Subject::Set => history.note(MetricKind::Set, name, &[value(FigureId::COUNT)]),
        Subject::Timing => {
            let percentile = plan.upper_percentile().map_or(f32::NAN, value);
            let values = [
                value(FigureId::COUNT),
                value(FigureId::LOWER),
                value(FigureId::MEDIAN),
                percentile,
                value(FigureId::UPPER),
            ];
            history.note(MetricKind::Timing, name, &values)
        }
        _ => false,
    }
}
