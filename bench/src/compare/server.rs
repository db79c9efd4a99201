//! A server under test. It is started from its profile in a folder of its own, and ended by its
//! process number.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use statsd_bench::{Clock, Sender, with_parent};
use tempfile::TempDir;

use super::proc::{self, Queue, Usage};
use super::profile::{Places, Profile, Transport};
use crate::carbon::Carbon;

/// The settings that all servers of a comparison are started with.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The folder of the repository.
    pub(crate) root: PathBuf,
    /// The folder of the programs that were built.
    pub(crate) bin: PathBuf,
    /// Seconds between two flushes.
    pub(crate) interval: u64,
    /// Bytes of a receive buffer.
    pub(crate) buffer: usize,
}

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    ports: Ports,
    pub(crate) carbon: Carbon,
    /// From the start of the process until its UDP port was bound.
    pub(crate) listening_after: Duration,
    /// Until its output showed that it is ready, if the profile has the text for that.
    pub(crate) ready_after: Option<Duration>,
    folder: TempDir,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ports {
    udp: u16,
    tcp: u16,
    admin: u16,
}

impl Ports {
    /// Ports that are free at this moment.
    fn free() -> io::Result<Self> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let udp = UdpSocket::bind(any)?;
        let tcp = TcpListener::bind(any)?;
        let admin = TcpListener::bind(any)?.local_addr()?.port();
        Ok(Self { udp: udp.local_addr()?.port(), tcp: tcp.local_addr()?.port(), admin })
    }
}

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);
/// How long a server may take to end after SIGTERM.
const END: Duration = Duration::from_secs(10);

/// The file of the Unix datagram socket, in the folder of the server.
const SOCKET: &str = "statsd.sock";

impl Server {
    pub(crate) fn start(profile: &Profile, setting: &Setting) -> Result<Self, String> {
        let name = &profile.name;
        let failed = |error| format!("{name} cannot be started: {error}");
        let carbon = Carbon::start().map_err(failed)?;
        let folder = tempfile::tempdir().map_err(failed)?;
        let mut ports = Ports::free().map_err(failed)?;
        if profile.same_port {
            ports.tcp = ports.udp;
        }
        let places = setting.places(folder.path(), ports, carbon.port());
        let start = Clock::start();
        let child = spawn(profile, &places, folder.path()).map_err(failed)?;
        let listening_after = Duration::ZERO;
        let mut server = Self { child, ports, carbon, listening_after, ready_after: None, folder };
        let soon = Duration::from_micros(200);
        server.until("listen", start, soon, |_| proc::queue(ports.udp).is_some())?;
        server.listening_after = start.elapsed();
        if let Some(ready) = &profile.ready {
            server.until("say that it is ready", start, soon, |it| it.said().contains(ready))?;
            server.ready_after = Some(start.elapsed());
        }
        // The kernel takes milliseconds to list its TCP sockets.
        server.until("listen on TCP", start, Duration::from_millis(1), |_| {
            !profile.takes(Transport::Tcp) || proc::listens(ports.tcp)
        })?;
        server.until("listen on a Unix socket", start, soon, |it| {
            !profile.takes(Transport::Unix) || it.folder.path().join(SOCKET).exists()
        })?;
        Ok(server)
    }

    fn until(
        &mut self,
        what: &str,
        start: Clock,
        nap: Duration,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        while !is_done(self) {
            self.is_well()?;
            if start.elapsed() > START {
                return Err(format!("it does not {what}:\n{}", self.said()));
            }
            Clock::sleep(nap);
        }
        Ok(())
    }

    pub(crate) fn sender(&self, transport: Transport) -> Result<Sender, String> {
        let to = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let sender = match transport {
            Transport::Udp => Sender::udp(to(self.ports.udp)),
            Transport::Tcp => Sender::tcp(to(self.ports.tcp)),
            Transport::Unix => Sender::unix(&self.folder.path().join(SOCKET)),
        };
        sender.map_err(|error| format!("no way to send: {error}"))
    }

    /// Connects one more client, which sends nothing.
    #[expect(clippy::disallowed_methods, reason = "a client may wait for its server")]
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.tcp))
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn usage(&self) -> Usage {
        proc::usage(self.child.id())
    }

    /// Gives the server the highest priority, so that it always gets its core. Returns whether that
    /// is allowed.
    pub(crate) fn favour(&self) -> bool {
        let mut renice = Command::new("renice");
        renice.args(["-n", "-20", "-p", &self.child.id().to_string()]).stdout(Stdio::null());
        renice.status().is_ok_and(|status| status.success())
    }

    pub(crate) fn queue(&self) -> Queue {
        proc::queue(self.ports.udp).unwrap_or_default()
    }

    /// Fails with its last words if the server has ended.
    pub(crate) fn is_well(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(format!("it has ended:\n{}", self.said())),
        }
    }

    /// Waits until its sockets are empty.
    pub(crate) fn until_read(&self, sender: &Sender) {
        let start = Clock::start();
        let waiting = || self.queue().waiting + proc::waiting_streams(self.ports.tcp);
        while waiting() + sender.unread() as u64 > 0 && start.elapsed() < Duration::from_secs(5) {
            Clock::sleep(Duration::from_millis(1));
        }
    }

    /// Returns the end of its output.
    fn said(&self) -> String {
        let text = fs::read(self.folder.path().join("said")).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(1000)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(proc::pid(self.child.id()), Signal::SIGTERM);
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

fn spawn(profile: &Profile, places: &Places, folder: &Path) -> io::Result<Child> {
    for (name, text) in profile.files(places) {
        fs::write(folder.join(name), text)?;
    }
    let words = profile.command(places);
    let said = fs::File::create(folder.join("said"))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(&words[0]);
    let child = with_parent(&mut command)
        .args(&words[1..])
        .current_dir(folder)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .process_group(0)
        .spawn()?;
    // If memory runs out, the kernel ends the server before anything else.
    let _ = fs::write(format!("/proc/{}/oom_score_adj", child.id()), "1000");
    Ok(child)
}

impl Setting {
    /// Values that suffice to check whether a profile is installed.
    pub(crate) fn nowhere(&self) -> Places {
        self.places("/nowhere".as_ref(), Ports::default(), 0)
    }

    fn places(&self, dir: &Path, ports: Ports, carbon: u16) -> Places {
        let path = |path: &Path| path.display().to_string();
        vec![
            ("{dir}", path(dir)),
            ("{root}", path(&self.root)),
            ("{bin}", path(&self.bin)),
            ("{unix}", path(&dir.join(SOCKET))),
            ("{udp}", ports.udp.to_string()),
            ("{tcp}", ports.tcp.to_string()),
            ("{admin}", ports.admin.to_string()),
            ("{carbon}", carbon.to_string()),
            ("{interval}", self.interval.to_string()),
            ("{buffer}", self.buffer.to_string()),
        ]
    }
}
