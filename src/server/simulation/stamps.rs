//! The check of the stamps of flushes. They only go up, except after a step of the wall clock.
//!
//! ```text
//!   tick k        step back       tick k+1              tick k+2
//!   stamp s(k)        │           stamp s(k+1) > s(k)   stamp s(k+2): may be less, but not before
//!   ──┼───────────────┼───────────────┼─────────────────────┼──── the wall clock at tick k+1
//! ```
//! A step back in an interval therefore allows exactly one stamp to go back: that of the interval
//! after it. The schedule of a run that takes over no interval begins at its start, which allows
//! the same for its first stamp.

use std::collections::VecDeque;

use crate::time::UnixTime;

/// What the check remembers from flush to flush.
#[derive(Debug, Default)]
pub(super) struct StampCheck {
    last: u64,
    /// The wall clock was set back in the open interval.
    has_stepped: bool,
    /// If the next stamp may go back: the earliest that it may be.
    floor: Option<u64>,
    /// Flushes whose stamps were not read yet.
    ticks: VecDeque<TickRecord>,
}

/// What the stamp of a flush may be.
#[derive(Debug)]
struct TickRecord {
    floor: Option<u64>,
    /// The wall clock at the tick. An interval ends at its stamp, or later. `None` if the clock was
    /// set back meanwhile, or if a stop has ended the interval early.
    latest: Option<u64>,
}

/// A timer may fire a little early.
const EARLY: u64 = 1;

impl StampCheck {
    /// Notes that the wall clock was set back.
    pub(super) fn note_step_back(&mut self) {
        self.has_stepped = true;
    }

    /// Notes that an interval has ended at `now`.
    pub(super) fn note_tick(&mut self, now: UnixTime, is_early: bool) {
        let latest = UnixTime::from_millis(now.as_millis() + EARLY).as_secs();
        self.ticks.push_back(TickRecord {
            floor: self.floor.take(),
            latest: Some(latest).filter(|_| !is_early && !self.has_stepped),
        });
        self.floor = std::mem::take(&mut self.has_stepped).then_some(now.as_secs());
    }

    /// Notes that a run begins at `now` without an interval of the run before.
    pub(super) fn note_new_schedule(&mut self, now: UnixTime) {
        self.has_stepped = false;
        self.floor = Some(now.as_secs());
    }

    /// Checks the stamps of the next flushes.
    pub(super) fn check(&mut self, stamps: Vec<u64>) {
        for stamp in stamps {
            let tick = self.ticks.pop_front().expect("one stamp for each tick");
            assert!(
                stamp > self.last || tick.floor.is_some_and(|floor| floor <= stamp),
                "stamp {stamp} after {}: {tick:?}",
                self.last
            );
            assert!(tick.latest.is_none_or(|at| stamp <= at), "stamp {stamp} is early: {tick:?}");
            self.last = stamp;
        }
    }

    /// Checks that the stamp of each flush was read.
    pub(super) fn check_complete(&self) {
        assert!(self.ticks.is_empty(), "flushes without a stamp: {:?}", self.ticks);
    }

    /// Forgets the flushes whose stamps were not read. They were lost with a killed server.
    pub(super) fn forget_unread(&mut self) {
        self.ticks.clear();
    }
}

/// The step back allows one stamp to go back, and no second one.
#[test]
fn a_step_back_allows_one_stamp_to_go_back() {
    let at = UnixTime::from_secs;
    let checks = |stamps: &'static [u64]| {
        std::panic::catch_unwind(move || {
            let mut check = StampCheck::default();
            check.note_tick(at(100), false);
            check.note_step_back();
            check.note_tick(at(50), false);
            check.note_tick(at(51), false);
            check.note_tick(at(52), false);
            check.check(stamps.to_vec());
        })
        .is_ok()
    };
    assert!(checks(&[100, 110, 51, 52]));
    assert!(checks(&[100, 110, 50, 52]));
    assert!(!checks(&[100, 110, 49, 52]), "before the clock at the tick");
    assert!(!checks(&[100, 99, 111, 112]), "the interval that was open keeps its end");
    assert!(!checks(&[100, 110, 51, 51]), "a second time");
    assert!(!checks(&[100, 110, 51, 53]), "before its end");
}
