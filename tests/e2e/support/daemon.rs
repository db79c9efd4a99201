//! The server under test, started as its users start it: a configuration file and a process.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use socket2::Socket;
use tempfile::TempDir;

use super::{
    Admin, Conf, DEADLINE, Process, Web, connect, send_packets, send_without_loss, until,
    until_equal, until_true,
};

/// A running server. Dropping it kills the process, if the test did not [stop](Daemon::stop) it.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    folder: TempDir,
}

/// Returns a command that runs the binary in `folder`, without the log settings of this shell.
pub(crate) fn statsd_command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_statsd"));
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

impl Daemon {
    /// Starts the server and waits until it listens.
    pub(crate) fn start(conf: &Conf) -> Self {
        Self::start_with(conf, |command| command.args(["-c", "statsd.conf"]))
    }

    /// Starts the server with these arguments. Its configuration is ./statsd.conf.
    pub(crate) fn start_with(
        conf: &Conf,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), conf, arguments)
    }

    /// Waits until this run has ended, and starts another one in the same folder.
    pub(crate) fn again(mut self, conf: &Conf) -> Self {
        until_true("the run before to end", || !self.is_running());
        Self::start_in(self.folder, conf, |command| command.args(["-c", "statsd.conf"]))
    }

    /// Starts the server as a service manager does that has bound these named sockets. `folder` is
    /// the folder of an earlier run, or `None` for a new one.
    pub(crate) fn start_passing(
        conf: &Conf,
        sockets: &[(&Socket, &str)],
        before: Option<Self>,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = before.map_or_else(
            || tempfile::tempdir().unwrap(),
            |mut before| {
                until_true("the run before to end", || !before.is_running());
                before.folder
            },
        );
        let mut script = String::new();
        for (at, (socket, _)) in sockets.iter().enumerate() {
            script += &format!("exec {}<&{};", 100 + at, socket.as_raw_fd());
        }
        for at in 0..sockets.len() {
            script += &format!("exec {}<&{} {1}<&-;", 3 + at, 100 + at);
        }
        let names: Vec<&str> = sockets.iter().map(|(_, name)| *name).collect();
        script += "export LISTEN_PID=$$; exec \"$0\" -c statsd.conf";
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_statsd")]);
        command.current_dir(folder.path()).env_remove("RUST_LOG");
        if !sockets.is_empty() {
            command.env("LISTEN_FDS", sockets.len().to_string());
            command.env("LISTEN_FDNAMES", names.join(":"));
        }
        prepare(&mut command);
        let sockets: Vec<&Socket> = sockets.iter().map(|(socket, _)| *socket).collect();
        Self::start_command(folder, conf, &mut command, &sockets)
    }

    /// Starts the server from a shell that first runs `shell`, such as a `ulimit`.
    pub(crate) fn start_after(conf: &Conf, shell: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("{shell}; exec \"$0\" -c statsd.conf");
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_statsd")]);
        command.current_dir(folder.path()).env_remove("RUST_LOG");
        Self::start_command(folder, conf, &mut command, &[])
    }

    fn start_in(
        folder: TempDir,
        conf: &Conf,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = statsd_command(folder.path());
        arguments(&mut command);
        Self::start_command(folder, conf, &mut command, &[])
    }

    fn start_command(
        folder: TempDir,
        conf: &Conf,
        command: &mut Command,
        sockets: &[&Socket],
    ) -> Self {
        fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
        let mut process = Process::start_sharing(command, sockets);
        let ready = until(DEADLINE, "the server's ready line", || {
            let ready = process.stderr().into_iter().find(|line| line.starts_with("ready "));
            if ready.is_none() && process.ended().is_some() {
                panic!("the server ended at once:\n{}", process.stderr().join("\n"));
            }
            ready
        });
        let bound = |listener| bound_addresses(&ready, listener);
        let (udp, tcp, admin) = (bound("udp"), bound("tcp"), bound("admin"));
        Self { process, udp, tcp, admin, folder }
    }

    /// Returns the ready line of the server.
    pub(crate) fn ready(&self) -> String {
        self.log().into_iter().find(|line| line.starts_with("ready ")).unwrap()
    }

    /// Writes another configuration and makes the server read it.
    pub(crate) fn reload(&self, conf: &Conf) {
        fs::write(self.folder.path().join("statsd.conf"), conf.text()).unwrap();
        self.hangup();
    }

    /// Sends SIGHUP, which makes the server read its configuration again.
    pub(crate) fn hangup(&self) {
        self.process.signal("HUP");
    }

    /// Waits until the log has `times` lines that contain all of these words.
    pub(crate) fn until_logged(&self, words: &[&str], times: usize) {
        until_true(&format!("{words:?} in the log"), || {
            let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
            self.log().iter().filter(has_all).count() >= times
        });
    }

    /// Returns the address to which a client on this machine sends datagrams.
    pub(crate) fn udp(&self) -> SocketAddr {
        reachable(self.udp[0])
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        reachable(self.tcp[0])
    }

    /// Returns every UDP address of the ready line.
    pub(crate) fn udp_bound(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// Returns every admin address of the ready line.
    pub(crate) fn admin_bound(&self) -> &[SocketAddr] {
        &self.admin
    }

    /// Opens a connection to the TCP listener.
    pub(crate) fn tcp_client(&self) -> TcpStream {
        connect(self.tcp())
    }

    /// Opens a connection to the admin port.
    pub(crate) fn admin(&self) -> Admin {
        Admin::connect(reachable(self.admin[0]))
    }

    /// Opens a connection to the admin port that speaks HTTP.
    pub(crate) fn web(&self) -> Web {
        Web::connect(reachable(self.admin[0]))
    }

    /// Sends each packet as a datagram, as fast as the server reads. They may fall into several
    /// flushes.
    pub(crate) fn send<P: AsRef<[u8]>>(&self, packets: impl IntoIterator<Item = P>) {
        send_without_loss(self.udp(), packets);
    }

    /// Sends all lines in one datagram. The server takes it in at once, so all of them fall into
    /// one flush.
    pub(crate) fn send_together<P: AsRef<[u8]>>(&self, lines: impl IntoIterator<Item = P>) {
        let mut packet = Vec::new();
        for line in lines {
            packet.extend_from_slice(line.as_ref());
            packet.push(b'\n');
        }
        assert!(packet.len() < 32 << 10, "{} bytes are more than a share of a turn", packet.len());
        self.send([packet]);
    }

    /// Sends each packet as a datagram, also while the server does not read. Those for which the
    /// receive buffer has no room are lost.
    pub(crate) fn send_at_once<P: AsRef<[u8]>>(&self, packets: impl IntoIterator<Item = P>) {
        send_packets(self.udp(), packets);
    }

    /// Waits until a dump of the admin port has this name, whatever its value.
    pub(crate) fn until_known(&self, dump: &str, name: &str) {
        let mut admin = self.admin();
        until_true(&format!("{name} in {dump}"), || admin.dump(dump).contains_key(name));
    }

    /// Waits until a counter of the open interval has this value. With short intervals a flush may
    /// come first, which sets it to 0: then see [`until_known`](Self::until_known).
    pub(crate) fn until_counter(&self, name: &str, value: f64) {
        self.until_shown("counters", name, value);
    }

    /// Waits until a dump of the admin port shows this value.
    pub(crate) fn until_shown(&self, dump: &str, name: &str, value: f64) {
        let mut admin = self.admin();
        let shown = || admin.numbers(dump).get(name).copied();
        until_equal(&format!("{name} in {dump}"), &Some(value), shown);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the standard error of the server so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.process.stderr()
    }

    /// Returns the lines of standard output so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.process.stdout()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    pub(crate) fn sigterm(&self) {
        self.process.signal("TERM");
    }

    pub(crate) fn sigkill(&self) {
        self.process.signal("KILL");
    }

    pub(crate) fn interrupt(&self) {
        self.process.signal("INT");
    }

    /// Stops the process with SIGSTOP, as a suspended machine would.
    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Waits until a server that was asked to stop has ended, and all of its log was read.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        self.process.exit(DEADLINE)
    }

    /// Sends SIGTERM and waits for exit code 0.
    pub(crate) fn stop(mut self) {
        self.sigterm();
        let status = self.exit();
        assert_eq!(status.code(), Some(0), "{status}:\n{}", self.log().join("\n"));
    }

    /// Returns a number from /proc/PID/status, such as `Threads` or `VmRSS` (KiB).
    pub(crate) fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(&format!("{field}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Returns the CPU time that the server has used.
    pub(crate) fn cpu_millis(&self) -> u64 {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        ticks * 10 // a tick is 10 ms on every Linux
    }

    /// Returns the number of open descriptors of the server.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Returns the child processes of the server, including zombies.
    pub(crate) fn children(&self) -> Vec<String> {
        let task = self.proc(&format!("task/{}/children", self.pid()));
        fs::read_to_string(task).unwrap().split_whitespace().map(str::to_owned).collect()
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid()))
    }
}

/// Returns the internet addresses of `listener` in `ready udp=A,B tcp=A admin=A`. Returns none for
/// a listener that is off.
fn bound_addresses(ready: &str, listener: &str) -> Vec<SocketAddr> {
    let prefix = format!("{listener}=");
    let field = ready.split(' ').find_map(|field| field.strip_prefix(&prefix)).unwrap_or("");
    let is_internet = |address: &&str| !address.is_empty() && !address.starts_with('/');
    let addresses = field.split(',').filter(is_internet);
    addresses
        .map(|address| {
            address.parse().unwrap_or_else(|_| panic!("no address: {address} in {ready}"))
        })
        .collect()
}

/// Returns a loopback address for a listener that is bound to every address.
fn reachable(mut bound: SocketAddr) -> SocketAddr {
    match bound.ip() {
        IpAddr::V4(any) if any.is_unspecified() => bound.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(any) if any.is_unspecified() => bound.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    bound
}
