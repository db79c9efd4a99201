//! The measured routines, each with its corpus. Three programs run them: `micro.rs` for times,
//! `counts.rs` for instructions, and `tests/core/micro.rs`, which tests that each does its work.
//!
//! A routine is a row in one of the four tables. A run reads its corpus once. [`Routine::prepare`]
//! restores the state before each run, so that all runs do the same work. It is not measured.
#![allow(dead_code)] // each of the three uses its own part

pub(crate) mod apply;
pub(crate) mod close;
pub(crate) mod corpus;
pub(crate) mod encode;
pub(crate) mod parse;
pub(crate) mod summaries;

use std::fmt;

use statsd::engine::{Engine, Settings};
use statsd::series::Seeds;

/// A row: how it is called, what its figures are divided by, how it is made.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) make: fn(Scale) -> Box<dyn Routine>,
}

pub(crate) trait Routine {
    /// How many of the row's unit a run does.
    fn units(&self) -> u64;

    fn prepare(&mut self) {}

    fn run(&mut self);

    /// A figure into which all went that the last run did, for the test. What it costs is not
    /// measured.
    fn outcome(&mut self) -> f64;
}

/// How much is made where a corpus is not stored.
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

/// All tables by what they measure, in the order a sample meets it.
pub(crate) const ALL: [(&str, &[Row]); 4] = [
    ("parse", parse::ROWS),
    ("apply", apply::ROWS),
    ("close", close::ROWS),
    ("encode", encode::ROWS),
];

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
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
