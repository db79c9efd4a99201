//! The settings of the kernel that a run changes for all servers alike.

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Outcome;

/// The receive buffer of every server, whether it requests this size, a larger one or none.
pub(crate) const BUFFER: usize = 8 << 20;

/// Open files that the connections of a run need.
const FILES: u64 = 12_000;

const SETTINGS: [(&str, usize); 3] = [
    // The buffer of a socket that requests none. The kernel doubles a requested size, but not this.
    ("/proc/sys/net/core/rmem_default", 2 * BUFFER),
    // The largest size that a socket can request. A larger request gets this size.
    ("/proc/sys/net/core/rmem_max", BUFFER),
    // Datagrams in the queue of a Unix socket. systemd sets this value at boot.
    ("/proc/sys/net/unix/max_dgram_qlen", 512),
];

/// Holds a line `FILE VALUE` for each setting as it was before the run. It lasts as long as the
/// settings themselves: until the next boot.
const SAVED: &str = "/run/statsd-bench-settings";

/// The settings, raised. They are set back at the end and at a second signal. After SIGKILL or a
/// panic they stay raised until the next run, which sets them back first.
#[derive(Debug)]
pub(crate) struct Raised {
    /// Set by the first signal.
    pub(crate) is_over: Arc<AtomicBool>,
    /// Whether all servers have the same receive buffers.
    pub(crate) is_equal: bool,
    /// A lock, held while they are raised: two runs at once would disturb each other.
    _lock: Option<File>,
}

impl Raised {
    pub(crate) fn new() -> Outcome<Self> {
        let lock = alone();
        if restored() {
            eprintln!("an earlier run was killed: its kernel settings are set back");
        }
        let is_over = Arc::new(AtomicBool::new(false));
        watch_signals(Arc::clone(&is_over))?;
        // Each value ends with a newline.
        let value = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let saved = SETTINGS.map(|(file, _)| format!("{file} {}", value(file))).concat();
        let is_equal = fs::write(SAVED, saved).is_ok()
            && SETTINGS.iter().all(|(file, value)| fs::write(file, value.to_string()).is_ok());
        if !is_equal {
            restored();
            eprintln!("not root: receive buffers are what each server asks for, and not equal");
        }
        Ok(Self { is_over, is_equal, _lock: lock })
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        restored();
    }
}

/// Sets the settings back, and returns whether any were saved.
fn restored() -> bool {
    let Ok(saved) = fs::read_to_string(SAVED) else { return false };
    for (file, value) in saved.lines().filter_map(|line| line.split_once(' ')) {
        let _ = fs::write(file, value);
    }
    fs::remove_file(SAVED).is_ok()
}

/// The first signal ends the run after a measurement, the second one at once.
#[expect(clippy::exit, reason = "the second signal ends a run that may be blocked")]
fn watch_signals(is_over: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    thread::spawn(move || {
        for _ in signals.forever() {
            if is_over.swap(true, Ordering::SeqCst) {
                restored();
                std::process::exit(1);
            }
            eprintln!("\nending after this measurement; the next signal ends the run at once");
        }
    });
    Ok(())
}

/// Waits until no other run is in progress on this machine.
fn alone() -> Option<File> {
    let file = File::open(SETTINGS[0].0).ok()?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another run on this machine …");
        file.lock().ok()?;
    }
    Some(file)
}

/// Raises the limit of open files of this process and its children as far as possible.
pub(crate) fn raise_open_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    let raise = |files| setrlimit(Resource::RLIMIT_NOFILE, files, files);
    if raise(hard.max(FILES)).is_err() {
        let _ = raise(hard);
        eprintln!("{hard} open files may be too few for 10,000 connections");
    }
}
