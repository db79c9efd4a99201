//! The round over the destinations in each turn of the loop.
//!
//! Each destination bounds its own work in a turn, but there may be many destinations. Without a bound
//! for all of them together, a reload that removes them all would move a slice of every queue to its
//! spool in one turn.

use std::time::Duration;

use crate::clock::Clock;

/// The time for all destinations in one turn. The destination served last may exceed it by its own
/// share.
const SLICE: Duration = Duration::from_millis(1);

/// Where the next round begins.
#[derive(Debug, Default)]
pub(super) struct Round {
    next: u16,
}

impl Round {
    /// Calls `serve` once for each index below `end` until the time is over. `serve` returns whether
    /// the index has a destination. Returns `true` if some indices were not served. The next call
    /// begins with those, so that the first destinations cannot starve the last.
    pub(super) fn serve(
        &mut self,
        end: u16,
        clock: &impl Clock,
        mut serve: impl FnMut(u16) -> bool,
    ) -> bool {
        let first = if self.next < end { self.next } else { 0 };
        self.next = 0;
        let until = clock.tick() + SLICE;
        let mut left = end;
        for index in (first..end).chain(0..first) {
            left -= 1;
            if serve(index) && left > 0 && clock.tick() >= until {
                self.next = index + 1; // past the last one it begins with the first
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::time::{Now, Tick, UnixTime};

    #[derive(Default)]
    struct Hand(Cell<u64>);

    impl Clock for Hand {
        fn now(&self) -> Now {
            Now { tick: self.tick(), unix: UnixTime::from_secs(0) }
        }

        fn tick(&self) -> Tick {
            Tick::from_micros(self.0.get())
        }
    }

    /// Returns the indices served in one turn in which each call takes `micros`.
    fn turn(round: &mut Round, end: u16, micros: u64) -> (Vec<u16>, bool) {
        let (clock, mut served) = (Hand::default(), Vec::new());
        let more = round.serve(end, &clock, |index| {
            served.push(index);
            clock.0.set(clock.0.get() + micros);
            true
        });
        (served, more)
    }

    #[test]
    fn slow_destinations_share_a_turn_and_each_is_served_in_its_round() {
        let mut round = Round::default();
        assert_eq!(turn(&mut round, 5, 400), (vec![0, 1, 2], true));
        assert_eq!(turn(&mut round, 5, 400), (vec![3, 4, 0], true));
        assert_eq!(turn(&mut round, 5, 2000), (vec![1], true), "at least one");
        assert_eq!(turn(&mut round, 5, 10), (vec![2, 3, 4, 0, 1], false));
        assert_eq!(turn(&mut round, 5, 10), (vec![0, 1, 2, 3, 4], false));
    }

    #[test]
    fn a_single_destination_leaves_nothing_and_removed_ones_are_passed_over() {
        let mut round = Round::default();
        assert_eq!(turn(&mut round, 1, 9000), (vec![0], false));
        assert_eq!(turn(&mut round, 4, 500), (vec![0, 1], true));
        assert_eq!(turn(&mut round, 2, 10), (vec![0, 1], false), "there are fewer now");
        assert_eq!(turn(&mut round, 0, 10), (vec![], false));
    }
}
