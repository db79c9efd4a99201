//! The record of a run: rows of one figure each, stored as CSV.

use std::fmt::Write as _;

/// What a measurement found, by name.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// The columns of the file.
const HEAD: &str = "what,of,server,round,figure,value\n";

/// One figure of a measurement, or one fact about the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// `run`, `load`, `server`, `skipped`, `failed`, or the name of a measurement.
    pub(crate) what: String,
    /// The workload, the filling or the rate.
    pub(crate) of: String,
    pub(crate) server: String,
    /// Of a cost, from 1 on; else 0.
    pub(crate) round: u32,
    pub(crate) figure: String,
    pub(crate) value: String,
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) rows: Vec<Row>,
}

impl Record {
    /// Adds a fact that belongs to no measurement.
    pub(crate) fn note(&mut self, what: &str, of: &str, server: &str, figure: &str, value: &str) {
        let [what, of, server, figure, value] =
            [what, of, server, figure, value].map(str::to_owned);
        self.rows.push(Row { what, of, server, round: 0, figure, value });
    }

    /// Adds a fact of the run, or replaces its value.
    pub(crate) fn fact(&mut self, figure: &str, value: &str) {
        self.rows.retain(|row| row.what != "run" || row.figure != figure);
        self.note("run", "", "", figure, value);
    }

    pub(crate) fn add(&mut self, job: &Row, figures: &Figures) {
        let row = |(figure, value): &(&str, f64)| Row {
            figure: (*figure).to_owned(),
            value: value.to_string(),
            ..job.clone()
        };
        self.rows.extend(figures.iter().map(row));
    }

    pub(crate) fn of(&self, what: &str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.what == what)
    }

    /// Returns a fact of the run, which is empty if it is not known.
    pub(crate) fn run(&self, figure: &str) -> &str {
        self.of("run").find(|row| row.figure == figure).map_or("", |row| &row.value)
    }

    /// Returns the median and the range of a figure over the rounds.
    pub(crate) fn spread(
        &self,
        what: &str,
        of: &str,
        server: &str,
        figure: &str,
    ) -> Option<Spread> {
        let is_it = |row: &&Row| row.of == of && row.server == server && row.figure == figure;
        Spread::of(self.of(what).filter(is_it).filter_map(|row| row.value.parse().ok()))
    }

    pub(crate) fn csv(&self) -> String {
        let mut text = HEAD.to_owned();
        for Row { what, of, server, round, figure, value } in &self.rows {
            let [what, of, server, figure, value] =
                [what, of, server, figure, value].map(|text| quoted(text));
            let _ = writeln!(text, "{what},{of},{server},{round},{figure},{value}");
        }
        text
    }
}

/// As RFC 4180 has it: in quotes if it has a comma, a quote or a newline.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The median of some figures, and their range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let least = *figures.first()?;
        let most = *figures.last()?;
        let median = figures[(figures.len() - 1) / 2].midpoint(figures[figures.len() / 2]);
        Some(Self { median, least, most })
    }

    /// Half of the range, in percent of the median.
    pub(crate) fn percent(&self) -> f64 {
        (self.most - self.least) / self.median * 50.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (figures, median, percent) in
            [(vec![3.0, 1.0, 2.0], 2.0, 50.0), (vec![4.0], 4.0, 0.0), (vec![1.0, 3.0], 2.0, 50.0)]
        {
            let spread = Spread::of(figures).unwrap();
            assert_eq!((spread.median, spread.percent()), (median, percent));
        }
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn text_with_commas_quotes_and_lines_stays_one_field() {
        let mut record = Record::default();
        record.fact("command", "old");
        record.fact("command", "statsd-bench compare --only a,b");
        record.note("failed", "", "x", "reason", "it said \"no\"\nand ended");
        assert_eq!(
            record.csv(),
            "what,of,server,round,figure,value\n\
             run,,,0,command,\"statsd-bench compare --only a,b\"\n\
             failed,,x,0,reason,\"it said \"\"no\"\"\nand ended\"\n"
        );
    }
}
