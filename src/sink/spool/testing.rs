//! A disk in memory, which fails on request and outlives the spool that uses it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::Spool;
use super::disk::{Disk, SegmentFile};

/// The content of the disk, shared by the spool and its test.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk(Rc<RefCell<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    segments: BTreeMap<u64, Vec<u8>>,
    set_aside: Vec<u64>,
    note: Vec<u8>,
    /// Bytes that still fit.
    room: Option<usize>,
    /// The most bytes that one segment may have.
    longest: Option<usize>,
    /// The number of the error that reads end with.
    unreadable: Option<i32>,
    /// The number of the error that writes end with.
    unwritable: Option<i32>,
    syncs: usize,
    /// The whole folder was removed.
    was_removed: bool,
}

impl MemoryDisk {
    /// Limits the free bytes from now on. The write that exceeds them is torn there.
    pub(crate) fn limit_room(&self, room: Option<usize>) {
        self.0.borrow_mut().room = room;
    }

    /// Limits the length of segments from now on, as `ulimit -f` does.
    pub(crate) fn limit_segments(&self, longest: Option<usize>) {
        self.0.borrow_mut().longest = longest;
    }

    /// From now on reads fail with this error, or work.
    pub(crate) fn fail_reads(&self, error: Option<i32>) {
        self.0.borrow_mut().unreadable = error;
    }

    /// From now on writes fail with this error, or work.
    pub(crate) fn fail_writes(&self, error: Option<i32>) {
        self.0.borrow_mut().unwritable = error;
    }

    pub(crate) fn change(&self, segment: u64, act: impl FnOnce(&mut Vec<u8>)) {
        act(self.0.borrow_mut().segments.entry(segment).or_default());
    }

    /// Removes a segment, as another process might.
    pub(crate) fn lose(&self, segment: u64) {
        self.0.borrow_mut().segments.remove(&segment);
    }

    /// Removes the whole folder, as another process might.
    pub(crate) fn lose_all(&self) {
        let mut contents = self.0.borrow_mut();
        contents.segments.clear();
        contents.note.clear();
        contents.was_removed = true;
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.0.borrow().segments.keys().copied().collect()
    }

    pub(crate) fn set_aside(&self) -> Vec<u64> {
        self.0.borrow().set_aside.clone()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.borrow().segments.values().map(Vec::len).sum()
    }

    pub(crate) fn syncs(&self) -> usize {
        self.0.borrow().syncs
    }

    /// Returns a copy of the disk, as a crash would leave it now.
    pub(crate) fn snapshot(&self) -> Self {
        let now = self.0.borrow();
        let segments = now.segments.clone();
        let note = now.note.clone();
        Self(Rc::new(RefCell::new(Contents { segments, note, ..Contents::default() })))
    }
}

impl Disk for MemoryDisk {
    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let contents = self.0.borrow();
        let file =
            |(&number, bytes): (&u64, &Vec<u8>)| SegmentFile { number, bytes: bytes.len() as u64 };
        Ok(contents.segments.iter().map(file).collect())
    }

    fn restore(&mut self) -> io::Result<bool> {
        Ok(std::mem::take(&mut self.0.borrow_mut().was_removed))
    }

    fn has(&mut self, segment: u64) -> io::Result<bool> {
        Ok(self.0.borrow().segments.contains_key(&segment))
    }

    fn write(&mut self, segment: u64, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.0.borrow_mut();
        if at > 0 && !contents.segments.contains_key(&segment) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Some(error) = contents.unwritable {
            return Err(io::Error::from_raw_os_error(error));
        }
        let fits = contents.room.unwrap_or(usize::MAX).min(bytes.len());
        if let Some(room) = &mut contents.room {
            *room -= fits;
        }
        let longest = contents.longest.unwrap_or(usize::MAX);
        let file = contents.segments.entry(segment).or_default();
        let at = usize::try_from(at).unwrap();
        assert!(at <= file.len(), "no holes");
        file.truncate(at);
        file.extend_from_slice(&bytes[..fits]);
        if file.len() > longest {
            file.truncate(longest);
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        if fits < bytes.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn read(&mut self, segment: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let contents = self.0.borrow();
        if let Some(error) = contents.unreadable {
            return Err(io::Error::from_raw_os_error(error));
        }
        let file = contents.segments.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        let rest = file.get(usize::try_from(at).unwrap()..).unwrap_or_default();
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }

    fn cut(&mut self, segment: u64, length: u64) -> io::Result<()> {
        let mut contents = self.0.borrow_mut();
        let length = usize::try_from(length).unwrap();
        let file = contents.segments.get_mut(&segment).ok_or(io::ErrorKind::NotFound)?;
        let freed = file.len() - length;
        file.truncate(length);
        if let Some(room) = &mut contents.room {
            *room += freed;
        }
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        let mut contents = self.0.borrow_mut();
        let freed = contents.segments.remove(&segment).ok_or(io::ErrorKind::NotFound)?.len();
        if let Some(room) = &mut contents.room {
            *room += freed;
        }
        Ok(())
    }

    fn set_aside(&mut self, segment: u64) -> io::Result<()> {
        self.remove(segment)?;
        self.0.borrow_mut().set_aside.push(segment);
        Ok(())
    }

    fn write_note(&mut self, note: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().note = note.to_owned();
        Ok(())
    }

    fn read_note(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.borrow().note.clone())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.borrow_mut().syncs += 1;
        Ok(())
    }

    fn take_stall(&mut self) -> Duration {
        Duration::ZERO
    }

    fn location(&self) -> String {
        "memory".into()
    }
}

/// Returns the lines of chunks that are handed out and no longer on the disk, because their
/// segments were dropped meanwhile.
pub(crate) fn lines_in_memory(spool: &Spool) -> u64 {
    spool.handed_out.lines_without_segment(|number| spool.segments.has(number))
}
