//! Unix sockets. Their files are created with the configured mode, replaced if no process listens
//! on them, and removed at the end.
//!
//! Before a file is replaced, the server checks that no process listens on it. Between the check
//! and the removal another server may bind it, or be about to listen. So a server holds `PATH.lock`
//! from before the check until its socket is closed.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{fchownat, geteuid};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::files::{self, Lock};
use crate::privileges::FileOwner;
use crate::sys;

/// The file of a unix socket. It is removed when this is dropped, unless another file has replaced
/// it.
///
/// Anyone who may write to the folder can replace the file, or put a link in its place, at any
/// moment, and this process may be root. So nothing here is changed by way of the path.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// The bound file, opened with O_PATH. While it is open, no other file gets its inode number.
    inode: File,
    /// Released after the file is removed.
    lock: Lock,
}

impl SocketFile {
    /// Finds the file that `socket` has just been bound to.
    fn of(socket: &Socket, path: &Path, lock: Lock) -> io::Result<Self> {
        // The kernel shows root which file it is. Otherwise the file at the path must look like the
        // new one.
        let inode = sys::socket_file(socket.as_fd()).map(File::from);
        let inode = inode.or_else(|_| {
            let inode = open_place(path)?;
            if is_just_made(&inode.metadata()?) { Ok(inode) } else { Err(replaced()) }
        })?;
        let file = Self { path: path.to_owned(), inode, lock };
        if file.is_in_place() { Ok(file) } else { Err(replaced()) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the permissions of the bound file, even if another file is at its path by now.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        // fchmod refuses an O_PATH descriptor. Its link in procfs leads to the same inode.
        let link = format!("/proc/self/fd/{}", self.inode.as_raw_fd());
        fs::set_permissions(link, fs::Permissions::from_mode(mode))
    }

    /// Changes the owner and group of the bound file, even if another file is at its path by now.
    pub fn give_to(&self, owner: FileOwner) -> io::Result<()> {
        // fchown of the socket's own descriptor would change the socket, not its file.
        fchownat(&self.inode, "", owner.user, owner.group, AtFlags::AT_EMPTY_PATH)?;
        self.lock.give_to(owner)
    }

    fn is_in_place(&self) -> bool {
        files::is_at(&self.inode, &self.path).unwrap_or(false)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_in_place() {
            // No caller can act on an error, and the next start replaces the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket to a path. The socket is nonblocking, and listens if it is a stream. Its file has
/// `mode` from its first moment.
pub fn bind(path: &Path, kind: Type, mode: u32) -> io::Result<(Socket, SocketFile)> {
    require_place(path)?;
    let address = SockAddr::unix(path)?;
    let lock = lock(path)?;
    replace_stale(path, &address, kind)?;
    let socket = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
    // No other thread makes files meanwhile.
    let before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = socket.bind(&address);
    umask(before);
    bound?;
    let file = SocketFile::of(&socket, path, lock)?;
    if kind == Type::STREAM {
        socket.listen(1024)?;
    }
    Ok((socket, file))
}

/// Fails if no socket can have this path: it is too long, or a file or folder is there. The folder
/// of the path is not checked.
pub(crate) fn require_place(path: &Path) -> io::Result<()> {
    if SockAddr::unix(path).is_err() {
        let why = format!("the path has {} bytes", path.as_os_str().len());
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, why));
    }
    // An error here is reported by the steps that follow.
    fs::symlink_metadata(path).map_or(Ok(()), |found| require_socket(&found))
}

fn require_socket(found: &Metadata) -> io::Result<()> {
    let (kind, why) = match found.file_type() {
        found if found.is_socket() => return Ok(()),
        found if found.is_dir() => (io::ErrorKind::IsADirectory, "a folder has that path"),
        _ => (io::ErrorKind::AlreadyExists, "a file that is no socket has that path"),
    };
    Err(io::Error::new(kind, why))
}

fn lock(path: &Path) -> io::Result<Lock> {
    Lock::of_file(path).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => io::Error::new(io::ErrorKind::AddrInUse, error.to_string()),
        _ => error,
    })
}

/// Removes the file of a socket on which no process listens any more.
fn replace_stale(path: &Path, address: &SockAddr, kind: Type) -> io::Result<()> {
    let found = match open_place(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    require_socket(&found.metadata()?)?;
    let probe = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
    match probe.connect(address) {
        // Another file may have replaced the checked one. It must not be removed.
        Err(error)
            if error.kind() == io::ErrorKind::ConnectionRefused && files::is_at(&found, path)? =>
        {
            fs::remove_file(path)
        }
        // It answered, or has another socket type, or its backlog is full.
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "a process listens on it")),
    }
}

/// Opens what is at the end of a path with O_PATH: nothing is read, and a link there is not
/// followed.
fn open_place(path: &Path) -> io::Result<File> {
    // On musl, `O_ACCMODE` contains `O_PATH`, so that std's `custom_flags` would drop it.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// Whether this may be the socket that this process has just bound. No other user can create a
/// socket that is ours. A second hard link would mean that it existed before under another name.
fn is_just_made(found: &Metadata) -> bool {
    found.file_type().is_socket() && found.uid() == geteuid().as_raw() && found.nlink() == 1
}

fn replaced() -> io::Error {
    io::Error::other("another file replaced it while it was made")
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use nix::unistd::{Gid, Uid};

    use super::*;

    /// The umask is that of the whole process, and tests have threads.
    fn bind(path: &Path, kind: Type, mode: u32) -> io::Result<(Socket, SocketFile)> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        super::bind(path, kind, mode)
    }

    fn kind(path: &Path, kind: Type) -> Result<(Socket, SocketFile), io::ErrorKind> {
        bind(path, kind, 0o660).map_err(|error| error.kind())
    }

    #[test]
    fn a_file_has_its_mode_and_goes_with_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        for (mode, wanted) in [(0o660, Type::STREAM), (0o600, Type::DGRAM), (0o666, Type::DGRAM)] {
            let bound = bind(&path, wanted, mode).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
            drop(bound);
            assert!(!path.exists());
        }
    }

    impl SocketFile {
        /// Leaves the file in place. The kernel ends its lock.
        fn leave_as_sigkill_does(self) {
            let path = self.path.clone();
            let kept = path.with_extension("kept");
            fs::hard_link(&path, &kept).unwrap();
            drop(self);
            fs::rename(kept, path).unwrap();
        }
    }

    /// Shows that a socket whose server does not listen yet is not taken for a stale one.
    #[test]
    fn a_socket_that_is_being_set_up_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let other = lock(&path).unwrap();
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        let made = fs::symlink_metadata(&path).unwrap().ino();
        let error = bind(&path, Type::STREAM, 0o660).unwrap_err();
        assert!(error.to_string().contains("uses it and holds the lock"), "{error}");
        assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), made);
        drop(other);
        bind(&path, Type::STREAM, 0o660).unwrap(); // now it is a stale file
    }

    #[test]
    fn only_a_socket_without_a_listener_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        for wanted in [Type::STREAM, Type::DGRAM] {
            let (first, file) = kind(&path, wanted).unwrap();
            assert_eq!(kind(&path, wanted).unwrap_err(), io::ErrorKind::AddrInUse);
            drop(first);
            file.leave_as_sigkill_does();
            assert!(path.exists());
            drop(kind(&path, wanted).unwrap());
            assert!(!path.exists());
        }
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let clients = std::iter::from_fn(|| {
            let client = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
            client.connect(&SockAddr::unix(&path).unwrap()).is_ok().then_some(client)
        });
        let clients: Vec<_> = clients.collect();
        assert_eq!(
            kind(&path, Type::STREAM).unwrap_err(),
            io::ErrorKind::AddrInUse,
            "a full backlog"
        );
        drop((busy, clients));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert_eq!(kind(&path, Type::DGRAM).unwrap_err(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    /// Moves the file aside, and puts something else in its place.
    fn replace(path: &Path, put: impl FnOnce(&Path)) -> PathBuf {
        let aside = path.with_extension("aside");
        fs::rename(path, &aside).unwrap();
        put(path);
        aside
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_file_that_was_bound_changes_its_owner_and_mode() {
        let folder = tempfile::tempdir().unwrap();
        let [path, precious] = ["s", "precious"].map(|name| folder.path().join(name));
        fs::write(&precious, "precious").unwrap();
        let before = fs::metadata(&precious).unwrap();
        for put in [
            &(|path: &Path| std::os::unix::fs::symlink("precious", path).unwrap()) as &dyn Fn(&_),
            &|path: &Path| fs::hard_link(path.with_file_name("precious"), path).unwrap(),
        ] {
            let (_socket, file) = bind(&path, Type::DGRAM, 0o660).unwrap();
            let aside = replace(&path, put);
            if geteuid().is_root() {
                let user = Some(Uid::from_raw(65_534));
                let group = Some(Gid::from_raw(65_533));
                file.give_to(FileOwner { user, group }).unwrap();
                let lock = fs::metadata(path.with_file_name("s.lock")).unwrap();
                assert_eq!((lock.uid(), lock.gid()), (65_534, 65_533));
                let found = fs::metadata(&aside).unwrap();
                let owner = fs::metadata(&precious).map(|found| (found.uid(), found.gid()));
                assert_eq!(owner.unwrap(), (before.uid(), before.gid()));
                assert_eq!((found.uid(), found.gid()), (65_534, 65_533));
            }
            file.set_mode(0o622).unwrap();
            assert_eq!(mode(&aside), 0o622);
            assert_eq!(mode(&precious), before.permissions().mode() & 0o777);
            drop(file);
            assert!(fs::symlink_metadata(&path).is_ok(), "the new file is not ours");
            fs::remove_file(&path).unwrap();
            fs::remove_file(&aside).unwrap();
        }
    }

    #[test]
    fn a_socket_of_the_same_number_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (socket, file) = bind(&path, Type::DGRAM, 0o660).unwrap();
        drop(socket);
        fs::remove_file(&path).unwrap();
        // Many file systems give a new file the inode number freed last.
        let next = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        next.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn what_is_not_ours_is_not_taken_for_the_file_just_made() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link, other] = ["s", "link", "other"].map(|name| folder.path().join(name));
        let (_socket, _file) = bind(&path, Type::DGRAM, 0o660).unwrap();
        let looks = |path: &Path| is_just_made(&open_place(path).unwrap().metadata().unwrap());
        assert!(looks(&path));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::write(&other, "").unwrap();
        assert!(!looks(&link) && !looks(&other));
        fs::hard_link(&path, folder.path().join("second")).unwrap();
        assert!(!looks(&path));
    }
}
