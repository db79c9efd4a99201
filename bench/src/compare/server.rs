//! A server under test. It is started from its profile in a folder of its own, and ended by its
//! process number. It has a sender, a carbon and a deadline.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use statsd_bench::{Clock, Plan, Sender, Sent, Traffic, with_parent};
use tempfile::TempDir;

use super::kernel::BUFFER;
use super::load::Transport;
use super::proc::{self, Queue, Usage};
use super::profile::{Places, Profile, fill};
use super::record::Figures;
use crate::carbon::Carbon;

/// The settings that a server is started with.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The folder of the repository.
    pub(crate) root: PathBuf,
    /// The folder of the programs that were built.
    pub(crate) bin: PathBuf,
    /// Seconds between two flushes.
    pub(crate) interval: u64,
    /// The longest time that the measurement may take.
    pub(crate) deadline: Duration,
}

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    udp: u16,
    tcp: u16,
    clock: Clock,
    setting: Setting,
    pub(crate) carbon: Carbon,
    pub(crate) sender: Sender,
    /// From the start of the process until its UDP port was bound.
    pub(crate) listening_after: Duration,
    folder: TempDir,
}

/// The figures of a server while traffic was sent, until it had read everything.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) sent: Sent,
    /// The seconds that the server read after the sender's last line.
    pub(crate) late: f64,
    cpu: f64,
    resident_kib: u64,
    pub(crate) drops: u64,
}

/// How long a server may take until it listens, and until it ends after SIGTERM.
const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(10);

/// How long it may take to read what it was sent.
const READ: Duration = Duration::from_secs(5);

impl Server {
    pub(crate) fn start(
        profile: &Profile,
        setting: &Setting,
        transport: Transport,
    ) -> Result<Self, String> {
        let failed = |error| format!("it cannot be started: {error}");
        let watched = [&profile.counts, &profile.own_counts, &profile.turns];
        let carbon = Carbon::start(watched.into_iter().flatten().cloned().collect());
        let carbon = carbon.map_err(failed)?;
        let folder = tempfile::tempdir().map_err(failed)?;
        let [udp, tcp, admin] = free_ports().map_err(failed)?;
        let tcp = if profile.same_port { udp } else { tcp };
        let places = setting.places(folder.path(), [udp, tcp, admin, carbon.port()]);
        let clock = Clock::start();
        let child = spawn(profile, &places, folder.path()).map_err(failed)?;
        let setting = setting.clone();
        // A sender to no server, until the server listens.
        let sender = Sender::udp((Ipv4Addr::LOCALHOST, 9).into()).map_err(failed)?;
        let listening_after = Duration::ZERO;
        let mut server =
            Self { child, udp, tcp, clock, setting, carbon, sender, listening_after, folder };
        server.until("listen", START, |it| proc::queue(it.udp).is_some())?;
        server.listening_after = clock.elapsed();
        let mut sender = None;
        server.until("take connections", START, |it| {
            let to = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let connected = match transport {
                Transport::Udp => Sender::udp(to(it.udp)),
                Transport::Tcp => Sender::tcp(to(it.tcp)),
                Transport::Unix => Sender::unix(&it.folder.path().join(SOCKET)),
            };
            sender = connected.ok();
            sender.is_some()
        })?;
        server.sender = sender.ok_or("it takes no connection")?;
        Ok(server)
    }

    /// Waits for a condition. Fails if the server has ended, after `limit`, and at the deadline of
    /// the measurement.
    pub(crate) fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_done: impl FnMut(&Self) -> bool,
    ) -> Result<(), String> {
        let start = self.clock.elapsed();
        while !is_done(self) {
            self.check()?;
            if self.clock.elapsed() > start + limit {
                let seconds = limit.as_secs();
                return Err(format!("it does not {what} in {seconds} s:\n{}", self.said()));
            }
            // Rare enough to disturb nothing, and within 2 % of the time.
            let nap = (self.clock.elapsed() - start) / 50;
            Clock::sleep(nap.clamp(Duration::from_micros(200), Duration::from_millis(10)));
        }
        Ok(())
    }

    /// Fails with its last words if the server has ended, or if the measurement takes too long.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return Err(format!("it has ended:\n{}", self.said()));
        }
        if self.clock.elapsed() > self.setting.deadline {
            return Err(format!("not done after {} s", self.setting.deadline.as_secs()));
        }
        Ok(())
    }

    /// Sends, and waits until everything is read.
    pub(crate) fn send(&mut self, traffic: &Traffic, plan: Plan) -> Result<Stretch, String> {
        let before = self.usage();
        let drops = self.queue().drops;
        let left = self.setting.deadline.saturating_sub(self.clock.elapsed());
        let sent = self.sender.send(traffic, Plan { time: plan.time.min(left), ..plan });
        let end = Clock::start();
        // If this takes too long, the server is late, which `late` shows.
        let _ = self.until("read", READ, |it| {
            let queued = it.queue().waiting + proc::waiting_streams(it.tcp);
            queued + it.sender.unread() as u64 == 0
        });
        self.check()?;
        let usage = self.usage();
        Ok(Stretch {
            sent,
            late: end.elapsed().as_secs_f64(),
            cpu: usage.cpu_seconds - before.cpu_seconds,
            resident_kib: usage.resident_kib,
            drops: self.queue().drops.saturating_sub(drops),
        })
    }

    /// Waits until carbon has received one more flush than `before`.
    pub(crate) fn until_flushed(&mut self, before: usize) -> Result<(), String> {
        let limit = Duration::from_secs(2 * self.setting.interval + 20);
        self.until("end a flush", limit, |it| it.carbon.bursts().len() > before)
    }

    /// Connects one more client, which sends nothing.
    #[expect(clippy::disallowed_methods, reason = "a client may wait for its server")]
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.tcp))
    }

    pub(crate) fn usage(&self) -> Usage {
        proc::usage(self.child.id())
    }

    pub(crate) fn open_files(&self) -> usize {
        proc::open_files(self.child.id())
    }

    fn queue(&self) -> Queue {
        proc::queue(self.udp).unwrap_or_default()
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

impl Stretch {
    pub(crate) fn figures(&self) -> Figures {
        let seconds = self.sent.seconds + self.late;
        vec![
            ("cpu_s_per_million_lines", self.cpu * 1e6 / self.sent.lines as f64),
            ("lines_per_s", self.sent.lines as f64 / seconds),
            ("mib_per_s", self.sent.bytes as f64 / f64::from(1 << 20) / seconds),
            ("cores", self.cpu / seconds),
            ("resident_mib", self.resident_kib as f64 / 1024.0),
            ("dropped_packets", self.drops as f64),
        ]
    }
}

/// Three ports that are free at this moment: for UDP, TCP and an admin port.
fn free_ports() -> io::Result<[u16; 3]> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let udp = UdpSocket::bind(any)?;
    let tcp = TcpListener::bind(any)?;
    let admin = TcpListener::bind(any)?;
    Ok([udp.local_addr()?.port(), tcp.local_addr()?.port(), admin.local_addr()?.port()])
}

fn spawn(profile: &Profile, places: &Places, folder: &Path) -> io::Result<Child> {
    for (name, text) in &profile.files {
        fs::write(folder.join(name), fill(places, text))?;
    }
    let words: Vec<_> = profile.command.iter().map(|word| fill(places, word)).collect();
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

/// The file of the Unix datagram socket, in the folder of the server.
const SOCKET: &str = "statsd.sock";

impl Setting {
    /// The ports are those of UDP, TCP, the admin port and carbon.
    pub(crate) fn places(&self, dir: &Path, [udp, tcp, admin, carbon]: [u16; 4]) -> Places {
        let path = |path: &Path| path.display().to_string();
        vec![
            ("{dir}", path(dir)),
            ("{root}", path(&self.root)),
            ("{bin}", path(&self.bin)),
            ("{unix}", path(&dir.join(SOCKET))),
            ("{udp}", udp.to_string()),
            ("{tcp}", tcp.to_string()),
            ("{admin}", admin.to_string()),
            ("{carbon}", carbon.to_string()),
            ("{interval}", self.interval.to_string()),
            ("{buffer}", BUFFER.to_string()),
        ]
    }
}
