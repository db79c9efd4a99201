//! A spool's folder: one file for each segment, a note of how far it is read, and a lock.
//!
//! Nothing here is readable for others. Writes are of at most 64 KiB and left to the page cache; only
//! [`sync`](Disk::sync) waits for the disk.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Disk;
use crate::disk::Stall;
use crate::files::{self, Lock};

/// What one write takes at the most.
const PIECE: usize = 64 << 10;

const SUFFIX: &str = ".chunks";
const NOTE: &str = "released";

#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as we live.
    _lock: Lock,
    note: File,
    /// The file last used.
    current: Option<(u64, File)>,
    /// Segments written since the last sync.
    unsynced: BTreeSet<u64>,
    stall: Stall,
}

impl Folder {
    /// Makes the folder if it is not there, and sees that it is safe from other users and that no other server uses it.
    pub fn open(path: &Path) -> io::Result<Self> {
        make(files::folder_of(path))?;
        files::require_safe_folder(files::folder_of(path))?;
        make(path)?;
        files::require_our_folder(path)?;
        let lock = Lock::of_folder(path)?;
        let note = files::open_or_create(&path.join(NOTE))?;
        let path = path.to_owned();
        Ok(Self {
            path,
            _lock: lock,
            note,
            current: None,
            unsynced: BTreeSet::new(),
            stall: Stall::default(),
        })
    }

    fn path_of(&self, segment: u64) -> PathBuf {
        self.path.join(format!("{segment:016x}{SUFFIX}"))
    }

    /// The file of a segment, and the clock for what is done with it.
    fn file_of(&mut self, segment: u64) -> io::Result<(&File, &mut Stall)> {
        if self.current.as_ref().is_none_or(|(number, _)| *number != segment) {
            let path = self.path_of(segment);
            self.current = Some((segment, self.stall.time(|| files::open_or_create(&path))?));
        }
        Ok((&self.current.as_ref().expect("just set").1, &mut self.stall))
    }

    fn forget(&mut self, segment: u64) {
        self.current.take_if(|(number, _)| *number == segment);
        self.unsynced.remove(&segment);
    }
}

impl Disk for Folder {
    fn segments(&mut self) -> io::Result<Vec<(u64, u64)>> {
        let mut there = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            if let Some(number) = number {
                there.push((number, entry.metadata()?.len()));
            }
        }
        there.sort_unstable();
        Ok(there)
    }

    fn write(&mut self, segment: u64, mut at: u64, bytes: &[u8]) -> io::Result<()> {
        self.unsynced.insert(segment);
        let (file, stall) = self.file_of(segment)?;
        for piece in bytes.chunks(PIECE) {
            stall.time(|| file.write_all_at(piece, at))?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn read(&mut self, segment: u64, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (file, stall) = self.file_of(segment)?;
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
        let (file, stall) = self.file_of(segment)?;
        stall.time(|| file.set_len(length))
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.forget(segment);
        let path = self.path_of(segment);
        self.stall.time(|| fs::remove_file(path))
    }

    fn set_aside(&mut self, segment: u64) -> io::Result<()> {
        self.forget(segment);
        let path = self.path_of(segment);
        fs::rename(&path, path.with_extension("foreign"))
    }

    fn write_note(&mut self, note: &[u8]) -> io::Result<()> {
        self.stall.time(|| self.note.write_all_at(note, 0))
    }

    fn read_note(&mut self) -> io::Result<Vec<u8>> {
        let mut note = vec![0; 64];
        let got = self.note.read_at(&mut note, 0)?;
        note.truncate(got);
        Ok(note)
    }

    fn sync(&mut self) -> io::Result<()> {
        for segment in std::mem::take(&mut self.unsynced) {
            self.file_of(segment)?.0.sync_data()?;
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

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A folder for a spool, and a file that no spool may touch.
    fn rig() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let [dir, precious] = ["spool/carbon", "precious"].map(|name| folder.path().join(name));
        fs::write(&precious, "precious").unwrap();
        drop(Folder::open(&dir).unwrap());
        (folder, dir, precious)
    }

    #[test]
    fn no_planted_link_is_followed() {
        let (_folder, dir, precious) = rig();
        let segment = format!("{:016x}{SUFFIX}", 1);
        for name in [NOTE, "lock", &segment] {
            let _ = fs::remove_file(dir.join(name));
            symlink(&precious, dir.join(name)).unwrap();
            let opened = Folder::open(&dir).and_then(|mut folder| folder.write(1, 0, b"chunk"));
            let why = opened.unwrap_err().to_string();
            assert!(why.contains(&format!("{name} is a symbolic link")), "{why}");
            fs::remove_file(dir.join(name)).unwrap();
        }
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
    }

    #[test]
    fn a_segment_that_is_a_fifo_keeps_nobody_waiting() {
        let (_folder, dir, _) = rig();
        let path = dir.join(format!("{:016x}{SUFFIX}", 7));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut folder = Folder::open(&dir).unwrap();
        assert_eq!(folder.segments().unwrap(), [(7, 0)]);
        let why = folder.read(7, 0, &mut [0; 8]).unwrap_err().to_string();
        assert!(why.contains("0007.chunks is a FIFO"), "{why}");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let (_folder, dir, _) = rig();
        for unsafe_one in [&dir, dir.parent().unwrap()] {
            fs::set_permissions(unsafe_one, fs::Permissions::from_mode(0o777)).unwrap();
            let why = Folder::open(&dir).unwrap_err().to_string();
            assert!(why.contains("can be written to by other users"), "{why}");
            fs::set_permissions(unsafe_one, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let first = Folder::open(&dir).unwrap();
        assert_eq!(Folder::open(&dir).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        Folder::open(&dir).unwrap();
    }
}
