//! [`ServerError`]: its text shows what is wrong, where, and what the operator can do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::ingest::bind::BindError;
use crate::privileges::PrivilegeError;

/// Why a server cannot start or apply a reload, or why `--stdin` or `--dry-run` fails.
#[derive(Debug)]
pub enum ServerError {
    Bind(BindError),
    /// A socket that was passed in cannot be used.
    Passed(io::Error),
    Privileges(PrivilegeError),
    /// Another server uses the state file.
    State(PathBuf, io::Error),
    /// The folder of a sink's spool cannot be used.
    Spool(PathBuf, io::Error),
    /// There are this many destinations already. Most of them were removed and still have data to
    /// deliver.
    TooManyLeaving(usize),
    /// The console cannot write to standard output.
    Stdout(io::Error),
    /// `--stdin` cannot read standard input.
    Stdin(io::Error),
    /// `--dry-run` cannot write to standard output.
    Print(io::Error),
    /// The event loop cannot be set up.
    Poll(io::Error),
    /// The event loop cannot watch a socket that is bound.
    Watch(io::Error),
    /// A reload has failed with this error. A listener was closed for it, and could not be opened
    /// again.
    ListenerLost(Box<Self>),
}

impl fmt::Display for ServerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(out),
            Self::Passed(error) => write!(
                out,
                "cannot use the sockets passed in: {error}; see ListenDatagram= and ListenStream= of the socket unit"
            ),
            Self::Privileges(error) => error.fmt(out),
            Self::State(path, error) => write!(
                out,
                "cannot use state_file {}: {error}; each server needs a state_file of its own, \
                 and keeps files beside it that end in .new, .old and .damaged",
                path.display()
            ),
            Self::Spool(path, error) => write!(
                out,
                "cannot use the spool {}: {error}; [spool] dir must be a folder of this user's own, and no other server's",
                path.display()
            ),
            Self::TooManyLeaving(sinks) => write!(
                out,
                "there are {sinks} destinations, most of them removed by earlier reloads and still delivering; reload again when they have ended, or lower shutdown_timeout"
            ),
            Self::Stdout(error) => write!(
                out,
                "cannot write to standard output: {error}; [console] enabled needs one that this user may open"
            ),
            Self::Stdin(error) => {
                write!(out, "cannot read standard input: {error}; nothing was sent")
            }
            Self::Print(error) => write!(out, "cannot write to standard output: {error}"),
            Self::Poll(error) => write!(
                out,
                "cannot set up the event loop: {error}; is the limit of open files too low?"
            ),
            Self::Watch(error) => write!(
                out,
                "cannot watch a new socket: {error}; is fs.epoll.max_user_watches too low?"
            ),
            Self::ListenerLost(error) => error.fmt(out),
        }
    }
}

impl From<BindError> for ServerError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

impl From<PrivilegeError> for ServerError {
    fn from(error: PrivilegeError) -> Self {
        Self::Privileges(error)
    }
}
