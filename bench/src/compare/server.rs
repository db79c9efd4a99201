//! A server under test: its program, with a sender and a carbon.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use statsd_bench::{Plan, Sender, Sent, Traffic};

use super::kernel::BUFFER;
use super::load::Transport;
use super::plan::Job;
use super::proc::{self, Queue, Usage};
use super::profile::Places;
use super::program::Program;
use super::record::Figures;
use crate::Outcome;
use crate::carbon::Carbon;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) carbon: Carbon,
    pub(crate) sender: Sender,
    transport: Transport,
    udp: u16,
    tcp: u16,
    interval: u64,
    /// From the start of the process until its UDP port was bound.
    pub(crate) listening_after: Duration,
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

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// How long it may take to read what it was sent.
const READ: Duration = Duration::from_secs(5);

impl Server {
    /// Starts the server of a measurement, and waits until it listens. `here` has the folders of
    /// the bench.
    pub(crate) fn start(job: &Job<'_>, here: &Places) -> Outcome<Self> {
        let Job { profile, transport, interval, .. } = *job;
        let prefixes = [&profile.counts, &profile.own_counts, &profile.turns];
        let carbon = Carbon::start(prefixes.into_iter().flatten().cloned().collect())?;
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("statsd.sock");
        let [udp, tcp, admin] = free_ports()?;
        let mut places = here.clone();
        places.extend([
            ("{dir}", folder.path().display().to_string()),
            ("{unix}", socket.display().to_string()),
            ("{udp}", udp.to_string()),
            ("{tcp}", tcp.to_string()),
            ("{admin}", admin.to_string()),
            ("{carbon}", carbon.port.to_string()),
            ("{interval}", interval.to_string()),
            ("{buffer}", BUFFER.to_string()),
        ]);
        let mut program = Program::spawn(profile, &places, folder, job.deadline())
            .map_err(|error| format!("it cannot be started: {error}"))?;
        program.until("listen", START, || proc::queue(udp))?;
        let listening_after = program.elapsed();
        let connect = || match transport {
            Transport::Udp => Sender::udp(local(udp)),
            Transport::Tcp => Sender::tcp(local(tcp)),
            Transport::Unix => Sender::unix(&socket),
        };
        let sender = program.until("take connections", START, || connect().ok())?;
        Ok(Self { program, carbon, sender, transport, udp, tcp, interval, listening_after })
    }

    /// Sends, and waits until everything is read.
    pub(crate) fn send(&mut self, traffic: &Traffic, plan: Plan) -> Outcome<Stretch> {
        let before = self.usage();
        let drops = self.queue().drops;
        let time = plan.time.min(self.program.left());
        let sent = self.sender.send(traffic, Plan { time, ..plan });
        let end = Instant::now();
        let Self { udp, tcp, .. } = *self;
        // If this takes too long, the server is late, which `late` shows.
        let _ = self.program.until("read", READ, || {
            let queued = proc::queue(udp).unwrap_or_default().waiting + proc::waiting_streams(tcp);
            (queued + self.sender.unread() == 0).then_some(())
        });
        let late = end.elapsed().as_secs_f64();
        self.program.check()?;
        if sent.errors > 0 && self.transport != Transport::Udp {
            return Err("it has closed the connection, or stopped reading".into());
        }
        let usage = self.usage();
        Ok(Stretch {
            sent,
            late,
            cpu: usage.cpu_seconds - before.cpu_seconds,
            resident_kib: usage.resident_kib,
            drops: self.queue().drops.saturating_sub(drops),
        })
    }

    /// Waits until carbon has received one more flush than `before`.
    pub(crate) fn until_flushed(&mut self, before: usize) -> Outcome {
        let limit = Duration::from_secs(2 * self.interval + 20);
        let carbon = &self.carbon;
        self.program.until("end a flush", limit, || (carbon.bursts().len() > before).then_some(()))
    }

    /// Connects one more client, which sends nothing.
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(local(self.tcp))
    }

    pub(crate) fn usage(&self) -> Usage {
        proc::usage(self.program.id())
    }

    fn queue(&self) -> Queue {
        proc::queue(self.udp).unwrap_or_default()
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

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Three ports that are free at this moment: for UDP, TCP and an admin port.
fn free_ports() -> io::Result<[u16; 3]> {
    let udp = UdpSocket::bind(local(0))?;
    let tcp = TcpListener::bind(local(0))?;
    let admin = TcpListener::bind(local(0))?;
    Ok([udp.local_addr()?.port(), tcp.local_addr()?.port(), admin.local_addr()?.port()])
}
