//! A server under test. It is started from its profile in a folder of its own, and ended by its
//! process number.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use super::proc::{self, Queue, Usage};
use super::profile::{Places, Profile, Transport};
use super::setting::Setting;
use crate::carbon::Carbon;
use statsd_bench::{Clock, Sender, beside, favour, kill, terminate, with_parent};

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    udp: u16,
    tcp: u16,
    pub(crate) carbon: Carbon,
    guard: Guard,
    /// From the start of the process until its UDP port was bound.
    pub(crate) listening_after: Duration,
    /// Until its output said that it is ready, where the profile tells how it does.
    pub(crate) ready_after: Option<Duration>,
    folder: TempDir,
}

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);
/// How long a server may take to end after SIGTERM.
const END: Duration = Duration::from_secs(10);

impl Server {
    pub(crate) fn start(profile: &Profile, setting: &Setting) -> Result<Self, String> {
        let carbon = Carbon::start();
        let folder = tempfile::tempdir();
        let carbon = carbon.map_err(|error| format!("carbon: {error}"))?;
        let folder = folder.map_err(|error| format!("a folder: {error}"))?;
        let places = places(profile, setting, folder.path(), carbon.port())
            .map_err(|error| format!("a port: {error}"))?;
        let start = Clock::start();
        let child =
            spawn(profile, &places).map_err(|error| format!("{}: {error}", profile.name))?;
        let udp = places.udp;
        let tcp = places.tcp;
        let guard = Guard::over(child.id());
        let listening_after = Duration::ZERO;
        let mut server =
            Self { child, udp, tcp, carbon, guard, listening_after, ready_after: None, folder };
        while proc::queue(udp).is_none() {
            let ended = server.child.try_wait().ok().flatten();
            if ended.is_some() || start.elapsed() > START {
                return Err(format!("{} does not listen:\n{}", profile.name, server.said()));
            }
            Clock::sleep(Duration::from_micros(200));
        }
        server.listening_after = start.elapsed();
        if let Some(ready) = &profile.ready {
            server.until_said(ready, start)?;
            server.ready_after = Some(start.elapsed());
        }
        // The kernel takes milliseconds to list its TCP sockets.
        while profile.takes(Transport::Tcp) && !proc::listens(tcp) {
            server.is_well()?;
            if start.elapsed() > START {
                return Err(format!("{} does not listen on TCP:\n{}", profile.name, server.said()));
            }
            Clock::sleep(Duration::from_millis(1));
        }
        Ok(server)
    }

    pub(crate) fn sender(&self, transport: Transport) -> Result<Sender, String> {
        let to = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let sender = match transport {
            Transport::Udp => Sender::udp(to(self.udp)),
            Transport::Tcp => Sender::tcp(to(self.tcp)),
        };
        sender.map_err(|error| format!("no way to send: {error}"))
    }

    /// One more client, with nothing to say.
    #[expect(clippy::disallowed_methods, reason = "a client may wait for its server")]
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.tcp))
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn usage(&self) -> Usage {
        proc::usage(self.child.id())
    }

    /// Nothing else is to have its core when it wants it. Returns whether that could be had.
    pub(crate) fn favour(&self) -> bool {
        favour(self.child.id())
    }

    pub(crate) fn open_files(&self) -> usize {
        proc::open_files(self.child.id())
    }

    pub(crate) fn queue(&self) -> Queue {
        proc::queue(self.udp).unwrap_or_default()
    }

    /// An error that says why not.
    pub(crate) fn is_well(&mut self) -> Result<(), String> {
        match (self.guard.ended_at_mib(), self.child.try_wait()) {
            (Some(mib), _) => Err(format!("it took {mib} MiB, which is too much for this machine")),
            (None, Ok(None)) => Ok(()),
            (None, _) => Err(format!("it has ended:\n{}", self.said())),
        }
    }

    fn until_said(&mut self, what: &str, start: Clock) -> Result<(), String> {
        while !self.said().contains(what) {
            self.is_well()?;
            if start.elapsed() > START {
                return Err(format!("it does not say {what:?}:\n{}", self.said()));
            }
            Clock::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Waits until nothing waits in its sockets any more.
    pub(crate) fn until_read(&self) {
        let start = Clock::start();
        let waiting = || self.queue().waiting + proc::waiting_streams(self.tcp);
        while waiting() > 0 && start.elapsed() < Duration::from_secs(5) {
            Clock::sleep(Duration::from_millis(1));
        }
    }

    /// The end of what it said.
    fn said(&self) -> String {
        let text = fs::read(self.folder.path().join("said")).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(1000)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.guard.stop();
        terminate(self.child.id());
        let start = Clock::start();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > END {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            Clock::sleep(Duration::from_millis(5));
        }
    }
}

/// Ends a server that takes more memory than the machine can spare, before the kernel ends
/// something else.
#[derive(Debug)]
struct Guard {
    shared: Arc<Shared>,
    watching: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stops: AtomicBool,
    /// What it had when it was ended.
    kib: AtomicU64,
}

/// The share of what was available that a server may take.
const SHARE: f64 = 0.6;

impl Guard {
    fn over(process: u32) -> Self {
        let shared = Arc::new(Shared::default());
        let limit = proc::available_kib() as f64 * SHARE;
        let here = Arc::clone(&shared);
        let watching = beside(move || {
            while !here.stops.load(Ordering::SeqCst) {
                let kib = proc::resident_kib(process);
                if kib as f64 > limit {
                    here.kib.store(kib, Ordering::SeqCst);
                    return kill(process);
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        Self { shared, watching: Some(watching) }
    }

    fn ended_at_mib(&self) -> Option<u64> {
        Some(self.shared.kib.load(Ordering::SeqCst) / 1024).filter(|mib| *mib > 0)
    }

    /// Stops the guard. It must not outlive the process, whose number another may get.
    fn stop(&mut self) {
        self.shared.stops.store(true, Ordering::SeqCst);
        if let Some(watching) = self.watching.take() {
            watching.thread().unpark();
            let _ = watching.join();
        }
    }
}

fn spawn(profile: &Profile, places: &Places) -> io::Result<Child> {
    for (name, text) in profile.files(places) {
        fs::write(places.dir.join(name), text)?;
    }
    let words = profile.command(places);
    let said = fs::File::create(places.dir.join("said"))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(&words[0]);
    with_parent(&mut command)
        .args(&words[1..])
        .current_dir(&places.dir)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .process_group(0)
        .spawn()
}

fn places(profile: &Profile, setting: &Setting, dir: &Path, carbon: u16) -> io::Result<Places> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let udp = UdpSocket::bind(any)?;
    let tcp = TcpListener::bind(any)?;
    let admin = TcpListener::bind(any)?.local_addr()?.port();
    let udp = udp.local_addr()?.port();
    Ok(Places {
        dir: dir.to_owned(),
        root: setting.root.clone(),
        bin: setting.bin.clone(),
        udp,
        tcp: if profile.same_port { udp } else { tcp.local_addr()?.port() },
        admin,
        carbon,
        interval: setting.interval,
        buffer: setting.buffer,
    })
}
