//! The admin port: the answer to every command, typed by an operator or sent by a script, and the
//! input that it refuses.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use crate::support::{
    Admin, Conf, Daemon, connect, statsd_command, unix_now, until_true, without_places,
};
use serde_json::{Value, json};

/// Shows that each dump is one JSON object of the open interval, with a line for each entry, sorted
/// by name.
#[test]
fn dumps_show_the_open_interval() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send(["b:3|c\na:0.5|c\ng:-2|g\nt:3|ms\nt:1.5|ms\ns:x|s\ns:y|s\ns:x|s\nlast:1|c"]);
    daemon.until_counter("last", 1.0);
    let mut admin = daemon.admin();
    let counters = admin.numbers("counters");
    assert_eq!((counters["a"], counters["b"]), (0.5, 3.0));
    assert_eq!(admin.numbers("gauges")["g"], -2.0);
    assert_eq!(admin.numbers("sets")["s"], 2.0);
    assert_eq!(Value::Object(admin.dump("timers")), json!({"t": [3, 1.5]}));
    assert_eq!(admin.ask("gauges"), "{\n\"g\": -2\n}\nEND\n\n");
    assert_eq!(admin.ask("timers"), "{\n\"t\": [3, 1.5]\n}\nEND\n\n");
    let text = admin.ask("counters");
    let entries: Vec<_> = text.lines().skip(1).take_while(|line| *line != "}").collect();
    assert_eq!(entries[..3], ["\"a\": 0.5,", "\"b\": 3,", "\"last\": 1,"]);
    assert!(entries.is_sorted() && entries[3..].iter().all(|line| line.starts_with("\"statsd.")));
    admin.ask("delgauges g");
    assert_eq!(admin.ask("gauges"), "{\n}\nEND\n\n", "no entry");
}

/// Shows that the number of lines of a dump grows by one with each series. Datadog's agent sends
/// the number of lines less one as `statsd.counters.count`.
#[test]
fn the_lines_of_a_dump_count_the_series() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let counted = || ["counters", "gauges", "timers"].map(|kind| daemon.admin().ask(kind));
    let lines = |answers: [String; 3]| answers.map(|answer| answer.lines().count());
    let before = lines(counted());
    let series = |kind: &'static str| (0..700).map(move |n| format!("name.{n}:1|{kind}\n"));
    let all: String = series("c").chain(series("g")).chain(series("ms")).collect();
    daemon.tcp_client().write_all(format!("{all}last:1|c\n").as_bytes()).unwrap();
    daemon.until_counter("last", 1.0);
    let after = lines(counted());
    assert_eq!(after, [before[0] + 701, before[1] + 700, before[2] + 700]);
}

/// Shows that a timer with over 1,000 samples is shown by its figures.
#[test]
fn a_long_timer_is_shown_by_its_figures() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send((0..4).map(|_| "t:2|ms\n".repeat(500) + "t:5|ms"));
    daemon.send(["end:1|c"]);
    daemon.until_counter("end", 1.0);
    let timers = daemon.admin().dump("timers");
    let figures = &timers["t"];
    assert!(figures.is_object(), "samples, not figures: {figures}");
    let expected = [("count", 2004.0), ("lower", 2.0), ("sum", 4020.0), ("upper", 5.0)];
    for (figure, value) in expected {
        assert_eq!(figures[figure].as_f64(), Some(value), "{figure}");
    }
}

/// Shows that whatever bytes a name holds, a dump stays JSON, and the answer about a deletion sends
/// no command to a terminal.
#[test]
fn odd_names_are_escaped() {
    let daemon = Daemon::start(&Conf::never_flushing().set("statsd", "sanitize_keys", "no"));
    daemon.send([&b"quo\"te\\d:1|c\ntab\there:1|c\nnot\xffutf8\x01:1|c\nlast:1|c"[..]]);
    daemon.until_counter("last", 1.0);
    let counters = daemon.admin().numbers("counters");
    assert_eq!(counters["quo\"te\\d"], 1.0);
    // No destination can store a control character, or bytes that are not UTF-8.
    assert_eq!(counters["tab_here"], 1.0);
    assert_eq!(counters["not\u{fffd}utf8"], 1.0);
    assert!(!counters.keys().any(|name| name.starts_with('\0')), "merged series are not shown");
    daemon.send([&b"f.[2Jcaf\xc3\xa9:1|c\nend:1|c"[..]]);
    daemon.until_counter("end", 1.0);
    let answer = daemon.admin().ask("delcounters f.* no\x1bpe");
    assert_eq!(answer, "deleted: f.[2Jcaf\u{e9}\nmetric no\\x1bpe not found\nEND\n\n");
    daemon.send(["c d:1|c\nx/y:1|c\nend:1|c"]);
    daemon.until_counter("end", 2.0);
    let answer = daemon.admin().ask(r#"delcounters "c d" c_d x-y "quo\"te\\d" x/y"#);
    let expected = [
        "deleted: c d",
        "metric c_d not found",
        "metric x-y not found",
        "deleted: quo\"te\\d",
        "deleted: x/y",
        "END\n\n",
    ];
    assert_eq!(answer, expected.join("\n"));
}

/// Shows what `stats` holds before anything came and after a good and a bad line.
#[test]
fn stats_shows_the_input() {
    let started = unix_now();
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send(["a:1|c\nbad"]);
    until_true("the bad line", || daemon.admin().stats()["messages.bad_lines_seen"] == "1");
    let stats = daemon.admin().stats();
    for figure in ["uptime", "messages.last_msg_seen"] {
        let seconds: u64 = stats[figure].parse().unwrap();
        assert!(seconds <= unix_now() - started, "{figure}: {seconds}");
    }
}

/// Shows the four figures of a carbon that is up.
#[test]
fn stats_shows_how_a_flush_went() {
    let started = unix_now();
    let carbon = crate::support::FakeCarbon::start();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    carbon.flush_after(0);
    until_true("a flush in stats", || {
        daemon.admin().stats()["graphite.flush_length"].parse::<f64>().unwrap() > 0.0
    });
    let stats = daemon.admin().stats();
    assert!(stats["graphite.last_flush"].parse::<u64>().unwrap() <= unix_now() - started);
    stats["graphite.flush_time"].parse::<f64>().unwrap();
    // As in Node, it counts from 1970 if nothing has failed.
    let never = stats["graphite.last_exception"].parse::<u64>().unwrap();
    assert!((started..=unix_now()).contains(&never), "{never}");
    let first = |figure: &str| {
        let name = format!("stats.statsd.graphiteStats.{figure}");
        carbon.until(&name, |points| Some(points.iter().find(|p| p.name == name)?.number()))
    };
    assert!(first("last_flush") >= started as f64, "no flush has arrived: the start");
    assert_eq!(first("last_exception"), 0.0);
}

/// Shows that a carbon that refuses connections is a failure. In Node it is none.
#[test]
fn stats_shows_a_carbon_that_is_down() {
    let carbon = crate::support::FakeCarbon::absent();
    let daemon = Daemon::start(&Conf::sending_to(carbon.address(), "1s"));
    until_true("a failure in stats", || {
        daemon.admin().stats()["graphite.last_exception"].parse::<u64>().unwrap() < 60
    });
}

/// Shows that each `del` command forgets its kind of series only, by name or by folder.
#[test]
fn del_commands_forget_series() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let lines = ["f.a", "f.b", "f", "keep"].map(|n| format!("{n}:1|c\n{n}:1|g\n{n}:1|ms\n{n}:1|s"));
    daemon.send([lines.join("\n") + "\nlast:1|c"]);
    daemon.until_counter("last", 1.0);
    let mut admin = daemon.admin();
    for kind in ["counters", "timers", "gauges", "sets"] {
        let answer = admin.ask(&format!("del{kind} f.* nope f"));
        let lines: Vec<_> = answer.strip_suffix("END\n\n").unwrap().lines().collect();
        // In the order of the arguments, and sorted within a folder.
        let expected = ["deleted: f.a", "deleted: f.b", "metric nope not found", "deleted: f"];
        assert_eq!(lines, expected, "del{kind}");
        let left = admin.dump(kind);
        assert!(left.contains_key("keep") && !left.keys().any(|name| name.starts_with('f')));
    }
    let answer = admin.ask("delcounters none.* keep.*");
    assert_eq!(answer, "metric none.* not found\nmetric keep.* not found\nEND\n\n");
    // Deleting by folder takes several steps, and the answer is sorted all the same.
    let names: Vec<String> = (0..3000).map(|n| format!("many.{:04}", n * 7 % 3000)).collect();
    names.chunks(100).for_each(|names| daemon.send([names.join(":1|c\n") + ":1|c"]));
    daemon.send(["many.last:1|c"]);
    daemon.until_counter("many.last", 1.0);
    let mut expected: Vec<_> = names.iter().map(|name| format!("deleted: {name}\n")).collect();
    expected.sort_unstable();
    let answer = admin.ask("delcounters many.*");
    assert_eq!(answer, expected.concat() + "deleted: many.last\nEND\n\n");
    daemon.send(["f.a:5|c"]);
    daemon.until_counter("f.a", 5.0);
}

/// Shows the short commands, and that an unknown one is answered with ERROR and harms nothing.
#[test]
fn short_commands() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut admin = daemon.admin();
    assert_eq!(admin.ask("version"), format!("statsd {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(admin.ask("health"), "health: up\n");
    assert_eq!(admin.ask("health down"), "health: down\n");
    assert_eq!(daemon.admin().ask("health"), "health: down\n");
    assert_eq!(admin.ask("health up"), "health: up\n");
    assert_eq!(admin.ask("no such thing"), "ERROR\n");
    assert_eq!(admin.ask("COUNTERS!"), "ERROR\n");
    admin.send("quit\n");
    assert_eq!(admin.read_to_close(), "");
}

/// Shows that `help` begins as Node's does, has a line about each command, and explains each.
#[test]
fn help_explains_every_command() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut admin = daemon.admin();
    let help = admin.ask("help");
    let (first, lines) = help.split_once('\n').unwrap();
    let names = first.strip_prefix("Commands: ").unwrap();
    assert!(names.starts_with("stats, info, counters, timers, gauges, sets, "), "{help}");
    let names: Vec<_> = ["help"].into_iter().chain(names.split(", ")).collect();
    let listed: Vec<_> = lines.split_whitespace().filter(|word| names.contains(word)).collect();
    assert!(names.iter().all(|name| listed.contains(name)), "{help}");
    for name in &names {
        let full = admin.ask(&format!("help {name}"));
        assert!(full.starts_with(name) && full.lines().count() >= 3, "{full}");
    }
    assert!(admin.ask("help stats").contains("messages.last_msg_seen"));
    assert_eq!(admin.ask("help nosuch"), "ERROR no such command; `help` lists them\n\n");
    assert_eq!(admin.ask("health"), "health: up\n");
}

/// Shows that commands may come several at once or a byte at a time, ended by either newline.
#[test]
fn commands_arrive_in_any_pieces() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut admin = daemon.admin();
    let version = admin.ask("version");
    admin.send("version\r\nhealth\nnonsense\r\ncounters\nversion\n");
    assert_eq!(admin.read_answer("version"), version);
    assert_eq!(admin.read_answer("health"), "health: up\n");
    assert_eq!(admin.read_answer("nonsense"), "ERROR\n");
    assert!(admin.read_answer("counters").starts_with('{'));
    assert_eq!(admin.read_answer("version"), version);
    for byte in b"health down\r\nversion\n" {
        admin.send([*byte]);
    }
    assert_eq!(admin.read_answer("health"), "health: down\n");
    assert_eq!(admin.read_answer("version"), version);
}

/// Sends this, closes that half of the connection, and reads until the server closes the other.
fn half_closed(daemon: &Daemon, input: &[u8]) -> String {
    let mut stream = connect(daemon.admin_bound()[0]);
    stream.write_all(input).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    Admin::over(stream).read_to_close()
}

/// Shows that the end of the input ends the last command, as in `printf health | nc -N`.
#[test]
fn a_half_close_ends_the_last_command() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let version = format!("statsd {}\n", env!("CARGO_PKG_VERSION"));
    for (input, answer) in [
        ("health", "health: up\n".to_owned()),
        ("health\r", "health: up\n".to_owned()),
        ("health \t", "health: up\n".to_owned()),
        ("version\r\nhealth down\r\nhealth\nversion", {
            format!("{version}health: down\nhealth: down\n{version}")
        }),
        ("health up\n", "health: up\n".to_owned()),
        ("gauges", "{\n}\nEND\n\n".to_owned()),
        ("sets\ndelcounters nope a.*\nhealth", {
            "{\n}\nEND\n\nmetric nope not found\nmetric a.* not found\nEND\n\nhealth: up\n".into()
        }),
        ("nonsense", "ERROR\n".to_owned()),
        ("\0", "ERROR\n".to_owned()),
        ("health\nquit\nhealth", "health: up\n".to_owned()),
        ("health\nquit", "health: up\n".to_owned()),
        ("quit", String::new()),
        ("", String::new()),
        ("\n", String::new()),
        (" \r", String::new()),
        ("GET /health HTTP/1.1", String::new()),
        ("health down HTTP/1.1", String::new()),
    ] {
        assert_eq!(half_closed(&daemon, input.as_bytes()), answer, "{input:?}");
    }
    for command in ["help", "help stats", "config", "stats", "sinks", "counters", "timers"] {
        let answer = half_closed(&daemon, command.as_bytes());
        assert_eq!(daemon.admin().ask(command).lines().count(), answer.lines().count(), "{answer}");
        assert!(answer.ends_with("\n\n"), "{answer}");
    }
}

/// Shows that a client that closes its half during a long answer gets all of it, and the answers of
/// the commands after it.
#[test]
fn a_half_close_does_not_cut_a_long_answer_off() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let lines: String =
        (0..60_000).map(|n| format!("a.series.with.a.name.as.long.as.this.{n:06}:1|c\n")).collect();
    daemon.tcp_client().write_all(lines.as_bytes()).unwrap();
    daemon.until_counter("a.series.with.a.name.as.long.as.this.059999", 1.0);
    // The dumps are more than both ends of a connection hold, so the server writes them in slices
    // while the client reads.
    let answer = half_closed(&daemon, b"counters\ncounters\ncounters\nhealth");
    let answers: Vec<_> = answer.split("END\n\n").collect();
    assert_eq!((answers.len(), answers[3]), (4, "health: up\n"));
    for dump in &answers[..3] {
        assert!(dump.starts_with("{\n\"a.series") && dump.ends_with("\n}\n"));
        assert_eq!(dump.matches("\"a.series").count(), 60_000);
    }
    for _ in 0..20 {
        connect(daemon.admin_bound()[0]).write_all(b"counters\ncounters").unwrap(); // and closes
    }
    assert_eq!(half_closed(&daemon, b"health"), "health: up\n");
}

/// Shows that a page in an operator's browser cannot run commands: what begins as HTTP is closed
/// before a command in its body is seen.
#[test]
fn http_never_runs_a_command() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send(["keep:1|c"]);
    daemon.until_counter("keep", 1.0);
    let body = "\r\ndelcounters keep\r\nhealth down\r\n";
    for start in
        ["POST / HTTP/1.1", "POST /health HTTP/1.0", "GET /a HTTP/1.1", "OPTIONS * HTTP/1.1"]
    {
        let request = format!("{start}\r\nHost: x\r\nContent-Length: {}\r\n{body}", body.len());
        for pieces in [request.len(), 3] {
            let mut browser = daemon.admin();
            for piece in request.as_bytes().chunks(pieces) {
                browser.send_unless_closed(piece);
            }
            let answer = browser.read_to_close();
            assert!(!answer.contains("deleted") && !answer.contains("health:"), "{answer}");
        }
    }
    let mut admin = daemon.admin();
    assert_eq!(admin.numbers("counters")["keep"], 1.0);
    assert_eq!(admin.ask("health"), "health: up\n");
}

/// Shows that `config` gives a file that the server takes, and that gives the same again.
#[test]
fn config_is_a_configuration() {
    let conf = Conf::never_flushing()
        .set("statsd", "percentiles", "50, 99.9, -10")
        .set("namespace", "global_prefix", "\"quoted.prefix\" # and a comment")
        .set("carbon.second", "address", "localhost:2103");
    let daemon = Daemon::start(&conf);
    let config = daemon.admin().ask("config");
    let file = daemon.folder().join("again.conf");
    fs::write(&file, &config).unwrap();
    let run = |arguments: &[&str]| {
        statsd_command(daemon.folder()).args(arguments).args(["-c", "again.conf"]).output().unwrap()
    };
    let check = run(&["--check"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let printed = String::from_utf8(run(&["--print-config"]).stdout).unwrap();
    let printed = without_places(&printed);
    let settings: Vec<_> = printed.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(settings.join("\n"), config.trim_end());
    for setting in ["50, 99.9, -10", "quoted.prefix", "localhost:2103"] {
        assert!(config.contains(setting), "no {setting} in\n{config}");
    }
}

/// Shows that a client that asks and never reads costs a bounded amount of memory, and delays no
/// other client.
#[test]
fn a_client_that_does_not_read_delays_no_other() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.send(
        (0..100).map(|p| (0..20).map(|n| format!("some.name.{p}.{n}:1|c\n")).collect::<String>()),
    );
    daemon.send(["last:1|c"]);
    daemon.until_counter("last", 1.0);
    let mut silent = connect(daemon.admin_bound()[0]);
    silent.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    for _ in 0..2_000 {
        if silent.write_all(b"counters\n").is_err() {
            break;
        }
    }
    daemon.send(["after:1|c"]);
    daemon.until_counter("after", 1.0);
    let memory = daemon.status("VmRSS");
    assert!(
        memory < 64 * 1024,
        "{memory} KiB after some 2,000 dumps of 40 KiB asked for and not read"
    );
}

/// Shows that the kernel, too, holds little for a client that asks and never reads.
#[test]
fn the_kernel_holds_little_for_a_client_that_does_not_read() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let name = |n: u32| format!("a.series.with.a.name.as.long.as.they.are.here.{n:06}");
    let lines: String = (0..2_000).map(|n| format!("{}:1|c\n", name(n))).collect();
    daemon.tcp_client().write_all(lines.as_bytes()).unwrap();
    daemon.until_counter(&name(1_999), 1.0);
    let server = daemon.admin_bound()[0];
    let mut silent = connect(server);
    silent.write_all("counters\n".repeat(400).as_bytes()).unwrap(); // 48 MB of answers
    let client = silent.local_addr().unwrap();
    let mut other = daemon.admin();
    until_unread(server, client, &mut other);
    let queued = unacknowledged(server, client);
    assert!(queued <= 256 << 10, "{queued} bytes are queued");
}

/// Shows that a new client takes the place of one that does not read its answer, and not of a watch
/// that has nothing to show.
#[test]
fn a_quiet_watch_outlives_a_client_that_does_not_read() {
    let daemon = Daemon::start(&Conf::never_flushing().set("admin", "max_connections", "2"));
    let server = daemon.admin_bound()[0];
    let mut watching = daemon.admin();
    let mut silent = connect(server);
    silent.write_all("config\n".repeat(3000).as_bytes()).unwrap();
    until_unread(server, silent.local_addr().unwrap(), &mut watching);
    watching.send("watch web.*\n");
    watching.read_through("ends it\n");
    daemon.admin().ask("version");
    daemon.send(["web.a:1|c"]);
    assert!(watching.read_through("\n").contains(" line=\"web.a:1|c\" "));
}

/// Waits until the kernel takes no more bytes for a client that does not read. `other` is another
/// client of the server.
fn until_unread(server: SocketAddr, client: SocketAddr, other: &mut Admin) {
    // The server serves all clients that can go on in each turn. So if turns for another client
    // change nothing, the kernel takes no more for this one.
    until_true("the kernel takes no more", || {
        let before = unacknowledged(server, client);
        (0..20).for_each(|_| _ = other.ask("version"));
        before > 0 && unacknowledged(server, client) == before
    });
}

/// Returns the bytes that a server has passed to the kernel on a connection over IPv4, and that the
/// client has not acknowledged.
fn unacknowledged(server: SocketAddr, client: SocketAddr) -> u64 {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let [server, client] =
        [server, client].map(|address| format!("0100007F:{:04X}", address.port()));
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.into_iter().find(|row| row[1] == server && row[2] == client).unwrap();
    u64::from_str_radix(row[4].split(':').next().unwrap(), 16).unwrap()
}

/// Shows that a dump waits for no other client's reading, and that a dump which was paused for it
/// is complete at the end.
#[test]
fn a_dump_waits_for_no_other_client() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let name = |n: u32| format!("a.series.with.a.name.as.long.as.they.are.here.{n:06}");
    let last = name(19_999);
    let lines: String = (0..20_000).map(|n| format!("{}:1|c\n", name(n))).collect();
    daemon.tcp_client().write_all(lines.as_bytes()).unwrap();
    until_true("all series", || daemon.admin().numbers("counters").contains_key(&last));
    let mut slow: Vec<Admin> = (0..5).map(|_| daemon.admin()).collect();
    for admin in &mut slow {
        // A few of these are more than both ends of a connection hold.
        admin.send("counters\n".repeat(12));
    }
    for _ in 0..3 {
        assert!(daemon.admin().ask("counters").contains(&last));
    }
    // All of them read at once: the server closes a client that leaves an answer unread for long.
    let answers: Vec<Vec<String>> = std::thread::scope(|readers| {
        let read = |admin: &mut Admin| (0..12).map(|_| admin.read_answer("counters")).collect();
        let readers: Vec<_> =
            slow.iter_mut().map(|admin| readers.spawn(move || read(admin))).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for answers in answers {
        assert_eq!(answers.len(), 12);
        for answer in answers {
            assert!(answer.starts_with("{\n\"a.series") && answer.ends_with("\n}\nEND\n\n"));
            let names = answer.matches("a.series").count();
            assert_eq!(names, 20_000);
            for n in [0, 1, 9_999, 19_999] {
                assert_eq!(answer.matches(&format!("\"{}\": 1", name(n))).count(), 1);
            }
        }
    }
}

/// Shows that admin clients are bounded, and that a new client replaces the one whose last command
/// is the oldest.
#[test]
fn one_admin_client_too_many_takes_the_place_of_an_idle_one() {
    let daemon = Daemon::start(&Conf::never_flushing().set("admin", "max_connections", "2"));
    let (mut first, mut second) = (daemon.admin(), daemon.admin());
    second.ask("version");
    // One turn may answer both clients, but never one client twice.
    (0..2).for_each(|_| _ = first.ask("version"));
    let mut third = daemon.admin();
    third.ask("version");
    assert_eq!(second.read_to_close(), "");
    first.ask("version");
    first.send("quit\n");
    first.read_to_close();
    daemon.admin().ask("version");
    third.ask("version");
}

/// Shows that no time of `stats` is longer than that since the start, in any part of a second.
#[test]
fn times_since_the_start_agree() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let mut admin = daemon.admin();
    until_true("a second has passed", || {
        let stats = admin.stats();
        assert_eq!(stats["uptime"], stats["messages.last_msg_seen"], "{stats:?}");
        stats["uptime"] != "0"
    });
}

/// Shows that `top` names the series with most samples, the prefixes with most new series and the
/// tag keys with most values, and that `rules` counts the series of each rule.
#[test]
fn top_and_rules_show_what_brings_most() {
    let conf = Conf::flushing_every("1s")
        .set("rule.web", "match", "web.**, app.**")
        .set("rule.web", "expire", "1h")
        .set("rule.gone", "match", "gone.*")
        .set("rule.gone", "drop", "yes");
    let daemon = Daemon::start(&conf);
    let many =
        (0..50).map(|n| format!("web.user.n{n};user={n};env=prod:1|c\n")).collect::<String>();
    let few = "hot:1|ms\nhot:1|ms\nhot:1|ms\nother:1|g\ngone.a:1|c\ngone.b:1|c";
    daemon.send_together([&many, few]);
    let mut admin = daemon.admin();
    until_true("top shows hot", || admin.ask("top 1") == "3 hot timer\n+51 more\nEND\n\n");
    let new = admin.ask("top new 1");
    let (new, more) = new.split_once(" flushes_ago=").unwrap();
    assert_eq!(new, "50 web.user\n+2 more\nnewest other");
    assert!(more.ends_with("; top newest shows more\nEND\n\n"), "{more}");
    let newest = admin.ask("top newest 2");
    let lines: Vec<_> =
        newest.lines().map(|line| line.split(" flushes_ago=").next().unwrap()).collect();
    let expected = ["1 other newest=\"other\"", "1 hot newest=\"hot\"", "+1 more", "END", ""];
    assert_eq!(lines, expected, "{newest}");
    let newest = admin.ask("top newest");
    assert!(newest.contains("\n50 web.user newest=\"web.user.n49;env=prod;user=49\" "), "{newest}");
    assert_eq!(admin.ask("top tags"), "50 user\n1 env\nEND\n\n");
    assert!(admin.ask("top nothing").starts_with("ERROR WHAT must be samples"));
    assert_eq!(admin.ask("health sideways"), "ERROR expected up or down\n");
    // What is not 0 comes after the sums, and before all that is 0.
    let loss = admin.ask("info loss");
    let first = "# Loss\nlost_lines:0\nlost_packets:0\nsamples_dropped:2\n";
    assert!(loss.starts_with(first) && loss.ends_with(":0\nEND\n\n"), "{loss}");
    assert!(loss.contains("\nudp_drops:0\n"), "{loss}");
    let senders = admin.ask("senders");
    assert!(senders.contains(" refused=2 refused_reason=\"dropped by [rule.gone]\" "), "{senders}");
    assert_eq!(
        admin.ask("rules"),
        "[rule.web] series=50\n  match = web.**, app.**\n  expire = 1h\n\
         [rule.gone] series=0 dropped_values=2\n  match = gone.*\n  drop = yes\n\
         no rule: series=2\nEND\n\n"
    );
}
