//! The documentation, run: its configurations, its rules for carbon, its examples for the shell,
//! the commands of the operator's card, and whether the pages name all that the running server
//! shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::docs::{all_blocks, blocks, example, pages};
use crate::support::{
    Carbon, Conf, Daemon, FakeCarbon, Process, peers, reserve_tcp, statsd_command, unix_now,
    until_equal, until_true,
};

const README: &str = "../README.md";

/// Commands of the card that this test does not run, by their first words.
const NOT_RUN: [&str; 5] = ["statsd --ask watch", "make", "make", "make", "check_tcp"];

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
/// those of `docs/graphite.md` does to each figure of each style what the table of the page shows.
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
    daemon.send_together(["bad", "known:1|c"]);
    daemon.until_counter("known", 1.0);
    let asking = asking(&daemon);
    let commands = card();
    let left: Vec<_> = commands.iter().filter(|command| !is_run(command)).collect();
    assert_eq!(left.len(), NOT_RUN.len(), "{left:#?}");
    let mut shown = String::new();
    for command in commands.iter().filter(|command| is_run(command)) {
        let path = daemon.folder().join("statsd.conf");
        let command = command
            .replace("127.0.0.1 8126", &format!("127.0.0.1 {}", daemon.admin_bound()[0].port()))
            .replace("127.0.0.1:8126", &daemon.admin_bound()[0].to_string())
            .replace("/etc/statsd.conf", path.to_str().unwrap())
            .replace("$(pidof statsd)", &daemon.pid().to_string())
            .replace("127.0.0.1:9125", &other.local_addr().unwrap().to_string());
        let folder = if is_asking(&command) { asking.path() } else { daemon.folder() };
        shown += &run_in_bash(&command.replace("\\|", "|"), folder, "");
    }
    let bad = shown.lines().find(|line| line.ends_with(": bad")).expect("the bad line");
    let (_, rest) = bad.split_once("Z ").expect("a time");
    assert!(rest.starts_with("127.0.0.1:"), "{bad}");
    for expected in [
        "messages.last_msg_seen: ",
        "sent: carbon: stats_counts.shop.orders\n",
        "carbon state=",
        "messages.bad_lines_seen: 1\n",
        ".drops: 0\n",
        "dropped_lines=0 ",
        "\nstatsd_uptime_seconds ",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    daemon.until_logged(&["reload=done", "repeater"], 1);
    daemon.stop();
    carbon.close();
}

/// Shows that the card's command for the sender of a name prints its lines with the address of the
/// sender, and no other lines.
#[test]
fn the_sender_of_a_name_is_found() {
    let daemon = Daemon::start(&Conf::never_flushing());
    let command = card().into_iter().find(|command| command.contains("watch")).unwrap();
    let asking = asking(&daemon);
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("statsd"));
    let watching = Process::start(statsd_command(asking.path()).args(words));
    until_true("the watch begins", || !watching.stdout().is_empty());
    let [other, wanted] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    other.send_to(b"other:1|c", daemon.udp()).unwrap();
    wanted.send_to(b"a:1|c\nshop.orders:2|c", daemon.udp()).unwrap();
    until_true("a line", || watching.stdout().len() > 1);
    let line = watching.stdout().remove(1);
    let sender = format!(" {} line=\"shop.orders:2|c\" ", wanted.local_addr().unwrap());
    assert!(line.contains(&sender), "{line}");
    daemon.stop();
}

/// Returns a folder with a `statsd.conf` that names the admin port of a server.
fn asking(daemon: &Daemon) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let conf = Conf::never_flushing().set("admin", "bind", daemon.admin_bound()[0]);
    fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
    folder
}

/// Whether a command asks the server at the address that `./statsd.conf` names.
fn is_asking(command: &str) -> bool {
    command.contains("--ask")
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

/// Examples of the pages that no test runs as they are, by their first words, and why.
const NOT_RUN_OF_PAGES: [(&str, &str); 28] = [
    ("make build", "it takes minutes"),
    ("sudo make install", "it writes to /usr/local; `tests/packages/doors.sh` runs it in a root"),
    ("sudo make uninstall", "it removes from /usr/local; `make.rs` runs it in a folder"),
    ("make deb", "it takes minutes; `tests/packages/doors.sh` installs the package"),
    ("make dist", "it takes minutes; `tests/packages/doors.sh` installs the tarball"),
    ("cd target", "as the line before it"),
    ("make image", "it takes minutes; `tests/packages/container.sh` runs the image"),
    ("docker run", "as the line before it"),
    ("docker exec", "as the line before it"),
    ("sudo install", "it makes a folder on this machine"),
    ("sudo apt", "it installs into this machine; `tests/packages/doors.sh` runs it in a root"),
    ("sha256sum", "it needs what `make dist` makes; `tests/packages/doors.sh` runs it"),
    ("sudo tar", "as the line before it"),
    ("sudo systemd-sysusers", "as the line before it"),
    ("sudo systemctl", "it needs systemd; `tests/packages/doors.sh` has one"),
    ("make bench", "it takes an hour"),
    ("make counts", "it needs valgrind and takes minutes"),
    ("cargo run", "it builds a release"),
    ("$EDITOR", "it waits for a person"),
    ("target/release/statsd\n", "it runs until it is stopped"),
    ("echo status", "it asks the proxy; `proxy.rs` does the same"),
    ("echo senders", "it shows other senders; `senders.rs` shows its lines"),
    ("echo bad 2", "as the line before it"),
    ("echo top bad 1", "as the line before it"),
    ("until [ -z", "it stops carbon's unit; `relay.rs` waits in the same way"),
    ("cd /opt/graphite", "it needs a Graphite at that place"),
    ("find stats_counts", "as the line before it"),
    ("whisper-info.py", "as the line before it"),
];

/// An example of a page: a command, and the lines that the page shows as its output.
#[derive(Debug)]
struct ShellExample {
    page: String,
    command: String,
    shown: Vec<String>,
}

/// Returns the examples for the shell. In a block that is marked `sh`, each line is a command. In
/// another block, a command stands after `$ `, and the lines after it are its output.
fn shell_examples() -> Vec<ShellExample> {
    let mut found: Vec<ShellExample> = Vec::new();
    for (page, text) in pages() {
        for (language, block) in all_blocks(&text) {
            let of_block = found.len();
            for line in block.lines() {
                let is_command = language == "sh" && !line.is_empty();
                let command = line.strip_prefix("$ ").or_else(|| is_command.then_some(line));
                match (command, found[of_block..].last_mut()) {
                    // A command that ends with a pipe or a backslash goes on in the next line.
                    (_, Some(last))
                        if last.shown.is_empty() && last.command.ends_with(['|', '\\']) =>
                    {
                        last.command = format!("{}\n{line}", last.command);
                    }
                    (None, Some(last)) => last.shown.push(line.to_owned()),
                    (None, None) => {}
                    (Some(command), _) => found.push(ShellExample {
                        page: page.clone(),
                        command: command.to_owned(),
                        shown: Vec::new(),
                    }),
                }
            }
        }
    }
    found
}

/// Shows that the examples of all pages work as they are printed, and that their output begins with
/// the words that the pages show.
#[test]
fn the_shell_examples_of_the_pages_work() {
    peers(); // they bring nc
    let (_reserved, carbon) = reserve_tcp(); // no process listens there
    let conf = Conf::never_flushing()
        .set("carbon", "address", carbon)
        .set("rule.shop", "match", "shop.*")
        .set("rule.shop", "expire", "168h")
        .set("rule.junk", "match", "junk.**")
        .set("rule.junk", "drop", "yes")
        .set("rule.web", "match", "web.**, app.**")
        .set("rule.web", "expire", "1h");
    let daemon = Daemon::start(&conf);
    let samples = |name: &str| vec![format!("{name}:5|ms"); 1200].join("\n");
    let mut client = daemon.tcp_client();
    let lines = [
        "shop.orders:1|c\nshop.orders:2|c|#region:eu\nshop.a.x:1|c\nshop.a.y:1|c",
        "shop.checkout:7|ms\nshop.cart:12|ms\nshop.stock:40|g\nshop.users:a|s\nshop.users:b|s",
        &samples("big"),
        "last:1|c\n",
    ];
    client.write_all(lines.join("\n").as_bytes()).unwrap();
    daemon.until_counter("last", 1.0);

    let empty = tempfile::tempdir().unwrap();
    let with_files = folder_with_files(&daemon, carbon);
    let asking = asking(&daemon);
    let mut tried = 0;
    let mut left = BTreeSet::new();
    let mut wrong = Vec::new();
    for example in shell_examples() {
        let ShellExample { page, command, shown } = &example;
        let line = format!("{command}\n");
        let left_out = NOT_RUN_OF_PAGES.iter().find(|(words, _)| line.starts_with(words));
        if let Some((words, _)) = left_out {
            left.insert(*words);
            continue;
        }
        tried += 1;
        let reads_file = command.contains(".conf") || command.contains("--check");
        let folder = match reads_file {
            _ if is_asking(command) => &asking,
            true => &with_files,
            false => &empty,
        };
        let admin = format!(" {} ", daemon.admin_bound()[0].port());
        let command = format!("{{ {command}\n}} 2>&1")
            .replace("-c statsd.conf", "-c mine.conf")
            .replace("--dry-run -c /etc/statsd.conf", "--dry-run -c both.conf")
            .replace("target/release/statsd", "statsd")
            .replace("10.0.0.12 8126", "127.0.0.1 8126")
            .replace("127.0.0.1:8126", &daemon.admin_bound()[0].to_string())
            .replace(" 8126", admin.trim_end())
            .replace(" 8125", &format!(" {}", daemon.udp().port()));
        let output = run_in_bash(&command, folder.path(), "");
        for line in shown.iter().filter(|line| has_stable_beginning(line)) {
            let word = start_of(line);
            let is_there = output.lines().any(|line| start_of(line) == word);
            if !is_there {
                wrong.push(format!("{page}: {command}\nhas no line with {word}:\n{output}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(left.len(), NOT_RUN_OF_PAGES.len(), "{left:#?}");
    assert!(tried > 20, "{tried} examples");
    daemon.stop();
}

/// Returns a folder with the files that the examples of the pages name.
fn folder_with_files(daemon: &Daemon, carbon: SocketAddr) -> TempDir {
    let with_files = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("statsd.conf.example");
    fs::copy(example, with_files.path().join("statsd.conf.example")).unwrap();
    // A configuration whose port the server above has, and whose carbon is down.
    let conf = Conf::never_flushing()
        .set("udp", "bind", daemon.udp())
        .set("carbon", "address", carbon)
        .set("statsd", "shutdown_timeout", "100ms");
    fs::write(with_files.path().join("mine.conf"), conf.text()).unwrap();
    let both =
        "[carbon]\naddress = graphite.example.org:2003\n[influxdb]\naddress = 10.0.0.7:8086\n";
    fs::write(with_files.path().join("both.conf"), both).unwrap();
    fs::write(with_files.path().join("t.conf"), "[carbon]\naddress =\n").unwrap();
    with_files
}

/// Returns the first word of a line, without the value of a `key:value`.
fn start_of(line: &str) -> &str {
    let word = line.split(' ').next().unwrap_or_default();
    word.split(':').next().unwrap_or_default()
}

/// Whether the first word of a line does not depend on the time, on an address or on where the page
/// wraps the line.
fn has_stable_beginning(line: &str) -> bool {
    let is_cut = line.contains('…') || line.starts_with(' ') || line.is_empty();
    !is_cut && !line.starts_with("time=") && !line.contains(":8125")
}

/// Shows that `docs/migrating.md` names every key of Node's example.
#[test]
fn every_key_of_node_has_a_row() {
    let example = fs::read_to_string(peers().join("npm/node_modules/statsd/exampleConfig.js"));
    let example = example.unwrap();
    let table = pages().find(|(page, _)| page == "migrating.md").unwrap().1;
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words: BTreeSet<_> = table.split(|letter| !is_part(letter)).collect();
    // In the comment that explains them, keys are indented by two or four spaces.
    let of_line = |line: &'_ str| {
        let key = line.strip_prefix("  ")?.trim_start().split_once(':')?.0.to_owned();
        let indent = line.len() - line.trim_start().len();
        (indent <= 4 && !key.is_empty() && key.chars().all(is_part)).then_some(key)
    };
    let keys: Vec<_> = example.lines().filter_map(of_line).collect();
    assert!(keys.len() > 50, "{keys:?}");
    let missing: Vec<_> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
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
