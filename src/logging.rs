//! The log: lines on standard error, one for each change of state, none for each packet.
//!
//! A line is a sentence that an operator can search for, followed by fields. The formatter quotes
//! and escapes them, so call sites never do. The test `a_line_has_each_kind_of_field` shows each
//! form of a field.
//!
//! - The sentence is constant, without `=` and quotes. What varies goes into fields.
//! - The field that names the change comes first, such as `reload=done`: scripts search for it.
//! - The name of a field must not be `time`, `level` or `msg`. `:?` would quote text twice.
//! - A name chosen at run time is written in parentheses: `(kind) = count`.
//!
//! ```text
//!  log::warn!(…) ──▶ env_logger ──▶ format::line ──▶ LogTarget ─┐
//!  write_line, the panic hook ──────────────────────────────────┴─put─▶ LOG ──▶ standard error
//!                                                                        └──▶ DROPPED, if full
//! ```
//! Writing a line never waits. Otherwise a process that stops reading standard error would stop the
//! whole server, which has one thread.
//!
//! A line that standard error does not accept is dropped and counted (`log_lines_dropped`). Before
//! the next line that is accepted, one line reports how many are missing. Lines stay whole: the
//! rest of a partly written line goes out before anything else.

mod format;

pub use format::{Bytes, LogFormat};

use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use log::kv::Value;
use log::{Level, LevelFilter, Record};
use nix::poll::{PollFd, PollFlags, poll};

use crate::clock;
use crate::stdio::StandardStream;

/// The one log of the process. It is global because the `log` crate is: any code may log without
/// having a reference to it. A panic may log while a line is being written, so the lock is only
/// ever tried.
static LOG: Mutex<Log> = Mutex::new(Log { stream: None, unwritten: Vec::new(), unreported: 0 });

/// Dropped lines that [`take_dropped`] has not returned yet. The engine counts them, and the log
/// must not depend on the engine.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Whether lines are written as JSON. It is not part of `LOG`, since lines are formatted before
/// that is locked.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// How many times [`write_before_exit`] waits for a reader, each time for [`WAIT_MS`]: 10 s in all.
const EXIT_WAITS: u32 = 100;
const WAIT_MS: u16 = 100;
/// How many times [`finish`] waits for a reader, each time for [`WAIT_MS`].
const FINISH_WAITS: u32 = 2;

/// Sends log lines of `level` and worse to standard error from now on. RUST_LOG overrides the
/// level. Must be called before privileges are dropped.
pub fn init(level: LevelFilter, format: LogFormat) {
    set_format(format);
    // Without RUST_LOG the logger accepts every level, and `set_level` sets the limit below it.
    let limit = if is_level_overridden() { level } else { LevelFilter::Trace };
    env_logger::Builder::new()
        .filter_level(limit)
        .parse_default_env()
        .format(|out, record| out.write_all(formatted(record).as_bytes()))
        .target(env_logger::Target::Pipe(Box::new(LogTarget)))
        .init();
    set_level(level);
    if let Ok(mut log) = LOG.try_lock() {
        log.open();
    }
    // The standard hook writes to standard error and waits there, so a server that must end would
    // hang.
    std::panic::set_hook(Box::new(|panic| {
        let reason = [("reason", Value::from_display(panic))];
        put(own_line(Level::Error, "the server has a bug and ends now", &reason).as_bytes());
    }));
}

/// Sets the form of all lines from now on.
pub fn set_format(format: LogFormat) {
    IS_JSON.store(format == LogFormat::Json, Relaxed);
}

/// Sets another level, unless RUST_LOG overrides it.
pub fn set_level(level: LevelFilter) {
    if !is_level_overridden() {
        log::set_max_level(level);
    }
}

/// Whether RUST_LOG is set. env_logger then filters lines by it, and no level of ours applies.
fn is_level_overridden() -> bool {
    std::env::var_os("RUST_LOG").is_some()
}

/// Writes a line that is not a log line, such as `ready udp=…`. Never waits.
pub fn write_line(line: &str) {
    put(format!("{line}\n").as_bytes());
}

/// Writes the mistakes that keep the server from starting, just before the process ends. They are
/// log lines if the log is JSON, since its reader expects nothing else.
///
/// Waits up to 10 s if standard error has no room. It must not wait for ever, or a supervisor would
/// assume that the server is still starting.
pub fn write_before_exit(text: &str) {
    let Ok(mut log) = LOG.try_lock() else { return };
    let mut waits = EXIT_WAITS;
    for line in text.lines() {
        let line = match wanted_format() {
            LogFormat::Text => format!("{line}\n"),
            LogFormat::Json => own_line(Level::Error, line, &[]),
        };
        while !log.offer(line.as_bytes()) && waits > 0 {
            log.wait_for_room();
            waits -= 1;
        }
    }
    while !log.write_rest() && waits > 0 {
        log.wait_for_room();
        waits -= 1;
    }
}

/// Ends the log of a process that ends well: writes the rest of a line that was accepted in part,
/// and the number of dropped lines. Waits at most 0.2 s for a slow reader.
pub fn finish() {
    let Ok(mut log) = LOG.try_lock() else { return };
    let mut waits = FINISH_WAITS;
    while !log.finish() && waits > 0 {
        log.wait_for_room();
        waits -= 1;
    }
}

/// Returns how many lines standard error did not accept since the last call.
pub fn take_dropped() -> u64 {
    // This is called in every turn, and a load is cheaper than a swap.
    if DROPPED.load(Relaxed) == 0 { 0 } else { DROPPED.swap(0, Relaxed) }
}

/// Returns the form that [`set_format`] has set.
fn wanted_format() -> LogFormat {
    if IS_JSON.load(Relaxed) { LogFormat::Json } else { LogFormat::Text }
}

/// Returns the line for a record, in the form that is set now.
#[inline(never)] // one copy of it is enough
pub(crate) fn formatted(record: &Record<'_>) -> String {
    format::line(wanted_format(), clock::wall(), record)
}

/// Returns a line that is written whatever the level, and not through the `log` crate.
fn own_line(level: Level, sentence: &str, fields: &[(&str, Value<'_>)]) -> String {
    let mut record = Record::builder();
    formatted(&record.level(level).args(format_args!("{sentence}")).key_values(&fields).build())
}

/// Writes a log line, or counts it as dropped. If the log is in use, a panic has interrupted a
/// write, and waiting for the lock would never end.
fn put(line: &[u8]) {
    match LOG.try_lock() {
        Ok(mut log) => {
            if !log.offer(line) {
                log.unreported += 1;
                DROPPED.fetch_add(1, Relaxed);
            }
        }
        Err(_) => _ = DROPPED.fetch_add(1, Relaxed),
    }
}

/// Where env_logger writes each line, in one piece.
struct LogTarget;

impl Write for LogTarget {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Every line was written or dropped already. To wait here for the rest of one would stop
        // the loop.
        Ok(())
    }
}

/// The stream of the log, and what could not be written to it yet.
#[derive(Debug)]
struct Log {
    /// `None` until it is opened, or while opening fails.
    stream: Option<StandardStream>,
    /// The rest of a line that was accepted in part. It is written before anything else.
    unwritten: Vec<u8>,
    /// Dropped lines that the log has not reported yet.
    unreported: u64,
}

impl Log {
    /// Writes a line, after a report of the dropped ones before it. Returns `false` if nothing of
    /// it was accepted.
    fn offer(&mut self, line: &[u8]) -> bool {
        self.open();
        if !self.write_rest() {
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
        self.unreported = 0;
        // Standard error now has the beginning of a line, so the rest must follow. A line that is
        // cut short would be glued to the next one.
        self.unwritten.extend_from_slice(&bytes[written..]);
        true
    }

    /// Returns the log line that reports dropped lines. It is empty if there are none.
    fn report(&self) -> String {
        if self.unreported == 0 {
            return String::new();
        }
        let hint = "read standard error faster, free its disk, or log less with [statsd] log_level";
        let fields = [
            ("log_lines_dropped", Value::from(self.unreported)),
            ("reason", Value::from("standard error did not accept them")),
            ("hint", Value::from(hint)),
        ];
        own_line(Level::Warn, "log lines are missing here", &fields)
    }

    /// Writes the rest of a line and the report. Returns `false` if there was no room for all of
    /// it.
    fn finish(&mut self) -> bool {
        self.write_rest() && (self.report().is_empty() || self.offer(b"")) && self.write_rest()
    }

    /// Opens standard error, if it is not open. That fails while no descriptor is
    /// free, so each line tries again.
    fn open(&mut self) {
        if self.stream.is_none() {
            self.stream = StandardStream::error().ok();
        }
    }

    /// Writes the rest of an earlier line. Returns `false` if a part of it is still unwritten.
    fn write_rest(&mut self) -> bool {
        while !self.unwritten.is_empty() {
            match self.write(&self.unwritten) {
                Ok(written) => _ = self.unwritten.drain(..written),
                Err(_) => return false,
            }
        }
        true
    }

    /// Returns how many bytes were accepted, at least one. A full stream and a full disk are
    /// errors.
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

    /// Waits until standard error accepts bytes, at most [`WAIT_MS`].
    fn wait_for_room(&self) {
        if let Some(stream) = &self.stream {
            let mut streams = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
            // An error only makes this wait shorter, and the number of waits is limited.
            let _ = poll(&mut streams, WAIT_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{PipeReader, Read as _};
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::Path;
    use std::time::Duration;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;
    use crate::sink::testing::logged;

    /// A log on a pipe of one page, and a nonblocking reader of that pipe.
    fn rig() -> (Log, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let stream = Some(StandardStream::of(writer.into()).unwrap());
        (Log { stream, unwritten: Vec::new(), unreported: 0 }, reader)
    }

    fn put(log: &mut Log, line: &str) {
        if !log.offer(format!("{line}\n").as_bytes()) {
            log.unreported += 1;
        }
    }

    /// Returns everything that can be read now.
    fn read(reader: &mut PipeReader) -> String {
        let mut text = vec![0; 1 << 16];
        let bytes = reader.read(&mut text).unwrap_or(0);
        String::from_utf8(text[..bytes].to_vec()).unwrap()
    }

    #[test]
    fn a_line_has_each_kind_of_field() {
        let config = Path::new("/etc/statsd.conf");
        let error = "unknown key";
        let packet = b"x\xff";
        let lines = 7;
        let wait = Duration::from_millis(1500);
        let sender = None::<u8>;
        logged();
        log::warn!(
            reload = "refused",           // text, numbers and truth values are given as they are
            lines,                        // short for `lines = lines`; a number in JSON
            config:% = config.display(),  // `:%` is `Display`: a path, an error, an address
            reason:% = error,
            retry_in:? = wait,            // `:?` is `Debug`: right for a `Duration` only
            packet:% = Bytes(packet),     // bytes that may not be UTF-8
            sender,                       // an `Option`: the field is left out for `None`
            "udp.bind" = 1,               // a name that is no identifier
            hint = "fix the file and reload again";
            "the configuration was not reloaded"
        );
        let lines = logged();
        let [(Level::Warn, line)] = &lines[..] else { panic!("{lines:?}") };
        let fields = "the configuration was not reloaded reload=refused lines=7 \
            config=/etc/statsd.conf reason=\"unknown key\" retry_in=1.5s packet=\"x\\xff\" \
            udp.bind=1 hint=\"fix the file and reload again\"";
        assert!(line.contains(fields), "{line}");
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
            log.write_rest();
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
    fn the_end_writes_the_rest_of_a_line_and_the_number_of_dropped_lines() {
        let (mut log, mut reader) = rig();
        assert!(log.finish(), "there is nothing to write");
        let long = "a".repeat(10_000);
        put(&mut log, &long);
        put(&mut log, "dropped");
        let mut text = String::new();
        while !log.finish() {
            text += &read(&mut reader);
        }
        text += &read(&mut reader);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0] == long), (2, true), "{lines:?}");
        assert!(lines[1].contains(" log_lines_dropped=1 reason=\"standard error"), "{lines:?}");
    }

    #[test]
    fn short_lines_are_taken_whole_or_not_at_all() {
        let (mut log, mut reader) = rig();
        (0..100).for_each(|n| put(&mut log, &format!("{n:0>98}")));
        let text = read(&mut reader);
        assert!(log.unwritten.is_empty() && text.ends_with('\n'), "{text}");
        assert_eq!(text.lines().count() as u64 + log.unreported, 100);
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
        let mut log = Log { stream, unwritten: Vec::new(), unreported: 0 };
        let long = "a".repeat(100_000);
        put(&mut log, &long);
        drop(reader);
        put(&mut log, "dropped");
        let mut reader = open();
        let mut text = vec![0; 1 << 17];
        let mut bytes = reader.read(&mut text).unwrap(); // the bytes still in the pipe
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
        let mut log = Log { stream, unwritten: Vec::new(), unreported: 0 };
        put(&mut log, "dropped");
        assert_eq!(log.unreported, 1);
    }
}
