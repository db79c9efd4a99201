//! Turns a closed series into its summary: the figures it is sent as.

use super::sketched;
use super::timing::TimingFigures;
use crate::policy::{Figure, FigureId, Plan};
use crate::protocol::MetricKind;
use crate::series::{
    Audience, Closed, ClosedTiming, PassthroughKind, PassthroughValue, TimingTotals, Values,
};

/// A closed series. Encoders turn it into bytes; sinks never see it.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    pub subject: Subject,
    /// The destinations that get the summary.
    pub audience: Audience,
    /// The canonical name, tags included.
    pub name: &'a [u8],
    /// Whether the name is [plain](crate::protocol::is_plain_path). If not, an encoder must check
    /// it.
    pub has_plain_name: bool,
    pub figures: &'a [Figure],
    /// Whether the interval had no sample. Some styles do not send an idle series. Own figures are
    /// never idle.
    pub idle: bool,
    /// Seconds since 1970, for a value with its own time. `None` stands for the timestamp of the
    /// flush.
    pub timestamp: Option<u64>,
    /// The number that the ledger has for the sender of the last sample. 0 if it is unknown, and
    /// for own figures.
    pub sender: u16,
}

impl<'a> Summary<'a> {
    /// Returns a summary for all destinations, under the timestamp of the flush. The interval had
    /// samples. The name may be any.
    pub fn new(subject: Subject, name: &'a [u8], figures: &'a [Figure]) -> Self {
        Self {
            subject,
            audience: Audience::Every,
            name,
            has_plain_name: false,
            figures,
            idle: false,
            timestamp: None,
            sender: 0,
        }
    }
}

/// The subject of a summary, which decides its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Counter,
    Gauge,
    Timing,
    Set,
    /// A key/value, sent unchanged.
    Kv,
    /// A counter of the server itself. Its name, like those of the variants below, is without
    /// `prefix_stats`.
    OwnCounter,
    OwnGauge,
    /// Another figure of the server itself.
    Own,
    /// The number of series in this flush.
    NumStats,
}

impl Subject {
    /// The kind of a series of clients. `None` for other subjects.
    pub fn kind(self) -> Option<MetricKind> {
        match self {
            Self::Counter => Some(MetricKind::Counter),
            Self::Gauge => Some(MetricKind::Gauge),
            Self::Timing => Some(MetricKind::Timing),
            Self::Set => Some(MetricKind::Set),
            _ => None,
        }
    }
}

/// Makes one summary after the other in a buffer that it reuses.
#[derive(Debug)]
pub struct Summarizer {
    timing: TimingFigures,
    seconds: f64,
    figures: Vec<Figure>,
    not_finite: u64,
}

impl Summarizer {
    /// `seconds` is the configured flush interval. Rates are divided by it, as in Node.
    pub fn new(seconds: f64) -> Self {
        Self { timing: TimingFigures::default(), seconds, figures: Vec::new(), not_finite: 0 }
    }

    /// Sets the length of the next intervals.
    pub fn set_interval(&mut self, seconds: f64) {
        self.seconds = seconds;
    }

    /// Makes the summary of a closed series. Adds the interval to the record of a timing, if there
    /// is one.
    pub fn closed<'a>(&'a mut self, audience: Audience, closed: Closed<'a>) -> Summary<'a> {
        self.figures.clear();
        let plan = &closed.policy.plan;
        let subject = match closed.values {
            Values::Counter(count) => {
                self.push_counter(count);
                Subject::Counter
            }
            Values::Gauge(level) => {
                self.push(FigureId::VALUE, level);
                Subject::Gauge
            }
            values @ (Values::Timing { .. } | Values::Sketch(_)) => {
                self.push_timing(plan, values, closed.record);
                Subject::Timing
            }
            Values::Set { members } => {
                self.push(FigureId::COUNT, members as f64);
                Subject::Set
            }
        };
        let Closed { name, has_plain_name, idle, sender, .. } = closed;
        Summary {
            has_plain_name,
            subject,
            audience,
            name,
            figures: &self.figures,
            idle,
            timestamp: None,
            sender,
        }
    }

    /// Appends the figures of a timing, and adds them to its record. It is a function of its own so
    /// that series of other kinds pass through little code.
    #[inline(never)]
    fn push_timing(&mut self, plan: &Plan, values: Values<'_>, record: Option<&mut TimingTotals>) {
        let closed = match values {
            Values::Timing { samples, weight } => {
                let sum =
                    self.timing.append(plan, samples, weight, self.seconds, &mut self.figures);
                // Whatever the plan, the lowest sample is first now and the highest last.
                let lower = samples.first().copied().unwrap_or_default();
                let upper = samples.last().copied().unwrap_or_default();
                let samples = samples.len() as f64;
                ClosedTiming { weight, samples, sum, lower, upper }
            }
            Values::Sketch(sketch) => {
                sketched::append(plan, sketch, self.seconds, &mut self.figures);
                let all = sketch.moments();
                ClosedTiming {
                    weight: all.weight(),
                    samples: all.samples() as f64,
                    sum: all.sum(),
                    lower: all.lower(),
                    upper: all.upper(),
                }
            }
            Values::Counter(_) | Values::Gauge(_) | Values::Set { .. } => return,
        };
        self.leave_out_infinite();
        if let Some(record) = record {
            record.add(plan, closed, &self.figures);
        }
    }

    /// Makes the summary of a value that was not aggregated. It is sent as the count, gauge or
    /// key/value that it is. Such a count has no rate.
    pub fn passing<'a>(&'a mut self, passing: &'a PassthroughValue) -> Summary<'a> {
        let (subject, id) = match passing.what {
            PassthroughKind::Count => (Subject::Counter, FigureId::COUNT),
            PassthroughKind::Level => (Subject::Gauge, FigureId::VALUE),
            PassthroughKind::Kv => (Subject::Kv, FigureId::VALUE),
        };
        self.figures.clear();
        self.push(id, passing.value);
        let summary = Summary::new(subject, &passing.name, &self.figures);
        Summary { timestamp: passing.timestamp, sender: passing.sender, ..summary }
    }

    /// A counter of the server itself.
    pub fn own_counter<'a>(&'a mut self, name: &'a str, count: f64) -> Summary<'a> {
        self.figures.clear();
        self.push_counter(count);
        self.of_server(Subject::OwnCounter, name)
    }

    /// Another figure of the server itself.
    pub fn own<'a>(&'a mut self, subject: Subject, name: &'a str, value: f64) -> Summary<'a> {
        self.figures.clear();
        self.push(FigureId::VALUE, value);
        self.of_server(subject, name)
    }

    /// Returns how many figures were left out since the last call because they were not finite.
    pub fn take_not_finite(&mut self) -> u64 {
        std::mem::take(&mut self.not_finite)
    }

    fn of_server<'a>(&'a self, subject: Subject, name: &'a str) -> Summary<'a> {
        Summary::new(subject, name.as_bytes(), &self.figures)
    }

    fn push_counter(&mut self, count: f64) {
        self.push(FigureId::RATE, count / self.seconds);
        self.push(FigureId::COUNT, count);
    }

    fn push(&mut self, id: FigureId, value: f64) {
        if value.is_finite() {
            self.figures.push(Figure { id, value });
        } else {
            self.not_finite += 1;
        }
    }

    /// Removes the figures that overflowed: squares and sums of large samples. The other figures of
    /// the timing are still valid.
    fn leave_out_infinite(&mut self) {
        let before = self.figures.len();
        self.figures.retain(|figure| figure.value.is_finite());
        self.not_finite += (before - self.figures.len()) as u64;
    }
}
