//! A look-up of a host name in a child process, without a thread and without blocking.
//!
//! Only getaddrinfo reads NSS, mDNS and /etc/hosts, and it may block for half a minute. So it runs
//! in a short-lived child: our own program, started again with `--resolve HOST PORT`. The child
//! writes one address a line (or `error: …`) to a pipe that the loop polls, and exits.
//!
//! ```text
//!   Query::start ──▶ child: --resolve HOST PORT ══pipe══▶ Query::read … true ──▶ Query::addresses
//!   Query::end   ──▶ killed, if it still runs   ──▶ Dying::is_gone … true
//! ```
//! The child is started by posix_spawn, with every other descriptor closed. (std would fork if it
//! had to do more here.) Nothing waits for the child. The loop polls until the child has ended.

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

/// The most bytes of an answer: room for those addresses, and for any error.
const ANSWER_BYTES: usize = 64 * ADDRESSES;

/// The time between two polls for the end of a child: the first, and the longest.
const REAP_WAIT: Duration = Duration::from_millis(10);
const REAP_WAIT_MAX: Duration = Duration::from_secs(10);

/// Runs the program as `statsd --resolve HOST PORT`: looks the name up, which may block, and writes
/// the answer to standard output.
pub fn run_child(host: &str, port: u16) -> ExitCode {
    // A look-up may load modules that others have installed. It never needs more privileges than
    // the server has.
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

#[allow(clippy::disallowed_methods)] // in the child, whose only task it is to block here
fn look_up(host: &str, port: u16) -> io::Result<String> {
    let mut answer = String::new();
    for address in (host, port).to_socket_addrs()?.take(ADDRESSES) {
        answer.push_str(&address.to_string());
        answer.push('\n');
    }
    Ok(answer)
}

/// The command that looks a name up.
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
    /// The child of the last look-up has not ended yet.
    StillRunning,
    /// There was no answer in time.
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
    /// Starts `command`. `token` will announce its answer.
    pub(super) fn start(
        mut command: Command,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, LookUpError> {
        let (sender, mut pipe) = pipe::new()?;
        sender.set_nonblocking(false)?;
        registry.register(&mut pipe, token, Interest::READABLE)?;
        let stdout = Stdio::from(OwnedFd::from(sender));
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).spawn()?;
        // With `command` our copy of the pipe's other end goes, so that the child's exit ends it.
        Ok(Self { process: Process(child), pipe, answer: Vec::new() })
    }

    /// Reads all that the pipe holds. Returns whether that was the end of the answer.
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

    /// Returns the addresses of a complete answer, at least one.
    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>, LookUpError> {
        parse(&self.answer)
    }

    /// Reaps an ended child of this process if it is this look-up's. Returns whether it is.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.process.note_exit(child)
    }

    /// Ends the look-up, and kills its child if that is still running.
    pub(super) fn end(mut self, now: Tick) -> Dying {
        self.process.kill();
        Dying { process: self.process, retry: now, wait: REAP_WAIT }
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
pub(super) struct Dying {
    process: Process,
    retry: Tick,
    wait: Duration,
}

impl Dying {
    /// Reaps an ended child of this process if it is this look-up's. Returns whether it is.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.process.note_exit(child)
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Tick {
        self.retry
    }

    /// Polls whether the child has ended, if it is time to, and reaps it then.
    pub(super) fn is_gone(&mut self, now: Tick) -> bool {
        if now < self.retry {
            return false;
        }
        self.retry = now + self.wait;
        self.wait = (self.wait * 2).min(REAP_WAIT_MAX);
        self.process.is_reaped()
    }
}

/// A child that is killed when its owner is dropped. The server reaps it after that.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        // It fails only for a child that is gone already.
        let _ = self.0.kill();
    }

    /// Reaps `child` if it is this one. Returns whether it is.
    fn note_exit(&mut self, child: u32) -> bool {
        self.0.id() == child && self.is_reaped()
    }

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
