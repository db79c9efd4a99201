//! Lines from the tests of other projects, and what those tests expect. Each line goes through the
//! core, and what comes out must be what the suite expects, or be in the table of differences that
//! are meant. `tests/vectors/README.md` describes the files.
//!
//! ```text
//!  lines/SUITE.jsonl ──▶ Vector ─┬─ what the suite expects ──▶ expected.rs ─┐
//!                                └─ the line ──▶ Engine ─────▶ outcome.rs ──┴─▶ equal, or in
//!                                                                               meant.tsv
//! ```
//! A failure prints each line that differs, with a row for the table in case that it is meant.

mod expected;
mod meant;
mod outcome;
mod source;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expected::Expected;
use meant::Meant;
use source::Vector;
use statsd::engine::Settings;

use crate::rig::configured;

/// The number of suites and of their lines. A file that is not read would otherwise pass unseen.
const SUITES: usize = 28;
const LINES: usize = 1961;

/// How many lines of a suite agree, differ as meant, and differ otherwise.
#[derive(Default)]
struct Score {
    agree: usize,
    meant: usize,
    wrong: usize,
}

#[test]
fn every_line_does_what_its_suite_expects_or_differs_as_meant() {
    let mut meant = Meant::read();
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut settings: BTreeMap<String, Settings> = BTreeMap::new();
    let mut report = String::new();
    for vector in source::vectors() {
        let score = scores.entry(vector.suite.clone()).or_default();
        let settings = settings
            .entry(vector.config.clone())
            .or_insert_with_key(|config| configured(&format!("[statsd]\n{config}\n")));
        match judge(&vector, settings, &mut meant) {
            Verdict::Agrees => score.agree += 1,
            Verdict::IsMeant => score.meant += 1,
            Verdict::Differs(text) => {
                score.wrong += 1;
                report += &text;
            }
        }
    }
    for row in meant.unused() {
        writeln!(report, "in the table, but no line differs like this: {row}\n").unwrap();
    }
    let summary = summary(&scores);
    #[allow(clippy::print_stdout)] // for `--nocapture`
    {
        println!("{summary}");
    }
    assert!(report.is_empty(), "\n{report}\n{summary}");
    assert_eq!(scores.len(), SUITES, "suites");
    let lines = scores.values().map(|score| score.agree + score.meant + score.wrong);
    assert_eq!(lines.sum::<usize>(), LINES, "lines");
}

/// All packets, each with the keys of `[statsd]` that it is for.
pub(crate) fn all_lines() -> impl Iterator<Item = (String, Vec<u8>)> {
    source::vectors().into_iter().map(|vector| (vector.config, vector.bytes))
}

enum Verdict {
    Agrees,
    IsMeant,
    Differs(String),
}

fn judge(vector: &Vector, settings: &Settings, meant: &mut Meant) -> Verdict {
    let expected = Expected::of(vector);
    let got = outcome::run(settings, &vector.bytes, &expected.members());
    let agrees = expected.matches(&got);
    let line = vector.shown();
    let row = meant::row(&vector.suite, &vector.config, &line, &got.to_string());
    let is_meant = meant.take(&row);
    match (agrees, is_meant) {
        (true, false) => Verdict::Agrees,
        (false, true) => Verdict::IsMeant,
        (true, true) => {
            Verdict::Differs(format!("agrees, but the table says it differs: {row}\n\n"))
        }
        (false, false) => Verdict::Differs(format!(
            "{} · {}\n  config   {}\n  line     {line}\n  expected {expected}\n  got      {got}\n  \
             row      {row}\n\n",
            vector.suite, vector.test, vector.config
        )),
    }
}

fn summary(scores: &BTreeMap<String, Score>) -> String {
    let mut out = format!("{:<22} {:>6} {:>6} {:>8}\n", "suite", "agree", "meant", "differ");
    let mut total = Score::default();
    for (suite, Score { agree, meant, wrong }) in scores {
        writeln!(out, "{suite:<22} {agree:>6} {meant:>6} {wrong:>8}").unwrap();
        total.agree += agree;
        total.meant += meant;
        total.wrong += wrong;
    }
    let Score { agree, meant, wrong } = total;
    writeln!(out, "{:<22} {agree:>6} {meant:>6} {wrong:>8}", "all").unwrap();
    out
}
