//! What a link hears from its peer: bytes, acknowledgements, refusals.

use super::{LOOK, LOOK_MAX_HURRIED, Link, Look, REFUSALS, State};
use crate::sink::framing::Refused;
use crate::sink::outbox::Outbox;
use crate::time::{Now, Tick};

impl Link {
    /// Whether a connection is: the first is made to see whether the destination is there.
    pub(super) fn is_wanted(&self, outbox: &Outbox) -> bool {
        self.history.connects == 0 || outbox.head().is_some() || outbox.has_spooled()
    }

    /// Takes in what the peer says. Returns whether the link is still up.
    pub(super) fn hear(&mut self, outbox: &mut Outbox, now: Now) -> bool {
        let State::Up(connection) = &mut self.state else { return false };
        match connection.receive() {
            Err(error) => self.fail(&error, outbox, now),
            Ok(()) if connection.has_news() => self.settle(outbox, now),
            Ok(()) => {}
        }
        if matches!(&self.state, State::Up(connection) if connection.is_spent()) {
            self.go(State::Idle, outbox, now);
        }
        matches!(self.state, State::Up(_))
    }

    /// Learns what was acknowledged, and plans the next look if somebody waits for it.
    pub(super) fn settle(&mut self, outbox: &mut Outbox, now: Now) {
        let State::Up(connection) = &mut self.state else { return };
        let before = outbox.unacked_bytes();
        let settled = connection.settle(outbox, now.tick);
        if let Some(refused) = connection.take_refused() {
            self.note_refusal(&refused, now.tick);
        }
        match settled {
            Ok(true) => self.recover(outbox, now),
            Ok(false) => {}
            Err(error) => return self.fail(&error, outbox, now),
        }
        self.plan_look(outbox, outbox.unacked_bytes() < before, now.tick);
    }

    pub(super) fn plan_look(&mut self, outbox: &Outbox, moved: bool, now: Tick) {
        let awaited = self.outages.now().is_some()
            || self.look_max == LOOK_MAX_HURRIED
            || outbox.has_spooled();
        if !awaited || outbox.unacked_bytes() == 0 {
            self.look = None;
            return;
        }
        let wait = match self.look {
            Some(look) if now < look.at => return,
            Some(look) if !moved => (look.wait * 2).min(self.look_max),
            _ => LOOK,
        };
        self.look = Some(Look { at: now + wait, wait });
    }

    /// A chunk arrived that never had before: an outage, if there was one, is over.
    pub(super) fn recover(&mut self, outbox: &Outbox, now: Now) {
        if let Some(outage) = self.outages.end() {
            self.log_recovery(&outage, outbox, now.tick);
        }
    }

    pub(super) fn note_refusal(&mut self, refused: &Refused, now: Tick) {
        self.refusals.untold_lines += u64::from(refused.chunk.lines());
        if self.refusals.quiet_until <= now {
            self.refusals.quiet_until = now + REFUSALS;
            let lines = std::mem::take(&mut self.refusals.untold_lines);
            self.log_refusal(refused, lines);
        }
    }
}
