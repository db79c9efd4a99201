//! A child process whose output is collected line by line, and which does not outlive its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::until;

type Lines = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.lock().unwrap().clone()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.lock().unwrap().clone()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn sigterm(&self) {
        let pid = self.pid().to_string();
        let status = Command::new("sh").args(["-c", "kill -TERM $0", &pid]).status().unwrap();
        assert!(status.success(), "no process {pid} to stop");
    }

    /// Waits for its end.
    pub(crate) fn exit(&mut self, deadline: Duration) -> ExitStatus {
        until(deadline, "the process to end", || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(output: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let collected = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            collected.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    });
    lines
}
