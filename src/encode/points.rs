//! Turns a summary into points: one for each of its figures that the name space sends.

use super::names::{Affixes, PointNames};
use super::namespace::{Namespace, Style};
use crate::flush::{Subject, Summary};
use crate::policy::{FigureId, FigureNames};
use crate::protocol::{cleaned, is_clean};

/// The points that a name space sends, and their names.
#[derive(Debug)]
pub(super) struct Points {
    names: PointNames,
    /// Whether an idle series is sent. An idle gauge always is.
    sends_idle: bool,
}

/// One value with its name. The name is clean: ASCII, without white space and without the
/// separators of the formats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    pub(super) id: FigureId,
    affixes: &'a Affixes,
    bare: &'a [u8],
    /// From the first `;` on, or empty.
    pub(super) tags: &'a [u8],
    pub(super) value: f64,
    /// Its own time in seconds since 1970. `None` stands for the timestamp of the flush.
    pub(super) timestamp: Option<u64>,
}

impl Points {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            names: PointNames::new(namespace, figures),
            sends_idle: namespace.style != Style::Statsite,
        }
    }

    /// Passes the points of a summary to `out`, in the order of its figures.
    #[inline(always)]
    pub(super) fn of(&self, summary: &Summary<'_>, mut out: impl FnMut(Point<'_>)) {
        if summary.idle && !self.sends_idle && summary.subject != Subject::Gauge {
            return;
        }
        // One loop for both cases, so that `out` is inlined into it.
        let cleaned_name;
        let name = if is_clean(summary.name) {
            summary.name
        } else {
            cleaned_name = cleaned(summary.name);
            &cleaned_name[..]
        };
        let semicolon = memchr::memchr(b';', name).unwrap_or(name.len());
        let (bare, tags) = name.split_at(semicolon);
        let timestamp = summary.timestamp;
        for figure in summary.figures {
            let affixes = self.names.affixes(summary.subject, figure.id, timestamp.is_some());
            if let Some(affixes) = affixes {
                out(Point { id: figure.id, affixes, bare, tags, value: figure.value, timestamp });
            }
        }
    }
}

impl Point<'_> {
    /// The name of the figure. Empty if the name of the series says it all.
    pub(super) fn figure(&self) -> &[u8] {
        self.affixes.figure()
    }

    /// The prefix of the name. Points of one summary with different prefixes belong to different
    /// series.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.affixes.prefix
    }

    /// Appends the name of the series, which all its figures share, without tags.
    pub(super) fn append_series_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.affixes.prefix);
        out.extend_from_slice(self.bare);
        out.extend_from_slice(self.affixes.global_suffix());
    }

    /// Appends its name without tags.
    #[inline(always)]
    pub(super) fn append_bare_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.affixes.prefix);
        out.extend_from_slice(self.bare);
        out.extend_from_slice(&self.affixes.suffix);
    }

    /// Appends its name with tags, as Graphite writes them.
    #[inline(always)]
    pub(super) fn append_name(&self, out: &mut Vec<u8>) {
        self.append_bare_name(out);
        out.extend_from_slice(self.tags);
    }
}
