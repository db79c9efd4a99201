//! The console: flushes on standard output. What is written has arrived.

use std::io;
use std::time::Duration;

use mio::Registry;

use super::outbox::Outbox;
use super::outlet::{History, Outlet};
use crate::config::Destination;
use crate::standard::StandardStream;
use crate::time::{Now, Tick};
use crate::token::{Generation, Source};

/// Writes in one turn, of a chunk each at the most.
const WRITES_A_TURN: usize = 8;

/// Chunks given up in one turn once standard output is closed.
const GIVEN_UP_A_TURN: usize = 64;

/// How long it rests after an error that may pass, as a full disk does.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Console {
    stdout: StandardStream,
    index: u16,
    state: State,
    /// Not yet written until it would block since the last event.
    writable: bool,
    moved: Option<Tick>,
    history: History,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unregistered,
    Up,
    /// An error came.
    Resting {
        until: Tick,
    },
    /// Whoever read it has gone: it never will be read again.
    Closed,
}

impl Console {
    pub(super) fn new(index: u16, stdout: StandardStream) -> Self {
        Self {
            stdout,
            index,
            state: State::Unregistered,
            writable: true,
            moved: None,
            history: History::default(),
        }
    }

    fn register(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        let token = Source::Sink(self.index, Generation::default()).into();
        match self.stdout.register(registry, token) {
            Ok(()) => self.state = State::Up,
            Err(error) => self.fail(&error, outbox, now),
        }
    }

    fn write(&mut self, outbox: &mut Outbox, now: Now) -> io::Result<()> {
        for _ in 0..WRITES_A_TURN {
            let Some(head) = outbox.head().filter(|_| self.writable) else { break };
            match self.stdout.write(head) {
                Ok(bytes) => {
                    outbox.wrote(bytes);
                    outbox.acknowledged(0);
                    self.moved = Some(now.tick);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn recover(&mut self) {
        if matches!(self.state, State::Resting { .. }) {
            log::info!("sink=console state=up recovered");
            self.state = State::Up;
        }
    }

    fn fail(&mut self, error: &io::Error, outbox: &mut Outbox, now: Now) {
        outbox.broke();
        let is_gone = error.kind() == io::ErrorKind::BrokenPipe;
        let before = self.state;
        self.state =
            if is_gone { State::Closed } else { State::Resting { until: now.tick + REST } };
        self.history.last_exception = Some(now.unix);
        self.history.last_error = Some(error.to_string());
        if !matches!(before, State::Resting { .. }) {
            let queued = outbox.queued_bytes();
            log::warn!(
                "sink=console state={} error={:?} queued_bytes={queued}",
                self.state(),
                error.to_string()
            );
        }
    }
}

impl Outlet for Console {
    fn ready(&mut self, _: Generation, _: &mut Outbox, _: Now, _: &Registry) {
        self.writable = true;
    }

    fn timeout(&mut self, _: &mut Outbox, now: Now, _: &Registry) {
        if matches!(self.state, State::Resting { until } if until <= now.tick) {
            self.writable = true;
        }
    }

    fn deadline(&self) -> Option<Tick> {
        match self.state {
            State::Resting { until } => Some(until),
            _ => None,
        }
    }

    fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        match self.state {
            State::Resting { until } if now.tick < until => return false,
            State::Unregistered => self.register(outbox, now, registry),
            // A turn's share only, since a whole queue may wait.
            State::Closed => return (0..GIVEN_UP_A_TURN).all(|_| outbox.give_up_head()),
            State::Up | State::Resting { .. } => {}
        }
        match self.write(outbox, now) {
            Err(error) => self.fail(&error, outbox, now),
            Ok(()) => self.recover(),
        }
        let goes_on = self.state == State::Closed || (self.state == State::Up && self.writable);
        goes_on && outbox.head().is_some()
    }

    fn look(&mut self, _: &mut Outbox, _: Now) {}

    fn hurry(&mut self, _: &mut Outbox, _: Now, _: &Registry) {}

    fn reconfigure(&mut self, _: &Destination, _: &mut Outbox, _: Now) {}

    fn is_up(&self) -> bool {
        self.state == State::Up
    }

    fn is_moving(&self, now: Tick) -> bool {
        self.moved.is_some_and(|moved| now - moved < Duration::from_secs(1))
    }

    fn last_ack(&self, now: Tick) -> Tick {
        self.moved.unwrap_or(now)
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Unregistered => "idle",
            State::Up => "up",
            State::Resting { .. } => "backing_off",
            State::Closed => "closed",
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
    fn what_nobody_reads_any_more_goes_in_slices() {
        let (reader, writer) = io::pipe().unwrap();
        let mut console = Console::new(0, StandardStream::of(writer.into()).unwrap());
        drop(reader);
        let mut outbox = Outbox::new(64 << 20, Resend::Never, 1);
        for _ in 0..200 {
            outbox.push(Chunk::new(b"a 1 1\n".to_vec(), 1, 1));
        }
        let poll = Poll::new().unwrap();
        let now = Now { tick: Tick::from_millis(1), unix: UnixTime::from_secs(1) };
        let mut turns = 0;
        while console.pump(&mut outbox, now, poll.registry()) {
            turns += 1;
            assert!(outbox.tally().dropped_lines <= turns * 64);
        }
        assert_eq!((outbox.tally().dropped_lines, outbox.head()), (200, None));
    }
}
