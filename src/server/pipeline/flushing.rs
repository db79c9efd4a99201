//! The flush as the loop drives it: the tick, the sweep in slices of 0.7 ms, and the end.

use std::time::Duration;

use crate::clock::Clock;
use crate::engine::{Closing, Engine};
use crate::figures::{self, FlushFigures};
use crate::flush::Schedule;
use crate::ledger::OwnCounter;
use crate::server::open_interval::OpenInterval;
use crate::server::stages::Stages;
use crate::sink::Sink;
use crate::time::{Now, Tick, UnixTime};
use crate::warnings::WarningKind;

/// The schedule of flushes, and the figures about them that the next flush sends.
#[derive(Debug)]
pub(in crate::server) struct Flushing {
    schedule: Schedule,
    interval: Duration,
    /// The length of the open interval. It differs from `interval` after a reload.
    open_length: Duration,
    /// When the open interval ends, on the monotonic clock. It is computed when the interval
    /// begins. If a reload computed it again after the wall clock was set back by an hour, there
    /// would be no flush for an hour.
    ends: Tick,
    /// When the first interval began, in this run or in an earlier one.
    began: Option<UnixTime>,
    /// When the last tick came.
    ticked: Option<Now>,
    /// The number of the newest flush.
    number: u64,
    figures: FlushFigures,
    /// Whether the server's own figures are sent.
    sends_own: bool,
    /// The longest call to the disk that a state save made since the flush before.
    stall: Duration,
    /// The longest turn of the loop since the flush before.
    turn: Duration,
    /// When a sink first held the current sweep.
    held_since: Option<Tick>,
    /// Whether all series are closed, and only the end of the flush is left to do.
    are_closed: bool,
}

/// How long the sinks together may hold one sweep; at most half of the flush interval if that is
/// less. A sink that is slow for longer gets its chunks anyway, and its queue bounds them.
///
/// Without this bound one slow destination would delay the flushes of all others, and every reload
/// and save.
const HOLD: Duration = Duration::from_secs(1);
/// What a slice may take of a turn. What it makes is then written, which takes up to as long again.
const SLICE: Duration = Duration::from_micros(700);

impl Flushing {
    pub(super) fn new(schedule: Schedule, interval: Duration) -> Self {
        Self {
            schedule,
            interval,
            open_length: interval,
            ends: Tick::default(),
            began: None,
            ticked: None,
            number: 0,
            figures: FlushFigures::default(),
            sends_own: true,
            stall: Duration::ZERO,
            turn: Duration::ZERO,
            held_since: None,
            are_closed: false,
        }
    }

    /// A single flush with the timestamp `now`, without the server's own figures.
    pub(in crate::server) fn once(now: Now, interval: Duration) -> Self {
        let schedule = Schedule::resume(interval, false, now.unix);
        Self { sends_own: false, ..Self::new(schedule, interval) }
    }

    /// Sets another interval. The open interval keeps its end. The next ones have the new length.
    pub(super) fn reconfigure(&mut self, interval: Duration, aligned: bool) {
        self.schedule.reconfigure(interval, aligned);
        self.interval = interval;
    }

    /// Before [`begin`](Self::begin), the interval begins and ends at its end.
    pub(super) fn open_interval(&self) -> OpenInterval {
        let end = self.schedule.due();
        let start = self.ticked.map(|tick| tick.unix).or(self.began).unwrap_or(end);
        OpenInterval { start, end, next_length: self.interval }
    }

    /// Notes that an earlier run began the first interval, at `start`.
    pub(super) fn resume(&mut self, start: UnixTime) {
        self.began = Some(start);
    }

    /// Begins the first interval. Returns its deadline.
    pub(super) fn begin(&mut self, now: Now) -> Option<Tick> {
        self.figures.started = now;
        self.began.get_or_insert(now.unix);
        self.set_end(now);
        self.deadline()
    }

    fn set_end(&mut self, now: Now) {
        let left = self.schedule.due().as_millis().saturating_sub(now.unix.as_millis());
        self.ends = now.tick + Duration::from_millis(left);
    }

    /// When the open interval ends, on the monotonic clock. Returns `None` while a tick waits for
    /// the sweep.
    pub(super) fn deadline(&self) -> Option<Tick> {
        (!self.schedule.is_deferred()).then_some(self.ends)
    }

    /// Defers the tick, whose time has come, if the sweep of the interval before is still under
    /// way. Returns whether it did. The first deferral of a tick counts as an overrun.
    ///
    /// Each series can hold one unclosed interval beside the open one. A tick during the sweep
    /// would need a second one.
    pub(super) fn defer_tick_if_sweeping(&mut self, engine: &mut Engine) -> bool {
        let sweeping = engine.is_sweeping();
        if sweeping && self.schedule.defer() {
            engine.ledger_mut().count(OwnCounter::FlushOverruns, 1);
            engine.ledger_mut().warn(WarningKind::FlushOverrun, b"");
        }
        sweeping
    }

    /// Whether the tick was deferred until the sweep of the interval before has ended.
    pub(super) fn is_tick_deferred(&self) -> bool {
        self.schedule.is_deferred()
    }

    /// Returns until when the current sweep is held, given that a sink `holds` it. Returns `None`
    /// if no sink does, if the sinks have held it for the longest time allowed, or if the next tick
    /// waits for the end of the sweep.
    pub(super) fn held_until(&mut self, holds: bool, now: Tick) -> Option<Tick> {
        if self.is_tick_deferred() || !holds {
            return None;
        }
        let since = *self.held_since.get_or_insert(now);
        let until = since + HOLD.min(self.open_length / 2);
        (now < until).then_some(until)
    }

    /// Notes the longest call to the disk that a state save made since the flush before.
    pub(super) fn note_stall(&mut self, stall: Duration) {
        self.stall = stall;
    }

    /// Notes the length of a turn of the loop.
    pub(super) fn note_turn(&mut self, took: Duration) {
        self.turn = self.turn.max(took);
        self.figures.longest_turn = self.figures.longest_turn.max(took);
    }

    /// Returns the figures of the last flush.
    pub(super) fn figures(&self) -> FlushFigures {
        self.figures
    }

    /// Ends the open interval. This is O(1), however many series there are to close.
    pub(in crate::server) fn tick(&mut self, now: Now, stages: &mut Stages) {
        let was_resumed = self.schedule.is_resumed();
        let stamp = self.schedule.tick(now.unix);
        self.figures.timestamp_lag =
            self.ticked.map(|before| lag(before.unix, now.unix, self.open_length));
        self.open_length = if was_resumed {
            let due = self.schedule.due().as_secs();
            Duration::from_secs(due.saturating_sub(now.unix.as_secs()))
        } else {
            self.interval
        };
        self.ticked = Some(now);
        self.set_end(now);
        self.held_since = None;
        self.number = stages.engine.tick();
        stages.encoders.begin(self.number, stamp);
        for sink in stages.sinks.iter_mut() {
            sink.poll_acks(now);
            sink.flush_started(now, self.number);
        }
        log::debug!(flush = self.number, stamp = stamp.as_secs(); "a flush begins");
    }

    /// Closes series for one slice of time, and queues full chunks in the sinks. Returns `true` if
    /// the flush has ended.
    pub(in crate::server) fn sweep_slice(
        &mut self,
        clock: &impl Clock,
        stages: &mut Stages,
    ) -> bool {
        // Even if the slice does not end the flush, its full chunks go to the sinks. So encoding
        // and sending overlap, and no more than a slice's chunks are held here.
        let began = clock.tick();
        if stages.engine.exchange_history() {
            return false; // the first slice of a sweep, for what the flush before has left to do
        }
        let were_closed = self.are_closed;
        while !self.are_closed && clock.tick() < began + SLICE {
            self.are_closed = stages.sweep_step();
        }
        // The end of a flush takes about as long as a slice. So it has a slice of its own, unless
        // this one was short.
        let is_short = were_closed || clock.tick() < began + SLICE / 2;
        let done = self.are_closed && is_short;
        if done {
            self.are_closed = false;
            self.finish_flush(clock.now(), stages);
        }
        stages.queue_chunks();
        done
    }

    /// Closes the rest of the series without returning to the loop. Does nothing if no sweep is
    /// under way. For a stop: it ends the process, so input need not be read meanwhile.
    pub(super) fn finish_sweep(&mut self, clock: &impl Clock, stages: &mut Stages) {
        if stages.engine.is_sweeping() {
            while !self.sweep_slice(clock, stages) {}
        }
    }

    /// Ends the flush whose series are all closed: sends the server's own figures, seals the last
    /// chunks, and notifies the sinks that the flush is complete.
    fn finish_flush(&mut self, now: Now, stages: &mut Stages) {
        let Stages { engine, encoders, sinks } = &mut *stages;
        let took = self.ticked.map_or(Duration::ZERO, |tick| tick.tick.until(now.tick));
        let stall = sinks.iter_mut().map(Sink::take_disk_stall).fold(self.stall, Duration::max);
        self.figures.note_flush(took, stall, std::mem::take(&mut self.turn));
        let closing = Closing {
            timestamp_lag: self.figures.timestamp_lag,
            figures: figures::of_flush(&self.figures, sinks),
        };
        let sends_own = self.sends_own;
        engine.finish(&closing, &mut |summary| {
            if sends_own {
                encoders.encode_own(summary);
            }
        });
        engine.end_history(self.ticked.map_or(now.unix, |tick| tick.unix));
        encoders.end();
        stages.note_refused();
        stages.queue_chunks();
        for sink in stages.sinks.iter_mut() {
            sink.flush_ended(now, self.number);
        }
    }
}

/// Returns the seconds by which two ticks were further apart than the interval. Both times are
/// rounded as Node rounds them.
fn lag(before: UnixTime, now: UnixTime, interval: Duration) -> f64 {
    now.as_secs() as f64 - before.as_secs() as f64 - interval.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::config::Config;
    use crate::series::Seeds;

    /// A clock that goes on by a step at each reading.
    struct SteppingClock {
        step: Duration,
        now: Cell<Tick>,
    }

    impl Clock for SteppingClock {
        fn tick(&self) -> Tick {
            self.now.set(self.now.get() + self.step);
            self.now.get()
        }

        fn now(&self) -> Now {
            Now { tick: self.tick(), unix: UnixTime::from_secs(100) }
        }

        fn nap(&self, _span: Duration) {}

        fn poll_timeout(&self, span: Option<Duration>) -> Option<Duration> {
            span
        }
    }

    #[test]
    fn the_end_of_a_flush_has_a_turn_of_its_own_after_a_long_slice() {
        for (step, slices) in [(SLICE / 100, 1), (SLICE / 3, 2)] {
            let config = Config::default();
            let clock = SteppingClock { step, now: Cell::default() };
            let schedule = Schedule::new(Duration::from_secs(10), false, UnixTime::from_secs(90));
            let mut flushing = Flushing::new(schedule, Duration::from_secs(10));
            let seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };
            let mut stages = Stages::new(&config, seeds);
            flushing.tick(clock.now(), &mut stages);
            let needed = (1..=10).find(|_| flushing.sweep_slice(&clock, &mut stages));
            assert_eq!(needed, Some(slices), "{step:?} between two readings of the clock");
        }
    }

    #[test]
    fn a_reload_after_the_clock_was_set_back_keeps_the_end_of_the_interval() {
        let interval = Duration::from_secs(10);
        let at =
            |tick, unix| Now { tick: Tick::from_millis(tick), unix: UnixTime::from_secs(unix) };
        let schedule = Schedule::new(interval, true, UnixTime::from_secs(100_000));
        let mut flushing = Flushing::new(schedule, interval);
        assert_eq!(flushing.begin(at(5000, 100_000)), Some(Tick::from_millis(15_000)));
        flushing.reconfigure(interval / 2, true);
        assert_eq!(
            flushing.deadline(),
            Some(Tick::from_millis(15_000)),
            "whatever the clock shows"
        );
    }

    #[test]
    fn a_reload_of_the_interval_keeps_the_start_of_the_open_one() {
        let at = |seconds| UnixTime::from_secs(seconds);
        let now = |seconds| Now { tick: Tick::from_millis(seconds * 1000), unix: at(seconds) };
        let interval = Duration::from_secs(10);
        let schedule = Schedule::new(interval, true, at(101));
        let mut flushing = Flushing::new(schedule, interval);
        flushing.begin(now(101));
        flushing.reconfigure(Duration::from_secs(1), true);
        let next_length = Duration::from_secs(1);
        let open = OpenInterval { start: at(101), end: at(110), next_length };
        assert_eq!(flushing.open_interval(), open);
    }

    #[test]
    fn a_reload_of_the_interval_is_no_lag_of_the_clock() {
        let now = |seconds: u64| Now {
            tick: Tick::from_millis(seconds * 1000),
            unix: UnixTime::from_secs(1_000_000 + seconds),
        };
        // The second at which each interval ends, before and after the reload.
        for (before, after, is_aligned, ends) in [
            (10, 60, false, [10, 20, 80, 140]),
            (60, 10, false, [60, 120, 130, 140]),
            (10, 60, true, [10, 20, 80, 140]),
            (20, 60, true, [20, 40, 80, 140]),
            (60, 20, true, [20, 80, 100, 120]),
        ] {
            let [before, after] = [before, after].map(Duration::from_secs);
            let schedule = Schedule::new(before, is_aligned, now(0).unix);
            let mut flushing = Flushing::new(schedule, before);
            let seeds = Seeds { names: [1, 2, 3, 4], members: [5, 6] };
            let mut stages = Stages::new(&Config::default(), seeds);
            let mut clock = SteppingClock { step: Duration::ZERO, now: Cell::default() };
            flushing.begin(now(0));
            for (nth, end) in ends.into_iter().enumerate() {
                assert_eq!(flushing.schedule.due(), now(end).unix, "{before:?} to {after:?}");
                if nth == 1 {
                    flushing.reconfigure(after, is_aligned);
                }
                clock.now = Cell::new(now(end).tick);
                flushing.tick(now(end), &mut stages);
                flushing.finish_sweep(&clock, &mut stages);
                let expected = (nth > 0).then_some(0.0);
                assert_eq!(flushing.figures.timestamp_lag, expected, "{before:?} to {after:?}");
            }
        }
    }

    #[test]
    fn the_sinks_hold_a_sweep_for_a_second_or_half_an_interval() {
        for (interval, hold_ms) in [(10, 1000), (1, 500)] {
            let interval = Duration::from_secs(interval);
            let schedule = Schedule::new(interval, true, UnixTime::from_secs(100));
            let mut flushing = Flushing::new(schedule, interval);
            let at = |millis: u64| Tick::from_millis(5000 + millis);
            assert_eq!(flushing.held_until(false, at(0)), None);
            let until = Some(at(100 + hold_ms));
            assert_eq!(flushing.held_until(true, at(100)), until);
            assert_eq!(flushing.held_until(false, at(200)), None);
            assert_eq!(flushing.held_until(true, at(99 + hold_ms)), until, "once a sweep");
            assert_eq!(flushing.held_until(true, at(100 + hold_ms)), None, "its time is over");
        }
    }
}
