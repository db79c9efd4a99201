//! Children that nobody asks after any more, which would stay zombies for as long as the server runs.
//!
//! The sinks start children, and reap them: look-ups and commands. A sink that a reload removes kills its child and is gone
//! before the child is. Where the server is process 1, as in a container, every orphan becomes its child, too: what the
//! commands leave in the background. So after each SIGCHLD it looks which children have ended, and reaps those that no sink
//! has started. How a sink's own child ended is left for the sink to learn.

use crate::sink::Sinks;
use crate::sys;

/// Children reaped in one turn.
const CHILDREN_PER_TURN: usize = 256;

#[derive(Debug)]
pub(super) struct Reaper {
    /// A child may have ended.
    is_due: bool,
}

impl Default for Reaper {
    /// One may have ended before signals were listened to.
    fn default() -> Self {
        Self { is_due: true }
    }
}

impl Reaper {
    /// Looks in this turn, if a child has ended.
    pub(super) fn wake(&mut self, has_ended: bool) {
        self.is_due |= has_ended;
    }

    /// Reaps what belongs to no sink. True if there may be more.
    pub(super) fn turn(&mut self, sinks: &mut Sinks) -> bool {
        let mut last = None;
        for _ in 0..CHILDREN_PER_TURN {
            if !self.is_due {
                return false;
            }
            match sys::ended_child() {
                // One that is found again was not reaped by the sink that said so; it must not hide the next ones.
                Ok(Some(child)) if last == Some(child) || !sinks.note_exit(child) => {
                    let _ = sys::reap(child); // it fails only for what is reaped already
                }
                Ok(Some(child)) => last = Some(child),
                Ok(None) | Err(_) => self.is_due = false, // an error means that there are no children at all
            }
        }
        self.is_due
    }
}
