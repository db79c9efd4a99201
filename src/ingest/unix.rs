//! Unix sockets: their files are made with just the mode asked for, replaced when nobody listens, removed at the end.
//!
//! Whether somebody listens is asked before the file is removed, and between the two another server may have bound it, or be
//! about to listen. So a server holds `PATH.lock` from before it asks until its socket is closed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::files::Lock;

/// A socket's file, removed when the socket is closed, if it is still the one we made.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    /// Released after the file is removed.
    _lock: Lock,
}

impl SocketFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One that somebody has removed or replaced needs none.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        match inode(&self.path) {
            Ok(inode) if inode == self.inode => {
                fs::set_permissions(&self.path, fs::Permissions::from_mode(mode))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path); // there is nobody to tell, and the next start mends it
        }
    }
}

/// Binds a socket to a path, nonblocking, and listening if it is a stream. `mode` is that of the file from its first moment.
pub fn bind(path: &Path, kind: Type, mode: u32) -> io::Result<(Socket, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let lock = lock(path)?;
    replace_stale(path, &address, kind)?;
    let socket = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
    // No other thread makes files meanwhile.
    let before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = socket.bind(&address);
    umask(before);
    bound?;
    let file = SocketFile { path: path.to_owned(), inode: inode(path)?, _lock: lock };
    if kind == Type::STREAM {
        socket.listen(1024)?;
    }
    Ok((socket, file))
}

fn lock(path: &Path) -> io::Result<Lock> {
    Lock::of_file(path).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => io::Error::new(io::ErrorKind::AddrInUse, error.to_string()),
        _ => error,
    })
}

/// Removes a socket's file that a server left behind which is gone.
fn replace_stale(path: &Path, address: &SockAddr, kind: Type) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file that is no socket",
        ));
    }
    let probe = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // It answered, or is of another kind, or its backlog is full.
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "a process listens on it")),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        /// Its file stays; the kernel ends its lock.
        fn leave_as_sigkill_does(self) {
            let path = self.path.clone();
            let kept = path.with_extension("kept");
            fs::hard_link(&path, &kept).unwrap();
            drop(self);
            fs::rename(kept, path).unwrap();
        }
    }

    /// Shows that a server that has not come to listen yet is not taken for one that is gone.
    #[test]
    fn a_socket_that_is_being_set_up_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let other = lock(&path).unwrap();
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        let made = inode(&path).unwrap();
        let error = bind(&path, Type::STREAM, 0o660).unwrap_err();
        assert!(error.to_string().contains("another server uses it"), "{error}");
        assert_eq!(inode(&path).unwrap(), made);
        drop(other);
        bind(&path, Type::STREAM, 0o660).unwrap(); // now it is what a server that is gone left behind
    }

    #[test]
    fn only_a_socket_that_nobody_listens_on_is_replaced() {
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
}
