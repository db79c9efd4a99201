//! From a summary to the points it is sent as: one for each of its figures that the name space has.

use super::names::{Affixes, PointNames};
use super::namespace::{Namespace, Style};
use crate::flush::{Subject, Summary};
use crate::policy::FigureNames;
use crate::protocol::{cleaned, is_clean};

/// Which points a name space is sent, and what they are called.
#[derive(Debug)]
pub(super) struct Points {
    names: PointNames,
    /// Whether a series in which nothing came is sent all the same; gauges always are.
    sends_idle: bool,
}

/// One value under one name. The name is clean: ASCII, without white space and what formats use for themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    around: &'a Affixes,
    bare: &'a [u8],
    /// From the first `;` on, or empty.
    pub(super) tags: &'a [u8],
    pub(super) value: f64,
    /// Its own time in seconds since 1970; None: the flush's stamp.
    pub(super) timestamp: Option<u64>,
}

impl Points {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            names: PointNames::new(namespace, figures),
            sends_idle: namespace.style != Style::Statsite,
        }
    }

    /// Hands on the points of a summary, in the order of its figures.
    #[inline(always)]
    pub(super) fn of(&self, summary: &Summary<'_>, out: impl FnMut(Point<'_>)) {
        if summary.idle && !self.sends_idle && summary.subject != Subject::Gauge {
            return;
        }
        if is_clean(summary.name) {
            self.of_clean(summary, out);
        } else {
            let name = cleaned(summary.name);
            self.of_clean(&Summary { name: &name, ..*summary }, out);
        }
    }

    #[inline(always)]
    fn of_clean(&self, summary: &Summary<'_>, mut out: impl FnMut(Point<'_>)) {
        let semicolon = memchr::memchr(b';', summary.name).unwrap_or(summary.name.len());
        let (bare, tags) = summary.name.split_at(semicolon);
        let timestamp = summary.timestamp;
        for figure in summary.figures {
            let around = self.names.around(summary.subject, figure.id, timestamp.is_some());
            if let Some(around) = around {
                out(Point { around, bare, tags, value: figure.value, timestamp });
            }
        }
    }
}

impl Point<'_> {
    /// What the figure is called; empty where the name says it all.
    pub(super) fn figure(&self) -> &[u8] {
        self.around.figure()
    }

    /// What tells the points of one summary apart that are not of one series.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.around.before
    }

    /// Appends the name of the series, which several figures share, without tags.
    pub(super) fn append_series_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.around.before);
        out.extend_from_slice(self.bare);
        out.extend_from_slice(self.around.suffix());
    }

    /// Appends its name without tags.
    #[inline(always)]
    pub(super) fn append_bare_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.around.before);
        out.extend_from_slice(self.bare);
        out.extend_from_slice(&self.around.behind);
    }

    /// Appends its name with tags, as Graphite writes them.
    #[inline(always)]
    pub(super) fn append_name(&self, out: &mut Vec<u8>) {
        self.append_bare_name(out);
        out.extend_from_slice(self.tags);
    }
}
