//! The start of the server, mistakes that prevent it, the stop, and the descriptors and memory that
//! the process uses meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, Finished, MEASURES, Process, Web, peers, run,
    statsd_command, until_clock_shows, until_true, without_places,
};

/// Whether the server is optimised as a release is. The figures of the README hold only for one.
const IS_OPTIMISED: bool = !cfg!(debug_assertions);

/// Shows that all mistakes of a file are reported at once, each with file and line, and that the
/// exit code is 2.
#[test]
fn every_mistake_in_a_configuration_is_named() {
    let text = "[statsd]\nflush_intervall = 10s\nflush_interval = 10ms\n\n[nosuch]\nkey = 1\n\n\
                [udp]\nbind = example.com:8125\n[limits]\nmax_series = 5\nmax_series = many\n";
    for arguments in [&["-c", "bad.conf"][..], &["--check", "-c", "bad.conf"]] {
        let Finished { code, stderr: warning, .. } = statsd(arguments, text);
        assert_eq!(code, Some(2), "{warning}");
        for line in [2, 3, 5, 9, 12] {
            let place = format!("bad.conf:{line}");
            assert!(warning.contains(&place), "nothing of line {line}:\n{warning}");
        }
        for word in ["did you mean", "flush_interval", "nosuch", "bind", "max_series"] {
            assert!(warning.contains(word), "nothing of {word}:\n{warning}");
        }
        assert!(!warning.contains("ready "), "it started:\n{warning}");
    }
}

/// Shows that Node's own example and statsite's are recognised, in one line.
#[test]
fn configurations_of_other_servers_are_recognised_in_one_line() {
    let node = peers().join("npm/node_modules/statsd/exampleConfig.js");
    let node = fs::read_to_string(node).unwrap();
    let statsite = "[statsite]\nport = 8125\nudp_port = 8125\nlog_level = INFO\n\
                    flush_interval = 10\ntimer_eps = 0.01\nstream_cmd = python sinks/graphite.py\n\n\
                    [histogram_api]\nprefix=api\nmin=0\nmax=100\nwidth=5\n";
    for (text, program) in [(node.as_str(), "Node StatsD"), (statsite, "statsite")] {
        for arguments in [&["-c", "bad.conf"][..], &["--check", "-c", "bad.conf"]] {
            let Finished { code, stderr, .. } = statsd(arguments, text);
            assert_eq!(code, Some(2), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert!(stderr.contains(program) && stderr.contains("docs/migrating.md"), "{stderr}");
        }
    }
}

/// Shows that an unreadable file is reported by name in one line, and that the exit code is 1.
#[test]
fn an_unreadable_configuration_is_named() {
    for path in ["nosuch.conf", "/"] {
        let Finished { code, stderr: warning, .. } = statsd(&["-c", path], "");
        assert_eq!(code, Some(1), "{warning}");
        assert!(warning.contains(path) && warning.lines().count() == 1, "{warning}");
    }
}

/// Shows that a port in use is reported in one line with the address, and that the exit code is 1.
#[test]
fn a_port_in_use_is_named() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp, tcp_address) = (&udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    for (section, address) in [("udp", udp), ("tcp", &tcp_address), ("admin", &tcp_address)] {
        let conf = Conf::never_flushing().set(section, "bind", address);
        let Finished { code, stderr: warning, .. } = statsd(&["-c", "bad.conf"], &conf.text());
        assert_eq!(code, Some(1), "{section}: {warning}");
        let naming = warning.lines().filter(|line| line.contains(&address.to_string()));
        assert_eq!(naming.count(), 1, "{section}: {warning}");
    }
}

/// Shows the output of the flags that do not start the server.
#[test]
fn flags_that_only_print() {
    let good = Conf::flushing_every("10s").set("carbon", "address", "192.0.2.1:2003");
    let good = good.set("statsd", "percentiles", "50,99.9").text();
    let check = statsd(&["--check", "--config", "bad.conf"], &good);
    assert_eq!(
        (check.code, check.stdout.as_str()),
        (Some(0), "bad.conf: ok\n"),
        "{}",
        check.stderr
    );
    let printed = statsd(&["--print-config", "-c", "bad.conf"], &good).stdout;
    assert!(printed.contains("[statsd]") && printed.contains("50, 99.9"), "{printed}");
    assert!(printed.contains("percentiles = 50, 99.9                    # bad.conf:"), "{printed}");
    let again = statsd(&["--print-config", "-c", "bad.conf"], &printed).stdout;
    assert_eq!(without_places(&again), without_places(&printed));
    let version = statsd(&["-V"], "").stdout;
    assert_eq!(version, format!("statsd {}\n", env!("CARGO_PKG_VERSION")));
    let usage = statsd(&["-h"], "").stdout;
    for flag in ["-c", "--config", "--check", "--strict", "--print-config", "-V", "-h"] {
        assert!(usage.contains(flag), "no {flag} in\n{usage}");
    }
    assert!(usage.lines().count() <= 25, "{usage}");
    let help = statsd(&["--help"], "").stdout;
    assert!(help.starts_with(usage.trim_end()), "{help}");
    for word in ["SIGHUP", "RUST_LOG", "/etc/statsd.conf", "Exit status", "delcounters NAME"] {
        assert!(help.contains(word), "no {word} in\n{help}");
    }
    let unknown = statsd(&["--nosuch"], "");
    assert_ne!(unknown.code, Some(0));
    assert!(unknown.stderr.contains("--nosuch"), "{}", unknown.stderr);
}

/// Shows that variables and options replace what the file says, at the start and at a reload, and
/// that a mistake in them is named.
#[test]
fn the_environment_and_options_replace_the_file() {
    let carbon = FakeCarbon::start();
    let to = carbon.address().to_string();
    let conf = Conf::flushing_every("10s").set("carbon", "address", "192.0.2.1:2003");
    let daemon = Daemon::start_with(&conf, |command| {
        command.env("STATSD_CARBON_ADDRESS", &to).env("STATSD_HOST", "192.0.2.7");
        command.env("STATSD_STATSD_FLUSH_INTERVAL", "5s");
        command.args(["-c", "statsd.conf", "-o", "statsd.flush_interval=1s"])
    });
    daemon.send(["hits:3|c"]);
    carbon.until_point("stats_counts.hits", 3.0);
    daemon.reload(&conf.set("limits", "max_series", 77));
    daemon.until_logged(&["reload=done changed=limits.max_series"], 1);
    daemon.send(["hits:4|c"]);
    carbon.until_point("stats_counts.hits", 4.0);
    daemon.stop();
    for (variable, option, expected) in [
        (
            "STATSD_CARBON_ADRESS",
            "a.b=c",
            "statsd: STATSD_CARBON_ADRESS: [carbon] adress: no such key",
        ),
        (
            "STATSD_PORT",
            "udp.bnid=*:1",
            "statsd: -o udp.bnid: [udp] bnid: no such key; did you mean bind?",
        ),
        ("STATSD_PORT", "udp.bind", "statsd: -o udp.bind: expected -o SECTION.KEY=VALUE"),
    ] {
        let mut command = statsd_command(Path::new("."));
        command.env(variable, "x").args(["--check", "-c", "/dev/null", "-o", option]);
        let output = command.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.lines().any(|line| line.starts_with(expected)), "{errors}");
        assert_eq!(output.status.code(), Some(2));
    }
}

/// Shows that the example configuration is valid, has only defaults, and is printed by the binary.
#[test]
fn the_example_is_valid_and_has_the_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("statsd.conf.example");
    run(statsd_command(Path::new(".")).args(["--check", "-c"]).arg(&example));
    let example = fs::read_to_string(example).unwrap();
    assert_eq!(statsd(&["--print-config=example"], "").stdout, example);
    let defaults = statsd(&["--print-config", "-c", "/dev/null"], "").stdout;
    let printed = statsd(&["--print-config", "-c", "bad.conf"], &example).stdout;
    assert_eq!(without_places(&printed), without_places(&defaults));
}

/// Shows that ./statsd.conf is taken when no file is named, and that the ready line comes at any
/// level.
#[test]
fn the_configuration_here_is_the_first_choice() {
    let conf = Conf::never_flushing().set("statsd", "log_level", "error");
    let daemon = Daemon::start_with(&conf, |command| command);
    assert_eq!(daemon.log().len(), 1, "more than its ready line: {:?}", daemon.log());
    assert!(daemon.admin().ask("config").contains("log_level = error"));
    daemon.stop();
}

/// Shows that an interrupt from the keyboard is a stop like SIGTERM.
#[test]
fn an_interrupt_stops_it() {
    let carbon = FakeCarbon::start();
    let mut daemon = Daemon::start(&Conf::flushing_at_stop_to(carbon.address()));
    daemon.send(["typed:1|c"]);
    daemon.until_counter("typed", 1.0);
    daemon.interrupt();
    assert_eq!(daemon.exit().code(), Some(0));
    carbon.until_point("stats_counts.typed", 1.0);
}

/// Shows that the server has one thread, at the start and under traffic over several flushes.
#[test]
fn it_never_has_a_second_thread() {
    let carbon = FakeCarbon::start();
    let name = format!("localhost:{}", carbon.address().port());
    let daemon =
        Daemon::start(&Conf::sending_to(carbon.address(), "1s").set("carbon", "address", name));
    let mut client = daemon.tcp_client();
    let mut rounds = 0;
    let (first, _) = carbon.flush_after(0);
    until_true("three flushes", || {
        daemon.send((0..20).map(|n| format!("n.{n}:1|c\nt.{n}:{rounds}|ms")));
        client.write_all(b"tcp:1|c\n").unwrap();
        daemon.admin().ask("counters");
        assert_eq!(daemon.status("Threads"), 1);
        rounds += 1;
        carbon.points().last().is_some_and(|point| point.stamp > first + 2)
    });
    daemon.stop();
}

/// Shows that without `user` no account is looked up. The name service is not even loaded.
#[test]
fn without_a_user_no_account_is_looked_up() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let maps = fs::read_to_string(format!("/proc/{}/maps", daemon.pid())).unwrap();
    assert!(maps.contains("libc.so") && !maps.contains("libnss_"), "{maps}");
    daemon.stop();
}

/// Shows that an idle server with the default receive buffers takes less than 4 MiB of memory, and
/// that the binary of a release has at most 2 MiB.
#[test]
fn idle_memory() {
    let daemon = Daemon::start(&Conf::flushing_every("1s"));
    until_clock_shows(crate::support::unix_now() + 3);
    let (kib, own) = (daemon.status("VmRSS"), daemon.status("RssAnon"));
    println!("idle resident memory: {kib} KiB, of which {own} KiB are not pages of files");
    // Nearly all of it are pages of the binary, which the kernel maps around those that are used.
    // A build without link-time optimisation has more code. The rest is the same for all.
    let is_release = env!("CARGO_BIN_EXE_statsd").contains("/release/");
    let limit = if is_release { 4096 } else { 4608 };
    assert!(!IS_OPTIMISED || kib < limit, "{kib} KiB");
    // A build that is not optimised has more addresses that the loader writes.
    assert!(!IS_OPTIMISED || own < 768, "{own} KiB");
    let bytes = fs::metadata(env!("CARGO_BIN_EXE_statsd")).unwrap().len();
    assert!(!is_release || bytes <= 2 << 20, "{bytes} bytes");
    // One call of `f64::ln` would load it, and half a mebibyte with it.
    let maps = fs::read_to_string(format!("/proc/{}/maps", daemon.pid())).unwrap();
    assert!(!maps.contains("libm.so"), "{maps}");
}

/// Shows that each of ten starts is ready. In `make soak`, the best is ready within 10 ms.
#[test]
fn start_to_ready() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("statsd.conf"), Conf::never_flushing().text()).unwrap();
    let best = (0..10).map(|_| time_to_ready(folder.path())).min().unwrap();
    println!("start to ready: {best:?}");
    assert!(!MEASURES || best < Duration::from_millis(10), "{best:?}");
}

/// Shows that clients that come and go, and a carbon that does, leave no open descriptor.
#[test]
fn descriptors_are_given_back() {
    let carbon = FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    carbon.flush_after(0);
    let before = daemon.descriptors();
    for round in 1..=5 {
        let clients: Vec<_> = (0..20).map(|_| (daemon.tcp_client(), daemon.admin())).collect();
        until_true("every client to be accepted", || daemon.descriptors() >= before + 40);
        drop(clients);
        let connections = carbon.connections();
        carbon.break_connections();
        until_true("carbon's next connection", || carbon.connections() > connections);
        until_true(&format!("descriptors back at {before} in round {round}"), || {
            daemon.descriptors() == before
        });
    }
    daemon.stop();
}

/// Shows that the log of a start ends with the address of the page, also if carbon is down. A
/// person who runs the server in a terminal reads its last line.
#[test]
fn a_start_ends_with_the_address_of_the_page() {
    let daemon = Daemon::start(&Conf::sending_to(FakeCarbon::absent().address(), "1h"));
    daemon.until_logged(&["page="], 1);
    let place = |text: &str| daemon.log().iter().position(|line| line.contains(text));
    let page = format!("page=http://{}/", daemon.admin_bound()[0]);
    assert!(place(&page).is_some() && place(&page) > place("backing_off"), "{:?}", daemon.log());
}

/// Shows that the address of the page is one that a browser on this machine can open, also if the
/// admin port listens on all addresses.
#[test]
fn the_address_of_the_page_can_be_opened() {
    for (bind, host) in [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "[::1]"), ("*:0", "127.0.0.1")] {
        let daemon = Daemon::start(&Conf::never_flushing().set("admin", "bind", bind));
        daemon.until_logged(&["page="], 1);
        let at = format!("{host}:{}", daemon.admin_bound()[0].port());
        daemon.until_logged(&[&format!("page=http://{at}/")], 1);
        let answer = Web::connect(at.parse().unwrap()).get("/-/healthy");
        assert_eq!(answer.status, 200, "{bind}");
    }
}

/// Runs the binary to its end in a folder with a file bad.conf of this text. Fails if the server
/// starts.
fn statsd(arguments: &[&str], text: &str) -> Finished {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("bad.conf"), text).expect("room for a file");
    Process::start(statsd_command(folder.path()).args(arguments)).finish(DEADLINE)
}

/// Returns the time from the start of the server to its `ready` line.
fn time_to_ready(folder: &Path) -> Duration {
    let began = Instant::now();
    let mut child = statsd_command(folder).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let stderr = BufReader::new(child.stderr.take().expect("its standard error"));
    let ready = stderr.lines().map_while(Result::ok).any(|line| line.starts_with("ready "));
    let took = began.elapsed();
    let _ = child.kill();
    let _ = child.wait();
    assert!(ready, "it ended before it was ready");
    took
}
