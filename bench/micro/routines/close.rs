//! Closes an interval, from the tick to the last summary, in slices as the loop does. Nothing is
//! encoded.

use std::hint::black_box;

use statsd::engine::{Closing, Engine};

use super::corpus::Corpus;
use super::{Routine, Row, Scale, engine, receive, row};

pub(crate) fn rows() -> Vec<Row> {
    let timings = |scale: Scale, configuration: &str| {
        Close::new(Corpus::timings(scale), configuration, scale.timings * scale.samples)
    };
    let counters = |scale: Scale| Close::new(Corpus::counters(scale), "", scale.names);
    let three = "[statsd]\ntimer_metrics = count, sum, mean";
    vec![
        row("close", "counters", "series", counters),
        row("close", "idle counters", "series", move |scale| counters(scale).idle()),
        row("close", "timings", "sample", move |scale| timings(scale, "")),
        row("close", "timings' count, sum, mean", "sample", move |scale| timings(scale, three)),
    ]
}

struct Close {
    engine: Engine,
    /// The packets of one interval.
    corpus: Corpus,
    units: u64,
    sum: f64,
}

/// Series closed between two looks at the clock, as in `src/server/pipeline/flushing.rs`.
const STEP: usize = 256;

impl Close {
    fn new(corpus: Corpus, configuration: &str, units: usize) -> Self {
        Self { engine: engine(configuration), corpus, units: units as u64, sum: 0.0 }
    }

    /// After an interval with samples there are only those without.
    fn idle(mut self) -> Self {
        self.prepare();
        self.run();
        self.corpus = Corpus::default();
        self
    }
}

impl Routine for Close {
    fn units(&self) -> u64 {
        self.units
    }

    fn prepare(&mut self) {
        if self.engine.is_sweeping() {
            self.engine.finish(&Closing::default(), &mut |_| {});
        }
        self.corpus.packets().for_each(|packet| receive(&mut self.engine, packet));
    }

    fn run(&mut self) {
        let mut sum = 0.0;
        self.engine.tick();
        while !self.engine.sweep(STEP, &mut |summary| {
            sum += 1.0;
            summary.figures.iter().for_each(|figure| sum += figure.value);
        }) {}
        self.sum = black_box(sum);
    }

    /// One for each series, and all its figures.
    fn outcome(&mut self) -> f64 {
        self.sum
    }
}
