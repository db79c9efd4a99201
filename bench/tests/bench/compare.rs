//! `statsd-bench compare` against the one server that is always there: the floor, which this
//! program is itself.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

fn compare(out: &TempDir, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_statsd-bench"))
        .args(["compare", "--quick", "--interval", "1"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args([Path::new("--out"), out.path()])
        .args(more)
        .output()
        .expect("the binary runs")
}

/// Writes the profile of a server that flushes nothing.
fn write_profile(folder: &TempDir, name: &str, transport: &str, command: &str) {
    let text = format!(
        "name = {name:?}\nabout = \"\"\ncommand = {command}\ntransports = [{transport:?}]\nflushes = false\n"
    );
    fs::write(folder.path().join(format!("{name}.toml")), text).expect("a new file");
}

/// Returns the value of a row by the columns before it, without that of rounds.
fn value(out: &TempDir, wanted: [&str; 4]) -> Option<String> {
    let mut record = csv::Reader::from_path(out.path().join("record.csv")).expect("a record");
    assert_eq!(
        record.headers().expect("a first line"),
        &["what", "of", "server", "round", "figure", "value"][..]
    );
    let mut rows = record.records().map(|row| row.expect("six columns"));
    let row = rows.find(|row| [&row[0], &row[1], &row[2], &row[4]] == wanted)?;
    Some(row[5].to_owned())
}

fn summary(out: &TempDir) -> String {
    fs::read_to_string(out.path().join("summary.md")).expect("a summary")
}

#[test]
fn a_run_is_kept_as_a_record_and_a_summary() {
    let out = tempfile::tempdir().unwrap();
    let output = compare(&out, &["--loads", "W1,W7", "--only", "floor"]);
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    assert_eq!(value(&out, ["run", "", "", "planned"]).unwrap(), "4");
    assert!(value(&out, ["server", "", "floor", "about"]).is_some());
    for (what, load, figure) in [
        ("cost", "W1", "cpu_s_per_million_lines"),
        ("cost", "W7", "cpu_s_per_million_lines"),
        ("cost", "W7", "resident_mib"),
        ("highest", "W7", "mib_per_s"),
    ] {
        let found = value(&out, [what, load, "floor", figure]).expect(figure);
        assert!(found.parse::<f64>().unwrap() > 0.0, "{what} {load} {figure}: {found}");
    }
    let summary = summary(&out);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), summary.trim_end());
    assert!(summary.contains("| floor |"), "{summary}");
    assert!(progress.contains("1/4 cost W1 floor"), "{progress}");
}

#[test]
fn a_server_that_fails_is_named_and_costs_the_others_nothing() {
    let out = tempfile::tempdir().unwrap();
    let peers = tempfile::tempdir().unwrap();
    write_profile(&peers, "broken", "udp", r#"["sh", "-c", "echo no such option; exit 3"]"#);
    let floor = r#"["{bin}/statsd-bench", "floor", "--udp", "{udp}", "--tcp", "{tcp}"]"#;
    write_profile(&peers, "sound", "udp", floor);
    let folder = peers.path().to_str().unwrap();
    let output = compare(&out, &["--loads", "W1", "--peers", folder]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for what in ["cost", "highest"] {
        let reason = value(&out, [what, "W1", "broken", "failed"]).expect(what);
        assert!(reason.contains("no such option"), "{reason}");
    }
    assert!(value(&out, ["cost", "W1", "sound", "cpu_s_per_million_lines"]).is_some());
    assert!(summary(&out).contains("Failed: cost W1 broken: it has ended"), "{}", summary(&out));
}

/// This thread is the server: the command of its profile only tells it the ports.
#[test]
fn a_server_that_closes_the_connection_has_failed() {
    let out = tempfile::tempdir().unwrap();
    let peers = tempfile::tempdir().unwrap();
    let ports = peers.path().join("ports");
    let script =
        format!("echo {{udp}} {{tcp}} > {0}.new; mv {0}.new {0}; exec sleep 60", ports.display());
    write_profile(&peers, "closes", "tcp", &format!("[\"sh\", \"-c\", {script:?}]"));
    thread::spawn(move || {
        let text = loop {
            match fs::read_to_string(&ports) {
                Ok(text) => break text,
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        };
        let (udp, tcp) = text.trim().split_once(' ').expect("two ports");
        let _socket = UdpSocket::bind(format!("127.0.0.1:{udp}")).expect("a free port");
        let listener = TcpListener::bind(format!("127.0.0.1:{tcp}")).expect("a free port");
        listener.incoming().for_each(drop);
    });
    let folder = peers.path().to_str().unwrap();
    compare(&out, &["--loads", "W4", "--measure", "cost", "--peers", folder]);
    let reason = value(&out, ["cost", "W4", "closes", "failed"]).expect("no figures");
    assert!(reason.contains("closed the connection"), "{reason}");
}
