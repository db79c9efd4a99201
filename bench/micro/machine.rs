//! Describes the machine of a record, in the same words as `statsd-bench compare`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `bench/runs/DATE-MACHINE/counts.md`, at the root of the workspace.
pub(crate) fn record() -> PathBuf {
    let folder = format!("{}-{}", date(), slug(&processor()));
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/runs").join(folder).join("counts.md")
}

/// What the figures are of.
pub(crate) fn described() -> [(&'static str, String); 5] {
    let root = env!("CARGO_MANIFEST_DIR");
    [
        ("date", date()),
        ("processor", processor()),
        (
            "kernel",
            fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        ),
        ("commit", told("git", &["-C", root, "describe", "--always", "--dirty"])),
        ("compiler", told("rustc", &["--version"])),
    ]
}

/// The first line that a command prints; None if it is not there or fails.
pub(crate) fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// `AMD EPYC 7763, 2 cores` as `amd-epyc-7763-2-cores`.
pub(crate) fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn told(program: &str, arguments: &[&str]) -> String {
    said_by(program, arguments).unwrap_or_else(|| "unknown".to_owned())
}

fn date() -> String {
    told("date", &["-u", "+%F"])
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    format!("{name}, {} cores", text.matches("processor\t").count())
}
