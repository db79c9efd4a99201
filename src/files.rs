//! Opens the server's files without being misled or made to wait, and measures how long the disk
//! makes the loop wait for the rest.
//!
//! A path names a file, but something else may be there: a FIFO whose opening waits for its other
//! end, a device, an endless file, a symbolic link planted by another user. So every file that the
//! server keeps is opened here, and in the same way: `O_NONBLOCK` and `O_NOCTTY` prevent waiting,
//! `O_NOFOLLOW` refuses a link in the last part of the path, and the opened file must be a regular
//! file. Links to *folders* are followed, because `/var/lib/statsd` is one under systemd's
//! `DynamicUser`.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::{major, minor};
use nix::unistd::{fchown, geteuid};

use crate::privileges::FileOwner;

/// With these flags an open waits neither for the other end of a FIFO nor for a terminal's carrier.
const AT_ONCE: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;
const NO_LINK: i32 = AT_ONCE | libc::O_NOFOLLOW;

/// The suffixes of files that a server may keep beside a file it has locked: those of the state
/// file.
pub(crate) const BESIDE: [&str; 3] = ["new", "old", "damaged"];

/// How many times a lock is tried again if others remove its file meanwhile.
const LOCK_TRIES: usize = 16;

const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Opens a file of any kind for reading. Links are followed, since a configuration may be one.
pub(crate) fn open_any(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(AT_ONCE).open(path)
}

/// As [`open_any`], but fails for everything except a regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    require_regular(path, &fs::metadata(path)?)?; // opening a device may already do something
    let file = open_any(path)?;
    require_regular(path, &file.metadata()?)?;
    Ok(file)
}

/// Opens a regular file for reading. It must belong to this process's user or to root.
pub(crate) fn open_ours(path: &Path) -> io::Result<File> {
    let file = open(path, OpenOptions::new().read(true))?;
    require_owner(path, &file.metadata()?)?;
    Ok(file)
}

/// Opens a regular file for reading and writing, and creates it if it is missing.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600))
}

/// Opens an existing regular file for reading and writing.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true).write(true))
}

/// Whether an open file is the one that `path` names. A link at the end of the path is not
/// followed.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => {
            let ours = file.metadata()?;
            Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
            _ => Err(error),
        },
    }
}

/// Creates a file. Whatever has its name already is removed first and never written to.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, &error)),
        _ => OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(NO_LINK)
            .open(path),
    }
}

/// Opens a log for appending, and creates it if it is missing. A FIFO that is read and a device are
/// allowed, too.
///
/// A log must belong to this process's user or to root. It must have only one hard link: another
/// user may have made the second one to a file of ours.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    require_safe_folder(folder_of(path))?;
    // The log must not be written into the state or the spool of another server.
    require_unlocked(&lock_of(path))?;
    require_not_beside(path)?;
    require_unlocked(&lock_in(folder_of(path)))?;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(NO_LINK)
        .open(path)
        .map_err(|error| why_not_opened(path, error))?;
    let found = file.metadata()?;
    if !found.file_type().is_char_device() {
        require_owner(path, &found)?;
    }
    if found.is_file() && found.nlink() > 1 {
        return Err(refused(path, "has a second name (a hard link)"));
    }
    Ok(file)
}

/// Opens an inherited descriptor by its name in /proc/self/fd, for appending. That name is a link,
/// but the kernel's own.
pub(crate) fn append_inherited(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).custom_flags(AT_ONCE).open(path)
}

/// Reads a whole file. Fails with [`io::ErrorKind::FileTooLarge`] if it has more than `most` bytes.
pub(crate) fn contents(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("over {most} bytes")))
    } else {
        Ok(bytes)
    }
}

/// Returns the real path of a file: its folder without symbolic links, and its own name.
pub(crate) fn real(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| refused(path, "names no file"))?;
    Ok(fs::canonicalize(folder_of(path))?.join(name))
}

/// Creates a folder that only this user can read, and its parents, unless it exists.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Returns the folder that contains a file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Fails if another server holds the lock of this file.
pub(crate) fn require_free(path: &Path) -> io::Result<()> {
    require_unlocked(&lock_of(path))
}

/// Fails if `path` has a name that another server may give to a file beside one it has locked.
fn require_not_beside(path: &Path) -> io::Result<()> {
    match path.extension() {
        Some(suffix) if BESIDE.iter().any(|beside| suffix == *beside) => {
            require_free(&path.with_extension(""))
        }
        _ => Ok(()),
    }
}

/// Fails if there is something at `path` other than a regular file; a symbolic link fails, too. A
/// missing file is fine.
pub(crate) fn require_regular_or_nothing(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) => require_regular(path, &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fails unless files in this folder are safe from other users. The folder must belong to this
/// process's user or to root, and not all users may write to it.
///
/// There are two exceptions. A sticky folder such as /tmp may be writable, since each file opened
/// there is checked itself. A folder may be writable for its group: /var/log is such a folder on
/// some systems, and so is each new folder of a user whose umask is 002.
pub(crate) fn require_safe_folder(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    require_owner(folder, &found)?;
    require_not_writable(folder, &found, OTHERS_WRITE)
}

/// Fails unless this folder belongs to this process's user and no others may write to it.
pub(crate) fn require_our_folder(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    if found.uid() != geteuid().as_raw() {
        return Err(foreign(folder, &found));
    }
    require_not_writable(folder, &found, OTHERS_WRITE | GROUP_WRITES)
}

/// The longest time for which the disk made the loop wait. There is no second thread that could
/// wait instead, so the server reports this time (`disk_stall_ms`).
#[derive(Debug, Default)]
pub(crate) struct Stall {
    longest: Duration,
}

impl Stall {
    /// Does something that may wait for the disk, and measures it.
    #[allow(clippy::disallowed_methods)] // the clock of the loop stands still during a turn
    pub(crate) fn time<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = act();
        self.longest = self.longest.max(start.elapsed());
        result
    }

    /// Returns the longest time since the last call.
    pub(crate) fn take(&mut self) -> Duration {
        std::mem::take(&mut self.longest)
    }
}

/// A lock file that this process has locked, so that no other process can. Dropping the lock
/// removes the file.
///
/// The kernel releases the lock when the process ends. So a file that remains after a crash can be
/// locked again.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
    /// Whether this process created the file, rather than found it.
    is_made: bool,
}

impl Lock {
    /// Locks `path` by means of `FILE.lock` in the same folder. Never waits.
    ///
    /// Fails with [`io::ErrorKind::ResourceBusy`] if another process, or another part of this one,
    /// holds that lock or the lock of the whole folder.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        require_unlocked(&lock_in(folder_of(path)))?;
        require_not_beside(path)?;
        Self::hold(&lock_of(path))
    }

    /// As [`of_file`](Self::of_file), for everything in a folder.
    pub(crate) fn of_folder(folder: &Path) -> io::Result<Self> {
        Self::hold(&lock_in(folder))
    }

    /// Creates the lock file if it is missing, and locks it. Fails with
    /// [`io::ErrorKind::ResourceBusy`] if another holder has the lock.
    fn hold(path: &Path) -> io::Result<Self> {
        for _ in 0..LOCK_TRIES {
            let Some((file, is_made)) = open_lock(path)? else { continue };
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => busy(path),
                TryLockError::Error(error) => error,
            })?;
            let lock = Self { path: path.to_owned(), file, is_made };
            // The former holder may have removed the file between our open and our lock. Then the
            // lock excludes no other process, and must be taken again.
            if lock.is_in_place()? {
                return Ok(lock);
            }
        }
        Err(busy(path))
    }

    /// Gives the lock's file to the user that this process is about to become. Otherwise a start as
    /// that user could not use what a crash of this process leaves. A file that this process
    /// found and did not make stays as it is: another user may have put it there to be given it.
    pub(crate) fn give_to(&self, owner: FileOwner) -> io::Result<()> {
        if !self.is_made {
            return Ok(());
        }
        Ok(fchown(&self.file, owner.user, owner.group)?)
    }

    /// Whether the lock's file is still at its path. If it is not, another process may hold a lock
    /// of the same name.
    pub(crate) fn is_in_place(&self) -> io::Result<bool> {
        is_at(&self.file, &self.path)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_in_place().unwrap_or(false) {
            let _ = fs::remove_file(&self.path); // a file that remains does no harm
        }
    }
}

/// Opens the file of a lock, or creates it. Returns the file, and whether it was created. Returns
/// `None` if another process created it at the same moment.
///
/// A crash may have left the file. Root accepts a file of any owner, since the run before may have
/// been another user's. This gives that owner no new power: holding the lock only keeps this server
/// from starting, and so would a socket or a file in this place.
fn open_lock(path: &Path) -> io::Result<Option<(File, bool)>> {
    // Try without O_CREAT first. In a sticky folder the kernel refuses O_CREAT for a file of
    // another user, even to root.
    let opened = match open_existing(path) {
        Ok(file) => Ok(Some((file, false))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = open(path, OpenOptions::new().write(true).create_new(true).mode(0o600));
            match made {
                Ok(file) => Ok(Some((file, true))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let opened = opened.map_err(|error| match error.kind() {
        // Otherwise the folder does not admit this process.
        io::ErrorKind::PermissionDenied if fs::symlink_metadata(path).is_ok() => {
            let what = "is another user's (remove it if no server of that user runs)";
            let why = format!("the lock {} {what}", path.display());
            io::Error::new(error.kind(), why)
        }
        _ => error,
    })?;
    if let Some((file, _)) = opened.as_ref().filter(|_| !geteuid().is_root()) {
        require_owner(path, &file.metadata()?)?;
    }
    Ok(opened)
}

/// `FILE.lock`, the lock of one file.
pub(crate) fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// The lock of everything in a folder.
pub(crate) fn lock_in(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// Returns the process that holds the lock in this file, without taking the lock: a server that
/// starts at that moment would fail.
///
/// Returns `None` if there is none, or the kernel does not show it, as for a process in another
/// container.
pub(crate) fn lock_holder(lock: &Path) -> Option<u32> {
    let found = fs::symlink_metadata(lock).ok()?;
    let device = found.dev();
    let file = format!("{:02x}:{:02x}:{}", major(device), minor(device), found.ino());
    holder_in(&fs::read_to_string("/proc/locks").ok()?, &file)
}

/// Finds the holder of a file in the text of /proc/locks.
fn holder_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        // 1: FLOCK  ADVISORY  WRITE 1234 08:01:131090 0 EOF
        let mut fields = line.split_whitespace().skip(1);
        let is_flock = fields.next() == Some("FLOCK"); // a waiting one begins with ->
        let holder = fields.nth(2)?.parse().ok();
        holder.filter(|_| is_flock && fields.next() == Some(file))
    })
}

fn require_unlocked(lock: &Path) -> io::Result<()> {
    let held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    if open_ours(lock).is_ok_and(held) { Err(busy(lock)) } else { Ok(()) }
}

fn busy(lock: &Path) -> io::Error {
    // A reload may name a file that this server keeps beside its state file.
    let is_ours = lock_holder(lock) == Some(std::process::id());
    let who = if is_ours { "this server itself" } else { "another server" };
    let why = format!("{who} uses it and holds the lock {}", lock.display());
    io::Error::new(io::ErrorKind::ResourceBusy, why)
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    require_regular_or_nothing(path)?; // opening a device may already do something
    let file = options.custom_flags(NO_LINK).open(path)?;
    require_regular(path, &file.metadata()?)?;
    Ok(file)
}

/// Fails unless `found`, which is at `path`, is a regular file. The error names the kind of file.
fn require_regular(path: &Path, found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_symlink() {
        "is a symbolic link, not a file"
    } else if kind.is_dir() {
        "is a folder, not a file"
    } else if kind.is_fifo() {
        "is a FIFO, not a regular file"
    } else if kind.is_socket() {
        "is a socket, not a file"
    } else {
        "is a device, not a regular file"
    };
    Err(refused(path, what))
}

fn require_owner(path: &Path, found: &Metadata) -> io::Result<()> {
    if found.uid() == 0 || found.uid() == geteuid().as_raw() {
        Ok(())
    } else {
        Err(foreign(path, found))
    }
}

fn require_not_writable(folder: &Path, found: &Metadata, bits: u32) -> io::Result<()> {
    if found.mode() & bits != 0 && found.mode() & STICKY == 0 {
        let what = "can be written to by other users (chmod go-w, or use a folder in it)";
        Err(refused(folder, what))
    } else {
        Ok(())
    }
}

fn foreign(path: &Path, found: &Metadata) -> io::Error {
    let owner = found.uid();
    let us = geteuid();
    refused(path, &format!("belongs to user {owner}, and this server is user {us}"))
}

fn refused(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} {what}", path.display()))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Replaces the kernel's odd error texts with plain ones.
fn why_not_opened(path: &Path, error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ELOOP) => refused(path, "is a symbolic link"),
        Some(libc::ENXIO) => refused(path, "is a FIFO that no process reads"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::{Gid, Uid, mkfifo};

    use super::*;

    type Opening = fn(&Path) -> io::Result<File>;
    const OPENINGS: [(&str, Opening); 4] = [
        ("open_ours", open_ours),
        ("open_or_create", open_or_create),
        ("append", append),
        ("open_regular", open_regular),
    ];

    fn why(result: io::Result<File>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn no_planted_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [precious, link, dangling] =
            ["precious", "link", "dangling"].map(|name| folder.path().join(name));
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, &link).unwrap();
        symlink(folder.path().join("made"), &dangling).unwrap();
        for (name, opening) in &OPENINGS[..3] {
            for path in [&link, &dangling] {
                let why = why(opening(path));
                assert!(why.contains("is a symbolic link"), "{name}: {why}");
            }
        }
        create(&link).unwrap();
        create(&dangling).unwrap();
        assert!(link.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
        assert!(!folder.path().join("made").exists());
        assert!(require_regular_or_nothing(&folder.path().join("nothing")).is_ok());
        fs::hard_link(&precious, folder.path().join("second")).unwrap();
        let why = why(append(&folder.path().join("second")));
        assert!(why.contains("has a second name"), "{why}");
    }

    #[test]
    fn a_linked_folder_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [real_folder, link] = ["real", "link"].map(|name| folder.path().join(name));
        fs::create_dir(&real_folder).unwrap();
        fs::set_permissions(&real_folder, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&real_folder, &link).unwrap();
        append(&link.join("log")).unwrap();
        require_our_folder(&link).unwrap();
        let real_folder = real_folder.canonicalize().unwrap();
        assert_eq!(real(&link.join("log")).unwrap(), real_folder.join("log"));
        assert!(real(&folder.path().join("no/log")).is_err() && real(Path::new("/")).is_err());
    }

    #[test]
    fn no_opening_waits_or_takes_what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        for (name, opening) in OPENINGS {
            let why = why(opening(&fifo));
            assert!(why.contains("is a FIFO"), "{name}: {why}");
        }
        let reader = open_any(&fifo).unwrap();
        append(&fifo).unwrap(); // a FIFO that is read may be a log
        drop(reader);
        for (name, opening) in [OPENINGS[0], OPENINGS[1], OPENINGS[3]] {
            assert!(why(opening(Path::new("/dev/null"))).contains("is a device"), "{name}");
            assert!(why(opening(folder.path())).contains("is a folder"), "{name}");
        }
        assert!(create(folder.path()).is_err());
        create(&fifo).unwrap();
        assert!(fifo.metadata().unwrap().is_file());
        let endless = contents(&open_any(Path::new("/dev/zero")).unwrap(), 1 << 20);
        assert_eq!(endless.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_safe_unless_it_is_sticky() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, is_safe) in
            [(0o700, true), (0o755, true), (0o777, false), (0o1777, true), (0o703, false)]
        {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(require_safe_folder(folder.path()).is_ok(), is_safe, "{mode:o}");
            assert_eq!(require_our_folder(folder.path()).is_ok(), is_safe, "{mode:o}");
            assert_eq!(append(&folder.path().join("log")).is_ok(), is_safe, "{mode:o}");
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o775)).unwrap();
        require_safe_folder(folder.path()).unwrap();
        assert!(require_our_folder(folder.path()).is_err());
    }

    #[test]
    fn what_belongs_to_another_user_is_not_taken() {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can give a file away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        open_ours(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        for result in [open_ours(&path), append(&path)] {
            let why = why(result);
            assert!(why.contains("belongs to user 65534, and this server is user 0"), "{why}");
        }
        std::os::unix::fs::chown(folder.path(), Some(65_534), None).unwrap();
        assert!(require_safe_folder(folder.path()).is_err());
        assert!(require_our_folder(folder.path()).is_err());
    }

    /// Shows that what a crash leaves stops neither a start as root nor one as the user that
    /// root had become.
    #[test]
    fn a_lock_left_by_another_user_is_taken_by_root_and_made_for_the_next_user() {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can give a file away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let [file, lock] = ["file", "file.lock"].map(|name| folder.path().join(name));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let user = Uid::from_raw(65_534);
        let group = Gid::from_raw(65_533);
        let made = Lock::of_file(&file).unwrap();
        made.give_to(FileOwner { user: Some(user), group: Some(group) }).unwrap();
        let found = lock.metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (65_534, 65_533));
        drop(made);
        fs::write(&lock, "").unwrap();
        std::os::unix::fs::chown(&lock, Some(65_534), None).unwrap();
        drop(Lock::of_file(&file).unwrap());
        fs::write(&lock, "precious").unwrap();
        let found = Lock::of_file(&file).unwrap();
        found.give_to(FileOwner { user: Some(user), group: None }).unwrap();
        assert_eq!(lock.metadata().unwrap().uid(), 0, "it was there before");
    }

    #[test]
    fn a_lock_is_held_once_and_goes_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let [path, file] = ["file.lock", "file"].map(|name| folder.path().join(name));
        let first = Lock::of_file(&file).unwrap();
        assert_eq!(Lock::hold(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(append(&file).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        // A stale lock file, which another process opened before its removal, excludes no process.
        let stale = open_or_create(&path).unwrap();
        drop(first);
        assert!(!path.exists());
        stale.try_lock().unwrap();
        let second = Lock::hold(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let third = Lock::hold(&path).unwrap();
        drop(second);
        assert!(path.exists(), "it is the third's");
        drop(third);
        symlink("/etc/passwd", &path).unwrap();
        assert!(Lock::hold(&path).is_err());
        fs::remove_file(&path).unwrap();
        let spool = Lock::of_folder(folder.path()).unwrap();
        assert!(Lock::of_file(&file).is_err() && append(&file).is_err(), "in its folder");
        drop(spool);
        append(&file).unwrap();
        let _first = Lock::of_file(&file).unwrap();
        let old = folder.path().join("file.old");
        assert!(Lock::of_file(&old).is_err() && append(&old).is_err(), "beside it");
    }

    #[test]
    fn a_lock_is_found_and_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(lock_holder(&lock_of(&path)), None);
        let lock = Lock::of_file(&path).unwrap();
        assert_eq!(lock_holder(&lock_of(&path)), Some(std::process::id()));
        drop(lock);
        assert_eq!(lock_holder(&lock_of(&path)), None);
    }

    #[test]
    fn only_the_holder_of_the_file_is_named() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 08:01:7 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 11 08:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 12 08:01:7 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 08:01:7 0 EOF\n";
        assert_eq!(holder_in(locks, "08:01:7"), Some(13));
        assert_eq!(holder_in(locks, "08:02:7"), None);
    }
}
