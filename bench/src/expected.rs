//! The counts that a server must have after a run. Pure. It parses the lines that were sent, so it
//! also checks their form.

use std::collections::{BTreeMap, BTreeSet};

/// The totals of a number of lines, by name (without tags: a name always has the same ones).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The sum of each counter.
    pub counters: BTreeMap<String, u64>,
    pub timings: BTreeMap<String, Timing>,
    /// The last value of each gauge.
    pub gauges: BTreeMap<String, u64>,
    /// The distinct values of each set.
    pub sets: BTreeMap<String, BTreeSet<u64>>,
}

/// The figures of one timing, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub count: u64,
    pub sum: u64,
    pub lower: u64,
    pub upper: u64,
}

impl Expected {
    /// Adds one line, without its newline. Panics on the types of Datadog's clients.
    pub(crate) fn add(&mut self, line: &[u8]) {
        let (name, value, code) = parts(line).expect("a line of our own");
        let name = name.to_owned();
        match code {
            "c" => *self.counters.entry(name).or_default() += value,
            "ms" => self.timings.entry(name).or_default().add(value),
            "g" => _ = self.gauges.insert(name, value),
            "s" => _ = self.sets.entry(name).or_default().insert(value),
            _ => panic!("no type of ours: {code}"),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self { count: 0, sum: 0, lower: u64::MAX, upper: 0 }
    }
}

impl Timing {
    fn add(&mut self, value: u64) {
        self.count += 1;
        self.sum += value;
        self.lower = self.lower.min(value);
        self.upper = self.upper.max(value);
    }
}

/// Name, value and type of `NAME:VALUE|TYPE` or `NAME:VALUE|TYPE|#TAGS`.
fn parts(line: &[u8]) -> Option<(&str, u64, &str)> {
    let (name, rest) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let mut fields = rest.split('|');
    Some((name, fields.next()?.parse().ok()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_add_up_by_type() {
        let mut expected = Expected::default();
        for line in ["a:2|c", "a:3|c", "b:7|ms|#env:prod", "b:4|ms", "g:9|g", "g:1|g"] {
            expected.add(line.as_bytes());
        }
        for line in ["s:5|s", "s:6|s", "s:5|s"] {
            expected.add(line.as_bytes());
        }
        assert_eq!(expected.counters["a"], 5);
        assert_eq!(expected.timings["b"], Timing { count: 2, sum: 11, lower: 4, upper: 7 });
        assert_eq!(expected.gauges["g"], 1);
        assert_eq!(expected.sets["s"], BTreeSet::from([5, 6]));
    }
}
