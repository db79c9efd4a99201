//! [`AnswerStream`]: the answers that are made in slices, because they walk over all series.

use super::metrics::MetricsPage;
use super::series_list::SeriesList;
use crate::admin::view::View;

/// The body of an answer, made in steps.
#[derive(Debug)]
pub(super) enum AnswerStream {
    Series(Box<SeriesList>),
    Metrics(Box<MetricsPage>),
}

impl AnswerStream {
    /// Whether the answer holds memory for many series.
    pub(super) fn is_dumping(&self) -> bool {
        match self {
            Self::Series(list) => list.is_begun(),
            Self::Metrics(page) => page.is_begun(),
        }
    }

    /// Frees the memory that the answer holds. It begins again later, where it stopped.
    pub(super) fn pause(&mut self) {
        match self {
            Self::Series(list) => list.pause(),
            Self::Metrics(page) => page.pause(),
        }
    }

    /// Whether the answer may continue. If `may_dump` is `false`, one that has not begun must wait.
    pub(super) fn may_go_on(&self, may_dump: bool) -> bool {
        may_dump
            || match self {
                Self::Series(list) => !list.is_about_to_begin(),
                Self::Metrics(page) => !page.is_about_to_begin(),
            }
    }

    /// Does a part of the work, and appends to `out`. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Series(list) => list.step(view, out),
            Self::Metrics(page) => page.step(view, out),
        }
    }
}
