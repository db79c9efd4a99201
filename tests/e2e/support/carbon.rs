//! Graphite's carbon-cache on ports of its own. It writes Whisper files, which the tests read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use socket2::Socket;
use tempfile::TempDir;

use super::{DEADLINE, Process, peer_script, peers, reserve_tcp, until};

#[derive(Debug)]
pub(crate) struct Carbon {
    process: Process,
    /// Reserve the ports while carbon does not run.
    _reserved: [Socket; 3],
    address: SocketAddr,
    pickle_address: SocketAddr,
    /// The port at which carbon answers queries for points that it has not written yet.
    queries: SocketAddr,
    folder: TempDir,
}

/// The points of one series: stamp and value, oldest first.
pub(crate) type Points = Vec<(u64, f64)>;

impl Carbon {
    /// Starts carbon and waits until it accepts lines. It keeps a point a second for five minutes.
    pub(crate) fn start() -> Self {
        Self::start_with("[all]\npattern = .*\nretentions = 1s:5m\n", "")
    }

    /// As [`Carbon::start`], with these `storage-schemas.conf` and `storage-aggregation.conf`.
    pub(crate) fn start_with(schemas: &str, aggregation: &str) -> Self {
        let (lines, address) = reserve_tcp();
        let (pickles, pickle_address) = reserve_tcp();
        let (query_socket, queries) = reserve_tcp();
        let folder = tempfile::tempdir().unwrap();
        let ports = [address, pickle_address, queries].map(|address| address.port());
        write_configuration(&folder, ports);
        fs::write(folder.path().join("storage-schemas.conf"), schemas).unwrap();
        fs::write(folder.path().join("storage-aggregation.conf"), aggregation).unwrap();
        let process = run_cache(&folder, address);
        Self {
            process,
            _reserved: [lines, pickles, query_socket],
            address,
            pickle_address,
            queries,
            folder,
        }
    }

    /// Ends carbon as a service manager does. Carbon writes all points first.
    pub(crate) fn stop(&mut self) {
        self.process.signal("TERM");
        self.process.exit(DEADLINE);
    }

    /// Ends carbon as a crash does. The points in its memory are lost.
    pub(crate) fn sigkill(&mut self) {
        self.process.signal("KILL");
        self.process.exit(DEADLINE);
    }

    /// Starts carbon again, on the same ports, with the same files.
    pub(crate) fn start_again(&mut self) {
        let _ = fs::remove_file(self.folder.path().join("carbon-cache-a.pid"));
        self.process = run_cache(&self.folder, self.address);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address at which carbon accepts pickle.
    pub(crate) fn pickle_address(&self) -> SocketAddr {
        self.pickle_address
    }

    /// Returns carbon's log so far.
    pub(crate) fn log(&self) -> String {
        self.process.stdout().join("\n")
    }

    pub(crate) fn queries(&self) -> SocketAddr {
        self.queries
    }

    /// The folder of the Whisper files.
    pub(crate) fn whisper(&self) -> PathBuf {
        self.folder.path().join("whisper")
    }

    /// Returns the points that Whisper has of these series. An unknown series has none.
    pub(crate) fn points(&self, names: &[&str]) -> BTreeMap<String, Points> {
        self.points_of_last(290, names)
    }

    /// As [`Carbon::points`], from the finest archive that goes back `seconds`.
    pub(crate) fn points_of_last(&self, seconds: u64, names: &[&str]) -> BTreeMap<String, Points> {
        // Tests call this again and again, and each call starts a process. Without a pause these
        // would take the time that carbon needs.
        std::thread::sleep(Duration::from_millis(200));
        let mut child = Command::new(peers().join("venv/bin/python"))
            .arg(peer_script("read_whisper.py"))
            .arg(self.whisper())
            .arg(seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(names.join("\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "Whisper cannot be read");
        let mut points: BTreeMap<String, Points> = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [name, value, stamp] = fields[..] else { panic!("what is {line:?}?") };
            let point = (stamp.parse().unwrap(), value.parse().unwrap());
            points.entry(name.to_owned()).or_default().push(point);
        }
        points
    }

    /// Waits until Whisper has a point with this value for each series. Returns their stamps.
    pub(crate) fn until_points(&self, expected: &[(&str, f64)]) -> Vec<u64> {
        let names: Vec<&str> = expected.iter().map(|&(name, _)| name).collect();
        // A carbon with little time needs minutes to make thousands of files.
        until(3 * DEADLINE, &format!("Whisper to hold {expected:?}"), || {
            let stored = self.points(&names);
            let stamp = |(name, value): &(&str, f64)| {
                stored.get(*name)?.iter().find(|point| point.1 == *value).map(|point| point.0)
            };
            expected.iter().map(stamp).collect()
        })
    }

    /// Waits until Whisper has, at `stamp`, exactly the expected value of each series.
    pub(crate) fn until_stored(&self, stamp: u64, expected: &[(&str, f64)]) {
        let names: Vec<&str> = expected.iter().map(|&(name, _)| name).collect();
        until(DEADLINE, &format!("Whisper to hold {} series at {stamp}", names.len()), || {
            let stored = self.points(&names);
            let at = |name: &str| stored.get(name)?.iter().find(|&&(at, _)| at == stamp);
            let all: Option<Vec<f64>> = names.iter().map(|name| at(name).map(|p| p.1)).collect();
            let found: Vec<(&str, f64)> = names.iter().copied().zip(all?).collect();
            assert_eq!(found, expected);
            Some(())
        });
    }
}

fn run_cache(folder: &TempDir, address: SocketAddr) -> Process {
    let venv = peers().join("venv/bin");
    let mut process = Process::start(
        Command::new(venv.join("python"))
            .arg(venv.join("carbon-cache.py"))
            .arg(format!("--config={}", folder.path().join("carbon.conf").display()))
            .args(["--nodaemon", "start"]),
    );
    until(DEADLINE, "carbon to accept lines", || {
        let ended = process.ended();
        assert!(ended.is_none(), "carbon ended:\n{}", process.stderr().join("\n"));
        TcpStream::connect(address).ok()
    });
    process
}

fn write_configuration(folder: &TempDir, [line, pickle, query]: [u16; 3]) {
    let path = folder.path().display();
    let conf = format!(
        "[cache]
STORAGE_DIR = {path}
CONF_DIR = {path}
LOG_DIR = {path}
PID_DIR = {path}
LOCAL_DATA_DIR = {path}/whisper
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
ENABLE_TAGS = False
CARBON_METRIC_INTERVAL = 0
"
    );
    fs::write(folder.path().join("carbon.conf"), conf).unwrap();
    fs::create_dir(folder.path().join("whisper")).unwrap();
}
