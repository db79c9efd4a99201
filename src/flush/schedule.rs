//! When an interval ends, and its stamp: the timestamp of its values.
//!
//! The stamp is the scheduled end, however late the tick comes, or how early at a stop. The next
//! end is computed from the scheduled one, so there is no drift. Ends that have passed meanwhile
//! are skipped. If the wall clock was set back, the next end is computed from the new time. So a
//! jump of the clock affects one tick only, and a stamp repeats only after the clock was set back.

use std::time::Duration;

use crate::time::UnixTime;

/// The end of the open interval, and the rule for the ends after it.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval_ms: u64,
    aligned: bool,
    /// The end of the open interval.
    due: UnixTime,
    /// The open interval keeps a given end, which may have come from another flush interval: it was
    /// begun by an earlier run, or before a reload.
    resumed: bool,
    /// The end has come while the sweep of the interval before was in progress. The tick waits for
    /// the end of that sweep.
    deferred: bool,
}

impl Schedule {
    /// The first end is one interval from now, or if `aligned`, the next multiple of the interval
    /// on the wall clock.
    pub fn new(interval: Duration, aligned: bool, now: UnixTime) -> Self {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut schedule = Self { interval_ms, aligned, due: now, resumed: false, deferred: false };
        schedule.due = schedule.first_after(now);
        schedule
    }

    /// The first end is `end`, which an earlier schedule had set.
    pub fn resume(interval: Duration, aligned: bool, end: UnixTime) -> Self {
        Self { due: end, resumed: true, ..Self::new(interval, aligned, end) }
    }

    /// Sets another interval. The open one keeps its end, and a deferred tick stays deferred. If
    /// nothing differs, the later ends stay, too. Otherwise each reload would move them by the
    /// lateness of the next tick.
    pub fn reconfigure(&mut self, interval: Duration, aligned: bool) {
        let next = Self::resume(interval, aligned, self.due);
        if (next.interval_ms, aligned) != (self.interval_ms, self.aligned) {
            *self = Self { deferred: self.deferred, ..next };
        }
    }

    /// The end of the open interval.
    pub fn due(&self) -> UnixTime {
        self.due
    }

    /// Whether the open interval keeps a given end, so that the length of the next one depends on
    /// the time of the tick: it may end at a multiple of another interval.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Defers the tick, because the sweep of the interval before is still in progress. The interval
    /// keeps its stamp. Returns `true` at the first call for an interval, which counts as an
    /// overrun.
    pub fn defer(&mut self) -> bool {
        !std::mem::replace(&mut self.deferred, true)
    }

    /// Whether a tick waits for the end of the sweep.
    pub fn is_deferred(&self) -> bool {
        self.deferred
    }

    /// Ends the open interval at `now`, which may be late or early. Returns its stamp.
    pub fn tick(&mut self, now: UnixTime) -> UnixTime {
        self.deferred = false;
        if std::mem::take(&mut self.resumed) {
            let stamp = self.due;
            // The given end may be of another interval or another clock. If it is less than an
            // interval from now, the next end is after both. An end further in the future is of a
            // clock that was set back since, and would leave a long time without a flush.
            let ahead = stamp.as_millis().saturating_sub(now.as_millis());
            self.due =
                self.first_after(if ahead < self.interval_ms { now.max(stamp) } else { now });
            // Stamps are whole seconds, rounded or not. An end shortly after this one would have
            // the same stamp, and its values would replace those of this interval.
            if self.due.as_secs() == stamp.as_secs()
                || self.due.as_full_secs() == stamp.as_full_secs()
            {
                self.due = UnixTime::from_millis(self.due.as_millis() + self.interval_ms);
            }
            return stamp;
        }
        let now_ms = now.as_millis();
        let due_ms = self.due.as_millis();
        let stamp = if now_ms >= due_ms + self.interval_ms {
            // Several ends have passed. The stamp is the last of them.
            let missed = (now_ms - due_ms) / self.interval_ms;
            UnixTime::from_millis(due_ms + missed * self.interval_ms)
        } else {
            self.due
        };
        // A timer may fire a little early, which is no step of the clock. Half an interval is.
        let stepped_back = now_ms + self.interval_ms / 2 < due_ms;
        self.due = if stepped_back {
            self.first_after(now)
        } else {
            UnixTime::from_millis(stamp.as_millis() + self.interval_ms)
        };
        stamp
    }

    /// Returns the first end after `now`.
    fn first_after(&self, now: UnixTime) -> UnixTime {
        let now = now.as_millis();
        let start = if self.aligned { now - now % self.interval_ms } else { now };
        UnixTime::from_millis(start + self.interval_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times in tenths of a second; 10 s intervals.
    #[track_caller]
    fn ticks(start: u64, cases: &[(u64, u64, u64)]) {
        let at = |tenths: u64| UnixTime::from_millis(tenths * 100);
        let mut schedule = Schedule::new(Duration::from_secs(10), true, at(start));
        for (now, stamp, next) in cases {
            assert_eq!(schedule.tick(at(*now)), at(*stamp), "stamp at {now}");
            assert_eq!(schedule.due(), at(*next), "next end after {now}");
        }
    }

    #[test]
    fn ends_are_multiples_of_the_interval_and_do_not_drift() {
        ticks(1003, &[(1100, 1100, 1200), (1201, 1200, 1300), (1309, 1300, 1400)]);
    }

    #[test]
    fn a_timer_that_fires_a_little_early_is_no_second_flush() {
        ticks(1003, &[(1099, 1100, 1200), (1199, 1200, 1300)]);
    }

    #[test]
    fn a_late_tick_keeps_its_end_and_one_that_missed_several_takes_the_last() {
        ticks(1003, &[(1170, 1100, 1200), (1450, 1400, 1500), (1500, 1500, 1600)]);
    }

    #[test]
    fn a_clock_that_jumps_forward_is_followed_at_once() {
        ticks(1003, &[(90_003, 90_000, 90_100)]);
        ticks(1003, &[(1130, 1100, 1200)]);
    }

    #[test]
    fn a_clock_that_steps_back_repeats_stamps_and_goes_on_aligned() {
        ticks(90_003, &[(1040, 90_100, 1100), (1100, 1100, 1200)]);
        ticks(1003, &[(1042, 1100, 1100), (1100, 1100, 1200)]);
    }

    #[test]
    fn an_interval_of_an_earlier_run_keeps_its_end_whatever_came_since() {
        let at = UnixTime::from_millis;
        for (end, now, next) in [
            (20_000, 19_999, 30_000),  // still open
            (15_000, 15_001, 20_000),  // of another flush interval
            (20_000, 77_000, 80_000),  // long over
            (900_000, 33_000, 40_000), // by a clock that has stepped back since
        ] {
            let mut schedule = Schedule::resume(Duration::from_secs(10), true, at(end));
            assert_eq!(schedule.due(), at(end));
            assert_eq!((schedule.tick(at(now)), schedule.due()), (at(end), at(next)));
            assert_eq!(schedule.tick(at(next)), at(next));
        }
    }

    #[test]
    fn a_schedule_that_becomes_aligned_repeats_no_stamp() {
        let at = UnixTime::from_millis;
        let mut schedule = Schedule::resume(Duration::from_secs(1), true, at(17_975));
        assert_eq!(schedule.tick(at(17_975)).as_secs(), 18);
        assert_eq!(schedule.due(), at(19_000), "18.000 has the same stamp");
    }

    #[test]
    fn a_reload_that_changes_nothing_moves_no_end() {
        let (at, second) = (UnixTime::from_millis, Duration::from_secs(1));
        let mut schedule = Schedule::new(second, false, at(1_300));
        schedule.reconfigure(second, false);
        assert_eq!((schedule.tick(at(2_307)), schedule.due()), (at(2_300), at(3_300)));
        assert!(schedule.defer());
        schedule.reconfigure(second, false);
        schedule.reconfigure(second * 2, false);
        assert!(schedule.is_deferred() && !schedule.defer());
        assert_eq!((schedule.tick(at(3_400)), schedule.due()), (at(3_300), at(5_400)));
    }

    #[test]
    fn unaligned_ends_count_from_the_start() {
        let mut schedule =
            Schedule::new(Duration::from_millis(2500), false, UnixTime::from_millis(1_300));
        assert_eq!(schedule.due(), UnixTime::from_millis(3_800));
        assert_eq!(schedule.tick(UnixTime::from_millis(3_801)), UnixTime::from_millis(3_800));
        assert_eq!(schedule.due(), UnixTime::from_millis(6_300));
    }
}
