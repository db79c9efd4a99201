//! The children of the server (look-ups and commands): their user, their privileges, and that none
//! remains as a zombie.

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Conf, DEADLINE, Daemon, Process, exec, run, skipped, until, until_true};

/// Returns a field of /proc/PID/status. Returns `None` if there is no such process.
fn status(pid: &str, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")))?;
    Some(line.trim().to_owned())
}

/// Returns the ids of a process's children, zombies included.
fn children(pid: u32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Shows that no zombie remains of a command that is killed because a reload removes its
/// destination.
#[test]
fn a_command_whose_destination_goes_is_reaped() {
    let daemon = Daemon::start(&exec("exec sleep 600").set("statsd", "shutdown_timeout", "0"));
    until_true("the command to run", || !daemon.children().is_empty());
    daemon.reload(&Conf::flushing_every("1s"));
    daemon.until_logged(&["reload=done", "exec"], 1);
    until_true("no child to be left", || daemon.children().is_empty());
    daemon.stop();
}

/// Shows the same of a look-up without an answer, and that it can gain no privileges.
#[test]
fn a_look_up_whose_destination_goes_is_reaped_and_can_gain_no_privileges() {
    let test = "a_look_up_whose_destination_goes_is_reaped_and_can_gain_no_privileges";
    let folder = tempfile::tempdir().unwrap();
    let Ok(_silent) = UdpSocket::bind("127.0.0.153:53") else {
        return skipped(test, "a name server", "run as root, with port 53 of 127.0.0.153 free");
    };
    fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.153\noptions timeout:30\n")
        .unwrap();
    let mount = "mount --bind resolv.conf /etc/resolv.conf && exec \"$0\" \"$@\"";
    let in_view_of_its_own = |command: &mut Command| {
        command.args(["--mount", "sh", "-c", mount]);
    };
    if !works(folder.path(), in_view_of_its_own) {
        return skipped(test, "unshare --mount", "run as root");
    }
    let conf = Conf::flushing_every("1s").set("statsd", "shutdown_timeout", "0");
    for kind in ["carbon", "ganglia"] {
        let sending = conf.clone().set(kind, "address", "statsd-test.example.org:1");
        let server = Wrapped::start(folder.path(), &sending, in_view_of_its_own);
        until_true("a look-up without new privileges", || {
            let child = children(server.pid()).pop();
            child.and_then(|child| status(&child, "NoNewPrivs")).as_deref() == Some("1")
        });
        assert_eq!(status(&server.pid().to_string(), "NoNewPrivs").unwrap(), "0");
        server.reload(&conf);
        server.until_logged("reload=done");
        until_true("no child to be left", || children(server.pid()).is_empty());
    }
}

/// Shows that the server as process 1 reaps the orphans of its commands, and that it still gets the
/// exit status of the commands themselves.
#[test]
fn process_1_reaps_every_orphan() {
    let folder = tempfile::tempdir().unwrap();
    let in_processes_of_its_own = |command: &mut Command| {
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    };
    if !works(folder.path(), in_processes_of_its_own) {
        return skipped("process_1_reaps_every_orphan", "unshare --pid", "run as root");
    }
    let command = "cat > /dev/null; (sleep 0.1; echo >> orphans) & (exit 1) & exit 3";
    let server = Wrapped::start(folder.path(), &exec(command), in_processes_of_its_own);
    let pid = until(DEADLINE, "the server", || children(server.pid()).pop());
    assert_eq!(status(&pid, "NSpid").unwrap().split_whitespace().last(), Some("1"));
    server.until_logged("reason=\"exit status: 3\"");
    until_true("three orphans", || {
        fs::read(folder.path().join("orphans")).is_ok_and(|lines| lines.len() >= 3)
    });
    // No command runs any more.
    fs::write(folder.path().join("statsd.conf"), Conf::flushing_every("1s").text()).unwrap();
    run(Command::new("kill").args(["-HUP", &pid]));
    server.until_logged("reload=done");
    let pid = pid.parse().unwrap();
    until_true("no zombie to be left", || children(pid).is_empty());
}

/// Shows that commands get the home of the user that the server has become, and that neither can
/// gain privileges. A command that fails is logged with a hint at this.
#[test]
fn commands_run_as_the_user_in_its_home() {
    let Some(entry) = account("nobody") else {
        return skipped("commands_run_as_the_user_in_its_home", "nobody", "add such a user");
    };
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let written = folder.path().join("environment");
    let command = format!("env > {0}.$$; mv {0}.$$ {0}; exit 7", written.display());
    let conf = exec(&command).set("statsd", "user", "nobody");
    let daemon = Daemon::start(&conf);
    daemon.until_logged(&["state=failing", "exit status: 7", "sudo and setuid programs fail"], 1);
    let environment = fs::read_to_string(&written).unwrap();
    for (name, field) in [("HOME", 5), ("USER", 0), ("LOGNAME", 0), ("SHELL", 6)] {
        let expected = format!("{name}={}", entry[field]);
        assert!(environment.lines().any(|line| line == expected), "{expected}: {environment}");
    }
    assert_eq!(daemon.status("NoNewPrivs"), 1);
    daemon.stop();
}

/// Shows that without `user` no privileges are taken away, and no hint names them.
#[test]
fn without_a_user_commands_keep_what_the_server_was_given() {
    let daemon = Daemon::start(&exec("env > new.$$; mv new.$$ environment; exit 7"));
    if daemon.status("NoNewPrivs") == 1 {
        return skipped("without_a_user_…", "privileges", "run without no-new-privileges");
    }
    daemon.until_logged(&["state=failing", "exit status: 7"], 1);
    assert!(!daemon.log().iter().any(|line| line.contains("setuid")));
    let environment = fs::read_to_string(daemon.folder().join("environment")).unwrap();
    if let Ok(home) = std::env::var("HOME") {
        assert!(environment.lines().any(|line| line == format!("HOME={home}")), "{environment}");
    }
    daemon.stop();
}

/// Returns the fields of a user's line in /etc/passwd.
fn account(name: &str) -> Option<Vec<String>> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
    Some(line.split(':').map(str::to_owned).collect())
}

/// Whether `unshare` works with these options.
fn works(folder: &Path, prepare: impl Fn(&mut Command)) -> bool {
    let mut command = Command::new("unshare");
    prepare(&mut command);
    command.current_dir(folder).arg("true");
    command.output().is_ok_and(|output| output.status.success())
}

/// A server started by `unshare`.
struct Wrapped<'a> {
    process: Process,
    folder: &'a Path,
}

impl<'a> Wrapped<'a> {
    fn start(folder: &'a Path, conf: &Conf, prepare: impl Fn(&mut Command)) -> Self {
        fs::write(folder.join("statsd.conf"), conf.text()).unwrap();
        let mut command = Command::new("unshare");
        prepare(&mut command);
        command.args([env!("CARGO_BIN_EXE_statsd"), "-c", "statsd.conf"]);
        let process = Process::start(command.current_dir(folder).env_remove("RUST_LOG"));
        let started = Self { process, folder };
        started.until_logged("ready ");
        started
    }

    /// The id of `unshare`'s process, which is the server itself unless `unshare` forks.
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn reload(&self, conf: &Conf) {
        fs::write(self.folder.join("statsd.conf"), conf.text()).unwrap();
        run(Command::new("kill").args(["-HUP", &self.pid().to_string()]));
    }

    fn until_logged(&self, words: &str) {
        until_true(&format!("{words} in the log"), || {
            self.process.stderr().iter().any(|line| line.contains(words))
        });
    }
}
