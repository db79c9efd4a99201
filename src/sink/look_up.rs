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
//!
//! [`Resolver`]: the addresses of a destination, and the look-ups of its name that find them.
//!
//! A TCP destination looks its name up before each round of attempts to connect. It tries every
//! address once in a round. A UDP destination never connects, so nothing would show that its
//! address has changed. Its name is looked up again [every minute](AGAIN). The old addresses stay
//! in use meanwhile.
//!
//! One look-up runs at a time, as a child process. The next one begins only after the last child is
//! reaped, so children never pile up.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{AddrParseError, IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitCode, Stdio};
use std::str::{self, Utf8Error};
use std::time::Duration;

use mio::unix::pipe::{self, Receiver};
use mio::{Interest, Registry, Token};

use crate::config::Remote;
use crate::privileges::no_new_privileges;
use crate::time::Tick;
use crate::token::Generation;

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
        UnreapedChild { process: self.process, retry: now, wait: REAP_WAIT }
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
    retry: Tick,
    wait: Duration,
}

impl UnreapedChild {
    /// Reaps the ended child process `child` if it belongs to this look-up. Returns whether it
    /// does.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.process.note_exit(child)
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

/// The time between two look-ups of a UDP destination whose addresses are known.
const AGAIN: Duration = Duration::from_secs(60);
/// A look-up that takes longer has failed, and its child is killed.
const LOOK_UP: Duration = Duration::from_secs(10);

/// The addresses of one destination.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) remote: Remote,
    command: LookUpCommand,
    addresses: Vec<SocketAddr>,
    /// The index of the address to try next. It is past the end when the round is over.
    at: usize,
    running: Option<RunningQuery>,
    /// The child of the last look-up, until it is reaped.
    unreaped: Option<UnreapedChild>,
    /// When to look the name up again. `None` if that is as soon as an address is needed.
    due: Option<Tick>,
}

#[derive(Debug)]
struct RunningQuery {
    query: Query,
    /// The generation of the token that announces the answer.
    generation: Generation,
    until: Tick,
}

/// The state of a look-up after an event.
#[derive(Debug)]
pub(super) enum LookUp {
    /// The event was for something else, or the answer is not complete.
    Pending,
    Found(Vec<SocketAddr>),
    Failed(LookUpError),
}

impl Resolver {
    pub(super) fn new(remote: &Remote, command: LookUpCommand) -> Self {
        Self {
            remote: remote.clone(),
            command,
            addresses: Vec::new(),
            at: 0,
            running: None,
            unreaped: None,
            due: None,
        }
    }

    /// Changes the destination. A look-up that runs is cancelled. The new name is looked up as soon
    /// as an address is needed.
    pub(super) fn reset(&mut self, remote: &Remote, now: Tick) {
        self.remote = remote.clone();
        self.clear();
        self.cancel(now);
        self.due = None;
    }

    /// Returns the address to try next. Returns `None` if the round is over or no address is known.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.addresses.get(self.at).copied()
    }

    /// Whether the current address is the last one of the round.
    pub(super) fn is_last(&self) -> bool {
        self.at + 1 >= self.addresses.len()
    }

    /// Returns the next address of the round and moves on. After the last one it returns `None`
    /// until new addresses are [set](Self::set).
    pub(super) fn take_address(&mut self) -> Option<SocketAddr> {
        let address = self.address()?;
        self.at += 1;
        Some(address)
    }

    /// Moves on to the next address, or from the last one to the first.
    pub(super) fn rotate(&mut self) {
        self.at = (self.at + 1) % self.addresses.len().max(1);
    }

    /// Sets the addresses. The first one is tried next.
    pub(super) fn set(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
        self.at = 0;
    }

    /// Sets the addresses and keeps the current one. Returns false if the current one is not among
    /// them; the first one is then tried next.
    pub(super) fn replace(&mut self, addresses: Vec<SocketAddr>) -> bool {
        let current = self.address();
        let at = addresses.iter().position(|&address| Some(address) == current);
        self.addresses = addresses;
        self.at = at.unwrap_or(0);
        at.is_some()
    }

    /// Removes all addresses, so that the next round begins with a look-up.
    pub(super) fn clear(&mut self) {
        self.set(Vec::new());
    }

    /// Returns the address of a destination that the configuration gives as a number, which needs
    /// no look-up. Returns `None` if it gives a name.
    pub(super) fn number(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.remote.host.parse().ok()?;
        Some(SocketAddr::new(address, self.remote.port))
    }

    /// Whether it is time for a look-up, and no child of an earlier one is left.
    pub(super) fn is_due(&self, now: Tick) -> bool {
        self.running.is_none() && self.unreaped.is_none() && self.due.is_none_or(|due| due <= now)
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts a look-up. The poller sends an event for `token`, which has this `generation`, when
    /// there is an answer.
    pub(super) fn start(
        &mut self,
        registry: &Registry,
        token: Token,
        generation: Generation,
        now: Tick,
    ) -> Result<(), LookUpError> {
        if self.unreaped.is_some() {
            return Err(LookUpError::StillRunning);
        }
        let command = (self.command)(&self.remote.host, self.remote.port);
        let query = Query::start(command, registry, token)?;
        self.running = Some(RunningQuery { query, generation, until: now + LOOK_UP });
        Ok(())
    }

    /// Handles an event for a token with this generation. The event may be for another descriptor
    /// of the same destination; the result is then [`LookUp::Pending`].
    pub(super) fn ready(&mut self, on: Generation, now: Tick) -> LookUp {
        let Some(running) = self.running.as_mut().filter(|running| running.generation == on) else {
            return LookUp::Pending;
        };
        let answer = match running.query.read() {
            Ok(false) => return LookUp::Pending,
            Ok(true) => running.query.addresses(),
            Err(error) => Err(error),
        };
        self.cancel(now);
        match answer {
            Ok(addresses) => LookUp::Found(addresses),
            Err(error) => LookUp::Failed(error),
        }
    }

    /// Does what is due. Returns an error if a look-up took too long.
    pub(super) fn timeout(&mut self, now: Tick) -> Result<(), LookUpError> {
        self.reap(now);
        if self.running.as_ref().is_some_and(|running| running.until <= now) {
            self.cancel(now);
            return Err(LookUpError::TimedOut);
        }
        Ok(())
    }

    /// Reaps the child of the last look-up if it has ended.
    pub(super) fn reap(&mut self, now: Tick) {
        if self.unreaped.as_mut().is_some_and(|child| child.is_reaped(now)) {
            self.unreaped = None;
        }
    }

    /// Returns when [`timeout`](Self::timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let query = self.running.as_ref().map(|running| running.until);
        [query, self.unreaped.as_ref().map(UnreapedChild::deadline)].into_iter().flatten().min()
    }

    /// Returns when the name is to be looked up again. Returns `None` while a look-up runs, and if
    /// the name is looked up on demand.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due.filter(|_| self.running.is_none() && self.unreaped.is_none())
    }

    /// Plans the next look-up of the name in a minute.
    pub(super) fn wait(&mut self, now: Tick) {
        self.due = Some(now + AGAIN);
    }

    /// Plans the next look-up of the name as soon as an address is needed.
    pub(super) fn retry(&mut self) {
        self.due = None;
    }

    /// Reaps the ended child process `child` if this resolver started it. Returns whether it did.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.running.as_mut().is_some_and(|running| running.query.note_exit(child))
            || self.unreaped.as_mut().is_some_and(|unreaped| unreaped.note_exit(child))
    }

    /// Ends the look-up, if one runs, and kills its child. The child is reaped later.
    pub(super) fn cancel(&mut self, now: Tick) {
        if let Some(running) = self.running.take() {
            self.unreaped = Some(running.query.end(now));
        }
    }
}

#[cfg(test)]
mod tests;
