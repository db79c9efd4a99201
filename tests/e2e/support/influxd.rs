//! InfluxDB on loopback, in a folder of its own. Tests read its points over HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use socket2::Socket;
use tempfile::TempDir;

use super::{DEADLINE, Process, connect, free_port, is_installed, reserve_tcp, skipped, until};

#[derive(Debug)]
pub(crate) struct Influxd {
    process: Option<Process>,
    /// Reserves the port while the process is down.
    _reserved: Socket,
    http: SocketAddr,
    udp: SocketAddr,
    folder: TempDir,
}

/// The user and password of a server that requires them.
pub(crate) const ACCOUNT: (&str, &str) = ("keeper", "p ss#word;\"\\");

impl Influxd {
    /// Starts InfluxDB with a database `statsd`. Prints a note and returns `None` if it is not
    /// installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let influxd = Self::bare(test, "")?;
        influxd.create_database();
        Some(influxd)
    }

    /// Starts InfluxDB without a database. `http` has further settings of the section `[http]`.
    pub(crate) fn bare(test: &str, http: &str) -> Option<Self> {
        if !is_installed("influxd") {
            skipped(test, "influxd", "apt-get install influxdb");
            return None;
        }
        let (reserved, address) = reserve_tcp();
        let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let folder = tempfile::tempdir().unwrap();
        write_configuration(&folder, address, udp, http);
        let mut influxd = Self { process: None, _reserved: reserved, http: address, udp, folder };
        influxd.start_again();
        Some(influxd)
    }

    /// Ends InfluxDB as a crash does.
    pub(crate) fn sigkill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal("KILL");
        process.exit(DEADLINE);
    }

    /// Starts InfluxDB again, on the same ports, with the same files.
    pub(crate) fn start_again(&mut self) {
        let conf = self.folder.path().join("influxdb.conf");
        let home = self.folder.path();
        let mut process =
            Process::start(Command::new("influxd").arg("-config").arg(conf).env("HOME", home));
        until(DEADLINE, "influxd to answer", || {
            let ended = process.ended();
            assert!(ended.is_none(), "influxd ended:\n{}", process.stderr().join("\n"));
            TcpStream::connect(self.http).ok()
        });
        self.process = Some(process);
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// The address at which InfluxDB accepts lines for the database `statsd` over UDP.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    pub(crate) fn create_database(&self) {
        self.query("CREATE DATABASE statsd");
    }

    pub(crate) fn create_account(&self) {
        let (name, password) = ACCOUNT;
        let password = password.replace('\\', "\\\\").replace('\'', "\\'");
        self.query(&format!("CREATE USER {name} WITH PASSWORD '{password}' WITH ALL PRIVILEGES"));
    }

    /// Writes lines as another client would.
    pub(crate) fn write(&self, lines: &str) {
        let answer = self.post("/write?db=statsd", "", lines);
        assert!(answer.starts_with("HTTP/1.0 204"), "{answer}");
    }

    /// Returns the answer to a query as comma-separated values, without the header. Fails if the
    /// query fails.
    pub(crate) fn query(&self, query: &str) -> Vec<String> {
        let (name, password) = ACCOUNT;
        let (query, password) = (encoded(query), encoded(password));
        // InfluxDB reads user and password only from the URL.
        let path = format!("/query?u={name}&p={password}");
        let body = format!("db=statsd&epoch=s&q={query}");
        let fields =
            "Accept: application/csv\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        let answer = self.post(&path, fields, &body);
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        assert!(head.starts_with("HTTP/1.0 200") && !body.contains("error"), "{answer}");
        body.lines().skip(1).map(str::to_owned).collect()
    }

    /// Returns stamps and values of a field, keyed by the tags of the series as `k=v,k2=v2`.
    pub(crate) fn points(
        &self,
        measurement: &str,
        field: &str,
    ) -> BTreeMap<String, Vec<(u64, f64)>> {
        let query = format!("SELECT \"{field}\" FROM \"{measurement}\" GROUP BY *");
        let mut points: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
        for line in self.query(&query) {
            // measurement,"k=v,k2=v2",time,value
            let (rest, value) = line.rsplit_once(',').expect(&line);
            let (rest, time) = rest.rsplit_once(',').expect(&line);
            let (_, tags) = rest.split_once(',').expect(&line);
            let point = (time.parse().expect(&line), value.parse().expect(&line));
            points.entry(tags.trim_matches('"').to_owned()).or_default().push(point);
        }
        points
    }

    /// Waits until a field has this value, and returns its time.
    pub(crate) fn until_point(
        &self,
        measurement: &str,
        tags: &str,
        field: &str,
        value: f64,
    ) -> u64 {
        until(DEADLINE, &format!("{measurement},{tags} {field}={value} in InfluxDB"), || {
            let points = self.points(measurement, field);
            points.get(tags)?.iter().find(|point| point.1 == value).map(|point| point.0)
        })
    }

    fn post(&self, path: &str, fields: &str, body: &str) -> String {
        let mut stream = connect(self.http);
        let length = body.len();
        // With HTTP/1.0 the end of the connection ends the answer, and it comes without chunks.
        let head = format!("POST {path} HTTP/1.0\r\n{fields}Content-Length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        while let Err(error) = stream.read_to_string(&mut answer) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
        answer
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn write_configuration(folder: &TempDir, http: SocketAddr, udp: SocketAddr, settings: &str) {
    let path = folder.path().display();
    let conf = format!(
        "reporting-enabled = false
bind-address = \"127.0.0.1:0\"
[meta]
dir = \"{path}/meta\"
[data]
dir = \"{path}/data\"
wal-dir = \"{path}/wal\"
[monitor]
store-enabled = false
[ifql]
enabled = false
[http]
bind-address = \"{http}\"
log-enabled = false
{settings}
[[udp]]
enabled = true
bind-address = \"{udp}\"
database = \"statsd\"
batch-timeout = \"100ms\"
"
    );
    fs::write(folder.path().join("influxdb.conf"), conf).unwrap();
}
