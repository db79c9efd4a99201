//! [`AnswerStream`]: the answers that are made in slices, because they walk over all series, or
//! show lines as they arrive.

use super::metrics::MetricsPage;
use super::series_list::SeriesList;
use crate::admin::view::View;
use crate::admin::watch::Watching;
use crate::time::Tick;

/// The body of an answer, made in steps.
#[derive(Debug)]
pub(super) enum AnswerStream {
    Series(Box<SeriesList>),
    Metrics(Box<MetricsPage>),
    /// It has no end: it is sent until the client leaves.
    Watch(Box<Watching>),
}

impl AnswerStream {
    /// Whether the answer holds memory for many series.
    pub(super) fn is_dumping(&self) -> bool {
        match self {
            Self::Series(list) => list.is_begun(),
            Self::Metrics(page) => page.is_begun(),
            Self::Watch(_) => false,
        }
    }

    /// The bytes that the answer holds, where they depend on the number of series.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Metrics(page) => page.bytes(),
            Self::Series(_) | Self::Watch(_) => 0,
        }
    }

    /// Frees the memory that the answer holds. It begins again later, where it stopped.
    pub(super) fn pause(&mut self) {
        match self {
            Self::Series(list) => list.pause(),
            Self::Metrics(page) => page.pause(),
            Self::Watch(_) => {}
        }
    }

    /// Whether the answer may continue. If `may_dump` is `false`, one that has not begun must wait.
    pub(super) fn may_go_on(&self, may_dump: bool) -> bool {
        may_dump
            || match self {
                Self::Series(list) => !list.is_about_to_begin(),
                Self::Metrics(page) => !page.is_about_to_begin(),
                Self::Watch(_) => true,
            }
    }

    /// Whether the answer goes on only once there is something to show.
    pub(super) fn waits_for_lines(&self, now: Tick) -> bool {
        matches!(self, Self::Watch(watching) if !watching.has_news(now))
    }

    /// Does a part of the work, and appends to `out`. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Series(list) => list.step(view, out),
            Self::Metrics(page) => page.step(view, out),
            Self::Watch(watching) => {
                watching.step(view.now.tick, out);
                false
            }
        }
    }
}
