//! What a client on the same machine may not do to the server: use up its descriptors or its admin port, or have root give
//! a file away.
#![allow(clippy::unwrap_used)] // what cannot be done is a failed test

mod support;

use std::fs::{self, File};
use std::io::{IoSlice, Read as _, Write as _, read_to_string};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{
    ControlMessage, MsgFlags, UnixAddr, sendmsg, setsockopt, sockopt::PassCred,
};
use socket2::{Domain, SockAddr, Socket, Type};
use support::{Conf, Daemon, until_true};

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

/// Sends `name:1|c` a hundred times by each of the two ways, each time with eight descriptors, and looks that none of them
/// stays.
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

/// Shows the same of sockets passed in, also where the service manager has asked for credentials, and of an admin socket.
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

/// Shows that with `user` the files of unix sockets really change their owner, and at a reload their mode, and that nothing
/// else does that stands in their place.
#[test]
fn only_the_sockets_files_are_given_away() {
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
    assert!(datagram.is_symlink() && stream.is_symlink(), "they are not ours to remove");
    assert_eq!(seen(&precious), before);
}
