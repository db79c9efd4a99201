//! Node StatsD's proxy.js, which sends each name to one of several servers, and leaves out servers
//! that are down.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use super::node::is_bound;
use super::{Admin, DEADLINE, Process, free_port, peers, reserve_tcp, until, until_equal};

#[derive(Debug)]
pub(crate) struct Proxy {
    process: Process,
    udp: SocketAddr,
    management: SocketAddr,
    _folder: TempDir,
}

impl Proxy {
    /// Starts the proxy and waits until it listens. `conf` returns its configuration for its UDP
    /// port and its management port.
    pub(crate) fn start(conf: impl Fn(u16, u16) -> String) -> Self {
        let attempts = 5;
        (0..attempts).find_map(|_| Self::attempt(&conf)).expect("proxy.js finds no free port")
    }

    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Waits until the ring of the proxy has `count` nodes.
    pub(crate) fn until_nodes(&self, count: usize) {
        let nodes = || {
            let mut management = Admin::connect(self.management);
            management.send("status\n");
            management.read_through("nodes: ");
            management.read_through("\n").split_whitespace().count()
        };
        until_equal("the number of nodes in the proxy's ring", &count, nodes);
    }

    /// Returns how often a node was added to the ring or removed.
    pub(crate) fn changes(&self) -> usize {
        self.log().iter().filter(|line| line.contains(" the ring.")).count()
    }

    /// Returns the output of the proxy so far.
    pub(crate) fn log(&self) -> Vec<String> {
        [self.process.stdout(), self.process.stderr()].concat()
    }

    /// Returns `None` if another process took the UDP port before Node could bind it.
    fn attempt(conf: &impl Fn(u16, u16) -> String) -> Option<Self> {
        let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (_reserved, management) = reserve_tcp();
        let folder = tempfile::tempdir().unwrap();
        let conf_path = folder.path().join("proxy.js");
        fs::write(&conf_path, conf(udp.port(), management.port())).unwrap();
        let proxy = peers().join("npm/node_modules/statsd/proxy.js");
        let mut process = Process::start(Command::new("node").arg(proxy).arg(conf_path));
        let up = until(DEADLINE, "proxy.js to start", || {
            let listens = is_bound(udp) && TcpStream::connect(management).is_ok();
            if listens { Some(true) } else { process.ended().map(|_| false) }
        });
        if !up && !process.stderr().iter().any(|line| line.contains("EADDRINUSE")) {
            panic!("proxy.js ended:\n{}", process.stderr().join("\n"));
        }
        up.then(|| Self { process, udp, management, _folder: folder })
    }
}
