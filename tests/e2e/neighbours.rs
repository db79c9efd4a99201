//! What a client on the same machine must not achieve: use up the server's descriptors or its admin
//! port, or make root change the owner of a file.

use std::fs::{self, File};
use std::io::{ErrorKind, IoSlice, Read as _, Write as _, read_to_string};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::support::{Conf, Daemon, FakeCarbon, connect, until_true};
use nix::sys::socket::{
    ControlMessage, MsgFlags, UnixAddr, sendmsg, setsockopt, sockopt::PassCred,
};
use socket2::{Domain, SockAddr, Socket, Type};

/// Sends bytes and eight descriptors along.
fn send_with_descriptors(from: &impl AsRawFd, to: Option<&Path>, text: &[u8]) {
    let null = File::open("/dev/null").unwrap();
    let descriptors: [RawFd; 8] = [null.as_raw_fd(); 8];
    let to = to.map(|path| UnixAddr::new(path).unwrap());
    let sent = sendmsg(
        from.as_raw_fd(),
        &[IoSlice::new(text)],
        &[ControlMessage::ScmRights(&descriptors)],
        MsgFlags::empty(),
        to.as_ref(),
    );
    assert_eq!(sent.unwrap(), text.len());
}

/// Sends `name:1|c` a hundred times by each of the two ways, each time with eight descriptors.
/// Checks that none of them stays open.
#[track_caller]
fn leaves_no_descriptor(daemon: &Daemon, name: &str, datagram: &Path, stream: &Path) {
    let before = daemon.descriptors();
    let line = format!("{name}:1|c\n");
    let packets = UnixDatagram::unbound().unwrap();
    let lines = UnixStream::connect(stream).unwrap();
    for _ in 0..100 {
        send_with_descriptors(&packets, Some(datagram), line.as_bytes());
        send_with_descriptors(&lines, None, line.as_bytes());
    }
    daemon.until_counter(name, 200.0);
    let after = daemon.descriptors();
    assert!(after <= before + 8, "{before} descriptors before, {after} after");
}

/// Shows that descriptors which clients send along over unix sockets do not stay open.
#[test]
fn descriptors_sent_along_do_not_stay_open() {
    let conf = Conf::never_flushing().set("unix", "stream", "s.sock");
    let daemon = Daemon::start(&conf.set("unix", "datagram", "d.sock"));
    let folder = daemon.folder();
    leaves_no_descriptor(&daemon, "sent", &folder.join("d.sock"), &folder.join("s.sock"));
    daemon.stop();
}

/// Shows the same of passed-in sockets, even if the service manager has turned credentials on, and
/// of an admin socket.
#[test]
fn descriptors_sent_along_to_passed_sockets_do_not_stay_open() {
    for credentials in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let [datagram, stream, admin] =
            ["d.sock", "s.sock", "a.sock"].map(|name| folder.path().join(name));
        let packets = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        packets.bind(&SockAddr::unix(&datagram).unwrap()).unwrap();
        setsockopt(&packets, PassCred, &credentials).unwrap();
        let lines = Socket::from(UnixListener::bind(&stream).unwrap());
        let asks = Socket::from(UnixListener::bind(&admin).unwrap());
        let sockets = [(&packets, "d"), (&lines, "s"), (&asks, "admin")];
        let daemon = Daemon::start_passing(&Conf::never_flushing(), &sockets, None, |_| ());
        let before = daemon.descriptors();
        let mut client = UnixStream::connect(&admin).unwrap();
        for _ in 0..100 {
            send_with_descriptors(&client, None, b"version\n");
        }
        let mut answers = vec![0; 100 * "statsd 0.1.0\n".len()];
        client.read_exact(&mut answers).unwrap();
        let (packets, lines) =
            (UnixDatagram::unbound().unwrap(), UnixStream::connect(&stream).unwrap());
        for _ in 0..100 {
            send_with_descriptors(&packets, Some(&datagram), b"sent:1|c\n");
            send_with_descriptors(&lines, None, b"sent:1|c\n");
        }
        until_true("the lines", || {
            let mut client = UnixStream::connect(&admin).unwrap();
            client.write_all(b"counters\nquit\n").unwrap();
            read_to_string(client).unwrap().contains("\"sent\": 200")
        });
        let after = daemon.descriptors();
        assert!(after <= before + 8, "{before} descriptors before, {after} after");
        daemon.stop();
    }
}

/// Shows that with `user` the files of unix sockets really change their owner, and at a reload
/// their mode. Other files put in their place do not change.
#[test]
fn only_the_sockets_files_change_their_owner() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let names = ["d.sock", "s.sock", "d.aside", "s.aside", "precious"];
    let [datagram, stream, datagram_aside, stream_aside, precious] =
        names.map(|name| folder.path().join(name));
    let seen = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o777)
    };
    let conf = Conf::never_flushing()
        .set("statsd", "user", "nobody")
        .set("statsd", "group", "daemon")
        .set("unix", "datagram", datagram.display())
        .set("unix", "stream", stream.display())
        .set("unix", "mode", "0622");
    let daemon = Daemon::start(&conf);
    let [user, group] = ["Uid", "Gid"].map(|id| u32::try_from(daemon.status(id)).unwrap());
    assert!(user > 0 && group > 0, "{user}:{group}");
    for path in [&datagram, &stream] {
        assert_eq!(seen(path), (user, group, 0o622));
    }
    fs::write(&precious, "precious").unwrap();
    let before = seen(&precious);
    for (path, aside) in [(&datagram, &datagram_aside), (&stream, &stream_aside)] {
        fs::rename(path, aside).unwrap();
        symlink(&precious, path).unwrap();
    }
    daemon.reload(&conf.set("unix", "mode", "0640"));
    daemon.until_logged(&["reload=done"], 1);
    for aside in [&datagram_aside, &stream_aside] {
        assert_eq!(seen(aside), (user, group, 0o640));
    }
    daemon.stop();
    assert!(datagram.is_symlink() && stream.is_symlink(), "the server must not remove them");
    assert_eq!(seen(&precious), before);
}

/// Shows that silent clients do not use up the admin port. A new client replaces the one idle
/// longest, which is counted and logged. The others stay.
#[test]
fn silent_clients_do_not_use_up_the_admin_port() {
    let daemon = Daemon::start(&Conf::never_flushing());
    // Each answer shows that the server has served its client, which is idle from then on.
    let silent = (0..64).map(|_| {
        let mut client = daemon.admin();
        client.ask("version");
        client
    });
    let mut silent = Vec::from_iter(silent);
    silent[1].send("versio");
    let mut busy = daemon.admin();
    assert!(busy.ask("version").starts_with("statsd "));
    assert_eq!(busy.numbers("counters")["statsd.idle_connections_closed"], 1.0);
    assert_eq!(silent.remove(0).read_to_close(), "");
    silent[0].send("n\n");
    assert!(silent[0].read_answer("version").starts_with("statsd "));
    daemon.until_logged(
        &["idle_connections_closed=1", "raise [admin] max_connections, or lower [admin] idle"],
        1,
    );
    daemon.stop();
}

/// Shows that a client with an unfinished answer is not idle. When all clients are such, a further
/// one is refused, and the log names the section. Once one has read its answer, it can be replaced.
#[test]
fn an_unfinished_answer_is_not_idle() {
    let daemon = Daemon::start(&Conf::never_flushing().set("admin", "max_connections", "2"));
    // Far more of an answer than both ends of a connection hold.
    const ASKED: usize = 3000;
    let mut busy = [daemon.admin(), daemon.admin()];
    for client in &mut busy {
        client.send("config\n".repeat(ASKED));
        client.read_answer("config");
    }
    assert_eq!(daemon.admin().read_to_close(), "");
    daemon.until_logged(&["connections_refused=1", "all [admin] max_connections are in use"], 1);
    for _ in 1..ASKED {
        busy[0].read_answer("config");
    }
    until_true("a client to be admitted", || {
        let mut another = daemon.admin();
        another.send_unless_closed(b"version\nquit\n");
        another.read_to_close().starts_with("statsd ")
    });
    let counters = daemon.admin().numbers("counters");
    assert!(counters["statsd.connections_refused"] >= 1.0);
    busy[1].read_answer("config");
    daemon.stop();
}

/// Shows that `[admin] idle_timeout` closes a client that sends no command or only the beginning of
/// one. A reload applies it to connected clients.
#[test]
fn an_idle_admin_client_is_closed_and_counted() {
    let conf = Conf::never_flushing().set("admin", "idle_timeout", "0");
    let daemon = Daemon::start(&conf);
    let (mut silent, mut begun) = (daemon.admin(), daemon.admin());
    begun.send("versio");
    daemon.reload(&conf.set("admin", "idle_timeout", "1s"));
    assert_eq!(silent.read_to_close() + &begun.read_to_close(), "");
    let counted = || daemon.admin().numbers("counters")["statsd.idle_connections_closed"] >= 2.0;
    until_true("both to be counted", counted);
    daemon.until_logged(&["idle_connections_closed=", "[admin] idle_timeout", "sender=127"], 1);
    daemon.stop();
}

/// Shows that by default a silent client stays connected, and that keepalive is on to find dead
/// ones.
#[test]
fn connections_are_kept_alive() {
    let daemon = Daemon::start(&Conf::never_flushing());
    for client in [daemon.tcp_client(), connect(daemon.admin_bound()[0])] {
        let [server, port] = [client.peer_addr().unwrap(), client.local_addr().unwrap()]
            .map(|address| format!("0100007F:{:04X}", address.port()));
        until_true("the timer of keepalive", || {
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let line = lines.find(|words| words[1] == server && words[2] == port);
            line.is_some_and(|words| words[5].starts_with("02:"))
        });
    }
    let shown = daemon.admin().ask("config");
    let tcp = shown.split("[tcp]").nth(1).unwrap().split('[').next().unwrap().to_owned();
    assert!(tcp.lines().any(|line| line.starts_with("idle_timeout = 0")), "{tcp}");
    daemon.stop();
}

/// Shows that clients leave the server the descriptors it needs. With few descriptors and many
/// clients, the admin port answers, carbon is connected again, a new destination gets points, and a
/// stop saves the state.
#[test]
fn clients_leave_the_server_its_descriptors() {
    let [carbon, second] = [FakeCarbon::start(), FakeCarbon::start()];
    let to = |carbon: &FakeCarbon| format!("localhost:{}", carbon.address().port());
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "address", to(&carbon))
        .set("statsd", "state_file", "state")
        .set("spool", "dir", "spool");
    let daemon = Daemon::start_after(&conf, "ulimit -n 64");
    let mut clients = Vec::from_iter((0..100).map(|_| daemon.tcp_client()));
    let mut refused = 0;
    for client in &mut clients {
        client.write_all(b"here:1|c\n").ok();
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    }
    until_true("clients to be refused", || {
        let is_closed = |client: &mut TcpStream| {
            let read = client.read(&mut [0]);
            let is_open = [ErrorKind::WouldBlock, ErrorKind::Interrupted];
            !matches!(&read, Err(error) if is_open.contains(&error.kind()))
        };
        clients.retain_mut(|client| !is_closed(client));
        refused = 100 - clients.len();
        refused > 0 && daemon.admin().ask("version").starts_with("statsd ")
    });
    let words = ["open_files=64", "tcp.max_connections=", "LimitNOFILE="];
    daemon.until_logged(&words, 1);
    daemon.until_logged(&["connections_refused=", "the limit of open files", "[tcp]"], 1);
    until_true("a connection to carbon", || carbon.connections() >= 1);
    carbon.break_connections();
    until_true("another", || carbon.connections() >= 2);
    clients[0].write_all(b"after:1|c\n").unwrap();
    carbon.until_point("stats_counts.after", 1.0);
    daemon.reload(&conf.set("carbon.second", "address", to(&second)));
    daemon.until_logged(&["reload=done"], 1);
    daemon.until_logged(&words, 2);
    clients[0].write_all(b"reloaded:1|c\n").unwrap();
    second.until_point("stats_counts.reloaded", 1.0);
    let log = daemon.log().join("\n");
    assert!(!log.contains("os error 24"), "{log}");
    let state = daemon.folder().join("state");
    let mut daemon = daemon;
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    assert!(state.exists(), "{}", daemon.log().join("\n"));
}
