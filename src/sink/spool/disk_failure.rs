//! Kinds of disk errors, by what a spool does about them. Pure.

use std::io;

/// What an error of a disk means for the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskFailure {
    /// Another process removed or replaced the file, or a folder above it.
    Missing,
    /// The disk has lost what was written.
    Damage,
    /// The segment is as long as a file may be (`ulimit -f`).
    FileTooLarge,
    /// The disk, or the user's share of it, is full.
    Full,
    /// The error may pass: no descriptor is left, no memory, a share is not mounted.
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

    /// Whether something failed, and for this reason.
    pub(super) fn is_of<T>(self, result: &io::Result<T>) -> bool {
        result.as_ref().is_err_and(|error| Self::of(error) == self)
    }
}
