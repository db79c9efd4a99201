//! Outages at full size. However connections break, carbon's process must have read every point at
//! the end. The one exception: bytes that TCP acknowledged more than `resend_keep` flushes before
//! the break.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::support::recorder::{Manner, Recorder};
use crate::support::{
    Conf, Daemon, Process, statsd_command, unix_now, until_clock_shows, until_true,
};

/// The full size needs an optimised server.
const SERIES: usize = if cfg!(optimised) { 100_000 } else { 10_000 };
const INTERVAL: u64 = 2;

fn conf(carbon: SocketAddr) -> Conf {
    Conf::sending_to(carbon, &format!("{INTERVAL}s"))
        .set("carbon", "reconnect_max", "200ms")
        .set("carbon", "write_timeout", "2s")
        .set("carbon", "queue", "256m")
}

/// Two carbons: the first one is in trouble, the second one gets every flush. What arrives at the
/// first one in the end is compared with the second one, because a late server skips a flush.
fn start() -> (Recorder, Recorder, Daemon) {
    start_with(|conf| conf)
}

fn start_with(change: impl FnOnce(Conf) -> Conf) -> (Recorder, Recorder, Daemon) {
    let (carbon, witness) = (recorder(), recorder());
    let conf = conf(carbon.address()).set("carbon.witness", "address", witness.address());
    let daemon = Daemon::start(&change(conf));
    (carbon, witness, daemon)
}

/// Creates the series. Returns the stamp of the first flush that has all of them.
fn make_series(daemon: &Daemon, witness: &Recorder) -> u64 {
    daemon.tcp_client().write_all(all_series().as_bytes()).unwrap();
    witness.until_flush_after(0, SERIES)
}

/// Waits for another flush, and until `carbon` has all points that `witness` has from `first` on.
fn until_equal(carbon: &Recorder, witness: &Recorder, first: u64) {
    let last = witness.until_flush_after(unix_now(), SERIES);
    let expected = witness.whole_stamps(SERIES, first);
    assert!(expected.contains(&last) && expected.len() > 1);
    carbon.until_whole(SERIES, expected);
}

fn all_series() -> String {
    (0..SERIES).map(|name| format!("o.{name}:1|c\n")).collect()
}

fn recorder() -> Recorder {
    Recorder::start("127.0.0.1:0".parse().unwrap(), "stats_counts.o.")
}

/// Shows that connections that are reset in the middle of a flush cost no point.
#[test]
fn resets_cost_nothing() {
    let (carbon, witness, daemon) = start();
    let first = make_series(&daemon, &witness);
    let mut stamp = first;
    for _ in 0..3 {
        stamp = carbon.until_flush_after(stamp, 1); // it is under way
        carbon.behave(Manner::Resets);
        stamp = witness.until_flush_after(stamp, SERIES);
        carbon.behave(Manner::Reads);
    }
    until_equal(&carbon, &witness, first);
    assert!(daemon.admin().ask("sinks").contains(" dropped_lines=0 "));
    daemon.stop();
}

/// Shows that a peer which accepts and resets connections for a long time gets every point once it
/// reads again.
#[test]
fn accepting_and_resetting_for_long_costs_nothing() {
    let (carbon, witness, daemon) = start();
    let first = make_series(&daemon, &witness);
    carbon.until_whole(SERIES, [first]);
    carbon.behave(Manner::Resets);
    let before = carbon.connections();
    until_clock_shows(first + 5 * INTERVAL);
    until_true("many resets", || carbon.connections() > before + 12);
    carbon.behave(Manner::Reads);
    until_equal(&carbon, &witness, first);
    assert!(daemon.admin().ask("sinks").contains(" dropped_lines=0 "));
    daemon.stop();
}

/// Shows that the server waits for a stalled reader longer than `write_timeout`, since its kernel
/// answers probes. No point is lost when the reader dies.
#[test]
fn a_stalled_reader_is_a_pause_and_its_end_costs_nothing() {
    let (carbon, witness, daemon) = start();
    let first = make_series(&daemon, &witness);
    carbon.until_flush_after(first, 1); // it is under way
    carbon.behave(Manner::Stalls);
    until_clock_shows(first + 5 * INTERVAL);
    assert_eq!(carbon.connections(), 1, "a pause is no break");
    assert!(daemon.admin().ask("sinks").contains(" unacknowledged_seconds="));
    carbon.cut();
    until_true("another connection", || carbon.connections() == 2);
    carbon.behave(Manner::Reads);
    until_equal(&carbon, &witness, first);
    daemon.stop();
}

/// Shows that a reader of one byte at a time delays no other work: input is counted, the admin port
/// answers, another destination has each flush in time.
#[test]
fn a_reader_of_single_bytes_slows_nothing_else() {
    // TCP probes a receiver without room less and less often, so a second would be too short.
    let (slow, quick, daemon) = start_with(|conf| conf.set("carbon", "write_timeout", "30s"));
    let first = make_series(&daemon, &quick);
    slow.behave(Manner::ReadsByteByByte);
    let mut stamp = first;
    for round in 1..=3 {
        daemon.send((1..=100).map(|nth| format!("alive:{}|g", 100 * round + nth)));
        daemon.until_shown("gauges", "alive", f64::from(100 * round + 100));
        stamp = quick.until_flush_after(stamp, SERIES);
    }
    assert!(slow.connections() == 1 && slow.count_at(stamp) < SERIES, "it is slow");
    slow.behave(Manner::Reads);
    until_equal(&slow, &quick, first);
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

    fn reconnect(&self) {
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
        .set("udp", "bind", "")
        .set("console", "enabled", "yes");
    std::fs::write(folder.path().join("statsd.conf"), conf.text()).unwrap();
    let binary = statsd_command(folder.path());
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &cable.name]).arg(binary.get_program());
    let server = Process::start(command.args(["-c", "statsd.conf"]).current_dir(folder.path()));
    let lines = SocketAddr::new(cable.there.parse().unwrap(), 8125);
    until_true("the server", || server.stderr().iter().any(|line| line.starts_with("ready ")));
    crate::support::connect(lines).write_all(all_series().as_bytes()).unwrap();
    let whole = carbon.until_flush_after(0, SERIES);
    let first = carbon.until_flush_after(whole, 1); // it is under way
    cable.cut();
    until_true("a break", || {
        server.stderr().iter().any(|line| line.contains("no acknowledgement"))
    });
    until_clock_shows(first + 3 * INTERVAL);
    cable.reconnect();
    // The far end has no second carbon. The server's console shows which flushes there were.
    let stamps = || -> BTreeSet<u64> {
        let of_one = server.stdout().into_iter();
        let stamp =
            |line: String| line.strip_prefix("stats_counts.o.0 ")?.split(' ').nth(1)?.parse().ok();
        of_one.filter_map(stamp).filter(|stamp| *stamp >= first).collect()
    };
    let now = unix_now();
    until_true("another flush", || stamps().last() > Some(&now));
    carbon.until_whole(SERIES, stamps());
    assert!(carbon.connections() > 1);
    server.signal("TERM");
    let mut server = server;
    assert_eq!(server.exit(Duration::from_secs(30)).code(), Some(0));
}
