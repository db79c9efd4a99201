//! The documentation, run: its configurations, its rules for carbon, the commands of the operator's
//! card, and whether the pages name all that the running server shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::docs::{blocks, example, pages};
use crate::support::{
    Carbon, Conf, Daemon, FakeCarbon, peers, statsd_command, unix_now, until_equal,
};

const README: &str = "../README.md";

/// Commands of the card that this test does not run, by their first words.
const NOT_RUN: [&str; 6] = ["sed -un", "grep bad_lines", "make", "make", "docker", "check_tcp"];

/// Shows that every configuration of a page is accepted.
#[test]
fn every_configuration_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "ini").filter(|block| !is_for_carbon(block)) {
            fs::write(folder.path().join("statsd.conf"), block).unwrap();
            let mut check = statsd_command(folder.path());
            let output = check.args(["--check", "-c", "statsd.conf"]).output().unwrap();
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}: {message}\n{block}");
            checked += 1;
        }
    }
    assert!(checked > 3, "{checked} configurations");
}

/// `storage-schemas.conf` and `storage-aggregation.conf`.
fn is_for_carbon(block: &str) -> bool {
    block.contains("\npattern = ")
}

/// Shows that with the rules of the front page carbon adds counts up when it rolls up, and with
/// those of `docs/graphite.md` does to each figure of each style what the page's table says.
#[test]
fn carbon_rolls_up_as_the_pages_say() {
    let front = [
        ("stats_counts.foo", "sum"),
        ("stats_counts.foo;env=prod", "sum"),
        ("stats.foo", "average"),
        ("stats.timers.t.count", "sum"),
        ("stats.timers.t.count_99_9", "sum"),
        ("stats.timers.t.count_ps", "average"),
        ("stats.timers.t.sum_squares_90", "sum"),
        ("stats.timers.t.upper", "max"),
        ("stats.timers.t.upper_90;env=prod", "max"),
        ("stats.timers.t.upper_99_9", "max"),
        ("stats.timers.t.lower", "min"),
        ("stats.timers.t.lower_top0_5", "min"),
        ("stats.timers.t.mean_90", "average"),
        ("stats.gauges.g", "average"),
        ("statsd.numStats", "average"),
    ];
    let more = [
        ("stats.sets.s.count", "max"),
        ("stats.timers.t.histogram.bin_10", "sum"),
        ("stats.counters.c.count", "sum"),
        ("stats.counters.c.rate", "average"),
        ("counts.c", "sum"),
        ("timers.t.sum_sq", "sum"),
        ("timers.t.upper", "max"),
        ("timers.t.p95", "average"),
        ("gauges.g", "average"),
        ("sets.s", "max"),
    ];
    let schemas = example(README, "[statsd]\npattern");
    rolls_up(&schemas, &example(README, "[statsd_sum]"), &front);
    assert_eq!(schemas, example("graphite.md", "[statsd]\npattern"));
    let schemas = schemas + &example("graphite.md", "[statsite]");
    let all = [&front[..], &more].concat();
    rolls_up(&schemas, &example("graphite.md", "[statsd_sets]"), &all);
}

fn rolls_up(schemas: &str, aggregation: &str, methods: &[(&str, &str)]) {
    let carbon = Carbon::start_with(schemas, aggregation);
    let minute = unix_now() / 60 * 60 - 600;
    let mut lines = String::new();
    for (name, _) in methods {
        for nth in 0..6 {
            lines += &format!("{name} {} {}\n", 25 + 2 * nth, minute + 10 * nth);
        }
    }
    TcpStream::connect(carbon.address()).unwrap().write_all(lines.as_bytes()).unwrap();
    let names: Vec<&str> = methods.iter().map(|(name, _)| *name).collect();
    let mut expected = BTreeMap::new();
    for (name, method) in methods {
        let value = match *method {
            "sum" => 180.0,
            "max" => 35.0,
            "min" => 25.0,
            _ => 30.0,
        };
        expected.insert((*name).to_owned(), vec![(minute, value)]);
    }
    // The points of ten seconds are kept for a day only, so Whisper reads those of a minute.
    until_equal("what is rolled up", &expected, || carbon.points_of_last(2 * 86_400, &names));
}

/// Shows that the commands of the operator's card do what their tasks say, but those that need
/// root, systemd or a container.
#[test]
fn the_commands_of_the_card_do_their_tasks() {
    peers(); // they bring nc
    let mut carbon = FakeCarbon::start();
    let conf = Conf::never_flushing().set("carbon", "address", carbon.address());
    let daemon = Daemon::start(&conf);
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.send(["known:1|c", "bad"]);
    daemon.until_counter("known", 1.0);
    let commands = card();
    let left: Vec<_> = commands.iter().filter(|command| !is_run(command)).collect();
    assert_eq!(left.len(), NOT_RUN.len(), "{left:#?}");
    let mut shown = String::new();
    for command in commands.iter().filter(|command| is_run(command)) {
        let path = daemon.folder().join("statsd.conf");
        let command = command
            .replace("127.0.0.1 8126", &format!("127.0.0.1 {}", daemon.admin_bound()[0].port()))
            .replace("/etc/statsd.conf", path.to_str().unwrap())
            .replace("$(pidof statsd)", &daemon.pid().to_string())
            .replace("127.0.0.1:9125", &other.local_addr().unwrap().to_string());
        shown += &run_in_bash(&command, daemon.folder(), "shop.orders:1|c\n");
    }
    shown += &fs::read_to_string(daemon.folder().join("statsd.prom")).unwrap();
    for expected in [
        "messages.last_msg_seen: ",
        "stats_counts.shop.orders 1 ",
        "carbon state=",
        "messages.bad_lines_seen: 1\n",
        ".drops: 0\n",
        "dropped_lines=0 ",
        "statsd_messages_bad_lines_seen 1\n",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    daemon.until_logged(&["reload=done", "repeater"], 1);
    daemon.stop();
    carbon.go_away();
}

/// The commands of the card, in its order.
fn card() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let (_, card) = readme.split_once("| task | command |").expect("the card");
    let rows = card.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.rsplit('`').nth(1).expect("a command").to_owned()).collect()
}

fn is_run(command: &str) -> bool {
    !NOT_RUN.iter().any(|words| command.starts_with(words))
}

fn run_in_bash(command: &str, folder: &Path, input: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_statsd")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-c", command]).current_dir(folder).env("PATH", path).env_remove("RUST_LOG");
    let mut bash = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let _ = bash.stdin.take().unwrap().write_all(input.as_bytes()); // most do not read it
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Shows that the pages name every admin command and every figure that the server sends of itself.
#[test]
fn every_admin_command_and_own_figure_is_documented() {
    let carbon = FakeCarbon::start();
    let spool = tempfile::tempdir().unwrap();
    let conf = Conf::sending_to(carbon.address(), "1s").set("spool", "dir", spool.path().display());
    let daemon = Daemon::start(&conf);
    let help = daemon.admin().ask("help");
    let listed = help.lines().next().unwrap().split_once(": ").unwrap().1;
    let mut wanted: BTreeSet<String> = listed.split(", ").map(str::to_owned).collect();
    let first = carbon.until("a flush", |points| Some(points.first()?.stamp));
    carbon.flush_after(first + 1);
    for point in carbon.points().iter().filter(|point| point.is_own()) {
        wanted.insert(point.name.rsplit('.').next().unwrap().to_owned());
    }
    daemon.stop();
    assert!(wanted.len() > 40, "{wanted:?}");
    let manual: String = pages().filter(|(page, _)| page != README).map(|(_, text)| text).collect();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words: BTreeSet<&str> = manual.split(|letter| !is_word(letter)).collect();
    wanted.retain(|word| !words.contains(word.as_str()));
    assert!(wanted.is_empty(), "no page names {wanted:#?}");
}
