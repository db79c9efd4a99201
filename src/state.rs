//! The state that outlives the process: the open interval at a stop, and the gauges at each
//! `state_interval`.
//!
//! ```text
//!  stop ──────────▶ own counters, passed-through values, series ─┐
//!  every minute ──▶ gauges, in slices ───────────────────────────┴─▶ FILE.new ──rename──▶ FILE
//!  start ◀───────── FILE, or the gauges of FILE.old           (the file before becomes FILE.old)
//! ```
//!
//! A file is a [`StateHead`], records with their lengths, and a checksum of both. `engine.rs` and
//! `server/life/state_saver.rs` write and read the records; only this file uses the disk. A reader
//! skips records of kinds that it does not know (`wire.rs` lists them).
//!
//! | file | what it is |
//! | --- | --- |
//! | `FILE` | the last whole state. It appears by a rename, so a crash never leaves half of one |
//! | `FILE.new` | the state that is being written. Never read |
//! | `FILE.old` | the state before. Only its gauges are read: its counts were restored before |
//! | `FILE.damaged` | a `FILE` or `FILE.old` that failed its checks, kept for the operator |
//! | `FILE.lock` | the lock. Two servers with one file would overwrite each other's intervals |

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::{self, BESIDE, Lock, Stall};
use crate::time::UnixTime;
use crate::wire::{In, Put};

/// The most bytes of one write. Each write is timed on its own, so the longest one that is reported
/// does not grow with the state.
const PIECE: usize = 64 << 10;
/// The bytes of the CRC-32 at the end of a file, little-endian.
const CHECKSUM: usize = 4;

/// The first bytes of a file. The number is the version of the format.
pub const MAGIC: &[u8; 16] = b"statsd-state 1\0\n";

/// What stands before the records: the interval to which they belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHead {
    /// Whether the file holds all of an open interval. Otherwise it holds only gauges.
    pub whole: bool,
    /// When the interval began, and when it is to end.
    pub start: UnixTime,
    pub end: UnixTime,
    /// The time between two flushes. The idle times of series are saved as numbers of intervals.
    pub interval: Duration,
    /// The key of the hashes of set members.
    pub members: [u64; 2],
}

impl StateHead {
    /// Appends the head to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        out.put_u8(u8::from(self.whole));
        out.put_u64(self.start.as_millis());
        out.put_u64(self.end.as_millis());
        out.put_u64(u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX));
        self.members.iter().for_each(|half| out.put_u64(*half));
    }

    /// Reads a head. Returns `None` if the input does not begin with [`MAGIC`], is too short, or
    /// has a time that no clock shows.
    pub fn read(input: &mut In<'_>) -> Option<Self> {
        (input.take(MAGIC.len())? == MAGIC).then_some(())?;
        Some(Self {
            whole: input.u8()? == 1,
            start: UnixTime::from_millis(millis(input)?),
            end: UnixTime::from_millis(millis(input)?),
            interval: Duration::from_millis(millis(input)?.max(1)),
            members: [input.u64()?, input.u64()?],
        })
    }
}

/// Reads a time, at most the end of the year 9999, so that adding to it never overflows.
fn millis(input: &mut In<'_>) -> Option<u64> {
    const LATEST: u64 = 253_402_300_799_999;
    input.u64().filter(|millis| *millis <= LATEST)
}

/// The path of a state file, locked: no other server uses it, and its folder is safe from other
/// users.
#[derive(Debug)]
pub struct StateFile {
    /// The path without symbolic links. So the file that is used is always the one checked and
    /// locked, even if a link changes later.
    path: PathBuf,
    lock: Lock,
}

impl StateFile {
    /// Makes the folder of the file, locks the file, and checks that a state can be saved there.
    /// Fails if it cannot, with [`io::ErrorKind::ResourceBusy`] if another server uses it.
    pub fn open(path: &Path) -> io::Result<Self> {
        files::make_folder(files::folder_of(path))?;
        let path = files::real(path)?;
        files::require_safe_folder(files::folder_of(&path))?;
        files::require_regular_or_nothing(&path)?;
        let lock = Lock::of_file(&path)?;
        require_no_other(&path)?;
        // Rights alone do not show a read-only or full file system, and a start must report it.
        let probe = beside(&path, "new");
        files::create(&probe)?;
        fs::remove_file(probe)?;
        Ok(Self { path, lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the lock still excludes other servers. It excludes none once its file or the folder
    /// was removed.
    pub fn is_locked(&self) -> bool {
        self.lock.is_in_place().unwrap_or(false)
    }

    /// Whether `path` names this file.
    pub fn is_at(&self, path: &Path) -> bool {
        files::real(path).is_ok_and(|real| real == self.path)
    }
}

/// A `FILE.new` that is being written. [`finish`](Self::finish) makes it `FILE`. If it is dropped
/// before, `FILE` stays as it was, and the next save overwrites `FILE.new`.
#[derive(Debug)]
pub struct StateWriter {
    path: PathBuf,
    file: File,
    checksum: crc32fast::Hasher,
    stall: Stall,
}

impl StateWriter {
    /// Creates `FILE.new` and writes the head to it.
    pub fn start(path: &Path, head: &StateHead) -> io::Result<Self> {
        let mut stall = Stall::default();
        let file = stall.time(|| files::create(&beside(path, "new")))?;
        let checksum = crc32fast::Hasher::new();
        let mut writing = Self { path: path.to_owned(), file, checksum, stall };
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        writing.put(&mut bytes)?;
        Ok(writing)
    }

    /// Writes `bytes`, and empties it.
    pub fn put(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.checksum.update(bytes);
        for piece in bytes.chunks(PIECE) {
            self.stall.time(|| self.file.write_all(piece))?;
        }
        bytes.clear();
        Ok(())
    }

    /// Writes the checksum, and renames `FILE` to `FILE.old` and `FILE.new` to `FILE`.
    ///
    /// The two waits of [`Durability::Stored`] are not measured. Must be called once.
    pub fn finish(&mut self, durability: Durability) -> io::Result<()> {
        let checksum = self.checksum.clone().finalize();
        self.stall.time(|| self.file.write_all(&checksum.to_le_bytes()))?;
        if durability == Durability::Stored {
            // Before the rename. A file system may store a rename before the data, and a power
            // failure between the two would leave an empty FILE.
            self.file.sync_all()?;
        }
        let path = &self.path;
        let old = beside(&self.path, "old");
        self.stall.time(|| {
            // A device or a FIFO that another process has created there must not be replaced.
            files::require_regular_or_nothing(path)?;
            if path.exists() {
                let _ = fs::remove_file(&old);
                // A hard link, so that FILE exists at every moment. A file system without hard
                // links gets a rename, and a crash before the next rename costs counts, but no
                // gauges. A copy would be another large write.
                fs::hard_link(path, &old).or_else(|_| fs::rename(path, &old))?;
            }
            fs::rename(beside(path, "new"), path)
        })?;
        if durability == Durability::Stored {
            // The rename is a change of the folder, which is stored separately.
            File::open(files::folder_of(path))?.sync_all()?;
        }
        Ok(())
    }

    /// Returns the longest call to the disk since this was last called.
    pub fn take_stall(&mut self) -> Duration {
        self.stall.take()
    }
}

/// How safe a state file must be when [`StateWriter::finish`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The kernel has the file. A power failure may lose it, and a start then reads `FILE.old`.
    Buffered,
    /// The disk has stored the file and its name. This waits for the disk twice.
    Stored,
}

/// The state that a start has found.
#[derive(Debug)]
pub struct SavedState {
    pub head: StateHead,
    /// Only its gauges may be restored.
    pub gauges_only: bool,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl SavedState {
    /// Returns the records after the head.
    pub fn records(&self) -> In<'_> {
        let mut input = In::new(&self.bytes);
        let _ = StateHead::read(&mut input); // to skip it: `load` has read it into `head`
        input
    }

    /// Renames the file after its open interval was restored. This server will send the interval,
    /// so a later start must not restore it again.
    pub fn mark_restored(&self) -> io::Result<()> {
        if self.gauges_only { Ok(()) } else { fs::rename(&self.path, beside(&self.path, "old")) }
    }
}

/// Reads the state. If the file is missing or damaged, reads `FILE.old`. A damaged file is set
/// aside and logged. So is one of more than `max_bytes`, since reading it could use up all memory.
pub fn load(path: &Path, max_bytes: u64) -> Option<SavedState> {
    let old = beside(path, "old");
    let mut aside = Some(beside(path, "damaged"));
    read(path, max_bytes, false, &mut aside).or_else(|| read(&old, max_bytes, true, &mut aside))
}

/// Reads one state file. Returns `None` if it is missing, unreadable or damaged. A damaged file is
/// renamed to `aside`. Of two such files this is the first, which is newer.
fn read(
    path: &Path,
    max_bytes: u64,
    is_old: bool,
    aside: &mut Option<PathBuf>,
) -> Option<SavedState> {
    let found = files::open_ours(path).map_err(StateError::Io);
    let found = found.and_then(|file| read_whole(&file, max_bytes));
    match found.and_then(|bytes| Ok((checked(&bytes)?, bytes))) {
        Ok((head, mut bytes)) => {
            let gauges_only = is_old || !head.whole;
            bytes.truncate(bytes.len() - CHECKSUM);
            Some(SavedState { head, gauges_only, path: path.to_owned(), bytes })
        }
        Err(StateError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(failure @ StateError::Io(_)) => {
            log::error!(
                state = "unread",
                state_file:% = path.display(),
                error:% = failure,
                hint = failure.hint();
                "a state file cannot be read and is not used"
            );
            None
        }
        Err(flaw) => {
            let taken = || io::Error::other("the newer file has its name");
            let moved = aside
                .take()
                .ok_or_else(taken)
                .and_then(|aside| fs::rename(path, &aside).map(|()| aside));
            let sentence = flaw.sentence();
            log::error!(
                state = flaw.state(),
                reason:% = flaw,
                state_file:% = path.display(),
                set_aside = moved.as_ref().ok().map(|aside| aside.display().to_string()),
                not_set_aside = moved.as_ref().err().map(ToString::to_string),
                hint = flaw.hint();
                "{sentence}"
            );
            None
        }
    }
}

/// Whether there is a readable file that does not begin as a state file of this version. A start
/// would set it aside.
pub fn is_foreign(path: &Path) -> bool {
    files::open_ours(path).and_then(|file| begins_as_state(&file)).is_ok_and(|begins| !begins)
}

fn begins_as_state(file: &File) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    let got = file.read_at(&mut start, 0)?;
    Ok(got == start.len() && start == *MAGIC)
}

/// Reads a whole file. Of a file that is no state file only the first bytes are read, since it may
/// be endless.
fn read_whole(file: &File, max_bytes: u64) -> Result<Vec<u8>, StateError> {
    if !begins_as_state(file).map_err(StateError::Io)? {
        return Err(StateError::Foreign);
    }
    if file.metadata().map_err(StateError::Io)?.len() > max_bytes {
        return Err(StateError::TooLarge);
    }
    files::contents(file, max_bytes).map_err(StateError::Io)
}

/// Why a state file is not used.
#[derive(Debug)]
pub enum StateError {
    /// The file could not be read.
    Io(io::Error),
    /// The file does not begin as a state file of this version.
    Foreign,
    /// The file has more bytes than a state can have.
    TooLarge,
    /// The checksum is not that of the other bytes.
    Checksum,
}

impl StateError {
    /// Returns the word for the log. A whole file of another version or of larger limits is not
    /// damaged.
    fn state(&self) -> &'static str {
        if matches!(self, Self::Checksum) { "damaged" } else { "unusable" }
    }

    /// Returns the sentence for the log.
    fn sentence(&self) -> &'static str {
        match self {
            Self::Checksum => "a state file is damaged and is not used",
            _ => "a state file cannot be used",
        }
    }

    /// Returns what the server does, and what the operator can do.
    fn hint(&self) -> &'static str {
        match self {
            Self::Io(_) => {
                "the server starts without it; check the permissions of [statsd] state_file"
            }
            Self::Foreign => {
                "the server starts without it; if it is of another program or version, name another file as [statsd] state_file"
            }
            Self::TooLarge => {
                "the server starts without it; raise [limits] to those of the run before, and rename the file to its old name"
            }
            Self::Checksum => "the server starts without it; check the disk of [statsd] state_file",
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(error) => return error.fmt(f),
            Self::Foreign => "not a state file of this version",
            Self::TooLarge => "larger than any state that the limits of the configuration allow",
            Self::Checksum => "its checksum is wrong",
        })
    }
}

impl Error for StateError {}

/// Returns the head of a state file's bytes if the checksum is right.
pub fn checked(bytes: &[u8]) -> Result<StateHead, StateError> {
    let (body, checksum) = bytes.split_at(bytes.len().saturating_sub(CHECKSUM));
    let head = StateHead::read(&mut In::new(body)).ok_or(StateError::Foreign)?;
    if crc32fast::hash(body).to_le_bytes() == checksum {
        Ok(head)
    } else {
        Err(StateError::Checksum)
    }
}

/// Fails if `FILE.new`, `FILE.old` or `FILE.damaged` is the locked file of another server, which
/// this one would replace.
fn require_no_other(path: &Path) -> io::Result<()> {
    for suffix in BESIDE {
        files::require_free(&beside(path, suffix))?;
    }
    Ok(())
}

/// `FILE.suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;

    fn head(whole: bool) -> StateHead {
        let start = UnixTime::from_secs(10);
        let end = UnixTime::from_secs(20);
        StateHead { whole, start, end, interval: Duration::from_secs(10), members: [1, 2] }
    }

    fn write(path: &Path, whole: bool, text: &str) {
        let mut writing = StateWriter::start(path, &head(whole)).unwrap();
        writing.put(&mut text.into()).unwrap();
        let durability = if whole { Durability::Stored } else { Durability::Buffered };
        writing.finish(durability).unwrap();
    }

    fn text(found: &SavedState) -> String {
        let mut records = found.records();
        let bytes = std::iter::from_fn(|| records.u8()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_file_of_another_program_is_recognised_by_its_first_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(!is_foreign(&path));
        for (bytes, foreign) in
            [(&b""[..], true), (b"garbage", true), (&MAGIC[..15], true), (MAGIC, false)]
        {
            fs::write(&path, bytes).unwrap();
            assert_eq!(is_foreign(&path), foreign, "{bytes:?}");
        }
    }

    #[test]
    fn the_file_before_is_kept_and_used_for_gauges_when_the_newer_one_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(load(&path, 1 << 20).is_none());
        write(&path, true, "one");
        write(&path, true, "two");
        let found = load(&path, 1 << 20).unwrap();
        assert_eq!(
            (text(&found).as_str(), found.head, found.gauges_only),
            ("two", head(true), false)
        );
        let whole = fs::read(&path).unwrap();
        for (damaged, cut) in
            [(0, 0), (16, 0), (60, 0), (whole.len() - 1, 0), (0, 30), (0, whole.len())]
        {
            let mut bytes = whole.clone();
            bytes[damaged] ^= u8::from(cut == 0);
            bytes.truncate(whole.len() - cut);
            fs::write(&path, &bytes).unwrap();
            let found = load(&path, 1 << 20).unwrap();
            assert_eq!((text(&found).as_str(), found.gauges_only), ("one", true));
            assert_eq!(fs::read(beside(&path, "damaged")).unwrap(), bytes);
            assert!(!path.exists());
        }
    }

    #[test]
    fn an_interval_is_taken_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        write(&path, true, "counts");
        load(&path, 1 << 20).unwrap().mark_restored().unwrap();
        assert!(load(&path, 1 << 20).unwrap().gauges_only, "after a crash");
        write(&path, false, "gauges");
        let found = load(&path, 1 << 20).unwrap();
        assert_eq!((text(&found).as_str(), found.gauges_only), ("gauges", true));
        found.mark_restored().unwrap();
        assert!(path.exists(), "gauges may be taken again");
    }

    #[test]
    fn nothing_is_readable_for_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let place = StateFile::open(&path).unwrap();
        assert!(!beside(&path, "new").exists());
        write(&path, true, "");
        for file in [&path, &beside(&path, "lock")] {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(place);
        assert!(!beside(&path, "lock").exists());
        let inner = folder.path().join("new/folder");
        StateFile::open(&inner.join("state")).unwrap();
        assert_eq!(inner.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(StateFile::open(&path.join("state")).is_err());
    }

    #[test]
    fn no_planted_link_is_followed_and_nothing_but_a_file_is_replaced() {
        use std::os::unix::fs::{FileTypeExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [path, precious] = ["state", "precious"].map(|name| folder.path().join(name));
        fs::write(&precious, "precious").unwrap();
        write(&path, true, "one");
        for suffix in ["new", "old"] {
            let _ = fs::remove_file(beside(&path, suffix));
            symlink(&precious, beside(&path, suffix)).unwrap();
            write(&path, true, suffix);
            assert_eq!(text(&load(&path, 1 << 20).unwrap()), suffix);
        }
        fs::remove_file(&path).unwrap();
        symlink(&precious, &path).unwrap();
        assert!(StateFile::open(&path).is_err());
        assert!(load(&path, 1 << 20).unwrap().gauges_only, "of FILE.old");
        assert!(
            StateWriter::start(&path, &head(true)).unwrap().finish(Durability::Buffered).is_err()
        );
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(load(&path, 1 << 20).is_some(), "FILE.old");
        assert!(
            StateWriter::start(&path, &head(true)).unwrap().finish(Durability::Buffered).is_err()
        );
        assert!(path.symlink_metadata().unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_file_without_an_end_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        write(&path, true, "one");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(1 << 40).unwrap(); // a hole
        assert!(load(&path, 1 << 20).is_none());
        assert!(!path.exists() && beside(&path, "damaged").exists());
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(load(&path, u64::MAX - 1).is_none(), "only its first bytes are read");
    }

    #[test]
    fn a_second_server_is_kept_away_by_whichever_path() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link] = ["real", "link"].map(|name| folder.path().join(name));
        fs::create_dir(&real).unwrap();
        fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let first = StateFile::open(&real.join("state")).unwrap();
        assert!(first.is_at(&link.join("state")) && !first.is_at(&link.join("other")));
        let second = StateFile::open(&link.join("state")).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
        StateFile::open(&link.join("other")).unwrap();
        for beside in BESIDE {
            let second = StateFile::open(&real.join(format!("state.{beside}"))).unwrap_err();
            assert_eq!(second.kind(), io::ErrorKind::ResourceBusy, "what the first keeps beside");
        }
        drop(first);
        let old = StateFile::open(&link.join("state.old")).unwrap();
        let second = StateFile::open(&link.join("state")).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy, "it keeps its own there");
        assert!(old.is_locked());
        fs::remove_file(real.join("state.old.lock")).unwrap();
        assert!(!old.is_locked());
    }

    #[test]
    fn the_head_is_this_to_the_byte() {
        let head = StateHead {
            whole: true,
            start: UnixTime::from_millis(1),
            end: UnixTime::from_millis(0x0203),
            interval: Duration::from_secs(10),
            members: [4, 5],
        };
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        let expected = b"statsd-state 1\0\n\x01\
            \x01\0\0\0\0\0\0\0\x03\x02\0\0\0\0\0\0\x10\x27\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0";
        assert_eq!(bytes, expected);
        assert_eq!(StateHead::read(&mut In::new(&bytes)), Some(head));
        for cut in 0..bytes.len() {
            assert_eq!(StateHead::read(&mut In::new(&bytes[..cut])), None);
        }
        for time in [17, 25, 33] {
            let mut bytes = bytes.clone();
            bytes[time..time + 8].fill(0xff);
            assert_eq!(StateHead::read(&mut In::new(&bytes)), None, "no clock shows this time");
        }
    }
}
