//! [`SinkError`]: why an outlet failed. The log and the admin port show its text.

use std::error::Error;
use std::fmt;
use std::io;

use super::look_up::LookUpError;

/// Why an outlet failed.
#[derive(Debug)]
pub(crate) enum SinkError {
    /// A system call failed.
    Io(io::Error),
    /// The peer has closed the connection.
    ClosedByPeer,
    /// The socket is connected to itself. If no process listens on a port of this host, the kernel
    /// may choose that very port as the local one. TCP then connects the socket to itself.
    ConnectedToItself,
    /// The peer did not answer the connect in time.
    ConnectTimedOut,
    /// A connected peer did not do something in time. The text is the whole message.
    TimedOut(&'static str),
    /// An HTTP server has neither accepted nor refused the request, which may be sent again.
    Http { status: u16, text: String },
    /// The peer sent bytes that are not HTTP.
    NotHttp(String),
    /// An HTTP server sent an answer though there was no request.
    UnaskedAnswer,
    /// The name of the destination could not be resolved.
    LookUp(LookUpError),
}

impl SinkError {
    /// Whether the peer, or the look-up of its name, was silent for too long. Otherwise the peer or
    /// the kernel reported an error.
    pub(super) fn is_timeout(&self) -> bool {
        match self {
            Self::ConnectTimedOut | Self::TimedOut(_) | Self::LookUp(LookUpError::TimedOut) => true,
            Self::Io(error) => error.kind() == io::ErrorKind::TimedOut,
            _ => false,
        }
    }

    /// Returns the sentence of the log line for this failure.
    pub(super) fn sentence(&self) -> &'static str {
        match self {
            Self::LookUp(_) => "the name of the destination was looked up without success",
            Self::Http { .. } => "the destination has answered with an error",
            Self::ClosedByPeer => "the destination has closed the connection",
            Self::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                "the destination has closed the connection"
            }
            Self::NotHttp(_) | Self::UnaskedAnswer => "the destination does not speak HTTP",
            Self::ConnectTimedOut | Self::TimedOut(_) => "the destination does not answer",
            Self::Io(_) | Self::ConnectedToItself => "the destination cannot be reached",
        }
    }

    /// Returns the status of the HTTP answer that is the reason. Returns `None` for other reasons.
    pub(super) fn http_status(&self) -> Option<u16> {
        if let Self::Http { status, .. } = self { Some(*status) } else { None }
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::ClosedByPeer => f.write_str("closed by the peer"),
            Self::ConnectedToItself => f.write_str("connected to itself"),
            Self::ConnectTimedOut => f.write_str("no answer to the connect"),
            Self::TimedOut(what) => f.write_str(what),
            Self::Http { text, .. } => f.write_str(text),
            Self::NotHttp(what) => write!(f, "the answer is no HTTP: {what}"),
            Self::UnaskedAnswer => f.write_str("an answer to nothing"),
            Self::LookUp(error) => error.fmt(f),
        }
    }
}

impl Error for SinkError {}

impl From<io::Error> for SinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LookUpError> for SinkError {
    fn from(error: LookUpError) -> Self {
        Self::LookUp(error)
    }
}
