//! [`OutageReport`]: the outages of one outlet, what they count, and how often they are logged.
//!
//! An outage lasts from the first failure until data gets through again. The log shows its start,
//! each new cause, and its end. All other failures are logged at level `debug`, because a
//! destination that is down for a day fails thousands of times.
//!
//! [`retry_delay`]: how long an outlet waits before it tries again.

use std::mem;
use std::time::Duration;

use log::Level;

use super::outbox::Outbox;
use crate::time::{Now, Tick, UnixTime};

/// The time in which the log shows only one outage of a connection that comes and goes. The others
/// are counted.
pub(super) const ONE_A_MINUTE: Duration = Duration::from_secs(60);

/// Counts and logs the outages of one outlet.
#[derive(Debug)]
pub(super) struct OutageReport {
    sink: String,
    /// After an outage was logged, the log shows no other for this long.
    quiet: Duration,
    current: Option<Outage>,
    /// When a failure was last logged.
    logged_at: Option<Tick>,
    /// Outages that have ended unlogged since the last one that was logged.
    unlogged: u64,
    /// How often the outlet was opened.
    connects: u64,
    last_exception: Option<UnixTime>,
    last_error: Option<String>,
}

/// The current outage.
#[derive(Debug)]
struct Outage {
    since: Tick,
    attempts: u32,
    /// Rounds in which all addresses failed.
    rounds: u32,
    /// The dropped lines of the outbox when the outage began.
    dropped_lines: u64,
    /// Its start was logged, so its end is logged, too.
    is_logged: bool,
    /// It was logged, and the destination has got another address since.
    was_logged: bool,
    /// The last cause that was logged. `None` if no failure so far had a cause.
    cause: Option<String>,
}

/// A failure, as it is logged.
#[derive(Debug)]
pub(super) struct FailedAttempt<'a> {
    /// What has failed. The log shows it, and the figures until the next failure.
    pub(super) error: String,
    /// The state of the outlet after the failure.
    pub(super) state: &'static str,
    pub(super) place: LogPlace<'a>,
    /// The address that failed was the last one of a round.
    pub(super) is_round: bool,
    /// What distinguishes this failure from others, such as an HTTP status. If it differs from the
    /// last logged cause, the failure is logged even within an outage. Connect errors have none,
    /// because they alternate between the addresses of a name.
    pub(super) cause: Option<String>,
    /// The time until the next attempt, if there is one.
    pub(super) retry: Option<Duration>,
    /// What the operator can do, and what the server does meanwhile.
    pub(super) hint: String,
    /// The sentence of the log line.
    pub(super) sentence: &'static str,
}

/// The fields of a log line that identify the outlet. Fields that are `None` are left out.
#[derive(Clone, Debug, Default)]
pub(super) struct LogPlace<'a> {
    pub(super) address: Option<String>,
    pub(super) over: Option<&'static str>,
    pub(super) command: Option<&'a str>,
}

impl OutageReport {
    pub(super) fn new(sink: &str, quiet: Duration) -> Self {
        Self {
            sink: sink.into(),
            quiet,
            current: None,
            logged_at: None,
            unlogged: 0,
            connects: 0,
            last_exception: None,
            last_error: None,
        }
    }

    pub(super) fn note_connect(&mut self) {
        self.connects += 1;
    }

    /// Counts a failure and logs it.
    pub(super) fn note_failure(&mut self, failed: FailedAttempt<'_>, outbox: &Outbox, now: Now) {
        self.last_exception = Some(now.unix);
        self.note_planned_close(failed, outbox, now.tick);
    }

    /// Counts and logs that the server itself has closed the outlet, to open it again. For the
    /// figures this is not the time of an exception.
    pub(super) fn note_planned_close(
        &mut self,
        closed: FailedAttempt<'_>,
        outbox: &Outbox,
        now: Tick,
    ) {
        let FailedAttempt { error, state, place, is_round, cause, retry, hint, sentence } = closed;
        self.last_error = Some(error);
        let is_new = self.count(is_round, cause, outbox.tally().dropped_lines, now);
        let attempts = self.attempts();
        let before = if is_new { mem::take(&mut self.unlogged) } else { 0 };
        // A command fails with a reason, such as its exit status, and not with a system error.
        let (error, reason) = match place.command {
            None => (self.last_error.as_deref(), None),
            Some(_) => (None, self.last_error.as_deref()),
        };
        log::log!(
            if is_new { Level::Warn } else { Level::Debug },
            sink = self.sink,
            state,
            address = place.address,
            over = place.over,
            command = place.command,
            error,
            reason,
            attempts,
            outages_before = (before > 0).then_some(before),
            retry_ms = retry.map(|wait| wait.as_millis()),
            queued_bytes = outbox.queued_bytes(),
            hint;
            "{sentence}"
        );
    }

    /// Counts a failure. Returns whether it should be logged as a warning: once per outage, and for
    /// each new cause. An outage that begins within the quiet time after the last warning is logged
    /// only if it still lasts when that time is over.
    fn count(
        &mut self,
        is_round: bool,
        cause: Option<String>,
        dropped_lines: u64,
        now: Tick,
    ) -> bool {
        let outage = self.current.get_or_insert(Outage {
            since: now,
            attempts: 0,
            rounds: 0,
            dropped_lines,
            is_logged: false,
            was_logged: false,
            cause: None,
        });
        outage.attempts = outage.attempts.saturating_add(1);
        outage.rounds = outage.rounds.saturating_add(u32::from(is_round));
        let is_new = if outage.is_logged {
            cause.is_some() && cause != outage.cause
        } else {
            self.logged_at.is_none_or(|logged| now - logged >= self.quiet)
        };
        if is_new {
            outage.is_logged = true;
            if cause.is_some() {
                outage.cause = cause;
            }
            self.logged_at = Some(now);
        }
        is_new
    }

    /// Ends the outage, if there is one, because data gets through again. Logs the recovery at
    /// level `info` only if the outage was logged.
    pub(super) fn note_recovery(&mut self, place: LogPlace<'_>, outbox: &Outbox, now: Tick) {
        let Some(outage) = self.end() else { return };
        log::log!(
            if outage.is_logged || outage.was_logged { Level::Info } else { Level::Debug },
            sink = self.sink,
            state = "up",
            address = place.address,
            over = place.over,
            attempts = outage.attempts,
            outage_seconds = tenths(now - outage.since),
            dropped_lines = outbox.tally().dropped_lines - outage.dropped_lines,
            queued_bytes = outbox.queued_bytes();
            "the destination has recovered"
        );
    }

    /// Ends the outage, if there is one, and returns it.
    fn end(&mut self) -> Option<Outage> {
        let ended = self.current.take()?;
        self.unlogged += u64::from(!ended.is_logged && !ended.was_logged);
        Some(ended)
    }

    /// Forgets the failures of the current outage. Called when the destination gets another
    /// address, because the failures were those of the old one. If the outage was logged, it goes
    /// on until data gets through at the new address. Otherwise its end would never be logged.
    pub(super) fn forget(&mut self) {
        self.current.take_if(|outage| !outage.is_logged && !outage.was_logged);
        if let Some(outage) = &mut self.current {
            outage.attempts = 0;
            outage.rounds = 0;
            outage.is_logged = false;
            outage.was_logged = true;
            outage.cause = None;
        }
        self.logged_at = None;
        self.unlogged = 0;
    }

    pub(super) fn is_out(&self) -> bool {
        self.current.is_some()
    }

    /// Returns the number of failures in the current outage. Zero if there is none.
    pub(super) fn attempts(&self) -> u32 {
        self.current.as_ref().map_or(0, |outage| outage.attempts)
    }

    /// Returns the number of rounds of the current outage in which all addresses failed. The wait
    /// between attempts grows with it.
    pub(super) fn rounds(&self) -> u32 {
        self.current.as_ref().map_or(0, |outage| outage.rounds)
    }

    pub(super) fn connects(&self) -> u64 {
        self.connects
    }

    pub(super) fn last_exception(&self) -> Option<UnixTime> {
        self.last_exception
    }

    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

/// Returns a time in seconds, rounded to tenths.
fn tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// Returns the wait before retry number `attempt`, counted from 0. The longest wait starts at twice
/// `min` and doubles up to `max`. The result is a random time in the upper half of it. Otherwise
/// all servers would connect to a restarted carbon in the same millisecond.
///
/// The result is never under `min` and never over `max`. If `min` is larger than `max`, it is
/// `min`.
pub(super) fn retry_delay(random: u64, min: Duration, max: Duration, attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_add(1));
    let longest = min.saturating_mul(factor).min(max).max(min);
    let shortest = (longest / 2).max(min);
    let span = u64::try_from((longest - shortest).as_nanos()).unwrap_or(u64::MAX);
    shortest + Duration::from_nanos(random % span.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::RandomNumbers;

    #[test]
    fn outages_are_logged_once_a_minute_and_counted_between() {
        let mut outages = OutageReport::new("carbon", ONE_A_MINUTE);
        let at = |seconds: u64| Tick::from_millis(seconds * 1000);
        let status = |status: u16| Some(status.to_string());
        assert!(outages.count(true, None, 0, at(1)), "the first");
        assert!(!outages.count(true, None, 0, at(2)), "the same one");
        assert!(outages.count(true, status(401), 0, at(3)), "an answer");
        assert!(!outages.count(true, status(401), 0, at(4)), "the same answer");
        assert!(!outages.count(true, None, 0, at(5)));
        assert!(outages.count(true, status(503), 0, at(6)), "another answer");
        assert!(outages.end().unwrap().is_logged);
        for second in [10, 20, 30] {
            assert!(!outages.count(true, None, 0, at(second)));
            assert!(!outages.end().unwrap().is_logged);
        }
        assert!(!outages.count(false, None, 0, at(40)));
        assert!(!outages.count(false, None, 0, at(65)));
        assert!(outages.count(false, None, 0, at(66)), "one that lasts is logged in the end");
        assert_eq!(mem::take(&mut outages.unlogged), 3);
        assert_eq!(outages.end().unwrap().attempts, 3);
        assert!(outages.end().is_none());
    }

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(30);

    #[test]
    fn it_doubles_within_bounds_and_stops_at_the_longest() {
        for (attempt, shortest, longest) in [
            (0, 100, 200),
            (1, 200, 400),
            (2, 400, 800),
            (7, 12_800, 25_600),
            (8, 15_000, 30_000),
            (31, 15_000, 30_000),
            (u32::MAX, 15_000, 30_000),
        ] {
            let millis = |random| retry_delay(random, MIN, MAX, attempt).as_millis();
            let mut jitter = RandomNumbers::new(7);
            for _ in 0..1000 {
                let wait = millis(jitter.next());
                assert!((shortest..=longest).contains(&wait), "retry {attempt} after {wait} ms");
            }
            assert_eq!(millis(0), shortest);
        }
    }

    #[test]
    fn it_spreads_over_the_whole_range() {
        let mut jitter = RandomNumbers::new(7);
        let waits: Vec<_> = (0..1000).map(|_| retry_delay(jitter.next(), MIN, MAX, 0)).collect();
        for tenth in 0..10 {
            let from = MIN + MIN / 10 * tenth;
            let within = waits.iter().filter(|&&wait| from <= wait && wait < from + MIN / 10);
            assert!(within.count() > 50, "few waits from {from:?}");
        }
    }

    #[test]
    fn odd_bounds_are_kept_too() {
        for (min, max) in [(MAX, MAX), (MAX, MIN), (Duration::ZERO, MAX), (MIN, Duration::MAX)] {
            for attempt in [0, 5, 40] {
                for random in [0, 1, u64::MAX] {
                    let wait = retry_delay(random, min, max, attempt);
                    assert!(min <= wait && wait <= max.max(min), "{wait:?} of {min:?} to {max:?}");
                }
            }
        }
    }
}
