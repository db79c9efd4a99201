//! What a spool asks of the disk. [`Folder`](super::Folder) is the real one; tests have one that fails when told to.

use std::fmt;
use std::io;
use std::time::Duration;

/// Numbered segments, and one short note beside them. What is written is there for the next run also if this one is
/// killed; after [`sync`](Self::sync) also if the power is cut.
pub trait Disk: fmt::Debug {
    /// The segments there are, ascending, with their sizes in bytes.
    fn segments(&mut self) -> io::Result<Vec<(u64, u64)>>;

    /// Makes the folder and its lock again if they were removed. Returns whether they were;
    /// segments may then be missing, too.
    ///
    /// Fails with [`io::ErrorKind::ResourceBusy`] if they belong to another server by now.
    fn restore(&mut self) -> io::Result<bool>;

    /// Whether a segment exists.
    fn has(&mut self, segment: u64) -> io::Result<bool>;

    /// Writes all of `bytes` at a place of a segment. A failure may leave a part. Only a write at 0
    /// creates a segment. Any other write to a missing one fails with [`io::ErrorKind::NotFound`].
    fn write(&mut self, segment: u64, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads up to the end of the buffer or of the segment; returns how many bytes.
    fn read(&mut self, segment: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes a segment this short.
    fn cut(&mut self, segment: u64, length: u64) -> io::Result<()>;

    fn remove(&mut self, segment: u64) -> io::Result<()>;

    /// Keeps a segment that is not a spool's out of the way, for whoever wonders.
    fn set_aside(&mut self, segment: u64) -> io::Result<()>;

    /// Replaces the note.
    fn write_note(&mut self, note: &[u8]) -> io::Result<()>;

    /// The note, empty if there is none.
    fn read_note(&mut self) -> io::Result<Vec<u8>>;

    fn sync(&mut self) -> io::Result<()>;

    /// The longest of these calls, but for [`sync`](Self::sync), since this was last asked.
    fn take_stall(&mut self) -> Duration;

    /// Where it is, for messages.
    fn location(&self) -> String;
}
