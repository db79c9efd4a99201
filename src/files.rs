//! Opening files of ours without being led astray or made to wait.
//!
//! A path names a file, but something else may stand there: a FIFO whose opening waits for its other end, a device, a file
//! without an end, a symbolic link that a neighbour has planted. So every file that the server keeps is opened here: at once
//! (`O_NONBLOCK`, `O_NOCTTY`), without following a link in the last part of its path (`O_NOFOLLOW`), and only if it is a regular
//! file. Links to *folders* are followed: `/var/lib/statsd` is one under systemd's `DynamicUser`.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// The opening waits neither for the other end of a FIFO nor for a terminal's carrier.
const AT_ONCE: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;
const NO_LINK: i32 = AT_ONCE | libc::O_NOFOLLOW;

/// How often a lock's file may be removed by others while we lock it.
const LOCK_TRIES: usize = 16;

const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Opens a file to read it, whatever kind of file it is. Links are followed: this is for a configuration.
pub(crate) fn open_any(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(AT_ONCE).open(path)
}

/// As [`open_any`], but fails for all that is no regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    require_regular(path, &fs::metadata(path)?)?; // opening a device may already do something
    let file = open_any(path)?;
    require_regular(path, &file.metadata()?)?;
    Ok(file)
}

/// Opens a regular file of ours, or of root's, to read it.
pub(crate) fn open_ours(path: &Path) -> io::Result<File> {
    let file = open(path, OpenOptions::new().read(true))?;
    require_owner(path, &file.metadata()?)?;
    Ok(file)
}

/// Opens a regular file to read and write it, and makes it if it is not there.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600))
}

/// Makes a file that is not there. One that is there, or whatever has its name, is removed first and never written to.
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

/// Opens a log to append to it, and makes it if it is not there. It may be a FIFO that is read or a device, too. It must be
/// ours or root's, and have one name only: a second name may be one that a neighbour gave to a file of ours.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    require_safe_folder(folder_of(path))?;
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

/// Opens a descriptor that was inherited, by its name in /proc/self/fd, to append to what is behind it. The link is the kernel's.
pub(crate) fn append_inherited(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).custom_flags(AT_ONCE).open(path)
}

/// All of a file, of at most `most` bytes.
pub(crate) fn contents(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("over {most} bytes"))),
        false => Ok(bytes),
    }
}

/// Where a file really is: its folder without symbolic links, and its own name.
pub(crate) fn real(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| refused(path, "names no file"))?;
    Ok(fs::canonicalize(folder_of(path))?.join(name))
}

/// The folder in which a file is.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Fails if something stands here that is no regular file, a symbolic link included. Nothing may stand here.
pub(crate) fn require_regular_or_nothing(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) => require_regular(path, &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fails unless files in this folder are safe from other users: it is ours or root's, and no others may write to it. A sticky
/// one, such as /tmp, is safe enough, since what is opened there is checked itself; so is a folder of root's that a group may
/// write to, as /var/log is on some systems.
pub(crate) fn require_safe_folder(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    require_owner(folder, &found)?;
    let unsafe_bits = if found.uid() == 0 { OTHERS_WRITE } else { OTHERS_WRITE | GROUP_WRITES };
    require_not_writable(folder, &found, unsafe_bits)
}

/// Fails unless this folder is ours and no others may write to it.
pub(crate) fn require_our_folder(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    if found.uid() != geteuid().as_raw() {
        return Err(foreign(folder, &found));
    }
    require_not_writable(folder, &found, OTHERS_WRITE | GROUP_WRITES)
}

/// A file that this process has locked, and no other can. It goes with the lock.
///
/// Found by another process after a crash it is locked again: the lock ends with the process, whatever becomes of the file.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Never waits: an error of [`io::ErrorKind::ResourceBusy`] if another process holds it.
    pub(crate) fn hold(path: &Path) -> io::Result<Self> {
        let busy = || {
            let why = format!("another server uses it and holds the lock {}", path.display());
            io::Error::new(io::ErrorKind::ResourceBusy, why)
        };
        for _ in 0..LOCK_TRIES {
            let file = open_or_create(path)?;
            require_owner(path, &file.metadata()?)?;
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => busy(),
                TryLockError::Error(error) => error,
            })?;
            let lock = Self { path: path.to_owned(), file };
            // The process that had it may have removed it between our two calls: then it locks nobody out.
            if lock.is_in_place() {
                return Ok(lock);
            }
        }
        Err(busy())
    }

    fn is_in_place(&self) -> bool {
        let here = fs::symlink_metadata(&self.path).map(|found| (found.dev(), found.ino()));
        let ours = self.file.metadata().map(|found| (found.dev(), found.ino()));
        here.is_ok_and(|here| ours.is_ok_and(|ours| here == ours))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_in_place() {
            let _ = fs::remove_file(&self.path); // left behind it does no harm
        }
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    require_regular_or_nothing(path)?; // opening a device may already do something
    let file = options.custom_flags(NO_LINK).open(path)?;
    require_regular(path, &file.metadata()?)?;
    Ok(file)
}

fn require_regular(path: &Path, found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_symlink() => "is a symbolic link, and no file",
        () if kind.is_dir() => "is a folder, and no file",
        () if kind.is_fifo() => "is a FIFO, and no regular file",
        () if kind.is_socket() => "is a socket, and no file",
        () => "is a device, and no regular file",
    };
    Err(refused(path, what))
}

fn require_owner(path: &Path, found: &Metadata) -> io::Result<()> {
    match found.uid() == 0 || found.uid() == geteuid().as_raw() {
        true => Ok(()),
        false => Err(foreign(path, found)),
    }
}

fn require_not_writable(folder: &Path, found: &Metadata, bits: u32) -> io::Result<()> {
    match found.mode() & bits != 0 && found.mode() & STICKY == 0 {
        true => Err(refused(folder, "can be written to by other users (chmod go-w)")),
        false => Ok(()),
    }
}

fn foreign(path: &Path, found: &Metadata) -> io::Error {
    let (owner, us) = (found.uid(), geteuid());
    refused(path, &format!("belongs to user {owner}, and this server is user {us}"))
}

fn refused(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} {what}", path.display()))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// In words what the kernel has odd words for.
fn why_not_opened(path: &Path, error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ELOOP) => refused(path, "is a symbolic link"),
        Some(libc::ENXIO) => refused(path, "is a FIFO that no process reads"),
        _ => error,
    }
}
