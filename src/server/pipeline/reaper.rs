//! [`Reaper`]: reaps ended children that belong to no sink.

use crate::sink::Sinks;
use crate::sys;

/// The most children reaped in one turn.
const CHILDREN_PER_TURN: usize = 256;

/// Reaps children that no sink waits for. Otherwise they would stay zombies while the server runs.
///
/// The sinks start children (look-ups and commands) and reap them. But a sink that a reload removes
/// kills its child and is dropped before the child has ended. If the server is process 1, as in a
/// container, it also gets every orphan: processes that commands left in the background.
///
/// So after each SIGCHLD the reaper lists the children that have ended, and reaps those that no
/// sink has started. A sink reaps its own child, and reads its exit status.
#[derive(Debug)]
pub(super) struct Reaper {
    /// A child may have ended.
    is_due: bool,
}

impl Default for Reaper {
    /// A child may have ended before signals were handled.
    fn default() -> Self {
        Self { is_due: true }
    }
}

impl Reaper {
    /// Notes that a child may have ended, so that this turn checks.
    pub(super) fn note_ended_child(&mut self) {
        self.is_due = true;
    }

    /// Reaps ended children that belong to no sink. Returns `true` if there may be more.
    pub(super) fn turn(&mut self, sinks: &mut Sinks) -> bool {
        let mut last = None;
        for _ in 0..CHILDREN_PER_TURN {
            if !self.is_due {
                return false;
            }
            match sys::ended_child() {
                // A child found twice was not reaped by the sink that claimed it. It must not hide
                // the next ones.
                Ok(Some(child)) if last == Some(child) || !sinks.note_exit(child) => {
                    let _ = sys::reap(child); // this fails only for a child reaped already
                }
                Ok(Some(child)) => last = Some(child),
                // An error means that there are no children at all.
                Ok(None) | Err(_) => self.is_due = false,
            }
        }
        self.is_due
    }
}
