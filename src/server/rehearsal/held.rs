//! Finds out what other processes hold, without taking it: a lock by its line in /proc/locks, and a
//! unix socket by its line in /proc/net/unix. To try a lock would be to have it for a moment, and a
//! server that starts at that moment would fail.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::stat::{major, minor};

/// Returns the process that holds the lock of this file. Returns `None` if there is none, or the
/// kernel does not show it, as for a process in another container.
pub(super) fn lock_holder(lock: &Path) -> Option<u32> {
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

/// Whether a process has bound a unix socket to this path.
pub(super) fn is_bound(path: &Path) -> bool {
    let Some(path) = path.to_str() else { return false };
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.lines().skip(1).any(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let at = line.match_indices(' ').map(|(at, _)| at + 1).find(|at| line[*at..] == *path);
        at.is_some()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::files::{Lock, lock_of};

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

    #[test]
    fn a_bound_unix_socket_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        assert!(is_bound(&path));
        drop(socket);
        assert!(!is_bound(&path));
    }
}
