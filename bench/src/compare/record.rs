//! The record of a run: rows of one figure each, stored as CSV.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// What a measurement found, by name.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// One figure of a measurement, or one fact about the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// `run`, `load`, `server`, `skipped`, or the name of a measurement.
    pub(crate) what: String,
    /// The workload.
    pub(crate) of: String,
    pub(crate) server: String,
    /// Of a measurement of several rounds, from 1 on; otherwise 0.
    pub(crate) round: u32,
    /// The name of the figure, or `failed`.
    pub(crate) figure: String,
    /// A number, a fact, or why the measurement failed.
    pub(crate) value: String,
}

#[derive(Debug, Default)]
pub(crate) struct Record(pub(crate) Vec<Row>);

impl Record {
    /// Adds a row with these columns.
    pub(crate) fn add(
        &mut self,
        what: &str,
        of: &str,
        server: &str,
        round: u32,
        figure: &str,
        value: &str,
    ) {
        let [what, of, server, figure, value] =
            [what, of, server, figure, value].map(str::to_owned);
        self.0.push(Row { what, of, server, round, figure, value });
    }

    pub(crate) fn of(&self, what: &str) -> impl Iterator<Item = &Row> {
        self.0.iter().filter(move |row| row.what == what)
    }

    /// Returns a fact of the run, which is empty if it is not known.
    pub(crate) fn run(&self, figure: &str) -> &str {
        self.of("run").find(|row| row.figure == figure).map_or("", |row| &row.value)
    }

    pub(crate) fn read(file: &Path) -> Outcome<Self> {
        let rows = csv::Reader::from_path(file).and_then(|csv| csv.into_deserialize().collect());
        Ok(Self(rows.map_err(|error| format!("{}: {error}", file.display()))?))
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), csv::Error> {
        let mut csv = csv::Writer::from_path(file)?;
        self.0.iter().try_for_each(|row| csv.serialize(row))?;
        Ok(csv.flush()?)
    }
}

/// Sorts figures, and returns their median, or `None` if there are none.
pub(crate) fn median(figures: &mut [f64]) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    Some(figures[last / 2].midpoint(figures[figures.len() / 2]))
}
