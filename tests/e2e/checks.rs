//! The checks of others that use the admin port: those that come with Node StatsD, for Nagios and
//! Keepalived. The proxy's probe is in `proxy.rs`, the lines that Datadog's agent counts in
//! `admin.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::{Conf, Daemon, is_installed, peers, skipped, until_true};

/// Runs a script of Node StatsD. Returns its exit code and its output.
fn checked(daemon: &Daemon, program: &str, script: &str, arguments: &[&str]) -> (i32, String) {
    // The script expects the `nc` that ends with its input. Debian's other one has -N for that.
    let nc = daemon.folder().join("nc");
    fs::write(&nc, "#!/bin/sh\nexec /usr/bin/nc -N \"$@\"\n").unwrap();
    fs::set_permissions(&nc, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    // One of them has line ends that bash does not accept.
    let text = fs::read_to_string(peers().join("npm/node_modules/statsd/utils").join(script));
    let copy = daemon.folder().join(script);
    fs::write(&copy, text.unwrap().replace('\r', "")).unwrap();
    let output = Command::new(program)
        .env("PATH", format!("{}:{path}", daemon.folder().display()))
        .arg(copy)
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// Shows the check of `health`, for Nagios and for Keepalived.
#[test]
fn the_check_of_health_works() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let port = daemon.admin_bound()[0].port().to_string();
    let check = |more: &[&str]| {
        let arguments = [&["-H", "127.0.0.1", "-P", port.as_str()], more].concat();
        checked(&daemon, "bash", "check_statsd_health", &arguments)
    };
    let (code, printed) = check(&[]);
    assert_eq!((code, printed.contains("'health: up'")), (0, true), "{printed}");
    daemon.admin().ask("health down");
    assert_eq!(check(&[]).0, 2, "critical");
    assert_eq!(check(&["-k"]).0, 1, "for Keepalived");
}

/// Shows the check of a figure of `stats`.
#[test]
fn the_check_of_a_figure_works() {
    if !is_installed("perl") {
        return skipped("the_check_of_a_figure_works", "perl", "apt-get install perl");
    }
    let daemon = Daemon::start(&Conf::never_flushing());
    let port = daemon.admin_bound()[0].port().to_string();
    let check = |metric: &str| {
        let figure = ["--metric", metric, "--warning", "3", "--crit", "9"];
        let arguments = [&["--host", "127.0.0.1", "--port", port.as_str()][..], &figure].concat();
        checked(&daemon, "perl", "check_statsd.pl", &arguments)
    };
    let (code, printed) = check("messages.bad_lines_seen");
    assert_eq!((code, printed.as_str()), (0, "OK: messages.bad_lines_seen = 0"));
    daemon.send(["bad\nbad\nbad\nbad\nbad"]);
    until_true("bad lines", || daemon.admin().stats()["messages.bad_lines_seen"] == "5");
    assert_eq!(check("messages.bad_lines_seen").0, 1, "a warning");
    assert_eq!(check("no.such.figure").0, 2, "critical");
}
