//! [`Finding`]: one line of what `--check` reports.

use std::fmt;

use crate::config::{ConfigWarning, Origin, SettingPlace};
use crate::few::sort_few;

/// What a finding means for a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A start would fail.
    Error,
    /// A start would go on, but something is probably wrong.
    Warning,
    /// It cannot be tested now, or only in part.
    Remark,
}

/// One line of what `--check` reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    /// Where it is: `statsd.conf:3`.
    place: String,
    at: Option<SettingPlace>,
    /// The section and the key, and the message about them.
    text: String,
}

/// The findings so far.
pub(super) struct Findings<'a> {
    origin: &'a Origin,
    list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(origin: &'a Origin) -> Self {
        Self { origin, list: Vec::new() }
    }

    pub(super) fn error(&mut self, section: &str, key: &str, what: String) {
        self.add(FindingKind::Error, section, key, &what);
    }

    pub(super) fn warning(&mut self, section: &str, key: &str, what: String) {
        self.add(FindingKind::Warning, section, key, &what);
    }

    pub(super) fn remark(&mut self, section: &str, key: &str, what: String) {
        self.add(FindingKind::Remark, section, key, &what);
    }

    pub(super) fn warning_of_config(&mut self, warning: &ConfigWarning) {
        let what = format!("{}; {}", warning.reason, warning.remedy);
        self.add(FindingKind::Warning, &warning.section, warning.key, &what);
    }

    pub(super) fn add(&mut self, kind: FindingKind, section: &str, key: &str, what: &str) {
        let key_text = if key.is_empty() { String::new() } else { format!(" {key}") };
        self.list.push(Finding {
            kind,
            place: self.origin.place(section, key),
            at: self.origin.given().place(section, key),
            text: format!("[{section}]{key_text}: {what}"),
        });
    }

    /// Returns all findings: errors first, each kind in the order of the file.
    pub(super) fn into_list(mut self) -> Vec<Finding> {
        sort_few(&mut self.list, |a, b| (a.kind, a.at).cmp(&(b.kind, b.at)));
        self.list
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, place, text, .. } = self;
        let kind = match kind {
            FindingKind::Error => "error",
            FindingKind::Warning => "warning",
            FindingKind::Remark => "remark",
        };
        write!(out, "{kind}: {place}: {text}")
    }
}
