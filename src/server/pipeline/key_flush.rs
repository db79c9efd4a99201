//! `[key_flush]`: writes the most frequent names to the log or a file at each interval, a batch in
//! each turn.
//!
//! A line of the file is the time in the form of the log, and after it the line that Node's
//! `keyFlush` writes.
//!
//! The file may be a FIFO or a device, and its disk may be full. No write waits. Names that are not
//! accepted are lost, and their number is logged. Two servers may append to one file, since each
//! write is of whole lines.

use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::config;
use crate::engine::Engine;
use crate::files::{self, Stall};
use crate::logging::{self, Bytes};
use crate::series::{Counted, MostFrequent};
use crate::stdio::{OUTPUT_NAMES, StandardStream};
use crate::time::{Now, Tick, UnixTime};

/// The log of frequent names, and what of it is still to be written.
#[derive(Debug)]
pub(super) struct KeyFlush {
    /// The names that are still to be written, of the counts taken at `taken`.
    left: Peekable<MostFrequent>,
    /// The names that are written to the file next.
    batch: NameBatch,
    taken: UnixTime,
    out: NameLog,
    /// The reader of a FIFO was slow, so nothing is written before this time.
    rests_until: Option<Tick>,
    /// The last write to the file ended within a line.
    torn: bool,
    /// A failure was logged, and no write has succeeded since. So the next success is logged.
    failing: bool,
    /// No failure is logged before this time.
    quiet_until: Tick,
    /// Names that were not written since the log last reported a success.
    lost: usize,
    stall: Stall,
}

/// Lines that are written in one call.
#[derive(Debug, Default)]
struct NameBatch {
    text: String,
    names: usize,
}

/// Where the names are written.
#[derive(Debug)]
enum NameLog {
    /// The server's log, as log lines.
    Log,
    /// Standard error, without the log's prefix. They are written by `logging`, so that no log line
    /// is cut in two.
    StandardError,
    File {
        stream: StandardStream,
        /// The most bytes of a batch.
        most: usize,
    },
}

/// Log lines of one turn.
const LINES_PER_TURN: usize = 256;
/// Bytes written to a file in one turn. A single line may be longer.
const PIECE_BYTES: usize = 32 * 1024;
/// How long nothing is written after a slow reader had no room.
const REST: Duration = Duration::from_millis(100);
/// The time between two lines about failures.
const QUIET: Duration = Duration::from_secs(60);
/// Bytes that a pipe accepts whole or not at all.
const ATOMIC_BYTES: usize = libc::PIPE_BUF;

impl KeyFlush {
    pub(super) fn new() -> Self {
        Self {
            left: MostFrequent::default().peekable(),
            batch: NameBatch::default(),
            taken: UnixTime::default(),
            out: NameLog::Log,
            rests_until: None,
            torn: false,
            failing: false,
            quiet_until: Tick::default(),
            lost: 0,
            stall: Stall::default(),
        }
    }

    /// Returns the longest call to the disk since the last time.
    pub(super) fn take_stall(&mut self) -> Duration {
        self.stall.take()
    }

    /// Takes the counts and begins to write them. If names of the interval before are still to be
    /// written, does nothing: the counts grow until the next interval.
    pub(super) fn begin(&mut self, now: Now, engine: &mut Engine, config: &config::KeyFlush) {
        if self.unwritten() > 0 {
            return;
        }
        self.left = engine.take_frequent(config.percent).peekable();
        self.taken = now.unix;
        if let Some(path) = config.log.as_ref().filter(|_| self.left.len() > 0) {
            match self.stall.time(|| open(path)) {
                Ok(out) => self.out = out,
                Err(error) => self.drop_names(now.tick, &error, config),
            }
        }
    }

    /// Prepares for other settings than `before`. Names that are still to be written are dropped
    /// and logged: the reader of the old file may never read them.
    pub(super) fn reconfigure(&mut self, now: Tick, before: &config::KeyFlush) {
        self.rests_until = None;
        self.torn = false; // that was the old file
        self.out = NameLog::Log;
        if self.unwritten() > 0 {
            self.quiet_until = now;
            let reason = io::Error::other("a reload has changed [key_flush]");
            self.drop_names(now, &reason, before);
        }
        self.quiet_until = now; // a failure of the new file is logged
    }

    /// Writes a batch. Returns `true` if more can be written at once.
    pub(super) fn step(&mut self, now: Tick, config: &config::KeyFlush) -> bool {
        // Each turn calls this, and most have nothing to write: the text of the time is not needed.
        if self.unwritten() == 0 || self.rests_until.is_some_and(|until| now < until) {
            return false;
        }
        self.rests_until = None;
        let time = time_of(self.taken);
        let some = self.left.len().min(LINES_PER_TURN);
        match &self.out {
            NameLog::Log => {
                for Counted { name, count, .. } in self.left.by_ref().take(some) {
                    log::info!(count, key:% = Bytes(&name); "a name is frequent");
                }
            }
            NameLog::StandardError => {
                let line =
                    |counted: Counted| logging::write_line(&format!("{time} {}", shown(&counted)));
                self.left.by_ref().take(some).for_each(line);
            }
            NameLog::File { .. } => match self.append(&time, config) {
                Ok(true) => {}
                Ok(false) => {
                    // A later turn tries again, but not the next one, or the loop would spin.
                    self.rests_until = Some(now + REST);
                    return false;
                }
                Err(error) => self.drop_names(now, &error, config),
            },
        }
        let more = self.unwritten() > 0;
        if !more {
            // Close the file. The next interval opens it again, since it may have been rotated.
            self.out = NameLog::Log;
        }
        more
    }

    /// Writes a batch of whole lines. A batch for a pipe is short enough to be accepted whole or
    /// not at all. Returns `false` if there is no room for it now. It is then kept for the next
    /// attempt.
    fn append(&mut self, time: &str, config: &config::KeyFlush) -> io::Result<bool> {
        let NameLog::File { stream, most } = &self.out else { return Ok(true) };
        if self.batch.names == 0 {
            self.batch = NameBatch::of(&mut self.left, time, *most, self.torn);
        }
        if self.batch.names == 0 {
            return Ok(true);
        }
        let written = match self.stall.time(|| stream.write(self.batch.text.as_bytes())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            written => written?,
        };
        let NameBatch { text, names } = std::mem::take(&mut self.batch);
        self.torn = written < text.len();
        if self.torn {
            self.lost += names; // some of them may have been written
            return Err(io::ErrorKind::StorageFull.into());
        }
        if std::mem::take(&mut self.failing) {
            let log = shown_path(config);
            let lost = std::mem::take(&mut self.lost);
            log::info!(key_flush = "recovered", log, lost_names = lost; "frequent names are written again");
        }
        Ok(true)
    }

    /// Drops the names of this interval after a failed write, and counts them as lost. Logs the
    /// failure at most once a minute, also while every interval fails.
    fn drop_names(&mut self, now: Tick, reason: &io::Error, config: &config::KeyFlush) {
        self.lost += self.unwritten();
        self.left = MostFrequent::default().peekable();
        self.batch = NameBatch::default();
        if now >= self.quiet_until {
            self.failing = true;
            self.quiet_until = now + QUIET;
            let log = shown_path(config);
            let lost = self.lost;
            log::warn!(
                key_flush = "failed",
                log,
                reason:%,
                lost_names = lost,
                hint = "the server tries again after the next interval; [key_flush] log must be a file, a device, or a FIFO that is read, in a folder of this user or root";
                "frequent names could not be written"
            );
        }
    }

    /// Returns the number of names still to be written.
    fn unwritten(&self) -> usize {
        self.left.len() + self.batch.names
    }
}

impl NameBatch {
    /// Takes as many of the names as fit in `most` bytes, at least one. The batch begins with a
    /// newline if the line before it is `torn`.
    fn of(left: &mut Peekable<MostFrequent>, time: &str, most: usize, torn: bool) -> Self {
        let mut batch = Self { text: String::from(if torn { "\n" } else { "" }), names: 0 };
        while let Some(counted) = left.peek() {
            let line = format!("{time} {}\n", shown(counted));
            if batch.names > 0 && batch.text.len() + line.len() > most {
                break;
            }
            batch.text += &line;
            batch.names += 1;
            left.next();
        }
        batch
    }
}

/// The file of the names; empty for the log.
fn shown_path(config: &config::KeyFlush) -> String {
    config.log.as_ref().map_or_else(String::new, |path| path.display().to_string())
}

fn time_of(taken: UnixTime) -> String {
    let since = Duration::from_millis(taken.as_millis());
    format!("time={}", humantime::format_rfc3339_millis(UNIX_EPOCH + since))
}

fn shown(Counted { name, count, .. }: &Counted) -> String {
    format!("count={count} key={}", name.escape_ascii())
}

/// The names of the standard streams are links, perhaps to a socket, which cannot be opened by
/// path. So they are recognized by name.
fn open(path: &Path) -> io::Result<NameLog> {
    let stream = match path.to_str() {
        Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => return Ok(NameLog::StandardError),
        Some(name) if OUTPUT_NAMES.contains(&name) => StandardStream::output()?,
        Some(name) if name.starts_with("/dev/fd/") || name.starts_with("/proc/self/fd/") => {
            StandardStream::File(files::append_inherited(path)?)
        }
        _ => StandardStream::File(files::append(path)?),
    };
    let most = if stream.is_regular() { PIECE_BYTES } else { ATOMIC_BYTES };
    Ok(NameLog::File { stream, most })
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;
    use crate::config::Config;
    use crate::random;
    use crate::server::stages::settings;
    use crate::sink::testing::logged;

    const SECOND: Duration = Duration::from_secs(1);

    /// Shows that a failure that lasts is logged once a minute with the names lost by then, that
    /// its end is logged, and that failures that come and go are not logged more often.
    #[test]
    fn a_failure_is_logged_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder/names");
        let mut config = Config::default();
        config.key_flush.interval = Some(10 * SECOND);
        config.key_flush.percent = 100;
        config.key_flush.log = Some(path.clone());
        let mut engine = Engine::new(&settings(&config), random::seeds());
        let mut key_flush = KeyFlush::new();
        let mut now = Now::default();
        logged();
        // One name in each interval of ten seconds.
        let mut flush = || {
            engine.lines(b"a:1|c");
            key_flush.begin(now, &mut engine, &config.key_flush);
            while key_flush.step(now.tick, &config.key_flush) {}
            let second = now.tick.as_micros() / 1_000_000;
            now.tick = now.tick + 10 * SECOND;
            let lines = logged().into_iter().filter(|(level, _)| *level < Level::Debug);
            let lines = lines.filter(|(_, line)| line.contains("key_flush="));
            let fields = |line: String| line[line.find("key_flush=").unwrap()..].to_owned();
            let shown: Vec<_> = lines.map(|(_, line)| fields(line)).collect();
            (second, shown)
        };
        for interval in 0..13 {
            let (second, lines) = flush();
            assert_eq!(lines.len(), usize::from(second % 60 == 0), "{second} s: {lines:?}");
            for line in lines {
                assert!(line.starts_with("key_flush=failed log="), "{line}");
                assert!(line.contains(&format!(" lost_names={} ", interval + 1)), "{line}");
            }
        }
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let (_, lines) = flush();
        assert!(lines[0].starts_with("key_flush=recovered log="), "{lines:?}");
        assert!(lines[0].ends_with(" lost_names=13"), "{lines:?}");
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert_eq!(flush(), (140, vec![]), "it has failed again within the minute");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        assert_eq!(flush(), (150, vec![]), "nor is its recovery logged");
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let lines: Vec<_> = (0..3).flat_map(|_| flush().1).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(" lost_names=4 "), "{lines:?}");
    }

    #[test]
    fn names_that_a_reload_drops_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.key_flush.interval = Some(10 * SECOND);
        config.key_flush.percent = 100;
        config.key_flush.log = Some(folder.path().join("names"));
        let mut engine = Engine::new(&settings(&config), random::seeds());
        let mut key_flush = KeyFlush::new();
        let now = Now::default();
        logged();
        let mut begin = |key_flush: &mut KeyFlush| {
            engine.lines(b"a:1|c");
            key_flush.begin(now, &mut engine, &config.key_flush);
        };
        begin(&mut key_flush);
        key_flush.reconfigure(now.tick, &config.key_flush);
        assert_eq!(key_flush.unwritten(), 0);
        begin(&mut key_flush);
        while key_flush.step(now.tick, &config.key_flush) {}
        let lines: Vec<String> = logged().into_iter().map(|(_, line)| line).collect();
        let lines: Vec<_> = lines.iter().filter(|line| line.contains("key_flush=")).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("key_flush=failed ") && lines[0].contains(" lost_names=1 "));
        assert!(lines[1].contains("key_flush=recovered ") && lines[1].ends_with(" lost_names=1"));
    }
}
