//! `bad`: the last bad lines.

use std::time::{Duration, UNIX_EPOCH};

use super::text::{put_escaped, write};
use super::view::View;
use crate::sender::Sender;
use crate::time::UnixTime;

/// Appends the last `most` bad lines, the oldest first.
pub(super) fn put_bad_lines(view: &mut View<'_>, most: usize, out: &mut Vec<u8>) {
    for bad in view.engine.ledger().bad_lines().last(most) {
        let time = humantime::format_rfc3339_millis(UNIX_EPOCH + since_1970(bad.time));
        write(out, format_args!("{time} {} {}: ", ShownSender(bad.sender), bad.reason));
        put_escaped(&bad.line, out);
        out.extend_from_slice(if bad.is_cut { b"...\n" } else { b"\n" });
    }
}

pub(super) fn since_1970(time: UnixTime) -> Duration {
    Duration::from_millis(time.as_millis())
}

/// A sender, with the user of a process.
struct ShownSender(Sender);

impl std::fmt::Display for ShownSender {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)?;
        match self.0 {
            Sender::UnixProcess { user, .. } => write!(out, " user={user}"),
            _ => Ok(()),
        }
    }
}
