//! A stop, and what must not happen during one. Reloads and saves beside a slow destination.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Conf, Daemon, FakeCarbon, free_port, listen_on, until, until_true};

/// Waits until chunks are queued for the first destination.
fn until_queued(daemon: &Daemon) {
    let mut admin = daemon.admin();
    until_true("a queued flush", || !admin.ask("sinks").contains("queued_bytes=0"));
}

/// Returns the sum of one series at carbon, each time slot counted once.
fn sum(carbon: &FakeCarbon, name: &str) -> f64 {
    let slots = carbon.series(name).into_iter().map(|point| (point.stamp, point.number()));
    slots.collect::<BTreeMap<u64, f64>>().values().sum()
}

/// Shows that a periodic save of the gauges does not replace the interval that a stop has saved,
/// however long the stop then waits for a destination.
#[test]
fn a_long_stop_keeps_the_interval_it_saved() {
    let mut carbon = FakeCarbon::absent();
    let conf = Conf::sending_to(carbon.address(), "1s")
        .set("statsd", "state_file", "state")
        .set("statsd", "state_interval", "100ms")
        .set("statsd", "shutdown_timeout", "600ms")
        .set("spool", "dir", "spool");
    let mut daemon = Daemon::start(&conf);
    for _ in 0..3 {
        until_queued(&daemon);
        daemon.send(["c:7|c"]);
        daemon.sigterm();
        assert_eq!(daemon.exit().code(), Some(0));
        daemon = daemon.again(&conf);
        daemon.until_logged(&["state=restored", "gauges_only=false"], 1);
    }
    carbon.listen();
    until_true("every count at carbon", || sum(&carbon, "stats_counts.c") >= 21.0);
    assert_eq!(sum(&carbon, "stats_counts.c"), 21.0);
    daemon.stop();
}

/// Shows that a stop drops a reload that is pending, so that no listener is bound again and then
/// left unread.
#[test]
fn a_stop_drops_a_reload_that_waits() {
    let carbon = FakeCarbon::absent();
    let conf = Conf::never_flushing().set("carbon", "address", carbon.address()).set(
        "statsd",
        "shutdown_timeout",
        "2s",
    );
    let mut daemon = Daemon::start(&conf);
    daemon.send(["c:1|c"]);
    daemon.until_counter("c", 1.0);
    let ruled = |percentiles| conf.clone().set("statsd", "percentiles", percentiles);
    daemon.reload(&ruled("50"));
    daemon.until_logged(&["reload=done", "statsd.percentiles"], 1);
    // Series have yet to get the rules of the first reload, so that the second one has to wait.
    let moved = SocketAddr::from(([127, 0, 0, 1], free_port()));
    daemon.reload(&ruled("75").set("udp", "bind", moved));
    daemon.sigterm();
    daemon.until_logged(&["stop=begun"], 1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(moved).unwrap();
    while daemon.is_running() {
        let sent = socket.send(b"c:1|c");
        let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
        assert!(sent.is_ok() || sent.as_ref().is_err_and(refused), "{sent:?}");
        std::thread::yield_now();
    }
    daemon.exit();
    let log = daemon.log();
    let position = |words: &str| log.iter().position(|line| line.contains(words));
    assert!(position("reload=dropped").is_some(), "{log:#?}");
    assert_eq!(log.iter().filter(|line| line.contains("reload=done")).count(), 1, "{log:#?}");
    assert!(position("unread_sockets").is_none());
}

/// Shows that a stop without a state file logs the time slot that a restart would write twice, and
/// the remedy. A stop with a state file does not.
#[test]
fn a_stop_without_a_state_file_logs_what_a_restart_does() {
    let carbon = FakeCarbon::start();
    let conf = Conf::flushing_at_stop_to(carbon.address());
    let mut daemon = Daemon::start(&conf);
    daemon.send(["c:7|c"]);
    daemon.sigterm();
    daemon.exit();
    let stamp = carbon.until_point("stats_counts.c", 7.0).stamp;
    daemon.until_logged(&["interval_closed_early", &format!("stamp={stamp}"), "state_file"], 1);
    let mut daemon = daemon.again(&conf.set("statsd", "state_file", "state"));
    daemon.sigterm();
    daemon.exit();
    assert!(!daemon.log().iter().any(|line| line.contains("interval_closed_early")));
}

/// Shows that a stop which cannot save its interval does not ask for a key that is set.
#[test]
fn a_stop_that_cannot_save_names_another_remedy() {
    let carbon = FakeCarbon::start();
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("folder");
    let state = folder.join("state");
    let conf = Conf::flushing_at_stop_to(carbon.address());
    let mut daemon = Daemon::start(&conf.set("statsd", "state_file", state.display()));
    daemon.send(["c:7|c"]);
    // The server would make a folder that is missing.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    daemon.sigterm();
    daemon.exit();
    daemon.until_logged(&["interval_closed_early", "could not be saved"], 1);
    assert!(!daemon.log().iter().any(|line| line.contains("set [statsd] state_file")));
}

/// Shows that the configuration which `make install` installs keeps the open interval and the
/// spool, in the folder that the unit lets the server write to.
#[test]
fn the_installed_configuration_has_a_state_file_and_a_spool() {
    let packaging = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let installed = packaging.join("statsd.conf");
    let (config, _) = statsd::config::load(Some(&installed), Default::default()).unwrap();
    let unit = std::fs::read_to_string(packaging.join("systemd/statsd.service")).unwrap();
    let folder = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    let folder = std::path::Path::new("/var/lib").join(folder);
    for path in [config.state.file.unwrap(), config.spool.dir.unwrap()] {
        assert!(path.starts_with(&folder), "{}", path.display());
    }
}

/// Shows that a stop reads connections that were waiting to be accepted.
#[test]
fn a_stop_reads_connections_that_wait_to_be_accepted() {
    let carbon = FakeCarbon::start();
    let conf = Conf::flushing_at_stop_to(carbon.address());
    let mut daemon = Daemon::start(&conf);
    daemon.freeze();
    let mut clients: Vec<_> = (0..20).map(|_| daemon.tcp_client()).collect();
    clients.iter_mut().for_each(|client| client.write_all(b"c:1|c\n").unwrap());
    daemon.sigterm();
    daemon.thaw();
    daemon.exit();
    carbon.until_point("stats_counts.c", 20.0);
}

/// A carbon that reads some 400 kB a second, evenly.
struct SlowReader {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
}

impl SlowReader {
    fn start() -> Self {
        let listener = listen_on("127.0.0.1:0".parse().unwrap());
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            while !ended.load(Ordering::SeqCst) && stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { address, ends }
    }
}

impl Drop for SlowReader {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
    }
}

/// Shows that a reload applies and the gauges are saved beside a slow destination with most of its
/// queue unsent.
#[test]
fn a_slow_destination_holds_up_no_reload_and_no_save() {
    let healthy = FakeCarbon::start();
    let slow = SlowReader::start();
    let conf = Conf::sending_to(healthy.address(), "1s")
        .set("carbon.slow", "address", slow.address)
        .set("carbon.slow", "queue", "16m");
    let mut daemon = Daemon::start(&conf);
    // A flush of these is 10 MB: more than the kernel takes on behalf of a slow reader.
    let mut client = daemon.tcp_client();
    let long = "xxxxxxxx.".repeat(50);
    for name in 0..10_000 {
        client.write_all(format!("{long}{name}:1|c\n").as_bytes()).unwrap();
    }
    client.write_all(b"g:5|g\n").unwrap();
    let mut admin = daemon.admin();
    until_true("over half of the queue to be unsent", || {
        let sinks = admin.ask("sinks");
        let slow = sinks.lines().find(|line| line.starts_with("carbon.slow")).unwrap().to_owned();
        let queued = slow.split(' ').find_map(|field| field.strip_prefix("queued_bytes="));
        queued.unwrap().parse::<usize>().unwrap() > 15_000_000
    });
    let state = daemon.folder().join("state");
    daemon.reload(
        &conf.set("statsd", "percentiles", "50").set("statsd", "state_file", "state").set(
            "statsd",
            "state_interval",
            "200ms",
        ),
    );
    daemon.until_logged(&["reload=done", "statsd.percentiles"], 1);
    until(crate::support::DEADLINE, "the gauges to be saved", || state.exists().then_some(()));
    healthy.until("a flush after the reload", |points| {
        let counters = points.iter().filter(|point| point.name.starts_with("stats_counts.xxx"));
        (counters.count() >= 30_000).then_some(())
    });
    daemon.sigkill();
    daemon.exit();
}
