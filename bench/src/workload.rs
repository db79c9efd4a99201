//! The settings of a load: names, types, tags, packet size. Pure.

use std::cmp::Reverse;

/// A description of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Distinct names, over all types together. Each name has one type.
    pub names: usize,
    pub mix: Mix,
    /// Three DogStatsD tags a line, the same ones each time for a name.
    pub tags: bool,
    /// Lines as Datadog's clients send them, `names` of them different. Then `mix` and `tags` have
    /// no effect.
    pub dogstatsd: bool,
    /// A packet has as many whole lines as fit into this number of bytes, and at least one.
    pub packet: usize,
}

impl Workload {
    /// W2 of the bench: 1,432-byte packets, 1,000 names, mixed types.
    pub const W2: Self =
        Self { names: 1000, mix: Mix::MIXED, tags: false, dogstatsd: false, packet: 1432 };

    /// How many of the names are of each type: its share, and at least one if it has a share. The
    /// rest of rounding goes to the type with the largest share.
    pub(crate) fn names_by_type(&self) -> [usize; 4] {
        let Mix(shares) = self.mix;
        let mut names = shares.map(|share| (self.names * share / 100).max(share.min(1)));
        let largest = (0..4).max_by_key(|&kind| (shares[kind], Reverse(kind))).unwrap_or(0);
        names[largest] = 0;
        names[largest] = self.names - names.iter().sum::<usize>();
        names
    }
}

/// The shares of counters, timings, gauges and sets among the lines, in percent. They add up to
/// 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix(pub [usize; 4]);

impl Mix {
    pub const COUNTERS: Self = Self([100, 0, 0, 0]);
    pub const TIMINGS: Self = Self([0, 100, 0, 0]);
    pub const MIXED: Self = Self([50, 30, 15, 5]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shared_out_whole_and_no_type_goes_without() {
        for mix in [Mix::MIXED, Mix::COUNTERS, Mix([1, 1, 49, 49]), Mix([0, 34, 33, 33])] {
            for names in 4..500 {
                let each = Workload { names, mix, ..Workload::W2 }.names_by_type();
                assert_eq!(each.iter().sum::<usize>(), names);
                assert_eq!(each.map(|names| names > 0), mix.0.map(|share| share > 0), "{names}");
            }
        }
    }
}
