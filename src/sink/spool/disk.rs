//! [`Disk`]: the disk as a spool uses it. [`DiskFailure`]: the kinds of its errors. Tests have a
//! disk that fails on request.
//!
//! [`Folder`] is the real disk: the folder of a spool, with one file for each segment, a note of
//! how far it is released, and a lock.
//!
//! ```text
//!   SPOOL_DIR/carbon/0000000000000001.chunks   a segment; its number in hex
//!                    released                  the note
//! ```
//! Other users cannot read these files. Writes are of at most 64 KiB and go to the page cache. Only
//! [`sync`](Disk::sync) waits for the disk.
//!
//! Other processes may remove or replace any of these files while the server runs. A descriptor
//! does not show that, and data written to it would be lost. So each call first compares the
//! descriptors with the files at their paths. If the lock was replaced, no file is changed, because
//! the folder may belong to another server by now.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use crate::few::sort_many;
use crate::files::{self, Lock, Stall};

/// Numbered segments, and one short note beside them. Written data survives a kill of this process,
/// and after [`sync`](Self::sync) also a power cut.
pub trait Disk: fmt::Debug {
    /// Returns all segments, ascending by their numbers.
    fn segments(&mut self) -> io::Result<Vec<SegmentFile>>;

    /// Creates the folder and its lock again if another process has removed them. Returns whether
    /// it had to; segments may then be missing, too.
    ///
    /// Fails with [`io::ErrorKind::ResourceBusy`] if another server has locked the folder
    /// meanwhile.
    fn restore(&mut self) -> io::Result<bool>;

    /// Whether a segment exists.
    fn has(&mut self, segment: u64) -> io::Result<bool>;

    /// Writes all of `bytes` at a place of a segment. A failure may leave a part of them. Only a
    /// write at 0 creates a segment. Any other write to a missing segment fails with
    /// [`io::ErrorKind::NotFound`]; otherwise it would make a file that begins with a hole.
    fn write(&mut self, segment: u64, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads up to the end of the buffer or of the segment. Returns the number of bytes read.
    fn read(&mut self, segment: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Truncates a segment to this length.
    fn cut(&mut self, segment: u64, length: u64) -> io::Result<()>;

    fn remove(&mut self, segment: u64) -> io::Result<()>;

    /// Renames a file that is not a segment of this spool, so that the operator can examine it. It
    /// is never deleted.
    fn set_aside(&mut self, segment: u64) -> io::Result<()>;

    /// Replaces the note.
    fn write_note(&mut self, note: &[u8]) -> io::Result<()>;

    /// Returns the note. Returns no bytes if there is none.
    fn read_note(&mut self) -> io::Result<Vec<u8>>;

    /// Makes all written data survive a power cut. This may block for seconds.
    fn sync(&mut self) -> io::Result<()>;

    /// Returns the longest time that one call to the disk has taken since the last call of this
    /// function. Calls of [`sync`](Self::sync) do not count, because they are meant to wait.
    fn take_stall(&mut self) -> Duration;

    /// Returns the path, for messages.
    fn location(&self) -> String;
}

/// A segment as the disk lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    pub number: u64,
    pub bytes: u64,
}

/// What an error of a disk means for the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskFailure {
    /// Another process has removed or replaced the file, or a folder above it.
    Missing,
    /// The disk has lost data (EIO).
    Damage,
    /// The segment has reached the limit for files of this process (`ulimit -f`).
    FileTooLarge,
    /// The disk, or the user's share of it, is full.
    Full,
    /// Any other error. It may pass, such as a lack of descriptors or memory, or a share that is
    /// not mounted.
    Other,
}

impl DiskFailure {
    pub(super) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        if error.raw_os_error() == Some(libc::EIO) {
            return Self::Damage;
        }
        match error.kind() {
            Kind::NotFound
            | Kind::NotADirectory
            | Kind::AlreadyExists
            | Kind::IsADirectory
            | Kind::ResourceBusy => Self::Missing,
            // A folder that `files` refuses. The kernel's own EINVAL is another error.
            Kind::InvalidInput if error.raw_os_error().is_none() => Self::Missing,
            Kind::FileTooLarge => Self::FileTooLarge,
            Kind::StorageFull | Kind::QuotaExceeded => Self::Full,
            _ => Self::Other,
        }
    }

    /// Whether `result` is an error of this kind.
    pub(super) fn is_of<T>(self, result: &io::Result<T>) -> bool {
        result.as_ref().is_err_and(|error| Self::of(error) == self)
    }
}

/// The most bytes of one write. A write of a whole chunk could wait for the disk much longer.
const PIECE: usize = 64 << 10;

const SUFFIX: &str = ".chunks";
const NOTE: &str = "released";

/// The folder of one spool.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as the `Folder` lives, so that no second server uses the folder.
    lock: Lock,
    note: File,
    /// The segment that was used last, and its file. It stays open, because most calls use the same
    /// segment again.
    current: Option<(u64, File)>,
    /// Segments written since the last sync.
    unsynced: BTreeSet<u64>,
    /// Measures how long the disk makes the loop wait.
    stall: Stall,
}

impl Folder {
    /// Opens the folder, or creates it. Fails if other users could write to it, or if another
    /// server uses it.
    pub fn open(path: &Path) -> io::Result<Self> {
        files::make_folder(files::folder_of(path))?;
        files::require_safe_folder(files::folder_of(path))?;
        files::make_folder(path)?;
        files::require_our_folder(path)?;
        let lock = Lock::of_folder(path)?;
        let note = files::open_or_create(&path.join(NOTE))?;
        let path = path.to_owned();
        Ok(Self {
            path,
            lock,
            note,
            current: None,
            unsynced: BTreeSet::new(),
            stall: Stall::default(),
        })
    }

    fn path_of(&self, segment: u64) -> PathBuf {
        self.path.join(format!("{segment:016x}{SUFFIX}"))
    }

    /// Returns the file of a segment, and the stopwatch for calls on it. A missing file is created
    /// if `makes` is true, else it is an error.
    fn file_of(&mut self, segment: u64, makes: bool) -> io::Result<(&File, &mut Stall)> {
        let path = self.path_of(segment);
        let is_at_hand = self.current.as_ref().is_some_and(|(number, file)| {
            *number == segment && self.stall.time(|| files::is_at(file, &path)).unwrap_or(false)
        });
        if !is_at_hand {
            let open = || {
                if makes { files::open_or_create(&path) } else { files::open_existing(&path) }
            };
            self.current = Some((segment, self.stall.time(open)?));
        }
        Ok((&self.current.as_ref().expect("just set").1, &mut self.stall))
    }

    /// Fails if the folder is no longer the one that was locked.
    fn guard(&mut self) -> io::Result<()> {
        if self.stall.time(|| self.lock.is_in_place())? {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "its lock was removed"))
    }

    /// Closes the file of a segment that is about to be removed or renamed.
    fn forget(&mut self, segment: u64) {
        self.current.take_if(|(number, _)| *number == segment);
        self.unsynced.remove(&segment);
    }
}

impl Disk for Folder {
    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let mut there = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            if let Some(number) = number {
                there.push(SegmentFile { number, bytes: entry.metadata()?.len() });
            }
        }
        sort_many(&mut there, Ord::cmp);
        Ok(there)
    }

    fn restore(&mut self) -> io::Result<bool> {
        if self.stall.time(|| self.lock.is_in_place())? {
            return Ok(false);
        }
        let Self { lock, note, .. } = self.stall.time(|| Self::open(&self.path))?;
        self.lock = lock;
        self.note = note;
        self.current = None;
        Ok(true)
    }

    fn has(&mut self, segment: u64) -> io::Result<bool> {
        let path = self.path_of(segment);
        let there = self.stall.time(|| fs::symlink_metadata(path));
        if DiskFailure::Missing.is_of(&there) {
            return Ok(false);
        }
        Ok(there?.is_file())
    }

    fn write(&mut self, segment: u64, mut at: u64, bytes: &[u8]) -> io::Result<()> {
        self.guard()?;
        let (file, stall) = self.file_of(segment, at == 0)?;
        for piece in bytes.chunks(PIECE) {
            stall.time(|| file.write_all_at(piece, at))?;
            at += piece.len() as u64;
        }
        self.unsynced.insert(segment);
        Ok(())
    }

    fn read(&mut self, segment: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.guard()?;
        let (file, stall) = self.file_of(segment, false)?;
        let mut got = 0;
        while got < buffer.len() {
            match stall.time(|| file.read_at(&mut buffer[got..], at + got as u64)) {
                Ok(0) => break,
                Ok(bytes) => got += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(got)
    }

    fn cut(&mut self, segment: u64, length: u64) -> io::Result<()> {
        self.guard()?;
        let (file, stall) = self.file_of(segment, false)?;
        stall.time(|| file.set_len(length))
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.forget(segment);
        self.guard()?;
        let path = self.path_of(segment);
        self.stall.time(|| fs::remove_file(path))
    }

    fn set_aside(&mut self, segment: u64) -> io::Result<()> {
        self.forget(segment);
        self.guard()?;
        let path = self.path_of(segment);
        fs::rename(&path, path.with_extension("foreign"))
    }

    fn write_note(&mut self, note: &[u8]) -> io::Result<()> {
        self.guard()?;
        let path = self.path.join(NOTE);
        if !self.stall.time(|| files::is_at(&self.note, &path))? {
            self.note = self.stall.time(|| files::open_or_create(&path))?;
        }
        self.stall.time(|| self.note.write_all_at(note, 0))
    }

    fn read_note(&mut self) -> io::Result<Vec<u8>> {
        let mut note = vec![0; 64];
        let got = self.note.read_at(&mut note, 0)?;
        note.truncate(got);
        Ok(note)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.guard()?;
        for segment in std::mem::take(&mut self.unsynced) {
            self.file_of(segment, false)?.0.sync_data()?;
        }
        self.note.sync_data()?;
        File::open(&self.path)?.sync_all()
    }

    fn take_stall(&mut self) -> Duration {
        self.stall.take()
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests;
