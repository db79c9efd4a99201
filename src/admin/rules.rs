//! `rules`: each rule with its patterns, its settings, the number of series it applies to, and the
//! number of values it has dropped.
//!
//! The series are counted in slices of a turn. The answer is written once all are counted.

use super::text::write;
use super::view::View;
use crate::config::render_masked;
use crate::series::Cursor;

/// A count of the series of each rule, in progress.
#[derive(Debug, Default)]
pub(super) struct RuleCounts {
    cursor: Cursor,
    /// The series that each rule applies to, in the order of the rules.
    counts: Vec<u64>,
    /// The series that no rule applies to.
    others: u64,
}

/// About the number of patterns that one step compares. Each takes some ten nanoseconds.
const COMPARED: usize = 2048;
/// The most series that one step visits.
const STEP_PLACES: usize = 256;

impl RuleCounts {
    /// Does a part of the work. Returns `true` once the answer is written.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        let rules = &view.server.config.rules.rules;
        self.counts.resize(rules.len(), 0); // a reload may have changed the rules
        let patterns: usize = rules.iter().map(|rule| rule.matches.len()).sum();
        let work = (COMPARED / patterns.max(1)).clamp(1, STEP_PLACES);
        let Self { cursor, counts, others } = self;
        let is_done = view.server.engine.table_mut().visit(cursor, work, |visited| {
            if !visited.is_of_a_client() {
                return;
            }
            let mut is_other = true;
            visited.with_rule_name(|name| {
                for (rule, count) in rules.iter().zip(&mut *counts) {
                    if rule.matches_name(name) {
                        *count += 1;
                        is_other = false;
                    }
                }
            });
            *others += u64::from(is_other);
        });
        if is_done {
            self.write(view, out);
        }
        is_done
    }

    /// Writes each rule as a line with its count, and then its settings as the section has them.
    fn write(&self, view: &View<'_>, out: &mut Vec<u8>) {
        let config = render_masked(view.server.config);
        let rules = &view.server.config.rules.rules;
        let ledger = view.server.engine.read_ledger();
        for (rule, count) in rules.iter().zip(&self.counts) {
            let head = format!("[rule.{}]", rule.name);
            write(out, format_args!("{head} series={count}"));
            // A rule that drops has no series, and would look as if it matched nothing.
            if rule.drop == Some(true) {
                write(out, format_args!(" dropped_values={}", ledger.dropped_by(&rule.name)));
            }
            out.push(b'\n');
            let lines = config.lines().skip_while(|line| *line != head).skip(1);
            for line in lines.take_while(|line| !line.starts_with('[')) {
                if !line.is_empty() {
                    write(out, format_args!("  {line}\n"));
                }
            }
        }
        write(out, format_args!("no rule: series={}\nEND\n\n", self.others));
    }
}
