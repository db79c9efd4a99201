//! `statsd --ask`: the client of the admin port, as operators and health checks run it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Output, Stdio};

use crate::support::{Conf, DEADLINE, Daemon, reserve_tcp, statsd_command};

/// A server, and a folder whose `statsd.conf` names its admin port.
fn server() -> (Daemon, tempfile::TempDir) {
    let daemon = Daemon::start(&Conf::never_flushing());
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::never_flushing().set("admin", "bind", daemon.admin_bound()[0]);
    fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
    (daemon, folder)
}

fn ask(folder: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        statsd_command(folder.path()).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Shows that a user who cannot read the secrets of the server can ask it all the same. The file of
/// a systemd credential, for example, is there for the service alone.
#[test]
fn no_secret_is_needed_to_ask() {
    let (_daemon, folder) = server();
    let path = folder.path().join("statsd.conf");
    let text = fs::read_to_string(&path).unwrap();
    let secret = "[influxdb]\naddress = 127.0.0.1\ntoken_file = missing\n";
    fs::write(&path, text + secret + "version = 2\nbucket = b\n").unwrap();
    assert_eq!(ask(&folder, &["--ask", "health"]), (Some(0), "health: up\n".into(), String::new()));
    assert_eq!(ask(&folder, &["--print-config"]).0, Some(0));
    let (status, _, errors) = ask(&folder, &["--check"]);
    assert_eq!(status, Some(2), "{errors}");
    assert!(errors.contains("token_file: cannot read missing"), "{errors}");
}

/// Shows the answers and the exit statuses, with the command as one argument and as several.
#[test]
fn the_running_server_answers() {
    let (daemon, folder) = server();
    daemon.send(["a.b:1|c"]);
    daemon.until_counter("a.b", 1.0);
    let (status, answer, errors) = ask(&folder, &["--ask", "counters"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert!(answer.starts_with("{\n\"a.b\": 1,\n") && answer.ends_with("\n}\n"), "{answer}");
    let explained = "line: x  y:1|c\nseries: x_y\nvalue: 1 (counter, adds 1): accepted, makes a \
                     new series\n";
    assert_eq!(ask(&folder, &["--ask", "explain x  y:1|c"]).1, explained);
    assert_eq!(ask(&folder, &["--ask", "explain", "x  y:1|c"]).1, explained);
    let (status, answer, errors) = ask(&folder, &["--ask", "explain web.GET / HTTP/1.1:1|c"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert!(answer.starts_with("line: web.GET / HTTP/1.1:1|c\n"), "{answer}");
    let help = ask(&folder, &["--ask"]);
    assert!(help.0 == Some(0) && help.1.starts_with("Commands: "), "{help:?}");
    let missing = (Some(0), "metric nope not found\n".into(), String::new());
    assert_eq!(ask(&folder, &["--ask", "delcounters", "nope"]), missing);
    let counted = ask(&folder, &["--ask", "senders", "a.*", "for", "1s"]);
    assert_eq!(
        (counted.0, &*counted.1),
        (
            Some(0),
            "counting for 1 s\nno line of this name came; top newest shows new names, also misspelt ones\n"
        )
    );
    let (status, answer, errors) = ask(&folder, &["--ask", "nonsense"]);
    assert_eq!((status, answer.as_str()), (Some(2), "ERROR\n"));
    assert!(errors.contains("statsd --ask help"), "{errors}");
    assert_eq!(ask(&folder, &["--ask", "watch", "a", "b"]).0, Some(2));
    assert_eq!(ask(&folder, &["--ask", "quit"]), (Some(0), String::new(), String::new()));
    // A large answer is complete.
    daemon.send(
        (0..200)
            .map(|packet| (0..50).map(|n| format!("many.{packet}.{n}:1|g\n")).collect::<String>()),
    );
    daemon.until_shown("gauges", "many.199.49", 1.0);
    let answer = ask(&folder, &["--ask", "gauges"]).1;
    assert_eq!(answer.lines().count(), 10_002);
}

/// Shows the exit status of a health check, and that setting the health succeeds.
#[test]
fn a_health_check_has_an_exit_status() {
    let (daemon, folder) = server();
    let up = (Some(0), "health: up\n".to_owned(), String::new());
    let down = "health: down\n".to_owned();
    assert_eq!(ask(&folder, &["--ask", "health"]), up);
    assert_eq!(ask(&folder, &["--ask", "health down"]), (Some(0), down.clone(), String::new()));
    assert_eq!(ask(&folder, &["--ask", "health"]), (Some(1), down, String::new()));
    daemon.stop();
    let (status, answer, errors) = ask(&folder, &["--ask", "health"]);
    assert_eq!((status, answer.as_str()), (Some(3), ""));
    assert!(errors.contains("127.0.0.1:") && errors.contains("start the server"), "{errors}");
}

/// Shows the messages when there is no port to ask at, and when the server refuses the client.
#[test]
fn whatever_prevents_an_answer_is_named_with_its_remedy() {
    let (reserved, free) = reserve_tcp();
    drop(reserved);
    let refusing = Daemon::start(&Conf::never_flushing().set("admin", "allow_from", "10.9.8.7"));
    for (key, value, status, words) in [
        ("bind", String::new(), 3, "the admin port is off, since [admin] bind is empty"),
        ("bind", "127.0.0.1:0".into(), 3, "so the server has chosen a port; set a fixed port"),
        ("bind", free.to_string(), 3, "no server answers at the admin port 127.0.0.1:"),
        ("bind", refusing.admin_bound()[0].to_string(), 3, "[admin] allow_from must list"),
        ("bnid", "localhost:1".into(), 2, "bnid"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let conf = format!("[admin]\n{key} = {value}\n");
        fs::write(folder.path().join("other.conf"), conf).unwrap();
        let (code, answer, errors) = ask(&folder, &["--ask", "stats", "-c", "other.conf"]);
        assert_eq!((code, answer.as_str()), (Some(status), ""), "{errors}");
        assert!(errors.contains(words), "{words}: {errors}");
    }
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["--every", "1s"][..], "expected --every only with --ask"),
        (&["--ask", "top", "--every", "x"], "expected a time such as 1s"),
        (&["--ask", "watch", "--every", "1s"], "expected no --every with watch"),
        (&["--ask", "stats\nquit"], "expected one command"),
        (&["--ask", "stats", "--check"], "expected only one of"),
    ] {
        let (code, _, errors) = ask(&folder, arguments);
        assert!(code == Some(2) && errors.contains(words), "{code:?} {errors}");
    }
}

/// Shows that a mistake elsewhere in the file does not keep an operator from the running server.
#[test]
fn the_running_server_answers_beside_a_file_with_a_mistake() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let folder = tempfile::tempdir().unwrap();
    let address = daemon.admin_bound()[0];
    let conf = format!("[admin]\nbind = {address}\n[carbon]\nqueue = 64k\n");
    fs::write(folder.path().join("other.conf"), conf).unwrap();
    let (code, answer, errors) = ask(&folder, &["--ask", "health", "-c", "other.conf"]);
    assert_eq!((code, answer.as_str()), (Some(0), "health: up\n"));
    let shown = "statsd: a start would fail: other.conf:4: [carbon] queue: expected a size from 1m";
    assert!(errors.starts_with(shown), "{errors}");
    fs::write(folder.path().join("other.conf"), "{ port: 8125 }\n").unwrap();
    let (code, _, errors) = ask(&folder, &["--ask", "health", "-c", "other.conf"]);
    assert!(code == Some(2) && errors.contains("--import"), "{errors}");
}

/// Shows that `watch` streams until the client is interrupted.
#[test]
fn a_watch_streams() {
    let (daemon, folder) = server();
    let mut client = statsd_command(folder.path())
        .args(["--ask", "watch", "web.*"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "watching; an empty line ends it");
    for name in ["web.a", "web.b"] {
        daemon.send([format!("api.x:1|c\n{name}:1|c")]);
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(&format!("series=\"{name}\"")), "{line}");
    }
    daemon.stop();
    let status = client.wait().unwrap();
    let mut errors = String::new();
    client.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(status.code(), Some(3), "the server is down");
    assert!(errors.contains("the server closed the connection"), "{errors}");
}

/// Shows that `--every` asks again and again, also while the server is down.
#[test]
fn an_answer_is_repeated() {
    let (daemon, folder) = server();
    let mut client = statsd_command(folder.path())
        .args(["--ask", "health", "--every", "100ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    for expected in ["health: up", "", "health: up"] {
        assert_eq!(lines.next().unwrap().unwrap(), expected);
    }
    daemon.stop();
    let began = std::time::Instant::now();
    while !lines.next().unwrap().unwrap().contains("no server answers") {
        assert!(began.elapsed() < DEADLINE);
    }
    client.kill().unwrap();
    client.wait().unwrap();
}
