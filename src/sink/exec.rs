//! [`Exec`]: a command that is started for each flush and reads it on standard input, as statsite's
//! stream_cmd.
//!
//! ```text
//!   Idle ──a chunk──▶ Feeding ──end of flush, or it reads no more──▶ Finishing ──exit──▶ Idle
//!    │                   └────────── timeout: killed ────────────────────┴─▶ Dying ─reaped─▶ Idle
//!    └──it cannot be started──▶ Resting ──▶ Idle
//! ```
//! One child runs at a time, while the next flush stays in the outbox. Bytes count as delivered
//! when they are written to the pipe. If the child then fails, they also count as in doubt. No call
//! waits for a child: SIGCHLD wakes the loop, and each turn polls whether the child has ended.

use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use mio::unix::pipe::{self, Sender};
use mio::{Interest, Registry, Token};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::last_move::LastMove;
use super::outage::{FailedAttempt, LogPlace, OutageReport};
use super::outbox::Outbox;
use super::state::SinkState;
use crate::config::{self, Destination, DestinationKind};
use crate::privileges::{Login, has_no_new_privileges};
use crate::time::{Now, Tick};
use crate::token::{EventSource, Generation};

/// The most writes in one turn. Each writes at most one chunk.
const WRITES_A_TURN: usize = 8;

/// The most chunks that are removed in one turn when a child has ended without reading them.
const PAST_A_TURN: usize = 64;

/// The time between two attempts to start a child. A failure to start, such as a full process
/// table, must not be repeated in every turn.
const REST: Duration = Duration::from_secs(10);

/// The hint for a command that fails while no-new-privileges is set.
const NO_NEW_PRIVILEGES: &str = "sudo and setuid programs fail in it: [statsd] user, or NoNewPrivileges= of systemd, takes new privileges away";

/// Variables that a service manager sets for the server. A command must not inherit them: it could
/// otherwise report to systemd in the name of the server.
const SERVICE_VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// The outlet that runs a command for each flush.
#[derive(Debug)]
pub(super) struct Exec {
    name: String,
    config: config::Exec,
    index: u16,
    generation: Generation,
    state: ExecState,
    last: EndedFlush,
    /// When bytes were last written.
    moved: LastMove,
    /// The account whose name and home the commands get, if this process has become another user.
    account: Option<Rc<Login>>,
    outages: OutageReport,
}

/// The newest flush whose child has ended.
#[derive(Debug)]
struct EndedFlush {
    number: u64,
    /// The child has exited with status 0.
    succeeded: bool,
}

#[derive(Debug)]
enum ExecState {
    Idle,
    Feeding {
        child: RunningCommand,
        stdin: Sender,
        /// No write has returned `WouldBlock` since the last event.
        writable: bool,
    },
    Finishing(RunningCommand),
    /// The child was killed, and is not reaped yet.
    Dying(ProcessGroup),
    Resting {
        until: Tick,
    },
}

#[derive(Debug)]
struct RunningCommand {
    group: ProcessGroup,
    flush: u64,
    until: Tick,
    /// The delivered lines of the outbox before the command was started. The difference is what
    /// this command was given.
    delivered_before: u64,
}

/// Why a command has failed.
#[derive(Debug)]
enum CommandFailure {
    NotStarted(io::Error),
    /// It was killed because it took longer than `timeout`.
    TooSlow,
    Exited(ExitStatus),
    /// The kernel does not report its exit status.
    Unknown(io::Error),
}

impl CommandFailure {
    /// Returns what the server does now, and what the operator can do.
    fn hint(&self, section: &str, is_unprivileged: bool) -> String {
        let hint = match self {
            Self::NotStarted(_) => format!(
                "check [{section}] command and the limits of this host; the server retries and keeps queued data"
            ),
            Self::TooSlow => format!(
                "raise [{section}] timeout, or make the command faster; the rest of this flush is dropped"
            ),
            Self::Exited(_) | Self::Unknown(_) => {
                format!("run [{section}] command by hand; the rest of this flush is dropped")
            }
        };
        if is_unprivileged { format!("{hint}; {NO_NEW_PRIVILEGES}") } else { hint }
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(out, "cannot be started: {error}"),
            Self::TooSlow => out.write_str("it was killed: it took longer than timeout"),
            Self::Exited(status) => status.fmt(out),
            Self::Unknown(error) => error.fmt(out),
        }
    }
}

impl Exec {
    pub(super) fn new(index: u16, name: &str, config: &config::Exec) -> Self {
        Self {
            name: name.into(),
            config: config.clone(),
            index,
            generation: Generation::default(),
            state: ExecState::Idle,
            last: EndedFlush { number: 0, succeeded: true },
            moved: LastMove::default(),
            account: None,
            outages: OutageReport::new(name, Duration::ZERO),
        }
    }

    /// Removes the rest of a flush whose child has ended. If the child succeeded, it did not need
    /// the rest, which counts as delivered. Otherwise the rest is dropped.
    fn drop_past(&self, outbox: &mut Outbox) {
        // Only a turn's share, because a flush may fill a whole queue.
        for _ in 0..PAST_A_TURN {
            if !self.is_past(outbox) {
                break;
            }
            if self.last.succeeded {
                outbox.pass_head();
            } else if !outbox.drop_head() {
                break;
            }
        }
    }

    /// Whether the chunk at the head belongs to a flush whose child has ended.
    fn is_past(&self, outbox: &Outbox) -> bool {
        outbox.head_flush().is_some_and(|flush| flush <= self.last.number)
    }

    /// Starts a child for the flush at the head of the outbox.
    fn start(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        self.drop_past(outbox);
        let Some(flush) = outbox.head_flush().filter(|_| !self.is_past(outbox)) else { return };
        self.generation = self.generation.next();
        let token = EventSource::Sink(self.index, self.generation).into();
        match spawn(&self.config.command, self.account.as_deref(), registry, token) {
            Ok((group, stdin)) => {
                let until = now.tick + self.config.timeout;
                let delivered_before = outbox.tally().delivered_lines;
                let child = RunningCommand { group, flush, until, delivered_before };
                self.state = ExecState::Feeding { child, stdin, writable: true };
            }
            Err(error) => {
                let failure = CommandFailure::NotStarted(error);
                self.fail(&failure, outbox, now);
                self.state = ExecState::Resting { until: now.tick + REST };
            }
        }
    }

    /// Writes a turn's share of the flush to the child. Returns true if the flush is written to its
    /// end, or if the child has closed its input.
    fn feed(&mut self, outbox: &mut Outbox, now: Tick) -> bool {
        let ExecState::Feeding { child, stdin, writable } = &mut self.state else { return false };
        for _ in 0..WRITES_A_TURN {
            // The head may belong to a later flush, or be missing because the rest of this flush is
            // not pushed yet. Only a closed flush ends the input of the child.
            if outbox.head_flush() != Some(child.flush) {
                return outbox.closed() >= child.flush;
            }
            let Some(head) = outbox.head().filter(|_| *writable) else { return false };
            match stdin.write(head) {
                Ok(bytes) => {
                    outbox.wrote(bytes);
                    outbox.acknowledged_except(0);
                    self.moved.note(now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *writable = false,
                // The child has closed its input, as `head` does. Its exit status decides whether
                // it had read enough.
                Err(_) => return true,
            }
        }
        false
    }

    /// Checks whether the child has exited, or has run longer than its `timeout`.
    pub(super) fn check(&mut self, outbox: &mut Outbox, now: Now) {
        match &mut self.state {
            ExecState::Feeding { child, .. } | ExecState::Finishing(child) => {
                let result = match child.group.exit() {
                    Ok(None) if now.tick < child.until => return,
                    Ok(None) => Err(CommandFailure::TooSlow),
                    Ok(Some(status)) if status.success() => Ok(()),
                    Ok(Some(status)) => Err(CommandFailure::Exited(status)),
                    Err(error) => Err(CommandFailure::Unknown(error)),
                };
                self.end(result, outbox, now);
            }
            ExecState::Dying(group) => {
                if !matches!(group.exit(), Ok(None)) {
                    self.state = ExecState::Idle;
                }
            }
            ExecState::Resting { until } if *until <= now.tick => self.state = ExecState::Idle,
            ExecState::Idle | ExecState::Resting { .. } => {}
        }
    }

    /// Handles the end of a child. If it still runs, it is killed with all processes it has
    /// started.
    fn end(&mut self, result: Result<(), CommandFailure>, outbox: &mut Outbox, now: Now) {
        let (ExecState::Feeding { child, .. } | ExecState::Finishing(child)) =
            std::mem::replace(&mut self.state, ExecState::Idle)
        else {
            return;
        };
        let RunningCommand { mut group, flush, delivered_before, .. } = child;
        self.last = EndedFlush { number: flush, succeeded: result.is_ok() };
        match result {
            Ok(()) => {
                self.drop_past(outbox);
                self.outages.note_recovery(LogPlace::default(), outbox, now.tick);
            }
            Err(failure) => {
                // A partly written chunk is not sent again: the next child would read half a line.
                outbox.broke();
                outbox.doubt_lines(outbox.tally().delivered_lines - delivered_before);
                self.fail(&failure, outbox, now);
            }
        }
        if matches!(group.exit(), Ok(None)) {
            group.kill();
            self.state = ExecState::Dying(group);
        }
    }

    /// Counts a failure of the command and logs it.
    fn fail(&mut self, failure: &CommandFailure, outbox: &Outbox, now: Now) {
        let reason = failure.to_string();
        let failed = FailedAttempt {
            error: reason.clone(),
            state: "failing",
            place: LogPlace { command: Some(&self.config.command), ..LogPlace::default() },
            is_round: true,
            cause: Some(reason),
            retry: matches!(failure, CommandFailure::NotStarted(_)).then_some(REST),
            hint: failure.hint(&self.name, has_no_new_privileges()),
            sentence: "a command has failed",
        };
        self.outages.note_failure(failed, outbox, now);
    }

    /// Ends a rest at once, since a stop does not wait for the end of the rest.
    pub(super) fn drain(&mut self, now: Now) {
        if let ExecState::Resting { until } = &mut self.state {
            *until = now.tick;
        }
    }

    /// Whether a command could not be started, and the next attempt is not due yet.
    pub(super) fn rests(&self, now: Tick) -> bool {
        matches!(self.state, ExecState::Resting { until } if now < until)
    }

    /// Handles an event for the child's standard input.
    pub(super) fn ready(&mut self, on: Generation) {
        if let ExecState::Feeding { writable, .. } = &mut self.state {
            *writable |= on == self.generation;
        }
    }

    /// Returns when [`check`](Self::check) has something to do. The end of a child is announced by
    /// SIGCHLD instead.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match &self.state {
            ExecState::Feeding { child, .. } | ExecState::Finishing(child) => Some(child.until),
            ExecState::Resting { until } => Some(*until),
            ExecState::Idle | ExecState::Dying(_) => None,
        }
    }

    /// Starts a child if the outbox has a flush for it, and writes a turn's share. Returns whether
    /// there is more to do at once, without an event.
    pub(super) fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        if matches!(self.state, ExecState::Idle) {
            self.start(outbox, now, registry);
        }
        if self.feed(outbox, now.tick) {
            // Leaving `Feeding` drops the pipe, so the child reads the end of its input.
            match std::mem::replace(&mut self.state, ExecState::Idle) {
                ExecState::Feeding { child, .. } => self.state = ExecState::Finishing(child),
                other => self.state = other,
            }
        }
        match &self.state {
            ExecState::Feeding { child, writable: true, .. } => {
                outbox.head_flush() == Some(child.flush)
            }
            ExecState::Idle => self.is_past(outbox),
            _ => false,
        }
    }

    /// Changes the settings. A child that runs keeps the old ones.
    pub(super) fn reconfigure(&mut self, to: &Destination) {
        if let DestinationKind::Exec(exec) = &to.kind {
            self.config = exec.clone();
        }
    }

    /// Sets the account that this process has become. Commands get its name and home.
    pub(super) fn run_as(&mut self, account: &Rc<Login>) {
        self.account = Some(Rc::clone(account));
    }

    /// Reaps the ended child process `child` if it is the command. Returns whether it is.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        match &mut self.state {
            ExecState::Feeding { child: RunningCommand { group, .. }, .. }
            | ExecState::Finishing(RunningCommand { group, .. })
            | ExecState::Dying(group) => group.note_exit(child),
            ExecState::Idle | ExecState::Resting { .. } => false,
        }
    }

    /// Whether a child runs. A stop waits for it although the outbox is drained.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state, ExecState::Idle | ExecState::Resting { .. })
    }

    /// Kills a child that still runs when the time for a stop is over.
    pub(super) fn close(&mut self, outbox: &mut Outbox) {
        if let ExecState::Feeding { child, .. } | ExecState::Finishing(child) =
            std::mem::replace(&mut self.state, ExecState::Idle)
        {
            let lines = outbox.tally().delivered_lines - child.delivered_before;
            outbox.doubt_lines(lines);
            log::warn!(
                sink = self.name,
                state = "killed",
                in_doubt = lines,
                reason = "it still ran when the time for a stop was over",
                hint:% = format_args!(
                    "raise [statsd] shutdown_timeout, or make [{}] command faster", self.name
                );
                "a command was killed"
            );
        }
    }

    /// Whether bytes were written in the last second.
    pub(super) fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_recent(now)
    }

    /// Returns when bytes were last written, or `now` if none were.
    pub(super) fn last_ack(&self, now: Tick) -> Tick {
        self.moved.or(now)
    }

    pub(super) fn state(&self) -> SinkState {
        match self.state {
            ExecState::Idle => SinkState::Idle,
            ExecState::Feeding { .. } | ExecState::Finishing(_) => SinkState::Running,
            ExecState::Dying(_) => SinkState::Killed,
            ExecState::Resting { .. } => SinkState::BackingOff,
        }
    }

    pub(super) fn outages(&self) -> &OutageReport {
        &self.outages
    }
}

/// Starts the command and registers its standard input with the poller.
fn spawn(
    command: &str,
    account: Option<&Login>,
    registry: &Registry,
    token: Token,
) -> io::Result<(ProcessGroup, Sender)> {
    let (mut stdin, group) = ProcessGroup::start(command, account)?;
    registry.register(&mut stdin, token, Interest::WRITABLE)?;
    Ok((group, stdin))
}

/// A shell command and all processes it starts, as one process group. The group is killed as a
/// whole when its owner is dropped. The server reaps the command after that.
#[derive(Debug)]
struct ProcessGroup {
    leader: Child,
    /// How the command exited. `None` until it is reaped.
    status: Option<ExitStatus>,
}

impl ProcessGroup {
    /// Runs `command` by /bin/sh without waiting for it. Of the server's descriptors it gets only
    /// standard output and standard error. The returned pipe is its standard input.
    fn start(command: &str, account: Option<&Login>) -> io::Result<(Sender, Self)> {
        let (sender, receiver) = pipe::new()?;
        receiver.set_nonblocking(false)?;
        let mut shell = Command::new("/bin/sh");
        // std uses posix_spawn as long as nothing here needs more, such as `pre_exec` or `uid`.
        // With these it would fork, which takes long in a process with much memory.
        shell.arg("-c").arg(command).process_group(0).stdin(Stdio::from(OwnedFd::from(receiver)));
        SERVICE_VARIABLES.iter().for_each(|name| _ = shell.env_remove(name));
        if let Some(Login { name, home, shell: path }) = account {
            shell.env("HOME", home).env("USER", name).env("LOGNAME", name).env("SHELL", path);
        }
        let leader = shell.spawn()?;
        Ok((sender, Self { leader, status: None }))
    }

    /// Returns how the command exited, or `None` if it still runs. Never blocks.
    fn exit(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.leader.try_wait()?;
        }
        Ok(self.status)
    }

    /// Reaps the ended child process `child` if it is the command. Returns whether it is.
    fn note_exit(&mut self, child: u32) -> bool {
        self.leader.id() == child && !matches!(self.exit(), Ok(None))
    }

    /// Kills all processes of the group. This cannot hit a stranger: the kernel does not reuse the
    /// number while the command is not reaped, or while another process of the group lives.
    fn kill(&self) {
        if let Ok(leader) = i32::try_from(self.leader.id()) {
            // It fails if no process is left.
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.kill();
            let _ = self.exit();
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::Poll;

    use super::*;
    use crate::config::Resend;
    use crate::encode::chunk::Chunk;
    use crate::time::UnixTime;

    #[test]
    fn a_stop_cuts_a_rest_short() {
        let config = config::Exec {
            command: "cat".into(),
            timeout: Duration::from_secs(30),
            binary_stream: config::BinaryStream::No,
        };
        let at = |millis| Now { tick: Tick::from_millis(millis), unix: UnixTime::from_secs(1) };
        let state = ExecState::Resting { until: at(9999).tick };
        let mut exec = Exec { state, ..Exec::new(0, "exec", &config) };
        assert!(exec.rests(at(2).tick));
        exec.drain(at(2));
        assert_eq!((exec.rests(at(2).tick), exec.deadline()), (false, Some(at(2).tick)));
    }

    #[test]
    fn chunks_that_a_child_did_not_read_are_removed_in_slices() {
        for ended_well in [true, false] {
            let config = config::Exec {
                command: "cat >/dev/null".into(),
                timeout: Duration::from_secs(30),
                binary_stream: config::BinaryStream::No,
            };
            let last = EndedFlush { number: 1, succeeded: ended_well };
            let mut exec = Exec { last, ..Exec::new(0, "exec", &config) };
            let mut outbox = Outbox::new(64 << 20, Resend::Never, 1);
            for _ in 0..200 {
                outbox.push(Chunk::new(b"a|1|1\n".to_vec(), 1, 1));
            }
            let poll = Poll::new().unwrap();
            let now = Now { tick: Tick::from_millis(1), unix: UnixTime::from_secs(1) };
            let mut turns = 0;
            loop {
                let more = exec.pump(&mut outbox, now, poll.registry());
                turns += 1;
                let gone = outbox.tally().delivered_lines + outbox.tally().dropped_lines;
                assert!(gone <= turns * 64, "{gone} after {turns} turns");
                if !more {
                    break;
                }
            }
            let tally = outbox.tally();
            let expected = if ended_well { (200, 0) } else { (0, 200) };
            assert_eq!((tally.delivered_lines, tally.dropped_lines), expected);
        }
    }
}
