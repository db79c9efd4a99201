//! What a link hears from its peer: bytes, acknowledgements, refusals.

use super::{LOOK, LOOK_MAX_HURRIED, Link, Look, REFUSALS, REFUSALS_BELIEVED, State};
use crate::sink::framing::Refused;
use crate::sink::outbox::Outbox;
use crate::time::{Now, Tick};

impl Link {
    /// Whether a connection is: the first is made to see whether the destination is there.
    pub(super) fn is_wanted(&self, outbox: &Outbox) -> bool {
        self.history.connects == 0 || outbox.head().is_some() || outbox.has_spooled()
    }

    /// Takes in what the peer says. Returns whether the link is still up.
    pub(super) fn poll_acks(&mut self, outbox: &mut Outbox, now: Now) -> bool {
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
            Ok(is_news) => self.proof.is_awaited |= is_news,
            Err(error) => return self.fail(&error, outbox, now),
        }
        self.note_proof(outbox, now);
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

    /// Marks the connection as proven once it has lasted. An outage then ends if a chunk was
    /// acknowledged on the connection that never had been before.
    pub(super) fn note_proof(&mut self, outbox: &mut Outbox, now: Now) {
        let State::Up(connection) = &self.state else { return };
        let is_young = connection.lingers_until().is_some_and(|until| now.tick < until);
        let is_hurried = self.look_max == LOOK_MAX_HURRIED;
        self.proof.lingers = is_young && is_hurried && outbox.is_drained();
        if !connection.is_proven(now.tick) {
            return;
        }
        self.proof.is_given = true;
        self.proof.early = 0;
        outbox.trust();
        if std::mem::take(&mut self.proof.is_awaited)
            && let Some(outage) = self.outages.end()
        {
            self.log_recovery(&outage, outbox, now.tick);
        }
    }

    /// Whether the ending connection has sent something, but did not last.
    pub(super) fn is_closed_early(&self) -> bool {
        let State::Up(connection) = &self.state else { return false };
        !self.proof.is_given && connection.proves_itself_at().is_some()
    }

    /// Handles an early close by the peer: what it acknowledged does not count.
    pub(super) fn note_early_close(&mut self, outbox: &mut Outbox) {
        self.proof.early = self.proof.early.saturating_add(1);
        if self.proof.early >= REFUSALS_BELIEVED {
            outbox.was_refused();
            let why = "closed by the peer right after the first bytes, again and again";
            self.history.last_error = Some(format!("{why}: {}", self.hint));
        } else if let Some(chunk) = outbox.broke_early() {
            self.log_poison(&chunk);
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
