//! Flushes on standard output. A reader that is slow or absent must not affect other destinations.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::Socket;

use crate::support::{
    Admin, Conf, DEADLINE, Daemon, FakeCarbon, Point, json, reserve_tcp, send_without_loss,
    statsd_command, until, until_true,
};

/// Shows that the console is sent what carbon is, line for line.
#[test]
fn text_is_what_carbon_is_sent() {
    let carbon = FakeCarbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s").set("console", "enabled", "yes");
    let daemon = Daemon::start(&conf);
    daemon.send(["hits;env=prod:3|c\nload:320|ms"]);
    let point = carbon.until_point("stats_counts.hits;env=prod", 3.0);
    let (stamp, points) = carbon.flush_after(point.stamp - 1);
    assert_eq!(stamp, point.stamp);
    let lines = || -> Vec<String> {
        let end = format!(" {stamp}");
        daemon.stdout().into_iter().filter(|line| line.ends_with(&end)).collect()
    };
    for point in points.iter().filter(|point| !point.is_own()) {
        let line = format!("{} {} {stamp}", point.name, point.value);
        until_true(&line, || lines().contains(&line));
    }
    daemon.stop();
}

/// Shows that `format = json` writes one object a line, with the names of its own name space, and
/// that a reload changes the format.
#[test]
fn json_is_an_object_a_line() {
    let conf = Conf::flushing_every("1s")
        .set("console", "enabled", "yes")
        .set("console", "format", "json")
        .set("console", "namespace", "new")
        .set("namespace.new", "style", "modern");
    let daemon = Daemon::start(&conf);
    daemon.send(["hits;env=prod:3|c"]);
    let wanted = r#"{"name":"stats.counters.hits.count","tags":{"env":"prod"},"value":3,"#;
    until_true(wanted, || daemon.stdout().iter().any(|line| line.starts_with(wanted)));
    for line in daemon.stdout() {
        json::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    daemon.reload(&conf.set("console", "format", "text"));
    let text = "stats.counters.hits.count;env=prod 0 ";
    until_true(text, || daemon.stdout().iter().any(|line| line.starts_with(text)));
    daemon.stop();
}

/// Shows that a reader that pauses delays neither the loop nor another destination, and gets all
/// lines whole when it reads again.
#[test]
fn a_reader_that_pauses_delays_no_other() {
    let carbon = FakeCarbon::start();
    let mut quiet = Quiet::start(&carbon);
    let names: Vec<String> = (0..3000).map(|nth| format!("name.number.{nth}:1|c")).collect();
    send_without_loss(quiet.udp, names.chunks(50).map(|lines| lines.join("\n")));
    // The first of three flushes of all series, each longer than a pipe.
    let is_count = |point: &&Point| point.name.starts_with("stats_counts.name.number.");
    let stamp = until(DEADLINE, "a flush of all series", || {
        let counts = carbon.points();
        let last = counts.iter().rev().find(is_count)?.stamp;
        let whole = counts.iter().filter(is_count).filter(|point| point.stamp == last);
        (whole.count() == 3000).then_some(last)
    });
    let (next, _) = carbon.flush_after(stamp);
    carbon.flush_after(next);
    let mut admin = Admin::connect(quiet.admin);
    until_true("a queue", || queued(&mut admin, "console") > 64 << 10);
    let mut lines = BufReader::new(quiet.child.stdout.take().unwrap()).lines();
    let read = lines.by_ref().map(Result::unwrap);
    let stamp_of = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    let whole: Vec<String> = read.take_while(|line| stamp_of(line) <= Some(next)).collect();
    for stamp in [stamp, next] {
        let of_it = |line: &&String| {
            line.starts_with("stats_counts.name.number.") && stamp_of(line) == Some(stamp)
        };
        assert_eq!(whole.iter().filter(of_it).count(), 3000);
    }
    assert!(whole.iter().all(|line| line.split(' ').count() == 3));
}

/// Shows that a reader that closes the pipe is logged once, and that only its own lines are lost
/// and counted.
#[test]
fn a_reader_that_closes_the_pipe_is_counted() {
    let carbon = FakeCarbon::start();
    let mut quiet = Quiet::start(&carbon);
    drop(quiet.child.stdout.take());
    let dropped = "stats.statsd.sink.console.dropped_lines";
    let point = carbon.until("dropped lines", |points| {
        points.iter().find(|point| point.name == dropped && point.number() > 0.0).cloned()
    });
    let more = carbon.until("more dropped lines", |points| {
        points.iter().find(|p| p.name == dropped && p.number() > point.number()).cloned()
    });
    assert!(more.stamp > point.stamp);
    assert_eq!(queued(&mut Admin::connect(quiet.admin), "console"), 0);
}

/// Shows that the flushes may go to a file or to `/dev/null`, and that a stop does not wait for a
/// full disk. The time for a stop is longer than the test has.
#[test]
fn standard_output_is_a_file_or_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    for (path, shown) in [
        (file.to_str().unwrap(), "console state=up queued_bytes=0 "),
        ("/dev/null", "console state=up queued_bytes=0 "),
        ("/dev/full", "console state=backing_off "),
    ] {
        let (_reserved, admin) = reserve_tcp();
        let conf = Conf::flushing_every("1s")
            .set("statsd", "shutdown_timeout", "1h")
            .set("carbon", "address", "")
            .set("console", "enabled", "yes")
            .set("admin", "bind", admin);
        std::fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
        let out = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let mut command = statsd_command(folder.path());
        let mut child = command.stdout(out).stderr(Stdio::null()).spawn().unwrap();
        until_true("a flush", || {
            let Ok(stream) = TcpStream::connect(admin) else { return false };
            let mut admin = Admin::over(stream);
            let is_flushed = path == "/dev/full" || admin.stats()["console.flush_length"] != "0";
            is_flushed && admin.ask("sinks").starts_with(shown)
        });
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let mut ended = None;
        until_true("its end", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(0), "{path}");
    }
    assert!(std::fs::read_to_string(file).unwrap().contains("statsd.numStats "));
}

fn queued(admin: &mut Admin, sink: &str) -> usize {
    let answer = admin.ask("sinks");
    let line = answer.lines().find(|line| line.starts_with(sink)).expect("a line for each sink");
    let field = line.split(' ').find_map(|field| field.strip_prefix("queued_bytes="));
    field.expect("its queue").parse().expect("a number")
}

/// A server whose standard output only the test reads.
struct Quiet {
    child: Child,
    udp: SocketAddr,
    admin: SocketAddr,
    _reserved: Socket,
    _folder: tempfile::TempDir,
}

impl Quiet {
    fn start(carbon: &FakeCarbon) -> Self {
        let (reserved, admin) = reserve_tcp();
        let conf = Conf::sending_to(carbon.address(), "1s")
            .set("console", "enabled", "yes")
            .set("statsd", "delete_idle", "no")
            .set("admin", "bind", admin);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("statsd.conf"), conf.text()).expect("a file");
        let mut child = statsd_command(folder.path())
            .args(["-c", "statsd.conf"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        let mut lines = log.lines().map_while(Result::ok);
        let ready = lines.find(|line| line.starts_with("ready ")).expect("its ready line");
        std::thread::spawn(move || lines.for_each(drop)); // or it would wait to write its log
        let udp = ready.split(' ').find_map(|field| field.strip_prefix("udp=")).expect("udp");
        let udp = udp.parse().expect("an address");
        Self { child, udp, admin, _reserved: reserved, _folder: folder }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
