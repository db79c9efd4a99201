//! Where samples go from a line: to their series, past them all, or to a counter that says why not.

use crate::complaints::{Complaints, Grievance};
use crate::flush::{Own, OwnCounters};
use crate::protocol::{Plain, Reject, Sample};
use crate::series::{
    BATCH, Frequent, NameHash, Passing, Passthrough, Refused, Table, Untouched, Wanted,
};

/// Everything a sample can end in.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) table: Table,
    pub(super) passthrough: Passthrough,
    /// None: nobody asks.
    pub(super) frequent: Option<Frequent>,
    pub(super) own: OwnCounters,
    pub(super) complaints: Complaints,
}

/// Why a value of a line was not taken in.
pub(super) enum Problem {
    Bad(Reject),
    Refused(Refused),
}

impl Intake {
    pub(super) fn plain(&mut self, plain: &Plain<'_>, line: &[u8]) {
        let wanted = self.wanted(plain);
        self.add_all(&[wanted], &[line]);
    }

    pub(super) fn wanted<'a>(&mut self, plain: &Plain<'a>) -> Wanted<'a> {
        let hash = self.table.hash(plain.name);
        if let Some(frequent) = &mut self.frequent {
            frequent.add(plain.name, hash);
        }
        Wanted { name: plain.name, hash, sample: plain.sample }
    }

    /// Adds the samples of plain lines.
    pub(super) fn add_all(&mut self, batch: &[Wanted<'_>], lines: &[&[u8]]) {
        self.own.add(Own::MetricsReceived, batch.len() as u64);
        let (mut problems, mut count) = ([None; BATCH], 0);
        self.table.add_all(batch, |at, refused| {
            problems[count] = Some((at, refused));
            count += 1;
        });
        for &(at, refused) in problems[..count].iter().flatten() {
            self.note(Problem::Refused(refused), lines[at]);
        }
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
                self.complaints.add(Grievance::TooManySeries, line);
            }
            Problem::Refused(Refused::ByRule) => self.own.add(Own::SamplesDropped, 1),
            Problem::Refused(Refused::NoMemory) => {
                self.own.add(Own::SamplesDropped, 1);
                self.complaints.add(Grievance::NoMemory, line);
            }
        }
    }

    pub(super) fn note_unread_tags(&mut self, line: &[u8]) {
        self.own.add(Own::InfluxTagsSeen, 1);
        self.complaints.add(Grievance::UnreadTags, line);
    }

    pub(super) fn bad(&mut self, reject: Reject, line: &[u8]) {
        self.own.add(Own::BadLinesSeen, 1);
        self.complaints.add(Grievance::BadLine(reject), line);
    }
}
