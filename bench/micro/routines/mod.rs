//! The measured routines, each with its corpus. Three programs run them: `micro.rs` for times,
//! `counts.rs` for instructions, and `tests/core/micro.rs`, which tests that each does its work.
//!
//! A run of a routine reads its corpus once. [`Routine::prepare`] restores the state before each
//! run, so that all runs do the same work. It is not measured.
#![allow(dead_code)] // each of the three uses its own part

pub(crate) mod apply;
pub(crate) mod close;
pub(crate) mod corpus;
pub(crate) mod encode;
pub(crate) mod parse;
mod summaries;

use std::fmt;
use std::hint::black_box;

use statsd::engine::{Engine, Settings};
use statsd::ledger::OwnCounter;
use statsd::series::Seeds;

/// A row: its group and its name, what its figures are divided by, how it is made.
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) make: Make,
}

type Make = Box<dyn Fn(Scale) -> Box<dyn Routine> + Send + Sync>;

pub(crate) trait Routine {
    /// How many of the row's unit a run does.
    fn units(&self) -> u64;

    fn prepare(&mut self) {}

    fn run(&mut self);

    /// A figure into which all went that the last run did, for the test. What it costs is not
    /// measured.
    fn outcome(&mut self) -> f64;
}

/// A routine that needs no preparation. Its run returns the outcome.
struct Plain<F> {
    units: u64,
    run: F,
    outcome: f64,
}

impl<F: FnMut() -> f64> Plain<F> {
    fn new(units: u64, run: F) -> Self {
        Self { units, run, outcome: 0.0 }
    }
}

impl<F: FnMut() -> f64> Routine for Plain<F> {
    fn units(&self) -> u64 {
        self.units
    }

    fn run(&mut self) {
        self.outcome = black_box((self.run)());
    }

    fn outcome(&mut self) -> f64 {
        self.outcome
    }
}

/// How much is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Of W3, and of the counters that are closed and encoded.
    pub(crate) names: usize,
    pub(crate) timings: usize,
    /// Of each timing.
    pub(crate) samples: usize,
}

impl Scale {
    pub(crate) const FULL: Self = Self { names: 100_000, timings: 10_000, samples: 100 };
    pub(crate) const SMALL: Self = Self { names: 400, timings: 20, samples: 10 };
}

/// All rows, in the order in which a sample meets them.
pub(crate) fn all() -> Vec<Row> {
    [parse::rows(), apply::rows(), close::rows(), encode::rows()].into_iter().flatten().collect()
}

fn row<R: Routine + 'static>(
    group: &'static str,
    name: impl Into<String>,
    unit: &'static str,
    make: impl Fn(Scale) -> R + Send + Sync + 'static,
) -> Row {
    Row { group, name: name.into(), unit, make: Box::new(move |scale| Box::new(make(scale))) }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.group, self.name)
    }
}

/// Takes in a datagram of lines, and counts it as the server does.
pub(crate) fn receive(engine: &mut Engine, packet: &[u8]) {
    engine.ledger_mut().count(OwnCounter::PacketsReceived, 1);
    engine.lines(packet);
}

/// An engine as a configuration file with this text makes it, with seeds that are always the same.
pub(crate) fn engine(text: &str) -> Engine {
    let config = statsd::config::parse("bench.conf".as_ref(), text.as_bytes());
    let config = config.expect("a configuration without mistakes");
    let settings = Settings {
        grammar: config.grammar,
        bounds: config.bounds,
        rules: config.rules,
        flush_interval: config.flush_interval,
        prefix_stats: "statsd".to_owned(),
        count_names: false,
    };
    Engine::new(&settings, Seeds { names: [1, 2, 3, 4], members: [5, 6] })
}
