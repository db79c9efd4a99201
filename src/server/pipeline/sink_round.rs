//! [`SinkRound`]: which destinations are served in a turn of the loop.

use std::time::Duration;

use crate::time::Tick;

/// The time for all destinations in one turn. The destination served last may exceed it by its own
/// share.
const SLICE: Duration = Duration::from_millis(1);

/// The round over the destinations in each turn of the loop.
///
/// Each destination bounds its own work in a turn, but there may be many destinations. Without a
/// bound for all of them together, a reload that removes them all would move a slice of every queue
/// to its spool in one turn.
#[derive(Debug, Default)]
pub(super) struct SinkRound {
    /// Where the next round begins.
    next: u16,
}

impl SinkRound {
    /// Calls `serve` once for each index below `end` until the time is over. `serve` returns the
    /// time after its work, or `None` if the index has no destination.
    ///
    /// Returns `true` if some indices were not served. The next call begins with those, so that the
    /// first destinations cannot starve the last.
    pub(super) fn serve(
        &mut self,
        end: u16,
        began: Tick,
        mut serve: impl FnMut(u16) -> Option<Tick>,
    ) -> bool {
        let first = if self.next < end { self.next } else { 0 };
        self.next = 0;
        let until = began + SLICE;
        let mut left = end;
        for index in (first..end).chain(0..first) {
            left -= 1;
            if serve(index).is_some_and(|now| left > 0 && now >= until) {
                self.next = index + 1; // past the last one it begins with the first
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the indices served in one turn in which each call takes `micros`.
    fn turn(round: &mut SinkRound, end: u16, micros: u64) -> (Vec<u16>, bool) {
        let mut served = Vec::new();
        let mut now = Tick::default();
        let more = round.serve(end, now, |index| {
            served.push(index);
            now = now + Duration::from_micros(micros);
            Some(now)
        });
        (served, more)
    }

    #[test]
    fn slow_destinations_share_a_turn_and_each_is_served_in_its_round() {
        let mut round = SinkRound::default();
        assert_eq!(turn(&mut round, 5, 400), (vec![0, 1, 2], true));
        assert_eq!(turn(&mut round, 5, 400), (vec![3, 4, 0], true));
        assert_eq!(turn(&mut round, 5, 2000), (vec![1], true), "at least one");
        assert_eq!(turn(&mut round, 5, 10), (vec![2, 3, 4, 0, 1], false));
        assert_eq!(turn(&mut round, 5, 10), (vec![0, 1, 2, 3, 4], false));
    }

    #[test]
    fn a_single_destination_leaves_nothing_and_removed_ones_are_passed_over() {
        let mut round = SinkRound::default();
        assert_eq!(turn(&mut round, 1, 9000), (vec![0], false));
        assert_eq!(turn(&mut round, 4, 500), (vec![0, 1], true));
        assert_eq!(turn(&mut round, 2, 10), (vec![0, 1], false), "there are fewer now");
        assert_eq!(turn(&mut round, 0, 10), (vec![], false));
    }
}
