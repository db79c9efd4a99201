//! `statsd --stdin`, as scripts and tests use it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Conf, Daemon, FakeCarbon, free_port, statsd_command, unix_now, until_true};

fn stdin_command(folder: &Path, conf: Option<&Conf>) -> Command {
    command("--stdin", folder, conf)
}

fn command(option: &str, folder: &Path, conf: Option<&Conf>) -> Command {
    let mut command = statsd_command(folder);
    command.arg(option).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(conf) = conf {
        std::fs::write(folder.join("statsd.conf"), conf.text()).unwrap();
        command.args(["-c", "statsd.conf"]);
    }
    command
}

/// Runs it to its end over this input.
fn over(input: &[u8], conf: Option<&Conf>) -> Output {
    over_with("--stdin", input, conf)
}

fn over_with(option: &str, input: &[u8], conf: Option<&Conf>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(option, folder.path(), conf).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Shows that without a configuration standard output gets the lines of the input, and nothing
/// else, with the current time.
#[test]
fn without_a_configuration_it_prints() {
    let before = unix_now();
    let Output { status, stdout, stderr } = over(b"a:1|c\na:2|c\nt:5|ms\nlast:7|g", None);
    assert_eq!((status.code(), text(&stderr)), (Some(0), String::new()));
    let stdout = text(&stdout);
    let stamp: u64 = stdout.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!((before..=unix_now() + 1).contains(&stamp), "{stamp}");
    for line in ["stats.a 0.3", "stats_counts.a 3", "stats.timers.t.upper 5", "stats.gauges.last 7"]
    {
        assert!(stdout.lines().any(|found| found == format!("{line} {stamp}")), "{stdout}");
    }
    assert!(!stdout.contains("statsd."), "own figures: {stdout}");
}

/// Shows that bad lines cause a warning, and cost nothing else. An empty input has no lines.
#[test]
fn bad_lines_and_no_lines() {
    let Output { status, stdout, stderr } = over(b"a:1|c\nnonsense\nb:2|g\n", None);
    assert_eq!((status.code(), text(&stdout).lines().count()), (Some(0), 3));
    assert!(text(&stderr).contains("bad_lines=1") && text(&stderr).contains("nonsense"));
    let Output { status, stdout, stderr } = over(b"", None);
    assert_eq!((status.code(), text(&stdout), text(&stderr)), (Some(0), "".into(), "".into()));
}

/// Shows that garbage alone is a failure: the script that made it must not end as if it had sent
/// something. A valid line that a rule drops, and an event, are no garbage.
#[test]
fn garbage_alone_is_a_failure() {
    let conf = Conf::flushing_every("10s")
        .set("carbon", "address", "")
        .set("rule.d", "match", "d.*")
        .set("rule.d", "drop", "yes");
    let too_long = "x".repeat(100_000);
    for (input, code) in [
        ("nonsense", 1),
        ("a:1|zz\nb:x|c\n\nc:1:2:x\n", 1),
        (&too_long, 1),
        ("\u{aa}\n", 1),
        ("nonsense\na:1|c\n", 0),
        ("a:x|c:1|c\n", 0),
        ("nonsense\na:1|c|T1656581400\n", 0),
        ("nonsense\nd.x:1|c\n", 0),
        ("nonsense\n_e{1,1}:a|b\n", 0),
        ("\n \n", 0),
        ("", 0),
    ] {
        for option in ["--stdin", "--dry-run"] {
            let Output { status, stdout, stderr } =
                over_with(option, input.as_bytes(), Some(&conf));
            let (stdout, stderr) = (text(&stdout), text(&stderr));
            assert_eq!(status.code(), Some(code), "{option} {input:?}: {stderr}");
            assert_eq!(stderr.contains("stdin=garbage"), code == 1, "{stderr}");
            assert_eq!(stderr.contains("bad_lines="), !input.trim().is_empty(), "{stderr}");
            let is_last = stderr.lines().last().is_some_and(|line| line.contains("stdin=garbage"));
            assert_eq!(is_last, code == 1, "the reasons come first: {stderr}");
            assert!(code == 0 || stdout.is_empty(), "{stdout}");
        }
    }
}

/// A destination of each kind, and what must not be touched by a dry run.
struct Everything {
    carbon: FakeCarbon,
    tcp: TcpListener,
    udp: UdpSocket,
    folder: tempfile::TempDir,
}

const STATE: &str = "of the running server";

impl Everything {
    fn new() -> Self {
        let everything = Self {
            carbon: FakeCarbon::start(),
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(everything.path("state"), STATE).unwrap();
        std::fs::write(everything.path("statsd.conf"), everything.conf().text()).unwrap();
        everything
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn conf(&self) -> Conf {
        let packets = self.udp.local_addr().unwrap();
        let there = self.tcp.local_addr().unwrap();
        Conf::sending_to(self.carbon.address(), "10s")
            .set("statsd", "state_file", self.path("state").display())
            .set("spool", "dir", self.path("spool").display())
            .set("udp", "bind", packets)
            .set("carbon.pickled", "address", there)
            .set("carbon.pickled", "protocol", "pickle")
            .set("carbon.pickled", "namespace", "new")
            .set("namespace.new", "style", "modern")
            .set("influxdb", "address", there)
            .set("influxdb", "database", "x")
            .set("influxdb", "username", "u")
            .set("influxdb", "password", "secret")
            .set("ganglia", "address", packets)
            .set("repeater", "address", packets)
            .set("exec", "command", format!("touch {}", self.path("ran").display()))
            .set("console", "enabled", "yes")
            .set("console", "format", "json")
            .set("rule.d", "match", "d.*")
            .set("rule.d", "drop", "yes")
    }

    /// The heading of each destination, and some of its points.
    fn expected(&self, stamp: &str) -> [(String, String); 6] {
        let there = self.tcp.local_addr().unwrap();
        let tagged = "shop.orders;region=eu";
        [
            (
                format!("[carbon] {}", self.carbon.address()),
                format!("stats.{tagged} 0.3 {stamp}\nstats_counts.{tagged} 3 {stamp}"),
            ),
            (
                format!("[carbon.pickled] {there}"),
                format!("stats.counters.shop.orders.count;region=eu 3 {stamp}"),
            ),
            (
                format!("[influxdb] {there}"),
                format!("stats_counts.shop.orders,region=eu value=3 {stamp}000000000"),
            ),
            (
                format!("[ganglia] {}", self.udp.local_addr().unwrap()),
                "shop.orders.region_eu 0.3\nlat_max 0.005".into(),
            ),
            (
                "[console] standard output".into(),
                format!(
                    "{{\"name\":\"stats.timers.lat.upper\",\"value\":5,\"timestamp\":{stamp}}}"
                ),
            ),
            (
                format!("[exec] touch {}", self.path("ran").display()),
                format!("stats_counts.{tagged}|3|{stamp}"),
            ),
        ]
    }

    /// Fails if a destination got anything, or if a file was made or changed. The process that
    /// could have done so has ended.
    fn check_untouched(&self) {
        self.tcp.set_nonblocking(true).unwrap();
        assert!(self.tcp.accept().is_err(), "a connection");
        self.udp.set_nonblocking(true).unwrap();
        assert!(self.udp.recv(&mut [0; 9]).is_err(), "a packet");
        assert_eq!((self.carbon.connections(), self.carbon.points().len()), (0, 0));
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["state", "statsd.conf"]);
        assert_eq!(std::fs::read_to_string(self.path("state")).unwrap(), STATE);
    }
}

/// Shows that `--dry-run` prints the points of each destination below its section and address, and
/// neither connects to one nor starts a command nor uses a file.
#[test]
fn a_dry_run_prints_what_each_destination_would_get() {
    let everything = Everything::new();
    let mut child = command("--dry-run", everything.folder.path(), None).spawn().unwrap();
    let input = b"shop.orders:3|c|#region:eu\nd.x:1|c\nnonsense\nlat:5|ms";
    child.stdin.take().unwrap().write_all(input).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("bad_lines=1") && stderr.lines().count() == 1, "{stderr}");
    let lines: Vec<_> = stdout.lines().collect();
    let stamp = lines[1].split(' ').next_back().unwrap();
    for (heading, points) in everything.expected(stamp) {
        let start = lines.iter().position(|line| *line == format!("# {heading}"));
        let start = start.unwrap_or_else(|| panic!("{heading}: {stdout}")) + 1;
        let section: Vec<_> =
            lines[start..].iter().take_while(|line| !line.starts_with('#')).collect();
        for point in points.lines() {
            assert!(section.contains(&&point), "{heading}: {point}\n{stdout}");
        }
    }
    assert_eq!(lines.iter().filter(|line| line.starts_with('#')).count(), 7, "{stdout}");
    assert_eq!(lines.last(), Some(&"# samples_dropped: 1"));
    assert!(!stdout.contains("secret") && !stdout.contains("d.x"), "{stdout}");
    everything.check_untouched();
}

/// Shows what a dry run prints for an empty file, without a file, and with both options.
#[test]
fn a_dry_run_needs_no_destination() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.conf"), "# nothing is set\n").unwrap();
    for (arguments, heading) in [
        (&["--dry-run"][..], "# [console] standard output"),
        (&["--stdin", "--dry-run"], "# [console] standard output"),
        (&["--dry-run", "-c", "empty.conf"], "# [carbon] 127.0.0.1:2003"),
        (&["-c", "empty.conf", "--dry-run", "--stdin"], "# [carbon] 127.0.0.1:2003"),
    ] {
        let mut command = statsd_command(folder.path());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a:1|c\n").unwrap();
        let Output { status, stdout, .. } = child.wait_with_output().unwrap();
        let stdout = text(&stdout);
        assert!(status.success() && stdout.starts_with(&format!("{heading}\nstats.a 0.1 ")));
        assert_eq!(stdout.lines().count(), 3, "{stdout}");
    }
}

/// Shows that standard output that cannot be written is a failure, and that a reader that closes it
/// early, as `head` does, gets no message.
#[test]
fn a_dry_run_needs_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (out, message) in [
        (Stdio::from(full), "statsd: cannot write to standard output: No space left on device"),
        (Stdio::from(closed), ""),
    ] {
        let mut child = command("--dry-run", folder.path(), None).stdout(out).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a:1|c\n").unwrap();
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let stderr = text(&stderr);
        assert_eq!(status.code(), Some(1));
        assert!(stderr.starts_with(message) && stderr.is_empty() == message.is_empty(), "{stderr}");
    }
}

/// Shows that no kind of standard output that always takes or always refuses is waited for. The
/// time for a stop is longer than the test has.
#[test]
fn an_output_that_the_poller_refuses_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::flushing_every("10s").set("statsd", "shutdown_timeout", "1h");
    let conf = conf.set("carbon", "address", "");
    let file = folder.path().join("out");
    for path in [file.to_str().unwrap(), "/dev/null", "/dev/full"] {
        let out = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let mut child = stdin_command(folder.path(), Some(&conf)).stdout(out).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a:1|c\n").unwrap();
        assert_eq!(exit_code(&mut child), Some(i32::from(path == "/dev/full")), "{path}");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 2);
}

/// Shows that standard input may be a file, a pipe that is nonblocking, or closed.
#[test]
fn standard_input_is_of_any_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    std::fs::write(&path, "a:1|c\na:2|c").unwrap();
    let run = |input: Stdio| stdin_command(folder.path(), None).stdin(input).spawn().unwrap();
    let output = run(File::open(&path).unwrap().into()).wait_with_output().unwrap();
    assert!(text(&output.stdout).contains("stats_counts.a 3 "));
    let output = run(Stdio::null()).wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let output = run(File::open(folder.path()).unwrap().into()).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "a folder");
    assert!(text(&output.stderr).contains("cannot read standard input: Is a directory"));
    let (mut writer, input) = mio::unix::pipe::new().unwrap(); // nonblocking
    let child = run(std::os::fd::OwnedFd::from(input).into());
    for line in [&b"a:1|c\n"[..], b"a:3|c"] {
        until_true("it to wait for input", || is_waiting(child.id()));
        writer.write_all(line).unwrap();
    }
    drop(writer);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("stats_counts.a 4 "));
}

fn is_waiting(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains("(statsd) S ")
}

/// Shows that the exit status depends on that of the command of `[exec]`: a command need not read
/// all of its input, but has to end well.
#[test]
fn a_command_decides_whether_all_was_delivered() {
    for (shell, code) in [
        ("cat", 0),
        ("true", 0),
        ("head -c1 >/dev/null", 0),
        ("exec <&-", 0),
        ("cat >/dev/null; exit 3", 1),
        ("false", 1),
        ("/no/such/command", 1),
    ] {
        let conf = Conf::flushing_every("10s").set("carbon", "address", "");
        let conf = conf.set("exec", "command", shell);
        let Output { status, stdout, stderr } = over(b"a:1|c\n", Some(&conf));
        assert_eq!(status.code(), Some(code), "{shell}: {}", text(&stderr));
        assert_eq!(text(&stdout).contains("stats_counts.a|1|"), shell == "cat", "{shell}");
        assert_eq!(text(&stderr).contains("state=failing"), code == 1, "{}", text(&stderr));
    }
}

/// Shows that a flush that is larger than the queue of a destination loses nothing, whether the
/// output is a file or a pipe.
#[test]
fn a_flush_larger_than_a_queue_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::flushing_every("10s").set("carbon", "address", "").set(
        "statsd",
        "shutdown_timeout",
        "0",
    );
    let name = "n".repeat(200);
    let lines: String = (0..40_000).map(|n| format!("{name}.{n}:1|ms\n")).collect();
    std::fs::write(folder.path().join("lines"), lines).unwrap();
    let input = || File::open(folder.path().join("lines")).unwrap();
    let path = folder.path().join("out");
    let out = File::create(&path).unwrap();
    let mut run = stdin_command(folder.path(), Some(&conf));
    let mut child = run.stdin(input()).stdout(out).spawn().unwrap();
    assert_eq!(exit_code(&mut child), Some(0));
    let written = std::fs::read(&path).unwrap();
    assert!(written.len() > 100 << 20, "{} bytes, and the queue has 64 MiB", written.len());
    let mut run = stdin_command(folder.path(), Some(&conf));
    let mut child = run.stdin(input()).spawn().unwrap();
    let mut read = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut read).unwrap();
    assert_eq!((exit_code(&mut child), read.len()), (Some(0), written.len()));
}

/// Shows that a signal ends the wait for a reader of standard output: while the flush is still
/// being put into the queue, and after that. What was not read counts as lost.
#[test]
fn a_signal_ends_the_wait_for_a_slow_reader() {
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::flushing_every("10s").set("carbon", "address", "");
    let conf = conf.set("statsd", "shutdown_timeout", "300ms");
    let name = "n".repeat(200);
    for (names, signal) in [(2000, Signal::SIGINT), (40_000, Signal::SIGTERM)] {
        let lines: String = (0..names).map(|n| format!("{name}.{n}:1|ms\n")).collect();
        std::fs::write(folder.path().join("lines"), lines).unwrap();
        let input = File::open(folder.path().join("lines")).unwrap();
        let mut child = stdin_command(folder.path(), Some(&conf)).stdin(input).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        assert_eq!(exit_code(&mut child), Some(1), "{signal}");
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(log.contains("state=abandoned"), "{log}");
    }
}

/// Waits for the end of a child. Returns its exit status.
fn exit_code(child: &mut Child) -> Option<i32> {
    let mut ended = None;
    until_true("its end", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    ended.and_then(|status| status.code())
}

/// Shows that the destinations of a configuration get the flush, even if a server with the same
/// configuration runs.
#[test]
fn it_sends_to_the_destinations_of_a_configuration_beside_their_server() {
    let carbon = FakeCarbon::start();
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("statsd", "state_file", folder.path().join("state").display())
        .set("spool", "dir", folder.path().join("spool").display());
    let daemon = Daemon::start(&conf);
    let port = daemon.udp().port();
    let same = conf.set("udp", "bind", format!("127.0.0.1:{port}"));
    let Output { status, stdout, stderr } = over(b"script.runs:1|c\n", Some(&same));
    assert_eq!((status.code(), text(&stdout), text(&stderr)), (Some(0), "".into(), "".into()));
    carbon.until_point("stats_counts.script.runs", 1.0);
    daemon.stop();
    assert_eq!(carbon.series("stats_counts.script.runs").len(), 1);
}

/// Shows that a failure to deliver in time is a failure of the command, and is logged.
#[test]
fn a_carbon_that_is_not_there_is_a_failure() {
    let carbon = FakeCarbon::absent();
    let conf = Conf::sending_to(carbon.address(), "1s").set("statsd", "shutdown_timeout", "200ms");
    let Output { status, stderr, .. } = over(b"a:1|c\n", Some(&conf));
    assert_eq!(status.code(), Some(1));
    let stderr = text(&stderr);
    for expected in ["sink=carbon state=abandoned lost_lines=2", "--stdin has no spool"] {
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(!stderr.contains("[spool]"), "it cannot have one: {stderr}");
}

/// Shows that a SIGHUP is logged, since it has no effect.
#[test]
fn a_reload_is_logged_as_dropped() {
    let carbon = FakeCarbon::absent();
    let conf = Conf::sending_to(carbon.address(), "1s").set("statsd", "shutdown_timeout", "8s");
    let folder = tempfile::tempdir().unwrap();
    let mut child = stdin_command(folder.path(), Some(&conf)).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a:1|c\n").unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("state=backing_off")));
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, Signal::SIGHUP).unwrap();
    assert!(log.any(|line| line.contains("reload=dropped")));
    assert!(log.any(|line| line.contains("state=abandoned")));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// Shows that a UDP destination where no process listens is reported, although all packets were
/// sent.
#[test]
fn a_udp_destination_that_is_not_there_is_logged() {
    let free = format!("127.0.0.1:{}", free_port());
    let conf = Conf::flushing_every("10s").set("carbon", "address", "");
    let conf = conf.set("influxdb", "address", free).set("influxdb", "protocol", "udp");
    let Output { stderr, .. } = over(b"a:1|c\n", Some(&conf));
    assert!(text(&stderr).contains("over=udp error=\"Connection refused"), "{}", text(&stderr));
}

/// Shows that a full disk is not waited for as a slow reader is.
#[test]
fn a_full_disk_ends_it_with_the_time_for_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::flushing_every("10s").set("statsd", "shutdown_timeout", "0");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = stdin_command(folder.path(), Some(&conf));
    let mut child = command.stdout(full).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a:1|c\n").unwrap();
    assert_eq!(exit_code(&mut child), Some(1));
}

/// Shows that the process waits for a slow reader of its output longer than `shutdown_timeout`, and
/// ends at once if the reader closes the pipe.
#[test]
fn a_reader_of_the_output_has_time() {
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::flushing_every("10s").set("statsd", "shutdown_timeout", "0");
    let input: String = (0..5000).map(|nth| format!("a.name.of.some.length.{nth}:1|c\n")).collect();
    for reads in [true, false] {
        let mut child = stdin_command(folder.path(), Some(&conf)).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut first = [0; 1];
        // The flush has begun, and the rest of its output is more than a pipe holds.
        stdout.read_exact(&mut first).unwrap();
        if reads {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            assert_eq!(rest.lines().count(), 10_000);
        } else {
            drop(stdout);
        }
        assert_eq!(exit_code(&mut child), Some(i32::from(!reads)));
    }
}
