//! One admin connection: its unread input, the job that runs for it, and its unsent output. The
//! first bytes decide whether it speaks the line protocol or HTTP.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use memchr::memchr;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::commands::{self, Answer, Job, begins_with_command};
use super::http::{HttpSession, HttpStep};
use super::rules::RuleCounts;
use super::view::View;
use crate::sender::Sender;
use crate::time::Tick;

/// A client of the admin port.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    sender: Sender,
    /// Bytes that are not yet a command.
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    job: Option<Job>,
    /// The requests and answers, if the connection began as HTTP. It then never runs a command.
    http: Option<Box<HttpSession>>,
    /// A line has run as a command. Before that, the first bytes may show that the client speaks
    /// HTTP.
    has_run_commands: bool,
    /// Since when the client has all answers of a connection that the server ends. Further input is
    /// read and dropped until the client closes the connection, too. If unread input remained when
    /// the socket is closed, the kernel would reset the connection, and the client could lose the
    /// last answer.
    lingers_since: Option<Tick>,
    /// No more input is read, because the client has closed its half of the connection, or has sent
    /// `quit`. The commands that were read before are answered.
    has_input_ended: bool,
    /// The poller reported an event, or there is work left from the turn before.
    awake: bool,
    /// When bytes last moved, in either direction.
    moved: Tick,
}

/// What a client does after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// It waits for an event of the poller, or for another client's dump to end.
    Wait,
    /// It could go on at once.
    GoOn,
    /// The conversation is over.
    Close,
}

/// If more bytes of output than this are unsent, the client's commands and jobs pause.
pub(super) const OUTPUT_HIGH: usize = 64 * 1024;
/// The longest command line: `del…` takes many names, and a name may have 64 KiB.
const INPUT_MAX: usize = 66 * 1024;
/// A client that does not read its answer for this long is closed.
const STALLED: Duration = Duration::from_secs(30);
/// How long the client may take to close its half of a connection that the server has ended.
const LINGER: Duration = Duration::from_secs(2);

impl Client {
    pub(super) fn new(
        mut stream: TcpStream,
        sender: Sender,
        now: Tick,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            sender,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            job: None,
            http: None,
            has_run_commands: false,
            lingers_since: None,
            has_input_ended: false,
            awake: true,
            moved: now,
        })
    }

    pub(super) fn wake(&mut self) {
        self.awake = true;
    }

    pub(super) fn is_awake(&self) -> bool {
        self.awake
    }

    /// Whether there are lines for a client that watches.
    pub(super) fn has_watched(&self, now: Tick) -> bool {
        let is_reading = self.unsent() < OUTPUT_HIGH;
        let job_has = matches!(&self.job, Some(Job::Watch(watching)) if watching.has_news(now));
        let http_has = || self.http.as_ref().is_some_and(|http| http.has_watched(now));
        is_reading && (job_has || http_has())
    }

    /// Wakes the client if its job has waited until now. Returns whether it did.
    pub(super) fn wake_if_due(&mut self, now: Tick) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        self.awake |= is_due;
        is_due
    }

    /// Returns when its job goes on, if the job waits.
    fn due(&self) -> Option<Tick> {
        match &self.job {
            Some(Job::Senders(counting)) if !self.awake => counting.due(),
            _ => None,
        }
    }

    pub(super) fn sender(&self) -> Sender {
        self.sender
    }

    /// Returns since when nothing has moved on the connection. Returns `None` if the client is
    /// busy: an answer is unfinished, or its bytes wait for a turn.
    ///
    /// An unfinished command does not make a client busy, since its end may never come.
    pub(super) fn idle_since(&self) -> Option<Tick> {
        let is_idle = !self.awake && !self.has_job() && self.unsent() == 0;
        is_idle.then_some(self.moved)
    }

    /// Returns how readily the client is closed for a new one, the least number first, and since
    /// when nothing has moved on its connection. Returns `None` if it is not closed for another
    /// one.
    ///
    /// An idle client is first. Then comes one that does not read its answer, and then one that
    /// watches, since a watch may last for ever. Otherwise 64 of these would lock an operator out.
    pub(super) fn eviction_rank(&self) -> Option<(u8, Tick)> {
        let is_watching = matches!(self.job, Some(Job::Watch(_)))
            || self.http.as_ref().is_some_and(|http| http.is_watching());
        let rank = if self.idle_since().is_some() {
            0
        } else if self.unsent() > 0 && !self.awake {
            1
        } else if is_watching {
            2
        } else {
            return None;
        };
        Some((rank, self.moved))
    }

    /// Whether the server has ended the connection, and waits for the client to do the same.
    pub(super) fn lingers(&self) -> bool {
        self.lingers_since.is_some()
    }

    /// Whether an answer is in progress.
    fn has_job(&self) -> bool {
        self.job.is_some() || self.http.as_ref().is_some_and(|http| http.is_answering())
    }

    /// Returns when the client is to be closed if nothing moves until then. Returns `None` if the
    /// client gets its turn before that, or may stay for ever.
    pub(super) fn deadline(&self, idle: Option<Duration>) -> Option<Tick> {
        if self.unsent() > 0 && !self.awake {
            return Some(self.moved + STALLED);
        }
        if let Some(since) = self.lingers_since {
            return Some(since + LINGER);
        }
        if let Some(due) = self.due() {
            return Some(due); // it is woken then, not closed
        }
        let idle = self.idle_since().zip(idle).map(|(since, idle)| since + idle);
        let head = self.http.as_ref().and_then(|http| http.deadline());
        [idle, head].into_iter().flatten().min()
    }

    /// Whether a dump for this client is in progress.
    pub(super) fn is_dumping(&self) -> bool {
        self.job.as_ref().is_some_and(Job::is_dumping)
            || self.http.as_ref().is_some_and(|http| http.is_dumping())
    }

    /// The bytes of its input and its output, and those that its answer holds.
    pub(super) fn bytes(&self) -> usize {
        let job = self.job.as_ref().map_or(0, Job::bytes);
        let http = self.http.as_ref().map_or(0, |http| http.bytes());
        self.input.capacity() + self.output.capacity() + job + http
    }

    /// Whether its dump could begin if there were fewer dumps.
    pub(super) fn waits_to_dump(&self) -> bool {
        let job_waits = self.job.as_ref().is_some_and(|job| !job.may_go_on(false));
        let http_waits = self.http.as_ref().is_some_and(|http| !http.may_go_on(false));
        self.unsent() < OUTPUT_HIGH && (job_waits || http_waits)
    }

    /// Frees the memory of its dump if the client does not read. The dump begins again later.
    /// Returns whether it did.
    pub(super) fn pause_unread_dump(&mut self) -> bool {
        if self.unsent() < OUTPUT_HIGH || !self.is_dumping() {
            return false;
        }
        self.job.iter_mut().for_each(Job::pause);
        self.http.iter_mut().for_each(|http| http.pause());
        true
    }

    /// Begins a count of the series of each rule again, because there may be other rules.
    pub(super) fn restart_rule_counts(&mut self) {
        if let Some(Job::Rules(counts)) = &mut self.job {
            **counts = RuleCounts::default();
        }
    }

    /// Reads, answers and writes while there is time. An error closes the client.
    pub(super) fn turn(
        &mut self,
        view: &mut View<'_>,
        may_dump: bool,
        has_time: impl Fn() -> bool,
    ) -> io::Result<NextStep> {
        self.awake = false;
        // Write first: a client whose output is full gets no further step.
        self.write(view.server.now.tick)?;
        // One step is made even if the lines of a watch have used up the time. Otherwise a slow
        // host would explain lines and never write them.
        let mut next = NextStep::GoOn;
        let mut has_stepped = false;
        while next == NextStep::GoOn && self.unsent() < OUTPUT_HIGH && (!has_stepped || has_time())
        {
            next = self.step(view, may_dump)?;
            has_stepped = true;
        }
        if next == NextStep::Close {
            return Ok(next);
        }
        self.write(view.server.now.tick)?;
        if self.is_over() {
            return Ok(NextStep::Close);
        }
        if self.unsent() == 0 && self.lingers_since.is_none() && self.is_http_over() {
            self.lingers_since = Some(view.server.now.tick);
            self.stream.shutdown(Shutdown::Write)?;
            next = NextStep::GoOn; // reads what is there
        }
        // With more unread output than this, the poller reports when there is room.
        self.awake = next == NextStep::GoOn && self.unsent() < OUTPUT_HIGH;
        Ok(if self.awake { NextStep::GoOn } else { NextStep::Wait })
    }

    /// Whether no more input is read, and all commands are answered.
    fn is_over(&self) -> bool {
        self.has_input_ended && self.input.is_empty() && !self.has_job() && self.unsent() == 0
    }

    /// Whether the last HTTP request of the connection is answered.
    fn is_http_over(&self) -> bool {
        self.http.as_ref().is_some_and(|http| http.is_over())
    }

    /// Does one step of the HTTP session.
    fn http_step(&mut self, view: &mut View<'_>, may_dump: bool) -> io::Result<NextStep> {
        let Some(http) = &mut self.http else { return Ok(NextStep::Wait) };
        match http.step(&mut self.input, view, may_dump, &mut self.output) {
            HttpStep::GoOn => return Ok(NextStep::GoOn),
            HttpStep::Wait => return Ok(NextStep::Wait),
            HttpStep::Read => {}
            HttpStep::End => self.input.clear(),
        }
        if self.has_input_ended {
            http.end_watch();
            self.input.clear(); // the rest of a request that will never be complete
            return Ok(NextStep::Wait);
        }
        if http.is_over() && self.lingers_since.is_none() {
            return Ok(NextStep::Wait); // the answer must be sent first
        }
        self.read(view.server.now.tick)
    }

    /// Does one step of the job, or the next command if there is no job.
    fn step(&mut self, view: &mut View<'_>, may_dump: bool) -> io::Result<NextStep> {
        if self.http.is_some() {
            return self.http_step(view, may_dump);
        }
        if let Some(Job::Watch(watching)) = &mut self.job {
            if watching.step(view.server.now.tick, &mut self.output) {
                return Ok(NextStep::GoOn);
            }
            return self.end_watch_or_read(view.server.now.tick);
        }
        if let Some(Job::Senders(counting)) = &self.job
            && counting.due().is_some_and(|due| view.server.now.tick < due)
        {
            return Ok(NextStep::Wait);
        }
        if let Some(job) = &mut self.job {
            if !job.may_go_on(may_dump) {
                return Ok(NextStep::Wait);
            }
            if job.step(view, &mut self.output) {
                self.job = None;
            }
            return Ok(NextStep::GoOn);
        }
        if !self.has_run_commands && begins_as_http(&self.input, self.has_input_ended) {
            return Ok(self.begin_http(view));
        }
        if let Some(end) = memchr(b'\n', &self.input) {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            return Ok(self.command(without_end(&line), view));
        }
        if !self.has_input_ended {
            return self.read(view.server.now.tick);
        }
        if self.input.is_empty() {
            return Ok(NextStep::Wait);
        }
        // The end of the input ends the last command, as in `printf health | nc -N`.
        let line = std::mem::take(&mut self.input);
        Ok(self.command(without_end(&line), view))
    }

    /// Begins the HTTP session of the connection, or closes the connection if the port answers no
    /// HTTP. A web page may make a browser post commands here. No command has run yet, and none
    /// will.
    fn begin_http(&mut self, view: &View<'_>) -> NextStep {
        if !view.server.config.admin.http {
            return NextStep::Close;
        }
        self.http = Some(Box::default());
        NextStep::GoOn
    }

    /// Ends the watch if the client has sent a newline, or has closed its half of the connection,
    /// and all lines that were taken for it are shown. Otherwise reads once. A closed connection
    /// looks the same as a half-closed one at first, and a watch without an end would cost time
    /// with each line.
    fn end_watch_or_read(&mut self, now: Tick) -> io::Result<NextStep> {
        let end = memchr(b'\n', &self.input);
        if end.is_none() && !self.has_input_ended {
            return self.read(now);
        }
        if let Some(Job::Watch(watching)) = &mut self.job
            && !watching.end(&mut self.output)
        {
            return Ok(NextStep::Wait);
        }
        self.job = None;
        self.input.drain(..end.map_or(self.input.len(), |end| end + 1));
        self.output.extend_from_slice(b"END\n\n");
        Ok(NextStep::GoOn)
    }

    /// Runs one line of the client.
    fn command(&mut self, line: &[u8], view: &mut View<'_>) -> NextStep {
        if line.trim_ascii().is_empty() {
            return NextStep::GoOn; // an empty line gets no answer
        }
        self.has_run_commands = true;
        match commands::run(line, view, &mut self.output) {
            Answer::Done => {}
            Answer::Job(job) => self.job = Some(job),
            Answer::Quit => {
                self.input.clear();
                self.has_input_ended = true;
            }
        }
        NextStep::GoOn
    }

    /// Reads once. Fails if the input is full and has no whole command.
    fn read(&mut self, now: Tick) -> io::Result<NextStep> {
        if self.input.len() >= INPUT_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a command without an end"));
        }
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(0) => {
                // Half-closed, as by `echo stats | nc -N`: the client still reads the answers.
                self.has_input_ended = true;
                Ok(NextStep::GoOn)
            }
            Ok(read) => {
                self.moved = now;
                self.input.extend_from_slice(&piece[..read]);
                Ok(NextStep::GoOn)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(NextStep::Wait),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(NextStep::GoOn),
            Err(error) => Err(error),
        }
    }

    fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Sends as much of the output as the socket accepts.
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
        if self.unsent() > 0 {
            self.output.drain(..self.sent);
        } else if self.is_dumping() {
            self.output.clear(); // the rest of the answer needs as much
        } else {
            self.output = Vec::new(); // free the memory: the next answer may be hours away
        }
        self.sent = 0;
        Ok(())
    }
}

/// Returns a line without `\n` or `\r\n` at its end. Blanks stay, since they may belong to the
/// line that `explain` gets.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether these are the first bytes of an HTTP request, such as `POST / HTTP/1.1`.
///
/// A method in capital letters shows it at once. Another one shows it with the end of the first
/// line, which has a version in it. A command may have that text in it, too: `explain` gets any
/// line. So a line that begins with a command is a request only if it is exactly a method, a target
/// and a version. A web page can send the method `delgauges`, but no blank in a target.
fn begins_as_http(input: &[u8], has_ended: bool) -> bool {
    let input = input.trim_ascii_start();
    let method = input.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if method > 0 && input.get(method) == Some(&b' ') {
        return true;
    }
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let line = lines.next().unwrap_or_default();
    if begins_with_command(line) {
        if lines.next().is_none() && !has_ended {
            return false; // the line may go on
        }
        let version = line.trim_ascii_end().splitn(3, |byte| *byte == b' ').nth(2);
        let number = version.and_then(|version| version.strip_prefix(b"HTTP/"));
        return number
            .is_some_and(|number| number.iter().all(|byte| b"0123456789.".contains(byte)));
    }
    memchr::memmem::find(line, b" HTTP/").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_http() {
        for text in [
            "GET / HTTP/1.1",
            "GET ",
            "\r\nGET / HTTP/1.1\r\n",
            "POST /x HTTP/1.0",
            "OPTIONS * HTTP/1.1",
            "GET /",
            "x y HTTP/2\nstats",
            "delgauges /x HTTP/1.1\r\nHost: a\r\n",
        ] {
            assert!(begins_as_http(text.as_bytes(), false), "{text}");
        }
        for text in [
            "stats",
            "delcounters A HTTP",
            "health up",
            "",
            "STATS",
            "GET",
            "stats\nGET / HTTP/1.1",
            "explain web.GET / HTTP/1.1:1|c",
            "explain web.GET HTTP/1.1",
            "explain HTTP/1.1 HTTP/1.1:1|c\n",
            "delcounters \"GET / HTTP/1.1\"",
        ] {
            assert!(!begins_as_http(text.as_bytes(), false), "{text}");
        }
    }
}
