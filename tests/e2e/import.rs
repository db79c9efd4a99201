//! `--import` with the real binary: what it prints is a configuration that a start accepts.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::statsd_command;

/// The configurations of `tests/core/import.rs`.
const FILES: [&str; 7] = [
    "node.js",
    "statsite.conf",
    "statsdpy.conf",
    "brubeck.json",
    "telegraf.conf",
    "gostatsd.toml",
    "exporter.yml",
];

fn run(folder: &Path, arguments: &[&str]) -> Output {
    statsd_command(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Shows for each server: `--import` prints a configuration, `--check` accepts it, and `-c` with
/// the old file names `--import`.
#[test]
fn what_is_imported_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/import");
    for name in FILES {
        fs::copy(old.join(name), folder.path().join(name)).unwrap();
        let imported = run(folder.path(), &["--import", name]);
        assert!(imported.status.success(), "{name}: {}", text(&imported.stderr));
        fs::write(folder.path().join("new.conf"), &imported.stdout).unwrap();
        // Another process may have the ports that the file names.
        let ports = ["udp", "tcp", "admin"].map(|section| format!("{section}.bind="));
        let mut arguments = vec!["--check", "-c", "new.conf"];
        ports.iter().for_each(|port| arguments.extend(["-o", port]));
        let checked = run(folder.path(), &arguments);
        assert_eq!(checked.status.code(), Some(0), "{name}: {}", text(&checked.stderr));
        let mistaken = run(folder.path(), &["--check", "-c", name]);
        assert_eq!(mistaken.status.code(), Some(2), "{name}");
        let message = text(&mistaken.stderr);
        let offer = format!("`statsd --import {name}` prints a statsd.conf made from it");
        assert!(message.contains(&offer), "{name}: {message}");
    }
}

/// Shows that a mapping of statsd_exporter becomes a configuration without a warning: Prometheus
/// scrapes the series, so no destination is needed.
#[test]
fn a_mapping_passes_the_strict_check_without_a_destination() {
    let folder = tempfile::tempdir().unwrap();
    let mapping = "mappings:\n- match: a.*\n  name: a_total\n  labels: {kind: $1}\n";
    fs::write(folder.path().join("old.yml"), mapping).unwrap();
    let imported = run(folder.path(), &["--import", "old.yml"]);
    fs::write(folder.path().join("new.conf"), &imported.stdout).unwrap();
    let strict = |more: &[&str]| {
        let ports = ["-o", "udp.bind=127.0.0.1:0", "-o", "tcp.bind=", "-o"];
        let check = ["--check", "--strict", "-c", "new.conf"];
        run(folder.path(), &[&check, &ports[..], more].concat())
    };
    let checked = strict(&["admin.bind=127.0.0.1:0"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let dropped = strict(&["admin.bind="]);
    assert_eq!(dropped.status.code(), Some(2));
    assert!(text(&dropped.stderr).contains("no destination is on, and /metrics shows no series"));
}

#[test]
fn what_cannot_be_imported_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.js"), "{\n  port: 8125\n  backends: []\n}\n").unwrap();
    fs::write(folder.path().join("large.js"), "{ port: 8125 }".repeat(200_000)).unwrap();
    for (file, code, expected) in [
        ("bad.js", 2, "statsd: bad.js:3: expected a comma or }, not 'b'; correct the line"),
        ("none.js", 1, "statsd: none.js: cannot read the file: No such file"),
        ("large.js", 1, "statsd: large.js: cannot read the file: it is larger than 2m"),
        ("/dev/zero", 1, "statsd: /dev/zero: cannot read the file: it is larger than 2m"),
    ] {
        let output = run(folder.path(), &["--import", file]);
        assert_eq!(output.status.code(), Some(code), "{file}");
        let message = text(&output.stderr);
        assert!(message.starts_with(expected), "{message}");
        assert!(output.stdout.is_empty());
    }
}
