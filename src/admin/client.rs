//! One admin connection: what it asked, the job it waits for, and what it has not read yet.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use memchr::memchr;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::View;
use super::commands::{self, Answer};
use super::job::Job;
use crate::sender::Sender;
use crate::time::Tick;
use crate::token::Generation;

#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    sender: Sender,
    generation: Generation,
    /// Bytes that are not yet a command.
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    job: Option<Job>,
    stage: Stage,
    /// The poller said something, or there is work left from the turn before.
    awake: bool,
    moved: Tick,
}

/// How far the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has run: the first line may still show that this is a browser and not a person.
    First,
    Talking,
    /// Nothing more is read; what was answered is still to be sent.
    Closing,
}

/// Unread output past which a client's commands and jobs rest.
pub(super) const OUTPUT_HIGH: usize = 256 * 1024;
/// The longest command line: `del…` takes many names.
const INPUT_MAX: usize = 64 * 1024;
/// A client that leaves its answer unread for so long is closed.
const STALLED: Duration = Duration::from_secs(30);

impl Client {
    pub(super) fn new(
        mut stream: TcpStream,
        sender: Sender,
        generation: Generation,
        now: Tick,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let (input, output) = (Vec::new(), Vec::new());
        let (job, stage) = (None, Stage::First);
        let client = Self {
            stream,
            sender,
            generation,
            input,
            output,
            sent: 0,
            job,
            stage,
            awake: true,
            moved: now,
        };
        Ok(client)
    }

    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    pub(super) fn wake(&mut self) {
        self.awake = true;
    }

    pub(super) fn is_awake(&self) -> bool {
        self.awake
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender
    }

    /// Returns since when nothing has moved on the connection. Returns `None` if the client is
    /// busy: an answer is unfinished, or its bytes wait for a turn.
    ///
    /// An unfinished command does not make a client busy, since its end may never come.
    pub(super) fn idle_since(&self) -> Option<Tick> {
        let is_idle = !self.awake && self.job.is_none() && self.unsent() == 0;
        is_idle.then_some(self.moved)
    }

    /// Returns when the client is to be closed if nothing moves until then. Returns `None` if the
    /// client gets its turn before that, or may stay for ever.
    pub(super) fn deadline(&self, idle: Option<Duration>) -> Option<Tick> {
        if self.unsent() > 0 && !self.awake {
            return Some(self.moved + STALLED);
        }
        self.idle_since().zip(idle).map(|(since, idle)| since + idle)
    }

    /// Whether a dump of its is under way.
    pub(super) fn is_dumping(&self) -> bool {
        self.job.as_ref().is_some_and(Job::is_dumping)
    }

    /// Whether its dump could begin, if only it may.
    pub(super) fn waits_to_dump(&self) -> bool {
        self.unsent() < OUTPUT_HIGH && self.job.as_ref().is_some_and(|job| !job.may_go_on(false))
    }

    /// If its dump rests because the client does not read, the dump lets go of what it holds; true if it did.
    pub(super) fn gives_way(&mut self) -> bool {
        let rests = self.unsent() >= OUTPUT_HIGH && self.is_dumping();
        if rests && let Some(job) = &mut self.job {
            job.give_way();
        }
        rests
    }

    /// Reads, answers and writes while there is time; true if it could go on at once. An error ends the client.
    pub(super) fn turn(
        &mut self,
        view: &mut View<'_>,
        may_dump: bool,
        has_time: impl Fn() -> bool,
    ) -> io::Result<bool> {
        self.awake = false;
        self.write(view.now.tick)?;
        let mut goes_on = true;
        while goes_on && self.unsent() < OUTPUT_HIGH && has_time() {
            goes_on = self.step(view, may_dump)?;
        }
        self.write(view.now.tick)?;
        if self.stage == Stage::Closing && self.job.is_none() && self.unsent() == 0 {
            return Err(ended());
        }
        // Past the high mark the poller says when there is room.
        self.awake = goes_on && self.unsent() < OUTPUT_HIGH;
        Ok(self.awake)
    }

    /// One step of the job, else the next command; false when there is neither, or the job has to wait.
    fn step(&mut self, view: &mut View<'_>, may_dump: bool) -> io::Result<bool> {
        if let Some(job) = &mut self.job {
            if !job.may_go_on(may_dump) {
                return Ok(false);
            }
            if job.step(view, &mut self.output) {
                self.job = None;
            }
            return Ok(true);
        }
        if let Some(end) = memchr(b'\n', &self.input) {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            self.command(line.trim_ascii(), view)?;
            return Ok(true);
        }
        match self.stage {
            Stage::Closing => Ok(false),
            Stage::First | Stage::Talking => self.read(view.now.tick),
        }
    }

    fn command(&mut self, line: &[u8], view: &mut View<'_>) -> io::Result<()> {
        if line.is_empty() {
            return Ok(()); // it says nothing, and is answered so
        }
        if self.stage == Stage::First {
            if is_http(line) {
                // A page in somebody's browser may post commands here. Nothing has run yet, nothing will.
                return Err(ended());
            }
            self.stage = Stage::Talking;
        }
        match commands::run(line, view, &mut self.output) {
            Answer::Done => {}
            Answer::Job(job) => self.job = Some(job),
            Answer::Quit => {
                self.input.clear();
                self.stage = Stage::Closing;
            }
        }
        Ok(())
    }

    /// Reads once; false when there is nothing to be had now.
    fn read(&mut self, now: Tick) -> io::Result<bool> {
        if self.input.len() >= INPUT_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a command without an end"));
        }
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(0) => {
                // Half-closed, as `echo stats | nc` does it: the answers are still wanted.
                self.stage = Stage::Closing;
                Ok(false)
            }
            Ok(read) => {
                self.moved = now;
                self.input.extend_from_slice(&piece[..read]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    fn write(&mut self, now: Tick) -> io::Result<()> {
        while self.unsent() > 0 {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(written) => {
                    self.sent += written;
                    self.moved = now;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.unsent() == 0 {
            self.output = Vec::new();
        } else {
            self.output.drain(..self.sent);
        }
        self.sent = 0;
        Ok(())
    }
}

/// The conversation is over in good order.
fn ended() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// Commands are lower case and never end in a version: `POST / HTTP/1.1` and all its kind are told apart by that.
fn is_http(line: &[u8]) -> bool {
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let has_method = method > 0 && line.get(method) == Some(&b' ');
    has_method || memchr::memmem::find(line, b" HTTP/").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_http() {
        for line in
            ["GET / HTTP/1.1", "POST /x HTTP/1.0", "OPTIONS * HTTP/1.1", "GET /", "x y HTTP/2"]
        {
            assert!(is_http(line.as_bytes()), "{line}");
        }
        for line in ["stats", "delcounters A HTTP", "health up", "", "STATS"] {
            assert!(!is_http(line.as_bytes()), "{line}");
        }
    }
}
