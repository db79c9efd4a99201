//! What the tests of this stage share.

use std::process::Command;
use std::time::{Duration, Instant};

/// Tries until there is a result. What `attempt` does should itself wait a moment.
#[allow(clippy::disallowed_methods)] // so that a test that fails ends
pub(super) fn patiently<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "still waiting for {what}");
    }
}

pub(super) fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    command
}
