//! `--check` and the warnings about a configuration: settings that are legal and almost surely
//! wrong, and problems that a start would have. A check can run beside a server with the same
//! configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use socket2::{Domain, Socket, Type};

use crate::support::{
    Conf, DEADLINE, Daemon, FakeCarbon, Finished, Process, statsd_command, unix_now, until_true,
    with_longer_intervals,
};

/// A user without rights, on most systems.
const NOBODY: u32 = 65534;

/// A configuration that causes no warning. No server and no test uses its ports.
fn clean() -> Conf {
    Conf::flushing_every("10s").set("carbon", "address", "192.0.2.1:2003")
}

/// Runs `--check` in a folder, on its statsd.conf.
fn check_in(folder: &Path, conf: &Conf, arguments: &[&str]) -> Finished {
    fs::write(folder.join("statsd.conf"), conf.text()).unwrap();
    let mut command = statsd_command(folder);
    Process::start(command.args(["--check", "-c", "statsd.conf"]).args(arguments)).finish(DEADLINE)
}

/// Returns the lines of one kind: `warning`, `remark` or `error`.
fn lines_of(kind: &str, finished: &Finished) -> Vec<String> {
    let prefix = format!("statsd: {kind}: ");
    finished
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect()
}

/// The files below a folder, each with what would show that it was changed or replaced.
fn listing(folder: &Path) -> BTreeMap<String, (u64, i64, u32)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        let figures = (metadata.ino(), metadata.mtime_nsec(), metadata.mode());
        found.insert(entry.path().display().to_string(), figures);
        if metadata.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Shows that `--check`, a start and a reload report the same warnings, each with its line and a
/// remedy.
#[test]
fn the_same_warnings_are_printed_and_logged() {
    let conf = clean()
        .set("statsd", "flush_interval", "10000")
        .set("statsd", "percentiles", "0.5, 0.95")
        .set("namespace", "global_suffix", ".host")
        .set("namespace", "prefix_timer", "t")
        .set("rule.a", "match", r"^api\..*$")
        .set("rule.a", "drop", "yes")
        .set("carbon", "address", "192.0.2.1:2004")
        .set("carbon", "queue", "1m");
    let folder = tempfile::tempdir().unwrap();
    let checked = check_in(folder.path(), &conf, &[]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(checked.stdout, "statsd.conf: ok, with 7 warnings\n", "{checked:?}");
    let warnings = lines_of("warning", &checked);
    let text = conf.text();
    for (key, remedy) in [
        ("flush_interval", "write flush_interval = 10s"),
        ("percentiles", "write percentiles = 50, 95"),
        ("global_suffix", "write global_suffix = host"),
        ("prefix_timer", "write style = modern"),
        ("match", "write match = api.**"),
        ("address", "write protocol = pickle"),
        ("queue", "write queue = 2m"),
    ] {
        let is_its = |line: &&str| line.starts_with(&format!("{key} ="));
        let line = text.lines().position(|line| is_its(&line)).unwrap() + 1;
        let place = format!("statsd.conf:{line}: [");
        let found = warnings.iter().find(|warning| warning.starts_with(&place));
        let found = found.unwrap_or_else(|| panic!("nothing at {place} {key}: {warnings:#?}"));
        assert!(found.contains(&format!("] {key}: ")) && found.contains(remedy), "{found}");
    }

    let daemon = Daemon::start(&conf);
    for times in 1..=2 {
        for warning in &warnings {
            let (place, rest) = warning.split_once(": [").unwrap();
            let (section, rest) = rest.split_once("] ").unwrap();
            let (key, _) = rest.split_once(": ").unwrap();
            let setting = format!("setting={section}.{key} ");
            daemon.until_logged(
                &["level=warn", &setting, &format!("place={place} "), "hint="],
                times,
            );
        }
        daemon.hangup();
        daemon.until_logged(&["reload=done"], times);
    }
    daemon.stop();
}

/// Shows that `--strict` takes warnings for mistakes, and that nothing else changes.
#[test]
fn strict_fails_on_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let strict = |conf: &Conf| check_in(folder.path(), conf, &["--strict"]);
    let good = strict(&clean());
    assert_eq!((good.code, good.stdout.as_str()), (Some(0), "statsd.conf: ok\n"), "{good:?}");
    let doubtful = clean().set("statsd", "percentiles", "0.9");
    let failed = strict(&doubtful);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(2), ""), "{failed:?}");
    assert!(failed.stderr.contains("statsd.conf:3: [statsd] percentiles"), "{failed:?}");
    assert_eq!(check_in(folder.path(), &doubtful, &[]).code, Some(0));
    let wrong = strict(&clean().set("statsd", "percentiles", "x"));
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

/// Shows that a check beside a running server succeeds, with remarks about what the server holds,
/// and changes nothing. So `--check && reload` works.
#[test]
fn a_check_beside_the_running_server_changes_nothing() {
    let carbon = FakeCarbon::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("statsd", "log_level", "debug")
        .set("statsd", "state_file", at("state"))
        .set("statsd", "state_interval", "1h") // a save would change the file, too
        .set("spool", "dir", at("spool"))
        .set("unix", "stream", at("s.sock"))
        .set("unix", "datagram", at("d.sock"));
    let daemon = Daemon::start(&conf);
    let [udp, tcp] = [daemon.udp(), daemon.tcp()];
    let admin = daemon.admin_bound()[0];
    let conf = conf.set("udp", "bind", udp).set("tcp", "bind", tcp).set("admin", "bind", admin);
    daemon.reload(&conf);
    daemon.until_logged(&["reload=done"], 1);
    until_true("the first flush", || carbon.points().len() > 5);

    let before = listing(folder.path());
    let checked = check_in(daemon.folder(), &conf, &["--strict"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(checked.stdout, "statsd.conf: ok\n", "{checked:?}");
    assert_eq!(listing(folder.path()), before);
    let remarks = lines_of("remark", &checked);
    for key in [
        "[udp] bind",
        "[tcp] bind",
        "[admin] bind",
        "[unix] stream",
        "[unix] datagram",
        "[statsd] state_file",
        "[spool] dir",
    ] {
        let of_key = remarks.iter().filter(|remark| remark.contains(key)).count();
        assert_eq!(of_key, 1, "{key}: {remarks:#?}");
    }
    let held = format!("in use by the server with process id {}", daemon.pid());
    assert_eq!(remarks.iter().filter(|remark| remark.contains(&held)).count(), 4, "{remarks:#?}");

    daemon.hangup();
    daemon.until_logged(&["reload=done"], 2);
    daemon.send(["after:1|c"]);
    carbon.until_point("stats_counts.after", 1.0);
    let disturbed = ["accept", "lock", "state=missing", "state=unsaved"];
    let log = daemon.log();
    let is_odd = |line: &&String| disturbed.iter().any(|word| line.contains(&format!(" {word}")));
    assert_eq!(log.iter().find(is_odd), None);
    daemon.stop();
}

/// Shows that a check finds the problems that a start would have, and creates nothing.
#[test]
fn a_check_tries_what_a_start_would() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let long = at(&"x".repeat(120));
    fs::write(at("statsd.conf"), "").unwrap();
    let before: Vec<_> = listing(folder.path()).into_keys().collect();
    for (section, key, value, code, found) in [
        ("statsd", "user", "nosuch-user", 1, "[statsd] user: nosuch-user: no such user"),
        ("statsd", "group", "nosuch-group", 1, "no such group"),
        ("udp", "bind", "192.0.2.1:20001", 1, "no interface of this machine has that address"),
        ("tcp", "bind", "*:20002, 127.0.0.1:20002", 1, "another address of [tcp] bind"),
        ("unix", "stream", &at("nosuch/s.sock"), 1, "(os error 2); create its folder"),
        ("unix", "stream", &at("file/s.sock"), 1, "must be a folder is a file"),
        ("unix", "datagram", &at("file"), 1, "no socket has that path; move the file away"),
        ("unix", "stream", &at("open"), 1, "a folder has that path; choose a path in it"),
        ("unix", "datagram", &long, 1, " bytes; choose a path of at most 107 bytes"),
        ("spool", "dir", &at("file"), 1, "the server does not start"),
        ("spool", "dir", &at("open"), 1, "can be written to by other users"),
        ("statsd", "state_file", &at("file/new/state"), 0, "nothing is kept over a restart"),
        ("statsd", "state_file", "/proc/new/state", 0, "nothing is kept over a restart"),
        ("statsd", "state_file", &at("nosuch/folder/state"), 0, ""),
        ("statsd", "state_file", &at("open"), 0, "is a folder"),
        ("statsd", "state_file", &at("open/state"), 0, "can be written to by other users"),
        ("statsd", "state_file", &at("file"), 0, "is no state file of this version"),
        ("statsd", "state_file", "/proc/state", 0, "nothing is kept over a restart"),
        ("spool", "dir", "/proc/spool", 1, "the server does not start"),
        ("spool", "dir", &at("new/er"), 0, ""),
        ("statsd", "state_file", &at("state"), 0, ""),
        ("unix", "stream", &at("s.sock"), 0, ""),
    ] {
        let conf = clean().set(section, key, value);
        let line =
            conf.text().lines().position(|line| line.starts_with(&format!("{key} = {value}")));
        let checked = check_in(folder.path(), &conf, &[]);
        assert_eq!(checked.code, Some(code), "{key} = {value}: {checked:?}");
        let kind = if code == 0 { "warning" } else { "error" };
        let lines = lines_of(kind, &checked);
        assert_eq!(lines.len(), usize::from(!found.is_empty()), "{key} = {value}: {checked:?}");
        if let Some(text) = lines.first() {
            let place = format!("statsd.conf:{}: [{section}] {key}: ", line.unwrap() + 1);
            assert!(text.starts_with(&place) && text.contains(found), "{key} = {value}: {text}");
        }
    }
    let names =
        clean().set("key_flush", "interval", "1m").set("key_flush", "log", at("nosuch/names"));
    let checked = check_in(folder.path(), &names, &[]);
    assert!(lines_of("warning", &checked)[0].contains("the names are lost"), "{checked:?}");
    let after: Vec<_> = listing(folder.path()).into_keys().collect();
    assert_eq!(after, before);
}

/// Shows that root tests the files as the user of the configuration, and that other users remark
/// what only root can test.
#[test]
fn what_only_root_can_test_is_a_remark() {
    if !is_root() {
        return;
    }
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir();
    let folder = folder.unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, owner) in [("theirs", NOBODY), ("ours", 0)] {
        fs::create_dir(at(name)).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o700)).unwrap();
        chown(at(name), Some(owner), Some(owner)).unwrap();
    }
    let with = |name: &str| {
        let conf = clean().set("udp", "recv_buffer", "64k").set("spool", "dir", at(name).display());
        conf.set("statsd", "state_file", at(name).join("state").display())
    };
    let as_root = |conf: &Conf| check_in(folder.path(), conf, &[]);
    let as_nobody = |conf: &Conf| {
        fs::write(at("statsd.conf"), conf.text()).unwrap();
        let mut command = statsd_command(folder.path());
        command.args(["--check", "-c", "statsd.conf"]).uid(NOBODY).gid(NOBODY);
        Process::start(&mut command).finish(DEADLINE)
    };
    let count = |finished: &Finished| {
        let kinds = ["error", "warning", "remark"];
        (finished.code, kinds.map(|kind| lines_of(kind, finished).len()))
    };
    // Root cannot find out as which user the service manager starts the server.
    let unknown = as_root(&with("theirs"));
    assert_eq!(count(&unknown), (Some(0), [0, 0, 2]), "{unknown:?}");
    assert!(unknown.stderr.contains("run statsd --check as the user of the server"));
    assert_eq!(count(&as_root(&with("ours"))), (Some(0), [0; 3]));

    let user = |name: &str| with(name).set("statsd", "user", NOBODY);
    let known = as_root(&user("theirs"));
    assert_eq!(count(&known), (Some(0), [0; 3]), "{known:?}");
    let refused = as_root(&user("ours"));
    assert_eq!(count(&refused), (Some(1), [1, 1, 0]), "{refused:?}");

    let same = as_nobody(&user("theirs"));
    assert_eq!(count(&same), (Some(0), [0; 3]), "{same:?}");
    let other = as_nobody(&with("ours").set("statsd", "user", "root"));
    assert_eq!(count(&other), (Some(0), [0, 0, 3]), "{other:?}");
    assert!(other.stderr.contains("only root can become another user"), "{other:?}");
    let low = as_nobody(&clean().set("tcp", "bind", "127.0.0.1:79"));
    assert_eq!(low.code, Some(0), "{low:?}");

    fs::write(at("statsd.conf"), "").unwrap();
    fs::set_permissions(at("statsd.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    let hidden = as_root(&user("theirs"));
    assert_eq!(count(&hidden), (Some(0), [0, 1, 0]), "{hidden:?}");
    assert!(hidden.stderr.contains("a reload reads it again"), "{hidden:?}");
}

/// Shows that a limit beyond the memory of the process is reported with a value that fits, by a
/// check and by a start, and that limits without a value are derived from that memory.
#[test]
fn limits_beyond_the_memory_are_reported_with_values_that_fit() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |conf: &Conf, mode: &str| {
        fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
        let mut command = Command::new("bash");
        let script = format!("ulimit -v 131072; exec \"$0\" {mode} -c statsd.conf");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_statsd")]).current_dir(folder.path());
        Process::start(&mut command).finish(DEADLINE)
    };
    assert_eq!(limited(&clean(), "--check").stdout, "statsd.conf: ok\n");
    let printed = limited(&clean(), "--print-config").stdout;
    let derived = |key: &str| {
        let line = printed.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        assert!(line.ends_with("# derived from [limits] max_memory"), "{line}");
        let (_, value) = line.split('#').next().unwrap().split_once(" = ").unwrap();
        let (number, unit) = value.trim().split_at(value.trim().len() - 1);
        number.parse::<u64>().unwrap() << if unit == "m" { 20 } else { 10 }
    };
    let keys = ["series_memory", "timer_memory", "passthrough_memory", "history_memory", "queue"];
    let sum: u64 = keys.into_iter().map(derived).sum();
    assert!(
        (34 << 20..=40 << 20).contains(&sum),
        "{sum}: two thirds of 60 MiB, which are half of the memory, less 4 MiB"
    );
    let too_much = clean().set("statsd", "timer_memory", "200m");
    let checked = limited(&too_much, "--check");
    let warnings = lines_of("warning", &checked);
    assert_eq!((checked.code, warnings.len()), (Some(0), 1), "{checked:?}");
    let reason = "all limits together are 217 MiB, 200 MiB with [statsd] timer_memory alone, and \
                  the limit of address space (ulimit -v) has 128 MiB; write [statsd] timer_memory = ";
    let (_, value) = warnings[0].split_once(reason).unwrap_or_else(|| panic!("{warnings:?}"));
    let fitting = clean().set("statsd", "timer_memory", value);
    assert_eq!(limited(&fitting, "--check").stdout, "statsd.conf: ok\n");
    let daemon = Daemon::start_after(&too_much, "ulimit -v 131072");
    daemon.until_logged(&["setting=statsd.timer_memory", "(ulimit -v) has 128 MiB"], 1);
    daemon.stop();
    let refused = limited(&too_much.set("limits", "max_memory", "100m"), "--check");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let mistake = "[limits] max_memory: the limits together are 209 MiB, 200 MiB with [statsd] \
                   timer_memory alone; lower or empty [statsd] timer_memory, or write at least 209m";
    assert!(refused.stderr.contains(mistake), "{refused:?}");
    let tight = limited(&clean().set("limits", "max_memory", "8m"), "--check");
    let mistake = "[limits] max_memory: with all limits at their smallest the server takes 10 MiB; \
                   write at least 10m here";
    assert!(tight.stderr.contains(mistake), "{tight:?}");
    assert_eq!(limited(&clean().set("limits", "max_memory", "10m"), "--check").code, Some(0));
}

/// Shows that a limit of open files that is too low for all clients is reported.
#[test]
fn too_few_descriptors_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("statsd.conf"), clean().text()).unwrap();
    let mut command = Command::new("bash");
    let script = "ulimit -n 100; exec \"$0\" --check -c statsd.conf";
    command.args(["-c", script, env!("CARGO_BIN_EXE_statsd")]).current_dir(folder.path());
    let checked = Process::start(&mut command).finish(DEADLINE);
    let warnings = lines_of("warning", &checked);
    assert_eq!((checked.code, warnings.len()), (Some(0), 1), "{checked:?}");
    let reason = "[tcp] max_connections: the limit of open files (100) leaves room for ";
    assert!(warnings[0].contains(reason) && warnings[0].contains("ulimit -n"), "{warnings:?}");
}

/// Shows that a socket that was passed in and is open to more than `bind` is reported.
#[test]
fn a_socket_passed_in_that_is_wider_than_bind_is_reported() {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
    let conf = clean().set("udp", "bind", "127.0.0.1:8125");
    let daemon = Daemon::start_passing(&conf, &[(&socket, "udp")], None, |_| ());
    daemon.until_logged(&["setting=udp.bind", "place=statsd.conf:", "that was passed in"], 1);
    daemon.stop();
    let daemon = Daemon::start(&conf.set("udp", "bind", "127.0.0.1:0"));
    assert!(!daemon.log().iter().any(|line| line.contains("setting=")), "{:?}", daemon.log());
    daemon.stop();
}

/// Shows that the line of the start has the interval and the time of the first flush.
#[test]
fn the_line_of_the_start_has_the_time_of_the_first_flush() {
    for (align, seconds) in [("yes", 2), ("no", 2)] {
        with_longer_intervals(seconds, |seconds| first_flush_is_as_logged(align, seconds));
    }
}

/// Returns `None` if the first flush was skipped, because the server was late by a whole interval.
fn first_flush_is_as_logged(align: &str, seconds: u64) -> Option<()> {
    let carbon = FakeCarbon::start();
    let interval = format!("{seconds}s");
    let conf = Conf::sending_to(carbon.address(), &interval).set("statsd", "align_flush", align);
    let daemon = Daemon::start(&conf);
    let log = daemon.log();
    let line = log.iter().find(|line| line.contains(" start=")).expect("a line for the start");
    assert!(line.contains(&format!(" flush_interval={interval} first_flush=20")), "{line}");
    let (_, time) = line.split_once("first_flush=").unwrap();
    let time = humantime::parse_rfc3339(time.split(' ').next().unwrap()).unwrap();
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!(since <= Duration::from_secs(unix_now() + seconds + 1), "{line}");
    let stamp = (since.as_millis() + 500) / 1000;
    let first = carbon.until("the first flush", |points| Some(points.first()?.stamp));
    daemon.stop();
    let missed = u128::from(first).checked_sub(stamp).expect("no flush before the first");
    assert_eq!(missed % u128::from(seconds), 0, "{first}: {line}");
    (missed == 0).then_some(())
}
