//! What is lost is counted, and what is counted is lost: peers that read nothing, folders that vanish, destinations that
//! go.
#![allow(clippy::unwrap_used, reason = "what cannot be looked at is a failed test")]

mod support;

use support::{Carbon, Conf, DEADLINE, Daemon, until, until_true};

/// What the newest flush says of the server itself, on its console.
fn own_figure(daemon: &Daemon, name: &str) -> Option<f64> {
    let start = format!("stats.statsd.{name} ");
    let lines = daemon.stdout();
    let line = lines.iter().rev().find_map(|line| line.strip_prefix(&start))?;
    line.split(' ').next()?.parse().ok()
}

/// Sends the wrong protocol to one of carbon's ports. Waits until the server has found out, and checks what it says.
fn check_wrong_port(conf: &Conf, hint: &str) {
    let daemon = Daemon::start(conf);
    daemon.send(["wrong.port:3|c"]);
    daemon.until_logged(&["sink=carbon state=refused", "connections=4", hint], 1);
    let in_doubt = || own_figure(&daemon, "sink.carbon.in_doubt");
    let before = until(DEADLINE, "lines in doubt", || in_doubt().filter(|&lines| lines > 0.0));
    until_true("more of them, as more are written", || in_doubt() > Some(before));
    assert_eq!(own_figure(&daemon, "sink.carbon.dropped_lines"), Some(0.0));
    let log = daemon.log().join("\n");
    assert!(!log.contains("recovered"), "{log}");
    let sinks = daemon.admin().ask("sinks");
    assert!(sinks.contains(hint), "{sinks}");
    let mut daemon = daemon;
    daemon.sigterm();
    assert_eq!(daemon.exit().code(), Some(0));
    daemon.until_logged(&["sink=carbon state=abandoned"], 1);
}

/// Shows that lines sent to carbon's port for pickle are not taken for delivered, though its TCP acknowledges them.
#[test]
fn lines_at_a_pickle_port_are_in_doubt() {
    let carbon = Carbon::start();
    let conf = Conf::sending_to(carbon.pickle_address(), "1s")
        .set("carbon", "reconnect_max", "200ms")
        .set("console", "enabled", "yes")
        .set("statsd", "shutdown_timeout", "100ms");
    check_wrong_port(&conf, "such as 2004, takes protocol = pickle");
}

/// Shows the same of pickle sent to the port for lines.
#[test]
fn pickle_at_a_port_for_lines_is_in_doubt() {
    let carbon = Carbon::start();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("carbon", "protocol", "pickle")
        .set("carbon", "reconnect_max", "200ms")
        .set("console", "enabled", "yes")
        .set("statsd", "shutdown_timeout", "100ms");
    check_wrong_port(&conf, "such as 2003, takes protocol = plaintext");
}
