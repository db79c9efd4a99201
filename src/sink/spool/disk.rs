//! [`Disk`]: the disk as a spool uses it. [`DiskFailure`]: the kinds of its errors.
//!
//! [`Folder`](super::Folder) is the real disk. Tests have one that fails on request.

use std::fmt;
use std::io;
use std::time::Duration;

/// Numbered segments, and one short note beside them. Written data survives a kill of this process,
/// and after [`sync`](Self::sync) also a power cut.
pub trait Disk: fmt::Debug {
    /// Returns all segments, ascending, with their sizes in bytes.
    fn segments(&mut self) -> io::Result<Vec<(u64, u64)>>;

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
            | Kind::ResourceBusy
            | Kind::InvalidInput => Self::Missing,
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
