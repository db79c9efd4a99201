//! What the admin port shows of senders and of bad lines, with real clients.

use std::io::{BufRead as _, BufReader, IoSlice, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::unistd::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::support::{Conf, Daemon, peer_script, peers, run, until, until_true};

/// The line of a sender, or an empty text.
fn line_of(daemon: &Daemon, sender: &str) -> String {
    let answer = daemon.admin().ask("senders");
    assert!(answer.ends_with("END\n\n"), "{answer}");
    let begin = format!("{sender} ");
    answer.lines().find(|line| line.starts_with(&begin)).unwrap_or_default().to_owned()
}

/// A client of Datadog that sends on request.
struct Datadog {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Datadog {
    fn start(to: &str) -> Self {
        let mut child = Command::new(peers().join("venv/bin/python"))
            .arg(peer_script("report_datadog.py"))
            .arg(to)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, commands, answers }
    }

    fn request(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n");
    }
}

impl Drop for Datadog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows the figures of each sender, the others, and what `top` makes of them.
#[test]
fn senders_have_a_line_each() {
    let daemon = Daemon::start(&Conf::never_flushing().set("udp", "bind", "127.0.0.1:0").set(
        "limits",
        "max_series",
        3,
    ));
    let from = |address: &str, packets: &[&str]| {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        for packet in packets {
            socket.send_to(packet.as_bytes(), daemon.udp()).unwrap();
        }
    };
    from("127.0.0.2", &["a:1|c\nb:1|c\na:1|c", "a:1|c"]);
    from("127.0.0.2", &["a:1|c"]);
    from("127.0.0.3", &["c:1|c\nbad\nworse\na:x|c\nd:1|c\ne:1|c"]);
    from("127.0.0.4", &["a:1|c"]);
    daemon.until_counter("a", 5.0);
    daemon.tcp_client().write_all(b"a:1|c\na:1|c\n").unwrap();
    daemon.until_counter("a", 7.0);
    let answer = daemon.admin().ask("senders");
    let lines: Vec<&str> = answer.lines().collect();
    for (line, expected) in lines.iter().zip([
        "127.0.0.3 packets=1 lines=6 bytes=33 bad_lines=3 bad_reason=\"no colon and value after the \
         name\" series=1 refused=2 refused_reason=\"the table of series is full, and no series makes \
         room for the name\" last_seen=20",
        "127.0.0.2 packets=3 lines=5 bytes=27 bad_lines=0 series=2 refused=0 last_seen=20",
        "127.0.0.1 packets=0 lines=2 bytes=12 bad_lines=0 series=0 refused=0 last_seen=20",
        "127.0.0.4 packets=1 lines=1 bytes=5 bad_lines=0 series=0 refused=0 last_seen=20",
        "END",
    ]) {
        assert!(line.starts_with(expected), "{answer}");
    }
    let answer = daemon.admin().ask("senders 1");
    let others = "others senders=3 packets=4 lines=8 bytes=44 bad_lines=0 series=2 refused=0\nEND";
    assert!(answer.starts_with("127.0.0.3 ") && answer.contains(others), "{answer}");
    let mut admin = daemon.admin();
    assert_eq!(admin.ask("top senders 2"), "6 127.0.0.3\n5 127.0.0.2\n+2 more\nEND\n\n");
    assert_eq!(admin.ask("top bytes 1"), "33 127.0.0.3\n+3 more\nEND\n\n");
    assert_eq!(admin.ask("top bad"), "3 127.0.0.3\nEND\n\n");
    assert_eq!(admin.ask("bad many"), "ERROR N must be a number\nEND\n\n");
    daemon.stop();
}

/// Shows the last bad lines, the oldest first, escaped and cut.
#[test]
fn bad_shows_the_last_bad_lines() {
    let daemon = Daemon::start(&Conf::never_flushing().set("unix", "datagram", "d.sock"));
    for (command, nothing) in [
        ("bad", "no bad line yet"),
        ("senders", "no sender yet"),
        ("top", "none yet; samples are counted at each flush"),
        ("top bad", "no bad line yet"),
        ("top new", "no new series yet"),
    ] {
        assert_eq!(daemon.admin().ask(command), format!("{nothing}\nEND\n\n"));
    }
    let long = format!("long{}", "x".repeat(300));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in [&b"one"[..], b"a:x|c", b"\x1b[2J\xff", long.as_bytes()] {
        socket.send_to(packet, daemon.udp()).unwrap();
    }
    daemon.until_counter("statsd.bad_lines_seen", 4.0);
    let unix = UnixDatagram::unbound().unwrap();
    unix.send_to(b"last", daemon.folder().join("d.sock")).unwrap();
    daemon.until_counter("statsd.bad_lines_seen", 5.0);
    let answer = daemon.admin().ask("bad");
    let here = socket.local_addr().unwrap().to_string();
    let process = format!("unix:{} user={}", std::process::id(), geteuid());
    let no_value = "no colon and value after the name";
    let expected = [
        format!("{here} {no_value}: one"),
        format!("{here} the value is not a finite decimal number: a:x|c"),
        format!("{here} {no_value}: \\x1b[2J\\xff"),
        format!("{here} {no_value}: {}...", &long[..200]),
        format!("{process} {no_value}: last"),
    ];
    let lines: Vec<&str> = answer.strip_suffix("END\n\n").unwrap().lines().collect();
    assert_eq!(lines.len(), expected.len(), "{answer}");
    for (line, expected) in lines.iter().zip(&expected) {
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest, expected);
        assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 24, "{time}");
    }
    let two = daemon.admin().ask("bad 2");
    assert_eq!(two, format!("{}\n{}\nEND\n\n", lines[3], lines[4]));
    daemon.stop();
}

/// Starts a process of another user, if this one may, that sends datagrams to a unix socket until
/// it is killed.
fn python_sender(path: &Path, user: u32) -> Child {
    let script = "import socket, sys, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        while True:\n    s.sendto(b'py:1|c\\nbad', sys.argv[1])\n    time.sleep(0.01)";
    let mut command = Command::new("/usr/bin/env");
    command.args(["python3", "-c", script]).arg(path).uid(user);
    command.spawn().unwrap()
}

/// Shows that unix datagrams name their process, on a socket that is bound at the start, by a
/// reload, or passed in, and that a stream does. The log names it, too.
#[test]
fn unix_datagrams_name_their_process() {
    let root = geteuid().is_root();
    let user = if root { 65_534 } else { geteuid().as_raw() };
    let folder = tempfile::tempdir().unwrap();
    let passed = folder.path().join("passed.sock");
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
    socket.bind(&SockAddr::unix(&passed).unwrap()).unwrap();
    let open = |conf: Conf| conf.set("unix", "mode", "0666");
    let conf = open(Conf::never_flushing().set("unix", "datagram", "d.sock"));
    let other = open(Conf::never_flushing().set("unix", "datagram", "other.sock"));
    for (way, daemon) in [
        ("start", Daemon::start(&conf)),
        ("reload", Daemon::start(&Conf::never_flushing())),
        ("passed", Daemon::start_passing(&Conf::never_flushing(), &[(&socket, "u")], None, |_| ())),
    ] {
        let path = match way {
            "start" => daemon.folder().join("d.sock"),
            "reload" => {
                daemon.reload(&other);
                daemon.folder().join("other.sock")
            }
            _ => passed.clone(),
        };
        // Another user must be able to reach the socket.
        for folder in [daemon.folder(), folder.path()] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(folder, open).unwrap();
        }
        if way == "passed" {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            std::fs::set_permissions(&path, open).unwrap();
        }
        let mut child = python_sender(&path, user);
        let sender = format!("unix:{}", child.id());
        let line = until(crate::support::DEADLINE, "the process", || {
            let line = line_of(&daemon, &sender);
            line.contains("bad_reason=").then_some(line)
        });
        let begin = format!("{sender} user={user} process=\"python3");
        assert!(line.starts_with(&begin), "{way}: {line}");
        daemon.until_logged(&["bad_lines=", &format!("sender={sender} ")], 1);
        child.kill().unwrap();
        child.wait().unwrap();
        let line = line_of(&daemon, &sender);
        assert!(line.starts_with(&format!("{sender} user={user} packets=")), "{way}: {line}");
        daemon.stop();
    }
    let daemon = Daemon::start(&Conf::never_flushing().set("unix", "stream", "s.sock"));
    let mut stream = UnixStream::connect(daemon.folder().join("s.sock")).unwrap();
    stream.write_all(b"a:1|c\nb:1|c\n").unwrap();
    daemon.until_counter("b", 1.0);
    let line = line_of(&daemon, &format!("unix:{}", std::process::id()));
    assert!(line.contains(&format!(" user={} process=\"", geteuid())), "{line}");
    assert!(line.contains(" packets=0 lines=2 bytes=12 "), "{line}");
    daemon.stop();
}

/// Shows that descriptors which a client sends along open nothing in the server.
#[test]
fn descriptors_of_a_client_never_get_in() {
    let daemon = Daemon::start(&Conf::never_flushing().set("unix", "datagram", "d.sock"));
    let socket = UnixDatagram::unbound().unwrap();
    let to = UnixAddr::new(&daemon.folder().join("d.sock")).unwrap();
    let file = tempfile::tempfile().unwrap();
    let mut admin = daemon.admin();
    admin.ask("version"); // its descriptor is the last one that is opened
    let before = daemon.descriptors();
    for nth in 1..=200_usize {
        let descriptors = vec![file.as_raw_fd(); 1 + nth % 250];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let text = [IoSlice::new(b"a:1|c")];
        sendmsg(socket.as_raw_fd(), &text, &rights, MsgFlags::empty(), Some(&to)).unwrap();
    }
    until_true("all packets", || admin.numbers("counters").get("a") == Some(&200.0));
    until_true("no more descriptors", || daemon.descriptors() <= before);
    let line = line_of(&daemon, &format!("unix:{}", std::process::id()));
    assert!(line.contains(" packets=200 lines=200 "), "{line}");
    daemon.stop();
}

/// Shows that Datadog's Python client, which loses nothing, is reported to lose nothing, also if
/// several processes send from one address.
#[test]
fn a_client_that_loses_nothing_is_reported_so() {
    let daemon = Daemon::start(&Conf::never_flushing().set("udp", "bind", "127.0.0.1:0"));
    let port = daemon.udp().port().to_string();
    let mut clients = [Datadog::start(&port), Datadog::start(&port)];
    let mut sent = 0;
    let until_received = |sent: u32| daemon.until_counter("py.sent", f64::from(sent));
    for round in 0..6 {
        for client in &mut clients {
            client.request("200");
            sent += 200;
            until_received(sent);
            client.request("report");
            sent += 1;
            until_received(sent);
        }
        let is_compared = line_of(&daemon, "127.0.0.1").contains(" sent ");
        assert_eq!(is_compared, round > 0, "the first reports are not compared");
    }
    // Five intervals of each, with 200 packets, the one that the report followed, and the report.
    let line = line_of(&daemon, "127.0.0.1");
    assert!(line.ends_with(" sent 2,020 received 2,020 lost 0"), "{line}");
    daemon.stop();
}

/// Shows that packets which the receive buffer had no room for are reported as lost.
#[test]
fn packets_that_the_kernel_dropped_are_reported_as_lost() {
    let conf = Conf::never_flushing().set("udp", "bind", "127.0.0.1:0");
    let daemon = Daemon::start(&conf.set("udp", "recv_buffer", "8k"));
    let mut client = Datadog::start(&daemon.udp().port().to_string());
    client.request("report");
    daemon.until_counter("py.sent", 1.0);
    daemon.freeze();
    client.request("1000");
    daemon.thaw();
    let drops = || daemon.admin().stats()[&format!("udp.{}.drops", daemon.udp())].clone();
    until_true("drops", || drops() != "0");
    let lost: u32 = drops().parse().unwrap();
    daemon.until_counter("py.sent", f64::from(1001 - lost));
    client.request("report");
    daemon.until_counter("py.sent", f64::from(1002 - lost));
    let line = line_of(&daemon, "127.0.0.1");
    // With the packet that the report follows, and the report before.
    let percent = f64::from(lost) * 100.0 / 1002.0;
    let expected = format!(" sent 1,002 received {} lost {lost} ({percent:.1} %)", 1002 - lost);
    assert!(lost > 500 && line.ends_with(&expected), "{line}, not {expected}");
    daemon.stop();
}

/// Shows that on a unix socket the client itself drops what does not fit, and reports it.
#[test]
fn what_a_unix_client_dropped_is_reported_as_dropped() {
    let daemon = Daemon::start(&Conf::never_flushing().set("unix", "datagram", "d.sock"));
    let path = daemon.folder().join("d.sock");
    let mut client = Datadog::start(&format!("unix://{}", path.display()));
    client.request("report");
    daemon.until_counter("py.sent", 1.0);
    daemon.freeze();
    client.request("2000");
    daemon.thaw();
    let sender = format!("unix:{}", client.child.id());
    let line = until(crate::support::DEADLINE, "the report", || {
        client.request("report");
        let line = line_of(&daemon, &sender);
        line.contains("dropped_by_client").then_some(line)
    });
    assert!(line.contains(" lost 0 dropped_by_client 1,"), "{line}");
    assert!(line.contains(" (queue 0 writer 1,"), "{line}");
    daemon.stop();
}

/// Shows the same for hot-shots, which does not count its reports.
#[test]
fn hot_shots_that_loses_nothing_is_reported_so() {
    let daemon = Daemon::start(&Conf::never_flushing().set("udp", "bind", "127.0.0.1:0"));
    run(Command::new("node")
        .arg(peer_script("report_hotshots.js"))
        .args([&daemon.udp().port().to_string(), "400"])
        .current_dir(peers().join("npm")));
    daemon.until_counter("js.sent", 400.0);
    until_true("the reports", || line_of(&daemon, "127.0.0.1").contains(" sent "));
    let line = line_of(&daemon, "127.0.0.1");
    assert!(line.ends_with(" lost 0"), "{line}");
    daemon.stop();
}
