//! The settings of the machine that a run changes for all servers alike.

use std::fs::{self, File};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::report;

/// The receive buffer of every server, whether it requests this size, a larger one or none.
pub(crate) const BUFFER: usize = 8 << 20;

/// Open files that the connections of a run need.
const FILES: u64 = 12_000;

/// The system's receive buffers, set for the run and set back after it.
#[derive(Debug)]
pub(crate) struct Buffers {
    before: Vec<(&'static str, String)>,
    /// A lock, held while they are raised: two runs at once would disturb each other.
    _lock: Option<File>,
}

const SETTINGS: [(&str, usize); 3] = [
    // The buffer of a socket that requests none. The kernel doubles a requested size, but not this.
    ("/proc/sys/net/core/rmem_default", 2 * BUFFER),
    // The largest size that a socket can request. A larger request gets this size.
    ("/proc/sys/net/core/rmem_max", BUFFER),
    // Datagrams in the queue of a Unix socket. systemd sets this value at boot.
    ("/proc/sys/net/unix/max_dgram_qlen", 512),
];

impl Buffers {
    pub(crate) fn raise() -> Self {
        let lock = alone();
        let mut before = Vec::new();
        for (file, value) in SETTINGS {
            let old = fs::read_to_string(file).unwrap_or_default();
            match fs::write(file, value.to_string()) {
                Ok(()) => before.push((file, old)),
                Err(_) => report::err(&format!(
                    "{file} cannot be set: receive buffers are what each server asks for, and not equal\n"
                )),
            }
        }
        Self { before, _lock: lock }
    }

    /// Whether all servers have the same.
    pub(crate) fn are_equal(&self) -> bool {
        self.before.len() == SETTINGS.len()
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        for (file, value) in &self.before {
            let _ = fs::write(file, value);
        }
    }
}

/// Waits until no other run is in progress on this machine.
fn alone() -> Option<File> {
    let file = File::open(SETTINGS[0].0).ok()?;
    if file.try_lock().is_err() {
        report::err("waiting for another run on this machine …\n");
        file.lock().ok()?;
    }
    Some(file)
}

/// Raises the limit of open files of this process and its children as far as possible.
pub(crate) fn raise_open_files() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    let raise = |files, most| setrlimit(Resource::RLIMIT_NOFILE, files, most).is_ok();
    if soft < FILES && !raise(FILES, hard.max(FILES)) && !(hard >= FILES && raise(FILES, hard)) {
        report::err(&format!("{soft} open files are too few for 10,000 connections\n"));
    }
}
