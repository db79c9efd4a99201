//! A child process whose output is collected line by line, and which does not outlive its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::Socket;

use super::{run, until};

/// What a child writes to one of its outputs, and the thread that collects it.
#[derive(Debug)]
struct Lines {
    so_far: Arc<Mutex<Vec<String>>>,
    collecting: Option<JoinHandle<()>>,
}

/// How a process ended that was waited for, and all it wrote.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// Held while a process is started.
static STARTING: Mutex<()> = Mutex::new(());

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_sharing(command, &[])
    }

    /// As [`start`](Self::start), for a process that inherits these sockets. No other process that
    /// is started at the same time gets them, or they would stay open as long as that one runs.
    pub(crate) fn start_sharing(command: &mut Command, sockets: &[&Socket]) -> Self {
        let one_at_a_time = STARTING.lock();
        sockets.iter().for_each(|socket| socket.set_cloexec(false).unwrap());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        sockets.iter().for_each(|socket| socket.set_cloexec(true).unwrap());
        drop(one_at_a_time);
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        run(Command::new("sh").args(["-c", "kill -$0 $1", name, &pid]));
    }

    /// Waits for its end.
    pub(crate) fn exit(&mut self, deadline: Duration) -> ExitStatus {
        until(deadline, "the process to end", || self.ended())
    }

    /// Waits for its end, and for the last of its output.
    pub(crate) fn finish(mut self, deadline: Duration) -> Finished {
        let code = self.exit(deadline).code();
        Finished { code, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn so_far(&self) -> Vec<String> {
        self.so_far.lock().unwrap().clone()
    }

    /// Everything, once the other side has closed.
    fn all(&mut self) -> String {
        self.collecting.take().unwrap().join().unwrap();
        self.so_far().into_iter().map(|line| line + "\n").collect()
    }
}

fn collect(output: impl Read + Send + 'static) -> Lines {
    let so_far = Arc::<Mutex<Vec<String>>>::default();
    let collected = Arc::clone(&so_far);
    let collecting = std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            collected.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    });
    Lines { so_far, collecting: Some(collecting) }
}
