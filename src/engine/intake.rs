//! Adds samples to their series, or passes them through, or counts why they were not taken.

use crate::ledger::{CLIENT_REPORT, Ledger, Own};
use crate::protocol::{Grammar, PlainLine, Reject, Sample, is_plain_for};
use crate::sender::Sender;
use crate::series::{
    AddError, Crowd, Frequent, NameHash, Passthrough, PassthroughKind, PassthroughValue,
    PendingSample, Table,
};
use crate::warnings::WarningKind;

/// Everything that a sample can change.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) table: Table,
    pub(super) passthrough: Passthrough,
    /// `None` if names are not counted.
    pub(super) frequent: Option<Frequent>,
    pub(super) ledger: Ledger,
}

/// The sender or prefix with the most series, and the address of its sender.
#[derive(Clone, Debug)]
pub struct NamedCrowd {
    pub crowd: Crowd,
    /// The sender of the example. Unknown if it has no record any more.
    pub sender: Sender,
}

/// Why a value of a line was not taken.
pub(super) enum Problem {
    Bad(Reject),
    NotAdded(AddError),
}

impl Intake {
    /// Returns the sample of the plain line that `text` begins with.
    pub(super) fn pending<'a>(&self, line: PlainLine<'a>, text: &'a [u8]) -> PendingSample<'a> {
        PendingSample::new(line, text, self.table.hash(line.plain.name))
    }

    /// Adds the samples of plain lines in their order.
    ///
    /// Stops at the first sample whose name is neither known nor plain, and returns its index. The
    /// general reader must read that line.
    pub(super) fn add_all(
        &mut self,
        batch: &mut [PendingSample<'_>],
        grammar: &Grammar,
    ) -> Option<usize> {
        self.table.set_sender(self.ledger.sender_id());
        self.table.find_all(batch);
        let revision = self.table.revision();
        for (at, sample) in batch.iter().enumerate() {
            let may_create = || sample.is_checked || is_plain_for(grammar, sample.name);
            let Some(added) = self.table.add_pending(sample, revision, may_create) else {
                self.note_created();
                return Some(at);
            };
            self.ledger.count(Own::MetricsReceived, 1);
            // Clients write tags into their reports. So lines without tags need no search.
            if sample.is_checked
                && sample.name.starts_with(CLIENT_REPORT)
                && let Some(value) = sample.as_count()
            {
                self.ledger.client_report(sample.name, value);
            }
            if let Some(frequent) = &mut self.frequent {
                frequent.add(sample.name, sample.hash);
            }
            if let Err(error) = added {
                self.note(Problem::NotAdded(error), sample.line);
            }
        }
        self.note_created();
        None
    }

    /// Returns the sender or prefix with the most series, if the table refuses its names.
    pub(super) fn crowd(&mut self) -> Option<NamedCrowd> {
        let crowd = self.table.crowd()?;
        let record = self.ledger.senders().by_id(crowd.sender);
        let sender = record.map_or(Sender::Unknown, |record| record.sender);
        Some(NamedCrowd { crowd, sender })
    }

    /// Counts the series that were created, and the samples of the series that made room for them.
    fn note_created(&mut self) {
        self.ledger.set_series_created(self.table.counts().created);
        let lost = self.table.take_evicted_samples();
        if lost > 0 {
            self.ledger.count(Own::SeriesRejected, lost);
        }
    }

    /// Adds a sample to its series, or to the values that are passed through.
    pub(super) fn take(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        timestamp: Option<u64>,
    ) -> Result<(), AddError> {
        if let Sample::Count(value) = sample
            && name.starts_with(CLIENT_REPORT)
        {
            self.ledger.client_report(name, value);
        }
        let (what, value, timestamp) = match (sample, timestamp) {
            (Sample::Kv(value), _) => (PassthroughKind::Kv, value, None),
            (Sample::Count(value), Some(_)) => (PassthroughKind::Count, value, timestamp),
            (Sample::Level(value), Some(_)) => (PassthroughKind::Level, value, timestamp),
            _ => {
                self.table.set_sender(self.ledger.sender_id());
                let added = self.table.add(name, hash, sample);
                self.note_created();
                return added;
            }
        };
        if self.table.drops(name, hash) {
            return Err(AddError::ByRule);
        }
        self.passthrough.add(PassthroughValue { name: name.into(), what, value, timestamp })
    }

    /// Counts a value that was not taken, and adds a warning unless a rule dropped it.
    pub(super) fn note(&mut self, problem: Problem, line: &[u8]) {
        match problem {
            Problem::Bad(reject) => self.ledger.bad_line(reject, line),
            Problem::NotAdded(AddError::NotFinite) => self.ledger.bad_line(Reject::TooLarge, line),
            Problem::NotAdded(AddError::TooManySeries) => {
                self.ledger.count(Own::SeriesRejected, 1);
                self.ledger.warn(WarningKind::TooManySeries, line);
            }
            Problem::NotAdded(AddError::ByRule) => self.ledger.drop_by_rule(),
            Problem::NotAdded(AddError::NoMemory) => {
                self.ledger.count(Own::SamplesDropped, 1);
                self.ledger.warn(WarningKind::NoTimerMemory, line);
            }
            Problem::NotAdded(AddError::NoPassthroughMemory) => {
                self.ledger.count(Own::SamplesDropped, 1);
                self.ledger.warn(WarningKind::NoPassthroughMemory, line);
            }
        }
    }

    /// Counts a line whose tags are not read, because their dialect is off.
    pub(super) fn note_unread_tags(&mut self, line: &[u8]) {
        self.ledger.count(Own::InfluxTagsSeen, 1);
        self.ledger.warn(WarningKind::UnreadTags, line);
    }
}
