//! `[key_flush]`: the most frequent names, to the log or appended to a file every so often, a piece a turn.
//!
//! A line of a file is as Node's keyFlush writes it, with the log's form of time in front.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::config;
use crate::engine::Engine;
use crate::series::{Counted, MostFrequent};
use crate::time::{Now, Tick, UnixTime};

#[derive(Debug)]
pub(super) struct KeyFlush {
    interval: Duration,
    percent: u32,
    /// None: the log.
    path: Option<PathBuf>,
    /// What is still to be written, of the counts taken then.
    left: MostFrequent,
    taken: UnixTime,
    file: Option<File>,
    /// The file could not be written the last time, which is said once.
    failing: bool,
}

/// Log lines of one turn.
const LINES_PER_TURN: usize = 256;
/// Bytes of a file written in one turn, a line over at the most.
const PIECE_BYTES: usize = 32 * 1024;

impl KeyFlush {
    /// None when it is off.
    pub(super) fn new(config: &config::KeyFlush) -> Option<Self> {
        Some(Self {
            interval: config.interval?,
            percent: config.percent,
            path: config.log.clone(),
            left: MostFrequent::default(),
            taken: UnixTime::default(),
            file: None,
            failing: false,
        })
    }

    pub(super) fn deadline(&self, now: Tick) -> Tick {
        now + self.interval
    }

    /// The time has come. What is still being written goes first: then the counts are left to grow.
    pub(super) fn begin(&mut self, now: Now, engine: &mut Engine) {
        if self.left.len() > 0 {
            return;
        }
        self.left = engine.take_frequent(self.percent);
        self.taken = now.unix;
        if let Some(path) = self.path.as_ref().filter(|_| self.left.len() > 0) {
            match open(path) {
                Ok(file) => self.file = Some(file),
                Err(error) => self.give_up(&error),
            }
        }
    }

    /// Writes a piece; true if there is more.
    pub(super) fn step(&mut self) -> bool {
        match &self.file {
            Some(file) => match append(file, &mut self.left, self.taken) {
                Ok(()) => self.failing = false,
                Err(error) => self.give_up(&error),
            },
            None => self
                .left
                .by_ref()
                .take(LINES_PER_TURN)
                .for_each(|counted| log::info!("{}", shown(&counted))),
        }
        let more = self.left.len() > 0;
        if !more {
            self.file = None;
        }
        more
    }

    fn give_up(&mut self, reason: &io::Error) {
        self.left = MostFrequent::default();
        if !std::mem::replace(&mut self.failing, true) {
            let path = self.path.as_deref().unwrap_or_else(|| Path::new("")).display();
            log::warn!("key_flush=failed log=\"{path}\" reason=\"{reason}\"");
        }
    }
}

fn append(mut file: &File, left: &mut MostFrequent, taken: UnixTime) -> io::Result<()> {
    let since = Duration::from_millis(taken.as_millis());
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + since);
    let mut piece = String::new();
    while piece.len() < PIECE_BYTES
        && let Some(counted) = left.next()
    {
        piece += &format!("time={time} {}\n", shown(&counted));
    }
    file.write_all(piece.as_bytes())
}

fn shown(Counted { name, count, .. }: &Counted) -> String {
    format!("count={count} key={}", name.escape_ascii())
}

/// Neither the opening nor a write may wait, also when the path names a pipe.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).custom_flags(libc::O_NONBLOCK).open(path)
}
