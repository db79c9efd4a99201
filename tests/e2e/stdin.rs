//! `statsd --stdin`, as scripts and tests use it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Conf, Daemon, FakeCarbon, statsd_command, unix_now, until_true};

fn stdin_command(folder: &Path, conf: Option<&Conf>) -> Command {
    let mut command = statsd_command(folder);
    command.arg("--stdin").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(conf) = conf {
        std::fs::write(folder.join("statsd.conf"), conf.text()).unwrap();
        command.args(["-c", "statsd.conf"]);
    }
    command
}

/// Runs it to its end over this input.
fn over(input: &[u8], conf: Option<&Conf>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut child = stdin_command(folder.path(), conf).spawn().unwrap();
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

/// Shows that bad lines are complained of, and cost nothing else; an empty input is no lines.
#[test]
fn bad_lines_and_no_lines() {
    let Output { status, stdout, stderr } = over(b"a:1|c\nnonsense\nb:2|g\n", None);
    assert_eq!((status.code(), text(&stdout).lines().count()), (Some(0), 3));
    assert!(text(&stderr).contains("bad_lines=1") && text(&stderr).contains("nonsense"));
    let Output { status, stdout, stderr } = over(b"", None);
    assert_eq!((status.code(), text(&stdout), text(&stderr)), (Some(0), "".into(), "".into()));
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

/// Shows that what is not delivered in time is a failure, and said.
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
    let conf = Conf::sending_to(carbon.address(), "1s").set("statsd", "shutdown_timeout", "2s");
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
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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
    let mut ended = None;
    until_true("its end", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(1));
}

/// Shows that the process waits for a slow reader of its output longer than `shutdown_timeout`, and
/// ends at once if the reader closes the pipe.
#[test]
fn whoever_reads_the_output_has_time() {
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
        let mut ended = None;
        until_true("its end", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(i32::from(!reads)));
    }
}
