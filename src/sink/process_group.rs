//! A shell command and all processes it starts, as one process group. The group is killed as a
//! whole when its owner is dropped. The server reaps processes that remain after that.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use mio::unix::pipe::{self, Sender};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::privileges::Login;

/// Variables with which a service manager addresses this process alone.
const OURS: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Child,
    status: Option<ExitStatus>,
}

impl ProcessGroup {
    /// Runs `command` by /bin/sh without waiting for it. It gets no descriptor of ours but standard
    /// output and error. The pipe that is returned is its standard input.
    pub(super) fn start(command: &str, account: Option<&Login>) -> io::Result<(Sender, Self)> {
        let (sender, receiver) = pipe::new()?;
        receiver.set_nonblocking(false)?;
        let mut shell = Command::new("/bin/sh");
        // By posix_spawn: nothing here asks for more, or std would fork.
        shell.arg("-c").arg(command).process_group(0).stdin(Stdio::from(OwnedFd::from(receiver)));
        OURS.iter().for_each(|name| _ = shell.env_remove(name));
        if let Some(Login { name, home, shell: path }) = account {
            shell.env("HOME", home).env("USER", name).env("LOGNAME", name).env("SHELL", path);
        }
        let leader = shell.spawn()?;
        Ok((sender, Self { leader, status: None }))
    }

    /// Returns how the command exited, or `None` if it has not yet. Never waits.
    pub(super) fn exit(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.leader.try_wait()?;
        }
        Ok(self.status)
    }

    /// Reaps `child` if it is the command. Returns whether it is.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.leader.id() == child && !matches!(self.exit(), Ok(None))
    }

    /// Kills all processes of the group. As long as the command is not reaped, or another process
    /// of the group lives, no other process can have its number.
    pub(super) fn kill(&self) {
        if let Ok(leader) = i32::try_from(self.leader.id()) {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL); // it fails if no process is left
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.kill();
            let _ = self.exit();
        }
    }
}
