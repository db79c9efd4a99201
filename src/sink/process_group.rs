//! [`ProcessGroup`]: a shell command and all processes it starts, as one process group. The group
//! is killed as a whole when its owner is dropped. The server reaps the command after that.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use mio::unix::pipe::{self, Sender};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::privileges::Login;

/// Variables that a service manager sets for the server. A command must not inherit them: it could
/// otherwise report to systemd in the name of the server.
const OURS: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// A running command with its process group.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Child,
    /// How the command exited. `None` until it is reaped.
    status: Option<ExitStatus>,
}

impl ProcessGroup {
    /// Runs `command` by /bin/sh without waiting for it. Of the server's descriptors it gets only
    /// standard output and standard error. The returned pipe is its standard input.
    pub(super) fn start(command: &str, account: Option<&Login>) -> io::Result<(Sender, Self)> {
        let (sender, receiver) = pipe::new()?;
        receiver.set_nonblocking(false)?;
        let mut shell = Command::new("/bin/sh");
        // std uses posix_spawn as long as nothing here needs more, such as `pre_exec` or `uid`.
        // With these it would fork, which takes long in a process with much memory.
        shell.arg("-c").arg(command).process_group(0).stdin(Stdio::from(OwnedFd::from(receiver)));
        OURS.iter().for_each(|name| _ = shell.env_remove(name));
        if let Some(Login { name, home, shell: path }) = account {
            shell.env("HOME", home).env("USER", name).env("LOGNAME", name).env("SHELL", path);
        }
        let leader = shell.spawn()?;
        Ok((sender, Self { leader, status: None }))
    }

    /// Returns how the command exited, or `None` if it still runs. Never blocks.
    pub(super) fn exit(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.leader.try_wait()?;
        }
        Ok(self.status)
    }

    /// Reaps the ended child process `child` if it is the command. Returns whether it is.
    pub(super) fn note_exit(&mut self, child: u32) -> bool {
        self.leader.id() == child && !matches!(self.exit(), Ok(None))
    }

    /// Kills all processes of the group. This cannot hit a stranger: the kernel does not reuse the
    /// number while the command is not reaped, or while another process of the group lives.
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
