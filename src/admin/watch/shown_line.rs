//! [`ShownLine`]: a line that was taken in, and the text that is shown of it. The verdict is what
//! the engine counted for the line.

use crate::admin::text::{name_and_state, put_quoted, refusals, shown_millis, write};
use crate::encode::sent_names::{NameEncoders, SentNames};
use crate::engine::Engine;
use crate::engine::explain::{Explanation, PreviewDepth, SampleEffect, SampleVerdict, explain};
use crate::ledger::OwnCounter;
use crate::protocol::{Reject, is_binary, trimmed};
use crate::sender::Sender;
use crate::series::AddError;
use crate::sink::{Feed, Sinks};
use crate::time::UnixTime;

/// A line that was taken in.
#[derive(Debug)]
pub(super) struct ShownLine {
    pub(super) time: UnixTime,
    pub(super) sender: Sender,
    /// The line, or the binary message.
    pub(super) piece: Box<[u8]>,
    /// For each kind, whether there was a series of its name before.
    pub(super) held: [bool; 4],
    /// What the engine has counted for it.
    pub(super) counted: LineCounts,
}

/// The bytes of a line that are shown, as by `dump_messages`.
const SHOWN_BYTES_MAX: usize = 200;

impl ShownLine {
    /// Returns the text of the line. It takes about 70 us.
    ///
    /// The line was taken in before, and so were later ones. So whether it has made a series is
    /// known from `held`, and if the engine counted something else than is foreseen now, its
    /// counts are the verdict.
    pub(super) fn text(&self, engine: &Engine, names: &mut NameEncoders, sinks: &Sinks) -> Vec<u8> {
        let mut explanation = explain(engine, names, &self.piece, PreviewDepth::SumsOnly);
        self.correct(&mut explanation);
        let is_binary = is_binary(&self.piece);
        let line = if is_binary { &self.piece } else { trimmed(&self.piece) };
        let verdict = verdict(&explanation, &self.counted);
        let mut text = begin_text(self.time, self.sender, line, &verdict);
        if let Explanation::Metrics(line) = &explanation {
            text.extend_from_slice(b" series=");
            put_quoted(&line.name, &mut text);
            let rules: Vec<&str> = line.rules.iter().map(|(name, _)| name.as_str()).collect();
            write(&mut text, format_args!(" rules={:?}", rules.join(",")));
            text.extend_from_slice(b" sent=");
            let points = || line.sent.iter().flat_map(|series| &series.points);
            put_quoted(&sent_as(points(), sinks), &mut text);
            for sink in sinks.iter() {
                let reasons = refusals(points(), sink);
                if !reasons.is_empty() {
                    let reasons = format!("{}: {}", sink.name(), reasons.join(", "));
                    text.extend_from_slice(b" not_sent=");
                    put_quoted(reasons.as_bytes(), &mut text);
                }
            }
        }
        text.push(b'\n');
        text
    }

    /// Corrects which values have made a series.
    fn correct(&self, explanation: &mut Explanation) {
        let Explanation::Metrics(line) = explanation else { return };
        let mut held = self.held;
        for sample in &mut line.samples {
            let kind = sample.effect.and_then(SampleEffect::kind);
            if let (SampleVerdict::Accepted { creates }, Some(kind)) = (&mut sample.verdict, kind) {
                *creates = !std::mem::replace(&mut held[kind as usize], true);
            }
        }
    }
}

/// Returns the text of a line that was refused because it is too long. `start` is its beginning.
pub(super) fn overlong_text(time: UnixTime, sender: Sender, start: &[u8]) -> Vec<u8> {
    let verdict = format!("refused: {}", Reject::LineTooLong);
    let mut text = begin_text(time, sender, start, &verdict);
    text.push(b'\n');
    text
}

/// Returns the first fields of a line's text.
fn begin_text(time: UnixTime, sender: Sender, line: &[u8], verdict: &str) -> Vec<u8> {
    let mut text = Vec::new();
    write(&mut text, format_args!("{} {sender} line=", shown_millis(time)));
    put_quoted(&line[..line.len().min(SHOWN_BYTES_MAX)], &mut text);
    if line.len() > SHOWN_BYTES_MAX {
        text.extend_from_slice(b"...");
    }
    write(&mut text, format_args!(" verdict={verdict:?}"));
    text
}

/// What the engine has counted.
#[derive(Debug, PartialEq)]
pub(super) struct LineCounts {
    pub(super) bad: u64,
    dropped: u64,
    rejected: u64,
}

impl LineCounts {
    pub(super) fn of(engine: &Engine) -> Self {
        let own = engine.own();
        Self {
            bad: own.total(OwnCounter::BadLinesSeen),
            dropped: own.total(OwnCounter::SamplesDropped),
            rejected: own.total(OwnCounter::SeriesRejected),
        }
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            bad: self.bad - before.bad,
            dropped: self.dropped - before.dropped,
            rejected: self.rejected - before.rejected,
        }
    }

    fn add(&mut self, verdict: &SampleVerdict) {
        match verdict {
            SampleVerdict::Bad(_) => self.bad += 1,
            SampleVerdict::Dropped(_) => self.dropped += 1,
            SampleVerdict::Refused(AddError::TooManySeries) => self.rejected += 1,
            SampleVerdict::Refused(_) => self.dropped += 1,
            _ => {}
        }
    }

    /// Returns what was counted, for a line that did something else than was foreseen.
    fn text(&self) -> String {
        let all = [
            (self.bad, "refused: bad_lines_seen"),
            (self.dropped, "dropped: samples_dropped"),
            (self.rejected, "refused: series_rejected"),
        ];
        let counted = all.iter().filter(|(count, _)| *count > 0);
        let texts: Vec<_> = counted.map(|(count, text)| format!("{text} {count}")).collect();
        if texts.is_empty() { "accepted".into() } else { texts.join("; ") }
    }
}

/// Returns the verdict on a line. If the engine has counted something else than was foreseen, its
/// counters are the verdict.
fn verdict(explanation: &Explanation, counted: &LineCounts) -> String {
    let foreseen = match explanation {
        Explanation::Empty => return "ignored: the line is empty".into(),
        Explanation::Event => return "ignored: an event or a service check".into(),
        Explanation::Binary if counted.bad == 0 && counted.dropped + counted.rejected == 0 => {
            return "accepted, a binary message".into();
        }
        Explanation::Binary => return counted.text(),
        Explanation::Bad(reject) => return format!("refused: {reject}"),
        Explanation::Metrics(line) if line.has_more_samples => return counted.text(),
        Explanation::Metrics(line) => &line.samples,
    };
    let mut expected = LineCounts { bad: 0, dropped: 0, rejected: 0 };
    let mut verdicts: Vec<(&SampleVerdict, usize)> = Vec::new();
    for sample in foreseen {
        expected.add(&sample.verdict);
        match verdicts.iter_mut().find(|(known, _)| **known == sample.verdict) {
            Some((_, count)) => *count += 1,
            None => verdicts.push((&sample.verdict, 1)),
        }
    }
    if expected != *counted {
        return counted.text();
    }
    let shown = |(verdict, count): &(&SampleVerdict, usize)| match count {
        1 => verdict.to_string(),
        _ => format!("{count} values {verdict}"),
    };
    verdicts.iter().take(4).map(shown).collect::<Vec<_>>().join("; ")
}

/// Returns for each destination its first name, and the number of further names.
fn sent_as<'a>(points: impl Iterator<Item = &'a SentNames>, sinks: &Sinks) -> Vec<u8> {
    let points: Vec<_> = points.collect();
    let mut text = Vec::new();
    for sink in sinks.iter() {
        let its = points.iter().filter(|points| sink.takes(Feed::Flushes(points.encoder)));
        let mut names = its.flat_map(|points| &points.names);
        let Some(first) = names.next() else { continue };
        let comma = if text.is_empty() { "" } else { ", " };
        write(&mut text, format_args!("{comma}{}: ", name_and_state(sink)));
        text.extend_from_slice(first);
        let more = names.count();
        if more > 0 {
            write(&mut text, format_args!(" +{more}"));
        }
    }
    text
}
