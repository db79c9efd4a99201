//! `statsd-bench compare` against the one server that is always there: the floor, which this
//! program is itself.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn compare(out: &Path, more: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(env!("CARGO_BIN_EXE_statsd-bench"))
        .args(["compare", "--quick", "--interval", "1"])
        .args(["--root", root.to_str().expect("a path of letters")])
        .args(["--out", out.to_str().expect("a path of letters")])
        .args(more)
        .output()
        .expect("the binary runs")
}

/// The rows of a record without quoted text.
fn record(out: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(out.join("record.csv")).expect("a record");
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The value of a row by what comes before it, without the column of rounds.
fn value<'a>(record: &'a [Vec<String>], wanted: [&str; 4]) -> Option<&'a str> {
    let [what, of, server, figure] = wanted;
    let is_it = |row: &&Vec<String>| row.len() == 6 && row[..3] == [what, of, server];
    record.iter().filter(is_it).find(|row| row[4] == figure).map(|row| row[5].as_str())
}

#[test]
fn a_run_is_kept_as_a_record_and_a_summary() {
    let out = tempfile::tempdir().unwrap();
    let output = compare(out.path(), &["--loads", "W1,W7", "--only", "floor"]);
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let record = record(out.path());
    assert_eq!(record[0].join(","), "what,of,server,round,figure,value");
    assert_eq!(value(&record, ["run", "", "", "planned"]), Some("4"));
    assert!(record.iter().any(|row| row[..3] == ["server", "", "floor"]), "{record:?}");
    for load in ["W1", "W7"] {
        for figure in ["cpu_s_per_million_lines", "mib_per_s", "resident_mib"] {
            let figure = value(&record, ["cost", load, "floor", figure]);
            assert!(figure.is_some_and(|it| it.parse::<f64>().unwrap() > 0.0), "{record:?}");
        }
    }
    let rate = value(&record, ["highest", "W7", "floor", "mib_per_s"]);
    assert!(rate.is_some_and(|it| it.parse::<f64>().unwrap() > 0.0), "{record:?}");
    let summary = fs::read_to_string(out.path().join("summary.md")).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), summary.trim_end());
    assert!(summary.contains("| floor |"), "{summary}");
    assert!(progress.contains("1/4 cost W1 floor"), "{progress}");
}

#[test]
fn a_server_that_fails_is_named_and_costs_the_others_nothing() {
    let (out, peers) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let profile = |name: &str, command: &str| {
        let text = format!(
            "name = {name:?}\nabout = \"\"\ncommand = {command}\ntransports = [\"udp\"]\nflushes = false\n"
        );
        fs::write(peers.path().join(format!("{name}.toml")), text).unwrap();
    };
    profile("broken", r#"["sh", "-c", "echo no such option; exit 3"]"#);
    profile("sound", r#"["{bin}/statsd-bench", "floor", "--udp", "{udp}", "--tcp", "{tcp}"]"#);
    let folder = peers.path().to_str().unwrap();
    let output = compare(out.path(), &["--loads", "W1", "--peers", folder]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(out.path().join("record.csv")).unwrap();
    assert_eq!(text.matches(",broken,0,failed,").count(), 2, "{text}");
    assert!(text.contains("no such option"), "{text}");
    let cost = ["cost", "W1", "sound", "cpu_s_per_million_lines"];
    assert!(value(&record(out.path()), cost).is_some(), "{text}");
    let summary = fs::read_to_string(out.path().join("summary.md")).unwrap();
    assert!(summary.contains("Failed: cost W1 broken: it has ended"), "{summary}");
}
