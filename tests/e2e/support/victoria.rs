//! VictoriaMetrics on loopback, in a folder of its own. Tests read its points over HTTP.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use serde_json::Value;
use socket2::Socket;
use tempfile::TempDir;

use super::{DEADLINE, Process, Web, is_installed, reserve_tcp, skipped, until};

#[derive(Debug)]
pub(crate) struct Victoria {
    _process: Process,
    http: SocketAddr,
    graphite: SocketAddr,
    _reserved: [Socket; 2],
    _folder: TempDir,
}

impl Victoria {
    /// Starts it, with a port for Graphite's lines. Prints a note and returns `None` if it is not
    /// installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        if !is_installed("victoria-metrics") {
            skipped(test, "victoria-metrics", "apt-get install victoria-metrics");
            return None;
        }
        let [(http_port, http), (graphite_port, graphite)] = [reserve_tcp(), reserve_tcp()];
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("victoria-metrics");
        command.arg(format!("-storageDataPath={}", folder.path().display()));
        command.arg(format!("-httpListenAddr={http}"));
        command.arg(format!("-graphiteListenAddr={graphite}"));
        let mut process = Process::start(&mut command);
        until(DEADLINE, "VictoriaMetrics to answer", || {
            let ended = process.ended();
            assert!(ended.is_none(), "it ended:\n{}", process.stderr().join("\n"));
            TcpStream::connect(http).and_then(|_| TcpStream::connect(graphite)).ok()
        });
        let reserved = [http_port, graphite_port];
        Some(Self { _process: process, http, graphite, _reserved: reserved, _folder: folder })
    }

    /// Where it takes lines of InfluxDB.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it takes lines of Graphite.
    pub(crate) fn graphite(&self) -> SocketAddr {
        self.graphite
    }

    /// Waits until a series with this name, tags and value is stored. `tags` is a JSON object.
    pub(crate) fn until_point(&self, name: &str, tags: Value, value: f64) {
        let mut expected = tags;
        expected["__name__"] = name.into();
        until(DEADLINE, &format!("{expected} {value} in VictoriaMetrics"), || {
            let mut web = Web::connect(self.http);
            let path = "/api/v1/export?match%5B%5D=%7B__name__%21%3D%22%22%7D";
            let body = web.get(path).body;
            let mut series = body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let found = |series: &Value| {
                let values = series["values"].as_array().unwrap();
                series["metric"] == expected
                    && values.iter().any(|stored| stored.as_f64() == Some(value))
            };
            series.any(|series| found(&series)).then_some(())
        });
    }
}
