//! `statsd-bench compare` against the one server that is always there: the floor, which this
//! program is itself.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn compare(out: &Path, more: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(env!("CARGO_BIN_EXE_statsd-bench"))
        .args(["compare", "--quick", "--interval", "1", "--rounds", "1", "--loads", "W1"])
        .args(["--root", root.to_str().expect("a path of letters")])
        .args(["--out", out.to_str().expect("a path of letters")])
        .args(more)
        .output()
        .expect("the binary runs")
}

fn record(out: &Path) -> serde_json::Value {
    let text = fs::read_to_string(out.join("record.json")).expect("a record");
    serde_json::from_str(&text).expect("a record in JSON")
}

#[test]
fn a_run_is_kept_as_a_record_tables_and_charts() {
    let out = tempfile::tempdir().unwrap();
    let output = compare(out.path(), &["--only", "floor"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = record(out.path());
    assert_eq!(record["measurements"]["made"], 2);
    assert_eq!(record["measurements"]["planned"], 2);
    assert_eq!(record["servers"][0]["name"], "floor");
    let cost = &record["servers"][0]["costs"]["W1"][0]["cpu_seconds_per_million_lines"];
    assert!(cost.as_f64().is_some_and(|cost| cost > 0.0), "{record}");
    let tables = fs::read_to_string(out.path().join("tables.md")).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), tables);
    assert!(tables.contains("| floor |"), "{tables}");
    for chart in ["cost.svg", "highest.svg"] {
        let chart = fs::read_to_string(out.path().join(chart)).unwrap();
        assert!(chart.starts_with("<svg") && chart.ends_with("</svg>\n"), "{chart}");
    }
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(progress.contains("1/2 cost W1 round 1 floor"), "{progress}");
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
    let output = compare(out.path(), &["--peers", peers.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = record(out.path());
    let failures = record["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].as_str().unwrap().contains("no such option"), "{failures:?}");
    assert!(record["servers"][1]["costs"]["W1"][0].is_object(), "{record}");
    let tables = fs::read_to_string(out.path().join("tables.md")).unwrap();
    assert!(tables.contains("Not measured: cost W1 round 1 broken"), "{tables}");
}
