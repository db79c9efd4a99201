//! Closes an interval, from the tick to the last summary, in slices as the loop does. Nothing is
//! encoded.

use std::hint::black_box;

use statsd::engine::{Closing, Engine};

use super::corpus::Corpus;
use super::{Routine, Row, engine};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "counters",
        unit: "series",
        make: |scale| Box::new(Close::new(Corpus::counters(scale), "", scale.names)),
    },
    Row {
        name: "idle counters",
        unit: "series",
        make: |scale| Box::new(Close::idle(Corpus::counters(scale), scale.names)),
    },
    Row {
        name: "timings",
        unit: "sample",
        make: |scale| {
            let samples = scale.timings * scale.samples;
            Box::new(Close::new(Corpus::timings(scale), "", samples))
        },
    },
    Row {
        name: "timings' count, sum, mean",
        unit: "sample",
        make: |scale| {
            let (samples, text) =
                (scale.timings * scale.samples, "[statsd]\ntimer_metrics = count, sum, mean");
            Box::new(Close::new(Corpus::timings(scale), text, samples))
        },
    },
];

struct Close {
    engine: Engine,
    /// The packets of one interval.
    corpus: Corpus,
    units: u64,
    sum: f64,
}

/// Series closed between two looks at the clock, as in `src/server/flushing.rs`.
const STEP: usize = 256;

impl Close {
    fn new(corpus: Corpus, configuration: &str, units: usize) -> Self {
        Self { engine: engine(configuration), corpus, units: units as u64, sum: 0.0 }
    }

    /// After an interval with samples there are only those without.
    fn idle(corpus: Corpus, units: usize) -> Self {
        let mut it = Self::new(corpus, "", units);
        it.prepare();
        it.run();
        it.corpus = Corpus::default();
        it
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
        self.corpus.packets().for_each(|packet| self.engine.packet(packet));
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
