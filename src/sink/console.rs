//! [`Console`]: the outlet that writes flushes to standard output. Bytes count as delivered when
//! they are written.
//!
//! Standard output may be a pipe, so a slow reader must not block the loop.

use std::io;
use std::time::Duration;

use mio::Registry;

use super::last_move::LastMove;
use super::outage::{FailedAttempt, LogPlace, OutageReport};
use super::outbox::Outbox;
use super::state::SinkState;
use crate::config::CONSOLE;
use crate::stdio::StandardStream;
use crate::time::{Now, Tick};
use crate::token::{EventSource, Generation};

/// The most writes in one turn. Each writes at most one chunk.
const WRITES_A_TURN: usize = 8;

/// The most chunks dropped in one turn after standard output was closed.
const DROPS_A_TURN: usize = 64;

/// The time before the next attempt after an error that may pass, such as a full disk.
const REST: Duration = Duration::from_secs(10);

/// The hint after the reader of standard output has closed it.
const CLOSED_HINT: &str =
    "the server drops its console lines; restart it with a reader, or set [console] enabled = no";
/// The hint after an error that may pass.
const RESTING_HINT: &str = "free the disk of standard output, or set [console] enabled = no; the server retries and keeps queued data";

/// Standard output as a destination.
#[derive(Debug)]
pub(super) struct Console {
    stdout: StandardStream,
    index: u16,
    state: ConsoleState,
    /// No write has returned `WouldBlock` since the last event.
    writable: bool,
    /// When bytes were last written.
    moved: LastMove,
    outages: OutageReport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConsoleState {
    Unregistered,
    Up,
    /// After an error that may pass.
    Resting {
        until: Tick,
    },
    /// The reader has closed the pipe for good.
    Closed,
}

impl Console {
    pub(super) fn new(index: u16, stdout: StandardStream) -> Self {
        Self {
            stdout,
            index,
            state: ConsoleState::Unregistered,
            writable: true,
            moved: LastMove::default(),
            outages: OutageReport::new(CONSOLE, Duration::ZERO),
        }
    }

    /// Registers standard output with the poller.
    fn register(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) {
        let token = EventSource::Sink(self.index, Generation::default()).into();
        match self.stdout.register(registry, token) {
            Ok(()) => self.state = ConsoleState::Up,
            Err(error) => self.fail(&error, outbox, now),
        }
    }

    /// Writes a turn's share of the outbox.
    fn write(&mut self, outbox: &mut Outbox, now: Now) -> io::Result<()> {
        for _ in 0..WRITES_A_TURN {
            let Some(head) = outbox.head().filter(|_| self.writable) else { break };
            match self.stdout.write(head) {
                Ok(bytes) => {
                    outbox.wrote(bytes);
                    outbox.acknowledged_except(0);
                    self.moved.note(now.tick);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends a rest, after a write has succeeded.
    fn recover(&mut self, outbox: &Outbox, now: Tick) {
        if matches!(self.state, ConsoleState::Resting { .. }) {
            self.state = ConsoleState::Up;
            self.outages.note_recovery(LogPlace::default(), outbox, now);
        }
    }

    /// Handles an error: a broken pipe closes the console for good, after any other error it rests.
    fn fail(&mut self, error: &io::Error, outbox: &mut Outbox, now: Now) {
        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        // After any other error the rest of a chunk is written later, so that no line is cut.
        if is_closed {
            outbox.broke();
        }
        self.state = if is_closed {
            ConsoleState::Closed
        } else {
            ConsoleState::Resting { until: now.tick + REST }
        };
        let hint = if is_closed { CLOSED_HINT } else { RESTING_HINT };
        let failed = FailedAttempt {
            error: error.to_string(),
            state: self.state().name(),
            place: LogPlace::default(),
            is_round: true,
            cause: None,
            retry: (!is_closed).then_some(REST),
            hint: hint.into(),
            sentence: "standard output cannot be written",
        };
        self.outages.note_failure(failed, outbox, now);
    }

    /// Handles an event.
    pub(super) fn ready(&mut self) {
        self.writable = true;
    }

    /// Does what is due at `now`. A call that is early, late or repeated does no harm.
    pub(super) fn timeout(&mut self, now: Now) {
        if matches!(self.state, ConsoleState::Resting { until } if until <= now.tick) {
            self.writable = true;
        }
    }

    /// Ends a rest at once, since a stop does not wait for the end of the rest.
    pub(super) fn drain(&mut self, now: Now) {
        if let ConsoleState::Resting { until } = &mut self.state {
            *until = now.tick;
            self.writable = true;
        }
    }

    /// Whether the last write has failed, and the next one is not due yet.
    pub(super) fn rests(&self, now: Tick) -> bool {
        matches!(self.state, ConsoleState::Resting { until } if now < until)
    }

    /// Returns when [`timeout`](Self::timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match self.state {
            ConsoleState::Resting { until } => Some(until),
            _ => None,
        }
    }

    /// Writes a turn's share of the outbox. Returns whether there is more to do at once.
    pub(super) fn pump(&mut self, outbox: &mut Outbox, now: Now, registry: &Registry) -> bool {
        match self.state {
            ConsoleState::Resting { until } if now.tick < until => return false,
            ConsoleState::Unregistered => self.register(outbox, now, registry),
            // Only a turn's share, because the queue may be full. Without a reader all chunks are
            // dropped. If they stayed queued, a stop would wait for them in vain.
            ConsoleState::Closed => return (0..DROPS_A_TURN).all(|_| outbox.drop_head()),
            ConsoleState::Up | ConsoleState::Resting { .. } => {}
        }
        match self.write(outbox, now) {
            Err(error) => self.fail(&error, outbox, now),
            Ok(()) => self.recover(outbox, now.tick),
        }
        let goes_on =
            self.state == ConsoleState::Closed || (self.state == ConsoleState::Up && self.writable);
        goes_on && outbox.head().is_some()
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == ConsoleState::Up
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
            ConsoleState::Unregistered => SinkState::Idle,
            ConsoleState::Up => SinkState::Up,
            ConsoleState::Resting { .. } => SinkState::BackingOff,
            ConsoleState::Closed => SinkState::Closed,
        }
    }

    pub(super) fn outages(&self) -> &OutageReport {
        &self.outages
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use mio::Poll;

    use super::*;
    use crate::config::Resend;
    use crate::encode::chunk::Chunk;
    use crate::time::UnixTime;

    #[test]
    fn a_stop_cuts_a_rest_short_once() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut console = Console::new(0, StandardStream::of(full.into()).unwrap());
        let mut outbox = Outbox::new(64 << 20, Resend::Never, 1);
        outbox.push(Chunk::new(b"a 1 1\n".to_vec(), 1, 1));
        let poll = Poll::new().unwrap();
        let at = |millis| Now { tick: Tick::from_millis(millis), unix: UnixTime::from_secs(1) };
        console.pump(&mut outbox, at(1), poll.registry());
        assert!(console.rests(at(2).tick));
        console.drain(at(2));
        assert_eq!((console.rests(at(2).tick), console.deadline()), (false, Some(at(2).tick)));
        console.pump(&mut outbox, at(2), poll.registry());
        assert!(console.rests(at(2).tick), "the disk is still full");
        console.stdout = StandardStream::of(tempfile::tempfile().unwrap().into()).unwrap();
        console.drain(at(3));
        console.pump(&mut outbox, at(3), poll.registry());
        assert!(console.is_up() && outbox.is_drained());
    }

    /// Shows that the rest of a chunk is written after a failure in its middle, so that no line is
    /// cut and none is in doubt.
    #[test]
    fn a_chunk_goes_on_where_a_full_disk_has_stopped_it() {
        let mut file = tempfile::tempfile().unwrap();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut console = Console::new(0, StandardStream::of(full.into()).unwrap());
        let mut outbox = Outbox::new(64 << 20, Resend::Never, 1);
        outbox.push(Chunk::new(b"a 1 1\nb 2 1\n".to_vec(), 2, 1));
        // The disk has taken a part of the chunk before it was full.
        let taken = outbox.head().unwrap()[..9].to_vec();
        file.write_all(&taken).unwrap();
        outbox.wrote(taken.len());
        let poll = Poll::new().unwrap();
        let at =
            |secs: u64| Now { tick: Tick::from_millis(secs * 1000), unix: UnixTime::from_secs(1) };
        console.pump(&mut outbox, at(1), poll.registry());
        assert!(console.rests(at(2).tick));
        console.stdout = StandardStream::of(file.try_clone().unwrap().into()).unwrap();
        console.pump(&mut outbox, at(12), poll.registry());
        assert!(outbox.is_drained());
        assert_eq!((outbox.tally().delivered_lines, outbox.tally().in_doubt), (2, 0));
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a 1 1\nb 2 1\n");
    }

    #[test]
    fn chunks_without_a_reader_are_dropped_in_slices() {
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
