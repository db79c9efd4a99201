//! A command that is started for each flush and reads it on standard input: statsite's stream_cmd.
//!
//! ```text
//!   Idle ──a chunk──▶ Feeding ──the flush's end, or it reads no more──▶ Finishing ──exit──▶ Idle
//!    │                   └──────────── timeout: killed ─────────────────────┴──▶ Dying ──reaped──▶ Idle
//!    └──it cannot be started──▶ Resting ──▶ Idle
//! ```
//! One child at a time: the next flush waits in the outbox. What was written has arrived as far as the outbox knows; it
//! comes into doubt when the child fails. Nobody waits for a child: SIGCHLD ends the loop's sleep, and whether it is gone
//! is asked once a turn.

use std::io::{self, Write as _};
use std::rc::Rc;
use std::time::Duration;

use mio::unix::pipe::Sender;
use mio::{Interest, Registry, Token};

use super::group::Group;
use super::outbox::Outbox;
use super::outlet::{History, Outlet};
use crate::config::{self, Destination, DestinationKind};
use crate::privileges::{Login, has_no_new_privileges};
use crate::time::{Now, Tick};
use crate::token::{Generation, Source};

/// Writes in one turn, of a chunk each at the most.
const WRITES_A_TURN: usize = 8;

/// Chunks released in one turn if a child did not read them.
const LET_GO_A_TURN: usize = 64;

/// How long it rests when no child can be started.
const REST: Duration = Duration::from_secs(10);

/// The hint for a command that fails while no-new-privileges is set.
const NO_NEW_PRIVILEGES: &str = " hint=\"sudo and setuid programs fail in it: [statsd] user, or NoNewPrivileges= of systemd, takes new privileges away\"";

#[derive(Debug)]
pub(super) struct Exec {
    name: String,
    config: config::Exec,
    index: u16,
    generation: Generation,
    state: State,
    /// The newest flush that a child was started for and has ended, and whether it ended well.
    last: (u64, bool),
    moved: Option<Tick>,
    /// Why the last child failed, as long as they fail.
    failing: Option<String>,
    /// The account that commands run as, if this process has become another user.
    account: Option<Rc<Login>>,
    history: History,
}

#[derive(Debug)]
enum State {
    Idle,
    Feeding {
        child: Child,
        stdin: Sender,
        /// Not yet written until it would block since the last event.
        writable: bool,
    },
    Finishing(Child),
    /// It was killed.
    Dying(Group),
    Resting {
        until: Tick,
    },
}

#[derive(Debug)]
struct Child {
    group: Group,
    flush: u64,
    until: Tick,
    /// Lines that had arrived before it was started.
    before: u64,
}

impl Exec {
    pub(super) fn new(index: u16, name: &str, config: &config::Exec) -> Self {
        Self {
            name: name.into(),
            config: config.clone(),
            index,
            generation: Generation::default(),
            state: State::Idle,
            last: (0, true),
            moved: None,
            failing: None,
            account: None,
            history: History::default(),
        }
    }

    /// Lets go what is left of a flush whose child has ended: one that ended well had enough of it.
    fn let_go(&self, outbox: &mut Outbox) {
        let (_, well) = self.last;
        // A turn's share only, since a flush may fill a whole queue.
        for _ in 0..LET_GO_A_TURN {
            if !self.is_past(outbox) {
                break;
            }
            if well {
                outbox.pass_head();
            } else if !outbox.give_up_head() {
                break;
            }
        }
    }

    /// Whether the chunk at the head belongs to a flush whose child has ended.
    fn is_past(&self, outbox: &Outbox) -> bool {
        outbox.head_flush().is_some_and(|flush| flush <= self.last.0)
    }

    /// Starts a child for the flush at the head of the outbox.
    fn start(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        self.let_go(outbox);
        let Some(flush) = outbox.head_flush().filter(|_| !self.is_past(outbox)) else { return };
        self.generation = self.generation.next();
        let token = Source::Sink(self.index, self.generation).into();
        match spawn(&self.config.command, self.account.as_deref(), registry, token) {
            Ok((group, stdin)) => {
                let until = now.tick + self.config.timeout;
                let before = outbox.tally().delivered_lines;
                let child = Child { group, flush, until, before };
                self.state = State::Feeding { child, stdin, writable: true };
            }
            Err(error) => {
                self.complain(format!("cannot be started: {error}"), now);
                self.state = State::Resting { until: now.tick + REST };
            }
        }
    }

    /// Writes what there is of the child's flush. Whether it is over for the child.
    fn feed(&mut self, outbox: &mut Outbox, now: Tick) -> bool {
        let State::Feeding { child, stdin, writable } = &mut self.state else { return false };
        for _ in 0..WRITES_A_TURN {
            if outbox.head_flush() != Some(child.flush) {
                return outbox.closed() >= child.flush;
            }
            let Some(head) = outbox.head().filter(|_| *writable) else { return false };
            match stdin.write(head) {
                Ok(bytes) => {
                    outbox.wrote(bytes);
                    outbox.acknowledged(0);
                    self.moved = Some(now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *writable = false,
                Err(_) => return true, // it reads no more; how it exits tells whether it had enough
            }
        }
        false
    }

    /// Looks whether the child has exited, or has had its time.
    fn check(&mut self, outbox: &mut Outbox, now: Now) {
        match &mut self.state {
            State::Feeding { child, .. } | State::Finishing(child) => {
                let result = match child.group.exit() {
                    Ok(None) if now.tick < child.until => return,
                    Ok(None) => Err("it was killed: it took longer than timeout".into()),
                    Ok(Some(status)) if status.success() => Ok(()),
                    Ok(Some(status)) => Err(status.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                self.end(result, outbox, now);
            }
            State::Dying(group) => {
                if !matches!(group.exit(), Ok(None)) {
                    self.state = State::Idle;
                }
            }
            State::Resting { until } if *until <= now.tick => self.state = State::Idle,
            State::Idle | State::Resting { .. } => {}
        }
    }

    /// The child is through, or is made to be.
    fn end(&mut self, result: Result<(), String>, outbox: &mut Outbox, now: Now) {
        let (State::Feeding { child, .. } | State::Finishing(child)) =
            std::mem::replace(&mut self.state, State::Idle)
        else {
            return;
        };
        let Child { mut group, flush, before, .. } = child;
        self.last = (flush, result.is_ok());
        match result {
            Ok(()) => {
                self.let_go(outbox);
                if self.failing.take().is_some() {
                    log::info!("sink={} state=up recovered", self.name);
                }
            }
            Err(reason) => {
                outbox.broke(); // a chunk that is partly written is not sent again
                outbox.doubt(outbox.tally().delivered_lines - before);
                self.complain(reason, now);
            }
        }
        if matches!(group.exit(), Ok(None)) {
            group.kill();
            self.state = State::Dying(group);
        }
    }

    fn complain(&mut self, reason: String, now: Now) {
        self.history.last_exception = Some(now.unix);
        self.history.last_error = Some(reason.clone());
        if self.failing.as_ref() != Some(&reason) {
            let (name, command) = (&self.name, &self.config.command);
            let hint = if has_no_new_privileges() { NO_NEW_PRIVILEGES } else { "" };
            log::warn!("sink={name} state=failing reason={reason:?} command={command:?}{hint}");
        }
        self.failing = Some(reason);
    }
}

fn spawn(
    command: &str,
    account: Option<&Login>,
    registry: &Registry,
    token: Token,
) -> io::Result<(Group, Sender)> {
    let (mut stdin, group) = Group::start(command, account)?;
    registry.register(&mut stdin, token, Interest::WRITABLE)?;
    Ok((group, stdin))
}

impl Outlet for Exec {
    fn ready(&mut self, on: Generation, _: &mut Outbox, _: Now, _: &Registry) {
        if let State::Feeding { writable, .. } = &mut self.state {
            *writable |= on == self.generation;
        }
    }

    fn timeout(&mut self, outbox: &mut Outbox, now: Now, _: &Registry) {
        self.check(outbox, now);
    }

    fn deadline(&self) -> Option<Tick> {
        match &self.state {
            State::Feeding { child, .. } | State::Finishing(child) => Some(child.until),
            State::Resting { until } => Some(*until),
            State::Idle | State::Dying(_) => None,
        }
    }

    fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        if matches!(self.state, State::Idle) {
            self.start(outbox, now, registry);
        }
        if self.feed(outbox, now.tick) {
            match std::mem::replace(&mut self.state, State::Idle) {
                State::Feeding { child, .. } => self.state = State::Finishing(child),
                other => self.state = other,
            }
        }
        match &self.state {
            State::Feeding { child, writable: true, .. } => {
                outbox.head_flush() == Some(child.flush)
            }
            State::Idle => self.is_past(outbox),
            _ => false,
        }
    }

    fn look(&mut self, _: &mut Outbox, _: Now) {}

    fn hurry(&mut self, _: &mut Outbox, _: Now, _: &Registry) {}

    fn reconfigure(&mut self, to: &Destination, _: &mut Outbox, _: Now) {
        if let DestinationKind::Exec(exec) = &to.kind {
            self.config = exec.clone();
        }
    }

    fn note_exit(&mut self, child: u32) -> bool {
        match &mut self.state {
            State::Feeding { child: Child { group, .. }, .. }
            | State::Finishing(Child { group, .. })
            | State::Dying(group) => group.note_exit(child),
            State::Idle | State::Resting { .. } => false,
        }
    }

    fn run_as(&mut self, account: &Rc<Login>) {
        self.account = Some(Rc::clone(account));
    }

    fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Resting { .. })
    }

    fn abandon(&mut self, outbox: &mut Outbox) {
        if let State::Feeding { child, .. } | State::Finishing(child) =
            std::mem::replace(&mut self.state, State::Idle)
        {
            let lines = outbox.tally().delivered_lines - child.before;
            outbox.doubt(lines);
            log::warn!(
                "sink={} state=killed in_doubt={lines} reason=\"not through when the time for a stop was over\"",
                self.name
            );
        }
    }

    fn is_up(&self) -> bool {
        true
    }

    fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_some_and(|moved| now - moved < Duration::from_secs(1))
    }

    fn last_ack(&self, now: Tick) -> Tick {
        self.moved.unwrap_or(now)
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Idle => "idle",
            State::Feeding { .. } | State::Finishing(_) => "running",
            State::Dying(_) => "killed",
            State::Resting { .. } => "backing_off",
        }
    }

    fn history(&self) -> &History {
        &self.history
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
    fn what_a_child_did_not_want_goes_in_slices() {
        for ended_well in [true, false] {
            let config =
                config::Exec { command: "cat >/dev/null".into(), timeout: Duration::from_secs(30) };
            let mut exec = Exec { last: (1, ended_well), ..Exec::new(0, "exec", &config) };
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
