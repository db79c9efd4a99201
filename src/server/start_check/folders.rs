//! Tests the files and folders that the server would use, by their permissions alone. Nothing is
//! created.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::statfs::statfs;
use nix::unistd::{AccessFlags, access, geteuid};

use super::finding::{FindingKind, Findings};
use crate::config::Config;
use crate::{files, state};

/// Why a file or a folder cannot be used.
enum Obstacle {
    /// A process with this id holds the lock.
    Held(u32),
    /// Another user may be able to use it, such as the one that the service manager chooses.
    Foreign(io::Error),
    Refused(io::Error),
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Foreign(error),
            _ => Self::Refused(error),
        }
    }
}

/// A setting that names a file or a folder, and what follows if the server cannot use it.
struct PathSetting {
    section: &'static str,
    key: &'static str,
    kind: FindingKind,
    consequence: &'static str,
    remedy: &'static str,
}

const STATE_FILE: PathSetting = PathSetting {
    section: "statsd",
    key: "state_file",
    kind: FindingKind::Warning,
    consequence: "nothing is kept over a restart",
    remedy: "its folder must belong to this user or root, and not be writable for others",
};
const SPOOL_DIR: PathSetting = PathSetting {
    section: "spool",
    key: "dir",
    kind: FindingKind::Error,
    consequence: "the server does not start",
    remedy: "it must be a folder of this user's own",
};
const KEY_FLUSH_LOG: PathSetting = PathSetting {
    section: "key_flush",
    key: "log",
    kind: FindingKind::Warning,
    consequence: "the names are lost",
    remedy: "check the path and its permissions",
};

impl PathSetting {
    /// Reports why a path cannot be used. If this process is not the user that the server would be
    /// (`is_certain`), that user may be able to use it.
    fn report(
        &self,
        path: &Path,
        obstacle: Obstacle,
        is_certain: bool,
        findings: &mut Findings<'_>,
    ) {
        let Self { section, key, kind, consequence, remedy } = *self;
        let path = path.display();
        match obstacle {
            Obstacle::Held(holder) => {
                let what = format!("{path} is in use by the server with process id {holder}");
                findings.remark(section, key, what);
            }
            Obstacle::Foreign(error) if !is_certain => {
                let what = format!(
                    "{path} cannot be tested as this user: {error}; run statsd --check as the \
                     user of the server, or set user"
                );
                findings.remark(section, key, what);
            }
            Obstacle::Foreign(error) | Obstacle::Refused(error) => {
                let what = format!("cannot use {path}: {error}; {consequence}: {remedy}");
                findings.add(kind, section, key, &what);
            }
        }
    }
}

/// Tests the state file, the spools and the log of names. `is_certain` is true if this process
/// is the user that the server would be.
pub(super) fn check(config: &Config, is_certain: bool, findings: &mut Findings<'_>) {
    if let Some(path) = &config.state.file {
        match state_file(path) {
            Ok(()) if state::is_foreign(path) => {
                let what = format!(
                    "{0} is no state file of this version; the server renames it to {0}.damaged \
                     and starts without it: name a file of the server's own",
                    path.display()
                );
                findings.warning(STATE_FILE.section, STATE_FILE.key, what);
            }
            Ok(()) => {}
            Err(obstacle) => STATE_FILE.report(path, obstacle, is_certain, findings),
        }
    }
    if let Some(dir) = &config.spool.dir {
        for to in config.active_destinations().filter(|to| to.spooled_format().is_some()) {
            let folder = dir.join(&to.name);
            if let Err(obstacle) = spool(&folder) {
                SPOOL_DIR.report(&folder, obstacle, is_certain, findings);
            }
        }
    }
    let log = config.key_flush.interval.and(config.key_flush.log.as_ref());
    if let Some(path) = log.filter(|path| !is_stream(path))
        && let Err(obstacle) = key_log(path)
    {
        KEY_FLUSH_LOG.report(path, obstacle, is_certain, findings);
    }
}

/// As `StateFile::open`, which also makes the folder and takes the lock.
fn state_file(path: &Path) -> Result<(), Obstacle> {
    let folder = files::folder_of(path);
    if !exists(folder)? {
        return require_writable(nearest(folder)?);
    }
    require_ours(folder)?;
    let path = files::real(path)?;
    files::require_safe_folder(files::folder_of(&path))?;
    files::require_regular_or_nothing(&path)?;
    require_free(&files::lock_in(files::folder_of(&path)))?;
    require_free(&files::lock_of(&path))?;
    require_usable_lock(&files::lock_of(&path))?;
    require_writable(folder)
}

/// As the spool's `Folder::open`, which also makes the folder and takes the lock.
fn spool(folder: &Path) -> Result<(), Obstacle> {
    let parent = files::folder_of(folder);
    if !exists(folder)? {
        let there = nearest(parent)?;
        if there == parent {
            require_ours(parent)?;
            files::require_safe_folder(parent)?;
        }
        return require_writable(there);
    }
    require_folder(folder)?;
    require_ours(parent)?;
    files::require_safe_folder(parent)?;
    require_free(&files::lock_in(folder))?;
    if fs::metadata(folder)?.uid() != geteuid().as_raw() {
        return files::require_our_folder(folder).map_err(Obstacle::Foreign);
    }
    files::require_our_folder(folder)?;
    require_usable_lock(&files::lock_in(folder))?;
    require_writable(folder)
}

/// As `files::append`, which also makes the file.
fn key_log(path: &Path) -> Result<(), Obstacle> {
    let folder = files::folder_of(path);
    require_ours(folder)?;
    files::require_safe_folder(folder)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            require_ours(path)?;
            Ok(access(path, AccessFlags::W_OK).map_err(io::Error::from)?)
        }
        Ok(found) if found.is_symlink() => {
            Err(Obstacle::Refused(io::Error::new(ErrorKind::InvalidInput, "it is a symbolic link")))
        }
        Ok(found) if found.is_dir() => {
            Err(Obstacle::Refused(io::Error::new(ErrorKind::IsADirectory, "it is a folder")))
        }
        Ok(_) => Ok(()), // a FIFO or a device: to open it may already do something
        Err(error) if error.kind() == ErrorKind::NotFound => require_writable(folder),
        Err(error) => Err(error.into()),
    }
}

/// Whether a path names a standard stream or an inherited descriptor.
fn is_stream(path: &Path) -> bool {
    let streams = ["/dev/stdout", "/dev/stderr"].map(Path::new);
    streams.contains(&path) || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// Fails with [`Obstacle::Foreign`] if something belongs to another user, or this user may not see
/// it.
fn require_ours(path: &Path) -> Result<(), Obstacle> {
    let found = fs::metadata(path)?;
    let us = geteuid().as_raw();
    if found.uid() == us || found.uid() == 0 {
        return Ok(());
    }
    let why = format!("{} belongs to user {}, not to user {us}", path.display(), found.uid());
    Err(Obstacle::Foreign(io::Error::new(ErrorKind::PermissionDenied, why)))
}

/// The types of the file systems in which the kernel shows its own data: proc, sysfs, and cgroups
/// of both versions. Their permissions allow root to write, but no process can make files there.
const KERNEL_FILE_SYSTEMS: [u64; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];

/// Fails unless files can be made in a folder.
fn require_writable(folder: &Path) -> Result<(), Obstacle> {
    let kind = statfs(folder).map(|found| u64::try_from(found.filesystem_type().0));
    if let Ok(Ok(kind)) = kind
        && KERNEL_FILE_SYSTEMS.contains(&kind)
    {
        let why = format!("{} is the kernel's, and no file can be made there", folder.display());
        return Err(Obstacle::Refused(io::Error::new(ErrorKind::Unsupported, why)));
    }
    let Err(error) = access(folder, AccessFlags::W_OK | AccessFlags::X_OK) else { return Ok(()) };
    let owner = fs::metadata(folder).map(|found| found.uid());
    let is_of_another = owner.is_ok_and(|owner| owner != geteuid().as_raw());
    let error = io::Error::new(
        io::Error::from(error).kind(),
        format!("{} is not writable: {}", folder.display(), error.desc()),
    );
    if is_of_another { Err(Obstacle::Foreign(error)) } else { Err(Obstacle::Refused(error)) }
}

/// Returns the last folder of a path that exists. Missing ones are made in it.
fn nearest(path: &Path) -> Result<&Path, Obstacle> {
    let there = path.ancestors().find(|folder| exists(folder).unwrap_or(true));
    let there = there.filter(|folder| !folder.as_os_str().is_empty());
    let there = there.unwrap_or_else(|| Path::new("."));
    require_folder(there)?;
    Ok(there)
}

fn require_folder(path: &Path) -> Result<(), Obstacle> {
    if fs::metadata(path)?.is_dir() {
        return Ok(());
    }
    let why = format!("{} is no folder", path.display());
    Err(Obstacle::Refused(io::Error::new(ErrorKind::NotADirectory, why)))
}

fn require_free(lock: &Path) -> Result<(), Obstacle> {
    files::lock_holder(lock).map_or(Ok(()), |holder| Err(Obstacle::Held(holder)))
}

/// Fails if a lock file that a crash has left is of another user. Root may use it all the same.
fn require_usable_lock(lock: &Path) -> Result<(), Obstacle> {
    files::require_regular_or_nothing(lock)?;
    let is_there = fs::symlink_metadata(lock).is_ok();
    if is_there && !geteuid().is_root() { require_ours(lock) } else { Ok(()) }
}

/// Whether there is something at a path.
fn exists(path: &Path) -> Result<bool, Obstacle> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}
