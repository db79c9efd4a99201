//! Files and standard error. Whatever is at a path, the server does not wait for it and does no
//! harm through it. No two servers write to one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use socket2::Socket;

use crate::support::{
    Admin, Conf, DEADLINE, Daemon, FakeCarbon, Finished, Process, reserve_tcp, run, statsd_command,
    uninterrupted, until, until_true,
};

/// A server whose standard error belongs to the test. It receives datagrams on d.sock.
struct Raw {
    child: Child,
    admin: SocketAddr,
    /// Keeps the port from other tests.
    _reserved: Socket,
    folder: tempfile::TempDir,
}

impl Raw {
    fn start(conf: &Conf, stderr: impl Into<Stdio>) -> Self {
        let (reserved, admin) = reserve_tcp();
        let folder = tempfile::tempdir().unwrap();
        let conf = conf.clone().set("admin", "bind", admin).set("unix", "datagram", "d.sock");
        fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
        let child = statsd_command(folder.path())
            .args(["-c", "statsd.conf"])
            .stderr(stderr)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        until_true("the admin port", || TcpStream::connect(admin).is_ok());
        until_true("the unix socket", || folder.path().join("d.sock").exists());
        Self { child, admin, _reserved: reserved, folder }
    }

    fn send(&self, packets: impl IntoIterator<Item = String>) {
        let socket = UnixDatagram::unbound().unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        for packet in packets {
            let path = self.folder.path().join("d.sock");
            uninterrupted(|| socket.send_to(packet.as_bytes(), &path))
                .expect("a server that reads");
        }
    }

    fn counter(&self, name: &str) -> f64 {
        let counters: BTreeMap<_, _> = Admin::connect(self.admin).numbers("counters");
        counters.get(name).copied().unwrap_or_default()
    }

    /// Sends SIGTERM, and expects exit code 0.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        run(Command::new("sh").args(["-c", "kill -TERM $0", &pid]));
        let status = until(DEADLINE, "its end", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn dumping() -> Conf {
    Conf::never_flushing().set("statsd", "dump_messages", "yes").set("admin", "http", "no")
}

fn named(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|nth| format!("some.name.{nth}:1|c"))
}

fn mkfifo(path: &Path) {
    run(Command::new("mkfifo").arg(path));
}

/// Runs the binary in a folder until it exits.
fn finish(folder: &Path, arguments: &[&str]) -> Finished {
    Process::start(statsd_command(folder).args(arguments)).finish(DEADLINE)
}

/// Shows that each log line which standard error did not take is counted. The number is reported
/// before the next line that it takes, and every line is whole.
#[test]
fn log_lines_that_are_not_read_are_counted_and_reported() {
    const PACKETS: usize = 3_000;
    let mut server = Raw::start(&dumping(), Stdio::piped());
    let stderr = server.child.stderr.take().unwrap();
    server.send(named(PACKETS));
    until_true("all packets", || server.counter("statsd.packets_received") == PACKETS as f64);
    let dropped = server.counter("statsd.log_lines_dropped");
    assert!(dropped > 0.0);
    let (sender, log) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| {
            let _ = sender.send(line);
        });
    });
    let mut lines: Vec<String> = Vec::new();
    let mut read_until = |count: f64, word: &str| {
        while (lines.iter().filter(|line| line.contains(word)).count() as f64) < count {
            lines.push(log.recv_timeout(DEADLINE).unwrap());
        }
    };
    read_until(PACKETS as f64 - dropped, "line=some.name");
    server.send(["last:1|c".into()]);
    read_until(1.0, "line=last");
    assert_eq!(reported(&lines), dropped, "{lines:?}");
    assert!(
        lines[lines.len() - 2]
            .contains(" level=warn log lines are missing here log_lines_dropped="),
        "{lines:?}"
    );
    let is_whole = |line: &&String| {
        let is_first = line.contains(" start=") && line.ends_with(" config=statsd.conf");
        let is_received = line.contains(" a line was received line=") && line.ends_with(":1|c");
        line.starts_with("ready udp=")
            || line.starts_with("time=") && (is_first || is_received || line.ends_with('"'))
    };
    let torn: Vec<_> = lines.iter().filter(|line| !is_whole(line)).collect();
    assert!(torn.is_empty(), "{torn:?}");
    server.stop();
}

/// The sum of the dropped lines that the log reports.
fn reported(lines: &[String]) -> f64 {
    let number = |line: &String| {
        let (_, rest) = line.split_once(" log_lines_dropped=")?;
        rest.split(' ').next()?.parse::<f64>().ok()
    };
    lines.iter().filter_map(number).sum()
}

/// Shows that flushes and a stop work as usual while standard error is full, closed by its reader,
/// on a full disk, or closed at the start.
#[test]
fn flushes_and_a_stop_need_no_reader_of_the_log() {
    let full = || {
        let (reader, writer) = io::pipe().unwrap();
        (Some(OwnedFd::from(reader)), Stdio::from(writer))
    };
    let closed = || (None, Stdio::from(io::pipe().unwrap().1));
    let disk = || (None, OpenOptions::new().write(true).open("/dev/full").unwrap().into());
    let socket = || {
        let (reader, writer) = UnixStream::pair().unwrap();
        (Some(OwnedFd::from(reader)), Stdio::from(OwnedFd::from(writer)))
    };
    for (kind, (reader, stderr)) in [
        ("a pipe", full()),
        ("a closed pipe", closed()),
        ("a full disk", disk()),
        ("a socket", socket()),
    ] {
        let carbon = FakeCarbon::start();
        let conf = Conf::sending_to(carbon.address(), "1s").set("statsd", "dump_messages", "yes");
        let server = Raw::start(&conf, stderr);
        server.send(named(5_000));
        carbon.until_point("stats_counts.some.name.4999", 1.0);
        let dropped = carbon.until(kind, |points| {
            let figures = points.iter().filter(|p| p.name.ends_with("log_lines_dropped"));
            figures.map(crate::support::Point::number).find(|value| *value > 0.0)
        });
        assert!(dropped > 0.0, "{kind}");
        server.stop();
        drop(reader);
    }
}

/// Shows that a reload immediately refuses a configuration that is not a regular file.
#[test]
fn a_reload_waits_for_nothing() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let path = daemon.folder().join("statsd.conf");
    let kinds: [(&str, &dyn Fn()); 3] = [
        ("is a FIFO", &|| mkfifo(&path)),
        ("is a device", &|| symlink("/dev/zero", &path).unwrap()),
        ("larger than 512k", &|| File::create(&path).unwrap().set_len(1 << 40).unwrap()),
    ];
    for (times, (why, make)) in (1..).zip(kinds) {
        fs::remove_file(&path).unwrap();
        make();
        daemon.hangup();
        daemon.until_logged(&["reload=refused", why], 1);
        daemon.send(["a:1|c"]);
        daemon.until_counter("a", f64::from(times));
    }
    daemon.stop();
}

/// Shows that a start reads a pipe and `/dev/null`.
#[test]
fn a_start_reads_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let script = "\"$0\" --print-config -c <(printf '[limits]\\nmax_series = 77\\n')";
    let mut command = Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_statsd")]);
    let printed = Process::start(&mut command).finish(DEADLINE);
    assert!(printed.stdout.contains("max_series = 77"), "{printed:?}");
    assert_eq!(finish(folder.path(), &["--check", "-c", "/dev/null"]).code, Some(0));
}

/// Shows that a file that looks half written or empty changes nothing, and that the log says why.
#[test]
fn a_reload_takes_no_half_of_a_file() {
    let conf = Conf::never_flushing();
    let daemon = Daemon::start(&conf);
    let path = daemon.folder().join("statsd.conf");
    let text = conf.text();
    let before = daemon.admin().ask("config");
    for (half, why) in [
        ("", "it sets no key"),
        ("[statsd]\n", "it sets no key"),
        (&text[..text.len() - 3], "it ends without a newline"),
        (&format!("{text}\0\0\0\0\n"), "without NUL bytes"),
    ] {
        let logged = |daemon: &Daemon| {
            let refused = |line: &&String| line.contains("reload=refused") && line.contains(why);
            daemon.log().iter().filter(refused).count()
        };
        let times = logged(&daemon);
        fs::write(&path, half).unwrap();
        daemon.hangup();
        until_true(why, || logged(&daemon) > times);
        assert_eq!(daemon.admin().ask("config"), before, "{why}");
    }
    daemon.reload(&conf.set("limits", "max_series", 77));
    daemon.until_logged(&["reload=done", "max_series"], 1);
    daemon.stop();
}

/// Shows that a server started without a file looks for one at a reload. It keeps the defaults
/// while there is none, and applies the file once there is one. The server has a network of its
/// own, since it listens on the default ports.
#[test]
fn a_server_without_a_file_reloads_normally() {
    let own_network = ["-n", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"];
    let can = Command::new("unshare").args(own_network).arg("true").output();
    if Path::new("/etc/statsd.conf").exists() || !can.is_ok_and(|ended| ended.status.success()) {
        eprintln!("SKIPPED: only root can make a network, and /etc/statsd.conf must not be there");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(own_network).arg(env!("CARGO_BIN_EXE_statsd"));
    let mut server = Process::start(command.current_dir(folder.path()).env_remove("RUST_LOG"));
    let logged = |server: &Process, words: &[&str]| {
        server.stderr().iter().any(|line| words.iter().all(|word| line.contains(word)))
    };
    until_true("its ready line", || logged(&server, &["ready "]));
    server.signal("HUP");
    until_true("a refusal", || logged(&server, &["reload=refused", "there is still none"]));
    fs::write(folder.path().join("statsd.conf"), "[limits]\nmax_series = 77").unwrap();
    server.signal("HUP");
    until_true("a reload", || logged(&server, &["reload=done", "max_series"]));
    server.signal("TERM");
    assert_eq!(server.exit(DEADLINE).code(), Some(0));
}

/// Shows that a FIFO, a folder or a planted link at the path of the state file, or beside it,
/// delays nothing, is not followed, and stays as it is. A state that cannot be saved is sent.
#[test]
fn a_state_file_that_is_none_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [fifo, link, precious] = ["fifo", "link", "precious"].map(|name| folder.path().join(name));
    mkfifo(&fifo);
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, &link).unwrap();
    for (path, why) in [
        (fifo.as_path(), "is a FIFO"),
        (&link, "is a symbolic link"),
        (folder.path(), "is a folder"),
    ] {
        let carbon = FakeCarbon::start();
        let conf = Conf::flushing_at_stop_to(carbon.address());
        let conf = conf.set("statsd", "state_file", path.display());
        let daemon = Daemon::start(&conf);
        daemon.until_logged(&["state=unwritable", why], 1);
        daemon.send(["a:1|c"]);
        daemon.until_counter("a", 1.0);
        daemon.stop();
        carbon.until_point("stats_counts.a", 1.0);
    }
    assert!(fifo.symlink_metadata().unwrap().file_type().is_fifo() && link.is_symlink());
    // FILE.new and FILE.old are the server's names. Anything else at these paths is removed.
    let state = folder.path().join("state");
    mkfifo(&folder.path().join("state.new"));
    symlink(&precious, folder.path().join("state.old")).unwrap();
    let daemon =
        Daemon::start(&Conf::never_flushing().set("statsd", "state_file", state.display()));
    daemon.send(["a:1|g"]);
    daemon.until_shown("gauges", "a", 1.0);
    daemon.stop();
    assert!(state.is_file());
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

/// Shows that `ulimit -f` does not end the server. A state that is too long is sent instead, log
/// lines are dropped, and commands start without ignored signals.
#[test]
fn a_limit_of_the_size_of_files_ends_no_server() {
    let carbon = FakeCarbon::start();
    let conf = Conf::flushing_at_stop_to(carbon.address())
        .set("statsd", "state_file", "state")
        .set("statsd", "state_interval", "100ms")
        .set("statsd", "shutdown_timeout", "1m")
        .set("exec", "command", "cat > read; grep SigIgn /proc/self/status > ignored");
    let mut daemon = Daemon::start_with(&conf, |command| {
        let program = command.get_program().to_owned();
        let folder = command.get_current_dir().unwrap().to_owned();
        *command = Command::new("bash");
        command.current_dir(folder).env_remove("RUST_LOG");
        command.args(["-c", "ulimit -f 16; exec \"$0\" -c statsd.conf"]).arg(program)
    });
    daemon.send((0..2_000).map(|nth| format!("a.gauge.of.some.length.{nth}:1|g")));
    daemon.until_shown("gauges", "a.gauge.of.some.length.1999", 1.0);
    daemon.until_logged(&["state=unsaved", "File too large"], 1);
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0), "{:?}", daemon.log());
    carbon.until_point("stats.gauges.a.gauge.of.some.length.1999", 1.0);
    let ignored = fs::read_to_string(daemon.folder().join("ignored")).unwrap();
    let ignored = u64::from_str_radix(ignored.split_whitespace().last().unwrap(), 16).unwrap();
    let is_ignored = |signal: u32| ignored >> (signal - 1) & 1 == 1;
    assert!(!is_ignored(13) && !is_ignored(25), "SIGPIPE, SIGXFSZ: {ignored:x}");
}

/// Shows that a FIFO as the log of names with a slow reader loses no name and costs no turns.
/// Without a reader it costs a warning. A link is not followed.
#[test]
fn names_go_to_a_fifo_as_its_reader_takes_them() {
    const NAMES: usize = 2_000;
    let conf = Conf::never_flushing()
        .set("key_flush", "interval", "200ms")
        .set("key_flush", "percent", "100")
        .set("key_flush", "log", "names");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names");
    let conf = conf.set("key_flush", "log", path.display());
    mkfifo(&path);
    let daemon = Daemon::start(&conf);
    daemon.send(["first:1|c"]);
    daemon
        .until_logged(&["key_flush=failed", "is a FIFO that no process reads", "lost_names=1"], 1);
    let open = OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(&path);
    let mut reader = open.unwrap();
    let packet =
        |nth: usize| format!("some.name.that.is.rather.long.so.that.a.pipe.is.full.soon.{nth}:1|c");
    let packets: Vec<String> = (0..NAMES).map(packet).collect();
    daemon.send(packets.chunks(20).map(|some| some.join("\n")));
    daemon.until_counter("statsd.metrics_received", NAMES as f64 + 1.0);
    let mut text = Vec::new();
    let names = |text: &[u8]| -> BTreeSet<String> {
        let lines =
            text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let name = |line: &[u8]| {
            let line = str::from_utf8(line).unwrap().trim_end();
            assert!(line.starts_with("time="), "{line}");
            line.split_once(" count=1 key=").map(|(_, name)| name.to_owned())
        };
        lines.filter_map(name).filter(|name| name.starts_with("some.")).collect()
    };
    until_true("all names", || {
        let mut piece = [0; 1024];
        match reader.read(&mut piece) {
            Ok(bytes) => text.extend_from_slice(&piece[..bytes]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        names(&text).len() == NAMES
    });
    daemon.until_logged(&["key_flush=recovered", "lost_names=1"], 1);
    daemon.stop();
}

/// Shows that the log of names follows no planted link and is not written to a folder that others
/// can write to. It may be standard output or standard error.
#[test]
fn names_go_only_where_they_are_meant_to() {
    let folder = tempfile::tempdir().unwrap();
    let [link, precious, open] = ["link", "precious", "open"].map(|name| folder.path().join(name));
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, &link).unwrap();
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let conf = |path: &Path| {
        let conf = Conf::never_flushing().set("key_flush", "interval", "200ms");
        conf.set("key_flush", "log", path.display())
    };
    for (path, why) in
        [(&link, "is a symbolic link"), (&open.join("log"), "can be written to by other users")]
    {
        let daemon = Daemon::start(&conf(path));
        daemon.send(["a:1|c"]);
        daemon.until_logged(&["key_flush=failed", why], 1);
        daemon.stop();
    }
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
    let daemon = Daemon::start(&conf(Path::new("/dev/stderr")));
    daemon.send(["a:1|c"]);
    daemon.until_logged(&["time=", " count=1 key=a"], 1);
    daemon.stop();
    let daemon = Daemon::start(&conf(Path::new("/dev/stdout")));
    daemon.send(["a:1|c"]);
    until_true("the name", || daemon.stdout().iter().any(|line| line.ends_with(" count=1 key=a")));
    daemon.stop();
}

/// Shows that a second server is refused the state file of the first, by any path, at its start and
/// at a reload. It gets the file once the first server has ended. `--stdin` needs none.
#[test]
fn two_servers_share_no_state_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = |name: &str| folder.path().join(name).display().to_string();
    let conf = |path: &str| Conf::never_flushing().set("statsd", "state_file", path);
    let first = Daemon::start(&conf(&state("state")));
    fs::create_dir(folder.path().join("links")).unwrap();
    let link = folder.path().join("links/folder");
    symlink(folder.path(), &link).unwrap();
    let other_path = link.join("state").display().to_string();
    let beside = tempfile::tempdir().unwrap();
    fs::write(beside.path().join("statsd.conf"), conf(&other_path).text()).unwrap();
    let refused = finish(beside.path(), &["-c", "statsd.conf"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for word in ["cannot use state_file", "another server uses it", "state.lock"] {
        assert!(refused.stderr.contains(word), "no {word}: {}", refused.stderr);
    }
    let beside_it = finish(beside.path(), &["--stdin", "-c", "statsd.conf"]);
    assert_eq!(beside_it.code, Some(0), "{}", beside_it.stderr);
    let second = Daemon::start(&conf(&state("other")));
    second.reload(&conf(&other_path));
    second.until_logged(&["reload=refused", "another server uses it"], 1);
    second.send(["b:2|g"]);
    second.until_shown("gauges", "b", 2.0);
    first.stop();
    second.reload(&conf(&other_path));
    second.until_logged(&["reload=done", "state_file"], 1);
    second.reload(&conf(&state("state"))); // the same file
    second.until_logged(&["reload=done", "state_file"], 2);
    second.reload(&conf(&state("state.old"))); // a start renames the file to that
    second.until_logged(&["reload=refused", "this server itself uses it", "state.lock"], 1);
    second.stop();
    assert!(
        fs::read_dir(folder.path())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_str().unwrap().ends_with(".lock") })
    );
}

/// Shows that a second server is refused each address of the first, for both kinds of sockets and
/// by any of the server's addresses.
#[test]
fn two_servers_share_no_address() {
    let first =
        Daemon::start(&Conf::never_flushing().set("udp", "bind", "*:0").set("tcp", "bind", "*:0"));
    let (udp, tcp) = (first.udp().port(), first.tcp().port());
    let folder = tempfile::tempdir().unwrap();
    for (section, port) in [("udp", udp), ("tcp", tcp), ("admin", tcp)] {
        for host in ["*", "127.0.0.1", "[::1]"] {
            let conf = Conf::never_flushing().set(section, "bind", format!("{host}:{port}"));
            fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
            let refused = finish(folder.path(), &["-c", "statsd.conf"]);
            assert_eq!(refused.code, Some(1), "{section} {host}: {}", refused.stderr);
            assert!(refused.stderr.contains("another process has the port"), "{}", refused.stderr);
        }
    }
    first.stop();
}

/// Shows that a server whose lock on its state file was removed, as by a tool that tidies /tmp,
/// takes it again with the next save, so that a second server is kept away.
#[test]
fn a_lock_that_was_removed_is_taken_again() {
    let conf = Conf::never_flushing().set("statsd", "state_file", "state").set(
        "statsd",
        "state_interval",
        "1s",
    );
    let server = Daemon::start(&conf);
    let lock = server.folder().join("state.lock");
    fs::remove_file(&lock).unwrap();
    until_true("the lock", || lock.exists());
    let refused = finish(server.folder(), &["-c", "statsd.conf"]);
    assert!(refused.stderr.contains("cannot use state_file"), "{:?}", refused.stderr);
    server.stop();
}
