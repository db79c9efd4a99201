//! Explains what a line would do, without doing it.
//!
//! ```text
//!  line ──▶ LineReader ──▶ samples ──▶ Intake, over a copy of their series ──▶ verdicts
//!                                            └─close──▶ Summary ──▶ copies of the encoders ──▶ names
//! ```
//! The code that takes in lines decides, and the code that sends points writes their names. Only
//! the objects are copies. So an explanation cannot differ from the truth, except for two things.
//! It assumes that condensing large timers makes room when `timer_memory` is short. And it shows
//! the names that the series would have if the interval ended now.

use std::fmt;

use super::Engine;
use super::close_series::close_series;
use super::intake::Intake;
use crate::encode::sent_names::{NameEncoders, SentNames};
use crate::flush::{Subject, Summarizer, Summary};
use crate::ledger::Ledger;
use crate::protocol::{
    LineReader, MetricKind, MetricLine, ParsedLine, Reject, Sample, is_binary, trimmed,
};
pub use crate::series::PreviewDepth;
use crate::series::{AddError, Audience, COPIED_MAX, Cursor, Passthrough, Preview};

/// What a line would do.
#[derive(Clone, Debug, PartialEq)]
pub enum Explanation {
    /// The line is empty. The server skips it, and does not count it.
    Empty,
    /// A DogStatsD event or service check. It is counted, and nothing else.
    Event,
    /// The line begins a message of statsite's binary protocol, which is no text.
    Binary,
    /// No value of the line is read.
    Bad(Reject),
    Metrics(ExplainedLine),
}

/// A line whose name is valid.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedLine {
    /// The name of the series, tags included.
    pub name: Vec<u8>,
    /// The canonical name that the line has, if rules make another one of it.
    pub original: Option<Vec<u8>>,
    /// Seconds since 1970, if the values have their own time.
    pub timestamp: Option<u64>,
    /// Whether the name looks as if it had tags of a dialect that is off.
    pub has_unread_tags: bool,
    /// Whether several values of a counter, gauge or key/value were read.
    pub has_packed: bool,
    /// The first [`SAMPLES_MAX`] values in the order of the line.
    pub samples: Vec<ExplainedSample>,
    /// Whether the line has more values. They are not explained.
    pub has_more_samples: bool,
    /// The rules that match the name in file order, and the settings that each gives.
    pub rules: Vec<(String, Vec<&'static str>)>,
    /// The series and the passed on values that at least one value was taken for.
    pub sent: Vec<SentSeries>,
}

/// The most values of a line that are explained. A line of 64 KiB may have 32,000, and to explain
/// them all would take more than a turn may.
const SAMPLES_MAX: usize = 1000;

/// A value of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedSample {
    /// The value as the line writes it.
    pub text: Vec<u8>,
    /// `None` if the type or the rate is bad.
    pub rate: Option<f64>,
    /// `None` if the value is bad.
    pub effect: Option<SampleEffect>,
    pub verdict: SampleVerdict,
}

/// The effect of a valid value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleEffect {
    Count(f64),
    /// The client keeps the total. Its increase is counted.
    Total(f64),
    Level(f64),
    Change(f64),
    /// A timing with this value, for a number of events.
    Time(f64, f64),
    Member,
    Kv(f64),
}

/// What happens to a value.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleVerdict {
    Accepted {
        /// Whether the value makes a new series.
        creates: bool,
    },
    /// The value is sent with the next flush as it is. It belongs to no series.
    PassedOn,
    /// Accepted into a series that the rule with this name drops when the interval ends. The rule
    /// is new since the last reload.
    Doomed(String),
    /// The value is bad. The log gives this reason.
    Bad(Reject),
    /// The rule with this name drops the value.
    Dropped(String),
    /// A limit is reached.
    Refused(AddError),
}

/// A series, or a value that is passed on, and the names that it is sent as.
#[derive(Clone, Debug, PartialEq)]
pub struct SentSeries {
    pub subject: Subject,
    pub points: Vec<SentNames>,
}

/// Explains a line. Changes nothing in the engine.
pub fn explain(
    engine: &Engine,
    encoders: &mut NameEncoders,
    line: &[u8],
    depth: PreviewDepth,
) -> Explanation {
    if is_binary(line) {
        return Explanation::Binary;
    }
    let line = trimmed(line);
    if line.is_empty() {
        return Explanation::Empty;
    }
    let mut reader = LineReader::new(engine.reader.grammar().clone());
    match reader.read(line) {
        ParsedLine::Metrics(parsed) => {
            Explanation::Metrics(Copied::new(engine, depth).line(&parsed, encoders))
        }
        ParsedLine::Event => Explanation::Event,
        ParsedLine::Bad(reject) => Explanation::Bad(reject),
    }
}

/// Returns the name of the rule that drops the values of a line. Returns `None` if there is none
/// now, or the line is a binary message.
pub fn dropping_rule(engine: &Engine, line: &[u8]) -> Option<String> {
    let mut reader = LineReader::new(engine.reader.grammar().clone());
    match reader.read(trimmed(line)) {
        ParsedLine::Metrics(parsed) => {
            engine.table().rules_of(parsed.name).dropped_by.map(str::to_owned)
        }
        _ => None,
    }
}

/// Explains a series of this name and kind, as if a sample of it had arrived. Changes nothing in
/// the engine.
pub fn explain_series(
    engine: &Engine,
    encoders: &mut NameEncoders,
    kind: MetricKind,
    name: &[u8],
) -> ExplainedLine {
    let sample = match kind {
        MetricKind::Counter => Sample::Count(1.0),
        MetricKind::Gauge => Sample::Change(0.0),
        MetricKind::Timing => Sample::Time { value: 1.0, weight: 1.0 },
        MetricKind::Set => Sample::Member(b"0"),
    };
    let mut copied = Copied::new(engine, PreviewDepth::AllSamples);
    let original = engine.table().original_name(kind, name);
    let original = original.as_deref().unwrap_or(name);
    let verdict = copied.take(original, sample, None);
    let mut line = copied.explained(original, None);
    line.samples.push(ExplainedSample {
        text: Vec::new(),
        rate: None,
        effect: Some(SampleEffect::of(sample)),
        verdict,
    });
    copied.finish(&mut line, encoders);
    line
}

/// Copies of what a line may change.
struct Copied<'a> {
    engine: &'a Engine,
    preview: Preview,
    intake: Intake,
    /// For each kind, whether a sample was added to its series.
    added: [bool; 4],
    /// The name that the rules make of that of the line, and the rule that drops it. To compare a
    /// name with all rules takes long, so this is done once.
    made: Option<(Vec<u8>, Option<String>)>,
}

impl<'a> Copied<'a> {
    fn new(engine: &'a Engine, depth: PreviewDepth) -> Self {
        let (preview, table) = Preview::new(engine.table(), depth);
        let intake = Intake {
            table,
            passthrough: Passthrough::new(engine.intake.passthrough.free()),
            frequent: None,
            ledger: Ledger::default(),
        };
        Self { engine, preview, intake, added: [false; 4], made: None }
    }

    /// Takes in a line as [`Engine::lines`] does.
    fn line(mut self, parsed: &MetricLine<'_>, encoders: &mut NameEncoders) -> ExplainedLine {
        let mut line = self.explained(parsed.name, parsed.timestamp);
        line.has_unread_tags = parsed.has_unread_tags;
        let mut samples = parsed.samples();
        while let Some((text, rate)) = samples.peek() {
            line.has_more_samples = line.samples.len() == SAMPLES_MAX;
            if line.has_more_samples {
                break;
            }
            let Some(sample) = samples.next() else { break };
            let (effect, verdict) = match sample {
                Err(reject) => (None, SampleVerdict::Bad(reject)),
                Ok(sample) => {
                    let verdict = self.take(parsed.name, sample, parsed.timestamp);
                    (Some(SampleEffect::of(sample)), verdict)
                }
            };
            line.samples.push(ExplainedSample { text: text.into(), rate, effect, verdict });
        }
        line.has_packed = samples.has_packed();
        self.finish(&mut line, encoders);
        line
    }

    /// Returns what is known of a line with this canonical name before its values are taken.
    fn explained(&self, original: &[u8], timestamp: Option<u64>) -> ExplainedLine {
        let name = self.engine.table().series_name(original);
        ExplainedLine {
            original: (*name != *original).then(|| original.into()),
            name: name.into_owned(),
            timestamp,
            has_unread_tags: false,
            has_packed: false,
            samples: Vec::new(),
            has_more_samples: false,
            rules: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Takes a sample of the name.
    fn take(&mut self, name: &[u8], sample: Sample<'_>, timestamp: Option<u64>) -> SampleVerdict {
        let table = self.engine.table();
        let kind = sample.kind();
        if let Some(kind) = kind
            && self.preview.prepare(&mut self.intake.table, table, kind, name)
        {
            self.fill(kind, name);
        }
        let (made, dropped_by) = self.made.get_or_insert_with(|| {
            let rule = table.rules_of(name).dropped_by;
            (table.series_name(name).into_owned(), rule.map(str::to_owned))
        });
        let Intake { table: copy, passthrough, .. } = &mut self.intake;
        let passed = passthrough.open().len();
        let is_held = kind.is_some_and(|kind| copy.has_series(kind, made));
        let hash = copy.hash(name);
        let taken = self.intake.take(name, hash, sample, timestamp);
        match taken {
            Ok(()) if self.intake.passthrough.open().len() > passed => SampleVerdict::PassedOn,
            Ok(()) => {
                self.added[kind.map_or(0, |kind| kind as usize)] = true;
                match dropped_by {
                    Some(rule) => SampleVerdict::Doomed(rule.clone()),
                    None => SampleVerdict::Accepted { creates: !is_held },
                }
            }
            // As `Intake::note` counts them.
            Err(AddError::NotFinite) => SampleVerdict::Bad(Reject::TooLarge),
            Err(AddError::ByRule(_)) => {
                SampleVerdict::Dropped(dropped_by.clone().unwrap_or_default())
            }
            Err(error) => SampleVerdict::Refused(error),
        }
    }

    /// Adds samples to the copy of a series that has more than are copied. Their values do not
    /// matter: their number decides whether a percentile has any, and so whether it is sent.
    fn fill(&mut self, kind: MetricKind, name: &[u8]) {
        let (sample, count) = match kind {
            MetricKind::Timing => (Sample::Time { value: 1.0, weight: 1.0 }, COPIED_MAX),
            _ => (Sample::Member(b"0"), 1),
        };
        let hash = self.intake.table.hash(name);
        for _ in 0..count {
            let _ = self.intake.take(name, hash, sample, None);
        }
    }

    /// Closes the interval of the copies, and notes the names that they are sent as.
    fn finish(mut self, line: &mut ExplainedLine, encoders: &mut NameEncoders) {
        let original = line.original.as_ref().unwrap_or(&line.name);
        let applied = self.engine.table().rules_of(original);
        let owned = |(rule, gives): (&str, Vec<_>)| (rule.to_owned(), gives);
        let is_doomed = applied.dropped_by.is_some();
        line.rules = applied.rules.into_iter().map(owned).collect();
        let mut summarizer = Summarizer::new(self.engine.flush_interval.as_secs_f64());
        let mut sent: Vec<SentSeries> = Vec::new();
        self.intake.passthrough.tick();
        while let Some(passing) = self.intake.passthrough.take() {
            let summary = summarizer.passing(&passing);
            if sent.iter().any(|known| known.subject == summary.subject) {
                continue; // all values of a line have one name and one time
            }
            SentSeries::add(&mut sent, summary.subject, encoders.names(&summary));
        }
        if !is_doomed {
            let added = self.added;
            let name = line.name.as_slice();
            self.intake.table.tick();
            let mut note = |summary: &Summary<'_>| {
                // The copy also has the series with the clean name of a raw name.
                let is_its = summary.name == name || summary.audience == Audience::Clean;
                if is_its && summary.subject.kind().is_some_and(|kind| added[kind as usize]) {
                    SentSeries::add(&mut sent, summary.subject, encoders.names(summary));
                }
            };
            let table = &mut self.intake.table;
            let cursor = &mut Cursor::default();
            close_series(table, cursor, usize::MAX, &mut summarizer, &mut [0; 3], None, &mut note);
        }
        line.sent = sent;
    }
}

impl SampleEffect {
    fn of(sample: Sample<'_>) -> Self {
        match sample {
            Sample::Count(more) => Self::Count(more),
            Sample::Cumulative { value, .. } => Self::Total(value),
            Sample::Level(level) => Self::Level(level),
            Sample::Change(more) => Self::Change(more),
            Sample::Time { value, weight } => Self::Time(value, weight),
            Sample::Member(_) => Self::Member,
            Sample::Kv(value) => Self::Kv(value),
        }
    }

    /// The kind of series that it is an effect on. A key/value has none.
    pub fn kind(self) -> Option<MetricKind> {
        match self {
            Self::Count(_) | Self::Total(_) => Some(MetricKind::Counter),
            Self::Level(_) | Self::Change(_) => Some(MetricKind::Gauge),
            Self::Time(..) => Some(MetricKind::Timing),
            Self::Member => Some(MetricKind::Set),
            Self::Kv(_) => None,
        }
    }
}

impl SentSeries {
    fn add(all: &mut Vec<Self>, subject: Subject, points: Vec<SentNames>) {
        match all.iter_mut().find(|sent| sent.subject == subject) {
            None => all.push(Self { subject, points }),
            Some(known) => points.into_iter().for_each(|points| points.add_to(&mut known.points)),
        }
    }
}

impl fmt::Display for SampleVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { creates: true } => out.write_str("accepted, makes a new series"),
            Self::Accepted { creates: false } => out.write_str("accepted, the series exists"),
            Self::PassedOn => out.write_str("accepted, passed on unchanged with the next flush"),
            Self::Doomed(rule) => {
                write!(out, "accepted, but [rule.{rule}] drops the series at the next flush")
            }
            Self::Bad(reject) => write!(out, "refused: {reject}"),
            Self::Dropped(rule) => write!(out, "dropped by [rule.{rule}]"),
            Self::Refused(error) => write!(out, "refused: {error}"),
        }
    }
}

impl fmt::Display for SampleEffect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(more) => write!(out, "counter, adds {}", number(*more)),
            Self::Total(total) => write!(out, "counter, total {} of the client", number(*total)),
            Self::Level(level) => write!(out, "gauge, sets {}", number(*level)),
            Self::Change(more) => write!(out, "gauge with a sign, {}", signed(*more)),
            Self::Time(value, events) if *events == 1.0 => {
                write!(out, "timer, {}", number(*value))
            }
            Self::Time(value, events) => {
                write!(out, "timer, {} for {} events", number(*value), number(*events))
            }
            Self::Member => out.write_str("member of a set"),
            Self::Kv(value) => write!(out, "key/value, {}", number(*value)),
        }
    }
}

fn number(value: f64) -> String {
    ryu_js::Buffer::new().format(value).to_owned()
}

fn signed(value: f64) -> String {
    let plus = if value.is_sign_negative() { "" } else { "+" };
    format!("{plus}{}", number(value))
}
