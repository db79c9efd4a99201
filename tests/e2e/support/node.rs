//! Node's statsd, the reference. For the same packet, our server must send the same points.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use super::{Admin, DEADLINE, FakeCarbon, Process, free_port, peers, reserve_tcp, until};

#[derive(Debug)]
pub(crate) struct NodeStatsd {
    _process: Process,
    udp: SocketAddr,
    management: SocketAddr,
    _folder: TempDir,
}

impl NodeStatsd {
    /// Starts Node's statsd with `carbon` as its destination, and waits until it listens.
    /// `settings` are further lines of its configuration, such as `percentThreshold: [50],`.
    pub(crate) fn start(carbon: &FakeCarbon, flush_seconds: u64, settings: &str) -> Self {
        let attempts = 5;
        (0..attempts)
            .find_map(|_| Self::attempt(carbon, flush_seconds, settings))
            .expect("Node's statsd finds no free port")
    }

    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// A client of its management port, which Node opens a little after the UDP port.
    pub(crate) fn admin(&self) -> Admin {
        let connected = || TcpStream::connect(self.management).ok();
        Admin::over(until(DEADLINE, "Node's management port", connected))
    }

    /// Returns `None` if another process took the UDP port before Node could bind it.
    fn attempt(carbon: &FakeCarbon, flush_seconds: u64, settings: &str) -> Option<Self> {
        let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (_reserved, management) = reserve_tcp();
        let folder = tempfile::tempdir().unwrap();
        let conf = format!(
            "{{
  graphiteHost: '127.0.0.1', graphitePort: {},
  address: '127.0.0.1', port: {},
  mgmt_address: '127.0.0.1', mgmt_port: {},
  flushInterval: {},
  backends: ['./backends/graphite'],
  {settings}
}}",
            carbon.address().port(),
            udp.port(),
            management.port(),
            flush_seconds * 1000,
        );
        let conf_path = folder.path().join("conf.js");
        fs::write(&conf_path, conf).unwrap();
        let stats = peers().join("npm/node_modules/statsd/stats.js");
        let mut process = Process::start(Command::new("node").arg(stats).arg(conf_path));
        let up = until(DEADLINE, "Node's statsd to start", || {
            // Node prints that it is up before its socket is bound.
            if is_bound(udp) { Some(true) } else { process.ended().map(|_| false) }
        });
        if !up && !process.stderr().iter().any(|line| line.contains("EADDRINUSE")) {
            panic!("Node's statsd ended:\n{}", process.stderr().join("\n"));
        }
        up.then(|| Self { _process: process, udp, management, _folder: folder })
    }
}

/// Whether a process receives datagrams at this loopback address.
pub(super) fn is_bound(udp: SocketAddr) -> bool {
    let IpAddr::V4(ip) = udp.ip() else { panic!("{udp} is not IPv4") };
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    table.contains(&format!(" {:08X}:{:04X} ", u32::from_ne_bytes(ip.octets()), udp.port()))
}
