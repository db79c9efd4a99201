//! A host name that is looked up, again and again: for UDP there is no connect at which to do it.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use mio::{Registry, Token};

use crate::sink::resolve::{Dying, Query};
use crate::time::Tick;
use crate::token::Generation;

/// Between two look-ups.
const AGAIN: Duration = Duration::from_secs(60);
/// One that takes longer has failed.
const LOOK_UP: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Name {
    query: Option<(Query, Generation, Tick)>,
    /// A child that is not known to be gone.
    dying: Option<Dying>,
    /// When to look it up again; None: as soon as it is asked for.
    due: Option<Tick>,
}

impl Name {
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.query.is_none() && self.dying.is_none() && self.due.is_none_or(|due| due <= now)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.query.is_some()
    }

    /// Starts a look-up, whose answer `token` will announce.
    pub(super) fn ask(
        &mut self,
        command: Command,
        registry: &Registry,
        token: (Token, Generation),
        now: Tick,
    ) -> io::Result<()> {
        let query = Query::start(command, registry, token.0)?;
        self.query = Some((query, token.1, now + LOOK_UP));
        Ok(())
    }

    /// An event came. The addresses, or why there are none, if that was the end of the answer.
    pub(super) fn ready(
        &mut self,
        on: Generation,
        now: Tick,
    ) -> Option<io::Result<Vec<SocketAddr>>> {
        let (query, generation, _) = self.query.as_mut()?;
        if on != *generation {
            return None;
        }
        let answer = match query.read() {
            Ok(false) => return None,
            Ok(true) => query.addresses(),
            Err(error) => Err(error),
        };
        self.end(now);
        Some(answer)
    }

    /// Does what is due. An error if a look-up took too long.
    pub(super) fn timeout(&mut self, now: Tick) -> Option<io::Error> {
        if self.dying.as_mut().is_some_and(|child| child.is_gone(now)) {
            self.dying = None;
        }
        self.query.as_ref().filter(|(_, _, until)| *until <= now)?;
        self.end(now);
        Some(io::Error::new(io::ErrorKind::TimedOut, "no answer to the look-up"))
    }

    /// Whether an ended child belonged to a look-up of this name.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.query.as_mut().is_some_and(|(query, _, _)| query.note_exit(child))
            || self.dying.as_mut().is_some_and(|dying| dying.note_exit(child))
    }

    /// When [`timeout`](Self::timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let query = self.query.as_ref().map(|(_, _, until)| *until);
        [query, self.dying.as_ref().map(Dying::deadline)].into_iter().flatten().min()
    }

    /// When it is to be looked up again, if that is known and nothing is in the way.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due.filter(|_| self.query.is_none() && self.dying.is_none())
    }

    /// In a minute it is to be looked up again.
    pub(super) fn rest(&mut self, now: Tick) {
        self.due = Some(now + AGAIN);
    }

    /// It is to be looked up as soon as it is asked for.
    pub(super) fn forget(&mut self, now: Tick) {
        self.end(now);
        self.due = None;
    }

    fn end(&mut self, now: Tick) {
        if let Some((query, _, _)) = self.query.take() {
            self.dying = Some(query.end(now));
        }
    }
}
