//! A child process whose output is collected line by line. It is killed at the end of its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::{run, until};

/// The lines that a child has written to one of its outputs, and the thread that collects them.
#[derive(Debug)]
struct Lines {
    so_far: Arc<Mutex<Vec<String>>>,
    collecting: Option<JoinHandle<()>>,
}

/// The exit status and the whole output of an ended process.
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

/// Held while a process is started, so that no other child inherits its sockets.
static STARTING: Mutex<()> = Mutex::new(());

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_sharing(command, &[])
    }

    /// Starts a process that inherits these sockets. A lock keeps them from other processes that
    /// are started at the same time: a socket stays open as long as any process has it.
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

    /// Returns the standard output so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// Returns the standard error so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// Returns the exit status, or `None` if the process still runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal to the process, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        run(Command::new("sh").args(["-c", "kill -$0 $1", name, &pid]));
    }

    /// Waits for the end of the process, and until its output was read. A child of the process that
    /// still runs may hold an output open, which is not waited for longer than a while.
    pub(crate) fn exit(&mut self, deadline: Duration) -> ExitStatus {
        let status = until(deadline, "the process to end", || self.ended());
        let ended = Instant::now();
        let is_read = || self.stdout.is_complete() && self.stderr.is_complete();
        while !is_read() && ended.elapsed() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        status
    }

    /// Waits for the end of the process and of its output.
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

    /// Whether the process, and every other that has the output, has closed it.
    fn is_complete(&self) -> bool {
        self.collecting.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Returns the whole output after the process has closed it.
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
