//! Applies packets to the table as the engine does. Except in the rows of new series, every name is
//! known, and its buffers have their final size.

use statsd::engine::{Closing, Engine};
use statsd::flush::{Subject, Summary};
use statsd::policy::FigureId;

use super::corpus::Corpus;
use super::{Routine, Row, Scale, engine, receive, row};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, make: fn(Scale) -> Apply| row("apply", name, "line", make);
    vec![
        row("W2", |_| Apply::new(Corpus::w2(), Touch::Again)),
        row("W3", |scale| Apply::new(Corpus::w3(scale, 2), Touch::Again)),
        row("W3 first touch", |scale| Apply::new(Corpus::w3(scale, 1), Touch::First)),
        row("W3 new series", |scale| Apply::new(Corpus::w3(scale, 1), Touch::New)),
        row("W5", |_| Apply::new(Corpus::w5(), Touch::Again)),
        row("W5 new series", |scale| Apply::new(Corpus::tagged(scale), Touch::New)),
        row("clients", |_| Apply::new(Corpus::clients(), Touch::Again)),
        // With a rule that changes names, though none of these.
        row("W2, a rule", |_| Apply::with_rules(Corpus::w2(), "", NO_NAME)),
        row("W5, a rule", |_| Apply::with_rules(Corpus::w5(), "", NO_NAME)),
        row("W2, renamed", |_| Apply::with_rules(Corpus::w2(), "", EACH_NAME)),
        row("W2, dropped", |_| Apply::with_rules(Corpus::w2(), &fifty_rules(), DROP)),
        row("W5, dropped", |_| Apply::with_rules(Corpus::w5(), &fifty_rules(), DROP)),
    ]
}

const NO_NAME: &str = "[rule.none]\nmatch = zz.**\ntags = a=b\n";
const EACH_NAME: &str = "[rule.each]\nmatch = **\ntags = a=b\n";
const DROP: &str = "[rule.drop]\nmatch = bench.**\ndrop = yes\n";

/// Rules that change names, though none of these.
fn fifty_rules() -> String {
    let rule = |n| format!("[rule.r{n}]\nmatch = svc{n}.**, *.svc{n}.*\ntags = a=b\n");
    (0..50).map(rule).collect()
}

struct Apply {
    corpus: Corpus,
    engine: Engine,
    touch: Touch,
    units: u64,
    /// The values that rules had dropped before.
    dropped: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    /// Each series was touched in this interval.
    Again,
    /// A tick has just been: what is touched first is rolled.
    First,
    /// The table is empty, so each name makes a series.
    New,
}

impl Apply {
    fn new(corpus: Corpus, touch: Touch) -> Self {
        let units = corpus.lines().count() as u64;
        Self { corpus, engine: empty(), touch, units, dropped: 0 }
    }

    fn with_rules(corpus: Corpus, rules: &str, last: &str) -> Self {
        let engine = engine(&format!("{SETTINGS}{rules}{last}"));
        Self { engine, ..Self::new(corpus, Touch::Again) }
    }

    fn apply(&mut self) {
        self.corpus.packets().for_each(|packet| receive(&mut self.engine, packet));
    }

    /// Closes all that has come; the sum of all counters.
    fn flush(&mut self) -> f64 {
        let closed = if self.engine.is_sweeping() { self.sweep() } else { 0.0 };
        self.engine.tick();
        closed + self.sweep()
    }

    fn sweep(&mut self) -> f64 {
        let mut sum = 0.0;
        let mut out = |summary: &Summary<'_>| {
            let counts = summary.figures.iter().filter(|figure| figure.id == FigureId::COUNT);
            if summary.subject == Subject::Counter {
                sum += counts.map(|figure| figure.value).sum::<f64>();
            }
        };
        while !self.engine.sweep(usize::MAX, &mut out) {}
        self.engine.finish(&Closing::default(), &mut |_| {});
        sum
    }
}

const SETTINGS: &str = "[statsd]\ntag_formats = dogstatsd, graphite, influx\n";

fn empty() -> Engine {
    engine(SETTINGS)
}

impl Routine for Apply {
    fn units(&self) -> u64 {
        self.units
    }

    fn prepare(&mut self) {
        if self.touch == Touch::New {
            self.engine = empty();
            return;
        }
        self.flush();
        self.apply();
        if self.touch == Touch::First {
            self.engine.tick();
        }
    }

    fn run(&mut self) {
        self.apply();
    }

    /// What was counted, and dropped, by the run and by what went before it.
    fn outcome(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.dropped, self.engine.ledger().dropped_by_rule());
        self.flush() + (self.dropped - before) as f64
    }
}
