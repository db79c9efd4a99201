//! Outages of a link: when one begins, what it counts, and how often the log hears of them.

use std::time::Duration;

use crate::time::Tick;

/// From the first way down until a chunk arrives.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) since: Tick,
    /// Ways down.
    pub(super) attempts: u32,
    /// Rounds in which all addresses failed.
    pub(super) rounds: u32,
    /// Lines dropped before it.
    pub(super) dropped_lines: u64,
    /// The log has heard of it, and hears of its end.
    pub(super) is_said: bool,
    /// The last answer that the log has heard of, where there are answers.
    answer: Option<u16>,
}

/// Those of one link.
#[derive(Debug, Default)]
pub(super) struct Outages {
    now: Option<Outage>,
    /// When the log last heard of one.
    said: Option<Tick>,
    /// Ended since, and not told.
    unsaid: u64,
}

/// A connection that comes and goes is told of once in so long; what lies between is counted.
const TELL: Duration = Duration::from_secs(60);

impl Outages {
    pub(super) fn now(&self) -> Option<&Outage> {
        self.now.as_ref()
    }

    /// A way down, all addresses having failed or not, perhaps with an answer. True when the log should hear of it: of an
    /// outage once, and of each other answer in it.
    pub(super) fn count(
        &mut self,
        is_round: bool,
        answer: Option<u16>,
        dropped_lines: u64,
        now: Tick,
    ) -> bool {
        let outage = self.now.get_or_insert(Outage {
            since: now,
            attempts: 0,
            rounds: 0,
            dropped_lines,
            is_said: false,
            answer: None,
        });
        outage.attempts = outage.attempts.saturating_add(1);
        outage.rounds = outage.rounds.saturating_add(u32::from(is_round));
        let tells = match outage.is_said {
            true => answer.is_some() && answer != outage.answer,
            false => self.said.is_none_or(|said| now - said >= TELL),
        };
        if tells {
            outage.is_said = true;
            outage.answer = answer.or(outage.answer);
            self.said = Some(now);
        }
        tells
    }

    /// It is over, if there was one.
    pub(super) fn end(&mut self) -> Option<Outage> {
        let ended = self.now.take()?;
        self.unsaid += u64::from(!ended.is_said);
        Some(ended)
    }

    /// Those that ended without a word since this was last asked.
    pub(super) fn take_unsaid(&mut self) -> u64 {
        std::mem::take(&mut self.unsaid)
    }

    /// The next one begins from zero, with an address that has no history.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_told_once_a_minute_and_counted_between() {
        let mut outages = Outages::default();
        let at = |seconds: u64| Tick::from_millis(seconds * 1000);
        assert!(outages.count(true, None, 0, at(1)), "the first");
        assert!(!outages.count(true, None, 0, at(2)), "the same one");
        assert!(outages.count(true, Some(401), 0, at(3)), "an answer");
        assert!(!outages.count(true, Some(401), 0, at(4)), "the same answer");
        assert!(!outages.count(true, None, 0, at(5)));
        assert!(outages.count(true, Some(503), 0, at(6)), "another answer");
        assert!(outages.end().unwrap().is_said);
        for second in [10, 20, 30] {
            assert!(!outages.count(true, None, 0, at(second)));
            assert!(!outages.end().unwrap().is_said);
        }
        assert!(!outages.count(false, None, 0, at(40)));
        assert!(!outages.count(false, None, 0, at(65)));
        assert!(outages.count(false, None, 0, at(66)), "one that lasts is told of in the end");
        assert_eq!((outages.take_unsaid(), outages.take_unsaid()), (3, 0));
        assert_eq!(outages.end().unwrap().attempts, 3);
        assert!(outages.end().is_none());
    }
}
