//! `rules`: each rule with its patterns, its settings, the number of series it applies to, and the
//! number of values it has dropped.
//!
//! The series are counted in slices of a turn. The answer is written once all are counted.

use super::text::write;
use super::view::View;
use crate::config::render_masked;
use crate::policy::Rule;
use crate::series::{Cursor, SeriesPlace, Table};

/// A count of the series of each rule, in progress.
#[derive(Debug, Default)]
pub(super) struct RuleCounts {
    /// The series that is compared now, or the next one.
    cursor: Cursor,
    /// The series that a step has left before its last rule.
    compared: Option<SeriesPlace>,
    /// The index of the next rule that this series is compared with.
    next_rule: usize,
    /// The indices of the rules before that one which apply to the series. They count once it is
    /// compared with all rules, because it may be removed before that.
    matching: Vec<usize>,
    /// The series that each rule applies to, in the order of the rules.
    counts: Vec<u64>,
    /// The series that no rule applies to.
    others: u64,
}

/// The work of one step, in comparisons of a short name with a pattern. Each takes some ten
/// nanoseconds.
const STEP_WORK: usize = 2048;
/// What a regular expression takes, and the bytes of a name that take as much again.
const REGEX_WORK: usize = 50;
const NAME_BYTES: usize = 64;
/// The most series that one step visits.
const STEP_PLACES: usize = 256;

impl RuleCounts {
    /// Does a part of the work. Returns `true` once the answer is written.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        let is_done = self.count(&view.server.config.rules.rules, view.server.engine.table_mut());
        if is_done {
            self.write(view, out);
        }
        is_done
    }

    /// Counts some series. The step may end between two rules of a series, since 100 regular
    /// expressions take 40 ms for a name of 8 KB. Returns `true` after the last series.
    fn count(&mut self, rules: &[Rule], table: &mut Table) -> bool {
        self.counts.resize(rules.len(), 0);
        let Self { cursor, compared, next_rule, matching, counts, others } = self;
        let mut work = 0;
        for _ in 0..STEP_PLACES {
            let mut after = *cursor;
            let mut is_compared = true;
            let is_over = table.visit(&mut after, 1, |visited| {
                if !visited.is_of_a_client() {
                    return;
                }
                if compared.replace(visited.place) != Some(visited.place) {
                    *next_rule = 0;
                    matching.clear();
                }
                let pieces = 1 + visited.key().len() / NAME_BYTES;
                is_compared = visited.with_rule_name(|name| {
                    for rule in &rules[*next_rule..] {
                        if work >= STEP_WORK {
                            return false;
                        }
                        if rule.matches_name(name) {
                            matching.push(*next_rule);
                        }
                        work += work_of(rule) * pieces;
                        *next_rule += 1;
                    }
                    true
                });
                if is_compared {
                    matching.iter().for_each(|rule| counts[*rule] += 1);
                    *others += u64::from(matching.is_empty());
                    *compared = None;
                }
            });
            if is_compared {
                *cursor = after;
            }
            if is_over || work >= STEP_WORK {
                return is_over && is_compared;
            }
        }
        false
    }

    /// Writes each rule as a line with its count, and then its settings as the section has them.
    fn write(&self, view: &View<'_>, out: &mut Vec<u8>) {
        let config = render_masked(view.server.config);
        let rules = &view.server.config.rules.rules;
        let ledger = view.server.engine.ledger();
        let mut rest = &*config;
        for (rule, count) in rules.iter().zip(&self.counts) {
            let head = format!("[rule.{}]", rule.name);
            write(out, format_args!("{head} series={count}"));
            // A rule that drops has no series, and would look as if it matched nothing.
            if rule.drop == Some(true) {
                write(out, format_args!(" dropped_values={}", ledger.dropped_by(&rule.name)));
            }
            out.push(b'\n');
            // The sections follow each other as the rules do, so each line is read once.
            let Some((_, settings)) = rest.split_once(&format!("\n{head}\n")) else { continue };
            rest = settings;
            for line in settings.lines().take_while(|line| !line.starts_with('[')) {
                if !line.is_empty() {
                    write(out, format_args!("  {line}\n"));
                }
            }
        }
        write(out, format_args!("no rule: series={}\nEND\n\n", self.others));
    }
}

/// Returns the settings by which a rule matches names, as its section has them.
pub(super) fn patterns(config: &str, rule: &str) -> String {
    let head = format!("\n[rule.{rule}]\n");
    let settings = config.split_once(&head).map_or("", |(_, settings)| settings);
    let lines = settings.lines().take_while(|line| !line.starts_with('['));
    let lines: Vec<_> = lines.filter(|line| line.starts_with("match")).collect();
    lines.join("; ")
}

/// Returns the work of comparing a rule with a short name.
fn work_of(rule: &Rule) -> usize {
    let regex = if rule.match_regex.is_some() { REGEX_WORK } else { 0 };
    rule.matches.len() + rule.match_tags.len() + regex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{NameRegex, Rules};
    use crate::protocol::MetricKind;

    const SERIES: usize = 1000;

    /// Returns the number of steps in which the series of these rules are counted, of which the
    /// last one matches.
    fn steps(rules: &[Rule], name_bytes: usize) -> usize {
        let mut engine = crate::admin::tests::engine(Rules::default());
        for number in 0..SERIES {
            engine.lines(format!("{}{number:04}:1|c", "x".repeat(name_bytes - 4)).as_bytes());
        }
        let mut counts = RuleCounts::default();
        let mut steps = 1;
        while !counts.count(rules, engine.table_mut()) {
            steps += 1;
        }
        let (others, matching) = if rules.is_empty() { (SERIES, 0) } else { (0, SERIES) };
        assert_eq!(counts.others, others as u64);
        assert_eq!(counts.counts.iter().sum::<u64>(), matching as u64);
        assert_eq!(counts.counts.last().copied().unwrap_or(0), matching as u64);
        steps
    }

    #[test]
    fn a_step_is_shorter_with_regular_expressions_and_with_long_names() {
        let regex = |text: &str| Rule {
            name: text.to_owned(),
            match_regex: Some(NameRegex::new(text).unwrap()),
            ..Rule::default()
        };
        let mut rules: Vec<_> = (1..100).map(|number| regex(&format!("^web{number}$"))).collect();
        rules.push(regex("^x"));
        let last = &rules[99..];
        assert!(steps(&[], 8) <= 6);
        assert!(steps(last, 8) >= SERIES * REGEX_WORK / (STEP_WORK + REGEX_WORK));
        assert!(steps(last, 5000) >= 900);
        // A step ends between two rules.
        assert!(steps(&rules, 8) >= 2 * SERIES);
        assert!(steps(&rules[90..], 5000) >= 10 * SERIES);
    }

    /// Removes a series in the middle of its comparisons, and lets another one take its slot.
    #[test]
    fn a_series_that_is_removed_during_its_comparisons_does_not_count() {
        let regex = NameRegex::new("^a.*$").unwrap();
        let rule = Rule { match_regex: Some(regex), ..Rule::default() };
        let rules = vec![rule; 100];
        let mut engine = crate::admin::tests::engine(Rules::default());
        engine.lines(b"aa:1|c");
        let mut counts = RuleCounts::default();
        assert!(!counts.count(&rules, engine.table_mut()));
        assert!((1..100).contains(&counts.next_rule));
        assert!(engine.remove(MetricKind::Counter, b"aa", &mut |_| {}));
        engine.lines(b"b:1|c");
        while !counts.count(&rules, engine.table_mut()) {}
        assert_eq!(counts.counts, [0; 100]);
        assert!(counts.others <= 1, "{}", counts.others);
    }
}
