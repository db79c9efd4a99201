//! Adds samples to their series, or passes them through, or counts why they were not taken.

use crate::ledger::{CLIENT_REPORT, Ledger, OwnCounter};
use crate::protocol::{
    LineReader, ParsedLine, PlainLine, Reject, Sample, Samples, is_binary, is_plain_for,
    plain_series_name, trimmed,
};
use crate::sender::Sender;
use crate::series::{
    AddError, AliasKey, Frequent, LargestGroup, LookedUpResult, Lookup, NameHash, Passthrough,
    PassthroughKind, PassthroughValue, PendingSample, Table,
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

/// The sender or prefix that fills the table, and the address of its sender.
#[derive(Clone, Debug)]
pub struct NamedGroup {
    pub group: LargestGroup,
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
    #[inline]
    pub(super) fn pending<'a>(&self, line: PlainLine<'a>, text: &'a [u8]) -> PendingSample<'a> {
        let name = line.plain.name;
        let lookup = match line.tags {
            None => Lookup::Name(self.table.hash(name)),
            Some(tags) => Lookup::Alias(self.table.alias_key(name, tags), tags),
        };
        PendingSample::new(line, text, lookup)
    }

    /// Adds the samples of plain lines in their order.
    ///
    /// Stops at the first sample whose name is neither known nor plain, and returns its index. The
    /// general reader must read that line.
    pub(super) fn add_all(
        &mut self,
        batch: &mut [PendingSample<'_>],
        reader: &mut LineReader,
        name_buffer: &mut [u8],
    ) -> Option<usize> {
        self.table.find_all(batch);
        let revision = self.table.revision();
        let mut stopped = None;
        let mut taken = 0;
        for (at, sample) in batch.iter().enumerate() {
            let may_create = || is_plain_for(reader.grammar(), sample.name);
            let added = self.table.add_looked_up(sample, revision, may_create);
            if added == LookedUpResult::NoSeries {
                if self.add_unfound(sample, reader, name_buffer) {
                    continue;
                }
                stopped = Some(at);
                break;
            }
            taken += 1;
            // While names are counted, no series is found by an alias.
            if let (Some(frequent), Lookup::Name(hash)) = (&mut self.frequent, sample.lookup) {
                frequent.add(sample.name, hash);
            }
            if let LookedUpResult::Refused(error) = added {
                self.note(Problem::NotAdded(error), sample.line);
            }
        }
        self.ledger.count(OwnCounter::MetricsReceived, taken);
        self.note_creations();
        stopped
    }

    /// Adds the sample of a line that no alias finds. Returns false, and adds nothing, if the
    /// general reader must read the line.
    #[inline(never)]
    fn add_unfound(
        &mut self,
        sample: &PendingSample<'_>,
        reader: &mut LineReader,
        name_buffer: &mut [u8],
    ) -> bool {
        let PendingSample { line, name, lookup: Lookup::Alias(alias, tags), .. } = *sample else {
            return false;
        };
        let Some(name) = plain_series_name(reader.grammar(), name, tags, name_buffer) else {
            let is_line = !is_binary(line) && memchr::memchr(b'\n', name).is_none();
            if is_line {
                self.any_line(line, reader);
            }
            return is_line;
        };
        self.ledger.count(OwnCounter::MetricsReceived, 1);
        let hash = self.table.hash(name);
        if let Some(frequent) = &mut self.frequent {
            frequent.add(name, hash);
        }
        if let Err(error) = self.take_new(name, hash, sample.sample(), Some(alias)) {
            self.note(Problem::NotAdded(error), line);
        }
        true
    }

    /// Adds a sample without a timestamp, as [`take`](Self::take) does. From then on, lines with
    /// the key `alias` are added to its series without being read, if nothing else needs the name.
    fn take_new(
        &mut self,
        name: &[u8],
        hash: NameHash,
        sample: Sample<'_>,
        alias: Option<AliasKey>,
    ) -> Result<(), AddError> {
        match alias {
            Some(alias)
                if self.frequent.is_none()
                    && !name.starts_with(CLIENT_REPORT)
                    && sample.kind().is_some() =>
            {
                let added = self.table.add_with_alias(name, hash, sample, alias);
                self.note_creations();
                added
            }
            _ => self.take(name, hash, sample, None),
        }
    }

    /// Takes in a line in any form, without its newline.
    pub(super) fn any_line(&mut self, line: &[u8], reader: &mut LineReader) {
        let line = trimmed(line);
        if line.is_empty() {
            return;
        }
        self.ledger.count(OwnCounter::MetricsReceived, 1);
        let unread = reader.split(line).filter(|_| self.frequent.is_none());
        let unread = unread.map(|split| (split, self.table.alias_key(split.name, split.tags)));
        if let Some((split, alias)) = unread
            && self.add_aliased(line, split.samples(), alias, reader)
        {
            return;
        }
        let parsed = match reader.read(line) {
            ParsedLine::Metrics(parsed) => parsed,
            ParsedLine::Event => return self.ledger.count(OwnCounter::EventsIgnored, 1),
            ParsedLine::Bad(reject) => return self.ledger.bad_line(reject, line),
        };
        if parsed.has_unread_tags {
            self.note_unread_tags(line);
        }
        let hash = self.table.hash(parsed.name);
        if let Some(frequent) = &mut self.frequent {
            frequent.add(parsed.name, hash);
        }
        let alias = unread.filter(|_| !parsed.has_unread_tags).map(|(_, alias)| alias);
        self.all_samples(line, parsed.samples(), |intake, sample| match parsed.timestamp {
            None => intake.take_new(parsed.name, hash, sample, alias),
            timestamp => intake.take(parsed.name, hash, sample, timestamp),
        });
    }

    /// Adds the samples of a line with this key, or counts that a rule drops them. Returns false,
    /// and does nothing, if neither the rule nor the series of its first sample is known.
    fn add_aliased(
        &mut self,
        line: &[u8],
        samples: Samples<'_>,
        alias: AliasKey,
        reader: &mut LineReader,
    ) -> bool {
        let first = samples.clone().next().and_then(Result::ok).and_then(|sample| sample.kind());
        if !first.is_some_and(|kind| self.table.has_alias(alias, kind)) {
            let Some(rule) = self.table.dropping_rule(alias) else { return false };
            self.all_samples(line, samples, |_, _| Err(AddError::ByRule(rule)));
            return true;
        }
        self.all_samples(line, samples, |intake, sample| {
            match intake.table.add_aliased(alias, sample) {
                LookedUpResult::Added => return Ok(()),
                LookedUpResult::Refused(error) => return Err(error),
                LookedUpResult::NoSeries => {}
            }
            // A series of another kind. The name is good, since it is that of a series.
            let ParsedLine::Metrics(parsed) = reader.read(line) else { return Ok(()) };
            let hash = intake.table.hash(parsed.name);
            intake.take_new(parsed.name, hash, sample, Some(alias))
        });
        true
    }

    /// Passes the samples of a line to `take`, and counts those that are bad or not taken.
    fn all_samples(
        &mut self,
        line: &[u8],
        mut samples: Samples<'_>,
        mut take: impl FnMut(&mut Self, Sample<'_>) -> Result<(), AddError>,
    ) {
        let mut values = 0;
        for sample in samples.by_ref() {
            values += 1;
            let taken = sample
                .map_err(Problem::Bad)
                .and_then(|sample| take(self, sample).map_err(Problem::NotAdded));
            if let Err(problem) = taken {
                self.note(problem, line);
            }
        }
        self.ledger.count_more_values(u64::saturating_sub(values, 1));
        if samples.has_packed() {
            self.ledger.warn(WarningKind::PackedValues, line);
        }
    }

    /// Returns the sender or prefix that fills the table, if the table refuses its names.
    pub(super) fn largest_group(&mut self) -> Option<NamedGroup> {
        let group = self.table.largest_group()?;
        let record = self.ledger.count_senders().by_id(group.sender);
        let sender = record.map_or(Sender::Unknown, |record| record.sender);
        Some(NamedGroup { group, sender })
    }

    /// Counts the series that were created, and the samples of the series that made room for them.
    /// Warns of the values of tags that were replaced, because there are too many.
    fn note_creations(&mut self) {
        self.ledger.set_series_created(self.table.counts().created);
        let lost = self.table.take_evicted_samples();
        if lost > 0 {
            self.ledger.count(OwnCounter::SeriesRejected, lost);
        }
        for tag in self.table.rules().take_replaced_tags() {
            self.ledger.warn(WarningKind::TagValues, &tag);
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
                let added = self.table.add(name, hash, sample);
                self.note_creations();
                return added;
            }
        };
        let made = self.table.rules().name_passing(name, hash).map_err(AddError::ByRule)?;
        let name = Box::from(&*made);
        self.note_creations(); // for the values of tags that were replaced
        let sender = self.ledger.sender_id();
        self.passthrough.add(PassthroughValue { name, what, value, timestamp, sender })
    }

    /// Counts a value that was not taken, and adds a warning unless a rule dropped it.
    pub(super) fn note(&mut self, problem: Problem, line: &[u8]) {
        if let Problem::NotAdded(error) = problem
            && error != AddError::NotFinite
        {
            self.ledger.note_refusal(error, line);
        }
        match problem {
            Problem::Bad(reject) => self.ledger.bad_line(reject, line),
            Problem::NotAdded(AddError::NotFinite) => self.ledger.bad_line(Reject::TooLarge, line),
            Problem::NotAdded(AddError::TooManySeries) => {
                self.ledger.count(OwnCounter::SeriesRejected, 1);
                self.ledger.warn(WarningKind::TooManySeries, line);
            }
            Problem::NotAdded(AddError::ByRule(rule)) => self.ledger.drop_by_rule(rule, 1),
            Problem::NotAdded(AddError::NoMemory) => {
                self.ledger.count(OwnCounter::SamplesDropped, 1);
                self.ledger.warn(WarningKind::NoTimerMemory, line);
            }
            Problem::NotAdded(AddError::NoPassthroughMemory) => {
                self.ledger.count(OwnCounter::SamplesDropped, 1);
                self.ledger.warn(WarningKind::NoPassthroughMemory, line);
            }
        }
    }

    /// Counts a line whose tags are not read, because their dialect is off.
    pub(super) fn note_unread_tags(&mut self, line: &[u8]) {
        self.ledger.count(OwnCounter::InfluxTagsSeen, 1);
        self.ledger.warn(WarningKind::UnreadTags, line);
    }
}
