//! Describes the machine and the commit of a record.

use std::fs;
use std::process::Command;

/// What the figures of a record are of. The current folder is in the repository.
pub fn described() -> [(&'static str, String); 4] {
    let commit = first_line("git", &["describe", "--always", "--dirty"]);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    [
        ("date", date()),
        ("processor", processor()),
        ("kernel", kernel.trim().to_owned()),
        ("commit", commit.unwrap_or_else(|| "unknown".to_owned())),
    ]
}

/// Returns the first line that a command prints, or `None` if the command is not there or fails.
pub fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// The name of a folder for a record of today: `2026-11-26-amd-epyc-2-cores`.
pub fn folder() -> String {
    format!("{}-{}", date(), slug(&processor()))
}

/// `AMD EPYC 7763, 2 cores` as `amd-epyc-7763-2-cores`.
pub fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn date() -> String {
    first_line("date", &["-u", "+%F"]).unwrap_or_else(|| "unknown".to_owned())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    format!("{name}, {} cores", text.matches("processor\t").count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_in_plain_letters() {
        assert_eq!(slug("AMD EPYC(tm) 7763, 2 cores"), "amd-epyc-tm-7763-2-cores");
    }
}
