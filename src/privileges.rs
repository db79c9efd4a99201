//! `[statsd] user` and `group`: the process gives up its privileges once it has bound its sockets.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, Uid, User, initgroups, setgid, setgroups, setuid};

/// Why privileges could not be dropped.
#[derive(Debug)]
pub struct NotDropped {
    key: &'static str,
    value: String,
    reason: String,
}

impl fmt::Display for NotDropped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, reason } = self;
        write!(out, "[statsd] {key} = {value}: {reason}; name one that is there, and start as root")
    }
}

/// The user and the group that the process is to become.
#[derive(Debug)]
pub struct Identity {
    user: Option<(User, String)>,
    group: Option<(Gid, String)>,
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
pub fn shut_out_others() {
    umask(Mode::from_bits_truncate(0o077));
}

/// Looks up a user and a group by name or by number. If only a user is given, its own group is
/// used.
pub fn look_up(user: &str, group: &str) -> Result<Identity, NotDropped> {
    let user = named("user", user, |name| match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    })?;
    let group = named("group", group, |name| match name.parse() {
        Ok(number) => Group::from_gid(Gid::from_raw(number)),
        Err(_) => Group::from_name(name),
    })?;
    Ok(Identity { user, group: group.map(|(group, name)| (group.gid, name)) })
}

/// Looks up the value of the key `user` or `group`. Returns `None` if the key is empty.
fn named<T>(
    key: &'static str,
    name: &str,
    find: impl FnOnce(&str) -> nix::Result<Option<T>>,
) -> Result<Option<(T, String)>, NotDropped> {
    let fail = |reason: String| NotDropped { key, value: name.into(), reason };
    if name.is_empty() {
        // An empty name needs no look-up. A look-up loads the modules of the name service, which
        // may wait for a network.
        return Ok(None);
    }
    match find(name) {
        Ok(Some(found)) => Ok(Some((found, name.into()))),
        Ok(None) => Err(fail(format!("no such {key}"))),
        Err(error) => Err(fail(error.to_string())),
    }
}

impl Identity {
    /// Returns the user and group that the files created so far must be given to.
    pub fn owner(&self) -> (Option<u32>, Option<u32>) {
        (self.user.as_ref().map(|(user, _)| user.uid.as_raw()), self.gid().map(Gid::as_raw))
    }

    /// Returns the account that this process becomes. Returns `None` if the user does not change.
    pub fn account(&self) -> Option<Login> {
        self.user.as_ref().map(|(user, _)| Login {
            name: user.name.clone(),
            home: user.dir.clone(),
            shell: user.shell.clone(),
        })
    }

    fn gid(&self) -> Option<Gid> {
        let own = self.user.as_ref().map(|(user, _)| user.gid);
        self.group.as_ref().map(|(gid, _)| *gid).or(own)
    }

    /// Becomes this user and group for good. The groups are set first, since the new user may not
    /// set them.
    pub fn assume(self) -> Result<(), NotDropped> {
        let gid = self.gid();
        if let Some((gid, name)) = &self.group {
            let groups = if self.user.is_none() { setgroups(&[*gid]) } else { Ok(()) };
            groups.and_then(|()| setgid(*gid)).map_err(|error| not("group", name, error))?;
        }
        if let (Some((user, name)), Some(gid)) = (self.user, gid) {
            let name_of = std::ffi::CString::new(user.name.as_str()).map_err(io::Error::from);
            let name_of = name_of.map_err(|error| not("user", &name, error))?;
            initgroups(&name_of, gid)
                .and_then(|()| setgid(gid))
                .and_then(|()| setuid(user.uid))
                .map_err(|error| not("user", &name, error))?;
            if !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
                return Err(not("user", &name, "root could be had again"));
            }
            no_new_privileges().map_err(|error| not("user", &name, error))?;
        }
        Ok(())
    }
}

fn not(key: &'static str, value: &str, reason: impl fmt::Display) -> NotDropped {
    NotDropped { key, value: value.into(), reason: reason.to_string() }
}
