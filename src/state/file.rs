//! The state file on disk: written aside and renamed, read whole, set aside when it is damaged.
//!
//! `FILE.new` is one being written, `FILE.old` the one before. From `FILE.old` only gauges are ever taken: what else it
//! holds was taken over already, and must not be sent twice.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Head;
use super::wire::In;
use crate::disk::Stall;

/// What one write takes at the most.
const PIECE: usize = 64 << 10;
const CHECKSUM: usize = 4;

/// A file on its way: nothing of it counts until it is [`finish`](Self::finish)ed.
#[derive(Debug)]
pub struct Writing {
    path: PathBuf,
    file: File,
    checksum: crc32fast::Hasher,
    stall: Stall,
}

impl Writing {
    pub fn start(path: &Path, head: &Head) -> io::Result<Self> {
        let mut stall = Stall::default();
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(beside(path, "new"))
        };
        let file = stall.time(open)?;
        let checksum = crc32fast::Hasher::new();
        let mut writing = Self { path: path.to_owned(), file, checksum, stall };
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        writing.put(&mut bytes)?;
        Ok(writing)
    }

    /// Writes what is there, and empties it.
    pub fn put(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.checksum.update(bytes);
        for piece in bytes.chunks(PIECE) {
            self.stall.time(|| self.file.write_all(piece))?;
        }
        bytes.clear();
        Ok(())
    }

    /// Puts the file in its place; the one that was there becomes `FILE.old`. `durable`: not before the disk has it.
    pub fn finish(mut self, durable: bool) -> io::Result<Duration> {
        let checksum = self.checksum.clone().finalize();
        self.file.write_all(&checksum.to_le_bytes())?;
        if durable {
            self.file.sync_all()?;
        }
        let (path, old) = (&self.path, beside(&self.path, "old"));
        self.stall.time(|| {
            if path.exists() {
                let _ = fs::remove_file(&old);
                fs::hard_link(path, &old).or_else(|_| fs::copy(path, &old).map(|_| ()))?;
            }
            fs::rename(beside(path, "new"), path)
        })?;
        if durable {
            File::open(folder(path))?.sync_all()?;
        }
        Ok(self.stall.take())
    }

    /// The longest call to the disk since this was last asked.
    pub fn take_stall(&mut self) -> Duration {
        self.stall.take()
    }
}

/// What a start finds.
#[derive(Debug)]
pub struct Found {
    pub head: Head,
    /// Only its gauges are to be taken.
    pub gauges_only: bool,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Found {
    /// What is behind the head.
    pub fn records(&self) -> In<'_> {
        let mut input = In::new(&self.bytes);
        let _ = Head::read(&mut input); // it was read before
        input
    }

    /// The open interval is taken over, and will be sent by us: no later start may take it again.
    pub fn taken_over(&self) -> io::Result<()> {
        match self.gauges_only {
            true => Ok(()),
            false => fs::rename(&self.path, beside(&self.path, "old")),
        }
    }
}

/// Reads the state, from the file before where there is none or it is damaged. What is damaged is set aside and logged.
pub fn load(path: &Path) -> Option<Found> {
    let old = beside(path, "old");
    read(path, false).or_else(|| read(&old, true))
}

/// Whether the state can be written there at all, as far as can be told at the start.
pub fn check(path: &Path) -> io::Result<()> {
    let probe = beside(path, "new");
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&probe)?;
    fs::remove_file(probe)
}

fn read(path: &Path, is_old: bool) -> Option<Found> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            log::error!(
                "state_file={path:?} state=unread error=\"{error}\" hint=\"the server starts without it\""
            );
            return None;
        }
    };
    match checked(&bytes) {
        Ok(head) => {
            let gauges_only = is_old || !head.whole;
            let mut bytes = bytes;
            bytes.truncate(bytes.len() - CHECKSUM);
            Some(Found { head, gauges_only, path: path.to_owned(), bytes })
        }
        Err(reason) => {
            let aside = beside(path, "damaged");
            let moved = fs::rename(path, &aside);
            let place =
                moved.map_or_else(|error| error.to_string(), |()| aside.display().to_string());
            log::error!(
                "state_file={path:?} state=damaged reason=\"{reason}\" set_aside={place:?}"
            );
            None
        }
    }
}

/// The head of a file's bytes, if they are whole.
pub fn checked(bytes: &[u8]) -> Result<Head, &'static str> {
    let (body, checksum) =
        bytes.split_at_checked(bytes.len().saturating_sub(CHECKSUM)).ok_or("too short")?;
    let head = Head::read(&mut In::new(body)).ok_or("not a state file of this version")?;
    match crc32fast::hash(body).to_le_bytes() == checksum {
        true => Ok(head),
        false => Err("its checksum is wrong"),
    }
}

/// `FILE.suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;

    fn head(whole: bool) -> Head {
        let (start, end) = (UnixTime::from_secs(10), UnixTime::from_secs(20));
        Head { whole, start, end, interval: Duration::from_secs(10), members: [1, 2] }
    }

    fn write(path: &Path, whole: bool, text: &str) {
        let mut writing = Writing::start(path, &head(whole)).unwrap();
        writing.put(&mut text.into()).unwrap();
        writing.finish(whole).unwrap();
    }

    fn text(found: &Found) -> String {
        let mut records = found.records();
        let rest = records.len();
        String::from_utf8(records.take(rest).unwrap().into()).unwrap()
    }

    #[test]
    fn the_file_before_is_kept_and_used_for_gauges_when_the_newer_one_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(load(&path).is_none());
        write(&path, true, "one");
        write(&path, true, "two");
        let found = load(&path).unwrap();
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
            let found = load(&path).unwrap();
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
        load(&path).unwrap().taken_over().unwrap();
        assert!(load(&path).unwrap().gauges_only, "after a crash");
        write(&path, false, "gauges");
        let found = load(&path).unwrap();
        assert_eq!((text(&found).as_str(), found.gauges_only), ("gauges", true));
        found.taken_over().unwrap();
        assert!(path.exists(), "gauges may be taken again");
    }

    #[test]
    fn nothing_is_readable_for_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        check(&path).unwrap();
        assert!(!beside(&path, "new").exists());
        write(&path, true, "");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(check(&folder.path().join("no/state")).is_err());
    }
}
