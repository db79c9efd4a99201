//! The log: `key=value` lines on standard error, one for each change of state, none for each packet.
//!
//! Writing a line never waits. A reader of standard error that has stopped would otherwise stop the whole server, which has one
//! thread. A line that is not accepted is dropped and counted (`log_lines_dropped`), and the next line that is accepted comes
//! after one that reports how many are missing. Lines stay whole: the rest of a line that was accepted in part is written before
//! anything else.

use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use log::{Level, LevelFilter};
use nix::poll::{PollFd, PollFlags, poll};

use crate::server::wall_clock;
use crate::standard::StandardStream;

/// The one log of the process. It is a global because `log` is one: any code may log, and no argument leads there. A panic may
/// log, too, while a line is being written; so the lock is only ever tried.
static LOG: Mutex<Log> =
    Mutex::new(Log { stream: None, rest: Vec::new(), missing: 0, passed_over: 0 });

/// Lines dropped that [`take_dropped`] has not returned yet. The engine counts them, but the log knows no engine.
static DROPPED: AtomicU64 = AtomicU64::new(0);

const NO_ROOM: &str = "reason=\"standard error had no room for them\" hint=\"see that it is read, or raise log_level\"";
const NO_TIME: &str = "reason=\"dump_messages logs a limited number of lines in one turn of the loop\" hint=\"have clients send less at once\"";

/// How long [`last_words`] waits at most for a reader: 10 s.
const LAST_WAITS: u32 = 100;
const LAST_WAIT_MS: u16 = 100;
/// How long [`end`] waits at most, in `LAST_WAIT_MS`.
const END_WAITS: u32 = 2;

/// Sends log lines of `level` and worse to standard error from now on; RUST_LOG overrides the level. Must be called before
/// privileges are dropped.
pub fn to_stderr(level: LevelFilter) {
    let is_overridden = std::env::var_os("RUST_LOG").is_some();
    env_logger::Builder::new()
        .filter_level(if is_overridden { level } else { LevelFilter::Trace })
        .parse_default_env()
        .format(|out, record| writeln!(out, "{} {}", stamp(record.level()), record.args()))
        .target(env_logger::Target::Pipe(Box::new(Line)))
        .init();
    set_level(level);
    if let Ok(mut log) = LOG.try_lock() {
        log.open();
    }
    // The standard hook writes to standard error and waits there, so that a server that must end would hang.
    std::panic::set_hook(Box::new(|panic| say(&panic.to_string())));
}

/// Another level, unless RUST_LOG says.
pub fn set_level(level: LevelFilter) {
    if std::env::var_os("RUST_LOG").is_none() {
        log::set_max_level(level);
    }
}

/// Writes a line that is no log line, such as the one that says where the server listens. Does not wait.
pub fn say(line: &str) {
    put(format!("{line}\n").as_bytes());
}

/// Writes what a process has to say before it ends, and waits some seconds for a reader if there is no room: for mistakes that
/// keep it from starting. It must not wait for ever, or a supervisor would take it for one that is about to start.
pub fn last_words(text: &str) {
    let Ok(mut log) = LOG.try_lock() else { return };
    let mut waits = LAST_WAITS;
    for line in text.lines().map(|line| format!("{line}\n")) {
        while !log.offer(line.as_bytes()) && waits > 0 {
            log.wait_for_room();
            waits -= 1;
        }
    }
    while !log.finish_rest() && waits > 0 {
        log.wait_for_room();
        waits -= 1;
    }
}

/// Counts lines that a turn of the loop had no time to log. The next line that is accepted comes after a report of them.
pub fn pass_over(lines: u64) {
    DROPPED.fetch_add(lines, Relaxed);
    if let Ok(mut log) = LOG.try_lock() {
        log.passed_over += lines;
    }
}

/// Ends the log of a process that ends well: writes the rest of a line that was accepted in part, and the number of those
/// that are missing. Waits a moment for a reader that is slow.
pub fn end() {
    let Ok(mut log) = LOG.try_lock() else { return };
    let mut waits = END_WAITS;
    while !log.finish() && waits > 0 {
        log.wait_for_room();
        waits -= 1;
    }
}

/// How many lines were dropped or passed over since this was last asked.
pub fn take_dropped() -> u64 {
    // Asked every turn: a load is cheaper than a swap.
    if DROPPED.load(Relaxed) == 0 { 0 } else { DROPPED.swap(0, Relaxed) }
}

fn stamp(level: Level) -> String {
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + wall_clock());
    format!("time={time} level={}", level.as_str().to_ascii_lowercase())
}

fn put(line: &[u8]) {
    match LOG.try_lock() {
        Ok(mut log) => {
            if !log.offer(line) {
                log.missing += 1;
                DROPPED.fetch_add(1, Relaxed);
            }
        }
        Err(_) => _ = DROPPED.fetch_add(1, Relaxed),
    }
}

/// What env_logger writes to: it hands over each line in one piece.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Log {
    /// `None` until it is opened, or while it cannot be.
    stream: Option<StandardStream>,
    /// What is still to be written of lines that were accepted in part.
    rest: Vec<u8>,
    /// Lines dropped and not reported in the log yet.
    missing: u64,
    /// Lines that a turn of the loop had no time for, and that are not reported yet.
    passed_over: u64,
}

impl Log {
    /// Writes a line, with the number of those missing before it. Returns `false` if nothing of it was accepted.
    fn offer(&mut self, line: &[u8]) -> bool {
        self.open();
        if !self.finish_rest() {
            return false;
        }
        let reported;
        let report = self.report();
        let bytes = if report.is_empty() {
            line
        } else {
            reported = [report.as_bytes(), line].concat();
            &reported
        };
        let Ok(written) = self.write(bytes) else { return false };
        self.missing = 0;
        self.passed_over = 0;
        self.rest.extend_from_slice(&bytes[written..]);
        true
    }

    /// What the log says of lines that are missing: a line for each cause.
    fn report(&self) -> String {
        let line = |lines: u64, why: &str| match lines {
            0 => String::new(),
            _ => format!("{} log_lines_dropped={lines} {why}\n", stamp(Level::Warn)),
        };
        line(self.missing, NO_ROOM) + &line(self.passed_over, NO_TIME)
    }

    /// Writes what is left. Returns `false` while there is no room for it.
    fn finish(&mut self) -> bool {
        self.finish_rest() && (self.report().is_empty() || self.offer(b"")) && self.finish_rest()
    }

    fn open(&mut self) {
        if self.stream.is_none() {
            self.stream = StandardStream::error().ok();
        }
    }

    /// Returns `false` while a part of an earlier line is still unwritten.
    fn finish_rest(&mut self) -> bool {
        while !self.rest.is_empty() {
            match self.write(&self.rest) {
                Ok(written) => _ = self.rest.drain(..written),
                Err(_) => return false,
            }
        }
        true
    }

    /// How many bytes were accepted: at least one. It is an error also if the stream is full, or its disk is.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            match stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn wait_for_room(&self) {
        if let Some(stream) = &self.stream {
            let mut streams = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
            let _ = poll(&mut streams, LAST_WAIT_MS); // an error is a short wait, and their number is limited
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{PipeReader, Read as _};
    use std::os::unix::fs::OpenOptionsExt as _;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    /// A log on a pipe of one page, and a reader of it that does not wait.
    fn rig() -> (Log, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let stream = Some(StandardStream::of(writer.into()).unwrap());
        (Log { stream, rest: Vec::new(), missing: 0, passed_over: 0 }, reader)
    }

    fn put(log: &mut Log, line: &str) {
        if !log.offer(format!("{line}\n").as_bytes()) {
            log.missing += 1;
        }
    }

    /// What there is to read now.
    fn read(reader: &mut PipeReader) -> String {
        let mut text = vec![0; 1 << 16];
        let bytes = reader.read(&mut text).unwrap_or(0);
        String::from_utf8(text[..bytes].to_vec()).unwrap()
    }

    #[test]
    fn lines_stay_whole_and_the_missing_ones_are_reported() {
        let (mut log, mut reader) = rig();
        let long = "a".repeat(10_000);
        put(&mut log, &long);
        put(&mut log, "dropped");
        put(&mut log, "dropped");
        let mut text = String::new();
        while text.len() < long.len() {
            text += &read(&mut reader);
            log.finish_rest();
        }
        put(&mut log, "after");
        text += &read(&mut reader);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0] == long, lines[2]), (3, true, "after"), "{lines:?}");
        assert!(lines[1].starts_with("time=") && lines[1].contains(" log_lines_dropped=2 "));
        put(&mut log, "and on");
        assert_eq!(read(&mut reader), "and on\n", "reported once");
    }

    #[test]
    fn the_end_writes_the_rest_of_a_line_and_the_number_of_those_that_are_missing() {
        let (mut log, mut reader) = rig();
        assert!(log.finish(), "there is nothing to write");
        let long = "a".repeat(10_000);
        put(&mut log, &long);
        put(&mut log, "dropped");
        log.passed_over += 7;
        let mut text = String::new();
        while !log.finish() {
            text += &read(&mut reader);
        }
        text += &read(&mut reader);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0] == long), (3, true), "{lines:?}");
        assert!(lines[1].contains(" log_lines_dropped=1 reason=\"standard error"), "{lines:?}");
        assert!(lines[2].contains(" log_lines_dropped=7 reason=\"dump_messages"), "{lines:?}");
    }

    #[test]
    fn short_lines_are_taken_whole_or_not_at_all() {
        let (mut log, mut reader) = rig();
        (0..100).for_each(|n| put(&mut log, &format!("{n:0>98}")));
        let text = read(&mut reader);
        assert!(log.rest.is_empty() && text.ends_with('\n'), "{text}");
        assert_eq!(text.lines().count() as u64 + log.missing, 100);
    }

    #[test]
    fn a_reader_that_has_gone_costs_lines_and_the_next_one_reads_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap()
        };
        let reader = open();
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        let stream = Some(StandardStream::of(writer.into()).unwrap());
        let mut log = Log { stream, rest: Vec::new(), missing: 0, passed_over: 0 };
        let long = "a".repeat(100_000);
        put(&mut log, &long);
        drop(reader);
        put(&mut log, "dropped");
        let mut reader = open();
        let mut text = vec![0; 1 << 17];
        let mut bytes = reader.read(&mut text).unwrap(); // what the pipe has kept
        put(&mut log, "after");
        bytes += reader.read(&mut text[bytes..]).unwrap();
        let lines: Vec<_> = str::from_utf8(&text[..bytes]).unwrap().lines().collect();
        assert_eq!((lines.len(), lines[0] == long, lines[2]), (3, true, "after"));
        assert!(lines[1].contains(" log_lines_dropped=1 "), "{}", lines[1]);
    }

    #[test]
    fn a_full_disk_is_no_reason_to_wait() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let stream = Some(StandardStream::of(full.into()).unwrap());
        let mut log = Log { stream, rest: Vec::new(), missing: 0, passed_over: 0 };
        put(&mut log, "dropped");
        assert_eq!(log.missing, 1);
    }
}
