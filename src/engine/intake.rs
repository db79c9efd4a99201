//! Where samples go from a line: to their series, past them all, or to a counter that says why not.

use crate::flush::{Own, OwnCounters};
use crate::protocol::{Plain, PlainLine, Reject, Sample, is_plain_name};
use crate::series::{Frequent, NameHash, Passing, Passthrough, Refused, Table, Untouched, Wanted};
use crate::warnings::{WarningKind, Warnings};

/// Everything a sample can end in.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) table: Table,
    pub(super) passthrough: Passthrough,
    /// None: nobody asks.
    pub(super) frequent: Option<Frequent>,
    pub(super) own: OwnCounters,
    pub(super) warnings: Warnings,
}

/// Why a value of a line was not taken in.
pub(super) enum Problem {
    Bad(Reject),
    Refused(Refused),
}

impl Intake {
    /// What a plain line wants.
    pub(super) fn wanted<'a>(&self, line: PlainLine<'a>, text: &'a [u8]) -> Wanted<'a> {
        let PlainLine { plain: Plain { name, kind, value, weight, text: member }, .. } = line;
        let known = (name, self.table.hash(name), line.is_checked);
        Wanted::new(&text[..line.length], known, kind, (value, weight, member))
    }

    /// Adds the samples of plain lines, in their order. It stops at the first whose name is neither known nor plain, and
    /// returns which that is: the general reader has to see it.
    pub(super) fn add_all(&mut self, batch: &mut [Wanted<'_>]) -> Option<usize> {
        self.table.find_all(batch);
        let made = self.table.made();
        for (at, wanted) in batch.iter().enumerate() {
            let may_make = || wanted.is_checked || is_plain_name(wanted.name);
            let Some(taken) = self.table.add_wanted(wanted, made, may_make) else {
                return Some(at);
            };
            self.own.add(Own::MetricsReceived, 1);
            if let Some(frequent) = &mut self.frequent {
                frequent.add(wanted.name, wanted.hash);
            }
            if let Err(refused) = taken {
                self.note(Problem::Refused(refused), wanted.line);
            }
        }
        None
    }

    /// To its series, or past them all.
    pub(super) fn take(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        timestamp: Option<u64>,
    ) -> Result<(), Refused> {
        let (what, value, timestamp) = match (sample, timestamp) {
            (Sample::Kv(value), _) => (Untouched::Kv, value, None),
            (Sample::Count(value), Some(_)) => (Untouched::Count, value, timestamp),
            (Sample::Level(value), Some(_)) => (Untouched::Level, value, timestamp),
            _ => return self.table.add(name, hash, sample),
        };
        if self.table.drops(name, hash) {
            return Err(Refused::ByRule);
        }
        self.passthrough.add(Passing { name: name.into(), what, value, timestamp })
    }

    pub(super) fn note(&mut self, problem: Problem, line: &[u8]) {
        match problem {
            Problem::Bad(reject) => self.bad(reject, line),
            Problem::Refused(Refused::NotFinite) => self.bad(Reject::TooLarge, line),
            Problem::Refused(Refused::TooManySeries) => {
                self.own.add(Own::SeriesRejected, 1);
                self.warnings.add(WarningKind::TooManySeries, line);
            }
            Problem::Refused(Refused::ByRule) => self.own.add(Own::SamplesDropped, 1),
            Problem::Refused(Refused::NoMemory) => {
                self.own.add(Own::SamplesDropped, 1);
                self.warnings.add(WarningKind::NoMemory, line);
            }
        }
    }

    pub(super) fn note_unread_tags(&mut self, line: &[u8]) {
        self.own.add(Own::InfluxTagsSeen, 1);
        self.warnings.add(WarningKind::UnreadTags, line);
    }

    pub(super) fn bad(&mut self, reject: Reject, line: &[u8]) {
        self.own.add(Own::BadLinesSeen, 1);
        self.warnings.add(WarningKind::BadLine(reject), line);
    }
}
