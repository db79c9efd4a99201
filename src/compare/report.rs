//! [`CompareReport`]: the text of a comparison, which is each difference and a summary. Pure.

use std::collections::BTreeMap;

use super::pairs::{ComparedCounts, DifferenceReason, PointDifference};

/// The most differences that are printed one by one.
const PRINTED_MAX: u64 = 1000;
/// Rows of the table of the worst.
const WORST_MAX: usize = 20;
/// Bytes of a name that are shown.
const NAME_MAX: usize = 100;

#[derive(Debug, Default)]
pub(super) struct CompareReport {
    reasons: BTreeMap<DifferenceReason, u64>,
    /// The largest differences, the worst first.
    worst: Vec<PointDifference>,
    printed: u64,
}

impl CompareReport {
    /// Takes a difference. Returns the line that reports it, if it is one of the first.
    pub(super) fn add(&mut self, difference: PointDifference) -> Option<String> {
        *self.reasons.entry(difference.reason).or_default() += 1;
        self.printed += 1;
        let line = match self.printed {
            ..=PRINTED_MAX => Some(row(&difference)),
            _ if self.printed == PRINTED_MAX + 1 => {
                Some("further differences are counted, and not printed".into())
            }
            _ => None,
        };
        let size = size_of(&difference);
        let at = self.worst.partition_point(|other| size_of(other).total_cmp(&size).is_ge());
        if at < WORST_MAX {
            self.worst.insert(at, difference);
            self.worst.truncate(WORST_MAX);
        }
        line
    }

    /// Returns the summary. `skipped` is the number of lines that are no points.
    pub(super) fn summary(&self, counts: &ComparedCounts, skipped: u64) -> String {
        let mut text = String::new();
        for (reason, count) in &self.reasons {
            let ReasonText { what, hint } = explained(*reason);
            text += &format!("{:>12}  {what}: {hint}\n", thousands(*count));
        }
        if !self.worst.is_empty() {
            text += "\nThe worst:\n";
            self.worst.iter().for_each(|difference| text += &format!("{}\n", row(difference)));
            text.push('\n');
        }
        for (count, what) in [
            (counts.own, "figures of the servers about themselves were left out"),
            (counts.outside, "points are of flushes that only one side has"),
            (counts.late, "points came after their flush was compared"),
            (
                counts.crowded,
                "points were not compared: a flush has several of one name, so --every is longer \
                 than the flush interval of the servers",
            ),
            (skipped, "lines are no points of Graphite's plaintext protocol"),
        ] {
            if count > 0 {
                text += &format!("{:>12}  {what}\n", thousands(count));
            }
        }
        if counts.points == 0 {
            text += "No flush has points of both sides.\n";
        }
        text + &totals(counts)
    }
}

/// Returns the last line: `0 of 3,600,000 points differ`.
pub(super) fn totals(counts: &ComparedCounts) -> String {
    format!("{} of {} points differ", thousands(counts.differing), thousands(counts.points))
}

fn row(difference: &PointDifference) -> String {
    let PointDifference { name, stamp, old, new, reason } = difference;
    let cut = &name[..name.len().min(NAME_MAX)];
    let dots = if cut.len() < name.len() { "..." } else { "" };
    let value = |value: &Option<f64>| value.map_or("-".into(), |value| value.to_string());
    let ReasonText { what, .. } = explained(*reason);
    let old = value(old);
    let new = value(new);
    format!("{}{dots} {stamp} old={old} new={new} {what}", cut.escape_ascii())
}

/// A reason as the report shows it, and what to do.
struct ReasonText {
    what: &'static str,
    hint: &'static str,
}

fn explained(reason: DifferenceReason) -> ReasonText {
    let (what, hint) = match reason {
        DifferenceReason::Idle => (
            "idle series, which one server sends and the other does not",
            "see delete_idle, delete_gauges and expire",
        ),
        DifferenceReason::Rounding => {
            ("rounding", "the numbers are equal but for their last digits")
        }
        DifferenceReason::TagOrder => ("order of tags", "Graphite takes both for one series"),
        DifferenceReason::Moved => (
            "moved to the flush before or after",
            "the two flushes end at different moments; see docs/migrating.md",
        ),
        DifferenceReason::OnlyOld => {
            ("only in OLD", "see the prefixes in [namespace], and the rules")
        }
        DifferenceReason::OnlyNew => {
            ("only in NEW", "see the prefixes in [namespace], and the rules")
        }
        DifferenceReason::Value => ("another value", "try the lines with --ask explain"),
    };
    ReasonText { what, hint }
}

/// Returns how bad a difference is: the share by which the values differ. A missing point differs
/// by all of its value, unless its series is idle.
fn size_of(difference: &PointDifference) -> f64 {
    match (difference.old, difference.new) {
        (Some(old), Some(new)) => (old - new).abs() / old.abs().max(new.abs()).max(1e-300),
        _ if difference.reason == DifferenceReason::Idle => 0.0,
        _ => 1.0,
    }
}

/// Returns a number with commas: `3,600,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_ends_with_the_number_of_differences() {
        let counts = ComparedCounts { flushes: 360, points: 3_600_000, ..Default::default() };
        let report = CompareReport::default();
        assert_eq!(report.summary(&counts, 0), "0 of 3,600,000 points differ");
        let none = report.summary(&ComparedCounts::default(), 2);
        assert!(none.contains("No flush has points of both sides"), "{none}");
        assert!(none.contains("2  lines are no points"), "{none}");
    }

    #[test]
    fn the_worst_stand_first_and_names_are_escaped() {
        let mut report = CompareReport::default();
        let mut add = |name: &str, old: f64, new: f64| {
            let difference = PointDifference {
                name: name.into(),
                stamp: 10,
                old: Some(old),
                new: Some(new),
                reason: DifferenceReason::Value,
            };
            report.add(difference)
        };
        assert_eq!(
            add("a\x1b[m", 4.0, 5.0).as_deref(),
            Some("a\\x1b[m 10 old=4 new=5 another value")
        );
        for nth in 0..PRINTED_MAX {
            let line = add("many", 1.0, 1.0 + nth as f64 / 1e6);
            assert_eq!(
                line.is_some_and(|line| line.starts_with("further")),
                nth == PRINTED_MAX - 1
            );
        }
        assert_eq!(add("worst", 1.0, 9.0), None);
        let counts = ComparedCounts { points: 2000, differing: 1002, ..Default::default() };
        let summary = report.summary(&counts, 0);
        let worst = summary.split("The worst:\n").nth(1).unwrap();
        assert!(worst.starts_with("worst 10 old=1 new=9"), "{summary}");
        assert!(summary.contains("       1,002  another value"), "{summary}");
        assert!(summary.ends_with("\n1,002 of 2,000 points differ"), "{summary}");
    }
}
