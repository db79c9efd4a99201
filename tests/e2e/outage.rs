//! Outages at full size. However connections break, carbon's process must have read every point at
//! the end. The one exception: bytes that TCP acknowledged more than `resend_keep` flushes before
//! the break.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::support::recorder::{Manner, Recorder};
use crate::support::{
    Admin, Conf, Daemon, Process, statsd_command, unix_now, until_clock_shows, until_true,
};

/// The full size needs an optimised server.
const SERIES: usize = if cfg!(optimised) { 100_000 } else { 10_000 };
const INTERVAL: u64 = 2;
const STEP: usize = 2;

fn conf(carbon: SocketAddr) -> Conf {
    Conf::sending_to(carbon, &format!("{INTERVAL}s"))
        .set("carbon", "reconnect_max", "200ms")
        .set("carbon", "write_timeout", "2s")
        .set("carbon", "queue", "256m")
}

/// Creates the series. Returns the stamp of a flush that certainly has all of them.
fn make_series(daemon: &Daemon) -> u64 {
    daemon.tcp_client().write_all(all_series().as_bytes()).unwrap();
    until_known(|| daemon.admin());
    next_stamp() + INTERVAL
}

fn all_series() -> String {
    (0..SERIES).map(|name| format!("o.{name}:1|c\n")).collect()
}

fn until_known(admin: impl Fn() -> Admin) {
    let last = format!("o.{}", SERIES - 1);
    until_true("all series", || admin().numbers("counters").contains_key(&last));
}

/// The end of the open interval.
fn next_stamp() -> u64 {
    unix_now() / INTERVAL * INTERVAL + INTERVAL
}

fn recorder() -> Recorder {
    Recorder::start("127.0.0.1:0".parse().unwrap(), "stats_counts.o.")
}

/// Shows that connections that are reset in the middle of a flush cost no point.
#[test]
fn resets_cost_nothing() {
    let carbon = recorder();
    let daemon = Daemon::start(&conf(carbon.address()));
    let first = make_series(&daemon);
    let mut stamp = first;
    for _ in 0..3 {
        until_true("a flush under way", || carbon.count_at(stamp) > 0);
        carbon.behave(Manner::Resets);
        until_clock_shows(stamp + INTERVAL);
        carbon.behave(Manner::Reads);
        stamp += 2 * INTERVAL;
    }
    let last = next_stamp();
    carbon.until_whole(SERIES, (first..=last).step_by(STEP));
    assert!(daemon.admin().ask("sinks").contains(" dropped_lines=0 "));
    daemon.stop();
}

/// Shows that a peer which accepts and resets connections for a long time gets every point once it
/// reads again.
#[test]
fn accepting_and_resetting_for_long_costs_nothing() {
    let carbon = recorder();
    let daemon = Daemon::start(&conf(carbon.address()));
    let first = make_series(&daemon);
    carbon.until_whole(SERIES, [first]);
    carbon.behave(Manner::Resets);
    let before = carbon.connections();
    until_clock_shows(first + 5 * INTERVAL);
    until_true("many a reset", || carbon.connections() > before + 12);
    carbon.behave(Manner::Reads);
    carbon.until_whole(SERIES, (first..=next_stamp()).step_by(STEP));
    assert!(daemon.admin().ask("sinks").contains(" dropped_lines=0 "));
    daemon.stop();
}

/// Shows that the server waits for a stalled reader longer than `write_timeout`, since its kernel
/// answers probes. No point is lost when the reader dies.
#[test]
fn a_stalled_reader_is_a_pause_and_its_end_costs_nothing() {
    let carbon = recorder();
    let daemon = Daemon::start(&conf(carbon.address()));
    let first = make_series(&daemon);
    until_true("a flush under way", || carbon.count_at(first) > 0);
    carbon.behave(Manner::Stalls);
    until_clock_shows(first + 5 * INTERVAL);
    assert_eq!(carbon.connections(), 1, "a pause is no break");
    carbon.cut();
    until_true("another connection", || carbon.connections() == 2);
    carbon.behave(Manner::Reads);
    carbon.until_whole(SERIES, (first..=next_stamp()).step_by(STEP));
    daemon.stop();
}

/// Shows that a reader of one byte at a time delays no other work: input is counted, the admin port
/// answers, another destination has each flush in time.
#[test]
fn a_reader_of_single_bytes_slows_nothing_else() {
    let (slow, quick) = (recorder(), recorder());
    // TCP probes a receiver without room less and less often, so a second would be too short.
    let conf = conf(slow.address()).set("carbon", "write_timeout", "10s");
    let daemon = Daemon::start(&conf.set("carbon.quick", "address", quick.address()));
    let first = make_series(&daemon);
    slow.behave(Manner::ReadsByteByByte);
    for stamp in (first..first + 3 * INTERVAL).step_by(STEP) {
        until_clock_shows(stamp);
        let before = daemon.admin().numbers("counters")["statsd.packets_received"];
        daemon.send(["alive:1|c"; 100]);
        daemon.until_counter("statsd.packets_received", before + 100.0);
        quick.until_whole(SERIES, [stamp]);
    }
    assert!(slow.connections() == 1 && slow.count_at(first + INTERVAL) < SERIES, "it is slow");
    slow.behave(Manner::Reads);
    slow.until_whole(SERIES, (first..=next_stamp()).step_by(STEP));
    daemon.stop();
}

/// A pair of connected network interfaces. The server is at the far end.
struct Cable {
    name: String,
    here: &'static str,
    there: &'static str,
}

impl Cable {
    /// Returns `None` if this machine does not allow it.
    fn lay() -> Option<Self> {
        let name = format!("sd{}", std::process::id() % 100_000);
        let cable = Self { name, here: "10.211.55.1", there: "10.211.55.2" };
        let Self { name, here, there } = &cable;
        let steps = [
            format!("netns add {name}"),
            format!("link add {name}a type veth peer name {name}b netns {name}"),
            format!("addr add {here}/30 dev {name}a"),
            format!("link set {name}a up"),
            format!("-n {name} addr add {there}/30 dev {name}b"),
            format!("-n {name} link set {name}b up"),
            format!("-n {name} link set lo up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(cable)
    }

    fn cut(&self) {
        assert!(ip(&format!("link set {}a down", self.name)));
    }

    fn mend(&self) {
        assert!(ip(&format!("link set {}a up", self.name)));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&format!("link del {}a", self.name));
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// Shows that packets which disappear without an answer break the connection after `write_timeout`,
/// and that no point is lost.
#[test]
fn lost_packets_cost_nothing() {
    let Some(cable) = Cable::lay() else {
        eprintln!("SKIPPED: no network namespace is to be had here (root and iproute2 are needed)");
        return;
    };
    let carbon = Recorder::start(format!("{}:0", cable.here).parse().unwrap(), "stats_counts.o.");
    let folder = tempfile::tempdir().unwrap();
    let conf = conf(carbon.address())
        .set("tcp", "bind", format!("{}:8125", cable.there))
        .set("admin", "bind", format!("{}:8126", cable.there))
        .set("udp", "bind", "");
    std::fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
    let binary = statsd_command(folder.path());
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &cable.name]).arg(binary.get_program());
    let server = Process::start(command.args(["-c", "statsd.conf"]).current_dir(folder.path()));
    let address = |port| SocketAddr::new(cable.there.parse().unwrap(), port);
    until_true("the server", || server.stderr().iter().any(|line| line.starts_with("ready ")));
    crate::support::connect(address(8125)).write_all(all_series().as_bytes()).unwrap();
    until_known(|| Admin::connect(address(8126)));
    let first = next_stamp() + INTERVAL;
    until_true("a flush under way", || carbon.count_at(first) > 0);
    cable.cut();
    until_true("a break", || {
        server.stderr().iter().any(|line| line.contains("no acknowledgement"))
    });
    until_clock_shows(first + 3 * INTERVAL);
    cable.mend();
    carbon.until_whole(SERIES, (first..=next_stamp()).step_by(STEP));
    assert!(carbon.connections() > 1);
    server.signal("TERM");
    let mut server = server;
    assert_eq!(server.exit(Duration::from_secs(30)).code(), Some(0));
}
