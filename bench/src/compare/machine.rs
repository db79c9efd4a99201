//! The machine of a run: its description, and the settings that a run changes for all servers
//! alike.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use crate::report;

/// What every server has as its receive buffer, whether it asks for as much, for more, or for none.
pub(crate) const BUFFER: usize = 8 << 20;

/// Open files that the connections of a run need.
const FILES: u64 = 12_000;

/// The system's receive buffers, set for the run and set back after it.
#[derive(Debug)]
pub(crate) struct Buffers {
    before: Vec<(&'static str, String)>,
    /// Held as long as they are raised: runs at once would measure each other.
    _lock: Option<File>,
}

/// The receive buffer of a socket that requests none. The kernel doubles a requested size, but not
/// this one.
const DEFAULT: (&str, usize) = ("/proc/sys/net/core/rmem_default", 2 * BUFFER);

/// The largest size that a socket can request. A larger request gets this size.
const MOST: (&str, usize) = ("/proc/sys/net/core/rmem_max", BUFFER);

impl Buffers {
    pub(crate) fn raise() -> Self {
        let lock = alone();
        let mut before = Vec::new();
        for (file, bytes) in [DEFAULT, MOST] {
            let old = fs::read_to_string(file).unwrap_or_default();
            match fs::write(file, bytes.to_string()) {
                Ok(()) => before.push((file, old)),
                Err(_) => report::err(&format!(
                    "{file} cannot be set: receive buffers are what each server asks for, and not equal\n"
                )),
            }
        }
        Self { before, _lock: lock }
    }

    /// All servers have the same.
    pub(crate) fn are_equal(&self) -> bool {
        self.before.len() == 2
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        for (file, bytes) in &self.before {
            let _ = fs::write(file, bytes);
        }
    }
}

/// Waits until no other run is made on this machine.
fn alone() -> Option<File> {
    let file = File::open(DEFAULT.0).ok()?;
    if file.try_lock().is_err() {
        report::err("waiting for another run on this machine …\n");
        file.lock().ok()?;
    }
    Some(file)
}

pub(crate) fn raise_open_files() {
    let files = statsd_bench::raise_open_files(FILES);
    if files < FILES {
        report::err(&format!("{files} open files are too few for 10,000 connections\n"));
    }
}

pub(crate) fn date() -> String {
    said_by("date", &["-u", "+%F"])
}

/// `-dirty` at its end if it is not what is checked in.
pub(crate) fn commit(root: &Path) -> String {
    let root = root.display().to_string();
    said_by("git", &["-C", &root, "describe", "--always", "--dirty"])
}

/// The first line that a command prints.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or("unknown").to_owned()
}

/// `AMD EPYC 7763, 2 cores` as `amd-epyc-7763-2-cores`.
pub(crate) fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_in_plain_letters() {
        assert_eq!(slug("AMD EPYC(tm) 7763, 2 cores"), "amd-epyc-tm-7763-2-cores");
    }
}
