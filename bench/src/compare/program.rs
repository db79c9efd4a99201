//! The program of a server under test. It runs in a folder of its own, with a deadline, and is
//! ended by its process number.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use statsd_bench::with_parent;
use tempfile::TempDir;

use super::proc;
use super::profile::{Places, Profile, fill};
use crate::Outcome;

#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    start: Instant,
    /// The longest time that it may run.
    deadline: Duration,
    folder: TempDir,
}

/// How long it may take to end after SIGTERM.
const END: Duration = Duration::from_secs(10);

impl Program {
    /// Writes the files of the profile to the folder, and starts its command there.
    pub(crate) fn spawn(
        profile: &Profile,
        places: &Places,
        folder: TempDir,
        deadline: Duration,
    ) -> io::Result<Self> {
        for (name, text) in &profile.files {
            fs::write(folder.path().join(name), fill(places, text))?;
        }
        let words: Vec<_> = profile.command.iter().map(|word| fill(places, word)).collect();
        let said = File::create(folder.path().join("said"))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let start = Instant::now();
        let child = with_parent(&mut Command::new(&words[0]))
            .args(&words[1..])
            .current_dir(folder.path())
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .process_group(0)
            .spawn()?;
        // If memory runs out, the kernel ends the server before anything else.
        let _ = fs::write(format!("/proc/{}/oom_score_adj", child.id()), "1000");
        Ok(Self { child, start, deadline, folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the time since its start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the time until its deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.elapsed())
    }

    /// Waits until there is something, and returns it. Fails if the server has ended, after
    /// `limit`, and at the deadline.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut() -> Option<T>,
    ) -> Outcome<T> {
        let start = Instant::now();
        loop {
            if let Some(found) = wanted() {
                return Ok(found);
            }
            self.check()?;
            let elapsed = start.elapsed();
            if elapsed > limit {
                let said = self.said();
                return Err(format!("it does not {what} in {} s:\n{said}", limit.as_secs()).into());
            }
            // Rare enough to disturb nothing, and within 2 % of the time.
            let nap = elapsed / 50;
            thread::sleep(nap.clamp(Duration::from_micros(200), Duration::from_millis(10)));
        }
    }

    /// Fails with its last words if the server has ended, or if the measurement takes too long.
    pub(crate) fn check(&mut self) -> Outcome {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return Err(format!("it has ended:\n{}", self.said()).into());
        }
        if self.left().is_zero() {
            return Err(format!("not done after {} s", self.deadline.as_secs()).into());
        }
        Ok(())
    }

    /// Returns the end of its output.
    fn said(&self) -> String {
        let text = fs::read(self.folder.path().join("said")).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(1000)..]).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill(proc::pid(self.id()), Signal::SIGTERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > END {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
