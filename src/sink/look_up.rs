//! `Query`: the look-up of a host name in a child process, without a thread and without blocking.
//!
//! Only getaddrinfo reads NSS, mDNS and /etc/hosts, and it may block for half a minute. So it runs
//! in a short-lived child: the server's own binary, started with `--resolve HOST PORT`. The child
//! writes one address a line, or `error: …`, to a pipe that the loop polls. Then it exits.
//!
//! ```text
//!   Query::start ──▶ child: --resolve HOST PORT ══pipe══▶ Query::read … true ──▶ Query::addresses
//!   Query::end   ──▶ killed, if it still runs   ──▶ UnreapedChild::is_reaped … true
//! ```
//! The child is started by posix_spawn, with every other descriptor closed. std uses it only as
//! long as `command` sets no user, group or `pre_exec`; with these it would fork. No call waits
//! for the child: the loop polls until it has ended, and reaps it then.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{AddrParseError, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitCode, Stdio};
use std::str::{self, Utf8Error};
use std::time::Duration;

use mio::unix::pipe::{self, Receiver};
use mio::{Interest, Registry, Token};

use crate::privileges::no_new_privileges;
use crate::time::Tick;

/// The most addresses of a name that are tried. The largest round robins have a dozen.
const ADDRESSES: usize = 64;

/// The most bytes of an answer: enough for [`ADDRESSES`], and for any error. A child that writes
/// more is killed, so that it cannot fill the memory.
const ANSWER_BYTES: usize = 64 * ADDRESSES;

/// The shortest and the longest time between two polls for the end of a child. It doubles, because
/// a child in an uninterruptible system call may take long to die.
const REAP_WAIT: Duration = Duration::from_millis(10);
const REAP_WAIT_MAX: Duration = Duration::from_secs(10);

/// Runs the child, `statsd --resolve HOST PORT`: looks the name up, which may block, and writes the
/// answer to standard output. Exits with success even if the name was not found, since that is an
/// answer, too.
pub fn run_child(host: &str, port: u16) -> ExitCode {
    // getaddrinfo may load NSS modules that others have installed on this host. A look-up never
    // needs more privileges than the server has, so it gives up the right to gain any.
    if no_new_privileges().is_err() {
        return ExitCode::FAILURE;
    }
    let answer = match look_up(host, port) {
        Ok(addresses) => addresses,
        Err(error) => format!("error: {error}\n"),
    };
    match io::stdout().write_all(answer.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Returns the answer: one address a line.
#[allow(clippy::disallowed_methods)] // in the child, whose only task it is to block here
fn look_up(host: &str, port: u16) -> io::Result<String> {
    let mut answer = String::new();
    for address in (host, port).to_socket_addrs()?.take(ADDRESSES) {
        answer.push_str(&address.to_string());
        answer.push('\n');
    }
    Ok(answer)
}

/// A function that returns the command to look up a host, with the port for its addresses.
pub(crate) type LookUpCommand = fn(&str, u16) -> Command;

/// Returns the command that looks a name up. It starts the running binary, even if the file at its
/// path was replaced by an upgrade.
pub(super) fn command(host: &str, port: u16) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--resolve").arg(host).arg(port.to_string());
    command
}

/// Why a look-up has found no address.
#[derive(Debug)]
pub(crate) enum LookUpError {
    /// The child could not be started, or its answer could not be read.
    Io(io::Error),
    /// The child of the last look-up has not ended yet. No second one is started, so that names
    /// that hang do not pile up children.
    StillRunning,
    /// The child did not answer in time.
    TimedOut,
    /// The answer is longer than any real one.
    Endless,
    /// The child ended without an answer.
    Empty,
    NotUtf8(Utf8Error),
    NoAddress(AddrParseError),
    /// The resolver of the system has reported this error.
    Reported(String),
}

impl fmt::Display for LookUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::StillRunning => f.write_str("the child of the last look-up is still there"),
            Self::TimedOut => f.write_str("no answer to the look-up"),
            Self::Endless => f.write_str("the look-up answers without end"),
            Self::Empty => f.write_str("the look-up ended without an answer"),
            Self::NotUtf8(error) => error.fmt(f),
            Self::NoAddress(error) => error.fmt(f),
            Self::Reported(reason) => f.write_str(reason),
        }
    }
}

impl Error for LookUpError {}

impl From<io::Error> for LookUpError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Query {
    process: Process,
    pipe: Receiver,
    answer: Vec<u8>,
}

impl Query {
    /// Starts `command`. The poller sends an event for `token` when its answer can be read.
    pub(super) fn start(
        mut command: Command,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, LookUpError> {
        let (sender, mut pipe) = pipe::new()?;
        sender.set_nonblocking(false)?; // the child writes with plain blocking calls
        registry.register(&mut pipe, token, Interest::READABLE)?;
        let stdout = Stdio::from(OwnedFd::from(sender));
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).spawn()?;
        // `command` is dropped here, and with it the server's copy of the pipe's write end.
        // Otherwise the pipe would not end when the child exits.
        Ok(Self { process: Process(child), pipe, answer: Vec::new() })
    }

    /// Reads everything that the pipe holds. Returns whether the answer is complete.
    pub(super) fn read(&mut self) -> Result<bool, LookUpError> {
        let mut buffer = [0; 1024];
        while self.answer.len() <= ANSWER_BYTES {
            match self.pipe.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(n) => self.answer.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Err(LookUpError::Endless)
    }

    /// Returns the addresses of a complete answer. There is at least one.
    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>, LookUpError> {
        parse(&self.answer)
    }

    /// Reaps the ended child process `child` if it belongs to this look-up. Returns whether it
    /// does.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.process.note_exit(child)
    }

    /// Ends the look-up, and kills its child if it still runs. The caller must keep the result
    /// until the child is reaped.
    pub(super) fn end(mut self, now: Tick) -> UnreapedChild {
        self.process.kill();
        UnreapedChild { process: self.process, since: now, retry: now, wait: REAP_WAIT }
    }
}

fn parse(answer: &[u8]) -> Result<Vec<SocketAddr>, LookUpError> {
    let answer = str::from_utf8(answer).map_err(LookUpError::NotUtf8)?;
    if let Some(error) = answer.strip_prefix("error: ") {
        return Err(LookUpError::Reported(error.trim_end().to_owned()));
    }
    let addresses: Result<Vec<SocketAddr>, _> = answer.lines().map(str::parse).collect();
    let addresses = addresses.map_err(LookUpError::NoAddress)?;
    if addresses.is_empty() { Err(LookUpError::Empty) } else { Ok(addresses) }
}

/// A child that was killed, or has answered, and is not reaped yet.
#[derive(Debug)]
pub(super) struct UnreapedChild {
    process: Process,
    since: Tick,
    retry: Tick,
    wait: Duration,
}

impl UnreapedChild {
    /// Reaps the ended child process `child` if it belongs to this look-up. Returns whether it
    /// does.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.process.note_exit(child)
    }

    /// Returns when its look-up has ended.
    pub(super) fn since(&self) -> Tick {
        self.since
    }

    /// Returns when to poll again.
    pub(super) fn deadline(&self) -> Tick {
        self.retry
    }

    /// Returns true if the child has ended, and reaps it. Before the time for the next poll it
    /// returns false without a system call.
    pub(super) fn is_reaped(&mut self, now: Tick) -> bool {
        if now < self.retry {
            return false;
        }
        self.retry = now + self.wait;
        self.wait = (self.wait * 2).min(REAP_WAIT_MAX);
        self.process.is_reaped()
    }
}

/// A child that is killed when it is dropped. If it has not ended by then, the server reaps it
/// later, as it does with any child that is not known to a sink.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        // An error means that the child has ended already.
        let _ = self.0.kill();
    }

    /// Reaps the ended child process `child` if it is this one. Returns whether it is.
    fn note_exit(&mut self, child: u32) -> bool {
        self.0.id() == child && self.is_reaped()
    }

    /// Reaps the child if it has ended. Returns false if it still runs.
    fn is_reaped(&mut self) -> bool {
        // An error means that there is no such child of ours: nothing is left to reap.
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.is_reaped();
    }
}

#[cfg(test)]
mod tests;
