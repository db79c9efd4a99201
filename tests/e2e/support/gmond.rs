//! Ganglia's gmond on loopback, in a folder of its own. Tests read its metrics over TCP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use socket2::Socket;
use tempfile::TempDir;

use super::node::is_bound;
use super::{DEADLINE, Process, connect, free_port, is_installed, reserve_tcp, skipped, until};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 78, 1);

#[derive(Debug)]
pub(crate) struct Gmond {
    process: Option<Process>,
    /// Reserves the port while the process is down.
    _reserved: Socket,
    udp: SocketAddr,
    tcp: SocketAddr,
    folder: TempDir,
}

/// A metric as gmond reports it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) value: String,
    pub(crate) units: String,
    pub(crate) group: String,
}

impl Gmond {
    /// Starts gmond. Prints a note and returns `None` if it is not installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        if !is_installed("gmond") {
            skipped(test, "gmond", "apt-get install ganglia-monitor");
            return None;
        }
        let (reserved, tcp) = reserve_tcp();
        let udp = SocketAddr::from((ADDRESS, free_port()));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gmond.conf"), configuration(udp, tcp)).unwrap();
        let mut gmond = Self { process: None, _reserved: reserved, udp, tcp, folder };
        gmond.start_again();
        Some(gmond)
    }

    /// Ends gmond. It loses its metrics.
    pub(crate) fn sigkill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal("KILL");
        process.exit(DEADLINE);
    }

    /// Starts gmond again, on the same ports.
    pub(crate) fn start_again(&mut self) {
        let conf = self.folder.path().join("gmond.conf");
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let mut process =
            Process::start(Command::new("gmond").env("PATH", path).arg("-f").arg("-c").arg(conf));
        until(DEADLINE, "gmond to listen", || {
            let ended = process.ended();
            assert!(ended.is_none(), "gmond ended:\n{}", process.stderr().join("\n"));
            (is_bound(self.udp) && TcpStream::connect(self.tcp).is_ok()).then_some(())
        });
        self.process = Some(process);
    }

    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Returns the metrics of a host, by name.
    pub(crate) fn metrics(&self, host: &str) -> BTreeMap<String, Metric> {
        let xml = self.xml();
        let hosts = xml.split("<HOST ").skip(1);
        let Some(host) = hosts.into_iter().find(|found| attribute(found, "NAME") == host) else {
            return BTreeMap::new();
        };
        let metric = |text: &str| {
            let (_, group) = text.split_once("NAME=\"GROUP\" ").unwrap_or_default();
            let metric = Metric {
                value: attribute(text, "VAL"),
                units: attribute(text, "UNITS"),
                group: attribute(group, "VAL"),
            };
            (attribute(text, "NAME"), metric)
        };
        host.split("<METRIC ").skip(1).map(metric).collect()
    }

    /// Waits until gmond has a metric with this value.
    pub(crate) fn until_metric(&self, host: &str, name: &str, value: &str) -> Metric {
        until(DEADLINE, &format!("{name}={value} of {host} in gmond"), || {
            self.metrics(host).get(name).filter(|metric| metric.value == value).cloned()
        })
    }

    fn xml(&self) -> String {
        let (mut stream, mut xml) = (connect(self.tcp), String::new());
        while let Err(error) = stream.read_to_string(&mut xml) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
        xml
    }
}

/// Returns the value of the first attribute with this name.
fn attribute(text: &str, name: &str) -> String {
    let found = text.split_once(&format!("{name}=\""));
    let value = found.and_then(|(_, after)| after.split_once('"'));
    value.map_or_else(String::new, |(value, _)| value.to_owned())
}

fn configuration(udp: SocketAddr, tcp: SocketAddr) -> String {
    format!(
        "globals {{
  daemonize = no
  setuid = no
  mute = yes
  deaf = no
  allow_extra_data = yes
  host_dmax = 0
  send_metadata_interval = 0
}}
cluster {{ name = \"test\" }}
udp_recv_channel {{ bind = {ADDRESS} port = {} }}
tcp_accept_channel {{ bind = 127.0.0.1 port = {} }}
",
        udp.port(),
        tcp.port()
    )
}
