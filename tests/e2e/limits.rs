//! The bounds on configurations and reloads: exceeding one is a mistake that is reported, and the
//! server goes on.

use std::fmt::Write as _;

use crate::support::{Conf, DEADLINE, Daemon, Process, statsd_command, until_true};

/// Destinations that a configuration may have beside the first of each kind.
const MOST: usize = 16;

/// Adds `count` repeaters to a port where no process listens, named after their generation.
fn repeaters(mut conf: Conf, generation: usize, count: usize) -> Conf {
    for nth in 0..count {
        let section = format!("repeater.g{generation}-{nth}");
        conf = conf.set(&section, "address", "127.0.0.1:1").set(&section, "protocol", "tcp");
    }
    conf
}

/// Shows that a start and a reload refuse too many destinations, and that no number of them makes
/// the process end in any other way.
#[test]
fn too_many_destinations_are_a_mistake() {
    let daemon = Daemon::start(&Conf::never_flushing());
    daemon.reload(&repeaters(Conf::never_flushing(), 1, MOST + 1));
    let expected = "[repeater.g1-16]: expected at most 16 further destinations";
    daemon.until_logged(&["reload=refused", expected, "nothing has changed"], 1);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statsd.conf");
    let start = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let ended = Process::start(statsd_command(folder.path()).args(["-c", "statsd.conf"]));
        let ended = ended.finish(DEADLINE);
        (ended.code, ended.stderr)
    };
    let (code, errors) = start(&repeaters(Conf::never_flushing(), 1, MOST + 1).text());
    assert!(code == Some(2) && errors.contains(expected), "{code:?}: {errors}");
    let mut huge = String::new();
    for nth in 0..70_000 {
        writeln!(huge, "[exec.{nth}]\ncommand = true").unwrap();
    }
    let (code, errors) = start(&huge);
    assert!(code == Some(1) && errors.contains("larger than 512k"), "{code:?}: {errors}");
    daemon.send(["a:1|c"]);
    daemon.until_counter("a", 1.0);
    daemon.stop();
}

/// Shows that removed destinations that still hold data do not pile up over reloads: a reload that
/// would exceed the bound is refused.
#[test]
fn removed_destinations_that_still_deliver_are_bounded() {
    let conf = Conf::never_flushing().set("statsd", "shutdown_timeout", "1h");
    let daemon = Daemon::start(&conf);
    let mut admin = daemon.admin();
    for generation in 1..=5 {
        daemon.reload(&repeaters(conf.clone(), generation, MOST));
        daemon.until_logged(&["reload=done"], generation);
        daemon.send(["a:1|c"]);
        until_true("each repeater to hold the packet", || {
            let sinks = admin.ask("sinks");
            let prefix = format!("repeater.g{generation}-");
            let holds =
                |line: &&str| line.starts_with(&prefix) && !line.contains("queued_bytes=0 ");
            sinks.lines().filter(holds).count() == MOST
        });
    }
    daemon.reload(&repeaters(conf.clone(), 6, MOST));
    daemon.until_logged(
        &["reload=refused", "there are 80 destinations", "lower shutdown_timeout"],
        1,
    );
    daemon.reload(&conf.set("statsd", "shutdown_timeout", "0"));
    daemon.until_logged(&["reload=done"], 6);
    daemon.until_counter("a", 5.0);
    daemon.stop();
}
