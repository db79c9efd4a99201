//! `[statsd] user` and `group`: the process gives up its privileges once it has bound its sockets.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Group, Uid, User, getresgid, getresuid, initgroups, setgid, setgroups, setuid,
};

/// Why privileges could not be dropped.
#[derive(Debug)]
pub struct PrivilegeError {
    key: &'static str,
    value: String,
    reason: String,
}

impl fmt::Display for PrivilegeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[statsd] {} = {}", self.key, self.explanation())
    }
}

impl PrivilegeError {
    /// Returns the key whose value cannot be used: `user` or `group`.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Returns the value, why it cannot be used, and what the operator can do.
    pub fn explanation(&self) -> String {
        let Self { key, value, reason } = self;
        format!("{value}: {reason}; name a {key} of this machine or a number, and start as root")
    }
}

/// The user and the group that the process changes to. Each is `None` if the process already runs
/// as the configured one. If both are `None`, nothing changes, and no privilege is needed.
#[derive(Debug)]
pub struct Identity {
    user: Option<NewUser>,
    group: Option<(Gid, String)>,
    /// The user is given, so the process must not gain privileges later, even if it is already that
    /// user.
    is_user_given: bool,
}

/// The user and the group that a file is given to. `None` leaves the one that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOwner {
    pub user: Option<Uid>,
    pub group: Option<Gid>,
}

/// The user that the process changes to.
#[derive(Debug)]
struct NewUser {
    uid: Uid,
    /// The user's own group.
    gid: Gid,
    /// The account of the user. `None` if only a number was given, and no account has it.
    account: Option<User>,
    /// The value of the key.
    value: String,
}

/// The account of the process, from which commands get HOME, USER, LOGNAME and SHELL. Without these
/// a command would look for its files in root's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub name: String,
    pub home: PathBuf,
    pub shell: PathBuf,
}

/// Prevents this process and its children from ever gaining privileges. After this a program's
/// setuid bit has no effect.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(prctl::set_no_new_privs()?)
}

/// Whether no-new-privileges is set, by this process or by its parent.
pub fn has_no_new_privileges() -> bool {
    prctl::get_no_new_privs().unwrap_or(false)
}

/// Makes new files unreadable for other users, unless the code that creates a file sets its mode.
pub fn keep_new_files_private() {
    umask(Mode::from_bits_truncate(0o077));
}

/// Looks up a user and a group by name or by number. If only a user is given, its own group is
/// used. A number needs no account: in a container there is often none.
pub fn look_up(user: &str, group: &str) -> Result<Identity, PrivilegeError> {
    let is_user_given = !user.is_empty();
    let user = look_up_user(user)?.filter(|user| !is_uid(user.uid));
    let group = look_up_group(group)?.filter(|(gid, _)| user.is_some() || !is_gid(*gid));
    Ok(Identity { user, group, is_user_given })
}

/// Looks up the value of `user`. Returns `None` if it is empty. An empty name needs no look-up,
/// which would load the modules of the name service and may wait for a network.
fn look_up_user(value: &str) -> Result<Option<NewUser>, PrivilegeError> {
    let fail = |reason: &dyn fmt::Display| failure("user", value, reason);
    if value.is_empty() {
        return Ok(None);
    }
    let Some(number) = number("user", value)? else {
        return match User::from_name(value) {
            Ok(Some(account)) => Ok(Some(NewUser::new(account, value))),
            Ok(None) => Err(fail(&"no such user")),
            Err(error) => Err(fail(&error)),
        };
    };
    match User::from_uid(Uid::from_raw(number)) {
        Ok(Some(account)) => Ok(Some(NewUser::new(account, value))),
        Err(error) if !is_not_found(error) => Err(fail(&error)),
        _ => Ok(Some(NewUser {
            uid: Uid::from_raw(number),
            gid: Gid::from_raw(number),
            account: None,
            value: value.into(),
        })),
    }
}

/// Looks up the value of `group`. Returns `None` if it is empty.
fn look_up_group(value: &str) -> Result<Option<(Gid, String)>, PrivilegeError> {
    if value.is_empty() {
        return Ok(None);
    }
    if let Some(number) = number("group", value)? {
        return Ok(Some((Gid::from_raw(number), value.into())));
    }
    match Group::from_name(value) {
        Ok(Some(group)) => Ok(Some((group.gid, value.into()))),
        Ok(None) => Err(failure("group", value, "no such group")),
        Err(error) => Err(failure("group", value, error)),
    }
}

/// Returns the number of a user or a group that is given as one. Returns `None` if it is given by
/// name.
fn number(key: &'static str, value: &str) -> Result<Option<u32>, PrivilegeError> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    // For the kernel the largest number means "no change".
    match value.parse() {
        Ok(number) if number < u32::MAX => Ok(Some(number)),
        _ => Err(failure(key, value, format!("expected a number below {}", u32::MAX))),
    }
}

/// Whether an error of a look-up only means that there is no such entry, or no file with entries.
fn is_not_found(error: Errno) -> bool {
    matches!(error, Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM)
}

/// Whether this process is this user, and cannot become the one that it was before.
fn is_uid(uid: Uid) -> bool {
    getresuid().is_ok_and(|of| [of.real, of.effective, of.saved] == [uid; 3])
}

/// Whether this process is of this group, and cannot go back to the one that it had before.
fn is_gid(gid: Gid) -> bool {
    getresgid().is_ok_and(|of| [of.real, of.effective, of.saved] == [gid; 3])
}

impl NewUser {
    fn new(account: User, value: &str) -> Self {
        Self { uid: account.uid, gid: account.gid, account: Some(account), value: value.into() }
    }

    /// Sets the groups of this user. A user without an account has no others than `gid`.
    fn set_groups(&self, gid: Gid) -> Result<(), PrivilegeError> {
        let fail = |error: Errno| failure("user", &self.value, error);
        let Some(account) = &self.account else {
            return setgroups(&[gid]).map_err(fail);
        };
        let name = CString::new(account.name.as_str());
        let name = name.map_err(|error| failure("user", &self.value, error))?;
        initgroups(&name, gid).map_err(fail)
    }
}

impl Identity {
    /// Returns the user and group that the files created so far must be given to.
    pub fn owner(&self) -> FileOwner {
        FileOwner { user: self.user.as_ref().map(|user| user.uid), group: self.gid() }
    }

    /// Returns the account that this process becomes. Returns `None` if the user does not change.
    pub fn account(&self) -> Option<Login> {
        let user = self.user.as_ref()?;
        Some(match &user.account {
            Some(account) => Login {
                name: account.name.clone(),
                home: account.dir.clone(),
                shell: account.shell.clone(),
            },
            None => Login {
                name: user.value.clone(),
                home: PathBuf::from("/"),
                shell: PathBuf::from("/bin/sh"),
            },
        })
    }

    fn gid(&self) -> Option<Gid> {
        let own = self.user.as_ref().map(|user| user.gid);
        self.group.as_ref().map(|(gid, _)| *gid).or(own)
    }

    /// Becomes this user and group for good. The groups are set first, since the new user may not
    /// set them.
    pub fn assume(self) -> Result<(), PrivilegeError> {
        let gid = self.gid();
        if let Some((gid, name)) = &self.group {
            let groups = if self.user.is_none() { setgroups(&[*gid]) } else { Ok(()) };
            groups.and_then(|()| setgid(*gid)).map_err(|error| failure("group", name, error))?;
        }
        if let (Some(user), Some(gid)) = (&self.user, gid) {
            let fail = |error: Errno| failure("user", &user.value, error);
            user.set_groups(gid)?;
            setgid(gid).and_then(|()| setuid(user.uid)).map_err(fail)?;
            if !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
                return Err(failure("user", &user.value, "root could be had again"));
            }
        }
        if self.is_user_given {
            no_new_privileges().map_err(|error| failure("user", "", error))?;
        }
        Ok(())
    }
}

fn failure(key: &'static str, value: &str, reason: impl fmt::Display) -> PrivilegeError {
    PrivilegeError { key, value: value.into(), reason: reason.to_string() }
}
