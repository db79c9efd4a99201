//! Unix sockets, `allow_from`, and the user that the server becomes.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::{
    Admin, Conf, DEADLINE, Daemon, FakeCarbon, Process, connect, send_packets, statsd_command,
    until_true,
};
use socket2::{Domain, Socket, Type};

fn conf() -> Conf {
    Conf::never_flushing().set("unix", "stream", "s.sock").set("unix", "datagram", "d.sock")
}

/// Shows that lines come in by both kinds of unix sockets as they do by UDP and TCP, that the files
/// have their mode, and that they go with the server.
#[test]
fn samples_come_in_by_unix_sockets() {
    let daemon = Daemon::start(&conf().set("unix", "mode", "0622"));
    let (stream, datagram) = (daemon.folder().join("s.sock"), daemon.folder().join("d.sock"));
    assert!(daemon.ready().ends_with(" unix=s.sock,d.sock"), "{}", daemon.ready());
    for path in [&stream, &datagram] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o622);
    }
    let packets = UnixDatagram::unbound().unwrap();
    for _ in 0..1000 {
        packets.send_to(b"packets:1|c\npackets:2|c", &datagram).unwrap();
    }
    let mut lines = UnixStream::connect(&stream).unwrap();
    lines.write_all(b"lines:1|c\nlin").unwrap();
    lines.write_all(b"es:2|c\nlast:5|c").unwrap();
    drop(lines);
    daemon.until_counter("packets", 3000.0);
    daemon.until_counter("lines", 3.0);
    daemon.until_counter("last", 5.0);
    packets.send_to(&[b'x'; 70_000], &datagram).unwrap();
    daemon.until_counter("statsd.packets_truncated", 1.0);
    daemon.stop();
    assert!(!stream.exists() && !datagram.exists());
}

/// Shows that what a killed server leaves is replaced, and what a living one has is not.
#[test]
fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let daemon = Daemon::start(&conf());
    let folder = daemon.folder().to_owned();
    let output = statsd_command(&folder).args(["-c", "statsd.conf"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("s.sock: another server uses it"), "{message}");
    assert_eq!(output.status.code(), Some(1));
    daemon.sigkill();
    let daemon = daemon.again(&conf());
    UnixDatagram::unbound().unwrap().send_to(b"a:1|c", folder.join("d.sock")).unwrap();
    daemon.until_counter("a", 1.0);
    daemon.stop();
}

/// Shows that packets and connections of other senders are refused before they are read, and
/// counted. The log has one line for each kind, with the address.
#[test]
fn senders_that_are_not_allowed_are_refused_and_counted() {
    let daemon = Daemon::start(
        &Conf::never_flushing()
            .set("udp", "bind", "*:0")
            .set("udp", "allow_from", "127.0.0.2, 10.0.0.0/8")
            .set("tcp", "allow_from", "::1"),
    );
    let here = SocketAddr::from(([127, 0, 0, 1], daemon.udp().port()));
    send_packets(here, ["refused:1|c"; 3]);
    daemon.until_counter("statsd.packets_refused", 3.0);
    let allowed = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    allowed.send_to(b"allowed:1|c", here).unwrap();
    daemon.until_counter("allowed", 1.0);
    let mut client = connect(daemon.tcp());
    let _ = client.write_all(b"refused:1|c\n");
    let closed = client.read(&mut [0; 1]);
    assert!(!closed.is_ok_and(|bytes| bytes > 0));
    daemon.until_counter("statsd.connections_refused", 1.0);
    let counters = daemon.admin().numbers("counters");
    assert!(!counters.contains_key("refused") && counters["statsd.packets_received"] == 1.0);
    daemon.until_logged(&["senders_refused=", "sender=127.0.0.1:", "allow_from"], 1);
    daemon.stop();
}

/// Shows that of a datagram that is too long nothing is read, and that this is counted and logged.
#[test]
fn a_datagram_that_is_cut_off_is_not_read() {
    let daemon = Daemon::start(&conf());
    let packet = "cut:1|c\n".repeat(9000);
    let path = daemon.folder().join("d.sock");
    UnixDatagram::unbound().unwrap().send_to(packet.as_bytes(), path).unwrap();
    daemon.until_counter("statsd.packets_truncated", 1.0);
    assert!(!daemon.admin().numbers("counters").contains_key("cut"));
    daemon.until_logged(&["packets_truncated=1", "over 64 KiB"], 1);
    daemon.stop();
}

/// Shows that the admin port answers allowed clients, and closes the connections of all others at
/// once and counts them.
#[test]
fn a_client_that_is_not_allowed_gets_no_answer() {
    let daemon = Daemon::start(&Conf::never_flushing().set("admin", "allow_from", "127.0.0.2"));
    let to = *daemon.admin_bound().iter().find(|address| address.is_ipv4()).unwrap();
    let mut refused = connect(to);
    let _ = refused.write_all(b"version\n");
    assert!(!refused.read(&mut [0; 1]).is_ok_and(|bytes| bytes > 0));
    let from = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    from.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    from.connect(&to.into()).unwrap();
    let mut admin = Admin::over(from.into());
    assert!(admin.ask("version").starts_with("statsd "));
    assert_eq!(admin.numbers("counters")["statsd.connections_refused"], 1.0);
    daemon.until_logged(&["senders_refused=1", "[admin] allow_from"], 1);
    daemon.stop();
}

/// Shows that a warning about a line names its sender.
#[test]
fn a_warning_names_the_sender() {
    let daemon = Daemon::start(&conf());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"nonsense", daemon.udp()).unwrap();
    let sender = format!("sender={}", socket.local_addr().unwrap());
    daemon.until_logged(&["bad_lines=1", "nonsense", &sender], 1);
    daemon.stop();
}

/// Shows that after binding the server runs as the configured user, which owns its files.
#[test]
fn privileges_are_dropped_after_binding() {
    let carbon = FakeCarbon::start();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("statsd", "user", "nobody")
        .set("unix", "datagram", folder.path().join("d.sock").display())
        .set("spool", "dir", folder.path().join("spool").display())
        .set("statsd", "state_file", folder.path().join("state").display());
    let daemon = Daemon::start(&conf);
    for field in ["Uid", "Gid"] {
        let id = daemon.status(field);
        assert!(id > 0, "{field} {id}");
    }
    let owner = fs::metadata(folder.path().join("d.sock")).unwrap().uid();
    assert_eq!(u64::from(owner), daemon.status("Uid"));
    assert_eq!(fs::metadata(folder.path().join("spool/carbon")).unwrap().mode() & 0o777, 0o700);
    send_packets(daemon.udp(), ["a:1|c"]);
    carbon.until_point("stats_counts.a", 1.0);
    daemon.stop();
    let readable = fs::metadata(folder.path().join("state")).unwrap().mode() & 0o077;
    assert_eq!(readable, 0);
}

/// Shows that a user may be a number without an account. Its group is then the same number, unless
/// a group is given. It has no other groups.
#[test]
fn a_user_may_be_a_number_without_an_account() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    for (group, gid) in [("", 123_456), ("123457", 123_457)] {
        let conf = conf().set("statsd", "user", 123_456).set("statsd", "group", group);
        let daemon = Daemon::start(&conf);
        assert_eq!(daemon.status("Uid"), 123_456);
        assert_eq!(daemon.status("Gid"), gid);
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap();
        assert_eq!(groups.trim(), gid.to_string());
        let socket = fs::metadata(daemon.folder().join("s.sock")).unwrap();
        assert_eq!((socket.uid(), u64::from(socket.gid())), (123_456, gid));
        daemon.stop();
    }
}

/// Shows that a server that already is the configured user and group need not be root, and that it
/// is an error if anything would have to change.
#[test]
fn a_user_that_the_server_already_is_is_no_error() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("SKIPPED: only root can start the server as another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("statsd");
    fs::copy(env!("CARGO_BIN_EXE_statsd"), &binary).unwrap();
    for (user, group, error) in [
        ("123456", "", None),
        ("123456", "123457", None),
        ("", "123457", None),
        ("123456", "123458", Some("[statsd] group = 123458: EPERM")),
        ("123459", "", Some("[statsd] user = 123459: EPERM")),
        ("4294967295", "", Some("expected a number below 4294967295")),
    ] {
        let conf = Conf::never_flushing().set("statsd", "user", user).set("statsd", "group", group);
        fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
        let mut command = Command::new(&binary);
        command.args(["-c", "statsd.conf"]).current_dir(folder.path()).env_remove("RUST_LOG");
        let mut server = Process::start(command.uid(123_456).gid(123_457));
        let log = || server.stderr().join("\n");
        match error {
            Some(error) => until_true(error, || log().contains(error)),
            None => {
                until_true("the server to be ready", || log().contains("ready "));
                server.signal("TERM");
            }
        }
        let code = server.exit(DEADLINE).code();
        assert_eq!(code, Some(i32::from(error.is_some())), "{user}:{group}");
    }
}

/// Shows that the server does not start if the user does not exist, and names the user.
#[test]
fn a_user_that_does_not_exist_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let conf = conf().set("statsd", "user", "no-such-user");
    fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
    let output = statsd_command(folder.path()).args(["-c", "statsd.conf"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("[statsd] user = no-such-user: no such user"), "{message}");
    assert_eq!(output.status.code(), Some(1));
}

/// A packet of a framed stream: its length, then its bytes.
fn frame(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
    [&length, packet].concat()
}

/// Shows that a framed stream may be cut at every byte, and that packets have whole lines in any
/// number, without a newline at their end. A client that sends text uses the same socket.
#[test]
fn framed_packets_may_be_split_at_every_byte() {
    let daemon = Daemon::start(&conf());
    let path = daemon.folder().join("s.sock");
    let message = b"\xaa\x02\x02\x00\x00\x00\x00\x00\x00\x00\x08\x40n\x00"; // n plus 3
    let packets = [&b"n:1|c\nn:2|c"[..], b"", b"n:4|c\r\n\nbad\n", message, b"n:8|c"];
    let stream: Vec<u8> = packets.iter().flat_map(|packet| frame(packet)).collect();
    let mut text = UnixStream::connect(&path).unwrap();
    text.write_all(b"text:1|c\nte").unwrap();
    for cut in 1..stream.len() {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(&stream[..cut]).unwrap();
        let before = daemon.admin().numbers("counters").get("statsd.metrics_received").copied();
        client.write_all(&stream[cut..]).unwrap();
        assert!(before.is_some());
    }
    let mut client = UnixStream::connect(&path).unwrap();
    for byte in stream.chunks(1) {
        client.write_all(byte).unwrap();
    }
    let times = stream.len() as f64;
    daemon.until_counter("n", 18.0 * times);
    text.write_all(b"xt:2|c\n").unwrap();
    daemon.until_counter("text", 3.0);
    let counters = daemon.admin().numbers("counters");
    assert_eq!(counters["statsd.bad_lines_seen"], times);
    assert_eq!(counters["statsd.metrics_received"], 6.0 * times + 2.0);
    assert_eq!(counters["statsd.packets_received"], 0.0);
    assert_eq!(counters["statsd.packets_truncated"], 0.0);
    daemon.stop();
}

/// Shows that packets that are too long or cut short are not read. They are counted, and logged
/// with their reasons.
#[test]
fn a_framed_packet_is_read_whole_or_not_at_all() {
    let daemon = Daemon::start(&conf());
    let path = daemon.folder().join("s.sock");
    let mut client = UnixStream::connect(&path).unwrap();
    let longest = "long:1|c\n".repeat(7281); // 65,529 bytes
    let too_long = "long:1|c\n".repeat(7282);
    client.write_all(&frame(b"a:1|c")).unwrap();
    client.write_all(&frame(too_long.as_bytes())).unwrap();
    client.write_all(&frame(longest.as_bytes())).unwrap();
    client.write_all(&frame(b"a:2|c")).unwrap();
    daemon.until_counter("a", 3.0);
    assert_eq!(daemon.admin().numbers("counters")["long"], 7281.0);
    let sender = format!("sender=unix:{}", std::process::id());
    daemon.until_logged(&["packets_truncated=1", "over 64 KiB", &sender], 1);
    let whole = frame(b"a:4|c\ntorn:1|c\ntorn:1|c");
    client.write_all(&frame(b"a:4|c")).unwrap();
    client.write_all(&whole[..whole.len() - 3]).unwrap();
    drop(client);
    daemon.until_counter("statsd.packets_truncated", 2.0);
    let counters = daemon.admin().numbers("counters");
    assert_eq!((counters["a"], counters.get("torn")), (7.0, None));
    assert_eq!(counters["statsd.bad_lines_seen"], 0.0);
    daemon.until_logged(&["packets_truncated=1", "the stream ended inside", &sender], 1);
    daemon.stop();
}

/// Shows that TCP connections are never framed: the bytes of a length are part of the first name.
#[test]
fn tcp_is_never_framed() {
    let daemon = Daemon::start(&conf());
    let mut client = daemon.tcp_client();
    client.write_all(&frame(b"a:1|c\nb:1|c\n")).unwrap();
    daemon.until_counter("b", 1.0);
    assert_eq!(daemon.admin().numbers("counters")["statsd.packets_truncated"], 0.0);
    daemon.stop();
}
