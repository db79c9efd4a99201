//! The pure core as one object: packets and lines in, summaries out. No socket, clock, file, log or random source.
//!
//! ```text
//!  packet ─▶ lines, binary messages ─▶ LineReader ─▶ Table, Passthrough          tick ─▶ sweep, sweep, … ─▶ finish ─▶ Summary, …
//! ```
//! The order of a flush: [`Engine::tick`] ends the interval in O(1); [`Engine::sweep`] closes the series in slices while
//! samples of the next interval come in; [`Engine::finish`] sends the server's own figures, which mark the flush's end.

mod intake;
mod saved;

use std::time::Duration;

use intake::{Intake, Problem};
pub use saved::Restored;

use crate::flush::{Own, OwnCounters, Subject, Summarizer, Summary};
use crate::policy::Rules;
use crate::protocol::{
    Grammar, Kind, LineReader, Reading, Reject, first_piece, is_binary, is_plain_name, read_plain,
    trimmed,
};
use crate::series::{Batch, Bounds, Cursor, Frequent, MostFrequent, Passthrough, Seeds, Table};
use crate::warnings::{CloseReason, WarningKind, Warnings};

/// What an engine is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    pub grammar: Grammar,
    pub bounds: Bounds,
    pub rules: Rules,
    pub flush_interval: Duration,
    /// What the names of the server's own counters and gauges begin with where people look at them.
    pub prefix_stats: String,
    /// Count how often each name comes.
    pub count_names: bool,
}

#[derive(Debug)]
pub struct Engine {
    reader: LineReader,
    /// All names of series are canonical, and a canonical name reads as itself: a known one needs no reading.
    trusts: bool,
    /// Where the canonical names of a batch are written.
    room: Box<[u8]>,
    intake: Intake,
    flush: Flush,
    flush_interval: Duration,
}

/// The flush under way, or the last one.
#[derive(Debug)]
struct Flush {
    number: u64,
    /// None: no sweep is under way.
    cursor: Option<Cursor>,
    summaries: u64,
    summarizer: Summarizer,
    prefix_stats: String,
}

/// Figures of the server that the engine cannot know, for the end of a flush.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// Seconds the wall clock strayed from the flush interval; None at the first flush.
    pub timestamp_lag: Option<f64>,
    /// Name (without `prefix_stats`) and value, each sent as it is.
    pub figures: Vec<(String, f64)>,
}

impl Engine {
    pub fn new(settings: &Settings, seeds: Seeds) -> Self {
        let seconds = settings.flush_interval.as_secs_f64();
        Self {
            flush_interval: settings.flush_interval,
            reader: LineReader::new(settings.grammar.clone()),
            trusts: settings.grammar.is_idempotent(),
            room: room(&settings.grammar),
            intake: Intake {
                table: Table::new(
                    &settings.bounds,
                    &settings.rules,
                    settings.flush_interval,
                    seeds,
                ),
                passthrough: Passthrough::new(settings.bounds.passthrough_memory),
                frequent: settings.count_names.then(Frequent::default),
                own: OwnCounters::default(),
                warnings: Warnings::default(),
            },
            flush: Flush {
                number: 0,
                cursor: None,
                summaries: 0,
                summarizer: Summarizer::new(seconds),
                prefix_stats: settings.prefix_stats.clone(),
            },
        }
    }

    /// Other settings. The open interval is closed with them, but its rates are of its own length. No sweep may be under
    /// way.
    pub fn reconfigure(&mut self, settings: &Settings) {
        assert!(!self.is_sweeping(), "a flush has one configuration");
        self.trusts &= *self.reader.grammar() == settings.grammar; // names of before stay
        self.reader = LineReader::new(settings.grammar.clone());
        self.room = room(&settings.grammar);
        let intake = &mut self.intake;
        intake.table.reconfigure(&settings.bounds, &settings.rules, settings.flush_interval);
        intake.passthrough.limit(settings.bounds.passthrough_memory);
        if settings.count_names != intake.frequent.is_some() {
            intake.frequent = settings.count_names.then(Frequent::default);
        }
        self.flush.prefix_stats.clone_from(&settings.prefix_stats);
        self.flush_interval = settings.flush_interval;
    }

    /// Whether [`reconfigure`](Self::reconfigure) may be called with these: not during a sweep, and other rules not before
    /// all series have those before.
    pub fn can_take(&self, settings: &Settings) -> bool {
        let table = &self.intake.table;
        !self.is_sweeping() && table.can_take(&settings.rules, settings.flush_interval)
    }

    /// Takes in a datagram of lines.
    pub fn packet(&mut self, packet: &[u8]) {
        self.intake.own.add(Own::PacketsReceived, 1);
        self.lines(packet);
    }

    /// Takes in lines separated by newlines, the last of which may be missing, and binary messages between them.
    pub fn lines(&mut self, text: &[u8]) {
        self.some_lines(text, usize::MAX);
    }

    /// Takes in lines as [`lines`](Self::lines) does, but stops at the first line end at or after
    /// `share` bytes. Returns the rest of `text`.
    pub fn some_lines<'a>(&mut self, text: &'a [u8], share: usize) -> &'a [u8] {
        let (mut rest, mut trusts) = (text, self.trusts);
        let enough = text.len().saturating_sub(share);
        while rest.len() > enough {
            rest = self.plain_lines(rest, enough, &mut trusts);
            if rest.len() <= enough {
                return rest;
            }
            let (piece, behind) = first_piece(rest);
            if is_binary(piece) {
                self.binary(piece)
            } else {
                self.any_line(piece)
            }
            rest = behind;
        }
        rest
    }

    /// Takes in the plain lines at the start of `rest`, until at most `enough` bytes are left.
    /// Returns the rest.
    ///
    /// `trusts` becomes `false` at the first name that is neither known nor plain, since many more
    /// such names may follow.
    fn plain_lines<'a>(
        &mut self,
        mut rest: &'a [u8],
        enough: usize,
        trusts: &mut bool,
    ) -> &'a [u8] {
        let (grammar, intake) = (self.reader.grammar(), &mut self.intake);
        loop {
            let (start, mut room, mut batch) = (rest, &mut self.room[..], Batch::new());
            let mut is_full = false;
            while !is_full && let Some(line) = read_plain(grammar, rest, &mut room) {
                if !*trusts && !line.is_checked && !is_plain_name(line.plain.name) {
                    break;
                }
                batch.push(intake.wanted(line, rest));
                rest = rest.get(line.length + 1..).unwrap_or_default();
                is_full = batch.is_full() || room.len() < grammar.max_key_length;
            }
            if let Some(at) = intake.add_all(&mut batch) {
                *trusts = false;
                let before: usize = batch[..at].iter().map(|wanted| wanted.line.len() + 1).sum();
                return &start[before..];
            }
            if !is_full || rest.len() <= enough {
                return rest;
            }
        }
    }

    /// Takes in one message of statsite's binary protocol.
    pub fn binary(&mut self, message: &[u8]) {
        let intake = &mut self.intake;
        intake.own.add(Own::MetricsReceived, 1);
        let parsed = match self.reader.read_binary(message) {
            Ok(parsed) => parsed,
            Err(reject) => return intake.bad(reject, message),
        };
        if parsed.has_unread_tags {
            intake.note_unread_tags(message);
        }
        let hash = intake.table.hash(parsed.name);
        if let Some(frequent) = &mut intake.frequent {
            frequent.add(parsed.name, hash);
        }
        if let Err(refused) = intake.take(parsed.name, hash, parsed.sample, None) {
            intake.note(Problem::Refused(refused), message);
        }
    }

    /// Takes in a line that may be anything.
    fn any_line(&mut self, line: &[u8]) {
        let line = trimmed(line);
        if line.is_empty() {
            return;
        }
        let intake = &mut self.intake;
        intake.own.add(Own::MetricsReceived, 1);
        let parsed = match self.reader.read(line) {
            Reading::Line(parsed) => parsed,
            Reading::Event => return intake.own.add(Own::EventsIgnored, 1),
            Reading::Bad(reject) => return intake.bad(reject, line),
        };
        if parsed.has_unread_tags {
            intake.note_unread_tags(line);
        }
        let hash = intake.table.hash(parsed.name);
        if let Some(frequent) = &mut intake.frequent {
            frequent.add(parsed.name, hash);
        }
        for sample in parsed.samples() {
            let taken = sample.map_err(Problem::Bad).and_then(|sample| {
                intake.take(parsed.name, hash, sample, parsed.timestamp).map_err(Problem::Refused)
            });
            if let Err(problem) = taken {
                intake.note(problem, line);
            }
        }
    }

    /// Counts a line or message that was cut off at `max_line`, of which `start` is the beginning.
    pub fn overlong_line(&mut self, start: &[u8]) {
        self.intake.own.add(Own::MetricsReceived, 1);
        self.intake.bad(Reject::LineTooLong, start);
    }

    /// Counts something that happened outside the engine.
    pub fn count(&mut self, own: Own, more: u64) {
        self.intake.own.add(own, more);
    }

    /// Counts a connection that was closed as soon as it was accepted.
    pub fn refuse_connection(&mut self, why: WarningKind) {
        self.intake.own.add(Own::ConnectionsRefused, 1);
        self.intake.warnings.add(why, b"");
    }

    /// Counts a connection that was closed because nothing moved on it.
    pub fn close_idle_connection(&mut self, why: CloseReason) {
        self.intake.own.add(Own::IdleConnectionsClosed, 1);
        self.intake.warnings.add(WarningKind::Closed(why), b"");
    }

    /// Counts a packet of somebody who may not send any.
    pub fn refuse_packet(&mut self) {
        self.intake.own.add(Own::PacketsRefused, 1);
        self.intake.warnings.add(WarningKind::SenderRefused, b"");
    }

    /// Ends the open interval. The flush before it must be finished.
    pub fn tick(&mut self) -> u64 {
        assert!(self.flush.cursor.is_none(), "a tick waits for the end of the sweep before it");
        self.flush.number += 1;
        self.flush.cursor = Some(Cursor::default());
        self.flush.summaries = 0;
        self.intake.table.tick();
        self.intake.passthrough.tick();
        self.intake.own.tick();
        self.flush.number
    }

    pub fn is_sweeping(&self) -> bool {
        self.flush.cursor.is_some()
    }

    /// Closes about `work` series; true when none is left and [`Self::finish`] is due.
    pub fn sweep(&mut self, work: usize, out: &mut impl FnMut(&Summary<'_>)) -> bool {
        let Some(cursor) = &mut self.flush.cursor else { return true };
        let (summaries, summarizer) = (&mut self.flush.summaries, &mut self.flush.summarizer);
        for _ in 0..work {
            let Some(passing) = self.intake.passthrough.take() else {
                return self.intake.table.sweep(cursor, work, |closed| {
                    *summaries += 1;
                    out(&summarizer.closed(closed));
                });
            };
            out(&summarizer.passing(&passing));
        }
        false
    }

    /// Sends the own figures, the last of the flush.
    pub fn finish(&mut self, closing: &Closing, out: &mut impl FnMut(&Summary<'_>)) {
        let flush = &mut self.flush;
        assert!(flush.cursor.take().is_some(), "only a flush that was begun can end");
        self.intake.table.swept();
        self.intake.own.add(Own::FiguresNotFinite, flush.summarizer.take_not_finite());
        for (name, count) in self.intake.own.closing() {
            flush.summaries += 1;
            out(&flush.summarizer.own_counter(name, count as f64));
        }
        if let Some(lag) = closing.timestamp_lag {
            flush.summaries += 1;
            out(&flush.summarizer.own(Subject::OwnGauge, "timestamp_lag", lag));
        }
        out(&flush.summarizer.own(Subject::NumStats, "numStats", flush.summaries as f64));
        for (name, value) in &closing.figures {
            out(&flush.summarizer.own(Subject::Own, name, *value));
        }
        flush.summarizer.interval(self.flush_interval.as_secs_f64());
    }

    /// Forgets a series: what the flush under way has yet to close of it goes out, the open interval's value is lost.
    pub fn remove(&mut self, kind: Kind, name: &[u8], out: &mut impl FnMut(&Summary<'_>)) -> bool {
        let (summaries, summarizer) = (&mut self.flush.summaries, &mut self.flush.summarizer);
        self.intake.table.remove(kind, name, |closed| {
            *summaries += 1;
            out(&summarizer.closed(closed));
        })
    }

    /// Returns the most frequent `percent` of the names since the last call, the most frequent
    /// first. Returns none if names are not counted.
    pub fn take_frequent(&mut self, percent: u32) -> MostFrequent {
        let frequent = self.intake.frequent.as_mut();
        frequent.map_or_else(MostFrequent::default, |frequent| frequent.take(percent))
    }

    pub fn table(&self) -> &Table {
        &self.intake.table
    }

    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.intake.table
    }

    pub fn own(&self) -> &OwnCounters {
        &self.intake.own
    }

    /// What the names of own counters and gauges begin with.
    pub fn prefix_stats(&self) -> &str {
        &self.flush.prefix_stats
    }

    pub fn warnings(&mut self) -> &mut Warnings {
        &mut self.intake.warnings
    }
}

/// For the longest name, and a batch of usual ones.
fn room(grammar: &Grammar) -> Box<[u8]> {
    vec![0; grammar.max_key_length + 4096].into()
}
