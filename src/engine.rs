//! The pure core as one object: packets and lines in, summaries out. It has no socket, clock, file,
//! log or random source.
//!
//! ```text
//!  lines ─┬─ plain ──▶ read_plain ──▶ Batch ──────────┐
//!         ├─ other ──▶ LineReader::read ──────────────┼──▶ Intake ──▶ Table, Passthrough
//!         └─ binary ─▶ LineReader::read_binary ───────┘                     │
//!                                                                           ▼
//!                               tick ──▶ sweep, sweep, … ──▶ finish ──▶ Summary, …
//! ```
//! The order of a flush: [`Engine::tick`] ends the interval in O(1); [`Engine::sweep`] closes the
//! series in slices while samples of the next interval come in; [`Engine::finish`] sends the
//! server's own figures, which mark the flush's end.

mod close_series;
pub mod explain;
mod intake;
mod restored;

use std::time::Duration;

use close_series::close_series;
pub use intake::NamedGroup;
use intake::{Intake, Problem};
pub use restored::Restored;
use restored::RestoredRecord;

use crate::flush::{Subject, Summarizer, Summary};
use crate::history::History;
use crate::ledger::{Ledger, OwnCounter, OwnCounters};
use crate::policy::{Rules, flushes};
use crate::protocol::{
    Grammar, LineReader, MetricKind, Reject, cleaned, first_piece, is_binary, is_clean,
    is_plain_for, read_plain,
};
use crate::series::{
    AddError, Audience, Batch, Bounds, Cursor, Frequent, MostFrequent, Passthrough,
    PassthroughValue, RestoreError, Seeds, Table,
};
use crate::time::UnixTime;
use crate::wire::{In, Put, RecordKind};

/// The settings of an engine.
#[derive(Clone, Debug)]
pub struct Settings {
    pub grammar: Grammar,
    pub bounds: Bounds,
    pub rules: Rules,
    pub flush_interval: Duration,
    /// The prefix of the names of the server's own counters and gauges.
    pub prefix_stats: String,
    /// Whether the lines with each name are counted.
    pub count_names: bool,
}

/// The engine: all series, the counters and the flush in progress.
#[derive(Debug)]
pub struct Engine {
    reader: LineReader,
    /// Whether all names of series are canonical, and the reader leaves a canonical name as it is.
    /// A name that the table holds then needs no reading.
    trusts_names: bool,
    /// The buffer for the canonical name of a new line with tags.
    name_buffer: Box<[u8]>,
    intake: Intake,
    flush: Flush,
    flush_interval: Duration,
    history: History,
    /// A flush has ended, and series may have to be exchanged in the history.
    is_exchange_due: bool,
}

/// The flush in progress, or the last one.
#[derive(Debug)]
struct Flush {
    number: u64,
    /// `None` if no sweep is in progress.
    cursor: Option<Cursor>,
    /// The series that this flush has closed, for each [`Audience`].
    summaries: [u64; 3],
    summarizer: Summarizer,
    prefix_stats: String,
    /// The `numStats` of the last flush, for destinations with raw names if they differ.
    num_stats: u64,
}

/// Figures for the end of a flush that only the server has.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// The difference in seconds between the flush interval and the time that passed on the wall
    /// clock. `None` at the first flush.
    pub timestamp_lag: Option<f64>,
    /// The names, without `prefix_stats`, and the values. They are sent unchanged.
    pub figures: Vec<(String, f64)>,
}

/// The number of series that [`Engine::save`] writes between two calls of `spill`.
const SAVE_STEP: usize = 256;

impl Engine {
    pub fn new(settings: &Settings, seeds: Seeds) -> Self {
        let seconds = settings.flush_interval.as_secs_f64();
        let mut engine = Self {
            flush_interval: settings.flush_interval,
            history: History::new(settings.bounds.history_memory, history_rows(settings)),
            is_exchange_due: false,
            reader: LineReader::new(settings.grammar.clone()),
            trusts_names: settings.grammar.is_idempotent(),
            name_buffer: name_buffer(&settings.grammar),
            intake: Intake {
                table: Table::new(
                    &settings.bounds,
                    &settings.rules,
                    settings.flush_interval,
                    seeds,
                ),
                passthrough: Passthrough::new(settings.bounds.passthrough_memory),
                frequent: settings.count_names.then(Frequent::default),
                ledger: Ledger::new(seeds.names),
            },
            flush: Flush {
                number: 0,
                cursor: None,
                summaries: [0; 3],
                summarizer: Summarizer::new(seconds),
                prefix_stats: settings.prefix_stats.clone(),
                num_stats: 0,
            },
        };
        if !settings.grammar.sanitize {
            engine.intake.table.accept_raw_names();
        }
        engine.intake.ledger.set_rules(settings.rules.names());
        engine
    }

    /// Sets other settings. Only a new engine takes another `sanitize`. The open interval is closed
    /// with them, but its rates are computed with the length that it had. No sweep may be in
    /// progress.
    pub fn reconfigure(&mut self, settings: &Settings) {
        assert!(!self.is_sweeping(), "a flush has one configuration");
        // Existing series keep the names that the old grammar made of them. A reader with another
        // grammar might make other names of the same lines.
        let names_as_before = self.reader.grammar().names_as(&settings.grammar);
        self.trusts_names &= names_as_before;
        // The table cannot change from clean names to raw ones.
        let sanitize = self.reader.grammar().sanitize;
        self.reader = LineReader::new(Grammar { sanitize, ..settings.grammar.clone() });
        self.name_buffer = name_buffer(&settings.grammar);
        let intake = &mut self.intake;
        intake.table.reconfigure(&settings.bounds, &settings.rules, settings.flush_interval);
        intake.passthrough.limit(settings.bounds.passthrough_memory);
        intake.ledger.set_rules(settings.rules.names());
        let counts_names = settings.count_names != intake.frequent.is_some();
        if counts_names {
            intake.frequent = settings.count_names.then(Frequent::default);
        }
        if counts_names || !names_as_before {
            intake.table.forget_aliases();
        }
        self.flush.prefix_stats.clone_from(&settings.prefix_stats);
        self.flush_interval = settings.flush_interval;
        self.history.limit(settings.bounds.history_memory, history_rows(settings));
    }

    /// Whether [`reconfigure`](Self::reconfigure) may be called with these rules. It must not be
    /// called during a sweep. New rules must wait until all series have the policies of the rules
    /// before them.
    pub fn can_take(&self, rules: &Rules, flush_interval: Duration) -> bool {
        !self.is_sweeping() && self.intake.table.can_reconfigure(rules, flush_interval)
    }

    /// Takes in lines separated by newlines, and binary messages between them. The last newline may
    /// be missing.
    pub fn lines(&mut self, text: &[u8]) {
        self.lines_up_to(text, usize::MAX);
    }

    /// Takes in lines as [`lines`](Self::lines) does, but stops at the first line end at or after
    /// `share` bytes. Returns the rest of `text`.
    pub fn lines_up_to<'a>(&mut self, text: &'a [u8], share: usize) -> &'a [u8] {
        let mut rest = text;
        let mut trusts_names = self.trusts_names;
        self.intake.table.set_sender(self.intake.ledger.sender_id());
        let stop_at = text.len().saturating_sub(share);
        while rest.len() > stop_at {
            if !self.intake.table.has_merged() {
                rest = self.plain_lines(rest, stop_at, &mut trusts_names);
                if rest.len() <= stop_at {
                    return rest;
                }
            }
            let (piece, after) = first_piece(rest);
            if is_binary(piece) {
                self.binary(piece)
            } else {
                self.intake.any_line(piece, &mut self.reader)
            }
            rest = after;
        }
        rest
    }

    /// Takes in the plain lines at the start of `rest`, until at most `stop_at` bytes are left.
    /// Returns the rest.
    ///
    /// `trusts_names` becomes `false` at the first name that is neither known nor plain, since many
    /// more such names may follow.
    fn plain_lines<'a>(
        &mut self,
        mut rest: &'a [u8],
        stop_at: usize,
        trusts_names: &mut bool,
    ) -> &'a [u8] {
        let intake = &mut self.intake;
        loop {
            let start = rest;
            let grammar = self.reader.grammar();
            let mut batch = Batch::new();
            while !batch.is_full()
                && let Some(line) = read_plain(grammar, rest)
            {
                if !*trusts_names && line.tags.is_none() && !is_plain_for(grammar, line.plain.name)
                {
                    break;
                }
                batch.push(intake.pending(line, rest));
                rest = rest.get(line.length + 1..).unwrap_or_default();
            }
            if let Some(at) = intake.add_all(&mut batch, &mut self.reader, &mut self.name_buffer) {
                // The general reader must read line `at`. Lines before it are added; those after it
                // are read again, so that all samples are added in their order.
                *trusts_names = false;
                let before: usize = batch[..at].iter().map(|sample| sample.line.len() + 1).sum();
                return &start[before..];
            }
            // A tagged line of the batch may have begun the first merged series.
            if !batch.is_full() || rest.len() <= stop_at || intake.table.has_merged() {
                return rest;
            }
        }
    }

    /// Takes in one message of statsite's binary protocol.
    pub fn binary(&mut self, message: &[u8]) {
        let intake = &mut self.intake;
        intake.table.set_sender(intake.ledger.sender_id());
        intake.ledger.count(OwnCounter::MetricsReceived, 1);
        let parsed = match self.reader.read_binary(message) {
            Ok(parsed) => parsed,
            Err(reject) => return intake.ledger.bad_line(reject, message),
        };
        if parsed.has_unread_tags {
            intake.note_unread_tags(message);
        }
        let hash = intake.table.hash(parsed.name);
        if let Some(frequent) = &mut intake.frequent {
            frequent.add(parsed.name, hash);
        }
        if let Err(error) = intake.take(parsed.name, hash, parsed.sample, None) {
            intake.note(Problem::NotAdded(error), message);
        }
    }

    /// Counts a line or message that is longer than `max_line`. `start` is its beginning.
    pub fn overlong_line(&mut self, start: &[u8]) {
        self.intake.ledger.count(OwnCounter::MetricsReceived, 1);
        self.intake.ledger.bad_line(Reject::LineTooLong, start);
    }

    /// Ends the open interval. The flush before it must be finished.
    pub fn tick(&mut self) -> u64 {
        assert!(self.flush.cursor.is_none(), "a tick waits for the end of the sweep before it");
        self.flush.number += 1;
        self.flush.cursor = Some(Cursor::default());
        self.flush.summaries = [0; 3];
        self.intake.table.tick();
        self.intake.passthrough.tick();
        self.intake.ledger.tick();
        self.flush.number
    }

    /// The number of intervals that were ended.
    pub fn flushes(&self) -> u64 {
        self.flush.number
    }

    pub fn is_sweeping(&self) -> bool {
        self.flush.cursor.is_some()
    }

    /// Closes about `work` series. Returns true once all series are closed and [`Self::finish`] is
    /// due.
    ///
    /// `out` is not generic. The loop of the sweep would then be compiled where it is called, and
    /// for size.
    pub fn sweep(&mut self, work: usize, out: &mut dyn FnMut(&Summary<'_>)) -> bool {
        let Flush { cursor, summaries, summarizer, .. } = &mut self.flush;
        let Some(cursor) = cursor else { return true };
        for _ in 0..work {
            let Some(passing) = self.intake.passthrough.take() else {
                let history = Some(&mut self.history).filter(|history| history.is_on());
                let table = &mut self.intake.table;
                return close_series(table, cursor, work, summarizer, summaries, history, out);
            };
            out(&summarizer.passing(&passing));
        }
        false
    }

    /// Sends the own figures, the last of the flush.
    pub fn finish(&mut self, closing: &Closing, out: &mut dyn FnMut(&Summary<'_>)) {
        let flush = &mut self.flush;
        assert!(flush.cursor.take().is_some(), "only a flush that was begun can end");
        self.intake.table.end_sweep();
        for (rule, samples) in self.intake.table.take_dropped_samples() {
            self.intake.ledger.drop_by_rule(rule, samples);
        }
        self.intake.ledger.count(OwnCounter::FiguresNotFinite, flush.summarizer.take_not_finite());
        for (name, count) in self.intake.ledger.own().closing() {
            out(&flush.summarizer.own_counter(name, count as f64));
        }
        // As in Node, `numStats` does not count the server's other own counters and figures.
        let mut own = OwnCounter::OF_NODE.len() as u64;
        if let Some(lag) = closing.timestamp_lag {
            own += 1;
            out(&flush.summarizer.own(Subject::OwnGauge, "timestamp_lag", lag));
        }
        let [every, raw, clean] = flush.summaries;
        flush.num_stats = every + raw + own;
        let mut num_stats = |audience, series| {
            let count = (series + own) as f64;
            let summary = flush.summarizer.own(Subject::NumStats, "numStats", count);
            out(&Summary { audience, ..summary });
        };
        if raw == clean {
            num_stats(Audience::Every, every + raw);
        } else {
            num_stats(Audience::Raw, every + raw);
            num_stats(Audience::Clean, every + clean);
        }
        for (name, value) in &closing.figures {
            out(&flush.summarizer.own(Subject::Own, name, *value));
        }
        flush.summarizer.set_interval(self.flush_interval.as_secs_f64());
    }

    /// Removes a series. If the flush in progress has not closed it yet, it is closed first. The
    /// value of the open interval is lost.
    pub fn remove(
        &mut self,
        kind: MetricKind,
        name: &[u8],
        out: &mut dyn FnMut(&Summary<'_>),
    ) -> bool {
        let summaries = &mut self.flush.summaries;
        let summarizer = &mut self.flush.summarizer;
        self.intake.table.remove(kind, name, |audience, closed| {
            summaries[audience as usize] += 1;
            out(&summarizer.closed(audience, closed));
        })
    }

    /// Writes the open interval in records: the own counters, the values that are passed through,
    /// and the series. No sweep may be in progress.
    ///
    /// `spill` is called now and then with the records so far, and may take them. Returns the
    /// records that it has not taken.
    pub fn save<E>(
        &self,
        mut spill: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        assert!(!self.is_sweeping(), "a save waits for the sweep");
        let mut out = Vec::new();
        for (name, count) in self.intake.ledger.own().open() {
            out.put_record(|out| {
                out.put_u8(RecordKind::OWN);
                out.put_name(name.as_bytes());
                out.put_u64(count);
            });
        }
        for passing in self.intake.passthrough.open() {
            out.put_record(|out| {
                out.put_u8(RecordKind::PASSING);
                passing.save(out);
            });
            spill(&mut out)?;
        }
        let mut cursor = Cursor::default();
        while !self.intake.table.save(&mut cursor, None, SAVE_STEP, &mut out, RecordKind::SERIES) {
            spill(&mut out)?;
        }
        Ok(out)
    }

    /// Writes about `work` gauges, from `cursor` on. Returns true once all gauges are written. No
    /// sweep may be in progress.
    pub fn save_gauges(&self, cursor: &mut Cursor, work: usize, out: &mut Vec<u8>) -> bool {
        assert!(!self.is_sweeping(), "a save waits for the sweep");
        self.intake.table.save(cursor, Some(MetricKind::Gauge), work, out, RecordKind::SERIES)
    }

    /// Restores a state that was saved by a server with this flush `interval`: all of it, or
    /// `only_gauges`. No sample may have arrived yet.
    pub fn restore(
        &mut self,
        mut input: In<'_>,
        interval: Duration,
        only_gauges: bool,
    ) -> Restored {
        let kind = only_gauges.then_some(MetricKind::Gauge);
        if !only_gauges {
            // The rates of the restored interval are computed with its own length.
            self.flush.summarizer.set_interval(interval.as_secs_f64());
        }
        let ratio = interval.as_secs_f64() / self.flush_interval.as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
        let age = |idle: u32| (f64::from(idle) * ratio) as u32;
        let mut rest = input.clone();
        let series = std::iter::from_fn(|| rest.record())
            .filter_map(|mut record| (record.u8()? == RecordKind::SERIES).then_some(record));
        self.intake.table.begin_restore(series);
        let mut restored = Restored::default();
        while !input.is_empty() {
            let Some(result) =
                input.record().and_then(|record| self.restore_record(record, kind, age))
            else {
                restored.damaged = true;
                break;
            };
            restored.count(result);
        }
        self.intake.ledger.skip_restored();
        self.intake.ledger.set_not_restored(restored.lost_events());
        // Another configuration may have accepted the names without changing them.
        self.trusts_names &= self.intake.table.are_names_canonical(self.reader.grammar());
        restored
    }

    /// Restores one record. Returns `None` if the record is damaged.
    fn restore_record(
        &mut self,
        mut record: In<'_>,
        kind: Option<MetricKind>,
        age: impl Fn(u32) -> u32,
    ) -> Option<RestoredRecord> {
        let intake = &mut self.intake;
        match record.u8()? {
            RecordKind::SERIES => {
                let before = intake.table.len();
                match intake.table.restore(record.clone(), kind, age) {
                    Ok(()) if intake.table.len() > before => Some(RestoredRecord::NewSeries),
                    Ok(()) => Some(RestoredRecord::Other),
                    Err(RestoreError::Damaged) => None,
                    // What a rule drops is no loss.
                    Err(RestoreError::Refused(AddError::ByRule(_))) => {
                        Some(RestoredRecord::Dropped)
                    }
                    Err(RestoreError::Refused(_)) => {
                        // The interval of a gauge that was saved alone is over.
                        let events = if kind.is_none() { Table::saved_events(record) } else { 0 };
                        Some(RestoredRecord::Refused { events })
                    }
                    Err(RestoreError::BothEstimates) => {
                        let events = Table::saved_events(record);
                        Some(RestoredRecord::BothEstimates { events })
                    }
                }
            }
            RecordKind::OWN if kind.is_none() => {
                let name = record.name()?;
                let count = record.u64()?;
                let known = OwnCounter::ALL.iter().find(|(_, known)| known.as_bytes() == name);
                if let Some((own, _)) = known {
                    intake.ledger.restore(*own, count);
                }
                Some(RestoredRecord::Other)
            }
            RecordKind::PASSING if kind.is_none() => {
                let mut passing = PassthroughValue::restore(&mut record)?;
                if self.reader.grammar().sanitize && !is_clean(&passing.name) {
                    passing.name = cleaned(&passing.name).into();
                }
                if passing.name.is_empty() {
                    return None;
                }
                let added = intake.passthrough.add(passing);
                let refused = RestoredRecord::Refused { events: 1 };
                Some(if added.is_ok() { RestoredRecord::Other } else { refused })
            }
            _ => Some(RestoredRecord::Other),
        }
    }

    /// Returns the most frequent `percent` of the names since the last call, the most frequent
    /// first. Returns none if names are not counted.
    pub fn take_frequent(&mut self, percent: u32) -> MostFrequent {
        let frequent = self.intake.frequent.as_mut();
        frequent.map_or_else(MostFrequent::default, |frequent| frequent.take(percent))
    }

    /// Whether the engine holds no series, and no value that is passed through.
    pub fn is_empty(&self) -> bool {
        self.intake.table.is_empty() && self.intake.passthrough.open().is_empty()
    }

    /// How lines are read.
    pub fn grammar(&self) -> &Grammar {
        self.reader.grammar()
    }

    /// The points of the last flushes.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The history, to note own figures in it.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// Notes the time of the flush that [`finish`](Self::finish) has ended.
    /// [`exchange_history`](Self::exchange_history) is due then.
    pub fn end_history(&mut self, time: UnixTime) {
        self.history.end_flush(time);
        self.is_exchange_due = self.history.is_full();
    }

    /// Does a part of what a flush leaves to do in the history: forgets series without points, and
    /// then exchanges some for more active ones. Returns `false` if nothing is left. Each call
    /// takes a part of a millisecond, so it is made in a turn of its own.
    pub fn exchange_history(&mut self) -> bool {
        if self.history.forget_some() {
            return true;
        }
        if !std::mem::take(&mut self.is_exchange_due) {
            return false;
        }
        let table = &mut self.intake.table;
        let hasher = table.name_hasher();
        let samples_of =
            |(kind, name): (_, &[u8])| table.top().samples_of(kind, name, hasher.hash_one(name));
        let counted = table.top().active();
        let active = counted.map(|counted| (counted.count, (counted.label, &*counted.name)));
        let (forgotten, offered) = self.history.exchange(active, samples_of);
        for (kind, name) in forgotten {
            table.set_remembered(kind, &name, false);
        }
        for (kind, name) in offered {
            table.set_remembered(kind, &name, true);
        }
        true
    }

    /// Returns the sender or prefix that fills the table, if it refuses its names.
    pub fn largest_group(&mut self) -> Option<NamedGroup> {
        self.intake.largest_group()
    }

    pub fn table(&self) -> &Table {
        &self.intake.table
    }

    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.intake.table
    }

    pub fn own(&self) -> &OwnCounters {
        self.intake.ledger.own()
    }

    /// The prefix of the names of own counters and gauges.
    pub fn prefix_stats(&self) -> &str {
        &self.flush.prefix_stats
    }

    /// The server's own counters and warnings.
    pub fn ledger(&self) -> &Ledger {
        &self.intake.ledger
    }

    /// Returns the bytes of the values that are passed through.
    pub fn passthrough_bytes(&self) -> usize {
        self.intake.passthrough.used()
    }

    /// Returns the number of series that the last flush has closed, as Node StatsD counts them.
    pub fn num_stats(&self) -> u64 {
        self.flush.num_stats
    }

    /// The server's own counters and warnings, to add to them.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.intake.ledger
    }
}

/// The number of flushes whose points are kept.
fn history_rows(settings: &Settings) -> usize {
    flushes(settings.bounds.history, settings.flush_interval) as usize
}

/// Returns a buffer with room for the longest name.
fn name_buffer(grammar: &Grammar) -> Box<[u8]> {
    vec![0; grammar.max_key_length].into()
}
