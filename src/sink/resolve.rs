//! Host names to addresses, without a thread and without blocking.
//!
//! Only getaddrinfo knows what NSS, mDNS and /etc/hosts say, and it may block for half a minute. So it runs in a
//! short-lived child: our own program, started again with `--resolve HOST PORT`, which writes one address a line (or
//! `error: …`) to a pipe the loop polls, and exits.
//!
//! ```text
//!   Query::start ──▶ child: --resolve HOST PORT ──▶ stdout ══pipe══▶ Query::read … true ──▶ Query::addresses
//!   Query::end   ──▶ killed, if it still runs   ──▶ Dying::is_gone … true
//! ```
//! The child is started by posix_spawn (nothing here asks for more, or std would fork), with every other descriptor
//! closed. Nobody waits for it: it is asked after until it is gone.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitCode, Stdio};
use std::str;
use std::time::Duration;

use mio::unix::pipe::{self, Receiver};
use mio::{Interest, Registry, Token};

use crate::privileges::no_new_privileges;
use crate::time::Tick;

/// Addresses of a name that are tried; the largest round robins have a dozen.
const ADDRESSES: usize = 64;

/// Room for those, and for any error.
const ANSWER_BYTES: usize = 64 * ADDRESSES;

/// When a killed child is asked after again: first, and at the most.
const REAP_WAIT: Duration = Duration::from_millis(10);
const REAP_WAIT_MAX: Duration = Duration::from_secs(10);

/// What the program does when it is started as `statsd --resolve HOST PORT`: looks the name up, however long it takes,
/// and writes the answer to standard output.
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
        writeln!(answer, "{address}").map_err(io::Error::other)?;
    }
    Ok(answer)
}

/// The command that looks a name up.
pub(super) fn command(host: &str, port: u16) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--resolve").arg(host).arg(port.to_string());
    command
}

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Query {
    process: Process,
    pipe: Receiver,
    answer: Vec<u8>,
}

impl Query {
    /// Starts `command`, whose answer `token` will announce.
    pub(super) fn start(
        mut command: Command,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let (sender, mut pipe) = pipe::new()?;
        sender.set_nonblocking(false)?;
        registry.register(&mut pipe, token, Interest::READABLE)?;
        let stdout = Stdio::from(OwnedFd::from(sender));
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).spawn()?;
        // With `command` our copy of the pipe's other end goes, so that the child's exit ends it.
        Ok(Self { process: Process(child), pipe, answer: Vec::new() })
    }

    /// Takes what the pipe holds. True when that was the end of the answer.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 1024];
        while self.answer.len() <= ANSWER_BYTES {
            match self.pipe.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(n) => self.answer.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the look-up answers without end"))
    }

    /// What the answer says: at least one address, or why there is none.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        parse(&self.answer)
    }

    /// As [`Outlet::note_exit`](super::outlet::Outlet::note_exit).
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.process.note_exit(child)
    }

    /// Lets go of the child, which is killed if it is still busy.
    pub(super) fn end(mut self, now: Tick) -> Dying {
        self.process.kill();
        Dying { process: self.process, retry: now, wait: REAP_WAIT }
    }
}

fn parse(answer: &[u8]) -> io::Result<Vec<SocketAddr>> {
    let answer = str::from_utf8(answer).map_err(io::Error::other)?;
    if let Some(error) = answer.strip_prefix("error: ") {
        return Err(io::Error::other(error.trim_end().to_owned()));
    }
    let addresses: Result<Vec<SocketAddr>, _> = answer.lines().map(str::parse).collect();
    match addresses {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(io::Error::other("the look-up ended without an answer")),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// A child that was told to go and is not known to be gone.
#[derive(Debug)]
pub(super) struct Dying {
    process: Process,
    retry: Tick,
    wait: Duration,
}

impl Dying {
    /// As [`Outlet::note_exit`](super::outlet::Outlet::note_exit).
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.process.note_exit(child)
    }

    /// When to ask again.
    pub(super) fn deadline(&self) -> Tick {
        self.retry
    }

    /// Asks whether it is gone, if it is time to, and reaps it if so.
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
